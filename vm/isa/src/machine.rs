//! The primitives from which every operator is made.
//!
//! A primitive is as large as one CLIF instruction and named after it; what an *operator* adds
//! (traps and their order, operand order, widths) is written in `semantics.rs` on top of these.
//! Methods take `&self`, so that bodies nest: `m.iadd(a, m.ishl(b, c))`.

use crate::Trap;
use crate::types::{Float, Int, Scalar, Ty};

/// Integer comparisons (CLIF's `IntCC`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are CLIF's")]
pub enum IntCc {
    Eq,
    Ne,
    Lts,
    Ltu,
    Gts,
    Gtu,
    Les,
    Leu,
    Ges,
    Geu,
}

/// Float comparisons (CLIF's `FloatCC`); `Uno` is true if either operand is NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are CLIF's")]
pub enum FloatCc {
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
    Uno,
}

/// What an atomic read-modify-write makes of the old value and its operand (CLIF's `AtomicRmwOp`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are CLIF's")]
pub enum RmwOp {
    Add,
    Sub,
    And,
    Or,
    Xor,
    Xchg,
}

/// The memory immediate: a constant offset. The alignment hint means nothing here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemArg {
    /// Added to the address; the sum does not wrap.
    pub offset: u32,
}

/// A lane index, less than the number of lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lane(pub u8);

/// For each byte of the result, which of the 32 bytes of both operands it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shuffle(pub [u8; 16]);

/// What a body gives back: a value, or a trap where this machine traps while the body runs.
pub type Res<M, T> = Result<<M as Machine>::V<T>, <M as Machine>::Trap>;

/// Something that operators can be run on.
#[allow(missing_docs, reason = "a primitive is the CLIF instruction of its name")]
pub trait Machine: Sized {
    /// A value of type `T`: the number itself, a compiler's value, a piece of text.
    type V<T: Ty>: Copy;
    /// What leaves a body early. `Infallible` where a trap is code that is emitted.
    type Trap;

    /// Leaves the body with `trap` if `condition` holds.
    ///
    /// # Errors
    /// The trap, on machines that run the body.
    fn trap_if(&self, condition: Self::V<bool>, trap: Trap) -> Result<(), Self::Trap>;

    fn iconst<T: Int>(&self, x: i64) -> Self::V<T>;
    fn iadd<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn isub<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn imul<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn band<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn bor<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn bxor<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    /// The count is taken modulo the width; so in all shifts and rotations.
    fn ishl<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn sshr<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn ushr<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn rotl<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn rotr<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn clz<T: Int>(&self, a: Self::V<T>) -> Self::V<T>;
    fn ctz<T: Int>(&self, a: Self::V<T>) -> Self::V<T>;
    fn popcnt<T: Int>(&self, a: Self::V<T>) -> Self::V<T>;
    /// The body has excluded `b == 0` and `MIN / -1`.
    fn sdiv<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    /// The body has excluded `b == 0`.
    fn udiv<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    /// The body has excluded `b == 0`; `MIN % -1` is 0.
    fn srem<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    /// The body has excluded `b == 0`.
    fn urem<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn icmp<T: Int>(&self, cc: IntCc, a: Self::V<T>, b: Self::V<T>) -> Self::V<bool>;
    fn and(&self, a: Self::V<bool>, b: Self::V<bool>) -> Self::V<bool>;
    fn not(&self, a: Self::V<bool>) -> Self::V<bool>;

    fn uextend<A: Int, B: Int>(&self, a: Self::V<A>) -> Self::V<B>;
    fn sextend<A: Int, B: Int>(&self, a: Self::V<A>) -> Self::V<B>;
    fn ireduce<A: Int, B: Int>(&self, a: Self::V<A>) -> Self::V<B>;
    /// The same bits under another type of the same width.
    fn bitcast<A: Scalar, B: Scalar>(&self, a: Self::V<A>) -> Self::V<B>;

    fn fconst<T: Float>(&self, x: f64) -> Self::V<T>;
    fn fadd<T: Float>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn fsub<T: Float>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn fmul<T: Float>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn fdiv<T: Float>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    /// NaN if either operand is NaN; -0 is less than +0. So in `fmax`.
    fn fmin<T: Float>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn fmax<T: Float>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    fn fcopysign<T: Float>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;
    /// Only the sign bit changes, of a NaN too. So in `fneg`.
    fn fabs<T: Float>(&self, a: Self::V<T>) -> Self::V<T>;
    fn fneg<T: Float>(&self, a: Self::V<T>) -> Self::V<T>;
    fn sqrt<T: Float>(&self, a: Self::V<T>) -> Self::V<T>;
    fn ceil<T: Float>(&self, a: Self::V<T>) -> Self::V<T>;
    fn floor<T: Float>(&self, a: Self::V<T>) -> Self::V<T>;
    fn ftrunc<T: Float>(&self, a: Self::V<T>) -> Self::V<T>;
    /// Ties go to the even neighbour.
    fn nearest<T: Float>(&self, a: Self::V<T>) -> Self::V<T>;
    fn fcmp<T: Float>(&self, cc: FloatCc, a: Self::V<T>, b: Self::V<T>) -> Self::V<bool>;
    fn fpromote(&self, a: Self::V<f32>) -> Self::V<f64>;
    fn fdemote(&self, a: Self::V<f64>) -> Self::V<f32>;
    /// Towards zero; out of range goes to the nearest bound, NaN to 0.
    fn fcvt_to_sint_sat<A: Float, B: Int>(&self, a: Self::V<A>) -> Self::V<B>;
    fn fcvt_to_uint_sat<A: Float, B: Int>(&self, a: Self::V<A>) -> Self::V<B>;
    fn fcvt_from_sint<A: Int, B: Float>(&self, a: Self::V<A>) -> Self::V<B>;
    fn fcvt_from_uint<A: Int, B: Float>(&self, a: Self::V<A>) -> Self::V<B>;

    /// `a` if `c` holds, else `b`.
    fn select<T: Ty>(&self, c: Self::V<bool>, a: Self::V<T>, b: Self::V<T>) -> Self::V<T>;

    /// Reads `T` at `address + offset`, a sum that does not wrap.
    ///
    /// # Errors
    /// Out of bounds, on machines that run the body; so in `store`.
    fn load<T: Scalar>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, T>;
    /// Writes `x` at `address + offset`.
    ///
    /// # Errors
    /// As in `load`.
    fn store<T: Scalar>(
        &self, at: MemArg, address: Self::V<i32>, x: Self::V<T>,
    ) -> Result<(), Self::Trap>;

    /// Reads `T` at `address + offset` in one piece, in the one order that all threads see; so in
    /// all that is atomic. The body has made sure that the place is aligned.
    ///
    /// # Errors
    /// As in `load`.
    fn atomic_load<T: Int>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, T>;
    /// Writes `x`.
    ///
    /// # Errors
    /// As in `load`.
    fn atomic_store<T: Int>(
        &self, at: MemArg, address: Self::V<i32>, x: Self::V<T>,
    ) -> Result<(), Self::Trap>;
    /// Writes what `op` makes of the old value and `x`, and gives the old one.
    ///
    /// # Errors
    /// As in `load`.
    fn atomic_rmw<T: Int>(
        &self, op: RmwOp, at: MemArg, address: Self::V<i32>, x: Self::V<T>,
    ) -> Res<Self, T>;
    /// Writes `x` if the old value is `expected`, and gives the old one.
    ///
    /// # Errors
    /// As in `load`.
    fn atomic_cas<T: Int>(
        &self, at: MemArg, address: Self::V<i32>, expected: Self::V<T>, x: Self::V<T>,
    ) -> Res<Self, T>;
}
