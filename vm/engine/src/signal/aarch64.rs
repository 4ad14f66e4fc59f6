//! The processor's part of signals, for aarch64: registers of interrupted code, the way out.

use std::arch::naked_asm;

use crate::native::stubs::poll_at_entry;
use crate::vm::Vm;

/// Calls `dispatch(vm)`; keeps its stack pointer in `saved_stack` meanwhile.
#[unsafe(naked)]
pub unsafe extern "C" fn enter(
    saved_stack: *mut u64, dispatch: unsafe extern "C" fn(*mut Vm) -> u64, vm: *mut Vm,
) -> u64 {
    naked_asm!(
        "stp x29, x30, [sp, #-160]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mov x29, sp",
        "str x29, [x0]",
        "mov x9, x1",
        "mov x0, x2",
        "blr x9",
        "mov x1, x0",
        "mov x0, sp",
        "b {leave}",
        // An entry that leads to itself and so to no instruction: the section exists, and with it
        // the linker's two symbols, even if no access is marked.
        ".pushsection brant_faults, \"aR\"",
        ".long 0",
        ".popsection",
        leave = sym leave,
    )
}

/// Returns from `enter`, whose stack pointer is the first argument, with the second as the result.
#[unsafe(naked)]
pub unsafe extern "C" fn leave() {
    naked_asm!(
        "mov sp, x0",
        "mov x0, x1",
        "ldp x19, x20, [sp, #16]",
        "ldp x21, x22, [sp, #32]",
        "ldp x23, x24, [sp, #48]",
        "ldp x25, x26, [sp, #64]",
        "ldp x27, x28, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "ldp x29, x30, [sp], #160",
        "ret",
    )
}

/// Cranelift's register for what it computes in a prologue; no parameter is there.
const SCRATCH: usize = 16;
const FRAME_POINTER: usize = 29;
const LINK: usize = 30;

/// The code that a signal has interrupted.
pub struct Interrupted<'a>(pub &'a mut libc::ucontext_t);

impl Interrupted<'_> {
    /// The instruction.
    pub fn pc(&self) -> usize {
        self.0.uc_mcontext.pc as usize
    }

    /// The stack pointer.
    pub fn stack(&self) -> usize {
        self.0.uc_mcontext.sp as usize
    }

    /// The frame pointer.
    pub fn frame_pointer(&self) -> usize {
        self.0.uc_mcontext.regs[FRAME_POINTER] as usize
    }

    /// `ip`, `fp` and `vm` of a handler at a marked access.
    pub fn at_mark(&self) -> (*const u8, *mut u64, *mut Vm) {
        let registers = &self.0.uc_mcontext.regs;
        (registers[0] as _, registers[1] as _, registers[3] as _)
    }

    /// Goes on in `function` with these arguments.
    pub fn go_to(&mut self, function: *const (), arguments: &[u64]) {
        self.0.uc_mcontext.regs[..arguments.len()].copy_from_slice(arguments);
        self.0.uc_mcontext.pc = function as u64;
    }

    /// The same, as if called, by code that uses its stack and never gets it back.
    pub fn call(&mut self, function: *const (), arguments: &[u64]) {
        // Nothing below the stack pointer is in use on this processor, and it is always aligned.
        self.go_to(function, arguments);
    }

    /// At the stack check of compiled code: the limit that it has loaded, plus what the frame needs.
    pub fn needed_stack(&self) -> u64 {
        self.0.uc_mcontext.regs[SCRATCH]
    }

    /// At the stack check of compiled code: where the function was called, and the frame pointer of
    /// its caller.
    ///
    /// # Safety
    /// It stands there.
    pub unsafe fn caller(&self) -> (u64, u64) {
        let stack = self.stack() as *const u64;
        // SAFETY: the prologue has pushed the frame pointer, with the link register above it.
        unsafe { (*stack.add(1), *stack) }
    }

    /// At the stack check of the compiled function at `start`: goes on as if it had called `poll`
    /// before its first instruction.
    ///
    /// # Safety
    /// It stands there.
    pub unsafe fn poll_at_entry(&mut self, start: *const u8) {
        // Undoes the prologue, which has pushed the two registers and nothing else.
        // SAFETY: by the contract of this function.
        let (back, frame_pointer) = unsafe { self.caller() };
        let context = &mut self.0.uc_mcontext;
        context.regs[FRAME_POINTER] = frame_pointer;
        context.regs[LINK] = back;
        context.regs[SCRATCH] = start as u64;
        context.sp += 16;
        context.pc = poll_at_entry as *const () as u64;
    }
}
