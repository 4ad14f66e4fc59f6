//! A descriptor whose input stops the guest: how a running program hears that somebody calls.
//!
//! The kernel sends SIGIO when there is input; the handler sets the stop word. So a program that can
//! be talked to needs no thread that waits for it, and one that nobody talks to pays nothing while
//! it runs. For the binary alone: a library has no business with the signals of the program around
//! it. Nothing here reads the descriptor or knows what comes from it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use libc::c_int;

use crate::store::Interrupt;

/// What stops the guest; never freed, because a signal can come at any time.
static INTERRUPT: AtomicPtr<Interrupt> = AtomicPtr::new(ptr::null_mut());

/// Whether there was input since somebody asked.
static RANG: AtomicBool = AtomicBool::new(false);

/// From now on input that comes at `descriptor` stops the guests of `interrupt`, as if it had been
/// used, and [`take_ring`] says so. There is one such descriptor in a host process: the last one
/// holds.
///
/// # Errors
/// What the system says.
pub fn interrupt_on_input(descriptor: BorrowedFd<'_>, interrupt: &Interrupt) -> io::Result<()> {
    INTERRUPT.store(Box::into_raw(Box::new(interrupt.clone())), Ordering::Release);
    let answer = |answer: c_int| match answer {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    };
    let raw = descriptor.as_raw_fd();
    // SAFETY: all-zero bytes are a valid `sigaction`, and the call gets a pointer to a live one; the
    // handler is safe to run at any moment, see there. The other calls only change flags of a
    // descriptor that is open.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ring as extern "C" fn(c_int) as usize;
        // Calls of the host that block go on; waits are ended by the descriptor itself.
        action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
        answer(libc::sigaction(libc::SIGIO, &raw const action, ptr::null_mut()))?;
        answer(libc::fcntl(raw, libc::F_SETOWN, libc::getpid()))?;
        answer(libc::fcntl(raw, libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK))?;
    }
    Ok(())
}

/// Whether there was input since this was last asked.
pub fn take_ring() -> bool {
    RANG.load(Ordering::Relaxed) && RANG.swap(false, Ordering::Acquire)
}

extern "C" fn ring(_: c_int) {
    RANG.store(true, Ordering::Release);
    let interrupt = INTERRUPT.load(Ordering::Acquire);
    // SAFETY: it was stored before the handler was set, and is never freed. To interrupt is a matter
    // of atomic stores, which a handler may do.
    unsafe { (*interrupt).interrupt() };
}
