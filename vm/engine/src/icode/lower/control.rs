//! Blocks and branches. The results of a block are in canonical slots where it ends.

use crate::icode::choice;
use crate::icode::code::{Word, with_word};
use crate::icode::types::{Class, Type};
use crate::interp::dispatch::handler;
use crate::interp::place::{Acc, Imm, Slot};
use crate::interp::regs::{RECORD_BYTES, at};
use crate::interp::step::branch::{Back, BranchTable, Forward, Jump};
use crate::interp::step::call::{Return, ReturnMany, ReturnOne};
use crate::interp::step::special::Unreachable;
use crate::site::SiteKind;

use brant_isa::types::V128;

use super::Lower;
use super::stack::{Operand, Place, Source};

/// What a label was opened by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LabelKind {
    /// The function itself: branches return.
    Function,
    /// Branches go forward, to its end.
    Block,
    /// Branches go back, to its header.
    Loop,
    /// As a block; its condition jumps to the `else` or to the end.
    If,
}

/// Parameters and results of a block.
#[derive(Clone, Copy, Debug)]
pub enum BlockType {
    /// None.
    Empty,
    /// One result.
    Value(Type),
    /// A type of the module.
    Signature(u32),
}

const END: u8 = 0x0B;
const RETURN: u8 = 0x0F;

/// No fixup: the end of a list.
const NONE: u32 = u32::MAX;

/// An open block.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// What opened it.
    pub kind: LabelKind,
    /// Entries of the location stack below its parameters.
    pub height: u32,
    /// Slot of its first parameter, and of its first result.
    base: u32,
    ty: BlockType,
    /// First record of a loop.
    header: Word,
    /// Jumps to the end that wait for its address.
    to_end: u32,
    /// The jump of an `if` that wait for the address of its `else`.
    to_else: u32,
    /// Where a jump table's way to this label is, while the table is written.
    trampoline: u32,
}

/// A displacement that waits for its target.
#[derive(Clone, Copy, Debug)]
pub struct Fixup {
    /// Byte in the buffer.
    at: u32,
    /// The record that displacements count from.
    from: Word,
    /// The next one of the same label.
    next: u32,
    /// Whether the record is an unconditional jump, which may become something else.
    is_jump: bool,
}

impl Label {
    /// The label around a body.
    pub fn function(type_index: u32, base: u32) -> Self {
        Self::new(LabelKind::Function, 0, base, BlockType::Signature(type_index))
    }
    fn new(kind: LabelKind, height: u32, base: u32, ty: BlockType) -> Self {
        let (header, to_end, to_else, trampoline) = (0, NONE, NONE, NONE);
        Self { kind, height, base, ty, header, to_end, to_else, trampoline }
    }
}

/// Which list of a label a jump joins.
#[derive(Clone, Copy)]
enum To {
    End,
    Else,
}

impl<'a> Lower<'a> {
    fn block_type(&mut self) -> BlockType {
        match self.reader.peek() {
            0x40 => {
                self.reader.byte();
                BlockType::Empty
            }
            byte => match Type::from_byte(byte) {
                Some(ty) => {
                    self.reader.byte();
                    BlockType::Value(ty)
                }
                None => BlockType::Signature(self.reader.signed() as u32),
            },
        }
    }

    /// Types of a block's parameters.
    fn params(&self, ty: BlockType) -> &'a [Type] {
        match ty {
            BlockType::Signature(index) => self.context.signature(index).params,
            _ => &[],
        }
    }

    /// Number and types of a block's results; a single one is given by value.
    fn result_count(&self, ty: BlockType) -> usize {
        match ty {
            BlockType::Empty => 0,
            BlockType::Value(_) => 1,
            BlockType::Signature(index) => self.context.signature(index).results.len(),
        }
    }

    fn push_results(&mut self, ty: BlockType) {
        match ty {
            BlockType::Empty => {}
            BlockType::Value(ty) => self.push(Place::Slot, ty),
            BlockType::Signature(index) => {
                for &ty in self.context.signature(index).results {
                    self.push(Place::Slot, ty);
                }
            }
        }
    }

    /// How many values a branch to `label` carries.
    fn arity(&self, label: &Label) -> usize {
        match label.kind {
            LabelKind::Loop => self.params(label.ty).len(),
            _ => self.result_count(label.ty),
        }
    }

    /// `block`, `loop`: everything below goes to canonical slots, so that all ways agree.
    pub(super) fn open(&mut self, kind: LabelKind) {
        let ty = self.block_type();
        let height = self.scratch.stack.len() - self.params(ty).len();
        self.spill_for_label(height);
        let base = self.scratch.stack.get(height).map_or(self.top, |operand| operand.slot);
        let mut label = Label::new(kind, height as u32, base, ty);
        if kind == LabelKind::Loop {
            self.forget_accumulators();
            if self.loop_header == Some(self.code.here()) {
                self.part_loops();
            }
            label.header = self.code.here();
            self.loop_header = Some(label.header);
            self.site(SiteKind::Loop);
            self.start_block();
        }
        self.scratch.labels.push(label);
    }

    /// Keeps the header of a loop that begins where another one does from being the same record: a
    /// run that comes back to one of them must stand at that one's site, as in compiled code.
    #[cold]
    fn part_loops(&mut self) {
        let record = self.emit(handler::<Jump<Forward>>(), [0; 4]);
        let displacement = (self.code.here() - record) * 8;
        self.code.set_u32(record * 8 + at::WORD as u32, displacement);
    }

    /// `if`.
    pub(super) fn open_if(&mut self) {
        let condition = self.pop();
        let test = self.take_test(condition);
        let ty = self.block_type();
        let height = self.scratch.stack.len() - self.params(ty).len();
        self.spill_for_label(height);
        let base = self.scratch.stack.get(height).map_or(self.top, |operand| operand.slot);
        self.scratch.labels.push(Label::new(LabelKind::If, height as u32, base, ty));
        let depth = self.scratch.labels.len() - 1;
        let record = self.emit_test(test, false, false);
        self.fixup(record, record * 8 + at::WORD as u32, depth, To::Else);
        self.start_numbered_block();
    }

    /// `else`, at the end of a reachable first branch.
    pub(super) fn open_else(&mut self) {
        let depth = self.scratch.labels.len() - 1;
        let label = self.scratch.labels[depth];
        let from = self.scratch.stack.len() - self.result_count(label.ty);
        self.spill_from(from);
        self.jump(depth);
        self.begin_else();
    }

    fn begin_else(&mut self) {
        let depth = self.scratch.labels.len() - 1;
        let label = &mut self.scratch.labels[depth];
        let list = std::mem::replace(&mut label.to_else, NONE);
        let label = *label;
        self.scratch.labels[depth].kind = LabelKind::Block;
        self.unwind(&label);
        for &ty in self.params(label.ty) {
            self.push(Place::Slot, ty);
        }
        self.bind(list);
        self.start_numbered_block();
    }

    /// `end`; `reachable` says whether the code before it can get here.
    pub(super) fn close(&mut self, reachable: bool) {
        let depth = self.scratch.labels.len() - 1;
        let label = self.scratch.labels[depth];
        if label.kind == LabelKind::Function {
            if reachable {
                self.return_results();
            }
            self.scratch.labels.pop();
            return;
        }
        if reachable {
            let from = self.scratch.stack.len() - self.result_count(label.ty);
            self.spill_from(from);
        }
        self.scratch.labels.pop();
        self.unwind(&label);
        self.push_results(label.ty);
        let to_end = self.return_early(&label);
        let joins = to_end != NONE || label.to_else != NONE;
        self.bind(to_end);
        // An `if` without `else` has equal parameters and results, in the same slots.
        self.bind(label.to_else);
        if joins || !reachable {
            self.forget_accumulators();
            self.start_numbered_block();
        }
    }

    /// Turns jumps to the end of `label`, if a return follows there, into returns; gives the rest.
    fn return_early(&mut self, label: &Label) -> u32 {
        let results = self.results_of_function();
        let at_end = self.scratch.labels.len() == 1 && self.reader.peek() == END;
        let returns = at_end || self.reader.peek() == RETURN;
        if !returns || self.result_count(label.ty) != results.len() || self.counts_fuel() {
            return label.to_end;
        }
        let (header, base) = (self.header as u16, label.base as u16);
        type B = Slot<{ at::B }>;
        let (handler, fields) = match results {
            [] => (handler::<Return>(), [header, 0, 0, 0]),
            [ty] => match ty.class() {
                Class::Int => (handler::<ReturnOne<i64, B>>(), [header, base, 0, 0]),
                Class::Float => (handler::<ReturnOne<f64, B>>(), [header, base, 0, 0]),
                Class::Vector => (handler::<ReturnOne<V128, B>>(), [header, base, 0, 0]),
            },
            _ => return label.to_end,
        };
        let (mut list, mut rest) = (label.to_end, NONE);
        while list != NONE {
            let fixup = &mut self.scratch.fixups[list as usize];
            let next = fixup.next;
            if fixup.is_jump {
                self.code.replace(fixup.from, handler, fields);
            } else {
                fixup.next = rest;
                rest = list;
            }
            list = next;
        }
        rest
    }

    /// Forgets the operands of a block.
    fn unwind(&mut self, label: &Label) {
        self.scratch.stack.truncate(label.height as usize);
        self.top = label.base;
        for holding in &mut self.holding {
            if holding.owner.is_some_and(|owner| owner >= label.height) {
                holding.owner = None;
            }
        }
    }

    /// Goes over code that cannot be reached, to the `else` or `end` of the innermost block.
    pub(super) fn skip_unreachable(&mut self) {
        let mut nested = 0u32;
        while !self.reader.is_at_end() {
            self.offset = self.reader.position() as u32;
            match self.reader.byte() {
                0x02..=0x04 => {
                    self.block_type();
                    nested += 1;
                }
                0x05 if nested == 0 => {
                    self.forget_accumulators();
                    self.begin_else();
                    return;
                }
                0x0B if nested == 0 => {
                    self.forget_accumulators();
                    self.close(false);
                    return;
                }
                0x0B => nested -= 1,
                code => self.skip_immediates(code),
            }
        }
    }

    fn label_depth(&mut self) -> usize {
        let relative = self.reader.index() as usize;
        self.scratch.labels.len() - 1 - relative
    }

    /// `br`.
    pub(super) fn branch(&mut self) {
        let depth = self.label_depth();
        self.branch_to(depth);
        self.skip_unreachable();
    }

    /// Carries the values of a branch and jumps.
    fn branch_to(&mut self, depth: usize) {
        let label = self.scratch.labels[depth];
        if label.kind == LabelKind::Function {
            self.return_results();
            return;
        }
        self.carry(&label);
        self.jump(depth);
    }

    /// Moves the values that a branch to `label` carries to where they are wanted.
    fn carry(&mut self, label: &Label) {
        let arity = self.arity(label);
        let from = self.scratch.stack.len() - arity;
        let first = self.scratch.stack.get(from).map_or(self.top, |operand| operand.slot);
        if first == label.base {
            self.spill_from(from);
            return;
        }
        // A result in an accumulator can go right there if its record is the last.
        let mut to = label.base;
        for index in from..self.scratch.stack.len() {
            let operand = self.scratch.stack[index];
            let retargeted =
                arity == 1 && operand.place == Place::Acc && self.retarget(operand.ty, to);
            if !retargeted {
                self.move_to_slot(self.source(operand), operand.ty, to);
            }
            to += operand.ty.slots();
        }
    }

    /// Whether a branch to `label` has nothing to move.
    fn carries_nothing(&self, label: &Label) -> bool {
        let arity = self.arity(label);
        let from = self.scratch.stack.len() - arity;
        arity == 0
            || self.scratch.stack[from].slot == label.base
                && self.scratch.stack[from..].iter().all(|operand| operand.place == Place::Slot)
    }

    /// `br_if`.
    pub(super) fn branch_if(&mut self) {
        let depth = self.label_depth();
        let condition = self.pop();
        if let Place::Constant(bits) = condition.place {
            if bits as u32 != 0 {
                self.branch_to(depth);
                return self.skip_unreachable();
            }
            // Where fuel is counted a thread can stop behind it, and where it would have led to.
            if !self.counts_fuel() {
                return;
            }
        }
        let test = self.take_test(condition);
        let label = self.scratch.labels[depth];
        if label.kind != LabelKind::Function {
            let arity = self.arity(&label);
            let from = self.scratch.stack.len() - arity;
            if arity > 0 && self.scratch.stack[from].slot == label.base {
                // Values stay on the stack if the branch is not taken: their own slots will do.
                self.spill_from(from);
            }
            if self.carries_nothing(&label) {
                let back = label.kind == LabelKind::Loop;
                let record = self.emit_test(test, true, back);
                self.aim(record, record * 8 + at::WORD as u32, depth);
                self.start_numbered_block();
                return;
            }
        }
        if label.kind == LabelKind::Function && self.arity(&label) > 1 {
            // A return of several brings them to their slots, which must hold on both ways.
            let from = self.scratch.stack.len() - self.arity(&label);
            self.spill_from(from);
        }
        // What is only in an accumulator is wanted on both ways.
        self.spill_carried(&label);
        let record = self.emit_test(test, false, false);
        let (holding, stack) = (self.holding, self.scratch.stack.len());
        self.start_block();
        self.branch_to(depth);
        debug_assert_eq!(stack, self.scratch.stack.len());
        let displacement = (self.code.here() - record) * 8;
        self.code.set_u32(record * 8 + at::WORD as u32, displacement);
        self.last = None;
        self.holding = holding;
        self.start_numbered_block();
    }

    /// Frees accumulators that belong to values which a conditional branch may carry.
    fn spill_carried(&mut self, label: &Label) {
        let from = self.scratch.stack.len() - self.arity(label);
        for class in Class::ALL {
            if self.holding[class as usize].owner.is_some_and(|owner| owner as usize >= from) {
                self.protect(class);
            }
        }
    }

    /// `br_table`. Ways that need more than a jump get records behind the table.
    pub(super) fn branch_table(&mut self) {
        let count = self.reader.index();
        let mut targets = std::mem::take(&mut self.scratch.targets);
        targets.clear();
        for _ in 0..=count {
            if self.reader.is_at_end() {
                break;
            }
            let depth = self.label_depth();
            targets.push(depth as u32);
        }
        let index = self.pop();
        let source = self.source(index);
        let arity = self.arity(&self.scratch.labels[targets[0] as usize]);
        let from = self.scratch.stack.len() - arity;
        let source = match (source, arity) {
            (Source::Constant(_), _) => self.put_in_slot(index, source),
            // The moves below may take the accumulator's alias away, never its value.
            (source, _) => source,
        };
        self.spill_from(from);
        let last = (targets.len() - 1) as u32;
        let record = match source {
            Source::Acc(_) => self.emit(handler::<BranchTable<Acc>>(), with_word(0, 0, last)),
            Source::Slot(slot) => {
                let fields = with_word(slot, 0, last);
                self.emit(handler::<BranchTable<Slot<{ at::A }>>>(), fields)
            }
            Source::Constant(_) => unreachable!("a constant index was put into a slot"),
        };
        for _ in 0..targets.len().div_ceil(2) {
            self.code.extra(0);
        }
        for (i, &depth) in targets.iter().enumerate() {
            let entry = record * 8 + (RECORD_BYTES + 4 * i) as u32;
            self.table_entry(record, entry, depth as usize);
        }
        for &depth in &targets {
            self.scratch.labels[depth as usize].trampoline = NONE;
        }
        self.scratch.targets = targets;
        self.skip_unreachable();
    }

    fn table_entry(&mut self, record: Word, entry: u32, depth: usize) {
        let label = self.scratch.labels[depth];
        let direct = matches!(label.kind, LabelKind::Block | LabelKind::If);
        if direct && self.carries_nothing(&label) {
            self.fixup(record, entry, depth, To::End);
            return;
        }
        let trampoline = match label.trampoline {
            NONE => {
                let here = self.code.here();
                self.scratch.labels[depth].trampoline = here;
                let holding = self.holding;
                self.branch_to(depth);
                self.holding = holding;
                self.last = None;
                here
            }
            trampoline => trampoline,
        };
        self.code.set_u32(entry, (trampoline - record) * 8);
    }

    /// Emits a jump to a label.
    fn jump(&mut self, depth: usize) {
        let back = self.scratch.labels[depth].kind == LabelKind::Loop;
        let record = match back {
            true => self.emit(handler::<Jump<Back>>(), [0; 4]),
            false => self.emit(handler::<Jump<Forward>>(), [0; 4]),
        };
        let at = record * 8 + at::WORD as u32;
        self.aim(record, at, depth);
        if !back && let Some(fixup) = self.scratch.fixups.last_mut() {
            fixup.is_jump = true;
        }
    }

    /// Lets the displacement at byte `at` lead to a label.
    fn aim(&mut self, record: Word, at: u32, depth: usize) {
        let label = self.scratch.labels[depth];
        match label.kind {
            LabelKind::Loop => {
                let displacement = (label.header as i32 - record as i32) * 8;
                self.code.set_u32(at, displacement as u32);
            }
            _ => self.fixup(record, at, depth, To::End),
        }
    }

    fn fixup(&mut self, from: Word, at: u32, depth: usize, to: To) {
        let new = self.scratch.fixups.len() as u32;
        let label = &mut self.scratch.labels[depth];
        let list = match to {
            To::End => &mut label.to_end,
            To::Else => &mut label.to_else,
        };
        let next = std::mem::replace(list, new);
        self.scratch.fixups.push(Fixup { at, from, next, is_jump: false });
    }

    /// Lets all jumps of a list lead here.
    fn bind(&mut self, mut list: u32) {
        if list != NONE {
            self.forget_accumulators();
        }
        while list != NONE {
            let Fixup { at, from, next, .. } = self.scratch.fixups[list as usize];
            self.code.set_u32(at, (self.code.here() - from) * 8);
            list = next;
        }
    }

    /// Returns the values at the top of the stack, which stay there.
    pub(super) fn return_results(&mut self) {
        let results = self.results_of_function();
        let header = self.header as u16;
        let from = self.scratch.stack.len() - results.len();
        match results {
            [] => {
                self.emit(handler::<Return>(), [header, 0, 0, 0]);
            }
            [ty] => {
                let operand = self.scratch.stack[from];
                self.return_one(operand, *ty);
            }
            _ => {
                self.spill_from(from);
                let first = self.scratch.stack[from].slot;
                let count = self.top - first;
                self.emit(handler::<ReturnMany>(), [header, first as u16, count as u16, 0]);
            }
        }
    }

    fn results_of_function(&self) -> &'a [Type] {
        match self.scratch.labels[0].ty {
            BlockType::Signature(index) => self.context.signature(index).results,
            _ => &[],
        }
    }

    fn return_one(&mut self, operand: Operand, ty: Type) {
        type B = Slot<{ at::B }>;
        let header = self.header as u16;
        let (field, source) = match self.source(operand) {
            Source::Constant(bits) => match int_immediate(bits, ty) {
                Some(imm) => (0, Some(imm)),
                None => {
                    let Source::Slot(slot) = self.put_in_slot(operand, Source::Constant(bits))
                    else {
                        unreachable!("constants were moved to a slot");
                    };
                    (slot, None)
                }
            },
            Source::Slot(slot) => (slot, None),
            Source::Acc(_) => {
                let handler = match ty.class() {
                    Class::Int => handler::<ReturnOne<i64, Acc>>(),
                    Class::Float => handler::<ReturnOne<f64, Acc>>(),
                    Class::Vector => handler::<ReturnOne<V128, Acc>>(),
                };
                self.emit(handler, [header, 0, 0, 0]);
                return;
            }
        };
        match (source, ty.class()) {
            (Some(imm), _) if ty == Type::I64 => {
                self.emit(handler::<ReturnOne<i64, Imm>>(), with_word(header, 0, imm as u32))
            }
            (Some(imm), _) => {
                self.emit(handler::<ReturnOne<i32, Imm>>(), with_word(header, 0, imm as u32))
            }
            (_, Class::Int) => self.emit(handler::<ReturnOne<i64, B>>(), [header, field, 0, 0]),
            (_, Class::Float) => self.emit(handler::<ReturnOne<f64, B>>(), [header, field, 0, 0]),
            (_, Class::Vector) => self.emit(handler::<ReturnOne<V128, B>>(), [header, field, 0, 0]),
        };
    }

    /// `return`.
    pub(super) fn return_now(&mut self) {
        self.return_results();
        self.skip_unreachable();
    }

    /// `unreachable`.
    pub(super) fn unreachable(&mut self) {
        self.emit(handler::<Unreachable>(), [0; 4]);
        self.skip_unreachable();
    }
}

/// A constant that a return can carry in its record.
fn int_immediate(bits: u64, ty: Type) -> Option<i32> {
    choice::short_immediate(bits, ty).filter(|_| ty.class() == Class::Int)
}
