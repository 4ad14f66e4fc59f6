//! Address space for memories and stacks: reserved first, accessible piece by piece.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A private mapping, at first without access.
#[derive(Debug)]
pub struct Reservation {
    base: NonNull<u8>,
    len_bytes: usize,
}

// SAFETY: the mapping is owned, and not bound to a thread.
unsafe impl Send for Reservation {}

impl Reservation {
    /// Reserves `len_bytes`, rounded up to pages of the host. None if there is no room.
    pub fn new(len_bytes: usize) -> Option<Self> {
        let len_bytes = len_bytes.max(1).checked_next_multiple_of(host_page_bytes())?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), len_bytes, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        Some(Self { base: NonNull::new(base.cast())?, len_bytes })
    }

    /// `len_bytes` that can be read and written, but for those in the first or the last pages that
    /// `accessible` leaves out: whoever runs over faults there. None if there is no room.
    ///
    /// Where the kernel can (Linux, since 6.13) the guards are no mappings of their own, of which a
    /// process may have 65,530 by default: stacks lie side by side as one.
    pub fn guarded(len_bytes: usize, accessible: Range<usize>) -> Option<Self> {
        let page = host_page_bytes();
        let len_bytes = len_bytes.max(1).checked_next_multiple_of(page)?;
        let (from, to) = (accessible.start, accessible.end.checked_next_multiple_of(page)?);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), len_bytes, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let area = Self { base: NonNull::new(base.cast())?, len_bytes };
        let guards = [0..from - from % page, to.min(len_bytes)..len_bytes];
        let are_there = guards.into_iter().all(|guard| guard.is_empty() || area.guard(guard));
        are_there.then_some(area)
    }

    /// Makes whole pages inaccessible that nobody has used.
    fn guard(&self, pages: Range<usize>) -> bool {
        #[cfg(target_os = "linux")]
        {
            /// Without a mapping of its own. Source: `madvise(2)`, `MADV_GUARD_INSTALL`.
            const GUARD_INSTALL: libc::c_int = 102;
            // SAFETY: the range lies in the mapping; a kernel that does not know the advice refuses it.
            let done = unsafe {
                libc::madvise(self.base().add(pages.start).cast(), pages.len(), GUARD_INSTALL)
            };
            if done == 0 {
                return true;
            }
        }
        // SAFETY: the range lies in the mapping, and nobody relies on its being accessible.
        unsafe {
            let at = self.base().add(pages.start).cast();
            libc::mprotect(at, pages.len(), libc::PROT_NONE) == 0
        }
    }

    /// No bytes at all.
    pub fn empty() -> Self {
        Self { base: NonNull::dangling(), len_bytes: 0 }
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// How many bytes are reserved.
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Makes the bytes from `from` to `to` accessible; they read as zero. False if the host refuses.
    pub fn commit(&mut self, from: usize, to: usize) -> bool {
        let from = from - from % host_page_bytes();
        let Some(to) = to.checked_next_multiple_of(host_page_bytes()) else { return false };
        if to > self.len_bytes {
            return false;
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the range lies in the mapping, of which nobody relies on being inaccessible before
        // it was committed.
        from >= to
            || unsafe { libc::mprotect(self.base().add(from).cast(), to - from, access) == 0 }
    }

    /// Shows a file, from `offset` on, in a range of bytes that begins and ends at pages.
    ///
    /// # Errors
    /// What the system says; the range is as it was.
    pub fn map_file(
        &mut self, range: Range<usize>, file: &File, offset: u64, sharing: Sharing,
    ) -> io::Result<()> {
        let flags = match sharing {
            Sharing::Shared => libc::MAP_SHARED,
            Sharing::Private => libc::MAP_PRIVATE,
        };
        self.map_over(range, flags, file.as_raw_fd(), offset)
    }

    /// Shows zeros in a range of bytes that begins and ends at pages.
    ///
    /// # Errors
    /// What the system says; the range is as it was.
    pub fn map_zeros(&mut self, range: Range<usize>) -> io::Result<()> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        self.map_over(range, flags, -1, 0)
    }

    fn map_over(
        &mut self, range: Range<usize>, flags: i32, file: i32, offset: u64,
    ) -> io::Result<()> {
        assert!(range.end <= self.len_bytes, "a mapping stays inside");
        let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        if range.is_empty() {
            return Ok(());
        }
        super::tracking::retire(self.base().addr() + range.start, range.len());
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the range lies in the mapping that this owns, which it replaces; `&mut self` says
        // that nobody looks at it meanwhile.
        let mapped = unsafe {
            let at = self.base().add(range.start).cast();
            libc::mmap(at, range.len(), access, flags | libc::MAP_FIXED, file, offset)
        };
        match mapped == libc::MAP_FAILED {
            true => Err(io::Error::last_os_error()),
            false => Ok(()),
        }
    }

    /// Shows a file privately in the first `len_bytes`, where it was shown to be changed. What was
    /// mapped there comes back, because to give it up takes long.
    ///
    /// # Errors
    /// What the system says; the range is as it was.
    pub fn map_anew(&mut self, len_bytes: usize, file: &File) -> io::Result<Option<Reservation>> {
        let retired = self.move_away(len_bytes);
        self.map_file(0..len_bytes, file, 0, Sharing::Private)?;
        Ok(retired)
    }

    /// Moves the pages of the first `len_bytes` elsewhere, which is quick: only tables of tables
    /// change. The range stays mapped, so that nobody else gets its addresses.
    fn move_away(&mut self, len_bytes: usize) -> Option<Reservation> {
        #[cfg(target_os = "linux")]
        {
            /// Tables of pages move as a whole where both places stand alike to this.
            const TABLE_BYTES: usize = 2 << 20;
            let place = Reservation::new(len_bytes + TABLE_BYTES)?;
            let (from, to) = (self.base().addr(), place.base().addr());
            let skip = from.wrapping_sub(to) % TABLE_BYTES;
            let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
            // SAFETY: both ranges lie in mappings that are owned here, and nobody looks at either.
            let moved = unsafe {
                let to = place.base().add(skip);
                libc::mremap(self.base().cast(), len_bytes, len_bytes, flags, to)
            };
            (moved != libc::MAP_FAILED).then_some(place)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = len_bytes;
            None
        }
    }

    /// Tells the kernel whether pages of 2 MiB are wanted in the first `to` bytes.
    pub fn advise_huge_pages(&mut self, to: usize, wanted: HugePages) {
        #[cfg(target_os = "linux")]
        {
            let advice = match wanted {
                HugePages::Yes => libc::MADV_HUGEPAGE,
                HugePages::No => libc::MADV_NOHUGEPAGE,
            };
            // SAFETY: the range lies in the mapping. The advice changes no content, and a kernel
            // without huge pages refuses it without harm.
            unsafe { libc::madvise(self.base().cast(), to.min(self.len_bytes), advice) };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (to, wanted);
    }
}

/// Who sees what is written to a mapping of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// Everybody who has the file.
    Shared,
    /// Nobody else.
    Private,
}

/// Whether pages of 2 MiB are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HugePages {
    /// They save faults in large memories.
    Yes,
    /// They cost resident memory in small ones.
    No,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.len_bytes > 0 {
            super::tracking::retire(self.base().addr(), self.len_bytes);
            // SAFETY: the mapping that `new` made; its owner is gone.
            unsafe { libc::munmap(self.base().cast(), self.len_bytes) };
        }
    }
}

/// Size of the host's pages.
pub fn host_page_bytes() -> usize {
    /// Asked for at every entry of compiled code.
    static KNOWN: AtomicUsize = AtomicUsize::new(0);
    match KNOWN.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: `sysconf` has no preconditions.
            let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let bytes = usize::try_from(bytes).unwrap_or(4096);
            KNOWN.store(bytes, Ordering::Relaxed);
            bytes
        }
        bytes => bytes,
    }
}

/// How much address space a limit of the process leaves; None if there is no limit.
pub fn address_space_left_bytes() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a place for the result.
    if unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) } != 0 {
        return None;
    }
    if limit.rlim_cur == libc::RLIM_INFINITY {
        return None;
    }
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    let taken = pages.unwrap_or(0).saturating_mul(host_page_bytes() as u64);
    Some(limit.rlim_cur.saturating_sub(taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_bytes_read_as_zero_and_can_be_written() {
        let mut area = Reservation::new(1 << 30).expect("address space");
        assert!(area.commit(0, 70_000));
        // SAFETY: these bytes were committed.
        let bytes = unsafe { std::slice::from_raw_parts_mut(area.base(), 70_000) };
        assert!(bytes.iter().all(|&byte| byte == 0));
        bytes[69_999] = 1;
        assert!(!area.commit(0, (1 << 30) + 1), "behind the reservation");
        assert!(!area.commit(0, usize::MAX));
    }
}
