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
mod options;
mod render;
mod source_map;
mod span;

pub use check::{CheckOptions, check};
pub use diagnostic::{Diagnostic, Diagnostics, Label, Severity, Suggestion};
pub use dis::{DisassembleError, DisassembleOptions, Form, disassemble};
pub use options::AssembleOptions;
pub use render::Color;
pub use source_map::{SourceMap, SourceMapBuilder};
pub use span::{LineColumn, Span};

/// Assembles one module of the text format into bytecode.
///
/// The result is the canonical encoding: the shortest LEB128 numbers and sections in the order of
/// the specification.
/// The module is well formed, but not validated; [`AssembleOptions`] says which features the text
/// may use.
///
/// # Errors
/// Every mistake of the text that can be found without validation, up to a limit.
pub fn assemble(text: &[u8], options: &AssembleOptions) -> Result<Vec<u8>, Diagnostics> {
    let _ = (text, options);
    Err(Diagnostics::default())
}

/// Assembles as [`assemble`] does, and keeps where in the text each instruction came from.
///
/// # Errors
/// The same as those of [`assemble`].
pub fn assemble_with_map(
    text: &[u8], options: &AssembleOptions,
) -> Result<(Vec<u8>, SourceMap), Diagnostics> {
    assemble(text, options).map(|bytes| (bytes, SourceMap::default()))
}
