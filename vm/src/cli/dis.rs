//! `brant dis`: bytecode to text.

use std::path::PathBuf;

use brant_asm::{DisassembleError, DisassembleOptions, Form};

use super::exit::{Failure, LOAD};
use super::input::{Input, argument};
use super::options::Format;
use super::output::{Content, Output};

/// Disassembles bytecode into text.
#[derive(clap::Args)]
pub struct DisOptions {
    /// The bytecode; `-` is standard input. A text is assembled first.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Where the text goes (default: standard output).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Operands inside the parentheses of the instruction that takes them.
    #[arg(long, conflicts_with = "flat")]
    folded: bool,

    /// One instruction on a line (the default).
    #[arg(long)]
    flat: bool,

    /// Offsets in the bytecode as comments.
    #[arg(long)]
    offsets: bool,

    /// Numbers instead of the names in the name section.
    #[arg(long)]
    no_names: bool,

    /// Form of the message about bytecode that is wrong.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the verb.
pub fn dis(options: &DisOptions) -> Result<u8, Failure> {
    let mut input = Input::read(&options.file)?;
    if !input.is_bytecode() {
        input.bytes = super::check::assemble(&input, options.format)?;
    }
    let mut settings = DisassembleOptions::default();
    settings.form = if options.folded { Form::Folded } else { Form::Flat };
    settings.offsets = options.offsets;
    settings.names = !options.no_names;
    let mut output = Output::create(options.output.as_deref(), Content::Text)?;
    match brant_asm::disassemble(&input.bytes, &settings, &mut output) {
        Ok(()) => output.finish().map(|()| 0),
        Err(DisassembleError::Write(error)) => Err(error.into()),
        Err(DisassembleError::Malformed { offset, message }) => {
            // The part that could be read is worth showing.
            output.finish()?;
            Err(malformed(&input.name, offset, &message, options.format))
        }
    }
}

fn malformed(name: &str, offset: usize, message: &str, format: Format) -> Failure {
    match format {
        Format::Text => Failure::load(format!("{name}:{offset:#x}: {message}"))
            .with_help(format!("`brant check {}` lists all that is wrong", argument(name))),
        Format::Json => {
            let value = serde_json::json!({
                "file": name, "offset": offset, "message": message, "severity": "error",
            });
            Failure::rendered(LOAD, value.to_string())
        }
    }
}
