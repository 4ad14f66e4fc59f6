//! Who waits for what: in a system call, or at an address; and who can go on.

use brant_engine::{Store, Thread};
use brant_kernel::Parked;

use super::turns::Sets;
use super::{Spawned, Threads};
use crate::system::{System, Waited};

/// Why a thread does not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocked {
    /// It can.
    No,
    /// It stands in a system call.
    InCall,
    /// It waits at an address, until it is woken or, at the latest, until this time on the guest's
    /// monotonic clock.
    AtAddress {
        /// In nanoseconds; none for ever.
        deadline_ns: Option<u64>,
    },
}

impl Blocked {
    /// What keeps a thread that has stopped with [`brant_engine::Stop::Blocked`].
    pub fn of(thread: &Thread, store: &mut Store, before: Blocked) -> Blocked {
        let Some(wait) = thread.wait() else { return Blocked::InCall };
        match before {
            // It looked in vain whether it was woken: its time goes on.
            Blocked::AtAddress { .. } => before,
            _ => {
                let system = store.data_mut::<System>();
                let deadline_ns = wait.timeout_ns.map(|timeout_ns| system.deadline(timeout_ns));
                Blocked::AtAddress { deadline_ns }
            }
        }
    }

    /// When it ends at the latest, if that is known here.
    pub fn deadline_ns(self) -> Option<u64> {
        match self {
            Blocked::AtAddress { deadline_ns } => deadline_ns,
            Blocked::No | Blocked::InCall => None,
        }
    }
}

/// What the first thread is for the others: it takes its turns elsewhere.
pub(crate) struct First<'a> {
    pub store: &'a mut Store,
    pub thread: &'a mut Thread,
    pub blocked: &'a mut Blocked,
}

impl First<'_> {
    fn look(&mut self, now_ns: u64, calls_may_go_on: bool) {
        look(self.thread, self.store, self.blocked, now_ns, calls_may_go_on);
    }
}

/// Looks whether a thread that waits can go on.
fn look(
    thread: &mut Thread, store: &Store, blocked: &mut Blocked, now_ns: u64, calls_may_go_on: bool,
) {
    match *blocked {
        Blocked::No => {}
        Blocked::InCall if calls_may_go_on => *blocked = Blocked::No,
        Blocked::InCall => {}
        Blocked::AtAddress { deadline_ns } => {
            if deadline_ns.is_some_and(|deadline_ns| deadline_ns <= now_ns) {
                thread.time_out(store);
            }
            if thread.wait().is_none_or(|wait| wait.end.is_some()) {
                *blocked = Blocked::No;
            }
        }
    }
}

/// So many rounds of threads that run may pass, within a quantum, before those who wait in calls are
/// looked at: to ask the host takes longer than a short turn.
const ROUNDS_UNSEEN: u32 = 32;

impl Threads {
    /// Looks who can go on of those who wait, and waits in the host if nobody can run. A new round
    /// begins. Gives None if nobody can and nothing will ever happen: all threads wait for each
    /// other.
    pub fn wake(&mut self, mut first: First<'_>) -> Option<Waited> {
        self.begin();
        if self.list.is_empty() && *first.blocked == Blocked::InCall {
            // A program with one thread, as most are.
            self.set_ticker(None);
            *first.blocked = Blocked::No;
            return Some(first.store.data_mut::<System>().wait());
        }
        self.look_at_woken(&mut first);
        let in_call = *first.blocked == Blocked::InCall || !self.sets.in_call.is_empty();
        let is_timed = first.blocked.deadline_ns().is_some() || !self.sets.timed.is_empty();
        let can_run = *first.blocked == Blocked::No || !self.sets.ready.is_empty();
        if !in_call && !is_timed {
            return can_run.then_some(Waited::Ready);
        }
        if can_run && !self.is_time_to_look() {
            return Some(Waited::Ready);
        }
        self.look(&mut first, is_timed, false);
        let can_run = *first.blocked == Blocked::No || !self.sets.ready.is_empty();
        if can_run && !in_call {
            return Some(Waited::Ready);
        }
        let mut parked: Vec<Parked> = Vec::new();
        parked.extend(first.store.data::<System>().parked().cloned());
        for id in &self.sets.in_call {
            parked.extend(self.list[id].store.data::<System>().parked().cloned());
        }
        if in_call && parked.is_empty() {
            // Whatever its call waits for, the host knows nothing of it.
            self.look(&mut first, is_timed, true);
            return Some(Waited::Ready);
        }
        let timed = self.sets.timed.iter().filter_map(|id| self.list[id].blocked.deadline_ns());
        let deadline_ns = first.blocked.deadline_ns().into_iter().chain(timed).min();
        // Who can run does not wait for who cannot: then this is only a look.
        let deadline_ns = if can_run { Some(0) } else { deadline_ns };
        let waited = first.store.data_mut::<System>().wait_for(&parked, deadline_ns);
        self.look(&mut first, is_timed, true);
        Some(waited)
    }

    /// Whether those who wait in calls or for a time have to be looked at, although others can run:
    /// after some rounds, and after each quantum; always, where all has to be repeatable.
    fn is_time_to_look(&mut self) -> bool {
        let Some(ticker) = &self.ticker else { return true };
        let (rounds, ticks) = (self.looked.0 + 1, ticker.ticks());
        let is_time = rounds > ROUNDS_UNSEEN || ticks != self.looked.1;
        self.looked = (if is_time { 0 } else { rounds }, ticks);
        is_time
    }

    /// Looks at those who were woken at an address.
    fn look_at_woken(&mut self, first: &mut First<'_>) {
        let mut woken = std::mem::take(&mut self.woken);
        self.births.take_woken(&mut woken);
        if std::mem::take(&mut self.are_unknown) {
            woken.extend(self.list.keys());
        }
        first.look(0, false);
        for id in woken.drain(..) {
            self.look_at(id, 0, false);
        }
        self.woken = woken;
    }

    /// Looks at those who wait in calls or for a time; at the clock only if somebody has a deadline,
    /// because to read a virtual clock moves it.
    fn look(&mut self, first: &mut First<'_>, is_timed: bool, calls_may_go_on: bool) {
        let now_ns = match is_timed {
            true => first.store.data_mut::<System>().deadline(0),
            false => 0,
        };
        self.look_at_woken(first);
        first.look(now_ns, calls_may_go_on);
        let Sets { in_call, timed, .. } = &self.sets;
        let calls = in_call.iter().filter(|_| calls_may_go_on);
        for id in calls.chain(timed).copied().collect::<Vec<_>>() {
            self.look_at(id, now_ns, calls_may_go_on);
        }
    }

    fn look_at(&mut self, id: u32, now_ns: u64, calls_may_go_on: bool) {
        let Some(spawned) = self.list.get_mut(&id) else { return };
        let Spawned { thread, store, blocked, .. } = &mut **spawned;
        look(thread, store, blocked, now_ns, calls_may_go_on);
        if *blocked == Blocked::No {
            self.sets.put(id, Blocked::No);
        }
    }
}
