//! Why a run has to stop, and the thread that watches the time where a limit asks for one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use brant_kernel::host::Waker;

use crate::{Error, Stopped};

/// Stops a process from any thread: within 10 ms it stands still, and can go on.
///
/// It has no effect on a process that has ended; one that does not run stops when it is run again.
#[derive(Clone)]
pub struct Interrupt {
    engine: brant_engine::Interrupt,
    shared: Arc<Shared>,
}

/// What threads other than the guest's tell its process.
#[derive(Default)]
struct Shared {
    asked: AtomicBool,
    timed_out: AtomicBool,
    /// How long it shall stand.
    rest_ns: AtomicU64,
    /// Ends a wait in a system call.
    waker: OnceLock<Arc<dyn Waker>>,
}

impl Interrupt {
    pub(crate) fn new(engine: brant_engine::Interrupt, waker: Arc<dyn Waker>) -> Interrupt {
        let shared = Shared { waker: OnceLock::from(waker), ..Shared::default() };
        Interrupt { engine, shared: Arc::new(shared) }
    }

    /// Asks the process to stop.
    pub fn interrupt(&self) {
        self.shared.asked.store(true, Ordering::Release);
        self.stop();
    }

    /// Has whoever runs the process look around, for no reason of the process's own.
    pub(crate) fn stop(&self) {
        self.engine.interrupt();
        if let Some(waker) = self.shared.waker.get() {
            waker.wake();
        }
    }

    /// Has the process stand for so long at its next site. Whoever runs it waits with it.
    pub fn rest(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.shared.rest_ns.store(ns, Ordering::Release);
        self.engine.interrupt();
    }

    /// Why the process was stopped; none if what stopped it is over.
    pub(crate) fn take_reason(&self) -> Option<Stopped> {
        if self.shared.rest_ns.load(Ordering::Relaxed) != 0 {
            thread::sleep(Duration::from_nanos(self.shared.rest_ns.swap(0, Ordering::Acquire)));
        }
        if self.shared.timed_out.swap(false, Ordering::Acquire) {
            return Some(Stopped::OutOfTime);
        }
        self.shared.asked.swap(false, Ordering::Acquire).then_some(Stopped::Interrupted)
    }
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interrupt").finish_non_exhaustive()
    }
}

/// Stops a process when its time is over, unless it is dropped before.
pub(crate) struct Timer {
    interrupt: Interrupt,
    /// Dropped first, which wakes the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Timer {
    /// Starts to watch the time.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(interrupt: &Interrupt, time: Duration) -> Result<Timer, Error> {
        let (alive, gone) = channel::<()>();
        let handle = interrupt.clone();
        let watch = move || {
            if gone.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                handle.shared.timed_out.store(true, Ordering::Release);
                handle.stop();
            }
        };
        let builder = thread::Builder::new().name("brant-timer".to_owned());
        let thread = builder.spawn(watch).map_err(Error::host)?;
        Ok(Timer { interrupt: interrupt.clone(), alive: Some(alive), thread: Some(thread) })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            // The thread runs nothing that could panic.
            let _ = thread.join();
        }
        // A time that was over at the last moment is no reason to stop the next run.
        self.interrupt.shared.timed_out.store(false, Ordering::Release);
    }
}
