//! What comes of signals: they are told at sites, to the function that the program has named for
//! them, or do what they do by default.

use brant_engine::{Extern, FuncType, Thread, Val, ValType};
use brant_kernel::processes::signal::{
    DefaultAction, Signal, can_be_handled, default_action, number,
};
use brant_kernel::processes::{End, Pid};
use brant_kernel::{Errno, RunState};
use brant_mobility::Purpose;

use super::Relatives;
use crate::Process;
use crate::process::Current;
use crate::threads::Blocked;

/// What waits for the end of a function that was told of a signal.
pub(crate) struct Handler {
    /// The thread that was interrupted.
    pub current: Current,
    /// Whether it stood in a call.
    pub run_state: RunState,
}

impl Relatives {
    /// Does what the signals do that are on their way to a process; gives its end, if that is it.
    pub(super) fn signal(&mut self, pid: Pid, process: &mut Process) -> Option<End> {
        loop {
            let signal = {
                let mut core = self.tree.lock();
                let entry = core.table.get_mut(pid).ok()?;
                // While one is being handled the others wait, but for those that nobody handles.
                match process.handler.is_some() && entry.handles_signals {
                    true => [number::KILL, number::STOP].into_iter().find(|&signal| {
                        let is_there = entry.pending.contains(signal);
                        entry.pending.remove(signal);
                        is_there
                    })?,
                    false => entry.pending.take_next()?,
                }
            };
            if can_be_handled(signal) && process.begin_handler(signal) {
                return None;
            }
            match default_action(signal) {
                DefaultAction::Ignore => {}
                DefaultAction::End => return Some(End::Signal(signal)),
                DefaultAction::Stop => self.tree.lock().stopped(pid, signal),
            }
        }
    }
}

impl Process {
    /// Has the function run that the program has named for signals; false if there is none.
    fn begin_handler(&mut self, signal: Signal) -> bool {
        let name = self.system().with_kernel(|kernel| kernel.signal_handler().map(str::to_owned));
        let export = name.and_then(|name| self.export(&name));
        let Some(Extern::Func(func)) = export else { return false };
        if *func.ty(&self.store) != FuncType::new([ValType::I32], []) {
            return false;
        }
        // A program that has not begun has named nothing.
        let Some(current) = self.current.take() else { return false };
        let thread = Thread::new(&mut self.store, func, &[Val::I32(signal.into())]);
        let run_state = self.system().run_state().clone();
        self.system().set_run_state(RunState::Running);
        self.current = Some(Current { thread, purpose: Purpose::Program, blocked: Blocked::No });
        self.handler = Some(Box::new(Handler { current, run_state }));
        true
    }

    /// Goes on with what a signal has interrupted; false if nothing was. A call that waits ends
    /// with `intr` unless it can end otherwise.
    pub(crate) fn end_handler(&mut self) -> bool {
        let Some(handler) = self.handler.take() else { return false };
        let Handler { mut current, mut run_state } = *handler;
        if let RunState::Parked(parked) = &mut run_state {
            parked.is_interrupted = true;
        }
        if current.blocked == Blocked::InCall {
            current.blocked = Blocked::No;
        }
        self.system().set_run_state(run_state);
        self.current = Some(current);
        true
    }

    /// Has the call that waits for an answer find it.
    pub(crate) fn answer(&mut self, answer: Result<Pid, Errno>) {
        self.system().answer(answer);
        if let Some(current) = &mut self.current {
            current.blocked = Blocked::No;
        }
    }
}
