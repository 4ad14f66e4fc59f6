//! Prints the text of a module: `cargo run --release -p brant-asm --example dis FILE [--folded]`.
//!
//! The command line does the same with more options; this one has nothing around the library, so
//! that it can be measured.

use std::io::{self, Write};

use brant_asm::{DisassembleOptions, Form, disassemble};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = DisassembleOptions::default();
    let mut file = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--folded" => options.form = Form::Folded,
            "--offsets" => options.offsets = true,
            "--no-names" => options.names = false,
            _ => file = Some(argument),
        }
    }
    let bytes = std::fs::read(file.ok_or("a file expected")?)?;
    let mut out = io::stdout().lock();
    disassemble(&bytes, &options, &mut out)?;
    out.flush()?;
    Ok(())
}
