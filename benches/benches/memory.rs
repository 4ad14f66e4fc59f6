//! Linear memory: loads, stores, bulk operations, growth.
#![allow(missing_docs, reason = "the macros of criterion make public items without words")]

use brant::Linker;
use brant_benches::{TIERS, guest};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A loop that goes through the first 64 KiB in steps of four bytes, from the end.
macro_rules! loop_around {
    ($body:literal) => {
        concat!(
            "(module (memory 2 1024)
              (func (export \"run\") (param $i i32) (result i32) (local $x i32)
                (loop $l ",
            $body,
            " (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 4)))))
                (local.get $x)))"
        )
    };
}

/// One operation for each call.
macro_rules! once {
    ($body:literal) => {
        concat!(
            "(module (memory 2 65536) (func (export \"run\") (param $n i32) (result i32) ",
            $body,
            "))"
        )
    };
}

fn memory(c: &mut Criterion) {
    let mut group = c.benchmark_group("memory");
    let cases = [
        ("load", loop_around!("(local.set $x (i32.load (local.get $i)))"), 65_536, 65_536),
        ("store", loop_around!("(i32.store (local.get $i) (local.get $x))"), 65_536, 65_536),
        (
            "copy 16 bytes",
            loop_around!(
                "(memory.copy (local.get $i) (i32.add (local.get $i) (i32.const 64)) (i32.const 16))"
            ),
            65_536,
            16 * 65_536 / 4,
        ),
        (
            "copy 64 KiB",
            once!("(memory.copy (i32.const 65536) (i32.const 0) (local.get $n)) (local.get $n)"),
            65_536,
            65_536,
        ),
        (
            "fill 64 KiB",
            once!("(memory.fill (i32.const 0) (i32.const 7) (local.get $n)) (local.get $n)"),
            65_536,
            65_536,
        ),
    ];
    for (name, text, argument, bytes) in cases {
        group.throughput(Throughput::Bytes(bytes));
        for tier in TIERS {
            let (mut process, run) = guest::<i32, i32>(tier, text, &Linker::new()).expect("valid");
            let id = BenchmarkId::new(name, tier.name());
            group
                .bench_function(id, |b| b.iter(|| run.call(&mut process, argument).expect("ends")));
        }
    }
    group.finish();
}

criterion_group!(benches, memory);
criterion_main!(benches);
