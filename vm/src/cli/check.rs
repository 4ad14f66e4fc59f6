//! `brant check`: everything that is wrong with a module, and nothing else.

use std::path::{Path, PathBuf};

use brant::Features;
use brant_asm::{AssembleOptions, CheckOptions as Settings, Diagnostics};

use super::exit::{Failure, LOAD};
use super::input::Input;
use super::options::Format;
use super::output;

/// Parses and validates modules.
#[derive(clap::Args)]
pub struct CheckOptions {
    /// Text or bytecode; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Features the modules may use: `wasm1`, `wasm2` or `all`, then `+name` or `-name`.
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    features: Option<String>,

    /// Form of the messages.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the verb.
pub fn check(options: &CheckOptions) -> Result<u8, Failure> {
    let mut settings = Settings::default();
    if let Some(list) = &options.features {
        settings.features =
            Features::parse(list).map_err(|error| Failure::usage(error.to_string()))?.into();
    }
    let mut code = 0;
    for path in &options.files {
        if let Err(failure) = check_file(path, &settings, options.format) {
            eprint!("{failure}");
            code = failure.code;
        }
    }
    Ok(code)
}

fn check_file(path: &Path, settings: &Settings, format: Format) -> Result<(), Failure> {
    let input = Input::read(path)?;
    let bytes = brant::skip_interpreter_line(&input.bytes);
    brant_asm::check(&bytes, settings).map_err(|diagnostics| report(&diagnostics, &input, format))
}

/// The bytecode of a text.
pub fn assemble(input: &Input, format: Format) -> Result<Vec<u8>, Failure> {
    let text = brant::skip_interpreter_line(&input.bytes);
    brant_asm::assemble(&text, &AssembleOptions::default())
        .map_err(|diagnostics| report(&diagnostics, input, format))
}

/// Diagnostics as a failure.
pub fn report(diagnostics: &Diagnostics, input: &Input, format: Format) -> Failure {
    let text = match format {
        Format::Text => diagnostics.render(&input.name, &input.bytes, output::color_on_stderr()),
        Format::Json => diagnostics.to_json(&input.name, &input.bytes),
    };
    Failure::rendered(LOAD, text)
}
