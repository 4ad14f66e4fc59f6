//! Moves between places, constants, globals, `select`.

use std::marker::PhantomData;

use brant_isa::types::V128;

use crate::interp::dispatch::{Flow, Step};
use crate::interp::place::{Cell, Dest, Source};
use crate::interp::regs::{RECORD_BYTES, Regs, at};

/// Moves a `T`.
pub struct Move<T, S, D>(PhantomData<(T, S, D)>);

impl<T: Cell + 'static, S: Source, D: Dest> Step for Move<T, S, D> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let x = S::read::<T>(regs);
            D::write(regs, x);
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}

/// Moves two slots, one after the other: `at::A` from `at::B`, then `at::C` from `at::D`.
pub struct MovePair;

impl Step for MovePair {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            *regs.slot(at::A) = *regs.slot(at::B);
            *regs.slot(at::C) = *regs.slot(at::D);
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}

/// As a destination: the slot alone. The accumulator may hold something that is still wanted.
pub struct Only<const AT: usize>;

impl<const AT: usize> Dest for Only<AT> {
    #[inline(always)]
    unsafe fn write<T: Cell>(regs: &mut Regs, x: T) {
        // SAFETY: by the contract of `Regs`.
        unsafe { x.write(regs.slot(AT)) };
    }
}

/// A constant of 64 bits at byte 8 of the record, to an accumulator.
pub struct Constant<T>(PhantomData<T>);

impl Step for Constant<i64> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            regs.acc = regs.operand::<u64>(at::A);
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}
impl Step for Constant<f64> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            regs.facc = regs.operand::<f64>(at::A);
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}
impl Step for Constant<V128> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`; the constant takes the 16 bytes from byte 8 on.
        unsafe {
            V128::read(regs.ip.add(at::A).cast()).set_acc(regs);
            regs.advance(RECORD_BYTES + 8);
        }
        Flow::Go
    }
}

/// A constant of 64 bits at byte 16 of the record, to the slot at `at::A`.
pub struct ConstantToSlot;

impl Step for ConstantToSlot {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            *regs.slot(at::A) = regs.operand::<u64>(at::EXTRA);
            regs.advance(RECORD_BYTES + 8);
        }
        Flow::Go
    }
}

/// Where the cell of a global is.
pub trait GlobalCell: 'static {
    /// Size of the records that name a cell in this way.
    const RECORD_BYTES: usize;
    /// # Safety
    /// See [`Regs`].
    unsafe fn cell(regs: &Regs) -> *mut u64;
}

/// A global of the instance: its offset from the `Vm` is at `at::WORD`.
pub struct Own;
impl GlobalCell for Own {
    const RECORD_BYTES: usize = RECORD_BYTES;
    #[inline(always)]
    unsafe fn cell(regs: &Regs) -> *mut u64 {
        // SAFETY: by the contract of `Regs`; globals follow the header of the `Vm`.
        unsafe { regs.vm.byte_add(regs.operand::<u32>(at::WORD) as usize).cast() }
    }
}

/// An imported global: the address of its cell is in the record.
pub struct Imported;
impl GlobalCell for Imported {
    const RECORD_BYTES: usize = RECORD_BYTES + 8;
    #[inline(always)]
    unsafe fn cell(regs: &Regs) -> *mut u64 {
        // SAFETY: by the contract of `Regs`; cells of a store never move.
        unsafe { regs.operand(at::EXTRA) }
    }
}

/// `global.get`.
pub struct GlobalGet<T, G, D>(PhantomData<(T, G, D)>);

impl<T: Cell + 'static, G: GlobalCell, D: Dest> Step for GlobalGet<T, G, D> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let x = T::read(G::cell(regs));
            D::write(regs, x);
            regs.advance(G::RECORD_BYTES);
        }
        Flow::Go
    }
}

/// `global.set`.
pub struct GlobalSet<T, G, S>(PhantomData<(T, G, S)>);

impl<T: Cell + 'static, G: GlobalCell, S: Source> Step for GlobalSet<T, G, S> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            S::read::<T>(regs).write(G::cell(regs));
            regs.advance(G::RECORD_BYTES);
        }
        Flow::Go
    }
}

/// `select`: the condition from `C`, the values from `A` and `B`.
pub struct Select<T, C, A, B, D>(PhantomData<(T, C, A, B, D)>);

impl<T: Cell + 'static, C: Source, A: Source, B: Source, D: Dest> Step for Select<T, C, A, B, D> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let condition = C::read::<i32>(regs);
            let (a, b) = (A::read::<T>(regs), B::read::<T>(regs));
            D::write(regs, if condition != 0 { a } else { b });
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}
