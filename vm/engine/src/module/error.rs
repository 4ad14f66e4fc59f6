//! Why bytes are not a module.

use std::fmt;

/// Why bytes are not a module that the engine runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ModuleError {
    /// The bytes are not valid.
    Invalid {
        /// What is wrong, in the validator's words.
        message: String,
        /// Where in the bytes.
        offset: u64,
    },
    /// The module is valid, but uses what the engine does not execute.
    Unsupported {
        /// What that is.
        what: &'static str,
        /// Where in the bytes.
        offset: u64,
    },
    /// There are more bytes than [`super::MAX_MODULE_BYTES`].
    TooLarge(usize),
}

impl ModuleError {
    /// Where in the bytes the reason is.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Invalid { offset, .. } | Self::Unsupported { offset, .. } => Some(*offset),
            Self::TooLarge(_) => None,
        }
    }
}

impl From<wasmparser::Error> for ModuleError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid { message: error.message().to_owned(), offset: error.offset() }
    }
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { message, offset } => write!(f, "{message} (at offset {offset:#x})"),
            Self::Unsupported { what, offset } => {
                write!(f, "the engine does not execute {what} (at offset {offset:#x})")
            }
            Self::TooLarge(bytes) => {
                write!(f, "{bytes} bytes, and a module has at most {}", super::MAX_MODULE_BYTES)
            }
        }
    }
}

impl std::error::Error for ModuleError {}
