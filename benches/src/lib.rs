//! What the benchmarks share: small guests, and the way to a running process.
//!
//! A benchmark sees only what a user of the library sees. The groups are files of `benches/`; exact
//! counts and comparisons with other engines are scripts beside this crate, see README.md.
#![forbid(unsafe_code)]

use brant::{Engine, Error, Linker, Module, Process, TypedFunc, WasmValues};
use brant_programs::Program;

/// A program of `programs/`, as bytecode.
///
/// # Panics
/// There is none of that name, or its text does not assemble.
#[must_use]
pub fn program(name: &str) -> Vec<u8> {
    let program: &Program = brant_programs::find(name).expect("a program of this name");
    program.module().expect("programs assemble")
}

/// A process of a guest in text, with its export `run`.
///
/// # Errors
/// The text is wrong, or has no such export.
pub fn guest<P: WasmValues, R: WasmValues>(
    text: &str, linker: &Linker,
) -> Result<(Process, TypedFunc<P, R>), Error> {
    let engine = Engine::default();
    let module = Module::from_text(&engine, text)?;
    let mut process = Process::builder(&module).linker(linker).build()?;
    let run = process.get_typed_func("run")?;
    Ok((process, run))
}
