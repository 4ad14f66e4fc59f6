//! The operators that are more than one primitive.
//!
//! Each body is written once and runs on every machine.
//! A machine may override a body for which it has one instruction with the same meaning.

use crate::Trap;
use crate::machine::{FloatCc, IntCc, Machine, MemArg, Res, RmwOp};
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

/// Each operation on values of the operand's width, and on narrower ones in memory.
macro_rules! read_modify_write {
    ($($name:ident $narrow:ident $op:ident)*) => {$(
        #[inline(always)]
        fn $name<T: Int>(
            &self, at: MemArg, address: Self::V<i32>, x: Self::V<T>,
        ) -> Res<Self, T> {
            self.aligned::<T>(at, address)?;
            self.atomic_rmw(RmwOp::$op, at, address, x)
        }
        #[inline(always)]
        fn $narrow<N: Int, T: Int>(
            &self, at: MemArg, address: Self::V<i32>, x: Self::V<T>,
        ) -> Res<Self, T> {
            Ok(self.uextend(self.$name::<N>(at, address, self.ireduce(x))?))
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

    // Atomic accesses. Spec: threads proposal, 4.4.7.

    /// Alignment is found before bounds.
    #[inline(always)]
    fn aligned<T: Int>(&self, at: MemArg, address: Self::V<i32>) -> Result<(), Self::Trap> {
        let bytes = i64::from(T::BITS / 8);
        if bytes == 1 {
            return Ok(());
        }
        // The low bits of a sum do not depend on how wide it is.
        let place = match i64::from(at.offset) % bytes {
            0 => address,
            low => self.iadd(address, self.iconst(low)),
        };
        let low = self.band(place, self.iconst(bytes - 1));
        self.trap_if(self.icmp(IntCc::Ne, low, self.iconst(0)), Trap::UnalignedAtomic)
    }
    #[inline(always)]
    fn atomic_get<T: Int>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, T> {
        self.aligned::<T>(at, address)?;
        self.atomic_load(at, address)
    }
    #[inline(always)]
    fn atomic_get_u<N: Int, T: Int>(&self, at: MemArg, address: Self::V<i32>) -> Res<Self, T> {
        Ok(self.uextend(self.atomic_get::<N>(at, address)?))
    }
    #[inline(always)]
    fn atomic_set<T: Int>(
        &self, at: MemArg, address: Self::V<i32>, x: Self::V<T>,
    ) -> Result<(), Self::Trap> {
        self.aligned::<T>(at, address)?;
        self.atomic_store(at, address, x)
    }
    #[inline(always)]
    fn atomic_set_low<N: Int, T: Int>(
        &self, at: MemArg, address: Self::V<i32>, x: Self::V<T>,
    ) -> Result<(), Self::Trap> {
        self.atomic_set(at, address, self.ireduce::<T, N>(x))
    }
    read_modify_write! {
        rmw_add rmw_add_u Add  rmw_sub rmw_sub_u Sub  rmw_and rmw_and_u And  rmw_or rmw_or_u Or
        rmw_xor rmw_xor_u Xor  rmw_xchg rmw_xchg_u Xchg
    }
    #[inline(always)]
    fn cmpxchg<T: Int>(
        &self, at: MemArg, address: Self::V<i32>, expected: Self::V<T>, x: Self::V<T>,
    ) -> Res<Self, T> {
        self.aligned::<T>(at, address)?;
        self.atomic_cas(at, address, expected, x)
    }
    /// Of `expected` too only the low bits count.
    #[inline(always)]
    fn cmpxchg_u<N: Int, T: Int>(
        &self, at: MemArg, address: Self::V<i32>, expected: Self::V<T>, x: Self::V<T>,
    ) -> Res<Self, T> {
        let old = self.cmpxchg::<N>(at, address, self.ireduce(expected), self.ireduce(x))?;
        Ok(self.uextend(old))
    }
}
