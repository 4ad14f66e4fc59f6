//! No compiled code on this host: nothing of it is ever entered, and so nothing leaves it.

use crate::native::abi::{FLOAT_REGISTERS, INT_REGISTERS};
use crate::native::calls::{called_out, operate};
use crate::native::capture::{Walk, next_delivery, polled};
use crate::native::segment::Way;
use crate::native::tail::{next_tail_call, tail_called};

/// What `poll` would keep.
#[derive(Debug)]
pub struct Polled {
    pub floats: [[u64; 2]; FLOAT_REGISTERS],
    pub frame_pointer: *mut usize,
    pub return_address: usize,
}

impl Polled {
    /// Integer parameters of a function that has not begun.
    pub fn ints(&self) -> [u64; INT_REGISTERS] {
        [0; INT_REGISTERS]
    }

    /// Where a function that has not begun was called.
    ///
    /// # Safety
    /// There is none.
    pub unsafe fn caller(this: *mut Self) -> Walk {
        // SAFETY: by the contract of this function.
        unsafe {
            Walk { slot: &raw mut (*this).return_address, frame_pointer: (*this).frame_pointer }
        }
    }

    /// The words on the stack of a call that has not begun.
    ///
    /// # Safety
    /// There is none.
    pub unsafe fn words(this: *const Self) -> *const u64 {
        this.cast()
    }
}

/// What `call_out` and `call_operate` would keep.
#[derive(Debug)]
pub struct CalledOut {
    pub floats: [[u64; 2]; FLOAT_REGISTERS],
    pub ints: [u64; INT_REGISTERS],
    pub frame_pointer: *mut usize,
    pub return_address: usize,
}

macro_rules! never {
    ($($name:ident: $half:path;)*) => {$(
        /// Only its address is used. The Rust half of its twins is named so that it is compiled.
        pub extern "C" fn $name() {
            never(const { $half as *const () })
        }
    )*};
}
never! {
    poll: polled;
    trampoline: next_delivery;
    call_out: called_out;
    call_operate: operate;
    tail_call: tail_called;
    tail_trampoline: next_tail_call;
    leave_entry: polled;
}

fn never(half: *const ()) -> ! {
    unreachable!("no compiled code runs on this host to call {half:?}")
}

/// Would enter compiled code.
///
/// # Safety
/// It is never called.
pub unsafe fn enter(_: *mut Way) {
    unreachable!("no compiled code runs on this host")
}

/// Would go on in compiled code.
///
/// # Safety
/// It is never called.
pub unsafe fn resume(_: *mut Way, _: usize) {
    unreachable!("no compiled code runs on this host")
}

/// Would let compiled code wait.
///
/// # Safety
/// It is never called.
pub unsafe fn suspend(_: *mut Way) -> usize {
    unreachable!("no compiled code runs on this host")
}

/// Would leave compiled code.
///
/// # Safety
/// It is never called.
pub unsafe fn leave(_: *mut Way) -> ! {
    unreachable!("no compiled code runs on this host")
}
