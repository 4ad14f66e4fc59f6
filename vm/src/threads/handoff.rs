//! Whether whoever wakes another thread waits at once, and so hands its worker over.
//!
//! A woken thread, or a new one, goes to the queue of the worker whose guest has done it. If a worker
//! is idle it could begin at once there, but to call that takes the host some microseconds, and
//! threads that take turns (a lock, a queue between two, a start and a wait for the end) would go from
//! core to core for nothing. So each worker learns: while its guests wait within some microseconds
//! after they have made somebody ready, nobody is called. Whoever computes on instead is found out by
//! a measurement, or by the next tick of the clock, and all is as if nothing had been learnt.

use std::time::{Duration, Instant};

/// Who waits so soon after it has woken somebody has handed over: to call another worker takes about
/// as long.
const SOON: Duration = Duration::from_micros(10);

/// So many times one after the other make a habit.
const HABIT: u32 = 3;

/// A habit is measured again every so many times: to look at the clock takes its time too.
const UNMEASURED: u32 = 8;

/// What a worker has learnt.
#[derive(Clone, Default, Debug)]
pub(super) struct Handoff {
    /// How often, one after the other, it was soon.
    count: u32,
    /// When the thread that runs has woken somebody first, if that is measured.
    since: Option<Instant>,
}

impl Handoff {
    /// The thread that runs has woken one that is in the worker's queue; true if that can be left there.
    pub fn woke(&mut self) -> bool {
        if self.since.is_none() && (self.count < HABIT || self.count.is_multiple_of(UNMEASURED)) {
            self.since = Some(Instant::now());
        }
        let has_habit = self.count >= HABIT;
        if has_habit && self.since.is_none() {
            self.count += 1;
        }
        has_habit
    }

    /// The thread that runs has stopped.
    pub fn stopped(&mut self) {
        if let Some(since) = self.since.take() {
            self.count = if since.elapsed() <= SOON { self.count.wrapping_add(1) } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hands_over_again_and_again_is_left_alone() {
        let mut worker = Handoff::default();
        for _ in 0..HABIT {
            assert!(!worker.woke(), "nothing is known yet");
            worker.since = Some(Instant::now() + Duration::from_secs(1));
            worker.stopped();
        }
        assert!(worker.woke());
    }

    #[test]
    fn who_computes_on_loses_the_habit() {
        let mut worker = Handoff { count: UNMEASURED, since: None };
        assert!(worker.woke(), "a habit");
        worker.since = worker.since.map(|since| since - 2 * SOON);
        assert!(worker.since.is_some(), "it is measured");
        worker.stopped();
        assert_eq!(worker.count, 0);
        assert!(!worker.woke());
    }

    #[test]
    fn a_habit_is_measured_now_and_then() {
        let mut worker = Handoff { count: HABIT, since: None };
        let measured = (0..10 * UNMEASURED).filter(|_| {
            assert!(worker.woke());
            let is_measured = worker.since.is_some();
            worker.since = worker.since.map(|since| since + Duration::from_secs(1));
            worker.stopped();
            is_measured
        });
        let measured = measured.count() as u32;
        assert!((9..=11).contains(&measured), "{measured}");
    }
}
