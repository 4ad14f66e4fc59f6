//! Sequences of system calls against a small model: a seeded slice of what the fuzz target
//! `syscalls` does without an end.

mod model;

use model::Shown;

/// Some seconds in a build without optimisation.
const SEQUENCES: u64 = 3000;

#[test]
fn sequences_of_calls_come_to_what_the_model_says() {
    let mut all = Shown::default();
    for seed in 0..SEQUENCES {
        match model::run(&data(seed)) {
            Ok(shown) => all += shown,
            Err(what) => panic!("sequence {seed}: {what}"),
        }
    }
    // All kinds must have come up, or nothing was shown.
    assert!(all.foretold_count > 10 * SEQUENCES, "{all:?}");
    assert!(all.raw_count > SEQUENCES, "{all:?}");
    assert!(all.raw_success_count > SEQUENCES / 10, "{all:?}");
}

/// Bytes from a seed (splitmix64).
fn data(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let words = 20 + next() % 200;
    (0..words).flat_map(|_| next().to_le_bytes()).collect()
}
