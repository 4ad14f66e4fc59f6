//! `brant compile`: all functions of a module, compiled and kept before anybody runs it.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use brant::{CodeCache, Config, Engine};
use serde_json::json;

use super::exit::Failure;
use super::options::{Format, RunOptions};
use super::units::show_bytes;
use super::{cache, run};
use std::sync::Arc;

/// Compiles a module and keeps the code, so that every run of it finds all of it.
#[derive(clap::Args)]
pub struct CompileOptions {
    /// The program, bytecode or text.
    #[arg(value_name = "FILE")]
    file: OsString,

    /// For runs with `--fuel`, whose code is another one.
    #[arg(long)]
    fuel: bool,

    /// For runs with `--deterministic`, whose code is another one.
    #[arg(long)]
    deterministic: bool,

    /// Features the module may use: `wasm1`, `wasm2` or `all`, then `+name` or `-name`.
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    features: Option<String>,

    /// Form of the summary.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the verb.
pub fn compile(options: &CompileOptions) -> Result<u8, Failure> {
    let run_options = RunOptions {
        fuel: options.fuel.then_some(0),
        deterministic: options.deterministic,
        features: options.features.clone(),
        format: options.format,
        ..RunOptions::plain(vec![options.file.clone()])
    };
    let cache: Arc<CodeCache> = Arc::new(cache::open()?);
    let config = Config { code_store: Some(cache.clone()), ..run::config(&run_options)? };
    let engine = Engine::new(&config).map_err(|error| Failure::usage(error.to_string()))?;
    let module = run::load(&engine, &options.file, &run_options)?;

    let began = Instant::now();
    let progress = Progress::new();
    let ahead = module.compile_ahead(&|done, all| progress.show(done, all));
    progress.clear();
    let ahead = ahead.ok_or_else(|| Failure::load("this build of brant has no compiler"))?;
    let counts = engine.code_counts();
    let wall_ns = began.elapsed().as_nanos() as u64;
    let mut out = std::io::stdout();
    if options.format == Format::Json {
        let value = json!({
            "functions": ahead.functions, "found": ahead.found, "compiled": counts.compiled,
            "refused": ahead.refused(&counts), "code_bytes": counts.code_bytes,
            "compile_ns": counts.compile_ns, "wall_ns": wall_ns,
        });
        writeln!(out, "{value}")?;
        return Ok(0);
    }
    writeln!(
        out,
        "{} functions: {} compiled ({} of code), {} were there, {} left to the interpreter",
        ahead.functions,
        counts.compiled,
        show_bytes(counts.code_bytes),
        ahead.found,
        ahead.refused(&counts),
    )?;
    Ok(0)
}

/// How far it is, on a terminal.
struct Progress {
    is_shown: bool,
    /// The last percentage that was written.
    percent: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self { is_shown: std::io::stderr().is_terminal(), percent: AtomicU64::new(u64::MAX) }
    }

    /// Called by several threads.
    fn show(&self, done_bytes: u64, all_bytes: u64) {
        let percent = done_bytes * 100 / all_bytes.max(1);
        if self.is_shown && self.percent.swap(percent, Ordering::Relaxed) != percent {
            // Nobody is told that a terminal is gone.
            let _ = write!(std::io::stderr(), "\rcompiling: {percent:3} %");
        }
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
