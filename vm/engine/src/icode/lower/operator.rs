//! One operator: where it is decoded, and how those with semantics become records.

use brant_isa::{Opcode, fold};

use crate::icode::choice::{self, CHECKED, DISPLACED, Form, INDEXED, Pair, VARIANTS};
use crate::icode::code::with_word;
use crate::icode::types::{Class, Type};
use crate::icode::{Operation, choice::short_immediate};
use crate::interp::dispatch::handler;
use crate::interp::place::{Acc, Slot};
use crate::interp::regs::at;
use crate::interp::step::fused::{Lea, LeaAcc};
use crate::interp::step::special::{MemorySize, TableSize};

use crate::vm::GUARD_BYTES;

use super::call::CallKind;
use super::control::LabelKind;
use super::stack::{Operand, Place, Source};
use super::{Indexed, Last, Lower};

type A = Slot<{ at::A }>;
type C = Slot<{ at::C }>;

const MEMORY_SIZE: Pair =
    Pair { to_acc: handler::<MemorySize<Acc>>(), to_slot: handler::<MemorySize<A>>() };
const TABLE_SIZE: Pair =
    Pair { to_acc: handler::<TableSize<Acc>>(), to_slot: handler::<TableSize<A>>() };

/// Where a memory operator goes.
pub(super) struct Access {
    pub(super) memory: u32,
    pub(super) offset: u64,
}

impl Lower<'_> {
    /// Lowers the operator that begins with `code`.
    pub(super) fn operator(&mut self, code: u8) {
        if let Some((_, price)) = &mut self.fuel {
            // Free are: nop, block, loop, else, end, drop.
            *price += u32::from(!matches!(code, 0x01..=0x03 | 0x05 | 0x0B | 0x1A));
        }
        match code {
            0x00 => self.unreachable(),
            0x01 => {}
            0x02 => self.open(LabelKind::Block),
            0x03 => self.open(LabelKind::Loop),
            0x04 => self.open_if(),
            0x05 => self.open_else(),
            0x0B => self.close(true),
            0x0C => self.branch(),
            0x0D => self.branch_if(),
            0x0E => self.branch_table(),
            0x0F => self.return_now(),
            0x10 => self.call(CallKind::Plain),
            0x11 => self.call_indirect(CallKind::Plain),
            0x12 => self.call(CallKind::Tail),
            0x13 => self.call_indirect(CallKind::Tail),
            0x1A => self.drop_operand(),
            0x1B => self.select(),
            0x1C => {
                for _ in 0..self.reader.index() {
                    self.reader.byte();
                }
                self.select();
            }
            0x20 => self.local_get(),
            0x21 => self.local_set(false),
            0x22 => self.local_set(true),
            0x23 => self.global_get(),
            0x24 => self.global_set(),
            0x25 => self.table_get(),
            0x26 => self.table_set(),
            0x28..=0x35 => self.load(Opcode::decode(None, u32::from(code))),
            0x36..=0x3E => self.store(Opcode::decode(None, u32::from(code))),
            0x3F => {
                let memory = self.reader.index();
                self.size(MEMORY_SIZE, self.context.memory(memory) as u64);
            }
            0x40 => {
                let memory = self.reader.index();
                self.runtime(Operation::MemoryGrow, 1, Some(Type::I32), [memory, 0]);
            }
            0x41 => {
                let bits = self.reader.signed() as u32;
                self.push(Place::Constant(u64::from(bits)), Type::I32);
            }
            0x42 => {
                let bits = self.reader.signed() as u64;
                self.push(Place::Constant(bits), Type::I64);
            }
            0x43 => {
                let bits = u32::from_le_bytes(self.reader.array());
                self.push(Place::Constant(u64::from(bits)), Type::F32);
            }
            0x44 => {
                let bits = u64::from_le_bytes(self.reader.array());
                self.push(Place::Constant(bits), Type::F64);
            }
            0xD0 => {
                let ty = Type::from_byte(self.reader.byte()).unwrap_or(Type::FuncRef);
                self.push(Place::Constant(0), ty);
            }
            // The null reference is 0.
            0xD1 => self.unary(Opcode::I32Eqz),
            0xD2 => {
                let function = self.reader.index();
                let reference = self.context.reference(function);
                self.push(Place::Constant(u64::from(reference)), Type::FuncRef);
            }
            0xFC => self.miscellaneous(),
            0xFD => self.vector(),
            0xFE => self.atomic(),
            _ => self.numeric(Opcode::decode(None, u32::from(code))),
        }
    }

    fn numeric(&mut self, opcode: Option<Opcode>) {
        let opcode = opcode.expect("validation knows every operator");
        match opcode.row().operand_kinds.len() {
            1 => self.unary(opcode),
            _ => self.binary(opcode),
        }
    }

    /// Operators behind the byte 0xFC.
    fn miscellaneous(&mut self) {
        let code = self.reader.index();
        let mut two = || [self.reader.index(), self.reader.index()];
        match code {
            0..=7 => self.numeric(Opcode::decode(Some(0xFC), code)),
            8 => {
                let immediates = two();
                self.runtime(Operation::MemoryInit, 3, None, immediates);
            }
            9 => {
                let data = self.reader.index();
                self.runtime(Operation::DataDrop, 0, None, [data, 0]);
            }
            10 => {
                let immediates = two();
                self.runtime(Operation::MemoryCopy, 3, None, immediates);
            }
            11 => {
                let memory = self.reader.index();
                self.runtime(Operation::MemoryFill, 3, None, [memory, 0]);
            }
            12 => {
                let immediates = two();
                self.runtime(Operation::TableInit, 3, None, immediates);
            }
            13 => {
                let elem = self.reader.index();
                self.runtime(Operation::ElemDrop, 0, None, [elem, 0]);
            }
            14 => {
                let immediates = two();
                self.runtime(Operation::TableCopy, 3, None, immediates);
            }
            15 => {
                let table = self.reader.index();
                self.runtime(Operation::TableGrow, 2, Some(Type::I32), [table, 0]);
            }
            16 => {
                let table = self.reader.index();
                self.size(TABLE_SIZE, self.context.table(table) as u64);
            }
            _ => {
                let table = self.reader.index();
                self.runtime(Operation::TableFill, 3, None, [table, 0]);
            }
        }
    }

    /// An operator of one operand.
    pub(super) fn unary(&mut self, opcode: Opcode) {
        let operand = self.pop();
        if opcode == Opcode::I32Eqz && self.invert_last(operand) {
            return;
        }
        if self.folded(opcode, &[operand]) {
            return;
        }
        let source = self.source(operand);
        self.emit_unary(opcode, source, operand.ty, 0);
    }

    fn emit_unary(&mut self, opcode: Opcode, source: Source, ty: Type, word: u32) {
        let result = result_type(opcode);
        self.protect(result.class());
        let source = match source {
            Source::Constant(_) => {
                self.protect(ty.class());
                self.load_acc(source, ty);
                Source::Acc(None)
            }
            source => source,
        };
        let (form, field) = match source {
            Source::Slot(slot) => (Form::S, slot),
            _ => (Form::A, 0),
        };
        let pair = VARIANTS[opcode as usize][form.0].expect("every operator has this form");
        self.emit_result(pair, with_word(field, 0, word), at::B, result);
        self.made_by(opcode, [source, source]);
    }

    fn made_by(&mut self, opcode: Opcode, sources: [Source; 2]) {
        if let Some(last) = &mut self.last {
            last.made_by = Some((opcode, sources));
        }
    }

    /// Pushes the constant that the operator gives, if all its operands are constants.
    fn folded(&mut self, opcode: Opcode, operands: &[Operand]) -> bool {
        let mut bits = [0; 2];
        for (bits, operand) in bits.iter_mut().zip(operands) {
            let Place::Constant(constant) = operand.place else { return false };
            *bits = constant;
        }
        let result = result_type(opcode);
        // A NaN that an operation makes may have any payload, but always the same in a run.
        if !choice::may_fold(opcode) || result.class() != Class::Int {
            return false;
        }
        let Some(value) = fold(opcode, &bits[..operands.len()]) else { return false };
        self.push(Place::Constant(value), result);
        true
    }

    /// An operator of two operands.
    pub(super) fn binary(&mut self, opcode: Opcode) {
        let b = self.pop();
        let a = self.pop();
        if self.folded(opcode, &[a, b]) {
            return;
        }
        let sources = [self.source(a), self.source(b)];
        if opcode == Opcode::I32Add && self.shifted_index(a, b) {
            return;
        }
        self.emit_binary(opcode, sources, a.ty);
    }

    /// Emits an operator whose operands were popped.
    pub(super) fn emit_binary(&mut self, mut opcode: Opcode, sources: [Source; 2], ty: Type) {
        let result = result_type(opcode);
        self.protect(result.class());
        let [a, b] = sources;
        let turn = matches!(
            (a, b),
            (Source::Constant(_), _)
                | (Source::Slot(_), Source::Acc(_))
                | (Source::Acc(Some(_)), Source::Acc(None))
        );
        let sources = match (turn, choice::swapped(opcode)) {
            (true, Some(swapped)) => {
                opcode = swapped;
                [b, a]
            }
            _ => [a, b],
        };
        let kinds = opcode.row().operand_kinds;
        let types = [choice::type_of(kinds[0]), choice::type_of(kinds[1])];
        debug_assert!(types.contains(&ty) || ty.class() == Class::Int);
        let (pair, sources) = self.places(VARIANTS[opcode as usize], sources, types);
        let (fields, to_at) = match sources {
            [Source::Slot(a), Source::Slot(b)] => ([a, b, 0, 0], at::C),
            [Source::Slot(slot), Source::Constant(bits)] => {
                (with_word(slot, 0, immediate(bits, types[1])), at::B)
            }
            [Source::Constant(bits), Source::Slot(slot)] => {
                (with_word(slot, 0, immediate(bits, types[0])), at::B)
            }
            [Source::Constant(bits), _] => (with_word(0, 0, immediate(bits, types[0])), at::B),
            [_, Source::Constant(bits)] => (with_word(0, 0, immediate(bits, types[1])), at::B),
            [Source::Slot(slot), _] | [_, Source::Slot(slot)] => ([slot, 0, 0, 0], at::B),
            [_, _] => ([0; 4], at::B),
        };
        self.emit_result(pair, fields, to_at, result);
        self.made_by(opcode, sources);
        if opcode == Opcode::I32Add
            && let Some(last) = &mut self.last
        {
            last.indexed = match sources {
                [Source::Slot(base), Source::Slot(index)] => {
                    Some(Indexed { base, index: Some(index), shift: 0 })
                }
                [Source::Acc(_), Source::Slot(base)] => {
                    Some(Indexed { base, index: None, shift: 0 })
                }
                _ => None,
            };
        }
    }

    /// Moves operands until there is a handler for where they are.
    fn places(
        &mut self, forms: &[Option<Pair>], mut sources: [Source; 2], types: [Type; 2],
    ) -> (Pair, [Source; 2]) {
        loop {
            let fits = |i: usize| match sources[i] {
                Source::Constant(bits) => short_immediate(bits, types[i]).is_some(),
                _ => true,
            };
            let form = code(sources[0]) * 3 + code(sources[1]);
            if fits(0)
                && fits(1)
                && let Some(pair) = forms.get(form).copied().flatten()
            {
                return (pair, sources);
            }
            let constant = |source: &Source| matches!(source, Source::Constant(_));
            let aliased = |source: &Source| matches!(source, Source::Acc(Some(_)));
            if let Some(i) = sources.iter().position(constant) {
                let class = types[i].class();
                let taken =
                    matches!(sources[1 - i], Source::Acc(_)) && types[1 - i].class() == class;
                if taken {
                    let slot = self.spare_slot(i);
                    self.move_to_slot(sources[i], types[i], slot);
                    sources[i] = Source::Slot(slot as u16);
                } else {
                    self.protect(class);
                    self.load_acc(sources[i], types[i]);
                    sources[i] = Source::Acc(None);
                }
            } else if let Some(i) = sources.iter().position(aliased) {
                let Source::Acc(Some(slot)) = sources[i] else { continue };
                sources[i] = Source::Slot(slot);
            } else {
                let i = usize::from(!matches!(sources[0], Source::Acc(_)));
                let slot = self.spare_slot(i);
                if !self.retarget(types[i], slot) {
                    self.move_to_slot(Source::Acc(None), types[i], slot);
                }
                sources[i] = Source::Slot(slot as u16);
            }
        }
    }

    /// A slot above the operands for operand `i` of the operator at hand: where it would be, or,
    /// since a first operand may take two slots, one more.
    fn spare_slot(&mut self, i: usize) -> u32 {
        let slot = self.top + 2 * i as u32;
        self.highest = self.highest.max(slot + 2);
        slot
    }

    /// Moves a popped operand's constant to the operand's slot.
    pub(super) fn put_in_slot(&mut self, operand: Operand, source: Source) -> Source {
        self.highest = self.highest.max(operand.slot + operand.ty.slots());
        self.move_to_slot(source, operand.ty, operand.slot);
        Source::Slot(operand.slot as u16)
    }

    pub(super) fn memory_operand(&mut self) -> Access {
        let align = self.reader.index();
        let memory = if align & 0x40 != 0 { self.reader.index() } else { 0 };
        Access { memory, offset: self.reader.unsigned() }
    }

    pub(super) fn must_check(&self, access: &Access) -> bool {
        access.memory != 0 || self.context.checked_memory || access.offset >= GUARD_BYTES - 16
    }

    /// A load from linear memory.
    pub(super) fn load(&mut self, opcode: Option<Opcode>) {
        let opcode = opcode.expect("validation knows every operator");
        let access = self.memory_operand();
        let address = self.pop();
        if self.must_check(&access) {
            self.checked_load(opcode, &access, address);
            return;
        }
        let result = result_type(opcode);
        let indexed = self.last.and_then(|last| last.indexed);
        if let (Place::Acc, Some(indexed), Ok(offset)) =
            (address.place, indexed, u16::try_from(access.offset))
            && let Some(pair) = INDEXED[opcode as usize].get(indexed.form()).copied()
        {
            let at = self.last.expect("it was indexed").at;
            self.rewind(at);
            self.protect(result.class());
            let fields = [indexed.base, indexed.index.unwrap_or(0), 0, offset];
            self.emit_result(pair, fields, at::C, result);
            return;
        }
        if let [from_slot, from_acc] = DISPLACED[opcode as usize]
            && let Some((base, word)) = self.displaced(address, &access)
        {
            self.protect(result.class());
            let (pair, slot) = match base {
                Source::Slot(slot) => (*from_slot, slot),
                _ => (*from_acc, 0),
            };
            self.emit_result(pair, with_word(slot, 0, word), at::B, result);
            return;
        }
        let source = self.source(address);
        if let Source::Constant(bits) = source
            && let Ok(offset) = u32::try_from(bits + access.offset)
        {
            self.protect(result.class());
            let pair = VARIANTS[opcode as usize][Form::I.0].expect("loads have this form");
            self.emit_result(pair, with_word(0, 0, offset), at::B, result);
            return;
        }
        self.emit_unary(opcode, source, Type::I32, access.offset as u32);
    }

    /// The summands of an address that the last record added up, if one is a constant; takes the
    /// record out. The sum wraps, so that there is no room for an offset.
    fn displaced(&mut self, address: Operand, access: &Access) -> Option<(Source, u32)> {
        let Last { made_by: Some((Opcode::I32Add, [base, constant])), at, .. } = self.last? else {
            return None;
        };
        let Source::Constant(constant) = constant else { return None };
        if address.place != Place::Acc || access.offset != 0 {
            return None;
        }
        self.rewind(at);
        Some((base, constant as u32))
    }

    /// Emits a store whose address the last record computed, if the value is where that works.
    fn store_there(
        &mut self, opcode: Opcode, access: &Access, address: Operand, value: Operand,
    ) -> bool {
        let short = |bits| {
            let short = i16::try_from(short_immediate(bits, value.ty)?).ok()?;
            (value.ty.class() == Class::Int).then_some(short as u16)
        };
        let (is_slot, field) = match self.source(value) {
            Source::Slot(slot) => (true, slot),
            Source::Constant(bits) => match short(bits) {
                Some(short) => (false, short),
                None => return false,
            },
            Source::Acc(_) => return false,
        };
        if let (Place::Acc, Some(last @ Last { indexed: Some(indexed), .. }), Ok(offset), true) =
            (address.place, self.last, u16::try_from(access.offset), is_slot)
            && let Some(pair) = INDEXED[opcode as usize].get(indexed.form())
        {
            self.rewind(last.at);
            self.emit(pair.to_acc, [indexed.base, indexed.index.unwrap_or(0), field, offset]);
            return true;
        }
        let forms = DISPLACED[opcode as usize];
        if forms.is_empty() {
            return false;
        }
        let Some((base, word)) = self.displaced(address, access) else { return false };
        let (form, slot) = match base {
            Source::Slot(slot) => (0, slot),
            _ => (1, 0),
        };
        let pair = forms[form + if is_slot { 0 } else { 2 }];
        self.emit(pair.to_acc, with_word(slot, field, word));
        true
    }

    fn checked_load(&mut self, opcode: Opcode, access: &Access, address: Operand) {
        let result = result_type(opcode);
        let slot = self.operand_in_slot(address);
        self.protect(result.class());
        let pair = CHECKED[opcode as usize].expect("loads have a checked form");
        self.emit_result(pair, [slot, 0, 0, 0], at::B, result);
        self.code.extra(access.offset);
        self.code.extra(self.context.memory(access.memory) as u64);
    }

    /// A popped operand's slot, whatever it takes to have it in one.
    pub(super) fn operand_in_slot(&mut self, operand: Operand) -> u16 {
        match self.source(operand) {
            Source::Slot(slot) | Source::Acc(Some(slot)) => slot,
            Source::Acc(None) => {
                if !self.retarget(operand.ty, operand.slot) {
                    self.move_to_slot(Source::Acc(None), operand.ty, operand.slot);
                }
                operand.slot as u16
            }
            constant => {
                self.put_in_slot(operand, constant);
                operand.slot as u16
            }
        }
    }

    /// A store to linear memory.
    pub(super) fn store(&mut self, opcode: Option<Opcode>) {
        let opcode = opcode.expect("validation knows every operator");
        let mut access = self.memory_operand();
        let value = self.pop();
        let address = self.pop();
        if self.must_check(&access) {
            let value = self.operand_in_slot(value);
            let address = self.operand_in_slot(address);
            let pair = CHECKED[opcode as usize].expect("stores have a checked form");
            self.emit(pair.to_acc, [address, value, 0, 0]);
            self.code.extra(access.offset);
            self.code.extra(self.context.memory(access.memory) as u64);
            return;
        }
        if self.store_there(opcode, &access, address, value) {
            return;
        }
        let mut sources = [self.source(address), self.source(value)];
        if let Source::Constant(bits) = sources[0] {
            match u32::try_from(bits + access.offset) {
                // The address goes into the offset.
                Ok(offset) => {
                    (access.offset, sources[0]) = (u64::from(offset), Source::Constant(0))
                }
                Err(_) => sources[0] = self.put_in_slot(address, sources[0]),
            }
        }
        if let Source::Constant(bits) = sources[1] {
            let fits = short_immediate(bits, value.ty).is_some_and(|x| i16::try_from(x).is_ok());
            let clear = bits == 0 || value.ty.class() == Class::Int;
            if !(fits && clear) {
                let taken = matches!(sources[0], Source::Acc(_)) && value.ty.class() == Class::Int;
                sources[1] = if taken {
                    self.put_in_slot(value, sources[1])
                } else {
                    self.protect(value.ty.class());
                    self.load_acc(sources[1], value.ty);
                    Source::Acc(None)
                };
            }
        }
        let types = [Type::I32, value.ty];
        let (pair, sources) = self.places(VARIANTS[opcode as usize], sources, types);
        let a = if let Source::Slot(slot) = sources[0] { slot } else { 0 };
        let b = match sources[1] {
            Source::Slot(slot) => slot,
            Source::Constant(bits) => bits as u16,
            Source::Acc(_) => 0,
        };
        self.emit(pair.to_acc, with_word(a, b, access.offset as u32));
    }

    /// `a + (b << k)`, where the shift is the last record: one record for both.
    fn shifted_index(&mut self, a: Operand, b: Operand) -> bool {
        let Some(Last { made_by: Some((Opcode::I32Shl, [index, by])), at, .. }) = self.last else {
            return false;
        };
        let Source::Constant(shift @ 1..=3) = by else { return false };
        let other = match (a.place, b.place) {
            (Place::Acc, Place::Acc) => return false,
            (Place::Acc, _) => b,
            (_, Place::Acc) => a,
            _ => return false,
        };
        // The accumulator holds the shifted value, so the base must be in a slot.
        let Source::Slot(base) = self.source(other) else { return false };
        let index = match index {
            Source::Slot(slot) | Source::Acc(Some(slot)) => Some(slot),
            Source::Acc(None) => None,
            Source::Constant(_) => return false,
        };
        self.rewind(at);
        let shift = shift as u8;
        let pair = match (index, shift) {
            (Some(_), 1) => lea::<1>(),
            (Some(_), 2) => lea::<2>(),
            (Some(_), _) => lea::<3>(),
            (None, 1) => lea_acc::<1>(),
            (None, 2) => lea_acc::<2>(),
            (None, _) => lea_acc::<3>(),
        };
        self.emit_result(pair, [base, index.unwrap_or(0), 0, 0], at::C, Type::I32);
        if let Some(last) = &mut self.last {
            last.indexed = Some(Indexed { base, index, shift });
        }
        true
    }

    /// Goes over the immediates of an operator that cannot be reached.
    pub(super) fn skip_immediates(&mut self, code: u8) {
        let reader = &mut self.reader;
        match code {
            0x0C | 0x0D | 0x10 | 0x12 | 0x20..=0x26 | 0x3F | 0x40 | 0xD2 => {
                reader.index();
            }
            0x0E => {
                for _ in 0..=reader.index() {
                    reader.index();
                    if reader.is_at_end() {
                        break;
                    }
                }
            }
            0x11 | 0x13 => {
                reader.index();
                reader.index();
            }
            0x1C => {
                for _ in 0..reader.index() {
                    reader.byte();
                }
            }
            0x28..=0x3E => {
                self.memory_operand();
            }
            0x41 | 0x42 => {
                reader.signed();
            }
            0x43 => {
                reader.array::<4>();
            }
            0x44 => {
                reader.array::<8>();
            }
            0xD0 => {
                reader.byte();
            }
            0xFC => match reader.index() {
                0..=7 => {}
                9 | 11 | 13 | 15..=17 => {
                    reader.index();
                }
                _ => {
                    reader.index();
                    reader.index();
                }
            },
            0xFD => self.skip_vector_immediates(),
            0xFE => self.skip_atomic_immediates(),
            _ => {}
        }
    }
}

pub(super) fn result_type(opcode: Opcode) -> Type {
    opcode.row().result_kind.map_or(Type::I32, choice::type_of)
}

/// The number of a source in a form.
fn code(source: Source) -> usize {
    match source {
        Source::Acc(_) => 0,
        Source::Slot(_) => 1,
        Source::Constant(_) => 2,
    }
}

fn immediate(bits: u64, ty: Type) -> u32 {
    short_immediate(bits, ty).map_or(0, |x| x as u32)
}

fn lea<const SHIFT: u32>() -> Pair {
    Pair { to_acc: handler::<Lea<SHIFT, Acc>>(), to_slot: handler::<Lea<SHIFT, C>>() }
}

fn lea_acc<const SHIFT: u32>() -> Pair {
    Pair { to_acc: handler::<LeaAcc<SHIFT, Acc>>(), to_slot: handler::<LeaAcc<SHIFT, C>>() }
}
