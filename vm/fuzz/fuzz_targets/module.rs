//! Bytes as a module, and real modules with some bytes changed: one verdict, never a panic.
//!
//! Whatever the bytes are, all ways to validate say the same, and what is valid can be looked at
//! and run for a while.
#![no_main]

use brant::{Config, Engine, Limits, Module, Process, Validation};
use brant_host::sim::SimHost;
use brant_programs::PROGRAMS;
use libfuzzer_sys::fuzz_target;

/// Operators that a module may execute.
const FUEL: u64 = 20_000;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else { return };
    // As many bytes as they are, or a program with some of its bytes changed.
    let bytes = match kind {
        0..128 => rest.to_vec(),
        which => mutant(usize::from(which), rest),
    };
    let config = Config { fuel: true, signal_handlers: kind % 2 == 0, ..Config::default() };
    let engine = Engine::new(&config).expect("an engine");
    let first = Module::new(&engine, bytes.clone());
    let second = Module::new(&engine, bytes.clone());
    assert_eq!(first.is_ok(), second.is_ok(), "two verdicts");
    let engine_module = brant_engine::Module::lazy(&engine, bytes.clone());
    let lazy = engine_module.and_then(|module| module.validate_bodies());
    assert_eq!(first.is_ok(), lazy.is_ok(), "bodies are judged otherwise: {lazy:?}");
    match first {
        Ok(module) => {
            look(&module);
            run(&module);
        }
        // A body that is not valid ends the run, if it is reached; the rest must do no harm.
        Err(error) => {
            let _ = error.to_string();
            if let Ok(module) = Module::with_validation(&engine, bytes, Validation::Lazy) {
                run(&module);
            }
        }
    }
});

/// A program of the tree with bytes changed: each change is three bytes of place and one of value.
fn mutant(which: usize, changes: &[u8]) -> Vec<u8> {
    let program = &PROGRAMS[which % PROGRAMS.len()];
    let mut bytes = program.module().expect("programs of the tree are right");
    for change in changes.chunks_exact(4).take(8) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize % bytes.len();
        bytes[at] ^= change[3];
    }
    bytes
}

fn look(module: &Module) {
    for import in module.imports() {
        let _ = (import.module, import.name, format!("{:?}", import.ty));
    }
    for export in module.exports() {
        let _ = (export.name, format!("{:?}", export.ty));
    }
    let _ = (module.name(), module.hash());
}

fn run(module: &Module) {
    let limits = Limits {
        fuel: Some(FUEL),
        memory_bytes: 64 << 20,
        table_elements: 100_000,
        ..Limits::default()
    };
    let builder = Process::builder(module).args(["fuzz", "1"]).limits(limits);
    let Ok(mut process) = builder.host(SimHost::new(1)).build() else { return };
    let is_program = module.exports().any(|export| export.name == "_start");
    let _ = match is_program {
        true => process.run(),
        false => process.prepare(),
    };
}
