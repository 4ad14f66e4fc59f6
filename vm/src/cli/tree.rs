//! `brant ps --tree`: programs, and the processes that they have made.

use std::io::Write;

use brant::control::{self, RunningProgram};
use serde_json::{Value, json};

use super::exit::Failure;
use super::options::Format;
use super::table::{Table, printable};
use super::units::show_bytes;

/// No tree is deeper than it has processes; a table that says so is cut here.
const DEEPEST: usize = 1000;

/// Shows all processes of all programs.
pub fn show(all: &[RunningProgram], format: Format) -> Result<u8, Failure> {
    let mut out = std::io::stdout();
    let titles = ["id", "group", "state", "threads", "memory", "cpu", "program"];
    let mut table = Table::new(titles);
    for program in all {
        // One that has ended meanwhile has none.
        let answer = control::ask(program.id, &json!({ "verb": "processes" })).unwrap_or_default();
        let rows = answer["processes"].as_array().cloned().unwrap_or_default();
        if format == Format::Json {
            let value = json!({
                "id": program.id, "program": program.program, "state": program.state,
                "processes": rows,
            });
            writeln!(out, "{value}")?;
            continue;
        }
        // A program that cannot have others is its own only process.
        let state = if program.state == "running" { "runs" } else { &program.state };
        if rows.is_empty() {
            table.row([
                &program.id.to_string(),
                "",
                state,
                &program.threads.to_string(),
                &show_bytes(program.memory_bytes),
                &seconds(program.cpu_ns),
                &program.program,
            ]);
        }
        branch(&mut table, program, &rows, 0, 0);
    }
    write!(out, "{table}")?;
    Ok(0)
}

/// Adds the children of a process, each with its own below it.
fn branch(
    table: &mut Table<7>, program: &RunningProgram, rows: &[Value], parent: u64, depth: usize,
) {
    let children = rows.iter().filter(|row| row["parent"].as_u64() == Some(parent));
    for row in children.take(if depth > DEEPEST { 0 } else { usize::MAX }) {
        let number = |name: &str| row[name].as_u64().unwrap_or(0);
        let text = |name: &str| row[name].as_str().map(printable).unwrap_or_default();
        let pid = number("pid");
        let state = match program.state.as_str() {
            "running" => text("state"),
            other => other.to_owned(),
        };
        let indent = match depth {
            0 => String::new(),
            depth => format!("{}\u{2514} ", "  ".repeat(depth - 1)),
        };
        table.row([
            &format!("{}.{pid}", program.id),
            &number("group").to_string(),
            &state,
            &number("threads").to_string(),
            &show_bytes(number("memory_bytes")),
            &seconds(number("busy_ns")),
            &format!("{indent}{}", text("program")),
        ]);
        branch(table, program, rows, pid, depth + 1);
    }
}

fn seconds(ns: u64) -> String {
    format!("{:.1} s", ns as f64 / 1e9)
}
