//! Both tiers count the same sites, and stand there with byte-identical frames.

use brant::{ExitStatus, Module, Snapshot, Stopped, Tier};
use brant_engine::compile::Stops;
use brant_engine::{
    Extern, Flow, FrameState, Func, FuncType, Instance, Stop, Store, Thread, Val, ValType,
};

use crate::world::{Random, World, engine, programs};

/// The first sites of a run are all looked at, later ones at random.
const FIRST: u64 = 12;
const LATER: u64 = 8;
const SITE_BITS: u64 = 16;

/// What a snapshot at site `number` says of the execution and of the memory; None if the run has
/// ended before.
fn at_site(world: &World<'_>, module: &Module, number: u64) -> Option<Vec<(String, Vec<u8>)>> {
    let mut process = world.begin(module);
    process.stop_after_sites(number);
    let status = process.run().unwrap_or_else(|error| panic!("{}: {error}", world.program.name));
    if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
        return None;
    }
    let bytes = process.checkpoint().expect("it can be moved").to_vec();
    let sections = Snapshot::sections(&bytes).expect("a snapshot");
    let part = |at: u64, len: u64| bytes[at as usize..(at + len) as usize].to_vec();
    let named = sections
        .iter()
        .map(|section| (format!("{:?}", section.section), part(section.offset, section.bytes)));
    Some(named.filter(|(name, _)| name != "Resources").collect())
}

#[test]
fn snapshots_at_the_same_site_are_byte_identical() {
    let interp = engine(Tier::Interp, Stops::Every);
    let jit = engine(Tier::Jit, Stops::Every);
    let mut random = Random(11);
    let mut compared = 0;
    for (program, bytes) in programs() {
        let ours = Module::new(&interp, bytes.clone()).expect("a valid module");
        let theirs = Module::new(&jit, bytes.clone()).expect("a valid module");
        let run = &program.runs[0];
        let later = (0..LATER).map(|_| 1 + random.spread(SITE_BITS)).collect::<Vec<_>>();
        for number in (1..=FIRST).chain(later) {
            let left = at_site(&World::new(program, run), &ours, number);
            let right = at_site(&World::new(program, run), &theirs, number);
            assert!(left == right, "{} at site {number}", program.name);
            compared += u64::from(left.is_some());
        }
    }
    assert!(compared > 10 * programs().len() as u64, "only {compared} sites");
}

/// Loops that are entered from above with operands below them and beside them, loops in loops, a loop
/// that is never come back to, a `br_table` back, recursion, calls by table, of the host and from
/// the host.
const LOOPS: &str = r#"(module
    (import "env" "host" (func $host (param i32) (result i32)))
    (type $i (func (param i32) (result i32)))
    (table funcref (elem $fib $turns $host))
    (func $fib (type $i)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
            (then (local.get 0))
            (else (i32.add
                (call $fib (i32.sub (local.get 0) (i32.const 1)))
                (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func $turns (type $i) (local i64 f64)
        (loop $once (local.set 2 (f64.const 1.5)))
        (i32.const 3)
        (local.get 0)
        (loop $outer (param i32) (result i32)
            (local.set 0)
            (local.set 1 (i64.add (local.get 1) (i64.const 1)))
            (loop $inner
                (local.set 2 (f64.add (local.get 2) (f64.convert_i64_s (local.get 1))))
                (local.set 1 (i64.add (local.get 1) (i64.const 3)))
                (br_if $inner (i32.wrap_i64 (i64.rem_u (local.get 1) (i64.const 5)))))
            (block $done
                (loop $table
                    (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                    (br_table $table $table $done (i32.and (local.get 0) (i32.const 3)))))
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $outer (local.get 0) (i32.gt_s (local.get 0) (i32.const 0))))
        (i32.add)
        (i32.add (i32.trunc_sat_f64_s (local.get 2))))
    (func (export "run") (param i32) (result i32) (local i32)
        (loop $all
            (local.set 1 (i32.add (local.get 1) (call_indirect (type $i)
                (i32.add (local.get 0) (i32.const 3))
                (i32.rem_u (local.get 0) (i32.const 3)))))
            (br_if $all (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 1)))"#;

/// Frames at site `number`, or the results of a run that has fewer.
fn frames_at(module: &brant_engine::Module, number: u64) -> Result<Vec<FrameState>, Vec<Val>> {
    let mut store = Store::new(module.engine(), Box::new(()));
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    let host = Func::host(&mut store, ty, |_, params, results| {
        results[0] = params[0];
        Ok(Flow::Return)
    });
    let instance = Instance::new(&mut store, module, &[Extern::Func(host)]).expect("an instance");
    let run = instance.export(&store, "run").and_then(Extern::func).expect("the function");
    let mut thread = Thread::new(&mut store, run, &[Val::I32(9)]);
    store.stop_at_site(Some(number));
    match thread.run(&mut store) {
        Stop::Done(values) => Err(values),
        Stop::Interrupted => Ok(thread.frames(&mut store).expect("frames")),
        stop => panic!("site {number}: {stop}"),
    }
}

#[test]
fn every_site_of_a_run_is_the_same_in_both_tiers() {
    let bytes = brant_asm::assemble(LOOPS.as_bytes(), &Default::default()).expect("a module");
    let module = |tier| {
        let engine = engine(tier, Stops::Every);
        brant_engine::Module::new(&engine, bytes.clone()).expect("a valid module")
    };
    let (interp, jit) = (module(Tier::Interp), module(Tier::Jit));
    let mut number = 1;
    loop {
        let (left, right) = (frames_at(&interp, number), frames_at(&jit, number));
        assert_eq!(left, right, "site {number}");
        if left.is_err() {
            break;
        }
        number += 1;
    }
    assert!(number > 500, "the run has {number} sites");
}
