//! Jumps: plain, fused with a comparison, by a table.

use std::marker::PhantomData;

use brant_isa::Op;
use brant_isa::eval::{Eval, NoMemory};
use brant_isa::machine::MemArg;

use crate::interp::access::Guarded;
use crate::interp::dispatch::{Flow, Step};
use crate::interp::exit::Exit;
use crate::interp::place::{Cell, Source, Sources};
use crate::interp::regs::{RECORD_BYTES, Regs, at};
use crate::interp::step::operator::View;

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

/// Jumps if the operands have a common bit, or, where `SENSE` is false, if they have none.
pub struct BranchBits<S, E, const SENSE: bool>(PhantomData<(S, E)>);

impl<S: Sources<(i32, i32)>, E: Edge, const SENSE: bool> Step for BranchBits<S, E, SENSE> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let (a, b) = S::read::<NoMemory>(regs);
            if (a & b != 0) == SENSE {
                return E::take(regs);
            }
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}

/// Bytes of the records below: they carry another word.
const LONG_BYTES: usize = RECORD_BYTES + 8;

/// Adds a constant (at `at::EXTRA`) to a slot (its index behind the constant), writes the sum to
/// slot `at::A`, and jumps if comparison `O` of the sum and `R` holds: the end of a counted loop.
pub struct AddBranch<O, R, E>(PhantomData<(O, R, E)>);

impl<O, R: Source, E: Edge> Step for AddBranch<O, R, E>
where
    O: Op<Args = (i32, i32), Out = bool, Imms = ()>,
{
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`. The other operand may be the slot that is written.
        unsafe {
            let sum = i32::read(regs.slot(at::EXTRA + 4)).wrapping_add(regs.operand(at::EXTRA));
            sum.write(regs.slot(at::A));
            sum.set_acc(regs);
            match O::run(&Eval(NoMemory), (), (sum, R::read(regs))) {
                Ok(true) => E::take(regs),
                Ok(false) => {
                    regs.advance(LONG_BYTES);
                    Flow::Go
                }
                Err(trap) => Flow::Stop(Exit::Trap(trap)),
            }
        }
    }
}

/// Loads with `L` from `S`, the offset at `at::EXTRA`, and jumps if comparison `O` of what was loaded
/// and `R` holds. What was loaded is not kept.
pub struct LoadBranch<L, S, O, R, E>(PhantomData<(L, S, O, R, E)>);

impl<L, S: Source, O, R: Source, E: Edge> Step for LoadBranch<L, S, O, R, E>
where
    L: Op<Args = (i32,), Out = i32, Imms = (MemArg,)>,
    O: Op<Args = (i32, i32), Out = bool, Imms = ()>,
{
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let at = MemArg { offset: regs.operand(at::EXTRA) };
            let loaded = L::run(&Eval(Guarded::of(regs)), (at,), (S::read::<i32>(regs),));
            let holds = |loaded| O::run(&Eval(NoMemory), (), (loaded, R::read(regs)));
            match loaded.and_then(holds) {
                Ok(true) => E::take(regs),
                Ok(false) => {
                    regs.advance(LONG_BYTES);
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
