//! The operators that are more than one primitive.
//!
//! Each body is written once and runs on every machine.
//! A machine may override a body for which it has one instruction with the same meaning.

use crate::Trap;
use crate::machine::{FloatCc, IntCc, Machine, MemArg, Res};
use crate::types::{Float, Int};

macro_rules! comparisons {
    ($($name:ident $cc:ident)*) => {$(
        #[inline(always)]
        fn $name<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<bool> {
            self.icmp(IntCc::$cc, a, b)
        }
    )*};
}
macro_rules! float_comparisons {
    ($($name:ident $cc:ident)*) => {$(
        #[inline(always)]
        fn $name<T: Float>(&self, a: Self::V<T>, b: Self::V<T>) -> Self::V<bool> {
            self.fcmp(FloatCc::$cc, a, b)
        }
    )*};
}

/// Bodies of operators on numbers.
///
/// # Errors
/// Methods that give a `Result` end with the trap that the specification names, where the machine
/// runs them. Spec: 4.3.2 (integers), 4.3.3 (floats), 4.3.4 (conversions).
#[allow(missing_docs, clippy::missing_errors_doc, reason = "a body is the operator of its name")]
pub trait Semantics: Machine {
    // Integers.

    #[inline(always)]
    fn eqz<T: Int>(&self, a: Self::V<T>) -> Self::V<bool> {
        self.icmp(IntCc::Eq, a, self.iconst(0))
    }
    comparisons! {
        eq Eq  ne Ne  lt_s Lts  lt_u Ltu  gt_s Gts  gt_u Gtu  le_s Les  le_u Leu  ge_s Ges  ge_u Geu
    }
    /// Division by zero is found before overflow.
    #[inline(always)]
    fn div_s<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Res<Self, T> {
        self.trap_if(self.eqz(b), Trap::IntegerDivideByZero)?;
        let a_is_min = self.icmp(IntCc::Eq, a, self.iconst(T::MIN.to_i64()));
        let b_is_minus_one = self.icmp(IntCc::Eq, b, self.iconst(-1));
        self.trap_if(self.and(a_is_min, b_is_minus_one), Trap::IntegerOverflow)?;
        Ok(self.sdiv(a, b))
    }
    #[inline(always)]
    fn div_u<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Res<Self, T> {
        self.trap_if(self.eqz(b), Trap::IntegerDivideByZero)?;
        Ok(self.udiv(a, b))
    }
    #[inline(always)]
    fn rem_s<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Res<Self, T> {
        self.trap_if(self.eqz(b), Trap::IntegerDivideByZero)?;
        Ok(self.srem(a, b))
    }
    #[inline(always)]
    fn rem_u<T: Int>(&self, a: Self::V<T>, b: Self::V<T>) -> Res<Self, T> {
        self.trap_if(self.eqz(b), Trap::IntegerDivideByZero)?;
        Ok(self.urem(a, b))
    }
    /// Sign-extends the low bits of `a`.
    #[inline(always)]
    fn extend_low<N: Int, T: Int>(&self, a: Self::V<T>) -> Self::V<T> {
        self.sextend(self.ireduce::<T, N>(a))
    }

    // Floats.

    float_comparisons! { feq Eq  fne Ne  flt Lt  fgt Gt  fle Le  fge Ge }
    /// NaN is an invalid conversion; what truncation cannot bring into range is an overflow.
    #[inline(always)]
    fn trunc_s<A: Float, B: Int>(&self, a: Self::V<A>) -> Res<Self, B> {
        self.trap_if(self.fcmp(FloatCc::Uno, a, a), Trap::InvalidConversionToInteger)?;
        let limit = (1u64 << (B::BITS - 1)) as f64;
        // The open lower bound is -limit - 1 where the float can express it. Where it cannot, the
        // float below -limit is out of range by more than one, and -limit itself is in range.
        let below = A::from_f64(-limit - 1.0).to_f64();
        let above_low = match below < -limit {
            true => self.fcmp(FloatCc::Lt, self.fconst(below), a),
            false => self.fcmp(FloatCc::Le, self.fconst(-limit), a),
        };
        let below_high = self.fcmp(FloatCc::Lt, a, self.fconst(limit));
        self.trap_if(self.not(self.and(above_low, below_high)), Trap::IntegerOverflow)?;
        Ok(self.fcvt_to_sint_sat(a))
    }
    #[inline(always)]
    fn trunc_u<A: Float, B: Int>(&self, a: Self::V<A>) -> Res<Self, B> {
        self.trap_if(self.fcmp(FloatCc::Uno, a, a), Trap::InvalidConversionToInteger)?;
        let limit = 2.0 * (1u64 << (B::BITS - 1)) as f64;
        let above_low = self.fcmp(FloatCc::Lt, self.fconst(-1.0), a);
        let below_high = self.fcmp(FloatCc::Lt, a, self.fconst(limit));
        self.trap_if(self.not(self.and(above_low, below_high)), Trap::IntegerOverflow)?;
        Ok(self.fcvt_to_uint_sat(a))
    }

    // Memory.

    #[inline(always)]
    fn load_s<N: Int, T: Int>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, T> {
        Ok(self.sextend(self.load::<N>(at, address)?))
    }
    #[inline(always)]
    fn load_u<N: Int, T: Int>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, T> {
        Ok(self.uextend(self.load::<N>(at, address)?))
    }
    /// Stores the low bits of `x`.
    #[inline(always)]
    fn store_low<N: Int, T: Int>(
        &self, at: MemArg, address: Self::V<i32>, x: Self::V<T>,
    ) -> Result<(), Self::Trap> {
        self.store(at, address, self.ireduce::<T, N>(x))
    }
}
