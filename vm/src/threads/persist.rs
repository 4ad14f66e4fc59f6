//! Threads as they stand, for a snapshot, and threads that go on from one.

use std::collections::VecDeque;

use brant_engine::persist::PersistError;
use brant_engine::{Store, Thread};
use brant_kernel::RunState;
use brant_mobility::{RestoreError, Snapshot, StandingThread, StandingThreads, WaitImage};

use super::sites::QUANTUM_SITES;
use super::{Blocked, Spawned, Threads, start_of};
use crate::Error;
use crate::process::Current;
use crate::system::System;

impl Threads {
    /// The threads as they stand, those that have ended left out; `first` is the first one. None if
    /// there is nothing to say: the program has never started one, and nobody waits at an address.
    pub fn standing(&mut self, first: Option<&Current>) -> Option<StandingThreads<'_>> {
        let last_id = self.births.last_id();
        let first_waits = first.is_some_and(|current| current.thread.wait().is_some());
        if last_id == 0 && !first_waits {
            return None;
        }
        let current = self.list.range(self.at.max(1)..).next().filter(|_| self.at > 0);
        let current = current.filter(|(_, spawned)| !spawned.thread.has_ended());
        let turn = current.map(|(id, _)| *id);
        let standing = self.list.values_mut().filter(|spawned| !spawned.thread.has_ended());
        Some(StandingThreads {
            list: standing.map(|spawned| spawned.standing()).collect(),
            last_id,
            turn: turn.unwrap_or(0),
            sites_left: self.sites_left,
            first_deadline_ns: first.and_then(|current| current.blocked.deadline_ns()),
        })
    }

    /// Goes on from the threads of a snapshot. The first one and its store have been restored.
    ///
    /// # Errors
    /// What the snapshot says does not fit, or is not allowed here.
    pub fn go_on_from(
        &mut self, snapshot: &Snapshot, store: &mut Store, mut first: Option<&mut Current>,
    ) -> Result<(), Error> {
        let Some(images) = &snapshot.execution.spawned else { return Ok(()) };
        self.births.go_on_from(images)?;
        for number in 0..images.list.len() {
            let spawned = self.restored(snapshot, store, number)?;
            self.take_in(Box::new(spawned));
        }
        // Waits that are over first, then the others in the order in which they came.
        let ids = || std::iter::once(0).chain(images.list.iter().map(|image| image.id));
        let is_over = |id: &u32| images.wait_of(*id).is_some_and(|wait| wait.end.is_some());
        for id in ids().filter(is_over).chain(images.queue.iter().copied()) {
            let Some(&wait) = images.wait_of(id) else { continue };
            match self.list.get_mut(&id) {
                Some(spawned) => {
                    let Spawned { thread, store, blocked, .. } = &mut **spawned;
                    restore_wait(thread, store, blocked, wait)?;
                    self.sets.put(id, *blocked);
                }
                None => {
                    let current = first.as_mut().ok_or(RestoreError::from(PersistError::Wait))?;
                    restore_wait(&mut current.thread, store, &mut current.blocked, wait)?;
                }
            }
        }
        // Whoever was woken on the way goes on when the round is over, as it would have there.
        self.are_unknown = true;
        self.at = if self.list.contains_key(&images.turn) { images.turn } else { 0 };
        self.sites_left = images.sites_left.map(|left| left.clamp(1, QUANTUM_SITES));
        if !self.births.count_turns() {
            self.sites_left = None;
            // A clock begins anew here: in a process that moves again before a quantum is over the
            // same thread would have the turn for ever.
            if !self.list.is_empty() {
                self.pass_on();
            }
        }
        Ok(())
    }

    /// The thread of a snapshot with this number, in a store of its own.
    fn restored(
        &self, snapshot: &Snapshot, first: &Store, number: usize,
    ) -> Result<Spawned, Error> {
        let wrong = || RestoreError::from(PersistError::Count("threads"));
        let images = snapshot.execution.spawned.as_ref();
        let image = images.and_then(|images| images.list.get(number)).ok_or_else(wrong)?;
        let recipe = self.births.recipe().ok_or_else(wrong)?;
        let mut system = first.data::<System>().of_thread();
        system.set_run_state(RunState::restore(image.parked));
        let (mut store, instance, _) = recipe.instantiate_joined(first, system)?;
        store.on_wake(self.births.alarm(image.id));
        let restored = snapshot.restore_thread(number, &mut store)?;
        let start = match image.argument {
            Some(argument) => Some((start_of(&store, instance)?, argument.cast_signed())),
            None => None,
        };
        Ok(Spawned {
            id: image.id,
            store,
            blocked: Blocked::No,
            thread: restored.thread,
            preparation: VecDeque::from(restored.preparation),
            start,
        })
    }
}

impl Spawned {
    fn standing(&mut self) -> StandingThread<'_> {
        let parked = self.store.data::<System>().run_state().save();
        StandingThread {
            id: self.id,
            store: &mut self.store,
            thread: &mut self.thread,
            preparation: self.preparation.iter().copied().collect(),
            argument: self.start.map(|(_, argument)| argument.cast_unsigned()),
            deadline_ns: self.blocked.deadline_ns(),
            parked,
        }
    }
}

/// Has a thread wait as it waited when it was captured.
fn restore_wait(
    thread: &mut Thread, store: &mut Store, blocked: &mut Blocked, wait: WaitImage,
) -> Result<(), RestoreError> {
    thread.restore_wait(store, wait.end)?;
    *blocked = Blocked::AtAddress { deadline_ns: wait.deadline_ns };
    Ok(())
}
