//! Profiles of a process: a thread that asks at intervals where it is.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Error, Process, Sample};

/// Asks a process at intervals where it is, until it is dropped.
#[derive(Debug)]
pub struct Profile {
    /// Dropped first, which wakes the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Process {
    /// Notes at intervals in which functions the process is. An interval in which it waits is noted
    /// once, when it goes on.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn profile(&mut self, interval: Duration) -> Result<Profile, Error> {
        self.store.keep_samples();
        let interrupt = self.store.interrupt_handle();
        let (alive, gone) = channel::<()>();
        let ask = move || {
            while gone.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                interrupt.sample();
            }
        };
        let builder = thread::Builder::new().name("brant-profile".to_owned());
        let thread = builder.spawn(ask).map_err(Error::host)?;
        Ok(Profile { alive: Some(alive), thread: Some(thread) })
    }

    /// Where the process was seen, most frequent first: see [`Process::profile`].
    pub fn samples(&self) -> Vec<Sample> {
        self.store.samples()
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // The thread runs nothing that could panic.
            let _ = thread.join();
        }
    }
}
