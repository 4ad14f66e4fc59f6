//! Changes one byte of a module again and again, and says of each mutant whether the engine takes
//! it:
//! `cargo run --release --example mutants -- FILE COUNT SEED | node assembler/tests/mutate.mjs FILE`
//! compares the verdicts with V8's.
//!
//! One line each, as the assembler's example `mutate` has them: offset, new value, and `1` for
//! valid, `0` for invalid, or `?` for what uses features that V8 has and the engine has not: threads
//! and the old exceptions.

use std::io::{self, Write};

use brant::{Config, Engine, Module, Validation};
use brant_engine::WasmFeatures;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, count, seed] = &arguments[..] else {
        return Err("FILE COUNT SEED expected".into());
    };
    // What the V8 of node 20 (11.3) takes without flags, as far as the engine executes it.
    let features = WasmFeatures::WASM2 | WasmFeatures::TAIL_CALL;
    let engine = Engine::new(&Config { features, ..Config::default() })?;
    let original = std::fs::read(file)?;
    let (count, mut state) = (count.parse::<u64>()?, seed.parse::<u64>()?);
    let mut mutant = original.clone();
    let mut out = io::BufWriter::new(io::stdout().lock());
    for _ in 0..count {
        let random = next(&mut state);
        let offset = (random >> 16) as usize % original.len();
        // Never the value that is there already.
        let value = original[offset] ^ (random % 255 + 1) as u8;
        mutant[offset] = value;
        let eager = Module::new(&engine, mutant.clone());
        // What is judged later must not be judged more strictly at first.
        let lazy = Module::with_validation(&engine, mutant.clone(), Validation::Lazy);
        if eager.is_ok()
            && let Err(error) = lazy
        {
            return Err(format!("two verdicts: {offset} {value}: {error}").into());
        }
        let verdict = match eager {
            Ok(_) => '1',
            Err(error) if lacks_a_feature(&error.to_string()) => '?',
            Err(_) => '0',
        };
        writeln!(out, "{offset} {value} {verdict}")?;
        mutant[offset] = original[offset];
    }
    out.flush()?;
    Ok(())
}

/// Whether the validator stumbled over threads or exceptions, and not over a mistake.
fn lacks_a_feature(message: &str) -> bool {
    message.contains("threads support is not enabled")
        || message.contains("exceptions support is not enabled")
        || message.contains("exceptions proposal not enabled")
        || message.contains("legacy_exceptions feature required")
        || message.contains("threads must be enabled")
}

/// The next number of a sequence (splitmix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
