//! What compiling a module takes, function by function: `compile_times [--loops] [--never-stops]
//! [--without NAME,NAME] [--only FUNCTION] [--top N] FILE`.
//!
//! Each function is compiled five times on one thread and the least time counts. Printed are the
//! functions that take longest, then the whole module. With `--loops` what counts is code that begins
//! at each loop, too.

use std::time::{Duration, Instant};

use brant_engine::compile::{CallKind, Compiler, Entry, NativeCall, Options, Request, Stops};
use brant_engine::site::{SiteKind, Sites};
use brant_engine::{Engine, Module};
use brant_jit::{Jit, Tuning};

const USUAL: Options =
    Options { stops: Stops::Usual, guarded_memory: true, fuel: false, canonical_nans: false };

/// The least of so many times counts.
const TURNS: usize = 5;

struct Made {
    function: u32,
    entry: Entry,
    body_bytes: usize,
    code_bytes: usize,
    /// What comes before the first block that is for stops alone: nothing that runs while nobody stops
    /// it lies behind.
    hot_bytes: usize,
    calls: usize,
    took: Duration,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).peekable();
    let (mut tuning, mut top, mut loops) = (Tuning::ALL, 10, false);
    let (mut options, mut only) = (USUAL, None);
    while let Some(option) = args.next_if(|arg| arg.starts_with("--")) {
        match option.as_str() {
            "--loops" => loops = true,
            "--never-stops" => options.stops = Stops::Never,
            "--only" => only = Some(args.next().ok_or("--only has no value")?.parse()?),
            "--top" => top = args.next().ok_or("--top has no value")?.parse()?,
            "--without" => {
                for name in args.next().ok_or("--without has no value")?.split(',') {
                    if !tuning.leave_out(name) {
                        return Err(format!("{name} is none of {:?}", Tuning::NAMES).into());
                    }
                }
            }
            _ => return Err(format!("{option} is unknown").into()),
        }
    }
    let file = args
        .next()
        .ok_or("usage: compile_times [--loops] [--never-stops] [--only FUNCTION] [--top N] FILE")?;
    let module = Module::new(&Engine::default(), std::fs::read(&file)?)?;
    let jit = Jit::with(tuning)?;
    let mut all = Vec::new();
    for function in module.imported_functions()..module.function_count() as u32 {
        if only.is_some_and(|only: u32| only != function) {
            continue;
        }
        let mut entries = vec![Entry::Start];
        if let (true, Ok(sites)) = (loops, Sites::of(&module, function)) {
            let headers = sites.iter().filter(|(_, site)| site.kind == SiteKind::Loop);
            entries.extend(headers.map(|(id, _)| Entry::Loop(id)));
        }
        for entry in entries {
            all.extend(measured(&jit, &Request { module: &module, function, entry, options }));
        }
    }
    all.sort_by_key(|made| std::cmp::Reverse(made.took));
    println!(
        "{:>9} {:>10} {:>9} {:>9} {:>6} {:>9}",
        "function", "ms", "body", "code", "calls", "ns/byte"
    );
    for made in all.iter().take(top) {
        let entry = match made.entry {
            Entry::Start => String::new(),
            Entry::Loop(site) => format!(" at site {}", site.0),
        };
        println!(
            "{:>9} {:>10.3} {:>9} {:>9} {:>6} {:>9.0}{entry}",
            made.function,
            1000.0 * made.took.as_secs_f64(),
            made.body_bytes,
            made.code_bytes,
            made.calls,
            made.took.as_nanos() as f64 / made.body_bytes as f64,
        );
    }
    let total: Duration = all.iter().map(|made| made.took).sum();
    let body_bytes: usize = all.iter().map(|made| made.body_bytes).sum();
    let code_bytes: usize = all.iter().map(|made| made.code_bytes).sum();
    let hot_bytes: usize = all.iter().map(|made| made.hot_bytes).sum();
    println!(
        "all {}: {:.1} ms, {body_bytes} bytes, {code_bytes} bytes of code, {hot_bytes} of them before \
         stops, {:.0} ns/byte",
        all.len(),
        1000.0 * total.as_secs_f64(),
        total.as_nanos() as f64 / body_bytes.max(1) as f64
    );
    Ok(())
}

/// Compiles what is asked for; nothing where the compiler refuses.
fn measured(jit: &Jit, request: &Request<'_>) -> Option<Made> {
    let mut took = Duration::MAX;
    let mut native = None;
    for _ in 0..TURNS {
        let began = Instant::now();
        native = Some(jit.compile(request).ok()?);
        took = took.min(began.elapsed());
    }
    let native = native?;
    let first_cold = native.calls.iter().filter_map(cold_offset).min();
    Some(Made {
        function: request.function,
        entry: request.entry,
        body_bytes: request.module.body_bytes(request.function).unwrap_or_default().len(),
        code_bytes: native.code.len(),
        hot_bytes: first_cold.map_or(native.code.len(), |cold| cold as usize),
        calls: native.calls.len(),
        took,
    })
}

/// What a poll's block has in front of its return address: one call through memory, of at most so
/// many bytes.
const POLL_BYTES: u32 = 8;

/// Where the block begins that a stop at a call goes through: the call's pad, or the block behind a
/// loop's look.
fn cold_offset(call: &NativeCall) -> Option<u32> {
    match call.kind {
        CallKind::Poll => Some(call.code_offset.saturating_sub(POLL_BYTES)),
        _ => call.pad_offset,
    }
}
