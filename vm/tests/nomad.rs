//! Programs that are taken apart and put together again at random sites give what they give else.
//!
//! `cargo test` does a slice of it. The full count is
//! `NOMAD_POINTS=10000 cargo test --release -p brant --test nomad -- --nocapture`.

use std::fs;
use std::time::{Duration, Instant};

use brant::{
    Captured, Engine, ExitStatus, Input, Module, MountAccess, Output, Process, ProcessBuilder,
    ReadLimits, Snapshot, Stopped,
};
use brant_programs::{PROGRAMS, Program, Run};
use tempfile::TempDir;

/// What can be seen of a run from outside, and its memory at the end.
#[derive(PartialEq, Eq, Debug)]
struct Seen {
    code: i32,
    output: Vec<u8>,
    memory: blake3::Hash,
}

/// What a run is granted.
struct World<'a> {
    program: &'a Program,
    run: &'a Run,
    folder: TempDir,
    output: Captured,
}

impl<'a> World<'a> {
    fn new(program: &'a Program, run: &'a Run) -> World<'a> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in run.files {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        World { program, run, folder, output: Captured::new() }
    }

    fn grant(&self, builder: ProcessBuilder) -> Process {
        let builder = builder
            .stdin(Input::Bytes(self.run.stdin.as_bytes().to_vec()))
            .stdout(Output::Capture(self.output.clone()))
            .mount(self.folder.path(), ".", MountAccess::ReadWrite);
        builder.build().unwrap_or_else(|error| panic!("{}: {error}", self.program.name))
    }

    fn begin(&self, module: &Module) -> Process {
        let args = [self.program.name].into_iter().chain(self.run.args.iter().copied());
        self.grant(Process::builder(module).args(args))
    }

    fn seen(&self, process: &mut Process, status: &ExitStatus) -> Seen {
        let memory = process.memory().expect("a memory");
        let bytes = memory.slice(0, memory.len_bytes()).expect("all of it");
        Seen { code: status.code(), output: self.output.bytes(), memory: blake3::hash(bytes) }
    }
}

/// A generator of numbers by seed.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// As often below 10 as between 10,000 and 100,000.
    fn sites(&mut self) -> u64 {
        let bits = self.next(18);
        1 + self.next(1 << bits)
    }
}

/// Runs to the end; at each of `points` random sites the process moves through bytes.
fn moved(world: &World<'_>, module: &Module, random: &mut Random, points: usize) -> (Seen, usize) {
    let known = [module.clone()];
    let mut process = world.begin(module);
    let mut moves = 0;
    loop {
        if moves < points {
            process.stop_after_sites(random.sites());
        }
        let status =
            process.run().unwrap_or_else(|error| panic!("{}: {error}", world.program.name));
        if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
            return (world.seen(&mut process, &status), moves);
        }
        moves += 1;
        let bytes = process.checkpoint().expect("it can be moved").to_vec();
        drop(process);
        let snapshot = Snapshot::read(&mut &bytes[..], &ReadLimits::default());
        let snapshot = snapshot.expect("what was written");
        // Half of them know the module already, half take it from the snapshot.
        let known = if moves % 2 == 0 { &known[..] } else { &[] };
        let builder = Process::restore_with(&Engine::default(), &snapshot, known);
        process = world.grant(builder.expect("a module"));
    }
}

/// How many moves `cargo test` makes.
const SLICE: usize = 100;
/// Runs above this are left out of the slice.
const LONG: Duration = Duration::from_millis(300);

fn points() -> usize {
    std::env::var("NOMAD_POINTS").ok().and_then(|text| text.parse().ok()).unwrap_or(SLICE)
}

#[test]
fn programs_do_not_notice_that_they_move() {
    let mut runs = Vec::new();
    for program in PROGRAMS {
        let bytes = program.module().expect("a module");
        let module = Module::new(&Engine::default(), bytes).expect("a valid module");
        for run in program.runs {
            let world = World::new(program, run);
            let mut process = world.begin(&module);
            let began = Instant::now();
            let status = process.run().expect("it runs");
            let unmoved = world.seen(&mut process, &status);
            // Long runs are for the full count.
            if points() > SLICE || began.elapsed() < LONG {
                runs.push((program, run, module.clone(), unmoved));
            }
        }
    }
    let mut random = Random(7);
    let (mut all, mut round) = (0, 0);
    while all < points() {
        for (program, run, module, unmoved) in &runs {
            let (seen, moves) = moved(&World::new(program, run), module, &mut random, 40);
            assert_eq!(&seen, unmoved, "{} {:?}, round {round}", program.name, run.args);
            all += moves;
        }
        round += 1;
    }
    println!("{all} moves of {} runs in {round} rounds: no difference", runs.len());
}

#[test]
fn a_program_that_sleeps_goes_on_sleeping() {
    let program = brant_programs::find("counter").expect("the program");
    let bytes = program.module().expect("a module");
    let module = Module::new(&Engine::default(), bytes).expect("a valid module");
    let output = Captured::new();
    let builder = Process::builder(&module).args(["counter", "3"]);
    let mut process = builder.stdout(Output::Capture(output.clone())).build().expect("a process");
    let mut moves = 0;
    let began = Instant::now();
    loop {
        let interrupt = process.interrupt_handle();
        let asker = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            interrupt.interrupt();
        });
        let status = process.run().expect("it runs");
        asker.join().expect("no panic");
        if !matches!(status, ExitStatus::Stopped(_)) {
            assert_eq!(status.code(), 0);
            break;
        }
        let snapshot = process.checkpoint().expect("a sleeper can be moved");
        assert!(snapshot.resources.parked.is_some(), "it is stopped in its sleep");
        let builder = Process::restore(&Engine::default(), &snapshot).expect("a module");
        process = builder.stdout(Output::Capture(output.clone())).build().expect("a process");
        moves += 1;
    }
    assert_eq!(output.text(), "1\n2\n3\n");
    let took_ms = began.elapsed().as_millis();
    assert!(moves > 5, "{moves} moves");
    assert!(took_ms >= 200, "{took_ms} ms: no sleep became shorter");
}
