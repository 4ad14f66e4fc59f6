//! The instruction set: one row per instruction, from which all else is derived.
#![forbid(unsafe_code)]

mod trap;

pub use trap::Trap;
