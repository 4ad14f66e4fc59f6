//! Processes that move between hosts: what two peers say to each other, and who owns a process.
//!
//! ```text
//! frame.rs      bytes with a length and a kind in front
//! message.rs    what frames say
//! memory.rs     pages of memories, many in a frame
//! rounds.rs     when copying while the guest runs stops being worth it
//! owner.rs      who owns a process, whatever breaks
//! ```
//!
//! All of it is values: nothing here knows a socket, a file, a clock or a thread, and every byte of
//! the other side is an enemy's.

mod frame;
mod memory;
mod message;
mod owner;
mod rounds;

use std::fmt;

pub use frame::{FRAME_LIMIT_BYTES, FrameError, read_frame, write_frame};
pub use memory::{PAGES_IN_A_FRAME, PagesFrame, read_pages};
pub use message::{
    LanePosition, LaneState, Listed, Message, Mode, Offer, OfferedModule, PAGES, PROTOCOL_VERSION,
    PageRun, Progress, Refusal, Stage,
};
pub use owner::{
    Destination, DestinationDoes, DestinationHears, Held, Source, SourceDoes, SourceHears,
};
pub use rounds::{Next, Rounds};

/// The name of a process, on all hosts that it will ever be on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ProcessId(pub [u8; 16]);

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ProcessId {
    /// The id that 32 hexadecimal digits stand for.
    pub fn from_hex(text: &str) -> Option<ProcessId> {
        let digits = text.as_bytes();
        let mut id = [0; 16];
        if digits.len() != 32 || !text.is_ascii() {
            return None;
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(ProcessId(id))
    }

    /// Its first digits, which people use.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}
