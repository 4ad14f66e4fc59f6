//! `brant doctor`: what this machine offers, and what falls back to what.

use std::io::Write;

use brant_host::native::doctor::{self, Finding, Standing};

use super::exit::{Failure, LOAD};
use super::options::Format;
use super::table::Table;

/// Says what this kernel and machine support.
#[derive(clap::Args)]
pub struct DoctorOptions {
    /// Form of the report.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the verb: exit code 1 if something is missing that nothing replaces.
pub fn doctor(options: &DoctorOptions) -> Result<u8, Failure> {
    let mut findings = doctor::examine();
    findings.push(compiler());
    findings.push(write_tracking());
    let text = match options.format {
        Format::Text => text(&findings),
        Format::Json => json(&findings),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    let missing = findings.iter().any(|finding| finding.standing == Standing::Missing);
    Ok(if missing { LOAD } else { 0 })
}

/// Whether programs can be compiled here.
fn compiler() -> Finding {
    let (standing, found) = match brant::why_nothing_is_compiled() {
        None => (Standing::Good, format!("for {}", std::env::consts::ARCH)),
        Some(why) => (Standing::Fallback, why),
    };
    let meaning = "turns what runs often into machine code; \
                   without it everything is interpreted, and `--tier jit` is refused";
    Finding { name: "compiler", standing, found, meaning }
}

/// How writes of programs that move are noticed while they run.
fn write_tracking() -> Finding {
    #[cfg(feature = "node")]
    let chosen = brant::node::write_tracking();
    #[cfg(not(feature = "node"))]
    let chosen = brant_engine::WriteTracking::best();
    let (standing, found) = match chosen {
        Some(brant_engine::WriteTracking::Asynchronous) => (Standing::Good, "asynchronous"),
        Some(way) => (Standing::Fallback, way.name()),
        None => (Standing::Fallback, "none"),
    };
    let meaning = "how it is noticed what a program writes while it moves: by the kernel alone \
                   (asynchronous), by a fault at each first write (synchronous, protection), or \
                   not at all, so that the program stands while its memory is sent";
    Finding { name: "write-tracking", standing, found: found.to_owned(), meaning }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Good => "good",
        Standing::Fallback => "fallback",
        Standing::Missing => "missing",
    }
}

fn text(findings: &[Finding]) -> String {
    let mut table = Table::new(["what", "standing", "found"]);
    for Finding { name, standing, found, .. } in findings {
        table.row([name, word(*standing), found]);
    }
    let mut text = table.to_string();
    // What is good needs no explanation; `--format json` has it all the same.
    for Finding { name, meaning, .. } in
        findings.iter().filter(|one| one.standing != Standing::Good)
    {
        text.push_str(&format!("\n{name}: {meaning}\n"));
    }
    text
}

fn json(findings: &[Finding]) -> String {
    let list: Vec<_> = findings
        .iter()
        .map(|Finding { name, standing, found, meaning }| {
            serde_json::json!({
                "name": name, "standing": word(*standing), "found": found, "meaning": meaning,
            })
        })
        .collect();
    format!("{}\n", serde_json::Value::from(list))
}
