//! Lowering: one pass over a valid body, from bytecode to icode.
//!
//! The pass keeps a *location stack* (`stack.rs`) in place of an operand stack: most operators only
//! say where a value is, and a record is emitted when an operator needs it somewhere. Each operator
//! may look at the last record and change it (`Last`): give its result another place, or melt it
//! into its own record. That is the whole optimiser.
//!
//! It must never know what runs the icode next, nor validate: it sees accepted bodies only.

mod atomic;
mod call;
mod control;
mod fuse;
mod moves;
mod operator;
pub mod stack;
mod vector;

use std::cell::RefCell;

use brant_isa::Opcode;
use wasmparser::FuncValidatorAllocations;

use crate::icode::choice::Pair;
use crate::icode::code::{Buffer, Word};
use crate::icode::reader::Reader;
use crate::icode::types::{Class, Type};
use crate::icode::{Context, Recorder, StateAt};
use crate::interp::dispatch::{Handler, handler};
use crate::interp::regs::at;
use crate::interp::step::special::{Fuel, Unreachable, zero_locals};
use crate::site::{Site, SiteKind};

use control::{Fixup, Label};
use operator::result_type;
use stack::Source;
use stack::{Holding, Operand};

/// Slots of a frame's header: previous fp and return ip.
pub const HEADER_SLOTS: u32 = 2;
/// Frames are at most so large, because records name slots with 16 bits. A function that needs more
/// is translated to a trap: its frame would take half of the usual stack.
pub const MAX_FRAME_SLOTS: u32 = 0xFFF0;

thread_local! {
    /// Of the host's thread and not of a store: a guest thread that waits keeps none.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Lends out the allocations of this host thread.
pub fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => work(&mut scratch),
        // Somebody further out has them.
        Err(_) => work(&mut Scratch::default()),
    })
}

/// Allocations that are used from function to function.
#[derive(Default)]
pub struct Scratch {
    /// For the validation that comes before lowering.
    pub(crate) validator: FuncValidatorAllocations,
    code: Buffer,
    stack: Vec<Operand>,
    labels: Vec<Label>,
    fixups: Vec<Fixup>,
    locals: Vec<(Type, u32)>,
    targets: Vec<u32>,
}

/// The last record, as long as no label and no other record came after it.
#[derive(Clone, Copy)]
struct Last {
    at: Word,
    /// The operator that it is for.
    offset: u32,
    class: Class,
    /// The handler that writes its result to a slot too, and where the slot's index goes.
    to_slot: Option<(Handler, usize)>,
    /// What it computes, for fusion into the record of its only user.
    made_by: Option<(Opcode, [Source; 2])>,
    /// An address of the form `base + (index << shift)`.
    indexed: Option<Indexed>,
    /// A move between two slots: to, from.
    pair_with: Option<(u16, u16)>,
}

/// An addition of a constant to an i32 slot that was written to a slot, in the record before the
/// next one.
#[derive(Clone, Copy)]
struct Added {
    at: Word,
    to: u16,
    from: u16,
    constant: i32,
}

/// An address that a load can compute by itself.
#[derive(Clone, Copy)]
struct Indexed {
    base: u16,
    /// A slot, or the accumulator.
    index: Option<u16>,
    shift: u8,
}

impl Indexed {
    /// Its position among the forms of an indexed load.
    fn form(self) -> usize {
        usize::from(self.shift) + if self.index.is_some() { 0 } else { 4 }
    }
}

impl Scratch {
    /// The records of the function that was lowered last.
    pub(crate) fn words(&self) -> &[u64] {
        self.code.words()
    }
}

impl Last {
    fn plain(at: Word, class: Class) -> Self {
        Self { at, offset: 0, class, to_slot: None, made_by: None, indexed: None, pair_with: None }
    }
}

/// The state of the pass.
pub(crate) struct Lower<'a> {
    context: &'a Context<'a>,
    reader: Reader<'a>,
    /// Where the operator at hand begins.
    offset: u32,
    scratch: &'a mut Scratch,
    code: Buffer,
    holding: [Holding; 3],
    last: Option<Last>,
    /// The record before the last one, if that was the last before.
    previous: Option<Last>,
    added: Option<Added>,
    /// First slot above the operands, and the highest that it has been.
    top: u32,
    highest: u32,
    /// Where the header of the frame is.
    header: u32,
    /// The fuel record of the block at hand and the block's price.
    fuel: Option<(Word, u32)>,
    /// The header of the loop that began last.
    loop_header: Option<Word>,
    recorder: Option<&'a mut Recorder>,
}

impl<'a> Lower<'a> {
    /// Lowers the body of `function`: local declarations and operators. The records are left in
    /// `scratch`; gives the size of a frame in bytes.
    pub(crate) fn function(
        context: &'a Context<'a>, function: u32, body: &'a [u8], scratch: &'a mut Scratch,
        recorder: Option<&'a mut Recorder>,
    ) -> u32 {
        let mut code = std::mem::take(&mut scratch.code);
        code.clear();
        scratch.stack.clear();
        scratch.labels.clear();
        scratch.fixups.clear();
        scratch.locals.clear();
        let mut lower = Lower {
            context,
            reader: Reader::new(body),
            offset: 0,
            scratch,
            code,
            holding: [Holding::NOTHING; 3],
            last: None,
            previous: None,
            added: None,
            top: 0,
            highest: 0,
            header: 0,
            fuel: None,
            loop_header: None,
            recorder,
        };
        lower.locals(function);
        lower.body(function);
        let mut frame_slots = lower.highest + 1;
        if frame_slots > MAX_FRAME_SLOTS {
            lower.replace_by_trap();
            frame_slots = lower.header + HEADER_SLOTS;
        }
        let Lower { code, scratch, .. } = lower;
        scratch.code = code;
        frame_slots * 8
    }

    /// Lays out the frame: parameters, header, locals; sets the locals to zero.
    fn locals(&mut self, function: u32) {
        let signature = self.context.signature_of_function(function);
        for &ty in signature.params {
            self.scratch.locals.push((ty, self.top));
            self.top += ty.slots();
        }
        self.header = self.top;
        self.top += HEADER_SLOTS;
        let first = self.top;
        for _ in 0..self.reader.index() {
            let count = self.reader.index();
            let ty = Type::from_byte(self.reader.byte()).unwrap_or(Type::I32);
            // Both bounds hold for valid bodies: at most 50,000 locals.
            for _ in 0..count.min(1 << 16) {
                self.scratch.locals.push((ty, self.top));
                self.top += ty.slots();
            }
        }
        self.highest = self.top;
        self.site(SiteKind::Entry);
        self.start_block();
        let pairs = (self.top - first).div_ceil(2);
        if pairs > 0 {
            let fields = [first as u16, 0, pairs as u16, (pairs >> 16) as u16];
            self.emit(zero_locals(pairs), fields);
            self.highest = self.highest.max(first + 2 * pairs);
        }
    }

    fn body(&mut self, function: u32) {
        self.scratch
            .labels
            .push(Label::function(self.context.type_of_function(function), self.top));
        while !self.scratch.labels.is_empty() && !self.reader.is_at_end() {
            self.offset = self.reader.position() as u32;
            if self.recorder.as_ref().is_some_and(|recorder| recorder.is_done_at(self.offset)) {
                // Nobody wants the records.
                return;
            }
            let code = self.reader.byte();
            self.operator(code);
        }
        self.end_block();
        // No path leads here; the record only makes sure that none could run off the end.
        self.emit(handler::<Unreachable>(), [0; 4]);
    }

    fn replace_by_trap(&mut self) {
        self.code.clear();
        self.emit(handler::<crate::interp::step::special::FrameTooLarge>(), [0; 4]);
    }

    /// Emits a record of 16 bytes, which is the last one from now on.
    fn emit(&mut self, handler: Handler, fields: [u16; 4]) -> Word {
        self.previous = self.last.take();
        let record = self.code.record(handler, fields);
        if let Some(recorder) = &mut self.recorder {
            recorder.record(record, self.offset);
        }
        record
    }

    /// Takes back the last record, which begins at `at`.
    fn rewind(&mut self, at: Word) {
        self.code.truncate(at);
        (self.last, self.previous) = (None, None);
        self.added = self.added.filter(|added| added.at < at);
        if let Some(recorder) = &mut self.recorder {
            recorder.rewind(at);
        }
    }

    /// Emits a record with a result in the accumulator of `ty`, and puts that on the stack.
    fn emit_result(&mut self, pair: Pair, fields: [u16; 4], to_at: usize, ty: Type) -> Word {
        let record = self.emit(pair.to_acc, fields);
        let class = ty.class();
        self.holding[class as usize] = Holding::NOTHING;
        self.push(stack::Place::Acc, ty);
        let (offset, to_slot) = (self.offset, Some((pair.to_slot, to_at)));
        self.last = Some(Last { offset, to_slot, ..Last::plain(record, class) });
        record
    }

    /// Begins a basic block: in code that counts fuel, with a record that pays for it.
    fn start_block(&mut self) {
        self.end_block();
        self.added = None;
        if self.context.counts_fuel {
            let record = self.emit(handler::<Fuel>(), [0; 4]);
            self.fuel = Some((record, 0));
        }
    }

    /// Begins a basic block at which a run can stop for fuel.
    fn start_numbered_block(&mut self) {
        if self.context.counts_fuel {
            self.site(SiteKind::Block);
            self.start_block();
        }
    }

    fn counts_fuel(&self) -> bool {
        self.context.counts_fuel
    }

    /// Writes the price of the block that ends here.
    fn end_block(&mut self) {
        if let Some((record, price)) = self.fuel.take() {
            self.code.set_u32(record * 8 + at::WORD as u32, price);
        }
    }

    /// Type and slot of a local.
    fn local(&self, index: u32) -> (Type, u32) {
        self.scratch.locals[index as usize]
    }

    fn label_floor(&self) -> usize {
        self.scratch.labels.last().map_or(0, |label| label.height as usize)
    }

    /// Tells the recorder, if there is one, that a run can stand at the next record.
    fn site(&mut self, kind: SiteKind) {
        let Some(recorder) = &mut self.recorder else { return };
        let offset = if kind == SiteKind::Entry { 0 } else { self.offset };
        let (site, record) = (Site { kind, offset }, self.code.here());
        if recorder.wants(site, record) {
            recorder.found = Some(StateAt {
                site,
                record,
                locals: self.scratch.locals.clone(),
                operands: self.scratch.stack.clone(),
                holding: self.holding,
                top: self.top,
            });
        }
    }
}
