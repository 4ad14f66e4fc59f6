//! Any text: the assembler must answer, and agree with the `wast` crate.
//!
//! - What it accepts must come back from the disassembler's text, byte for byte.
//! - What both accept must have the same bytes.
//! - What the oracle accepts, and is valid with the features of this project, must be accepted.
//! - What the oracle refuses must be refused, here or by the validator.
#![no_main]

use brant_asm::{AssembleOptions, DisassembleOptions, assemble, disassemble, script};
use libfuzzer_sys::fuzz_target;
use wasmparser::{Validator, WasmFeatures};

fuzz_target!(|text: &[u8]| {
    let ours = assemble(text, &AssembleOptions::default());
    let _ = script::parse(text);
    if let Ok(bytes) = &ours {
        comes_back(bytes);
    }
    let Ok(text) = std::str::from_utf8(text) else {
        assert!(ours.is_err(), "a text that is not UTF-8 is accepted");
        return;
    };
    // The oracle has no first line for interpreters, and other modules than ours.
    if text.starts_with("#!") || text.contains("component") {
        return;
    }
    match (ours, oracle(text)) {
        (Ok(ours), Ok(theirs)) if ours == theirs => {}
        // The oracle compares inline types before it resolves identifiers in them.
        (Ok(_), Ok(_)) if text.contains("ref") => {}
        (Ok(_), Ok(_)) => panic!("other bytes than the oracle's"),
        (Err(error), Ok(theirs)) => {
            assert!(!is_valid(&theirs), "refused, but valid: {error}");
        }
        (Ok(ours), Err(error)) => {
            let is_known = is_known(&error) || oracle(&separated(text)).as_ref() == Ok(&ours);
            assert!(!is_valid(&ours) || is_known, "accepted, but: {error}");
        }
        (Err(_), Err(_)) => {}
    }
});

/// Disassembles and assembles again.
fn comes_back(bytes: &[u8]) {
    if !is_valid(bytes) {
        return;
    }
    let mut printed = Vec::new();
    disassemble(bytes, &DisassembleOptions::default(), &mut printed).expect("a module is printed");
    match assemble(&printed, &AssembleOptions::default()) {
        Ok(again) => assert_eq!(again, bytes, "other bytes come back"),
        Err(error) => panic!("the text that was printed is refused: {error}"),
    }
}

fn oracle(text: &str) -> Result<Vec<u8>, String> {
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = wast::parser::ParseBuffer::new_with_lexer(lexer).map_err(|e| e.message())?;
    let mut wat = wast::parser::parse::<wast::Wat>(&buffer).map_err(|e| e.message())?;
    wat.encode().map_err(|e| e.message())
}

/// The features whose text the assembler knows.
fn is_valid(bytes: &[u8]) -> bool {
    let features = WasmFeatures::WASM3 | WasmFeatures::THREADS | WasmFeatures::CUSTOM_PAGE_SIZES;
    Validator::new_with_features(features).validate_all(bytes).is_ok()
}

/// The text with a space wherever a string begins at the end of an annotation's identifier. The oracle
/// takes both for one reserved word, and the parenthesis for that of a field; the specification's lexer
/// ends the identifier there.
fn separated(text: &str) -> String {
    let mut parts = text.split("(@");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "()\"".contains(c)).unwrap_or(part.len());
        let (id, rest) = part.split_at(end);
        whole.extend(["(@", id, if rest.starts_with('"') && end > 0 { " " } else { "" }, rest]);
    }
    whole
}

/// Where the oracle is stricter than the specification, and says so.
fn is_known(message: &str) -> bool {
    // Nesting is not limited here, and a text without fields is an empty module.
    ["item nesting too deep", "expected at least one module field"]
        .iter()
        .any(|known| message.contains(known))
}
