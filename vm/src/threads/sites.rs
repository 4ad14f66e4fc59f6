//! Ends turns, and runs, by counted sites: the same ones whatever the machine does meanwhile.
//!
//! Two count at once: whoever runs the process may have it stop at a site, all threads together, and
//! in a deterministic run each turn has a number of sites.

use brant_engine::Store;

/// How long a turn is where turns are counted: about as long as one by the clock is in the
/// interpreter, where loops are small.
pub(super) const QUANTUM_SITES: u64 = 20_000;

/// How many sites the process runs until it stops, if somebody wants it to.
#[derive(Default)]
pub(crate) struct SiteStop {
    left: Option<u64>,
    /// What the store that has the turn was told.
    asked: Option<u64>,
}

/// How a turn ended, by what was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counted {
    /// The site is reached at which the process stops.
    pub is_reached: bool,
    /// The turn has had its sites.
    pub is_over: bool,
}

impl SiteStop {
    /// Has the process stop at the site of this number from here on.
    pub fn set(&mut self, count: u64) {
        self.left = Some(count.max(1));
    }

    /// Whether sites are counted.
    pub fn is_set(&self) -> bool {
        self.left.is_some()
    }

    /// Begins a turn of a thread of `store`, which has `turn` sites if turns are counted.
    pub(super) fn begin(&mut self, store: &mut Store, turn: Option<u64>) {
        self.asked = self.left.into_iter().chain(turn).min();
        if self.asked.is_some() || store.sites_left().is_some() {
            store.stop_at_site(self.asked);
        }
    }

    /// Takes note of how many sites the turn has had.
    pub(super) fn end(&mut self, store: &mut Store, turn: &mut Option<u64>) -> Counted {
        let Some(asked) = self.asked.take() else {
            return Counted { is_reached: false, is_over: false };
        };
        let had = asked - store.sites_left().unwrap_or(asked).min(asked);
        store.take_site_stop();
        let reached = |left: &mut Option<u64>| {
            let Some(left) = left else { return false };
            *left -= had.min(*left);
            *left == 0
        };
        let counted = Counted { is_reached: reached(&mut self.left), is_over: reached(turn) };
        if counted.is_reached {
            self.left = None;
        }
        counted
    }
}
