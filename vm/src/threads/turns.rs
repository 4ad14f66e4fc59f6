//! Turns: one thread after the other, each for its quantum or until it waits.
//!
//! Round robin: a round gives each thread that can run one turn, in the order in which they were
//! started, the first thread of the program among them. So a thread waits for its next turn at most
//! one quantum for each other thread, whatever they do.
//! Between two rounds whoever waits is looked at; if nobody can run, the process waits in the host
//! for the first of all calls and deadlines.

use brant_engine::{Interrupt, Stop, Store, Thread, Trap, TrapReport};
use brant_kernel::Parked;

use super::Spawned;
use super::ticker::Ticker;
use crate::Error;
use crate::builder::Recipe;
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

/// How a turn came to an end.
pub(crate) enum Turn {
    /// Nothing has happened that concerns the process.
    Over,
    /// The program ends with this code.
    Exit(i32),
    /// It ends with a trap.
    Trap(Box<TrapReport>),
    /// It ends for a reason of the host.
    Failed(Error),
    /// The fuel is used up.
    OutOfFuel,
}

/// The threads of a process besides its first one.
pub(crate) struct Threads {
    recipe: Recipe,
    list: Vec<Spawned>,
    ticker: Option<Ticker>,
    /// Who has the next turn of the round at hand.
    next: usize,
}

impl Blocked {
    /// What keeps a thread that has stopped with [`Stop::Blocked`].
    pub fn of(thread: &Thread, system: &mut System, before: Blocked) -> Blocked {
        let Some(wait) = thread.wait() else { return Blocked::InCall };
        match before {
            // It looked in vain whether it was woken: its time goes on.
            Blocked::AtAddress { .. } => before,
            _ => {
                let deadline_ns = wait.timeout_ns.map(|timeout_ns| system.deadline(timeout_ns));
                Blocked::AtAddress { deadline_ns }
            }
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
            if thread.wait().is_none_or(|wait| wait.is_over) {
                *blocked = Blocked::No;
            }
        }
    }
}

impl Threads {
    pub fn new(recipe: Recipe) -> Threads {
        Threads { recipe, list: Vec::new(), ticker: None, next: 0 }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Their stores.
    pub fn stores(&mut self) -> impl Iterator<Item = &mut Store> {
        self.list.iter_mut().map(|spawned| &mut spawned.store)
    }

    /// Makes the threads that the program wants.
    ///
    /// # Errors
    /// One of them cannot be had after all.
    pub fn admit(&mut self, first: &Store) -> Result<(), Error> {
        while let Some((id, argument)) = first.data::<System>().wanted.birth() {
            self.list.push(Spawned::new(&self.recipe, first, id, argument)?);
        }
        if self.list.is_empty() {
            self.ticker = None;
        } else if self.ticker.is_none() {
            self.ticker = Some(Ticker::start()?);
        }
        Ok(())
    }

    /// Has the turn of whoever `interrupt` stops end when its quantum is over.
    pub fn begin_turn(&self, interrupt: Interrupt) {
        if let Some(ticker) = &self.ticker {
            ticker.turn_of(Some(interrupt));
        }
    }

    /// Has nobody's turn end.
    pub fn end_turn(&self) {
        if let Some(ticker) = &self.ticker {
            ticker.turn_of(None);
        }
    }

    /// Gives the next thread that can run a turn. None if the round is over.
    pub fn turn(&mut self, first: &mut Store) -> Option<Turn> {
        while let Some(spawned) = self.list.get_mut(self.next) {
            if spawned.blocked != Blocked::No {
                self.next += 1;
                continue;
            }
            // There is one tank of fuel for all.
            spawned.store.add_fuel(first.take_fuel());
            if let Some(ticker) = &self.ticker {
                ticker.turn_of(Some(spawned.store.interrupt_handle()));
            }
            let stop = spawned.thread.run(&mut spawned.store);
            if let Some(ticker) = &self.ticker {
                ticker.turn_of(None);
            }
            first.add_fuel(spawned.store.take_fuel());
            return Some(self.stopped(stop));
        }
        self.next = 0;
        None
    }

    /// What comes of the stop of the thread whose turn it was.
    fn stopped(&mut self, stop: Stop) -> Turn {
        let spawned = &mut self.list[self.next];
        match stop {
            Stop::Done(_) => match spawned.next.pop_front() {
                Some((func, arguments)) => {
                    spawned.thread = Thread::new(&mut spawned.store, func, &arguments);
                    return Turn::Over;
                }
                None => {
                    spawned.store.data::<System>().wanted.ended();
                    self.list.remove(self.next);
                    return Turn::Over;
                }
            },
            Stop::Trap(report) => return Turn::Trap(report),
            Stop::Exit(code) => return Turn::Exit(code),
            Stop::Failed(error) => return Turn::Failed(crate::process::failed(error)),
            Stop::OutOfFuel => return Turn::OutOfFuel,
            Stop::Interrupted => {}
            Stop::Blocked => {
                let system = spawned.store.data_mut::<System>();
                spawned.blocked = Blocked::of(&spawned.thread, system, spawned.blocked);
            }
        }
        self.next += 1;
        Turn::Over
    }

    /// Looks who can go on of those who wait, and waits in the host if nobody can run. Gives None
    /// if nobody can and nothing will ever happen: all threads wait for each other.
    pub fn wake(&mut self, mut first: First<'_>) -> Option<Waited> {
        let mut all = vec![*first.blocked];
        all.extend(self.list.iter().map(|spawned| spawned.blocked));
        if !all.iter().any(|blocked| *blocked != Blocked::No) {
            return Some(Waited::Ready);
        }
        let mut parked: Vec<Parked> = Vec::new();
        parked.extend(first.store.data::<System>().parked().cloned());
        for spawned in &self.list {
            parked.extend(spawned.store.data::<System>().parked().cloned());
        }
        let in_call = all.contains(&Blocked::InCall);
        self.look_at_all(&mut first, false);
        let can_run = *first.blocked == Blocked::No
            || self.list.iter().any(|spawned| spawned.blocked == Blocked::No);
        let deadlines = all.iter().filter_map(|blocked| match blocked {
            Blocked::AtAddress { deadline_ns } => *deadline_ns,
            _ => None,
        });
        let deadline_ns = deadlines.min();
        if !can_run && !in_call && deadline_ns.is_none() {
            return None;
        }
        if can_run && !in_call {
            return Some(Waited::Ready);
        }
        // Who can run does not wait for who cannot: then this is only a look.
        let deadline_ns = if can_run { Some(0) } else { deadline_ns };
        if in_call && parked.is_empty() {
            // Whatever its call waits for, the host knows nothing of it.
            self.look_at_all(&mut first, true);
            return Some(Waited::Ready);
        }
        let system = first.store.data_mut::<System>();
        let waited = system.wait_for(&parked, deadline_ns);
        self.look_at_all(&mut first, true);
        Some(waited)
    }

    fn look_at_all(&mut self, first: &mut First<'_>, calls_may_go_on: bool) {
        let now_ns = first.store.data_mut::<System>().deadline(0);
        first.look(now_ns, calls_may_go_on);
        for Spawned { thread, store, blocked, .. } in &mut self.list {
            look(thread, store, blocked, now_ns, calls_may_go_on);
        }
    }

    /// Ends all threads where they stand, because each waits for another one; what each of them
    /// waits for is in the reports.
    pub fn deadlock(&mut self) -> Vec<(i32, TrapReport)> {
        let mut reports = Vec::new();
        for mut spawned in self.list.drain(..) {
            if let Stop::Trap(report) = spawned.thread.trap(&mut spawned.store, Trap::Deadlock) {
                reports.push((spawned.id, *report));
            }
        }
        self.ticker = None;
        reports
    }
}
