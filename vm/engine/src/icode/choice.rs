//! Which handler serves an operator with its operands in given places: static arrays, made from the
//! table of instructions, indexed by opcode and form. Nothing is searched while translating.

use brant_isa::types::Kind;
use brant_isa::{Effect, Opcode};

use crate::icode::types::{Class, Type};
use crate::interp::dispatch::Handler;

use super::combined::bits_branch;
pub use super::combined::{LoadTest, add_branch};
pub use super::variants::{BRANCHES, CHECKED, DISPLACED, INDEXED, VARIANTS};

/// Handlers of one operator and form: one leaves the result in the accumulator of its class, the
/// other writes it to a slot as well.
#[derive(Clone, Copy)]
pub struct Pair {
    /// Result in the accumulator.
    pub to_acc: Handler,
    /// Result in a slot and in the accumulator.
    pub to_slot: Handler,
}

/// Places of the operands: A accumulator, S slot, I immediate; for one operand or for two.
///
/// An address that is a constant counts as I: it is added to the offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form(pub usize);

#[allow(missing_docs, reason = "the letters are the legend above")]
impl Form {
    pub const A: Self = Self(0);
    pub const S: Self = Self(1);
    pub const I: Self = Self(2);
    pub const AA: Self = Self(0);
    pub const AS: Self = Self(1);
    pub const AI: Self = Self(2);
    pub const SA: Self = Self(3);
    pub const SS: Self = Self(4);
    pub const SI: Self = Self(5);
    pub const IA: Self = Self(6);
    pub const IS: Self = Self(7);
    /// Number of forms of two operands.
    pub const COUNT: usize = 8;
}

/// The branch that goes if comparison `opcode` gives `sense`; `i32.and` counts as one: of its bits
/// with zero.
#[inline]
pub fn branch(opcode: Opcode, form: Form, sense: bool, back: bool) -> Option<Handler> {
    if opcode == Opcode::I32And {
        return bits_branch(form, sense, back);
    }
    let index = form.0 * 4 + usize::from(sense) * 2 + usize::from(back);
    BRANCHES[opcode as usize].get(index).copied().flatten()
}

/// Whether the result is a condition.
#[inline]
pub fn is_comparison(opcode: Opcode) -> bool {
    !BRANCHES[opcode as usize].is_empty()
}

/// Whether there is one operand.
#[inline]
pub fn is_unary(opcode: Opcode) -> bool {
    opcode.row().operand_kinds.len() == 1
}

/// The type that the walk has for a kind of the table.
#[inline]
pub fn type_of(kind: Kind) -> Type {
    match kind {
        Kind::I64 => Type::I64,
        Kind::F32 => Type::F32,
        Kind::F64 => Type::F64,
        Kind::V128 => Type::V128,
        _ => Type::I32,
    }
}

/// The type of the first operand.
pub fn operand_type(opcode: Opcode) -> Type {
    opcode.row().operand_kinds.first().map_or(Type::I32, |&kind| type_of(kind))
}

/// The class of the first operand.
pub fn operand_class(opcode: Opcode) -> Class {
    operand_type(opcode).class()
}

/// Whether a constant result may take the operator's place.
pub fn may_fold(opcode: Opcode) -> bool {
    opcode.row().effect == Effect::Pure
}

/// The comparison that holds where `opcode` does not. Floats have none, because of NaN.
pub fn inverse(opcode: Opcode) -> Option<Opcode> {
    use Opcode::*;
    Some(match opcode {
        I32Eq => I32Ne,
        I32Ne => I32Eq,
        I32LtS => I32GeS,
        I32GeS => I32LtS,
        I32LtU => I32GeU,
        I32GeU => I32LtU,
        I32GtS => I32LeS,
        I32LeS => I32GtS,
        I32GtU => I32LeU,
        I32LeU => I32GtU,
        I64Eq => I64Ne,
        I64Ne => I64Eq,
        I64LtS => I64GeS,
        I64GeS => I64LtS,
        I64LtU => I64GeU,
        I64GeU => I64LtU,
        I64GtS => I64LeS,
        I64LeS => I64GtS,
        I64GtU => I64LeU,
        I64LeU => I64GtU,
        F32Eq => F32Ne,
        F32Ne => F32Eq,
        F64Eq => F64Ne,
        F64Ne => F64Eq,
        _ => return None,
    })
}

/// The operator that gives the same result with its two operands exchanged.
pub fn swapped(opcode: Opcode) -> Option<Opcode> {
    use Opcode::*;
    Some(match opcode {
        I32LtS => I32GtS,
        I32GtS => I32LtS,
        I32LtU => I32GtU,
        I32GtU => I32LtU,
        I32LeS => I32GeS,
        I32GeS => I32LeS,
        I32LeU => I32GeU,
        I32GeU => I32LeU,
        I64LtS => I64GtS,
        I64GtS => I64LtS,
        I64LtU => I64GtU,
        I64GtU => I64LtU,
        I64LeS => I64GeS,
        I64GeS => I64LeS,
        I64LeU => I64GeU,
        I64GeU => I64LeU,
        F32Lt => F32Gt,
        F32Gt => F32Lt,
        F32Le => F32Ge,
        F32Ge => F32Le,
        F64Lt => F64Gt,
        F64Gt => F64Lt,
        F64Le => F64Ge,
        F64Ge => F64Le,
        _ if opcode.row().commutative => opcode,
        _ => return None,
    })
}

/// A constant as an immediate of 32 bits, if it has that form: integers are sign-extended from it,
/// floats are made from an f32.
#[inline]
pub fn short_immediate(bits: u64, ty: Type) -> Option<i32> {
    match ty {
        Type::I64 => i32::try_from(bits as i64).ok(),
        Type::F64 => {
            let (x, short) = (f64::from_bits(bits), f64::from_bits(bits) as f32);
            (!x.is_nan() && f64::from(short).to_bits() == bits).then(|| short.to_bits() as i32)
        }
        Type::V128 => None,
        _ => Some(bits as i32),
    }
}
