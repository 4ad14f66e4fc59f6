//! Records that stand for more than one operator.

use std::marker::PhantomData;

use brant_isa::eval::{Env, Eval};
use brant_isa::machine::MemArg;
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

const _: fn() = || {
    fn is_env<E: Env>() {}
    is_env::<Guarded>();
};
