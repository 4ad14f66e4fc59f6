//! Runs generated modules in brant and in wasmi and compares what they do:
//! `cargo run --release --example smith -- --count 100000 --seed 1`.
//!
//! Each number from the seed on is a module of its own, so a difference is shown again with
//! `--count 1 --seed NUMBER`, and `--write FILE` keeps that module. `--read FILE --seed NUMBER`
//! compares on a module of yours, such as a smaller one. `--tiers` compares the interpreter with
//! compiled code instead, frame by frame.

#[path = "../tests/differential/mod.rs"]
mod differential;

use std::time::Instant;

use differential::{Compared, Mode};

struct Options {
    count: u64,
    seed: u64,
    write: Option<String>,
    read: Option<String>,
    tiers: bool,
    /// None for one by chance, by the seed.
    mode: Option<Mode>,
}

fn main() {
    let options = options().unwrap_or_else(|error| {
        eprintln!(
            "{error}\nusage: smith [--count N] [--seed S] [--tiers] [--write FILE] [--read FILE] \
                    [--mode guarded|checked|fuel|slices|jit|jitslices|mixed|nomad]"
        );
        std::process::exit(2);
    });
    if let Some(file) = &options.read {
        return read(file, &options);
    }
    let started = Instant::now();
    let mut all = Compared::default();
    let (mut modules, mut different, mut stops) = (0u64, 0u64, 0u64);
    for number in options.seed..options.seed + options.count {
        let Some(bytes) = differential::module(&differential::data(number)) else { continue };
        if let Some(file) = &options.write
            && let Err(error) = std::fs::write(file, &bytes)
        {
            eprintln!("{file}: {error}");
            std::process::exit(1);
        }
        modules += 1;
        if options.tiers {
            match differential::exchange(&bytes, number) {
                Ok(exchanged) => {
                    all.calls_count += exchanged.calls_count;
                    stops += exchanged.stops_count;
                }
                Err(what) => {
                    different += 1;
                    println!("--tiers --seed {number} --count 1: {what}");
                }
            }
            continue;
        }
        match compare(&bytes, number, options.mode) {
            Ok(compared) => all += compared,
            Err(what) => {
                different += 1;
                println!("--seed {number} --count 1: {what}");
            }
        }
    }
    if options.tiers {
        println!(
            "{modules} modules, {} calls, {stops} stops with equal frames that were exchanged, \
             {different} modules differ, {} s",
            all.calls_count,
            started.elapsed().as_secs()
        );
        std::process::exit(i32::from(different > 0));
    }
    let Compared { calls_count, traps_count, moves_count, open_count } = all;
    println!(
        "{modules} modules, {calls_count} calls, {traps_count} of them trapped, {moves_count} moves, \
         {open_count} say nothing, {different} modules differ, {} s",
        started.elapsed().as_secs()
    );
    std::process::exit(i32::from(different > 0));
}

fn compare(bytes: &[u8], seed: u64, mode: Option<Mode>) -> Result<Compared, String> {
    match mode {
        Some(mode) => differential::compare_in(mode, bytes, seed),
        None => differential::compare(bytes, seed),
    }
}

/// Compares on one module.
fn read(file: &str, options: &Options) {
    let bytes = std::fs::read(file).unwrap_or_else(|error| {
        eprintln!("{file}: {error}");
        std::process::exit(2);
    });
    match compare(&bytes, options.seed, options.mode) {
        Ok(compared) => println!("{file}: {compared:?}"),
        Err(what) => {
            println!("{file}: {what}");
            std::process::exit(1);
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { count: 1000, seed: 1, write: None, read: None, tiers: false, mode: None };
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        if option == "--tiers" {
            options.tiers = true;
            continue;
        }
        let value = args.next().ok_or(format!("{option} has no value"))?;
        let number = value.parse().map_err(|_| format!("{value} is no number"));
        match option.as_str() {
            "--count" => options.count = number?,
            "--seed" => options.seed = number?,
            "--write" => options.write = Some(value),
            "--read" => options.read = Some(value),
            "--mode" => {
                let mode = Mode::from_name(&value).ok_or(format!("there is no mode {value}"))?;
                options.mode = Some(mode);
            }
            _ => return Err(format!("{option} is unknown")),
        }
    }
    Ok(options)
}
