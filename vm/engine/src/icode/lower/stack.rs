//! The location stack: where each operand is while the walk stands between two operators.
//!
//! ```text
//! local.get 3   -> Local     nothing is emitted; saved first if local 3 is written meanwhile
//! i32.const 7   -> Constant  nothing is emitted; folded, or an immediate of the consumer
//! i32.add       -> Acc       the accumulator of its class holds the value, and only that
//! call result   -> Slot      the operand's own (canonical) slot holds it
//! ```
//!
//! An accumulator may hold what is in some slot as well (`alias`): after `local.tee` the next use of
//! the local takes the accumulator and does not wait for the store.

use crate::icode::code::with_word;
use crate::icode::types::{Class, Type};
use crate::interp::dispatch::{Handler, handler};
use crate::interp::place::{Acc, Imm, Slot};
use crate::interp::regs::at;
use crate::interp::step::moves::{Constant, ConstantToSlot, Move, MovePair, Only};

use brant_isa::types::V128;

use super::{Last, Lower};

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the accumulator of its class, and nowhere else.
    Acc,
    /// In the operand's canonical slot.
    Slot,
    /// In the slot of a local that has not been written since.
    Local(u32),
    /// Nowhere: the bits of the value.
    Constant(u64),
}

/// An entry of the location stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operand {
    /// Where the value is.
    pub place: Place,
    /// Its type.
    pub ty: Type,
    /// Its canonical slot.
    pub slot: u32,
}

/// What an accumulator holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holding {
    /// The entry of the location stack whose place it is.
    pub owner: Option<u32>,
    /// The slot that holds the same value.
    pub alias: Option<u32>,
}

impl Holding {
    /// Nothing that matters.
    pub const NOTHING: Self = Self { owner: None, alias: None };
}

/// Where a record takes an operand from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The accumulator; the slot that holds the same, if there is one.
    Acc(Option<u16>),
    /// A slot.
    Slot(u16),
    /// A constant.
    Constant(u64),
}

type A = Only<{ at::A }>;

impl Lower<'_> {
    /// Puts an operand on the stack.
    pub(super) fn push(&mut self, place: Place, ty: Type) {
        let slot = self.top;
        self.top += ty.slots();
        self.highest = self.highest.max(self.top);
        if place == Place::Acc {
            let index = self.scratch.stack.len() as u32;
            self.holding[ty.class() as usize] = Holding { owner: Some(index), alias: None };
        }
        self.scratch.stack.push(Operand { place, ty, slot });
    }

    /// Takes the top operand.
    pub(super) fn pop(&mut self) -> Operand {
        let operand = self.scratch.stack.pop().expect("validation counts operands");
        self.top = operand.slot;
        if operand.place == Place::Acc {
            self.holding[operand.ty.class() as usize].owner = None;
        }
        operand
    }

    /// Where a record can take a popped operand from.
    pub(super) fn source(&self, operand: Operand) -> Source {
        let alias = self.holding[operand.ty.class() as usize].alias;
        let near = |slot: u32| match alias == Some(slot) {
            true => Source::Acc(Some(slot as u16)),
            false => Source::Slot(slot as u16),
        };
        match operand.place {
            Place::Acc => Source::Acc(None),
            Place::Slot => near(operand.slot),
            Place::Local(slot) => near(slot),
            Place::Constant(bits) => Source::Constant(bits),
        }
    }

    /// Notes that a slot gets a new value of type `ty`.
    pub(super) fn overwrite(&mut self, slot: u32, ty: Type) {
        for (class, holding) in self.holding.iter_mut().enumerate() {
            let Some(alias) = holding.alias else { continue };
            let end = alias + if class == Class::Vector as usize { 2 } else { 1 };
            if slot < end && alias < slot + ty.slots() {
                holding.alias = None;
            }
        }
    }

    /// Makes the last record, if it has its result in this accumulator, write it to `slot` too.
    pub(super) fn retarget(&mut self, ty: Type, slot: u32) -> bool {
        let Some(Last { to_slot: Some((handler, field)), class, at, made_by, .. }) = self.last
        else {
            return false;
        };
        if class != ty.class() {
            return false;
        }
        self.code.set_handler(at, handler);
        self.code.set_field(at, field, slot as u16);
        self.last = None;
        self.note_addition(at, slot as u16, made_by);
        self.overwrite(slot, ty);
        self.holding[class as usize].alias = Some(slot);
        true
    }

    /// Emits a move of a value from `source` to `slot`, which leaves all accumulators as they are.
    pub(super) fn move_to_slot(&mut self, source: Source, ty: Type, slot: u32) {
        let to = slot as u16;
        match source {
            Source::Acc(_) => {
                let handler = match ty.class() {
                    Class::Int => handler::<Move<i64, Acc, A>>(),
                    Class::Float if ty == Type::F32 => handler::<Move<f32, Acc, A>>(),
                    Class::Float => handler::<Move<f64, Acc, A>>(),
                    Class::Vector => handler::<Move<V128, Acc, A>>(),
                };
                self.emit(handler, [to, 0, 0, 0]);
            }
            Source::Slot(from) if from == to => return,
            Source::Slot(from) if ty.class() == Class::Vector => {
                self.emit(handler::<Move<V128, Slot<{ at::B }>, A>>(), [to, from, 0, 0]);
            }
            Source::Slot(from) => self.move_slot(to, from),
            Source::Constant(bits) => match i32::try_from(bits as i64) {
                Ok(x) => {
                    self.emit(handler::<Move<i64, Imm, A>>(), with_word(to, 0, x as u32));
                }
                Err(_) if bits <= u64::from(u32::MAX) => {
                    self.emit(handler::<Move<i32, Imm, A>>(), with_word(to, 0, bits as u32));
                }
                Err(_) => {
                    self.emit(handler::<ConstantToSlot>(), [to, 0, 0, 0]);
                    self.code.extra(bits);
                }
            },
        }
        self.overwrite(slot, ty);
        if matches!(source, Source::Acc(None)) {
            self.holding[ty.class() as usize].alias = Some(slot);
        }
    }

    /// A move between slots, in one record with the move before it where there is one.
    fn move_slot(&mut self, to: u16, from: u16) {
        if let Some(Last { pair_with: Some((first_to, first_from)), at, .. }) = self.last {
            self.rewind(at);
            self.emit(handler::<MovePair>(), [first_to, first_from, to, from]);
            return;
        }
        let at = self.emit(handler::<Move<i64, Slot<{ at::B }>, A>>(), [to, from, 0, 0]);
        self.last = Some(Last { pair_with: Some((to, from)), ..Last::plain(at, Class::Int) });
    }

    /// Brings the operand at `index` to its canonical slot.
    pub(super) fn spill(&mut self, index: usize) {
        let operand = self.scratch.stack[index];
        match operand.place {
            Place::Slot => return,
            Place::Acc => {
                if !self.retarget(operand.ty, operand.slot) {
                    self.move_to_slot(Source::Acc(None), operand.ty, operand.slot);
                }
                self.holding[operand.ty.class() as usize].owner = None;
            }
            Place::Local(_) | Place::Constant(_) => {
                self.move_to_slot(self.source(operand), operand.ty, operand.slot);
            }
        }
        self.scratch.stack[index].place = Place::Slot;
    }

    /// Frees the accumulator of `class`: what is only there goes to its canonical slot.
    pub(super) fn protect(&mut self, class: Class) {
        if let Some(owner) = self.holding[class as usize].owner {
            self.spill(owner as usize);
        }
    }

    /// Frees all accumulators.
    pub(super) fn protect_all(&mut self) {
        for class in Class::ALL {
            self.protect(class);
        }
    }

    /// Brings the operands from `from` on to their canonical slots.
    pub(super) fn spill_from(&mut self, from: usize) {
        // Accumulators first: the record that fills one may be the last.
        for class in Class::ALL {
            if let Some(owner) = self.holding[class as usize].owner
                && owner as usize >= from
            {
                self.spill(owner as usize);
            }
        }
        for index in from..self.scratch.stack.len() {
            self.spill(index);
        }
    }

    /// As `spill_from(0)`, but constants stay constants: they are the same on all ways to a label.
    pub(super) fn spill_for_label(&mut self, constants_from: usize) {
        self.protect_all();
        let from = self.label_floor();
        for index in from..self.scratch.stack.len() {
            let constant = matches!(self.scratch.stack[index].place, Place::Constant(_));
            if !(constant && index < constants_from) {
                self.spill(index);
            }
        }
    }

    /// Saves operands that refer to the local in `slot`, which is about to be written.
    pub(super) fn save_references(&mut self, slot: u32) {
        for index in self.label_floor()..self.scratch.stack.len() {
            if self.scratch.stack[index].place == Place::Local(slot) {
                self.spill(index);
            }
        }
    }

    /// Whether an operand refers to the local in `slot`.
    pub(super) fn is_referenced(&self, slot: u32) -> bool {
        let entries = &self.scratch.stack[self.label_floor()..];
        entries.iter().any(|operand| operand.place == Place::Local(slot))
    }

    /// Emits a load of `source` to the accumulator of its class, which must be free.
    pub(super) fn load_acc(&mut self, source: Source, ty: Type) {
        let class = ty.class();
        match (source, class) {
            (Source::Acc(_), _) => return,
            (Source::Slot(from), Class::Int) => {
                self.emit(handler::<Move<i64, Slot<{ at::A }>, Acc>>(), [from, 0, 0, 0]);
            }
            (Source::Slot(from), Class::Float) => {
                self.emit(handler::<Move<f64, Slot<{ at::A }>, Acc>>(), [from, 0, 0, 0]);
            }
            (Source::Slot(from), Class::Vector) => {
                self.emit(handler::<Move<V128, Slot<{ at::A }>, Acc>>(), [from, 0, 0, 0]);
            }
            (Source::Constant(bits), Class::Int) => {
                self.emit_constant(handler::<Constant<i64>>(), bits)
            }
            (Source::Constant(bits), _) => self.emit_constant(handler::<Constant<f64>>(), bits),
        }
        self.last = None;
        let alias = match source {
            Source::Slot(slot) => Some(u32::from(slot)),
            _ => None,
        };
        self.holding[class as usize] = Holding { owner: None, alias };
    }

    fn emit_constant(&mut self, handler: Handler, bits: u64) {
        let fields = [bits, bits >> 16, bits >> 32, bits >> 48].map(|field| field as u16);
        self.emit(handler, fields);
    }

    /// Forgets what accumulators hold: control comes from elsewhere too.
    pub(super) fn forget_accumulators(&mut self) {
        self.holding = [Holding::NOTHING; 3];
        (self.last, self.previous, self.added) = (None, None, None);
    }
}
