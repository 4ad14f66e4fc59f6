//! Every example of `vm/examples` runs and prints what a reader is promised.
//!
//! `cargo test` has built them when this runs; where only this file is tested, they are built here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The folder that holds the examples: beside the one that holds this test.
fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.parent().and_then(Path::parent).expect("a folder of the profile");
    profile.join("examples")
}

fn binary(name: &str) -> PathBuf {
    let binary = folder().join(name);
    if !binary.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "-p", "brant", "--example", name]).current_dir(root());
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo starts").success(), "{name} is not built");
    }
    binary
}

/// Runs an example as `cargo run --example` does: in the root of the tree.
fn run(name: &str, args: &[&str]) -> String {
    let output = Command::new(binary(name))
        .args(args)
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// What an example prints, where that is all it does.
const PRINTED: [(&str, &str); 8] = [
    ("checkpoint_and_restore", "interrupted\nended with exit code 0\n1\n2\n3\n4\n"),
    ("hello", "hello\n"),
    ("host_functions", "the guest says: twice\nresult: 42\nsum: 42\n"),
    (
        "job_runner",
        "the first worker: signal: 9 (SIGKILL)\n\
         the second worker: exit status: 0\n\
         it begins where the first one was: true\n\
         its last line: 25\n\
         nothing is left to be done: true\n",
    ),
    (
        "plugin_host_with_limits",
        "honest   ended with 0\n\
         endless  stopped: out of time\n\
         deep     trapped: call stack exhausted\n\
         greedy   trapped: unreachable\n\
         curious  refused: nothing provides `host` `secrets` (function [] -> [])\n",
    ),
    ("supervisor", "programs: 2 and 0\nprograms: 1 and 1\n"),
    ("reading_guest_memory", "A GOOSE CROSSES AN OCEAN\nan address far outside is refused: true\n"),
    (
        "stopping_a_guest",
        "round 1: counting on: true\nround 2: counting on: true\nround 3: counting on: true\n",
    ),
];

/// Examples that have a test of their own below.
const OTHERS: [&str; 6] =
    ["compile_times", "export_suite", "mutants", "smith", "stop_latency", "tuned"];

#[test]
fn examples_print_what_is_promised() {
    for (name, expected) in PRINTED {
        assert_eq!(run(name, &[]), expected, "{name}");
    }
}

#[test]
fn the_official_suite_is_exported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    run("export_suite", &[folder.path().to_str().expect("a path in UTF-8")]);
    assert!(folder.path().join("wasm-v2/i32.wast").exists());
}

#[test]
fn generated_modules_are_compared() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.wasm");
    let file = file.to_str().expect("a path in UTF-8");
    let printed = run("smith", &["--count", "1", "--seed", "3", "--write", file]);
    assert!(
        printed.starts_with("1 modules, ") && printed.contains(" 0 modules differ"),
        "{printed}"
    );
    assert!(run("smith", &["--read", file]).contains("calls_count"));
}

#[test]
fn mutants_get_a_verdict_each() {
    let printed = run("mutants", &["programs/bin/sudoku.wasm", "200", "1"]);
    let verdicts: Vec<char> = printed.lines().filter_map(|line| line.chars().last()).collect();
    assert_eq!(verdicts.len(), 200, "{printed}");
    assert!(verdicts.contains(&'1') && verdicts.contains(&'0'), "{printed}");
}

#[test]
fn stops_are_measured_in_each_tier() {
    let printed = run("stop_latency", &["--samples", "3", "programs/bin/sudoku.wasm"]);
    let tiers: Vec<&str> =
        printed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(tiers, ["tier", "interp", "jit", "auto"], "{printed}");
}

#[test]
fn compiling_is_measured_function_by_function() {
    let printed = run("compile_times", &["--top", "3", "programs/bin/sudoku.wasm"]);
    assert!(printed.lines().count() > 3, "{printed}");
    assert!(printed.contains("ns/byte") || printed.contains("ns"), "{printed}");
}

#[test]
fn programs_run_without_what_the_compiler_could_do() {
    let args = ["--stops", "never", "--without", "unrolled-loops", "programs/hello.wat"];
    assert_eq!(run("tuned", &args), "hello\n");
}

#[test]
fn every_example_is_run() {
    let files: BTreeSet<String> = fs::read_dir(root().join("vm/examples"))
        .expect("the folder of examples")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    let run = PRINTED.iter().map(|(name, _)| *name).chain(OTHERS).map(str::to_owned);
    assert_eq!(files, run.collect());
}
