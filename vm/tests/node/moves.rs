//! A program goes on elsewhere, and its terminal does not notice.

use std::io::{Read, Write};
use std::process::Stdio;

use brant_engine::WriteTracking;

use crate::bed::{Bed, Running, counted, program};

#[test]
fn a_program_counts_on_through_two_nodes_without_gap_or_repeat() {
    let bed = Bed::new();
    let (_one, _two) = (bed.node("one", &[]), bed.node("two", &[]));
    let mut run = bed.run("run", &[&program("counter.wat"), "30"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "one", &["--cold"]);
    bed.until_line("run", "5");
    let id = bed.only_id("one");
    let (one, two) = (bed.address("one"), bed.address("two"));
    bed.does(&["migrate", &id, &two, "--from", &one]);
    assert_eq!(bed.only_id("two"), id);
    assert!(bed.list(&one).is_empty(), "it is at one place only");
    assert_eq!(run.code(), 0);
    assert_eq!(bed.output("run"), counted(30));
    assert_eq!(bed.errors("run"), "");
}

/// Asks for a move and lets it come to nothing before the destination hears of it: the program ends.
fn ends_on_its_way(bed: &Bed, source: &str, run: &mut Running) -> String {
    let gate = bed.held("slow", "two");
    let slow = bed.address("slow");
    let (id, from) = match source {
        "run" => (run.id().to_string(), None),
        node => (bed.only_id(node), Some(bed.address(node))),
    };
    let mut args = vec!["migrate", &id, &slow];
    args.extend(from.iter().flat_map(|from| ["--from", from]));
    let mut command = bed.brant(&args);
    let mut migrate = Running(command.stderr(Stdio::piped()).spawn().expect("brant starts"));
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), counted(12));
    gate.open();
    assert_ne!(migrate.code(), 0, "there was nothing to move");
    let mut errors = String::new();
    migrate.0.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("text");
    assert!(bed.list(&bed.address("two")).is_empty(), "nothing has come");
    errors
}

#[test]
fn a_program_that_ends_on_its_way_is_not_waited_for() {
    let bed = Bed::new();
    let (_one, _two) = (bed.node("one", &[]), bed.node("two", &[]));
    let mut run = bed.run("run", &[&program("counter.wat"), "12"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "one", &[]);
    let errors = ends_on_its_way(&bed, "one", &mut run);
    assert!(errors.contains("has ended before it could move"), "{errors}");
}

#[test]
fn a_run_that_ends_on_its_way_is_not_waited_for() {
    let bed = Bed::new();
    let _two = bed.node("two", &[]);
    let mut run = bed.run("run", &[&program("counter.wat"), "12"]);
    bed.until_line("run", "2");
    let errors = ends_on_its_way(&bed, "run", &mut run);
    assert!(errors.contains("has ended"), "{errors}");
}

/// One thread sleeps and counts, one computes for ever, one waits for ever; the first one waits for
/// the count and prints it up to 9.
const THREADED: &str = r#"(module
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "env" "memory" (memory 1 1 shared))
    (global $own (mut i32) (i32.const 0))
    (func (export "wasi_thread_start") (param $id i32) (param $argument i32)
        (if (i32.eqz (local.get $argument))
            (then (loop $for_ever
                (i32.store (i32.const 272) (i32.const 1))
                (i64.store (i32.const 280) (i64.const 100000000))
                (drop (call $poll (i32.const 256) (i32.const 384) (i32.const 1) (i32.const 448)))
                (drop (i32.atomic.rmw.add (i32.const 4) (i32.const 1)))
                (drop (memory.atomic.notify (i32.const 4) (i32.const -1)))
                (br $for_ever))))
        (if (i32.eq (local.get $argument) (i32.const 1))
            (then (loop $for_ever
                (global.set $own (i32.add (global.get $own) (i32.const 1))) (br $for_ever))))
        (drop (memory.atomic.wait32 (i32.const 16) (i32.const 0) (i64.const -1))))
    (func (export "_start") (local $i i32)
        (loop $more
            (drop (call $spawn (local.get $i)))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                   (i32.const 3))))
        (i32.store (i32.const 64) (i32.const 72))
        (i32.store (i32.const 68) (i32.const 2))
        (local.set $i (i32.const 0))
        (loop $count
            (loop $wait
                (drop (memory.atomic.wait32 (i32.const 4) (local.get $i) (i64.const -1)))
                (br_if $wait (i32.le_u (i32.atomic.load (i32.const 4)) (local.get $i))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (i32.store16 (i32.const 72) (i32.add (local.get $i) (i32.const 0x0A30)))
            (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 80)))
            (br_if $count (i32.lt_u (local.get $i) (i32.const 9))))))"#;

#[test]
fn a_program_that_comes_back_at_once_is_not_taken_for_one_that_has_left() {
    let bed = Bed::new();
    let (_one, _two) = (bed.node("one", &[]), bed.node("two", &[]));
    // It counts for ever: however slow this machine is, the program is there at each move.
    let mut run = bed.run("run", &[&program("counter.wat")]);
    bed.until_line("run", "2");
    bed.migrate(&run, "one", &[]);
    let id = bed.only_id("one");
    let (one, two) = (bed.address("one"), bed.address("two"));
    for _ in 0..4 {
        bed.does(&["migrate", &id, &two, "--from", &one]);
        bed.does(&["migrate", &id, &one, "--from", &two]);
    }
    let said = bed.output("run").lines().count();
    bed.until("two more lines", |bed| bed.output("run").lines().count() > said + 1);
    bed.does(&["kill", &id, "--node", &one]);
    assert_eq!(run.code(), 137, "{}", bed.errors("run"));
    let output = bed.output("run");
    assert_eq!(output, counted(output.lines().count() as u32));
}

#[test]
fn threads_move_with_their_program() {
    let bed = Bed::new();
    let (_one, _two) = (bed.node("one", &[]), bed.node("two", &[]));
    let file = bed.write("threads.wat", THREADED);
    let mut run = bed.run("run", &[&file]);
    bed.until_line("run", "2");
    bed.migrate(&run, "one", &[]);
    bed.until_line("run", "5");
    let id = bed.only_id("one");
    let (one, two) = (bed.address("one"), bed.address("two"));
    bed.does(&["migrate", &id, &two, "--from", &one]);
    assert_eq!(run.code(), 0);
    assert_eq!(bed.output("run"), counted(9));
    assert_eq!(bed.errors("run"), "");
}

#[test]
fn a_program_moves_over_the_network_and_strangers_do_not_get_in() {
    let bed = Bed::new();
    bed.does(&["node", "init", "tls"]);
    bed.does(&["node", "init", "others"]);
    // The port is the system's choice.
    let state = bed.path("state");
    let mut command = bed.brant(&["node", "--listen", "127.0.0.1:0", "--state"]);
    let mut node =
        Running(command.arg(&state).stdout(Stdio::piped()).spawn().expect("brant starts"));
    let mut line = String::new();
    let out = node.0.stdout.as_mut().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
    let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
    let mut run = bed.run("run", &[&program("counter.wat"), "20"]);
    bed.until_line("run", "2");
    let told = bed.does(&["migrate", &run.id().to_string(), &address, "--format", "json"]);
    assert!(told.lines().any(|line| line.contains("\"stage\":\"moved\"")), "{told}");
    let others = bed.path("others");
    let stranger = bed.brant(&["ps", &address]).env("BRANT_TLS", others).output();
    assert!(!stranger.expect("brant starts").status.success());
    let keyless = bed.brant(&["ps", &address]).env("BRANT_TLS", bed.path("none")).output();
    assert!(!keyless.expect("brant starts").status.success());
    assert_eq!(run.code(), 0);
    assert_eq!(bed.output("run"), counted(20));
}

#[test]
fn a_client_cannot_pass_for_a_node() {
    let bed = Bed::new();
    bed.does(&["node", "init", "tls"]);
    for kind in ["pem", "key"] {
        let (from, to) = (bed.path(&format!("tls/client.{kind}")), format!("tls/node.{kind}"));
        std::fs::copy(from, bed.path(&to)).expect("a copy");
    }
    let mut command = bed.brant(&["node", "--listen", "127.0.0.1:0", "--state", "state"]);
    let mut node = Running(command.stdout(Stdio::piped()).spawn().expect("brant starts"));
    let mut line = String::new();
    let out = node.0.stdout.as_mut().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
    let address = line.trim().strip_prefix("listening on ").expect("an address");
    let answer = bed.ask(&["ps", address]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&answer.stderr).contains("certificate"));
}

#[test]
fn input_signals_and_the_exit_code_find_their_way() {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    let mut calc = bed.run("calc", &[&program("bin/calc.wasm")]);
    let mut input = calc.0.stdin.take().expect("a pipe");
    input.write_all(b"6 * 7\n").expect("a pipe");
    bed.until_line("calc", "42");
    bed.migrate(&calc, "node", &[]);
    input.write_all(b"x = 2 ^ 10\n").expect("a pipe");
    bed.until_line("calc", "1024");
    input.write_all(b"x / 4\n").expect("a pipe");
    drop(input);
    assert_eq!(calc.code(), 0);
    assert_eq!(bed.output("calc"), "42\n1024\n256\n");

    let mut counter = bed.run("counter", &[&program("counter.wat")]);
    bed.until_line("counter", "2");
    bed.migrate(&counter, "node", &[]);
    bed.until_line("counter", "5");
    // Not INT: what a shell runs in the background ignores that, and so does all that it starts.
    counter.signal("TERM");
    assert_eq!(counter.code(), 143);
    let address = bed.address("node");
    bed.until("it is gone", |bed| bed.list(&address).is_empty());
}

#[test]
fn a_program_that_is_let_go_can_be_picked_up_again() {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    let mut run = bed.run("run", &[&program("counter.wat"), "20"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "node", &["--detach"]);
    assert_eq!(run.code(), 75);
    let seen = bed.output("run").lines().count();
    let id = bed.only_id("node");
    let output = bed.ask(&["attach", &bed.address("node"), &id[..6]]);
    assert_eq!(output.status.code(), Some(0));
    let rest: String = (seen + 1..=20).map(|n| format!("{n}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&output.stdout), rest);
}

#[test]
fn what_a_pushed_program_wrote_is_shown_to_who_comes_after_its_end() {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    let address = bed.address("node");
    let id = bed.does(&["push", &program("hello.wat"), &address]);
    bed.until("its end", |bed| bed.list(&address).is_empty());
    assert_eq!(bed.does(&["attach", &address, id.trim()]), "hello\n");
    // It was seen: it is not kept any longer.
    assert_eq!(bed.does(&["attach", &address, id.trim()]), "");
}

#[test]
fn a_pushed_program_starts_there_and_its_code_is_sent_once() {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    let address = bed.address("node");
    let push = |count: &str| {
        let counter = program("counter.wat");
        let told = bed.does(&["push", "--format", "json", &counter, &address, count]);
        serde_json::from_str::<serde_json::Value>(&told).expect("JSON")
    };
    let (first, second) = (push("6"), push("100"));
    assert_eq!((&first["code_was_sent"], &second["code_was_sent"]), (&true.into(), &false.into()));
    let id = second["id"].as_str().expect("an id");
    bed.does(&["pause", id, "--node", &address]);
    bed.until("it is paused", |bed| bed.list(&address).iter().any(|p| p["state"] == "paused"));
    bed.does(&["resume", id, "--node", &address]);
    bed.does(&["kill", id, "--node", &address]);
    bed.until("both are gone", |bed| bed.list(&address).is_empty());
    let attached = bed.ask(&["attach", &address, id]);
    assert_eq!(attached.status.code(), Some(137));
}

#[test]
fn standard_error_goes_its_own_way() {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    // Says `b` on standard error once a line has come, and traps.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read"
            (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\20\00\00\00\01\00\00\00ab")
        (func (export "_start")
            (i32.store8 (i32.const 32) (i32.const 97))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
            unreachable))"#;
    let path = bed.write("both.wat", text);
    let mut run = bed.run("run", &[&path]);
    bed.until("it waits", |bed| bed.output("run") == "a");
    bed.migrate(&run, "node", &[]);
    run.0.stdin.take().expect("a pipe").write_all(b"b").expect("a pipe");
    assert_eq!(run.code(), 134);
    assert_eq!(bed.output("run"), "a");
    let errors = bed.errors("run");
    assert!(errors.starts_with('b') && errors.contains("unreachable"), "{errors}");
}

/// Ways to notice writes; where one is not to be had the guest stands, and the outcome is the same.
const TRACKINGS: [&str; 4] = ["asynchronous", "synchronous", "protection", "none"];

/// A guest that writes to memory all the time moves while it runs, and what it wrote is there.
#[test]
fn memory_that_is_written_while_it_moves_is_whole_at_the_end() {
    for tracking in TRACKINGS {
        for tier in ["interp", "jit"] {
            move_a_writer(tracking, tier);
        }
    }
}

fn move_a_writer(tracking: &str, tier: &str) {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    // Adds 1 to each of 4096 pages in turn until somebody types something, then checks that no two
    // of them differ by more than 1, and that those that were written last come first.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff"
            (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 300)
        ;; A subscription to standard input and one to a clock that has come already.
        (data (i32.const 64) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
        (data (i32.const 112) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00")
        (data (i32.const 0) "\20\00\00\00\02\00\00\00")
        (data (i32.const 32) "g\n")
        (global $at (mut i32) (i32.const 0))
        (func $page (param i32) (result i32)
            (i32.add (i32.const 65536) (i32.shl (local.get 0) (i32.const 12))))
        (func $say (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))
        (func $more (local $n i32)
            (loop $next
                (i32.store (call $page (global.get $at))
                    (i32.add (i32.load (call $page (global.get $at))) (i32.const 1)))
                (global.set $at
                    (i32.and (i32.add (global.get $at) (i32.const 1)) (i32.const 4095)))
                (br_if $next (i32.lt_u
                    (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000)))))
        (func $check (local $n i32) (local $first i32)
            (local.set $first (i32.load (call $page (i32.const 0))))
            (loop $next
                (if (i32.ne (i32.load (call $page (local.get $n)))
                        (i32.sub (local.get $first)
                            (i32.ge_u (local.get $n) (select (i32.const 4096) (global.get $at)
                                (i32.eqz (global.get $at))))))
                    (then unreachable))
                (br_if $next (i32.lt_u
                    (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 4096)))))
        (func (export "_start")
            (call $say)
            (loop $go
                (call $more)
                (drop (call $poll (i32.const 64) (i32.const 256) (i32.const 2) (i32.const 20)))
                ;; The clock is always there; input makes two events.
                (br_if $go (i32.eq (i32.load (i32.const 20)) (i32.const 1))))
            (call $check)
            (call $say)))"#;
    let path = bed.write("writer.wat", text);
    let mut run = bed.run_tracked("run", &["--tier", tier, &path], Some(tracking));
    bed.until_line("run", "g");
    let told = bed.migrate(&run, "node", &["--live", "--format", "json"]);
    let moved = told.lines().last().expect("a line");
    let moved: serde_json::Value = serde_json::from_str(moved).expect("JSON");
    assert!(moved["pages"].as_u64().is_some_and(|pages| pages >= 256), "{told}");
    let way = WriteTracking::ALL.into_iter().find(|way| way.name() == tracking);
    let is_tracked = way.is_some_and(WriteTracking::is_available);
    assert_eq!(told.contains("\"stage\":\"round\""), is_tracked, "{tracking}: {told}");
    run.0.stdin.take().expect("a pipe").write_all(b"x").expect("a pipe");
    assert_eq!(run.code(), 0, "{tracking}: {}", bed.errors("run"));
    assert_eq!(bed.output("run"), "g\ng\n");
}

/// What is tracked is the memory as it was when the move began; what it has grown by comes too.
#[test]
fn memory_that_grows_while_it_moves_is_whole_at_the_end() {
    TRACKINGS.into_iter().for_each(move_a_grower);
}

fn move_a_grower(tracking: &str) {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    // Grows by a page each millisecond and writes the page's number to it, until somebody types
    // something; then looks whether all of them are there.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff"
            (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        ;; Standard input, and a clock that comes in a millisecond; their events have 0 and 1.
        (data (i32.const 64) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00")
        (data (i32.const 112) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00")
        (data (i32.const 136) "\40\42\0f")
        (data (i32.const 0) "\20\00\00\00\02\00\00\00")
        (data (i32.const 32) "g\n")
        (func $say (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))
        (func (export "_start") (local $page i32)
            (call $say)
            (loop $go
                (if (i32.lt_u (memory.size) (i32.const 3000))
                    (then
                        (local.set $page (memory.grow (i32.const 1)))
                        (i32.store (i32.shl (local.get $page) (i32.const 16))
                            (local.get $page))))
                (drop (call $poll (i32.const 64) (i32.const 256) (i32.const 2) (i32.const 20)))
                (br_if $go (i64.eq (i64.load (i32.const 256)) (i64.const 1))))
            (local.set $page (memory.size))
            (loop $check
                (local.set $page (i32.sub (local.get $page) (i32.const 1)))
                (if (i32.ne (i32.load (i32.shl (local.get $page) (i32.const 16)))
                        (local.get $page))
                    (then unreachable))
                (br_if $check (i32.gt_u (local.get $page) (i32.const 1))))
            (call $say)))"#;
    let path = bed.write("grower.wat", text);
    let mut run = bed.run_tracked("run", &[&path], Some(tracking));
    bed.until_line("run", "g");
    std::thread::sleep(std::time::Duration::from_millis(300));
    bed.migrate(&run, "node", &["--live"]);
    std::thread::sleep(std::time::Duration::from_millis(50));
    run.0.stdin.take().expect("a pipe").write_all(b"x").expect("a pipe");
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), "g\ng\n");
}

/// What has been started from a snapshot moves like any other program.
#[test]
fn a_program_that_was_restored_moves_on() {
    for verb in ["restore", "run"] {
        let bed = Bed::new();
        let (_one, _two) = (bed.node("one", &[]), bed.node("two", &[]));
        let mut run = bed.run("run", &[&program("counter.wat"), "60"]);
        bed.until_line("run", "2");
        let snapshot = bed.path("snapshot").to_str().expect("UTF-8").to_owned();
        bed.does(&["checkpoint", &run.id().to_string(), "-o", &snapshot, "--stop"]);
        assert_eq!(run.code(), 75);
        let before = bed.output("run");
        let out = std::fs::File::create(bed.path("again.out")).expect("room");
        let mut again = bed.brant(&[verb, &snapshot]);
        let mut again = Running(again.stdout(out).spawn().expect("brant starts"));
        bed.until("it goes on", |bed| bed.output("again").lines().count() > 1);
        bed.migrate(&again, "one", &[]);
        let (id, one, two) = (bed.only_id("one"), bed.address("one"), bed.address("two"));
        bed.does(&["migrate", &id, &two, "--from", &one]);
        assert_eq!(again.code(), 0);
        assert_eq!(before + &bed.output("again"), counted(60), "{verb}");
    }
}

#[test]
fn a_move_that_cannot_begin_says_why() {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    let run = bed.run("run", &[&program("counter.wat"), "30"]);
    bed.until_line("run", "1");
    let id = run.id().to_string();
    let nobody = bed.ask(&["migrate", &id, &bed.address("nobody")]);
    assert_eq!(nobody.status.code(), Some(1));
    let none = bed.ask(&["migrate", "1", &bed.address("node")]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("no program of this user"));
    // It goes on as if nothing had happened.
    let seen = bed.output("run").lines().count();
    bed.until("it counts on", |bed| bed.output("run").lines().count() > seen + 1);
    let mut text = String::new();
    std::fs::File::open(bed.path("run.err")).and_then(|mut f| f.read_to_string(&mut text)).ok();
    assert_eq!(text, "");
}
