//! Traps of compiled code: from a signal to the end of the segment.
//!
//! The handler only looks and redirects. The work is done outside of it, on the guest's native
//! stack, where Rust may allocate.

use crate::native::capture::Walk;
use crate::native::code::Landing;
use crate::native::segment::Segment;
use crate::trap::Place;

/// Where compiled code goes on after a signal.
#[cfg(native_code)]
pub use handler::redirect;

#[cfg(native_code)]
mod handler {
    use brant_isa::Trap;

    use super::{Walk, push_place, take_places};
    use crate::compile::TrapCause;
    use crate::interp::driver::End;
    use crate::memory::RESERVED_32_BYTES;
    use crate::native::segment::{Segment, current};
    use crate::signal::Interrupted;
    use crate::vm::{STOP_LIMIT, Vm};

    /// Checked accesses that fail fault below this.
    const NEAR_ZERO: u64 = 4095;

    /// Makes the handler return to what deals with a trap of compiled code; false if it is none.
    ///
    /// # Safety
    /// Called by the signal handler, with what the kernel gave it.
    pub unsafe fn redirect(info: &libc::siginfo_t, interrupted: &mut Interrupted<'_>) -> bool {
        let segment = current();
        if segment.is_null() {
            return false;
        }
        let pc = interrupted.pc();
        // SAFETY: the segment is live. If `pc` is in compiled code, nothing else uses it now; if
        // not, the look at the map only reads.
        unsafe {
            let Some((code, cause)) = (*segment).code().trap(pc) else { return false };
            let start = code.start();
            let arguments = match cause {
                TrapCause::Guest(trap) => {
                    let Some(fault) = fault_of(trap, info, (*segment).vm) else { return false };
                    [pc as u64, interrupted.frame_pointer() as u64, trap as u64, fault]
                }
                TrapCause::Entry => {
                    // If what the prologue has loaded was the true limit, the frame does not fit; if
                    // it was a stop, it may still not fit.
                    let needed = interrupted.needed_stack();
                    let stack = interrupted.stack() as u64;
                    if needed >= STOP_LIMIT
                        && stack >= (*segment).native_limit + (needed - STOP_LIMIT)
                    {
                        interrupted.poll_at_entry(start);
                        return true;
                    }
                    let (back, frame_pointer) = interrupted.caller();
                    [back, frame_pointer, Trap::CallStackExhausted as u64, 0]
                }
            };
            interrupted.call(trapped as *const (), &arguments);
        }
        true
    }

    /// The address that a trapping access was about, 0 for other traps. None if the signal is a
    /// mistake of ours.
    unsafe fn fault_of(trap: Trap, info: &libc::siginfo_t, vm: *const Vm) -> Option<u64> {
        if info.si_signo != libc::SIGSEGV && info.si_signo != libc::SIGBUS {
            return Some(0);
        }
        // SAFETY: the signal is one of a fault, and the block is live.
        let (fault, base) = unsafe { (info.si_addr() as u64, (*vm).mem0 as u64) };
        if trap == Trap::OutOfBoundsMemoryAccess && fault.wrapping_sub(base) < RESERVED_32_BYTES {
            return Some(fault);
        }
        // Checked accesses that fail read near address 0.
        (fault <= NEAR_ZERO).then_some(0)
    }

    /// Ends the segment with a trap at `pc`, which for an overflow is where the callee would return to.
    unsafe extern "C" fn trapped(pc: usize, frame_pointer: *mut usize, code: u64, fault: u64) -> ! {
        let trap = Trap::from_code(code).unwrap_or(Trap::Unreachable);
        let mut pc = pc;
        // SAFETY: the handler has found the segment, and the chain of frames is compiled code's.
        unsafe {
            let segment = &mut *current();
            let vm = segment.vm;
            let mut walk = Walk { slot: &raw mut pc, frame_pointer };
            if trap != Trap::CallStackExhausted {
                let place = segment
                    .code()
                    .find(pc)
                    .and_then(|code| Some((code.function, code.trap(pc)?.body_offset)));
                if let Some((function, offset)) = place {
                    push_place(segment, function, offset);
                }
                walk = walk.next();
            }
            take_places(segment, walk);
            if fault != 0 {
                let native = &mut segment.services.parts().1.native;
                native.fault = Some([fault, (*vm).mem0 as u64, (*vm).mem0_bytes]);
            }
            Segment::leave(segment, End::Trap(trap))
        }
    }
}

/// Notes where the frames of a segment stand, from `walk` on.
///
/// # Safety
/// The walk is one over the compiled frames of the segment, up to its `enter`.
pub unsafe fn take_places(segment: &mut Segment<'static>, walk: Walk) {
    let mut walk = walk;
    // SAFETY: by the contract of this function.
    unsafe {
        while let Some(Landing::Call(code, call)) = segment.code().landing(*walk.slot) {
            let (function, offset) = (code.function, call.body_offset);
            push_place(segment, function, offset);
            walk = walk.next();
        }
    }
}

fn push_place(segment: &mut Segment<'static>, function: u32, offset: u32) {
    let (store, activation) = segment.services.parts();
    // SAFETY: the block is that of an instance of the store.
    let instance = unsafe { (*segment.vm).instance };
    let module = store.instances[instance as usize].module.inner();
    let body = module.body_span(function).unwrap_or_default();
    let offset = Some(u64::from(body.start) + u64::from(offset));
    activation.native.places.push(Place { instance, function, offset });
}
