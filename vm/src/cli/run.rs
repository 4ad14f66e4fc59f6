//! `brant run`: a program in its sandbox.

use super::exit::Failure;
use super::options::RunOptions;
use super::wasmtime;

/// Runs the verb.
pub fn run(mut options: RunOptions) -> Result<u8, Failure> {
    wasmtime::apply(&mut options).map_err(Failure::usage)?;
    Err(Failure::load("nothing runs yet"))
}
