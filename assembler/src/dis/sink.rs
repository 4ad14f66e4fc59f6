//! Where the text goes: one fixed buffer that is written out whenever it is full.
//!
//! The sink is the whole memory that printing needs, however large the module is.
//! A failed write is kept and every later byte is dropped, so that the printing code needs no
//! error path of its own; [`Sink::finish`] hands the failure out.
//! It must never know what a module is.

use std::io;

/// Bytes after which the buffer is written out.
const FULL_BYTES: usize = 64 * 1024;

/// Longest piece that is copied with a fixed length, see [`Sink::put_padded`].
pub(super) const PIECE_BYTES: usize = 48;

/// Most columns that nesting indents; deeper text stands at this column.
/// Bounds the text of a deeply nested module by a constant factor.
const INDENT_MAX_COLUMNS: usize = 40;

/// Columns by which one level of nesting indents.
const INDENT_COLUMNS: usize = 2;

/// Two decimal digits for each number below 100.
const DIGITS: &[u8; 200] = b"0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// A line feed and the deepest indentation.
const LINE: [u8; 1 + INDENT_MAX_COLUMNS] = {
    let mut line = [b' '; 1 + INDENT_MAX_COLUMNS];
    line[0] = b'\n';
    line
};

/// A buffered writer of text.
pub(super) struct Sink<'a> {
    out: &'a mut dyn io::Write,
    buffer: Box<[u8; FULL_BYTES + PIECE_BYTES]>,
    used: usize,
    written: u64,
    failure: Option<io::Error>,
}

impl<'a> Sink<'a> {
    pub fn new(out: &'a mut dyn io::Write) -> Self {
        let buffer = Box::new([0; FULL_BYTES + PIECE_BYTES]);
        Self { out, buffer, used: 0, written: 0, failure: None }
    }

    /// Whether a write has failed: then nothing that follows can matter.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Bytes put so far.
    pub fn position(&self) -> u64 {
        self.written + self.used as u64
    }

    /// Forgets what was put, to be used anew.
    pub fn restart(&mut self) {
        self.used = 0;
        self.written = 0;
    }

    /// Writes the rest out.
    pub fn finish(mut self) -> io::Result<()> {
        self.write_out();
        match self.failure {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }

    /// Hands all that was put to the writer below, so that it can be looked at.
    #[cold]
    pub fn write_out(&mut self) {
        if self.failure.is_none()
            && let Err(error) = self.out.write_all(&self.buffer[..self.used])
        {
            self.failure = Some(error);
        }
        self.written += self.used as u64;
        self.used = 0;
    }

    /// Puts the first `length` bytes of `piece`: a copy of fixed length is one or two moves.
    #[inline(always)]
    pub fn put_padded<const N: usize>(&mut self, piece: &[u8; N], length: usize) {
        const { assert!(N <= PIECE_BYTES) };
        debug_assert!(length <= N);
        if self.used > FULL_BYTES {
            self.write_out();
        }
        let used = self.used.min(FULL_BYTES);
        self.buffer[used..used + N].copy_from_slice(piece);
        self.used = used + length;
    }

    /// Puts one byte.
    #[inline(always)]
    pub fn put_byte(&mut self, byte: u8) {
        self.put_padded(&[byte], 1);
    }

    /// Puts a text of the printer's own.
    #[inline(always)]
    pub fn put(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }

    /// Puts bytes of any length.
    #[inline]
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        if bytes.len() <= self.buffer.len() - self.used {
            self.buffer[self.used..self.used + bytes.len()].copy_from_slice(bytes);
            self.used += bytes.len();
        } else {
            self.put_long(bytes);
        }
    }

    #[cold]
    fn put_long(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(FULL_BYTES) {
            self.write_out();
            self.buffer[..piece.len()].copy_from_slice(piece);
            self.used = piece.len();
        }
    }

    /// Starts a line at `level` of nesting.
    #[inline(always)]
    pub fn new_line(&mut self, level: usize) {
        let columns = (level.min(INDENT_MAX_COLUMNS / INDENT_COLUMNS)) * INDENT_COLUMNS;
        self.put_padded(&LINE, 1 + columns);
    }

    /// An unsigned number in decimal.
    #[inline(always)]
    pub fn put_u32(&mut self, value: u32) {
        if value < 10 {
            self.put_byte(b'0' + value as u8);
        } else if value < 100 {
            self.put_padded(digits(value as usize), 2);
        } else {
            self.put_u64(u64::from(value));
        }
    }

    /// An unsigned number in decimal.
    pub fn put_u64(&mut self, mut value: u64) {
        let mut text = [0; 20];
        let mut start = text.len();
        while value >= 100 {
            let pair = digits((value % 100) as usize);
            value /= 100;
            start -= 2;
            text[start] = pair[0];
            text[start + 1] = pair[1];
        }
        let pair = digits(value as usize);
        start -= 1;
        text[start] = pair[1];
        if value >= 10 {
            start -= 1;
            text[start] = pair[0];
        }
        self.put_bytes(&text[start..]);
    }

    /// A signed number in decimal.
    #[inline(always)]
    pub fn put_i64(&mut self, value: i64) {
        if (0..100).contains(&value) {
            self.put_u32(value as u32);
        } else {
            self.put_i64_long(value);
        }
    }

    fn put_i64_long(&mut self, value: i64) {
        if value < 0 {
            self.put_byte(b'-');
        }
        self.put_u64(value.unsigned_abs());
    }

    /// An unsigned number in hexadecimal, `0x` included.
    pub fn put_hex(&mut self, value: u64) {
        let mut text = [0; 18];
        let mut start = text.len();
        let mut rest = value;
        loop {
            start -= 1;
            text[start] = b"0123456789abcdef"[(rest & 15) as usize];
            rest >>= 4;
            if rest == 0 {
                break;
            }
        }
        text[start - 2..start].copy_from_slice(b"0x");
        self.put_bytes(&text[start - 2..]);
    }

    /// An index as a comment: `(;7;)`.
    pub fn put_index_comment(&mut self, index: u32) {
        self.put("(;");
        self.put_u32(index);
        self.put(";)");
    }
}

#[inline(always)]
fn digits(below_100: usize) -> &'static [u8; 2] {
    let at = below_100.min(99) * 2;
    DIGITS[at..].first_chunk().unwrap_or(&[b'0'; 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: impl FnOnce(&mut Sink<'_>)) -> String {
        let mut out = Vec::new();
        let mut sink = Sink::new(&mut out);
        put(&mut sink);
        sink.finish().expect("memory takes everything");
        String::from_utf8(out).expect("the sink got text")
    }

    #[test]
    fn numbers_print_as_the_standard_library_does() {
        for value in [0, 7, 10, 42, 99, 100, 101, 999, 1000, 65_535, u32::MAX] {
            assert_eq!(text(|sink| sink.put_u32(value)), value.to_string());
        }
        for value in [0, 5, 99, 100, -1, -64, -100, i64::MIN, i64::MAX] {
            assert_eq!(text(|sink| sink.put_i64(value)), value.to_string());
        }
        for value in [0, 15, 16, 0xdead_beef, u64::MAX] {
            assert_eq!(text(|sink| sink.put_hex(value)), format!("{value:#x}"));
        }
    }

    #[test]
    fn more_than_the_buffer_comes_out_in_order() {
        let long = "abcdefghij".repeat(FULL_BYTES / 4);
        let printed = text(|sink| {
            for _ in 0..FULL_BYTES {
                sink.put_byte(b'x');
            }
            sink.put(&long);
            sink.new_line(1000);
            sink.put_u32(12);
        });
        let indent = " ".repeat(INDENT_MAX_COLUMNS);
        assert!(printed == format!("{}{long}\n{indent}12", "x".repeat(FULL_BYTES)));
    }

    #[test]
    fn a_failed_write_is_reported_at_the_end() {
        struct Closed;
        impl io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut closed = Closed;
        let mut sink = Sink::new(&mut closed);
        for _ in 0..3 * FULL_BYTES {
            sink.put_byte(b'x');
        }
        assert!(sink.has_failed());
        assert_eq!(sink.finish().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
