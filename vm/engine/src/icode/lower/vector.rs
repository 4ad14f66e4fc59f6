//! Operators behind the byte 0xFD: vectors, and their relaxed twins.

use brant_isa::{ImmediateKind, Opcode};

use crate::icode::choice::{self, CHECKED, Pair, VARIANTS};
use crate::icode::types::{Class, Type};
use crate::interp::regs::at;

use super::stack::Source;
use super::{Lower, result_type};

/// The code of `v128.const`, which is no operator.
const V128_CONST: u32 = 12;

impl Lower<'_> {
    /// Lowers a vector operator.
    pub(super) fn vector(&mut self) {
        let code = self.reader.index();
        if code == V128_CONST {
            return self.constant_v128();
        }
        let opcode = Opcode::decode(Some(0xFD), code).expect("validation knows every operator");
        let row = opcode.row();
        let kinds = row.immediates.iter().map(|immediate| immediate.kind);
        let lane = kinds.clone().any(|kind| matches!(kind, ImmediateKind::Lane { .. }));
        let memory = kinds.clone().any(|kind| matches!(kind, ImmediateKind::MemArg { .. }));
        let shuffle = kinds.clone().any(|kind| kind == ImmediateKind::Shuffle);
        match (memory, lane, row.operand_kinds.len()) {
            (true, true, _) => self.memory_lane(opcode),
            (true, false, 1) => self.load(Some(opcode)),
            (true, false, _) => self.store(Some(opcode)),
            (false, true, 1) => {
                let lane = u16::from(self.reader.byte());
                self.unary(opcode);
                self.set_last_field(at::D, lane);
            }
            (false, true, _) => {
                let lane = u16::from(self.reader.byte());
                self.binary(opcode);
                self.set_last_field(at::D, lane);
            }
            (false, false, 1) => self.unary(opcode),
            (false, false, 2) if shuffle => {
                let [low, high] =
                    [self.reader.array(), self.reader.array()].map(u64::from_le_bytes);
                self.binary(opcode);
                self.code.extra(low);
                self.code.extra(high);
            }
            (false, false, 2) => self.binary(opcode),
            _ => self.ternary(opcode),
        }
    }

    /// Sets a field of the record that was just emitted.
    fn set_last_field(&mut self, at: usize, value: u16) {
        let record = self.last.expect("an operator with a result was emitted").at;
        self.code.set_field(record, at, value);
    }

    /// An operator of three vectors.
    fn ternary(&mut self, opcode: Opcode) {
        let [c, b, a] = [self.pop(), self.pop(), self.pop()];
        let result = result_type(opcode);
        // The first operand can stay in the accumulator; the others' moves leave it alone.
        let in_acc = self.source(a) == Source::Acc(None);
        let c = self.operand_in_slot(c);
        let b = self.operand_in_slot(b);
        if in_acc {
            let pair = VARIANTS[opcode as usize][0].expect("operators of three have this form");
            self.emit_result(pair, [b, c, 0, 0], at::C, result);
            return;
        }
        let a = self.operand_in_slot(a);
        self.protect(Class::Vector);
        let pair = VARIANTS[opcode as usize][1].expect("operators of three have this form");
        self.emit_result(pair, [a, b, c, 0], at::D, result);
    }

    /// A load or a store of one lane.
    fn memory_lane(&mut self, opcode: Opcode) {
        let access = self.memory_operand();
        let lane = u16::from(self.reader.byte());
        let value = self.pop();
        let address = self.pop();
        let address = self.operand_in_slot(address);
        let value = self.operand_in_slot(value);
        let checked = self.must_check(&access);
        let pair: Pair = match checked {
            true => CHECKED[opcode as usize].expect("accesses have a checked form"),
            false => VARIANTS[opcode as usize][choice::Form::SS.0].expect("a form of slots"),
        };
        let fields = [address, value, 0, lane];
        match opcode.row().result_kind {
            Some(_) => {
                self.protect(Class::Vector);
                self.emit_result(pair, fields, at::C, Type::V128);
            }
            None => {
                self.emit(pair.to_acc, fields);
            }
        }
        if checked {
            self.code.extra(access.offset);
            self.code.extra(self.context.memory(access.memory) as u64);
        }
        self.code.extra(access.offset);
    }

    /// Goes over the immediates of a vector operator that cannot be reached.
    pub(super) fn skip_vector_immediates(&mut self) {
        let code = self.reader.index();
        if code == V128_CONST {
            self.reader.array::<16>();
            return;
        }
        let Some(opcode) = Opcode::decode(Some(0xFD), code) else { return };
        for immediate in opcode.row().immediates {
            match immediate.kind {
                ImmediateKind::MemArg { .. } => {
                    self.memory_operand();
                }
                ImmediateKind::Lane { .. } => {
                    self.reader.byte();
                }
                _ => {
                    self.reader.array::<16>();
                }
            }
        }
    }
}
