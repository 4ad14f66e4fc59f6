//! `Eval`: values are numbers. The interpreter, constant folding and tests.
//!
//! Everything is inlined: in a handler nothing of this file is left but machine instructions.
//! What differs between users (where memory is, how a fault shows) is behind `Env`.

use crate::Trap;
use crate::machine::{FloatCc, IntCc, Machine, MemArg, RmwOp};
use crate::semantics::Semantics;
use crate::types::{Float, Int, Scalar, Ty, V128};

/// The memory that an evaluation sees.
///
/// # Errors
/// Accesses that end behind the memory give [`Trap::OutOfBoundsMemoryAccess`].
#[allow(missing_docs, clippy::missing_errors_doc, reason = "said once above")]
pub trait Env {
    fn load<T: Scalar>(&self, at: MemArg, address: i32) -> Result<T, Trap>;
    fn store<T: Scalar>(&self, at: MemArg, address: i32, x: T) -> Result<(), Trap>;
    fn load_v128(&self, at: MemArg, address: i32) -> Result<V128, Trap>;
    fn store_v128(&self, at: MemArg, address: i32, x: V128) -> Result<(), Trap>;

    // What no atomic access comes to needs none of these.

    fn atomic_load<T: Int>(&self, _: MemArg, _: i32) -> Result<T, Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }
    fn atomic_store<T: Int>(&self, _: MemArg, _: i32, _: T) -> Result<(), Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }
    fn atomic_rmw<T: Int>(&self, _: RmwOp, _: MemArg, _: i32, _: T) -> Result<T, Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }
    fn atomic_cas<T: Int>(&self, _: MemArg, _: i32, _: T, _: T) -> Result<T, Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }
}

/// No memory at all: every access is out of bounds.
#[derive(Clone, Copy, Debug)]
pub struct NoMemory;
impl Env for NoMemory {
    fn load<T: Scalar>(&self, _: MemArg, _: i32) -> Result<T, Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }
    fn store<T: Scalar>(&self, _: MemArg, _: i32, _: T) -> Result<(), Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }
    fn load_v128(&self, _: MemArg, _: i32) -> Result<V128, Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }
    fn store_v128(&self, _: MemArg, _: i32, _: V128) -> Result<(), Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }
}

/// The machine whose values are numbers, with the memory of `E`.
#[derive(Clone, Copy, Debug)]
pub struct Eval<E>(pub E);

impl<E: Env> Semantics for Eval<E> {}

macro_rules! binary {
    ($bound:ident: $($name:ident $method:ident)*) => {$(
        #[inline(always)]
        fn $name<T: $bound>(&self, a: T, b: T) -> T {
            a.$method(b)
        }
    )*};
}
macro_rules! unary {
    ($bound:ident: $($name:ident $method:ident)*) => {$(
        #[inline(always)]
        fn $name<T: $bound>(&self, a: T) -> T {
            a.$method()
        }
    )*};
}

#[rustfmt::skip]
impl<E: Env> Machine for Eval<E> {
    type V<T: Ty> = T;
    type Trap = Trap;

    #[inline(always)]
    fn trap_if(&self, condition: bool, trap: Trap) -> Result<(), Trap> {
        if condition { Err(trap) } else { Ok(()) }
    }

    #[inline(always)] fn iconst<T: Int>(&self, x: i64) -> T { T::from_i64(x) }
    binary! { Int: iadd add  isub sub  imul mul  band and  bor or  bxor xor  ishl shl  sshr shr_s  ushr shr_u
        rotl rotl  rotr rotr  sdiv div_s  udiv div_u  srem rem_s  urem rem_u }
    unary! { Int: clz clz  ctz ctz  popcnt popcnt }
    #[inline(always)]
    fn icmp<T: Int>(&self, cc: IntCc, a: T, b: T) -> bool {
        match cc {
            IntCc::Eq => a == b,
            IntCc::Ne => a != b,
            IntCc::Lts => a < b,
            IntCc::Ltu => a.lt_u(b),
            IntCc::Gts => a > b,
            IntCc::Gtu => b.lt_u(a),
            IntCc::Les => a <= b,
            IntCc::Leu => !b.lt_u(a),
            IntCc::Ges => a >= b,
            IntCc::Geu => !a.lt_u(b),
        }
    }
    #[inline(always)] fn and(&self, a: bool, b: bool) -> bool { a & b }
    #[inline(always)] fn not(&self, a: bool) -> bool { !a }

    #[inline(always)] fn uextend<A: Int, B: Int>(&self, a: A) -> B { B::from_bits(a.to_bits()) }
    #[inline(always)] fn sextend<A: Int, B: Int>(&self, a: A) -> B { B::from_i64(a.to_i64()) }
    #[inline(always)] fn ireduce<A: Int, B: Int>(&self, a: A) -> B { B::from_bits(a.to_bits()) }
    #[inline(always)] fn bitcast<A: Scalar, B: Scalar>(&self, a: A) -> B { B::from_bits(a.to_bits()) }

    #[inline(always)] fn fconst<T: Float>(&self, x: f64) -> T { T::from_f64(x) }
    binary! { Float: fadd add  fsub sub  fmul mul  fdiv div  fmin min  fmax max  fcopysign copysign }
    unary! { Float: fabs abs  fneg neg  sqrt sqrt  ceil ceil  floor floor  ftrunc trunc  nearest nearest }
    #[inline(always)]
    fn fcmp<T: Float>(&self, cc: FloatCc, a: T, b: T) -> bool {
        match cc {
            FloatCc::Eq => a == b,
            FloatCc::Ne => a != b,
            FloatCc::Lt => a < b,
            FloatCc::Gt => a > b,
            FloatCc::Le => a <= b,
            FloatCc::Ge => a >= b,
            FloatCc::Uno => a.is_nan() | b.is_nan(),
        }
    }
    #[inline(always)] fn fpromote(&self, a: f32) -> f64 { f64::from(a) }
    #[inline(always)] fn fdemote(&self, a: f64) -> f32 { a as f32 }
    #[inline(always)] fn fcvt_to_sint_sat<A: Float, B: Int>(&self, a: A) -> B { a.to_int_s() }
    #[inline(always)] fn fcvt_to_uint_sat<A: Float, B: Int>(&self, a: A) -> B { a.to_int_u() }
    #[inline(always)] fn fcvt_from_sint<A: Int, B: Float>(&self, a: A) -> B { B::from_i64(a.to_i64()) }
    #[inline(always)] fn fcvt_from_uint<A: Int, B: Float>(&self, a: A) -> B { B::from_u64(a.to_bits()) }

    #[inline(always)] fn select<T: Ty>(&self, c: bool, a: T, b: T) -> T { if c { a } else { b } }

    #[inline(always)]
    fn load<T: Scalar>(&self, at: MemArg, address: i32) -> Result<T, Trap> { self.0.load(at, address) }
    #[inline(always)]
    fn store<T: Scalar>(&self, at: MemArg, address: i32, x: T) -> Result<(), Trap> { self.0.store(at, address, x) }
    #[inline(always)]
    fn atomic_load<T: Int>(&self, at: MemArg, address: i32) -> Result<T, Trap> { self.0.atomic_load(at, address) }
    #[inline(always)]
    fn atomic_store<T: Int>(&self, at: MemArg, address: i32, x: T) -> Result<(), Trap> { self.0.atomic_store(at, address, x) }
    #[inline(always)]
    fn atomic_rmw<T: Int>(&self, op: RmwOp, at: MemArg, address: i32, x: T) -> Result<T, Trap> { self.0.atomic_rmw(op, at, address, x) }
    #[inline(always)]
    fn atomic_cas<T: Int>(&self, at: MemArg, address: i32, expected: T, x: T) -> Result<T, Trap> { self.0.atomic_cas(at, address, expected, x) }
}

/// A value as bits, of which narrower types use the low ones.
pub trait Word: Copy {
    /// The value with these low bits.
    fn from_word(word: u128) -> Self;
    /// The bits, zero-extended.
    fn to_word(self) -> u128;
}
impl<T: Scalar> Word for T {
    fn from_word(word: u128) -> Self {
        T::from_bits(word as u64)
    }
    fn to_word(self) -> u128 {
        u128::from(self.to_bits())
    }
}
impl Word for V128 {
    fn from_word(word: u128) -> Self {
        Self::from_bytes(word.to_le_bytes())
    }
    fn to_word(self) -> u128 {
        u128::from_le_bytes(self.to_bytes())
    }
}

/// Operands from bits.
pub trait Bits {
    /// Takes the first words.
    fn from_bits(words: &[u128]) -> Self;
}
impl Bits for () {
    fn from_bits(_: &[u128]) -> Self {}
}
impl<A: Word> Bits for (A,) {
    fn from_bits(words: &[u128]) -> Self {
        (A::from_word(words[0]),)
    }
}
impl<A: Word, B: Word> Bits for (A, B) {
    fn from_bits(words: &[u128]) -> Self {
        (A::from_word(words[0]), B::from_word(words[1]))
    }
}
impl<A: Word, B: Word, C: Word> Bits for (A, B, C) {
    fn from_bits(words: &[u128]) -> Self {
        (A::from_word(words[0]), B::from_word(words[1]), C::from_word(words[2]))
    }
}

/// A result as bits.
pub trait OutBits {
    /// `None` for no result.
    fn to_bits(self) -> Option<u128>;
}
impl OutBits for () {
    fn to_bits(self) -> Option<u128> {
        None
    }
}
impl<T: Word> OutBits for T {
    fn to_bits(self) -> Option<u128> {
        Some(self.to_word())
    }
}
