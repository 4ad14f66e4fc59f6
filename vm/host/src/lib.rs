//! The only crate that does real I/O, and its simulated twin.
//!
//! Everything nondeterministic that a guest can see enters through `trait Host` of the kernel.
//! [`native`] answers it from the machine that brant runs on, [`sim`] from memory, a script and a
//! seed.
#![forbid(unsafe_code)]

pub mod native;
pub mod sim;
