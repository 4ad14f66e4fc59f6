//! The words of the kernel's interface for faults that a program resolves itself.
//!
//! The crate of that name needs a C compiler for what is some lines here. Descriptors are for faults
//! of this program's own code only, which needs no privilege: where a system call touches a protected
//! page it fails, and whoever makes the call has to open the page before.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const UFFD_USER_MODE_ONLY: libc::c_long = 1;
const UFFD_API: u64 = 0xAA;
/// A fault comes as a signal to the thread that made it.
const UFFD_FEATURE_SIGBUS: u64 = 1 << 7;
const UFFD_FEATURE_PAGEFAULT_FLAG_WP: u64 = 1 << 0;
/// Pages that are not there yet can be protected too.
const UFFD_FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
/// Pages of files in memory can be.
const UFFD_FEATURE_WP_HUGETLBFS_SHMEM: u64 = 1 << 12;
const UFFD_FEATURE_WP_ASYNC: u64 = 1 << 15;
const UFFDIO_REGISTER_MODE_WP: u64 = 1 << 1;
const UFFDIO_WRITEPROTECT_MODE_WP: u64 = 1;
const UFFDIO_API: libc::c_ulong = 0xC018_AA3F;
const UFFDIO_REGISTER: libc::c_ulong = 0xC020_AA00;
const UFFDIO_WRITEPROTECT: libc::c_ulong = 0xC018_AA06;

/// `struct uffdio_api`.
#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

/// `struct uffdio_writeprotect`.
#[repr(C)]
struct WriteProtect {
    start: u64,
    len: u64,
    mode: u64,
}

/// A descriptor that has ranges protected as long as it is open.
#[derive(Debug)]
pub(super) struct Userfault(OwnedFd);

/// Whether a range can be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    /// It can.
    Open,
    /// Each first write is a fault.
    Protected,
}

/// One whose kernel notes writes by itself.
pub(super) fn asynchronous() -> io::Result<Userfault> {
    Userfault::open(UFFD_FEATURE_WP_ASYNC)
}

/// One whose faults come as signals.
pub(super) fn sync() -> io::Result<Userfault> {
    Userfault::open(
        UFFD_FEATURE_SIGBUS
            | UFFD_FEATURE_PAGEFAULT_FLAG_WP
            | UFFD_FEATURE_WP_UNPOPULATED
            | UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
    )
}

impl Userfault {
    fn open(features: u64) -> io::Result<Userfault> {
        let flags = libc::c_long::from(libc::O_CLOEXEC | libc::O_NONBLOCK) | UFFD_USER_MODE_ONLY;
        // SAFETY: the call makes a descriptor and touches no memory.
        let raw = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
        let raw = answer(raw as libc::c_int)?;
        // SAFETY: the descriptor was just made, and is nobody else's.
        let userfault = Userfault(unsafe { OwnedFd::from_raw_fd(raw) });
        let mut api = Api { api: UFFD_API, features, ioctls: 0 };
        // SAFETY: the call reads and writes the structure, which is what it expects.
        answer(unsafe { libc::ioctl(raw, UFFDIO_API, &raw mut api) })?;
        Ok(userfault)
    }

    /// Has writes to a range noticed, once it is protected.
    pub fn watch(&self, base: usize, len_bytes: usize) -> io::Result<()> {
        let mode = UFFDIO_REGISTER_MODE_WP;
        let mut register = Register { start: base as u64, len: len_bytes as u64, mode, ioctls: 0 };
        // SAFETY: the call reads and writes the structure, which is what it expects. That writes to
        // the range are noticed changes nothing for whoever uses it.
        answer(unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_REGISTER, &raw mut register) })
            .map(drop)
    }

    /// Protects a range that is watched, or lets writes through. Fit for a handler of signals.
    pub fn set(&self, base: usize, len_bytes: usize, access: Access) -> bool {
        let mode = match access {
            Access::Open => 0,
            Access::Protected => UFFDIO_WRITEPROTECT_MODE_WP,
        };
        let mut range = WriteProtect { start: base as u64, len: len_bytes as u64, mode };
        loop {
            // SAFETY: the call reads the structure, which is what it expects. A range that is gone is
            // an error of the call; what is written afterwards faults, and is let through.
            let done =
                unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_WRITEPROTECT, &raw mut range) };
            if done == 0 {
                return true;
            }
            // The mappings of this program change just now.
            if io::Error::last_os_error().raw_os_error() != Some(libc::EAGAIN) {
                return false;
            }
        }
    }
}

/// What a system call has answered.
pub(super) fn answer(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// A call about a file, with a structure.
///
/// # Safety
/// The structure is what the call expects.
pub(super) unsafe fn control<T>(
    file: &File, request: libc::c_ulong, argument: &mut T,
) -> io::Result<libc::c_int> {
    // SAFETY: by the contract of this function.
    answer(unsafe { libc::ioctl(file.as_raw_fd(), request, &raw mut *argument) })
}
