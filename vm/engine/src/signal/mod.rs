//! Faults of guest code: a marked access that touches the guard becomes a trap.
//!
//! Twins with the same names: `linux` has handlers and a way out, `without` is for hosts on which
//! the interpreter marks no accesses and checks every address instead. A fault that is not a marked
//! access of a running guest is none of ours: whoever handled it before gets it.

#[cfg_attr(guard_pages, path = "linux.rs")]
#[cfg_attr(not(guard_pages), path = "without.rs")]
mod host;

#[cfg(native_code)]
pub(crate) use host::Interrupted;
pub(crate) use host::{call, prepare_thread};
