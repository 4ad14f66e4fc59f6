//! Where each instruction of the bytecode came from.
//!
//! One entry is three numbers relative to the entry before it, as LEB128: about three bytes.
//! Every [`STRIDE`] entries an absolute one is noted, so that a lookup decodes few of them.

use crate::Span;

/// Entries between two absolute ones.
const STRIDE: usize = 128;

/// From offsets in the bytecode to places in the text.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    /// In the order of the bytecode.
    parts: Vec<Part>,
}

/// A map of a part of the bytecode that was built by itself.
#[derive(Clone, Debug, Default)]
struct Part {
    /// Entries as (offset difference, zigzag of start difference, length).
    entries: Vec<u8>,
    /// The entry numbered `index * STRIDE`, and where the one after it begins in `entries`.
    anchors: Vec<Anchor>,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    offset: u64,
    span: Span,
    next: usize,
}

impl SourceMap {
    /// Joins maps whose parts of the bytecode follow each other.
    pub(crate) fn of(builders: impl IntoIterator<Item = SourceMapBuilder>) -> SourceMap {
        let parts = builders.into_iter().map(|builder| builder.part);
        SourceMap { parts: parts.filter(|part| !part.anchors.is_empty()).collect() }
    }

    /// The place of the last instruction that begins at or before `offset` in the bytecode.
    pub fn lookup(&self, offset: u64) -> Option<Span> {
        let part = self.parts.partition_point(|part| part.anchors[0].offset <= offset);
        self.parts[part.checked_sub(1)?].lookup(offset)
    }

    /// The number of bytes the map takes.
    pub fn len_bytes(&self) -> usize {
        self.parts.iter().map(Part::len_bytes).sum()
    }
}

impl Part {
    fn lookup(&self, offset: u64) -> Option<Span> {
        let anchor = self.anchors.partition_point(|anchor| anchor.offset <= offset);
        let index = anchor.checked_sub(1)?;
        let end = self.anchors.get(index + 1).map_or(self.entries.len(), |next| next.next);
        let entries = Entries { bytes: &self.entries[..end], last: self.anchors[index] };
        let first = self.anchors[index].span;
        let span = entries.take_while(|(at, _)| *at <= offset).last();
        Some(span.map_or(first, |(_, span)| span))
    }

    fn len_bytes(&self) -> usize {
        self.entries.len() + self.anchors.len() * size_of::<Anchor>()
    }
}

/// Decodes entries behind an anchor. An anchor's own entry is in the bytes too, so that the
/// distance between anchors does not matter to it.
struct Entries<'a> {
    bytes: &'a [u8],
    last: Anchor,
}

impl Iterator for Entries<'_> {
    type Item = (u64, Span);

    fn next(&mut self) -> Option<(u64, Span)> {
        if self.last.next >= self.bytes.len() {
            return None;
        }
        let mut number = || {
            let mut value = 0u64;
            for shift in (0..64).step_by(7) {
                let byte = self.bytes[self.last.next];
                self.last.next += 1;
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        };
        let (offset, start, length) = (number(), number(), number());
        let start = (start >> 1) as i64 ^ -((start & 1) as i64);
        let start = (i64::from(self.last.span.start) + start) as u32;
        self.last.offset += offset;
        self.last.span = Span { start, end: start + length as u32 };
        Some((self.last.offset, self.last.span))
    }
}

/// Collects a [`SourceMap`] in the order of the bytecode.
#[derive(Debug, Default)]
pub struct SourceMapBuilder {
    part: Part,
    last_offset: u64,
    last_start: u32,
    count: usize,
}

impl SourceMapBuilder {
    /// Notes that the bytecode at `offset` came from `span`.
    ///
    /// Offsets must not go down; an entry that breaks this is left out.
    pub fn add(&mut self, offset: u64, span: Span) {
        let Some(difference) = offset.checked_sub(self.last_offset) else { return };
        let start = i64::from(span.start) - i64::from(self.last_start);
        self.number(difference);
        self.number(((start << 1) ^ (start >> 63)) as u64);
        self.number(span.len_bytes() as u64);
        if self.count.is_multiple_of(STRIDE) {
            self.part.anchors.push(Anchor { offset, span, next: self.part.entries.len() });
        }
        self.count += 1;
        self.last_offset = offset;
        self.last_start = span.start;
    }

    /// Moves every entry by `distance_bytes`: bytecode was put before what has been noted so far.
    pub fn shift(&mut self, distance_bytes: u64) {
        for anchor in &mut self.part.anchors {
            anchor.offset += distance_bytes;
        }
        self.last_offset += distance_bytes;
    }

    /// The finished map.
    pub fn finish(self) -> SourceMap {
        SourceMap::of([self])
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.part.entries.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.part.entries.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookup_finds_the_instruction_that_covers_an_offset() {
        let mut builder = SourceMapBuilder::default();
        let place = |i: u32| Span { start: 100_000 - i * 7, end: 100_000 - i * 7 + i % 200 };
        for i in 0..1000 {
            builder.add(10 + u64::from(i) * 3, place(i));
        }
        builder.shift(5);
        let map = builder.finish();
        assert_eq!(map.lookup(14), None);
        for i in 0..1000 {
            for within in 0..3 {
                assert_eq!(map.lookup(15 + u64::from(i) * 3 + within), Some(place(i)));
            }
        }
        assert_eq!(map.lookup(u64::MAX), Some(place(999)));
    }
}
