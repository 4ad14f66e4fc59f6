//! Snapshots of the past, which must always restore, and go on as they did.
//!
//! `vm/tests/golden` has snapshots and, beside each, what its program writes from there on. They are
//! kept as they are: a change of the format makes new ones beside them. `GOLDEN=1` writes those of
//! the list that are missing, and never touches one that is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use brant::{
    Captured, Config, Engine, ExitStatus, Input, Module, MountAccess, Output, Process,
    ProcessBuilder, Stopped, Tier, read_snapshot,
};
use brant_engine::compile::Stops;
use brant_programs::Run;

/// Name of the files, which begins with the version of the format; program with its first sample run,
/// and the site at which it was stopped.
const GOLDEN: [(&str, &str, u64); 7] = [
    ("1-counter", "counter", 5),
    ("1-matrix", "matrix", 200),
    ("1-nbody", "nbody", 900),
    ("1-sudoku", "sudoku", 300),
    ("1-calc", "calc", 60),
    ("1-words", "words", 60),
    // With a copy of itself, and a pipe between both.
    ("3-sh", "sh", 1667),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn engine(tier: Tier) -> Engine {
    let config = Config { tier, stops: Stops::Every, ..Config::default() };
    Engine::new(&brant::with_compiler(config)).expect("an engine")
}

fn granted(builder: ProcessBuilder, run: &Run) -> (Process, Captured, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in run.files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let output = Captured::new();
    let builder = builder
        .stdin(Input::Bytes(run.stdin.as_bytes().to_vec()))
        .stdout(Output::Capture(output.clone()))
        .mount(folder.path(), ".", MountAccess::ReadWrite);
    (builder.build().expect("a process"), output, folder)
}

fn make_missing() {
    fs::create_dir_all(folder()).expect("a folder");
    for (name, program, sites) in GOLDEN {
        let path = folder().join(format!("{name}.brant"));
        if path.exists() {
            continue;
        }
        let program = brant_programs::find(program).expect("the program");
        let bytes = program.module().expect("a module");
        let module = Module::new(&engine(Tier::Interp), bytes).expect("it is valid");
        let run = &program.runs[0];
        let args = [program.name].into_iter().chain(run.args.iter().copied());
        let (mut process, output, _folder) = granted(Process::builder(&module).args(args), run);
        process.stop_after_sites(sites);
        let status = process.run().expect("it runs");
        assert!(matches!(status, ExitStatus::Stopped(Stopped::AtSite)), "{name}: {status}");
        let snapshot = process.checkpoint().expect("a snapshot");
        let before = output.bytes().len();
        assert_eq!(process.run().expect("it goes on").code(), 0, "{name}");
        brant::write_snapshot(&snapshot, &path).expect("a file");
        fs::write(folder().join(format!("{name}.out")), &output.bytes()[before..]).expect("a file");
    }
}

#[test]
fn snapshots_of_the_past_go_on() {
    if std::env::var_os("GOLDEN").is_some() {
        make_missing();
    }
    for (name, program, _) in GOLDEN {
        let path = folder().join(format!("{name}.brant"));
        let expected = fs::read(path.with_extension("out")).expect("what it writes");
        let run = &brant_programs::find(program).expect("the program").runs[0];
        for tier in [Tier::Interp, Tier::Jit] {
            let snapshot = read_snapshot(&path).expect("a snapshot");
            assert!(name.starts_with(&format!("{}-", snapshot.version())), "{name}");
            let builder = Process::restore(&engine(tier), &snapshot).expect("its modules");
            let (mut process, output, _folder) = granted(builder, run);
            let status = process.run().expect("it runs");
            assert_eq!(status.code(), 0, "{name}");
            assert_eq!(output.bytes(), expected, "{name}");
        }
    }
}

#[test]
fn every_snapshot_of_the_past_is_listed() {
    let files = fs::read_dir(folder())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let found: BTreeSet<String> =
        files.filter_map(|name| name.strip_suffix(".brant").map(str::to_owned)).collect();
    let listed: BTreeSet<String> = GOLDEN.iter().map(|(name, ..)| name.to_string()).collect();
    assert_eq!(found, listed);
}
