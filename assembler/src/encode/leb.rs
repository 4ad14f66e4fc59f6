//! LEB128, always the shortest form.
//!
//! Spec: Binary Format, Values, Integers.

/// Appends an unsigned number.
#[inline(always)]
pub(crate) fn unsigned(out: &mut Vec<u8>, value: u32) {
    if value < 0x80 {
        out.push(value as u8);
    } else {
        unsigned_64(out, u64::from(value));
    }
}

/// Appends an unsigned number of up to 64 bits.
#[inline]
pub(crate) fn unsigned_64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number.
#[inline]
pub(crate) fn signed(out: &mut Vec<u8>, mut value: i64) {
    while !(-0x40..0x40).contains(&value) {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8 & 0x7f);
}

/// The number of bytes of an unsigned number.
pub(crate) fn unsigned_len(value: u32) -> usize {
    (32 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Appends a type index: as a signed number in a block type, as an unsigned one elsewhere.
pub(crate) fn type_index(out: &mut Vec<u8>, index: u32, block: bool) {
    if block { signed(out, i64::from(index)) } else { unsigned(out, index) }
}
