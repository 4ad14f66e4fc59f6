//! Tail calls of compiled code: a frame is gone before the function in its place begins.
//!
//! Compiled functions return by the processor's C convention, in which no frame can be replaced. So
//! a tail call of `g` in `f` is a call of `stubs::tail_call` with `g`'s arguments, and a return:
//!
//! ```text
//! f calls tail_call      which keeps the arguments in `Vm`, and makes f return to the trampoline
//! f returns              its epilogue restores what f's caller expects to find
//! the trampoline         puts the arguments where g wants them, and goes to g, which returns to f's
//!                        caller
//! ```
//!
//! Whoever calls `f` does not notice, and pays nothing. `g` has no more words on the stack than `f`,
//! whose caller has made room for those: the compiler refuses what does not fit.

use brant_isa::Trap;

use crate::interp::driver::End;
use crate::native::calls::{self, callee, store_arguments};
use crate::native::segment::{Segment, current};
use crate::native::stubs::{CalledOut, tail_trampoline};
use crate::native::tier;
use crate::vm::{FuncKind, FuncSlot, TailCall};

/// The Rust half of `tail_call`, for what is no compiled function of the same instance or has words
/// on the stack. A function of the host is called here and now: it is done when the frame goes.
pub unsafe extern "C" fn tail_called(saved: *mut CalledOut) {
    // SAFETY: compiled code runs in a segment, which is only used from here meanwhile. The frame
    // above the stub is that of the function which makes the call, with its return address above its
    // frame pointer.
    unsafe {
        let segment = &mut *current();
        let slot = callee(segment, (*saved).return_address).slot;
        if (*slot).kind == FuncKind::Host {
            return calls::called_out(saved);
        }
        let vm = segment.vm;
        let back = (*saved).frame_pointer.add(1);
        if (*vm).tail.code == (*vm).call_out {
            if segment.code().landing(*back).is_none() {
                return leave_for(segment, saved, slot);
            }
            segment.tail_callee = slot;
        }
        let words = std::slice::from_raw_parts(saved.add(1).cast::<u64>(), (*vm).tail.word_count);
        segment.tail_words.clear();
        segment.tail_words.extend_from_slice(words);
        let tail = &mut (*vm).tail;
        (tail.words, tail.back) = (segment.tail_words.as_ptr(), *back);
        (tail.ints, tail.floats) = ((*saved).ints, (*saved).floats);
        *back = tail_trampoline as *const () as usize;
    }
}

/// Leaves the segment, of which this was the outermost frame: the driver goes on with the function.
/// If it nested instead, two functions of which one is compiled could not call each other for long.
unsafe fn leave_for(segment: &mut Segment<'static>, saved: *mut CalledOut, slot: *mut FuncSlot) {
    // SAFETY: by the contract of `tail_called`. The parameters of the outermost frame stand nowhere
    // but in itself by now, and nothing waits above their window; the slack behind the limit has room
    // for any arguments.
    unsafe {
        let window = segment.base.window;
        if window > (*segment.vm).stack_limit {
            return calls::leave(segment, saved, End::Trap(Trap::CallStackExhausted));
        }
        let store = segment.services.parts().0;
        tier::called(store, (*(*slot).vm).instance, (*slot).index);
        let plan = &*store.types.plan((*slot).ty);
        store_arguments(plan, window, &*saved);
        Segment::leave_for(segment, slot)
    }
}

/// What the tail trampoline goes to, called by it on the guest's stack.
pub unsafe extern "C" fn next_tail_call() -> *const TailCall {
    // SAFETY: as in `tail_called`.
    unsafe { &raw const (*(*current()).vm).tail }
}
