//! Postcopy: a program runs at its destination at once, and its pages follow.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brant::mobility::migration::{
    Message, PAGES, PROTOCOL_VERSION, PagesFrame, ProcessId, read_frame, write_frame,
};

use crate::bed::{Bed, Running, counted, program};

/// Fills 2,000 pages with their numbers, says `g`, waits for a line, and looks whether all of them
/// are there, from the last one to the first; then says `g` again. Pages that it has not touched
/// have to be zero.
const FILLED: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read"
        (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 300)
    (data (i32.const 0) "\20\00\00\00\02\00\00\00")
    (data (i32.const 32) "g\n")
    (data (i32.const 48) "\40\00\00\00\01\00\00\00")
    (func $page (param i32) (result i32)
        (i32.add (i32.const 65536) (i32.shl (local.get 0) (i32.const 12))))
    (func $say (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))
    (func (export "_start") (local $n i32)
        (loop $next
            (i32.store offset=4000 (call $page (local.get $n)) (local.get $n))
            (br_if $next (i32.lt_u
                (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2000))))
        (call $say)
        (drop (call $read (i32.const 0) (i32.const 48) (i32.const 1) (i32.const 16)))
        (loop $check
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (if (i32.ne (i32.load offset=4000 (call $page (local.get $n))) (local.get $n))
                (then unreachable))
            (br_if $check (local.get $n)))
        (if (i64.ne (i64.load (call $page (i32.const 2100))) (i64.const 0)) (then unreachable))
        ;; A page that a system call is the first to write to, and one that it reads from.
        (i32.store (i32.const 48) (call $page (i32.const 2200)))
        (call $say)))"#;

/// Where pages cannot follow the move is refused, and the program goes on.
fn can_follow() -> bool {
    brant_engine::MissingPages::are_available()
}

fn filled(bed: &Bed, tier: &str) -> Running {
    let path = bed.write("filled.wat", FILLED);
    let run = bed.run("run", &["--tier", tier, &path]);
    bed.until_line("run", "g");
    run
}

/// The counter with a memory that is worth following: a thousand pages, one of which has to be as it
/// was at each number.
fn counter_with_memory(bed: &Bed) -> String {
    let text = std::fs::read_to_string(program("counter.wat")).expect("a program of the tree");
    let text = text
        .replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 100)")
        .replace(
            "(local.set $limit (call $limit))",
            "(local.set $limit (call $limit))
             (loop $fill
                (i64.store (call $page (local.get $n)) (local.get $n))
                (br_if $fill (i64.lt_u
                    (local.tee $n (i64.add (local.get $n) (i64.const 1))) (i64.const 1000))))
             (local.set $n (i64.const 0))",
        )
        .replace(
            "(call $print (local.get $n))",
            "(if (i64.ne (i64.load (call $page (local.get $n))) (local.get $n))
                (then unreachable))
             (call $print (local.get $n))",
        )
        .replace(
            "(func (export \"_start\")",
            "(func $page (param i64) (result i32)
                (i32.add (i32.const 65536) (i32.shl (i32.wrap_i64 (local.get 0)) (i32.const 12))))
             (func (export \"_start\")",
        );
    bed.write("counter.wat", &text)
}

fn state(bed: &Bed, node: &str) -> String {
    let all = bed.list(&bed.address(node));
    all.first().and_then(|one| one["state"].as_str()).unwrap_or("none").to_owned()
}

/// A program that runs at a node while some of its pages are still here, and nothing gets through.
struct Broken {
    _node: Running,
    /// How many bytes get through to the node.
    left: Arc<AtomicU64>,
    run: Running,
    migrate: Running,
}

impl Broken {
    fn in_the_midst(bed: &Bed) -> Broken {
        let node = bed.node("node", &[]);
        let left = bed.budgeted("between", "node", 3 << 20);
        let run = filled(bed, "jit");
        let (id, between) = (run.id().to_string(), bed.address("between"));
        let mut migrate = bed.brant(&["migrate", &id, &between, "--postcopy"]);
        let migrate = Running(migrate.spawn().expect("brant starts"));
        bed.until("the connection is broken", |_| left.load(Ordering::SeqCst) == 0);
        bed.until("it is there in part", |bed| state(bed, "node") == "arriving");
        Broken { _node: node, left, run, migrate }
    }
}

#[test]
fn pages_follow_a_program_and_all_of_them_are_whole() {
    for tier in ["interp", "jit"] {
        let bed = Bed::new();
        if !can_follow() {
            return;
        }
        let _node = bed.node("node", &[]);
        let mut run = filled(&bed, tier);
        let told = bed.migrate(&run, "node", &["--postcopy"]);
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines.iter().any(|line| line.starts_with("moved: ")), "{told}");
        assert!(lines.iter().any(|line| line.starts_with("followed: 20")), "{told}");
        run.0.stdin.take().expect("a pipe").write_all(b"x").expect("a pipe");
        assert_eq!(run.code(), 0, "{tier}: {}", bed.errors("run"));
        assert_eq!(bed.output("run"), "g\ng\n");
    }
}

/// The connection breaks while pages are on their way: the program waits for them, and goes on once
/// the source can reach the node again; nothing of what it did is done twice.
#[test]
fn a_program_waits_for_its_pages_while_the_connection_is_broken() {
    let bed = Bed::new();
    if !can_follow() {
        return;
    }
    let Broken { _node, left, mut run, mut migrate } = Broken::in_the_midst(&bed);
    run.0.stdin.take().expect("a pipe").write_all(b"x").expect("a pipe");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(state(&bed, "node"), "arriving");
    for more in [1 << 20, u64::MAX] {
        left.store(more, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(migrate.code(), 0);
    assert_eq!(bed.output("run"), "g\ng\n");
}

/// Somebody who knows a program's name connects as its source, and sends what makes no sense: each
/// time the connection is closed, pages that came before stay as they are, and those that the source
/// still has come all the same.
#[test]
fn pages_that_make_no_sense_change_nothing() {
    let bed = Bed::new();
    if !can_follow() {
        return;
    }
    let Broken { _node, left, mut run, mut migrate } = Broken::in_the_midst(&bed);
    let id = ProcessId::from_hex(&bed.only_id("node")).expect("its name");

    // Runs of pages: memory, first, count, whether there are contents; and then the contents.
    let runs = |number: u8, run: &[u8], contents: usize| {
        [&number.to_le_bytes(), run, &vec![0xAA; contents]].concat()
    };
    const NO_NUMBER: [u8; 11] = [0xFF; 11];
    const HUGE: [u8; 10] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];
    let of_another_memory = runs(1, &[9, 16, 1, 1], 4096);
    let behind_the_memory = runs(1, &[0, 0xFF, 0x7F, 1, 1], 4096);
    let without_end = runs(1, &[&[0, 0][..], &HUGE, &[0]].concat(), 0);
    let that_wrap = runs(1, &[&[0][..], &HUGE, &HUGE, &[0]].concat(), 0);
    let forged = [
        (PAGES, of_another_memory),
        (PAGES, behind_the_memory),
        (PAGES, without_end),
        (PAGES, that_wrap),
        (PAGES, runs(1, &[0, 16, 2, 1], 4096)),
        (PAGES, runs(1, &[0, 16, 1, 1], 4095)),
        (PAGES, runs(1, &[0, 16, 1, 1], 2 * 4096)),
        (PAGES, runs(200, &[], 0)),
        (PAGES, NO_NUMBER.to_vec()),
        Message::Behind { runs: Vec::new() }.write(),
        Message::State { is_last: true, bytes: vec![0; 100] }.write(),
        Message::Commit { id, epoch: 2 }.write(),
        (250, vec![0; 10]),
    ];
    for (kind, payload) in forged {
        let mut stream = as_its_source(&bed, id);
        write_frame(&mut stream, kind, &[&payload]).expect("a socket");
        let mut rest = Vec::new();
        // It is closed, with an answer or without one.
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{kind}: {error}");
        }
        assert_eq!(state(&bed, "node"), "arriving", "kind {kind}");
    }
    // A page that has come already, again and with something else in it.
    let mut frame = PagesFrame::default();
    frame.add(0, 16, Some(&[0xAA; 4096]));
    let mut stream = as_its_source(&bed, id);
    write_frame(&mut stream, PAGES, &[&frame.runs(), frame.contents()]).expect("a socket");
    drop(stream);

    left.store(u64::MAX, Ordering::SeqCst);
    run.0.stdin.take().expect("a pipe").write_all(b"x").expect("a pipe");
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(migrate.code(), 0);
    assert_eq!(bed.output("run"), "g\ng\n");
}

/// Asks the node what it misses of a program, as its source does.
fn as_its_source(bed: &Bed, id: ProcessId) -> UnixStream {
    let mut stream = UnixStream::connect(bed.path("node")).expect("the node listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
    for message in [Message::Hello { version: PROTOCOL_VERSION }, Message::Settle { id, epoch: 1 }]
    {
        let (kind, payload) = message.write();
        write_frame(&mut stream, kind, &[&payload]).expect("a socket");
    }
    let mut payload = Vec::new();
    loop {
        let kind = read_frame(&mut stream, &mut payload).expect("the node answers");
        match Message::read(kind, &payload).expect("a message") {
            Message::Hello { .. } => {}
            Message::Missing { runs } => {
                assert!(!runs.is_empty());
                return stream;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The source has died for good: the program stands where it needs a page, is listed, and can be
/// ended; it never goes on with zeros.
#[test]
fn a_program_whose_source_died_stands_until_it_is_ended() {
    let bed = Bed::new();
    if !can_follow() {
        return;
    }
    let Broken { _node, left: _, mut run, migrate: _migrate } = Broken::in_the_midst(&bed);
    run.0.kill().expect("it runs");
    run.0.wait().expect("it was killed");
    let (id, address) = (bed.only_id("node"), bed.address("node"));
    let mut attach = bed.brant(&["attach", &address, &id]);
    let attach = attach.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut attach = Running(attach.spawn().expect("brant starts"));
    attach.0.stdin.take().expect("a pipe").write_all(b"x").expect("a pipe");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(state(&bed, "node"), "arriving", "it waits for a page");
    bed.does(&["kill", &id, "--node", &address]);
    assert_eq!(attach.code(), 137);
    let mut out = String::new();
    attach.0.stdout.as_mut().expect("a pipe").read_to_string(&mut out).ok();
    assert_eq!(out, "", "nothing was made up");
    bed.until("it is gone", |bed| bed.list(&bed.address("node")).is_empty());
}

/// The source is a node that is killed while pages are on their way: what it has on its disk is
/// older; the program goes on from there, and its terminal sees every line once.
#[test]
fn a_source_that_starts_again_gives_what_it_has_on_its_disk() {
    let bed = Bed::new();
    if !can_follow() {
        return;
    }
    let mut one = bed.node("one", &["--checkpoint-every", "50ms"]);
    let _two = bed.node("two", &[]);
    let left = bed.budgeted("between", "two", 500 << 10);
    let path = counter_with_memory(&bed);
    let mut run = bed.run("run", &[&path, "25"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "one", &[]);
    bed.until_line("run", "5");
    let (id, from, between) = (bed.only_id("one"), bed.address("one"), bed.address("between"));
    let mut migrate = bed.brant(&["migrate", &id, &between, "--from", &from, "--postcopy"]);
    let _migrate = Running(migrate.spawn().expect("brant starts"));
    bed.until("the connection is broken", |_| left.load(Ordering::SeqCst) == 0);
    one.0.kill().expect("it runs");
    one.0.wait().expect("it was killed");
    left.store(u64::MAX, Ordering::SeqCst);
    let _one = bed.node("one", &[]);
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), counted(25));
}

/// The destination never answers again: somebody decides, and the program goes on where it was given
/// up, at the point where it was; its terminal has never left.
#[test]
fn somebody_decides_about_a_program_whose_destination_never_answers() {
    let bed = Bed::new();
    if !can_follow() {
        return;
    }
    let _one = bed.node("one", &[]);
    let mut two = bed.node("two", &[]);
    let left = bed.budgeted("between", "two", 500 << 10);
    let mut run = bed.run("run", &[&counter_with_memory(&bed), "15"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "one", &[]);
    bed.until_line("run", "4");
    let (id, one, between) = (bed.only_id("one"), bed.address("one"), bed.address("between"));
    let nothing = bed.ask(&["settle", &id, "--node", &one, "--here"]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing is open"));
    let mut migrate = bed.brant(&["migrate", &id, &between, "--from", &one, "--postcopy"]);
    let _migrate = Running(migrate.spawn().expect("brant starts"));
    bed.until("the connection is broken", |_| left.load(Ordering::SeqCst) == 0);
    two.0.kill().expect("it runs");
    two.0.wait().expect("it was killed");
    bed.until("it was given up", |bed| state(bed, "one") == "fenced");
    let killed = bed.ask(&["kill", &id, "--node", &one]);
    assert!(String::from_utf8_lossy(&killed.stderr).contains("brant settle"));
    bed.does(&["settle", &id, "--node", &one, "--here"]);
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), counted(15));
}

/// The other decision, by a node that has been killed meanwhile: it lets go of what it has.
#[test]
fn what_is_elsewhere_for_good_is_let_go_of() {
    let bed = Bed::new();
    if !can_follow() {
        return;
    }
    let mut one = bed.node("one", &[]);
    let mut two = bed.node("two", &[]);
    let left = bed.budgeted("between", "two", 500 << 10);
    let run = bed.run("run", &[&counter_with_memory(&bed)]);
    bed.until_line("run", "2");
    bed.migrate(&run, "one", &[]);
    bed.until_line("run", "4");
    let (id, from, between) = (bed.only_id("one"), bed.address("one"), bed.address("between"));
    let mut migrate = bed.brant(&["migrate", &id, &between, "--from", &from, "--postcopy"]);
    let _migrate = Running(migrate.spawn().expect("brant starts"));
    bed.until("the connection is broken", |_| left.load(Ordering::SeqCst) == 0);
    for node in [&mut one, &mut two] {
        node.0.kill().expect("it runs");
        node.0.wait().expect("it was killed");
    }
    let _one = bed.node("one", &[]);
    bed.until("it was given up", |bed| state(bed, "one") == "fenced");
    bed.does(&["settle", &id, "--node", &from, "--there"]);
    assert!(bed.list(&from).is_empty());
}

/// Ctrl-C where the program was started, while a part of it is still there: it ends on both sides.
#[test]
fn ctrl_c_in_the_midst_ends_the_program_on_both_sides() {
    let bed = Bed::new();
    if !can_follow() {
        return;
    }
    let mut broken = Broken::in_the_midst(&bed);
    broken.run.signal("INT");
    broken.left.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(broken.run.code(), 130, "{}", bed.errors("run"));
    bed.until("it has ended there too", |bed| bed.list(&bed.address("node")).is_empty());
}

/// The same where nothing gets through: whoever sits there is told what is left, and how to end it.
#[test]
fn ctrl_c_while_the_node_is_away_says_what_is_left() {
    let bed = Bed::new();
    if !can_follow() {
        return;
    }
    let mut broken = Broken::in_the_midst(&bed);
    broken.run.signal("TERM");
    assert_eq!(broken.run.code(), 143, "{}", bed.errors("run"));
    let said = bed.errors("run");
    let id = bed.only_id("node");
    assert!(said.contains(&format!("`brant kill {} --node", &id[..8])), "{said}");
    assert_eq!(state(&bed, "node"), "arriving");
    bed.does(&["kill", &id, "--node", &bed.address("node")]);
    bed.until("it has ended", |bed| bed.list(&bed.address("node")).is_empty());
}

#[test]
fn a_program_without_a_page_has_all_of_them_at_once() {
    if !can_follow() {
        return;
    }
    let bed = Bed::new();
    let (_one, _two) = (bed.node("one", &[]), bed.node("two", &[]));
    let text =
        r#"(module (memory (export "memory") 0) (func (export "_start") (loop $on (br $on))))"#;
    let path = bed.write("untouched.wat", text);
    let mut run = bed.run("run", &[&path]);
    bed.until("it runs", |bed| !bed.does(&["ps", "--format", "json"]).is_empty());
    let said = bed.migrate(&run, "one", &["--postcopy"]);
    assert!(said.contains("followed: 0 pages"), "{said}");
    let (one, two, id) = (bed.address("one"), bed.address("two"), bed.only_id("one"));
    let said = bed.does(&["migrate", &id, &two, "--from", &one, "--postcopy"]);
    assert!(said.contains("followed: 0 pages"), "{said}");
    bed.does(&["kill", &id, "--node", &two]);
    assert_eq!(run.code(), 137, "{}", bed.errors("run"));
}
