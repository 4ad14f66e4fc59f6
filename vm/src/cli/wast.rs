//! `brant wast`: specification scripts.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use brant::Features;
use brant::wast::{self, Mode, Report};

use super::exit::{Failure, LOAD};
use super::input::{Input, cannot_read};
use super::options::Format;
use super::table::printable;

/// Runs specification scripts.
#[derive(clap::Args)]
pub struct WastOptions {
    /// Scripts, and folders that are searched for `.wast` files; `-` is standard input.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,

    /// How modules are executed.
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    mode: ModeName,

    /// Features the modules may use: `wasm1`, `wasm2` or `all`, then `+name` or `-name`.
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    features: Option<String>,

    /// Form of the report.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// How modules are executed.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ModeName {
    /// By the interpreter.
    #[default]
    Interp,
    /// By compiled code.
    Jit,
    /// By both in turn, with stops at random sites.
    Mixed,
    /// By both in turn, as bytes in between: stopped at random sites, written down, restored.
    Nomad,
}

/// Folders may be nested this deep; links can make a circle.
const FOLDER_DEPTH_LIMIT: usize = 32;

/// Runs the verb: exit code 1 if anything failed.
pub fn wast(options: &WastOptions) -> Result<u8, Failure> {
    let features = match &options.features {
        Some(list) => Features::parse(list).map_err(|error| Failure::usage(error.to_string()))?,
        None => Features::default(),
    };
    let mode = match options.mode {
        ModeName::Interp => Mode::Interp,
        ModeName::Jit => Mode::Jit,
        ModeName::Mixed => Mode::Mixed,
        ModeName::Nomad => Mode::Nomad,
    };
    if mode != Mode::Interp
        && let Some(why) = brant::why_nothing_is_compiled()
    {
        return Err(Failure::usage(format!("nothing can be compiled here: {why}"))
            .with_help("`--mode interp` runs the scripts in the interpreter"));
    }
    let mut scripts = Vec::new();
    for path in &options.paths {
        collect(path, &mut scripts, 0)?;
    }
    if scripts.is_empty() {
        return Err(Failure::load("there is no .wast file in these folders"));
    }
    let mut out = std::io::stdout();
    let (mut passed, mut failed) = (0, 0);
    for path in &scripts {
        let input = Input::read(path)?;
        let report = wast::run(&input.bytes, features, mode);
        passed += report.passed;
        failed += report.failures.len();
        match options.format {
            Format::Text => out.write_all(text(&input.name, &report).as_bytes())?,
            Format::Json => writeln!(out, "{}", json(&input.name, &report))?,
        }
    }
    match options.format {
        Format::Text => writeln!(out, "{passed} passed, {failed} failed")?,
        Format::Json => {
            writeln!(out, "{}", serde_json::json!({ "passed": passed, "failed": failed }))?;
        }
    }
    Ok(if failed == 0 { 0 } else { LOAD })
}

/// The scripts below a path, by name.
fn collect(path: &Path, scripts: &mut Vec<PathBuf>, depth: usize) -> Result<(), Failure> {
    if !path.is_dir() {
        scripts.push(path.to_owned());
        return Ok(());
    }
    if depth > FOLDER_DEPTH_LIMIT {
        return Err(Failure::load(format!("`{}` is nested too deeply", path.display())));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| cannot_read(path, &error))? {
        entries.push(entry.map_err(|error| cannot_read(path, &error))?.path());
    }
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|ending| ending == "wast") {
            collect(&entry, scripts, depth + 1)?;
        }
    }
    Ok(())
}

/// One line, and one more for each failure.
fn text(name: &str, report: &Report) -> String {
    let name = printable(name);
    let mut text = format!("{name}: {} passed", report.passed);
    match report.failures.len() {
        0 => {}
        count => text.push_str(&format!(", {count} failed")),
    }
    text.push('\n');
    for failure in &report.failures {
        text.push_str(&format!("  {name}:{}\n", printable(&failure.to_string())));
    }
    text
}

fn json(name: &str, report: &Report) -> serde_json::Value {
    let failures: Vec<_> = report
        .failures
        .iter()
        .map(|failure| {
            serde_json::json!({
                "line": failure.line, "column": failure.column, "message": failure.message,
            })
        })
        .collect();
    serde_json::json!({ "file": name, "passed": report.passed, "failures": failures })
}
