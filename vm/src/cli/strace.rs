//! `brant strace`: the system calls of a program that runs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use brant::control;
use serde_json::json;

use super::control::{failure, parts};
use super::exit::Failure;
use super::input::cause;
use super::options::Format;
use super::table::printable;
use super::watch::groups;

/// Options of `brant strace`.
#[derive(clap::Args)]
pub struct StraceOptions {
    /// The program's number, as `brant ps` shows it, or `ID.PID` for one of its processes and what that
    /// starts. Ctrl-C ends the trace, and the program goes on.
    id: String,

    /// Show calls of these topics alone, separated by commas.
    #[arg(short = 'e', long, value_name = "GROUPS", default_value = "all")]
    trace: String,

    /// Write to a file instead of standard error.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Form of the lines.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the verb: until the program ends, or somebody has seen enough.
pub fn strace(options: &StraceOptions) -> Result<u8, Failure> {
    let (id, pid) = parts(&options.id)?;
    let mut out: Box<dyn Write> = match &options.output {
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(|error| {
            Failure::load(format!("cannot write `{}`: {}", path.display(), cause(&error)))
        })?)),
        None => Box::new(std::io::stderr()),
    };
    let request = json!({ "verb": "trace", "pid": pid, "groups": groups(&options.trace)? });
    let followed = control::follow(id, &request, |answer| {
        // Who reads it may be gone; the next line finds out.
        let _ = match (options.format, answer["lost"].as_u64()) {
            _ if answer["attached"] == true => Ok(()),
            (Format::Json, _) => writeln!(out, "{answer}"),
            (Format::Text, Some(lost)) => writeln!(out, "... {lost} calls went by too fast"),
            (Format::Text, None) => {
                let line = printable(answer["line"].as_str().unwrap_or_default());
                match answer["pid"].as_u64() {
                    Some(pid) if pid != 1 => writeln!(out, "[{pid}] {line}"),
                    _ => writeln!(out, "{line}"),
                }
            }
        };
        let _ = out.flush();
    });
    followed.map(|()| 0).map_err(|error| failure(id, &error))
}
