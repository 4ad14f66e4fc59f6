//! The handlers of each row of the instruction table, in the places that its signature allows.
//!
//! One list for each kind of signature; a form that is not listed does not exist, and lowering then
//! moves an operand. Forms with all operands in slots exist for every row.

use brant_isa::{Op, Opcode, ops};

use crate::icode::choice::Pair;
use crate::interp::access::{Checked, Guarded};
use crate::interp::dispatch::{Handler, handler};
use crate::interp::place::{Acc, Imm, Nowhere, Short, Slot, Zero};
use crate::interp::regs::at;
use crate::interp::step::branch::{Back, Branch, Forward};
use crate::interp::step::fused::{IndexedLoad, IndexedStore, LoadAt, StoreAt};
use crate::interp::step::operator::Operator;

type A = Slot<{ at::A }>;
type B = Slot<{ at::B }>;
type C = Slot<{ at::C }>;
type D = Slot<{ at::D }>;

/// A pair of handlers: operands from `$s`, result to the accumulator, or to slot `$d` too.
macro_rules! pair {
    ($o:ty, $s:ty, $d:ty) => {
        pair!($o, $s, $d, Guarded)
    };
    ($o:ty, $s:ty, $d:ty, $view:ty) => {
        Some(Pair {
            to_acc: handler::<Operator<$o, $s, Acc, $view>>(),
            to_slot: handler::<Operator<$o, $s, $d, $view>>(),
        })
    };
}

/// A handler without a result.
macro_rules! effect {
    ($o:ty, $s:ty) => {
        effect!($o, $s, Guarded)
    };
    ($o:ty, $s:ty, $view:ty) => {{
        let handler = handler::<Operator<$o, $s, Nowhere, $view>>();
        Some(Pair { to_acc: handler, to_slot: handler })
    }};
}

/// What only operators without a commuted form need.
macro_rules! unless_swapped {
    ($o:ty, $s:ty, $d:ty) => {{
        const CHOICE: Option<Pair> = match is_turned(<$o as Op>::OPCODE) {
            true => None,
            false => pair!($o, $s, $d),
        };
        CHOICE
    }};
}

/// Whether lowering exchanges the operands of `opcode` where that helps: see `choice::swapped`.
const fn is_turned(opcode: Opcode) -> bool {
    brant_isa::ROWS[opcode as usize].commutative || is_ordering(opcode)
}

const fn is_ordering(opcode: Opcode) -> bool {
    use Opcode::*;
    matches!(
        opcode,
        I32LtS
            | I32LtU
            | I32GtS
            | I32GtU
            | I32LeS
            | I32LeU
            | I32GeS
            | I32GeU
            | I64LtS
            | I64LtU
            | I64GtS
            | I64GtU
            | I64LeS
            | I64LeU
            | I64GeS
            | I64GeU
            | F32Lt
            | F32Gt
            | F32Le
            | F32Ge
            | F64Lt
            | F64Gt
            | F64Le
            | F64Ge
    )
}

#[rustfmt::skip]
macro_rules! forms {
    // Loads: the address from the accumulator, from a slot, or all of it in the offset.
    ($o:ty: {$i:ident: MemArg} (i32) -> $t:tt) => { &[
        pair!($o, (Acc,), B), pair!($o, (A,), B), pair!($o, (Zero,), B),
    ] };
    // Stores of integers, whose address and value have one accumulator between them.
    ($o:ty: {$i:ident: MemArg} (i32 i32) -> ()) => { forms!(store $o) };
    ($o:ty: {$i:ident: MemArg} (i32 i64) -> ()) => { forms!(store $o) };
    (store $o:ty) => { &[
        None, effect!($o, (Acc, B)), effect!($o, (Acc, Short)),
        effect!($o, (A, Acc)), effect!($o, (A, B)), effect!($o, (A, Short)),
        effect!($o, (Zero, Acc)), effect!($o, (Zero, B)), effect!($o, (Zero, Short)),
    ] };
    ($o:ty: {$i:ident: MemArg} (i32 $v:ident) -> ()) => { &[
        effect!($o, (Acc, Acc)), effect!($o, (Acc, B)), None,
        effect!($o, (A, Acc)), effect!($o, (A, B)), None,
        effect!($o, (Zero, Acc)), effect!($o, (Zero, B)), None,
    ] };
    // One lane of a vector, from or to memory.
    ($o:ty: {$i:ident: MemArg, $l:ident: Lane} (i32 v128) -> ()) => { &[
        None, None, None, effect!($o, (A, Acc)), effect!($o, (A, B)),
    ] };
    ($o:ty: {$i:ident: MemArg, $l:ident: Lane} (i32 v128) -> v128) => { &[
        None, None, None, pair!($o, (A, Acc), B), pair!($o, (A, B), C),
    ] };
    ($o:ty: $i:tt ($a:ident) -> $t:tt) => { &[
        pair!($o, (Acc,), B), pair!($o, (A,), B),
    ] };
    ($o:ty: $i:tt (v128 v128) -> $t:tt) => { &[
        None, pair!($o, (Acc, A), B), None,
        unless_swapped!($o, (A, Acc), B), pair!($o, (A, B), C),
    ] };
    // Shifts of vectors, and lanes that are replaced.
    ($o:ty: {} (v128 i32) -> $t:tt) => { &[
        pair!($o, (Acc, Acc), B), pair!($o, (Acc, A), B), pair!($o, (Acc, Imm), B),
        pair!($o, (A, Acc), B), pair!($o, (A, B), C), pair!($o, (A, Imm), B),
    ] };
    ($o:ty: {$l:ident: Lane} (v128 $x:ident) -> $t:tt) => { &[
        pair!($o, (Acc, Acc), B), pair!($o, (Acc, A), B), None,
        pair!($o, (A, Acc), B), pair!($o, (A, B), C),
    ] };
    ($o:ty: {} ($a:ident $b:ident) -> $t:tt) => { &[
        None, pair!($o, (Acc, A), B), pair!($o, (Acc, Imm), B),
        unless_swapped!($o, (A, Acc), B), pair!($o, (A, B), C), pair!($o, (A, Imm), B),
        unless_swapped!($o, (Imm, Acc), B), unless_swapped!($o, (Imm, A), B),
    ] };
    // Three operands: the first from its accumulator, or all from slots.
    ($o:ty: {} ($a:ident $b:ident $c:ident) -> $t:tt) => { &[
        pair!($o, (Acc, A, B), C), pair!($o, (A, B, C), D),
    ] };
}

#[rustfmt::skip]
macro_rules! checked {
    ($o:ty: {$i:ident: MemArg} (i32) -> $t:tt) => { pair!($o, (A,), B, Checked) };
    ($o:ty: {$i:ident: MemArg $($l:tt)*} (i32 $v:ident) -> ()) => { effect!($o, (A, B), Checked) };
    ($o:ty: {$i:ident: MemArg $($l:tt)*} (i32 $v:ident) -> $t:tt) => { pair!($o, (A, B), C, Checked) };
    ($o:ty: {$i:ident: MemArg} (i32 $v:ident $w:ident) -> $t:tt) => { pair!($o, (A, B, C), D, Checked) };
    ($o:ty: $imms:tt $args:tt -> $t:tt) => { None };
}

/// A load or store by base and index: `Indexed::form`.
#[rustfmt::skip]
macro_rules! indexed {
    ($o:ty: {$i:ident: MemArg} (i32 $v:ident) -> ()) => { &[
        store_by_index!($o, B, 0), store_by_index!($o, B, 1), store_by_index!($o, B, 2),
        store_by_index!($o, B, 3), store_by_index!($o, Acc, 0), store_by_index!($o, Acc, 1),
        store_by_index!($o, Acc, 2), store_by_index!($o, Acc, 3),
    ] };
    ($o:ty: {$i:ident: MemArg} (i32) -> $t:tt) => { &[
        by_index!($o, B, 0), by_index!($o, B, 1), by_index!($o, B, 2), by_index!($o, B, 3),
        by_index!($o, Acc, 0), by_index!($o, Acc, 1), by_index!($o, Acc, 2), by_index!($o, Acc, 3),
    ] };
    ($o:ty: $imms:tt $args:tt -> $t:tt) => { &[] };
}

macro_rules! by_index {
    ($o:ty, $index:ty, $shift:literal) => {
        Pair {
            to_acc: handler::<IndexedLoad<$o, $index, $shift, Acc>>(),
            to_slot: handler::<IndexedLoad<$o, $index, $shift, C>>(),
        }
    };
}

macro_rules! store_by_index {
    ($o:ty, $index:ty, $shift:literal) => {{
        let handler = handler::<IndexedStore<$o, $index, $shift>>();
        Pair { to_acc: handler, to_slot: handler }
    }};
}

/// Loads and stores whose address is a sum with a constant: the other summand in a slot, or in the
/// accumulator; for stores also with the value in a slot, or an immediate.
#[rustfmt::skip]
macro_rules! displaced {
    ($o:ty: {$i:ident: MemArg} (i32) -> $t:tt) => { &[
        Pair { to_acc: handler::<LoadAt<$o, A, Acc>>(), to_slot: handler::<LoadAt<$o, A, B>>() },
        Pair { to_acc: handler::<LoadAt<$o, Acc, Acc>>(), to_slot: handler::<LoadAt<$o, Acc, B>>() },
    ] };
    ($o:ty: {$i:ident: MemArg} (i32 v128) -> ()) => { &[] };
    ($o:ty: {$i:ident: MemArg} (i32 $v:ident) -> ()) => { &[
        store_at!($o, A, B), store_at!($o, Acc, B), store_at!($o, A, Short), store_at!($o, Acc, Short),
    ] };
    ($o:ty: $imms:tt $args:tt -> $t:tt) => { &[] };
}

macro_rules! store_at {
    ($o:ty, $address:ty, $value:ty) => {{
        let handler = handler::<StoreAt<$o, $address, $value>>();
        Pair { to_acc: handler, to_slot: handler }
    }};
}

/// Branches of one form: sense false and true, each forwards and back.
macro_rules! both_senses {
    ($o:ty, $s:ty) => {
        [
            Some(handler::<Branch<$o, $s, Forward, false>>()),
            Some(handler::<Branch<$o, $s, Back, false>>()),
            Some(handler::<Branch<$o, $s, Forward, true>>()),
            Some(handler::<Branch<$o, $s, Back, true>>()),
        ]
    };
}

/// Branches of one form where the comparison has an inverse.
macro_rules! one_sense {
    ($o:ty, $s:ty) => {
        [
            None,
            None,
            Some(handler::<Branch<$o, $s, Forward, true>>()),
            Some(handler::<Branch<$o, $s, Back, true>>()),
        ]
    };
}

const NO_BRANCH: [Option<Handler>; 4] = [None; 4];

#[rustfmt::skip]
macro_rules! branches {
    ($o:ty: ($a:ident) -> bool) => {
        [both_senses!($o, (Acc,)), both_senses!($o, (A,))].as_flattened()
    };
    ($o:ty: (i32 i32) -> bool) => { branches!(int $o) };
    ($o:ty: (i64 i64) -> bool) => { branches!(int $o) };
    (int $o:ty) => { [
        NO_BRANCH, one_sense!($o, (Acc, A)), one_sense!($o, (Acc, Short)),
        NO_BRANCH, one_sense!($o, (A, B)), one_sense!($o, (A, Short)),
    ].as_flattened() };
    ($o:ty: ($a:ident $b:ident) -> bool) => { [
        NO_BRANCH, both_senses!($o, (Acc, A)), NO_BRANCH,
        NO_BRANCH, both_senses!($o, (A, B)), NO_BRANCH,
    ].as_flattened() };
    ($o:ty: $args:tt -> $t:tt) => { &[] };
}

/// Atomic accesses have the checked form alone: beside a locked instruction a check is nothing.
macro_rules! unless_atomic {
    (Threads $forms:ident $of:tt) => {
        &[]
    };
    ($feature:ident $forms:ident ($($of:tt)*)) => {
        $forms!($($of)*)
    };
}

/// Hands each row of both tables to `$each`, in the order of opcodes.
macro_rules! rows {
    (
        { $($op:ident $bytes:tt $name:literal $feature:ident $effect:ident $imms:tt
            ($($arg:ident : $ty:ident),*) -> $out:tt = $sem:ident $(<$($of:ty),+>)?;)* }
        { $($vop:ident $vbytes:tt $vname:literal $vfeature:ident $veffect:ident $vimms:tt
            ($($varg:ident : $vty:ident),*) -> $vout:tt = $vsem:ident $(<$($vof:ty),+>)?;)* }
        $others:tt
    ) => {
        /// Forms of each operator, by opcode and then by form.
        pub static VARIANTS: &[&[Option<Pair>]] = &[
            $(unless_atomic!($feature forms (ops::$op: $imms ($($ty)*) -> $out)),)*
            $(forms!(ops::$vop: $vimms ($($vty)*) -> $vout),)*
        ];
        /// The form of each access that checks its address, by opcode.
        pub static CHECKED: &[Option<Pair>] = &[
            $(checked!(ops::$op: $imms ($($ty)*) -> $out),)*
            $(checked!(ops::$vop: $vimms ($($vty)*) -> $vout),)*
        ];
        /// Loads and stores by base and index, by opcode.
        pub static INDEXED: &[&[Pair]] = &[
            $(unless_atomic!($feature indexed (ops::$op: $imms ($($ty)*) -> $out)),)*
            $(indexed!(ops::$vop: $vimms ($($vty)*) -> $vout),)*
        ];
        /// Loads and stores at a sum with a constant, by opcode.
        pub static DISPLACED: &[&[Pair]] = &[
            $(unless_atomic!($feature displaced (ops::$op: $imms ($($ty)*) -> $out)),)*
            $(displaced!(ops::$vop: $vimms ($($vty)*) -> $vout),)*
        ];
        /// Comparisons fused with a branch, by opcode.
        pub static BRANCHES: &[&[Option<Handler>]] = &[
            $(branches!(ops::$op: ($($ty)*) -> $out),)*
            $(branches!(ops::$vop: ($($vty)*) -> $vout),)*
        ];
        /// The rows that the lists above are made of, to compare with the table.
        #[cfg(test)]
        const ORDER: &[Opcode] = &[$(Opcode::$op,)* $(Opcode::$vop,)*];
    };
}
brant_isa::for_each_row!(rows);

#[cfg(test)]
mod tests {
    use brant_isa::Feature;

    use super::*;

    #[test]
    fn lists_are_indexed_by_opcode() {
        assert!(ORDER.iter().enumerate().all(|(index, &opcode)| index == opcode as usize));
    }

    #[test]
    fn every_operator_takes_its_operands_from_slots() {
        for &opcode in ORDER {
            let row = opcode.row();
            if row.feature == Feature::Threads {
                assert!(VARIANTS[opcode as usize].is_empty());
                assert!(CHECKED[opcode as usize].is_some());
                continue;
            }
            let form = match row.operand_kinds.len() {
                1 => 1,
                2 => 4,
                _ => 1,
            };
            let forms = VARIANTS[opcode as usize];
            assert!(forms.get(form).is_some_and(Option::is_some), "{opcode}");
        }
    }
}
