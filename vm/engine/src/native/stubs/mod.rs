//! Machine code that is no function of a guest: ways into compiled code, out of it, and past it.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
