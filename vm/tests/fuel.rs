//! Fuel is the same in every tier: as many operators for a run, and the same place where it ends.

use brant::mobility::{Contents, Execution};
use brant::{
    Captured, Config, Engine, ExitStatus, Input, Limits, Module, MountAccess, Output, Process,
    Stopped, Tier,
};
use brant_host::sim::SimHost;
use brant_programs::{PROGRAMS, Program, Run};

/// More than any run here takes.
const MUCH: u64 = 1 << 50;

/// Runs that take more are compared where they stop, and not at their end.
const LONG: u64 = 1 << 22;

/// Places at which each run is stopped.
const POINTS: u64 = 2;

/// What is the same in all tiers when the fuel is used up.
struct Seen {
    status: String,
    fuel: u64,
    output: Vec<u8>,
    memory: Vec<u8>,
    /// Frames, globals, tables; none if the program has ended.
    execution: Option<Execution>,
}

fn module(program: &Program, tier: Tier) -> Module {
    let config = brant::with_compiler(Config { tier, fuel: true, ..Config::default() });
    let engine = Engine::new(&config).expect("a configuration");
    let bytes = program.module().unwrap_or_else(|error| panic!("{}: {error}", program.name));
    Module::new(&engine, bytes).expect("a module")
}

struct Guest {
    process: Process,
    output: Captured,
}

impl Guest {
    fn new(program: &Program, run: &Run, module: &Module, fuel: u64) -> Guest {
        let mut host = SimHost::new(0);
        for (name, text) in run.files {
            host.add_file("/data", name, text.as_bytes()).expect("a file");
        }
        let output = Captured::new();
        let process = Process::builder(module)
            .args([program.name])
            .args(run.args.iter().copied())
            .stdin(Input::Bytes(run.stdin.as_bytes().to_vec()))
            .stdout(Output::Capture(output.clone()))
            .host(host)
            .mount("/data", ".", MountAccess::ReadWrite)
            .limits(Limits { fuel: Some(fuel), ..Limits::default() })
            .build()
            .expect("it is linked");
        Guest { process, output }
    }

    fn go_on(&mut self) -> Seen {
        let status = self.process.run().expect("it runs");
        let execution = matches!(status, ExitStatus::Stopped(Stopped::OutOfFuel)).then(|| {
            let snapshot = self.process.checkpoint_as(Contents::Plain);
            snapshot.expect("a program that is out of fuel can be captured").execution
        });
        let memory = self.process.memory().expect("a memory");
        let memory = memory.slice(0, memory.len_bytes()).expect("all of it").to_vec();
        let (fuel, output) = (self.process.fuel(), self.output.bytes());
        Seen { status: format!("{status:?}"), fuel, output, memory, execution }
    }
}

/// Compares without printing whole memories.
fn same([interpreted, compiled]: &[Seen; 2], what: &str) {
    assert_eq!(interpreted.status, compiled.status, "{what}");
    assert_eq!(interpreted.fuel, compiled.fuel, "{what}");
    assert_eq!(interpreted.execution, compiled.execution, "{what}");
    assert_eq!(interpreted.output, compiled.output, "{what}");
    assert!(interpreted.memory == compiled.memory, "{what}: the memories differ");
}

#[test]
fn every_tier_takes_the_same_fuel_and_stops_at_the_same_place() {
    let mut points_count = 0;
    for program in PROGRAMS {
        let modules = [Tier::Interp, Tier::Jit].map(|tier| module(program, tier));
        for run in program.runs {
            let what = format!("{} {:?}", program.name, run.args);
            let whole = Guest::new(program, run, &modules[1], MUCH).go_on();
            assert!(whole.execution.is_none(), "{what} ends");
            let taken = MUCH - whole.fuel;
            assert!(taken > 4, "{what}: {taken} operators");
            let is_short = taken < LONG;
            if is_short {
                let interpreted = Guest::new(program, run, &modules[0], MUCH).go_on();
                same(&[interpreted, whole], &what);
            }
            for point in points(taken.min(LONG)) {
                let what = format!("{what} with {point} of {taken}");
                let mut guests =
                    modules.each_ref().map(|module| Guest::new(program, run, module, point));
                let stopped = guests.each_mut().map(Guest::go_on);
                assert!(stopped[0].execution.is_some(), "{what}");
                same(&stopped, &what);
                points_count += 1;
                if is_short {
                    let ends = guests.each_mut().map(|guest| {
                        guest.process.add_fuel(MUCH);
                        guest.go_on()
                    });
                    same(&ends, &what);
                    let all = point + MUCH - ends[0].fuel;
                    assert_eq!(all, taken, "{what}: a stop is free of charge");
                }
            }
        }
    }
    assert!(points_count >= 50, "{points_count} points");
}

/// The first operator, the last but one, and some by chance.
fn points(below: u64) -> impl Iterator<Item = u64> {
    let mut random = below;
    let by_chance = (0..POINTS).map(move |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        1 + random % (below - 1)
    });
    [1, below - 1].into_iter().chain(by_chance)
}

/// Branches whose condition is known, with values that are carried, and out of several blocks.
const KNOWN: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "_start") (local $n i32)
        (loop $again (result i32)
            (i32.const 7)
            (block $out (result i32)
                (i32.const 3)
                (br_if $again (i32.const 0))
                (br_if $out (i32.ctz (i32.const 5)))
                (block $inner (br_if $inner (i32.const 0)) (local.set $n (i32.add (local.get $n) (i32.const 1))))
                (br_if $again (i32.lt_u (local.get $n) (i32.const 3))))
            (i32.store (i32.const 0) (i32.add)) (i32.const 1))
        (drop)))"#;

#[test]
fn branches_that_are_never_taken_are_places_to_stop_in_every_tier() {
    let modules = [Tier::Interp, Tier::Jit].map(|tier| {
        let config = brant::with_compiler(Config { tier, fuel: true, ..Config::default() });
        Module::from_text(&Engine::new(&config).expect("an engine"), KNOWN).expect("a module")
    });
    let mut stops = 0;
    for fuel in 0..80 {
        let seen = modules.each_ref().map(|module| {
            let limits = Limits { fuel: Some(fuel), ..Limits::default() };
            let mut process = Process::builder(module).limits(limits).build().expect("linked");
            let status = process.run().expect("a status");
            let stopped = matches!(status, ExitStatus::Stopped(Stopped::OutOfFuel));
            let left = process.fuel();
            let execution = stopped.then(|| process.checkpoint().expect("it stands").execution);
            process.add_fuel(1000);
            let ends = stopped.then(|| process.run().expect("it goes on").code());
            (status.to_string(), left, execution, ends)
        });
        assert!(seen[0] == seen[1], "{fuel}: {:?}\n{:?}", seen[0], seen[1]);
        assert!(seen[0].3.is_none_or(|code| code == 0), "{fuel}");
        stops += usize::from(seen[0].3.is_some());
    }
    assert!(stops > 20, "{stops}");
}
