//! Why the library could not do what it was asked to.

use std::fmt;
use std::io;
use std::path::PathBuf;

use brant_engine::{
    EngineError, HostError, InstantiateError, LimitError, ModuleError, OutOfBounds, TrapReport,
};

use brant_kernel::StartError;
use brant_mobility::{CaptureError, RestoreError, SnapshotError};

use crate::Stopped;

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
    /// A file cannot be written.
    Write {
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
    /// Nothing provides what a module imports.
    MissingImports(Vec<MissingImport>),
    /// A module has no instance.
    Instantiate(InstantiateError),
    /// A limit of fuel was set, and the engine was not made for it.
    NoFuel,
    /// Something that is granted cannot be had.
    Grant(StartError),
    /// A module does not export this.
    NoExport {
        /// The name.
        name: String,
    },
    /// An export, or what it is called with, has another type.
    WrongType {
        /// The name.
        name: String,
        /// The type that it has.
        found: String,
    },
    /// An instance has no memory.
    NoMemory,
    /// A range does not lie in a memory.
    OutOfBounds(OutOfBounds),
    /// A called function trapped.
    Trap(Box<TrapReport>),
    /// A called function ended the program with this code.
    Exit(i32),
    /// A called function stands still, and can go on.
    Stopped(Stopped),
    /// Something of the process stands still, and has to end before anything else begins.
    Busy,
    /// Something is to be compiled, and the engine has no compiler.
    NoCompiler,
    /// No call of this process was stopped.
    NothingToResume,
    /// The process cannot be captured.
    Capture(CaptureError),
    /// Bytes are no snapshot, or one cannot be written.
    Snapshot(SnapshotError),
    /// A snapshot does not become a process here.
    Restore(RestoreError),
    /// A host function failed.
    Host(Box<dyn std::error::Error + Send + Sync>),
}

/// An import that nothing provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImport {
    /// The module it is to come from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// What it must be, in the notation of the text format.
    pub kind: String,
}

impl Error {
    /// An error of a host function.
    pub fn host(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Host(error.into())
    }

    pub(crate) fn no_export(name: &str) -> Error {
        Error::NoExport { name: name.to_owned() }
    }
}

macro_rules! from {
    ($($variant:ident <- $source:ty;)*) => {$(
        impl From<$source> for Error {
            fn from(error: $source) -> Error {
                Error::$variant(error)
            }
        }
    )*};
}

from! {
    Module <- ModuleError;
    Engine <- EngineError;
    Instantiate <- InstantiateError;
    OutOfBounds <- OutOfBounds;
    Grant <- StartError;
    Capture <- CaptureError;
    Snapshot <- SnapshotError;
    Restore <- RestoreError;
    Host <- Box<dyn std::error::Error + Send + Sync>;
}

impl From<LimitError> for Error {
    fn from(error: LimitError) -> Error {
        Error::Instantiate(InstantiateError::Limit(error))
    }
}

/// What a host function returns as an error ends the guest that called it.
impl From<Error> for HostError {
    fn from(error: Error) -> HostError {
        match error {
            Error::Exit(code) => HostError::Exit(code),
            other => HostError::Other(Box::new(other)),
        }
    }
}

/// What ended a call of the guest from inside a host function.
impl From<HostError> for Error {
    fn from(error: HostError) -> Error {
        match error {
            HostError::Exit(code) => Error::Exit(code),
            HostError::Trap(trap) => Error::host(trap.message()),
            HostError::Other(error) => match error.downcast::<Error>() {
                Ok(error) => *error,
                Err(other) => Error::Host(other),
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read { path, cause } => write!(f, "cannot read `{}`: {cause}", path.display()),
            Error::Write { path, cause } => write!(f, "cannot write `{}`: {cause}", path.display()),
            Error::Text(diagnostics) => diagnostics.fmt(f),
            Error::Module(error) => error.fmt(f),
            Error::Engine(error) => error.fmt(f),
            Error::MissingImports(list) => {
                let names: Vec<String> = list.iter().map(ToString::to_string).collect();
                write!(f, "nothing provides {}", names.join(", "))
            }
            Error::Instantiate(error) => error.fmt(f),
            Error::NoFuel => f.write_str("a limit of fuel needs an engine with fuel"),
            Error::Grant(error) => write!(f, "cannot grant `{}`: {}", error.what, error.errno),
            Error::NoExport { name } => write!(f, "the module does not export `{name}`"),
            Error::WrongType { name, found } => write!(f, "`{name}` has the type {found}"),
            Error::NoMemory => f.write_str("the instance has no memory"),
            Error::OutOfBounds(error) => error.fmt(f),
            Error::Trap(report) => report.fmt(f),
            Error::Exit(code) => write!(f, "the program ended with exit code {code}"),
            Error::Stopped(why) => why.fmt(f),
            Error::Busy => f.write_str("the process stands still inside another call"),
            Error::NoCompiler => f.write_str("there is no compiler in this process"),
            Error::NothingToResume => f.write_str("no call was stopped"),
            Error::Capture(error) => error.fmt(f),
            Error::Snapshot(error) => error.fmt(f),
            Error::Restore(error) => error.fmt(f),
            Error::Host(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for MissingImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` `{}` ({})", self.module, self.name, self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Read { cause, .. } | Error::Write { cause, .. } => Some(cause),
            Error::Host(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}
