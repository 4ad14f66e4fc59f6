//! Calls, and operations that the driver does.

use crate::icode::choice::Pair;
use crate::icode::code::with_word;
use crate::icode::types::{Class, Type};
use crate::icode::{Callee, Operation, Signature};
use crate::interp::dispatch::{Handler, handler};
use crate::interp::place::{Acc, Slot};
use crate::interp::regs::at;
use crate::interp::step::bulk::{ShortCopy, ShortFill};
use crate::interp::step::call::{
    Call, CallIndirect, CallOut, INDEX, TAIL_INDEX, TailCall, TailCallIndirect, TailCallOut,
};
use crate::interp::step::special::{Runtime, TableGet, TableSet};
use crate::site::SiteKind;

use super::Lower;
use super::stack::{Place, Source};

type CallIndirectAcc = CallIndirect<Acc, 24>;
type CallIndirectSlot = CallIndirect<Slot<INDEX>, 32>;
type TailCallIndirectAcc = TailCallIndirect<Acc>;
type TailCallIndirectSlot = TailCallIndirect<Slot<TAIL_INDEX>>;

const TABLE_GET: Pair =
    Pair { to_acc: handler::<TableGet<Acc>>(), to_slot: handler::<TableGet<Slot<{ at::B }>>>() };

/// Whether a call leaves something to return to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    /// The usual one.
    Plain,
    /// `return_call`: the callee's results are the caller's.
    Tail,
}

impl Lower<'_> {
    /// Brings the arguments to their slots; gives the window.
    fn arguments(&mut self, signature: Signature<'_>) -> (u16, u16) {
        self.protect_all();
        let from = self.scratch.stack.len() - signature.params.len();
        self.spill_from(from);
        let window = self.scratch.stack.get(from).map_or(self.top, |operand| operand.slot);
        let params = self.top - window;
        // The callee's header belongs to its own frame; the slot after the window must exist.
        self.highest = self.highest.max(window + 1);
        (window as u16, params as u16)
    }

    fn results(&mut self, signature: Signature<'_>) {
        for _ in signature.params {
            self.pop();
        }
        self.forget_accumulators();
        self.site(SiteKind::Return);
        for &ty in signature.results {
            self.push(Place::Slot, ty);
        }
        if let [ty] = signature.results {
            let slot = self.top - ty.slots();
            self.holding[ty.class() as usize].alias = Some(slot);
        }
    }

    /// `call` and `return_call`.
    pub(super) fn call(&mut self, kind: CallKind) {
        let function = self.reader.index();
        let signature = self.context.signature_of_function(function);
        let (window, params) = self.arguments(signature);
        let (slot, here): (u64, Handler) = match (self.context.callee(function), kind) {
            (Callee::Here(slot), CallKind::Plain) => (slot as u64, handler::<Call>()),
            (Callee::Here(slot), CallKind::Tail) => (slot as u64, handler::<TailCall>()),
            (Callee::Elsewhere(slot), CallKind::Plain) => (slot as u64, handler::<CallOut>()),
            (Callee::Elsewhere(slot), CallKind::Tail) => (slot as u64, handler::<TailCallOut>()),
        };
        self.site(SiteKind::Call);
        self.emit(here, [window, params, 0, 0]);
        self.code.extra(slot);
        if kind == CallKind::Tail {
            self.code.extra(u64::from(self.header));
        }
        self.after_call(signature, kind);
    }

    /// `call_indirect` and `return_call_indirect`.
    pub(super) fn call_indirect(&mut self, kind: CallKind) {
        let type_index = self.reader.index();
        let table = self.reader.index();
        let signature = self.context.signature(type_index);
        let index = self.pop();
        // The index stays where it is while arguments move: moves leave accumulators alone, and its
        // canonical slot lies above the arguments.
        let mut source = self.source(index);
        let (window, params) = self.arguments(signature);
        if let Source::Constant(_) = source {
            self.load_acc(source, Type::I32);
            source = Source::Acc(None);
        }
        let (slot, handler): (u16, Handler) = match (source, kind) {
            (Source::Slot(slot), CallKind::Plain) => (slot, handler::<CallIndirectSlot>()),
            (Source::Slot(slot), CallKind::Tail) => (slot, handler::<TailCallIndirectSlot>()),
            (_, CallKind::Plain) => (0, handler::<CallIndirectAcc>()),
            (_, CallKind::Tail) => (0, handler::<TailCallIndirectAcc>()),
        };
        self.site(SiteKind::Call);
        self.emit(handler, with_word(window, params, self.context.canonical_type(type_index)));
        self.code.extra(self.context.table(table) as u64);
        match (source, kind) {
            (_, CallKind::Tail) => {
                self.code.extra(u64::from(self.header) | u64::from(slot) << 32);
            }
            (Source::Slot(slot), CallKind::Plain) => self.code.extra(u64::from(slot)),
            (_, CallKind::Plain) => {}
        }
        self.after_call(signature, kind);
    }

    fn after_call(&mut self, signature: Signature<'_>, kind: CallKind) {
        match kind {
            CallKind::Plain => self.results(signature),
            CallKind::Tail => self.skip_unreachable(),
        }
    }

    /// An operation of the driver on the top operands, with up to two immediates.
    pub(super) fn runtime(
        &mut self, operation: Operation, operands: usize, result: Option<Type>,
        immediates: [u32; 2],
    ) {
        self.protect_all();
        let from = self.scratch.stack.len() - operands;
        self.spill_from(from);
        let base = self.scratch.stack.get(from).map_or(self.top, |operand| operand.slot);
        self.highest = self.highest.max(base + 1);
        self.site(SiteKind::Operation);
        let fields = with_word(operation as u16, base as u16, immediates[0]);
        let handler: Handler = match (operation, immediates) {
            (Operation::MemoryCopy, [0, 0]) => handler::<ShortCopy>(),
            (Operation::MemoryFill, [0, _]) => handler::<ShortFill>(),
            _ => handler::<Runtime>(),
        };
        self.emit(handler, fields);
        self.code.extra(u64::from(immediates[1]));
        for _ in 0..operands {
            self.pop();
        }
        self.forget_accumulators();
        if let Some(ty) = result {
            self.push(Place::Slot, ty);
        }
    }

    /// `table.get`.
    pub(super) fn table_get(&mut self) {
        let table = self.reader.index();
        let ty = self.context.table_type(table);
        self.spill_from(self.scratch.stack.len() - 1);
        let index = self.pop();
        self.protect(ty.class());
        self.emit_result(TABLE_GET, [index.slot as u16, 0, 0, 0], at::B, ty);
        self.code.extra(self.context.table(table) as u64);
    }

    /// `table.set`.
    pub(super) fn table_set(&mut self) {
        let table = self.reader.index();
        self.spill_from(self.scratch.stack.len() - 2);
        let value = self.pop();
        let index = self.pop();
        self.emit(handler::<TableSet>(), [index.slot as u16, value.slot as u16, 0, 0]);
        self.code.extra(self.context.table(table) as u64);
    }

    /// `table.size` and `memory.size`.
    pub(super) fn size(&mut self, pair: Pair, view: u64) {
        self.protect(Class::Int);
        self.emit_result(pair, [0; 4], at::A, Type::I32);
        self.code.extra(view);
    }
}
