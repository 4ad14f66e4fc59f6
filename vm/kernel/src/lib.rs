//! The virtual system: descriptors, system calls, run states.
#![forbid(unsafe_code)]

pub mod errno;
pub mod host;
