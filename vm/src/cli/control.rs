//! `brant ps`, `pause`, `resume`, `kill`, `tier`: programs that run, seen and steered from outside;
//! and the loop in which a run lets itself be steered.

use std::io::Write;
use std::time::Instant;

use brant::control::{self, CallError, Control, Next};
use brant::{Error, Process};
use serde_json::{Value, json};

#[cfg(feature = "node")]
use super::exit::MOVED;
use super::exit::{Failure, KILLED};
use super::options::{Format, Tier};
use super::table::{Table, printable};
use super::units::show_bytes;

/// Options of `brant ps`.
#[derive(clap::Args)]
pub struct PsOptions {
    /// Form of the listing.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// List the programs of a node: `HOST:PORT` or `unix:PATH`.
    #[cfg(feature = "node")]
    #[arg(value_name = "NODE")]
    node: Option<brant::node::Address>,
}

/// A program that runs.
#[derive(clap::Args)]
pub struct ProgramOptions {
    /// Its number, as `brant ps` shows it; of a program of a node its first digits.
    id: String,

    /// The node that has it, if it is not a `brant run` of this user.
    #[cfg(feature = "node")]
    #[arg(long, value_name = "NODE")]
    node: Option<brant::node::Address>,
}

/// Options of `brant tier`.
#[derive(clap::Args)]
pub struct TierOptions {
    /// The program's number, as `brant ps` shows it.
    id: u32,
    /// How its instructions are executed from now on.
    #[arg(value_enum)]
    tier: Tier,
}

/// Runs a program to its end, and serves those who call on the way.
pub fn attended<T>(
    process: &mut Process, control: &mut Option<Control>,
    mut run: impl FnMut(&mut Process) -> Result<T, Error>,
    was_called: impl Fn(&Result<T, Error>) -> bool,
) -> Result<Result<T, Error>, Failure> {
    let mut left = process.time_limit();
    loop {
        let began = Instant::now();
        let outcome = run(process);
        let Some(control) = control.as_mut().filter(|_| was_called(&outcome)) else {
            return Ok(outcome);
        };
        // Neither being asked nor being paused takes from a limit, or gives it back.
        left = left.map(|time| time.saturating_sub(began.elapsed()));
        #[cfg(feature = "node")]
        if control.has_to_leave() && control.let_leave(process) {
            return Err(Failure::quiet(MOVED));
        }
        if control.serve(process) == Next::Kill {
            return Err(Failure::quiet(KILLED));
        }
        process.set_time_limit(left);
    }
}

/// Runs `brant ps`.
pub fn ps(options: &PsOptions) -> Result<u8, Failure> {
    #[cfg(feature = "node")]
    if let Some(node) = &options.node {
        return super::node::list(node, options.format);
    }
    let all = control::running().map_err(|error| Failure::load(error.to_string()))?;
    let mut out = std::io::stdout();
    if options.format == Format::Json {
        for program in all {
            let value = json!({
                "id": program.id, "program": program.program, "state": program.state,
                "tier": program.tier, "threads": program.threads,
                "memory_bytes": program.memory_bytes, "cpu_ns": program.cpu_ns,
                "uptime_ns": program.uptime_ns,
            });
            writeln!(out, "{value}")?;
        }
        return Ok(0);
    }
    let titles = ["id", "state", "tier", "threads", "memory", "cpu", "uptime", "program"];
    let mut table = Table::new(titles);
    let seconds = |ns: u64| format!("{:.1} s", ns as f64 / 1e9);
    for program in &all {
        table.row([
            &program.id.to_string(),
            &program.state,
            &program.tier,
            &program.threads.to_string(),
            &show_bytes(program.memory_bytes),
            &seconds(program.cpu_ns),
            &seconds(program.uptime_ns),
            &program.program,
        ]);
    }
    write!(out, "{table}")?;
    Ok(0)
}

/// Runs `brant pause`, `brant resume` or `brant kill`.
pub fn steer(verb: &str, options: &ProgramOptions) -> Result<u8, Failure> {
    #[cfg(feature = "node")]
    if let Some(node) = &options.node {
        return super::node::steer(node, &options.id, verb);
    }
    match options.id.parse() {
        Ok(id) => ask(id, &json!({ "verb": verb })),
        Err(_) => Err(Failure::usage(format!("`{}` is no number of a program", options.id))
            .with_help("`brant ps` lists those that run")),
    }
}

/// Runs `brant tier`.
pub fn tier(options: &TierOptions) -> Result<u8, Failure> {
    let tier = match options.tier {
        Tier::Auto => brant::Tier::Auto,
        Tier::Interp => brant::Tier::Interp,
        Tier::Jit => brant::Tier::Jit,
    };
    ask(options.id, &json!({ "verb": "tier", "tier": tier.name() }))
}

fn ask(id: u32, request: &Value) -> Result<u8, Failure> {
    let failure = |error: &CallError| match error {
        CallError::Unknown => Failure::load(format!("no program of this user has the id {id}"))
            .with_help("`brant ps` lists those that run"),
        CallError::Silent => Failure::load(format!("the program {id} does not answer"))
            .with_help("it may wait for the system; signals reach it as any process: `kill`"),
        other => Failure::load(format!("{id}: {}", printable(&other.to_string()))),
    };
    control::ask(id, request).map(|_| 0).map_err(|error| failure(&error))
}
