//! The one path resolver: (directory, path, follow?) -> an open file, or a parent and a last name.
//!
//! Every path of a guest comes through here, and every file is opened by `cap-primitives`, which
//! asks `openat2` to stay beneath the directory (one system call) and walks the path one component
//! at a time where the kernel has no `openat2`.
//! Calls that work on a name (create, remove, rename) get the opened parent and a last name that
//! has no slash inside, is never `..`, and is never followed: those system calls do not follow it.
//!
//! Trailing slashes are the trap here: for `stat`, `link`, `readlink` and `utimens` Linux follows a
//! symbolic link whose name has a slash behind it even when told not to, so those never hand a
//! name with a slash to the system.
//! This file must never know what a mount or a descriptor is.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, OFlags, Stat};
use rustix::io::Errno;

/// Longest path that is looked at; Linux has the same limit (`PATH_MAX`, its NUL included).
pub(super) const MAX_PATH_BYTES: usize = 4_095;

/// Whether a symbolic link in the last component is followed.
pub(super) type Follow = FollowSymlinks;

/// Where a name lives: the directory that holds it, and the name.
pub(super) struct Place<'a> {
    parent: Parent<'a>,
    /// The last name, with the slashes that followed it in the path.
    tail: &'a [u8],
    /// Length of the name without those slashes.
    name_bytes: usize,
}

enum Parent<'a> {
    Start(&'a File),
    Opened(File),
}

impl Place<'_> {
    /// The directory that holds the name.
    pub(super) fn parent(&self) -> &File {
        match &self.parent {
            Parent::Start(file) => file,
            Parent::Opened(file) => file,
        }
    }

    /// The name alone, safe for every system call.
    pub(super) fn name(&self) -> &OsStr {
        OsStr::from_bytes(&self.tail[..self.name_bytes])
    }

    /// The name with its slashes, for calls that never follow it but refuse what is no directory.
    pub(super) fn name_and_slashes(&self) -> &OsStr {
        OsStr::from_bytes(self.tail)
    }

    /// Whether the path ended in a slash and so must name a directory.
    pub(super) fn wants_directory(&self) -> bool {
        self.tail.len() > self.name_bytes
    }
}

/// Opens `path` below `start`.
pub(super) fn open(start: &File, path: &[u8], options: &OpenOptions) -> Result<File, Errno> {
    check(path)?;
    cap_primitives::fs::open(start, as_path(path), options).map_err(errno)
}

/// Opens `path` below `start` without any right to its content, for questions about it.
pub(super) fn locate(start: &File, path: &[u8], follow: Follow) -> Result<File, Errno> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlags::PATH.bits().cast_signed());
    options._cap_fs_ext_follow(follow);
    open(start, path, &options)
}

/// Opens the directory that holds the last name of `path`.
pub(super) fn place<'a>(start: &'a File, path: &'a [u8]) -> Result<Place<'a>, Errno> {
    check(path)?;
    let (directory, tail, name_bytes) = split(path);
    let parent = match directory {
        [] => Parent::Start(start),
        _ => {
            Parent::Opened(cap_primitives::fs::open_dir(start, as_path(directory)).map_err(errno)?)
        }
    };
    Ok(Place { parent, tail, name_bytes })
}

/// Asks about the file that `path` names.
pub(super) fn stat(start: &File, path: &[u8], follow: Follow) -> Result<Stat, Errno> {
    // One system call for the usual question, about a plain name that is no link.
    if is_plain_name(path) {
        let stat = rustix::fs::statat(start, as_path(path), AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        if follow == Follow::No || !kind.is_symlink() {
            return Ok(stat);
        }
    }
    rustix::fs::fstat(locate(start, path, follow)?)
}

/// How many times a link's target leads up at most, before it leads down again.
///
/// It is counted in the text: `a/../..` leads up once.
pub(super) fn steps_up(target: &[u8]) -> usize {
    let (mut depth, mut lowest) = (0_isize, 0_isize);
    for component in target.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => depth -= 1,
            _ => depth += 1,
        }
        lowest = lowest.min(depth);
    }
    lowest.unsigned_abs()
}

/// Refuses what no path of a guest may be, before the system sees it.
fn check(path: &[u8]) -> Result<(), Errno> {
    match path {
        [] => Err(Errno::NOENT),
        [b'/', ..] => Err(Errno::PERM),
        _ if path.len() > MAX_PATH_BYTES => Err(Errno::NAMETOOLONG),
        _ if path.contains(&0) => Err(Errno::INVAL),
        _ => Ok(()),
    }
}

/// Splits into (directory, last name with its slashes, length of the name alone).
///
/// A path that ends in `..` is all directory, and the name is `.` in it.
fn split(path: &[u8]) -> (&[u8], &[u8], usize) {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let start = path[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    match &path[start..end] {
        b".." => (path, b".", 1),
        name => (&path[..start], &path[start..], name.len()),
    }
}

/// Whether `path` is one component and neither `.` nor `..`.
fn is_plain_name(path: &[u8]) -> bool {
    check(path).is_ok() && !path.contains(&b'/') && path != b"." && path != b".."
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// The system's number for an error of `cap-primitives`, which makes one of its own for escapes.
fn errno(error: io::Error) -> Errno {
    match error.raw_os_error() {
        Some(code) => Errno::from_raw_os_error(code),
        None => match error.kind() {
            io::ErrorKind::NotFound => Errno::NOENT,
            io::ErrorKind::PermissionDenied => Errno::PERM,
            io::ErrorKind::NotADirectory => Errno::NOTDIR,
            io::ErrorKind::IsADirectory => Errno::ISDIR,
            io::ErrorKind::InvalidInput => Errno::INVAL,
            _ => Errno::IO,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_split(path: &str, directory: &str, tail: &str, name: &str) {
        let (found_directory, found_tail, name_bytes) = split(path.as_bytes());
        assert_eq!(found_directory, directory.as_bytes(), "directory of {path}");
        assert_eq!(found_tail, tail.as_bytes(), "tail of {path}");
        assert_eq!(&found_tail[..name_bytes], name.as_bytes(), "name of {path}");
    }

    #[test]
    fn a_path_splits_into_directory_and_name() {
        check_split("a", "", "a", "a");
        check_split("a/b", "a/", "b", "b");
        check_split("a//b", "a//", "b", "b");
        check_split("a/b/c", "a/b/", "c", "c");
    }

    #[test]
    fn slashes_at_the_end_stay_with_the_name() {
        check_split("a/", "", "a/", "a");
        check_split("a/b///", "a/", "b///", "b");
    }

    #[test]
    fn dots_name_directories() {
        check_split(".", "", ".", ".");
        check_split("a/.", "a/", ".", ".");
        check_split("a/./", "a/", "./", ".");
        check_split("..", "..", ".", ".");
        check_split("a/../", "a/../", ".", ".");
        check_split("..a", "", "..a", "..a");
    }

    #[test]
    fn a_target_leads_up_as_far_as_its_lowest_point() {
        for (target, steps) in [
            ("a", 0),
            ("..", 1),
            ("../a", 1),
            ("a/../..", 1),
            ("./../.././b/../../..", 4),
            ("a/b/../..", 0),
            ("", 0),
        ] {
            assert_eq!(steps_up(target.as_bytes()), steps, "{target}");
        }
    }

    #[test]
    fn what_no_guest_may_name_is_refused_first() {
        assert_eq!(check(b""), Err(Errno::NOENT));
        assert_eq!(check(b"/"), Err(Errno::PERM));
        assert_eq!(check(b"a\0b"), Err(Errno::INVAL));
        assert_eq!(check(&vec![b'a'; MAX_PATH_BYTES + 1]), Err(Errno::NAMETOOLONG));
        assert_eq!(check(&vec![b'a'; MAX_PATH_BYTES]), Ok(()));
    }
}
