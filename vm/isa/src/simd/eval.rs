//! `Eval` on vectors: arrays of lanes, which LLVM turns into vector instructions.

use super::machine::{
    BitOp, FloatLaneOp, FloatLaneUnary, Half, IntLaneOp, IntLaneUnary, Shift, Sign, Simd,
};
use super::semantics::SimdSemantics;
use crate::Trap;
use crate::eval::{Env, Eval};
use crate::machine::{FloatCc, IntCc, Lane, Machine, MemArg, Shuffle};
use crate::types::{
    F32x4, F64x2, Float, FloatShape, I8x16, I16x8, I32x4, I64x2, Int, IntShape, Scalar, Shape, V128,
};

impl<E: Env> SimdSemantics for Eval<E> {}

/// One result lane for each pair of lanes.
#[inline(always)]
fn zip<S: Shape, R: Shape>(a: V128, b: V128, f: impl Fn(S::Lane, S::Lane) -> R::Lane) -> V128 {
    let (a, b) = (S::lanes(a), S::lanes(b));
    R::from_fn(|i| f(a.as_ref()[i], b.as_ref()[i]))
}

/// One result lane for each lane.
#[inline(always)]
fn map<S: Shape, R: Shape>(a: V128, f: impl Fn(S::Lane) -> R::Lane) -> V128 {
    let a = S::lanes(a);
    R::from_fn(|i| f(a.as_ref()[i]))
}

/// A lane as a wider integer.
#[inline(always)]
fn widen<A: Int, B: Int>(sign: Sign, x: A) -> B {
    match sign {
        Sign::Signed => B::from_i64(x.to_i64()),
        Sign::Unsigned => B::from_bits(x.to_bits()),
    }
}

/// `x`, read as signed, brought into the range of half its width.
#[inline(always)]
fn narrow<A: Int, B: Int>(sign: Sign, x: A) -> B {
    let (low, high) = match sign {
        Sign::Signed => (-(1i64 << (B::BITS - 1)), (1i64 << (B::BITS - 1)) - 1),
        Sign::Unsigned => (0, (1i64 << B::BITS) - 1),
    };
    B::from_i64(x.max(A::from_i64(low)).min(A::from_i64(high)).to_i64())
}

#[inline(always)]
fn mask<T: Int>(holds: bool) -> T {
    T::from_i64(-i64::from(holds))
}

impl<E: Env> Simd for Eval<E> {
    #[inline(always)]
    fn vload(&self, at: MemArg, address: i32) -> Result<V128, Trap> {
        self.0.load_v128(at, address)
    }
    #[inline(always)]
    fn vstore(&self, at: MemArg, address: i32, x: V128) -> Result<(), Trap> {
        self.0.store_v128(at, address, x)
    }

    #[inline(always)]
    fn vzero(&self) -> V128 {
        V128::from_bytes([0; 16])
    }
    #[inline(always)]
    fn vsplat<S: Shape>(&self, x: S::Lane) -> V128 {
        S::from_fn(|_| x)
    }
    #[inline(always)]
    fn vextract<S: Shape>(&self, lane: Lane, a: V128) -> S::Lane {
        S::lanes(a).as_ref()[usize::from(lane.0) % S::COUNT]
    }
    #[inline(always)]
    fn vreplace<S: Shape>(&self, lane: Lane, a: V128, x: S::Lane) -> V128 {
        // A mask in place of an index: no store that a load would have to wait for.
        let bytes_per_lane = 16 / S::COUNT;
        let chosen = I8x16::from_fn(|i| mask((i / bytes_per_lane) as u8 == lane.0));
        self.vbitselect(self.vsplat::<S>(x), a, chosen)
    }
    #[inline(always)]
    fn vshuffle(&self, lanes: Shuffle, a: V128, b: V128) -> V128 {
        let both: [u8; 32] = bytemuck::cast([a.to_bytes(), b.to_bytes()]);
        I8x16::from_fn(|i| both[usize::from(lanes.0[i] & 31)] as i8)
    }
    #[inline(always)]
    fn vswizzle(&self, a: V128, b: V128) -> V128 {
        let (from, which) = (a.to_bytes(), b.to_bytes());
        I8x16::from_fn(|i| {
            let byte = from[usize::from(which[i] & 15)];
            if which[i] < 16 { byte as i8 } else { 0 }
        })
    }

    #[inline(always)]
    fn vbits(&self, op: BitOp, a: V128, b: V128) -> V128 {
        zip::<I64x2, I64x2>(a, b, |a, b| match op {
            BitOp::And => a & b,
            BitOp::Or => a | b,
            BitOp::Xor => a ^ b,
            BitOp::AndNot => a & !b,
        })
    }
    #[inline(always)]
    fn vnot(&self, a: V128) -> V128 {
        map::<I64x2, I64x2>(a, |a| !a)
    }
    #[inline(always)]
    fn vbitselect(&self, a: V128, b: V128, c: V128) -> V128 {
        self.vor(self.vand(a, c), self.vandnot(b, c))
    }
    #[inline(always)]
    fn vany_true(&self, a: V128) -> bool {
        let [low, high] = I64x2::lanes(a);
        (low | high) != 0
    }
    #[inline(always)]
    fn vall_true<S: IntShape>(&self, a: V128) -> bool {
        S::lanes(a).as_ref().iter().all(|lane| lane.to_bits() != 0)
    }
    #[inline(always)]
    fn vbitmask<S: IntShape>(&self, a: V128) -> i32 {
        match S::COUNT {
            16 => {
                // One multiplication gathers the lowest bits of eight bytes in the highest byte.
                let [low, high] = I64x2::lanes(self.vshr_u::<I8x16>(a, 7));
                let gather = 0x0102_0408_1020_4080;
                let low = (low as u64).wrapping_mul(gather) >> 56;
                let high = (high as u64).wrapping_mul(gather) >> 56;
                (low | high << 8) as i32
            }
            8 => self.vbitmask::<I8x16>(self.vnarrow_s::<I16x8>(a, a)) & 0xFF,
            _ => {
                let lanes = S::lanes(a);
                let negative = lanes.as_ref().iter().map(|lane| lane.to_i64() < 0);
                negative.enumerate().fold(0, |bits, (i, negative)| bits | i32::from(negative) << i)
            }
        }
    }

    #[inline(always)]
    fn vint<S: IntShape>(&self, op: IntLaneOp, a: V128, b: V128) -> V128 {
        zip::<S, S>(a, b, |a, b| match op {
            IntLaneOp::Add => a.add(b),
            IntLaneOp::Sub => a.sub(b),
            IntLaneOp::Mul => a.mul(b),
            IntLaneOp::AddSatS => a.add_sat_s(b),
            IntLaneOp::AddSatU => a.add_sat_u(b),
            IntLaneOp::SubSatS => a.sub_sat_s(b),
            IntLaneOp::SubSatU => a.sub_sat_u(b),
            IntLaneOp::MinS => a.min(b),
            IntLaneOp::MinU => self.select(a.lt_u(b), a, b),
            IntLaneOp::MaxS => a.max(b),
            IntLaneOp::MaxU => self.select(a.lt_u(b), b, a),
            IntLaneOp::AvgrU => a.avgr_u(b),
        })
    }
    #[inline(always)]
    fn vint_unary<S: IntShape>(&self, op: IntLaneUnary, a: V128) -> V128 {
        map::<S, S>(a, |a| match op {
            IntLaneUnary::Neg => S::Int::from_i64(0).sub(a),
            IntLaneUnary::Abs => a.abs(),
            IntLaneUnary::Popcnt => a.popcnt(),
        })
    }
    #[inline(always)]
    fn vshift<S: IntShape>(&self, shift: Shift, a: V128, count: i32) -> V128 {
        let count = S::Int::from_i64(i64::from(count) & i64::from(S::Int::BITS - 1));
        map::<S, S>(a, |a| match shift {
            Shift::Left => a.shl(count),
            Shift::RightS => a.shr_s(count),
            Shift::RightU => a.shr_u(count),
        })
    }
    #[inline(always)]
    fn vicmp<S: IntShape>(&self, cc: IntCc, a: V128, b: V128) -> V128 {
        zip::<S, S>(a, b, |a, b| mask(self.icmp(cc, a, b)))
    }
    #[inline(always)]
    fn vnarrow<S: IntShape>(&self, sign: Sign, a: V128, b: V128) -> V128 {
        let (a, b) = (S::lanes(a), S::lanes(b));
        S::Narrower::from_fn(|i| {
            narrow(sign, if i < S::COUNT { a.as_ref()[i] } else { b.as_ref()[i - S::COUNT] })
        })
    }
    #[inline(always)]
    fn vextend<S: IntShape>(&self, half: Half, sign: Sign, a: V128) -> V128 {
        let lanes = S::lanes(a);
        let first = if half == Half::Low { 0 } else { S::COUNT / 2 };
        S::Wider::from_fn(|i| widen(sign, lanes.as_ref()[first + i]))
    }
    #[inline(always)]
    fn vextadd<S: IntShape>(&self, sign: Sign, a: V128) -> V128 {
        let lanes = S::lanes(a);
        let wide = |i: usize| -> <S::Wider as IntShape>::Int { widen(sign, lanes.as_ref()[i]) };
        S::Wider::from_fn(|i| wide(2 * i).add(wide(2 * i + 1)))
    }
    #[inline(always)]
    fn vdot(&self, a: V128, b: V128) -> V128 {
        let (a, b) = (I16x8::lanes(a), I16x8::lanes(b));
        let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
        I32x4::from_fn(|i| product(2 * i).wrapping_add(product(2 * i + 1)))
    }
    #[inline(always)]
    fn vdot_bytes(&self, a: V128, b: V128) -> V128 {
        let (a, b) = (I8x16::lanes(a), I8x16::lanes(b));
        let product = |i: usize| i16::from(a[i]) * i16::from(b[i]);
        I16x8::from_fn(|i| product(2 * i).wrapping_add(product(2 * i + 1)))
    }
    #[inline(always)]
    fn vq15mulr(&self, a: V128, b: V128) -> V128 {
        zip::<I16x8, I16x8>(a, b, |a, b| {
            narrow(Sign::Signed, (i32::from(a) * i32::from(b) + 0x4000) >> 15)
        })
    }

    #[inline(always)]
    fn vfloat<S: FloatShape>(&self, op: FloatLaneOp, a: V128, b: V128) -> V128 {
        zip::<S, S>(a, b, |a, b| match op {
            FloatLaneOp::Add => a.add(b),
            FloatLaneOp::Sub => a.sub(b),
            FloatLaneOp::Mul => a.mul(b),
            FloatLaneOp::Div => a.div(b),
            FloatLaneOp::Min => a.min(b),
            FloatLaneOp::Max => a.max(b),
            FloatLaneOp::Pmin => self.select(b < a, b, a),
            FloatLaneOp::Pmax => self.select(a < b, b, a),
        })
    }
    #[inline(always)]
    fn vfloat_unary<S: FloatShape>(&self, op: FloatLaneUnary, a: V128) -> V128 {
        map::<S, S>(a, |a| match op {
            FloatLaneUnary::Abs => a.abs(),
            FloatLaneUnary::Neg => a.neg(),
            FloatLaneUnary::Sqrt => a.sqrt(),
            FloatLaneUnary::Ceil => a.ceil(),
            FloatLaneUnary::Floor => a.floor(),
            FloatLaneUnary::Trunc => a.trunc(),
            FloatLaneUnary::Nearest => a.nearest(),
        })
    }
    #[inline(always)]
    fn vfcmp<S: FloatShape>(&self, cc: FloatCc, a: V128, b: V128) -> V128 {
        zip::<S, S::Mask>(a, b, |a, b| mask(self.fcmp(cc, a, b)))
    }
    #[inline(always)]
    fn vtrunc_sat(&self, sign: Sign, a: V128) -> V128 {
        map::<F32x4, I32x4>(a, |a| match sign {
            Sign::Signed => a.to_int_s(),
            Sign::Unsigned => a.to_int_u(),
        })
    }
    #[inline(always)]
    fn vtrunc_sat_zero(&self, sign: Sign, a: V128) -> V128 {
        let lanes = F64x2::lanes(a);
        I32x4::from_fn(|i| match (lanes.get(i), sign) {
            (Some(x), Sign::Signed) => x.to_int_s(),
            (Some(x), Sign::Unsigned) => x.to_int_u(),
            (None, _) => 0,
        })
    }
    #[inline(always)]
    fn vconvert(&self, sign: Sign, a: V128) -> V128 {
        map::<I32x4, F32x4>(a, |a| match sign {
            Sign::Signed => a as f32,
            Sign::Unsigned => a as u32 as f32,
        })
    }
    #[inline(always)]
    fn vconvert_low(&self, sign: Sign, a: V128) -> V128 {
        let lanes = I32x4::lanes(a);
        F64x2::from_fn(|i| match sign {
            Sign::Signed => f64::from(lanes[i]),
            Sign::Unsigned => f64::from(lanes[i] as u32),
        })
    }
    #[inline(always)]
    fn vdemote(&self, a: V128) -> V128 {
        let lanes = F64x2::lanes(a);
        F32x4::from_fn(|i| lanes.get(i).map_or(0.0, |&x| x as f32))
    }
    #[inline(always)]
    fn vpromote(&self, a: V128) -> V128 {
        let lanes = F32x4::lanes(a);
        F64x2::from_fn(|i| f64::from(lanes[i]))
    }
}
