//! A tree of processes as data, and one that goes on from it.

use std::collections::VecDeque;

use brant_kernel::persist::{KernelState, MemberState, Numbering, Obstacle};
use brant_kernel::processes::{Member, Pid};
use brant_kernel::{Kernel, RunState};
use brant_mobility::{CaptureError, Contents, RestoreError, Snapshot, TreeImage};

use super::{Handler, Relatives};
use crate::process::Current;
use crate::system::System;
use crate::threads::Blocked;
use crate::{Error, Module, Process};

impl Process {
    /// The processes that it has made, and what all of them have in common; none if there is nothing
    /// to say.
    pub(crate) fn tree(&mut self) -> Result<Option<Box<TreeImage>>, Error> {
        let Some(member) = self.system().member().cloned() else { return Ok(None) };
        let mut numbering = Numbering::default();
        let mut state = member.tree.save();
        state.members.push(self.member_state(&mut numbering));
        let mut members = Vec::new();
        if let Some(relatives) = &mut self.relatives {
            // Whoever was woken would be next.
            relatives.wake();
            state.queue = relatives.queue.iter().copied().collect();
            for (&pid, process) in &mut relatives.others {
                state.members.push(process.member_state(&mut numbering));
                members.push((pid, process.capture_member(pid)?));
            }
        }
        let has_others = !(members.is_empty() && state.is_trivial());
        Ok(has_others.then(|| Box::new(TreeImage { state, members })))
    }

    fn member_state(&mut self, numbering: &mut Numbering) -> MemberState {
        let interrupted = self.handler.as_ref().map(|handler| handler.run_state.save());
        let has_to_begin = self.has_to_begin;
        let state = self.system().with_kernel(|kernel| kernel.save_member(numbering));
        MemberState { interrupted, has_to_begin, ..state }
    }

    fn capture_member(&mut self, pid: Pid) -> Result<Snapshot, Error> {
        let resources = self.system().with_kernel(Kernel::save).map_err(|obstacles| {
            CaptureError::Obstacles(obstacles.into_iter().map(|o| of_process(pid, o)).collect())
        })?;
        // Random numbers are the host's, which goes with the first process.
        self.capture(Contents::Compressed, KernelState { chance: None, ..resources })
    }

    /// Has the processes go on that it had made.
    pub(crate) fn restore_tree(&mut self, image: &TreeImage) -> Result<(), Error> {
        let wrong = || RestoreError::Configuration("with processes of its own");
        let mut relatives = Relatives::of(self).ok_or_else(wrong)?;
        let TreeImage { state, members } = image;
        self.has_to_begin = state.members.first().is_some_and(|root| root.has_to_begin);
        let mut known: Vec<Module> =
            self.modules.iter().map(|(_, module)| module.clone()).collect();
        for ((pid, snapshot), state) in members.iter().zip(state.members.iter().skip(1)) {
            let process = relatives.restore(self, (*pid, snapshot, state), &known)?;
            for (_, module) in &process.modules {
                if !known.iter().any(|other| other.hash() == module.hash()) {
                    known.push(module.clone());
                }
            }
            relatives.others.insert(*pid, Box::new(process));
        }
        relatives.tree.settle();
        // Whoever waited says anew what for, and then those run who could.
        let waited = state.members.iter().map(|member| member.pid);
        let waited = waited.filter(|pid| !state.queue.contains(pid));
        let mut ready: VecDeque<_> = state.queue.iter().copied().collect();
        // As with threads: who had its slice when the program was stopped is behind the others, or a
        // program that moves again and again would have nobody else run.
        if !relatives.is_virtual
            && let Some(pid) = ready.pop_front()
        {
            ready.push_back(pid);
        }
        relatives.queue = waited.chain(ready).collect();
        if !relatives.others.is_empty() {
            relatives.tick()?;
        }
        self.relatives = Some(relatives);
        Ok(())
    }

    /// Has it go on in the function that was told of a signal, and then with what that interrupted.
    pub(crate) fn is_handling(&mut self, interrupted: Current, run_state: RunState) {
        self.handler = Some(Box::new(Handler { current: interrupted, run_state }));
    }

    /// What waits for the end of a function that was told of a signal.
    pub(crate) fn told_in(&self) -> Option<RunState> {
        self.handler.as_ref().map(|handler| handler.run_state.clone())
    }
}

impl Relatives {
    fn restore(
        &self, root: &mut Process, (pid, snapshot, state): (Pid, &Snapshot, &MemberState),
        known: &[Module],
    ) -> Result<Process, Error> {
        let builder = Process::restore_with(root.store.engine(), snapshot, known)?;
        let grants = root.system().with_kernel(|kernel| kernel.grants());
        let member = Member { tree: self.tree.clone(), pid };
        let kernel = Kernel::restore_member(grants, member, &snapshot.resources, state);
        let kernel = kernel.map_err(|obstacle| RestoreError::from(of_process(pid, obstacle)))?;
        let (limits, linker) = (root.limits().clone(), root.linker());
        let system = System::of_kernel(kernel, root.system().traces(), &limits);
        let builder = builder.limits(limits).linker(&linker);
        let builder = builder.interrupted(state.interrupted.map(RunState::restore));
        let mut process = builder.build_beside(&root.store, system)?;
        process.has_to_begin = state.has_to_begin;
        // There is one tank of fuel for all, and the first process has it.
        process.store.take_fuel();
        Ok(process)
    }
}

/// A thread that stands, to go on.
pub(crate) fn standing(restored: brant_mobility::RestoredThread) -> Current {
    Current { thread: restored.thread, purpose: restored.purpose, blocked: Blocked::No }
}

/// What stands in the way of another process than the first.
fn of_process(pid: Pid, obstacle: Obstacle) -> Obstacle {
    Obstacle { what: format!("of process {pid}: {}", obstacle.what), ..obstacle }
}
