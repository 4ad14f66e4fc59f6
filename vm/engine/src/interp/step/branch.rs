//! Jumps: plain, fused with a comparison, by a table.

use std::marker::PhantomData;

use brant_isa::Op;
use brant_isa::eval::{Eval, NoMemory};

use crate::interp::dispatch::{Flow, Step};
use crate::interp::exit::Exit;
use crate::interp::place::{Source, Sources};
use crate::interp::regs::{RECORD_BYTES, Regs, at};

/// Which way a jump goes.
pub trait Edge: 'static {
    /// Jumps, unless the driver wants control first.
    ///
    /// # Safety
    /// See [`Regs`].
    unsafe fn take(regs: &mut Regs) -> Flow;
}

/// Towards the end of the function: nothing to count.
pub struct Forward;
impl Edge for Forward {
    #[inline(always)]
    unsafe fn take(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe { regs.jump() };
        Flow::Go
    }
}

/// Towards a loop header: takes one from the budget.
pub struct Back;
impl Edge for Back {
    #[inline(always)]
    unsafe fn take(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe { regs.jump() };
        regs.budget -= 1;
        match regs.budget < 0 {
            // The jump is done: the run goes on at the loop header, which is a site.
            true => Flow::Stop(Exit::Budget),
            false => Flow::Go,
        }
    }
}

/// An unconditional jump.
pub struct Jump<E>(PhantomData<E>);
impl<E: Edge> Step for Jump<E> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe { E::take(regs) }
    }
}

/// Jumps if the comparison `O` gives `SENSE`.
pub struct Branch<O, S, E, const SENSE: bool>(PhantomData<(O, S, E)>);

impl<O: Op<Out = bool, Imms = ()>, S: Sources<O::Args>, E: Edge, const SENSE: bool> Step
    for Branch<O, S, E, SENSE>
{
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            match O::run(&Eval(NoMemory), (), S::read(regs)) {
                Ok(condition) if condition == SENSE => E::take(regs),
                Ok(_) => {
                    regs.advance(RECORD_BYTES);
                    Flow::Go
                }
                Err(trap) => Flow::Stop(Exit::Trap(trap)),
            }
        }
    }
}

/// Jumps by a table of displacements, which follow the record; the last is the default.
///
/// A jump back to a loop goes over a record of its own, which counts it.
pub struct BranchTable<S>(PhantomData<S>);

impl<S: Source> Step for BranchTable<S> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`; the record says how many displacements follow.
        unsafe {
            let last = regs.operand::<u32>(at::WORD);
            let index = (S::read::<i32>(regs) as u32).min(last);
            let displacement = regs.ip.add(RECORD_BYTES).cast::<i32>().add(index as usize).read();
            regs.ip = regs.ip.offset(displacement as isize);
        }
        Flow::Go
    }
}
