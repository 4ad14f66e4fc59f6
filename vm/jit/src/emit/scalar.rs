//! The primitives on numbers.

use std::convert::Infallible;

use brant_isa::Trap;
use brant_isa::machine::{FloatCc, IntCc, Machine, MemArg, Res, RmwOp};
use brant_isa::types::{Float, Int, Kind, Scalar, Ty};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, Value, types};

use super::{Emit, clif, lane_order};
use crate::abi::trap_code;

/// CLIF's name of an integer comparison.
pub fn int_cc(cc: IntCc) -> IntCC {
    match cc {
        IntCc::Eq => IntCC::Equal,
        IntCc::Ne => IntCC::NotEqual,
        IntCc::Lts => IntCC::SignedLessThan,
        IntCc::Ltu => IntCC::UnsignedLessThan,
        IntCc::Gts => IntCC::SignedGreaterThan,
        IntCc::Gtu => IntCC::UnsignedGreaterThan,
        IntCc::Les => IntCC::SignedLessThanOrEqual,
        IntCc::Leu => IntCC::UnsignedLessThanOrEqual,
        IntCc::Ges => IntCC::SignedGreaterThanOrEqual,
        IntCc::Geu => IntCC::UnsignedGreaterThanOrEqual,
    }
}

/// CLIF's name of a float comparison.
pub fn float_cc(cc: FloatCc) -> FloatCC {
    match cc {
        FloatCc::Eq => FloatCC::Equal,
        FloatCc::Ne => FloatCC::NotEqual,
        FloatCc::Lt => FloatCC::LessThan,
        FloatCc::Gt => FloatCC::GreaterThan,
        FloatCc::Le => FloatCC::LessThanOrEqual,
        FloatCc::Ge => FloatCC::GreaterThanOrEqual,
        FloatCc::Uno => FloatCC::Unordered,
    }
}

/// CLIF's name of a read-modify-write.
fn rmw_op(op: RmwOp) -> AtomicRmwOp {
    match op {
        RmwOp::Add => AtomicRmwOp::Add,
        RmwOp::Sub => AtomicRmwOp::Sub,
        RmwOp::And => AtomicRmwOp::And,
        RmwOp::Or => AtomicRmwOp::Or,
        RmwOp::Xor => AtomicRmwOp::Xor,
        RmwOp::Xchg => AtomicRmwOp::Xchg,
    }
}

impl Emit<'_, '_> {
    /// Where an atomic access goes: its instructions have no room for a constant.
    fn atomic_place<T: Int>(&self, at: MemArg, address: Value) -> Value {
        let (place, offset) = self.place(at, address, clif(T::KIND).bytes());
        match offset {
            0 => place,
            _ => {
                let offset = self.ins(|i| i.iconst(types::I64, i64::from(offset)));
                self.ins(|i| i.iadd(place, offset))
            }
        }
    }
}

macro_rules! integers {
    ($($name:ident($($arg:ident),+))*) => {$(
        fn $name<T: Int>(&self, $($arg: Value),+) -> Value {
            self.ins(|i| i.$name($($arg),+))
        }
    )*};
}
macro_rules! floats {
    ($($name:ident = $clif:ident($($arg:ident),+))*) => {$(
        fn $name<T: Float>(&self, $($arg: Value),+) -> Value {
            self.nan(self.ins(|i| i.$clif($($arg),+)))
        }
    )*};
}
/// Operations on the sign bit, which leave NaNs alone.
macro_rules! signs {
    ($($name:ident($($arg:ident),+))*) => {$(
        fn $name<T: Float>(&self, $($arg: Value),+) -> Value {
            self.ins(|i| i.$name($($arg),+))
        }
    )*};
}

impl Machine for Emit<'_, '_> {
    type V<T: Ty> = Value;
    type Trap = Infallible;

    fn trap_if(&self, condition: Value, trap: Trap) -> Result<(), Infallible> {
        self.ins(|i| i.trapnz(condition, trap_code(trap)));
        Ok(())
    }

    fn iconst<T: Int>(&self, x: i64) -> Value {
        // CLIF wants the bits above the type clear.
        self.ins(|i| i.iconst(clif(T::KIND), T::from_i64(x).to_bits() as i64))
    }
    integers! {
        iadd(a, b) isub(a, b) imul(a, b) band(a, b) bor(a, b) bxor(a, b) ishl(a, b) sshr(a, b)
        ushr(a, b) rotl(a, b) rotr(a, b) sdiv(a, b) udiv(a, b) srem(a, b) urem(a, b)
        clz(a) ctz(a) popcnt(a)
    }
    fn icmp<T: Int>(&self, cc: IntCc, a: Value, b: Value) -> Value {
        self.ins(|i| i.icmp(int_cc(cc), a, b))
    }
    fn and(&self, a: Value, b: Value) -> Value {
        self.ins(|i| i.band(a, b))
    }
    fn not(&self, a: Value) -> Value {
        let zero = self.ins(|i| i.iconst(types::I8, 0));
        self.ins(|i| i.icmp(IntCC::Equal, a, zero))
    }

    fn uextend<A: Int, B: Int>(&self, a: Value) -> Value {
        self.ins(|i| i.uextend(clif(B::KIND), a))
    }
    fn sextend<A: Int, B: Int>(&self, a: Value) -> Value {
        self.ins(|i| i.sextend(clif(B::KIND), a))
    }
    fn ireduce<A: Int, B: Int>(&self, a: Value) -> Value {
        self.ins(|i| i.ireduce(clif(B::KIND), a))
    }
    fn bitcast<A: Scalar, B: Scalar>(&self, a: Value) -> Value {
        self.ins(|i| i.bitcast(clif(B::KIND), lane_order(), a))
    }

    fn fconst<T: Float>(&self, x: f64) -> Value {
        match T::KIND {
            Kind::F32 => self.ins(|i| i.f32const(x as f32)),
            _ => self.ins(|i| i.f64const(x)),
        }
    }
    floats! {
        fadd = fadd(a, b)  fsub = fsub(a, b)  fmul = fmul(a, b)  fdiv = fdiv(a, b)
        fmin = fmin(a, b)  fmax = fmax(a, b)  sqrt = sqrt(a)  ceil = ceil(a)  floor = floor(a)
        ftrunc = trunc(a)  nearest = nearest(a)
    }
    signs! { fcopysign(a, b) fabs(a) fneg(a) }
    fn fcmp<T: Float>(&self, cc: FloatCc, a: Value, b: Value) -> Value {
        self.ins(|i| i.fcmp(float_cc(cc), a, b))
    }
    fn fpromote(&self, a: Value) -> Value {
        self.nan(self.ins(|i| i.fpromote(types::F64, a)))
    }
    fn fdemote(&self, a: Value) -> Value {
        self.nan(self.ins(|i| i.fdemote(types::F32, a)))
    }
    fn fcvt_to_sint_sat<A: Float, B: Int>(&self, a: Value) -> Value {
        self.ins(|i| i.fcvt_to_sint_sat(clif(B::KIND), a))
    }
    fn fcvt_to_uint_sat<A: Float, B: Int>(&self, a: Value) -> Value {
        self.ins(|i| i.fcvt_to_uint_sat(clif(B::KIND), a))
    }
    fn fcvt_from_sint<A: Int, B: Float>(&self, a: Value) -> Value {
        self.ins(|i| i.fcvt_from_sint(clif(B::KIND), a))
    }
    fn fcvt_from_uint<A: Int, B: Float>(&self, a: Value) -> Value {
        self.ins(|i| i.fcvt_from_uint(clif(B::KIND), a))
    }

    fn select<T: Ty>(&self, c: Value, a: Value, b: Value) -> Value {
        self.ins(|i| i.select(c, a, b))
    }

    fn load<T: Scalar>(&self, at: MemArg, address: Value) -> Res<Self, T> {
        let ty = clif(T::KIND);
        let (place, offset) = self.place(at, address, ty.bytes());
        Ok(self.ins(|i| i.load(ty, self.heap(), place, offset)))
    }
    fn store<T: Scalar>(&self, at: MemArg, address: Value, x: Value) -> Result<(), Infallible> {
        let (place, offset) = self.place(at, address, clif(T::KIND).bytes());
        self.ins(|i| i.store(self.heap(), x, place, offset));
        Ok(())
    }

    fn atomic_load<T: Int>(&self, at: MemArg, address: Value) -> Res<Self, T> {
        let place = self.atomic_place::<T>(at, address);
        Ok(self.ins(|i| i.atomic_load(clif(T::KIND), self.heap(), place)))
    }
    fn atomic_store<T: Int>(&self, at: MemArg, address: Value, x: Value) -> Result<(), Infallible> {
        let place = self.atomic_place::<T>(at, address);
        self.ins(|i| i.atomic_store(self.heap(), x, place));
        Ok(())
    }
    fn atomic_rmw<T: Int>(&self, op: RmwOp, at: MemArg, address: Value, x: Value) -> Res<Self, T> {
        let place = self.atomic_place::<T>(at, address);
        let op = rmw_op(op);
        Ok(self.ins(|i| i.atomic_rmw(clif(T::KIND), self.heap(), op, place, x)))
    }
    fn atomic_cas<T: Int>(
        &self, at: MemArg, address: Value, expected: Value, x: Value,
    ) -> Res<Self, T> {
        let place = self.atomic_place::<T>(at, address);
        Ok(self.ins(|i| i.atomic_cas(self.heap(), place, expected, x)))
    }
}
