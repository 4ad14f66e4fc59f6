//! Takes modules to text and back: `cargo run --release -p brant-asm --example round_trip FILE...`.
//!
//! A module comes back byte for byte, or, where its numbers are longer than they must be, with
//! the same text.
//! This is for programs too large for `cargo test`.

use brant_asm::{AssembleOptions, DisassembleOptions, Form, assemble, disassemble};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut all_came_back = true;
    for file in std::env::args().skip(1) {
        let bytes = std::fs::read(&file)?;
        for form in [Form::Flat, Form::Folded] {
            let verdict = round_trip(&bytes, form)?;
            all_came_back &= verdict != "DIFFERENT";
            println!("{file}: {form:?}: {verdict}");
        }
    }
    if all_came_back { Ok(()) } else { Err("a module did not come back".into()) }
}

fn round_trip(bytes: &[u8], form: Form) -> Result<&'static str, Box<dyn std::error::Error>> {
    let mut options = DisassembleOptions::default();
    options.form = form;
    let mut text = Vec::new();
    disassemble(bytes, &options, &mut text)?;
    let again = assemble(&text, &AssembleOptions::default())?;
    if again == bytes {
        return Ok("the same bytes");
    }
    let mut second = Vec::new();
    disassemble(&again, &options, &mut second)?;
    if second != text {
        return Ok("DIFFERENT");
    }
    Ok(if again.len() < bytes.len() { "the same text, shorter numbers" } else { "DIFFERENT" })
}
