//! The third wall: seccomp, a list of the system calls that a host process of one tenant makes.
//!
//! Whatever is not on the list ends the process at once, by SIGSYS. The list is what brant needs while
//! a guest runs, moves and is written to the disk, and what the C library and Rust's own library need
//! for threads and memory. It has nothing that starts a program, opens a connection, changes who the
//! process is, looks into another process, or talks to a device.
//!
//! The filter belongs to the whole process, so that only a program whose only purpose is one tenant
//! may ask for it.

use std::collections::BTreeMap;
use std::fmt;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// Whether listeners of a guest are bound behind the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// No socket is made but pairs.
    None,
    /// Sockets may be made, and listen.
    Listens,
}

/// Why the wall does not stand.
#[derive(Debug)]
pub struct SeccompError(String);

impl fmt::Display for SeccompError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seccomp: {}", self.0)
    }
}

impl std::error::Error for SeccompError {}

impl From<seccompiler::BackendError> for SeccompError {
    fn from(error: seccompiler::BackendError) -> SeccompError {
        SeccompError(error.to_string())
    }
}

impl From<seccompiler::Error> for SeccompError {
    fn from(error: seccompiler::Error) -> SeccompError {
        SeccompError(error.to_string())
    }
}

/// Files: opened below what Landlock leaves, read, written, named and renamed.
const FILES: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_lseek,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_readlinkat,
    libc::SYS_utimensat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_flock,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_getcwd,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
];

/// Memory: of guests, of code, of the allocator; and pages whose writes are noted.
const MEMORY: &[c_long] = &[
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_mincore,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    libc::SYS_userfaultfd,
];

/// Threads, signals to them, time, chance, and the end.
const THREADS: &[c_long] = &[
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // Its answer is "not implemented" (see `no_clone3`).
    libc::SYS_clone3,
];

/// Waiting, and sockets that were given: none is made here but pairs.
const EVENTS: &[c_long] = &[
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_pipe2,
    libc::SYS_socketpair,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
];

/// Calls of x86-64 that newer machines have under another name only.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_readlink,
    libc::SYS_dup2,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
];

/// Calls of x86-64 that newer machines have under another name only.
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// What a process whose guest listens needs besides.
const LISTENING: &[c_long] =
    &[libc::SYS_socket, libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4];

/// The request of `ioctl` that scans which pages were written.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// The requests of `userfaultfd` have this letter, whatever else is in them.
const USERFAULT_LETTER: u64 = 0xaa00;
const LETTER_MASK: u64 = 0xff00;

/// `ioctl` is a door to every driver: only these requests, whatever the descriptor.
const REQUESTS: &[u64] = &[
    0x5401, // TCGETS: is it a terminal?
    0x5413, // TIOCGWINSZ: how large is it?
    0x541b, // FIONREAD: how much is there to be read?
    0x5421, // FIONBIO: do not wait
    0x5451, // FIOCLEX: close it in programs that are started
    PAGEMAP_SCAN,
];

/// Of `prctl`: names of threads, names of mappings (which the C library gives), and what the system
/// said of itself when the process began.
const ABOUT_ITSELF: &[u64] = &[15, 0x5356_4d41, 0x4155_5856];

/// Ends the process at the first system call that is not on the list; for all of its threads, and
/// for ever.
///
/// # Errors
/// The system has no seccomp, or the processor is one that there is no list for.
pub fn seccomp(network: Network) -> Result<(), SeccompError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    // Whichever filter is stricter decides: this one turns one call of the other's list away.
    for filter in [no_clone3(arch)?, allow_list(network, arch)?] {
        let program: BpfProgram = filter.try_into()?;
        seccompiler::apply_filter_all_threads(&program)?;
    }
    Ok(())
}

/// The C library falls back to `clone`, whose flags a filter can see.
fn no_clone3(arch: TargetArch) -> Result<SeccompFilter, SeccompError> {
    let refuse = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?)
}

fn allow_list(network: Network, arch: TargetArch) -> Result<SeccompFilter, SeccompError> {
    let listening: &[c_long] = if network == Network::Listens { LISTENING } else { &[] };
    let plain = [FILES, MEMORY, THREADS, EVENTS, OLDER, listening].concat();
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
        plain.into_iter().map(|call| (call, Vec::new())).collect();
    let this = u64::from(std::process::id());
    let threads = (libc::CLONE_VM | libc::CLONE_THREAD).unsigned_abs().into();
    rules.insert(libc::SYS_clone, vec![when(0, Op::MaskedEq(threads), threads)?]);
    // Signals to threads of this process, and reading its own memory without a fault.
    for call in [libc::SYS_tgkill, libc::SYS_process_vm_readv] {
        rules.insert(call, vec![when(0, Op::Eq, this)?]);
    }
    // Limits of this process may be asked for, and not changed.
    rules.insert(libc::SYS_prlimit64, vec![when(2, Op::Eq, 0)?]);
    let names = ABOUT_ITSELF.iter().map(|&name| when(0, Op::Eq, name));
    rules.insert(libc::SYS_prctl, names.collect::<Result<_, _>>()?);
    let requests = REQUESTS.iter().map(|&request| when(1, Op::Eq, request));
    let userfault = when(1, Op::MaskedEq(LETTER_MASK), USERFAULT_LETTER);
    rules.insert(libc::SYS_ioctl, requests.chain([userfault]).collect::<Result<_, _>>()?);
    Ok(SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?)
}

/// A rule that looks at one argument: its lower half, which is all that the system looks at too.
fn when(argument: u8, op: Op, value: u64) -> Result<SeccompRule, SeccompError> {
    let length = if argument == 2 { Len::Qword } else { Len::Dword };
    let condition = SeccompCondition::new(argument, length, op, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_has_a_call_that_starts_reaches_or_becomes_something() {
        let never = [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_connect,
            libc::SYS_ptrace,
            libc::SYS_process_vm_writev,
            libc::SYS_kill,
            libc::SYS_setuid,
            libc::SYS_mount,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_keyctl,
            libc::SYS_unshare,
        ];
        let all = [FILES, MEMORY, THREADS, EVENTS, OLDER, LISTENING].concat();
        assert!(all.iter().all(|call| !never.contains(call)));
    }

    #[test]
    fn both_processors_have_a_list() {
        for arch in [TargetArch::x86_64, TargetArch::aarch64] {
            for network in [Network::None, Network::Listens] {
                let program: BpfProgram = allow_list(network, arch)
                    .and_then(|filter| Ok(filter.try_into()?))
                    .expect("a filter");
                // The system takes no longer one.
                assert!(program.len() < 4096);
            }
        }
    }
}
