//! Handlers and the way out, for Linux.
//!
//! `enter` saves what the caller expects to find and the stack pointer; the handler looks the
//! faulting instruction up, writes what the mark promises it to `Vm`, and resumes at `leave`, which
//! returns from `enter` with the code of the trap. The handler allocates nothing and takes no lock.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use brant_isa::Trap;

use crate::memory::{RESERVED_32_BYTES, Reservation};
use crate::vm::Vm;

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod machine;

pub use machine::Interrupted;
use machine::{enter, leave};

/// Signals that faults arrive as.
const SIGNALS: [i32; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// What handled [`SIGNALS`] before.
static BEFORE: OnceLock<[libc::sigaction; 4]> = OnceLock::new();

/// Enough for the registers of every vector extension and our handler.
const ALTERNATE_STACK_BYTES: usize = 64 << 10;

thread_local! {
    /// The stack pointer that the innermost `enter` saved, null outside of guest code. The handler
    /// reads it: it has no destructor and no lazy initialisation.
    static ENTERED: Cell<*mut u64> = const { Cell::new(ptr::null_mut()) };
    /// The alternate stack of this host thread.
    static ALTERNATE: Cell<Option<Alternate>> = const { Cell::new(None) };
}

/// Makes this host thread ready to run guests: handlers once in the process, an alternate stack
/// once in each thread.
pub fn prepare_thread() {
    BEFORE.get_or_init(install);
    ALTERNATE.with(|ours| {
        let alternate = ours.take().unwrap_or_else(Alternate::new);
        ours.set(Some(alternate));
    });
}

/// Runs the dispatch and gives the code of its exit, or of the trap that it faulted with.
///
/// # Safety
/// That of `dispatch`; this thread was prepared. Code that faults owns nothing that needs dropping.
pub unsafe fn call(dispatch: unsafe extern "C" fn(*mut Vm) -> u64, vm: *mut Vm) -> u64 {
    let mut saved_stack = 0u64;
    let outer = ENTERED.replace(&mut saved_stack);
    // SAFETY: by the contract of this function.
    let exit = unsafe { enter(&mut saved_stack, dispatch, vm) };
    ENTERED.set(outer);
    exit
}

unsafe extern "C" {
    #[link_name = "__start_brant_faults"]
    static MARKS_START: i32;
    #[link_name = "__stop_brant_faults"]
    static MARKS_END: i32;
}

/// Whether the instruction at `pc` is a marked access.
fn is_marked(pc: usize) -> bool {
    let (mut mark, end) = (&raw const MARKS_START, &raw const MARKS_END);
    while mark < end {
        // SAFETY: the linker places both symbols around the entries, each an i32 distance.
        let distance = unsafe { mark.read() } as isize;
        if distance != 0 && (mark as usize).wrapping_add_signed(distance) == pc {
            return true;
        }
        mark = mark.wrapping_add(1);
    }
    false
}

fn install() -> [libc::sigaction; 4] {
    SIGNALS.map(|signal| {
        // SAFETY: `on_fault` has the form that SA_SIGINFO asks for. SA_NODEFER, because the handler
        // returns to code that may fault again. Zero is a value of all fields.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            let mut before = MaybeUninit::zeroed();
            libc::sigaction(signal, &action, before.as_mut_ptr());
            before.assume_init()
        }
    })
}

unsafe extern "C" fn on_fault(
    signal: i32, info: *mut libc::siginfo_t, context: *mut libc::ucontext_t,
) {
    // SAFETY: the kernel hands over valid places; `leave_guest` asks for no more.
    unsafe {
        if (*info).si_code > 0 && resolve_fault_keeping_errno(signal, (*info).si_addr().addr()) {
            return;
        }
        let mut interrupted = Interrupted(&mut *context);
        if !crate::native::fault::redirect(&*info, &mut interrupted)
            && !leave_guest(&*info, &mut interrupted)
        {
            pass_on(signal, info, context);
        }
    }
}

/// Opens a page whose writes are tracked. The interrupted code may be between a call and its errno.
fn resolve_fault_keeping_errno(signal: i32, address: usize) -> bool {
    if signal != libc::SIGSEGV && signal != libc::SIGBUS {
        return false;
    }
    // SAFETY: the place of this thread's errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let kept = unsafe { errno.read() };
    let resolved = crate::memory::resolve_fault(signal, address);
    // SAFETY: as above.
    unsafe { errno.write(kept) };
    resolved
}

/// Makes the handler return to `leave` if the fault is that of a marked access of this thread's
/// guest.
unsafe fn leave_guest(info: &libc::siginfo_t, interrupted: &mut Interrupted<'_>) -> bool {
    let entered = ENTERED.get();
    if entered.is_null() || !is_marked(interrupted.pc()) {
        return false;
    }
    let (ip, fp, vm) = interrupted.at_mark();
    // SAFETY: a marked access has `ip`, `fp` and `vm` in these registers, and `vm` is live.
    unsafe {
        let address = info.si_addr() as u64;
        // Whatever faults outside of the memory is a mistake of ours, and no trap of the guest.
        if address.wrapping_sub((*vm).mem0 as u64) >= RESERVED_32_BYTES {
            return false;
        }
        (*vm).fault_address = address;
        ((*vm).ip, (*vm).fp) = (ip, fp);
        let trap = Trap::OutOfBoundsMemoryAccess as u64;
        interrupted.go_to(leave as *const (), &[*entered, trap]);
    }
    true
}

/// Gives a fault that is not ours to whoever handled it before.
unsafe fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::ucontext_t) {
    let at = SIGNALS.iter().position(|&ours| ours == signal);
    let before = at.and_then(|at| Some(&BEFORE.get()?[at]));
    match before.map_or(libc::SIG_DFL, |before| before.sa_sigaction) {
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the default action comes when the instruction runs again, or, for a signal
            // that somebody sent, by sending it again.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if (*info).si_code <= 0 {
                    libc::raise(signal);
                }
            }
        }
        handler if before.is_some_and(|b| b.sa_flags & libc::SA_SIGINFO != 0) => {
            type Handler = unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::ucontext_t);
            // SAFETY: it was installed with SA_SIGINFO, and gets what the kernel gave us.
            unsafe { std::mem::transmute::<usize, Handler>(handler)(signal, info, context) }
        }
        handler => {
            // SAFETY: it was installed without SA_SIGINFO.
            unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(i32)>(handler)(signal) }
        }
    }
}

/// An alternate signal stack: the thread's own if it has one, else ours while the thread lives.
struct Alternate(Option<Reservation>);

impl Alternate {
    fn new() -> Self {
        let mut found = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: 0, ss_size: 0 };
        // SAFETY: `found` is a place for the answer.
        unsafe { libc::sigaltstack(ptr::null(), &mut found) };
        if found.ss_flags & libc::SS_DISABLE == 0 {
            return Self(None);
        }
        // Without memory for it the handler runs on the thread's stack, of which guests use little.
        let area = Reservation::new(ALTERNATE_STACK_BYTES);
        let area = area.and_then(|mut area| area.commit(0, ALTERNATE_STACK_BYTES).then_some(area));
        if let Some(area) = &area {
            let stack =
                libc::stack_t { ss_sp: area.base().cast(), ss_flags: 0, ss_size: area.len_bytes() };
            // SAFETY: the mapping lives until `drop` has taken the stack out of use.
            unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
        }
        Self(area)
    }
}

impl Drop for Alternate {
    fn drop(&mut self) {
        if self.0.is_some() {
            let none =
                libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            // SAFETY: after this nothing uses the mapping.
            unsafe { libc::sigaltstack(&none, ptr::null_mut()) };
        }
    }
}
