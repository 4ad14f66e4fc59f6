//! The process table does what POSIX says, step by step, against a model of it (`family/mod.rs`).
//!
//! The fuzz target `processes` walks the same way.

mod family;

/// Walks, and bytes of each.
const WALKS: u64 = 2_000;
const BYTES: usize = 400;

#[test]
fn the_table_does_what_the_model_does() {
    let mut steps = 0;
    for walk in 0..WALKS {
        let mut state = walk.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let bytes: Vec<u8> = (0..BYTES)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect();
        steps += family::walk(&bytes);
    }
    // Walks end with their first process; most of them go on for long.
    assert!(steps as u64 > 20 * WALKS, "only {steps} steps");
}
