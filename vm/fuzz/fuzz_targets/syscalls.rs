//! Sequences of system calls, hostile ones among them, come to what a model says.
#![no_main]

#[path = "../../tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(what) = model::run(data) {
        panic!("{what}");
    }
});
