//! Programs that are taken apart and put together again at random sites give what they give else.
//!
//! Each time the tier is chosen by chance, so that processes move from the interpreter to compiled
//! code and back, and from each to itself. `cargo test` does a slice of it. The full count is
//! `NOMAD_POINTS=10000 cargo test --release -p brant --test nomad -- --nocapture`.

use std::fs;
use std::time::{Duration, Instant};

use brant::{
    Captured, Config, Engine, ExitStatus, Input, Module, MountAccess, Output, Process,
    ProcessBuilder, ReadLimits, Snapshot, Stopped, Tier,
};
use brant_engine::compile::Stops;
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
    engines: &'a [Engine; 2],
    folder: TempDir,
    output: Captured,
}

impl<'a> World<'a> {
    fn new(program: &'a Program, run: &'a Run, engines: &'a [Engine; 2]) -> World<'a> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in run.files {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        World { program, run, engines, folder, output: Captured::new() }
    }

    fn engine(&self, tier: usize) -> Engine {
        self.engines[tier].clone()
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

/// The tiers, with engines in which every site is one to stop at.
const TIERS: [Tier; 2] = [Tier::Interp, Tier::Jit];

fn engines() -> [Engine; 2] {
    TIERS.map(|tier| {
        let config = Config { tier, stops: Stops::Every, ..Config::default() };
        Engine::new(&brant::with_compiler(config)).expect("an engine")
    })
}

/// How many moves there were from one tier (first) to another.
type Moves = [[usize; 2]; 2];

/// Runs to the end; at each of `points` random sites the process moves through bytes, to a tier by
/// chance. `modules` are the same one for both tiers.
fn moved(
    world: &World<'_>, modules: &[Module; 2], random: &mut Random, points: usize, moves: &mut Moves,
) -> Seen {
    let mut tier = random.next(2) as usize;
    let mut process = world.begin(&modules[tier]);
    for move_count in 0.. {
        if move_count < points {
            process.stop_after_sites(random.sites());
        }
        let status =
            process.run().unwrap_or_else(|error| panic!("{}: {error}", world.program.name));
        if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
            return world.seen(&mut process, &status);
        }
        let bytes = process.checkpoint().expect("it can be moved").to_vec();
        drop(process);
        let snapshot = Snapshot::read(&mut &bytes[..], &ReadLimits::default());
        let snapshot = snapshot.expect("what was written");
        let next = random.next(2) as usize;
        moves[tier][next] += 1;
        tier = next;
        // Most of them know the module already, some take it from the snapshot.
        let known = std::slice::from_ref(&modules[tier]);
        let known = if move_count % 8 == 0 { &[] } else { known };
        let engine = world.engine(tier);
        let builder = Process::restore_with(&engine, &snapshot, known);
        process = world.grant(builder.expect("a module"));
    }
    unreachable!("a run comes to its end")
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
    let engines = engines();
    let mut runs = Vec::new();
    for program in PROGRAMS {
        let bytes = program.module().expect("a module");
        let modules = engines
            .each_ref()
            .map(|engine| Module::new(engine, bytes.clone()).expect("a valid module"));
        for run in program.runs {
            let world = World::new(program, run, &engines);
            let mut process = world.begin(&modules[0]);
            let began = Instant::now();
            let status = process.run().expect("it runs");
            let unmoved = world.seen(&mut process, &status);
            // Long runs are for the full count.
            if points() > SLICE || began.elapsed() < LONG {
                runs.push((program, run, modules.clone(), unmoved));
            }
        }
    }
    let mut random = Random(7);
    let (mut moves, mut round) = (Moves::default(), 0);
    let sum = |moves: &Moves| moves.as_flattened().iter().sum::<usize>();
    while sum(&moves) < points() {
        for (program, run, modules, unmoved) in &runs {
            let world = World::new(program, run, &engines);
            let seen = moved(&world, modules, &mut random, 40, &mut moves);
            assert_eq!(&seen, unmoved, "{} {:?}, round {round}", program.name, run.args);
        }
        round += 1;
    }
    let [[to_self, to_jit], [to_interp, jit_to_jit]] = moves;
    println!(
        "{} moves of {} runs in {round} rounds: {to_self} interp->interp, {to_jit} interp->jit, \
         {to_interp} jit->interp, {jit_to_jit} jit->jit: no difference",
        sum(&moves),
        runs.len()
    );
    assert!(moves.as_flattened().iter().all(|&count| count > 0), "{moves:?}");
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
