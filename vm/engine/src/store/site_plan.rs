//! Stops at counted sites and tiers that change at random: for tests, and for whoever wants a run to
//! stop at the same place every time.
//!
//! Entries of functions and ways back to loop headers are counted, in both tiers alike. Not counted
//! are the entry of the outermost function, at which a thread stands anyway, and the way into a loop
//! from above, at which the interpreter has no record.

use crate::store::Store;

/// What a store has planned for the sites of its runs.
#[derive(Default, Debug)]
pub struct SitePlan {
    /// How many sites there are until the run stops.
    left: Option<u64>,
    /// The next site that compiled code comes to was counted by the interpreter, which has entered it.
    was_counted: bool,
    /// The state of the random numbers that choose the tier.
    mix: Option<u64>,
}

impl SitePlan {
    /// Whether sites are counted.
    pub fn counts(&self) -> bool {
        self.left.is_some()
    }

    /// Takes note that compiled code is entered at a site that was counted already.
    pub fn enter_counted(&mut self) {
        self.was_counted = self.counts();
    }

    /// As `count`, for a site of compiled code.
    pub fn count_in_code(&mut self) -> bool {
        !std::mem::take(&mut self.was_counted) && self.count()
    }

    /// Takes note of a site; true if the run shall stop there.
    pub fn count(&mut self) -> bool {
        let Some(left) = &mut self.left else { return false };
        *left = left.saturating_sub(1);
        *left == 0
    }

    /// Whether the run goes on in the interpreter where it could go on in compiled code.
    pub fn stays_in_interpreter(&mut self) -> bool {
        let Some(state) = &mut self.mix else { return false };
        // xorshift64: good enough to choose, and the same on every machine.
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state & 1 != 0
    }
}

impl Store {
    /// Lets the next run stop at the site of this number, counted from 1: entries of functions, and
    /// loop headers to which the run comes back. The run ends with [`crate::Stop::Interrupted`]. `None` counts no more.
    ///
    /// In compiled code sites are counted if it was made with [`crate::compile::Stops::Every`].
    pub fn stop_at_site(&mut self, number: Option<u64>) {
        let inner = self.inner_mut();
        inner.site_plan.left = number.map(|number| number.max(1));
        inner.stopper.count(number.is_some());
    }

    /// How many sites there are until the next run stops, if they are counted.
    pub fn sites_left(&self) -> Option<u64> {
        self.inner().site_plan.left
    }

    /// Whether the site of [`Self::stop_at_site`] was reached; counts no more if so.
    pub fn take_site_stop(&mut self) -> bool {
        let is_reached = self.inner_mut().site_plan.left == Some(0);
        if is_reached {
            self.stop_at_site(None);
        }
        is_reached
    }

    /// Lets runs go on in compiled code, or in the interpreter, by random numbers with this seed,
    /// wherever both are possible.
    pub fn mix_tiers(&mut self, seed: Option<u64>) {
        self.inner_mut().site_plan.mix = seed.map(|seed| seed | 1);
    }
}
