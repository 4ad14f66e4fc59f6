//! Dispatch by a loop: each handler returns, and the loop calls the next.

use crate::interp::dispatch::{Flow, Step};
use crate::interp::regs::Regs;
use crate::vm::Vm;

/// The form of all handlers. The result is 0 to go on, else an exit code and 1 above it.
pub type Handler = unsafe extern "C" fn(&mut Regs) -> u64;

/// The handler that makes step `S`.
pub const fn handler<S: Step>() -> Handler {
    enter::<S>
}

/// Runs from the state in `vm` to the next exit, whose code it gives.
///
/// # Safety
/// The state in `vm` is that of a translated function, see [`Regs`].
pub unsafe extern "C" fn run(vm: *mut Vm) -> u64 {
    // SAFETY: by the contract of this function.
    unsafe {
        let mut regs = Regs::restore(vm);
        loop {
            let code = regs.operand::<Handler>(0)(&mut regs);
            if code != 0 {
                regs.save();
                // Whoever reads the frames later has to know how the run came to stand there.
                (*regs.vm).exit = code - 1;
                return code - 1;
            }
        }
    }
}

unsafe extern "C" fn enter<S: Step>(regs: &mut Regs) -> u64 {
    // SAFETY: handlers are only reached through `run`, with the state of a valid run.
    match unsafe { S::step(regs) } {
        Flow::Go => 0,
        Flow::Stop(exit) => exit.code() + 1,
    }
}
