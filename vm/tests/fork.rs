//! Processes that are copied: original and copy go on from the same state, and do not see each
//! other.

use brant::mobility::Contents;
use brant::{
    Captured, Config, Engine, ExitStatus, Input, Module, Output, Process, ProcessBuilder,
    ReadLimits, Snapshot, Stopped,
};
use brant_programs::{Program, Run};

/// With memories that are copied at once, and with memories that are copied page by page.
fn engines() -> [Engine; 2] {
    [true, false].map(|copy_on_write| {
        Engine::new(&Config { copy_on_write, ..Config::default() }).expect("an engine")
    })
}

fn ends(mut process: Process) -> (i32, blake3::Hash) {
    let status = process.run().expect("it runs");
    let memory = process.memory().expect("a memory");
    let bytes = memory.slice(0, memory.len_bytes()).expect("all of it");
    (status.code(), blake3::hash(bytes))
}

fn granted(builder: ProcessBuilder, run: &Run) -> (Process, Captured) {
    let output = Captured::new();
    let builder = builder
        .stdin(Input::Bytes(run.stdin.as_bytes().to_vec()))
        .stdout(Output::Capture(output.clone()));
    (builder.build().expect("a process"), output)
}

/// Forks at several sites, copies of copies among them, and compares all that anybody writes with
/// what is written without forks.
fn forks_are_not_noticed(engine: &Engine, program: &Program, run: &Run) {
    let module = Module::new(engine, program.module().expect("a module")).expect("it is valid");
    let begin = || {
        let args = [program.name].into_iter().chain(run.args.iter().copied());
        granted(Process::builder(&module).args(args), run)
    };
    let (unforked, whole) = begin();
    let end = ends(unforked);
    let (mut process, output) = begin();
    let (mut before, mut output) = (Vec::new(), output);
    let mut copies: Vec<(Process, Vec<u8>, Captured)> = Vec::new();
    for round in 0..6 {
        process.stop_after_sites(100 << round);
        let status = process.run().expect("it runs");
        if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
            // What has ended gives its status again.
            assert!(round > 2, "{} ends too early: {status}", program.name);
            break;
        }
        let (copy, written) = granted(process.fork().expect("a copy"), run);
        let so_far = [before.clone(), output.bytes()].concat();
        match round % 2 {
            0 => copies.push((copy, so_far, written)),
            // The copy becomes the one that is forked next, and the original ends as a copy does.
            _ => {
                copies.push((process, before, output));
                (process, before, output) = (copy, so_far, written);
            }
        }
    }
    copies.push((process, before, output));
    for (copy, mut before, written) in copies {
        assert_eq!(ends(copy), end, "{}", program.name);
        before.extend(written.bytes());
        assert_eq!(before, whole.bytes(), "{}", program.name);
    }
}

#[test]
fn original_and_copies_end_as_if_there_had_been_no_fork() {
    for engine in engines() {
        for name in ["sudoku", "life", "matrix"] {
            let program = brant_programs::find(name).expect("the program");
            forks_are_not_noticed(&engine, program, &program.runs[0]);
        }
    }
}

/// Fills its memory with what it is called with, page by page, and grows.
const FILL: &str = r#"(module
    (memory (export "memory") 32 200)
    (func (export "fill") (param $value i32) (param $step i32) (local $at i32)
        (loop $next
            (i32.store (local.get $at)
                (i32.mul (local.get $value) (i32.add (local.get $at) (i32.const 1))))
            (local.set $at (i32.add (local.get $at) (local.get $step)))
            (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536))))))
    (func (export "sum") (result i32) (local $at i32) (local $sum i32)
        (loop $next
            (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31))
                (i32.load (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 4096)))
            (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
        (local.get $sum))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

fn call(process: &mut Process, name: &str, params: &[i32]) -> i32 {
    let params: Vec<brant::Val> = params.iter().map(|&value| brant::Val::I32(value)).collect();
    match process.call(name, &params).expect("it ends")[..] {
        [brant::Val::I32(result)] => result,
        _ => 0,
    }
}

#[test]
fn neither_sees_what_the_other_writes() {
    for engine in engines() {
        let module = Module::from_text(&engine, FILL).expect("a module");
        let mut one = Process::builder(&module).build().expect("a process");
        call(&mut one, "fill", &[7, 4096]);
        let sum = call(&mut one, "sum", &[]);
        let mut two = one.fork().expect("a copy").build().expect("a process");
        assert_eq!(call(&mut two, "sum", &[]), sum);
        call(&mut one, "fill", &[8, 8192]);
        assert_eq!(call(&mut two, "sum", &[]), sum, "the copy sees the original");
        let of_one = call(&mut one, "sum", &[]);
        call(&mut two, "fill", &[9, 12288]);
        assert_eq!(call(&mut one, "sum", &[]), of_one, "the original sees the copy");
        // Both have pages of their own now; both grow, and are copied again.
        let of_two = call(&mut two, "sum", &[]);
        for (process, sum) in [(&mut one, of_one), (&mut two, of_two)] {
            let mut copy = process.fork().expect("a copy").build().expect("a process");
            assert_eq!(call(&mut copy, "sum", &[]), sum);
            assert_eq!(call(process, "grow", &[100]), 32);
            call(process, "fill", &[5, 4096]);
            let grown = call(process, "sum", &[]);
            assert_eq!(call(&mut copy, "sum", &[]), sum);
            let mut copy = process.fork().expect("a copy").build().expect("a process");
            assert_eq!(call(&mut copy, "sum", &[]), grown);
            assert_eq!(call(&mut copy, "grow", &[69]), -1, "the limit has come along");
            assert_eq!(call(&mut copy, "grow", &[68]), 132);
        }
    }
}

#[test]
fn a_copy_can_be_written_down_and_read_again() {
    for engine in engines() {
        let module = Module::from_text(&engine, FILL).expect("a module");
        let mut one = Process::builder(&module).build().expect("a process");
        call(&mut one, "fill", &[7, 65536]);
        let mut two = one.fork().expect("a copy").build().expect("a process");
        call(&mut two, "fill", &[9, 40960]);
        for process in [&mut one, &mut two] {
            let sum = call(process, "sum", &[]);
            let snapshot = process.checkpoint().expect("a snapshot");
            let restored = Process::restore(&engine, &snapshot).expect("a module");
            let mut restored = restored.build().expect("a process");
            assert_eq!(call(&mut restored, "sum", &[]), sum);
        }
    }
}

#[test]
fn random_numbers_of_a_copy_are_others() {
    const RANDOM: &str = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $get (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "draw") (result i32) (call $get (i32.const 0) (i32.const 32))))"#;
    let engine = Engine::default();
    let module = Module::from_text(&engine, RANDOM).expect("a module");
    let mut one = Process::builder(&module).build().expect("a process");
    assert_eq!(call(&mut one, "draw", &[]), 0);
    let mut two = one.fork().expect("a copy").build().expect("a process");
    let drawn = [&mut one, &mut two].map(|process| {
        assert_eq!(call(process, "draw", &[]), 0);
        process.memory().expect("a memory").slice(0, 32).expect("bytes").to_vec()
    });
    assert_ne!(drawn[0], drawn[1]);
}

#[test]
fn a_mapped_snapshot_is_read_where_the_program_looks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("snapshot");
    for engine in engines() {
        let module = Module::from_text(&engine, FILL).expect("a module");
        let mut one = Process::builder(&module).build().expect("a process");
        call(&mut one, "grow", &[50]);
        // Pages that differ, pages that are zero, and single pages that are copied.
        for (value, step) in [(7, 4), (0, 4 * 5000), (3, 65536 * 3 + 4096)] {
            call(&mut one, "fill", &[value, step]);
        }
        let sum = call(&mut one, "sum", &[]);
        let snapshot = one.checkpoint_as(Contents::Plain).expect("a snapshot");
        brant::write_snapshot(&snapshot, &path).expect("it is written");
        let bytes = std::fs::read(&path).expect("a file");
        for _ in 0..2 {
            let mapped = brant::map_snapshot(&path).expect("what was written");
            let run = mapped.pages.runs().iter().max_by_key(|run| run.count).expect("a run");
            assert!(mapped.pages.place(run).is_some() && run.count >= 16, "it is mapped");
            let restored = Process::restore(&engine, &mapped).expect("a module");
            let mut two = restored.build().expect("a process");
            assert_eq!(call(&mut two, "sum", &[]), sum);
            let again = two.checkpoint().expect("a snapshot");
            assert_eq!(again.pages.content_count(), mapped.pages.content_count());
            let mut three = two.fork().expect("a copy").build().expect("a process");
            call(&mut two, "fill", &[1, 4096]);
            assert_eq!(call(&mut three, "sum", &[]), sum);
            assert_eq!(std::fs::read(&path).expect("a file"), bytes, "nobody writes to the file");
        }
    }
}

/// Draws from its random numbers at each of eight rounds, and prints what it has drawn.
const DRAWS: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\18\00\00\00")
    (func (export "_start") (local $left i32)
        (local.set $left (i32.const 8))
        (loop $next
            (drop (call $random (i32.const 16) (i32.const 24)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;

#[test]
fn random_numbers_from_a_seed_go_on_in_a_snapshot_and_begin_anew_in_a_copy() {
    let engine = Engine::default();
    let module = Module::from_text(&engine, DRAWS).expect("a module");
    let grant = |builder: ProcessBuilder| {
        let output = Captured::new();
        let builder = builder.stdout(Output::Capture(output.clone())).repeatable(7);
        (builder.build().expect("a process"), output)
    };
    let (mut unmoved, whole) = grant(Process::builder(&module));
    assert!(unmoved.run().expect("it runs").success());

    let (mut process, first) = grant(Process::builder(&module));
    process.stop_after_sites(3);
    assert!(matches!(process.run(), Ok(ExitStatus::Stopped(Stopped::AtSite))));
    let bytes = process.checkpoint().expect("a snapshot").to_vec();
    let snapshot = Snapshot::read(&mut &bytes[..], &ReadLimits::default()).expect("it reads");
    let (mut restored, second) = grant(Process::restore(&engine, &snapshot).expect("restored"));
    assert!(restored.run().expect("it runs").success());
    assert_eq!([first.bytes(), second.bytes()].concat(), whole.bytes());
    assert!(!second.bytes().is_empty() && !first.bytes().is_empty());

    // A copy would have the numbers of its original.
    let (mut copy, third) = grant(process.fork().expect("a copy"));
    assert!(copy.run().expect("it runs").success());
    assert_ne!(third.bytes(), second.bytes());
}
