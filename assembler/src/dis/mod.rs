//! Bytecode to text.
//!
//! The text assembles to the same bytes again: every custom section is printed at its place, and
//! names become identifiers exactly where the assembler makes the same name section of them.
//! Where bytecode is not in its shortest form (padded LEB128 numbers), the text has the same
//! meaning.
//!
//! The text is written as the bytes are read; what is kept in memory is one rendered line for each
//! type and the identifiers.
//! Nesting costs heap, never native stack.
//! It must never know whether a module is valid: what can be decoded can be printed.

use std::io;

/// Writes the text of a module.
///
/// # Errors
/// Bytes that cannot be decoded, with their offset, and failures of `out`.
/// What was written before an error stays written.
pub fn disassemble(
    bytes: &[u8], options: &DisassembleOptions, out: &mut dyn io::Write,
) -> Result<(), DisassembleError> {
    let _ = (bytes, options, out);
    Err(DisassembleError::Malformed { offset: 0, message: "not yet".into() })
}

/// How instructions are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// One instruction on each line.
    #[default]
    Flat,
    /// Operands stand inside the parentheses of the instruction that takes them.
    Folded,
}

/// Options of [`crate::disassemble`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DisassembleOptions {
    /// How instructions are laid out.
    pub form: Form,
    /// Whether names of the name section are used as identifiers.
    /// Without them the name section is printed as bytes.
    pub names: bool,
    /// Whether each field and instruction begins with its offset in the bytecode as a comment.
    pub offsets: bool,
}

impl Default for DisassembleOptions {
    fn default() -> Self {
        Self { form: Form::Flat, names: true, offsets: false }
    }
}

/// Why there is no text, or only a part of it.
#[derive(Debug)]
pub enum DisassembleError {
    /// The bytes are no module.
    Malformed {
        /// Where in the bytes.
        offset: usize,
        /// One sentence without a full stop.
        message: String,
    },
    /// The text could not be written.
    Write(io::Error),
}

impl std::fmt::Display for DisassembleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed { offset, message } => write!(f, "{message} (at offset {offset:#x})"),
            Self::Write(error) => write!(f, "the text cannot be written: {error}"),
        }
    }
}

impl std::error::Error for DisassembleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed { .. } => None,
            Self::Write(error) => Some(error),
        }
    }
}
