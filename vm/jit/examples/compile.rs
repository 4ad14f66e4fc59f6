//! Compiles a whole module and says what it took: `compile FILE [FUNCTION [clif|native]]`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use brant_engine::compile::{Compiler, Entry, Options, Request, Stops};
use brant_engine::{Engine, Module};
use brant_jit::{Jit, show};

/// What the functions of a module came to.
#[derive(Default)]
struct Totals {
    functions: usize,
    refused: usize,
    code_bytes: usize,
    traps: usize,
    calls: usize,
    slots: usize,
    slowest: Duration,
}

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let file = args.first().ok_or("usage: compile FILE [FUNCTION [clif|native]]")?;
    let module = Module::new(&Engine::default(), std::fs::read(file)?)?;
    let jit = Jit::new()?;
    let stops = match std::env::var("STOPS").as_deref() {
        Ok("never") => Stops::Never,
        Ok("every") => Stops::Every,
        _ => Stops::Usual,
    };
    let fuel = std::env::var_os("FUEL").is_some();
    let options = Options { stops, guarded_memory: true, fuel, canonical_nans: false };
    let module = &module;
    let request = |function| Request { module, function, entry: Entry::Start, options };
    if let Some(name) = args.get(1) {
        let named = |&i: &u32| module.function_name(i) == Some(name);
        let by_name = (0..module.function_count() as u32).find(named);
        let function = by_name.or_else(|| name.parse().ok()).ok_or("no such function")?;
        let text = match args.get(2).map(String::as_str) {
            Some("clif") => show::clif(&jit, &request(function)),
            _ => show::native(&jit, &request(function)),
        };
        println!("{}", text?);
        return Ok(());
    }
    let mut totals = Totals::default();
    let mut bytecode = 0;
    let start = Instant::now();
    for function in module.imported_functions()..module.function_count() as u32 {
        let begin = Instant::now();
        bytecode += module.body_bytes(function).map_or(0, <[u8]>::len);
        match jit.compile(&request(function)) {
            Ok(native) => {
                totals.functions += 1;
                totals.code_bytes += native.code.len();
                totals.traps += native.traps.len();
                totals.calls += native.calls.len();
                totals.slots += native.calls.iter().map(|call| call.slots.len()).sum::<usize>();
            }
            Err(error) => {
                totals.refused += 1;
                eprintln!("function {function}: {error}");
            }
        }
        totals.slowest = totals.slowest.max(begin.elapsed());
    }
    let time = start.elapsed();
    println!(
        "{} functions, {} refused, {bytecode} bytes of bytecode, {} of code, {} traps, {} calls, \
         {} slots, {time:.2?} (slowest function {:.2?}), {:.2} MB of bytecode a second",
        totals.functions,
        totals.refused,
        totals.code_bytes,
        totals.traps,
        totals.calls,
        totals.slots,
        totals.slowest,
        bytecode as f64 / 1e6 / time.as_secs_f64(),
    );
    Ok(())
}
