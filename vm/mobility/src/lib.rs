//! Snapshots: a process as a file, a stream, or bytes, and back.
//!
//! A [`Snapshot`] is a process's three segments: its code (modules by hash), its execution (threads,
//! globals, tables, pages) and its resources. It names no tier, no CPU, no address and no path of the
//! host. Reading one takes nothing for granted: whoever wrote it may be an enemy.
//!
//! ```text
//! wire.rs       numbers and texts as bytes
//! file.rs       header, table of sections, checksums
//! code.rs execution.rs resources.rs pages.rs    one section each, written and read side by side
//! spawned.rs    threads that the program has started, behind the rest of the execution section
//! tree.rs       the processes that the program has made, each as a snapshot of its own
//! capture.rs    from a store that stands to a snapshot
//! restore.rs    from a snapshot to a store that goes on
//! migration/    what two hosts say to each other while a process moves
//! ```
//!
//! Nothing here knows files, sockets, or how instructions are executed.
#![forbid(unsafe_code)]

mod capture;
mod code;
mod error;
mod execution;
mod file;
pub mod migration;
mod pages;
mod resources;
mod restore;
mod spawned;
mod tree;
mod wire;

pub use capture::{Contents, Standing, StandingThread, StandingThreads};
pub use code::{Code, ModuleImage};
pub use error::{CaptureError, RestoreError, Section, SnapshotError};
pub use execution::{Execution, Purpose, ThreadImage};
pub use file::{Encoded, FORMAT_VERSION, MAGIC, ReadLimits, SectionInfo, is_snapshot};
pub use pages::{PageRun, Pages};
pub use restore::{Restored, RestoredSpawned, RestoredThread};
pub use spawned::{MAX_THREAD_ID, Spawned, SpawnedThread, WaitImage};
pub use tree::TreeImage;

use brant_kernel::persist::KernelState;

/// A process that stands, as data.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Names this snapshot; no other has the same.
    pub generation: [u8; 16],
    /// The modules of the process.
    pub code: Code,
    /// Threads, globals, tables.
    pub execution: Execution,
    /// Descriptors, clocks, arguments.
    pub resources: KernelState,
    /// Contents of the memories, as far as the modules do not have them.
    pub pages: Pages,
    /// The processes that the program has made, if there is something to say of them.
    pub tree: Option<Box<TreeImage>>,
}
