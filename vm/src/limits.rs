//! How much a process may take.

use std::time::Duration;

/// How much a process may take. The default is what no honest program reaches.
///
/// The depth of its stack and whether there is fuel at all are choices of the engine
/// ([`crate::Config`]), because code is translated for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Operators that it may execute: the run stops, and goes on when more is added.
    /// Needs an engine with [`crate::Config::fuel`].
    pub fuel: Option<u64>,
    /// How long a run or a call may take, waiting included: it stops, and goes on when it is run
    /// again, with the same time.
    pub time: Option<Duration>,
    /// Bytes of linear memory, all instances together: `memory.grow` answers -1.
    pub memory_bytes: u64,
    /// Elements of tables, all instances together: `table.grow` answers -1.
    pub table_elements: u64,
    /// Instances, those of other modules included: the process is not built.
    pub instances_count: u64,
    /// Threads that the program may have at the same time besides its first one: `thread-spawn`
    /// answers -1.
    pub threads_count: u64,
    /// Processes that a tree may have at the same time, its first one and zombies included: a call
    /// that makes one answers `again`. Memory, tables and instances are limits of the whole tree.
    pub processes_count: u64,
    /// Descriptors that are open at the same time: a call answers `mfile`.
    pub descriptors_count: u32,
    /// Sockets and connections that are open at the same time: a call answers `mfile`.
    pub sockets_count: u32,
    /// Bytes written to files: a call answers `nospc`.
    pub disk_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            fuel: None,
            time: None,
            memory_bytes: 4 << 30,
            table_elements: 10_000_000,
            instances_count: 10_000,
            threads_count: 4096,
            processes_count: 4096,
            descriptors_count: 4096,
            sockets_count: 4096,
            disk_bytes: None,
        }
    }
}
