//! Fusion with the last record: tests into branches, additions into addresses.

use brant_isa::Opcode;

use crate::icode::choice::{self, Form};
use crate::icode::code::{Word, with_word};
use crate::icode::types::{Class, Type};

use super::stack::{Holding, Operand, Place, Source};
use super::{Last, Lower};

/// A condition that a branch is going to test.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    opcode: Opcode,
    sources: [Source; 2],
    /// Whether the branch goes if the comparison does *not* hold.
    inverted: bool,
}

impl Lower<'_> {
    /// The comparison that made `condition`, taken out of the code; else a test for zero.
    pub(super) fn take_test(&mut self, condition: Operand) -> Test {
        if condition.place == Place::Acc
            && let Some(Last { made_by: Some((opcode, sources)), at, .. }) = self.last
            && choice::is_comparison(opcode)
        {
            self.rewind(at);
            self.remember_alias(opcode, sources);
            return self.testable(Test { opcode, sources, inverted: false });
        }
        let source = match self.source(condition) {
            constant @ Source::Constant(_) => self.put_in_slot(condition, constant),
            source => source,
        };
        Test { opcode: Opcode::I32Eqz, sources: [source, source], inverted: true }
    }

    /// After a comparison was taken out, the accumulator holds again what it compared.
    fn remember_alias(&mut self, opcode: Opcode, sources: [Source; 2]) {
        let class = choice::operand_class(opcode);
        self.holding[Class::Int as usize] = Holding::NOTHING;
        for source in sources {
            if let Source::Acc(Some(slot)) = source {
                self.holding[class as usize].alias = Some(u32::from(slot));
            }
        }
    }

    /// Brings constants that do not fit into a branch's record elsewhere.
    fn testable(&mut self, mut test: Test) -> Test {
        let [a, b] = test.sources;
        let Source::Constant(bits) = b else { return test };
        let ty = choice::operand_type(test.opcode);
        let fits = choice::short_immediate(bits, ty).is_some_and(|x| i16::try_from(x).is_ok());
        if fits && ty.class() == Class::Int {
            return test;
        }
        test.sources[1] = match a {
            Source::Slot(_) => {
                self.protect(ty.class());
                self.load_acc(b, ty);
                Source::Acc(None)
            }
            _ => {
                let slot = self.top + 2 * ty.slots();
                self.highest = self.highest.max(slot + 1);
                self.move_to_slot(b, ty, slot);
                Source::Slot(slot as u16)
            }
        };
        test
    }

    /// Emits a branch that goes if `test` gives `sense`; its displacement is left open.
    pub(super) fn emit_test(&mut self, test: Test, sense: bool, back: bool) -> Word {
        let Test { mut opcode, sources: [mut a, mut b], inverted } = test;
        let mut sense = sense != inverted;
        if !sense && let Some(inverse) = choice::inverse(opcode) {
            (opcode, sense) = (inverse, true);
        }
        if choice::is_unary(opcode) {
            let (form, field) = match a {
                Source::Slot(slot) => (Form::S, slot),
                _ => (Form::A, 0),
            };
            let handler = choice::branch(opcode, form, sense, back).expect("branches on zero");
            return self.emit(handler, [field, 0, 0, 0]);
        }
        let must_swap = matches!((a, b), (Source::Slot(_), Source::Acc(_)));
        if must_swap {
            opcode = choice::swapped(opcode).expect("comparisons can be turned around");
            (a, b) = (b, a);
        }
        let (form, x, y) = match (a, b) {
            (Source::Acc(_), Source::Slot(b)) => (Form::AS, b, 0),
            (Source::Acc(_), Source::Constant(bits)) => (Form::AI, 0, bits as u16),
            (Source::Slot(a), Source::Slot(b)) => (Form::SS, a, b),
            (Source::Slot(a), Source::Constant(bits)) => (Form::SI, a, bits as u16),
            (Source::Acc(_), Source::Acc(Some(b))) => (Form::AS, b, 0),
            (Source::Acc(Some(a)), Source::Acc(None)) => {
                opcode = choice::swapped(opcode).expect("comparisons can be turned around");
                (Form::AS, a, 0)
            }
            other => unreachable!("operands of a comparison: {other:?}"),
        };
        let handler = choice::branch(opcode, form, sense, back).expect("a form of comparisons");
        self.emit(handler, with_word(x, y, 0))
    }

    /// `i32.eqz` of the comparison that was emitted last: the inverse comparison.
    pub(super) fn invert_last(&mut self, operand: Operand) -> bool {
        let Some(Last { made_by: Some((opcode, sources)), at, .. }) = self.last else {
            return false;
        };
        let (Place::Acc, Some(inverse)) = (operand.place, choice::inverse(opcode)) else {
            return false;
        };
        if !choice::is_comparison(opcode) {
            return false;
        }
        self.rewind(at);
        self.remember_alias(opcode, sources);
        self.emit_binary(inverse, sources, Type::I32);
        true
    }
}
