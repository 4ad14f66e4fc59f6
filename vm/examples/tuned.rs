//! Runs a program as `brant run --tier jit --dir .` does, with some of what the compiler does left
//! out: `tuned [--stops never|usual|every] [--without NAME,NAME] [--tier NAME] FILE [ARGS]`.
//!
//! With BRANT_CPU_NS=1 it ends with the nanoseconds that the guest's thread had a processor, compilation
//! left out, on standard error: `benches/tuning.py` compares those. Names are those of
//! `brant_jit::Tuning`.

use std::process::ExitCode;
use std::sync::Arc;

use brant::{Config, Engine, Module, MountAccess, Process, Tier};
use brant_engine::compile::Stops;
use brant_jit::{Jit, Tuning};

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code as u8),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<i32, Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).peekable();
    let (mut stops, mut tuning, mut tier) = (Stops::Usual, Tuning::ALL, Tier::Jit);
    while let Some(option) = args.next_if(|arg| arg.starts_with("--")) {
        let value = args.next().ok_or(format!("{option} has no value"))?;
        match (option.as_str(), value.as_str()) {
            ("--stops", "never") => stops = Stops::Never,
            ("--stops", "usual") => stops = Stops::Usual,
            ("--stops", "every") => stops = Stops::Every,
            ("--tier", name) => tier = Tier::from_name(name).ok_or("no such tier")?,
            ("--without", names) => {
                for name in names.split(',') {
                    if !tuning.leave_out(name) {
                        return Err(format!("{name} is none of {:?}", Tuning::NAMES).into());
                    }
                }
            }
            _ => return Err(format!("{option} {value} is unknown").into()),
        }
    }
    let file = args.next().ok_or("usage: tuned [--stops WHICH] [--without NAMES] FILE [ARGS]")?;
    let compiler = Some(Arc::new(Jit::with(tuning)?) as _);
    let config = Config { tier, stops, compiler, ..Config::default() };
    let module = Module::from_file(&Engine::new(&config)?, &file)?;
    let builder = Process::builder(&module)
        .args([file].into_iter().chain(args))
        .inherit_stdio()
        .mount(".", ".", MountAccess::ReadWrite);
    let mut process = builder.build()?;
    let began_ns = cpu_ns();
    let status = process.run()?;
    if std::env::var_os("BRANT_CPU_NS").is_some() {
        eprintln!("{}", cpu_ns() - began_ns);
    }
    Ok(status.code())
}

/// How long this thread has had a processor.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
}
