//! `brant asm`: text to bytecode.

use std::io::Write;
use std::path::PathBuf;

use brant_asm::AssembleOptions;

use super::check;
use super::exit::Failure;
use super::input::Input;
use super::options::Format;
use super::output::{Content, Output};

/// Assembles text into bytecode.
#[derive(clap::Args)]
pub struct AsmOptions {
    /// The text; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Where the bytecode goes (default: standard output).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Leave out the names that identifiers of the text give.
    #[arg(long)]
    strip_names: bool,

    /// Form of the messages about a text that is wrong.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the verb.
pub fn asm(options: &AsmOptions) -> Result<u8, Failure> {
    let input = Input::read(&options.file)?;
    if input.is_bytecode() {
        return Err(Failure::load(format!("`{}` is bytecode already", input.name))
            .with_help(format!("its text: `brant dis {}`", options.file.display())));
    }
    let mut settings = AssembleOptions::default();
    settings.strip_names = options.strip_names;
    let text = brant::skip_interpreter_line(&input.bytes);
    let bytes = brant_asm::assemble(&text, &settings)
        .map_err(|diagnostics| check::report(&diagnostics, &input, options.format))?;
    let mut output = Output::create(options.output.as_deref(), Content::Bytecode)?;
    output.write_all(&bytes)?;
    output.finish()?;
    Ok(0)
}
