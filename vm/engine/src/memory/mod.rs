//! How the host reaches guest memory.

mod guest;

pub use guest::{GuestMemory, OutOfBounds};
