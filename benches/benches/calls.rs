//! Calls inside a guest: direct, indirect, tail; and from the host into it.
#![allow(missing_docs, reason = "the macros of criterion make public items without words")]

use brant::Linker;
use brant_benches::{TIERS, guest};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const FIB: &str = r#"(module (func $fib (export "run") (param i32) (result i32)
  (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                   (call $fib (i32.sub (local.get 0) (i32.const 2))))))))"#;

/// A loop of as many turns as the argument says, around one call.
macro_rules! loop_around {
    ($call:literal) => {
        concat!(
            "(module (table 1 funcref) (type $t (func (param i32) (result i32)))
              (elem (i32.const 0) $id)
              (func $id (param i32) (result i32) (local.get 0))
              (func $tail (param i32) (result i32) (return_call $id (local.get 0)))
              (func (export \"run\") (param $n i32) (result i32) (local $x i32)
                (loop $l (local.set $x ",
            $call,
            ") (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                (local.get $x)))"
        )
    };
}

fn calls(c: &mut Criterion) {
    let mut group = c.benchmark_group("calls");
    // fib(20) makes 21,891 calls.
    let cases = [
        ("fib", FIB, 20, 21_891),
        ("direct", loop_around!("(call $id (local.get $x))"), 10_000, 10_000),
        ("tail", loop_around!("(call $tail (local.get $x))"), 10_000, 20_000),
        (
            "indirect",
            loop_around!("(call_indirect (type $t) (local.get $x) (i32.const 0))"),
            10_000,
            10_000,
        ),
        ("from the host", loop_around!("(local.get $x)"), 1, 1),
    ];
    for (name, text, argument, count) in cases {
        group.throughput(Throughput::Elements(count));
        for tier in TIERS {
            let (mut process, run) = guest::<i32, i32>(tier, text, &Linker::new()).expect("valid");
            let id = BenchmarkId::new(name, tier.name());
            group
                .bench_function(id, |b| b.iter(|| run.call(&mut process, argument).expect("ends")));
        }
    }
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
