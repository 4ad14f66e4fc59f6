//! How the host reads and writes a guest's memory: every address is checked, nothing panics.

use std::fmt;

use super::tracking::{HostUse, open_for_host};

/// A guest's memory, as its host functions see it.
pub struct GuestMemory<'a> {
    bytes: &'a mut [u8],
}

/// A range that does not lie in the memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfBounds {
    /// Where it begins.
    pub address: u64,
    /// How long it is.
    pub len_bytes: u64,
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:#x} lie outside of the memory", self.len_bytes, self.address)
    }
}

impl std::error::Error for OutOfBounds {}

macro_rules! numbers {
    ($($read:ident $write:ident $t:ty;)*) => {$(
        /// Reads a number, lowest byte first.
        ///
        /// # Errors
        /// It does not lie in the memory.
        pub fn $read(&self, address: u64) -> Result<$t, OutOfBounds> {
            let mut bytes = [0; size_of::<$t>()];
            self.read(address, &mut bytes)?;
            Ok(<$t>::from_le_bytes(bytes))
        }

        /// Writes a number, lowest byte first.
        ///
        /// # Errors
        /// It does not lie in the memory.
        pub fn $write(&mut self, address: u64, value: $t) -> Result<(), OutOfBounds> {
            self.write(address, &value.to_le_bytes())
        }
    )*};
}

impl<'a> GuestMemory<'a> {
    /// The memory that consists of these bytes. For tests of host functions, too.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes }
    }

    /// How many bytes there are.
    pub fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The bytes at `address`.
    ///
    /// # Errors
    /// They do not all lie in the memory.
    pub fn slice(&self, address: u64, len_bytes: u64) -> Result<&[u8], OutOfBounds> {
        let range = range(address, len_bytes);
        let bytes = range.and_then(|r| self.bytes.get(r));
        let bytes = bytes.filter(|bytes| open_for_host(bytes, HostUse::Read));
        bytes.ok_or(OutOfBounds { address, len_bytes })
    }

    /// The bytes at `address`, to be changed.
    ///
    /// # Errors
    /// They do not all lie in the memory.
    pub fn slice_mut(&mut self, address: u64, len_bytes: u64) -> Result<&mut [u8], OutOfBounds> {
        let range = range(address, len_bytes);
        let bytes = range.and_then(|r| self.bytes.get_mut(r));
        let bytes = bytes.filter(|bytes| open_for_host(bytes, HostUse::Write));
        bytes.ok_or(OutOfBounds { address, len_bytes })
    }

    /// Fills `to` from `address` on.
    ///
    /// # Errors
    /// The bytes do not all lie in the memory; `to` is unchanged.
    pub fn read(&self, address: u64, to: &mut [u8]) -> Result<(), OutOfBounds> {
        to.copy_from_slice(self.slice(address, to.len() as u64)?);
        Ok(())
    }

    /// Copies `from` to `address`.
    ///
    /// # Errors
    /// The bytes do not all lie in the memory, which is unchanged.
    pub fn write(&mut self, address: u64, from: &[u8]) -> Result<(), OutOfBounds> {
        // No system call writes here: what is protected faults, and is opened then.
        let len_bytes = from.len() as u64;
        let bytes = range(address, len_bytes).and_then(|r| self.bytes.get_mut(r));
        bytes.ok_or(OutOfBounds { address, len_bytes })?.copy_from_slice(from);
        Ok(())
    }

    numbers! {
        read_u8 write_u8 u8;
        read_u16 write_u16 u16;
        read_u32 write_u32 u32;
        read_u64 write_u64 u64;
    }
}

fn range(address: u64, len_bytes: u64) -> Option<std::ops::Range<usize>> {
    let end = address.checked_add(len_bytes)?;
    Some(usize::try_from(address).ok()?..usize::try_from(end).ok()?)
}

impl fmt::Debug for GuestMemory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuestMemory({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_checked() {
        let mut bytes = [0; 16];
        let mut memory = GuestMemory::new(&mut bytes);
        assert_eq!(memory.write_u32(12, 0x0102_0304), Ok(()));
        assert_eq!(memory.read_u16(12), Ok(0x0304));
        assert_eq!(memory.slice(16, 0), Ok(&[][..]), "empty, at the end");
        let error = OutOfBounds { address: 13, len_bytes: 4 };
        assert_eq!(memory.read_u32(13), Err(error));
        for (address, len_bytes) in [(17, 0), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
            assert!(memory.slice(address, len_bytes).is_err());
            assert!(memory.slice_mut(address, len_bytes).is_err());
        }
    }
}
