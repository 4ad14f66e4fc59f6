//! The state of a kernel as plain values, and what becomes of each resource on another host.
//!
//! A state carries wishes, never authority: names of mounts, paths below them, numbers of streams
//! and listeners. The destination's manifest says what of it is granted.
//!
//! ```text
//! stream, mount, listener   rebound to what the destination grants under that number or name
//! listener that is kept     taken over from whoever keeps it; where nobody does, rebound
//! file, directory           rebound by its path below a mount, if it is the same one there
//! file without a name       its bytes travel
//! pipe                      its bytes travel with the tree of processes
//! connection                handed over where a host holds it for the process, else an obstacle
//! ```
//!
//! Nothing here knows how a state is written down.

mod restore;
mod save;
mod tree;

use std::fmt;

pub(crate) use tree::Descriptions;
pub use tree::{MemberState, Numbering, PipeState, Relation, TreeState};

use crate::descriptor::{Binding, FdFlags, Object};
use crate::host::Kind;
use crate::rights::Rights;
use crate::syscall::Syscall;

/// Everything that a kernel knows of its process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelState {
    /// The arguments of the process.
    pub args: Vec<Vec<u8>>,
    /// Its environment, as `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// Its open descriptors, by ascending number.
    pub descriptors: Vec<DescriptorState>,
    /// What its clocks show.
    pub clocks: ClockState,
    /// Bytes read from standard input, written to standard output and to standard error.
    pub stream_bytes: [u64; 3],
    /// Bytes written to files.
    pub disk_bytes: u64,
    /// Where its random numbers stand, if they come from a seed.
    pub chance: Option<u64>,
    /// The call that it waits in.
    pub parked: Option<ParkedState>,
}

/// What the clocks of a process show. The wall clock is always the host's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockState {
    /// The monotonic clock.
    pub monotonic_ns: u64,
    /// CPU time of the process.
    pub process_cpu_ns: u64,
    /// CPU time of its thread.
    pub thread_cpu_ns: u64,
}

/// A call that waits. Times are of the guest's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedState {
    /// Which call.
    pub call: Syscall,
    /// Bytes already written.
    pub progress_bytes: u64,
    /// When it began.
    pub began_ns: u64,
    /// When it ends at the latest.
    pub deadline_ns: Option<u64>,
}

/// An open descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorState {
    /// Its number.
    pub fd: u32,
    /// How it is used.
    pub object: Object,
    /// What the guest was told that it is.
    pub kind: Kind,
    /// What it may be used for.
    pub rights: Rights,
    /// What descriptors opened through it may be used for.
    pub inheriting: Rights,
    /// Its flags.
    pub flags: FdFlags,
    /// Where the next read or write of a file begins.
    pub offset: u64,
    /// The name under which it was there from the start.
    pub preopen: Option<String>,
    /// How it is found again.
    pub binding: Binding,
    /// What is done with it at the destination.
    pub action: Action,
}

/// What is done with a descriptor at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is bound to what the destination grants.
    Rebind,
    /// It is opened by its path, and must be the same file.
    Reopen(Identity),
    /// A file without a name is made anew with these bytes.
    Copy(Vec<u8>),
    /// The host that holds it for the process hands it over under this name.
    TakeOver(Vec<u8>),
    /// An end of a pipe of the tree: twice its number for reading, and one more for writing.
    Connect(u32),
}

/// By what a file is known again: the same number on the same device, or, elsewhere, the same kind
/// and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Number of the device that holds it.
    pub device: u64,
    /// Its number on that device.
    pub inode: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// How fast a resource is tied to its host, in the words of the literature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// It can be moved: bytes.
    Unattached,
    /// It could be moved at a high cost: files, streams.
    Fastened,
    /// It cannot be moved: a socket of the host.
    Fixed,
}

impl Action {
    /// Its name in listings.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Rebind => "rebind",
            Action::Reopen(_) => "reopen",
            Action::Copy(_) => "copy",
            Action::TakeOver(_) => "take over",
            Action::Connect(_) => "connect",
        }
    }
}

impl Attachment {
    /// Its name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Attachment::Unattached => "unattached",
            Attachment::Fastened => "fastened",
            Attachment::Fixed => "fixed",
        }
    }
}

impl DescriptorState {
    /// How fast it is tied to its host.
    pub fn attachment(&self) -> Attachment {
        match (&self.action, self.object) {
            (Action::Copy(_) | Action::Connect(_), _) => Attachment::Unattached,
            (_, Object::Connection | Object::Listener | Object::Socket) => Attachment::Fixed,
            _ => Attachment::Fastened,
        }
    }

    /// How it is bound: by what it is called, or by what it is like.
    pub fn binding_name(&self) -> String {
        match &self.binding {
            Binding::Stream(number) => {
                let names = ["standard input", "standard output", "standard error"];
                names.get(*number as usize).unwrap_or(&"a stream").to_string()
            }
            Binding::Mount(name) => format!("mount `{name}`"),
            Binding::Path { mount, path } => {
                format!("`{}` below mount `{mount}`", String::from_utf8_lossy(path))
            }
            Binding::Listener(number) => format!("listener {number}"),
            Binding::Pipe => "pipe".to_owned(),
            Binding::Connection => "connection".to_owned(),
        }
    }
}

/// A descriptor that keeps its process from being saved or restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// Its number; none if it is about the process.
    pub fd: Option<u32>,
    /// What it leads to.
    pub what: String,
    /// Why that cannot be moved.
    pub why: String,
    /// What would make it possible.
    pub remedy: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fd) = self.fd {
            write!(f, "descriptor {fd} ")?;
        }
        write!(f, "({}) {}; {}", self.what, self.why, self.remedy)
    }
}

impl std::error::Error for Obstacle {}
