//! Which pages of memories were written since somebody last asked, while the guest runs.
//!
//! The kernel keeps track: a userfaultfd in its asynchronous mode protects pages, and lifts the
//! protection of one that is written without asking anybody; `PAGEMAP_SCAN` says which ones those
//! are, and protects them again, in one step. A first write to a protected page costs about a
//! microsecond, all others nothing.
//!
//! ```text
//! track    registered, every page that there is counts as written
//! scan     those that were written, protected again before their contents are read
//! read     contents, copied by the kernel
//! ```
//!
//! Contents are read by a system call while the guest writes: this program never looks at bytes that
//! somebody else changes, and a page that was torn has been written again and comes with the next
//! scan. A tracker may outlive its memories: then the calls fail. The crate of that name needs a C
//! compiler for what is 60 lines here.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use super::{HUGE_PAGE_BYTES, HUGE_PAGES_FROM_BYTES};
use crate::persist::PAGE_BYTES;
use crate::store::Store;

/// The page about this process's memory. Behind a wall it can only be opened before.
static PAGEMAP: OnceLock<Option<File>> = OnceLock::new();

/// Opens what the kernel tells about the memory of this process, for later: whoever takes the right
/// to open files away from it calls this first.
pub fn open_pagemap() -> Option<&'static File> {
    PAGEMAP.get_or_init(|| File::open("/proc/self/pagemap").ok()).as_ref()
}

const UFFD_USER_MODE_ONLY: libc::c_long = 1;
const UFFD_API: u64 = 0xAA;
const UFFD_FEATURE_WP_ASYNC: u64 = 1 << 15;
const UFFDIO_REGISTER_MODE_WP: u64 = 1 << 1;
const UFFDIO_API: libc::c_ulong = 0xC018_AA3F;
const UFFDIO_REGISTER: libc::c_ulong = 0xC020_AA00;
const PAGEMAP_SCAN: libc::c_ulong = 0xC060_6610;
const PM_SCAN_WP_MATCHING: u64 = 1;
const PM_SCAN_CHECK_WPASYNC: u64 = 2;
const PAGE_IS_WRITTEN: u64 = 1 << 1;

/// `struct uffdio_api`.
#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

/// `struct pm_scan_arg`.
#[repr(C)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// Regions that one scan gives at most.
const REGIONS: usize = 1024;

/// Tells which pages of a store's memories were written.
#[derive(Debug)]
pub struct WriteTracker {
    /// Closed, it ends the protection.
    _userfault: OwnedFd,
    areas: Vec<Area>,
    /// Nobody has asked yet: huge pages are still whole.
    is_new: bool,
}

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

/// Whether pages that are shown are protected again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protect {
    Yes,
    No,
}

impl Store {
    /// Begins to track the memories as large as they are now. Growth is not tracked.
    ///
    /// # Errors
    /// The kernel cannot: it is older than 6.7, or forbids it.
    pub fn track_writes(&self) -> io::Result<WriteTracker> {
        let userfault = userfault()?;
        let mut areas = Vec::new();
        for (memory, inner) in (0..).zip(&self.inner().memories) {
            let (base, len_bytes) = (inner.view.base as usize, inner.view.len_bytes as usize);
            if len_bytes == 0 {
                continue;
            }
            let mut register = Register {
                start: base as u64,
                len: len_bytes as u64,
                mode: UFFDIO_REGISTER_MODE_WP,
                ioctls: 0,
            };
            // SAFETY: the call reads and writes the structure, which is what it expects. That writes
            // to the range are noticed changes nothing for whoever uses it.
            control(unsafe {
                libc::ioctl(userfault.as_raw_fd(), UFFDIO_REGISTER, &raw mut register)
            })?;
            areas.push(Area { memory, base, len_bytes });
        }
        Ok(WriteTracker { _userfault: userfault, areas, is_new: true })
    }
}

fn userfault() -> io::Result<OwnedFd> {
    let flags = libc::c_long::from(libc::O_CLOEXEC | libc::O_NONBLOCK) | UFFD_USER_MODE_ONLY;
    // SAFETY: the call makes a descriptor and touches no memory.
    let raw = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
    let raw = control(raw as libc::c_int)?;
    // SAFETY: the descriptor was just made, and is nobody else's.
    let userfault = unsafe { OwnedFd::from_raw_fd(raw) };
    let mut api = Api { api: UFFD_API, features: UFFD_FEATURE_WP_ASYNC, ioctls: 0 };
    // SAFETY: the call reads and writes the structure, which is what it expects.
    control(unsafe { libc::ioctl(raw, UFFDIO_API, &raw mut api) })?;
    Ok(userfault)
}

fn control(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

impl WriteTracker {
    /// Shows what was written since the last time, everything at the first time, and notes what is
    /// written from now on.
    ///
    /// # Errors
    /// What the kernel says; the memories are gone.
    pub fn take_written(&mut self, mut visit: impl FnMut(WrittenPages)) -> io::Result<()> {
        if std::mem::take(&mut self.is_new) {
            // What this protects is shown, and perhaps once more below, which does no harm.
            self.split_huge_pages(&mut visit)?;
        }
        self.areas.iter().try_for_each(|area| area.scan(Protect::Yes, &mut visit))
    }

    /// How many pages were written since the last time.
    ///
    /// # Errors
    /// As [`WriteTracker::take_written`].
    pub fn written_count(&mut self) -> io::Result<u64> {
        let mut count = 0;
        let mut add = |pages: WrittenPages| count += pages.count;
        self.areas.iter().try_for_each(|area| area.scan(Protect::No, &mut add))?;
        Ok(count)
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
                Err(_) => return Err(io::Error::last_os_error()),
            }
        }
        Ok(())
    }

    /// How much of a memory is tracked, in pages of 4 KiB.
    pub fn tracked_pages(&self, memory: u32) -> u64 {
        let area = self.areas.iter().find(|area| area.memory == memory);
        area.map_or(0, |area| (area.len_bytes / PAGE_BYTES) as u64)
    }

    /// A huge page would be written as a whole: they are taken apart as long as this lasts.
    fn split_huge_pages(&self, visit: &mut impl FnMut(WrittenPages)) -> io::Result<()> {
        for area in &self.areas {
            area.advise(libc::MADV_NOHUGEPAGE);
            if area.len_bytes < HUGE_PAGE_BYTES as usize {
                continue;
            }
            let first = area.base.next_multiple_of(HUGE_PAGE_BYTES as usize);
            for at in (first..area.base + area.len_bytes).step_by(HUGE_PAGE_BYTES as usize) {
                // To protect a part of a huge page the kernel has to take it apart.
                area.scan_range(Protect::Yes, at, at + PAGE_BYTES, visit)?;
            }
        }
        Ok(())
    }
}

impl Drop for WriteTracker {
    fn drop(&mut self) {
        for area in self.areas.iter().filter(|area| area.len_bytes as u64 > HUGE_PAGES_FROM_BYTES) {
            area.advise(libc::MADV_HUGEPAGE);
        }
    }
}

impl Area {
    fn advise(&self, advice: libc::c_int) {
        // SAFETY: the advice changes no content, and of a range that is gone the kernel says so.
        unsafe { libc::madvise(self.base as *mut libc::c_void, self.len_bytes, advice) };
    }

    fn scan(&self, protect: Protect, visit: &mut impl FnMut(WrittenPages)) -> io::Result<()> {
        self.scan_range(protect, self.base, self.base + self.len_bytes, visit)
    }

    fn scan_range(
        &self, protect: Protect, from: usize, to: usize, visit: &mut impl FnMut(WrittenPages),
    ) -> io::Result<()> {
        let pagemap = open_pagemap().ok_or(io::ErrorKind::Unsupported)?;
        let mut regions = vec![Region::default(); REGIONS];
        let (mut at, to) = (from as u64, to as u64);
        while at < to {
            let flags = match protect {
                Protect::Yes => PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
                Protect::No => PM_SCAN_CHECK_WPASYNC,
            };
            let mut scan = Scan {
                size: size_of::<Scan>() as u64,
                flags,
                start: at,
                end: to,
                walk_end: 0,
                vec: regions.as_mut_ptr() as u64,
                vec_len: regions.len() as u64,
                max_pages: 0,
                category_inverted: 0,
                category_mask: PAGE_IS_WRITTEN,
                category_anyof_mask: 0,
                return_mask: PAGE_IS_WRITTEN,
            };
            // SAFETY: the call reads and writes the structure, and writes as many regions as there is
            // room for. To protect pages changes nothing for whoever uses them.
            let count =
                control(unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut scan) })?;
            for region in &regions[..(count as usize).min(REGIONS)] {
                visit(WrittenPages {
                    memory: self.memory,
                    first: (region.start - self.base as u64) / PAGE_BYTES as u64,
                    count: (region.end - region.start) / PAGE_BYTES as u64,
                });
            }
            if scan.walk_end <= at {
                return Err(io::Error::other("a scan does not get on"));
            }
            at = scan.walk_end;
        }
        Ok(())
    }
}
