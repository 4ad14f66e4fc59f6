//! The seeds of the fuzz target `stored`, and a few thousand mutants of them: as the target does it.

use std::fs;
use std::path::Path;

use brant_engine::compile::Entry;
use brant_engine::stored::{BatchWriter, Key, header, survey};

const KEY: Key = Key { id: [1; 32], module: [2; 32] };

fn check(bytes: &[u8]) -> u64 {
    let mut sound = 0;
    if let Some(found) = survey(bytes) {
        assert!(found.valid_bytes <= bytes.len() as u64);
        assert!(found.code_bytes <= bytes.len() as u64);
        sound += found.functions;
    }
    let mut file = header(&KEY).to_vec();
    let mut batch = BatchWriter::new(KEY);
    batch.push(0, Entry::Start, bytes);
    file.extend(batch.finish().expect("one function"));
    let found = survey(&file).expect("a header");
    assert_eq!(found.valid_bytes, file.len() as u64);
    assert_eq!(found.functions + found.refused + found.damaged, 1);
    assert_eq!(found.refused == 1, bytes.is_empty());
    sound += found.functions;
    let other = Key { id: [3; 32], ..KEY };
    let len = header(&other).len();
    file[..len].copy_from_slice(&header(&other));
    let found = survey(&file).expect("a header");
    assert_eq!((found.functions, found.damaged, found.refused), (0, 0, 0));
    sound
}

#[test]
fn mutants_of_stored_code_are_refused_or_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/stored");
    let (mut random, mut seeds_count, mut sound) = (7u64, 0, 0);
    check(&[]);
    for entry in fs::read_dir(folder).expect("the seeds") {
        let seed = fs::read(entry.expect("an entry").path()).expect("a seed");
        // One of them was cut, and has nothing whole.
        seeds_count += check(&seed).min(1);
        for _ in 0..1000 {
            let mut mutant = seed.clone();
            for _ in 0..3 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = (random >> 8) as usize % mutant.len();
                mutant[at] = random as u8;
            }
            sound += check(&mutant);
        }
    }
    assert!(seeds_count >= 3 && sound > 100, "{seeds_count} seeds, {sound}");
}
