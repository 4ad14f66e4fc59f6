//! The only crate that does real I/O, and its simulated twin.
