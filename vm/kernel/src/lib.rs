//! The virtual system: descriptors, system calls, run states.
#![forbid(unsafe_code)]
