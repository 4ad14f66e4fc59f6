//! SIGINT and SIGTERM end the host process with an exit code, as the command line promises.
//! A guest that wants signals of its terminal gets those, and so does what stands for a program that
//! has moved.
//!
//! For the binary alone: a library has no business with the signals of the program around it.
//! Nothing is buffered on the way of a guest's output, so nothing is lost by leaving at once, even
//! from the middle of a call that blocks.

use std::ffi::CString;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
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
        handle(signal);
    }
}

fn handle(signal: c_int) {
    // SAFETY: all-zero bytes are a valid `sigaction`; both calls get pointers to live ones.
    // The handler is safe to run at any moment, see there.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(signal, std::ptr::null(), &raw mut action) != 0
            || action.sa_sigaction == libc::SIG_IGN
        {
            return;
        }
        action.sa_sigaction = leave as extern "C" fn(c_int) as usize;
        action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
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

/// From now on they end the process again.
pub fn keep_termination() {
    PASSED_TO.store(-1, Ordering::Release);
}

/// Ends the process as one of these signals does.
pub fn end_as_by(signal: u8) -> ! {
    end(signal.into())
}

/// What a terminal says to the programs that have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TerminalSignal {
    /// SIGINT: to end.
    Interrupt,
    /// SIGTSTP: to stand.
    Stop,
    /// SIGWINCH: that it has another size.
    Resize,
}

impl TerminalSignal {
    /// The one that is written as this byte.
    pub fn from_byte(byte: u8) -> Option<TerminalSignal> {
        [TerminalSignal::Interrupt, TerminalSignal::Stop, TerminalSignal::Resize]
            .into_iter()
            .find(|known| *known as u8 == byte)
    }

    fn from_number(signal: c_int) -> Option<TerminalSignal> {
        match signal {
            libc::SIGINT => Some(TerminalSignal::Interrupt),
            libc::SIGTSTP => Some(TerminalSignal::Stop),
            libc::SIGWINCH => Some(TerminalSignal::Resize),
            _ => None,
        }
    }
}

/// A guest that signals of the terminal may be for.
struct Guest {
    /// Where they are written to.
    pipe: OwnedFd,
    /// Whether it wants them now.
    wants: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Never freed, because a signal can come at any time.
static GUEST: AtomicPtr<Guest> = AtomicPtr::new(ptr::null_mut());

/// From now on signals of the terminal are written to a pipe while `wants` says so, a byte each.
/// Otherwise they do what they do without it.
///
/// `wants` has to be safe in a signal handler: it may look at an atomic, and no more.
pub fn pass_terminal_to(pipe: OwnedFd, wants: impl Fn() -> bool + Send + Sync + 'static) {
    let guest = Box::new(Guest { pipe, wants: Box::new(wants) });
    GUEST.store(Box::into_raw(guest), Ordering::Release);
    for signal in [libc::SIGTSTP, libc::SIGWINCH] {
        handle(signal);
    }
}

/// Writes a byte; a handler may. Nothing can be done about a full pipe.
fn tell(pipe: c_int, byte: u8) {
    // SAFETY: the byte is alive, and the pipe is never closed.
    unsafe { libc::write(pipe, (&raw const byte).cast(), 1) };
}

extern "C" fn leave(signal: c_int) {
    let is_end = matches!(signal, libc::SIGINT | libc::SIGTERM);
    let pipe = PASSED_TO.load(Ordering::Acquire);
    if is_end && pipe >= 0 {
        return tell(pipe, signal as u8);
    }
    // SAFETY: it is null or was leaked.
    let guest = unsafe { GUEST.load(Ordering::Acquire).as_ref() };
    if let Some(meant) = TerminalSignal::from_number(signal)
        && let Some(guest) = guest.filter(|guest| pipe < 0 && (guest.wants)())
    {
        return tell(guest.pipe.as_raw_fd(), meant as u8);
    }
    if !is_end {
        if signal == libc::SIGTSTP {
            // SAFETY: a handler may.
            unsafe { libc::raise(libc::SIGSTOP) };
        }
        return;
    }
    end(signal)
}

/// A handler may call this.
fn end(signal: c_int) -> ! {
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
