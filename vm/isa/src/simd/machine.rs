//! The primitives on vectors.
//!
//! What works lane by lane is one primitive with the operation as data, because a machine treats all
//! of those alike. Shapes are type parameters.

use crate::machine::{FloatCc, IntCc, Lane, Machine, MemArg, Res, Shuffle};
use crate::types::{FloatShape, IntShape, Shape, V128};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "each is the operation of its name")]
        pub enum $name { $($variant),* }
    )*};
}
operations! {
    /// On two lanes of integers.
    IntLaneOp { Add Sub Mul AddSatS AddSatU SubSatS SubSatU MinS MinU MaxS MaxU AvgrU }
    /// On one lane of integers.
    IntLaneUnary { Neg Abs Popcnt }
    /// On two lanes of floats. `Pmin` is `b < a ? b : a`, `Pmax` is `a < b ? b : a`.
    FloatLaneOp { Add Sub Mul Div Min Max Pmin Pmax }
    /// On one lane of floats.
    FloatLaneUnary { Abs Neg Sqrt Ceil Floor Trunc Nearest }
    /// On all bits. `AndNot` is `a & !b`.
    BitOp { And Or Xor AndNot }
    /// Of every lane by the same count, taken modulo the width.
    Shift { Left RightS RightU }
    /// How narrow integers are read.
    Sign { Signed Unsigned }
    /// Which lanes of the source: the first ones or the last ones.
    Half { Low High }
}

/// A machine that has vectors.
#[allow(missing_docs, clippy::missing_errors_doc, reason = "as in `Machine`")]
pub trait Simd: Machine {
    fn vload(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, V128>;
    fn vstore(&self, at: MemArg, address: Self::V<i32>, x: Self::V<V128>)
    -> Result<(), Self::Trap>;

    fn vzero(&self) -> Self::V<V128>;
    fn vsplat<S: Shape>(&self, x: Self::V<S::Lane>) -> Self::V<V128>;
    fn vextract<S: Shape>(&self, lane: Lane, a: Self::V<V128>) -> Self::V<S::Lane>;
    fn vreplace<S: Shape>(
        &self, lane: Lane, a: Self::V<V128>, x: Self::V<S::Lane>,
    ) -> Self::V<V128>;
    /// Bytes of `a` and, from 16 on, of `b`.
    fn vshuffle(&self, lanes: Shuffle, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128>;
    /// Bytes of `a` that the bytes of `b` choose; 0 for what is no lane.
    fn vswizzle(&self, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128>;

    fn vbits(&self, op: BitOp, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128>;
    fn vnot(&self, a: Self::V<V128>) -> Self::V<V128>;
    /// Bits of `a` where `c` has ones, else of `b`.
    fn vbitselect(&self, a: Self::V<V128>, b: Self::V<V128>, c: Self::V<V128>) -> Self::V<V128>;
    fn vany_true(&self, a: Self::V<V128>) -> Self::V<bool>;
    fn vall_true<S: IntShape>(&self, a: Self::V<V128>) -> Self::V<bool>;
    /// The highest bit of each lane, lane 0 lowest.
    fn vbitmask<S: IntShape>(&self, a: Self::V<V128>) -> Self::V<i32>;

    fn vint<S: IntShape>(&self, op: IntLaneOp, a: Self::V<V128>, b: Self::V<V128>)
    -> Self::V<V128>;
    fn vint_unary<S: IntShape>(&self, op: IntLaneUnary, a: Self::V<V128>) -> Self::V<V128>;
    fn vshift<S: IntShape>(
        &self, shift: Shift, a: Self::V<V128>, count: Self::V<i32>,
    ) -> Self::V<V128>;
    /// All ones in the lanes where the comparison holds.
    fn vicmp<S: IntShape>(&self, cc: IntCc, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128>;
    /// The lanes of `a`, then those of `b`, brought into the range of half the width.
    fn vnarrow<S: IntShape>(&self, sign: Sign, a: Self::V<V128>, b: Self::V<V128>)
    -> Self::V<V128>;
    /// Half of the lanes at twice the width.
    fn vextend<S: IntShape>(&self, half: Half, sign: Sign, a: Self::V<V128>) -> Self::V<V128>;
    /// Sums of neighbours at twice the width.
    fn vextadd<S: IntShape>(&self, sign: Sign, a: Self::V<V128>) -> Self::V<V128>;
    /// Sums of the products of two neighbours, i16 to i32.
    fn vdot(&self, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128>;
    /// The same of signed bytes, to i16.
    fn vdot_bytes(&self, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128>;
    /// Products of fixed-point numbers with 15 fraction bits, rounded and saturated.
    fn vq15mulr(&self, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128>;

    fn vfloat<S: FloatShape>(
        &self, op: FloatLaneOp, a: Self::V<V128>, b: Self::V<V128>,
    ) -> Self::V<V128>;
    fn vfloat_unary<S: FloatShape>(&self, op: FloatLaneUnary, a: Self::V<V128>) -> Self::V<V128>;
    fn vfcmp<S: FloatShape>(
        &self, cc: FloatCc, a: Self::V<V128>, b: Self::V<V128>,
    ) -> Self::V<V128>;
    /// f32x4 to i32x4, saturating.
    fn vtrunc_sat(&self, sign: Sign, a: Self::V<V128>) -> Self::V<V128>;
    /// f64x2 to the low half of i32x4, saturating; the high half is 0.
    fn vtrunc_sat_zero(&self, sign: Sign, a: Self::V<V128>) -> Self::V<V128>;
    /// i32x4 to f32x4.
    fn vconvert(&self, sign: Sign, a: Self::V<V128>) -> Self::V<V128>;
    /// The low half of i32x4 to f64x2.
    fn vconvert_low(&self, sign: Sign, a: Self::V<V128>) -> Self::V<V128>;
    /// f64x2 to the low half of f32x4; the high half is 0.
    fn vdemote(&self, a: Self::V<V128>) -> Self::V<V128>;
    /// The low half of f32x4 to f64x2.
    fn vpromote(&self, a: Self::V<V128>) -> Self::V<V128>;
}
