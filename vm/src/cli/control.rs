//! `brant ps`, `pause`, `resume`, `kill`, `tier`: programs that run, seen and steered from outside;
//! and the loop in which a run lets itself be steered and written down.

use std::io::Write;
use std::time::Instant;

use brant::control::{self, CallError, Control, Next};
use brant::{Error, ExitStatus, Process, Stopped};
use brant_kernel::processes::signal;
use serde_json::{Value, json};

use super::checkpoint::Checkpoints;
use super::exit::{Failure, KILLED};
use super::options::{Format, Tier};
use super::table::{Table, printable};
use super::tree;
use super::units::show_bytes;

/// Options of `brant ps`.
#[derive(clap::Args)]
pub struct PsOptions {
    /// Form of the listing.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Show the processes of each program as a tree.
    #[arg(long)]
    tree: bool,

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

/// Options of `brant kill`.
#[derive(clap::Args)]
pub struct KillOptions {
    #[command(flatten)]
    program: ProgramOptions,

    /// Send a signal by its name or number instead (`INT`, `TERM`, `STOP`, `CONT`...); `ID.PID` names one
    /// of the processes that `brant ps --tree` shows.
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal_number)]
    signal: Option<u8>,
}

fn signal_number(text: &str) -> Result<u8, String> {
    signal::from_name(text).filter(|number| *number > 0).ok_or_else(|| {
        "write a signal such as INT, TERM, KILL, STOP, CONT, USR1, or its number in WASI".to_owned()
    })
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

/// Who looks after a run: those who call from outside, and what writes its snapshots.
pub struct Attendance {
    pub control: Option<Control>,
    pub checkpoints: Checkpoints,
}

/// How a run ended.
pub enum Ended<T> {
    /// As runs do.
    Outcome(T),
    /// Behind its snapshot, to go on elsewhere.
    Moved,
}

impl Attendance {
    /// Runs a program to its end, serves those who call on the way, and writes snapshots.
    pub fn run<T>(
        &mut self, process: &mut Process, mut run: impl FnMut(&mut Process) -> Result<T, Error>,
        why: impl Fn(&Result<T, Error>) -> Option<Stopped>,
    ) -> Result<Ended<Result<T, Error>>, Failure> {
        self.checkpoints.start(process);
        let mut left = process.time_limit();
        loop {
            let began = Instant::now();
            let outcome = run(process);
            // Neither being asked nor being paused takes from a limit, or gives it back.
            left = left.map(|time| time.saturating_sub(began.elapsed()));
            match why(&outcome) {
                Some(Stopped::Called) => {}
                Some(Stopped::AtSite) => match self.checkpoints.at_site(process) {
                    Ok(false) => {}
                    Ok(true) => return Ok(Ended::Moved),
                    Err(error) => return Ok(Ended::Outcome(Err(error))),
                },
                Some(Stopped::Interrupted) if self.has_to_leave() => {}
                Some(Stopped::Interrupted) if self.checkpoints.interval(process) => {}
                _ => {
                    self.checkpoints.post_mortem(process);
                    return Ok(Ended::Outcome(outcome));
                }
            }
            if self.leaves(process) {
                return Ok(Ended::Moved);
            }
            // Whatever stopped it may have covered a call that came at the same moment.
            match self.control.as_mut().map(|control| control.serve(process)) {
                Some(Next::Kill) => return Err(Failure::quiet(KILLED)),
                Some(Next::End(code)) => return Err(Failure::quiet(code as u8)),
                Some(Next::Moved) => return Ok(Ended::Moved),
                Some(Next::GoOn) | None => {}
            }
            process.set_time_limit(left);
        }
    }
}

#[cfg(feature = "node")]
impl Attendance {
    fn has_to_leave(&self) -> bool {
        self.control.as_ref().is_some_and(Control::has_to_leave)
    }

    /// Lets the program leave for a node, if it is time; says whether it did.
    fn leaves(&mut self, process: &mut Process) -> bool {
        let control = self.control.as_mut().filter(|control| control.has_to_leave());
        control.is_some_and(|control| {
            let behind = control.leaves_pages_behind();
            let guard =
                behind.and_then(|(id, route)| super::elsewhere::end_together(id, route).ok());
            let has_left = control.let_leave(process);
            drop(guard);
            has_left
        })
    }

    /// What has left for a node; the terminal of it stays here. Other commands find the program
    /// where it is.
    pub fn take_left(&mut self) -> Option<control::Left> {
        let left = self.control.as_mut()?.take_left();
        if left.is_some() {
            self.control = None;
        }
        left
    }
}

#[cfg(not(feature = "node"))]
impl Attendance {
    fn has_to_leave(&self) -> bool {
        false
    }

    fn leaves(&mut self, _: &mut Process) -> bool {
        false
    }
}

/// Why a run or a call to the end has stopped, if it has.
pub fn why_stopped(outcome: &Result<ExitStatus, Error>) -> Option<Stopped> {
    match outcome {
        Ok(ExitStatus::Stopped(why)) => Some(*why),
        _ => None,
    }
}

/// Runs `brant ps`.
pub fn ps(options: &PsOptions) -> Result<u8, Failure> {
    #[cfg(feature = "node")]
    if let Some(node) = &options.node {
        return super::node::list(node, options.format);
    }
    let all = control::running().map_err(|error| Failure::load(error.to_string()))?;
    if options.tree {
        return tree::show(&all, options.format);
    }
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

/// Runs `brant kill`.
pub fn kill(options: &KillOptions) -> Result<u8, Failure> {
    let KillOptions { program, signal } = options;
    #[cfg(feature = "node")]
    if program.node.is_some() {
        return match signal {
            None => steer("kill", program),
            Some(_) => Err(Failure::usage("programs of a node are killed as a whole")
                .with_help("leave `--signal` out")),
        };
    }
    let (id, pid) = parts(&program.id)?;
    let Some(signal) = signal.or(pid.map(|_| signal::number::KILL)) else {
        return steer("kill", program);
    };
    if signal == signal::number::KILL && pid.is_none_or(|pid| pid == 1) {
        return ask(id, &json!({ "verb": "kill" }));
    }
    ask(id, &json!({ "verb": "signal", "pid": pid.unwrap_or(1), "signal": signal }))
}

/// The number of a program, and behind a dot that of one of its processes. What is no number may be
/// the name of a program of a node, and is asked for there.
pub fn parts(id: &str) -> Result<(u32, Option<u32>), Failure> {
    let (program, process) = match id.split_once('.') {
        Some((program, process)) => (program, Some(process)),
        None => (id, None),
    };
    let number = |text: &str| {
        text.parse().map_err(|_| {
            Failure::usage(format!("`{id}` is no number of a program or of a process"))
                .with_help("`brant ps --tree` lists those that run")
        })
    };
    Ok((number(program)?, process.map(number).transpose()?))
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
    control::ask(id, request).map(|_| 0).map_err(|error| failure(id, &error))
}

/// Why the program `id` did not do what was asked.
pub fn failure(id: u32, error: &CallError) -> Failure {
    match error {
        CallError::Unknown => Failure::load(format!("no program of this user has the id {id}"))
            .with_help("`brant ps` lists those that run"),
        CallError::Silent => Failure::load(format!("the program {id} does not answer"))
            .with_help("it may wait for the system; signals reach it as any process: `kill`"),
        other => Failure::load(format!(
            "{id}: {}",
            other.to_string().lines().map(printable).collect::<Vec<_>>().join("\n")
        )),
    }
}
