//! Instructions by name.
//!
//! What there is comes from the table of instructions; here it is put in order for reading text.
//! Assembling is mostly finding the names of instructions, so a name is two words of eight bytes
//! (longer ones are compared in full), and one multiplication of them gives a slot of an open hash
//! table.

use std::sync::LazyLock;

use brant_isa::{ImmediateKind, Opcode, ROWS, Row};

// Opcodes that the assembler writes without having read a name.
pub(crate) const IF: u8 = 0x04;
pub(crate) const ELSE: u8 = 0x05;
pub(crate) const END: u8 = 0x0b;
pub(crate) const I32_CONST: u8 = 0x41;
pub(crate) const I64_CONST: u8 = 0x42;
pub(crate) const REF_FUNC: u8 = 0xd2;

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
    /// `ref.test` and `ref.cast`, which are other instructions for types that allow null.
    CastType {
        nullable: Opcode,
    },
    BranchOnCast,
    StructField,
    TypeCount,
    TypeData,
    TypeElem,
    TypeType,
    TryTable,
    Fence,
}

/// What follows the name of the instruction of a row; `None` for a row that shares its name with
/// the one before it, which the form of that one chooses.
fn form_of(row: &Row) -> Option<Form> {
    use ImmediateKind as K;
    let kinds: Vec<ImmediateKind> = row.immediates.iter().map(|immediate| immediate.kind).collect();
    Some(match (row.opcode, kinds.as_slice()) {
        (Opcode::If, _) => Form::If,
        (Opcode::Else, _) => Form::Else,
        (Opcode::End, _) => Form::End,
        (Opcode::Select, _) => Form::Select,
        (_, []) => Form::Plain,
        (_, [K::Local]) => Form::Local,
        (_, [K::Global]) => Form::Global,
        (_, [K::Func]) => Form::Func,
        (_, [K::Label]) => Form::Label,
        (_, [K::I32]) => Form::I32,
        (_, [K::I64]) => Form::I64,
        (_, [K::F32]) => Form::F32,
        (_, [K::F64]) => Form::F64,
        (_, [K::V128]) => Form::V128,
        (_, [K::MemArg { natural_align_log2 }]) => Form::MemArg(*natural_align_log2),
        (_, [K::MemArg { natural_align_log2 }, K::Lane { .. }]) => {
            Form::MemArgLane(*natural_align_log2)
        }
        (_, [K::Lane { .. }]) => Form::Lane,
        (_, [K::Shuffle]) => Form::Shuffle,
        (_, [K::BlockType]) => Form::Block,
        (_, [K::BlockType, K::Catches]) => Form::TryTable,
        (_, [K::LabelTable]) => Form::LabelTable,
        (_, [K::Type, K::Table]) => Form::CallIndirect,
        (_, [K::Type]) => Form::Type,
        (_, [K::Type, K::Type]) => Form::TypeType,
        (_, [K::Type, K::Field]) => Form::StructField,
        (_, [K::Type, K::Count]) => Form::TypeCount,
        (_, [K::Type, K::Data]) => Form::TypeData,
        (_, [K::Type, K::Elem]) => Form::TypeElem,
        (_, [K::Tag]) => Form::Tag,
        (_, [K::Table]) => Form::Table,
        (_, [K::Table, K::Table]) => Form::TableCopy,
        (_, [K::Elem, K::Table]) => Form::TableInit,
        (_, [K::Elem]) => Form::Elem,
        (_, [K::Memory]) => Form::Memory,
        (_, [K::Memory, K::Memory]) => Form::MemoryCopy,
        (_, [K::Data, K::Memory]) => Form::MemoryInit,
        (_, [K::Data]) => Form::DataDrop,
        (_, [K::HeapType]) => Form::HeapType,
        (_, [K::RefType]) => Form::CastType { nullable: nullable_twin(row)? },
        (_, [K::BranchOnCast]) => Form::BranchOnCast,
        (_, [K::Zero]) => Form::Fence,
        // `select` with types and casts to types that allow null.
        (_, [K::SelectTypes | K::RefTypeNull]) => return None,
        (_, unknown) => unreachable!("no form for {} with {unknown:?}", row.name),
    })
}

/// The instruction of the same name whose type allows null.
fn nullable_twin(row: &Row) -> Option<Opcode> {
    let is_twin = |other: &&Row| {
        other.name == row.name
            && other.immediates.iter().any(|i| i.kind == ImmediateKind::RefTypeNull)
    };
    ROWS.iter().find(is_twin).map(|twin| twin.opcode)
}

/// An instruction as the assembler sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    first: u64,
    second: u64,
    pub name: &'static str,
    pub form: Form,
    /// The first byte of the opcode, so that a short one needs no other memory.
    lead: u8,
    opcode: &'static [u8],
}

impl Instruction {
    fn new(row: &Row) -> Option<Instruction> {
        let (first, second) = words(row.name.as_bytes());
        let opcode = row.encoding.bytes;
        let form = form_of(row)?;
        Some(Instruction { first, second, name: row.name, form, lead: opcode[0], opcode })
    }

    /// Appends the bytes of the opcode.
    #[inline(always)]
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.opcode.len() == 1 {
            out.push(self.lead);
        } else {
            out.extend_from_slice(self.opcode);
        }
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
    let list: Vec<Instruction> = ROWS.iter().filter_map(Instruction::new).collect();
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
    fn opcodes_named_here_are_those_of_the_table() {
        let named = [
            (IF, Opcode::If),
            (ELSE, Opcode::Else),
            (END, Opcode::End),
            (I32_CONST, Opcode::I32Const),
            (I64_CONST, Opcode::I64Const),
            (REF_FUNC, Opcode::RefFunc),
        ];
        for (byte, opcode) in named {
            assert_eq!(opcode.row().encoding.bytes, [byte], "{opcode}");
        }
    }

    #[test]
    fn every_row_is_found_by_its_name() {
        for row in ROWS {
            let found = INSTRUCTIONS.by_name(row.name.as_bytes());
            assert_eq!(found.map(|instruction| instruction.name), Some(row.name));
        }
        for name in ["", "i32.ad", "i32.addd", "i32x4.relaxed_trunc_f32x4_", "zzz"] {
            assert!(INSTRUCTIONS.by_name(name.as_bytes()).is_none(), "{name}");
        }
    }
}
