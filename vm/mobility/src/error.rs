//! Why there is no snapshot, or no process from one.

use std::fmt;
use std::io;

use brant_engine::Trap;
use brant_engine::persist::PersistError;
use brant_kernel::persist::Obstacle;

/// A part of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Section {
    /// Magic, versions, the table of sections.
    Header,
    /// Modules.
    Code,
    /// Threads, globals, tables, sizes.
    Execution,
    /// Descriptors, clocks, arguments.
    Resources,
    /// The processes that the program has made.
    Tree,
    /// Which pages there are, and where their contents stand.
    Pages,
    /// Contents of pages.
    Contents,
    /// No part of a snapshot: what a peer says while a process moves.
    Message,
}

impl Section {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Section::Header => "header",
            Section::Code => "code",
            Section::Execution => "execution",
            Section::Resources => "resources",
            Section::Tree => "tree",
            Section::Pages => "pages",
            Section::Contents => "contents",
            Section::Message => "message",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes are no snapshot.
#[derive(Debug)]
pub enum SnapshotError {
    /// They cannot be read or written.
    Io(io::Error),
    /// They do not begin as snapshots do.
    NoSnapshot,
    /// They are of a version of the format that is not known here.
    Version(u32),
    /// Their sites are counted in a way that is not known here.
    SiteScheme(u32),
    /// They end too early.
    Truncated(Section),
    /// A section is not what its checksum says.
    Checksum(Section),
    /// A section is larger than whoever reads it allows.
    TooLarge {
        /// The section.
        section: Section,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A section says something that no snapshot says.
    Malformed {
        /// The section.
        section: Section,
        /// What it is about.
        what: &'static str,
    },
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Io(error) => error.fmt(f),
            SnapshotError::NoSnapshot => f.write_str("this is no snapshot of brant"),
            SnapshotError::Version(version) => {
                write!(f, "version {version} of the snapshot format is not known here")
            }
            SnapshotError::SiteScheme(scheme) => {
                write!(f, "site scheme {scheme} is not known here: another brant made the snapshot")
            }
            SnapshotError::Truncated(section) => {
                write!(f, "the snapshot is cut off in its section `{section}`")
            }
            SnapshotError::Checksum(section) => {
                write!(f, "the checksum of the snapshot's section `{section}` is wrong")
            }
            SnapshotError::TooLarge { section, bytes, limit } => write!(
                f,
                "the snapshot's section `{section}` has {bytes} bytes, {limit} are allowed"
            ),
            SnapshotError::Malformed { section: Section::Message, what } => {
                write!(f, "the peer says something that no peer says: {what}")
            }
            SnapshotError::Malformed { section, what } => {
                write!(f, "the snapshot's section `{section}` is malformed: {what}")
            }
        }
    }
}

impl std::error::Error for SnapshotError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SnapshotError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for SnapshotError {
    fn from(error: io::Error) -> SnapshotError {
        SnapshotError::Io(error)
    }
}

/// Why a process cannot be captured. It stands as it stood before.
#[derive(Debug)]
pub enum CaptureError {
    /// Resources that cannot be moved.
    Obstacles(Vec<Obstacle>),
    /// The state of the engine cannot be written down.
    Engine(PersistError),
    /// It holds values of the host (`externref`), which mean nothing elsewhere.
    HostValues,
    /// It has ended.
    Ended,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaptureError::Obstacles(list) => {
                f.write_str("the process cannot be moved:")?;
                list.iter().try_for_each(|obstacle| write!(f, "\n  {obstacle}"))
            }
            CaptureError::Engine(error) => write!(f, "the process cannot be moved: {error}"),
            CaptureError::HostValues => f.write_str(
                "the process cannot be moved: it holds values of the host; let it set the \
                 references to null first",
            ),
            CaptureError::Ended => f.write_str("the process has ended"),
        }
    }
}

impl std::error::Error for CaptureError {}

/// Why a snapshot does not become a process here.
#[derive(Debug)]
pub enum RestoreError {
    /// A module is neither in the snapshot nor known here.
    MissingModule {
        /// Its hash.
        hash: [u8; 32],
    },
    /// It was made under other rules than the engine has, such as `deterministic`.
    Configuration(&'static str),
    /// The process has trapped: there is nothing that could go on.
    Trapped(Trap),
    /// The modules of the snapshot are not those that were linked.
    Modules,
    /// The process has more threads than it may have here.
    Threads {
        /// How many it has besides its first one.
        count: u64,
        /// How many it may have.
        limit: u64,
    },
    /// The state does not fit the modules, or needs more than the limits allow.
    Engine(PersistError),
    /// The pages are not those of a process.
    Pages(SnapshotError),
    /// The destination does not grant what the process had.
    Resource(Obstacle),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::MissingModule { hash } => {
                f.write_str("the snapshot does not have the module ")?;
                hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str(", and it is not known here")
            }
            RestoreError::Configuration(what) => write!(f, "the snapshot was made {what}"),
            RestoreError::Trapped(trap) => write!(
                f,
                "the program in the snapshot has trapped ({trap}) and cannot go on; `brant inspect` \
                 looks into it"
            ),
            RestoreError::Modules => f.write_str("the snapshot is one of other modules"),
            RestoreError::Threads { count, limit } => write!(
                f,
                "the process has {count} threads besides its first one, {limit} are allowed \
                 (`--max-threads`)"
            ),
            RestoreError::Engine(error) => write!(f, "the snapshot does not fit: {error}"),
            RestoreError::Pages(error) => error.fmt(f),
            RestoreError::Resource(obstacle) => obstacle.fmt(f),
        }
    }
}

impl std::error::Error for RestoreError {}

impl From<PersistError> for RestoreError {
    fn from(error: PersistError) -> RestoreError {
        RestoreError::Engine(error)
    }
}

impl From<Obstacle> for RestoreError {
    fn from(obstacle: Obstacle) -> RestoreError {
        RestoreError::Resource(obstacle)
    }
}

impl From<PersistError> for CaptureError {
    fn from(error: PersistError) -> CaptureError {
        CaptureError::Engine(error)
    }
}
