//! The manifest: all that a process is given. Nothing is granted that does not stand here.

use std::path::PathBuf;

use crate::host::MountAccess;
use crate::net::NetRules;

/// What a process is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Its arguments; the first is its own name.
    pub args: Vec<Vec<u8>>,
    /// Its environment, as `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// The directories that it finds open, in this order from descriptor 3 on.
    pub mounts: Vec<Mount>,
    /// TCP addresses whose listening sockets it finds open behind the mounts.
    pub listeners: Vec<String>,
    /// What sockets of its own may reach.
    pub net: NetRules,
    /// Whether writing to a standard stream that nobody reads any more ends the process, as the
    /// signal PIPE does. Else the call says [`BrokenPipe`](crate::Errno::BrokenPipe).
    pub ends_on_broken_pipe: bool,
    /// What it may use up.
    pub limits: Limits,
}

/// A directory of the host that the guest sees under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The directory outside.
    pub host: PathBuf,
    /// Its name inside.
    pub guest: String,
    /// What may be done below it.
    pub access: MountAccess,
}

/// Limits that the kernel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open descriptors at a time.
    pub descriptors: u32,
    /// Open sockets of its own and connections at a time, each of them a descriptor too.
    pub sockets: u32,
    /// Bytes written to files, summed over the life of the process.
    pub disk_bytes: u64,
}

impl Limits {
    /// What most systems give a process.
    pub const DEFAULT_DESCRIPTORS: u32 = 1024;
    /// All of them may be sockets.
    pub const DEFAULT_SOCKETS: u32 = Self::DEFAULT_DESCRIPTORS;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            descriptors: Self::DEFAULT_DESCRIPTORS,
            sockets: Self::DEFAULT_SOCKETS,
            disk_bytes: u64::MAX,
        }
    }
}
