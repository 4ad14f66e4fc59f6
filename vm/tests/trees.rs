//! Trees of processes that are taken apart and put together again, in either tier, and what of a tree
//! from elsewhere is refused.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brant::mobility::TreeImage;
use brant::resources::{Action, PipeState, TreeState};
use brant::{
    Captured, Config, Engine, Error, ExitStatus, Input, Limits, Module, MountAccess, Output,
    Process, ProcessBuilder, ReadLimits, Snapshot, Stopped, Tier,
};
use brant_engine::compile::Stops;
use tempfile::TempDir;

/// Pipes with bytes in them, copies and other programs, offsets that are shared, codes that wait to
/// be asked for, input that several read.
const SCRIPT: &str = "seq 3000 | sort -rn | (cat; echo end) | uniq | wc
(echo one; seq 2; echo two) > f; cat < f
sleep 0.01 & (exit 3); echo $?; yes | head -1; wait
echo $(seq 4 | tr 1-4 a-d) | cat | cat
cat | tr a-z A-Z
nobody; echo $?
";
const INPUT: &str = "first\nabc\ndef\n";

fn engines() -> [Engine; 2] {
    [Tier::Interp, Tier::Jit].map(|tier| {
        let config = Config { tier, stops: Stops::Every, ..Config::default() };
        Engine::new(&brant::with_compiler(config)).expect("an engine")
    })
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/bin")
}

/// What a shell is granted.
struct World {
    engines: [Engine; 2],
    folder: TempDir,
    output: Captured,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        World { engines: engines(), folder, output: Captured::new() }
    }

    fn grant(&self, builder: ProcessBuilder) -> ProcessBuilder {
        builder
            .stdin(Input::Bytes(INPUT.as_bytes().to_vec()))
            .stdout(Output::Capture(self.output.clone()))
            .stderr(Output::Capture(self.output.clone()))
            .mount(programs(), "/bin", MountAccess::ReadOnly)
            .mount(self.folder.path(), ".", MountAccess::ReadWrite)
    }

    fn begin(&self, tier: usize, script: &str) -> Process {
        let bytes = brant_programs::find("sh").expect("the shell").module().expect("its module");
        let module = Module::new(&self.engines[tier], bytes).expect("a valid module");
        let builder = Process::builder(&module).args(["sh", "-c", script]);
        self.grant(builder).build().expect("a process")
    }

    /// The process in another engine, by way of bytes.
    fn moved(&self, process: &mut Process, tier: usize) -> Process {
        let snapshot = process.checkpoint().expect("a tree that stands");
        let bytes = snapshot.to_vec();
        let snapshot =
            Snapshot::from_bytes(bytes.into(), &ReadLimits::default()).expect("a snapshot");
        let builder = Process::restore(&self.engines[tier], &snapshot).expect("its modules");
        self.grant(builder).build().expect("a tree that goes on")
    }
}

/// Runs a tree to its end, and moves it whenever it stops; says how often.
fn run_moving(world: &World, mut process: Process, sites: u64) -> (ExitStatus, usize) {
    let mut moves = 0;
    loop {
        process.stop_after_sites(sites);
        let interrupt = process.interrupt_handle();
        let has_stopped = AtomicBool::new(false);
        let status = std::thread::scope(|scope| {
            scope.spawn(|| {
                // While the first process waits there are no sites to count.
                for _ in 0..2000 {
                    std::thread::sleep(Duration::from_micros(500));
                    if has_stopped.load(Ordering::Acquire) {
                        return;
                    }
                }
                interrupt.interrupt();
            });
            let status = process.run().expect("a status");
            has_stopped.store(true, Ordering::Release);
            status
        });
        let ExitStatus::Stopped(Stopped::AtSite | Stopped::Interrupted) = status else {
            return (status, moves);
        };
        moves += 1;
        process = world.moved(&mut process, moves % 2);
    }
}

#[test]
fn a_tree_goes_on_from_any_site_of_its_first_process() {
    let world = World::new();
    let status = world.begin(0, SCRIPT).run().expect("a status");
    let undisturbed = world.output.text();
    assert!(
        undisturbed
            .ends_with("one\n1\n2\ntwo\n3\ny\na b c d\nFIRST\nABC\nDEF\nnobody: not found\n127\n"),
        "{undisturbed}"
    );
    let world = World::new();
    let process = world.begin(0, SCRIPT);
    let (moved, moves) = run_moving(&world, process, 211);
    assert_eq!(world.output.text(), undisturbed, "{moves} moves");
    assert_eq!(moved.code(), status.code());
    assert!(moves > 10, "{moves} moves");
}

#[test]
fn a_tree_goes_on_from_wherever_its_processes_are() {
    let script = "seq 20000 | sort -rn | (sleep 0.02; cat) | uniq -c | tail -3; echo $?";
    let world = World::new();
    let mut process = world.begin(1, script);
    let mut moves = 0;
    let status = loop {
        let interrupt = process.interrupt_handle();
        let pause = Duration::from_millis(1 + moves as u64 % 5);
        let status = std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(pause);
                interrupt.interrupt();
            });
            process.run().expect("a status")
        });
        let ExitStatus::Stopped(Stopped::Interrupted) = status else { break status };
        process = world.moved(&mut process, moves % 2);
        moves += 1;
    };
    assert_eq!(world.output.text(), "1 3\n1 2\n1 1\n0\n", "{moves} moves");
    assert_eq!(status.code(), 0);
    assert!(moves > 3, "{moves} moves");
}

/// A handler that takes a while, and a call that it interrupts.
const HANDLER: &str = r#"(module
    (import "wasix_32v1" "callback_signal" (func $callback (param i32 i32)))
    (import "wasix_32v1" "proc_raise" (func $raise (param i32) (result i32)))
    (import "wasix_32v1" "proc_fork" (func $fork (param i32 i32) (result i32)))
    (import "wasix_32v1" "proc_signal" (func $signal (param i32 i32) (result i32)))
    (import "wasix_32v1" "proc_join" (func $join (param i32 i32 i32) (result i32)))
    (import "wasix_32v1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasix_32v1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 32) "told") (data (i32.const 64) "0123456789")
    (global $told (mut i32) (i32.const 0))
    ;; Whoever interrupts writes elsewhere.
    (func $say (param $at i32) (param $digit i32)
        (i32.store (local.get $at) (i32.add (i32.const 64) (local.get $digit)))
        (i32.store offset=4 (local.get $at) (i32.const 1))
        (drop (call $fd_write (i32.const 1) (local.get $at) (i32.const 1) (i32.const 8))))
    (func (export "told") (param $signal i32) (local $i i32)
        (call $say (i32.const 200) (i32.const 1))
        (loop $busy
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $busy (i32.lt_u (local.get $i) (i32.const 50))))
        (global.set $told (i32.add (global.get $told) (i32.const 1)))
        (call $say (i32.const 200) (local.get $signal)))
    (func (export "_start")
        (call $callback (i32.const 32) (i32.const 4))
        (drop (call $raise (i32.const 2)))
        (loop $not_yet (br_if $not_yet (i32.eqz (global.get $told))))
        (call $say (i32.const 0) (global.get $told))
        (drop (call $fork (i32.const 1) (i32.const 16)))
        (if (i32.eqz (i32.load (i32.const 16)))
            (then (drop (call $signal (i32.const 1) (i32.const 3))) (call $exit (i32.const 5))))
        ;; The signal interrupts the first wait, the end of the child the second one.
        (loop $wait
            (i32.store (i32.const 20) (i32.const 0))
            (br_if $wait (call $join (i32.const 20) (i32.const 0) (i32.const 40))))
        (call $say (i32.const 0) (i32.load8_u (i32.const 42)))))"#;

#[test]
fn a_handler_goes_on_and_so_does_what_it_has_interrupted() {
    let engines = engines();
    let run = |move_every: Option<u64>| {
        let output = Captured::new();
        let grant = |builder: ProcessBuilder| {
            builder.stdout(Output::Capture(output.clone())).build().expect("a process")
        };
        let module = Module::from_text(&engines[0], HANDLER).expect("a module");
        let mut process = grant(Process::builder(&module).args(["handler"]));
        let mut moves = 0;
        loop {
            move_every.inspect(|sites| process.stop_after_sites(*sites));
            let status = process.run().expect("a status");
            let ExitStatus::Stopped(_) = status else {
                assert!(matches!(status, ExitStatus::Exited(0)), "{status}");
                return (output.text(), moves);
            };
            moves += 1;
            let bytes = process.checkpoint().expect("it stands").to_vec();
            let snapshot = Snapshot::from_bytes(bytes.into(), &ReadLimits::default());
            let snapshot = snapshot.expect("a snapshot");
            process = grant(Process::restore(&engines[moves % 2], &snapshot).expect("its modules"));
        }
    };
    let (undisturbed, _) = run(None);
    assert_eq!(undisturbed, "121131\x005");
    for sites in [1, 2, 7] {
        let (moved, moves) = run(Some(sites));
        assert_eq!(moved, undisturbed, "{moves} moves");
        assert!(moves > 10, "{moves} moves");
    }
}

#[test]
fn both_tiers_write_a_tree_alike() {
    let script = "seq 500 | sort -rn | cat; (exit 4); echo $?";
    for sites in [50, 400, 900] {
        let [one, other] = [0, 1].map(|tier| {
            let world = World::new();
            let mut process = world.begin(tier, script);
            process.stop_after_sites(sites);
            let status = process.run().expect("a status");
            assert!(matches!(status, ExitStatus::Stopped(Stopped::AtSite)), "{status}");
            without_time(process.checkpoint().expect("it stands"))
        });
        assert_eq!(
            one.tree.as_ref().map(|tree| &tree.state),
            other.tree.as_ref().map(|tree| &tree.state)
        );
        assert!(one.to_vec() == other.to_vec(), "{sites}");
    }
}

/// A snapshot without what differs from run to run.
fn without_time(mut snapshot: Snapshot) -> Snapshot {
    let mut tree = snapshot.tree.take();
    let members = tree.iter_mut().flat_map(|tree| &mut tree.members);
    for member in members.map(|(_, member)| member).chain([&mut snapshot]) {
        member.generation = [0; 16];
        member.resources.clocks = Default::default();
        member.resources.parked.iter_mut().for_each(|parked| parked.began_ns = 0);
    }
    Snapshot { tree, ..snapshot }
}

/// A tree in the middle of a pipeline.
fn sample(world: &World) -> Snapshot {
    let mut process = world.begin(0, "seq 30000 | sort | (sleep 60; cat); echo");
    let interrupt = process.interrupt_handle();
    let status = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            interrupt.interrupt();
        });
        process.run().expect("a status")
    });
    assert!(matches!(status, ExitStatus::Stopped(_)), "{status}");
    process.checkpoint().expect("it stands")
}

#[test]
fn row_42_a_tree_that_no_process_has_made_is_refused() {
    let world = World::new();
    let snapshot = sample(&world);
    let restored = |snapshot: &Snapshot| -> Result<Process, Error> {
        let bytes = snapshot.to_vec();
        let snapshot = Snapshot::from_bytes(bytes.into(), &ReadLimits::default())?;
        world.grant(Process::restore(&world.engines[0], &snapshot)?).build()
    };
    restored(&snapshot).expect("it goes on as it is");
    let refused = |what: &str, change: &dyn Fn(&mut TreeImage)| {
        let mut changed = snapshot.clone();
        change(changed.tree.as_mut().expect("a tree"));
        assert!(restored(&changed).is_err(), "{what}");
    };
    let in_state = |what: &str, change: fn(&mut TreeState)| {
        refused(what, &|tree| change(&mut tree.state));
    };
    in_state("a circle", |state| state.entries[1].1.parent = state.entries[1].0);
    in_state("a child of nobody", |state| state.entries[1].1.parent = 400);
    in_state("a row too many", |state| {
        let row = state.entries[1].1.clone();
        state.entries.push((500, row));
    });
    in_state("a row too few", |state| drop(state.entries.pop()));
    in_state("a pipe too large", |state| state.pipes[0].bytes = vec![0; (64 << 10) + 1]);
    in_state("a pipe twice", |state| {
        let pipe = PipeState { number: state.pipes[0].number, bytes: Vec::new() };
        state.pipes.insert(0, pipe);
    });
    in_state("no pipe", |state| state.pipes.clear());
    in_state("a function that does not run", |state| state.members[0].interrupted = Some(None));
    in_state("fewer descriptors", |state| state.members[1].descriptors.truncate(1));
    in_state("duplicates of different things", |state| {
        state.members[1].descriptors.iter_mut().for_each(|relation| relation.description = 0);
    });
    refused("no snapshot of a process", &|tree| drop(tree.members.pop()));
    refused("snapshots in another order", &|tree| tree.members.swap(0, 1));
    refused("a tree in a tree", &|tree| {
        let inner = Some(Box::new(tree.clone()));
        tree.members[0].1.tree = inner;
    });
    refused("an end that somebody else has", &|tree| {
        let ends =
            tree.members.iter_mut().flat_map(|(_, member)| &mut member.resources.descriptors);
        for state in ends {
            if let Action::Connect(end) = &mut state.action {
                *end &= 1;
            }
        }
    });
    refused("an end of no pipe", &|tree| {
        let ends =
            tree.members.iter_mut().flat_map(|(_, member)| &mut member.resources.descriptors);
        for state in ends {
            if let Action::Connect(end) = &mut state.action {
                *end = u32::MAX;
            }
        }
    });
}

#[test]
fn more_processes_than_are_granted_are_refused_with_a_remedy() {
    let world = World::new();
    let snapshot = sample(&world);
    let builder = Process::restore(&world.engines[0], &snapshot).expect("its modules");
    let limits = Limits { processes_count: 2, ..Limits::default() };
    let error = world.grant(builder).limits(limits).build().expect_err("refused").to_string();
    assert!(error.contains("--max-processes"), "{error}");
}

/// Asks again and again whether its child has ended, which computes; none of them ever waits.
const IMPATIENT: &str = r#"(module
    (import "wasix_32v1" "proc_fork" (func $fork (param i32 i32) (result i32)))
    (import "wasix_32v1" "proc_join" (func $join (param i32 i32 i32) (result i32)))
    (import "wasix_32v1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $i i32)
        (drop (call $fork (i32.const 1) (i32.const 16)))
        (if (i32.eqz (i32.load (i32.const 16))) (then
            (loop $busy
                (br_if $busy (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                       (i32.const 100))))
            (call $exit (i32.const 5))))
        (loop $again
            (i32.store (i32.const 20) (i32.const 0))
            (drop (call $join (i32.const 20) (i32.const 1) (i32.const 40)))
            (br_if $again (i32.eqz (i32.load8_u (i32.const 40)))))
        (call $exit (i32.add (i32.load8_u (i32.const 42)) (i32.const 4)))))"#;

#[test]
fn a_tree_that_moves_again_before_a_quantum_is_over_has_all_processes_run() {
    let engines = engines();
    let module = Module::from_text(&engines[0], IMPATIENT).expect("a module");
    let mut process = Process::builder(&module).args(["impatient"]).build().expect("a process");
    let mut moves = 0;
    let status = loop {
        process.stop_after_sites(50);
        let status = process.run().expect("a status");
        if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
            break status;
        }
        moves += 1;
        assert!(moves < 1_000, "somebody never has a turn");
        let snapshot = process.checkpoint().expect("it stands");
        let builder = Process::restore(&engines[moves % 2], &snapshot).expect("its modules");
        process = builder.build().expect("a tree that goes on");
    };
    assert!(matches!(status, ExitStatus::Exited(9)), "{status:?}");
}
