//! Which pages of a memory the host has ever had to provide.
//!
//! The kernel tells in `/proc/self/pagemap`: a private page of an anonymous mapping that is neither
//! present nor swapped out was never touched, and reads as zero. Where a file lies below, what the
//! file has counts too.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use super::{Backing, MemoryInner, host_page_bytes};
use crate::persist::PAGE_BYTES;

/// Looking at less than this is quicker than asking.
const ASK_FROM_BYTES: u64 = 512 << 10;

/// The bits of an entry that say that there is a page: present, swapped out.
const PRESENT: u64 = 0b11 << 62;
/// The bit that says that it is one of a file, or shared.
const OF_FILE: u64 = 1 << 61;

/// Which pages are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Provided {
    /// All that are there.
    Any,
    /// Those that belong to this memory alone.
    Private,
}

/// A set of pages of 4 KiB.
pub(crate) struct TouchedPages {
    /// One bit for each page of the host.
    bits: Vec<u64>,
    /// How many 4 KiB pages a page of the host has.
    scale: u64,
}

impl TouchedPages {
    /// Whether the page is in the set.
    pub fn contains(&self, page: u64) -> bool {
        let at = page / self.scale;
        self.bits.get((at / 64) as usize).is_some_and(|word| word >> (at % 64) & 1 != 0)
    }
}

impl MemoryInner {
    /// The pages that may be other than zero; none if all have to be looked at.
    pub fn touched_pages(&self) -> Option<TouchedPages> {
        if self.view.len_bytes < ASK_FROM_BYTES {
            return None;
        }
        let mut touched = self.provided_pages(Provided::Any)?;
        match &self.backing {
            Backing::Nothing => {}
            Backing::Shared(file) => touched.add_data_of(file, self.view.len_bytes)?,
            Backing::Over { file, bytes } => touched.add_data_of(file, *bytes)?,
            Backing::Pieces(pieces) => pieces.iter().for_each(|piece| touched.add(piece)),
        }
        Some(touched)
    }

    /// The pages that the host has provided; none if nobody tells.
    pub fn provided_pages(&self, which: Provided) -> Option<TouchedPages> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let host_page = host_page_bytes();
        let scale = (host_page / PAGE_BYTES) as u64;
        let count = self.view.len_bytes as usize / host_page;
        let first = self.view.base as usize / host_page;
        let file = super::open_pagemap()?;
        let mut bits = vec![0u64; count.div_ceil(64)];
        let mut entries = vec![0u8; 64 << 10];
        let mut at = 0;
        while at < count {
            let step = (count - at).min(entries.len() / 8);
            let part = &mut entries[..step * 8];
            file.read_exact_at(part, ((first + at) * 8) as u64).ok()?;
            let (words, _) = part.as_chunks::<8>();
            for (index, &word) in (at..).zip(words) {
                let word = u64::from_ne_bytes(word);
                let is_wanted = which == Provided::Any || word & OF_FILE == 0;
                let is_provided = word & PRESENT != 0 && is_wanted;
                bits[index / 64] |= u64::from(is_provided) << (index % 64);
            }
            at += step;
        }
        (scale > 0).then_some(TouchedPages { bits, scale })
    }
}

impl TouchedPages {
    /// Adds pages of 4 KiB.
    fn add(&mut self, pages: &Range<u64>) {
        for at in pages.start / self.scale..pages.end.div_ceil(self.scale) {
            if let Some(word) = self.bits.get_mut((at / 64) as usize) {
                *word |= 1 << (at % 64);
            }
        }
    }

    /// Adds what a file has in its first `bytes`, holes left out; none if nobody tells.
    fn add_data_of(&mut self, file: &File, bytes: u64) -> Option<()> {
        let page_bytes = PAGE_BYTES as u64;
        let mut at = 0;
        while at < bytes {
            let Some(start) = seek(file, at, libc::SEEK_DATA)? else { break };
            let end = seek(file, start, libc::SEEK_HOLE)?.unwrap_or(bytes);
            self.add(&(start / page_bytes..end.min(bytes).div_ceil(page_bytes)));
            at = end.max(start + 1);
        }
        Some(())
    }
}

/// Where the next part of a kind begins; the inner one is none if there is none behind `from`.
fn seek(file: &File, from: u64, kind: i32) -> Option<Option<u64>> {
    let from = libc::off_t::try_from(from).ok()?;
    // SAFETY: the descriptor is open; its offset is used by nobody.
    let found = unsafe { libc::lseek(file.as_raw_fd(), from, kind) };
    match u64::try_from(found) {
        Ok(found) => Some(Some(found)),
        Err(_) => {
            let is_behind = std::io::Error::last_os_error().raw_os_error() == Some(libc::ENXIO);
            is_behind.then_some(None)
        }
    }
}
