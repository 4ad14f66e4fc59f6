//! A module from its sections.
//!
//! The code, which is most of a module, is written where it will stay: the sections before it are
//! put in front at the end, by one move of memory, and data segments are written behind it
//! straight from the text.
//! So a module is never in memory twice.
//!
//! Spec: Binary Format, Modules.

use super::{leb, names::NameSection};
use crate::{SourceMap, SourceMapBuilder, Span};

/// The sections in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionId {
    Type,
    Import,
    Func,
    Table,
    Memory,
    Tag,
    Global,
    Export,
    Start,
    Elem,
    DataCount,
    Code,
    Data,
}

/// Order and numbers of the sections before the code.
const BEFORE_CODE: [(SectionId, u8); 11] = [
    (SectionId::Type, 1),
    (SectionId::Import, 2),
    (SectionId::Func, 3),
    (SectionId::Table, 4),
    (SectionId::Memory, 5),
    (SectionId::Tag, 13),
    (SectionId::Global, 6),
    (SectionId::Export, 7),
    (SectionId::Start, 8),
    (SectionId::Elem, 9),
    (SectionId::DataCount, 12),
];

/// Where a custom section goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    BeforeFirst,
    Before(SectionId),
    After(SectionId),
    AfterLast,
}

/// A custom section.
#[derive(Clone, Debug)]
pub(crate) struct Custom {
    pub place: Place,
    pub name: Vec<u8>,
    pub contents: Vec<u8>,
}

/// A vector being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    pub count: u32,
    pub bytes: Vec<u8>,
    /// Where entries begin, and where they came from; only where a map is wanted.
    pub origins: Vec<(u32, Span)>,
}

/// Branch hints of all functions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    pub functions: u32,
    pub bytes: Vec<u8>,
}

/// Everything a module is made of.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    before_code: [Section; BEFORE_CODE.len()],
    /// The bodies, each behind its size.
    pub code: Section,
    pub code_map: SourceMapBuilder,
    pub hints: Hints,
    pub customs: Vec<Custom>,
    /// Whether the code needs to know the number of data segments in advance.
    pub needs_data_count: bool,
    pub data_count: u32,
}

impl Sections {
    /// A section before the code.
    pub fn of(&mut self, id: SectionId) -> &mut Section {
        &mut self.before_code[id as usize]
    }

    /// Puts all together; `write_data` appends the data segments.
    pub fn finish<E>(
        mut self, names: NameSection, mapped: bool,
        write_data: impl FnOnce(&mut Vec<u8>, &mut SourceMapBuilder) -> Result<(), E>,
    ) -> Result<(Vec<u8>, SourceMap), E> {
        let mut out = b"\0asm\x01\0\0\0".to_vec();
        let mut map = SourceMapBuilder::default();
        let customs = std::mem::take(&mut self.customs);
        let custom = |out: &mut Vec<u8>, place| {
            for custom in customs.iter().filter(|custom| custom.place == place) {
                write_custom(out, &custom.name, &custom.contents);
            }
        };
        custom(&mut out, Place::BeforeFirst);
        let data_count = self.data_count;
        if self.needs_data_count {
            let section = self.of(SectionId::DataCount);
            section.count = 1;
            leb::unsigned(&mut section.bytes, data_count);
        }
        for ((id, number), section) in BEFORE_CODE.into_iter().zip(self.before_code) {
            custom(&mut out, Place::Before(id));
            if section.count > 0 {
                // These two hold one number, not a vector.
                let single = matches!(id, SectionId::Start | SectionId::DataCount);
                let count = (!single).then_some(section.count);
                let at = write_header(&mut out, number, count, section.bytes.len());
                for (offset, span) in section.origins {
                    map.add(at as u64 + u64::from(offset), span);
                }
                out.extend_from_slice(&section.bytes);
            }
            custom(&mut out, Place::After(id));
        }
        custom(&mut out, Place::Before(SectionId::Code));
        if self.hints.functions > 0 {
            let mut contents = Vec::new();
            leb::unsigned(&mut contents, self.hints.functions);
            contents.extend_from_slice(&self.hints.bytes);
            write_custom(&mut out, b"metadata.code.branch_hint", &contents);
        }
        if self.code.count > 0 {
            write_header(&mut out, 10, Some(self.code.count), self.code.bytes.len());
        }
        let before = out.len();
        let mut out = put_before(out, self.code.bytes);
        if mapped {
            self.code_map.shift(before as u64);
        }
        custom(&mut out, Place::After(SectionId::Code));
        custom(&mut out, Place::Before(SectionId::Data));
        let mut data_map = SourceMapBuilder::default();
        if data_count > 0 {
            let size_at = out.len() + 1;
            out.push(11);
            let contents = out.len();
            leb::unsigned(&mut out, data_count);
            write_data(&mut out, &mut data_map)?;
            let moved = insert_size(&mut out, size_at, contents);
            data_map.shift(moved as u64);
        }
        custom(&mut out, Place::After(SectionId::Data));
        custom(&mut out, Place::AfterLast);
        if !customs.iter().any(|custom| custom.name == b"name") {
            names.write(&mut out);
        }
        Ok((out, SourceMap::of([map, self.code_map, data_map])))
    }
}

/// Writes number, size and count of a section; gives the place where its contents begin.
fn write_header(out: &mut Vec<u8>, number: u8, count: Option<u32>, len: usize) -> usize {
    out.push(number);
    leb::unsigned(out, (len + count.map_or(0, leb::unsigned_len)) as u32);
    if let Some(count) = count {
        leb::unsigned(out, count);
    }
    out.len()
}

/// Inserts the size of a section whose contents begin at `contents`, at `at`; gives its length.
fn insert_size(out: &mut Vec<u8>, at: usize, contents: usize) -> usize {
    let mut size = Vec::new();
    leb::unsigned(&mut size, (out.len() - contents) as u32);
    let end = out.len();
    out.resize(end + size.len(), 0);
    out.copy_within(at..end, at + size.len());
    out[at..at + size.len()].copy_from_slice(&size);
    size.len()
}

/// `first` and `second` in the memory of `second`.
fn put_before(first: Vec<u8>, mut second: Vec<u8>) -> Vec<u8> {
    if second.is_empty() {
        return first;
    }
    let len = second.len();
    second.resize(len + first.len(), 0);
    second.copy_within(..len, first.len());
    second[..first.len()].copy_from_slice(&first);
    second
}

fn write_custom(out: &mut Vec<u8>, name: &[u8], contents: &[u8]) {
    out.push(0);
    let size = leb::unsigned_len(name.len() as u32) + name.len() + contents.len();
    leb::unsigned(out, size as u32);
    leb::unsigned(out, name.len() as u32);
    out.extend_from_slice(name);
    out.extend_from_slice(contents);
}
