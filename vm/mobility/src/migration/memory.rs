//! Pages of memories on the wire: many in a frame, zero ones without their bytes.
//!
//! ```text
//! runs: memory, first page, count, whether they have contents     (numbers in groups of 7 bits)
//! contents of those that have some, one behind the other, 4096 bytes each
//! ```
//!
//! Contents are not compressed: between hosts that are near, LZ4 takes longer than the network.

use brant_engine::persist::PAGE_BYTES;

use crate::error::{Section, SnapshotError};
use crate::wire::{Read, Reader, Writer};

/// Pages with contents in a frame, at most.
pub const PAGES_IN_A_FRAME: usize = 128;

/// Runs in a frame, at most: zero pages cost no contents, and many of them fit into one run.
const RUNS_IN_A_FRAME: usize = 512;

/// A frame of pages in the making.
#[derive(Debug, Default)]
pub struct PagesFrame {
    runs: Vec<Run>,
    contents: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    memory: u32,
    first: u64,
    count: u64,
    has_contents: bool,
}

impl PagesFrame {
    /// Adds a page; none as its content if it is all zero. A full frame has to be taken first.
    pub fn add(&mut self, memory: u32, page: u64, content: Option<&[u8; PAGE_BYTES]>) {
        let has_contents = content.is_some();
        self.contents.extend_from_slice(content.map_or(&[], |content| &content[..]));
        match self.runs.last_mut() {
            Some(last)
                if last.memory == memory
                    && last.first + last.count == page
                    && last.has_contents == has_contents =>
            {
                last.count += 1;
            }
            _ => self.runs.push(Run { memory, first: page, count: 1, has_contents }),
        }
    }

    /// Whether no page fits in any more.
    pub fn is_full(&self) -> bool {
        self.contents.len() >= PAGES_IN_A_FRAME * PAGE_BYTES || self.runs.len() >= RUNS_IN_A_FRAME
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The first part of the payload: which pages there are.
    pub fn runs(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.list(&self.runs, |writer, run| {
            writer.var(run.memory.into());
            writer.var(run.first);
            writer.var(run.count);
            writer.u8(run.has_contents.into());
        });
        writer.finish()
    }

    /// The second part: the contents.
    pub fn contents(&self) -> &[u8] {
        &self.contents
    }

    /// Makes room for other pages.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.contents.clear();
    }
}

/// Shows each page of a frame, none as its content if it is all zero. `pages` says how many pages a
/// memory has: none lies behind them.
///
/// # Errors
/// A payload that is no frame of pages of these memories; what `visit` says.
pub fn read_pages<E: From<SnapshotError>>(
    payload: &[u8], pages: impl Fn(u32) -> u64,
    mut visit: impl FnMut(u32, u64, Option<&[u8; PAGE_BYTES]>) -> Result<(), E>,
) -> Result<(), E> {
    let mut reader = Reader::new(Section::Message, payload);
    let runs = reader.list(run)?;
    let (contents, rest) = reader.rest().as_chunks::<PAGE_BYTES>();
    let mut contents = contents.iter();
    let malformed = |what| SnapshotError::Malformed { section: Section::Message, what };
    for run in runs {
        if run.first.checked_add(run.count).is_none_or(|end| end > pages(run.memory)) {
            return Err(malformed("a page lies outside of its memory").into());
        }
        for page in run.first..run.first + run.count {
            match run.has_contents {
                true => {
                    let content = contents.next().ok_or(malformed("a page has no content"))?;
                    visit(run.memory, page, Some(content))?;
                }
                false => visit(run.memory, page, None)?,
            }
        }
    }
    match contents.next().is_none() && rest.is_empty() {
        true => Ok(()),
        false => Err(malformed("contents belong to no page").into()),
    }
}

fn run(reader: &mut Reader<'_>) -> Read<Run> {
    Ok(Run {
        memory: reader.var32()?,
        first: reader.var()?,
        count: reader.var()?,
        has_contents: reader.flag()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Vec<(u32, u64, Option<u8>)>;

    fn read(payload: &[u8], pages: u64) -> Result<Seen, SnapshotError> {
        let mut seen = Vec::new();
        let visit = |memory, page, content: Option<&[u8; PAGE_BYTES]>| {
            seen.push((memory, page, content.map(|content| content[0])));
            Ok::<(), SnapshotError>(())
        };
        read_pages(payload, |_| pages, visit).map(|()| seen)
    }

    fn sample() -> Vec<u8> {
        let mut frame = PagesFrame::default();
        frame.add(0, 3, Some(&[1; PAGE_BYTES]));
        frame.add(0, 4, Some(&[2; PAGE_BYTES]));
        frame.add(0, 5, None);
        frame.add(1, 6, Some(&[3; PAGE_BYTES]));
        let payload = [&frame.runs()[..], frame.contents()].concat();
        frame.clear();
        assert!(frame.is_empty());
        payload
    }

    #[test]
    fn pages_come_back() {
        let expected = vec![(0, 3, Some(1)), (0, 4, Some(2)), (0, 5, None), (1, 6, Some(3))];
        assert_eq!(read(&sample(), 7).ok(), Some(expected));
    }

    #[test]
    fn no_page_lies_behind_its_memory_and_no_byte_belongs_to_nothing() {
        assert!(read(&sample(), 6).is_err());
        let whole = sample();
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut], 7).is_err(), "cut at {cut}");
        }
        assert!(read(&[&whole[..], &[0]].concat(), 7).is_err());
        assert!(read(&[&whole[..], &[0; PAGE_BYTES]].concat(), 7).is_err());
    }

    #[test]
    fn a_run_of_zeros_without_end_is_refused() {
        let mut writer = Writer::default();
        writer.list(&[()], |writer, ()| {
            writer.var(0);
            writer.var(0);
            writer.var(u64::MAX);
            writer.u8(0);
        });
        assert!(read(&writer.finish(), 1 << 20).is_err());
    }
}
