//! Which pages of a memory the host has ever had to provide.
//!
//! The kernel tells in `/proc/self/pagemap`: a private page of an anonymous mapping that is neither
//! present nor swapped out was never touched, and reads as zero.

use std::os::unix::fs::FileExt;

use super::{MemoryInner, host_page_bytes};
use crate::persist::PAGE_BYTES;

/// Looking at less than this is quicker than asking.
const ASK_FROM_BYTES: u64 = 512 << 10;

/// The bits of an entry that say that there is a page: present, swapped out.
const PROVIDED: u64 = 0b11 << 62;

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
        if self.view.len_bytes < ASK_FROM_BYTES || !cfg!(target_os = "linux") {
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
                let is_provided = u64::from_ne_bytes(word) & PROVIDED != 0;
                bits[index / 64] |= u64::from(is_provided) << (index % 64);
            }
            at += step;
        }
        (scale > 0).then_some(TouchedPages { bits, scale })
    }
}
