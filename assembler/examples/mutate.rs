//! Changes one byte of a module again and again, and says of each mutant whether it is valid.
//!
//! `cargo run --release -p brant-asm --example mutate FILE COUNT SEED`
//!
//! One line each: offset, new value, and `1` for valid, `0` for invalid, or `e` for what is valid
//! with the old exceptions (`try`), which V8 takes and nothing here does.
//! `assembler/tests/mutate.mjs` makes the same mutants and compares the verdicts with V8's.
//! Every mutant is disassembled too, in both forms: what is valid must have a text, and nothing
//! may panic.

use std::io::{self, Write};

use brant_asm::{CheckOptions, DisassembleOptions, Form, check, disassemble};
use wasmparser::WasmFeatures;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, count, seed] = &arguments[..] else {
        return Err("FILE COUNT SEED expected".into());
    };
    let original = std::fs::read(file)?;
    let (count, mut state) = (count.parse::<u64>()?, seed.parse::<u64>()?);
    let mut options = CheckOptions::default();
    options.features = features_of_v8();
    let mut with_old_exceptions = options.clone();
    with_old_exceptions.features |= WasmFeatures::LEGACY_EXCEPTIONS;
    let mut mutant = original.clone();
    let mut out = io::BufWriter::new(io::stdout().lock());
    for _ in 0..count {
        let random = next(&mut state);
        let offset = (random >> 16) as usize % original.len();
        // Never the value that is there already.
        let value = original[offset] ^ (random % 255 + 1) as u8;
        mutant[offset] = value;
        let is_valid = check(&mutant, &options).is_ok();
        for form in [Form::Flat, Form::Folded] {
            let mut options = DisassembleOptions::default();
            options.form = form;
            let printed = disassemble(&mutant, &options, &mut io::sink());
            if let (true, Err(error)) = (is_valid, printed) {
                return Err(format!("valid, but without a text: {offset} {value}: {error}").into());
            }
        }
        let verdict = match is_valid {
            true => '1',
            false if check(&mutant, &with_old_exceptions).is_ok() => 'e',
            false => '0',
        };
        writeln!(out, "{offset} {value} {verdict}")?;
        mutant[offset] = original[offset];
    }
    out.flush()?;
    Ok(())
}

/// What the V8 of node 20 (11.3) takes without flags and the table of instructions has.
fn features_of_v8() -> WasmFeatures {
    WasmFeatures::WASM2 | WasmFeatures::TAIL_CALL | WasmFeatures::THREADS
}

/// The next number of a sequence (splitmix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
