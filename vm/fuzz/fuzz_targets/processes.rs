//! Steps of processes (fork, exit, wait, groups, signals) against a model of POSIX.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/family/mod.rs"]
mod family;

fuzz_target!(|bytes: &[u8]| {
    family::walk(bytes);
});
