//! Bytes: the disassembler never panics, and what is valid comes back from its text.
#![no_main]

use brant_asm::{AssembleOptions, CheckOptions, Color, DisassembleOptions, Form};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let is_valid = match brant_asm::check(bytes, &CheckOptions::default()) {
        Ok(()) => bytes.starts_with(b"\0asm"),
        Err(diagnostics) => {
            // Nothing that is said of an input may act on a terminal.
            let rendered = diagnostics.render("input", bytes, Color::Never);
            assert!(!rendered.contains(|char: char| char.is_control() && char != '\n'));
            let _ = diagnostics.to_json("input", bytes);
            false
        }
    };
    for form in [Form::Flat, Form::Folded] {
        let mut options = DisassembleOptions::default();
        options.form = form;
        let Some(text) = text_of(bytes, &options) else {
            assert!(!is_valid, "a valid module without a text");
            continue;
        };
        if is_valid {
            let again = brant_asm::assemble(&text, &AssembleOptions::default())
                .expect("the text of a valid module assembles");
            // Numbers and sections that are longer than they must be do not come back, but all
            // later rounds are the same.
            let second = text_of(&again, &options).expect("what was assembled has a text");
            let third = brant_asm::assemble(&second, &AssembleOptions::default())
                .expect("the text of a valid module assembles");
            assert!(again == third, "the second round differs");
        }
    }
});

/// At most this much text: a few bytes can stand for many locals.
const TEXT_MAX_BYTES: usize = 1 << 24;

fn text_of(bytes: &[u8], options: &DisassembleOptions) -> Option<Vec<u8>> {
    struct Bounded(Vec<u8>);
    impl std::io::Write for Bounded {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0.len() < TEXT_MAX_BYTES {
                self.0.extend_from_slice(bytes);
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut text = Bounded(Vec::new());
    brant_asm::disassemble(bytes, options, &mut text).ok()?;
    Some(text.0)
}
