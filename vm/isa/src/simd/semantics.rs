//! The vector instructions, made from the primitives.

use super::machine::{
    BitOp, FloatLaneOp, FloatLaneUnary, Half, IntLaneOp, IntLaneUnary, Shift, Sign, Simd,
};
use crate::machine::{FloatCc, IntCc, Lane, MemArg, Res};
use crate::types::{FloatShape, I8x16, I16x8, I32x4, I64x2, IntShape, Shape, V128};

macro_rules! two {
    ($($name:ident = $primitive:ident<$bound:ident>($op:expr);)*) => {$(
        #[inline(always)]
        fn $name<S: $bound>(&self, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128> {
            self.$primitive::<S>($op, a, b)
        }
    )*};
}
macro_rules! one {
    ($($name:ident = $primitive:ident<$bound:ident>($($op:expr),+);)*) => {$(
        #[inline(always)]
        fn $name<S: $bound>(&self, a: Self::V<V128>) -> Self::V<V128> {
            self.$primitive::<S>($($op),+, a)
        }
    )*};
}
macro_rules! fixed {
    ($($name:ident = $primitive:ident($op:expr)($($arg:ident),+);)*) => {$(
        #[inline(always)]
        fn $name(&self, $($arg: Self::V<V128>),+) -> Self::V<V128> {
            self.$primitive($op, $($arg),+)
        }
    )*};
}

/// Bodies of the vector instructions. Spec: 4.3.1 and 4.4.3.
#[allow(missing_docs, clippy::missing_errors_doc, reason = "a body is the operator of its name")]
pub trait SimdSemantics: Simd {
    two! {
        vadd = vint<IntShape>(IntLaneOp::Add);
        vsub = vint<IntShape>(IntLaneOp::Sub);
        vmul = vint<IntShape>(IntLaneOp::Mul);
        vadd_sat_s = vint<IntShape>(IntLaneOp::AddSatS);
        vadd_sat_u = vint<IntShape>(IntLaneOp::AddSatU);
        vsub_sat_s = vint<IntShape>(IntLaneOp::SubSatS);
        vsub_sat_u = vint<IntShape>(IntLaneOp::SubSatU);
        vmin_s = vint<IntShape>(IntLaneOp::MinS);
        vmin_u = vint<IntShape>(IntLaneOp::MinU);
        vmax_s = vint<IntShape>(IntLaneOp::MaxS);
        vmax_u = vint<IntShape>(IntLaneOp::MaxU);
        vavgr_u = vint<IntShape>(IntLaneOp::AvgrU);
        veq = vicmp<IntShape>(IntCc::Eq);
        vne = vicmp<IntShape>(IntCc::Ne);
        vlt_s = vicmp<IntShape>(IntCc::Lts);
        vlt_u = vicmp<IntShape>(IntCc::Ltu);
        vgt_s = vicmp<IntShape>(IntCc::Gts);
        vgt_u = vicmp<IntShape>(IntCc::Gtu);
        vle_s = vicmp<IntShape>(IntCc::Les);
        vle_u = vicmp<IntShape>(IntCc::Leu);
        vge_s = vicmp<IntShape>(IntCc::Ges);
        vge_u = vicmp<IntShape>(IntCc::Geu);
        vnarrow_s = vnarrow<IntShape>(Sign::Signed);
        vnarrow_u = vnarrow<IntShape>(Sign::Unsigned);
        vfadd = vfloat<FloatShape>(FloatLaneOp::Add);
        vfsub = vfloat<FloatShape>(FloatLaneOp::Sub);
        vfmul = vfloat<FloatShape>(FloatLaneOp::Mul);
        vfdiv = vfloat<FloatShape>(FloatLaneOp::Div);
        vfmin = vfloat<FloatShape>(FloatLaneOp::Min);
        vfmax = vfloat<FloatShape>(FloatLaneOp::Max);
        vfpmin = vfloat<FloatShape>(FloatLaneOp::Pmin);
        vfpmax = vfloat<FloatShape>(FloatLaneOp::Pmax);
        vfeq = vfcmp<FloatShape>(FloatCc::Eq);
        vfne = vfcmp<FloatShape>(FloatCc::Ne);
        vflt = vfcmp<FloatShape>(FloatCc::Lt);
        vfgt = vfcmp<FloatShape>(FloatCc::Gt);
        vfle = vfcmp<FloatShape>(FloatCc::Le);
        vfge = vfcmp<FloatShape>(FloatCc::Ge);
    }
    one! {
        vneg = vint_unary<IntShape>(IntLaneUnary::Neg);
        vabs = vint_unary<IntShape>(IntLaneUnary::Abs);
        vextend_low_s = vextend<IntShape>(Half::Low, Sign::Signed);
        vextend_low_u = vextend<IntShape>(Half::Low, Sign::Unsigned);
        vextend_high_s = vextend<IntShape>(Half::High, Sign::Signed);
        vextend_high_u = vextend<IntShape>(Half::High, Sign::Unsigned);
        vextadd_s = vextadd<IntShape>(Sign::Signed);
        vextadd_u = vextadd<IntShape>(Sign::Unsigned);
        vfabs = vfloat_unary<FloatShape>(FloatLaneUnary::Abs);
        vfneg = vfloat_unary<FloatShape>(FloatLaneUnary::Neg);
        vfsqrt = vfloat_unary<FloatShape>(FloatLaneUnary::Sqrt);
        vfceil = vfloat_unary<FloatShape>(FloatLaneUnary::Ceil);
        vffloor = vfloat_unary<FloatShape>(FloatLaneUnary::Floor);
        vftrunc = vfloat_unary<FloatShape>(FloatLaneUnary::Trunc);
        vfnearest = vfloat_unary<FloatShape>(FloatLaneUnary::Nearest);
    }
    fixed! {
        vand = vbits(BitOp::And)(a, b);
        vor = vbits(BitOp::Or)(a, b);
        vxor = vbits(BitOp::Xor)(a, b);
        vandnot = vbits(BitOp::AndNot)(a, b);
        vtrunc_sat_s = vtrunc_sat(Sign::Signed)(a);
        vtrunc_sat_u = vtrunc_sat(Sign::Unsigned)(a);
        vtrunc_sat_zero_s = vtrunc_sat_zero(Sign::Signed)(a);
        vtrunc_sat_zero_u = vtrunc_sat_zero(Sign::Unsigned)(a);
        vconvert_s = vconvert(Sign::Signed)(a);
        vconvert_u = vconvert(Sign::Unsigned)(a);
        vconvert_low_s = vconvert_low(Sign::Signed)(a);
        vconvert_low_u = vconvert_low(Sign::Unsigned)(a);
    }
    #[inline(always)]
    fn vpopcnt(&self, a: Self::V<V128>) -> Self::V<V128> {
        self.vint_unary::<I8x16>(IntLaneUnary::Popcnt, a)
    }
    #[inline(always)]
    fn vshl<S: IntShape>(&self, a: Self::V<V128>, count: Self::V<i32>) -> Self::V<V128> {
        self.vshift::<S>(Shift::Left, a, count)
    }
    #[inline(always)]
    fn vshr_s<S: IntShape>(&self, a: Self::V<V128>, count: Self::V<i32>) -> Self::V<V128> {
        self.vshift::<S>(Shift::RightS, a, count)
    }
    #[inline(always)]
    fn vshr_u<S: IntShape>(&self, a: Self::V<V128>, count: Self::V<i32>) -> Self::V<V128> {
        self.vshift::<S>(Shift::RightU, a, count)
    }

    // Products at twice the width.

    #[inline(always)]
    fn vextmul_low_s<S: IntShape>(&self, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128> {
        self.vmul::<S::Wider>(self.vextend_low_s::<S>(a), self.vextend_low_s::<S>(b))
    }
    #[inline(always)]
    fn vextmul_low_u<S: IntShape>(&self, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128> {
        self.vmul::<S::Wider>(self.vextend_low_u::<S>(a), self.vextend_low_u::<S>(b))
    }
    #[inline(always)]
    fn vextmul_high_s<S: IntShape>(&self, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128> {
        self.vmul::<S::Wider>(self.vextend_high_s::<S>(a), self.vextend_high_s::<S>(b))
    }
    #[inline(always)]
    fn vextmul_high_u<S: IntShape>(&self, a: Self::V<V128>, b: Self::V<V128>) -> Self::V<V128> {
        self.vmul::<S::Wider>(self.vextend_high_u::<S>(a), self.vextend_high_u::<S>(b))
    }
    #[inline(always)]
    fn vdot_bytes_add(
        &self, a: Self::V<V128>, b: Self::V<V128>, c: Self::V<V128>,
    ) -> Self::V<V128> {
        let pairs = self.vextadd_s::<I16x8>(self.vdot_bytes(a, b));
        self.vadd::<I32x4>(pairs, c)
    }
    /// `a * b + c`, rounded twice.
    #[inline(always)]
    fn vmadd<S: FloatShape>(
        &self, a: Self::V<V128>, b: Self::V<V128>, c: Self::V<V128>,
    ) -> Self::V<V128> {
        self.vfadd::<S>(self.vfmul::<S>(a, b), c)
    }
    /// `-(a * b) + c`, rounded twice.
    #[inline(always)]
    fn vnmadd<S: FloatShape>(
        &self, a: Self::V<V128>, b: Self::V<V128>, c: Self::V<V128>,
    ) -> Self::V<V128> {
        self.vfadd::<S>(self.vfneg::<S>(self.vfmul::<S>(a, b)), c)
    }

    // Lanes that are narrower than what stands outside of vectors.

    #[inline(always)]
    fn vsplat_low<S: IntShape>(&self, x: Self::V<i32>) -> Self::V<V128> {
        self.vsplat::<S>(self.ireduce::<i32, S::Int>(x))
    }
    #[inline(always)]
    fn vextract_s<S: IntShape>(&self, lane: Lane, a: Self::V<V128>) -> Self::V<i32> {
        self.sextend::<S::Int, i32>(self.vextract::<S>(lane, a))
    }
    #[inline(always)]
    fn vextract_u<S: IntShape>(&self, lane: Lane, a: Self::V<V128>) -> Self::V<i32> {
        self.uextend::<S::Int, i32>(self.vextract::<S>(lane, a))
    }
    #[inline(always)]
    fn vreplace_low<S: IntShape>(
        &self, lane: Lane, a: Self::V<V128>, x: Self::V<i32>,
    ) -> Self::V<V128> {
        self.vreplace::<S>(lane, a, self.ireduce::<i32, S::Int>(x))
    }

    // Memory.

    /// Eight bytes as lanes of `S`, at twice the width.
    #[inline(always)]
    fn vload_extend_s<S: IntShape>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, V128> {
        let low = self.vload_low(at, address)?;
        Ok(self.vextend_low_s::<S>(low))
    }
    #[inline(always)]
    fn vload_extend_u<S: IntShape>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, V128> {
        let low = self.vload_low(at, address)?;
        Ok(self.vextend_low_u::<S>(low))
    }
    /// Eight bytes in the low half.
    #[inline(always)]
    fn vload_low(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, V128> {
        self.vload_zero::<I64x2>(at, address)
    }
    #[inline(always)]
    fn vload_splat<S: Shape>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, V128> {
        Ok(self.vsplat::<S>(self.load::<S::Lane>(at, address)?))
    }
    #[inline(always)]
    fn vload_zero<S: Shape>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, V128> {
        let x = self.load::<S::Lane>(at, address)?;
        Ok(self.vreplace::<S>(Lane(0), self.vzero(), x))
    }
    #[inline(always)]
    fn vload_lane<S: Shape>(
        &self, at: MemArg, lane: Lane, address: Self::V<i32>, x: Self::V<V128>,
    ) -> Res<Self, V128> {
        let loaded = self.load::<S::Lane>(at, address)?;
        Ok(self.vreplace::<S>(lane, x, loaded))
    }
    #[inline(always)]
    fn vstore_lane<S: Shape>(
        &self, at: MemArg, lane: Lane, address: Self::V<i32>, x: Self::V<V128>,
    ) -> Result<(), Self::Trap> {
        self.store(at, address, self.vextract::<S>(lane, x))
    }
}
