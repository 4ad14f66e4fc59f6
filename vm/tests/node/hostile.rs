//! Peers that make no sense: they are turned away, cost little, and harm nobody else.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use brant::mobility::migration::{Message, PROTOCOL_VERSION, ProcessId};

use crate::bed::{Bed, Running, counted, program};

/// No hostile peer makes a node larger than this.
const MEMORY_LIMIT_KIB: u64 = 64 << 10;

fn call(bed: &Bed) -> UnixStream {
    let stream = UnixStream::connect(bed.path("node")).expect("the node listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
    stream
}

/// Says something, and waits until the node has had enough.
fn says(bed: &Bed, bytes: &[u8]) {
    let mut stream = call(bed);
    // The node may have closed before all was said.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
}

fn frame(message: &Message) -> Vec<u8> {
    let (kind, payload) = message.write();
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(payload);
    bytes
}

fn peak_kib(node: &Running) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", node.id())).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches("kB").trim().parse().expect("a number")
}

#[test]
fn strangers_are_turned_away_and_programs_count_on() {
    let bed = Bed::new();
    let node = bed.node("node", &[]);
    let mut run = bed.run("run", &[&program("counter.wat"), "30"]);
    bed.until_line("run", "1");
    bed.migrate(&run, "node", &[]);
    let hello = frame(&Message::Hello { version: PROTOCOL_VERSION });
    says(&bed, &[0xFF; 1000]);
    says(&bed, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    says(&bed, &frame(&Message::Hello { version: 77 }));
    // A frame of 4 GiB, one of the greatest length that is looked at, and kinds that are not known.
    for bytes in [[0xFF, 0xFF, 0xFF, 0xFF, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 200]]
    {
        says(&bed, &[&hello[..], &bytes, &[0; 100]].concat());
    }
    // Messages that make no sense before anything was offered.
    for message in [
        Message::Prepared {},
        Message::State { is_last: true, bytes: vec![1; 1000] },
        Message::Sizes { memories: vec![u64::MAX; 100] },
        Message::Input { position: 0, bytes: vec![0; 100] },
    ] {
        says(&bed, &[&hello[..], &frame(&message)].concat());
    }
    // Random bytes behind a hello, by seed.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..200 {
        let mut bytes = hello.clone();
        for _ in 0..64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.push((state >> 56) as u8);
        }
        // Short lengths, so that the bytes behind them are looked at.
        (bytes[hello.len() + 1], bytes[hello.len() + 2], bytes[hello.len() + 3]) = (0, 0, 0);
        says(&bed, &bytes);
    }
    let peak = peak_kib(&node);
    assert!(peak <= MEMORY_LIMIT_KIB, "{peak} KiB");
    assert_eq!(run.code(), 0);
    assert_eq!(bed.output("run"), counted(30));
}

#[test]
fn a_caller_that_says_a_byte_now_and_then_is_not_waited_for() {
    let bed = Bed::new();
    let _node = bed.node("node", &[]);
    let began = Instant::now();
    let mut slow = call(&bed);
    slow.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
    let hello = frame(&Message::Hello { version: PROTOCOL_VERSION });
    let mut bytes = hello.iter().cycle();
    let closed = loop {
        // A byte at a time, and never a whole frame: the first one says that it is long.
        let byte = if began.elapsed() < Duration::from_millis(1) { 200 } else { 0 };
        let sent = slow.write_all(&[byte.min(*bytes.next().expect("a cycle") | byte)]);
        match (sent, slow.read(&mut [0])) {
            (Err(_), _) | (_, Ok(0)) => break began.elapsed(),
            _ if began.elapsed() > Duration::from_secs(40) => panic!("it is waited for"),
            _ => {}
        }
    };
    assert!(closed < Duration::from_secs(30), "{closed:?}");
    // Others are served meanwhile and after.
    assert!(bed.list(&bed.address("node")).is_empty());
}

/// A destination that breaks off at each step: the source goes on as if nothing had happened.
#[test]
fn a_destination_that_makes_no_sense_leaves_the_program_where_it_is() {
    let bed = Bed::new();
    let listener = std::os::unix::net::UnixListener::bind(bed.path("false")).expect("a socket");
    let mut run = bed.run("run", &[&program("counter.wat"), "30"]);
    bed.until_line("run", "1");
    let hello = Message::Hello { version: PROTOCOL_VERSION };
    let accept = Message::Accept { wanted: vec![true] };
    let too_many = Message::Accept { wanted: vec![true; 100] };
    let answers = [
        vec![],
        frame(&hello),
        [frame(&hello), vec![0xFF; 100]].concat(),
        [frame(&hello), frame(&too_many)].concat(),
        [frame(&hello), frame(&accept)].concat(),
        [frame(&hello), frame(&accept), frame(&Message::Pong {})].concat(),
        [frame(&hello), frame(&accept), frame(&Message::Pong {}), frame(&Message::Lost {})]
            .concat(),
    ];
    for answer in answers {
        let (id, address) = (run.id().to_string(), bed.address("false"));
        let mut command = bed.brant(&["migrate", &id, &address]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut command = command.spawn().expect("it starts");
        let (mut stream, _) = listener.accept().expect("the run calls");
        stream.write_all(&answer).expect("a socket");
        // What it sends fits into the socket.
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a time");
        let mut taken = [0; 4096];
        while stream.read(&mut taken).is_ok_and(|count| count > 0) {}
        drop(stream);
        assert_eq!(command.wait().expect("it ends").code(), Some(1));
    }
    assert_eq!(run.code(), 0);
    assert_eq!(bed.output("run"), counted(30));
}

#[test]
fn a_keeper_that_makes_no_sense_is_turned_away() {
    let bed = Bed::new();
    let node = bed.node("node", &[]);
    let mut run = bed.run("run", &[&program("counter.wat"), "20"]);
    bed.until_line("run", "1");
    bed.migrate(&run, "node", &[]);
    let id = bed.only_id("node");
    let id = ProcessId::from_hex(&id).expect("an id");
    let keep = frame(&Message::Keep { id, keeper: [5; 16] });
    let hello = frame(&Message::Hello { version: PROTOCOL_VERSION });
    let unknown = frame(&Message::Keep { id: ProcessId([9; 16]), keeper: [5; 16] });
    says(&bed, &[&hello[..], &unknown].concat());
    let lane = 7;
    for message in [
        Message::Caller { door: 1, lane },
        Message::FromCaller { lane, position: u64::MAX, bytes: vec![1; 100_000] },
        Message::CallerEnded { lane, position: 3 },
        Message::Reached { lane, position: u64::MAX },
        Message::Gone { lane },
        Message::ToCaller { lane, position: 0, bytes: vec![1] },
        Message::Kept { lanes: Vec::new(), doors: vec![1] },
        Message::Seen { seen: [u64::MAX; 2] },
    ] {
        says(&bed, &[&hello[..], &keep, &frame(&message)].concat());
        // Nor does it make sense of somebody who keeps nothing.
        says(&bed, &[&hello[..], &frame(&message)].concat());
    }
    let peak = peak_kib(&node);
    assert!(peak <= MEMORY_LIMIT_KIB, "{peak} KiB");
    assert_eq!(run.code(), 0);
    assert_eq!(bed.output("run"), counted(20));
}
