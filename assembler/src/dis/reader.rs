//! Bounds-checked reading of bytecode: bytes, LEB128 integers, names.
//!
//! A reader looks at the module's bytes up to an end and keeps its position as an offset into the
//! module, so that every fault names the offset at which it lies.
//! It never copies and never allocates but for the text of a fault.
//! It must never know what the bytes mean.

use super::DisassembleError;

/// What goes wrong inside the disassembler; boxed so that the good path stays in registers.
pub(crate) type Fault = Box<DisassembleError>;

/// A window into the module's bytes with a position.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// The module up to the end of this window.
    bytes: &'a [u8],
    /// Offset of the next byte, counted from the start of the module.
    position: usize,
}

impl<'a> Reader<'a> {
    /// A reader of the whole module.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// A reader of the whole module that begins at `position`.
    pub fn at(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position: position.min(bytes.len()) }
    }

    /// Offset of the next byte.
    #[inline(always)]
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Whether nothing is left.
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// What is left, without taking it.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    /// A fault at `offset`.
    #[cold]
    pub fn fault(offset: usize, message: impl Into<String>) -> Fault {
        Box::new(DisassembleError::Malformed { offset, message: message.into() })
    }

    #[cold]
    fn ended(&self, what: &str) -> Fault {
        Self::fault(self.bytes.len(), format!("unexpected end of the bytes, {what} expected"))
    }

    /// One byte.
    #[inline(always)]
    pub fn byte(&mut self, what: &str) -> Result<u8, Fault> {
        match self.bytes.get(self.position) {
            Some(&byte) => {
                self.position += 1;
                Ok(byte)
            }
            None => Err(self.ended(what)),
        }
    }

    /// The next byte without taking it.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], Fault> {
        if count > self.left() {
            return Err(Self::fault(
                self.position,
                format!("{what} claims {count} bytes, but only {} are left", self.left()),
            ));
        }
        let start = self.position;
        self.position += count;
        Ok(&self.bytes[start..self.position])
    }

    /// A window of the next `count` bytes; this reader goes on behind it.
    pub fn window(&mut self, count: usize, what: &str) -> Result<Reader<'a>, Fault> {
        let start = self.position;
        self.take(count, what)?;
        Ok(Reader { bytes: &self.bytes[..self.position], position: start })
    }

    /// An unsigned 32-bit integer.
    #[inline(always)]
    pub fn u32(&mut self, what: &str) -> Result<u32, Fault> {
        let byte = self.byte(what)?;
        if byte < 0x80 {
            return Ok(u32::from(byte));
        }
        self.u32_long(byte, what)
    }

    fn u32_long(&mut self, first: u8, what: &str) -> Result<u32, Fault> {
        let start = self.position - 1;
        let mut value = u32::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte(what)?;
            if shift == 28 && byte > 0x0f {
                return Err(Self::out_of_range(start, byte, 32));
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// An unsigned 64-bit integer.
    #[inline(always)]
    pub fn u64(&mut self, what: &str) -> Result<u64, Fault> {
        let byte = self.byte(what)?;
        if byte < 0x80 {
            return Ok(u64::from(byte));
        }
        self.u64_long(byte, what)
    }

    fn u64_long(&mut self, first: u8, what: &str) -> Result<u64, Fault> {
        let start = self.position - 1;
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte(what)?;
            if shift == 63 && byte > 0x01 {
                return Err(Self::out_of_range(start, byte, 64));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// A signed integer of `bits` bits (32, 33 or 64).
    #[inline(always)]
    pub fn signed(&mut self, bits: u32, what: &str) -> Result<i64, Fault> {
        let byte = self.byte(what)?;
        if byte < 0x80 {
            return Ok(i64::from((byte << 1) as i8 >> 1));
        }
        self.signed_long(byte, bits, what)
    }

    fn signed_long(&mut self, first: u8, bits: u32, what: &str) -> Result<i64, Fault> {
        let start = self.position - 1;
        let mut value = i64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte(what)?;
            let used = bits - shift;
            if used < 7 {
                // The last byte: what lies above the integer's bits must repeat its sign.
                let sign_and_above = (byte as i8) << 1 >> used;
                if byte >= 0x80 || (sign_and_above != 0 && sign_and_above != -1) {
                    return Err(Self::out_of_range(start, byte, bits));
                }
            }
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                let above = 64_u32.saturating_sub(shift);
                return Ok(value << above >> above);
            }
        }
    }

    #[cold]
    fn out_of_range(start: usize, byte: u8, bits: u32) -> Fault {
        let message = if byte >= 0x80 {
            format!("integer representation too long for {bits} bits")
        } else {
            format!("integer too large for {bits} bits")
        };
        Self::fault(start, message)
    }

    /// `N` bytes as they are.
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Fault> {
        match self.bytes.get(self.position..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(array) => {
                self.position += N;
                Ok(*array)
            }
            None => Err(self.ended(what)),
        }
    }

    /// A name: a length in bytes and that much UTF-8.
    pub fn name(&mut self, what: &str) -> Result<&'a str, Fault> {
        let count = self.u32(what)? as usize;
        let start = self.position;
        let bytes = self.take(count, what)?;
        std::str::from_utf8(bytes).map_err(|error| {
            Self::fault(start + error.valid_up_to(), format!("{what} is not valid UTF-8"))
        })
    }
}

/// How many bytes the shortest LEB128 form of `value` takes.
pub(super) fn u32_length_bytes(value: u32) -> usize {
    (32 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(bytes: &[u8], bits: u32) -> Result<i64, String> {
        let mut reader = Reader::new(bytes);
        let value = reader.signed(bits, "a number").map_err(|fault| fault.to_string())?;
        assert!(reader.is_done());
        Ok(value)
    }

    #[test]
    fn signed_integers_keep_their_sign_and_their_limits() {
        assert_eq!(signed(&[0x7f], 32), Ok(-1));
        assert_eq!(signed(&[0x40], 32), Ok(-64));
        assert_eq!(signed(&[0x3f], 33), Ok(63));
        assert_eq!(signed(&[0x80, 0x80, 0x80, 0x80, 0x78], 32), Ok(i64::from(i32::MIN)));
        assert_eq!(signed(&[0xff, 0xff, 0xff, 0xff, 0x07], 32), Ok(i64::from(i32::MAX)));
        assert_eq!(signed(&[0xff, 0xff, 0xff, 0xff, 0x0f], 33), Ok(i64::from(u32::MAX)));
        assert!(signed(&[0xff, 0xff, 0xff, 0xff, 0x0f], 32).is_err());
        assert!(signed(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 32).is_err());
        let least = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f];
        assert_eq!(signed(&least, 64), Ok(i64::MIN));
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00];
        assert_eq!(signed(&most, 64), Ok(i64::MAX));
        let beyond = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
        assert!(signed(&beyond, 64).is_err());
    }

    #[test]
    fn unsigned_integers_refuse_what_does_not_fit() {
        let read = |bytes: &[u8]| Reader::new(bytes).u32("a number").map_err(|f| f.to_string());
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x00]), Ok(0));
        assert!(read(&[0xff, 0xff, 0xff, 0xff, 0x1f]).unwrap_err().contains("too large"));
        assert!(read(&[0x80, 0x80, 0x80, 0x80, 0x80]).unwrap_err().contains("too long"));
        assert!(read(&[0x80]).unwrap_err().contains("unexpected end"));
    }

    #[test]
    fn lengths_of_integers() {
        for (value, length) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (!0, 5)] {
            assert_eq!(u32_length_bytes(value), length, "{value}");
        }
    }
}
