//! Fusion with the last record: tests into branches, additions into addresses.

use brant_isa::Opcode;

use crate::icode::choice::{self, Form, LoadTest};
use crate::icode::code::{Word, with_word};
use crate::icode::types::{Class, Type};

use super::stack::{Holding, Operand, Place, Source};
use super::{Added, Last, Lower};
use crate::interp::dispatch::handler;
use crate::interp::step::fused::AddPair;

/// A condition that a branch is going to test.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    opcode: Opcode,
    sources: [Source; 2],
    /// Whether the branch goes if the comparison does *not* hold.
    inverted: bool,
    /// The load that gives the first operand, taken out of the code too.
    load: Option<Load>,
}

/// A load that a branch does by itself.
#[derive(Clone, Copy, Debug)]
struct Load {
    opcode: Opcode,
    address: Source,
    /// What is added to the address.
    memory_offset: u32,
    /// Where the operator is, which is what traps.
    offset: u32,
}

impl Lower<'_> {
    /// The comparison that made `condition`, taken out of the code; else a test for zero.
    pub(super) fn take_test(&mut self, condition: Operand) -> Test {
        if condition.place == Place::Acc
            && let Some(last @ Last { made_by: Some((opcode, sources)), at, .. }) = self.last
        {
            let test = Test { opcode, sources, inverted: false, load: None };
            if choice::is_comparison(opcode) || opcode == Opcode::I32And {
                let previous = self.previous;
                self.rewind(at);
                self.remember_alias(opcode, sources);
                return self.take_operand(test, previous);
            }
            let loaded = Source::Acc(None);
            let is_set =
                Test { opcode: Opcode::I32Eqz, sources: [loaded; 2], inverted: true, load: None };
            if let Some(test) = self.take_load(is_set, last) {
                return test;
            }
        }
        let source = match self.source(condition) {
            constant @ Source::Constant(_) => self.put_in_slot(condition, constant),
            source => source,
        };
        Test { opcode: Opcode::I32Eqz, sources: [source, source], inverted: true, load: None }
    }

    /// What made the first operand of `test`, if it can be part of the branch: a load, or an `and`
    /// that is compared with zero.
    fn take_operand(&mut self, test: Test, previous: Option<Last>) -> Test {
        let Some(previous) = previous else { return self.testable(test) };
        if let Some(test) = self.take_load(test, previous) {
            return test;
        }
        let is_zero = test.opcode == Opcode::I32Eqz && test.sources[0] == Source::Acc(None);
        match previous.made_by {
            Some((Opcode::I32And, sources)) if is_zero => {
                self.rewind(previous.at);
                self.remember_alias(Opcode::I32And, sources);
                let inverted = !test.inverted;
                self.testable(Test { opcode: Opcode::I32And, sources, inverted, load: None })
            }
            _ => self.testable(test),
        }
    }

    /// `test` with the load that gives its first operand, if `last`, the last record, is one.
    fn take_load(&mut self, test: Test, last: Last) -> Option<Test> {
        let (opcode, [address, _]) = last.made_by?;
        let [Source::Acc(None), other] = test.sources else { return None };
        let (comparison, other) = match test.opcode {
            Opcode::I32Eqz => (Opcode::I32Eq, Source::Constant(0)),
            comparison => (comparison, other),
        };
        let with_slot = match other {
            Source::Slot(_) => true,
            Source::Constant(bits) => {
                i16::try_from(bits as i32).ok()?;
                false
            }
            Source::Acc(_) => return None,
        };
        let from_slot = matches!(address, Source::Slot(_));
        LoadTest { load: opcode, comparison, from_slot, with_slot }.handler(false)?;
        let memory_offset = self.code.words()[last.at as usize + 1] >> 32;
        self.rewind(last.at);
        self.holding[Class::Int as usize] = Holding::NOTHING;
        if let Source::Acc(Some(slot)) = address {
            self.holding[Class::Int as usize].alias = Some(u32::from(slot));
        }
        let memory_offset = memory_offset as u32;
        let load = Some(Load { opcode, address, memory_offset, offset: last.offset });
        Some(Test { opcode: comparison, sources: [Source::Acc(None), other], load, ..test })
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
        let Test { mut opcode, sources: [mut a, mut b], inverted, load } = test;
        let mut sense = sense != inverted;
        if !sense && let Some(inverse) = choice::inverse(opcode) {
            (opcode, sense) = (inverse, true);
        }
        if let Some(load) = load {
            return self.emit_load_test(load, opcode, b, back);
        }
        if opcode == Opcode::I32Eqz {
            let comparison = if sense { Opcode::I32Eq } else { Opcode::I32Ne };
            if let Some(record) = self.emit_add_test(comparison, a, Source::Constant(0), back) {
                return record;
            }
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
        if let Some(record) = self.emit_add_test(opcode, a, b, back) {
            return record;
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

    /// Emits the branch of a test that loads.
    fn emit_load_test(&mut self, load: Load, comparison: Opcode, b: Source, back: bool) -> Word {
        let Load { opcode, address, memory_offset, offset } = load;
        let (from_slot, x) = match address {
            Source::Slot(slot) => (true, slot),
            _ => (false, 0),
        };
        let (with_slot, y) = match b {
            Source::Slot(slot) => (true, slot),
            Source::Constant(bits) => (false, bits as u16),
            Source::Acc(_) => unreachable!("`take_load` takes no such test"),
        };
        let test = LoadTest { load: opcode, comparison, from_slot, with_slot };
        let handler = test.handler(back).expect("comparisons of i32 have inverses among them");
        let at_branch = std::mem::replace(&mut self.offset, offset);
        let record = self.emit(handler, with_word(x, y, 0));
        self.offset = at_branch;
        self.code.extra(u64::from(memory_offset));
        record
    }

    /// Emits a branch that compares `a`, if the record before it is the addition that made `a`:
    /// one record for both.
    fn emit_add_test(
        &mut self, comparison: Opcode, a: Source, b: Source, back: bool,
    ) -> Option<Word> {
        let added = self.added.filter(|added| added.at + 2 == self.code.here())?;
        let (Source::Acc(Some(slot)) | Source::Slot(slot)) = a else { return None };
        let (with_slot, y) = match b {
            Source::Slot(slot) => (true, slot),
            Source::Constant(bits) => (false, i16::try_from(bits as i32).ok()? as u16),
            Source::Acc(_) => return None,
        };
        let handler =
            choice::add_branch(comparison, with_slot, back).filter(|_| slot == added.to)?;
        self.rewind(added.at);
        let record = self.emit(handler, with_word(added.to, y, 0));
        self.code.extra(u64::from(added.constant as u32) | u64::from(added.from) << 32);
        Some(record)
    }

    /// Keeps in mind that the record at `at` was an addition to a slot; melts two of them into one.
    pub(super) fn note_addition(
        &mut self, at: Word, to: u16, made_by: Option<(Opcode, [Source; 2])>,
    ) {
        let before = self.added.take();
        let Some((opcode, [Source::Slot(from) | Source::Acc(Some(from)), constant])) = made_by
        else {
            return;
        };
        let constant = match (opcode, constant) {
            (Opcode::I32Add, Source::Constant(constant)) => constant as i32,
            (Opcode::I32Sub, Source::Constant(constant)) => (constant as i32).wrapping_neg(),
            _ => return,
        };
        match before {
            Some(before) if before.at + 2 == at => {
                self.rewind(before.at);
                self.emit(handler::<AddPair>(), [before.to, before.from, to, from]);
                let first = u64::from(before.constant as u32);
                self.code.extra(first | u64::from(constant as u32) << 32);
            }
            _ => self.added = Some(Added { at, to, from, constant }),
        }
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
