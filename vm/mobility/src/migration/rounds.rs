//! When copying while the guest runs stops being worth it.
//!
//! A round sends what was written since the round before. Rounds become shorter as long as the
//! network is quicker than the guest; they end once what is left is sent within the time that the
//! guest may stand, or once another round would not bring that nearer.

/// No more rounds than this: a guest that writes faster than the network is stopped at last.
const ROUNDS_LIMIT: u32 = 5;

/// A round after which more is left than this part of the one before has not helped.
const WORTH_IT: f64 = 0.8;

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// One more round.
    Round,
    /// The guest stops, and the rest is sent.
    Stop,
}

/// The rounds of one move.
#[derive(Clone, Debug)]
pub struct Rounds {
    target_ns: u64,
    count: u32,
    bytes: u64,
    ns: u64,
    /// What the last round sent.
    last_bytes: u64,
}

impl Rounds {
    /// Rounds after which the guest shall stand for at most about `target_ns` while bytes are sent.
    pub fn new(target_ns: u64) -> Rounds {
        Rounds { target_ns, count: 0, bytes: 0, ns: 0, last_bytes: u64::MAX }
    }

    /// How many there were.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes a second, as far as it was measured.
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 * 1e9 / self.ns.max(1) as f64
    }

    /// A round has sent so much in so much time, and `left_bytes` were written meanwhile.
    pub fn after(&mut self, sent_bytes: u64, ns: u64, left_bytes: u64) -> Next {
        self.count += 1;
        self.bytes += sent_bytes;
        self.ns += ns;
        let left_ns = left_bytes as f64 / self.bytes_per_second() * 1e9;
        let helps = (left_bytes as f64) < self.last_bytes as f64 * WORTH_IT;
        self.last_bytes = left_bytes;
        match left_ns <= self.target_ns as f64 || self.count >= ROUNDS_LIMIT || !helps {
            true => Next::Stop,
            false => Next::Round,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn rounds_end_when_the_rest_fits_into_the_target() {
        let mut rounds = Rounds::new(5 * MS);
        // 1 GB/s: 5 ms are 5 MB.
        assert_eq!(rounds.after(256_000_000, 256 * MS, 20_000_000), Next::Round);
        assert_eq!(rounds.after(20_000_000, 20 * MS, 4_000_000), Next::Stop);
        assert_eq!(rounds.count(), 2);
    }

    #[test]
    fn a_guest_that_writes_as_fast_as_the_network_is_stopped() {
        let mut rounds = Rounds::new(MS);
        assert_eq!(rounds.after(100_000_000, 100 * MS, 100_000_000), Next::Round);
        assert_eq!(rounds.after(100_000_000, 100 * MS, 100_000_000), Next::Stop);
    }

    #[test]
    fn there_are_never_more_than_five_rounds() {
        let mut rounds = Rounds::new(0);
        let mut left = 1u64 << 40;
        for _ in 1..ROUNDS_LIMIT {
            left /= 2;
            assert_eq!(rounds.after(left * 2, MS, left), Next::Round);
        }
        assert_eq!(rounds.after(left, MS, left / 2), Next::Stop);
    }
}
