//! The words of the kernel's interface for faults that a program resolves itself.
//!
//! The crate of that name needs a C compiler for what is some lines here. Descriptors are for faults
//! of this program's own code only, which needs no privilege: where a system call touches a protected
//! page it fails, and whoever makes the call has to open the page before.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::persist::PAGE_BYTES;

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
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1 << 0;
const UFFDIO_REGISTER_MODE_WP: u64 = 1 << 1;
const UFFDIO_WRITEPROTECT_MODE_WP: u64 = 1;
const UFFDIO_API: libc::c_ulong = 0xC018_AA3F;
const UFFDIO_REGISTER: libc::c_ulong = 0xC020_AA00;
const UFFDIO_UNREGISTER: libc::c_ulong = 0x8010_AA01;
const UFFDIO_COPY: libc::c_ulong = 0xC028_AA03;
const UFFDIO_ZEROPAGE: libc::c_ulong = 0xC020_AA04;
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

/// `struct uffdio_range`.
#[repr(C)]
struct Range {
    start: u64,
    len: u64,
}

/// `struct uffdio_copy`.
#[repr(C)]
struct Copy {
    dst: u64,
    src: u64,
    len: u64,
    mode: u64,
    copied: i64,
}

/// `struct uffdio_zeropage`.
#[repr(C)]
struct ZeroPage {
    start: u64,
    len: u64,
    mode: u64,
    filled: i64,
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

/// One that says which pages are missing, by signals.
pub(super) fn missing() -> io::Result<Userfault> {
    Userfault::open(UFFD_FEATURE_SIGBUS)
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
        self.register(base, len_bytes, UFFDIO_REGISTER_MODE_WP)
    }

    /// Has the first touch of each page of a range noticed that is not there.
    pub fn await_pages(&self, base: usize, len_bytes: usize) -> io::Result<()> {
        self.register(base, len_bytes, UFFDIO_REGISTER_MODE_MISSING)
    }

    fn register(&self, base: usize, len_bytes: usize, mode: u64) -> io::Result<()> {
        let mut register = Register { start: base as u64, len: len_bytes as u64, mode, ioctls: 0 };
        // SAFETY: the call reads and writes the structure, which is what it expects. That writes to
        // the range are noticed changes nothing for whoever uses it.
        answer(unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_REGISTER, &raw mut register) })
            .map(drop)
    }

    /// Lets go of a range: what is not there is zero again.
    pub fn let_go(&self, base: usize, len_bytes: usize) {
        let mut range = Range { start: base as u64, len: len_bytes as u64 };
        // SAFETY: the call reads the structure, which is what it expects; a range that is gone is an
        // error of the call.
        unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_UNREGISTER, &raw mut range) };
    }

    /// Makes a missing page be there, all at once; nothing happens to one that is there. None as its
    /// content is zeros. Fit for a handler of signals.
    pub fn fill(&self, at: usize, content: Option<&[u8; PAGE_BYTES]>) -> io::Result<()> {
        let (start, len) = (at as u64, PAGE_BYTES as u64);
        loop {
            let done = match content {
                Some(content) => {
                    let src = content.as_ptr().addr() as u64;
                    let mut copy = Copy { dst: start, src, len, mode: 0, copied: 0 };
                    // SAFETY: the call reads and writes the structure, reads the content, and writes
                    // to a page that nobody has seen yet.
                    unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_COPY, &raw mut copy) }
                }
                None => {
                    let mut zero = ZeroPage { start, len, mode: 0, filled: 0 };
                    // SAFETY: as above, without a content.
                    unsafe { libc::ioctl(self.0.as_raw_fd(), UFFDIO_ZEROPAGE, &raw mut zero) }
                }
            };
            if done == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EEXIST) => return Ok(()),
                // The mappings of this program change just now.
                Some(libc::EAGAIN) => {}
                _ => return Err(error),
            }
        }
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
