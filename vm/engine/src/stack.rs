//! The value stack of a guest thread: one mapping with a soft limit.
//!
//! ```text
//! | frames ... up to the limit, in guest units | slack | no access |
//! ```

use crate::memory::{StackArea, host_page_bytes};

/// Behind the limit: room for the arguments and the header of a call whose frame is then refused,
/// and for its copy when the callee is in another instance. Twice 1000 vectors are 32 KB.
const SLACK_BYTES: usize = 64 << 10;

/// A value stack. Its pages are provided by the host as frames reach them.
#[derive(Debug)]
pub struct ValueStack {
    area: StackArea,
    limit_bytes: usize,
    used_bytes: usize,
}

impl ValueStack {
    /// A stack for frames of `limit_bytes` in total. None if the host has no room.
    pub fn new(limit_bytes: usize) -> Option<Self> {
        Self::with_room(limit_bytes, 0)
    }

    /// A stack of the same limit that has room for frames of `used_bytes`, which may be more.
    pub fn with_room(limit_bytes: usize, used_bytes: usize) -> Option<Self> {
        let used_bytes = limit_bytes.max(used_bytes) + SLACK_BYTES;
        let area = StackArea::new(used_bytes + host_page_bytes(), 0, used_bytes)?;
        Some(Self { area, limit_bytes, used_bytes })
    }

    /// Where the first frame begins.
    pub fn base(&self) -> *mut u64 {
        self.area.base().cast()
    }

    /// Where frames end that were laid out at once.
    pub fn room(&self) -> *mut u64 {
        // SAFETY: it lies inside the mapping.
        unsafe { self.area.base().add(self.used_bytes - SLACK_BYTES).cast() }
    }

    /// No frame that a call makes reaches above this.
    pub fn limit(&self) -> *mut u64 {
        // SAFETY: the limit lies inside the mapping.
        unsafe { self.area.base().add(self.limit_bytes).cast() }
    }
}
