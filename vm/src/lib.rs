//! Brant: a process virtual machine whose processes can move.
#![forbid(unsafe_code)]

mod features;

pub use features::{Features, UnknownFeature};

/// Whether brant itself fills an import of this name.
pub fn provides(module: &str, name: &str) -> bool {
    module == "wasi_snapshot_preview1" && !name.is_empty()
}
