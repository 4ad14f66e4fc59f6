//! The primitives on vectors. Lanes are a view: a value is cast to the shape that an operator wants.

use std::convert::Infallible;

use brant_isa::machine::{FloatCc, IntCc, Lane, MemArg, Res, Shuffle};
use brant_isa::simd::{
    BitOp, FloatLaneOp, FloatLaneUnary, Half, IntLaneOp, IntLaneUnary, Shift, Sign, Simd,
};
use brant_isa::types::{FloatShape, IntShape, Shape, V128};
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{ConstantData, InstBuilder, Type, Value, types};

use super::scalar::{float_cc, int_cc};
use super::{Emit, shape};

impl Emit<'_, '_> {
    /// A constant vector.
    fn vconst(&self, ty: Type, bytes: [u8; 16]) -> Value {
        let mut builder = self.builder.borrow_mut();
        let constant = builder.func.dfg.constants.insert(ConstantData::from(&bytes[..]));
        builder.ins().vconst(ty, constant)
    }

    fn both(&self, ty: Type, a: Value, b: Value) -> (Value, Value) {
        (self.lanes(ty, a), self.lanes(ty, b))
    }

    /// `b` where the comparison of two floats holds, else `a`.
    fn pseudo(&self, ty: Type, left: Value, right: Value, a: Value, b: Value) -> Value {
        let holds = self.ins(|i| i.fcmp(FloatCC::LessThan, left, right));
        let holds = self.lanes(ty, holds);
        self.ins(|i| i.bitselect(holds, b, a))
    }

    /// Half of the lanes of `a`, which has its shape, at twice the width.
    fn widen(&self, half: Half, sign: Sign, a: Value) -> Value {
        self.ins(|i| match (half, sign) {
            (Half::Low, Sign::Signed) => i.swiden_low(a),
            (Half::Low, Sign::Unsigned) => i.uwiden_low(a),
            (Half::High, Sign::Signed) => i.swiden_high(a),
            (Half::High, Sign::Unsigned) => i.uwiden_high(a),
        })
    }

    /// Sums of neighbouring products of signed lanes.
    fn dot(&self, ty: Type, a: Value, b: Value) -> Value {
        let (a, b) = self.both(ty, a, b);
        let product = |half| {
            let (a, b) = (self.widen(half, Sign::Signed, a), self.widen(half, Sign::Signed, b));
            self.ins(|i| i.imul(a, b))
        };
        let (low, high) = (product(Half::Low), product(Half::High));
        self.ins(|i| i.iadd_pairwise(low, high))
    }
}

impl Simd for Emit<'_, '_> {
    fn vload(&self, at: MemArg, address: Value) -> Res<Self, V128> {
        let (place, offset) = self.place(at, address, 16);
        Ok(self.ins(|i| i.load(types::I8X16, self.heap(), place, offset)))
    }
    fn vstore(&self, at: MemArg, address: Value, x: Value) -> Result<(), Infallible> {
        let (place, offset) = self.place(at, address, 16);
        self.ins(|i| i.store(self.heap(), x, place, offset));
        Ok(())
    }

    fn vzero(&self) -> Value {
        self.vconst(types::I8X16, [0; 16])
    }
    fn vsplat<S: Shape>(&self, x: Value) -> Value {
        self.ins(|i| i.splat(shape::<S>(), x))
    }
    fn vextract<S: Shape>(&self, lane: Lane, a: Value) -> Value {
        let a = self.lanes(shape::<S>(), a);
        self.ins(|i| i.extractlane(a, lane.0))
    }
    fn vreplace<S: Shape>(&self, lane: Lane, a: Value, x: Value) -> Value {
        let a = self.lanes(shape::<S>(), a);
        self.ins(|i| i.insertlane(a, x, lane.0))
    }
    fn vshuffle(&self, lanes: Shuffle, a: Value, b: Value) -> Value {
        let (a, b) = self.both(types::I8X16, a, b);
        let mut builder = self.builder.borrow_mut();
        let lanes = builder.func.dfg.immediates.push(ConstantData::from(&lanes.0[..]));
        builder.ins().shuffle(a, b, lanes)
    }
    fn vswizzle(&self, a: Value, b: Value) -> Value {
        let (a, b) = self.both(types::I8X16, a, b);
        self.ins(|i| i.swizzle(a, b))
    }

    fn vbits(&self, op: BitOp, a: Value, b: Value) -> Value {
        let (a, b) = self.both(types::I8X16, a, b);
        self.ins(|i| match op {
            BitOp::And => i.band(a, b),
            BitOp::Or => i.bor(a, b),
            BitOp::Xor => i.bxor(a, b),
            BitOp::AndNot => i.band_not(a, b),
        })
    }
    fn vnot(&self, a: Value) -> Value {
        let a = self.lanes(types::I8X16, a);
        self.ins(|i| i.bnot(a))
    }
    fn vbitselect(&self, a: Value, b: Value, c: Value) -> Value {
        let (a, b) = self.both(types::I8X16, a, b);
        let c = self.lanes(types::I8X16, c);
        self.ins(|i| i.bitselect(c, a, b))
    }
    fn vany_true(&self, a: Value) -> Value {
        self.ins(|i| i.vany_true(a))
    }
    fn vall_true<S: IntShape>(&self, a: Value) -> Value {
        let a = self.lanes(shape::<S>(), a);
        self.ins(|i| i.vall_true(a))
    }
    fn vbitmask<S: IntShape>(&self, a: Value) -> Value {
        let a = self.lanes(shape::<S>(), a);
        self.ins(|i| i.vhigh_bits(types::I32, a))
    }

    fn vint<S: IntShape>(&self, op: IntLaneOp, a: Value, b: Value) -> Value {
        let (a, b) = self.both(shape::<S>(), a, b);
        self.ins(|i| match op {
            IntLaneOp::Add => i.iadd(a, b),
            IntLaneOp::Sub => i.isub(a, b),
            IntLaneOp::Mul => i.imul(a, b),
            IntLaneOp::AddSatS => i.sadd_sat(a, b),
            IntLaneOp::AddSatU => i.uadd_sat(a, b),
            IntLaneOp::SubSatS => i.ssub_sat(a, b),
            IntLaneOp::SubSatU => i.usub_sat(a, b),
            IntLaneOp::MinS => i.smin(a, b),
            IntLaneOp::MinU => i.umin(a, b),
            IntLaneOp::MaxS => i.smax(a, b),
            IntLaneOp::MaxU => i.umax(a, b),
            IntLaneOp::AvgrU => i.avg_round(a, b),
        })
    }
    fn vint_unary<S: IntShape>(&self, op: IntLaneUnary, a: Value) -> Value {
        let a = self.lanes(shape::<S>(), a);
        self.ins(|i| match op {
            IntLaneUnary::Neg => i.ineg(a),
            IntLaneUnary::Abs => i.iabs(a),
            IntLaneUnary::Popcnt => i.popcnt(a),
        })
    }
    fn vshift<S: IntShape>(&self, shift: Shift, a: Value, count: Value) -> Value {
        let a = self.lanes(shape::<S>(), a);
        self.ins(|i| match shift {
            Shift::Left => i.ishl(a, count),
            Shift::RightS => i.sshr(a, count),
            Shift::RightU => i.ushr(a, count),
        })
    }
    fn vicmp<S: IntShape>(&self, cc: IntCc, a: Value, b: Value) -> Value {
        let (a, b) = self.both(shape::<S>(), a, b);
        self.ins(|i| i.icmp(int_cc(cc), a, b))
    }
    fn vnarrow<S: IntShape>(&self, sign: Sign, a: Value, b: Value) -> Value {
        let (a, b) = self.both(shape::<S>(), a, b);
        self.ins(|i| match sign {
            Sign::Signed => i.snarrow(a, b),
            Sign::Unsigned => i.unarrow(a, b),
        })
    }
    fn vextend<S: IntShape>(&self, half: Half, sign: Sign, a: Value) -> Value {
        self.widen(half, sign, self.lanes(shape::<S>(), a))
    }
    fn vextadd<S: IntShape>(&self, sign: Sign, a: Value) -> Value {
        let a = self.lanes(shape::<S>(), a);
        let (low, high) = (self.widen(Half::Low, sign, a), self.widen(Half::High, sign, a));
        self.ins(|i| i.iadd_pairwise(low, high))
    }
    fn vdot(&self, a: Value, b: Value) -> Value {
        self.dot(types::I16X8, a, b)
    }
    fn vdot_bytes(&self, a: Value, b: Value) -> Value {
        self.dot(types::I8X16, a, b)
    }
    fn vq15mulr(&self, a: Value, b: Value) -> Value {
        let (a, b) = self.both(types::I16X8, a, b);
        self.ins(|i| i.sqmul_round_sat(a, b))
    }

    fn vfloat<S: FloatShape>(&self, op: FloatLaneOp, a: Value, b: Value) -> Value {
        let ty = shape::<S>();
        let (a, b) = self.both(ty, a, b);
        match op {
            FloatLaneOp::Add => self.nan(self.ins(|i| i.fadd(a, b))),
            FloatLaneOp::Sub => self.nan(self.ins(|i| i.fsub(a, b))),
            FloatLaneOp::Mul => self.nan(self.ins(|i| i.fmul(a, b))),
            FloatLaneOp::Div => self.nan(self.ins(|i| i.fdiv(a, b))),
            FloatLaneOp::Min => self.nan(self.ins(|i| i.fmin(a, b))),
            FloatLaneOp::Max => self.nan(self.ins(|i| i.fmax(a, b))),
            FloatLaneOp::Pmin => self.pseudo(ty, b, a, a, b),
            FloatLaneOp::Pmax => self.pseudo(ty, a, b, a, b),
        }
    }
    fn vfloat_unary<S: FloatShape>(&self, op: FloatLaneUnary, a: Value) -> Value {
        let a = self.lanes(shape::<S>(), a);
        match op {
            FloatLaneUnary::Abs => self.ins(|i| i.fabs(a)),
            FloatLaneUnary::Neg => self.ins(|i| i.fneg(a)),
            FloatLaneUnary::Sqrt => self.nan(self.ins(|i| i.sqrt(a))),
            FloatLaneUnary::Ceil => self.nan(self.ins(|i| i.ceil(a))),
            FloatLaneUnary::Floor => self.nan(self.ins(|i| i.floor(a))),
            FloatLaneUnary::Trunc => self.nan(self.ins(|i| i.trunc(a))),
            FloatLaneUnary::Nearest => self.nan(self.ins(|i| i.nearest(a))),
        }
    }
    fn vfcmp<S: FloatShape>(&self, cc: FloatCc, a: Value, b: Value) -> Value {
        let (a, b) = self.both(shape::<S>(), a, b);
        self.ins(|i| i.fcmp(float_cc(cc), a, b))
    }
    fn vtrunc_sat(&self, sign: Sign, a: Value) -> Value {
        let a = self.lanes(types::F32X4, a);
        self.ins(|i| match sign {
            Sign::Signed => i.fcvt_to_sint_sat(types::I32X4, a),
            Sign::Unsigned => i.fcvt_to_uint_sat(types::I32X4, a),
        })
    }
    fn vtrunc_sat_zero(&self, sign: Sign, a: Value) -> Value {
        let a = self.lanes(types::F64X2, a);
        let zero = self.vconst(types::I64X2, [0; 16]);
        match sign {
            Sign::Signed => {
                let wide = self.ins(|i| i.fcvt_to_sint_sat(types::I64X2, a));
                self.ins(|i| i.snarrow(wide, zero))
            }
            Sign::Unsigned => {
                let wide = self.ins(|i| i.fcvt_to_uint_sat(types::I64X2, a));
                self.ins(|i| i.uunarrow(wide, zero))
            }
        }
    }
    fn vconvert(&self, sign: Sign, a: Value) -> Value {
        let a = self.lanes(types::I32X4, a);
        self.ins(|i| match sign {
            Sign::Signed => i.fcvt_from_sint(types::F32X4, a),
            Sign::Unsigned => i.fcvt_from_uint(types::F32X4, a),
        })
    }
    fn vconvert_low(&self, sign: Sign, a: Value) -> Value {
        let low = self.widen(Half::Low, sign, self.lanes(types::I32X4, a));
        self.ins(|i| match sign {
            Sign::Signed => i.fcvt_from_sint(types::F64X2, low),
            Sign::Unsigned => i.fcvt_from_uint(types::F64X2, low),
        })
    }
    fn vdemote(&self, a: Value) -> Value {
        let a = self.lanes(types::F64X2, a);
        self.nan(self.ins(|i| i.fvdemote(a)))
    }
    fn vpromote(&self, a: Value) -> Value {
        let a = self.lanes(types::F32X4, a);
        self.nan(self.ins(|i| i.fvpromote_low(a)))
    }
}
