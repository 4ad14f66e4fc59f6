//! `brant limit`: how much a program that runs may have, and how much it has.

use std::io::Write;

use brant::control;
use serde_json::{Map, Value, json};

use super::control::{failure, parts};
use super::exit::Failure;
use super::options::Format;
use super::table::Table;
use super::units;

/// Options of `brant limit`.
#[derive(clap::Args)]
pub struct LimitOptions {
    /// The program's number, as `brant ps` shows it. A limit is that of all of its processes.
    id: String,

    /// `memory=SIZE`, `processes=COUNT`, `descriptors=COUNT` (of each process), `disk=SIZE` (bytes
    /// written), `cpu=PERCENT` (200% are two processors); none to look at what holds.
    #[arg(value_name = "LIMIT", value_parser = limit)]
    limits: Vec<(String, u64)>,

    /// Form of the listing.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Parses `NAME=VALUE`.
fn limit(text: &str) -> Result<(String, u64), String> {
    const HINT: &str =
        "write memory=SIZE, processes=COUNT, descriptors=COUNT, disk=SIZE or cpu=PERCENT";
    let (name, value) = text.split_once('=').ok_or(HINT)?;
    let value = match name {
        "memory" | "disk" => units::bytes(value)?,
        "processes" | "descriptors" => units::count(value)?,
        "cpu" => units::percent(value)?,
        _ => return Err(HINT.to_owned()),
    };
    Ok((name.to_owned(), value))
}

/// Runs the verb.
pub fn limit_program(options: &LimitOptions) -> Result<u8, Failure> {
    let (id, process) = parts(&options.id)?;
    if process.is_some() {
        return Err(Failure::usage("limits hold for a program with all of its processes")
            .with_help(format!("`brant limit {id}`")));
    }
    let mut request = Map::from_iter([("verb".to_owned(), json!("limit"))]);
    request.extend(options.limits.iter().map(|(name, value)| (name.clone(), json!(value))));
    let answer = control::ask(id, &Value::Object(request)).map_err(|error| failure(id, &error))?;
    let mut out = std::io::stdout();
    if options.format == Format::Json {
        writeln!(out, "{answer}")?;
        return Ok(0);
    }
    let mut table = Table::new(["limit", "used", "of"]);
    for (name, is_bytes) in
        [("memory", true), ("processes", false), ("descriptors", false), ("disk", true)]
    {
        let show = |value: &Value| match (value.as_u64(), is_bytes) {
            (Some(u64::MAX) | None, _) => "no limit".to_owned(),
            (Some(bytes), true) => units::show_bytes(bytes),
            (Some(count), false) => count.to_string(),
        };
        table.row([name, &show(&answer[name]["used"]), &show(&answer[name]["limit"])]);
    }
    let share = answer["cpu"]["limit"].as_u64();
    table.row(["cpu", "", &share.map_or("no limit".to_owned(), |share| format!("{share} %"))]);
    write!(out, "{table}")?;
    Ok(0)
}
