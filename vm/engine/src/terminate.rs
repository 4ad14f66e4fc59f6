//! SIGINT and SIGTERM end the host process with an exit code, as the command line promises.
//!
//! For the binary alone: a library has no business with the signals of the program around it.
//! Nothing is buffered on the way of a guest's output, so nothing is lost by leaving at once, even
//! from the middle of a call that blocks.

use std::ffi::CString;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use libc::{c_char, c_int};

/// What a shell adds to the number of a signal to get an exit code.
const SIGNAL_CODE_BASE: c_int = 128;

/// From now on SIGINT ends the process with exit code 130 and SIGTERM with 143.
///
/// A signal that the parent process has chosen to ignore stays ignored, as `nohup` and shells expect
/// of programs in the background.
pub fn exit_on_termination() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: all-zero bytes are a valid `sigaction`; both calls get pointers to live ones.
        // The handler is safe to run at any moment, see there.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &raw mut action) != 0
                || action.sa_sigaction == libc::SIG_IGN
            {
                continue;
            }
            action.sa_sigaction = leave as extern "C" fn(c_int) as usize;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// A file that has no meaning without this process; never freed, because a signal can come at any
/// time.
static LEFT_OVER: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// Has a file removed when a signal ends the process: the last one that was named.
pub fn remove_on_termination(path: CString) {
    LEFT_OVER.store(path.into_raw(), Ordering::Release);
}

/// Where signals are written to instead; -1 where they end the process.
static PASSED_TO: AtomicI32 = AtomicI32::new(-1);

/// From now on these signals are written to a pipe, a byte with the number each, and end nothing.
pub fn pass_termination_to(pipe: OwnedFd) {
    PASSED_TO.store(pipe.into_raw_fd(), Ordering::Release);
}

extern "C" fn leave(signal: c_int) {
    let pipe = PASSED_TO.load(Ordering::Acquire);
    if pipe >= 0 {
        let number = signal as u8;
        // SAFETY: a handler may write; the byte is alive, and the pipe is never closed. Nothing can
        // be done about a full one.
        unsafe { libc::write(pipe, (&raw const number).cast(), 1) };
        return;
    }
    let left_over = LEFT_OVER.load(Ordering::Acquire);
    // SAFETY: both are functions that a handler may call: they take no lock and run no other code of
    // this process. The path is null or a text that is never freed.
    unsafe {
        if !left_over.is_null() {
            libc::unlink(left_over);
        }
        libc::_exit(SIGNAL_CODE_BASE + signal)
    }
}
