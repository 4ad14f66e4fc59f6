//! The machine code around compiled functions, for aarch64.
//!
//! The processor has no return address on the stack: a call leaves it in the link register, and the
//! callee's frame keeps it above the frame pointer, where a walk finds it.
//! x16 and x17 belong to nobody across calls, and compiled code keeps nothing in them.

use std::arch::naked_asm;
use std::mem::offset_of;

use crate::native::abi::INT_REGISTERS;
use crate::native::calls::{called_out, operate};
use crate::native::capture::{Walk, next_delivery, polled};
use crate::native::segment::Way;
use crate::native::tail::{next_tail_call, tail_called};
use crate::vm::{TailCall, Vm};

/// What `poll` keeps on the stack, lowest address first.
#[derive(Debug)]
#[repr(C)]
pub struct Polled {
    x0_to_x28: [u64; 29],
    pub frame_pointer: *mut usize,
    /// Of a function that has not begun: where it was called.
    link: usize,
    pub return_address: usize,
    pub floats: [[u64; 2]; 32],
}

impl Polled {
    /// Integer parameters of a function that has not begun, the block first.
    pub fn ints(&self) -> [u64; INT_REGISTERS] {
        std::array::from_fn(|number| self.x0_to_x28[number])
    }

    /// Where a function that has not begun was called.
    ///
    /// # Safety
    /// `poll_at_entry` has led here.
    pub unsafe fn caller(this: *mut Self) -> Walk {
        // SAFETY: `poll_at_entry` has saved the registers as they were at the call.
        unsafe { Walk { slot: &raw mut (*this).link, frame_pointer: (*this).frame_pointer } }
    }

    /// The words on the stack of a call that has not begun.
    ///
    /// # Safety
    /// As for `caller`.
    pub unsafe fn words(this: *const Self) -> *const u64 {
        // SAFETY: they lie right above.
        unsafe { this.add(1).cast() }
    }
}

/// What `call_out` and `call_operate` keep on the stack, lowest address first. Results go to the
/// first registers of each kind.
#[derive(Debug)]
#[repr(C)]
pub struct CalledOut {
    pub ints: [u64; INT_REGISTERS],
    pub floats: [[u64; 2]; 8],
    pub frame_pointer: *mut usize,
    pub return_address: usize,
}

/// Called from loop headers: keeps every register, the caller-saved ones too (PreserveAll).
#[unsafe(naked)]
pub unsafe extern "C" fn poll() {
    naked_asm!("mov x16, x30", "b {poll_at_entry}", poll_at_entry = sym poll_at_entry)
}

/// Where the handler sends a stopped entry, with the first byte of the function in x16: it goes on
/// there, with every register as it was at the call. The prologue runs again.
#[unsafe(naked)]
pub unsafe extern "C" fn poll_at_entry() {
    naked_asm!(
        "sub sp, sp, #768",
        "stp x0, x1, [sp]",
        "stp x2, x3, [sp, #16]",
        "stp x4, x5, [sp, #32]",
        "stp x6, x7, [sp, #48]",
        "stp x8, x9, [sp, #64]",
        "stp x10, x11, [sp, #80]",
        "stp x12, x13, [sp, #96]",
        "stp x14, x15, [sp, #112]",
        "stp x16, x17, [sp, #128]",
        "stp x18, x19, [sp, #144]",
        "stp x20, x21, [sp, #160]",
        "stp x22, x23, [sp, #176]",
        "stp x24, x25, [sp, #192]",
        "stp x26, x27, [sp, #208]",
        "stp x28, x29, [sp, #224]",
        "stp x30, x16, [sp, #240]",
        "stp q0, q1, [sp, #256]",
        "stp q2, q3, [sp, #288]",
        "stp q4, q5, [sp, #320]",
        "stp q6, q7, [sp, #352]",
        "stp q8, q9, [sp, #384]",
        "stp q10, q11, [sp, #416]",
        "stp q12, q13, [sp, #448]",
        "stp q14, q15, [sp, #480]",
        "stp q16, q17, [sp, #512]",
        "stp q18, q19, [sp, #544]",
        "stp q20, q21, [sp, #576]",
        "stp q22, q23, [sp, #608]",
        "stp q24, q25, [sp, #640]",
        "stp q26, q27, [sp, #672]",
        "stp q28, q29, [sp, #704]",
        "stp q30, q31, [sp, #736]",
        "mov x0, sp",
        "bl {polled}",
        "ldp q0, q1, [sp, #256]",
        "ldp q2, q3, [sp, #288]",
        "ldp q4, q5, [sp, #320]",
        "ldp q6, q7, [sp, #352]",
        "ldp q8, q9, [sp, #384]",
        "ldp q10, q11, [sp, #416]",
        "ldp q12, q13, [sp, #448]",
        "ldp q14, q15, [sp, #480]",
        "ldp q16, q17, [sp, #512]",
        "ldp q18, q19, [sp, #544]",
        "ldp q20, q21, [sp, #576]",
        "ldp q22, q23, [sp, #608]",
        "ldp q24, q25, [sp, #640]",
        "ldp q26, q27, [sp, #672]",
        "ldp q28, q29, [sp, #704]",
        "ldp q30, q31, [sp, #736]",
        "ldp x0, x1, [sp]",
        "ldp x2, x3, [sp, #16]",
        "ldp x4, x5, [sp, #32]",
        "ldp x6, x7, [sp, #48]",
        "ldp x8, x9, [sp, #64]",
        "ldp x10, x11, [sp, #80]",
        "ldp x12, x13, [sp, #96]",
        "ldp x14, x15, [sp, #112]",
        // Not x18, which may be the system's own.
        "ldr x17, [sp, #136]",
        "ldr x19, [sp, #152]",
        "ldp x20, x21, [sp, #160]",
        "ldp x22, x23, [sp, #176]",
        "ldp x24, x25, [sp, #192]",
        "ldp x26, x27, [sp, #208]",
        "ldp x28, x29, [sp, #224]",
        "ldp x30, x16, [sp, #240]",
        "add sp, sp, #768",
        "br x16",
        polled = sym polled,
    )
}

/// Where `poll_at_entry` goes on instead, when the stopped entry gives up: out of the function.
#[unsafe(naked)]
pub unsafe extern "C" fn leave_entry() {
    naked_asm!("ret")
}

/// Where every captured frame returns to instead of its caller. The epilogue has restored the
/// callee-saved registers and `sp`, which is all that the caller's pad relies on; it takes the
/// record in x0, as the payload of an exception.
#[unsafe(naked)]
pub unsafe extern "C" fn trampoline() {
    naked_asm!("bl {next}", "br x1", next = sym next_delivery)
}

macro_rules! saving_stub {
    ($(#[$doc:meta])* $name:ident, $target:path) => {
        $(#[$doc])*
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                "sub sp, sp, #208",
                "stp x0, x1, [sp]",
                "stp x2, x3, [sp, #16]",
                "stp x4, x5, [sp, #32]",
                "stp x6, x7, [sp, #48]",
                "stp q0, q1, [sp, #64]",
                "stp q2, q3, [sp, #96]",
                "stp q4, q5, [sp, #128]",
                "stp q6, q7, [sp, #160]",
                "stp x29, x30, [sp, #192]",
                "mov x0, sp",
                "bl {target}",
                "ldp x0, x1, [sp]",
                "ldp q0, q1, [sp, #64]",
                "ldp x29, x30, [sp, #192]",
                "add sp, sp, #208",
                "ret",
                target = sym $target,
            )
        }
    };
}
saving_stub! {
    /// What compiled code calls for every function that has no code of its own instance.
    call_out, called_out
}
saving_stub! {
    /// `Vm::operate`.
    call_operate, operate
}
saving_stub! {
    /// The other half of `tail_call`.
    other_tail_call, tail_called
}

/// `Vm::tail_call`: keeps the arguments, and makes the caller return to the trampoline. What is not
/// compiled, and what has words on the stack, is left to the Rust half.
#[unsafe(naked)]
pub unsafe extern "C" fn tail_call() {
    naked_asm!(
        "ldr x9, [x0, {code}]",
        "ldr x10, [x0, {call_out}]",
        "cmp x9, x10",
        "b.eq 2f",
        "ldr x10, [x0, {word_count}]",
        "cbnz x10, 2f",
        "add x9, x0, {ints}",
        "stp x0, x1, [x9]",
        "stp x2, x3, [x9, #16]",
        "stp x4, x5, [x9, #32]",
        "stp x6, x7, [x9, #48]",
        "add x9, x0, {floats}",
        "stp q0, q1, [x9]",
        "stp q2, q3, [x9, #32]",
        "stp q4, q5, [x9, #64]",
        "stp q6, q7, [x9, #96]",
        "ldr x9, [x29, #8]",
        "str x9, [x0, {back}]",
        "adrp x9, {trampoline}",
        "add x9, x9, :lo12:{trampoline}",
        "str x9, [x29, #8]",
        "ret",
        "2: b {other}",
        other = sym other_tail_call,
        trampoline = sym tail_trampoline,
        call_out = const offset_of!(Vm, call_out),
        code = const offset_of!(Vm, tail.code),
        word_count = const offset_of!(Vm, tail.word_count),
        ints = const offset_of!(Vm, tail.ints),
        floats = const offset_of!(Vm, tail.floats),
        back = const offset_of!(Vm, tail.back),
    )
}

/// Where a frame returns to that made a tail call: goes to the function in its place.
#[unsafe(naked)]
pub unsafe extern "C" fn tail_trampoline() {
    naked_asm!(
        "bl {next}",
        "mov x16, x0",
        "ldr x10, [x16, {word_count}]",
        "ldr x11, [x16, {words}]",
        "mov x12, sp",
        "2: cbz x10, 3f",
        "ldr x13, [x11], #8",
        "str x13, [x12], #8",
        "sub x10, x10, #1",
        "b 2b",
        "3: add x9, x16, {floats}",
        "ldp q0, q1, [x9]",
        "ldp q2, q3, [x9, #32]",
        "ldp q4, q5, [x9, #64]",
        "ldp q6, q7, [x9, #96]",
        "add x9, x16, {ints}",
        "ldp x0, x1, [x9]",
        "ldp x2, x3, [x9, #16]",
        "ldp x4, x5, [x9, #32]",
        "ldp x6, x7, [x9, #48]",
        "ldr x30, [x16, {back}]",
        "ldr x16, [x16, {code}]",
        "br x16",
        next = sym next_tail_call,
        word_count = const offset_of!(TailCall, word_count),
        words = const offset_of!(TailCall, words),
        floats = const offset_of!(TailCall, floats),
        ints = const offset_of!(TailCall, ints),
        back = const offset_of!(TailCall, back),
        code = const offset_of!(TailCall, code),
    )
}

/// Calls compiled code as `way` says, on the guest's native stack, and keeps its results there.
#[unsafe(naked)]
pub unsafe extern "C" fn enter(way: *mut Way) {
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
        "str x29, [x0, {saved}]",
        "mov x19, x0",
        "ldr x9, [x19, {stack}]",
        "cbz x9, 2f",
        "and x9, x9, #-16",
        "mov sp, x9",
        // Whose way it is when the code returns: another one's, if it was suspended meanwhile.
        "2: sub sp, sp, #16",
        "str x19, [sp]",
        "mov x9, sp",
        "str x9, [x19, {bottom}]",
        // The words on the stack: an even number of them.
        "ldr x10, [x19, {word_count}]",
        "ldr x11, [x19, {words}]",
        "sub sp, sp, x10, uxtx #3",
        "mov x12, sp",
        "3: cbz x10, 4f",
        "ldr x13, [x11], #8",
        "str x13, [x12], #8",
        "sub x10, x10, #1",
        "b 3b",
        "4: add x9, x19, {floats}",
        "ldp q0, q1, [x9]",
        "ldp q2, q3, [x9, #32]",
        "ldp q4, q5, [x9, #64]",
        "ldp q6, q7, [x9, #96]",
        "ldr x16, [x19, {code}]",
        "add x9, x19, {ints}",
        "ldp x0, x1, [x9]",
        "ldp x2, x3, [x9, #16]",
        "ldp x4, x5, [x9, #32]",
        "ldp x6, x7, [x9, #48]",
        "ldr x19, [x19, {bottom}]",
        "blr x16",
        "ldr x19, [x19]",
        "add x9, x19, {floats}",
        "stp q0, q1, [x9]",
        "add x9, x19, {ints}",
        "stp x0, x1, [x9]",
        "mov x0, x19",
        "b {leave}",
        saved = const offset_of!(Way, saved_stack),
        stack = const offset_of!(Way, stack),
        word_count = const offset_of!(Way, word_count),
        words = const offset_of!(Way, words),
        floats = const offset_of!(Way, floats),
        ints = const offset_of!(Way, ints),
        code = const offset_of!(Way, code),
        bottom = const offset_of!(Way, bottom),
        leave = sym leave,
    )
}

/// Returns from `enter` or `resume` like `leave`, but keeps what stands on the guest's stack: returns
/// here, with what `resume` was given, when that comes.
#[unsafe(naked)]
pub unsafe extern "C" fn suspend(way: *mut Way) -> usize {
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
        "mov x9, sp",
        "str x9, [x0, {suspended}]",
        "b {leave}",
        suspended = const offset_of!(Way, suspended_stack),
        leave = sym leave,
    )
}

/// Goes on behind `suspend`, which returns `how`; comes back as `enter` does.
#[unsafe(naked)]
pub unsafe extern "C" fn resume(way: *mut Way, how: usize) {
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
        "str x29, [x0, {saved}]",
        "ldr x9, [x0, {bottom}]",
        "str x0, [x9]",
        "ldr x9, [x0, {suspended}]",
        "mov sp, x9",
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
        saved = const offset_of!(Way, saved_stack),
        bottom = const offset_of!(Way, bottom),
        suspended = const offset_of!(Way, suspended_stack),
    )
}

/// Returns from `enter`, whatever stands above it on the stack.
#[unsafe(naked)]
pub unsafe extern "C" fn leave(way: *mut Way) -> ! {
    naked_asm!(
        "ldr x9, [x0, {saved}]",
        "mov sp, x9",
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
        saved = const offset_of!(Way, saved_stack),
    )
}
