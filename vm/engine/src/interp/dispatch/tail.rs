//! Dispatch by sibling calls: each handler jumps to the next.

use crate::interp::dispatch::{Flow, Step};
use crate::interp::exit::Exit;
use crate::interp::regs::{Regs, Vector};
use crate::vm::Vm;

/// The form of all handlers. `acc` is third (rdx) because division wants it there.
#[allow(improper_ctypes_definitions, reason = "vectors go in vector registers in this ABI")]
#[cfg(target_arch = "x86_64")]
pub type Handler =
    unsafe extern "sysv64" fn(*const u8, *mut u64, u64, *mut Vm, *mut u8, i64, f64, Vector) -> u64;
/// The form of all handlers.
#[allow(improper_ctypes_definitions, reason = "vectors go in vector registers in this ABI")]
#[cfg(target_arch = "aarch64")]
pub type Handler =
    unsafe extern "C" fn(*const u8, *mut u64, u64, *mut Vm, *mut u8, i64, f64, Vector) -> u64;

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
    unsafe { go(Regs::restore(vm)) }
}

macro_rules! entries {
    ($($arch:literal $abi:literal)*) => {$(
        #[cfg(target_arch = $arch)]
        #[allow(improper_ctypes_definitions, reason = "vectors go in vector registers in this ABI")]
        unsafe extern $abi fn enter<S: Step>(
            ip: *const u8, fp: *mut u64, acc: u64, vm: *mut Vm, mem0: *mut u8, budget: i64, facc: f64,
            vacc: Vector,
        ) -> u64 {
            let mut regs = Regs { ip, fp, acc, vm, mem0, budget, facc, vacc };
            // SAFETY: handlers are only reached through `go`, with the state of a valid run.
            unsafe {
                match S::step(&mut regs) {
                    Flow::Go => go(regs),
                    Flow::Stop(exit) => stop(regs, exit),
                }
            }
        }

        /// Where all stops end: one copy of the code that saves the state.
        #[cfg(target_arch = $arch)]
        #[allow(improper_ctypes_definitions, reason = "vectors go in vector registers in this ABI")]
        #[cold]
        #[inline(never)]
        unsafe extern $abi fn save(
            ip: *const u8, fp: *mut u64, acc: u64, vm: *mut Vm, mem0: *mut u8, budget: i64, facc: f64,
            vacc: Vector,
        ) -> u64 {
            // SAFETY: `stop` passes on the registers of a handler.
            unsafe {
                Regs { ip, fp, acc, vm, mem0, budget, facc, vacc }.save();
                (*vm).exit
            }
        }
    )*};
}
entries! {
    "x86_64" "sysv64"
    "aarch64" "C"
}

#[inline(always)]
unsafe fn go(regs: Regs) -> u64 {
    let Regs { ip, fp, acc, vm, mem0, budget, facc, vacc } = regs;
    // SAFETY: by the contract of `Regs`, `ip` points to a record, which begins with a handler.
    unsafe { regs.operand::<Handler>(0)(ip, fp, acc, vm, mem0, budget, facc, vacc) }
}

#[inline(always)]
unsafe fn stop(regs: Regs, exit: Exit) -> u64 {
    let Regs { ip, fp, acc, vm, mem0, budget, facc, vacc } = regs;
    // SAFETY: by the contract of `Regs`, `vm` is ours.
    unsafe {
        (*vm).exit = exit.code();
        save(ip, fp, acc, vm, mem0, budget, facc, vacc)
    }
}
