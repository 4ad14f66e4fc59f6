//! Translation: text to bytecode and back, validation, and the first call of each function.
#![allow(missing_docs, reason = "the macros of criterion make public items without words")]

use std::hint::black_box;
use std::sync::Arc;

use brant::{Engine, Module, Process, Validation};
use brant_benches::program;
use brant_programs::{PROGRAMS, Source};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn translation(c: &mut Criterion) {
    let mut group = c.benchmark_group("translation");
    let engine = Engine::default();

    let text: &str = PROGRAMS
        .iter()
        .filter_map(|program| match program.source {
            Source::Text(text) => Some(text),
            Source::C { .. } => None,
        })
        .max_by_key(|text| text.len())
        .expect("programs in text");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("assemble the longest text", |b| {
        b.iter(|| Module::from_text(&engine, black_box(text)).expect("valid"));
    });

    let forth: Arc<[u8]> = program("forth").into();
    group.throughput(Throughput::Bytes(forth.len() as u64));
    for (name, validation) in [("eager", Validation::Eager), ("lazy", Validation::Lazy)] {
        group.bench_function(format!("load forth, {name}"), |b| {
            b.iter(|| {
                Module::with_validation(&engine, black_box(Arc::clone(&forth)), validation)
                    .expect("valid")
            });
        });
    }
    let module =
        Module::with_validation(&engine, Arc::clone(&forth), Validation::Lazy).expect("valid");
    group.bench_function("first run of forth", |b| {
        b.iter(|| {
            let mut process = Process::builder(&module).build().expect("no imports of its own");
            process.run().expect("ends at the end of its input")
        });
    });
    group.finish();
}

criterion_group!(benches, translation);
criterion_main!(benches);
