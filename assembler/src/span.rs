//! Places in a text.
//!
//! A place is a byte offset; lines and columns are computed when somebody reads them.

/// A range of bytes in a text, `start..end`.
///
/// Texts are limited to 4 GiB, so an offset is 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end` in bytes.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    /// An empty range at `offset`.
    pub fn at(offset: usize) -> Span {
        Span::new(offset, offset)
    }

    /// From the start of this range to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.start) }
    }

    /// The number of bytes in the range.
    pub fn len_bytes(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// The bytes of `text` in this range; empty where it does not fit.
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The place of the first byte as line and column.
    pub fn line_column(self, text: &[u8]) -> LineColumn {
        LineColumn::of(self.start as usize, text)
    }
}

/// A place for people: both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl LineColumn {
    /// Line and column of a byte offset in `text`.
    ///
    /// Bytes that are not UTF-8 count one column each, so that a place behind them can be named.
    pub fn of(offset: usize, text: &[u8]) -> LineColumn {
        let before = &text[..offset.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before[line_start..].utf8_chunks().fold(1, |column, chunk| {
            column + chunk.valid().chars().count() + chunk.invalid().len()
        });
        LineColumn { line: line as u32, column: column as u32 }
    }
}

impl std::fmt::Display for LineColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], offset: usize, expected: &str) {
        assert_eq!(LineColumn::of(offset, text).to_string(), expected);
    }

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        check(b"", 0, "1:1");
        check(b"ab\ncd", 4, "2:2");
        check("ü(x".as_bytes(), 2, "1:2");
        check(b"a\xff\xfeb", 3, "1:4");
        check(b"one line", 100, "1:9");
    }
}
