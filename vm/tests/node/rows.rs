//! What becomes of each kind of resource when its process moves, one test for each.
//!
//! Memory, globals, timers and streams are in `moves.rs`: every program there has them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;

use crate::bed::{Bed, Running, program};

/// Opens `f` in its first mount, writes `a` to it and `r` to standard output, waits for a byte of
/// input, writes `b`, and shows what the file holds from its beginning.
const FILES: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\20\00\00\00\01\00\00\00")
    (data (i32.const 8) "\40\00\00\00\10\00\00\00")
    (data (i32.const 48) "f")
    (func $put (param $fd i32) (param $byte i32)
        (i32.store8 (i32.const 32) (local.get $byte))
        (if (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 24))
            (then unreachable)))
    (func (export "_start")
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 48) (i32.const 1) (i32.const 1)
                (i64.const 102) (i64.const 0) (i32.const 0) (i32.const 28))
            (then unreachable))
        (call $put (i32.load (i32.const 28)) (i32.const 97))
        (call $put (i32.const 1) (i32.const 114))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 24)))
        (call $put (i32.load (i32.const 28)) (i32.const 98))
        (drop (call $seek (i32.load (i32.const 28)) (i64.const 0) (i32.const 0) (i32.const 128)))
        (drop (call $read (i32.load (i32.const 28)) (i32.const 8) (i32.const 1) (i32.const 24)))
        (i32.store (i32.const 12) (i32.load (i32.const 24)))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 24)))))"#;

/// A folder with a program that has a file open, and a node that grants its folder or not.
fn files(grants: &[&str]) -> (Bed, Running, Running) {
    let bed = Bed::new();
    std::fs::create_dir(bed.path("dir")).expect("a folder");
    let node = bed.node("node", grants);
    let path = bed.write("files.wat", FILES);
    let run = bed.run("run", &["--dir", "dir::data", &path]);
    bed.until("it waits", |bed| bed.output("run") == "r");
    (bed, node, run)
}

fn try_to_move(bed: &Bed, run: &Running) -> Output {
    bed.ask(&["migrate", &run.id().to_string(), &bed.address("node")])
}

fn goes_on(bed: &Bed, mut run: Running, expected: &str) {
    run.0.stdin.take().expect("a pipe").write_all(b"x").expect("a pipe");
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), expected);
}

fn refused(output: &Output, parts: &[&str]) {
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(parts.iter().all(|part| errors.contains(part)), "{errors}");
}

/// Where a node runs its programs: all in one host process, or each in its own, behind walls.
const KINDS: [&[&str]; 2] = [&[], &["--isolate"]];

#[test]
fn an_open_file_is_opened_again_below_the_mount_that_the_node_grants() {
    for kind in KINDS {
        let (bed, _node, run) = files(&[kind, &["--allow", "files.wat=dir=dir::data"]].concat());
        let moved = try_to_move(&bed, &run);
        assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
        goes_on(&bed, run, "rab");
        assert_eq!(std::fs::read(bed.path("dir/f")).ok().as_deref(), Some(&b"ab"[..]));
    }
}

#[test]
fn a_directory_that_is_not_granted_there_is_refused_by_name_and_the_program_goes_on() {
    for kind in KINDS {
        let (bed, _node, run) = files(kind);
        refused(&try_to_move(&bed, &run), &["data", "not granted", "--dir HOST::data"]);
        goes_on(&bed, run, "rab");
    }
}

#[test]
fn a_mount_that_is_read_only_there_does_not_take_a_file_that_is_written() {
    let (bed, _node, run) = files(&["--allow", "files.wat=dir=dir::data:ro"]);
    refused(&try_to_move(&bed, &run), &["descriptor 4", "`f` below mount `data`"]);
    goes_on(&bed, run, "rab");
}

#[test]
fn another_file_of_the_same_name_is_not_taken_for_it() {
    let (bed, _node, run) = files(&["--allow", "files.wat=dir=other::data"]);
    std::fs::create_dir(bed.path("other")).expect("a folder");
    std::fs::write(bed.path("other/f"), "longer").expect("room");
    refused(&try_to_move(&bed, &run), &["descriptor 4", "another file"]);
    goes_on(&bed, run, "rab");
}

#[test]
fn a_file_without_a_name_travels() {
    let (bed, _node, run) = files(&["--allow", "files.wat=dir=dir::data"]);
    std::fs::remove_file(bed.path("dir/f")).expect("it is there");
    let moved = try_to_move(&bed, &run);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    goes_on(&bed, run, "rab");
    assert!(!bed.path("dir/f").exists());
}

#[test]
fn a_memory_larger_than_what_is_granted_is_refused() {
    let (bed, _node, run) =
        files(&["--allow", "files.wat=dir=dir::data", "--allow", "files.wat=max-memory=32KiB"]);
    refused(&try_to_move(&bed, &run), &["memory", "max-memory"]);
    goes_on(&bed, run, "rab");
}

/// Says `r`, waits for a byte of input, takes the next call of its listener and says `h` to it;
/// where it is given an argument it takes the call first.
const LISTENS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\20\00\00\00\01\00\00\00")
    (func $put (param $fd i32) (param $byte i32)
        (i32.store8 (i32.const 32) (local.get $byte))
        (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 24))))
    (func $take
        (if (call $accept (i32.const 3) (i32.const 0) (i32.const 28)) (then unreachable)))
    (func $wait
        (call $put (i32.const 1) (i32.const 114))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 24))))
    (func (export "_start")
        (drop (call $sizes (i32.const 16) (i32.const 20)))
        (if (i32.eq (i32.load (i32.const 16)) (i32.const 2))
            (then (call $take) (call $wait))
            (else (call $wait) (call $take)))
        (call $put (i32.load (i32.const 28)) (i32.const 104))))"#;

/// A port that is free now.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn a_listener_is_the_one_that_the_node_grants() {
    for kind in KINDS {
        let (here, there) = (free_port(), free_port());
        let bed = Bed::new();
        let _node = bed
            .node("node", &[kind, &["--allow", &format!("listens.wat=listen={there}")]].concat());
        let path = bed.write("listens.wat", LISTENS);
        let mut run = bed.run("run", &["--listen", &here, &path]);
        bed.until("it waits", |bed| bed.output("run") == "r");
        let moved = try_to_move(&bed, &run);
        assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
        run.0.stdin.take().expect("a pipe").write_all(b"x").expect("a pipe");
        let mut said = String::new();
        let mut call = TcpStream::connect(&there).expect("the node listens");
        call.read_to_string(&mut said).expect("the guest says something");
        assert_eq!((run.code(), said.as_str()), (0, "h"));
    }
}

#[test]
fn a_listener_that_is_not_granted_and_a_connection_are_refused() {
    let here = free_port();
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    let path = bed.write("listens.wat", LISTENS);
    let run = bed.run("run", &["--listen", &here, &path]);
    bed.until("it waits", |bed| bed.output("run") == "r");
    refused(&try_to_move(&bed, &run), &["listener 0", "not granted"]);
    drop(run);

    let here = free_port();
    let mut run = bed.run("run", &["--listen", &here, &path, "first"]);
    let mut call = None;
    bed.until("it listens", |_| {
        call = TcpStream::connect(&here).ok();
        call.is_some()
    });
    bed.until("it waits", |bed| bed.output("run") == "r");
    refused(&try_to_move(&bed, &run), &["connection"]);
    run.0.stdin.take().expect("a pipe").write_all(b"x").expect("a pipe");
    let mut said = String::new();
    call.expect("a call").read_to_string(&mut said).expect("the guest says something");
    assert_eq!((run.code(), said.as_str()), (0, "h"));
}

/// Says `r`, waits for a byte of input, and then asks for its arguments and its environment and
/// writes both, as they stand in memory.
const ARGUMENTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\20\00\00\00\01\00\00\00")
    (data (i32.const 32) "r")
    ;; Two names of 8 and 4 bytes, ends included, and a variable of 6.
    (data (i32.const 8) "\00\04\00\00\12\00\00\00")
    (func (export "_start")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 24)))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 24)))
        (drop (call $args (i32.const 512) (i32.const 1024)))
        (drop (call $env (i32.const 512) (i32.const 1036)))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 24)))))"#;

#[test]
fn arguments_and_environment_move_by_value() {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    let path = bed.write("arg.wat", ARGUMENTS);
    let run = bed.run("run", &["--env", "A=bcd", &path, "one"]);
    bed.until("it waits", |bed| bed.output("run") == "r");
    let moved = try_to_move(&bed, &run);
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    goes_on(&bed, run, "rarg.wat\0one\0A=bcd\0");
}

#[test]
fn the_code_moves_by_its_hash_and_keeps_it() {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    let run = bed.run("run", &[&program("counter.wat")]);
    bed.until_line("run", "1");
    bed.migrate(&run, "node", &[]);
    let modules = std::fs::read_dir(bed.path("node.state/modules")).expect("a folder");
    let names: Vec<String> = modules
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let bytes = std::fs::read(bed.path("node.state/modules").join(&names[0])).expect("a module");
    assert_eq!(names, [blake3::hash(&bytes).to_string()]);
}
