//! Programs that are stopped from another thread at any moment, and go on in the other tier.
//!
//! `cargo test` does a slice of it. The full count is
//! `TIER_STOPS=10000 cargo test --release -p brant --test tiers asynchronous -- --nocapture`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use brant::{ExitStatus, Interrupt, Module, Process, ReadLimits, Snapshot, Stopped, Tier};
use brant_engine::compile::Stops;

use crate::world::{Random, Seen, World, engine, programs};

/// How many stops `cargo test` makes.
const SLICE: u64 = 200;
/// Runs above this are left out of the slice, in a build without optimisation too.
const LONG: Duration = Duration::from_millis(400);
/// No run is stopped more often.
const STOPS_A_RUN: u64 = 60;
/// The longest delay of a stop.
const DELAY_BITS: u64 = 21;
/// Of so many stops one goes through the bytes of a snapshot; the others stay in their store.
const SNAPSHOTS: u64 = 4;

/// A thread that interrupts after a delay.
struct Asker {
    orders: Option<Sender<(Interrupt, Duration)>>,
    thread: Option<JoinHandle<()>>,
}

impl Asker {
    fn new() -> Asker {
        let (orders, asked) = channel::<(Interrupt, Duration)>();
        let thread = std::thread::spawn(move || {
            for (interrupt, delay) in asked {
                let began = Instant::now();
                // Sleeping is too coarse for short delays.
                while began.elapsed() < delay {
                    std::thread::yield_now();
                }
                interrupt.interrupt();
            }
        });
        Asker { orders: Some(orders), thread: Some(thread) }
    }

    fn interrupt(&self, process: &Process, delay: Duration) {
        let orders = self.orders.as_ref().expect("it is there until it is dropped");
        orders.send((process.interrupt_handle(), delay)).expect("the thread waits");
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread only waits");
        }
    }
}

/// One module in both tiers.
#[derive(Clone)]
struct Both {
    interp: Module,
    jit: Module,
}

impl Both {
    fn new(bytes: &[u8]) -> Both {
        let module = |tier| {
            Module::new(&engine(tier, Stops::Usual), bytes.to_vec()).expect("a valid module")
        };
        Both { interp: module(Tier::Interp), jit: module(Tier::Jit) }
    }

    fn in_tier(&self, tier: Tier) -> &Module {
        if tier == Tier::Jit { &self.jit } else { &self.interp }
    }
}

fn other(tier: Tier) -> Tier {
    if tier == Tier::Jit { Tier::Interp } else { Tier::Jit }
}

/// Stops by the tier in which they came: compiled, interpreted.
static COMPILED: AtomicU64 = AtomicU64::new(0);
static INTERPRETED: AtomicU64 = AtomicU64::new(0);

/// Runs to the end, and changes the tier at each of several stops.
fn stopped(world: &World<'_>, both: &Both, asker: &Asker, random: &mut Random) -> (Seen, u64) {
    let name = world.program.name;
    let mut tier = if random.below(2) == 0 { Tier::Jit } else { Tier::Interp };
    let mut process = world.begin(both.in_tier(tier));
    let mut stops = 0;
    loop {
        if stops < STOPS_A_RUN {
            asker.interrupt(&process, Duration::from_nanos(random.spread(DELAY_BITS)));
        }
        let status = process.run().unwrap_or_else(|error| panic!("{name}: {error}"));
        if !matches!(status, ExitStatus::Stopped(Stopped::Interrupted)) {
            return (world.seen(&mut process, &status), stops);
        }
        stops += 1;
        let count = if tier == Tier::Jit { &COMPILED } else { &INTERPRETED };
        count.fetch_add(1, Ordering::Relaxed);
        tier = other(tier);
        if random.below(SNAPSHOTS) != 0 {
            process.set_tier(tier).expect("there is a compiler");
            continue;
        }
        let bytes = process.checkpoint().expect("it can be moved").to_vec();
        drop(process);
        let snapshot = Snapshot::read(&mut &bytes[..], &ReadLimits::default());
        let snapshot = snapshot.expect("what was written");
        let module = both.in_tier(tier);
        let known = [module.clone()];
        let builder = Process::restore_with(&engine(tier, Stops::Usual), &snapshot, &known);
        process = world.grant(builder.expect("a module"));
    }
}

fn wanted() -> u64 {
    std::env::var("TIER_STOPS").ok().and_then(|text| text.parse().ok()).unwrap_or(SLICE)
}

#[test]
fn asynchronous_stops_change_nothing_but_the_tier() {
    let mut runs = Vec::new();
    for (program, bytes) in programs() {
        let both = Both::new(bytes);
        for run in program.runs {
            let world = World::new(program, run);
            let mut process = world.begin(&both.interp);
            let began = Instant::now();
            let status = process.run().expect("it runs");
            let undisturbed = world.seen(&mut process, &status);
            // Long runs are for the full count.
            if wanted() > SLICE || began.elapsed() < LONG {
                runs.push((program, run, both.clone(), undisturbed));
            }
        }
    }
    let (asker, mut random) = (Asker::new(), Random(5));
    let (mut all, mut round) = (0, 0);
    while all < wanted() {
        for (program, run, both, undisturbed) in &runs {
            let world = World::new(program, run);
            let (seen, stops) = stopped(&world, both, &asker, &mut random);
            assert_eq!(&seen, undisturbed, "{} {:?}, round {round}", program.name, run.args);
            all += stops;
        }
        round += 1;
    }
    let (compiled, interpreted) = (&COMPILED, &INTERPRETED);
    println!(
        "{all} asynchronous stops of {} runs in {round} rounds ({} in compiled code, {} in the \
         interpreter), each gone on with in the other tier: no difference",
        runs.len(),
        compiled.load(Ordering::Relaxed),
        interpreted.load(Ordering::Relaxed),
    );
    assert!(compiled.load(Ordering::Relaxed) > wanted() / 10, "compiled code is stopped too");
}
