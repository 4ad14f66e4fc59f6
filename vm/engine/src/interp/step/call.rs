//! Calls and returns inside an instance; what leaves it goes to the driver.
//!
//! ```text
//! caller's frame   | params | header | locals | operands .. | arguments |
//! callee's frame                                            | params    | header | locals | ..
//!                                                           ^ fp         previous fp, return ip
//! ```
//!
//! The arguments already stand where the callee's parameters are; results come back in their place,
//! a single one in the accumulator of its class too.

use std::marker::PhantomData;

use brant_isa::Trap;

use crate::interp::dispatch::{Flow, Step};
use crate::interp::exit::Exit;
use crate::interp::place::{Cell, Source};
use crate::interp::regs::{RECORD_BYTES, Regs, at};
use crate::vm::{FuncSlot, TableView};

/// Size of a call's record: its last word is the callee's slot, or the table.
pub const CALL_BYTES: usize = RECORD_BYTES + 8;
/// Where an indirect call's record has the slot of the index, if that is not in the accumulator.
pub const INDEX: usize = 24;

/// Enters `slot`, whose window begins at slot `at::A` and has `at::B` slots of parameters.
///
/// # Safety
/// See [`Regs`]; `slot` belongs to the running instance.
#[inline(always)]
unsafe fn enter<const BYTES: usize>(regs: &mut Regs, slot: *mut FuncSlot) -> Flow {
    // SAFETY: by the contract of this function. The limit keeps the frame, and the slack behind the
    // limit keeps the header of a callee whose frame size is not known yet, inside the stack.
    unsafe {
        let window = regs.slot(at::A);
        if window.byte_add((*slot).frame_bytes as usize) > (*regs.vm).stack_limit {
            return Flow::Stop(Exit::Trap(Trap::CallStackExhausted));
        }
        let header = window.add(regs.operand::<u16>(at::B) as usize);
        *header = regs.fp as u64;
        *header.add(1) = regs.ip.add(BYTES) as u64;
        // The stub of an untranslated function looks here for what to translate.
        regs.acc = slot as u64;
        regs.fp = window;
        regs.ip = (*slot).code;
        entered(regs)
    }
}

/// Takes one from the budget; the run stands at the entry of a function, which is a site.
///
/// # Safety
/// See [`Regs`].
#[inline(always)]
unsafe fn entered(regs: &mut Regs) -> Flow {
    regs.budget -= 1;
    match regs.budget < 0 {
        true => Flow::Stop(Exit::Entered),
        false => Flow::Go,
    }
}

/// A call of a function of the same instance, by its slot.
pub struct Call;
impl Step for Call {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe { enter::<CALL_BYTES>(regs, regs.operand(at::EXTRA)) }
    }
}

/// Leaves a call to the driver, with the callee's slot and the size of the record.
///
/// # Safety
/// See [`Regs`].
#[inline(always)]
unsafe fn call_out<const BYTES: usize>(regs: &mut Regs, slot: *mut FuncSlot) -> Flow {
    // SAFETY: by the contract of `Regs`.
    unsafe {
        (*regs.vm).payload = slot as u64;
        (*regs.vm).call_bytes = BYTES as u64;
    }
    Flow::Stop(Exit::CallOut)
}

/// A call of an imported function, by its slot.
pub struct CallOut;
impl Step for CallOut {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe { call_out::<CALL_BYTES>(regs, regs.operand(at::EXTRA)) }
    }
}

/// The slot that element `index` of a table refers to, if its type is that of the record.
///
/// # Safety
/// See [`Regs`].
#[inline(always)]
unsafe fn element(regs: &Regs, index: u32) -> Result<*mut FuncSlot, Trap> {
    // SAFETY: by the contract of `Regs`. References in tables are indices of the store's functions,
    // 0 being a slot whose type no call has.
    unsafe {
        let table: *const TableView = regs.operand(at::EXTRA);
        if index >= (*table).len {
            return Err(Trap::UndefinedElement);
        }
        let reference = (*table).elements.add(index as usize).read();
        let slot = (*regs.vm).functions.add(reference as usize).read();
        if (*slot).ty != regs.operand::<u32>(at::WORD) {
            return Err(match reference {
                0 => Trap::UninitializedElement,
                _ => Trap::IndirectCallTypeMismatch,
            });
        }
        Ok(slot)
    }
}

/// `call_indirect`: the index from `S`, the canonical type id at `at::WORD`.
pub struct CallIndirect<S, const BYTES: usize>(PhantomData<S>);
impl<S: Source, const BYTES: usize> Step for CallIndirect<S, BYTES> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let index = S::read::<i32>(regs) as u32;
            match element(regs, index) {
                Ok(slot) if (*slot).vm == regs.vm => enter::<BYTES>(regs, slot),
                Ok(slot) => call_out::<BYTES>(regs, slot),
                Err(trap) => Flow::Stop(Exit::Trap(trap)),
            }
        }
    }
}

/// Leaves the frame; its header is at slot `at::A`.
///
/// # Safety
/// See [`Regs`].
#[inline(always)]
unsafe fn leave(regs: &mut Regs) -> Flow {
    // SAFETY: by the contract of `Regs`, a header stands there since the call.
    unsafe {
        let header = regs.slot(at::A);
        regs.fp = *header as *mut u64;
        regs.ip = *header.add(1) as *const u8;
    }
    Flow::Go
}

/// A return without a result.
pub struct Return;
impl Step for Return {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe { leave(regs) }
    }
}

/// A return of one `T`, in the slot of the first parameter and in the accumulator.
pub struct ReturnOne<T, S>(PhantomData<(T, S)>);
impl<T: Cell + 'static, S: Source> Step for ReturnOne<T, S> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`. A result may lie over the header (a function without
        // parameters), so the header is read first.
        unsafe {
            let x = S::read::<T>(regs);
            let window = regs.fp;
            let flow = leave(regs);
            x.write(window);
            x.set_acc(regs);
            flow
        }
    }
}

/// A return of `at::C` slots that stand at slot `at::B`.
pub struct ReturnMany;
impl Step for ReturnMany {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`; results stand above the place that they go to.
        unsafe {
            let (window, results) = (regs.fp, regs.slot(at::B));
            let count = regs.operand::<u16>(at::C) as usize;
            let flow = leave(regs);
            for i in 0..count {
                *window.add(i) = results.add(i).read_volatile();
            }
            flow
        }
    }
}

/// Enters `slot` in place of the running function: its arguments stand at slot `at::A`, `at::B`
/// slots of them; the header of the running function is at slot `at::C` of the extra word.
///
/// # Safety
/// See [`Regs`]; `slot` belongs to the running instance.
#[inline(always)]
unsafe fn replace(regs: &mut Regs, slot: *mut FuncSlot) -> Flow {
    // SAFETY: by the contract of this function. Arguments are moved down, in ascending order, after
    // the header that they may lie over was read.
    unsafe {
        if regs.fp.byte_add((*slot).frame_bytes as usize) > (*regs.vm).stack_limit {
            return Flow::Stop(Exit::Trap(Trap::CallStackExhausted));
        }
        let old = regs.fp.add(regs.operand::<u32>(TAIL_HEADER) as usize);
        let (previous, back) = (*old, *old.add(1));
        let (arguments, count) = (regs.slot(at::A), regs.operand::<u16>(at::B) as usize);
        for i in 0..count {
            *regs.fp.add(i) = arguments.add(i).read_volatile();
        }
        let header = regs.fp.add(count);
        *header = previous;
        *header.add(1) = back;
        regs.acc = slot as u64;
        regs.ip = (*slot).code;
        entered(regs)
    }
}

/// Where a tail call's record has the slot index of the running function's header.
pub const TAIL_HEADER: usize = 24;
/// Where an indirect tail call's record has the slot of the index.
pub const TAIL_INDEX: usize = 28;
/// `return_call` inside the instance.
pub struct TailCall;
impl Step for TailCall {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe { replace(regs, regs.operand(at::EXTRA)) }
    }
}

/// `return_call` of an imported function.
pub struct TailCallOut;
impl Step for TailCallOut {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe { (*regs.vm).payload = regs.operand::<u64>(at::EXTRA) };
        Flow::Stop(Exit::TailCallOut)
    }
}

/// `return_call_indirect`.
pub struct TailCallIndirect<S>(PhantomData<S>);
impl<S: Source> Step for TailCallIndirect<S> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let index = S::read::<i32>(regs) as u32;
            match element(regs, index) {
                Ok(slot) if (*slot).vm == regs.vm => replace(regs, slot),
                Ok(slot) => {
                    (*regs.vm).payload = slot as u64;
                    Flow::Stop(Exit::TailCallOut)
                }
                Err(trap) => Flow::Stop(Exit::Trap(trap)),
            }
        }
    }
}
