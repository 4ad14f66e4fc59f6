//! `brant top`: a live view of the programs of this user, which can be steered from there.
//!
//! ```text
//! view.rs     what is shown, as a value; what keys do to it; how it is drawn
//! screen.rs   the terminal, which is given back whatever happens
//! ```

mod screen;
mod view;

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use brant::control::{self, RunningProgram};
use serde_json::json;

use super::exit::Failure;
use super::options::Format;
use super::units;
use screen::Screen;
use view::{Row, Verb, View, Wish};

/// What stands behind the options.
pub const AFTER_HELP: &str = "\
Keys: up and down choose a program; p pauses it, r lets it go on, k kills it (once more: y);
i, n, s, t, m, c, u sort by id, name, state, threads, memory, CPU and uptime, once more turns the
order around; q ends.

CPU is the part of one core that a program took since the last look; in a table that is printed once
it is its share since it began.";

/// Options of `brant top`.
#[derive(clap::Args)]
pub struct TopOptions {
    /// Print one table and end, as is done where the output is no terminal.
    #[arg(long)]
    once: bool,

    /// Form of what is printed once; `json` implies `--once`.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// How often to look.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    every: Duration,
}

/// Looking more often would itself be what is seen.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);

/// Runs `brant top`.
pub fn top(options: &TopOptions) -> Result<u8, Failure> {
    let is_live = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if options.once || options.format == Format::Json || !is_live {
        return print(options.format);
    }
    live(options.every.max(SHORTEST_LOOK))
}

fn look() -> Result<Vec<RunningProgram>, Failure> {
    control::running().map_err(|error| Failure::load(error.to_string()))
}

/// Prints one table.
fn print(format: Format) -> Result<u8, Failure> {
    let mut view = View::default();
    view.take(rows(&look()?, None));
    let mut out = std::io::stdout();
    if format == Format::Json {
        for row in view.rows() {
            let value = json!({
                "id": row.id, "program": row.program, "state": row.state, "tier": row.tier,
                "threads": row.threads, "memory_bytes": row.memory_bytes,
                "cpu_percent": row.cpu_percent, "uptime_ns": row.uptime_ns,
            });
            writeln!(out, "{value}")?;
        }
        return Ok(0);
    }
    write!(out, "{}", view.table())?;
    Ok(0)
}

/// The programs as rows; `before` is what was seen so long ago.
fn rows(now: &[RunningProgram], before: Option<(&[RunningProgram], Duration)>) -> Vec<Row> {
    let row = |program: &RunningProgram| {
        let earlier = before
            .and_then(|(all, time)| Some((all.iter().find(|other| other.id == program.id)?, time)));
        let (cpu_ns, time_ns) = match earlier {
            Some((earlier, time)) => {
                (program.cpu_ns.saturating_sub(earlier.cpu_ns), time.as_nanos() as u64)
            }
            None => (program.cpu_ns, program.uptime_ns),
        };
        Row {
            id: program.id,
            program: program.program.clone(),
            state: program.state.clone(),
            tier: program.tier.clone(),
            threads: program.threads,
            memory_bytes: program.memory_bytes,
            cpu_percent: cpu_ns as f64 * 100.0 / time_ns.max(1) as f64,
            uptime_ns: program.uptime_ns,
        }
    };
    now.iter().map(row).collect()
}

/// Shows what runs until somebody has seen enough.
fn live(every: Duration) -> Result<u8, Failure> {
    let mut seen = look()?;
    let mut view = View::default();
    view.take(rows(&seen, None));
    let mut screen = Screen::open()?;
    let mut seen_at = Instant::now();
    loop {
        screen.draw(&view)?;
        let left = every.saturating_sub(seen_at.elapsed());
        let keys = screen.keys(left)?;
        let is_pressed = !keys.is_empty();
        for key in keys {
            match view.press(key) {
                Some(Wish::End) => return Ok(0),
                Some(Wish::Steer(id, verb)) => steer(&mut view, id, verb),
                None => {}
            }
        }
        if is_pressed && seen_at.elapsed() < every {
            continue;
        }
        let now = look()?;
        let time = seen_at.elapsed();
        view.take(rows(&now, Some((&seen, time))));
        (seen, seen_at) = (now, Instant::now());
    }
}

fn steer(view: &mut View, id: u32, verb: Verb) {
    let asked = control::ask(id, &json!({ "verb": verb.name() }));
    view.say(match asked {
        Ok(_) => format!("{} {id}", verb.name()),
        Err(error) => format!("{} {id}: {error}", verb.name()),
    });
}
