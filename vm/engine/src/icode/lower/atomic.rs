//! Operators behind the byte 0xFE: atomic accesses, waiting and waking.

use brant_isa::Opcode;

use crate::icode::Operation;
use crate::icode::choice::CHECKED;
use crate::icode::types::Type;
use crate::interp::dispatch::handler;
use crate::interp::regs::at;
use crate::interp::step::special::Fence;

use super::Lower;
use super::operator::result_type;

/// The code of `atomic.fence`, which has a reserved byte behind it.
const FENCE: u32 = 3;

impl Lower<'_> {
    /// Lowers an operator on shared memory.
    pub(super) fn atomic(&mut self) {
        let code = self.reader.index();
        let opcode = Opcode::decode(Some(0xFE), code).expect("validation knows every operator");
        match opcode {
            Opcode::MemoryAtomicNotify => self.wait(Operation::AtomicNotify, 2),
            Opcode::MemoryAtomicWait32 => self.wait(Operation::AtomicWait32, 3),
            Opcode::MemoryAtomicWait64 => self.wait(Operation::AtomicWait64, 3),
            Opcode::AtomicFence => {
                self.reader.byte();
                self.emit(handler::<Fence>(), [0; 4]);
            }
            _ => self.atomic_access(opcode),
        }
    }

    fn wait(&mut self, operation: Operation, operands: usize) {
        let access = self.memory_operand();
        // Memories with 64-bit addresses are not supported, so that the offset has 32 bits.
        let immediates = [access.memory, access.offset as u32];
        self.runtime(operation, operands, Some(Type::I32), immediates);
    }

    /// All operands from slots, and the address checked.
    fn atomic_access(&mut self, opcode: Opcode) {
        let access = self.memory_operand();
        let mut fields = [0; 4];
        let count = opcode.row().operand_kinds.len();
        for field in fields[..count].iter_mut().rev() {
            let operand = self.pop();
            *field = self.operand_in_slot(operand);
        }
        let pair = CHECKED[opcode as usize].expect("accesses have a checked form");
        match opcode.row().result_kind {
            Some(_) => {
                let result = result_type(opcode);
                self.protect(result.class());
                let to = [at::A, at::B, at::C, at::D][count];
                self.emit_result(pair, fields, to, result);
            }
            None => {
                self.emit(pair.to_acc, fields);
            }
        }
        self.code.extra(access.offset);
        self.code.extra(self.context.memory(access.memory) as u64);
    }

    /// Goes over the immediates of an operator that cannot be reached.
    pub(super) fn skip_atomic_immediates(&mut self) {
        match self.reader.index() {
            FENCE => {
                self.reader.byte();
            }
            _ => {
                self.memory_operand();
            }
        }
    }
}
