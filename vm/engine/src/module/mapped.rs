//! A file as bytes: read when it is small, mapped when it is large.
//!
//! Of a mapped file only those pages take memory that somebody looks at, and a program of 75 MB
//! begins to run as fast as a small one.
//! The pages are the file's: when somebody writes to it, the bytes change under the reader.
//! Whoever validates bytes of a mapping must therefore use what was validated in the same pass over
//! them, as lazy translation does.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr::NonNull;
use std::time::SystemTime;

use super::MAX_MODULE_BYTES;
use crate::stored::Identity;

/// Below this size, reading a file costs less than the page faults of a mapping.
const MAP_FROM_BYTES: u64 = 1 << 20;

/// Changes of a file that come one after the other in this time may leave no trace in its times.
const SETTLED_SECONDS: i64 = 2;

/// The bytes of a file.
#[derive(Debug)]
pub struct FileBytes {
    holder: Holder,
    identity: Option<Identity>,
}

#[derive(Debug)]
enum Holder {
    Read(Vec<u8>),
    Mapped(Mapping),
}

/// A private, read-only mapping of a file.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len_bytes: usize,
}

// SAFETY: the mapping is only ever read, belongs to its owner alone, and `munmap` may be called
// from any thread.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared reading needs no order.
unsafe impl Sync for Mapping {}

impl FileBytes {
    /// Reads a file, or maps it where it is large and regular.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::FileTooLarge`] for more than a module may have.
    pub fn open(path: &Path) -> io::Result<FileBytes> {
        let file = File::open(path)?;
        FileBytes::of(&file, MAX_MODULE_BYTES)?.known(path, &file)
    }

    /// As [`FileBytes::open`], of a file that is open, and not larger than somebody says.
    pub(super) fn of(file: &File, limit_bytes: usize) -> io::Result<FileBytes> {
        let found = file.metadata()?;
        if found.is_file() && (MAP_FROM_BYTES..=limit_bytes as u64).contains(&found.len()) {
            let holder = Mapping::new(file, found.len() as usize).map(Holder::Mapped)?;
            return Ok(FileBytes { holder, identity: None });
        }
        FileBytes::read_all(file)
    }

    /// What tells the file from others, if it is one that stays as it is.
    pub fn identity(&self) -> Option<Identity> {
        self.identity.clone()
    }

    /// Whether the bytes are those of the file, and not a copy.
    pub(super) fn is_mapped(&self) -> bool {
        matches!(self.holder, Holder::Mapped(_))
    }

    /// Reads a file, however large: the bytes are the caller's alone.
    ///
    /// # Errors
    /// As [`FileBytes::open`].
    pub fn read(path: &Path) -> io::Result<FileBytes> {
        let file = File::open(path)?;
        FileBytes::read_all(&file)?.known(path, &file)
    }

    /// The bytes, with what tells their file from others.
    fn known(self, path: &Path, file: &File) -> io::Result<FileBytes> {
        let found = file.metadata()?;
        let is_whole = self.as_ref().len() as u64 == found.len();
        Ok(FileBytes { identity: identity(path, &found).filter(|_| is_whole), ..self })
    }

    /// A pipe or a device may never end, so the limit is on what is read.
    fn read_all(file: &File) -> io::Result<FileBytes> {
        let mut bytes = Vec::new();
        let limit_bytes = MAX_MODULE_BYTES as u64 + 1;
        file.take(limit_bytes).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_MODULE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(FileBytes { holder: Holder::Read(bytes), identity: None })
    }
}

/// The identity of a regular file that was not changed just now: a change in the same tick of the
/// clock as a look at it would not show.
fn identity(path: &Path, found: &Metadata) -> Option<Identity> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs() as i64;
    let has_settled = found.ctime() <= now - SETTLED_SECONDS && found.mtime() <= now;
    let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    let [a, b, c, d] = times.map(i64::cast_unsigned);
    let numbers = [found.dev(), found.ino(), found.len(), a, b, c, d];
    let path = std::path::absolute(path).ok()?;
    (found.is_file() && has_settled).then_some(Identity { numbers, path })
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        match &self.holder {
            Holder::Read(bytes) => bytes,
            Holder::Mapped(mapping) => mapping.bytes(),
        }
    }
}

impl Mapping {
    fn new(file: &File, len_bytes: usize) -> io::Result<Mapping> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours; the
        // descriptor is open.
        let start = unsafe {
            let (protection, flags) = (libc::PROT_READ, libc::MAP_PRIVATE);
            libc::mmap(std::ptr::null_mut(), len_bytes, protection, flags, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Mapping { start, len_bytes }),
            None => Err(io::ErrorKind::Other.into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable, as long as this, and lives until `self` is dropped.
        // Its bytes may change when the file does, which the head of this file speaks of.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len_bytes) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, and no slice of it outlives `self`.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), self.len_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_read_and_large_ones_mapped() {
        let folder = std::env::temp_dir().join(format!("brant-mapped-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for len_bytes in [0, 10, MAP_FROM_BYTES as usize, MAP_FROM_BYTES as usize + 5] {
            let path = folder.join(len_bytes.to_string());
            let expected: Vec<u8> = (0..len_bytes).map(|index| index as u8).collect();
            std::fs::write(&path, &expected).expect("a file");
            let file = FileBytes::open(&path).expect("it opens");
            assert_eq!(file.as_ref(), expected);
            let mapped = matches!(file.holder, Holder::Mapped(_));
            assert_eq!(mapped, len_bytes >= MAP_FROM_BYTES as usize);
            assert_eq!(FileBytes::read(&path).expect("it opens").as_ref(), expected);
        }
        std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    }

    #[test]
    fn what_has_no_end_is_refused() {
        // A directory cannot be read, and nothing of this may panic.
        assert!(FileBytes::open(Path::new("/")).is_err());
        assert!(FileBytes::open(Path::new("/nonexistent/file")).is_err());
    }
}
