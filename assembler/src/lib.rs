//! Text to bytecode and back.
//!
//! This crate is usable alone.
//! It takes its instructions from the table in `brant-isa` and meets the virtual machine only in
//! bytes: it never knows how an instruction is executed.
//!
//! The way of a text: `lexer` cuts it into tokens, `parse` goes over the module twice (once for
//! declarations and names, once for contents), and `encode` writes sections as it goes.
//! There is no tree of a function body.
#![forbid(unsafe_code)]

mod check;
mod diagnostic;
mod dis;
mod encode;
mod instruction;
mod lexer;
mod names;
mod number;
mod options;
mod parse;
mod render;
mod resolve;
pub mod script;
mod source_map;
mod span;
mod string;

pub use check::{CheckOptions, check};
pub use diagnostic::{Diagnostic, Diagnostics, Label, Severity, Suggestion};
pub use dis::{DisassembleError, DisassembleOptions, Form, disassemble};
pub use options::AssembleOptions;
pub use render::Color;
pub use source_map::{SourceMap, SourceMapBuilder};
pub use span::{LineColumn, Span};

/// The longest text, in bytes: places in it are 32-bit numbers.
const MAX_TEXT_BYTES: usize = u32::MAX as usize - 1;

/// Assembles one module of the text format into bytecode.
///
/// The result is the canonical encoding: the shortest LEB128 numbers and sections in the order of
/// the specification.
/// The module is well formed, but not validated ([`check`] does that); a first line that begins
/// with `#!` is skipped.
///
/// # Errors
/// Every mistake of the text that can be found without validation, up to a limit.
pub fn assemble(text: &[u8], options: &AssembleOptions) -> Result<Vec<u8>, Diagnostics> {
    assemble_file(text, options, false).map(|(bytes, _)| bytes)
}

/// Assembles as [`assemble`] does, and keeps where in the text each instruction came from.
///
/// # Errors
/// The same as those of [`assemble`].
pub fn assemble_with_map(
    text: &[u8], options: &AssembleOptions,
) -> Result<(Vec<u8>, SourceMap), Diagnostics> {
    assemble_file(text, options, true)
}

fn assemble_file(
    text: &[u8], options: &AssembleOptions, mapped: bool,
) -> Result<(Vec<u8>, SourceMap), Diagnostics> {
    check_encoding(text)?;
    let start = match text.starts_with(b"#!") {
        true => memchr::memchr(b'\n', text).unwrap_or(text.len()),
        false => 0,
    };
    parse::Assembler::new(text, start, options, mapped).file()
}

/// Checks what holds for a text as a whole: its length, and that it is UTF-8.
fn check_encoding(text: &[u8]) -> Result<(), Diagnostics> {
    if text.len() > MAX_TEXT_BYTES {
        let error =
            Diagnostic::error("text-too-long", Span::at(0), "the text is longer than 4 GiB");
        return Err(error.into());
    }
    let Err(error) = std::str::from_utf8(text) else { return Ok(()) };
    let at = error.valid_up_to();
    let len = error.error_len().unwrap_or(text.len() - at);
    let span = Span::new(at, at + len);
    let error = Diagnostic::error("malformed-utf8", span, "malformed UTF-8 encoding")
        .with_help("the text format is UTF-8; other bytes in strings are written as `\\hh`");
    Err(error.into())
}
