//! Records that stand for more than one operator.

use std::marker::PhantomData;

use brant_isa::eval::Eval;
use brant_isa::machine::MemArg;
use brant_isa::types::Ty;
use brant_isa::{Op, Out};

use crate::interp::access::Guarded;
use crate::interp::dispatch::{Flow, Step};
use crate::interp::exit::Exit;
use crate::interp::place::{Cell, Dest, Source};
use crate::interp::regs::{RECORD_BYTES, Regs, at};
use crate::interp::step::operator::View;

/// `base + (index << SHIFT)`, both in slots: the address of an element.
pub struct Lea<const SHIFT: u32, D>(PhantomData<D>);

impl<const SHIFT: u32, D: Dest> Step for Lea<SHIFT, D> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let (base, index) = (i32::read(regs.slot(at::A)), i32::read(regs.slot(at::B)));
            D::write(regs, base.wrapping_add(index << SHIFT));
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}

/// `base + (acc << SHIFT)`.
pub struct LeaAcc<const SHIFT: u32, D>(PhantomData<D>);

impl<const SHIFT: u32, D: Dest> Step for LeaAcc<SHIFT, D> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let base = i32::read(regs.slot(at::A));
            D::write(regs, base.wrapping_add(i32::acc(regs) << SHIFT));
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}

/// Load `O` from `base + (index << SHIFT) + offset`, the offset in 16 bits at `at::D`.
pub struct IndexedLoad<O, I, const SHIFT: u32, D>(PhantomData<(O, I, D)>);

impl<O, I: Source, const SHIFT: u32, D: Dest> Step for IndexedLoad<O, I, SHIFT, D>
where
    O: Op<Args = (i32,), Imms = (MemArg,)>,
    <O::Out as Out>::Of<Eval<Guarded>>: Cell,
{
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let base = i32::read(regs.slot(at::A));
            let address = base.wrapping_add(I::read::<i32>(regs) << SHIFT);
            let offset = u32::from(regs.operand::<u16>(at::D));
            match O::run(&Eval(Guarded::of(regs)), (MemArg { offset },), (address,)) {
                Ok(result) => {
                    D::write(regs, result);
                    regs.advance(RECORD_BYTES);
                    Flow::Go
                }
                Err(trap) => Flow::Stop(Exit::Trap(trap)),
            }
        }
    }
}

/// Store `O` of slot `at::C` to `base + (index << SHIFT) + offset`, the offset in 16 bits at `at::D`.
pub struct IndexedStore<O, I, const SHIFT: u32>(PhantomData<(O, I)>);

impl<O, T, I: Source, const SHIFT: u32> Step for IndexedStore<O, I, SHIFT>
where
    O: Op<Args = (i32, T), Imms = (MemArg,), Out = ()>,
    T: Ty + Cell,
{
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let base = i32::read(regs.slot(at::A));
            let address = base.wrapping_add(I::read::<i32>(regs) << SHIFT);
            let offset = u32::from(regs.operand::<u16>(at::D));
            let value = T::read(regs.slot(at::C));
            match O::run(&Eval(Guarded::of(regs)), (MemArg { offset },), (address, value)) {
                Ok(()) => {
                    regs.advance(RECORD_BYTES);
                    Flow::Go
                }
                Err(trap) => Flow::Stop(Exit::Trap(trap)),
            }
        }
    }
}

/// Load `O` from `base + at::WORD`, a sum that wraps as `i32.add` does.
pub struct LoadAt<O, S, D>(PhantomData<(O, S, D)>);

impl<O, S: Source, D: Dest> Step for LoadAt<O, S, D>
where
    O: Op<Args = (i32,), Imms = (MemArg,)>,
    <O::Out as Out>::Of<Eval<Guarded>>: Cell,
{
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let address = S::read::<i32>(regs).wrapping_add(regs.operand(at::WORD));
            match O::run(&Eval(Guarded::of(regs)), (MemArg { offset: 0 },), (address,)) {
                Ok(result) => {
                    D::write(regs, result);
                    regs.advance(RECORD_BYTES);
                    Flow::Go
                }
                Err(trap) => Flow::Stop(Exit::Trap(trap)),
            }
        }
    }
}

/// Store `O` of a value from `V` to `base + at::WORD`, a sum that wraps as `i32.add` does.
pub struct StoreAt<O, S, V>(PhantomData<(O, S, V)>);

impl<O, T, S: Source, V: Source> Step for StoreAt<O, S, V>
where
    O: Op<Args = (i32, T), Imms = (MemArg,), Out = ()>,
    T: Ty + Cell,
{
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let address = S::read::<i32>(regs).wrapping_add(regs.operand(at::WORD));
            let value = V::read::<T>(regs);
            match O::run(&Eval(Guarded::of(regs)), (MemArg { offset: 0 },), (address, value)) {
                Ok(()) => {
                    regs.advance(RECORD_BYTES);
                    Flow::Go
                }
                Err(trap) => Flow::Stop(Exit::Trap(trap)),
            }
        }
    }
}

/// Two additions of constants, one after the other: slot `at::A` from `at::B`, then `at::C` from
/// `at::D`; the constants, 32 bits each, are at `at::EXTRA`.
pub struct AddPair;

impl Step for AddPair {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let x = i32::read(regs.slot(at::B)).wrapping_add(regs.operand(at::EXTRA));
            x.write(regs.slot(at::A));
            let y = i32::read(regs.slot(at::D)).wrapping_add(regs.operand(at::EXTRA + 4));
            y.write(regs.slot(at::C));
            y.set_acc(regs);
            regs.advance(RECORD_BYTES + 8);
        }
        Flow::Go
    }
}
