//! Operators with semantics: the body is the row's, the operands come from places.

use std::marker::PhantomData;

use brant_isa::eval::{Env, Eval};
use brant_isa::machine::{Lane, MemArg, Shuffle};
use brant_isa::{Imms, Op, Out};

use crate::interp::dispatch::{Flow, Step};
use crate::interp::exit::Exit;
use crate::interp::place::{Cell, Dest, Sources};
use crate::interp::regs::{Regs, at};

/// How a step sees linear memory.
pub trait View: 'static {
    /// What the semantics read and write through.
    type Env: Env;
    /// Size of the records that have this view.
    const RECORD_BYTES: usize;
    /// Where in the record the low half of an access's offset is.
    const OFFSET_AT: usize;
    /// The memory of the record at `ip`.
    ///
    /// # Safety
    /// See [`Regs`].
    unsafe fn of(regs: &Regs) -> Self::Env;
}

/// Where immediates lie in the record.
pub trait Immediates: Imms {
    /// How many bytes they take beyond the usual record.
    const EXTRA_BYTES: usize;
    /// Reads them; what does not fit into the usual record begins at byte `behind`, the offset of an
    /// access at `offset_at`.
    ///
    /// # Safety
    /// See [`Regs`].
    unsafe fn read(regs: &Regs, behind: usize, offset_at: usize) -> Self;
}

/// Operator `O` with operands from `S` and its result to `D`, on the memory that `V` shows.
pub struct Operator<O, S, D, V>(PhantomData<(O, S, D, V)>);

impl<O: Op, S: Sources<O::Args>, D: Dest, V: View> Step for Operator<O, S, D, V>
where
    O::Imms: Immediates,
    <O::Out as Out>::Of<Eval<V::Env>>: Cell,
{
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let operands = S::read(regs);
            let immediates = O::Imms::read(regs, V::RECORD_BYTES, V::OFFSET_AT);
            match O::run(&Eval(V::of(regs)), immediates, operands) {
                Ok(result) => {
                    D::write(regs, result);
                    regs.advance(V::RECORD_BYTES + O::Imms::EXTRA_BYTES);
                    Flow::Go
                }
                Err(trap) => Flow::Stop(Exit::Trap(trap)),
            }
        }
    }
}

impl Immediates for () {
    const EXTRA_BYTES: usize = 0;
    #[inline(always)]
    unsafe fn read(_: &Regs, _: usize, _: usize) -> Self {}
}

impl Immediates for (MemArg,) {
    const EXTRA_BYTES: usize = 0;
    #[inline(always)]
    unsafe fn read(regs: &Regs, _: usize, offset_at: usize) -> Self {
        // SAFETY: by the contract of `Regs`.
        (MemArg { offset: unsafe { regs.operand(offset_at) } },)
    }
}

impl Immediates for (Lane,) {
    const EXTRA_BYTES: usize = 0;
    #[inline(always)]
    unsafe fn read(regs: &Regs, _: usize, _: usize) -> Self {
        // SAFETY: by the contract of `Regs`.
        (Lane(unsafe { regs.operand(at::D) }),)
    }
}

impl Immediates for (MemArg, Lane) {
    const EXTRA_BYTES: usize = 8;
    #[inline(always)]
    unsafe fn read(regs: &Regs, behind: usize, _: usize) -> Self {
        // SAFETY: by the contract of `Regs`.
        unsafe { (MemArg { offset: regs.operand(behind) }, Lane(regs.operand(at::D))) }
    }
}

impl Immediates for (Shuffle,) {
    const EXTRA_BYTES: usize = 16;
    #[inline(always)]
    unsafe fn read(regs: &Regs, behind: usize, _: usize) -> Self {
        // SAFETY: by the contract of `Regs`.
        (Shuffle(unsafe { regs.operand(behind) }),)
    }
}
