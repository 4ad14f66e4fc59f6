//! Brant: a process virtual machine whose processes can move.
#![forbid(unsafe_code)]

mod features;

pub use features::{Features, UnknownFeature};
