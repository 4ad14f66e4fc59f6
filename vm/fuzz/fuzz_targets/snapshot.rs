//! Snapshots that an enemy has changed, with right checksums, are refused or harmless.
//!
//! The input is read as the number of an original and a list of changes.
#![no_main]

#[allow(dead_code, reason = "what counts the originals is for the test")]
#[path = "../../tests/enemy/mod.rs"]
mod enemy;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<enemy::Change>)| {
    let (original, changes) = input;
    let few = changes.len().min(8);
    enemy::try_out(original.into(), &changes[..few]);
});
