//! Connections that outlive the moves of the program which serves them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bed::{Bed, PATIENCE, Running, program};

/// A port that nobody has.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Calls a port that somebody will listen at.
fn call(port: u16) -> TcpStream {
    let until = std::time::Instant::now() + PATIENCE;
    let caller = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(caller) => break caller,
            Err(error) if std::time::Instant::now() > until => panic!("nobody listens: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    caller.set_read_timeout(Some(PATIENCE)).expect("a time");
    caller
}

/// Says something, and hears it again.
fn echoes(caller: &mut TcpStream, text: &str) {
    caller.write_all(text.as_bytes()).expect("it is heard");
    let mut heard = vec![0; text.len()];
    caller.read_exact(&mut heard).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&heard), text);
}

/// Nodes `one` and `two`, of which the first keeps the sockets of a program that echoes.
fn served(bed: &Bed, port: u16) -> (Running, Running, String) {
    let allowed = format!("echo.wasm=serve=127.0.0.1:{port}");
    let nodes = (bed.node("one", &["--allow", &allowed]), bed.node("two", &[]));
    let id = bed.does(&["push", &program("bin/echo.wasm"), &bed.address("one")]);
    (nodes.0, nodes.1, id.trim().to_owned())
}

fn moves(bed: &Bed, id: &str, from: &str, to: &str) {
    bed.does(&["migrate", id, &bed.address(to), "--from", &bed.address(from)]);
}

#[test]
fn callers_do_not_notice_that_the_program_moves() {
    let (bed, port) = (Bed::new(), free_port());
    let (_one, _two, id) = served(&bed, port);
    let _three = bed.node("three", &[]);
    let mut early = call(port);
    echoes(&mut early, "at home");
    moves(&bed, &id, "one", "two");
    echoes(&mut early, "abroad");
    let mut late = call(port);
    echoes(&mut late, "called when it was gone");
    moves(&bed, &id, "two", "three");
    echoes(&mut late, "farther away");
    echoes(&mut early, "farther away");
    let mut latest = call(port);
    moves(&bed, &id, "three", "one");
    echoes(&mut latest, "back at home");
    echoes(&mut early, "back at home");
    // An end goes the same way in both directions.
    early.write_all(b"the last").expect("it is heard");
    early.shutdown(Shutdown::Write).expect("it is open");
    let mut heard = String::new();
    early.read_to_string(&mut heard).expect("the end");
    assert_eq!(heard, "the last");
    bed.does(&["kill", &id, "--node", &bed.address("one")]);
    let mut rest = String::new();
    late.read_to_string(&mut rest).expect("the end");
    assert_eq!(rest, "");
    bed.until("the port is free", |_| TcpListener::bind(("127.0.0.1", port)).is_ok());
}

#[test]
fn no_request_is_lost_or_answered_twice_while_it_moves_again_and_again() {
    const CALLERS: u32 = 4;
    let (bed, port) = (Bed::new(), free_port());
    let (_one, _two, id) = served(&bed, port);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        let talk = |number: u32| {
            let mut caller = call(port);
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                echoes(&mut caller, &format!("request {count} of caller {number}\n"));
                count += 1;
            }
            count
        };
        let callers: Vec<_> =
            (0..CALLERS).map(|number| scope.spawn(move || talk(number))).collect();
        // One sends much at a time, which is under way at each moment.
        let much = scope.spawn(move || {
            let caller = call(port);
            let bytes: Vec<u8> = (0..4 << 20).map(|n: u32| (n / 3) as u8).collect();
            let mut writer = caller.try_clone().expect("a copy");
            let said = bytes.clone();
            std::thread::spawn(move || {
                writer.write_all(&said).and_then(|()| writer.shutdown(Shutdown::Write))
            });
            let (mut reader, mut heard) = (caller, Vec::new());
            reader.read_to_end(&mut heard).expect("the end");
            assert!(heard == bytes, "{} of {} bytes", heard.len(), bytes.len());
        });
        let mut places = ["one", "two"];
        for _ in 0..10 {
            moves(&bed, &id, places[0], places[1]);
            places.reverse();
        }
        much.join().expect("all of it came back");
        done.store(true, Ordering::Relaxed);
        for caller in callers {
            assert!(caller.join().expect("all was answered") > 0);
        }
    });
}

#[test]
fn the_way_between_the_nodes_may_break_at_any_time() {
    let (bed, port) = (Bed::new(), free_port());
    let (_one, _two, id) = served(&bed, port);
    let mut caller = call(port);
    // Whoever keeps the sockets reaches the second node by a way that breaks all the time.
    let budget = bed.budgeted("way", "two", 1 << 30);
    bed.does(&["migrate", &id, &bed.address("way"), "--from", &bed.address("one")]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let breaks = scope.spawn(|| {
            let mut state = 0x9E37_79B9_7F4A_7C15_u64;
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                budget.store(600 + (state >> 52), Ordering::SeqCst);
                while budget.load(Ordering::SeqCst) > 0 && !done.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                count += 1;
            }
            budget.store(1 << 30, Ordering::SeqCst);
            count
        });
        for round in 0..60 {
            echoes(&mut caller, &format!("{round} {}", "x".repeat(1 << (round % 13))));
            let mut late = call(port);
            echoes(&mut late, "called while it breaks");
        }
        done.store(true, Ordering::Relaxed);
        assert!(breaks.join().expect("it breaks") > 10);
    });
    echoes(&mut caller, "and still");
}

#[test]
fn a_node_that_was_killed_goes_on_with_callers_who_waited() {
    let (bed, port) = (Bed::new(), free_port());
    let (_one, two, id) = served(&bed, port);
    let mut caller = call(port);
    echoes(&mut caller, "before");
    moves(&bed, &id, "one", "two");
    bed.until("it is on the disk", |bed| {
        std::fs::read_dir(bed.path("one.state").join("processes")).is_ok_and(|mut all| {
            all.all(|entry| {
                let folder = entry.expect("an entry").path();
                let files = std::fs::read_dir(folder).map_or(0, |files| files.count());
                files <= 1
            })
        })
    });
    drop(two);
    // It waits for an answer, which nobody can give at the moment.
    caller.write_all(b"after").expect("it is kept");
    let _two = bed.node("two", &[]);
    let mut heard = [0; 5];
    caller.read_exact(&mut heard).expect("an answer");
    assert_eq!(&heard, b"after");
    // Whoever keeps the sockets is gone with them: callers see the end, and the program others.
    echoes(&mut caller, "and more");
}

#[test]
fn a_run_keeps_its_sockets_too() {
    let (bed, port) = (Bed::new(), free_port());
    let _node = bed.node("node", &[]);
    let address = format!("127.0.0.1:{port}");
    let mut run = bed.run("run", &["--serve", &address, &program("bin/echo.wasm")]);
    let mut caller = call(port);
    echoes(&mut caller, "here");
    bed.migrate(&run, "node", &[]);
    echoes(&mut caller, "there");
    echoes(&mut call(port), "there too");
    run.signal("INT");
    assert_eq!(run.code(), 130);
}

#[test]
fn a_host_process_behind_walls_keeps_its_sockets_and_follows_its_program() {
    let (bed, port) = (Bed::new(), free_port());
    let allowed = format!("echo.wasm=serve=127.0.0.1:{port}");
    let _one = bed.node("one", &["--isolate", "--allow", &allowed]);
    let (_two, _three) = (bed.node("two", &["--isolate"]), bed.node("three", &[]));
    let id = bed.does(&["push", &program("bin/echo.wasm"), &bed.address("one")]);
    let mut caller = call(port);
    echoes(&mut caller, "behind walls");
    for (from, to) in [("one", "two"), ("two", "three"), ("three", "two")] {
        moves(&bed, id.trim(), from, to);
        echoes(&mut caller, to);
        echoes(&mut call(port), to);
    }
}
