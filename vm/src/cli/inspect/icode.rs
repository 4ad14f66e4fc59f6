//! `brant inspect --icode`: what the interpreter makes of functions.

use std::io::Write;

use brant_engine::{IcodeListing, ShownFunction};
use serde_json::json;

use super::super::exit::Failure;
use super::super::options::Format;
use super::functions::Functions;

/// Writes the functions that `wanted` names, all of them for the empty text.
pub fn icode(functions: &Functions<'_>, wanted: &str, format: Format) -> Result<u8, Failure> {
    let module = &functions.module;
    let listing = IcodeListing::new(module.engine(), module);
    let mut listing = listing.map_err(|error| functions.invalid(&error))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for index in functions.select(wanted)? {
        let shown = listing.function(index).map_err(|error| functions.invalid(&error))?;
        match format {
            Format::Text => write(&mut out, &functions.heading(index), &shown)?,
            Format::Json => {
                let records = shown.records.iter().map(|record| {
                    json!({ "at": record.at_bytes, "offset": record.offset, "text": record.text })
                });
                let value = json!({
                    "function": index,
                    "name": module.function_name(index),
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

fn write(out: &mut impl Write, heading: &str, shown: &ShownFunction) -> std::io::Result<()> {
    writeln!(out, "{heading}: frame of {} slots", shown.frame_bytes / 8)?;
    for record in &shown.records {
        writeln!(out, "{:>6}  {:#7x}  {}", record.at_bytes, record.offset, record.text)?;
    }
    Ok(())
}
