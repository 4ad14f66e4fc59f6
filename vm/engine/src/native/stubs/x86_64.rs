//! The machine code around compiled functions, for x86-64.

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
    pub floats: [[u64; 2]; 16],
    r15_to_r10: [u64; 6],
    r9: u64,
    r8: u64,
    rdi: u64,
    rsi: u64,
    pub frame_pointer: *mut usize,
    rbx: u64,
    rdx: u64,
    rcx: u64,
    rax: u64,
    pub return_address: usize,
}

impl Polled {
    /// Integer parameters of a function that has not begun, the block first.
    pub fn ints(&self) -> [u64; INT_REGISTERS] {
        [self.rdi, self.rsi, self.rdx, self.rcx, self.r8, self.r9]
    }

    /// Where a function that has not begun was called.
    ///
    /// # Safety
    /// `poll_at_entry` has led here.
    pub unsafe fn caller(this: *mut Self) -> Walk {
        // SAFETY: the return address of the call lies above.
        unsafe { Walk { slot: this.add(1).cast(), frame_pointer: (*this).frame_pointer } }
    }

    /// The words on the stack of a call that has not begun.
    ///
    /// # Safety
    /// As for `caller`.
    pub unsafe fn words(this: *const Self) -> *const u64 {
        // SAFETY: they lie above the return address of the call.
        unsafe { this.add(1).cast::<u64>().add(1) }
    }
}

/// What `call_out` and `call_operate` keep on the stack, lowest address first. Results go to the
/// first registers of each kind.
#[derive(Debug)]
#[repr(C)]
pub struct CalledOut {
    pub floats: [[u64; 2]; 8],
    pub ints: [u64; INT_REGISTERS],
    pub frame_pointer: *mut usize,
    pub return_address: usize,
}

/// Called from loop headers: keeps every register, the caller-saved ones too (PreserveAll). Only
/// the lower halves of vector registers: compiled code uses no AVX.
#[unsafe(naked)]
pub unsafe extern "C" fn poll() {
    naked_asm!(
        "push rax",
        "push rcx",
        "push rdx",
        "push rbx",
        "push rbp",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 256",
        "movups [rsp], xmm0",
        "movups [rsp + 16], xmm1",
        "movups [rsp + 32], xmm2",
        "movups [rsp + 48], xmm3",
        "movups [rsp + 64], xmm4",
        "movups [rsp + 80], xmm5",
        "movups [rsp + 96], xmm6",
        "movups [rsp + 112], xmm7",
        "movups [rsp + 128], xmm8",
        "movups [rsp + 144], xmm9",
        "movups [rsp + 160], xmm10",
        "movups [rsp + 176], xmm11",
        "movups [rsp + 192], xmm12",
        "movups [rsp + 208], xmm13",
        "movups [rsp + 224], xmm14",
        "movups [rsp + 240], xmm15",
        "mov rdi, rsp",
        // From an entry the stack is off by 8.
        "and rsp, -16",
        "mov rbx, rdi",
        "call {polled}",
        "mov rsp, rbx",
        "movups xmm0, [rsp]",
        "movups xmm1, [rsp + 16]",
        "movups xmm2, [rsp + 32]",
        "movups xmm3, [rsp + 48]",
        "movups xmm4, [rsp + 64]",
        "movups xmm5, [rsp + 80]",
        "movups xmm6, [rsp + 96]",
        "movups xmm7, [rsp + 112]",
        "movups xmm8, [rsp + 128]",
        "movups xmm9, [rsp + 144]",
        "movups xmm10, [rsp + 160]",
        "movups xmm11, [rsp + 176]",
        "movups xmm12, [rsp + 192]",
        "movups xmm13, [rsp + 208]",
        "movups xmm14, [rsp + 224]",
        "movups xmm15, [rsp + 240]",
        "add rsp, 256",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rbp",
        "pop rbx",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "ret",
        polled = sym polled,
    )
}

/// Where the handler sends a stopped entry: `poll`, as if called at the first byte of the function,
/// which is in r10. The prologue runs again when it returns.
#[unsafe(naked)]
pub unsafe extern "C" fn poll_at_entry() {
    naked_asm!("push r10", "jmp {poll}", poll = sym poll)
}

/// Where `poll` returns to instead, when the stopped entry gives up: out of the function.
#[unsafe(naked)]
pub unsafe extern "C" fn leave_entry() {
    naked_asm!("ret")
}

/// Where every captured frame returns to instead of its caller. The epilogue has restored the
/// callee-saved registers and `rsp`, which is all that the caller's pad relies on; it takes the
/// record in rax, as the payload of an exception.
#[unsafe(naked)]
pub unsafe extern "C" fn trampoline() {
    naked_asm!("call {next}", "jmp rdx", next = sym next_delivery)
}

macro_rules! saving_stub {
    ($(#[$doc:meta])* $name:ident, $target:path) => {
        $(#[$doc])*
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                "push rbp",
                "sub rsp, 176",
                "movups [rsp], xmm0",
                "movups [rsp + 16], xmm1",
                "movups [rsp + 32], xmm2",
                "movups [rsp + 48], xmm3",
                "movups [rsp + 64], xmm4",
                "movups [rsp + 80], xmm5",
                "movups [rsp + 96], xmm6",
                "movups [rsp + 112], xmm7",
                "mov [rsp + 128], rdi",
                "mov [rsp + 136], rsi",
                "mov [rsp + 144], rdx",
                "mov [rsp + 152], rcx",
                "mov [rsp + 160], r8",
                "mov [rsp + 168], r9",
                "mov rdi, rsp",
                "call {target}",
                "movups xmm0, [rsp]",
                "movups xmm1, [rsp + 16]",
                "mov rax, [rsp + 128]",
                "mov rdx, [rsp + 136]",
                "add rsp, 176",
                "pop rbp",
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
        "mov rax, [rdi + {code}]",
        "cmp rax, [rdi + {call_out}]",
        "je {other}",
        "cmp qword ptr [rdi + {word_count}], 0",
        "jne {other}",
        "mov [rdi + {ints}], rdi",
        "mov [rdi + {ints} + 8], rsi",
        "mov [rdi + {ints} + 16], rdx",
        "mov [rdi + {ints} + 24], rcx",
        "mov [rdi + {ints} + 32], r8",
        "mov [rdi + {ints} + 40], r9",
        "movups [rdi + {floats}], xmm0",
        "movups [rdi + {floats} + 16], xmm1",
        "movups [rdi + {floats} + 32], xmm2",
        "movups [rdi + {floats} + 48], xmm3",
        "movups [rdi + {floats} + 64], xmm4",
        "movups [rdi + {floats} + 80], xmm5",
        "movups [rdi + {floats} + 96], xmm6",
        "movups [rdi + {floats} + 112], xmm7",
        "mov rax, [rbp + 8]",
        "mov [rdi + {back}], rax",
        "lea rax, [rip + {trampoline}]",
        "mov [rbp + 8], rax",
        "ret",
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
        // The stack is aligned as before a call.
        "call {next}",
        "mov r10, rax",
        "mov rcx, [r10 + {word_count}]",
        "test rcx, rcx",
        "jz 2f",
        "mov rsi, [r10 + {words}]",
        "mov rdi, rsp",
        "cld",
        "rep movsq",
        "2: movups xmm0, [r10 + {floats}]",
        "movups xmm1, [r10 + {floats} + 16]",
        "movups xmm2, [r10 + {floats} + 32]",
        "movups xmm3, [r10 + {floats} + 48]",
        "movups xmm4, [r10 + {floats} + 64]",
        "movups xmm5, [r10 + {floats} + 80]",
        "movups xmm6, [r10 + {floats} + 96]",
        "movups xmm7, [r10 + {floats} + 112]",
        "push qword ptr [r10 + {back}]",
        "mov rdi, [r10 + {ints}]",
        "mov rsi, [r10 + {ints} + 8]",
        "mov rdx, [r10 + {ints} + 16]",
        "mov rcx, [r10 + {ints} + 24]",
        "mov r8, [r10 + {ints} + 32]",
        "mov r9, [r10 + {ints} + 40]",
        "jmp [r10 + {code}]",
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
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "mov [rdi + {saved}], rsp",
        "mov rbx, rdi",
        "mov rax, [rbx + {stack}]",
        "test rax, rax",
        "cmovnz rsp, rax",
        "and rsp, -16",
        // Whose way it is when the code returns: another one's, if it was suspended meanwhile.
        "sub rsp, 16",
        "mov [rsp], rdi",
        "mov [rbx + {bottom}], rsp",
        // The words on the stack: an even number of them.
        "mov rcx, [rbx + {word_count}]",
        "lea rdx, [rcx * 8]",
        "sub rsp, rdx",
        "mov rsi, [rbx + {words}]",
        "mov rdi, rsp",
        "cld",
        "rep movsq",
        "movups xmm0, [rbx + {floats}]",
        "movups xmm1, [rbx + {floats} + 16]",
        "movups xmm2, [rbx + {floats} + 32]",
        "movups xmm3, [rbx + {floats} + 48]",
        "movups xmm4, [rbx + {floats} + 64]",
        "movups xmm5, [rbx + {floats} + 80]",
        "movups xmm6, [rbx + {floats} + 96]",
        "movups xmm7, [rbx + {floats} + 112]",
        "mov rdi, [rbx + {ints}]",
        "mov rsi, [rbx + {ints} + 8]",
        "mov rdx, [rbx + {ints} + 16]",
        "mov rcx, [rbx + {ints} + 24]",
        "mov r8, [rbx + {ints} + 32]",
        "mov r9, [rbx + {ints} + 40]",
        "mov rax, [rbx + {code}]",
        "mov rbx, [rbx + {bottom}]",
        "call rax",
        "mov rbx, [rbx]",
        "movups [rbx + {floats}], xmm0",
        "movups [rbx + {floats} + 16], xmm1",
        "mov [rbx + {ints}], rax",
        "mov [rbx + {ints} + 8], rdx",
        "mov rdi, rbx",
        "jmp {leave}",
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
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi + {suspended}], rsp",
        "jmp {leave}",
        suspended = const offset_of!(Way, suspended_stack),
        leave = sym leave,
    )
}

/// Goes on behind `suspend`, which returns `how`; comes back as `enter` does.
#[unsafe(naked)]
pub unsafe extern "C" fn resume(way: *mut Way, how: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "mov [rdi + {saved}], rsp",
        "mov rax, [rdi + {bottom}]",
        "mov [rax], rdi",
        "mov rsp, [rdi + {suspended}]",
        "mov rax, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
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
        "mov rsp, [rdi + {saved}]",
        "pop rdi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        saved = const offset_of!(Way, saved_stack),
    )
}
