//! Brant: a process virtual machine whose processes can move.
#![forbid(unsafe_code)]

mod error;
mod features;
mod module;

pub use brant_engine::{Config, Engine};
pub use error::Error;
pub use features::{Features, UnknownFeature};
pub use module::{Module, Validation, is_bytecode, skip_interpreter_line};

/// Whether brant itself fills an import of this name.
pub fn provides(module: &str, name: &str) -> bool {
    module == "wasi_snapshot_preview1" && !name.is_empty()
}
