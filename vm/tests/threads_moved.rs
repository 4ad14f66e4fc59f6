//! Programs with threads that are taken apart and put together again while their threads compute,
//! wait at addresses, stand in system calls, or have just been born.
//!
//! Each time the tier is chosen by chance. `cargo test` does a slice of it. The full count is
//! `THREAD_POINTS=10000 cargo test --release -p brant --test threads_moved -- --nocapture`.

use std::time::Duration;

use brant::{
    Config, Engine, ExitStatus, Input, Limits, Module, Process, ProcessBuilder, ReadLimits,
    Snapshot, Stopped, ThreadPolicy, Tier,
};
use brant_engine::compile::Stops;

/// How many moves `cargo test` makes.
const SLICE: usize = 120;

/// Imports, a lock, and what waits; `$body` is the first thread's, `$other` that of the others.
fn threaded(body: &str, other: &str, more: &str) -> String {
    format!(
        r#"(module
        (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff"
            (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read"
            (func $read (param i32 i32 i32 i32) (result i32)))
        (import "env" "memory" (memory 2 4 shared))
        (func $wait (param $at i32) (param $while i32)
            (loop $again
                (drop (memory.atomic.wait32 (local.get $at) (local.get $while) (i64.const -1)))
                (br_if $again
                    (i32.eq (i32.atomic.load (local.get $at)) (local.get $while)))))
        (func $signal (param $at i32)
            (drop (i32.atomic.rmw.add (local.get $at) (i32.const 1)))
            (drop (memory.atomic.notify (local.get $at) (i32.const -1))))
        ;; A lock of three states: free, taken, taken and waited for.
        (func $lock (param $at i32)
            (if (i32.eqz (i32.atomic.rmw.cmpxchg (local.get $at) (i32.const 0) (i32.const 1)))
                (then (return)))
            (loop $again
                (if (i32.eqz (i32.atomic.rmw.xchg (local.get $at) (i32.const 2)))
                    (then (return)))
                (drop (memory.atomic.wait32 (local.get $at) (i32.const 2) (i64.const -1)))
                (br $again)))
        (func $unlock (param $at i32)
            (if (i32.eq (i32.atomic.rmw.xchg (local.get $at) (i32.const 0)) (i32.const 2))
                (then (drop (memory.atomic.notify (local.get $at) (i32.const 1))))))
        ;; Sleeps so many nanoseconds; `$at` has 128 bytes for it.
        (func $sleep (param $at i32) (param $ns i64)
            (i32.store8 offset=8 (local.get $at) (i32.const 0))
            (i32.store offset=16 (local.get $at) (i32.const 1))
            (i64.store offset=24 (local.get $at) (local.get $ns))
            (i64.store offset=32 (local.get $at) (i64.const 0))
            (i32.store16 offset=40 (local.get $at) (i32.const 0))
            (if (call $poll (local.get $at) (i32.add (local.get $at) (i32.const 64))
                            (i32.const 1) (i32.add (local.get $at) (i32.const 112)))
                (then (unreachable))))
        {more}
        (func (export "wasi_thread_start") (param $id i32) (param $argument i32) {other})
        (func (export "_start") {body}))"#
    )
}

fn engine(tier: Tier, config: &Config) -> Engine {
    let config = Config { tier, stops: Stops::Every, ..config.clone() };
    Engine::new(&brant::with_compiler(config)).expect("an engine")
}

/// A program in both tiers, on a simulated host.
struct World {
    modules: [Module; 2],
    engines: [Engine; 2],
}

impl World {
    fn new(text: &str, config: &Config) -> World {
        let engines = [Tier::Interp, Tier::Jit].map(|tier| engine(tier, config));
        let module = |engine: &Engine| Module::from_text(engine, text).expect("a valid module");
        World { modules: [module(&engines[0]), module(&engines[1])], engines }
    }

    fn granted(builder: ProcessBuilder) -> Process {
        builder.sim(7).stdin(Input::Bytes(Vec::new())).build().expect("a process")
    }

    fn begin(&self, tier: usize) -> Process {
        World::granted(Process::builder(&self.modules[tier]))
    }

    /// The process from its bytes, in a tier.
    fn moved(&self, process: &mut Process, tier: usize) -> Process {
        let bytes = process.checkpoint().expect("it can be moved").to_vec();
        let snapshot = Snapshot::read(&mut &bytes[..], &ReadLimits::default()).expect("a snapshot");
        assert_eq!(snapshot.to_vec(), bytes, "what was read is written alike");
        let known = &self.modules[tier..=tier];
        let builder = Process::restore_with(&self.engines[tier], &snapshot, known);
        World::granted(builder.expect("its modules"))
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

    /// As often few as many, fewer than 2 to the `bits`.
    fn sites(&mut self, bits: u64) -> u64 {
        let bits = self.next(bits);
        1 + self.next(1 << bits)
    }
}

/// Runs to the end and moves at sites at random, about 2 to the `bits` apart; says how often, and with how many threads at most.
fn wander(world: &World, seed: u64, bits: u64) -> (ExitStatus, usize, usize) {
    let mut random = Random(seed);
    let mut process = world.begin(random.next(2) as usize);
    let (mut moves, mut most) = (0, 1);
    loop {
        process.stop_after_sites(random.sites(bits));
        let status = process.run().expect("a status");
        if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
            return (status, moves, most);
        }
        most = most.max(process.thread_count());
        process = world.moved(&mut process, random.next(2) as usize);
        moves += 1;
    }
}

/// Eight threads in mixed states, see [`mixed_of`].
fn mixed(rounds: u32) -> String {
    mixed_of(8, rounds)
}

/// Threads take a lock `rounds` times each, sleep with it or without it, wait in vain for a time, compute,
/// and count: in the shared memory, in a global, in a table and in a memory of their own. The exit code
/// is the sum of the numbers of those that have found what was their own.
fn mixed_of(threads: u32, rounds: u32) -> String {
    let text = threaded(
        "(local $i i32)
        (loop $more
            (if (i32.lt_s (call $spawn (i32.mul (local.get $i) (i32.const 256))) (i32.const 1))
                (then (unreachable)))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                   (i32.const THREADS))))
        (call $signal (i32.const 28))
        (loop $join
            (local.set $i (i32.atomic.load (i32.const 4)))
            (if (i32.lt_u (local.get $i) (i32.const THREADS))
                (then (call $wait (i32.const 4) (local.get $i)) (br $join))))
        (if (i32.ne (i32.load (i32.const 12)) (i32.const ALL)) (then (call $exit (i32.const 1))))
        (call $exit (i32.load (i32.const 16)))",
        // A room of 256 bytes from 8192 on; its own counters must be `rounds` at the end.
        "(local $i i32) (local $room i32) (local $spin i32)
        (local.set $room (i32.add (i32.const 8192) (local.get $argument)))
        (call $wait (i32.const 28) (i32.const 0))
        (loop $more
            (call $lock (i32.const 8))
            (local.set $spin (i32.load (i32.const 12)))
            (if (i32.eqz (i32.and (local.get $i) (i32.const 3)))
                (then (call $sleep (local.get $room) (i64.const 1000))))
            (i32.store (i32.const 12) (i32.add (local.get $spin) (i32.const 1)))
            (call $unlock (i32.const 8))
            ;; Nobody wakes it there.
            (if (i32.eq (i32.and (local.get $i) (i32.const 7)) (i32.const 5))
                (then (drop (memory.atomic.wait32 (i32.add (local.get $room) (i32.const 240))
                                                  (i32.const 0) (i64.const 2000)))))
            (global.set $own (i32.add (global.get $own) (i32.const 1)))
            (table.set $t (local.get $i) (ref.func $signal))
            (i32.store $mine (i32.const 5000)
                (i32.add (i32.load $mine (i32.const 5000)) (i32.const 1)))
            (local.set $spin (i32.const 50))
            (loop $spins
                (br_if $spins (local.tee $spin (i32.sub (local.get $spin) (i32.const 1)))))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                   (i32.const ROUNDS))))
        (if (i32.and
                (i32.and (i32.eq (global.get $own) (i32.const ROUNDS))
                         (i32.eq (i32.load $mine (i32.const 5000)) (i32.const ROUNDS)))
                (i32.eqz (ref.is_null (table.get $t (i32.const LAST)))))
            (then (drop (i32.atomic.rmw.add (i32.const 16) (local.get $id)))))
        (call $signal (i32.const 4))",
        "(memory $mine 1) (global $own (mut i32) (i32.const 0)) (table $t ROUNDS funcref)
        (elem declare func $signal)",
    );
    let text = text.replace("ROUNDS", &rounds.to_string()).replace("THREADS", &threads.to_string());
    text.replace("ALL", &(threads * rounds).to_string()).replace("LAST", &(rounds - 1).to_string())
}

/// How many moves the tests make.
fn points() -> usize {
    std::env::var("THREAD_POINTS").ok().and_then(|text| text.parse().ok()).unwrap_or(SLICE)
}

#[test]
fn threads_in_any_state_go_on_elsewhere() {
    let world = World::new(&mixed(12), &Config::default());
    let (mut moves, mut seed) = (0, 1);
    while moves < points() {
        let (status, count, most) = wander(&world, seed, 12);
        // 1 + 2 + ... + 8: each thread found what was its own.
        assert!(matches!(status, ExitStatus::Exited(36)), "seed {seed}: {status:?}");
        assert!(most > 4, "{most} threads at once");
        moves += count;
        seed += 1;
    }
    println!("{moves} moves of processes with up to nine threads");
}

#[test]
fn who_waits_keeps_its_place_in_the_queue() {
    // Eight threads wait at one address; woken one by one they write down who they are. The process
    // moves before and between.
    let text = threaded(
        "(local $i i32)
        (loop $more
            (drop (call $spawn (i32.const 0)))
            ;; Each waits before the next one comes, the last first: threads of odd numbers run
            ;; before that on purpose.
            (loop $until
                (br_if $until (i32.le_u (i32.atomic.load (i32.const 20)) (local.get $i))))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                   (i32.const 8))))
        (local.set $i (i32.const 0))
        (loop $wake
            (loop $until
                (br_if $until
                    (i32.eqz (memory.atomic.notify (i32.const 8) (i32.const 1)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (loop $written
                (br_if $written (i32.lt_u (i32.atomic.load (i32.const 24)) (local.get $i))))
            (br_if $wake (i32.lt_u (local.get $i) (i32.const 8))))
        (local.set $i (i32.const 0))
        (loop $check
            (if (i32.ne (i32.load8_u offset=100 (local.get $i))
                        (i32.add (local.get $i) (i32.const 1)))
                (then (call $exit (i32.add (i32.const 64) (local.get $i)))))
            (br_if $check (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                    (i32.const 8))))
        (call $exit (i32.const 3))",
        "(drop (i32.atomic.rmw.add (i32.const 20) (i32.const 1)))
        (if (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)) (then (unreachable)))
        (i32.store8 offset=100 (i32.load (i32.const 24)) (local.get $id))
        (drop (i32.atomic.rmw.add (i32.const 24) (i32.const 1)))",
        "",
    );
    let world = World::new(&text, &Config { deterministic: true, ..Config::default() });
    let whole = world.begin(0).run().expect("a status");
    assert!(matches!(whole, ExitStatus::Exited(3)), "{whole:?}");
    for seed in 1..6 {
        let (status, moves, _) = wander(&world, seed, 18);
        assert!(matches!(status, ExitStatus::Exited(3)), "seed {seed}: {status:?}");
        assert!(moves > 0);
    }
}

#[test]
fn a_wait_ends_when_it_would_have_ended() {
    // A thread waits for one second of virtual time; the first one computes for a while, and the
    // process moves meanwhile.
    let text = threaded(
        "(drop (call $spawn (i32.const 0)))
        (loop $until (br_if $until (i32.eqz (i32.atomic.load (i32.const 20)))))
        (call $sleep (i32.const 4096) (i64.const 400000000))
        (call $sleep (i32.const 4096) (i64.const 400000000))
        (if (i32.atomic.load (i32.const 4)) (then (call $exit (i32.const 1))))
        (call $sleep (i32.const 4096) (i64.const 400000000))
        (call $exit (i32.atomic.load (i32.const 4)))",
        "(i32.atomic.store (i32.const 20) (i32.const 1))
        (i32.atomic.store (i32.const 4)
            (i32.mul (i32.const 4)
                (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const 1000000000))))",
        "",
    );
    let world = World::new(&text, &Config::default());
    for seed in 1..8 {
        let (status, ..) = wander(&world, seed, 12);
        assert!(matches!(status, ExitStatus::Exited(8)), "seed {seed}: {status:?}");
    }
}

/// What a racing program comes to: the memory at its end depends on every switch.
fn races() -> String {
    threaded(
        "(local $i i32) (local $n i32)
        (loop $more
            (drop (call $spawn (local.get $i)))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                   (i32.const 4))))
        (loop $count
            (i32.store (i32.const 16)
                (i32.add (i32.mul (i32.load (i32.const 16)) (i32.const 31)) (i32.const 7)))
            (br_if $count (i32.lt_u (i32.atomic.load (i32.const 4)) (i32.const 4))))
        (call $exit (i32.and (i32.load (i32.const 16)) (i32.const 0x7fffffff)))",
        "(local $n i32)
        (loop $count
            (i32.store (i32.const 16)
                (i32.add (i32.mul (i32.load (i32.const 16)) (i32.const 31)) (local.get $id)))
            (br_if $count (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                                    (i32.const 15000))))
        (call $signal (i32.const 4))",
        "",
    )
}

#[test]
fn a_deterministic_run_switches_at_the_same_places() {
    let world = World::new(&races(), &Config { deterministic: true, ..Config::default() });
    let code = |status: ExitStatus| match status {
        ExitStatus::Exited(code) => code,
        other => panic!("{other:?}"),
    };
    let expected = code(world.begin(0).run().expect("a status"));
    for tier in [0, 1, 0, 1] {
        assert_eq!(code(world.begin(tier).run().expect("a status")), expected, "tier {tier}");
    }
    // And it does not matter whether it is stopped and moved on the way.
    for seed in 1..4 {
        let mut random = Random(seed);
        let mut process = world.begin(random.next(2) as usize);
        let mut moves = 0;
        let status = loop {
            process.stop_after_sites(1 + random.next(12_000));
            let status = process.run().expect("a status");
            if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
                break status;
            }
            process = world.moved(&mut process, random.next(2) as usize);
            moves += 1;
        };
        assert!(moves > 5, "{moves} moves");
        assert_eq!(code(status), expected, "seed {seed}");
    }
}

#[test]
fn a_copy_has_threads_of_its_own() {
    let world = World::new(&mixed(12), &Config::default());
    let mut process = world.begin(1);
    process.stop_after_sites(3_000);
    let status = process.run().expect("a status");
    assert!(matches!(status, ExitStatus::Stopped(Stopped::AtSite)), "{status:?}");
    assert!(process.thread_count() > 1);
    let mut copy = World::granted(process.fork().expect("it can be copied"));
    assert_eq!(copy.thread_count(), process.thread_count());
    for one in [&mut copy, &mut process] {
        assert!(matches!(one.run(), Ok(ExitStatus::Exited(36))));
    }
}

#[test]
fn no_more_threads_come_than_are_allowed() {
    let world = World::new(&mixed(12), &Config::default());
    let mut process = world.begin(0);
    process.stop_after_sites(3_000);
    let status = process.run().expect("a status");
    assert!(matches!(status, ExitStatus::Stopped(Stopped::AtSite)), "{status:?}");
    let count = process.thread_count() as u64 - 1;
    let snapshot = process.checkpoint().expect("a snapshot");
    let limits = Limits { threads_count: count - 1, ..Limits::default() };
    let builder = Process::restore(&world.engines[0], &snapshot).expect("its modules");
    let error = builder.sim(7).limits(limits).build().expect_err("there are too many");
    let text = error.to_string();
    assert!(text.contains(&format!("has {count} threads besides its first one")), "{text}");
}

const POLICIES: [ThreadPolicy; 3] =
    [ThreadPolicy::User, ThreadPolicy::Kernel, ThreadPolicy::Hybrid];

/// Runs to the end and moves whenever a clock says so, to a tier and a policy by chance; says how often.
fn wander_by_the_clock(
    world: &World, random: &mut Random, policies: &[ThreadPolicy], expected: i32,
) -> usize {
    let any = |random: &mut Random| policies[random.next(policies.len() as u64) as usize];
    let (mut tier, mut policy) = (random.next(2) as usize, any(random));
    let mut process = Process::builder(&world.modules[tier]).threads(policy).build();
    let mut moves = 0;
    loop {
        let mut running = process.expect("a process");
        let (handle, after) = (running.interrupt_handle(), random.next(3_000));
        let asks = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(after));
            handle.interrupt();
        });
        let status = running.run().expect("a status");
        asks.join().expect("it only asks");
        if !matches!(status, ExitStatus::Stopped(Stopped::Interrupted)) {
            let seen = [4, 8, 12, 16, 20, 28].map(|at| running.memory().map(|m| m.read_u32(at)));
            assert!(
                matches!(status, ExitStatus::Exited(code) if code == expected),
                "{policy:?}: {status:?} {seen:?} {:?}",
                running.deadlocked()
            );
            return moves;
        }
        let bytes = running.checkpoint().expect("it can be moved").to_vec();
        drop(running);
        (tier, policy) = (random.next(2) as usize, any(random));
        let snapshot = Snapshot::read(&mut &bytes[..], &ReadLimits::default());
        let known = &world.modules[tier..=tier];
        let builder =
            Process::restore_with(&world.engines[tier], &snapshot.expect("a snapshot"), known);
        process = builder.expect("its modules").threads(policy).build();
        moves += 1;
    }
}

#[test]
fn threads_on_workers_go_on_under_another_policy() {
    // On this machine's clock: whoever stops the process comes when it comes.
    let world = World::new(&mixed(300), &Config::default());
    let (mut moves, mut random) = (0, Random(3));
    let rounds =
        std::env::var("THREAD_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    for _ in 0..rounds {
        moves += wander_by_the_clock(&world, &mut random, &POLICIES, 36);
    }
    println!("{moves} moves between policies");
    assert!(moves > 10, "{moves} moves");
}

#[test]
fn sixty_four_threads_in_mixed_states_lose_no_wake_up() {
    let world = World::new(&mixed_of(64, 60), &Config::default());
    let wanted = std::env::var("THREAD_MOVES").ok().and_then(|text| text.parse().ok());
    let (mut moves, mut random) = (0, Random(64));
    while moves < wanted.unwrap_or(20) {
        // 1 + 2 + ... + 64
        moves += wander_by_the_clock(&world, &mut random, &[ThreadPolicy::Hybrid], 2080);
    }
    println!("{moves} moves of 64 threads");
}

/// Four threads of which the `number`th computes, and three wait in loops until it is done; none of
/// them ever gives way.
fn busy(number: u32, rounds: u32) -> String {
    let body = "(local $n i32)
        (if (i32.eq (local.get $me) (i32.const NUMBER))
            (then (loop $count
                    (br_if $count (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                                            (i32.const ROUNDS))))
                (i32.atomic.store (i32.const 4) (i32.const 1)))
            (else (loop $until (br_if $until (i32.eqz (i32.atomic.load (i32.const 4)))))))";
    let text = threaded(
        "(local $i i32)
        (loop $more
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (drop (call $spawn (local.get $i)))
            (br_if $more (i32.lt_u (local.get $i) (i32.const 3))))
        (call $busy (i32.const 0))
        (call $exit (i32.const 9))",
        "(call $busy (local.get $argument))",
        &format!("(func $busy (param $me i32) {body})"),
    );
    text.replace("NUMBER", &number.to_string()).replace("ROUNDS", &rounds.to_string())
}

#[test]
fn who_moves_again_before_a_quantum_is_over_has_all_threads_run() {
    for number in 0..4 {
        let world = World::new(&busy(number, 2_000), &Config::default());
        let mut process = world.begin(0);
        let mut moves = 0;
        let status = loop {
            process.stop_after_sites(100);
            let status = process.run().expect("a status");
            if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
                break status;
            }
            moves += 1;
            assert!(moves < 2_000, "thread {number} never has a turn");
            // Interpreted, so that nothing is compiled for longer than a quantum.
            process = world.moved(&mut process, 0);
        };
        assert!(matches!(status, ExitStatus::Exited(9)), "{status:?}");
    }
}
