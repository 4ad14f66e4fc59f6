//! Keeps a program to a share of a processor: a thread looks at the time that the host process has
//! used, and has the guest rest when that is more than its share of the time that has passed.
//!
//! A share of 200 % is that of two processors; the host process is the program's alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use brant_host::native::NativeHost;
use brant_kernel::host::{Clock, Host};

use crate::{Interrupt, Process};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// What was not used in this time is not kept for later.
const WINDOW: Duration = Duration::from_secs(1);

/// A guest rests no longer at a time, so that whoever calls is heard.
const LONGEST_REST: Duration = Duration::from_millis(250);

/// As much as all processors of a large machine.
const MOST_PERCENT: u64 = 100_000;

/// A program's share, while it holds.
#[derive(Debug)]
pub struct Throttle {
    percent: Arc<AtomicU64>,
    /// Dropped, it ends the thread.
    _alive: Sender<()>,
}

impl Throttle {
    /// Gives a program a share from now on.
    ///
    /// # Errors
    /// In words: it is no share, or the system gives no thread.
    pub fn change(
        throttle: &mut Option<Throttle>, percent: u64, process: &Process,
    ) -> Result<(), String> {
        if !(1..=MOST_PERCENT).contains(&percent) {
            return Err(format!("a share of processors is 1 to {MOST_PERCENT} %"));
        }
        if let Some(throttle) = throttle {
            throttle.percent.store(percent, Ordering::Relaxed);
            return Ok(());
        }
        let (alive, gone) = channel::<()>();
        let shared = Arc::new(AtomicU64::new(percent));
        let (theirs, interrupt) = (shared.clone(), process.interrupt_handle());
        let watch = move || {
            let mut share = Share::new();
            while gone.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                share.look(theirs.load(Ordering::Relaxed), &interrupt);
            }
        };
        let thread = std::thread::Builder::new().name("brant-share".to_owned()).spawn(watch);
        thread.map_err(|error| error.to_string())?;
        *throttle = Some(Throttle { percent: shared, _alive: alive });
        Ok(())
    }

    /// The share, in percent of one processor.
    pub fn percent(&self) -> u64 {
        self.percent.load(Ordering::Relaxed)
    }
}

/// Time that was used, against time that has passed.
struct Share {
    host: NativeHost,
    began: Instant,
    used_before_ns: u64,
    rests_until: Instant,
}

impl Share {
    fn new() -> Share {
        let mut host = NativeHost::new();
        let used_before_ns = host.now_ns(Clock::ProcessCpu).unwrap_or(0);
        Share { host, began: Instant::now(), used_before_ns, rests_until: Instant::now() }
    }

    fn look(&mut self, percent: u64, interrupt: &Interrupt) {
        let now = Instant::now();
        if now < self.rests_until {
            return;
        }
        let used_ns = self.host.now_ns(Clock::ProcessCpu).unwrap_or(0);
        let used = Duration::from_nanos(used_ns.saturating_sub(self.used_before_ns));
        let rest = rest_for(used, now.duration_since(self.began), percent);
        if !rest.is_zero() {
            self.rests_until = now + rest;
            return interrupt.rest(rest);
        }
        if now.duration_since(self.began) > WINDOW {
            (self.began, self.used_before_ns) = (now, used_ns);
        }
    }
}

/// How long to rest after so much was used in so much time.
fn rest_for(used: Duration, passed: Duration, percent: u64) -> Duration {
    let due = used.mul_f64(100.0 / percent.max(1) as f64);
    due.saturating_sub(passed).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_used_more_than_its_share_rests_until_it_has_not() {
        let ms = Duration::from_millis;
        assert_eq!(rest_for(ms(10), ms(10), 50), ms(10));
        assert_eq!(rest_for(ms(10), ms(20), 50), ms(0));
        assert_eq!(rest_for(ms(3), ms(10), 50), ms(0));
        assert_eq!(rest_for(ms(20), ms(10), 200), ms(0));
        assert_eq!(rest_for(ms(100), ms(100), 1), LONGEST_REST);
    }
}
