//! Valid modules: printed, assembled, the same bytes; and the same bytes from the `wast` crate.
#![no_main]

use brant_asm::{AssembleOptions, DisassembleOptions, assemble, check, disassemble};
use libfuzzer_sys::arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use wasm_smith::{Config, Module};

fuzz_target!(|data: &[u8]| {
    let mut source = Unstructured::new(data);
    let Ok(mut config) = Config::arbitrary(&mut source) else { return };
    config.custom_descriptors_enabled = false;
    config.shared_everything_threads_enabled = false;
    config.wide_arithmetic_enabled = false;
    config.compact_imports_enabled = false;
    let Ok(module) = Module::new(config, &mut source) else { return };
    let bytes = module.to_bytes();
    let mut text = Vec::new();
    disassemble(&bytes, &DisassembleOptions::default(), &mut text).expect("a module is printed");
    let options = AssembleOptions::default();
    let again = assemble(&text, &options).unwrap_or_else(|error| panic!("refused: {error}"));
    if has_empty_section(&bytes) {
        // The text has no word for a section without entries.
        return;
    }
    if has_split_locals(&bytes) {
        // The text has no word for how locals are counted out; what comes back says the same in it.
        let mut same = Vec::new();
        disassemble(&again, &DisassembleOptions::default(), &mut same).expect("it is printed");
        assert!(same == text, "another module comes back");
    } else {
        assert_eq!(again, bytes, "other bytes come back");
    }
    let _ = check(&text, &Default::default());
    let text = std::str::from_utf8(&text).expect("text is UTF-8");
    if text.contains("(@data_count") {
        // An annotation of our own, for a section that no instruction needs.
        return;
    }
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = wast::parser::ParseBuffer::new_with_lexer(lexer).expect("the oracle lexes it");
    let mut wat = wast::parser::parse::<wast::Wat>(&buffer).expect("the oracle parses it");
    assert_eq!(wat.encode().expect("the oracle encodes it"), again, "the oracle reads it otherwise");
});

/// Whether locals of one type are declared in two groups that follow each other, or in one of none.
fn has_split_locals(bytes: &[u8]) -> bool {
    let payloads = wasmparser::Parser::new(0).parse_all(bytes).filter_map(Result::ok);
    let bodies = payloads.filter_map(|payload| match payload {
        wasmparser::Payload::CodeSectionEntry(body) => body.get_locals_reader().ok(),
        _ => None,
    });
    bodies.into_iter().any(|locals| {
        let groups: Vec<_> = locals.into_iter().filter_map(Result::ok).collect();
        groups.iter().any(|(count, _)| *count == 0) || groups.windows(2).any(|two| two[0].1 == two[1].1)
    })
}

fn has_empty_section(bytes: &[u8]) -> bool {
    let payloads = wasmparser::Parser::new(0).parse_all(bytes);
    payloads.filter_map(Result::ok).any(|payload| match payload.as_section() {
        Some((0, _)) | None => false,
        Some((_, range)) => bytes.get(range.start as usize) == Some(&0),
    })
}
