//! From the guest to the host and back: closures of the embedder, and system calls.
#![allow(missing_docs, reason = "the macros of criterion make public items without words")]

use brant::{Caller, Linker};
use brant_benches::{TIERS, guest};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Turns of the loop in a guest.
const TURNS: i32 = 1000;

/// A loop of as many turns as the argument says, around one call.
macro_rules! loop_around {
    ($call:literal) => {
        concat!(
            "(module
              (import \"host\" \"add\" (func $add (param i32 i32) (result i32)))
              (import \"host\" \"first_byte\" (func $first_byte (param i32) (result i32)))
              (import \"wasi_snapshot_preview1\" \"clock_time_get\"
                (func $clock (param i32 i64 i32) (result i32)))
              (import \"wasi_snapshot_preview1\" \"sched_yield\" (func $yield (result i32)))
              (memory (export \"memory\") 1)
              (func (export \"run\") (param $n i32) (result i32) (local $x i32)
                (loop $l (local.set $x ",
            $call,
            ") (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                (local.get $x)))"
        )
    };
}

fn host_calls(c: &mut Criterion) {
    let mut linker = Linker::new();
    linker.func("host", "add", |a: i32, b: i32| a.wrapping_add(b));
    linker.func("host", "first_byte", |caller: &mut Caller<'_>, pointer: u32| {
        let text = caller.read_text(pointer, 1)?;
        Ok::<i32, brant::Error>(text.len() as i32)
    });
    let mut group = c.benchmark_group("host calls");
    group.throughput(Throughput::Elements(TURNS as u64));
    let cases = [
        ("closure", loop_around!("(call $add (local.get $x) (local.get $n))")),
        ("closure that reads memory", loop_around!("(call $first_byte (local.get $n))")),
        ("sched_yield", loop_around!("(call $yield)")),
        ("clock_time_get", loop_around!("(call $clock (i32.const 1) (i64.const 1) (i32.const 8))")),
    ];
    for (name, text) in cases {
        for tier in TIERS {
            let (mut process, run) = guest::<i32, i32>(tier, text, &linker).expect("valid");
            let id = BenchmarkId::new(name, tier.name());
            group.bench_function(id, |b| b.iter(|| run.call(&mut process, TURNS).expect("ends")));
        }
    }
    group.finish();
}

criterion_group!(benches, host_calls);
criterion_main!(benches);
