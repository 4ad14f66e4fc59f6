//! Generated modules do in brant what they do in wasmi.
//!
//! Eight bytes are the seed of arguments and of the way in which brant runs; the rest makes the
//! module.
#![no_main]

#[allow(dead_code, unused_imports, reason = "bytes from numbers are for the test and the example")]
#[path = "../../tests/differential/mod.rs"]
mod differential;

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        // Wasmi panics in its translator now and then, which is caught and no find of ours. What
        // is not caught still ends the process.
        std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
    },
    |data: &[u8]| {
        let Some((seed, rest)) = data.split_first_chunk::<8>() else { return };
        let Some(bytes) = differential::module(rest) else { return };
        if let Err(what) = differential::compare(&bytes, u64::from_le_bytes(*seed)) {
            panic!("{what}");
        }
    }
);
