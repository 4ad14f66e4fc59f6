//! The interpreter and compiled code are one machine: they stop at the same sites with the same
//! state, trap with the same words, and a run that changes between them gives what it gives else.
#![cfg(feature = "jit")]

mod sites;
mod stops;
mod traps;
mod waits;
mod world;
