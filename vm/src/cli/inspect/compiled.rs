//! `brant inspect --clif` and `--native`: what the compiler makes of functions, as `brant run` asks
//! for it on this machine.

use std::io::{self, Write};

use brant_engine::compile::{
    CallKind, CompileError, Compiler, Entry, NativeCall, NativeFunction, Options, RecordPlace,
    RecordSlot, Request, SlotOf, Stops, TrapCause,
};
use brant_jit::{Jit, show};
use serde_json::{Value, json};

use super::super::exit::Failure;
use super::super::options::Format;
use super::super::table::Table;
use super::functions::Functions;

/// How code is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As Cranelift gets it.
    Clif,
    /// As the processor runs it, with what the engine knows of it.
    Native,
}

/// What a run asks for.
const OPTIONS: Options = Options {
    stops: Stops::Usual,
    guarded_memory: cfg!(target_arch = "x86_64"),
    fuel: false,
    canonical_nans: false,
};

/// A function that was compiled to be shown.
struct Shown {
    text: String,
    /// For machine code.
    native: Option<NativeFunction>,
}

/// Writes the functions that `wanted` names, all of them for the empty text.
///
/// A function for which there is no code is no failure: the interpreter runs it.
pub fn compiled(
    functions: &Functions<'_>, wanted: &str, view: View, format: Format,
) -> Result<u8, Failure> {
    let jit = Jit::new().map_err(|error| Failure::usage(error.to_string()))?;
    let module = &functions.module;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for function in functions.select(wanted)? {
        module.validate_body(function).map_err(|error| functions.invalid(&error))?;
        let request = Request { module, function, entry: Entry::Start, options: OPTIONS };
        let shown = compile(&jit, &request, view);
        let start = module.body_offset(function).unwrap_or_default();
        match format {
            Format::Text => text(&mut out, &functions.heading(function), start, &shown)?,
            Format::Json => {
                let mut value = value(view, start, &shown);
                value["function"] = json!(function);
                value["name"] = json!(module.function_name(function));
                writeln!(out, "{value}")?;
            }
        }
    }
    out.flush()?;
    Ok(0)
}

fn compile(jit: &Jit, request: &Request<'_>, view: View) -> Result<Shown, CompileError> {
    Ok(match view {
        View::Clif => Shown { text: show::clif(jit, request)?, native: None },
        View::Native => {
            Shown { text: show::native(jit, request)?, native: Some(jit.compile(request)?) }
        }
    })
}

fn text(
    out: &mut impl Write, heading: &str, start: u64, shown: &Result<Shown, CompileError>,
) -> io::Result<()> {
    match shown {
        Err(error) => writeln!(out, "{heading}: left to the interpreter, {error}\n"),
        Ok(Shown { text, native: None }) => {
            writeln!(out, "{heading}")?;
            text.trim_end().lines().try_for_each(|line| clif_line(out, line, start))?;
            writeln!(out)
        }
        Ok(Shown { text, native: Some(native) }) => {
            writeln!(out, "{heading}: {} bytes of code\n{}\n", native.code.len(), text.trim_end())?;
            let table = side_table(native, start);
            if table.is_empty() { Ok(()) } else { writeln!(out, "{table}") }
        }
    }
}

/// A line of Cranelift's. Its own form has the place of the operator in the body at the left, and wide
/// gaps behind; here the place is that in the module, as in all listings.
fn clif_line(out: &mut impl Write, line: &str, start: u64) -> io::Result<()> {
    const WIDE: &str = "                                ";
    let (place, rest) = match line.strip_prefix('@').and_then(|line| line.split_once(' ')) {
        Some((place, rest)) => (u32::from_str_radix(place, 16).ok(), rest.trim_start()),
        None => match line.strip_prefix(WIDE) {
            Some(rest) if rest.starts_with("block") => return writeln!(out, "{rest}"),
            Some(rest) => (None, rest.trim_start()),
            None => return writeln!(out, "{line}"),
        },
    };
    // The translator's own numbers for calls come behind all operators.
    match place.filter(|&place| place < 1 << 31) {
        Some(place) => writeln!(out, "{:#9x}  {rest}", start + u64::from(place)),
        None => writeln!(out, "{:9}  {rest}", ""),
    }
}

/// What the engine knows of machine code besides its bytes: where it can trap, and where it can stop
/// and what it gives up there.
fn side_table(native: &NativeFunction, start: u64) -> Table<6> {
    let mut rows = Vec::new();
    let operator = |body_offset: u32| format!("{:#x}", start + u64::from(body_offset));
    for trap in &native.traps {
        let none = String::new;
        let (what, operator, site) = match trap.cause {
            TrapCause::Guest(cause) => {
                (format!("trap: {cause}"), operator(trap.body_offset), none())
            }
            TrapCause::Entry => ("stop at the entry".to_owned(), none(), "0".to_owned()),
        };
        rows.push((trap.code_offset, [what, operator, site, none(), none()]));
    }
    for call in &native.calls {
        let what = format!("stop at the {}", kind(call));
        let pad = call.pad_offset.map(|pad| format!("{pad:#x}")).unwrap_or_default();
        let site = call.site.0.to_string();
        rows.push((call.code_offset, [what, operator(call.body_offset), site, pad, state(call)]));
    }
    rows.sort_by_key(|(at, _)| *at);
    let mut table = Table::new(["at", "can", "operator", "site", "pad", "state"]);
    for (at, [what, operator, site, pad, state]) in rows {
        table.row([format!("{at:#x}"), what, operator, site, pad, state]);
    }
    table
}

fn kind(call: &NativeCall) -> &'static str {
    match call.kind {
        CallKind::Function => "call",
        CallKind::TailCall => "tail call",
        CallKind::Operation => "operation",
        CallKind::Poll => "loop",
        CallKind::Fuel => "block",
    }
}

/// Where a stop leaves each local and operand: at an offset of the record, or nowhere, if it is a
/// constant.
fn state(call: &NativeCall) -> String {
    let slots = call.slots.iter().map(|slot| {
        let what = match slot.what {
            SlotOf::Local(index) => format!("local {index}"),
            SlotOf::Operand(index) => format!("operand {index}"),
        };
        match slot.at {
            RecordPlace::Offset(offset) => format!("{what} at {offset}"),
            RecordPlace::Constant([bits, 0]) => format!("{what} = {bits:#x}"),
            RecordPlace::Constant([low, high]) => format!("{what} = {high:#x}{low:016x}"),
        }
    });
    slots.collect::<Vec<_>>().join(", ")
}

fn value(view: View, start: u64, shown: &Result<Shown, CompileError>) -> Value {
    let key = if view == View::Clif { "clif" } else { "native" };
    let Shown { text, native } = match shown {
        Ok(shown) => shown,
        Err(error) => return json!({ key: null, "error": error.to_string() }),
    };
    let Some(native) = native else { return json!({ key: text }) };
    let offset = |body_offset: u32| start + u64::from(body_offset);
    let traps = native.traps.iter().map(|trap| {
        let cause = match trap.cause {
            TrapCause::Guest(cause) => cause.to_string(),
            TrapCause::Entry => "entry".to_owned(),
        };
        json!({ "at": trap.code_offset, "cause": cause, "offset": offset(trap.body_offset) })
    });
    let calls = native.calls.iter().map(|call| {
        json!({
            "at": call.code_offset,
            "kind": kind(call),
            "offset": offset(call.body_offset),
            "site": call.site.0,
            "pad": call.pad_offset,
            "record_bytes": call.record_bytes,
            "slots": call.slots.iter().map(slot_value).collect::<Vec<_>>(),
        })
    });
    json!({
        key: text,
        "code_bytes": native.code.len(),
        "traps": traps.collect::<Vec<_>>(),
        "calls": calls.collect::<Vec<_>>(),
    })
}

fn slot_value(slot: &RecordSlot) -> Value {
    let (what, index) = match slot.what {
        SlotOf::Local(index) => ("local", index),
        SlotOf::Operand(index) => ("operand", index),
    };
    match slot.at {
        RecordPlace::Offset(offset) => json!({ what: index, "at": offset }),
        RecordPlace::Constant(bits) => json!({ what: index, "bits": bits }),
    }
}
