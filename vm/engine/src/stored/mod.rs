//! Compiled code that outlives a process: what is kept, under which key, and who keeps it.
//!
//! The engine knows the form of what is kept (`format.rs`) and runs code in the place where a file
//! is mapped (`library.rs`). Where files are, who may read them and when they go is the business of
//! a [`CodeStore`], which the embedder brings.
//!
//! Whoever can write to a store decides what code runs: it has to be private. Against everything
//! else (damage, truncation, other modules, other compilers) each piece has a checksum that is bound
//! to the key, and what does not match it is as good as absent.

mod format;
mod library;
mod survey;

use std::fmt;
use std::fs::File;
use std::path::PathBuf;

pub use format::{BatchWriter, HEADER_BYTES, header, header_key, valid_bytes};
pub(crate) use library::{Found, Libraries, Library};
pub use survey::{Survey, survey};

use crate::compile::{Options, Stops};

/// Keeps compiled code from one process to the next. Called from several threads.
///
/// What it keeps under a key is a header followed by batches: see [`header`] and [`valid_bytes`].
pub trait CodeStore: Send + Sync + fmt::Debug {
    /// What is kept under a key. The file must not change but by growing.
    fn get(&self, key: &Key) -> Option<File>;

    /// Adds a batch to what is kept under a key. Nobody is told when that cannot be done.
    fn add(&self, key: &Key, batch: &[u8]);

    /// The hash of the file with this identity, if [`Self::keep_hash`] was told it.
    fn hash_of(&self, identity: &Identity) -> Option<[u8; 32]> {
        let _ = identity;
        None
    }

    /// Takes note of the hash of a file.
    fn keep_hash(&self, identity: &Identity, hash: &[u8; 32]) {
        let _ = (identity, hash);
    }
}

/// What compiled code is for: a module, a compiler on a processor, and what the code relies on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// All of it, hashed.
    pub id: [u8; 32],
    /// The hash of the module.
    pub module: [u8; 32],
}

/// What tells a file from every other one, and from itself before and after a change, without
/// reading it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// Device, number, size, and when it was changed.
    pub numbers: [u64; 7],
    /// Where it was found: for people.
    pub path: PathBuf,
}

impl Key {
    /// That of code which the compiler with this fingerprint makes of the module with this hash.
    pub fn new(module: &[u8; 32], compiler: &[u8; 32], options: Options) -> Self {
        let Options { stops, guarded_memory, fuel, canonical_nans } = options;
        let stops = match stops {
            Stops::Never => 0,
            Stops::Usual => 1,
            Stops::Every => 2,
        };
        let flags = [stops, guarded_memory.into(), fuel.into(), canonical_nans.into()];
        let mut hasher = blake3::Hasher::new_derive_key("brant stored code 1");
        hasher.update(module).update(compiler).update(&flags);
        Self { id: *hasher.finalize().as_bytes(), module: *module }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}
