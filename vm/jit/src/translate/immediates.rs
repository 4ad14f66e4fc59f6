//! Decoding: opcodes and their immediates, by what the instruction table says of them.

use brant_engine::compile::CompileError;
use brant_isa::machine::{Lane, MemArg, Shuffle};
use brant_isa::{ImmediateKind, Immediates, Opcode, Row};

use super::{Translator, invalid};

/// Bytecode that the validator has accepted does not end early.
fn broken(_: wasmparser::BinaryReaderError) -> CompileError {
    invalid("a body that ends early")
}

impl Translator<'_, '_> {
    /// Reads the next opcode, and notes where it is.
    pub(super) fn opcode(&mut self) -> Result<Opcode, CompileError> {
        self.offset = self.reader.original_position() as u32;
        let first = self.byte()?;
        let opcode = match first {
            0xFB..=0xFE => Opcode::decode(Some(first), self.index()?),
            _ => Opcode::decode(None, u32::from(first)),
        };
        opcode.ok_or_else(|| invalid("an unknown opcode"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, CompileError> {
        self.reader.read_u8().map_err(broken)
    }
    pub(super) fn index(&mut self) -> Result<u32, CompileError> {
        self.reader.read_var_u32().map_err(broken)
    }
    pub(super) fn i32(&mut self) -> Result<i32, CompileError> {
        self.reader.read_var_i32().map_err(broken)
    }
    pub(super) fn i64(&mut self) -> Result<i64, CompileError> {
        self.reader.read_var_i64().map_err(broken)
    }
    pub(super) fn s33(&mut self) -> Result<i64, CompileError> {
        self.reader.read_var_s33().map_err(broken)
    }
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], CompileError> {
        let bytes = self.reader.read_bytes(N).map_err(broken)?;
        bytes.try_into().map_err(|_| invalid("a body that ends early"))
    }

    /// Immediates of an operator of the table, and the memory that it works on, if it does.
    pub(super) fn immediates(
        &mut self, row: &Row,
    ) -> Result<(Immediates, Option<u32>), CompileError> {
        let (mut imms, mut memory) = (Immediates::default(), None);
        for immediate in row.immediates {
            match immediate.kind {
                ImmediateKind::MemArg { .. } => {
                    let (at, index) = self.mem_arg()?;
                    (imms.at, memory) = (at, Some(index));
                }
                ImmediateKind::Lane { .. } => imms.lane = Lane(self.byte()?),
                ImmediateKind::Shuffle => imms.lanes = Shuffle(self.bytes()?),
                kind => self.skip(kind)?,
            }
        }
        Ok((imms, memory))
    }

    pub(super) fn mem_arg(&mut self) -> Result<(MemArg, u32), CompileError> {
        let align = self.index()?;
        let memory = if align & 0x40 != 0 { self.index()? } else { 0 };
        Ok((MemArg { offset: self.index()? }, memory))
    }

    /// Goes over the immediates of an instruction that cannot be reached.
    pub(super) fn skip_immediates(&mut self, opcode: Opcode) -> Result<(), CompileError> {
        opcode.row().immediates.iter().try_for_each(|immediate| self.skip(immediate.kind))
    }

    fn skip(&mut self, kind: ImmediateKind) -> Result<(), CompileError> {
        match kind {
            ImmediateKind::MemArg { .. } => self.mem_arg().map(drop),
            ImmediateKind::Lane { .. } | ImmediateKind::Zero => self.byte().map(drop),
            ImmediateKind::Shuffle | ImmediateKind::V128 => self.bytes::<16>().map(drop),
            ImmediateKind::LabelTable => {
                for _ in 0..=self.index()? {
                    self.index()?;
                }
                Ok(())
            }
            ImmediateKind::BlockType | ImmediateKind::HeapType => self.s33().map(drop),
            ImmediateKind::SelectTypes => {
                for _ in 0..self.index()? {
                    self.s33()?;
                }
                Ok(())
            }
            ImmediateKind::I32 => self.i32().map(drop),
            ImmediateKind::I64 => self.i64().map(drop),
            ImmediateKind::F32 => self.bytes::<4>().map(drop),
            ImmediateKind::F64 => self.bytes::<8>().map(drop),
            ImmediateKind::Memory
            | ImmediateKind::Table
            | ImmediateKind::Data
            | ImmediateKind::Elem
            | ImmediateKind::Local
            | ImmediateKind::Global
            | ImmediateKind::Func
            | ImmediateKind::Type
            | ImmediateKind::Tag
            | ImmediateKind::Label
            | ImmediateKind::Field
            | ImmediateKind::Count => self.index().map(drop),
            ImmediateKind::RefType
            | ImmediateKind::RefTypeNull
            | ImmediateKind::BranchOnCast
            | ImmediateKind::Catches => Err(invalid("an instruction of a later proposal")),
        }
    }
}
