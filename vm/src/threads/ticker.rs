//! Ends turns: the thread that runs now is interrupted when its quantum is over.
//!
//! There is none before a program has more than one thread, and none any more once it has one again
//! that waits in a call.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use brant_engine::{Interrupt, Store};

use crate::Error;

/// How long a thread runs while others could: long against the cost of a switch, short against what
/// a person or a peer notices.
const QUANTUM: Duration = Duration::from_millis(2);

/// A clock.
pub(crate) struct Ticker {
    turns: Arc<Turns>,
    /// Whether it knows how the first thread is interrupted.
    knows_first: Cell<bool>,
    /// Dropped first, which ends the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Who takes turns: a change of turn is one store.
#[derive(Default)]
struct Turns {
    /// The number of the thread whose turn it is, plus one; 0 for nobody.
    running: AtomicU32,
    /// How many quanta are over.
    ticks: AtomicU32,
    /// How each thread is interrupted.
    interrupts: Mutex<HashMap<u32, Interrupt>>,
}

impl Turns {
    fn tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
        // Whoever passes the turn on just now is interrupted in vain, in a turn to come.
        if let Some(id) = self.running.load(Ordering::Acquire).checked_sub(1)
            && let Some(interrupt) = self.interrupts().get(&id)
        {
            interrupt.interrupt();
        }
    }

    fn interrupts(&self) -> MutexGuard<'_, HashMap<u32, Interrupt>> {
        self.interrupts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticker {
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> Result<Ticker, Error> {
        let turns: Arc<Turns> = Arc::default();
        let theirs = turns.clone();
        let mut ticker = Ticker::calling(move || theirs.tick())?;
        ticker.turns = turns;
        Ok(ticker)
    }

    /// A clock that calls `tick` whenever a quantum is over.
    ///
    /// # Errors
    /// As [`Ticker::start`].
    pub fn calling(tick: impl Fn() + Send + 'static) -> Result<Ticker, Error> {
        let (alive, gone) = channel::<()>();
        let ticks = move || {
            while gone.recv_timeout(QUANTUM) == Err(RecvTimeoutError::Timeout) {
                tick();
            }
        };
        let builder = thread::Builder::new().name("brant-ticker".to_owned());
        let thread = builder.spawn(ticks).map_err(Error::host)?;
        let (turns, knows_first) = (Arc::default(), Cell::new(false));
        Ok(Ticker { turns, knows_first, alive: Some(alive), thread: Some(thread) })
    }

    /// Says how the thread of this number is interrupted.
    pub fn admit(&self, id: u32, interrupt: Interrupt) {
        self.turns.interrupts().insert(id, interrupt);
    }

    /// The thread of this number takes no turns any more.
    pub fn dismiss(&self, id: u32) {
        self.turns.interrupts().remove(&id);
    }

    /// Says whose turn it is; nobody's while the process waits.
    pub fn turn_of(&self, id: Option<u32>) {
        self.turns.running.store(id.map_or(0, |id| id + 1), Ordering::Release);
    }

    /// Says that it is the first thread's turn, whose store this is.
    pub fn turn_of_first(&self, store: &Store) {
        if !self.knows_first.replace(true) {
            self.admit(0, store.interrupt_handle());
        }
        self.turn_of(Some(0));
    }

    /// Says that whoever runs in this store has the turn, where threads have no numbers.
    pub fn turn_of_store(&self, store: &Store) {
        self.admit(0, store.interrupt_handle());
        self.turn_of(Some(0));
    }

    /// How many quanta are over.
    pub fn ticks(&self) -> u32 {
        self.turns.ticks.load(Ordering::Relaxed)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // The thread runs nothing that could panic.
            let _ = thread.join();
        }
    }
}
