//! Instructions by name.
//!
//! Assembling is mostly finding the names of instructions, so the table is made for that: a name
//! is two words of eight bytes (longer ones are compared in full), and one multiplication of them
//! gives a slot of an open hash table.

use std::sync::LazyLock;

use crate::instruction_list::LIST;

/// What follows the name of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing.
    Plain,
    Local,
    Global,
    Func,
    Label,
    I32,
    I64,
    F32,
    F64,
    /// With the logarithm of the natural alignment.
    MemArg(u8),
    /// `block` and `loop`.
    Block,
    If,
    Else,
    End,
    LabelTable,
    CallIndirect,
    Select,
    Type,
    Tag,
    Table,
    TableInit,
    TableCopy,
    Elem,
    Memory,
    MemoryInit,
    MemoryCopy,
    DataDrop,
    V128,
    Lane,
    MemArgLane(u8),
    Shuffle,
    HeapType,
    /// `ref.test` and `ref.cast`, whose number is one higher for nullable types.
    CastType,
    BranchOnCast,
    StructField,
    TypeCount,
    TypeData,
    TypeElem,
    TypeType,
    TryTable,
    Fence,
}

/// An instruction as the assembler sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    first: u64,
    second: u64,
    pub name: &'static str,
    /// The bytes of the opcode; the first `opcode_len` are used.
    opcode: [u8; 4],
    opcode_len: u8,
    pub form: Form,
}

impl Instruction {
    fn new(name: &'static str, prefix: u8, code: u32, form: Form) -> Instruction {
        let mut opcode = Vec::new();
        if prefix == 0 {
            opcode.push(code as u8);
        } else {
            opcode.push(prefix);
            crate::encode::leb::unsigned(&mut opcode, code);
        }
        let opcode_len = opcode.len() as u8;
        opcode.resize(4, 0);
        let (first, second) = words(name.as_bytes());
        let opcode = [opcode[0], opcode[1], opcode[2], opcode[3]];
        Instruction { first, second, name, opcode, opcode_len, form }
    }

    /// The bytes of the opcode.
    #[inline(always)]
    pub fn opcode(&self) -> &[u8] {
        &self.opcode[..usize::from(self.opcode_len)]
    }
}

/// The first and the second eight bytes of a name, little endian, with zeros behind the end.
fn words(name: &[u8]) -> (u64, u64) {
    let word = |from: usize| {
        let mut bytes = [0; 8];
        let part = &name[from.min(name.len())..name.len().min(from + 8)];
        bytes[..part.len()].copy_from_slice(part);
        u64::from_le_bytes(bytes)
    };
    (word(0), word(8))
}

/// Slots of the hash table; about seven times the number of instructions.
const SLOTS: usize = 4096;

/// All instructions, findable by name.
pub(crate) struct Instructions {
    /// 0 is free, else the number of an instruction + 1.
    slots: Box<[u16; SLOTS]>,
    list: Vec<Instruction>,
}

/// The table.
pub(crate) static INSTRUCTIONS: LazyLock<Instructions> = LazyLock::new(|| {
    let list: Vec<Instruction> = LIST
        .iter()
        .map(|&(name, prefix, code, form)| Instruction::new(name, prefix, code, form))
        .collect();
    let mut slots = Box::new([0; SLOTS]);
    for (number, instruction) in list.iter().enumerate() {
        let mut slot = slot_of(instruction.first, instruction.second, instruction.name.len());
        while slots[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = number as u16 + 1;
    }
    Instructions { slots, list }
});

#[inline(always)]
fn slot_of(first: u64, second: u64, len: usize) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (first ^ second.rotate_left(29) ^ len as u64).wrapping_mul(FACTOR);
    (mixed >> (64 - SLOTS.trailing_zeros())) as usize
}

impl Instructions {
    /// The instruction with a name, given also as its first two words.
    #[inline(always)]
    pub fn find(&self, name: &[u8], first: u64, second: u64) -> Option<&Instruction> {
        let mut slot = slot_of(first, second, name.len());
        loop {
            let number = usize::from(self.slots[slot]).checked_sub(1)?;
            let found = &self.list[number];
            if found.first == first
                && found.second == second
                && found.name.len() == name.len()
                && (name.len() <= 16 || found.name.as_bytes() == name)
            {
                return Some(found);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// The instruction with a name.
    pub fn by_name(&self, name: &[u8]) -> Option<&Instruction> {
        let (first, second) = words(name);
        self.find(name, first, second)
    }

    /// The names of all instructions.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.list.iter().map(|instruction| instruction.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found() {
        for name in INSTRUCTIONS.names() {
            let found = INSTRUCTIONS.by_name(name.as_bytes());
            assert_eq!(found.map(|instruction| instruction.name), Some(name));
        }
        for name in ["", "i32.ad", "i32.addd", "i32x4.relaxed_trunc_f32x4_", "zzz"] {
            assert!(INSTRUCTIONS.by_name(name.as_bytes()).is_none(), "{name}");
        }
    }
}
