//! Directories of a mount: opening what is below, and the calls that work on a name.
//!
//! All paths go through `resolve`. Nothing is changed below a read-only mount: each call that would
//! is refused here, and files are opened without the right to write.
//! This file must never know a descriptor number or a host path.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use brant_kernel::host::{Durability, Follow, MountAccess, OpenHow, SetTime};
use cap_primitives::fs::{OpenOptions, OpenOptionsExt};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::Errno;

use super::listing::{Listed, Listing};
use super::resolve;

/// An open directory.
#[derive(Debug)]
pub(super) struct Directory {
    file: File,
    access: MountAccess,
    /// Identity of the mount's own directory.
    root: Identity,
    listing: Option<Box<Listing>>,
}

/// What makes a file the same file: device and number on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(stat: &Stat) -> Identity {
        Identity(stat.st_dev, stat.st_ino)
    }
}

/// What [`Directory::open`] found.
pub(super) enum Found {
    Directory(Directory),
    File(File),
    /// A pipe, a device or a socket.
    Other(File, FileType),
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Directory {
    /// Opens a directory of the host, by its own path: the only place where that is done.
    pub(super) fn mount(path: &std::path::Path, access: MountAccess) -> Result<Directory, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            // It cannot be listed then, but what is below can be named.
            Err(Errno::ACCESS) => {
                rustix::fs::openat(CWD, path, flags | OFlags::PATH, Mode::empty())
            }
            answer => answer,
        };
        let file = File::from(opened?);
        let root = Identity::of(&rustix::fs::fstat(&file)?);
        Ok(Directory { file, access, root, listing: None })
    }

    /// What its mount allows.
    pub(super) fn access(&self) -> MountAccess {
        self.access
    }

    /// Opens what `path` names.
    pub(super) fn open(&self, path: &[u8], how: OpenHow) -> Result<Found, Errno> {
        match self.access {
            MountAccess::ReadWrite => self.open_as(path, how),
            MountAccess::ReadOnly => self.open_read_only(path, how),
        }
    }

    fn open_as(&self, path: &[u8], how: OpenHow) -> Result<Found, Errno> {
        if how.directory && (how.create || how.exclusive || how.truncate) {
            return Err(Errno::INVAL);
        }
        let mut options = OpenOptions::new();
        // Linux has no way to open without any access but one that allows nothing at all.
        // A directory is opened for reading first: whether it is one is known only afterwards.
        options.read(how.read || !how.write || how.directory);
        options.write(how.write && !how.directory);
        // A pipe would wait for its other end, and a terminal would become this process's own.
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        flags.set(OFlags::CREATE, how.create);
        flags.set(OFlags::EXCL, how.create && how.exclusive);
        flags.set(OFlags::TRUNC, how.truncate);
        flags.set(OFlags::SYNC, how.sync == Some(Durability::All));
        flags.set(OFlags::DSYNC, how.sync == Some(Durability::Data));
        options.custom_flags(flags.bits().cast_signed());
        options._cap_fs_ext_follow(follow(how.follow));
        let file = resolve::open(&self.file, path, &options)?;
        match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
            FileType::Directory if how.write => Err(Errno::ISDIR),
            FileType::Directory => {
                let Directory { access, root, .. } = *self;
                Ok(Found::Directory(Directory { file, access, root, listing: None }))
            }
            _ if how.directory => Err(Errno::NOTDIR),
            FileType::RegularFile => Ok(Found::File(file)),
            other => Ok(Found::Other(file, other)),
        }
    }

    /// Opens for reading whatever was asked for, and refuses where a change was meant.
    fn open_read_only(&self, path: &[u8], how: OpenHow) -> Result<Found, Errno> {
        let changes = how.write || how.truncate;
        let reading = OpenHow { read: true, write: false, create: false, truncate: false, ..how };
        match self.open_as(path, OpenHow { exclusive: false, ..reading }) {
            Err(Errno::NOENT) if how.create => Err(Errno::ROFS),
            Ok(_) if how.create && how.exclusive => Err(Errno::EXIST),
            Ok(Found::Directory(_)) if changes => Err(Errno::ISDIR),
            Ok(_) if changes => Err(Errno::ROFS),
            answer => answer,
        }
    }

    /// Lists the entries from `cookie` on.
    pub(super) fn list(
        &mut self, cookie: u64, visit: &mut dyn FnMut(Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        self.listing.get_or_insert_default().read(&self.file, cookie, visit)
    }

    /// Asks about the file that `path` names.
    pub(super) fn stat(&self, path: &[u8], how: Follow) -> Result<Stat, Errno> {
        resolve::stat(&self.file, path, follow(how))
    }

    /// Sets the times of the file that `path` names.
    pub(super) fn set_times(
        &self, path: &[u8], how: Follow, times: &Timestamps,
    ) -> Result<(), Errno> {
        self.writable()?;
        // The file is only located, never opened: a device or a pipe must not notice.
        let located = resolve::locate(&self.file, path, follow(how))?;
        rustix::fs::utimensat(&located, c"", times, AtFlags::EMPTY_PATH)
    }

    /// Makes a directory.
    pub(super) fn create_directory(&self, path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        let place = resolve::place(&self.file, path)?;
        rustix::fs::mkdirat(place.parent(), place.name(), Mode::from_raw_mode(0o777))
    }

    /// Removes an empty directory.
    pub(super) fn remove_directory(&self, path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        let place = resolve::place(&self.file, path)?;
        rustix::fs::unlinkat(place.parent(), place.name(), AtFlags::REMOVEDIR)
    }

    /// Removes a name that is no directory.
    pub(super) fn remove_file(&self, path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        let place = resolve::place(&self.file, path)?;
        rustix::fs::unlinkat(place.parent(), place.name_and_slashes(), AtFlags::empty())
    }

    /// Renames `path` to `new_path` below `to`.
    pub(super) fn rename(&self, path: &[u8], to: &Directory, new_path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        to.writable()?;
        let from = resolve::place(&self.file, path)?;
        let to = resolve::place(&to.file, new_path)?;
        rustix::fs::renameat(
            from.parent(),
            from.name_and_slashes(),
            to.parent(),
            to.name_and_slashes(),
        )
    }

    /// Gives the file that `path` names a second name below `to`.
    pub(super) fn link(&self, path: &[u8], to: &Directory, new_path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        to.writable()?;
        let from = resolve::place(&self.file, path)?;
        if from.wants_directory() {
            // The system would follow a link here. Only a directory may be meant, and none can
            // have a second name.
            let stat = resolve::stat(&self.file, path, resolve::Follow::Yes)?;
            let is_directory = FileType::from_raw_mode(stat.st_mode).is_dir();
            return Err(if is_directory { Errno::PERM } else { Errno::NOTDIR });
        }
        let to = resolve::place(&to.file, new_path)?;
        let flags = AtFlags::empty();
        rustix::fs::linkat(from.parent(), from.name(), to.parent(), to.name_and_slashes(), flags)
    }

    /// Makes a symbolic link to `target` at `path`.
    pub(super) fn symlink(&self, target: &[u8], path: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        if target.starts_with(b"/") {
            return Err(Errno::PERM);
        }
        let place = resolve::place(&self.file, path)?;
        if self.leads_out(place.parent(), resolve::steps_up(target))? {
            return Err(Errno::PERM);
        }
        rustix::fs::symlinkat(target, place.parent(), place.name_and_slashes())
    }

    /// Reads the symbolic link at `path`, as much as fits.
    pub(super) fn read_link(&self, path: &[u8], buffer: &mut [u8]) -> Result<usize, Errno> {
        let place = resolve::place(&self.file, path)?;
        if place.wants_directory() {
            // The system would follow it: then it is no link, or nothing.
            resolve::locate(&self.file, path, resolve::Follow::Yes)?;
            return Err(Errno::INVAL);
        }
        // At least one byte is read, to see whether the target is absolute.
        let mut first = [0];
        let read = rustix::fs::readlinkat_raw(place.parent(), place.name(), &mut first)?;
        match (read, first, buffer.len()) {
            (1.., [b'/'], _) => Err(Errno::PERM),
            (_, _, 0) => Ok(0),
            _ => rustix::fs::readlinkat_raw(place.parent(), place.name(), buffer),
        }
    }

    /// Whether `steps` times `..` from `parent` leaves the mount.
    fn leads_out(&self, parent: &File, steps: usize) -> Result<bool, Errno> {
        let mut at = None;
        for _ in 0..steps {
            let here = at.as_ref().unwrap_or(parent);
            if Identity::of(&rustix::fs::fstat(here)?) == self.root {
                return Ok(true);
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            at = Some(rustix::fs::openat(here, c"..", flags, Mode::empty())?.into());
        }
        Ok(false)
    }

    fn writable(&self) -> Result<(), Errno> {
        match self.access {
            MountAccess::ReadWrite => Ok(()),
            MountAccess::ReadOnly => Err(Errno::ROFS),
        }
    }
}

/// The two times in the system's form.
pub(super) fn timestamps(accessed: SetTime, modified: SetTime) -> Timestamps {
    let time = |time| match time {
        SetTime::Keep => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        SetTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        SetTime::At(ns) => Timespec {
            // At most 584 years: both numbers fit.
            tv_sec: (ns / 1_000_000_000).cast_signed(),
            tv_nsec: (ns % 1_000_000_000).cast_signed(),
        },
    };
    Timestamps { last_access: time(accessed), last_modification: time(modified) }
}

fn follow(follow: Follow) -> resolve::Follow {
    match follow {
        Follow::Yes => resolve::Follow::Yes,
        Follow::No => resolve::Follow::No,
    }
}
