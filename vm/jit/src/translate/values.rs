//! Values that only move: locals, globals, constants, references, `select`.

use brant_engine::compile::CompileError;
use brant_engine::vm::Vm;
use brant_isa::Opcode;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{ConstantData, InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::Variable;

use super::calls::entry_of;
use super::{Translator, invalid};
use crate::abi::{clif, slot, vm};

impl Translator<'_, '_> {
    fn local(&mut self) -> Result<Variable, CompileError> {
        let index = self.index()? as usize;
        self.locals.get(index).copied().ok_or_else(|| invalid("a local"))
    }

    /// `local.get`.
    pub(super) fn local_get(&mut self) -> Result<(), CompileError> {
        let local = self.local()?;
        let value = self.b.use_var(local);
        self.push(value);
        Ok(())
    }

    /// `local.set`.
    pub(super) fn local_set(&mut self) -> Result<(), CompileError> {
        let local = self.local()?;
        let value = self.pop()?;
        self.b.def_var(local, value);
        Ok(())
    }

    /// `local.tee`.
    pub(super) fn local_tee(&mut self) -> Result<(), CompileError> {
        let local = self.local()?;
        let value = self.pop()?;
        self.b.def_var(local, value);
        self.push(value);
        Ok(())
    }

    /// Where a global is, its type and how it is accessed.
    fn global(
        &mut self,
    ) -> Result<(Value, i32, cranelift_codegen::ir::Type, MemFlagsData), CompileError> {
        let index = self.index()?;
        let ty = self.module.global_type(index).ok_or_else(|| invalid("a global"))?;
        let mut flags = self.regions.global();
        if !ty.is_mutable {
            flags = flags.with_readonly().with_can_move();
        }
        let (base, offset) = match index.checked_sub(self.module.imported_globals()) {
            Some(own) => (self.vm, Vm::global_offset(own) as i32),
            None => {
                let list = self.load_fixed(self.vm, vm::GLOBALS);
                (self.load_fixed(list, entry_of(index)?), 0)
            }
        };
        Ok((base, offset, clif(ty.value), flags))
    }

    /// `global.get`.
    pub(super) fn global_get(&mut self) -> Result<(), CompileError> {
        let (base, offset, ty, flags) = self.global()?;
        let value = self.b.ins().load(ty, flags, base, offset);
        self.push(value);
        Ok(())
    }

    /// `global.set`.
    pub(super) fn global_set(&mut self) -> Result<(), CompileError> {
        let (base, offset, _, flags) = self.global()?;
        let value = self.pop()?;
        self.b.ins().store(flags, value, base, offset);
        Ok(())
    }

    /// The five instructions that have a number as their immediate.
    pub(super) fn constant(&mut self, opcode: Opcode) -> Result<(), CompileError> {
        let value = match opcode {
            Opcode::I32Const => {
                let bits = i64::from(self.i32()? as u32);
                self.b.ins().iconst(types::I32, bits)
            }
            Opcode::I64Const => {
                let bits = self.i64()?;
                self.b.ins().iconst(types::I64, bits)
            }
            Opcode::F32Const => {
                let bits = u32::from_le_bytes(self.bytes()?);
                self.b.ins().f32const(Ieee32::with_bits(bits))
            }
            Opcode::F64Const => {
                let bits = u64::from_le_bytes(self.bytes()?);
                self.b.ins().f64const(Ieee64::with_bits(bits))
            }
            _ => {
                let bytes: [u8; 16] = self.bytes()?;
                let bytes = self.b.func.dfg.constants.insert(ConstantData::from(&bytes[..]));
                self.b.ins().vconst(types::I8X16, bytes)
            }
        };
        self.push(value);
        Ok(())
    }

    /// `ref.null`: the null of every type is 0.
    pub(super) fn ref_null(&mut self) -> Result<(), CompileError> {
        self.s33()?;
        let null = self.b.ins().iconst(types::I32, 0);
        self.push(null);
        Ok(())
    }

    /// `ref.is_null`.
    pub(super) fn ref_is_null(&mut self) -> Result<(), CompileError> {
        let reference = self.pop()?;
        let is_null = self.b.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        self.push(is_null);
        Ok(())
    }

    /// `ref.func`.
    pub(super) fn ref_func(&mut self) -> Result<(), CompileError> {
        let function = self.index()?;
        let list = self.load_fixed(self.vm, vm::LOCAL_FUNCTIONS);
        let slot = self.load_fixed(list, entry_of(function)?);
        let flags = self.regions.fixed();
        let reference = self.b.ins().load(types::I32, flags, slot, slot::REFERENCE);
        self.push(reference);
        Ok(())
    }

    /// `select`, with and without the type of its operands.
    pub(super) fn select(&mut self, opcode: Opcode) -> Result<(), CompileError> {
        self.skip_immediates(opcode)?;
        let condition = self.pop_any()?;
        let otherwise = self.pop()?;
        let value = self.pop()?;
        let value = self.b.ins().select(condition, value, otherwise);
        self.push(value);
        Ok(())
    }
}
