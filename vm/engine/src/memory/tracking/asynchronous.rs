//! The kernel notes writes by itself: the best way, since Linux 6.7.
//!
//! A userfaultfd in its asynchronous mode protects pages, and lifts the protection of one that is
//! written without asking anybody; `PAGEMAP_SCAN` says which ones those are, and protects them again,
//! in one step. A first write to a protected page costs about a microsecond, all others nothing.
//!
//! ```text
//! new      registered, every page that there is counts as written
//! scan     those that were written, protected again before their contents are read
//! ```

use std::fs::File;
use std::io;
use std::sync::OnceLock;

use super::userfault::{self, Userfault, control};
use super::{Area, WrittenPages};
use crate::memory::{HUGE_PAGE_BYTES, HUGE_PAGES_FROM_BYTES};
use crate::persist::PAGE_BYTES;

/// The page about this process's memory. Behind a wall it can only be opened before.
static PAGEMAP: OnceLock<Option<File>> = OnceLock::new();

/// Opens what the kernel tells about the memory of this process, for later: whoever takes the right
/// to open files away from it calls this first.
pub fn open_pagemap() -> Option<&'static File> {
    PAGEMAP.get_or_init(|| File::open("/proc/self/pagemap").ok()).as_ref()
}

const PAGEMAP_SCAN: libc::c_ulong = 0xC060_6610;
const PM_SCAN_WP_MATCHING: u64 = 1;
const PM_SCAN_CHECK_WPASYNC: u64 = 2;
const PAGE_IS_WRITTEN: u64 = 1 << 1;

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

/// Tells which pages of areas were written.
#[derive(Debug)]
pub(super) struct Tracker {
    /// Closed, it ends the protection.
    _userfault: Userfault,
    areas: Vec<Area>,
    /// Nobody has asked yet: huge pages are still whole.
    is_new: bool,
}

/// Whether the kernel can.
pub(super) fn is_available() -> bool {
    // Both came with the same version.
    userfault::asynchronous().is_ok() && open_pagemap().is_some()
}

/// Whether pages that are shown are protected again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protect {
    Yes,
    No,
}

impl Tracker {
    /// Begins to track.
    pub fn new(areas: &[Area]) -> io::Result<Tracker> {
        open_pagemap().ok_or(io::ErrorKind::Unsupported)?;
        let userfault = userfault::asynchronous()?;
        areas.iter().try_for_each(|area| userfault.watch(area.base, area.len_bytes))?;
        Ok(Tracker { _userfault: userfault, areas: areas.to_vec(), is_new: true })
    }

    /// Shows what was written since the last time, and notes what is written from now on.
    pub fn take_written(&mut self, visit: &mut impl FnMut(WrittenPages)) -> io::Result<()> {
        if std::mem::take(&mut self.is_new) {
            // What this protects is shown, and perhaps once more below, which does no harm.
            self.split_huge_pages(visit)?;
        }
        self.areas.iter().try_for_each(|area| area.scan(Protect::Yes, visit))
    }

    /// How many pages were written since the last time.
    pub fn written_count(&self) -> io::Result<u64> {
        let mut count = 0;
        let mut add = |pages: WrittenPages| count += pages.count;
        self.areas.iter().try_for_each(|area| area.scan(Protect::No, &mut add))?;
        Ok(count)
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

impl Drop for Tracker {
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
            let count = unsafe { control(pagemap, PAGEMAP_SCAN, &mut scan) }?;
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
