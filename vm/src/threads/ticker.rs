//! Ends turns: the thread that runs now is interrupted when its quantum is over.
//!
//! There is none before a program has more than one thread, and none any more once it has one again
//! that waits in a call.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use brant_engine::Interrupt;

use crate::Error;

/// How long a thread runs while others could: long against the cost of a switch, short against what
/// a person or a peer notices.
const QUANTUM: Duration = Duration::from_millis(2);

/// A clock.
pub(crate) struct Ticker {
    /// Who is interrupted.
    running: Arc<Mutex<Option<Interrupt>>>,
    /// Dropped first, which ends the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> Result<Ticker, Error> {
        let running: Arc<Mutex<Option<Interrupt>>> = Arc::default();
        let theirs = running.clone();
        let mut ticker = Ticker::calling(move || {
            if let Some(interrupt) = &*theirs.lock().unwrap_or_else(PoisonError::into_inner) {
                interrupt.interrupt();
            }
        })?;
        ticker.running = running;
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
        Ok(Ticker { running: Arc::default(), alive: Some(alive), thread: Some(thread) })
    }

    /// Says whose turn it is; nobody's while the process waits.
    pub fn turn_of(&self, interrupt: Option<Interrupt>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = interrupt;
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
