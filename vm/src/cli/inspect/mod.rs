//! `brant inspect`: what is in a module or a snapshot.

#[cfg_attr(not(feature = "jit"), path = "without_compiler.rs")]
mod compiled;
mod difference;
mod functions;
mod icode;
mod sites;
mod snapshot;
mod survey;
mod tree;

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use wasmparser::BinaryReaderError;

use super::exit::{Failure, LOAD};
use super::input::{Input, argument, name};
use super::options::Format;
use super::table::{Table, printable};
use super::units::show_bytes;
use super::{check, restore};
use difference::Difference;
use functions::Functions;
use snapshot::View;
use survey::Survey;

/// Says what is in a module: imports, exports, sections, features; or in a snapshot: threads, memory,
/// descriptors.
#[derive(clap::Args)]
pub struct InspectOptions {
    /// Text, bytecode or a snapshot; `-` is standard input (not for snapshots).
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// A second snapshot: shows what changed from the first one to it.
    #[arg(value_name = "SNAPSHOT")]
    other: Option<PathBuf>,

    /// Show where a function can stop, and what its state is there; FUNCTION is an index, a name or
    /// an export, and without it all are shown.
    #[arg(
        long, value_name = "FUNCTION", num_args = 0..=1, require_equals = true,
        default_missing_value = "", group = "view"
    )]
    sites: Option<String>,

    /// Show what the interpreter makes of functions.
    #[arg(
        long, value_name = "FUNCTION", num_args = 0..=1, require_equals = true,
        default_missing_value = "", group = "view"
    )]
    icode: Option<String>,

    /// Show what the compiler makes of functions, in Cranelift's intermediate language.
    #[arg(
        long, value_name = "FUNCTION", num_args = 0..=1, require_equals = true,
        default_missing_value = "", group = "view"
    )]
    clif: Option<String>,

    /// Show the machine code of functions, for this machine, with what it gives up at a stop.
    #[arg(
        long, value_name = "FUNCTION", num_args = 0..=1, require_equals = true,
        default_missing_value = "", group = "view"
    )]
    native: Option<String>,

    /// Form of the report.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the verb.
pub fn inspect(options: &InspectOptions) -> Result<u8, Failure> {
    if let Some(report) = snapshots(options)? {
        std::io::stdout().write_all(report.as_bytes())?;
        return Ok(0);
    }
    let mut input = Input::read(&options.file)?;
    if !input.is_bytecode() {
        input.bytes = check::assemble(&input, options.format)?;
    }
    let format = options.format;
    if let Some(wanted) = &options.sites {
        return sites::sites(&Functions::new(&input)?, wanted, format);
    }
    if let Some(wanted) = &options.icode {
        return icode::icode(&Functions::new(&input)?, wanted, format);
    }
    if let Some(wanted) = &options.clif {
        return compiled::compiled(&Functions::new(&input)?, wanted, compiled::View::Clif, format);
    }
    if let Some(wanted) = &options.native {
        return compiled::compiled(
            &Functions::new(&input)?,
            wanted,
            compiled::View::Native,
            format,
        );
    }
    let survey = Survey::new(&input.bytes)
        .map_err(|error| malformed(&input.name, &error, options.format))?;
    let report = match options.format {
        Format::Text => text(&survey, &input),
        Format::Json => format!("{}\n", value(&survey, &input)),
    };
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(0)
}

/// The report about a snapshot, or about two; none if the first file is none.
fn snapshots(options: &InspectOptions) -> Result<Option<String>, Failure> {
    if !restore::is_snapshot_file(options.file.as_os_str()) {
        return match &options.other {
            None => Ok(None),
            Some(_) => Err(Failure::usage(format!("`{}` is no snapshot", name(&options.file)))
                .with_help("two files are compared if both are snapshots")),
        };
    }
    let view = View::open(&options.file)?;
    let is_text = options.format == Format::Text;
    let Some(other) = &options.other else {
        let report = if is_text { view.text() } else { format!("{}\n", view.json()) };
        return Ok(Some(report));
    };
    let other = View::open(other)?;
    let difference = Difference::new(&view, &other)?;
    let report = if is_text { difference.text() } else { format!("{}\n", difference.json()) };
    Ok(Some(report))
}

fn malformed(name: &str, error: &BinaryReaderError, format: Format) -> Failure {
    let (offset, message) = (error.offset(), error.message());
    match format {
        Format::Text => Failure::load(format!("{name}:{offset:#x}: {message}"))
            .with_help(format!("`brant check {}` lists all that is wrong", argument(name))),
        Format::Json => {
            let value = json!({
                "file": name, "offset": offset, "message": message, "severity": "error",
            });
            Failure::rendered(LOAD, value.to_string())
        }
    }
}

/// Who fills an import.
fn provider(module: &str, name: &str) -> &'static str {
    if brant::provides(module, name) { "brant" } else { "missing" }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn text(survey: &Survey, input: &Input) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let size = input.bytes.len() as u64;
    let round = if size < 1024 { String::new() } else { format!(" ({})", show_bytes(size)) };
    let name = survey.name.as_deref().map(|name| format!(", named {}", printable(name)));
    line(format!("{}: {size} bytes{round}{}", printable(&input.name), name.unwrap_or_default()));
    line(format!("hash      {}", hash(&input.bytes)));
    line(format!("functions {}", survey.functions_count));
    let features: Vec<&str> = survey.features.iter().copied().collect();
    line(match features.as_slice() {
        [] => "features  none beyond wasm1".to_owned(),
        list => format!("features  {}", list.join(", ")),
    });
    for (field, tool) in &survey.producers {
        line(printable(&format!("{field:9} {tool}")));
    }

    let mut sections = Table::new(["section", "offset", "bytes", "entries"]);
    for section in &survey.sections {
        let entries = section.entries_count.map(|count| count.to_string()).unwrap_or_default();
        let offset = format!("{:#x}", section.range.start);
        sections.row([
            section.name.clone(),
            offset,
            (section.range.end - section.range.start).to_string(),
            entries,
        ]);
    }
    line(format!("\n{sections}").trim_end().to_owned());

    let mut imports = Table::new(["import", "kind", "type", "from"]);
    for import in &survey.imports {
        let path = format!("{} {}", import.module, import.name);
        let from = provider(&import.module, &import.name);
        imports.row([path.as_str(), import.item.kind, &import.item.text, from]);
    }
    if !imports.is_empty() {
        line(format!("\n{imports}").trim_end().to_owned());
    }

    let mut exports = Table::new(["export", "kind", "type"]);
    for export in &survey.exports {
        exports.row([export.name.as_str(), export.item.kind, &export.item.text]);
    }
    if !exports.is_empty() {
        line(format!("\n{exports}").trim_end().to_owned());
    }
    out
}

fn value(survey: &Survey, input: &Input) -> Value {
    let sections = survey.sections.iter().map(|section| {
        json!({
            "name": section.name,
            "offset": section.range.start,
            "bytes": (section.range.end - section.range.start),
            "entries": section.entries_count,
        })
    });
    let imports = survey.imports.iter().map(|import| {
        json!({
            "module": import.module,
            "name": import.name,
            "kind": import.item.kind,
            "type": import.item.text,
            "provided": brant::provides(&import.module, &import.name),
        })
    });
    let exports = survey.exports.iter().map(
        |export| json!({ "name": export.name, "kind": export.item.kind, "type": export.item.text }),
    );
    json!({
        "file": input.name,
        "bytes": input.bytes.len(),
        "hash": hash(&input.bytes),
        "name": survey.name,
        "functions": survey.functions_count,
        "features": survey.features,
        "producers": survey.producers,
        "sections": sections.collect::<Vec<_>>(),
        "imports": imports.collect::<Vec<_>>(),
        "exports": exports.collect::<Vec<_>>(),
    })
}
