//! `brant restore`, `brant fork`, and `brant run` of a file that is a snapshot: a program goes on.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use brant::mobility::{MAGIC, Purpose, is_snapshot};
use brant::{
    Config, Error, Limits, Linker, Process, ReadLimits, Snapshot, Val, control, map_snapshot,
};

use super::control::{Attendance, Ended, failure, why_stopped};
#[cfg(feature = "node")]
use super::elsewhere;
use super::exit::{Failure, MOVED};
use super::input::{cannot_read, name};
use super::options::RunOptions;
use super::watch::Watch;
use super::{cache, run, wasmtime};

/// Runs the verb.
pub fn restore(mut options: RunOptions) -> Result<u8, Failure> {
    wasmtime::apply(&mut options).map_err(Failure::usage)?;
    let Some(file) = options.program.first() else {
        return Err(Failure::usage("there is no snapshot to go on from"));
    };
    match find(file)? {
        Some(snapshot) => go_on(&snapshot, file, &options),
        None => {
            let text = format!("`{}` is no snapshot", name(Path::new(file)));
            Err(Failure::load(text).with_help("`brant run FILE` starts a program"))
        }
    }
}

/// Runs `brant fork`: a copy of a program that runs goes on here.
pub fn fork(mut options: RunOptions) -> Result<u8, Failure> {
    wasmtime::apply(&mut options).map_err(Failure::usage)?;
    let id = options.program.first().and_then(|word| word.to_str()?.parse().ok());
    let id = id.ok_or_else(|| {
        Failure::usage("there is no id of a program").with_help("`brant ps` lists those that run")
    })?;
    let mut fetched = control::fetch(id, false).map_err(|error| failure(id, &error))?;
    let mut bytes = Vec::new();
    let copied = fetched.copy_to(&mut bytes);
    copied.map_err(|error| Failure::load(format!("{id}: {error}")))?;
    let snapshot = Snapshot::from_bytes(bytes.into(), &ReadLimits::default());
    let snapshot = snapshot.map_err(|error| Failure::load(format!("{id}: {error}")))?;
    let name = snapshot.resources.args.first().map_or(&b"-"[..], |name| name);
    go_on(&snapshot, OsStr::from_bytes(name), &options)
}

/// The snapshot in a file; none if the file is something else, or is not there.
pub fn find(file: &OsStr) -> Result<Option<Snapshot>, Failure> {
    match is_snapshot_file(file) {
        true => load(Path::new(file)).map(Some),
        false => Ok(None),
    }
}

/// Whether a file is there, and begins as snapshots do.
pub fn is_snapshot_file(file: &OsStr) -> bool {
    let mut first = [0; MAGIC.len()];
    let mut read = || File::open(file)?.read_exact(&mut first);
    file != "-" && read().is_ok() && is_snapshot(&first)
}

/// The snapshot in a file; a large one is mapped.
pub fn load(path: &Path) -> Result<Snapshot, Failure> {
    let loaded = map_snapshot(path);
    loaded.map_err(|error| match error {
        Error::Read { cause, .. } => cannot_read(path, &cause),
        error => Failure::load(format!("{}: {error}", name(path))),
    })
}

/// Goes on from a snapshot, with what the command line grants; listings call it by `name`.
pub fn go_on(snapshot: &Snapshot, name: &OsStr, options: &RunOptions) -> Result<u8, Failure> {
    let deterministic = options.deterministic || snapshot.code.deterministic;
    let options = &RunOptions { deterministic, ..options.clone() };
    let mut watch = Watch::new(options)?;
    let cache = cache::of_run(options);
    // What the program can see of its rules has to stay as it was.
    let config = Config {
        fuel: snapshot.code.fuel,
        deterministic: snapshot.code.deterministic,
        code_store: cache.as_ref().map(cache::store),
        ..run::config(options)?
    };
    let engine = run::engine(&config)?;
    let explain = |error: Error| run::explain(&error, options);
    let mut builder = Process::restore(&engine, snapshot).map_err(explain)?;
    if let Some((_, args @ [_, ..])) = options.program.split_first() {
        let own_name = snapshot.resources.args.first().cloned().unwrap_or_default();
        let args = args.iter().map(|arg| arg.as_bytes().to_vec());
        builder = builder.args(std::iter::once(own_name).chain(args));
    }
    let builder = run::repeatable(run::granted(builder, options)?, options)?;
    let limits = Limits { fuel: None, ..run::limits(options) };
    let builder = watch.attach(builder, options)?.limits(limits).linker(&Linker::new());
    let (mut process, mut attendance) = run::begin(builder, name, options, cache.as_deref())?;
    watch.begin();
    let outcome = finish(&mut process, &mut attendance, snapshot, options);
    #[cfg(feature = "node")]
    if let Some(left) = attendance.take_left() {
        // What is left is its terminal.
        return Err(elsewhere::stay(left, process, run::trust(options)));
    }
    watch.finish(&mut process, engine.code_counts());
    // As a run does: the system takes everything back at once.
    std::mem::forget(process);
    outcome
}

/// Goes on with what the snapshot stands in, to its end.
fn finish(
    process: &mut Process, attendance: &mut Attendance, snapshot: &Snapshot, options: &RunOptions,
) -> Result<u8, Failure> {
    let threads = &snapshot.execution.threads;
    if threads.iter().any(|thread| thread.purpose == Purpose::Call) {
        let why = |outcome: &Result<Vec<Val>, Error>| match outcome {
            Err(Error::Stopped(why)) => Some(*why),
            _ => None,
        };
        return match attendance.run(process, Process::resume_call, why)? {
            Ended::Outcome(outcome) => run::results(outcome, options),
            Ended::Moved => Ok(MOVED),
        };
    }
    let is_program = process.is_program();
    let run = |process: &mut Process| match is_program {
        true => process.run(),
        false => process.prepare(),
    };
    run::report(attendance.run(process, run, why_stopped)?, options)
}
