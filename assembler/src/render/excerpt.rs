//! The part of the input that a diagnostic shows, made safe to look at.
//!
//! Lines are clipped around what they are shown for, control characters and broken UTF-8 are
//! replaced, and places in the input are mapped to places in the excerpt.

use std::ops::Range;

use crate::Span;

/// Longest line that is shown whole.
const LINE_MAX_BYTES: usize = 180;

/// Bytes shown before the marked place of a longer line.
const BEFORE_BYTES: usize = 60;

/// Bytes shown from the marked place on.
const AFTER_BYTES: usize = 80;

/// Bytes of a module in a dump.
const DUMP_BYTES: usize = 16;

/// A piece of text that can be shown, and where its parts come from.
pub(super) struct Excerpt {
    pub text: String,
    /// For each place that was copied: offset in the input, and where it is in the text.
    /// Ascending.
    map: Vec<(usize, Range<usize>)>,
}

impl Excerpt {
    /// The lines on which spans begin, from the first to the last of them; the first span of a
    /// line that is marked as the main one decides where a long line is clipped.
    pub fn of_lines(input: &[u8], spans: &[(Span, bool)]) -> Self {
        let mut excerpt = Excerpt { text: String::new(), map: Vec::new() };
        let starts = spans.iter().map(|(span, _)| (span.start as usize).min(input.len()));
        let (Some(first), Some(last)) = (starts.clone().min(), starts.max()) else {
            return excerpt;
        };
        let mut line_start = memchr::memrchr(b'\n', &input[..first]).map_or(0, |at| at + 1);
        loop {
            let rest = &input[line_start..];
            let line_end = line_start + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let within = |span: &Span| (line_start..=line_end).contains(&(span.start as usize));
            let focus = spans
                .iter()
                .filter(|(span, _)| within(span))
                .max_by_key(|(_, is_main)| *is_main)
                .map_or(line_start, |(span, _)| span.start as usize);
            excerpt.push_line(input, line_start..line_end, focus);
            if line_end >= last {
                return excerpt;
            }
            excerpt.text.push('\n');
            line_start = line_end + 1;
        }
    }

    /// A row of bytes in hexadecimal, as many as fit a line.
    pub fn of_bytes(input: &[u8], span: Span) -> Self {
        let at = (span.start as usize).min(input.len());
        let start = at.saturating_sub(DUMP_BYTES / 2) & !3;
        let end = (start + DUMP_BYTES).min(input.len());
        let mut excerpt = Excerpt { text: format!("{start:08x} "), map: Vec::new() };
        for (offset, byte) in input[start..end].iter().enumerate() {
            excerpt.text.push(' ');
            excerpt.push_cell(start + offset, &format!("{byte:02x}"));
        }
        if at >= end {
            excerpt.text.push(' ');
            excerpt.push_cell(end, "--");
        }
        excerpt
    }

    /// Puts the text that stands for the input at `offset`.
    fn push_cell(&mut self, offset: usize, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.map.push((offset, start..self.text.len()));
    }

    fn push_line(&mut self, input: &[u8], line: Range<usize>, focus: usize) {
        let mut shown = line.clone();
        if shown.end > shown.start && input[shown.end - 1] == b'\r' {
            shown.end -= 1;
        }
        if shown.len() > LINE_MAX_BYTES {
            shown.start = focus.saturating_sub(BEFORE_BYTES).max(line.start);
            shown.end = (focus + AFTER_BYTES).min(shown.end).max(shown.start);
            while shown.start > line.start && is_inside_char(input, shown.start) {
                shown.start -= 1;
            }
            while shown.end < line.end && is_inside_char(input, shown.end) {
                shown.end += 1;
            }
        }
        if shown.start > line.start {
            self.text.push('…');
        }
        let mut offset = shown.start;
        for chunk in input[shown.clone()].utf8_chunks() {
            for char in chunk.valid().chars() {
                let start = self.text.len();
                push_visible(&mut self.text, char);
                self.map.push((offset, start..self.text.len()));
                offset += char.len_utf8();
            }
            for _ in chunk.invalid() {
                self.push_cell(offset, "\u{fffd}");
                offset += 1;
            }
        }
        self.push_cell(offset, "");
        if shown.end < line.end && input[shown.end] != b'\r' {
            self.text.push('…');
        }
    }

    /// Where a span of the input is in the text; one that leaves its first line ends with it.
    pub fn map(&self, span: Span) -> Range<usize> {
        let cell = |offset: usize| {
            let at = self.map.partition_point(|(input, _)| *input <= offset);
            self.map[..at].last().or(self.map.first()).map_or(0..0, |(_, cell)| cell.clone())
        };
        let start = cell(span.start as usize).start;
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        if span.start == span.end {
            return start..cell(span.start as usize).end.min(line_end);
        }
        start..cell(span.end as usize - 1).end.clamp(start, line_end)
    }
}

/// Whether `at` lies within a character of valid UTF-8.
fn is_inside_char(input: &[u8], at: usize) -> bool {
    input.get(at).is_some_and(|byte| byte & 0xc0 == 0x80)
}

/// A text without anything that a terminal obeys.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => shown.push(' '),
            _ => push_visible(&mut shown, char),
        }
    }
    shown
}

/// Control characters have pictures; what else has no shape is a replacement character.
fn push_visible(text: &mut String, char: char) {
    text.push(match char {
        '\t' => '\t',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + char as u32).unwrap_or(' '),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
        '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => char::REPLACEMENT_CHARACTER,
        shown => shown,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks the span in the excerpt with brackets.
    #[track_caller]
    fn check(input: &[u8], span: Span, expected: &str) {
        let excerpt = Excerpt::of_lines(input, &[(span, true)]);
        let range = excerpt.map(span);
        let (text, range_text) = (&excerpt.text, &excerpt.text[range.clone()]);
        let marked = format!("{}[{range_text}]{}", &text[..range.start], &text[range.end..]);
        assert_eq!(marked, expected);
    }

    #[test]
    fn the_line_of_a_span_is_shown() {
        check(b"one\ntwo three\nfour", Span::new(8, 13), "two [three]");
        check(b"one\r\ntwo\r\n", Span::new(5, 8), "[two]");
        check(b"ab", Span::at(2), "ab[]");
        check(b"ab", Span::at(1), "a[b]");
        check(b"", Span::at(0), "[]");
        check(b"a\nb", Span::new(0, 3), "[a]");
    }

    #[test]
    fn controls_and_broken_text_are_replaced() {
        check(b"\x1b[31m\xff x", Span::new(7, 8), "\u{241b}[31m\u{fffd} [x]");
    }

    #[test]
    fn a_long_line_is_clipped_around_the_span() {
        let mut input = vec![b'a'; 10_000_000];
        input[5_000_000] = b'X';
        let span = Span::new(5_000_000, 5_000_001);
        let (before, after) = ("a".repeat(BEFORE_BYTES), "a".repeat(AFTER_BYTES - 1));
        check(&input, span, &format!("…{before}[X]{after}…"));
    }

    #[test]
    fn bytes_are_dumped() {
        let input: Vec<u8> = (0..64).collect();
        let excerpt = Excerpt::of_bytes(&input, Span::new(33, 34));
        assert_eq!(&excerpt.text[excerpt.map(Span::new(33, 34))], "21");
        assert_eq!(&excerpt.text[excerpt.map(Span::new(33, 36))], "21 22 23");
        let excerpt = Excerpt::of_bytes(&input, Span::at(64));
        assert_eq!(&excerpt.text[excerpt.map(Span::at(64))], "--");
    }
}
