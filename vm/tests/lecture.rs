//! The programs with threads do what they say under each policy, in each tier, and while they move.

use std::fs;

use brant::{
    Captured, Config, Engine, ExitStatus, Input, Module, MountAccess, Output, Process,
    ProcessBuilder, ReadLimits, Snapshot, Stopped, ThreadPolicy, Tier,
};
use brant_engine::compile::Stops;

const POLICIES: [ThreadPolicy; 3] =
    [ThreadPolicy::User, ThreadPolicy::Kernel, ThreadPolicy::Hybrid];

fn engine(tier: Tier) -> Engine {
    let config = Config { tier, stops: Stops::Every, ..Config::default() };
    Engine::new(&brant::with_compiler(config)).expect("an engine")
}

fn module(engine: &Engine, name: &str) -> Module {
    let bytes = brant_programs::find(name).expect("a program").module().expect("its module");
    Module::new(engine, bytes).expect("a valid module")
}

/// The program's output in each tier under each policy.
fn everywhere(
    name: &str, args: &[&str], input: &str, config: impl Fn(ProcessBuilder) -> ProcessBuilder,
    check: impl Fn(&str, &str),
) {
    for tier in [Tier::Interp, Tier::Jit, Tier::Auto] {
        let module = module(&engine(tier), name);
        for policy in POLICIES {
            let what = format!("{name} {args:?} in {tier:?} under {policy:?}");
            let output = Captured::new();
            let builder = Process::builder(&module)
                .args([name])
                .args(args.iter().copied())
                .stdin(Input::Bytes(input.as_bytes().to_vec()))
                .stdout(Output::Capture(output.clone()))
                .threads(policy);
            let mut process = config(builder).build().expect("a process");
            let status = process.run().expect("a status");
            assert!(matches!(status, ExitStatus::Exited(0)), "{what}: {status:?}");
            check(&output.text(), &what);
        }
    }
}

/// A recalculation that would take days; the prompt answers, and a change takes its place.
const HEAVY: &str =
    "A1 = 9000000000\nA2 = primes(A1)\nA2\nA1\nA1 = 100\nwait\nA2\nA1 = 9000000000\nquit\n";
const HEAVY_ANSWERS: &str =
    "A2 = primes(A1) (recalculating)\nA1 = 9000000000 (recalculating)\nA2 25\n";

#[test]
fn the_prompt_answers_while_the_sheet_is_recalculated() {
    everywhere(
        "spreadsheet",
        &[],
        HEAVY,
        |builder| builder,
        |output, what| {
            assert_eq!(output, HEAVY_ANSWERS, "{what}");
        },
    );
}

#[test]
fn what_was_entered_is_in_the_file_at_the_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sheet.txt");
    let mounted = |builder: ProcessBuilder| {
        let _ = fs::remove_file(&path);
        builder.mount(folder.path(), ".", MountAccess::ReadWrite)
    };
    let lines = "A1 = 5\nB2 = primes(9000000000)\nA1 = A2 * 2\nZ99 = -1\nquit\n";
    everywhere("spreadsheet", &["sheet.txt"], lines, mounted, |output, what| {
        assert_eq!(output, "", "{what}");
        let saved = fs::read_to_string(&path).expect("the saved sheet");
        assert_eq!(saved, "A1 = A2 * 2\nB2 = primes(9000000000)\nZ99 = -1\n", "{what}");
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "{what}");
    });
}

#[test]
fn every_construction_answers_every_request_once() {
    for construction in ["single", "workers", "machine"] {
        for mix in [["1", "0", "0"], ["1", "300", "0"], ["1", "100", "8"]] {
            let args = [&[construction, "8", "40"][..], &mix].concat();
            everywhere(
                "constructions",
                &args,
                "",
                |builder| builder,
                |output, what| {
                    let times: Vec<u64> =
                        output.lines().map(|line| line.parse().expect("a time")).collect();
                    assert_eq!(times.len(), 41, "{what}");
                    // No request takes longer than the whole, nor less than the device.
                    let least: u64 = mix[1].parse().expect("a number");
                    assert!(times[1..].iter().all(|&us| us >= least && us <= times[0]), "{what}");
                },
            );
        }
    }
}

#[test]
fn the_sheet_moves_between_tiers_while_it_is_recalculated() {
    let engines = [Tier::Interp, Tier::Jit].map(engine);
    let modules = [module(&engines[0], "spreadsheet"), module(&engines[1], "spreadsheet")];
    let output = Captured::new();
    let granted = |builder: ProcessBuilder| {
        let builder = builder.stdin(Input::Bytes(HEAVY.as_bytes().to_vec()));
        builder.stdout(Output::Capture(output.clone())).sim(7).build().expect("a process")
    };
    let mut process = granted(Process::builder(&modules[0]).args(["spreadsheet"]));
    let mut moves = 0;
    let status = loop {
        process.stop_after_sites(211);
        let status = process.run().expect("a status");
        if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
            break status;
        }
        moves += 1;
        let bytes = process.checkpoint().expect("it can be moved").to_vec();
        let snapshot = Snapshot::read(&mut &bytes[..], &ReadLimits::default()).expect("a snapshot");
        let tier = moves % 2;
        let known = &modules[tier..=tier];
        let builder = Process::restore_with(&engines[tier], &snapshot, known);
        process = granted(builder.expect("its module"));
    };
    assert!(matches!(status, ExitStatus::Exited(0)), "{status:?}");
    assert_eq!(output.text(), HEAVY_ANSWERS);
    assert!(moves > 3, "{moves} moves");
}
