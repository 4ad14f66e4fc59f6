//! Pages: which ones there are, and their contents, each content once.
//!
//! Two sections: the runs of pages with the table of chunks, and the contents. Contents are either
//! compressed in chunks of 16 pages, or stand there as they are and begin at a multiple of 4096, so
//! that the file can be mapped.

use std::collections::HashMap;
use std::ops::Range;

use brant_engine::ModuleBytes;
use brant_engine::persist::PAGE_BYTES;

use crate::error::{Section, SnapshotError};
use crate::file::aligned;
use crate::wire::{Read, Reader, Writer};

/// Pages in a chunk.
const CHUNK_PAGES: usize = 16;
/// Size of a chunk before it is compressed.
pub(crate) const CHUNK_BYTES: usize = CHUNK_PAGES * PAGE_BYTES;

/// Pages of a memory that stand behind each other, with contents that do so too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PageRun {
    /// The memory, by index of the store.
    pub memory: u32,
    /// The first page.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The content of the first page; none if all are zero.
    pub content: Option<u64>,
}

/// All pages that are not as the modules' data segments have them.
#[derive(Clone, Debug)]
pub struct Pages {
    runs: Vec<PageRun>,
    /// How many contents there are.
    count: u64,
    /// Where each chunk ends in the contents; none if they are not compressed.
    chunk_ends: Option<Vec<u64>>,
    bytes: ModuleBytes,
    /// Where the contents stand in the bytes.
    contents: Range<usize>,
}

impl Pages {
    /// The runs, by memory and page.
    pub fn runs(&self) -> &[PageRun] {
        &self.runs
    }

    /// How many different contents there are.
    pub fn content_count(&self) -> u64 {
        self.count
    }

    /// How many bytes the contents take.
    pub fn contents_bytes(&self) -> u64 {
        self.contents.len() as u64
    }

    /// Whether contents stand there as they are.
    pub fn can_be_mapped(&self) -> bool {
        self.chunk_ends.is_none()
    }

    pub(crate) fn contents(&self) -> &[u8] {
        &self.bytes.as_slice()[self.contents.clone()]
    }

    /// The bytes of a mapped file in which the contents of a run stand as they are, and where; none
    /// if they have to be copied.
    pub fn place(&self, run: &PageRun) -> Option<(&ModuleBytes, u64)> {
        let content = run.content?;
        let can_be_mapped = self.can_be_mapped() && self.bytes.can_be_mapped();
        let offset = self.contents.start as u64 + content * PAGE_BYTES as u64;
        can_be_mapped.then_some((&self.bytes, offset))
    }

    /// Shows all pages with their contents, in the order of the contents. The runs lie in memories
    /// of known size, so that there are not more pages than those have.
    ///
    /// # Errors
    /// What `visit` says; a chunk that cannot be expanded.
    pub fn each<E: From<SnapshotError>>(
        &self, visit: impl FnMut(u32, u64, Option<&[u8; PAGE_BYTES]>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_of(&self.runs, visit)
    }

    /// As [`Self::each`], for the pages of some runs.
    ///
    /// # Errors
    /// As [`Self::each`].
    pub fn each_of<'a, E: From<SnapshotError>>(
        &self, runs: impl IntoIterator<Item = &'a PageRun>,
        mut visit: impl FnMut(u32, u64, Option<&[u8; PAGE_BYTES]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut filled: Vec<(u64, u32, u64)> = Vec::new();
        for run in runs {
            for (step, page) in (run.first..run.first + run.count).enumerate() {
                match run.content {
                    None => visit(run.memory, page, None)?,
                    Some(content) => filled.push((content + step as u64, run.memory, page)),
                }
            }
        }
        // Equal contents were found again later: most of it is in order.
        filled.sort();
        let mut chunk = Chunk::default();
        for (content, memory, page) in filled {
            visit(memory, page, Some(self.content(content, &mut chunk)?))?;
        }
        Ok(())
    }

    fn content<'a>(
        &'a self, content: u64, chunk: &'a mut Chunk,
    ) -> Result<&'a [u8; PAGE_BYTES], SnapshotError> {
        let malformed = |what| SnapshotError::Malformed { section: Section::Contents, what };
        let all = self.contents();
        let (bytes, at) = match &self.chunk_ends {
            None => (all, content as usize),
            Some(ends) => {
                let number = content as usize / CHUNK_PAGES;
                if chunk.number != Some(number) {
                    let start = number.checked_sub(1).map_or(0, |before| ends[before]) as usize;
                    let left = self.count as usize - number * CHUNK_PAGES;
                    chunk.bytes.resize(left.min(CHUNK_PAGES) * PAGE_BYTES, 0);
                    expand(&all[start..ends[number] as usize], &mut chunk.bytes)
                        .ok_or(malformed("a chunk cannot be expanded"))?;
                    chunk.number = Some(number);
                }
                (&chunk.bytes[..], content as usize % CHUNK_PAGES)
            }
        };
        bytes.as_chunks().0.get(at).ok_or(malformed("a page is missing"))
    }

    /// The section of runs and chunks. `before` bytes of the file stand before it.
    pub(crate) fn write(&self, before: u64) -> Vec<u8> {
        let mut writer = Writer::default();
        let (mut memory, mut page, mut content) = (0, 0, 0);
        writer.list(&self.runs, |writer, run| {
            if run.memory != memory {
                page = 0;
            }
            writer.var((run.memory - memory).into());
            writer.var(run.first - page);
            writer.var(run.count);
            writer.option(run.content, |writer, first| {
                writer.difference(content, first);
                content = first + run.count;
            });
            (memory, page) = (run.memory, run.first + run.count);
        });
        writer.var(self.count);
        writer.u8(self.chunk_ends.is_some().into());
        let mut start = 0;
        for &end in self.chunk_ends.iter().flatten() {
            writer.var(end - start);
            start = end;
        }
        let mut bytes = writer.finish();
        if self.can_be_mapped() {
            // Where the contents begin.
            bytes.resize((aligned(before + bytes.len() as u64) - before) as usize, 0);
        }
        bytes
    }

    pub(crate) fn read(
        mut reader: Reader<'_>, bytes: ModuleBytes, offset: u64, length: u64,
    ) -> Read<Self> {
        let (mut memory, mut page, mut content) = (0u32, 0u64, 0u64);
        let runs = reader.list(|reader| {
            let step = reader.var32()?;
            if step > 0 {
                page = 0;
            }
            let (skip, count) = (reader.var()?, reader.var()?);
            let next = memory.checked_add(step);
            let first = page.checked_add(skip);
            let end = first.and_then(|first| first.checked_add(count)).filter(|_| count > 0);
            let (Some(next), Some(first), Some(end)) = (next, first, end) else {
                return reader.malformed("a run of pages is nowhere");
            };
            let found = reader.option(|reader| reader.difference(content))?;
            if let Some(found) = found {
                content = match found.checked_add(count) {
                    Some(end) => end,
                    None => return reader.malformed("a run has contents that are not there"),
                };
            }
            (memory, page) = (next, end);
            Ok(PageRun { memory, first, count, content: found })
        })?;
        let count = reader.var()?;
        let is_there = |run: &PageRun| run.content.is_none_or(|first| first + run.count <= count);
        if !runs.iter().all(is_there) {
            return reader.malformed("a run has contents that are not there");
        }
        let chunk_ends = match reader.flag()? {
            true => Some(chunk_ends(&mut reader, count, length)?),
            false => {
                if count.checked_mul(PAGE_BYTES as u64) != Some(length) || aligned(offset) != offset
                {
                    return reader.malformed("contents are not where they can be mapped");
                }
                padding(&mut reader)?;
                None
            }
        };
        reader.finish()?;
        let contents = offset as usize..(offset + length) as usize;
        Ok(Self { runs, count, chunk_ends, bytes, contents })
    }
}

fn chunk_ends(reader: &mut Reader<'_>, count: u64, length: u64) -> Read<Vec<u64>> {
    let mut ends = Vec::new();
    let mut end = 0u64;
    for _ in 0..count.div_ceil(CHUNK_PAGES as u64) {
        match reader.var()? {
            bytes if bytes <= CHUNK_BYTES as u64 && bytes > 0 => end += bytes,
            _ => return reader.malformed("a chunk has no size that chunks have"),
        }
        ends.push(end);
    }
    if end != length {
        return reader.malformed("the chunks are not all of the contents");
    }
    Ok(ends)
}

/// Zeros up to the end, less than a page of them.
fn padding(reader: &mut Reader<'_>) -> Read<()> {
    let rest = reader.rest();
    match rest.len() < PAGE_BYTES && rest.iter().all(|&byte| byte == 0) {
        true => Ok(()),
        false => reader.malformed("what aligns the contents is not 0"),
    }
}

/// A chunk that was expanded last.
#[derive(Default)]
struct Chunk {
    number: Option<usize>,
    bytes: Vec<u8>,
}

/// A chunk that would not become smaller stands there as it is.
fn expand(from: &[u8], to: &mut [u8]) -> Option<()> {
    if from.len() == to.len() {
        to.copy_from_slice(from);
        return Some(());
    }
    let written = lz4_flex::block::decompress_into(from, to).ok()?;
    (written == to.len()).then_some(())
}

/// Takes pages in, by ascending memory and page.
pub(crate) struct PagesBuilder {
    runs: Vec<PageRun>,
    /// Contents by hash: half of a BLAKE3 is as good as any other number of 128 bits.
    known: HashMap<[u8; 16], u64>,
    count: u64,
    /// The chunk in the making, or all contents if none is compressed.
    open: Vec<u8>,
    chunk_ends: Option<Vec<u64>>,
    contents: Vec<u8>,
}

impl PagesBuilder {
    /// Contents will be compressed.
    pub fn compressed() -> Self {
        Self { chunk_ends: Some(Vec::new()), ..Self::plain() }
    }

    /// Contents will stand there as they are.
    pub fn plain() -> Self {
        Self {
            runs: Vec::new(),
            known: HashMap::new(),
            count: 0,
            open: Vec::new(),
            chunk_ends: None,
            contents: Vec::new(),
        }
    }

    /// Adds a page; none as its content if it is all zero.
    pub fn add(&mut self, memory: u32, page: u64, content: Option<&[u8; PAGE_BYTES]>) {
        let content = content.map(|content| self.content(content));
        if let Some(last) = self.runs.last_mut()
            && last.memory == memory
            && last.first + last.count == page
            && last.content.map(|first| first + last.count) == content
        {
            last.count += 1;
            return;
        }
        self.runs.push(PageRun { memory, first: page, count: 1, content });
    }

    fn content(&mut self, bytes: &[u8; PAGE_BYTES]) -> u64 {
        let mut key = [0; 16];
        key.copy_from_slice(&blake3::hash(bytes).as_bytes()[..16]);
        let next = self.count;
        let number = *self.known.entry(key).or_insert(next);
        if number == next {
            self.count += 1;
            match self.chunk_ends {
                None => self.contents.extend_from_slice(bytes),
                Some(_) => {
                    self.open.extend_from_slice(bytes);
                    if self.open.len() == CHUNK_BYTES {
                        self.close();
                    }
                }
            }
        }
        number
    }

    /// Compresses the chunk in the making.
    fn close(&mut self) {
        let Some(ends) = &mut self.chunk_ends else { return };
        if self.open.is_empty() {
            return;
        }
        let compressed = lz4_flex::block::compress(&self.open);
        let is_smaller = compressed.len() < self.open.len();
        self.contents.extend_from_slice(if is_smaller { &compressed } else { &self.open });
        ends.push(self.contents.len() as u64);
        self.open.clear();
    }

    pub fn finish(mut self) -> Pages {
        self.close();
        let contents = 0..self.contents.len();
        Pages {
            runs: self.runs,
            count: self.count,
            chunk_ends: self.chunk_ends,
            bytes: ModuleBytes::from(self.contents),
            contents,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(seed: u64) -> [u8; PAGE_BYTES] {
        let mut state = seed;
        std::array::from_fn(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
    }

    /// Pages that are equal, zero, in two memories, and enough for several chunks.
    fn sample(mut builder: PagesBuilder) -> Pages {
        for number in 0..40 {
            builder.add(0, number, Some(&page(number % 30)));
        }
        builder.add(0, 50, None);
        builder.add(0, 51, None);
        builder.add(2, 7, Some(&page(3)));
        builder.finish()
    }

    fn all(pages: &Pages) -> Vec<(u32, u64, Option<[u8; PAGE_BYTES]>)> {
        let mut list = Vec::new();
        let each = pages.each::<SnapshotError>(|memory, page, content| {
            list.push((memory, page, content.copied()));
            Ok(())
        });
        each.expect("nothing is wrong");
        list.sort();
        list
    }

    #[test]
    fn equal_pages_are_kept_once() {
        let pages = sample(PagesBuilder::compressed());
        assert_eq!(pages.content_count(), 30);
        assert_eq!(pages.runs().len(), 4);
        let found = all(&pages);
        assert_eq!(found.len(), 43);
        assert!(found.contains(&(0, 35, Some(page(5)))));
        assert!(found.contains(&(0, 51, None)));
        assert!(found.contains(&(2, 7, Some(page(3)))));
    }

    #[test]
    fn what_is_written_is_read_again_in_both_forms() {
        for builder in [PagesBuilder::compressed(), PagesBuilder::plain()] {
            let pages = sample(builder);
            let before = 1000;
            let section = pages.write(before);
            let offset = before + section.len() as u64;
            let mut bytes = vec![0; offset as usize];
            bytes.extend_from_slice(pages.contents());
            let length = pages.contents_bytes();
            let reader = Reader::new(Section::Pages, &section);
            let back = Pages::read(reader, ModuleBytes::from(bytes), offset, length);
            let back = back.expect("what was written");
            assert_eq!(back.runs(), pages.runs());
            assert_eq!(all(&back), all(&pages));
            assert_eq!(back.write(before), section);
        }
    }
}
