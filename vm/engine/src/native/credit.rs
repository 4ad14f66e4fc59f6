//! What functions and loops have lost by being interpreted, and what that is worth (ski rental).
//!
//! Here are numbers alone: who asks, and for what, is in `tier.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::interp::driver::BUDGET;

/// What a budget takes at least and at most: so many calls and back edges, in the interpreter. A
/// thread that waited, or ran compiled code meanwhile, has lost no more than that.
const MIN_TICK_NS: u64 = BUDGET as u64 * 2;
const MAX_TICK_NS: u64 = BUDGET as u64 * 128;

/// What compiling takes: for each function, and for each byte of its body.
const COMPILE_NS: u64 = 100_000;
const COMPILE_BYTE_NS: u64 = 1_000;

/// Another core compiles, and every call that comes before the code is lost: so much less than
/// compiling takes is enough of a reason.
const BESIDE: u64 = 8;

/// Code that is stored pays for itself in so many runs.
const STORED_RUNS: u64 = 2;

/// What a function has to lose before it is compiled; less if its code will be stored.
pub fn cost_ns(body_bytes: usize, is_stored: bool) -> u64 {
    let cost_ns = (COMPILE_NS + COMPILE_BYTE_NS * body_bytes as u64) / BESIDE;
    if is_stored { cost_ns / STORED_RUNS } else { cost_ns }
}

/// How much sooner than others something is compiled that has lost so much and costs so much.
///
/// By what was lost alone, what is large comes first, because it has to lose more to be here at all,
/// and everything else waits; for each nanosecond of the compiler, what is large comes last, though
/// it is where an interpreter or a parser spends its time. Both were measured, and are worse than
/// what lies between them.
pub fn worth(lost_ns: u64, cost_ns: u64) -> u64 {
    lost_ns / cost_ns.isqrt().max(1)
}

/// Tells how long budgets last.
#[derive(Debug)]
pub struct TickClock {
    last: Instant,
}

impl Default for TickClock {
    fn default() -> Self {
        Self { last: Instant::now() }
    }
}

impl TickClock {
    /// What the budget was worth that is used up now.
    pub fn tick_ns(&mut self) -> u64 {
        let now = Instant::now();
        let took_ns = now.duration_since(self.last).as_nanos() as u64;
        self.last = now;
        took_ns.clamp(MIN_TICK_NS, MAX_TICK_NS)
    }
}

/// What has been lost in an instance.
#[derive(Default, Debug)]
pub struct Credit {
    functions_ns: HashMap<u32, Arc<AtomicU64>>,
    /// By frames that are older than the code of their function.
    late_ns: HashMap<u32, u64>,
    /// The frame and header of the last tick, and what it has lost there without a break.
    here: (usize, usize, u64),
}

impl Credit {
    /// Credits a function; gives what it has lost in all.
    pub fn add(&mut self, function: u32, lost_ns: u64) -> u64 {
        let total_ns = self.functions_ns.entry(function).or_default();
        total_ns.fetch_add(lost_ns, Ordering::Relaxed) + lost_ns
    }

    /// What a function has lost, for whoever wants to see how that goes on.
    pub fn of(&mut self, function: u32) -> Arc<AtomicU64> {
        self.functions_ns.entry(function).or_default().clone()
    }

    /// Credits the loop with the header `ip` in the frame `fp`; gives what it has lost without a
    /// break.
    pub fn add_here(&mut self, fp: usize, ip: usize, lost_ns: u64) -> u64 {
        let before_ns = if (self.here.0, self.here.1) == (fp, ip) { self.here.2 } else { 0 };
        self.here = (fp, ip, before_ns + lost_ns);
        self.here.2
    }

    /// Credits frames of a function that has code, which they are too old for. True each time that
    /// they have lost as much again as is reason enough for code which begins in their midst.
    pub fn add_late(&mut self, function: u32, lost_ns: u64, cost_ns: u64) -> bool {
        let late_ns = self.late_ns.entry(function).or_default();
        *late_ns += lost_ns;
        let is_enough = *late_ns >= cost_ns;
        if is_enough {
            *late_ns = 0;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_worth_something_and_never_much() {
        let mut clock = TickClock::default();
        assert!((MIN_TICK_NS..=MAX_TICK_NS).contains(&clock.tick_ns()));
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(clock.tick_ns(), MAX_TICK_NS, "it waited");
    }

    #[test]
    fn a_break_ends_what_a_loop_has_lost() {
        let mut credit = Credit::default();
        assert_eq!((credit.add_here(1, 2, 10), credit.add_here(1, 2, 10)), (10, 20));
        assert_eq!((credit.add_here(1, 3, 10), credit.add_here(1, 2, 10)), (10, 10));
        assert_eq!(credit.add_here(4, 2, 10), 10, "another frame");
    }

    #[test]
    fn old_frames_pay_for_each_loop_anew() {
        let mut credit = Credit::default();
        let paid: Vec<bool> = (0..6).map(|_| credit.add_late(7, 10, 30)).collect();
        assert_eq!(paid, [false, false, true, false, false, true]);
        assert!(!credit.add_late(8, 29, 30));
    }

    #[test]
    fn what_waits_to_be_compiled_goes_on_losing() {
        let mut credit = Credit::default();
        credit.add(3, 10);
        let seen = credit.of(3);
        credit.add(3, 5);
        credit.add(4, 100);
        assert_eq!(seen.load(Ordering::Relaxed), 15);
    }

    #[test]
    fn neither_large_nor_small_comes_first_by_itself() {
        let (small_ns, large_ns) = (cost_ns(100, false), cost_ns(40_000, false));
        assert!(worth(large_ns, large_ns) > worth(small_ns, small_ns), "both have just come");
        assert!(worth(20 * small_ns, small_ns) > worth(large_ns, large_ns), "it waits, and is hot");
        assert_eq!(worth(7, 0), 7);
    }

    #[test]
    fn larger_bodies_have_to_lose_more_and_stored_ones_less() {
        assert!(cost_ns(10_000, false) > cost_ns(100, false));
        assert!(cost_ns(10_000, true) < cost_ns(10_000, false));
    }
}
