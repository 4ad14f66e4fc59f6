//! Errors of runs and of instantiation.

use std::fmt;

use brant_isa::Trap;

use crate::stop::Stop;
use crate::store::LimitError;

/// Why a call has no results: its run stopped before its end.
#[derive(Debug)]
pub struct RunError(pub Stop);

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for RunError {}

/// Why a module has no instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InstantiateError {
    /// Nothing was given for an import.
    UnknownImport {
        /// Its first name.
        module: String,
        /// Its second name.
        name: String,
    },
    /// What was given for an import is not of its type.
    IncompatibleImport {
        /// Its first name.
        module: String,
        /// Its second name.
        name: String,
        /// What the module asks for.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A limit, or the host, does not allow it.
    Limit(LimitError),
    /// An active segment does not fit. What was written before stays.
    Trap(Trap),
}

impl From<LimitError> for InstantiateError {
    fn from(error: LimitError) -> Self {
        Self::Limit(error)
    }
}

impl From<Trap> for InstantiateError {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

impl fmt::Display for InstantiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownImport { module, name } => {
                write!(f, "unknown import: {module:?} {name:?}")
            }
            Self::IncompatibleImport { module, name, expected, found } => write!(
                f,
                "incompatible import type: {module:?} {name:?} is {found}, expected {expected}"
            ),
            Self::Limit(error) => error.fmt(f),
            Self::Trap(trap) => trap.fmt(f),
        }
    }
}

impl std::error::Error for InstantiateError {}
