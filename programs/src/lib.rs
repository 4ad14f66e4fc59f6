//! Small real programs.
#![forbid(unsafe_code)]
