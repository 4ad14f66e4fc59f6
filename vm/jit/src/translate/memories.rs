//! Sizes, table elements, and what the engine does in pieces: growing, bulk memory, bulk tables.

use brant_engine::compile::{CallKind, CompileError, Operation};
use brant_engine::site::SiteKind;
use brant_engine::vm::Vm;
use brant_isa::{ImmediateKind, Opcode};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, TrapCode, Value, types};

use super::calls::entry_of;
use super::exits::Target;
use super::{Translator, invalid};
use crate::abi::{memory, table, vm};

/// What `Vm::operate` is asked for: the operation, its operands, whether it has a result.
fn operation(opcode: Opcode) -> Option<(Operation, usize, bool)> {
    Some(match opcode {
        Opcode::MemoryGrow => (Operation::MemoryGrow, 1, true),
        Opcode::MemoryInit => (Operation::MemoryInit, 3, false),
        Opcode::MemoryCopy => (Operation::MemoryCopy, 3, false),
        Opcode::MemoryFill => (Operation::MemoryFill, 3, false),
        Opcode::DataDrop => (Operation::DataDrop, 0, false),
        Opcode::TableInit => (Operation::TableInit, 3, false),
        Opcode::TableCopy => (Operation::TableCopy, 3, false),
        Opcode::TableGrow => (Operation::TableGrow, 2, true),
        Opcode::TableFill => (Operation::TableFill, 3, false),
        Opcode::ElemDrop => (Operation::ElemDrop, 0, false),
        Opcode::MemoryAtomicNotify => (Operation::AtomicNotify, 2, true),
        Opcode::MemoryAtomicWait32 => (Operation::AtomicWait32, 3, true),
        Opcode::MemoryAtomicWait64 => (Operation::AtomicWait64, 3, true),
        _ => return None,
    })
}

/// Whether `Vm::operate` is asked for it.
pub fn is_operation(opcode: Opcode) -> bool {
    operation(opcode).is_some()
}

impl Translator<'_, '_> {
    /// An operation of the engine. Its operands go along as 64-bit numbers, so that the frame gives
    /// up only those below them: the engine has the rest.
    pub(super) fn operation(&mut self, opcode: Opcode) -> Result<(), CompileError> {
        let immediates = self.operation_immediates(opcode)?;
        self.stop_between(SiteKind::Operation)?;
        let (_, count, _) = operation(opcode).ok_or_else(|| invalid("an operation"))?;
        let operands = self.pop_many(count)?;
        self.operate(opcode, immediates, &operands)
    }

    pub(super) fn operation_immediates(
        &mut self, opcode: Opcode,
    ) -> Result<[u32; 2], CompileError> {
        let mut immediates = [0; 2];
        for (i, immediate) in opcode.row().immediates.iter().enumerate() {
            match immediate.kind {
                ImmediateKind::MemArg { .. } => {
                    let (at, memory) = self.mem_arg()?;
                    immediates = [memory, at.offset];
                }
                _ => immediates[i] = self.index()?,
            }
        }
        Ok(immediates)
    }

    /// Has the engine do an operation.
    pub(super) fn operate(
        &mut self, opcode: Opcode, immediates: [u32; 2], operands: &[Value],
    ) -> Result<(), CompileError> {
        let (operation, _, has_result) =
            operation(opcode).ok_or_else(|| invalid("an operation"))?;
        let code = self.b.ins().iconst(types::I32, i64::from(operation as u16));
        let mut args = vec![self.vm, code];
        for immediate in immediates {
            args.push(self.b.ins().iconst(types::I32, i64::from(immediate)));
        }
        for i in 0..3 {
            args.push(match operands.get(i) {
                Some(&operand) if self.b.func.dfg.value_type(operand) == types::I64 => operand,
                Some(&operand) => self.b.ins().uextend(types::I64, operand),
                None => self.b.ins().iconst(types::I64, 0),
            });
        }
        let site = self.site(SiteKind::Operation)?;
        let signature = self.signatures.operate(self.b.func);
        let target = self.load_vm(vm::OPERATE);
        let target = Target::Address(target);
        let results = self.call_out(CallKind::Operation, site, signature, target, &args)?;
        if has_result {
            let result = self.b.ins().ireduce(types::I32, results[0]);
            self.push(result);
        }
        Ok(())
    }

    /// `atomic.fence`.
    pub(super) fn fence(&mut self) -> Result<(), CompileError> {
        self.byte()?;
        self.b.ins().fence();
        Ok(())
    }

    /// `memory.size`, in wasm pages of 64 KiB.
    pub(super) fn memory_size(&mut self) -> Result<(), CompileError> {
        let bytes = match self.index()? {
            0 => self.load_vm(vm::MEM0_BYTES),
            index => {
                let list = self.load_fixed(self.vm, vm::MEMORIES);
                let view = self.load_fixed(list, entry_of(index)?);
                let flags = self.regions.vm();
                self.b.ins().load(types::I64, flags, view, memory::LEN_BYTES)
            }
        };
        let pages = self.b.ins().ushr_imm_u(bytes, 16);
        let pages = self.b.ins().ireduce(types::I32, pages);
        self.push(pages);
        Ok(())
    }

    /// How many elements a table has, and where they are.
    fn table_view(&mut self, index: u32) -> Result<(Value, Value), CompileError> {
        if let Some(len) = self.fixed_len(index) {
            let len = self.b.ins().iconst(types::I32, i64::from(len));
            let (functions, types) = (self.module.function_count(), self.module.types().len());
            let at = Vm::elements_offset(self.own_globals(), functions, types, index as usize);
            let at = i32::try_from(at).map_err(|_| CompileError::TooLarge)?;
            return Ok((len, self.load_fixed(self.vm, at)));
        }
        let list = self.load_fixed(self.vm, vm::TABLES);
        let view = self.load_fixed(list, entry_of(index)?);
        let flags = self.regions.vm();
        let len = self.b.ins().load(types::I32, flags, view, table::LEN);
        Ok((len, self.b.ins().load(types::I64, flags, view, table::ELEMENTS)))
    }

    /// The size of a table that has no other one, and so never moves. Of an imported table only its
    /// bounds are known, and may be wider than its own.
    fn fixed_len(&self, index: u32) -> Option<u32> {
        let ty = self.module.table_type(index)?;
        let is_own = index >= self.module.imported_tables();
        let is_fixed = is_own && ty.maximum == Some(ty.minimum) && self.tuning.fixed_tables;
        u32::try_from(ty.minimum).ok().filter(|_| is_fixed)
    }

    /// `table.size`.
    pub(super) fn table_size(&mut self) -> Result<(), CompileError> {
        let index = self.index()?;
        let (len, _) = self.table_view(index)?;
        self.push(len);
        Ok(())
    }

    /// Where element `index` is; address 0 behind the end, even if the processor guessed that it is
    /// none.
    fn table_place(&mut self, table: u32, index: Value) -> Result<Value, CompileError> {
        let (len, elements) = self.table_view(table)?;
        let outside = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        let wide = self.b.ins().uextend(types::I64, index);
        let offset = self.b.ins().ishl_imm_u(wide, 2);
        let place = self.b.ins().iadd(elements, offset);
        let null = self.b.ins().iconst(types::I64, 0);
        Ok(self.b.ins().select_spectre_guard(outside, null, place))
    }

    /// Element `index` of a table, or the trap.
    pub(super) fn table_element(
        &mut self, table: u32, index: Value, trap: TrapCode,
    ) -> Result<Value, CompileError> {
        let place = self.table_place(table, index)?;
        let flags = self.regions.table(trap);
        Ok(self.b.ins().load(types::I32, flags, place, 0))
    }

    /// `table.get`.
    pub(super) fn table_get(&mut self) -> Result<(), CompileError> {
        let table = self.index()?;
        let index = self.pop()?;
        let code = self.accesses.table(self.offset);
        let element = self.table_element(table, index, code)?;
        self.push(element);
        Ok(())
    }

    /// `table.set`.
    pub(super) fn table_set(&mut self) -> Result<(), CompileError> {
        let table = self.index()?;
        let value = self.pop()?;
        let index = self.pop()?;
        let place = self.table_place(table, index)?;
        let flags = self.regions.table(self.accesses.table(self.offset));
        self.b.ins().store(flags, value, place, 0);
        Ok(())
    }
}
