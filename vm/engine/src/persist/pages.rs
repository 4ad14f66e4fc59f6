//! Pages of memories: which ones differ from the base image, and how they are put back.

use super::PersistError;
use super::base::BaseImage;
use crate::store::{Store, StoreInner};

/// Size of a page in snapshots and on the wire; pages of WebAssembly are 16 of them.
pub const PAGE_BYTES: usize = 4096;

/// A page of zeros.
static ZERO: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

impl Store {
    /// Shows each page of memory `index` that is not as the data segments alone would have it, by
    /// ascending number; none as its content if it is all zero.
    ///
    /// Pages that no one has touched are not looked at, so that the cost follows what is used.
    ///
    /// # Panics
    /// The store has no such memory.
    pub fn changed_pages(&self, index: u32, visit: impl FnMut(u64, Option<&[u8; PAGE_BYTES]>)) {
        self.changed_pages_from(index, 0, visit);
    }

    /// As [`Store::changed_pages`], from a page on.
    ///
    /// # Panics
    /// The store has no such memory.
    pub fn changed_pages_from(
        &self, index: u32, first: u64, mut visit: impl FnMut(u64, Option<&[u8; PAGE_BYTES]>),
    ) {
        let inner = self.inner();
        let memory = &inner.memories[index as usize];
        let touched = memory.touched_pages();
        let mut base = BaseImage::of(inner, index);
        let (pages, _) = memory.bytes().as_chunks::<PAGE_BYTES>();
        for (number, page) in (0u64..).zip(pages).skip(first as usize) {
            if touched.as_ref().is_some_and(|touched| !touched.contains(number)) {
                continue;
            }
            let before = base.page(number);
            if page == before.unwrap_or(&ZERO) {
                continue;
            }
            visit(number, (*page != ZERO).then_some(page));
        }
    }

    /// Writes a page of memory `index`; none is a page of zeros.
    ///
    /// # Errors
    /// There is no such page.
    pub fn write_page(
        &mut self, index: u32, page: u64, content: Option<&[u8; PAGE_BYTES]>,
    ) -> Result<(), PersistError> {
        let memory = self.inner_mut().memories.get_mut(index as usize).ok_or(PersistError::Page)?;
        let at = usize::try_from(page).ok().and_then(|page| page.checked_mul(PAGE_BYTES));
        let end = at.and_then(|at| at.checked_add(PAGE_BYTES)).ok_or(PersistError::Page)?;
        let place = memory.bytes_mut().get_mut(end - PAGE_BYTES..end).ok_or(PersistError::Page)?;
        // To write zeros over zeros would only make the host provide a page.
        if content.is_some() || place.iter().any(|&byte| byte != 0) {
            place.copy_from_slice(content.unwrap_or(&ZERO));
        }
        Ok(())
    }

    /// Makes memory `index` what the data segments alone make of it, at its present size.
    ///
    /// # Panics
    /// The store has no such memory.
    pub fn reset_memory(&mut self, index: u32) {
        let mut changed = Vec::new();
        self.changed_pages(index, |page, _| changed.push(page));
        let mut base = BaseImage::of(self.inner(), index);
        let contents: Vec<_> = changed.iter().map(|&page| base.page(page).copied()).collect();
        let memory = &mut self.inner_mut().memories[index as usize];
        let (pages, _) = memory.bytes_mut().as_chunks_mut::<PAGE_BYTES>();
        for (page, content) in changed.into_iter().zip(contents) {
            pages[page as usize] = content.unwrap_or(ZERO);
        }
    }

    /// Grows memory `index` to a size, or leaves it as it is if it has that already.
    ///
    /// # Errors
    /// There is no such memory, it is larger, or a limit does not allow it.
    pub fn grow_memory_to(&mut self, index: u32, wasm_pages: u64) -> Result<(), PersistError> {
        let StoreInner { memories, budget, .. } = self.inner_mut();
        let memory = memories.get_mut(index as usize).ok_or(PersistError::Count("memories"))?;
        let delta = wasm_pages.checked_sub(memory.wasm_pages());
        let grown = delta.and_then(|delta| memory.grow(delta, budget));
        grown.map(|_| ()).ok_or(PersistError::Size("memory"))
    }

    /// The sizes of all memories.
    pub fn memory_sizes_wasm_pages(&self) -> Vec<u64> {
        self.inner().memories.iter().map(|memory| memory.wasm_pages()).collect()
    }

    /// How many memories there are.
    pub fn memory_count(&self) -> u32 {
        self.inner().memories.len() as u32
    }
}
