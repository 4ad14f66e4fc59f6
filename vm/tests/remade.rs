//! Snapshots that an enemy has changed, with right checksums: refused, or harmless.
//!
//! `cargo test` does a slice of it. The full count is
//! `REMADE=1000000 cargo test --release -p brant --test remade -- --nocapture`, and the fuzz target
//! `snapshot` looks for more.

mod enemy;

use arbitrary::{Arbitrary, Unstructured};
use enemy::{Change, Outcome};

/// How many `cargo test` makes.
const SLICE: u64 = 1_000;

#[test]
fn snapshots_that_were_not_changed_run() {
    for number in 0..enemy::count() {
        assert_eq!(enemy::try_out(number, &[]), Outcome::Ran, "original {number}");
    }
}

#[test]
fn changed_snapshots_are_refused_or_harmless() {
    let count = std::env::var("REMADE").ok().and_then(|text| text.parse().ok()).unwrap_or(SLICE);
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = || {
        // xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut counts = [0u64; 3];
    for number in 0..count {
        let bytes: Vec<u8> = (0..8).flat_map(|_| next().to_le_bytes()).collect();
        let mut from = Unstructured::new(&bytes);
        let how_many = 1 + next() % 3;
        let changes: Result<Vec<Change>, _> =
            (0..how_many).map(|_| Change::arbitrary(&mut from)).collect();
        let changes = changes.expect("there are bytes enough");
        let outcome = enemy::try_out(number as usize, &changes);
        counts[outcome as usize] += 1;
    }
    let [unreadable, refused, ran] = counts;
    println!("{count} changed snapshots: {unreadable} unreadable, {refused} refused, {ran} ran");
    assert!(counts.iter().all(|&each| each > 0), "{counts:?}");
}
