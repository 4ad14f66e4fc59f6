//! Code memory: written once, then executable, and never both.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::host_page_bytes;

/// Functions start at multiples of this.
const ALIGN: usize = 16;

/// A line of the caches.
const LINE_BYTES: usize = 64;

/// Where in a page the next chunk may begin: behind the end of the last one.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A mapping with code. Whoever runs it keeps it.
#[derive(Debug)]
pub struct CodeChunk {
    base: NonNull<u8>,
    len_bytes: usize,
}

// SAFETY: the mapping is owned, and nobody can write to it.
unsafe impl Send for CodeChunk {}
// SAFETY: as above.
unsafe impl Sync for CodeChunk {}

impl CodeChunk {
    /// Code in a mapping of its own; also gives where each piece begins. None if the host refuses.
    ///
    /// Chunks of single functions begin at different places of their pages, as if one followed the
    /// other: the sets of the instruction cache are chosen by these bits of an address, and functions
    /// that all begin a page would have to share a few of them.
    pub fn new(pieces: &[&[u8]]) -> Option<(Self, Vec<usize>)> {
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let first = NEXT.fetch_add(bytes.next_multiple_of(LINE_BYTES), Ordering::Relaxed);
        Self::beginning_at(first % host_page_bytes(), pieces)
    }

    /// The same, where the first piece begins at an offset.
    fn beginning_at(first: usize, pieces: &[&[u8]]) -> Option<(Self, Vec<usize>)> {
        let mut len_bytes = first;
        let offsets: Vec<usize> = pieces
            .iter()
            .map(|piece| {
                let at = len_bytes;
                // A byte between them: the address behind a last call belongs to its own function.
                len_bytes = (at + piece.len() + 1).next_multiple_of(ALIGN);
                at
            })
            .collect();
        let len_bytes = len_bytes.max(1).next_multiple_of(host_page_bytes());
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), len_bytes, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let chunk = Self { base: NonNull::new(base.cast())?, len_bytes };
        for (piece, &at) in pieces.iter().zip(&offsets) {
            // SAFETY: the pieces fit, by the sum above.
            unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), chunk.address(at), piece.len()) };
        }
        let access = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: the mapping is ours, and nobody else knows it yet.
        if unsafe { libc::mprotect(base, len_bytes, access) } != 0 {
            return None;
        }
        clear_instruction_cache(chunk.base.as_ptr(), len_bytes);
        Some((chunk, offsets))
    }

    /// The first bytes of a file, mapped where that is allowed, else copied. None if the host refuses
    /// both. The file must not change there while it is mapped.
    pub fn of_file(file: &File, len_bytes: usize) -> Option<Self> {
        let (access, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE);
        // SAFETY: a fresh mapping at an address of the kernel's choice; the descriptor is open.
        let base = unsafe {
            libc::mmap(ptr::null_mut(), len_bytes.max(1), access, flags, file.as_raw_fd(), 0)
        };
        if base != libc::MAP_FAILED {
            clear_instruction_cache(base.cast(), len_bytes);
            return Some(Self { base: NonNull::new(base.cast())?, len_bytes });
        }
        // A file system from which nothing is executed.
        Self::copy_of_file(file, len_bytes)
    }

    /// A copy of the first bytes of a file. None if the host refuses.
    pub fn copy_of_file(file: &File, len_bytes: usize) -> Option<Self> {
        let mut bytes = vec![0; len_bytes];
        file.read_exact_at(&mut bytes, 0).ok()?;
        Self::beginning_at(0, &[&bytes]).map(|(chunk, _)| chunk)
    }

    /// The bytes of a part, none if it does not lie inside.
    pub fn bytes(&self, part: Range<usize>) -> Option<&[u8]> {
        if part.start > part.end || part.end > self.len_bytes {
            return None;
        }
        // SAFETY: the mapping is readable, as long as this, and lives as long as `self`.
        Some(unsafe { std::slice::from_raw_parts(self.address(part.start), part.len()) })
    }

    /// The address of the byte at an offset.
    pub fn address(&self, offset: usize) -> *mut u8 {
        self.base.as_ptr().wrapping_add(offset)
    }
}

impl Drop for CodeChunk {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; its owners are gone, and with them all runs of it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len_bytes) };
    }
}

/// Makes what was written visible to the instruction fetch, where the processor does not.
#[cfg(target_arch = "aarch64")]
fn clear_instruction_cache(start: *mut u8, len_bytes: usize) {
    let kinds: usize;
    // SAFETY: the register can be read by everybody; it holds the logarithms of the smallest lines
    // of the two caches, in words of four bytes.
    unsafe { std::arch::asm!("mrs {}, ctr_el0", out(reg) kinds, options(nomem, nostack)) };
    let data_line = 4usize << (kinds >> 16 & 15);
    let code_line = 4usize << (kinds & 15);
    // SAFETY: cache maintenance by address on a mapping of ours changes no content. It begins at a
    // page.
    unsafe {
        for offset in (0..len_bytes).step_by(data_line) {
            std::arch::asm!("dc cvau, {}", in(reg) start.add(offset), options(nostack));
        }
        std::arch::asm!("dsb ish", options(nostack));
        for offset in (0..len_bytes).step_by(code_line) {
            std::arch::asm!("ic ivau, {}", in(reg) start.add(offset), options(nostack));
        }
        std::arch::asm!("dsb ish", options(nostack));
    }
    forget_fetched();
}

#[cfg(not(target_arch = "aarch64"))]
fn clear_instruction_cache(_: *mut u8, _: usize) {}

/// Makes this thread fetch anew: before it runs code that another thread has written for the first
/// time.
pub fn forget_fetched() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the instruction changes nothing that a program can see.
    unsafe {
        std::arch::asm!("isb", options(nostack));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_chunks_do_not_all_begin_a_page() {
        let piece = [0xc3; 300];
        let begin = || CodeChunk::new(&[&piece]).map(|(chunk, offsets)| (chunk, offsets[0]));
        let all: Vec<_> = std::iter::repeat_with(begin).take(16).flatten().collect();
        assert_eq!(all.len(), 16);
        for (chunk, offset) in &all {
            assert_eq!(chunk.bytes(*offset..offset + piece.len()), Some(&piece[..]));
            assert_eq!(offset % LINE_BYTES, 0);
        }
        let mut offsets: Vec<_> = all.iter().map(|(_, offset)| offset).collect();
        offsets.sort();
        offsets.dedup();
        assert!(offsets.len() > 8, "they begin at {offsets:?}");
    }
}
