//! Programs of the tree in each tier: from a module whose code is known, and from bytes to the end.
#![allow(missing_docs, reason = "the macros of criterion make public items without words")]

use std::hint::black_box;
use std::sync::Arc;

use brant::{Module, Tier};
use brant_benches::{engine, program, sample};
use brant_programs::find;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

/// Numbers, vectors, branches, and an interpreter; none needs a file.
const PROGRAMS: [&str; 5] = ["nbody", "mandelbrot", "matrix", "sudoku", "forth"];

const TIERS: [Tier; 3] = [Tier::Interp, Tier::Jit, Tier::Auto];

/// A process of a module that has run before: what was compiled then is there.
fn warm(c: &mut Criterion) {
    let mut group = c.benchmark_group("programs, module loaded");
    group.sample_size(20);
    for name in PROGRAMS {
        let program = find(name).expect("a program of this name");
        for tier in TIERS {
            let bytes = program.module().expect("programs assemble");
            let module = Module::new(&engine(tier), bytes).expect("valid");
            group.bench_function(BenchmarkId::new(name, tier.name()), |b| {
                b.iter(|| {
                    let mut process = sample(program, &module).build().expect("no other imports");
                    process.run().expect("ends by itself")
                });
            });
        }
    }
    group.finish();
}

/// Everything that somebody waits for but the start of the process.
fn cold(c: &mut Criterion) {
    let mut group = c.benchmark_group("programs, from bytes to exit");
    group.sample_size(20);
    for name in PROGRAMS {
        let (bytes, program): (Arc<[u8]>, _) = (program(name).into(), find(name));
        let program = program.expect("a program of this name");
        for tier in TIERS {
            group.bench_function(BenchmarkId::new(name, tier.name()), |b| {
                b.iter(|| {
                    let module = Module::new(&engine(tier), black_box(Arc::clone(&bytes)));
                    let module = module.expect("valid");
                    let mut process = sample(program, &module).build().expect("no other imports");
                    process.run().expect("ends by itself")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, warm, cold);
criterion_main!(benches);
