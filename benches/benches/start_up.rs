//! Start-up: from bytes to the end of the smallest program, and its parts.
#![allow(missing_docs, reason = "the macros of criterion make public items without words")]

use std::hint::black_box;
use std::sync::Arc;

use brant::{Engine, Module, Process};
use brant_benches::program;
use criterion::{Criterion, criterion_group, criterion_main};

fn start_up(c: &mut Criterion) {
    let mut group = c.benchmark_group("start-up");
    let hello: Arc<[u8]> = program("hello").into();
    let engine = Engine::default();
    group.bench_function("engine", |b| b.iter(Engine::default));
    group.bench_function("module", |b| {
        b.iter(|| Module::new(&engine, black_box(Arc::clone(&hello))).expect("valid"));
    });
    let module = Module::new(&engine, Arc::clone(&hello)).expect("valid");
    group.bench_function("process", |b| {
        b.iter(|| Process::builder(&module).build().expect("no imports but system calls"));
    });
    group.bench_function("hello, from bytes to exit", |b| {
        b.iter(|| {
            let module = Module::new(&engine, black_box(Arc::clone(&hello))).expect("valid");
            let mut process = Process::builder(&module).build().expect("as above");
            process.run().expect("ends by itself")
        });
    });
    group.finish();
}

criterion_group!(benches, start_up);
criterion_main!(benches);
