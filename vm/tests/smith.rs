//! Generated modules behave in brant as in wasmi: a seeded slice.
//!
//! `cargo run --release --example smith -- --count N --seed S` runs as many as wanted.

mod differential;

use differential::Compared;

/// Enough that each kind of instruction comes up; some seconds in a build without optimisation.
const COUNT: u64 = 160;
const EXCHANGED_COUNT: u64 = 80;
const SEED: u64 = 0;

#[test]
fn generated_modules_stand_in_equal_frames_in_both_tiers() {
    let (mut calls, mut stops) = (0, 0);
    for number in SEED..SEED + EXCHANGED_COUNT {
        let Some(bytes) = differential::module(&differential::data(number)) else { continue };
        match differential::exchange(&bytes, number) {
            Ok(exchanged) => {
                calls += exchanged.calls_count;
                stops += exchanged.stops_count;
            }
            Err(what) => panic!("--tiers --seed {number} --count 1: {what}"),
        }
    }
    assert!(2 * calls > EXCHANGED_COUNT && stops > EXCHANGED_COUNT, "{calls} calls, {stops} stops");
}

#[test]
fn generated_modules_behave_as_in_wasmi() {
    let mut all = Compared::default();
    for number in SEED..SEED + COUNT {
        let Some(bytes) = differential::module(&differential::data(number)) else { continue };
        match differential::compare(&bytes, number) {
            Ok(compared) => all += compared,
            Err(what) => panic!("--seed {number} --count 1: {what}"),
        }
    }
    // Movers have moved.
    assert!(all.moves_count > 0, "{all:?}");
    // A generator that makes nothing to run would prove nothing.
    assert!(all.calls_count > COUNT, "{all:?}");
    assert!(all.traps_count > 0 && all.traps_count < all.calls_count, "{all:?}");
}
