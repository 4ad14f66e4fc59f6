//! Locals, globals, constants, `select`, `drop`.

use crate::icode::code::with_word;
use crate::icode::types::{Class, Type};
use crate::icode::{GlobalPlace, choice};
use crate::interp::dispatch::{Handler, handler};
use crate::interp::place::{self, Acc, Short, ShortAt, Slot};
use crate::interp::regs::at;
use crate::interp::step::moves::{Constant, GlobalGet, GlobalSet, Imported, Own, Select};

use brant_isa::types::V128;

use super::stack::{Holding, Operand, Place, Source};
use super::{Last, Lower};
use crate::icode::choice::Pair;

type A = Slot<{ at::A }>;
type B = Slot<{ at::B }>;
type C = Slot<{ at::C }>;
type D = Slot<{ at::D }>;
type ShortA = ShortAt<{ at::A }>;

/// A handler for each class, generic over the type of its values.
macro_rules! by_class {
    ($class:expr, $step:ident<$($place:ty),*>) => {
        match $class {
            Class::Int => handler::<$step<i64, $($place),*>>(),
            Class::Float => handler::<$step<f64, $($place),*>>(),
            Class::Vector => handler::<$step<V128, $($place),*>>(),
        }
    };
}

impl Lower<'_> {
    /// `local.get`: nothing is emitted.
    pub(super) fn local_get(&mut self) {
        let index = self.reader.index();
        let (ty, slot) = self.local(index);
        self.push(Place::Local(slot), ty);
    }

    /// `local.set`, and `local.tee` if `keep`.
    pub(super) fn local_set(&mut self, keep: bool) {
        let index = self.reader.index();
        let (ty, slot) = self.local(index);
        let operand = self.pop();
        let from_last = operand.place == Place::Acc
            && self.last.is_some_and(|last| last.to_slot.is_some() && last.class == ty.class());
        if self.is_referenced(slot) {
            if from_last {
                self.save_before_last(slot);
            } else {
                self.save_references(slot);
            }
        }
        if !(from_last && self.retarget(ty, slot)) {
            let source = self.source(operand);
            self.move_to_slot(source, ty, slot);
        }
        if keep {
            self.push(Place::Local(slot), ty);
        }
    }

    /// Saves references to a local in front of the last record, which shall write the local.
    fn save_before_last(&mut self, slot: u32) {
        let Some(last) = self.last else { return };
        let (words, count) = self.code.take(last.at);
        // The accumulator has its old value again, which may be that of the local.
        let holding = self.holding;
        self.rewind(last.at);
        self.forget_accumulators();
        self.save_references(slot);
        // What moves overwrote is nobody's alias any more; the saved operands lie there.
        self.holding = holding.map(|holding| Holding { alias: None, ..holding });
        // It is still the operator that it was: where it traps is in a backtrace.
        let at = self.emit_words(&words[..count], last.offset);
        self.last = Some(Last { at, ..last });
    }

    fn emit_words(&mut self, words: &[u64], offset: u32) -> u32 {
        self.previous = None;
        let at = self.code.here();
        for &word in words {
            self.code.extra(word);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.record(at, offset);
        }
        at
    }

    /// `drop`.
    pub(super) fn drop_operand(&mut self) {
        self.pop();
    }

    /// `v128.const`.
    pub(super) fn constant_v128(&mut self) {
        let bytes: [u8; 16] = self.reader.array();
        let bits = u128::from_le_bytes(bytes);
        self.protect(Class::Vector);
        let fields = [bits, bits >> 16, bits >> 32, bits >> 48].map(|field| field as u16);
        self.emit(handler::<Constant<V128>>(), fields);
        self.code.extra((bits >> 64) as u64);
        self.holding[Class::Vector as usize].alias = None;
        self.push(Place::Acc, Type::V128);
    }

    /// `global.get`.
    pub(super) fn global_get(&mut self) {
        let (ty, place) = self.context.global(self.reader.index());
        self.protect(ty.class());
        let class = ty.class();
        let (pair, word, extra) = match place {
            GlobalPlace::Own(offset) => {
                let pair = Pair {
                    to_acc: by_class!(class, GlobalGet<Own, Acc>),
                    to_slot: by_class!(class, GlobalGet<Own, A>),
                };
                (pair, offset, None)
            }
            GlobalPlace::Imported(cell) => {
                let pair = Pair {
                    to_acc: by_class!(class, GlobalGet<Imported, Acc>),
                    to_slot: by_class!(class, GlobalGet<Imported, A>),
                };
                (pair, 0, Some(cell))
            }
        };
        self.emit_result(pair, with_word(0, 0, word), at::A, ty);
        if let Some(cell) = extra {
            self.code.extra(cell as u64);
        }
    }

    /// `global.set`.
    pub(super) fn global_set(&mut self) {
        let (ty, place) = self.context.global(self.reader.index());
        let operand = self.pop();
        let source = match self.source(operand) {
            constant @ Source::Constant(_) => {
                self.protect(ty.class());
                self.load_acc(constant, ty);
                Source::Acc(None)
            }
            source => source,
        };
        let class = ty.class();
        let slot = if let Source::Slot(slot) = source { Some(slot) } else { None };
        match place {
            GlobalPlace::Own(offset) => {
                let handler: Handler = match slot {
                    None => by_class!(class, GlobalSet<Own, Acc>),
                    Some(_) => by_class!(class, GlobalSet<Own, A>),
                };
                self.emit(handler, with_word(slot.unwrap_or(0), 0, offset));
            }
            GlobalPlace::Imported(cell) => {
                let handler: Handler = match slot {
                    None => by_class!(class, GlobalSet<Imported, Acc>),
                    Some(_) => by_class!(class, GlobalSet<Imported, A>),
                };
                self.emit(handler, [slot.unwrap_or(0), 0, 0, 0]);
                self.code.extra(cell as u64);
            }
        }
    }

    /// `select`: values from slots or short constants, the condition from anywhere.
    pub(super) fn select(&mut self) {
        let condition = self.pop();
        let b = self.pop();
        let a = self.pop();
        let ty = a.ty;
        let class = ty.class();
        if let Place::Constant(bits) = condition.place {
            self.select_known(if bits as u32 != 0 { a } else { b });
            return;
        }
        // The values first: their moves leave the condition's accumulator alone.
        let values = [a, b].map(|operand| self.select_value(operand));
        let condition = self.source(condition);
        self.protect(class);
        let in_slot = match condition {
            Source::Slot(slot) => Some(slot),
            _ => None,
        };
        if let (Some(slot), [SelectValue::Slot(x), SelectValue::Slot(y)]) = (in_slot, values) {
            let pair = match class {
                Class::Int => select_pair::<i64, D, A, B>(),
                Class::Float => select_pair::<f64, D, A, B>(),
                Class::Vector => select_pair::<V128, D, A, B>(),
            };
            self.emit_result(pair, [x, y, 0, slot], at::C, ty);
            return;
        }
        if let Some(slot) = in_slot {
            self.protect(Class::Int);
            self.load_acc(Source::Slot(slot), Type::I32);
        }
        let (pair, x, y) = match (values, class) {
            ([SelectValue::Slot(x), SelectValue::Slot(y)], Class::Int) => {
                (select_pair::<i64, Acc, A, B>(), x, y)
            }
            ([SelectValue::Slot(x), SelectValue::Slot(y)], Class::Float) => {
                (select_pair::<f64, Acc, A, B>(), x, y)
            }
            ([SelectValue::Slot(x), SelectValue::Slot(y)], Class::Vector) => {
                (select_pair::<V128, Acc, A, B>(), x, y)
            }
            ([SelectValue::Short(x), SelectValue::Slot(y)], _) => match ty {
                Type::I64 => (select_pair::<i64, Acc, ShortA, B>(), x, y),
                _ => (select_pair::<i32, Acc, ShortA, B>(), x, y),
            },
            ([SelectValue::Slot(x), SelectValue::Short(y)], _) => match ty {
                Type::I64 => (select_pair::<i64, Acc, A, Short>(), x, y),
                _ => (select_pair::<i32, Acc, A, Short>(), x, y),
            },
            ([SelectValue::Short(x), SelectValue::Short(y)], _) => match ty {
                Type::I64 => (select_pair::<i64, Acc, ShortA, Short>(), x, y),
                _ => (select_pair::<i32, Acc, ShortA, Short>(), x, y),
            },
        };
        self.emit_result(pair, [x, y, 0, 0], at::C, ty);
    }

    /// The value of a `select` whose condition is a constant.
    fn select_known(&mut self, chosen: Operand) {
        match chosen.place {
            Place::Constant(_) | Place::Local(_) => self.push(chosen.place, chosen.ty),
            Place::Acc => self.push(Place::Acc, chosen.ty),
            Place::Slot => {
                let slot = self.top;
                let source = self.source(chosen);
                self.move_to_slot(source, chosen.ty, slot);
                self.push(Place::Slot, chosen.ty);
            }
        }
    }

    fn select_value(&mut self, operand: Operand) -> SelectValue {
        match self.source(operand) {
            Source::Slot(slot) | Source::Acc(Some(slot)) => SelectValue::Slot(slot),
            Source::Acc(None) => {
                // The record that made it may write it to its slot as well.
                if !self.retarget(operand.ty, operand.slot) {
                    self.move_to_slot(Source::Acc(None), operand.ty, operand.slot);
                }
                SelectValue::Slot(operand.slot as u16)
            }
            Source::Constant(bits) => {
                let short = choice::short_immediate(bits, operand.ty)
                    .filter(|_| operand.ty.class() == Class::Int)
                    .and_then(|x| i16::try_from(x).ok());
                match short {
                    Some(x) => SelectValue::Short(x as u16),
                    None => {
                        let Source::Slot(slot) = self.put_in_slot(operand, Source::Constant(bits))
                        else {
                            unreachable!("`put_in_slot` gives a slot");
                        };
                        SelectValue::Slot(slot)
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum SelectValue {
    Slot(u16),
    Short(u16),
}

fn select_pair<T, S, X, Y>() -> Pair
where
    T: place::Cell + 'static,
    S: place::Source,
    X: place::Source,
    Y: place::Source,
{
    Pair {
        to_acc: handler::<Select<T, S, X, Y, Acc>>(),
        to_slot: handler::<Select<T, S, X, Y, C>>(),
    }
}
