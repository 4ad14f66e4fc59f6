//! Turns: one thread after the other, each for its quantum or until it waits.
//!
//! Round robin: a round gives each thread that can run one turn, in the order in which they were
//! started, the first thread of the program first. So a thread waits for its next turn at most one
//! quantum for each other thread, whatever they do.
//! Between two rounds whoever waits is looked at; if nobody can run, the process waits in the host
//! for the first of all calls and deadlines.
//!
//! A turn that the process was stopped in goes on where it was when the process goes on.

use std::sync::Arc;

use brant_engine::{Stop, Store, Thread, Trap, TrapReport};

use super::pool::{End, Pool};
use super::sites::{Counted, QUANTUM_SITES, SiteStop};
use super::ticker::Ticker;
use super::{Births, Blocked, Spawned, ThreadPolicy};
use crate::system::System;
use crate::{Error, Stopped};

/// How a turn came to an end.
pub(crate) enum Turn {
    /// Nothing has happened that concerns the process.
    Over,
    /// Somebody has interrupted it, perhaps only because its time was over.
    Interrupted,
    /// The site is reached at which the process stops.
    AtSite,
    /// The program ends with this code.
    Exit(i32),
    /// It ends with a trap.
    Trap(Box<TrapReport>),
    /// It ends for a reason of the host.
    Failed(Error),
    /// The fuel is used up.
    OutOfFuel,
}

/// Who runs next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// The first thread.
    First,
    /// One that the program has started.
    Spawned,
    /// Nobody before those who wait are looked at: the round is over.
    Wake,
}

/// The threads of a process besides its first one.
pub(crate) struct Threads {
    pub(super) births: Arc<Births>,
    /// By ascending number.
    pub(super) list: Vec<Spawned>,
    /// Outlives the last of them for a while: the program may start the next one soon.
    pub(super) ticker: Option<Ticker>,
    /// On which threads of the host they run.
    pub policy: ThreadPolicy,
    /// Who has the turn: 0 is the first thread, then come those of the list.
    pub(super) at: usize,
    /// How many sites are left of the turn, where turns are counted; none before it begins.
    pub(super) sites_left: Option<u64>,
}

impl Threads {
    pub fn new(births: Arc<Births>) -> Threads {
        let policy = ThreadPolicy::User;
        Threads { births, list: Vec::new(), ticker: None, policy, at: 0, sites_left: None }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Those that the program has started, with their stores.
    pub fn each(&mut self) -> impl Iterator<Item = (&mut Thread, &mut Store)> {
        self.list.iter_mut().map(|spawned| (&mut spawned.thread, &mut spawned.store))
    }

    /// Takes in the threads that were born.
    ///
    /// # Errors
    /// The system gives no thread that ends turns.
    pub fn admit(&mut self) -> Result<(), Error> {
        self.list.extend(self.births.take());
        if self.are_on_workers() {
            self.ticker = None;
        } else if !self.list.is_empty() && self.ticker.is_none() && !self.births.count_turns() {
            self.ticker = Some(Ticker::start()?);
        }
        Ok(())
    }

    /// Whether they run on workers, as soon as there is one besides the first.
    pub fn are_on_workers(&self) -> bool {
        self.policy != ThreadPolicy::User && !self.list.is_empty()
    }

    /// Runs all threads on workers until something concerns the process; `stopped` says whether that
    /// is so. Gives the first one back, if it is not lost.
    pub fn run_on_workers(
        &mut self, first: Spawned, system: &mut System,
        stopped: &mut dyn FnMut() -> Option<Stopped>,
    ) -> (Option<Spawned>, End) {
        let mut threads = vec![first];
        threads.append(&mut self.list);
        let (threads, end) = Pool::run(&self.births, self.policy, threads, system, stopped);
        let mut threads = threads.into_iter().peekable();
        let first = threads.next_if(|thread| thread.id == 0);
        self.list = threads.collect();
        self.begin();
        (first, end)
    }

    /// Begins with the first thread, which is a new one.
    pub fn begin(&mut self) {
        (self.at, self.sites_left) = (0, None);
    }

    /// Who runs next.
    pub fn next(&mut self, first: Blocked) -> Next {
        while self.at <= self.list.len() {
            match self.at.checked_sub(1) {
                None if first == Blocked::No => return Next::First,
                Some(number) if self.list[number].blocked == Blocked::No => return Next::Spawned,
                _ => self.pass_on(),
            }
        }
        Next::Wake
    }

    /// The turn goes to the next one.
    pub fn pass_on(&mut self) {
        (self.at, self.sites_left) = (self.at + 1, None);
    }

    /// A turn was interrupted for no reason of the process's. Where turns are counted it goes on:
    /// nothing but the count ends it.
    pub fn interrupted(&mut self) {
        if !self.births.count_turns() {
            self.pass_on();
        }
    }

    /// Begins the turn of the first thread, or goes on with it.
    pub fn begin_turn(&mut self, store: &mut Store, stop: &mut SiteStop) {
        if self.births.count_turns() {
            self.sites_left.get_or_insert(QUANTUM_SITES);
        }
        stop.begin(store, self.sites_left);
        if let Some(ticker) = &self.ticker {
            ticker.turn_of(Some(store.interrupt_handle()));
        }
    }

    /// Ends the turn of the first thread, which may not be over yet.
    pub fn end_turn(&mut self, store: &mut Store, stop: &mut SiteStop) -> Counted {
        if let Some(ticker) = &self.ticker {
            ticker.turn_of(None);
        }
        stop.end(store, &mut self.sites_left)
    }

    /// Runs the thread that has the turn.
    pub fn turn(&mut self, first: &mut Store, stop: &mut SiteStop) -> Turn {
        if self.births.count_turns() {
            self.sites_left.get_or_insert(QUANTUM_SITES);
        }
        let spawned = &mut self.list[self.at - 1];
        // There is one tank of fuel for all.
        spawned.store.add_fuel(first.take_fuel());
        stop.begin(&mut spawned.store, self.sites_left);
        if let Some(ticker) = &self.ticker {
            ticker.turn_of(Some(spawned.store.interrupt_handle()));
        }
        let stopped = spawned.thread.run(&mut spawned.store);
        if let Some(ticker) = &self.ticker {
            ticker.turn_of(None);
        }
        let counted = stop.end(&mut spawned.store, &mut self.sites_left);
        first.add_fuel(spawned.store.take_fuel());
        self.stopped(stopped, counted)
    }

    /// What comes of the stop of the thread whose turn it was.
    fn stopped(&mut self, stop: Stop, counted: Counted) -> Turn {
        let spawned = &mut self.list[self.at - 1];
        match stop {
            Stop::Done(_) => {
                if !spawned.go_on() {
                    self.births.ended();
                    self.list.remove(self.at - 1);
                    self.sites_left = None;
                }
                Turn::Over
            }
            Stop::Trap(report) => Turn::Trap(report),
            Stop::Exit(code) => Turn::Exit(code),
            Stop::Failed(error) => Turn::Failed(crate::process::failed(error)),
            Stop::OutOfFuel => Turn::OutOfFuel,
            Stop::Interrupted => {
                if counted.is_over {
                    self.pass_on();
                }
                match (counted.is_reached, counted.is_over) {
                    (true, _) => Turn::AtSite,
                    (false, true) => Turn::Over,
                    (false, false) => Turn::Interrupted,
                }
            }
            Stop::Blocked => {
                spawned.blocked = Blocked::of(&spawned.thread, &mut spawned.store, spawned.blocked);
                self.pass_on();
                Turn::Over
            }
        }
    }

    /// Ends all threads where they stand, because each waits for another one; what each of them
    /// waits for is in the reports.
    pub fn deadlock(&mut self) -> Vec<(i32, TrapReport)> {
        let mut reports = Vec::new();
        for mut spawned in self.list.drain(..) {
            if let Stop::Trap(report) = spawned.thread.trap(&mut spawned.store, Trap::Deadlock) {
                reports.push((spawned.id.cast_signed(), *report));
            }
        }
        self.ticker = None;
        reports
    }
}

impl Drop for Threads {
    /// Threads that nobody has taken in keep the list that they are on.
    fn drop(&mut self) {
        self.births.take();
    }
}
