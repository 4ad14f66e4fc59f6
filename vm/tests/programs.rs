//! Every program of `programs/` does what it says, on the machine and on the simulated host.

use std::fs;
use std::path::Path;

use brant::{
    Captured, Engine, ExitStatus, Input, Module, MountAccess, Output, Process, ProcessBuilder,
};
use brant_host::sim::SimHost;
use brant_programs::{Program, Run, all, find};

fn module(program: &Program) -> Module {
    let name = program.name;
    let bytes = program.module().unwrap_or_else(|error| panic!("{name}: {error}"));
    Module::new(&Engine::default(), bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A program with the arguments and the input of one of its runs.
fn builder(program: &Program, module: &Module, run: &Run, output: &Captured) -> ProcessBuilder {
    Process::builder(module)
        .args([program.name])
        .args(run.args.iter().copied())
        .stdin(Input::Bytes(run.stdin.as_bytes().to_vec()))
        .stdout(Output::Capture(output.clone()))
}

/// Runs to the end and compares with what must come.
fn finish(program: &Program, run: &Run, builder: ProcessBuilder, output: &Captured, on: &str) {
    let what = format!("{} {:?} {on}", program.name, run.args);
    let mut process = builder.build().unwrap_or_else(|error| panic!("{what}: {error}"));
    let status = process.run().unwrap_or_else(|error| panic!("{what}: {error}"));
    let ExitStatus::Exited(code) = status else { panic!("{what} {status}") };
    assert_eq!(code, i32::from(run.exit_code), "{what}: exit code");
    let bytes = output.bytes();
    assert!(
        run.output.matches(&bytes),
        "{what}: {} bytes, digest {:#x}, not {:?}:\n{}",
        bytes.len(),
        brant_programs::fnv1a(&bytes),
        run.output,
        String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]),
    );
}

fn on_this_machine(program: &Program, module: &Module, run: &Run) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in run.files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let output = Captured::new();
    let builder = builder(program, module, run, &output);
    let builder = builder.mount(folder.path(), ".", MountAccess::ReadWrite);
    finish(program, run, builder, &output, "on this machine");
}

fn simulated(program: &Program, module: &Module, run: &Run) {
    let mut host = SimHost::new(0);
    for (name, text) in run.files {
        host.add_file("/data", name, text.as_bytes()).expect("a file");
    }
    let output = Captured::new();
    let builder = builder(program, module, run, &output);
    let builder = builder.host(host).mount("/data", ".", MountAccess::ReadWrite);
    finish(program, run, builder, &output, "on the simulated host");
}

#[test]
fn every_run_gives_what_is_listed() {
    assert!(all().count() >= 8);
    for program in all() {
        let module = module(program);
        for run in program.runs {
            on_this_machine(program, &module, run);
            simulated(program, &module, run);
        }
    }
}

#[test]
fn every_file_of_the_folder_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs");
    for entry in fs::read_dir(folder).expect("the folder of programs") {
        let path = entry.expect("an entry").path();
        let ending = path.extension().unwrap_or_default();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        assert!(
            (ending != "wat" && ending != "c") || find(&name).is_some(),
            "{} is in no list",
            path.display()
        );
    }
}

#[test]
fn the_store_keeps_what_it_was_given() {
    let program = find("kv").expect("the program");
    let module = module(program);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |args: &[&str]| {
        let output = Captured::new();
        let mut process = Process::builder(&module)
            .args(["kv", "store.kv"])
            .args(args.iter().copied())
            .stdout(Output::Capture(output.clone()))
            .mount(folder.path(), ".", MountAccess::ReadWrite)
            .build()
            .expect("the store is linked");
        let code = process.run().expect("the store runs").code();
        (code, output.text())
    };
    assert_eq!(run(&["set", "goose", "an ocean"]), (0, String::new()));
    assert_eq!(run(&["get", "goose"]), (0, "an ocean\n".to_owned()));
    assert_eq!(run(&["set", "goose", "two oceans"]).0, 0);
    assert_eq!(run(&["get", "goose"]), (0, "two oceans\n".to_owned()));
    assert_eq!(run(&["get", "swan"]).0, 1);
}
