//! Turns: one thread after the other, each for its quantum or until it waits.
//!
//! Round robin: a round gives each thread that can run one turn, in the order in which they were
//! started, the first thread of the program first. So a thread waits for its next turn at most one
//! quantum for each other thread, whatever they do.
//! Between two rounds whoever waits is looked at; if nobody can run, the process waits in the host
//! for the first of all calls and deadlines.
//!
//! A turn that the process was stopped in goes on where it was when the process goes on.

use std::collections::{BTreeMap, BTreeSet};
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
    /// By number.
    pub(super) list: BTreeMap<u32, Box<Spawned>>,
    /// Who of the list can run, and who has to be looked at. Who is in none of these waits to be
    /// woken.
    pub(super) sets: Sets,
    /// Those that were woken, while they are looked at.
    pub(super) woken: Vec<u32>,
    /// Whether everybody is to be looked at who waits: somebody else has run them.
    pub(super) are_unknown: bool,
    /// Rounds since those who wait in calls were looked at, and the quantum that this was in.
    pub(super) looked: (u32, u32),
    /// Outlives the last of them for a while: the program may start the next one soon.
    pub(super) ticker: Option<Ticker>,
    /// On which threads of the host they run.
    pub policy: ThreadPolicy,
    /// Who has the turn: the first one in the list from this number on; 0 is the first thread.
    pub(super) at: u32,
    /// How many sites are left of the turn, where turns are counted; none before it begins.
    pub(super) sites_left: Option<u64>,
}

/// Threads by what they do, so that a round costs nothing for those who wait.
#[derive(Default)]
pub(super) struct Sets {
    pub ready: BTreeSet<u32>,
    pub in_call: BTreeSet<u32>,
    pub timed: BTreeSet<u32>,
}

impl Sets {
    /// Takes note of what a thread does from now on.
    pub fn put(&mut self, id: u32, blocked: Blocked) {
        self.remove(id);
        match blocked {
            Blocked::No => self.ready.insert(id),
            Blocked::InCall => self.in_call.insert(id),
            Blocked::AtAddress { deadline_ns: Some(_) } => self.timed.insert(id),
            Blocked::AtAddress { deadline_ns: None } => false,
        };
    }

    /// Takes note that a thread does nothing any more.
    pub fn remove(&mut self, id: u32) {
        let _ = self.ready.remove(&id) || self.in_call.remove(&id) || self.timed.remove(&id);
    }
}

impl Threads {
    pub fn new(births: Arc<Births>) -> Threads {
        Threads {
            births,
            list: BTreeMap::new(),
            sets: Sets::default(),
            woken: Vec::new(),
            are_unknown: false,
            looked: (0, 0),
            ticker: None,
            policy: ThreadPolicy::User,
            at: 0,
            sites_left: None,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Those that the program has started, with their stores.
    pub fn each(&mut self) -> impl Iterator<Item = (&mut Thread, &mut Store)> {
        self.list.values_mut().map(|spawned| {
            let Spawned { thread, store, .. } = &mut **spawned;
            (thread, store)
        })
    }

    /// Takes a thread in.
    pub(super) fn take_in(&mut self, thread: Box<Spawned>) {
        if let Some(ticker) = &self.ticker {
            ticker.admit(thread.id, thread.store.interrupt_handle());
        }
        self.sets.put(thread.id, thread.blocked);
        self.list.insert(thread.id, thread);
    }

    /// Takes in the threads that were born.
    ///
    /// # Errors
    /// The system gives no thread that ends turns.
    pub fn admit(&mut self) -> Result<(), Error> {
        for thread in self.births.take() {
            self.take_in(Box::new(thread));
        }
        if self.are_on_workers() {
            self.set_ticker(None);
        } else if !self.list.is_empty() && self.ticker.is_none() && !self.births.count_turns() {
            let ticker = Ticker::start()?;
            for (&id, thread) in &self.list {
                ticker.admit(id, thread.store.interrupt_handle());
            }
            self.set_ticker(Some(ticker));
        }
        Ok(())
    }

    /// Has a clock end turns from now on, or not.
    pub(super) fn set_ticker(&mut self, ticker: Option<Ticker>) {
        self.births.are_clocked(ticker.is_some());
        self.ticker = ticker;
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
        let mut threads = std::mem::take(&mut self.list);
        threads.insert(first.id, Box::new(first));
        self.sets = Sets::default();
        let (mut threads, end) = Pool::run(&self.births, self.policy, threads, system, stopped);
        let first = threads.remove(&0).map(|thread| *thread);
        threads.into_values().for_each(|thread| self.take_in(thread));
        self.are_unknown = true;
        self.begin();
        (first, end)
    }

    /// Begins with the first thread, which is a new one.
    pub fn begin(&mut self) {
        (self.at, self.sites_left) = (0, None);
    }

    /// Who runs next.
    pub fn next(&mut self, first: Blocked) -> Next {
        if self.at == 0 {
            if first == Blocked::No {
                return Next::First;
            }
            self.pass_on();
        }
        match self.sets.ready.range(self.at..).next() {
            Some(&id) => {
                if id != self.at {
                    (self.at, self.sites_left) = (id, None);
                }
                Next::Spawned
            }
            None => Next::Wake,
        }
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
            ticker.turn_of_first(store);
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
        let Some(spawned) = self.list.get_mut(&self.at) else { return Turn::Over };
        // There is one tank of fuel for all.
        spawned.store.add_fuel(first.take_fuel());
        stop.begin(&mut spawned.store, self.sites_left);
        if let Some(ticker) = &self.ticker {
            ticker.turn_of(Some(self.at));
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
        let Some(spawned) = self.list.get_mut(&self.at) else { return Turn::Over };
        match stop {
            Stop::Done(_) => {
                if !spawned.go_on() {
                    self.end_current();
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
                self.sets.put(self.at, spawned.blocked);
                self.pass_on();
                Turn::Over
            }
        }
    }

    /// The thread that has the turn is done.
    fn end_current(&mut self) {
        self.births.ended();
        self.list.remove(&self.at);
        self.sets.remove(self.at);
        if let Some(ticker) = &self.ticker {
            ticker.dismiss(self.at);
        }
        self.sites_left = None;
    }

    /// Ends all threads where they stand, because each waits for another one; what each of them
    /// waits for is in the reports.
    pub fn deadlock(&mut self) -> Vec<(i32, TrapReport)> {
        let mut reports = Vec::new();
        self.sets = Sets::default();
        for mut spawned in std::mem::take(&mut self.list).into_values() {
            if let Stop::Trap(report) = spawned.thread.trap(&mut spawned.store, Trap::Deadlock) {
                reports.push((spawned.id.cast_signed(), *report));
            }
        }
        self.set_ticker(None);
        reports
    }
}

impl Drop for Threads {
    /// Threads that nobody has taken in keep the list that they are on.
    fn drop(&mut self) {
        self.births.take();
    }
}
