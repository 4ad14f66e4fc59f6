//! Numbers, texts and lists as bytes.
//!
//! Counts and most values are written in groups of seven bits, lowest first (`var`); what has a
//! fixed size stands lowest byte first. A reader never takes more memory than a small multiple of
//! the bytes that it was given.

use crate::error::{Section, SnapshotError};

/// Bytes in the making.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    pub fn var(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A difference: small ones of either sign are short.
    pub fn difference(&mut self, from: u64, to: u64) {
        let step = to.wrapping_sub(from).cast_signed();
        self.var((step << 1 ^ step >> 63).cast_unsigned());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes with their number in front.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.var(bytes.len() as u64);
        self.raw(bytes);
    }

    /// A list with its length in front.
    pub fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Writer, &T)) {
        self.var(items.len() as u64);
        items.iter().for_each(|item| write(self, item));
    }

    /// Nothing, or something.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        self.u8(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// Flags, eight in a byte.
    pub fn flags(&mut self, flags: &[bool]) {
        self.var(flags.len() as u64);
        for eight in flags.chunks(8) {
            let bits = eight.iter().enumerate().map(|(bit, &flag)| u8::from(flag) << bit);
            self.u8(bits.sum());
        }
    }
}

/// What a reader gives.
pub type Read<T> = Result<T, SnapshotError>;

/// Bytes of a section that are left to read.
pub struct Reader<'a> {
    section: Section,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(section: Section, bytes: &'a [u8]) -> Self {
        Self { section, rest: bytes }
    }

    /// An error of this section.
    pub fn malformed<T>(&self, what: &'static str) -> Read<T> {
        Err(SnapshotError::Malformed { section: self.section, what })
    }

    /// Asserts that nothing is left.
    pub fn finish(self) -> Read<()> {
        match self.rest {
            [] => Ok(()),
            _ => self.malformed("something stands behind its end"),
        }
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn raw(&mut self, count: u64) -> Read<&'a [u8]> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        match self.rest.split_at_checked(count) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => self.malformed("it ends too early"),
        }
    }

    pub fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N as u64)?);
        Ok(array)
    }

    pub fn u8(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn var(&mut self) -> Read<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return self.malformed("a number is not written as it must be");
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.malformed("a number is too long")
    }

    pub fn var32(&mut self) -> Read<u32> {
        match u32::try_from(self.var()?) {
            Ok(value) => Ok(value),
            Err(_) => self.malformed("a number is too large"),
        }
    }

    pub fn difference(&mut self, from: u64) -> Read<u64> {
        let coded = self.var()?;
        let step = (coded >> 1).cast_signed() ^ -(coded & 1).cast_signed();
        Ok(from.wrapping_add_signed(step))
    }

    pub fn bytes(&mut self) -> Read<&'a [u8]> {
        let count = self.var()?;
        self.raw(count)
    }

    pub fn vec(&mut self) -> Read<Vec<u8>> {
        self.bytes().map(<[u8]>::to_vec)
    }

    pub fn text(&mut self) -> Read<String> {
        match std::str::from_utf8(self.bytes()?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => self.malformed("a text is not UTF-8"),
        }
    }

    /// A list each of whose items has at least one byte, so that none is longer than the section.
    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = self.var()?;
        if count > self.rest.len() as u64 {
            return self.malformed("a list is longer than its section");
        }
        // Items may be larger than their bytes: the list grows as they come.
        let mut list = Vec::with_capacity(count.min(1024) as usize);
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        match self.flag()? {
            false => Ok(None),
            true => read(self).map(Some),
        }
    }

    pub fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => self.malformed("a flag is neither 0 nor 1"),
        }
    }

    pub fn flags(&mut self) -> Read<Vec<bool>> {
        let count = self.var()?;
        let bytes = self.raw(count.div_ceil(8))?;
        let unused = bytes.len() as u64 * 8 - count;
        if bytes.last().is_some_and(|&last| u32::from(last).leading_zeros() - 24 < unused as u32) {
            return self.malformed("bits behind the last flag are not 0");
        }
        Ok((0..count as usize).map(|at| bytes[at / 8] >> (at % 8) & 1 != 0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &[u8]) -> Reader<'_> {
        Reader::new(Section::Code, bytes)
    }

    #[test]
    fn numbers_come_back_and_have_one_form() {
        for value in [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX] {
            let mut writer = Writer::default();
            writer.var(value);
            writer.difference(77, value);
            let bytes = writer.finish();
            let mut reader = reader(&bytes);
            assert_eq!(reader.var().ok(), Some(value));
            assert_eq!(reader.difference(77).ok(), Some(value));
            assert!(reader.finish().is_ok());
        }
        assert!(reader(&[0x80, 0]).var().is_err(), "too long a form of 0");
        assert!(reader(&[0xFF; 9]).var().is_err(), "no end");
        assert!(reader(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2]).var().is_err());
    }

    #[test]
    fn flags_come_back_and_unused_bits_are_zero() {
        for count in 0..20 {
            let flags: Vec<bool> = (0..count).map(|at| at % 3 == 0).collect();
            let mut writer = Writer::default();
            writer.flags(&flags);
            let mut bytes = writer.finish();
            assert_eq!(reader(&bytes).flags().ok().as_ref(), Some(&flags));
            if count % 8 != 0 {
                *bytes.last_mut().expect("a byte") |= 0x80;
                assert!(reader(&bytes).flags().is_err());
            }
        }
    }

    #[test]
    fn a_list_that_claims_too_much_is_refused_at_once() {
        let mut writer = Writer::default();
        writer.var(u64::MAX);
        let bytes = writer.finish();
        assert!(reader(&bytes).list(|reader| reader.u8()).is_err());
        assert!(reader(&bytes).bytes().is_err());
        assert!(reader(&bytes).flags().is_err());
    }
}
