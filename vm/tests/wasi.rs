//! System calls as C programs see them: `vm/tests/wasi/*.c`, run on two hosts.
//!
//! Each program prints one line for each answer, and `*.out` beside it holds what must come:
//! standard output and the exit code, the same on the machine that the test runs on and on the
//! simulated one. `BLESS=1` writes those files again, from the real machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use brant::{Captured, Engine, ExitStatus, Input, Module, MountAccess, Output, Process};
use brant_host::sim::SimHost;

/// What the programs read and are called with; only `streams` looks at it.
const INPUT: &[u8] = b"to be read";
const ARGS: [&str; 3] = ["program", "one", "two words"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wasi")
}

/// Where a program runs.
enum On {
    /// In a new directory of this machine.
    Native,
    /// On a machine that does not exist.
    Sim,
}

/// Runs a program in an empty directory: its output, and how it ended.
fn run(name: &str, on: On) -> String {
    let engine = Engine::default();
    let module = Module::from_file(&engine, folder().join(format!("{name}.wasm")))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let output = Captured::new();
    let directory = tempfile::tempdir().expect("a temporary folder");
    let mut builder = Process::builder(&module)
        .args(ARGS)
        .env("GREETING", "hello")
        .stdin(Input::Bytes(INPUT.to_vec()))
        .stdout(Output::Capture(output.clone()))
        .mount(directory.path(), ".", MountAccess::ReadWrite);
    if let On::Sim = on {
        builder = builder.host(SimHost::new(1));
    }
    let mut process = builder.build().unwrap_or_else(|error| panic!("{name}: {error}"));
    match process.run() {
        Ok(ExitStatus::Exited(code)) => format!("{}exit code {code}\n", output.text()),
        Ok(other) => panic!("{name} {other}\n{}", output.text()),
        Err(error) => panic!("{name}: {error}\n{}", output.text()),
    }
}

/// The first line in which two texts differ.
fn difference(expected: &str, actual: &str) -> Option<String> {
    let mut expected_lines = expected.lines();
    let mut actual_lines = actual.lines();
    for number in 1.. {
        match (expected_lines.next(), actual_lines.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => return Some(format!("line {number}: expected {a:?}, got {b:?}")),
        }
    }
    None
}

fn check(name: &str) {
    let file = folder().join(format!("{name}.out"));
    let native = run(name, On::Native);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &native).expect("the file can be written");
    }
    let expected = fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{name}.out: {error} (BLESS=1 writes it)"));
    assert_eq!(difference(&expected, &native), None, "{name} on this machine (BLESS=1 accepts)");
    let sim = run(name, On::Sim);
    assert_eq!(difference(&expected, &sim), None, "{name} on the simulated host");
}

macro_rules! programs {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        const PROGRAMS: &[&str] = &[$(stringify!($name)),*];
    };
}

programs! {
    clocks
    descriptors
    directory
    files
    links
    paths
    poll
    rename
    streams
    times
}

#[test]
fn every_program_is_run() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .expect("the folder of programs")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".wasm").map(str::to_owned))
        .collect();
    assert_eq!(files, PROGRAMS.iter().map(ToString::to_string).collect());
}
