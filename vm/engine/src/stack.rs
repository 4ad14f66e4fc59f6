//! The value stack of a guest thread: one mapping with a soft limit.
//!
//! ```text
//! | frames ... up to the limit, in guest units | slack | no access |
//! ```

use crate::memory::{Reservation, host_page_bytes};

/// Behind the limit: room for the arguments and the header of a call whose frame is then refused,
/// and for its copy when the callee is in another instance. Twice 1000 vectors are 32 KB.
const SLACK_BYTES: usize = 64 << 10;

/// A value stack. Its pages are provided by the host as frames reach them.
#[derive(Debug)]
pub struct ValueStack {
    area: Reservation,
    limit_bytes: usize,
}

impl ValueStack {
    /// A stack for frames of `limit_bytes` in total. None if the host has no room.
    pub fn new(limit_bytes: usize) -> Option<Self> {
        let used_bytes = limit_bytes + SLACK_BYTES;
        let mut area = Reservation::new(used_bytes + host_page_bytes())?;
        area.commit(0, used_bytes).then_some(Self { area, limit_bytes })
    }

    /// Where the first frame begins.
    pub fn base(&self) -> *mut u64 {
        self.area.base().cast()
    }

    /// No frame reaches above this.
    pub fn limit(&self) -> *mut u64 {
        // SAFETY: the limit lies inside the mapping.
        unsafe { self.area.base().add(self.limit_bytes).cast() }
    }
}
