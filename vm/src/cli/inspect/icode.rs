//! `brant inspect --icode`: what the interpreter makes of functions.

use std::io::Write;

use brant_engine::{Engine, IcodeListing, Module, ShownFunction};
use serde_json::json;

use super::super::exit::Failure;
use super::super::input::{Input, argument};
use super::super::options::Format;
use super::super::table::printable;

/// Writes the functions that `wanted` names, all of them for the empty text.
pub fn icode(input: &Input, wanted: &str, format: Format) -> Result<u8, Failure> {
    let invalid = |error: &dyn std::fmt::Display| {
        Failure::load(format!("{}: {error}", input.name))
            .with_help(format!("`brant check {}` shows all that is wrong", argument(&input.name)))
    };
    let engine = Engine::default();
    let module = Module::lazy(&engine, input.bytes.clone()).map_err(|error| invalid(&error))?;
    let mut listing = IcodeListing::new(&engine, &module).map_err(|error| invalid(&error))?;
    let functions = match wanted {
        "" => listing.functions(),
        wanted => {
            let index = find(&listing, &module, wanted).ok_or_else(|| unknown(&module, wanted))?;
            index..index + 1
        }
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for index in functions {
        let shown = listing.function(index).map_err(|error| invalid(&error))?;
        let name = module.function_name(index);
        match format {
            Format::Text => write(&mut out, index, name, &shown)?,
            Format::Json => {
                let records = shown.records.iter().map(|record| {
                    json!({ "at": record.at_bytes, "offset": record.offset, "text": record.text })
                });
                let value = json!({
                    "function": index,
                    "name": name,
                    "frame_bytes": shown.frame_bytes,
                    "icode_bytes": shown.icode_bytes,
                    "records": records.collect::<Vec<_>>(),
                });
                writeln!(out, "{value}")?;
            }
        }
    }
    out.flush()?;
    Ok(0)
}

fn write(
    out: &mut impl Write, index: u32, name: Option<&str>, shown: &ShownFunction,
) -> std::io::Result<()> {
    let name = name.map(|name| format!(" ${}", printable(name))).unwrap_or_default();
    let slots_count = shown.frame_bytes / 8;
    writeln!(out, "function {index}{name}: frame of {slots_count} slots")?;
    for record in &shown.records {
        writeln!(out, "{:>6}  {:#7x}  {}", record.at_bytes, record.offset, record.text)?;
    }
    Ok(())
}

/// A function by its index, its name, or the name of its export.
fn find(listing: &IcodeListing, module: &Module, wanted: &str) -> Option<u32> {
    if let Ok(index) = wanted.parse() {
        return Some(index).filter(|index| listing.functions().contains(index));
    }
    let name = wanted.strip_prefix('$').unwrap_or(wanted);
    let named = (0..module.function_count() as u32)
        .find(|&index| module.function_name(index) == Some(name));
    named.or_else(|| listing.exported(name))
}

fn unknown(module: &Module, wanted: &str) -> Failure {
    let names: Vec<&str> = (0..module.function_count() as u32)
        .filter_map(|index| module.function_name(index))
        .collect();
    let near = names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .filter(|(distance, _)| *distance <= 3 && wanted.parse::<u32>().is_err())
        .min();
    let failure = Failure::usage(format!("there is no function `{wanted}`"));
    match near {
        Some((_, name)) => failure.with_help(format!("did you mean `{name}`?")),
        None => failure.with_help("give an index, a name or the name of an export"),
    }
}
