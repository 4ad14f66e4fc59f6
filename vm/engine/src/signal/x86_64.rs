//! The processor's part of signals, for x86-64: registers of interrupted code, the way out.

use std::arch::naked_asm;

use crate::native::stubs::poll_at_entry;
use crate::vm::Vm;

/// Calls `dispatch(vm)`; keeps its stack pointer in `saved_stack` meanwhile.
#[unsafe(naked)]
pub unsafe extern "C" fn enter(
    saved_stack: *mut u64, dispatch: unsafe extern "C" fn(*mut Vm) -> u64, vm: *mut Vm,
) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "mov [rdi], rsp",
        "mov rdi, rdx",
        "call rsi",
        "pop rdi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        // An entry that leads to itself and so to no instruction: the section exists, and with it
        // the linker's two symbols, even if no access is marked.
        ".pushsection brant_faults, \"aR\"",
        ".long 0",
        ".popsection",
    )
}

/// Returns from `enter`, whose stack pointer is the first argument, with the second as the result.
#[unsafe(naked)]
pub unsafe extern "C" fn leave() {
    naked_asm!(
        "mov rsp, rdi",
        "mov rax, rsi",
        "pop rdi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// The handler may have interrupted code that uses what is just below the stack pointer.
const RED_ZONE_BYTES: usize = 128;

/// The code that a signal has interrupted.
pub struct Interrupted<'a>(pub &'a mut libc::ucontext_t);

impl Interrupted<'_> {
    fn register(&self, number: i32) -> u64 {
        self.0.uc_mcontext.gregs[number as usize] as u64
    }

    fn set(&mut self, number: i32, value: u64) {
        self.0.uc_mcontext.gregs[number as usize] = value as i64;
    }

    /// The instruction.
    pub fn pc(&self) -> usize {
        self.register(libc::REG_RIP) as usize
    }

    /// The stack pointer.
    pub fn stack(&self) -> usize {
        self.register(libc::REG_RSP) as usize
    }

    /// The frame pointer.
    pub fn frame_pointer(&self) -> usize {
        self.register(libc::REG_RBP) as usize
    }

    /// `ip`, `fp` and `vm` of a handler at a marked access.
    pub fn at_mark(&self) -> (*const u8, *mut u64, *mut Vm) {
        let [ip, fp, vm] = [libc::REG_RDI, libc::REG_RSI, libc::REG_RCX];
        (self.register(ip) as _, self.register(fp) as _, self.register(vm) as _)
    }

    /// Goes on in `function` with these arguments.
    pub fn go_to(&mut self, function: *const (), arguments: &[u64]) {
        let places = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_RCX];
        for (place, &argument) in places.into_iter().zip(arguments) {
            self.set(place, argument);
        }
        self.set(libc::REG_RIP, function as u64);
    }

    /// The same, as if called, by code that uses its stack and never gets it back.
    pub fn call(&mut self, function: *const (), arguments: &[u64]) {
        self.set(libc::REG_RSP, ((self.stack() - RED_ZONE_BYTES) & !15) as u64 - 8);
        self.go_to(function, arguments);
    }

    /// At the stack check of compiled code: the limit that it has loaded, plus what the frame needs.
    pub fn needed_stack(&self) -> u64 {
        // Cranelift's register for that.
        self.register(libc::REG_R10)
    }

    /// At the stack check of compiled code: where the function was called, and the frame pointer of
    /// its caller.
    ///
    /// # Safety
    /// It stands there.
    pub unsafe fn caller(&self) -> (u64, u64) {
        let stack = self.stack() as *const u64;
        // SAFETY: the prologue has pushed the frame pointer, and the call the return address.
        unsafe { (*stack.add(1), *stack) }
    }

    /// At the stack check of the compiled function at `start`: goes on as if it had called `poll`
    /// before its first instruction.
    ///
    /// # Safety
    /// It stands there.
    pub unsafe fn poll_at_entry(&mut self, start: *const u8) {
        // Undoes the prologue, which has pushed the frame pointer and nothing else.
        // SAFETY: by the contract of this function.
        let (_, frame_pointer) = unsafe { self.caller() };
        self.set(libc::REG_RBP, frame_pointer);
        self.set(libc::REG_RSP, self.stack() as u64 + 8);
        self.set(libc::REG_R10, start as u64);
        self.set(libc::REG_RIP, poll_at_entry as *const () as u64);
    }
}
