//! Chaos: a program moves among three nodes while nodes are killed and connections break, and its
//! terminal must see every line once.
//!
//! Each move has a fault of its own, by seed: the source, the destination or both are killed with
//! SIGKILL at some instant, or the connection is cut behind some byte, slowed down, or cut into
//! single bytes. After each move exactly one node runs the program.
//!
//! A slice runs with the other tests; `BRANT_CHAOS_MOVES=1000 cargo test -p brant --test chaos --
//! --nocapture` runs the whole and prints the counts. `BRANT_CHAOS_SEED` chooses another history,
//! `BRANT_CHAOS_BINARY` another binary.

#![cfg(feature = "node")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use brant::node::{Address, Client, Copy, Mode, Position, ProcessId, Terminal, Whereabouts, relay};

/// Moves of the slice.
const SLICE: u32 = 15;

/// After this time something is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts, a line for each number, about a thousand a second.
const COUNTER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 20)
    (data (i32.const 47) "\n")
    ;; A clock, a millisecond from now.
    (data (i32.const 80) "\01\00\00\00\00\00\00\00\40\42\0f\00\00\00\00\00")
    (func $print (param $n i64) (local $at i32)
        (local.set $at (i32.const 47))
        (loop $digit
            (local.set $at (i32.sub (local.get $at) (i32.const 1)))
            (i32.store8 (local.get $at)
                (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10)))))
            (local.set $n (i64.div_u (local.get $n) (i64.const 10)))
            (br_if $digit (i64.ne (local.get $n) (i64.const 0))))
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (i32.sub (i32.const 48) (local.get $at)))
        (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
            (then unreachable))
        ;; Some memory is written too, so that rounds have something to send.
        (i32.store (i32.add (i32.const 65536)
            (i32.mul (i32.and (i32.wrap_i64 (local.get $n)) (i32.const 255)) (i32.const 4096)))
            (local.get $at)))
    (func (export "_start") (local $n i64)
        (loop $count
            (local.set $n (i64.add (local.get $n) (i64.const 1)))
            (call $print (local.get $n))
            (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8)))
            (br $count))))"#;

/// Random numbers by seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit
    }
}

/// What happens during a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    KillSource,
    KillDestination,
    KillBoth,
    Cut,
    Slow,
    SingleBytes,
}

const FAULTS: [Fault; 7] = [
    Fault::None,
    Fault::KillSource,
    Fault::KillDestination,
    Fault::KillBoth,
    Fault::Cut,
    Fault::Slow,
    Fault::SingleBytes,
];

/// What a way does to the bytes that go through it.
#[derive(Clone, Copy, Debug)]
enum Way {
    Plain,
    CutBehind(u64),
    Slow,
    SingleBytes,
}

/// A node, and the way to it that breaks.
struct Place {
    real: PathBuf,
    state: PathBuf,
    address: Address,
    way: Arc<Mutex<Way>>,
    child: Option<Child>,
}

impl Place {
    fn new(folder: &Path, name: &str) -> Place {
        let way = Arc::new(Mutex::new(Way::Plain));
        let front = folder.join(name);
        let mut place = Place {
            real: folder.join(format!("{name}.real")),
            state: folder.join(format!("{name}.state")),
            address: Address::Unix(front.clone()),
            way: way.clone(),
            child: None,
        };
        let real = place.real.clone();
        let listener = UnixListener::bind(front).expect("a socket");
        std::thread::spawn(move || {
            for call in listener.incoming().flatten() {
                let way = *way.lock().expect("a way");
                // A node that is away turns everybody away.
                let Ok(behind) = UnixStream::connect(&real) else { continue };
                let copy = |stream: &UnixStream| stream.try_clone().expect("a descriptor");
                let (there, back) = ((copy(&call), copy(&behind)), (behind, call));
                std::thread::spawn(move || pass(there.0, there.1, way));
                std::thread::spawn(move || pass(back.0, back.1, way));
            }
        });
        place.start();
        place
    }

    fn start(&mut self) {
        // A long history goes on while the binary is built anew.
        let binary = std::env::var_os("BRANT_CHAOS_BINARY");
        let mut command = Command::new(binary.unwrap_or(env!("CARGO_BIN_EXE_brant").into()));
        command.args(["node", "--checkpoint-every", "150ms", "--listen"]);
        command.arg(format!("unix:{}", self.real.display())).arg("--state").arg(&self.state);
        self.child = Some(command.stdout(Stdio::null()).spawn().expect("brant starts"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our child");
            child.wait().expect("our child");
        }
    }

    fn client(&self) -> Option<Client> {
        Client::connect(&Address::Unix(self.real.clone()), None).ok()
    }

    /// How the program is there; `away` if nobody can be asked.
    fn state(&self, id: ProcessId) -> String {
        let listed = self.client().and_then(|mut client| client.list().ok());
        match listed {
            None => "away".to_owned(),
            Some(all) => all.into_iter().find(|p| p.id == id).map_or("-".to_owned(), |p| p.state),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Brings bytes from one socket to another, as far as the way lets them.
fn pass(mut from: UnixStream, mut to: UnixStream, way: Way) {
    let mut buffer = [0; 16 << 10];
    let mut left = if let Way::CutBehind(bytes) = way { bytes } else { u64::MAX };
    while let Ok(count) = from.read(&mut buffer) {
        let count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        left -= count as u64;
        let sent = match way {
            Way::SingleBytes => {
                let (first, rest) = buffer[..count].split_at(count.min(200));
                first
                    .chunks(1)
                    .try_for_each(|byte| to.write_all(byte))
                    .and_then(|()| to.write_all(rest))
            }
            Way::Slow => {
                std::thread::sleep(Duration::from_millis(3));
                to.write_all(&buffer[..count])
            }
            _ => to.write_all(&buffer[..count]),
        };
        if count == 0 || left == 0 || sent.is_err() {
            break;
        }
    }
    // Both ends hear of it.
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// What the terminal has seen, checked as it comes.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    line: Vec<u8>,
    count: u64,
    wrong: Option<String>,
}

impl Ledger {
    fn count(&self) -> u64 {
        let seen = self.0.lock().expect("a ledger");
        assert!(seen.wrong.is_none(), "{:?} behind {}", seen.wrong, seen.count);
        seen.count
    }
}

impl Write for Ledger {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut seen = self.0.lock().expect("a ledger");
        for &byte in bytes {
            if byte != b'\n' {
                seen.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut seen.line)).into_owned();
            if line.parse() == Ok(seen.count + 1) {
                seen.count += 1;
            } else if seen.wrong.is_none() {
                seen.wrong = Some(line);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until everything is up and settled, and gives the one place that runs the program.
fn owner(places: &[Place; 3], id: ProcessId, what: &str) -> usize {
    let mut states = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        states.clear();
        states.extend(places.iter().map(|place| place.state(id)));
        let running: Vec<usize> = (0..3).filter(|&at| states[at] == "running").collect();
        let is_quiet = states.iter().all(|state| state == "running" || state == "-");
        if let ([only], true) = (&running[..], is_quiet) {
            return *only;
        }
        assert!(!is_quiet || running.len() < 2, "{what}: two owners: {states:?}");
        assert!(Instant::now() < deadline, "{what}: no owner: {states:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_program_moves_among_three_nodes_whatever_breaks() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let moves = number("BRANT_CHAOS_MOVES").unwrap_or(u64::from(SLICE));
    let mut chance = Chance(number("BRANT_CHAOS_SEED").unwrap_or(0x5EED_0001));
    let folder = tempfile::tempdir().expect("a folder");
    let mut places = ["a", "b", "c"].map(|name| Place::new(folder.path(), name));
    let module = {
        let options = brant_asm::AssembleOptions::default();
        brant_asm::assemble(COUNTER.as_bytes(), &options).expect("a module")
    };
    let mut client = None;
    until("the first node", || {
        client = places[0].client();
        client.is_some()
    });
    let pushed = client.expect("a node").push("counter", vec![b"counter".to_vec()], &module);
    let (id, _) = pushed.expect("it starts");

    let ledger = Ledger::default();
    let terminal = Terminal {
        outputs: [Box::new(ledger.clone()), Box::new(std::io::sink())],
        input: None,
        signals: None,
    };
    let address = places[0].address.clone();
    let at = Whereabouts { id, address, credentials: None, goes_on: true };
    let is_over = Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    let watcher = std::thread::spawn(move || {
        // A node that wants the program once more gets it from where it came, in a while.
        let mut wait = |_: Copy<'_>| {
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        };
        let ended = relay(None, at, Position::default(), terminal, &mut wait);
        over.store(true, Ordering::Release);
        ended
    });
    until("the first line", || ledger.count() > 0);

    let (mut counts, mut arrived) = ([0u32; FAULTS.len()], 0);
    for step in 0..moves {
        let what = format!("move {step}");
        let from = owner(&places, id, &what);
        let to = (from + 1 + chance.below(2) as usize) % 3;
        let kind = chance.below(FAULTS.len() as u64) as usize;
        counts[kind] += 1;
        let fault = FAULTS[kind];
        let way = match fault {
            Fault::Cut => Way::CutBehind(chance.below(60_000)),
            Fault::Slow => Way::Slow,
            Fault::SingleBytes => Way::SingleBytes,
            _ => Way::Plain,
        };
        *places[to].way.lock().expect("a way") = way;
        let address = places[to].address.clone();
        let mode = [Mode::Live, Mode::Cold, Mode::Postcopy][chance.below(3) as usize];
        let client = places[from].client();
        let (done, outcome) = mpsc::channel();
        std::thread::spawn(move || {
            let moved = client.map(|mut c| c.migrate(&id.to_string(), &address, mode, |_| {}));
            // The test may be over.
            let _ = done.send(moved.is_some_and(|moved| moved.is_ok()));
        });
        std::thread::sleep(Duration::from_micros(chance.below(30_000)));
        if matches!(fault, Fault::KillSource | Fault::KillBoth) {
            places[from].kill();
        }
        if matches!(fault, Fault::KillDestination | Fault::KillBoth) {
            places[to].kill();
        }
        std::thread::sleep(Duration::from_micros(chance.below(50_000)));
        *places[to].way.lock().expect("a way") = Way::Plain;
        for place in places.iter_mut().filter(|place| place.child.is_none()) {
            place.start();
        }
        // A cut connection is mended by the source; a dead one breaks at once.
        let moved = outcome.recv_timeout(PATIENCE).expect("the move comes to an end");
        let now = owner(&places, id, &what);
        assert!(!moved || now == to, "{what}: it was said to be at {to}, and is at {now}");
        arrived += u32::from(now == to);
        let seen = ledger.count();
        until(&format!("{what} ({fault:?}): a line more than {seen}"), || ledger.count() > seen);
        assert!(!is_over.load(Ordering::Acquire), "{what}: the terminal has ended");
    }
    let at = owner(&places, id, "the end");
    places[at].client().expect("it is up").steer(&id.to_string(), "kill").expect("it runs");
    let ended = watcher.join().expect("no panic").expect("it has ended");
    assert_eq!(ended.code, 137);
    println!(
        "chaos: {moves} moves, {arrived} arrived, {} lines without gap or repeat; {}",
        ledger.count(),
        FAULTS.iter().zip(counts).map(|(f, n)| format!("{f:?} {n}")).collect::<Vec<_>>().join(", "),
    );
}
