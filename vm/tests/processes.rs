//! Processes that a program makes: copies, other programs, pipes between them, signals, and what
//! their parents learn.

use brant::{
    Captured, Config, Engine, ExitStatus, Input, Limits, Module, MountAccess, Output, Process,
    ProcessBuilder, Tier,
};

/// What all programs here import, and texts that they say.
const PRELUDE: &str = r#"
    (import "wasix_32v1" "proc_fork" (func $fork (param i32 i32) (result i32)))
    (import "wasix_32v1" "proc_join" (func $join (param i32 i32 i32) (result i32)))
    (import "wasix_32v1" "proc_id" (func $id (param i32) (result i32)))
    (import "wasix_32v1" "proc_parent" (func $parent (param i32 i32) (result i32)))
    (import "wasix_32v1" "proc_signal" (func $signal (param i32 i32) (result i32)))
    (import "wasix_32v1" "callback_signal" (func $callback (param i32 i32)))
    (import "wasix_32v1" "fd_pipe" (func $pipe (param i32 i32) (result i32)))
    (import "wasix_32v1" "fd_dup2" (func $dup2 (param i32 i32 i32 i32) (result i32)))
    (import "wasix_32v1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasix_32v1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasix_32v1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasix_32v1" "proc_exec3" (func $exec3
        (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasix_32v1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2)
    ;; 0 iovec, 16 numbers of calls, 32 status, 40 option, 64 pipe, 80 second pipe; buffers at 4096
    (func $check (param $errno i32)
        (if (local.get $errno) (then (call $exit (i32.add (i32.const 100) (local.get $errno))))))
    (func $write (param $fd i32) (param $at i32) (param $len i32) (result i32)
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $len))
        (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 16)))
    (func $read (param $fd i32) (param $at i32) (param $len i32) (result i32)
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $len))
        (call $check (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 16)))
        (i32.load (i32.const 16)))
    (func $forked (result i32)
        (call $check (call $fork (i32.const 1) (i32.const 20)))
        (i32.load (i32.const 20)))
    ;; Waits for a child and gives the first bytes of its status: tag, and the exit code above.
    (func $wait (param $pid i32) (result i32)
        (i32.store (i32.const 40) (i32.ne (local.get $pid) (i32.const 0)))
        (i32.store (i32.const 44) (local.get $pid))
        (call $check (call $join (i32.const 40) (i32.const 0) (i32.const 32)))
        (i32.load (i32.const 32)))
    (func $digit (param $value i32)
        (i32.store8 (i32.const 4000) (i32.add (i32.const 48) (local.get $value)))
        (call $check (call $write (i32.const 1) (i32.const 4000) (i32.const 1))))
"#;

fn engines() -> [Engine; 3] {
    [(Tier::Interp, true), (Tier::Jit, true), (Tier::Interp, false)].map(|(tier, copy_on_write)| {
        let config = Config { tier, copy_on_write, ..Config::default() };
        Engine::new(&brant::with_compiler(config)).expect("an engine")
    })
}

fn module(engine: &Engine, body: &str) -> Module {
    Module::from_text(engine, format!("(module {PRELUDE} {body})")).expect("a module")
}

/// Runs a program to its end; what it wrote, and its exit code.
fn run(builder: ProcessBuilder) -> (String, i32) {
    let output = Captured::new();
    let builder = builder.stdout(Output::Capture(output.clone()));
    let mut process = builder.stderr(Output::Capture(output.clone())).build().expect("a process");
    let status = process.run().expect("it runs");
    assert!(!matches!(status, ExitStatus::Trapped(_)), "{status}");
    (output.text(), status.code())
}

fn everywhere(body: &str, output: &str, code: i32) {
    for engine in engines() {
        let module = module(&engine, body);
        let ended = run(Process::builder(&module).args(["program"]));
        assert_eq!(ended, (output.to_owned(), code));
    }
}

#[test]
fn a_copy_goes_on_from_the_call_and_its_parent_learns_how_it_ends() {
    let body = r#"(func (export "_start") (local $kept i32) (local $child i32)
        (local.set $kept (i32.const 3))
        (local.set $child (call $forked))
        (if (i32.eqz (local.get $child)) (then
            (call $check (call $id (i32.const 24)))
            (call $check (call $parent (i32.load (i32.const 24)) (i32.const 28)))
            (call $digit (i32.load (i32.const 24)))
            (call $digit (i32.load (i32.const 28)))
            (call $digit (local.get $kept))
            (call $exit (i32.const 42))))
        (if (i32.ne (call $wait (local.get $child)) (i32.const 0x2a0001))
            (then (call $exit (i32.const 1))))
        (call $digit (i32.load (i32.const 44)))
        ;; There is nobody left.
        (i32.store (i32.const 40) (i32.const 0))
        (call $exit (call $join (i32.const 40) (i32.const 0) (i32.const 32))))"#;
    everywhere(body, "2132", 12);
}

#[test]
fn a_pipe_carries_bytes_between_processes_until_all_its_writers_are_gone() {
    let body = r#"(data (i32.const 5000) "through a pipe\n")
      (func (export "_start") (local $got i32)
        (call $check (call $pipe (i32.const 64) (i32.const 68)))
        (if (i32.eqz (call $forked)) (then
            (call $check (call $close (i32.load (i32.const 64))))
            (call $check (call $write (i32.load (i32.const 68)) (i32.const 5000) (i32.const 8)))
            (call $check (call $write (i32.load (i32.const 68)) (i32.const 5008) (i32.const 7)))
            (call $exit (i32.const 0))))
        (call $check (call $close (i32.load (i32.const 68))))
        (block $end (loop $more
            (local.set $got
                (call $read (i32.load (i32.const 64)) (i32.const 4096) (i32.const 100)))
            (br_if $end (i32.eqz (local.get $got)))
            (call $check (call $write (i32.const 1) (i32.const 4096) (local.get $got)))
            (br $more)))
        (drop (call $wait (i32.const 0))))"#;
    everywhere(body, "through a pipe\n", 0);
}

/// A pipe is smaller than what goes through it: both sides wait for each other all the time.
#[test]
fn more_than_a_pipe_holds_goes_through_it() {
    let body = r#"(func (export "_start") (local $got i32) (local $sum i32) (local $rounds i32)
        (call $check (call $pipe (i32.const 64) (i32.const 68)))
        (if (i32.eqz (call $forked)) (then
            (loop $more
                (i32.store (i32.const 65532) (local.get $rounds))
                (call $check
                    (call $write (i32.load (i32.const 68)) (i32.const 4096) (i32.const 100000)))
                (local.set $rounds (i32.add (local.get $rounds) (i32.const 1)))
                (br_if $more (i32.lt_u (local.get $rounds) (i32.const 10))))
            (call $exit (i32.const 0))))
        (call $check (call $close (i32.load (i32.const 68))))
        (loop $more
            (local.set $got
                (call $read (i32.load (i32.const 64)) (i32.const 4096) (i32.const 7000)))
            (local.set $sum (i32.add (local.get $sum) (local.get $got)))
            (br_if $more (local.get $got)))
        (call $exit (i32.ne (local.get $sum) (i32.const 1000000))))"#;
    everywhere(body, "", 0);
}

#[test]
fn whoever_writes_to_a_pipe_without_readers_ends_as_by_the_signal_pipe() {
    let body = r#"(func (export "_start")
        (call $check (call $pipe (i32.const 64) (i32.const 68)))
        (if (i32.eqz (call $forked)) (then
            (call $check (call $close (i32.load (i32.const 64))))
            (drop (call $read (i32.const 0) (i32.const 4096) (i32.const 1)))
            (drop (call $write (i32.load (i32.const 68)) (i32.const 4096) (i32.const 1)))
            (call $exit (i32.const 0))))
        (call $check (call $close (i32.load (i32.const 64))))
        (call $exit (i32.shr_u (call $wait (i32.const 0)) (i32.const 16))))"#;
    everywhere(body, "", 141);
}

#[test]
fn a_signal_ends_whom_it_is_sent_to_and_is_what_the_parent_learns() {
    let body = r#"(func (export "_start") (local $child i32)
        (local.set $child (call $forked))
        (if (i32.eqz (local.get $child)) (then (loop $for_ever (br $for_ever))))
        (call $check (call $signal (local.get $child) (i32.const 15)))
        ;; 2: by a signal; 143: as a shell counts it; then the signal.
        (if (i32.ne (call $wait (local.get $child)) (i32.const 0x8f0002))
            (then (call $exit (i32.const 1))))
        (call $exit (i32.load8_u (i32.const 36))))"#;
    everywhere(body, "", 15);
}

#[test]
fn a_handler_is_told_of_signals_and_the_call_that_waited_ends_with_intr() {
    let body = r#"(data (i32.const 5000) "told")
      (func (export "told") (param $signal i32)
        (call $digit (i32.rem_u (local.get $signal) (i32.const 10))))
      (func (export "_start") (local $parent i32)
        (call $callback (i32.const 5000) (i32.const 4))
        (call $check (call $pipe (i32.const 64) (i32.const 68)))
        (call $check (call $id (i32.const 24)))
        (local.set $parent (i32.load (i32.const 24)))
        (if (i32.eqz (call $forked)) (then
            (call $check (call $signal (local.get $parent) (i32.const 15)))
            (loop $for_ever (br $for_ever))))
        (i32.store (i32.const 0) (i32.const 4096))
        (i32.store (i32.const 4) (i32.const 1))
        ;; Nobody ever writes.
        (call $exit (call $fd_read
            (i32.load (i32.const 64)) (i32.const 0) (i32.const 1) (i32.const 16))))"#;
    everywhere(body, "5", 27);
}

#[test]
fn another_program_takes_the_place_of_a_copy_and_keeps_its_descriptors() {
    let directory = std::env::temp_dir().join(format!("brant-processes-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("bin")).expect("a directory");
    let hello = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (drop (call $args (i32.const 16) (i32.const 64)))
            (i32.store (i32.const 0) (i32.load (i32.const 20)))
            (i32.store (i32.const 4) (i32.const 5))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $exit (i32.const 7))))"#;
    std::fs::write(directory.join("bin/hello.wat"), hello).expect("a file");
    let body = r#"(data (i32.const 5000) "hello") (data (i32.const 5010) "hello\nthere")
      (data (i32.const 5030) "/bin")
      (func (export "_start")
        (if (i32.eqz (call $forked)) (then
            (call $exit (call $exec3 (i32.const 5000) (i32.const 5) (i32.const 5010)
                (i32.const 11) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 5030)
                (i32.const 4)))))
        (call $digit (i32.shr_u (call $wait (i32.const 0)) (i32.const 16)))
        ;; There is no such program.
        (call $exit (call $exec3 (i32.const 5001) (i32.const 3) (i32.const 5010) (i32.const 11)
            (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 5030) (i32.const 4))))"#;
    for engine in engines() {
        let module = module(&engine, body);
        let builder = Process::builder(&module).mount(&directory, "/", MountAccess::ReadOnly);
        assert_eq!(run(builder), ("there7".to_owned(), 44));
    }
    std::fs::remove_dir_all(&directory).expect("it is there");
}

/// Row 36 of the catalogue of hostile guests.
#[test]
fn a_fork_bomb_reaches_the_limit_and_nothing_else() {
    let body = r#"(func (export "_start") (local $made i32)
        (loop $more
            (if (i32.eqz (call $fork (i32.const 1) (i32.const 20))) (then
                (local.set $made (i32.add (local.get $made) (i32.const 1)))
                (br $more))))
        (call $exit (local.get $made)))"#;
    for engine in engines() {
        let module = module(&engine, body);
        let limits = Limits { processes_count: 20, ..Limits::default() };
        let (_, made) = run(Process::builder(&module).limits(limits));
        assert!((1..20).contains(&made), "{made}");
    }
}

#[test]
fn a_program_without_processes_has_no_tree() {
    let engine = Engine::default();
    let module = Module::from_text(&engine, r#"(module (func (export "_start")))"#);
    let mut process =
        Process::builder(&module.expect("a module")).stdin(Input::Empty).build().expect("built");
    assert!(process.run().expect("it runs").success());
}
