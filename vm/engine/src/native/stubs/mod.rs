//! Machine code that is no function of a guest: ways into compiled code, out of it, and past it.
//!
//! Twins with the same names, one for each kind of processor, and `without` for hosts that have no
//! compiled code.

#[cfg_attr(all(native_code, target_arch = "x86_64"), path = "x86_64.rs")]
#[cfg_attr(all(native_code, target_arch = "aarch64"), path = "aarch64.rs")]
#[cfg_attr(not(native_code), path = "without.rs")]
mod host;

pub use host::*;
