//! Which pages of memories were written since somebody last asked, while the guest runs.
//!
//! ```text
//! asynchronous.rs   the kernel notes writes by itself                       Linux 6.7
//! faults.rs         each first write faults, and the handler of signals notes it:
//!                   by userfaultfd                                          Linux 6.4
//!                   by the protection of pages                              everywhere
//! missing.rs        the other way round: pages that come while the guest runs already
//! watched.rs        ranges of memory whose faults are resolved here
//! userfault.rs      the words of the kernel's interface, which all of them use
//! ```
//!
//! The first that is to be had is taken. All of them tell the same: a page is told of once it was
//! written, and again only after it was written again. Contents are read by a system call while the
//! guest writes: this program never looks at bytes that somebody else changes, and a page that was
//! torn has been written again and comes with the next look. A tracker may outlive its memories: then
//! the calls fail.

mod asynchronous;
mod faults;
mod missing;
mod userfault;
mod watched;

use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsRawFd;

pub use asynchronous::open_pagemap;
pub use missing::MissingPages;
#[cfg(guard_pages)]
pub(crate) use watched::resolve_fault;
pub(crate) use watched::{HostUse, open_for_host, retire};

use crate::persist::PAGE_BYTES;
use crate::store::Store;

/// How writes are noticed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WriteTracking {
    /// The kernel lifts the protection of a written page, and is asked which ones those are.
    Asynchronous,
    /// The kernel says of each first write that it stands, and is told to let it through.
    Synchronous,
    /// Pages cannot be written until the handler of the fault makes them writable.
    Protection,
}

impl WriteTracking {
    /// All of them, the best first.
    pub const ALL: [WriteTracking; 3] =
        [WriteTracking::Asynchronous, WriteTracking::Synchronous, WriteTracking::Protection];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            WriteTracking::Asynchronous => "asynchronous",
            WriteTracking::Synchronous => "synchronous",
            WriteTracking::Protection => "protection",
        }
    }

    /// Whether it is to be had here.
    pub fn is_available(self) -> bool {
        match self {
            WriteTracking::Asynchronous => asynchronous::is_available(),
            WriteTracking::Synchronous => faults::is_available() && userfault::sync().is_ok(),
            WriteTracking::Protection => faults::is_available(),
        }
    }

    /// The best that is to be had here; none where a guest has to stand while it is copied.
    pub fn best() -> Option<WriteTracking> {
        WriteTracking::ALL.into_iter().find(|tracking| tracking.is_available())
    }
}

impl fmt::Display for WriteTracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tells which pages of a store's memories were written.
#[derive(Debug)]
pub struct WriteTracker {
    areas: Vec<Area>,
    how: How,
}

#[derive(Debug)]
enum How {
    Asynchronous(asynchronous::Tracker),
    Faults(faults::Tracker),
}

/// A memory as large as it was when tracking began.
#[derive(Clone, Copy, Debug)]
struct Area {
    memory: u32,
    base: usize,
    len_bytes: usize,
}

/// Pages of a memory that stand behind each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrittenPages {
    /// The memory, by index of the store.
    pub memory: u32,
    /// The first page of 4 KiB.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// Whoever had the memories has ended.
fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the program has ended meanwhile: its memory is gone")
}

impl Store {
    /// Begins to track the memories as large as they are now, in this way. Growth is not tracked.
    ///
    /// # Errors
    /// The kernel, or this host, cannot.
    pub fn track_writes(&self, tracking: WriteTracking) -> io::Result<WriteTracker> {
        let memories = (0..).zip(&self.inner().memories);
        let areas = memories.map(|(memory, inner)| Area {
            memory,
            base: inner.view.base as usize,
            len_bytes: inner.view.len_bytes as usize,
        });
        let areas: Vec<Area> = areas.filter(|area| area.len_bytes > 0).collect();
        let how = match tracking {
            WriteTracking::Asynchronous => How::Asynchronous(asynchronous::Tracker::new(&areas)?),
            _ => How::Faults(faults::Tracker::new(self.inner(), &areas, tracking)?),
        };
        Ok(WriteTracker { areas, how })
    }
}

impl WriteTracker {
    /// Shows what was written since the last time, everything at the first time, and notes what is
    /// written from now on.
    ///
    /// # Errors
    /// What the kernel says; the memories are gone.
    pub fn take_written(&mut self, mut visit: impl FnMut(WrittenPages)) -> io::Result<()> {
        match &mut self.how {
            How::Asynchronous(tracker) => tracker.take_written(&mut visit),
            How::Faults(tracker) => tracker.take_written(&mut visit),
        }
    }

    /// How many pages were written since the last time.
    ///
    /// # Errors
    /// As [`WriteTracker::take_written`].
    pub fn written_count(&mut self) -> io::Result<u64> {
        match &mut self.how {
            How::Asynchronous(tracker) => tracker.written_count(),
            How::Faults(tracker) => Ok(tracker.written_count()),
        }
    }

    /// Reads contents of pages, while the guest may write them.
    ///
    /// # Errors
    /// As [`WriteTracker::take_written`]; pages that are not tracked.
    pub fn read(&self, pages: WrittenPages, buffer: &mut [u8]) -> io::Result<()> {
        let area = self.areas.iter().find(|area| area.memory == pages.memory);
        let (offset, len) = (pages.first as usize * PAGE_BYTES, pages.count as usize * PAGE_BYTES);
        let Some(area) = area.filter(|area| offset + len <= area.len_bytes) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if buffer.len() != len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut done = 0;
        while done < len {
            let rest = &mut buffer[done..];
            let to = libc::iovec { iov_base: rest.as_mut_ptr().cast(), iov_len: rest.len() };
            let from = (area.base + offset + done) as *mut libc::c_void;
            let from = libc::iovec { iov_base: from, iov_len: rest.len() };
            // SAFETY: the kernel writes to the buffer, which is ours alone; what it reads it checks
            // itself, so that a memory that is gone is an error.
            let count = unsafe { libc::process_vm_readv(libc::getpid(), &to, 1, &from, 1, 0) };
            match usize::try_from(count) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    return match error.raw_os_error() {
                        Some(libc::EFAULT) => Err(gone()),
                        // Qemu's emulation of a process has no such call.
                        Some(libc::ENOSYS) => read_through_pipe(area.base + offset, buffer),
                        _ => Err(error),
                    };
                }
            }
        }
        Ok(())
    }

    /// How much of a memory is tracked, in pages of 4 KiB.
    pub fn tracked_pages(&self, memory: u32) -> u64 {
        let area = self.areas.iter().find(|area| area.memory == memory);
        area.map_or(0, |area| (area.len_bytes / PAGE_BYTES) as u64)
    }
}

/// Reads memory that others write to, by calls that every system has: the kernel reads it into a pipe.
fn read_through_pipe(address: usize, buffer: &mut [u8]) -> io::Result<()> {
    /// A pipe holds as much without anybody who reads it.
    const PIECE_BYTES: usize = 4096;
    let (mut reader, writer) = io::pipe()?;
    for (piece, buffer) in (0..).zip(buffer.chunks_mut(PIECE_BYTES)) {
        let from = (address + piece * PIECE_BYTES) as *const libc::c_void;
        // SAFETY: the kernel checks what it reads, so that a memory that is gone is an error.
        let count = unsafe { libc::write(writer.as_raw_fd(), from, buffer.len()) };
        match usize::try_from(count) {
            Ok(count) if count == buffer.len() => reader.read_exact(buffer)?,
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(_) => {
                let error = io::Error::last_os_error();
                let is_gone = error.raw_os_error() == Some(libc::EFAULT);
                return Err(if is_gone { gone() } else { error });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_through_a_pipe_where_there_is_no_other_way() {
        let all: Vec<u8> = (0..10_000u32).map(|n| (n / 7) as u8).collect();
        let mut read = vec![0; all.len()];
        read_through_pipe(all.as_ptr().addr(), &mut read).expect("it is there");
        assert_eq!(read, all);
        let none = read_through_pipe(4096, &mut read[..10]).expect_err("nothing is there");
        assert_eq!(none.to_string(), gone().to_string());
    }
}
