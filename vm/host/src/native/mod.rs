//! The real system: files below granted directories, streams, sockets, clocks, random numbers.
//!
//! Nothing here knows what a guest, a descriptor number or a WASI call is.

pub mod doctor;
pub mod landlock;
