//! Bytecode, read forwards.
//!
//! The walk only sees bodies that wasmparser has accepted, so that nothing here reports an error:
//! what a valid body cannot contain reads as zero, and the walk ends at the end of the bytes.

/// A position in a function body.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// How many bytes have been read.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.position).copied().unwrap_or(0);
        self.position += 1;
        byte
    }

    /// The next byte, which stays unread.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.position).copied().unwrap_or(0)
    }

    /// `N` bytes as they are.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let bytes = self.bytes.get(self.position..self.position + N);
        self.position += N;
        bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
    }

    /// An unsigned LEB128 of up to 64 bits.
    #[inline]
    pub fn unsigned(&mut self) -> u64 {
        let first = self.byte();
        if first < 0x80 {
            return u64::from(first);
        }
        let (mut value, mut shift) = (u64::from(first & 0x7F), 7);
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 0x7F) << (shift & 63);
            shift += 7;
            if byte < 0x80 || self.is_at_end() {
                return value;
            }
        }
    }

    /// An index or another number of 32 bits.
    #[inline]
    pub fn index(&mut self) -> u32 {
        self.unsigned() as u32
    }

    /// A signed LEB128 of up to 64 bits.
    #[inline]
    pub fn signed(&mut self) -> i64 {
        let (mut value, mut shift) = (0i64, 0u32);
        loop {
            let byte = self.byte();
            value |= i64::from(byte & 0x7F) << (shift & 63);
            shift += 7;
            if byte < 0x80 || self.is_at_end() {
                let unused = 64u32.saturating_sub(shift);
                return value << unused >> unused;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_lengths() {
        let mut reader = Reader::new(&[0x7F, 0x80, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x40]);
        assert_eq!((reader.unsigned(), reader.unsigned()), (127, 128));
        assert_eq!((reader.index(), reader.signed()), (u32::MAX, -64));
        assert!(reader.is_at_end());
        let mut minimum = [0x80; 10];
        minimum[9] = 0x7F;
        assert_eq!(Reader::new(&minimum).signed(), i64::MIN);
    }

    #[test]
    fn the_end_reads_as_zero() {
        let mut reader = Reader::new(&[0x80]);
        assert_eq!((reader.unsigned(), reader.byte()), (0, 0));
        assert_eq!(reader.array::<4>(), [0; 4]);
    }
}
