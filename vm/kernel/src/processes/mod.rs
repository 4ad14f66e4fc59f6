//! Trees of processes: a table, pipes, signals, and the one host that all of them share.
//!
//! Every process has a [`Kernel`](crate::Kernel) of its own, whose host is a [`Member`]: it passes
//! questions on to the host of the tree, and answers for pipes itself. A member never waits: it
//! writes down what its process waits for, and whoever runs the tree waits for all.
//!
//! ```text
//! table.rs    who there is, whose child it is, how it ended
//! signal.rs   numbers of signals, and sets of them
//! pipe.rs     bytes between two processes
//! member.rs   the host as one process sees it
//! persist.rs  a tree as plain values, and back
//! ```

mod member;
mod persist;
mod pipe;
pub mod signal;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::host::{Direction, Handle, Host, Interest};
use crate::kernel::{Counted, Kernel};
use crate::persist::Descriptions;

pub use member::Member;
pub use pipe::Pipe;
pub use signal::{Signal, Signals};
pub use table::{End, Entry, Pid, ROOT, State, Table, Told, Whom};

/// Pipes that a tree may have at a time: each holds up to 64 KiB.
const MOST_PIPES: usize = 4096;
/// The first handle of a pipe's end. The reading end of pipe n is 2n behind it, the other one next.
const FIRST_END: u32 = 3 << 30;

/// A tree of processes. A copy is the same tree.
#[derive(Clone)]
pub struct Tree {
    core: Arc<Mutex<Core>>,
    terminal: Arc<TerminalSignals>,
}

/// Signals that the terminal sends to a tree. They come at any time, from any thread, while whoever
/// runs the tree may wait and hold all else.
#[derive(Debug, Default)]
pub struct TerminalSignals {
    are_wanted: AtomicBool,
    sent: AtomicU32,
}

impl TerminalSignals {
    /// Whether a process handles signals, or says which group has the terminal; whoever catches
    /// signals does by itself what they do otherwise. Safe in a signal handler.
    pub fn are_wanted(&self) -> bool {
        self.are_wanted.load(Ordering::Acquire)
    }

    /// From now on they are.
    pub(crate) fn want(&self) {
        self.are_wanted.store(true, Ordering::Release);
    }

    /// Sends one. Whoever runs the tree has to be made to look.
    pub fn send(&self, signal: Signal) {
        if signal <= signal::number::LAST {
            self.sent.fetch_or(1 << signal, Ordering::AcqRel);
        }
    }

    /// Takes those that were sent.
    fn take(&self) -> Signals {
        match self.sent.load(Ordering::Relaxed) {
            0 => Signals::default(),
            _ => Signals(self.sent.swap(0, Ordering::AcqRel)),
        }
    }
}

/// What all processes of a tree share.
pub struct Core {
    /// The system below.
    pub host: Box<dyn Host>,
    /// Who there is.
    pub table: Table,
    pipes: BTreeMap<u32, Pipe>,
    next_pipe: u32,
    /// What each process waits for, if it does.
    waits: BTreeMap<Pid, Waits>,
    /// Processes that may be able to go on.
    woken: BTreeSet<Pid>,
    /// Programs that are loaded already.
    known: BTreeSet<ProgramId>,
    /// Bytes that all of them have moved.
    pub counted: Counted,
    /// What descriptors have in common, while a tree is restored.
    pub(crate) descriptions: Descriptions,
}

/// What a process waits for.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// Objects of the host.
    pub objects: Vec<(Handle, Direction)>,
    /// Until when, on the host's monotonic clock.
    pub deadline_ns: Option<u64>,
}

/// By what a program is known that was loaded before: it is the same file, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramId {
    /// Number of the device that holds it.
    pub device: u64,
    /// Its number on that device.
    pub inode: u64,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written last.
    pub modified_ns: u64,
}

/// A program that a process wants to run.
#[derive(Debug)]
pub struct Program {
    /// By what it is known.
    pub id: ProgramId,
    /// Its bytes: bytecode or text; none if it is loaded already.
    pub bytes: Option<Vec<u8>>,
}

/// What a call asks of whoever runs the tree; the call waits for the answer.
#[derive(Debug)]
pub enum Request {
    /// A copy of the process, with this kernel, is to go on from where the process stands.
    Fork(Pid, Box<Kernel>),
    /// A process with this kernel is to run a program.
    Spawn(Pid, Box<Kernel>, Program),
    /// The process is to run another program, with these arguments and this environment.
    Exec {
        /// Which.
        program: Program,
        /// Its arguments.
        args: Vec<Vec<u8>>,
        /// Its environment; none to keep what there is.
        env: Option<Vec<Vec<u8>>>,
    },
}

impl Tree {
    /// A tree with the root alone.
    pub fn new(host: Box<dyn Host>, name: String, limit: u64) -> Tree {
        let core = Core {
            host,
            table: Table::new(name, limit),
            pipes: BTreeMap::new(),
            next_pipe: 0,
            waits: BTreeMap::new(),
            woken: BTreeSet::new(),
            known: BTreeSet::new(),
            counted: Counted::default(),
            descriptions: Descriptions::default(),
        };
        Tree { core: Arc::new(Mutex::new(core)), terminal: Arc::default() }
    }

    /// Signals of its terminal.
    pub fn terminal(&self) -> &Arc<TerminalSignals> {
        &self.terminal
    }

    /// Brings signals of the terminal to the group that has it.
    pub fn hear_terminal(&self) {
        let mut signals = self.terminal.take();
        while let Some(signal) = signals.take_next() {
            let mut core = self.lock();
            let group = core.table.foreground;
            // Where nobody has the terminal nobody hears it.
            let _ = core.send_to_group(group, signal);
        }
    }

    /// What its processes share. Nobody has it for long.
    pub fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tree")
    }
}

impl Core {
    /// Makes a pipe: its reading end, its writing end.
    fn make_pipe(&mut self) -> Option<(Handle, Handle)> {
        if self.pipes.len() >= MOST_PIPES {
            return None;
        }
        while self.pipes.contains_key(&self.next_pipe) {
            self.next_pipe = (self.next_pipe + 1) % (1 << 24);
        }
        self.pipes.insert(self.next_pipe, Pipe::empty());
        let reader = FIRST_END + 2 * self.next_pipe;
        self.next_pipe = (self.next_pipe + 1) % (1 << 24);
        Some((Handle(reader), Handle(reader + 1)))
    }

    /// The pipe that a handle leads to, if it does.
    fn pipe(&mut self, handle: Handle) -> Option<(&mut Pipe, Direction)> {
        let (number, direction) = end_of(handle)?;
        Some((self.pipes.get_mut(&number)?, direction))
    }

    /// Something has become of a pipe: whoever waits for it may go on.
    fn changed(&mut self, handle: Handle) {
        if let Some((number, _)) = end_of(handle)
            && let Some(pipe) = self.pipes.get_mut(&number)
        {
            self.woken.extend(pipe.waiting.drain(..));
        }
    }

    fn close_end(&mut self, handle: Handle) {
        let Some((number, direction)) = end_of(handle) else { return };
        let is_gone = self.pipes.get_mut(&number).is_some_and(|pipe| pipe.close(direction));
        self.changed(handle);
        if is_gone {
            self.pipes.remove(&number);
        }
    }

    /// Writes down what a process waits for.
    fn await_all(&mut self, pid: Pid, interests: &[Interest], deadline_ns: Option<u64>) {
        let mut waits = Waits { objects: Vec::new(), deadline_ns };
        for interest in interests {
            match self.pipe(interest.object) {
                Some((pipe, _)) if pipe.waiting.contains(&pid) => {}
                Some((pipe, _)) => pipe.waiting.push(pid),
                None => waits.objects.push((interest.object, interest.direction)),
            }
        }
        self.waits.insert(pid, waits);
    }

    /// What a process has begun to wait for since it was asked last; none if it does not wait.
    pub fn take_waits(&mut self, pid: Pid) -> Option<Waits> {
        self.waits.remove(&pid)
    }

    /// Processes that may be able to go on since it was asked last.
    pub fn take_woken(&mut self) -> BTreeSet<Pid> {
        std::mem::take(&mut self.woken)
    }

    /// Has a process look again at what it waits for.
    pub fn wake(&mut self, pid: Pid) {
        self.woken.insert(pid);
    }

    /// Takes note that a program is loaded, or that it is not any more.
    pub fn is_loaded(&mut self, program: ProgramId, is_loaded: bool) {
        match is_loaded {
            true => self.known.insert(program),
            false => self.known.remove(&program),
        };
    }

    /// Whether a program is loaded.
    pub fn knows(&self, program: ProgramId) -> bool {
        self.known.contains(&program)
    }

    /// Sends a signal to a process.
    ///
    /// # Errors
    /// [`Errno::NoProcess`](crate::Errno::NoProcess).
    pub fn send(&mut self, pid: Pid, signal: Signal) -> Result<(), crate::Errno> {
        if self.table.send(pid, signal)? {
            self.woken.insert(pid);
        }
        Ok(())
    }

    /// Sends a signal to all of a group.
    ///
    /// # Errors
    /// [`Errno::NoProcess`](crate::Errno::NoProcess) if nobody belongs to it.
    pub fn send_to_group(&mut self, group: Pid, signal: Signal) -> Result<(), crate::Errno> {
        let members = self.table.group(group);
        if members.is_empty() {
            return Err(crate::Errno::NoProcess);
        }
        members.into_iter().try_for_each(|pid| self.send(pid, signal))
    }

    /// A process has ended: its parent is told.
    pub fn ended(&mut self, pid: Pid, end: End) {
        let parent = self.table.end(pid, end);
        self.waits.remove(&pid);
        self.woken.remove(&pid);
        self.woken.extend([parent, ROOT]);
    }

    /// A signal stops a process: its parent is told.
    pub fn stopped(&mut self, pid: Pid, signal: Signal) {
        let parent = self.table.stop(pid, signal);
        self.woken.insert(parent);
    }
}

/// Which pipe a handle leads to, and which of its ends it is.
pub(crate) fn end_of(handle: Handle) -> Option<(u32, Direction)> {
    let place = handle.0.checked_sub(FIRST_END)?;
    let direction = if place % 2 == 0 { Direction::Read } else { Direction::Write };
    Some((place / 2, direction))
}
