//! From names and encodings to rows.

use std::sync::LazyLock;

use crate::row::{Effect, Opcode, ROWS, Row};

/// Slots of the hash table of names: a power of two, sparse enough that most names stand alone.
const NAME_SLOTS: usize = 2048;
const EMPTY: u16 = u16::MAX;

/// Name to the first row that has it, by open addressing.
static NAMES: LazyLock<[u16; NAME_SLOTS]> = LazyLock::new(|| {
    let mut slots = [EMPTY; NAME_SLOTS];
    for (index, row) in ROWS.iter().enumerate() {
        let mut slot = hash(row.name.as_bytes());
        while slots[slot] != EMPTY && ROWS[slots[slot] as usize].name != row.name {
            slot = (slot + 1) % NAME_SLOTS;
        }
        if slots[slot] == EMPTY {
            slots[slot] = index as u16;
        }
    }
    slots
});

/// The eight bytes of `text` from `at`, zeroes behind its end.
#[inline]
fn word(text: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    let from = text.get(at..).unwrap_or(&[]);
    let len = from.len().min(8);
    bytes[..len].copy_from_slice(&from[..len]);
    u64::from_le_bytes(bytes)
}

#[inline]
fn hash(text: &[u8]) -> usize {
    let middle = word(text, 8).rotate_left(23) ^ word(text, 16).rotate_left(41) ^ text.len() as u64;
    let mixed = (word(text, 0) ^ middle).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (64 - NAME_SLOTS.trailing_zeros())) as usize
}

/// Opcodes without a prefix, and behind each prefix, by code.
static CODES: LazyLock<[Vec<Option<Opcode>>; 5]> = LazyLock::new(|| {
    let mut tables: [Vec<Option<Opcode>>; 5] = Default::default();
    for row in ROWS {
        let table = &mut tables[table_of(row.encoding.prefix).unwrap_or(0)];
        let code = row.encoding.code as usize;
        if table.len() <= code {
            table.resize(code + 1, None);
        }
        table[code] = Some(row.opcode);
    }
    tables
});

fn table_of(prefix: Option<u8>) -> Option<usize> {
    match prefix {
        None => Some(0),
        Some(prefix @ 0xFB..=0xFE) => Some(usize::from(prefix - 0xFA)),
        Some(_) => None,
    }
}

impl Opcode {
    /// The row of this instruction.
    #[inline]
    pub fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The name in the text format.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// By name in the text format. `select`, `ref.test` and `ref.cast` name two rows each, of which
    /// this gives the first: without types, and without null.
    #[inline]
    pub fn from_name(name: &str) -> Option<Self> {
        let slots = &*NAMES;
        let mut slot = hash(name.as_bytes());
        while slots[slot] != EMPTY {
            let row = &ROWS[slots[slot] as usize];
            if row.name == name {
                return Some(row.opcode);
            }
            slot = (slot + 1) % NAME_SLOTS;
        }
        None
    }

    /// By its opcode in the binary format: a byte, or a number behind a prefix byte.
    #[inline]
    pub fn decode(prefix: Option<u8>, code: u32) -> Option<Self> {
        CODES[table_of(prefix)?].get(code as usize).copied().flatten()
    }
}

impl std::fmt::Display for Opcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Row {
    /// Whether the table gives its semantics.
    pub fn is_operator(&self) -> bool {
        matches!(self.effect, Effect::Pure | Effect::Traps | Effect::Reads | Effect::Writes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name_and_by_its_encoding() {
        for row in ROWS {
            let found = Opcode::from_name(row.name).expect("a name of the table");
            assert_eq!(found.name(), row.name);
            assert_eq!(Opcode::decode(row.encoding.prefix, row.encoding.code), Some(row.opcode));
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_not_found() {
        assert_eq!(Opcode::from_name("i32.ad"), None);
        assert_eq!(Opcode::from_name(""), None);
        assert_eq!(Opcode::from_name(&"x".repeat(100)), None);
        assert_eq!(Opcode::decode(None, 0x06), None);
        assert_eq!(Opcode::decode(None, 0xFFFF_FFFF), None);
        assert_eq!(Opcode::decode(Some(0xFD), 0x0FFF_FFFF), None);
        assert_eq!(Opcode::decode(Some(0x00), 0), None);
    }

    #[test]
    fn rows_stand_at_their_opcode() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.opcode as usize, index);
        }
    }
}
