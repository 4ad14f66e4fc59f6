//! Why the library could not do what it was asked to.

use std::fmt;
use std::io;
use std::path::PathBuf;

use brant_engine::{EngineError, ModuleError};

/// Why the library could not do what it was asked to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A text has mistakes.
    Text(brant_asm::Diagnostics),
    /// Bytes are not a module that the engine runs.
    Module(ModuleError),
    /// The engine cannot be configured like this.
    Engine(EngineError),
}

impl From<ModuleError> for Error {
    fn from(error: ModuleError) -> Error {
        Error::Module(error)
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Error {
        Error::Engine(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read { path, cause } => write!(f, "cannot read `{}`: {cause}", path.display()),
            Error::Text(diagnostics) => diagnostics.fmt(f),
            Error::Module(error) => error.fmt(f),
            Error::Engine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Read { cause, .. } => Some(cause),
            Error::Text(diagnostics) => Some(diagnostics),
            Error::Module(error) => Some(error),
            Error::Engine(error) => Some(error),
        }
    }
}
