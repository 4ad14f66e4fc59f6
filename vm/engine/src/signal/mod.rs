//! Faults of guest code: a marked access that touches the guard becomes a trap.
//!
//! Twins with the same names: `x86_64` has handlers and a way out, `without` is for hosts on which
//! the interpreter marks no accesses and checks every address instead. A fault that is not a marked
//! access of a running guest is none of ours: whoever handled it before gets it.

#[cfg_attr(guard_pages, path = "x86_64.rs")]
#[cfg_attr(not(guard_pages), path = "without.rs")]
mod host;

pub(crate) use host::{call, prepare_thread};
