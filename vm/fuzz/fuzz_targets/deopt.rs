//! Both tiers stand in equal frames wherever generated code is left and entered.
//!
//! Eight bytes are the seed of arguments, of the sites, and of where compiled code is entered; the
//! rest makes the module. Frames have to have the number, type and range of slots that their sites
//! say, or they are refused.
#![no_main]

#[allow(dead_code, unused_imports, reason = "other parts are for the test and the other target")]
#[path = "../../tests/differential/mod.rs"]
mod differential;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((seed, rest)) = data.split_first_chunk::<8>() else { return };
    let Some(bytes) = differential::module(rest) else { return };
    if let Err(what) = differential::exchange(&bytes, u64::from_le_bytes(*seed)) {
        panic!("{what}");
    }
});
