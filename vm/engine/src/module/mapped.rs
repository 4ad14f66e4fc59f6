//! A file as bytes: read when it is small, mapped when it is large.
//!
//! Of a mapped file only those pages take memory that somebody looks at, and a program of 75 MB
//! begins to run as fast as a small one.
//! The pages are the file's: when somebody writes to it, the bytes change under the reader.
//! Whoever validates bytes of a mapping must therefore use what was validated in the same pass over
//! them, as lazy translation does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;

use super::MAX_MODULE_BYTES;

/// Below this size, reading a file costs less than the page faults of a mapping.
const MAP_FROM_BYTES: u64 = 1 << 20;

/// The bytes of a file.
#[derive(Debug)]
pub struct FileBytes(Holder);

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
        FileBytes::of(&File::open(path)?, MAX_MODULE_BYTES)
    }

    /// As [`FileBytes::open`], of a file that is open, and not larger than somebody says.
    pub(super) fn of(file: &File, limit_bytes: usize) -> io::Result<FileBytes> {
        let found = file.metadata()?;
        if found.is_file() && (MAP_FROM_BYTES..=limit_bytes as u64).contains(&found.len()) {
            return Mapping::new(file, found.len() as usize).map(Holder::Mapped).map(FileBytes);
        }
        FileBytes::read_all(file)
    }

    /// Whether the bytes are those of the file, and not a copy.
    pub(super) fn is_mapped(&self) -> bool {
        matches!(self.0, Holder::Mapped(_))
    }

    /// Reads a file, however large: the bytes are the caller's alone.
    ///
    /// # Errors
    /// As [`FileBytes::open`].
    pub fn read(path: &Path) -> io::Result<FileBytes> {
        FileBytes::read_all(&File::open(path)?)
    }

    /// A pipe or a device may never end, so the limit is on what is read.
    fn read_all(file: &File) -> io::Result<FileBytes> {
        let mut bytes = Vec::new();
        let limit_bytes = MAX_MODULE_BYTES as u64 + 1;
        file.take(limit_bytes).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_MODULE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(FileBytes(Holder::Read(bytes)))
    }
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
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
            let mapped = matches!(file.0, Holder::Mapped(_));
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
