//! What the benchmarks share: small guests, and the way to a running process.
//!
//! A benchmark sees only what a user of the library sees. The groups are files of `benches/`; exact
//! counts and comparisons with other engines are scripts beside this crate, see README.md.
#![forbid(unsafe_code)]

use brant::{
    Config, Engine, Error, Input, Linker, Module, Process, ProcessBuilder, Tier, TypedFunc,
    WasmValues,
};
use brant_programs::Program;

/// The tiers that are compared: one alone, and the other alone.
pub const TIERS: [Tier; 2] = [Tier::Interp, Tier::Jit];

/// An engine that runs everything in one tier, or, for [`Tier::Auto`], as `brant run` does.
///
/// # Panics
/// There is no compiler for this processor.
#[must_use]
pub fn engine(tier: Tier) -> Engine {
    let config = brant::with_compiler(Config { tier, ..Config::default() });
    Engine::new(&config).expect("a compiler for this processor")
}

/// A program of `programs/`, as bytecode.
///
/// # Panics
/// There is none of that name, or its text does not assemble.
#[must_use]
pub fn program(name: &str) -> Vec<u8> {
    let program: &Program = brant_programs::find(name).expect("a program of this name");
    program.module().expect("programs assemble")
}

/// A process of a program with the arguments and the input of its first sample run; its output goes
/// nowhere.
#[must_use]
pub fn sample(program: &Program, module: &Module) -> ProcessBuilder {
    let run = program.runs.first();
    let args = run.map(|run| run.args).unwrap_or_default();
    let input = run.map(|run| run.stdin.as_bytes().to_vec()).unwrap_or_default();
    let args = std::iter::once(program.name).chain(args.iter().copied());
    Process::builder(module).args(args.map(str::to_owned)).stdin(Input::Bytes(input))
}

/// A process of a guest in text, with its export `run`.
///
/// # Errors
/// The text is wrong, or has no such export.
pub fn guest<P: WasmValues, R: WasmValues>(
    tier: Tier, text: &str, linker: &Linker,
) -> Result<(Process, TypedFunc<P, R>), Error> {
    let engine = engine(tier);
    let module = Module::from_text(&engine, text)?;
    let mut process = Process::builder(&module).linker(linker).build()?;
    let run = process.get_typed_func("run")?;
    Ok((process, run))
}
