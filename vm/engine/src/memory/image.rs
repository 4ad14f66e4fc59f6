//! Memories that are copied at once: a page is copied when somebody writes to it.
//!
//! ```text
//! shared file    what the engine makes where `copy_on_write` is chosen: the memory is the file
//! over a file    what original and copy are then: pages of the file until they are written to
//! pieces         pages of a snapshot's file until they are written to
//! ```
//!
//! The file has no name. What two memories share of it never changes any more: only a memory that
//! has it alone writes to it. Nothing here knows processes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::reservation::Sharing;
use super::touched::Provided;
use super::{MemoryInner, Reservation, WASM_PAGE_BYTES};
use crate::module::ModuleBytes;
use crate::persist::{PAGE_BYTES, PersistError};
use crate::store::Store;

/// What lies below the pages that a memory has not written to.
#[derive(Debug, Default)]
pub(crate) enum Backing {
    /// Zeros.
    #[default]
    Nothing,
    /// A file that is this memory's alone: it is the memory.
    Shared(Arc<File>),
    /// A file that others see too, for so many bytes.
    Over { file: Arc<File>, bytes: u64 },
    /// Parts of other files at these pages of 4 KiB, in ascending order.
    Pieces(Vec<Range<u64>>),
}

/// A memory as it was at one moment.
#[derive(Debug)]
pub struct MemoryImage {
    /// The file that the pages are in, and how many bytes of it.
    file: Option<(Arc<File>, u64)>,
    /// Pages that are not as the file has them; none is a page of zeros.
    own: Vec<(u64, Option<Box<[u8; PAGE_BYTES]>>)>,
    wasm_pages: u64,
    /// Where the original was mapped. To give it back takes longer than the copy.
    _retired: Option<Reservation>,
}

fn is_zero(page: &[u8; PAGE_BYTES]) -> bool {
    let (words, _) = page.as_chunks::<8>();
    words.iter().all(|word| u64::from_ne_bytes(*word) == 0)
}

/// A memory whose pages take less than this is simply copied.
const FILE_FROM_BYTES: u64 = 1 << 20;

impl MemoryInner {
    /// Puts a file of its own below a memory that has just been made.
    pub(super) fn make_shareable(&mut self) -> bool {
        let Ok(file) = nameless_file() else { return false };
        self.backing = Backing::Shared(Arc::new(file));
        self.extend_backing(0)
    }

    /// Continues the file that is the memory, which has grown.
    pub(super) fn extend_backing(&mut self, old_bytes: u64) -> bool {
        let Backing::Shared(file) = &self.backing else { return true };
        let new_bytes = self.view.len_bytes;
        let range = old_bytes as usize..new_bytes as usize;
        file.set_len(new_bytes).is_ok()
            && self.area.map_file(range, file, old_bytes, Sharing::Shared).is_ok()
    }

    /// The memory as it is now.
    fn image(&mut self) -> io::Result<MemoryImage> {
        let (wasm_pages, len_bytes) = (self.wasm_pages(), self.view.len_bytes);
        match &self.backing {
            Backing::Shared(file) => {
                let file = file.clone();
                let retired = self.area.map_anew(len_bytes as usize, &file)?;
                self.backing = Backing::Over { file: file.clone(), bytes: len_bytes };
                let file = Some((file, len_bytes));
                Ok(MemoryImage { file, own: Vec::new(), wasm_pages, _retired: retired })
            }
            Backing::Over { file, bytes } => {
                let file = Some((file.clone(), *bytes));
                let own = self.provided_pages(Provided::Private);
                let own = self.copies(own.as_ref().map(|own| move |page| own.contains(page)));
                Ok(MemoryImage { file, own, wasm_pages, _retired: None })
            }
            Backing::Nothing | Backing::Pieces(_) => self.copied_image(wasm_pages),
        }
    }

    fn copied_image(&self, wasm_pages: u64) -> io::Result<MemoryImage> {
        let touched = self.touched_pages();
        let is_touched = |page| touched.as_ref().is_none_or(|touched| touched.contains(page));
        let (pages, _) = self.bytes().as_chunks::<PAGE_BYTES>();
        // A shared memory cannot be mapped anew: others have it.
        if self.view.len_bytes < FILE_FROM_BYTES || self.shared.is_some() {
            let own = self.copies(Some(is_touched));
            return Ok(MemoryImage { file: None, own, wasm_pages, _retired: None });
        }
        let file = nameless_file()?;
        file.set_len(self.view.len_bytes)?;
        let mut at = 0;
        while at < pages.len() {
            let run = (at..pages.len()).take_while(|&page| is_touched(page as u64)).count();
            file.write_all_at(pages[at..at + run].as_flattened(), (at * PAGE_BYTES) as u64)?;
            at += run.max(1);
        }
        let file = Some((Arc::new(file), self.view.len_bytes));
        Ok(MemoryImage { file, own: Vec::new(), wasm_pages, _retired: None })
    }

    /// The pages that a question is answered with yes for; all of them if there is no question.
    fn copies(
        &self, wanted: Option<impl Fn(u64) -> bool>,
    ) -> Vec<(u64, Option<Box<[u8; PAGE_BYTES]>>)> {
        let (pages, _) = self.bytes().as_chunks::<PAGE_BYTES>();
        let is_wanted = |page: u64| wanted.as_ref().is_none_or(|wanted| wanted(page));
        let wanted = (0..).zip(pages).filter(|(number, _)| is_wanted(*number));
        let copy = |page: &[u8; PAGE_BYTES]| (!is_zero(page)).then(|| Box::new(*page));
        wanted.map(|(number, page)| (number, copy(page))).collect()
    }

    /// Becomes what another memory was; has its size already.
    fn adopt(&mut self, image: &MemoryImage) -> Result<(), PersistError> {
        if self.wasm_pages() != image.wasm_pages {
            return Err(PersistError::Size("memory"));
        }
        let size = PersistError::Size("memory");
        if let Some((file, bytes)) = &image.file {
            let range = 0..*bytes as usize;
            self.area.map_file(range, file, 0, Sharing::Private).map_err(|_| size.clone())?;
            if *bytes < self.view.len_bytes {
                let rest = *bytes as usize..self.view.len_bytes as usize;
                self.area.map_zeros(rest).map_err(|_| size)?;
            }
            self.backing = Backing::Over { file: file.clone(), bytes: *bytes };
        }
        let (pages, _) = self.bytes_mut().as_chunks_mut::<PAGE_BYTES>();
        for (number, page) in &image.own {
            let target = pages.get_mut(*number as usize).ok_or(PersistError::Page)?;
            match page {
                Some(page) => *target = **page,
                // A page that nobody has written to yet need not be provided by the host.
                None if is_zero(target) => {}
                None => *target = [0; PAGE_BYTES],
            }
        }
        Ok(())
    }

    /// Shows pages of a file from here on, without reading them; false if that cannot be had.
    fn map_pages(&mut self, first: u64, count: u64, file: &File, offset: u64) -> bool {
        if self.shared.is_some() {
            return false;
        }
        let pieces = match &mut self.backing {
            Backing::Nothing => Vec::new(),
            Backing::Pieces(pieces) => std::mem::take(pieces),
            Backing::Shared(_) | Backing::Over { .. } => return false,
        };
        let mut pieces = pieces;
        let page_bytes = PAGE_BYTES as u64;
        let is_behind = pieces.last().is_none_or(|last| last.end <= first);
        let end = first.checked_add(count);
        let end_bytes = end.and_then(|end| end.checked_mul(page_bytes));
        let is_inside = end_bytes.is_some_and(|end| end <= self.view.len_bytes);
        let mapped = is_behind && is_inside && {
            let range = (first * page_bytes) as usize..((first + count) * page_bytes) as usize;
            self.area.map_file(range, file, offset, Sharing::Private).is_ok()
        };
        if mapped {
            pieces.push(first..first + count);
        }
        self.backing = Backing::Pieces(pieces);
        mapped
    }
}

impl Store {
    /// Memory `index` as it is now. Neither it nor the image sees what the other becomes.
    ///
    /// With [`Config::copy_on_write`](crate::Config) the first image of a memory takes no time that
    /// depends on its size, and later ones a time for each page that was written to since.
    /// Otherwise its pages are copied.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Panics
    /// The store has no such memory.
    pub fn memory_image(&mut self, index: u32) -> io::Result<MemoryImage> {
        self.inner_mut().memories[index as usize].image()
    }

    /// Makes memory `index` what an image says. It has the size of the image already.
    ///
    /// # Errors
    /// There is no such memory, or it has another size, or the host cannot map it.
    pub fn adopt_memory(&mut self, index: u32, image: &MemoryImage) -> Result<(), PersistError> {
        let memory = self.inner_mut().memories.get_mut(index as usize);
        memory.ok_or(PersistError::Count("memories"))?.adopt(image)
    }

    /// Shows pages of a mapped file in memory `index`, from page `first` on, in ascending order from
    /// call to call. They are read when somebody looks at them, so that the file must stay as it is;
    /// what is written to them is the memory's alone. False if the pages have to be
    /// [written](Store::write_page) instead.
    pub fn map_pages(
        &mut self, index: u32, first: u64, count: u64, bytes: &ModuleBytes, offset: u64,
    ) -> bool {
        let memory = self.inner_mut().memories.get_mut(index as usize);
        let (Some(memory), Some(file)) = (memory, bytes.file()) else { return false };
        let end = count.checked_mul(PAGE_BYTES as u64).and_then(|size| size.checked_add(offset));
        // Pages behind the end of a file cannot be looked at.
        end.is_some_and(|end| end <= bytes.as_slice().len() as u64)
            && memory.map_pages(first, count, file, offset)
    }
}

impl MemoryImage {
    /// The size of the memory.
    pub fn bytes(&self) -> u64 {
        self.wasm_pages * WASM_PAGE_BYTES
    }
}

/// A file in memory that nobody else can open.
fn nameless_file() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::FromRawFd;
        // SAFETY: the name is a text that ends with 0.
        let descriptor = unsafe { libc::memfd_create(c"brant-memory".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else has.
        Ok(unsafe { File::from_raw_fd(descriptor) })
    }
    #[cfg(not(target_os = "linux"))]
    Err(io::ErrorKind::Unsupported.into())
}
