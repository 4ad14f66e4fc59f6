//! Where an operand comes from and where a result goes, as types.
//!
//! A step is generic over places, so that one body gives a handler for each combination.

use brant_isa::Args;
use brant_isa::eval::{Env, Eval};
use brant_isa::types::{Scalar, Ty, V128};

use super::regs::{Regs, at};

/// A type that places can hold: slots are untyped, accumulators are per class.
pub trait Cell: Copy {
    /// # Safety
    /// `slot` lies in the frame and holds a value of this type.
    unsafe fn read(slot: *const u64) -> Self;
    /// Integers fill the slot, zero-extended.
    ///
    /// # Safety
    /// `slot` lies in the frame.
    unsafe fn write(self, slot: *mut u64);
    /// From the accumulator of the class.
    fn acc(regs: &Regs) -> Self;
    /// To the accumulator of the class.
    fn set_acc(self, regs: &mut Regs);
    /// From an immediate: integers sign-extended, floats from f32.
    fn imm(field: i32) -> Self;
}

/// Slots have the alignment of 8 bytes, which is too little for a v128.
///
/// Not `write_unaligned`: with debug assertions it passes the address of a local to a check, and
/// a function whose locals escape cannot end in a sibling call.
#[repr(C, packed)]
struct Unaligned<T>(T);

/// An i32 in the accumulator has a zero upper half; saying so saves a `mov` in each address.
#[inline(always)]
fn zero_extended(acc: u64) -> i32 {
    // SAFETY: every handler writes an i32 zero-extended, to the accumulator and to all 8 bytes of
    // a slot, so that an untyped 8-byte move keeps it so; validation lets no handler read as i32
    // what was written as another type.
    unsafe { std::hint::assert_unchecked(acc <= u32::MAX as u64) };
    acc as i32
}

/// The f32 in the low half of the float accumulator.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn low_f32(facc: f64) -> f32 {
    use std::arch::x86_64::{_mm_castpd_ps, _mm_cvtss_f32, _mm_set_sd};
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_cvtss_f32(_mm_castpd_ps(_mm_set_sd(facc))) }
}

/// `old` with `x` in its low half. The upper half means nothing; to keep it is free, while to
/// clear it by `from_bits(x.to_bits() as u64)` takes a round trip through an integer register.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn with_low_f32(old: f64, x: f32) -> f64 {
    use std::arch::x86_64::{
        _mm_castpd_ps, _mm_castps_pd, _mm_cvtsd_f64, _mm_move_ss, _mm_set_sd, _mm_set_ss,
    };
    // SAFETY: SSE2 is part of x86-64.
    unsafe {
        let old = _mm_castpd_ps(_mm_set_sd(old));
        _mm_cvtsd_f64(_mm_castps_pd(_mm_move_ss(old, _mm_set_ss(x))))
    }
}

/// The f32 in the low half of the float accumulator.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn low_f32(facc: f64) -> f32 {
    f32::from_bits(facc.to_bits() as u32)
}

/// `x` in the low half of a float accumulator.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn with_low_f32(_: f64, x: f32) -> f64 {
    f64::from_bits(u64::from(x.to_bits()))
}

macro_rules! cells {
    ($($t:ty, $slot:expr, $acc:ident: $from:expr, $to:expr, $imm:expr;)*) => {$(
        impl Cell for $t {
            #[inline(always)]
            unsafe fn read(slot: *const u64) -> Self {
                // SAFETY: by the contract of `Cell::read`.
                unsafe { (*slot.cast::<Unaligned<Self>>()).0 }
            }
            #[inline(always)]
            unsafe fn write(self, slot: *mut u64) {
                // SAFETY: by the contract of `Cell::write`.
                unsafe { *slot.cast() = Unaligned($slot(self)) }
            }
            #[inline(always)]
            fn acc(regs: &Regs) -> Self { $from(regs.$acc) }
            #[inline(always)]
            fn set_acc(self, regs: &mut Regs) { regs.$acc = $to(self, regs.$acc) }
            #[inline(always)]
            fn imm(field: i32) -> Self { $imm(field) }
        }
    )*};
}
cells! {
    i32, Scalar::to_bits, acc: zero_extended, |x: i32, _| x.to_bits(), |field| field;
    i64, Scalar::to_bits, acc: Scalar::from_bits, |x: i64, _| x.to_bits(), |field| field as i64;
    f32, |x| x, facc: low_f32, |x: f32, old| with_low_f32(old, x), |field| f32::from_bits(field as u32);
    f64, |x| x, facc: |facc| facc, |x, _| x, |field| f64::from(f32::from_bits(field as u32));
    V128, |x| x, vacc: V128, |x: V128, _| x.0, |_| unreachable!("vectors have no immediate form");
}

/// A condition is written as the i32 0 or 1.
impl Cell for bool {
    #[inline(always)]
    unsafe fn read(slot: *const u64) -> Self {
        // SAFETY: by the contract of `Cell::read`.
        unsafe { i32::read(slot) != 0 }
    }
    #[inline(always)]
    unsafe fn write(self, slot: *mut u64) {
        // SAFETY: by the contract of `Cell::write`.
        unsafe { i32::from(self).write(slot) }
    }
    #[inline(always)]
    fn acc(regs: &Regs) -> Self {
        regs.acc != 0
    }
    #[inline(always)]
    fn set_acc(self, regs: &mut Regs) {
        regs.acc = u64::from(self);
    }
    #[inline(always)]
    fn imm(field: i32) -> Self {
        field != 0
    }
}

/// An operator without a result: nothing to write.
impl Cell for () {
    #[inline(always)]
    unsafe fn read(_: *const u64) -> Self {}
    #[inline(always)]
    unsafe fn write(self, _: *mut u64) {}
    #[inline(always)]
    fn acc(_: &Regs) -> Self {}
    #[inline(always)]
    fn set_acc(self, _: &mut Regs) {}
    #[inline(always)]
    fn imm(_: i32) -> Self {}
}

/// Where one operand comes from.
pub trait Source: 'static {
    /// # Safety
    /// See [`Regs`].
    unsafe fn read<T: Cell>(regs: &Regs) -> T;
}

/// Where a result goes.
pub trait Dest: 'static {
    /// # Safety
    /// See [`Regs`].
    unsafe fn write<T: Cell>(regs: &mut Regs, x: T);
}

/// The accumulator of the value's class.
pub struct Acc;
/// The slot whose index is at byte `AT` of the record. As a destination: the accumulator too, so
/// that a value which is used soon again does not wait for its own store.
pub struct Slot<const AT: usize>;
/// The 32-bit immediate at `at::WORD`.
pub struct Imm;
/// The 16-bit immediate, sign-extended, at byte `AT`.
pub struct ShortAt<const AT: usize>;
/// The usual place of a 16-bit immediate.
pub type Short = ShortAt<{ at::B }>;
/// The address 0, for accesses whose whole address is the offset.
pub struct Zero;
/// For operators without a result.
pub struct Nowhere;

impl Source for Acc {
    #[inline(always)]
    unsafe fn read<T: Cell>(regs: &Regs) -> T {
        T::acc(regs)
    }
}
impl<const AT: usize> Source for Slot<AT> {
    #[inline(always)]
    unsafe fn read<T: Cell>(regs: &Regs) -> T {
        // SAFETY: by the contract of `Regs`.
        unsafe { T::read(regs.slot(AT)) }
    }
}
impl Source for Imm {
    #[inline(always)]
    unsafe fn read<T: Cell>(regs: &Regs) -> T {
        // SAFETY: by the contract of `Regs`.
        T::imm(unsafe { regs.operand(at::WORD) })
    }
}
impl<const AT: usize> Source for ShortAt<AT> {
    #[inline(always)]
    unsafe fn read<T: Cell>(regs: &Regs) -> T {
        // SAFETY: by the contract of `Regs`.
        T::imm(i32::from(unsafe { regs.operand::<i16>(AT) }))
    }
}
impl Source for Zero {
    #[inline(always)]
    unsafe fn read<T: Cell>(_: &Regs) -> T {
        T::imm(0)
    }
}
impl Dest for Acc {
    #[inline(always)]
    unsafe fn write<T: Cell>(regs: &mut Regs, x: T) {
        x.set_acc(regs);
    }
}
impl<const AT: usize> Dest for Slot<AT> {
    #[inline(always)]
    unsafe fn write<T: Cell>(regs: &mut Regs, x: T) {
        // SAFETY: by the contract of `Regs`.
        unsafe { x.write(regs.slot(AT)) };
        x.set_acc(regs);
    }
}
impl Dest for Nowhere {
    #[inline(always)]
    unsafe fn write<T: Cell>(_: &mut Regs, _: T) {}
}

/// Where all operands come from: a tuple of sources for a tuple of types.
pub trait Sources<A: Args>: 'static {
    /// # Safety
    /// See [`Regs`].
    unsafe fn read<E: Env>(regs: &Regs) -> A::Of<Eval<E>>;
}

macro_rules! sources {
    ($($a:ident $s:ident),*) => {
        impl<$($a: Ty + Cell, $s: Source),*> Sources<($($a,)*)> for ($($s,)*) {
            #[inline(always)]
            unsafe fn read<E: Env>(_regs: &Regs) -> ($($a,)*) {
                // SAFETY: by the contract of `Regs`.
                #[allow(unused_unsafe, clippy::unused_unit, reason = "for no operands at all")]
                unsafe { ($($s::read(_regs),)*) }
            }
        }
    };
}
sources!();
sources!(A SA);
sources!(A SA, B SB);
sources!(A SA, B SB, C SC);
