//! What records are called: from a handler's address to a pattern of its record.
//!
//! A pattern is text with places in braces:
//!
//! ```text
//! {a} {b} {c} {d}   slot of the frame: u16 at byte 8, 10, 12, 14
//! {A} {B} {D}       i16 at byte 8, 10; u16 at byte 14
//! {word} {f32}      i32, f32 at byte 12
//! {+word} {+D}      the same as an offset, nothing if it is 0
//! {to}              where a displacement at byte 12 leads
//! {const} {extra}   64 bits at byte 8, at byte 16
//! {k} {k2} {+k}     i32 at byte 16, at byte 20; the first as an offset
//! {from}            slot of the frame: u16 at byte 20
//! {callee} {index}  the function that a call names; the first immediate of the operator
//! {op}              the operator's name
//! ```
//!
//! The compiler may give several handlers of the same code one address; the operator that a record
//! ends decides then.

use std::collections::HashMap;

use brant_isa::types::{Kind, V128};
use brant_isa::{Effect, ImmediateKind, Opcode, ROWS, Row};

use super::Operator;
use crate::icode::choice::{BRANCHES, CHECKED, INDEXED, Pair, VARIANTS};
use crate::interp::dispatch::{Handler, handler};
use crate::interp::place::{Acc, Imm, Short, ShortAt, Slot};
use crate::interp::regs::at;
use crate::interp::step::branch::{Back, BranchTable, Forward, Jump};
use crate::interp::step::bulk::{ShortCopy, ShortFill};
use crate::interp::step::call::{
    Call, CallIndirect, CallOut, INDEX, Return, ReturnMany, ReturnOne, TAIL_INDEX, TailCall,
    TailCallIndirect, TailCallOut,
};
use crate::interp::step::fused::{Lea, LeaAcc};
use crate::interp::step::moves::{
    Constant, ConstantToSlot, GlobalGet, GlobalSet, Imported, Move, MovePair, Only, Own, Select,
};
use crate::interp::step::special::{
    FrameTooLarge, Fuel, MemorySize, Runtime, TableGet, TableSet, TableSize, Unreachable,
};
use crate::{Module, icode};

type A = Slot<{ at::A }>;
type B = Slot<{ at::B }>;
type C = Slot<{ at::C }>;
type D = Slot<{ at::D }>;
/// Where moves put something: the slot alone.
type To = Only<{ at::A }>;
type ShortA = ShortAt<{ at::A }>;

/// Patterns by the address of a handler, with the operator that they are for.
pub(super) struct Names {
    patterns: HashMap<usize, Vec<(Option<Opcode>, String)>>,
}

impl Names {
    pub(super) fn new() -> Self {
        let mut names = Self { patterns: HashMap::new() };
        for row in ROWS.iter().take(VARIANTS.len()) {
            names.operator(row);
        }
        names.moves();
        names.others();
        names.fused();
        names
    }

    pub(super) fn add(
        &mut self, handler: Handler, opcode: Option<Opcode>, pattern: impl Into<String>,
    ) {
        self.patterns.entry(handler as usize).or_default().push((opcode, pattern.into()));
    }

    /// Both handlers of a pair: result in the accumulator, and in a slot too.
    pub(super) fn pair(&mut self, pair: Pair, row: &Row, pattern: &str, slot: &str) {
        let acc = row.result_kind.map(accumulator);
        let Some(acc) = acc else {
            self.add(pair.to_acc, Some(row.opcode), pattern);
            return;
        };
        self.add(pair.to_acc, Some(row.opcode), format!("{pattern} -> {acc}"));
        self.add(pair.to_slot, Some(row.opcode), format!("{pattern} -> {slot} {acc}"));
    }

    fn operator(&mut self, row: &Row) {
        let (index, name) = (row.opcode as usize, row.name);
        for (form, pair) in VARIANTS[index].iter().enumerate() {
            if let Some(pair) = pair {
                let (operands, slot) = operands(row, form);
                self.pair(*pair, row, &format!("{name} {operands}"), slot);
            }
        }
        if let Some(pair) = CHECKED[index] {
            let form = if row.operand_kinds.len() == 1 { 1 } else { 4 };
            let (operands, slot) = operands(row, form);
            self.pair(pair, row, &format!("{name} {operands} checked"), slot);
        }
        for (form, pair) in INDEXED[index].iter().enumerate() {
            let base = if form < 4 { "{b}" } else { "acc" };
            let value = if row.result_kind.is_none() { " {c}" } else { "" };
            let pattern = format!("{name} [{{a}} + {base} << {}{{+D}}]{value}", form % 4);
            self.pair(*pair, row, &pattern, "{c}");
        }
        for (number, branch) in BRANCHES[index].iter().enumerate() {
            let Some(branch) = branch else { continue };
            let (form, sense, back) = (number / 4, number / 2 % 2 == 1, number % 2 == 1);
            let acc = row.operand_kinds.first().copied().map_or("acc", accumulator);
            let operands = match (row.operand_kinds.len(), form) {
                (1, 0) => acc.to_owned(),
                (1, _) => "{a}".to_owned(),
                (_, 1) => format!("{acc} {{a}}"),
                (_, 2) => format!("{acc} {{B}}"),
                (_, 4) => "{a} {b}".to_owned(),
                _ => "{a} {B}".to_owned(),
            };
            let verb = if sense { "if" } else { "unless" };
            let way = if back { "back to" } else { "to" };
            self.add(*branch, None, format!("{verb} {name} {operands} {way} {{to}}"));
        }
    }

    fn moves(&mut self) {
        macro_rules! each_type {
            ($acc:literal $($t:ty),*) => {$(
                self.add(handler::<Move<$t, Acc, To>>(), None, concat!("move ", $acc, " -> {a}"));
                self.add(handler::<Move<$t, B, To>>(), None, "move {b} -> {a}");
                self.add(handler::<Move<$t, Imm, To>>(), None,
                    "move {word} -> {a}");
                self.add(handler::<Move<$t, A, Acc>>(), None, concat!("move {a} -> ", $acc));
                self.add(handler::<ReturnOne<$t, Acc>>(), None, concat!("return ", $acc));
                self.add(handler::<ReturnOne<$t, B>>(), None, "return {b}");
                self.add(handler::<ReturnOne<$t, Imm>>(), None, "return {word}");
                self.select::<$t, D, A, B>("select {d}: {a} {b}", $acc);
                self.select::<$t, Acc, A, B>("select acc: {a} {b}", $acc);
            )*};
        }
        each_type!("acc" i32, i64);
        each_type!("facc" f32, f64);
        each_type!("vacc" V128);
        macro_rules! each_class {
            ($($acc:literal $t:ty),*) => {$(
                self.add(handler::<GlobalGet<$t, Own, Acc>>(), None,
                    concat!("global.get {index} -> ", $acc));
                self.add(handler::<GlobalGet<$t, Own, A>>(), None,
                    concat!("global.get {index} -> {a} ", $acc));
                self.add(handler::<GlobalGet<$t, Imported, Acc>>(), None,
                    concat!("global.get {index} imported -> ", $acc));
                self.add(handler::<GlobalGet<$t, Imported, A>>(), None,
                    concat!("global.get {index} imported -> {a} ", $acc));
                self.add(handler::<GlobalSet<$t, Own, Acc>>(), None,
                    concat!("global.set {index} ", $acc));
                self.add(handler::<GlobalSet<$t, Own, A>>(), None, "global.set {index} {a}");
                self.add(handler::<GlobalSet<$t, Imported, Acc>>(), None,
                    concat!("global.set {index} imported ", $acc));
                self.add(handler::<GlobalSet<$t, Imported, A>>(), None,
                    "global.set {index} imported {a}");
            )*};
        }
        each_class!("acc" i64, "facc" f64, "vacc" V128);
        macro_rules! short_selects {
            ($($t:ty),*) => {$(
                self.select::<$t, Acc, ShortA, B>("select acc: {A} {b}", "acc");
                self.select::<$t, Acc, A, Short>("select acc: {a} {B}", "acc");
                self.select::<$t, Acc, ShortA, Short>("select acc: {A} {B}", "acc");
            )*};
        }
        short_selects!(i32, i64);
        self.add(handler::<Constant<i64>>(), None, "constant {const} -> acc");
        self.add(handler::<Constant<f64>>(), None, "constant {const} -> facc");
        self.add(handler::<Constant<V128>>(), None, "constant {extra} {const} -> vacc");
        self.add(handler::<ConstantToSlot>(), None, "constant {extra} -> {a}");
        self.add(handler::<MovePair>(), None, "move {b} -> {a}, {d} -> {c}");
    }

    fn select<T, S, X, Y>(&mut self, pattern: &str, acc: &str)
    where
        T: crate::interp::place::Cell + 'static,
        S: crate::interp::place::Source,
        X: crate::interp::place::Source,
        Y: crate::interp::place::Source,
    {
        self.add(handler::<Select<T, S, X, Y, Acc>>(), None, format!("{pattern} -> {acc}"));
        self.add(handler::<Select<T, S, X, Y, C>>(), None, format!("{pattern} -> {{c}} {acc}"));
    }

    fn others(&mut self) {
        macro_rules! names {
            ($($step:ty: $pattern:literal;)*) => {
                $(self.add(handler::<$step>(), None, $pattern);)*
            };
        }
        names! {
            Jump<Forward>: "jump to {to}";
            Jump<Back>: "jump back to {to}";
            BranchTable<Acc>: "br_table acc, last {word}";
            BranchTable<A>: "br_table {a}, last {word}";
            Call: "call {callee}, window {a}";
            CallOut: "call {callee} outside, window {a}";
            CallIndirect<Acc, 24>: "call_indirect acc, window {a}";
            CallIndirect<Slot<INDEX>, 32>: "call_indirect slot, window {a}";
            TailCall: "return_call {callee}, window {a}";
            TailCallOut: "return_call {callee} outside, window {a}";
            TailCallIndirect<Acc>: "return_call_indirect acc, window {a}";
            TailCallIndirect<Slot<TAIL_INDEX>>: "return_call_indirect slot, window {a}";
            Return: "return";
            ReturnMany: "return from {b}";
            ShortCopy: "{op} from {b}";
            ShortFill: "{op} from {b}";
            Fuel: "fuel {word}";
            Unreachable: "unreachable";
            FrameTooLarge: "trap: the frame is too large";
            Runtime: "{op} from {b}, by the driver";
            TableGet<Acc>: "table.get {index} {a} -> acc";
            TableGet<B>: "table.get {index} {a} -> {b} acc";
            TableSet: "table.set {index} {a} {b}";
            TableSize<Acc>: "table.size {index} -> acc";
            TableSize<A>: "table.size {index} -> {a} acc";
            MemorySize<Acc>: "memory.size {index} -> acc";
            MemorySize<A>: "memory.size {index} -> {a} acc";
        }
        self.lea::<0>();
        self.lea::<1>();
        self.lea::<2>();
        self.lea::<3>();
    }

    fn lea<const SHIFT: u32>(&mut self) {
        for (result, slots, acc) in [
            ("acc", handler::<Lea<SHIFT, Acc>>(), handler::<LeaAcc<SHIFT, Acc>>()),
            ("{c} acc", handler::<Lea<SHIFT, C>>(), handler::<LeaAcc<SHIFT, C>>()),
        ] {
            self.add(slots, None, format!("address {{a}} + {{b}} << {SHIFT} -> {result}"));
            self.add(acc, None, format!("address {{a}} + acc << {SHIFT} -> {result}"));
        }
    }

    /// One record in words. A handler that is not listed is shown by its operator and fields.
    pub(super) fn show(
        &self, record: &[u64], at_bytes: u32, operator: Operator, module: &Module,
    ) -> String {
        let handler = record.first().map_or(0, |&word| word as usize);
        let known = self.patterns.get(&handler).map(Vec::as_slice).unwrap_or_default();
        let pattern = known
            .iter()
            .find(|(opcode, _)| opcode.is_some() && *opcode == operator.opcode)
            .or_else(|| known.iter().find(|(opcode, _)| opcode.is_none()))
            .or_else(|| known.first())
            .map_or("{op} by fields {a} {b} {c} {d}", |(_, pattern)| pattern);
        let fields = Fields { record, at_bytes, operator, module };
        let mut text = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (place, behind) = after.split_once('}').unwrap_or((after, ""));
            text.push_str(&fields.show(place));
            rest = behind;
        }
        text.push_str(rest);
        text.trim_end().to_owned()
    }
}

/// Where the operands of a form stand, as a pattern, and the slot of the result.
fn operands(row: &Row, form: usize) -> (String, &'static str) {
    let acc = |index: usize| accumulator(row.operand_kinds[index]);
    let has = |wanted: fn(ImmediateKind) -> bool| {
        row.immediates.iter().any(|immediate| wanted(immediate.kind))
    };
    let is_access = has(|kind| matches!(kind, ImmediateKind::MemArg { .. }));
    let has_lane = has(|kind| matches!(kind, ImmediateKind::Lane { .. }));
    let lane = if has_lane { " lane {D}" } else { "" };
    let count = row.operand_kinds.len();
    if is_access && !has_lane {
        let address = match if count == 1 { form } else { form / 3 } {
            0 => "[acc{+word}]",
            1 => "[{a}{+word}]",
            _ => "[{word}]",
        };
        return match (count, form % 3) {
            (1, _) => (address.to_owned(), "{b}"),
            (_, 0) => (format!("{address} {}", acc(1)), ""),
            (_, 1) => (format!("{address} {{b}}"), ""),
            _ => (format!("{address} {{B}}"), ""),
        };
    }
    let immediate = match row.operand_kinds.last() {
        Some(Kind::F32 | Kind::F64) => "{f32}",
        _ => "{word}",
    };
    let (text, slot) = match (count, form) {
        (1, 0) => (acc(0).to_owned(), "{b}"),
        (1, _) => ("{a}".to_owned(), "{b}"),
        (2, 0) => (format!("{} {}", acc(0), acc(1)), "{b}"),
        (2, 1) => (format!("{} {{a}}", acc(0)), "{b}"),
        (2, 2) => (format!("{} {immediate}", acc(0)), "{b}"),
        (2, 3) => (format!("{{a}} {}", acc(1)), "{b}"),
        (2, 4) => ("{a} {b}".to_owned(), "{c}"),
        (2, 5) => (format!("{{a}} {immediate}"), "{b}"),
        (2, 6) => (format!("{immediate} {}", acc(1)), "{b}"),
        (2, _) => (format!("{immediate} {{a}}"), "{b}"),
        (_, 0) => (format!("{} {{a}} {{b}}", acc(0)), "{c}"),
        _ => ("{a} {b} {c}".to_owned(), "{d}"),
    };
    (format!("{text}{lane}"), slot)
}

/// The accumulator of a kind.
fn accumulator(kind: Kind) -> &'static str {
    match icode::choice::type_of(kind).class() {
        icode::types::Class::Int => "acc",
        icode::types::Class::Float => "facc",
        icode::types::Class::Vector => "vacc",
    }
}

/// What the places of a pattern stand for.
struct Fields<'a> {
    record: &'a [u64],
    at_bytes: u32,
    operator: Operator,
    module: &'a Module,
}

impl Fields<'_> {
    fn u16(&self, at: usize) -> u16 {
        let word = self.record.get(at / 8).copied().unwrap_or(0);
        (word >> (at % 8 * 8)) as u16
    }

    fn word(&self) -> u32 {
        self.u32(at::WORD)
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    fn show(&self, place: &str) -> String {
        let slot = |at| format!("s{}", self.u16(at));
        let offset = |x: u32| if x == 0 { String::new() } else { format!(" + {x}") };
        let bits = |word: usize| format!("{:#x}", self.record.get(word).copied().unwrap_or(0));
        match place {
            "a" => slot(at::A),
            "b" => slot(at::B),
            "c" => slot(at::C),
            "d" => slot(at::D),
            "A" => self.u16(at::A).cast_signed().to_string(),
            "B" => self.u16(at::B).cast_signed().to_string(),
            "D" => self.u16(at::D).to_string(),
            "word" => self.word().cast_signed().to_string(),
            "f32" => format!("{:?}", f32::from_bits(self.word())),
            "+word" => offset(self.word()),
            "+D" => offset(u32::from(self.u16(at::D))),
            "to" => format!("@{}", self.at_bytes.wrapping_add(self.word())),
            "k" => self.u32(at::EXTRA).cast_signed().to_string(),
            "k2" => self.u32(at::EXTRA + 4).cast_signed().to_string(),
            "+k" => offset(self.u32(at::EXTRA)),
            "from" => slot(at::EXTRA + 4),
            "const" => bits(1),
            "extra" => bits(2),
            "index" => self.operator.index.to_string(),
            "callee" => match self.module.function_name(self.operator.index) {
                Some(name) => format!("${}", name.escape_debug()),
                None => format!("function {}", self.operator.index),
            },
            _ => match self.operator.opcode {
                Some(opcode) => opcode.name().to_owned(),
                None => "record".to_owned(),
            },
        }
    }
}

/// Only rows with semantics have forms; the lists of handlers begin with them.
const _: () = assert!(matches!(ROWS[0].effect, Effect::Reads));
