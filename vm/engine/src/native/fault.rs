//! Traps of compiled code: from a signal to the end of the segment.
//!
//! The handler only looks and redirects. The work is done outside of it, on the guest's native
//! stack, where Rust may allocate.

use brant_isa::Trap;

use crate::interp::driver::End;
use crate::native::capture::Walk;
use crate::native::code::Landing;
use crate::native::segment::{Segment, current};
use crate::trap::Place;

/// Where compiled code goes on after a signal.
#[cfg(target_arch = "x86_64")]
pub use x86_64::redirect;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::*;
    use crate::compile::TrapCause;
    use crate::memory::RESERVED_32_BYTES;
    use crate::native::stubs::poll_at_entry;
    use crate::vm::STOP_LIMIT;

    /// Checked accesses that fail fault below this.
    const NEAR_ZERO: u64 = 4095;

    /// The handler may have interrupted code that uses what is just below the stack pointer.
    const RED_ZONE_BYTES: usize = 128;

    /// Makes the handler return to what deals with a trap of compiled code; false if it is none.
    ///
    /// # Safety
    /// Called by the signal handler, with what the kernel gave it.
    pub unsafe fn redirect(info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool {
        let segment = current();
        if segment.is_null() {
            return false;
        }
        let registers = &mut context.uc_mcontext.gregs;
        let pc = registers[libc::REG_RIP as usize] as usize;
        // SAFETY: the segment is live. If `pc` is in compiled code, nothing else uses it now; if
        // not, the look at the map only reads.
        unsafe {
            let Some((code, cause)) = (*segment).code().trap(pc) else { return false };
            let start = code.start();
            let vm = (*segment).vm;
            let stack = registers[libc::REG_RSP as usize] as usize;
            let frame = registers[libc::REG_RBP as usize] as usize;
            let fault = info.si_addr() as u64;
            let arguments = match cause {
                TrapCause::Guest(trap) => {
                    // Checked accesses that fail read near address 0. What faults elsewhere outside of
                    // the memory is a mistake of ours.
                    let is_fault = info.si_signo == libc::SIGSEGV || info.si_signo == libc::SIGBUS;
                    let is_access = trap == Trap::OutOfBoundsMemoryAccess
                        && is_fault
                        && fault.wrapping_sub((*vm).mem0 as u64) < RESERVED_32_BYTES;
                    if is_fault && !is_access && fault > NEAR_ZERO {
                        return false;
                    }
                    [pc as u64, frame as u64, trap as u64, if is_access { fault } else { 0 }]
                }
                TrapCause::Entry => {
                    // r10 is the limit that the prologue loaded, plus the size of the frame. If that
                    // was the true limit, the frame does not fit; if a stop, it may still not fit.
                    let needed = registers[libc::REG_R10 as usize] as u64;
                    let fits = needed >= STOP_LIMIT
                        && stack as u64 >= (*segment).native_limit + (needed - STOP_LIMIT);
                    let saved_frame = *(stack as *const u64);
                    if fits {
                        // Undo the prologue, which has pushed the frame pointer and nothing else.
                        registers[libc::REG_RBP as usize] = saved_frame as i64;
                        registers[libc::REG_RSP as usize] = stack as i64 + 8;
                        registers[libc::REG_R10 as usize] = start as i64;
                        registers[libc::REG_RIP as usize] = poll_at_entry as *const () as i64;
                        return true;
                    }
                    let back = *(stack as *const u64).add(1);
                    [back, saved_frame, Trap::CallStackExhausted as u64, 0]
                }
            };
            // As if called, with the stack aligned as for a call.
            registers[libc::REG_RSP as usize] = ((stack - RED_ZONE_BYTES) & !15) as i64 - 8;
            registers[libc::REG_RDI as usize] = arguments[0] as i64;
            registers[libc::REG_RSI as usize] = arguments[1] as i64;
            registers[libc::REG_RDX as usize] = arguments[2] as i64;
            registers[libc::REG_RCX as usize] = arguments[3] as i64;
            registers[libc::REG_RIP as usize] = trapped as *const () as i64;
        }
        true
    }
}

/// Ends the segment with a trap at `pc`, which for an overflow is where the callee would return to.
unsafe extern "sysv64" fn trapped(
    pc: usize, frame_pointer: *mut usize, code: u64, fault: u64,
) -> ! {
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
