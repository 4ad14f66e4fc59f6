//! Files of stored code are as hostile as any other bytes: reading one never panics, takes no more
//! memory than the file has, and finds nothing that is not bound to the key.
//!
//! Nothing is run. The input is a file as it stands, and then the packed code of one function in a
//! file whose checksums are right: what stands behind them is looked at by the same rules.
#![no_main]

use brant_engine::compile::Entry;
use brant_engine::stored::{BatchWriter, Key, header, survey};
use libfuzzer_sys::fuzz_target;

const KEY: Key = Key { id: *b"the key that seeds are made with", module: [2; 32] };

fuzz_target!(|bytes: &[u8]| {
    if let Some(found) = survey(bytes) {
        assert!(found.valid_bytes <= bytes.len() as u64);
        assert!(found.code_bytes <= bytes.len() as u64);
    }
    let mut file = header(&KEY).to_vec();
    let mut batch = BatchWriter::new(KEY);
    batch.push(0, Entry::Start, bytes);
    file.extend(batch.finish().expect("one function"));
    let found = survey(&file).expect("a header");
    assert_eq!(found.valid_bytes, file.len() as u64);
    assert_eq!(found.functions + found.refused + found.damaged, 1);
    assert_eq!(found.refused == 1, bytes.is_empty());
    // In another file the same batch is nothing.
    let other = Key { id: [3; 32], ..KEY };
    file[..header(&other).len()].copy_from_slice(&header(&other));
    let found = survey(&file).expect("a header");
    assert_eq!((found.functions, found.damaged, found.refused), (0, 0, 0));
});
