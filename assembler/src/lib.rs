//! Text to bytecode and back.
#![forbid(unsafe_code)]
