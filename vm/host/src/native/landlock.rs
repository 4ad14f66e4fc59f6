//! The second wall: Landlock, so that even a broken path resolver opens nothing outside the mounts.
//!
//! The list is explicit: what is not named here is out of reach for this process from then on.
//! Only the command line's `run` sets it, before its first thread starts and after the mounts are
//! open; a library must never take rights away from the process that embeds it.
//! This file must never know what a mount or a manifest is.

use std::fmt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    NetPort, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope,
};

/// The newest rules that this code was written against; older kernels enforce what they know.
const NEWEST: ABI = ABI::V7;

/// What a process may still do below one path once the wall stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read files and list directories.
    Read,
    /// Read, write, create, rename and remove, but never execute and never make device nodes.
    ReadWrite,
}

/// One path that stays reachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// A directory (with all below it) or a single file, which must exist.
    pub path: PathBuf,
    /// What stays possible there.
    pub access: Access,
}

impl Grant {
    /// Keeps `path` readable.
    pub fn read(path: impl Into<PathBuf>) -> Grant {
        Grant { path: path.into(), access: Access::Read }
    }

    /// Keeps `path` readable and writable.
    pub fn read_write(path: impl Into<PathBuf>) -> Grant {
        Grant { path: path.into(), access: Access::ReadWrite }
    }
}

/// How much of the wall stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All that this code asks for.
    Full,
    /// The kernel is older and knows some of it; files are covered.
    Partial,
    /// The kernel has no Landlock, or it is switched off.
    None,
}

/// What [`landlock`] achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wall {
    /// How much of it stands.
    pub coverage: Coverage,
    /// The kernel's Landlock version; 0 where there is none.
    pub version: u32,
}

/// Why no wall could be built although the kernel has Landlock.
#[derive(Debug)]
pub enum LandlockError {
    /// A path of the list cannot be opened.
    Path(PathBuf, std::io::Error),
    /// The kernel refused the rules.
    Refused(String),
}

impl fmt::Display for LandlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LandlockError::Path(path, error) => write!(f, "{}: {error}", path.display()),
            LandlockError::Refused(why) => write!(f, "landlock: {why}"),
        }
    }
}

impl std::error::Error for LandlockError {}

impl From<RulesetError> for LandlockError {
    fn from(error: RulesetError) -> LandlockError {
        LandlockError::Refused(error.to_string())
    }
}

/// Restricts the calling thread, and every thread that it starts later, to the files of `grants`.
///
/// Descriptors that are open already keep working.
/// TCP binds, abstract Unix sockets and signals to processes outside are refused too where the
/// kernel knows them: a guest's listeners are bound before. TCP connections are not: the terminal of
/// a program that has moved away must be able to reach it again.
/// A kernel without Landlock is no error: the answer says so.
///
/// # Errors
/// A path that cannot be opened, or rules that the kernel refuses.
pub fn landlock(grants: &[Grant]) -> Result<Wall, LandlockError> {
    landlock_with_ports(grants, Some(&[]))
}

/// The same, for a process that binds its listeners afterwards: to these TCP ports, and no others;
/// `None`: to any.
///
/// # Errors
/// As [`landlock`].
pub fn landlock_with_ports(grants: &[Grant], ports: Option<&[u16]>) -> Result<Wall, LandlockError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if ports.is_some() {
        rules = rules.handle_access(AccessNet::BindTcp)?;
    }
    let mut rules = rules.create()?;
    for grant in grants {
        let descriptor = PathFd::new(&grant.path).map_err(|error| unopened(&grant.path, error))?;
        let mut rights = rights(grant.access);
        if !grant.path.is_dir() {
            rights &= AccessFs::from_file(NEWEST);
        }
        rules = rules.add_rule(PathBeneath::new(descriptor, rights))?;
    }
    for port in ports.unwrap_or_default() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    let status = rules.restrict_self()?;
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            kernel_abi.map_or(effective_abi as u32, |newer| newer.unsigned_abs())
        }
        _ => 0,
    };
    let coverage = match status.ruleset {
        RulesetStatus::FullyEnforced => Coverage::Full,
        RulesetStatus::PartiallyEnforced => Coverage::Partial,
        RulesetStatus::NotEnforced => Coverage::None,
    };
    Ok(Wall { coverage, version })
}

/// What [`landlock`] would achieve, found out on a thread that ends right away.
pub fn probe() -> Wall {
    let none = Wall { coverage: Coverage::None, version: 0 };
    std::thread::Builder::new()
        .spawn(|| landlock(&[]))
        .ok()
        .and_then(|thread| thread.join().ok())
        .and_then(Result::ok)
        .unwrap_or(none)
}

fn rights(access: Access) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    match access {
        Access::Read => read,
        Access::ReadWrite => {
            let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock;
            read | (AccessFs::from_write(NEWEST) & !(devices | AccessFs::MakeFifo))
        }
    }
}

fn unopened(path: &Path, error: PathFdError) -> LandlockError {
    let error = match error {
        PathFdError::OpenCall { source, .. } => source,
        other => std::io::Error::other(other.to_string()),
    };
    LandlockError::Path(path.to_path_buf(), error)
}
