//! Who waits for what: in a system call, or at an address; and who can go on.

use brant_engine::{Store, Thread};
use brant_kernel::Parked;

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

impl Threads {
    /// Looks who can go on of those who wait, and waits in the host if nobody can run. A new round
    /// begins. Gives None if nobody can and nothing will ever happen: all threads wait for each
    /// other.
    pub fn wake(&mut self, mut first: First<'_>) -> Option<Waited> {
        self.begin();
        if self.list.is_empty() && *first.blocked == Blocked::InCall {
            // A program with one thread, as most are.
            self.ticker = None;
            *first.blocked = Blocked::No;
            return Some(first.store.data_mut::<System>().wait());
        }
        let others = self.list.iter().map(|spawned| spawned.blocked);
        let reasons = std::iter::once(*first.blocked).chain(others);
        if reasons.clone().all(|blocked| blocked == Blocked::No) {
            return Some(Waited::Ready);
        }
        let in_call = reasons.clone().any(|blocked| blocked == Blocked::InCall);
        let deadline_ns = reasons.filter_map(Blocked::deadline_ns).min();
        let is_timed = deadline_ns.is_some();
        self.look_at_all(&mut first, is_timed, false);
        let can_run = self.can_run(&first);
        if !can_run && !in_call && !is_timed {
            return None;
        }
        if can_run && !in_call {
            return Some(Waited::Ready);
        }
        let mut parked: Vec<Parked> = Vec::new();
        parked.extend(first.store.data::<System>().parked().cloned());
        for spawned in &self.list {
            parked.extend(spawned.store.data::<System>().parked().cloned());
        }
        if in_call && parked.is_empty() {
            // Whatever its call waits for, the host knows nothing of it.
            self.look_at_all(&mut first, is_timed, true);
            return Some(Waited::Ready);
        }
        // Who can run does not wait for who cannot: then this is only a look.
        let deadline_ns = if can_run { Some(0) } else { deadline_ns };
        let waited = first.store.data_mut::<System>().wait_for(&parked, deadline_ns);
        self.look_at_all(&mut first, is_timed, true);
        Some(waited)
    }

    fn can_run(&self, first: &First<'_>) -> bool {
        *first.blocked == Blocked::No
            || self.list.iter().any(|spawned| spawned.blocked == Blocked::No)
    }

    /// Looks at everybody; at the clock only if somebody has a deadline, because to read a virtual
    /// clock moves it.
    fn look_at_all(&mut self, first: &mut First<'_>, is_timed: bool, calls_may_go_on: bool) {
        let now_ns = match is_timed {
            true => first.store.data_mut::<System>().deadline(0),
            false => 0,
        };
        first.look(now_ns, calls_may_go_on);
        for Spawned { thread, store, blocked, .. } in &mut self.list {
            look(thread, store, blocked, now_ns, calls_may_go_on);
        }
    }
}
