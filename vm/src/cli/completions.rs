//! `brant completions`: a script for a shell, made from the definition of the command line.

use std::io::Write;

use clap::CommandFactory;

use super::CommandLine;
use super::exit::Failure;

/// Prints a script that completes the command line of a shell.
#[derive(clap::Args)]
pub struct CompletionsOptions {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Runs the verb.
pub fn completions(options: &CompletionsOptions) -> Result<u8, Failure> {
    // The generator panics where its output cannot be written, a closed pipe for instance.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut CommandLine::command(), "brant", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(0)
}
