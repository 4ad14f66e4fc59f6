//! All calls, one row each: from a row come the types for the linker, the way to the method, how a
//! trace prints it, and `docs/SYSCALLS.md`.

use brant_engine::GuestMemory;

use crate::kernel::{CallResult, Kernel};

/// The modules that guests import calls from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Module {
    /// WASI preview 1.
    Preview1,
    /// What WASIX adds to it: processes and sockets.
    Wasix,
    /// What neither has: groups of processes.
    Brant,
}

impl Module {
    /// All of them.
    pub const ALL: [Module; 3] = [Module::Preview1, Module::Wasix, Module::Brant];

    /// The name that guests import it by.
    pub fn name(self) -> &'static str {
        match self {
            Module::Preview1 => "wasi_snapshot_preview1",
            Module::Wasix => "wasix_32v1",
            Module::Brant => "brant_v1",
        }
    }

    /// Whether calls of `other` are imported from it too: WASIX holds all of preview 1.
    fn holds(self, other: Module) -> bool {
        self == other || self == Module::Wasix
    }
}

/// Topics, for filters of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the topics")]
pub enum Group {
    Args,
    Clock,
    File,
    Path,
    Poll,
    Process,
    Random,
    Socket,
}

impl Group {
    /// The name as an option of the command line takes it.
    pub fn name(self) -> &'static str {
        match self {
            Group::Args => "args",
            Group::Clock => "clock",
            Group::File => "file",
            Group::Path => "path",
            Group::Poll => "poll",
            Group::Process => "process",
            Group::Random => "random",
            Group::Socket => "socket",
        }
    }
}

/// What a parameter means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the specification")]
pub enum ParamKind {
    Fd,
    /// An address in guest memory that the call fills with more than a number.
    Pointer,
    Size,
    /// Address of a text; its length follows.
    Text,
    TextLen,
    /// Address of a list of buffers; their number follows.
    Buffers,
    BufferCount,
    ClockId,
    Advice,
    Whence,
    LookupFlags,
    OpenFlags,
    FdFlags,
    FstFlags,
    Rights,
    Timestamp,
    FileSize,
    FileDelta,
    Cookie,
    ExitCode,
    Signal,
    /// The number of a process.
    Pid,
    ReceiveFlags,
    SendFlags,
    ShutdownFlags,
    /// A number that is 0 or 1.
    Flag,
    /// Address of an address and a port.
    SocketAddress,
    AddressFamily,
    SocketType,
    SocketProtocol,
    SocketOption,
    /// Address of a u8 result.
    OutU8,
    /// Address of a u32 result.
    OutU32,
    /// Address of a u16 result.
    OutU16,
    /// Address of a u64 result.
    OutU64,
}

impl ParamKind {
    /// Whether it is an i64; else it is an i32.
    pub const fn is_wide(self) -> bool {
        matches!(
            self,
            ParamKind::Rights
                | ParamKind::Timestamp
                | ParamKind::FileSize
                | ParamKind::FileDelta
                | ParamKind::Cookie
        )
    }
}

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name in the specification.
    pub name: &'static str,
    /// What it means.
    pub kind: ParamKind,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Which call.
    pub syscall: Syscall,
    /// The module that defines it.
    pub module: Module,
    /// The name that guests import; no two calls have the same, whatever their modules.
    pub name: &'static str,
    /// Its topic.
    pub group: Group,
    /// Its parameters.
    pub params: &'static [Param],
    /// Whether it returns an errno; else it returns nothing, or never.
    pub returns: bool,
    /// What it does, in one sentence, and how far it is supported.
    pub summary: &'static str,
}

/// A parameter's number as the method takes it.
trait FromArg {
    fn from_arg(arg: u64) -> Self;
}
impl FromArg for u32 {
    fn from_arg(arg: u64) -> u32 {
        arg as u32
    }
}
impl FromArg for u64 {
    fn from_arg(arg: u64) -> u64 {
        arg
    }
}
impl FromArg for i64 {
    fn from_arg(arg: u64) -> i64 {
        arg as i64
    }
}

macro_rules! calls {
    ($($module:ident $name:ident $variant:ident $group:ident ($($param:ident : $kind:ident),*) $returns:ident $summary:literal)*) => {
        /// A system call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Syscall {
            $(#[doc = concat!("`", stringify!($name), "`: ", $summary)] $variant,)*
        }

        /// All calls, indexed by [`Syscall`].
        pub static CALLS: [Call; [$(stringify!($name)),*].len()] = [$(Call {
            syscall: Syscall::$variant,
            module: Module::$module,
            name: stringify!($name),
            group: Group::$group,
            params: &[$(Param { name: stringify!($param), kind: ParamKind::$kind }),*],
            returns: calls!(@returns $returns),
            summary: $summary,
        }),*];

        /// No call has more parameters.
        pub const MOST_PARAMS: usize = {
            let counts = [$(<[&str]>::len(&[$(stringify!($param)),*])),*];
            let (mut most, mut call) = (0, 0);
            while call < counts.len() {
                if counts[call] > most {
                    most = counts[call];
                }
                call += 1;
            }
            most
        };

        impl Syscall {
            /// Calls the method of the kernel.
            pub(crate) fn run(self, kernel: &mut Kernel, memory: &mut GuestMemory<'_>, args: &[u64]) -> CallResult {
                let mut args = args.iter().copied();
                match self {
                    $(Syscall::$variant => {
                        $(let $param = FromArg::from_arg(args.next().unwrap_or(0));)*
                        kernel.$name(memory, $($param),*)
                    })*
                }
            }
        }
    };
    (@returns errno) => { true };
    (@returns never) => { false };
    (@returns nothing) => { false };
}

calls! {
    Preview1 args_get ArgsGet Args (argv: Pointer, argv_buf: Pointer) errno
        "Writes the arguments."
    Preview1 args_sizes_get ArgsSizesGet Args (argc: OutU32, argv_buf_size: OutU32) errno
        "Gives the number of arguments and of their bytes."
    Preview1 environ_get EnvironGet Args (environ: Pointer, environ_buf: Pointer) errno
        "Writes the environment."
    Preview1 environ_sizes_get EnvironSizesGet Args (environ_count: OutU32, environ_buf_size: OutU32) errno
        "Gives the number of variables and of their bytes."
    Preview1 clock_res_get ClockResGet Clock (id: ClockId, resolution: OutU64) errno
        "Gives the smallest step of a clock."
    Preview1 clock_time_get ClockTimeGet Clock (id: ClockId, precision: Timestamp, time: OutU64) errno
        "Gives the time of a clock."
    Preview1 fd_advise FdAdvise File (fd: Fd, offset: FileSize, len: FileSize, advice: Advice) errno
        "Tells how a range of a file will be used."
    Preview1 fd_allocate FdAllocate File (fd: Fd, offset: FileSize, len: FileSize) errno
        "Makes sure that a range of a file has room."
    Preview1 fd_close FdClose File (fd: Fd) errno
        "Closes a descriptor."
    Preview1 fd_datasync FdDatasync File (fd: Fd) errno
        "Brings a file's bytes to the disk."
    Preview1 fd_fdstat_get FdFdstatGet File (fd: Fd, stat: Pointer) errno
        "Gives kind, flags and rights of a descriptor."
    Preview1 fd_fdstat_set_flags FdFdstatSetFlags File (fd: Fd, flags: FdFlags) errno
        "Sets append and nonblock; the flags of synchronous writes are fixed when a file is opened."
    Preview1 fd_fdstat_set_rights FdFdstatSetRights File (fd: Fd, rights_base: Rights, rights_inheriting: Rights) errno
        "Gives up rights."
    Preview1 fd_filestat_get FdFilestatGet File (fd: Fd, stat: Pointer) errno
        "Gives what is known of an open file."
    Preview1 fd_filestat_set_size FdFilestatSetSize File (fd: Fd, size: FileSize) errno
        "Cuts or grows a file."
    Preview1 fd_filestat_set_times FdFilestatSetTimes File (fd: Fd, atim: Timestamp, mtim: Timestamp, fst_flags: FstFlags) errno
        "Sets the times of an open file."
    Preview1 fd_pread FdPread File (fd: Fd, iovs: Buffers, iovs_len: BufferCount, offset: FileSize, nread: OutU32) errno
        "Reads at an offset."
    Preview1 fd_prestat_get FdPrestatGet File (fd: Fd, prestat: Pointer) errno
        "Tells whether a descriptor was there from the start."
    Preview1 fd_prestat_dir_name FdPrestatDirName File (fd: Fd, path: Pointer, path_len: Size) errno
        "Gives the name of a mount."
    Preview1 fd_pwrite FdPwrite File (fd: Fd, iovs: Buffers, iovs_len: BufferCount, offset: FileSize, nwritten: OutU32) errno
        "Writes at an offset."
    Preview1 fd_read FdRead File (fd: Fd, iovs: Buffers, iovs_len: BufferCount, nread: OutU32) errno
        "Reads; waits for a stream that has nothing yet."
    Preview1 fd_readdir FdReaddir File (fd: Fd, buf: Pointer, buf_len: Size, cookie: Cookie, bufused: OutU32) errno
        "Lists a directory."
    Preview1 fd_renumber FdRenumber File (fd: Fd, to: Fd) errno
        "Puts a descriptor in the place of another."
    Preview1 fd_seek FdSeek File (fd: Fd, offset: FileDelta, whence: Whence, newoffset: OutU64) errno
        "Moves the offset."
    Preview1 fd_sync FdSync File (fd: Fd) errno
        "Brings a file's bytes and times to the disk."
    Preview1 fd_tell FdTell File (fd: Fd, offset: OutU64) errno
        "Gives the offset."
    Preview1 fd_write FdWrite File (fd: Fd, iovs: Buffers, iovs_len: BufferCount, nwritten: OutU32) errno
        "Writes; waits for a stream that has no room."
    Preview1 path_create_directory PathCreateDirectory Path (fd: Fd, path: Text, path_len: TextLen) errno
        "Makes a directory."
    Preview1 path_filestat_get PathFilestatGet Path (fd: Fd, flags: LookupFlags, path: Text, path_len: TextLen, stat: Pointer) errno
        "Gives what is known of a file."
    Preview1 path_filestat_set_times PathFilestatSetTimes Path (fd: Fd, flags: LookupFlags, path: Text, path_len: TextLen, atim: Timestamp, mtim: Timestamp, fst_flags: FstFlags) errno
        "Sets the times of a file."
    Preview1 path_link PathLink Path (old_fd: Fd, old_flags: LookupFlags, old_path: Text, old_path_len: TextLen, new_fd: Fd, new_path: Text, new_path_len: TextLen) errno
        "Gives a file a second name; symbolic links are never followed."
    Preview1 path_open PathOpen Path (fd: Fd, dirflags: LookupFlags, path: Text, path_len: TextLen, oflags: OpenFlags, rights_base: Rights, rights_inheriting: Rights, fdflags: FdFlags, opened: OutU32) errno
        "Opens a file or directory."
    Preview1 path_readlink PathReadlink Path (fd: Fd, path: Text, path_len: TextLen, buf: Pointer, buf_len: Size, bufused: OutU32) errno
        "Reads a symbolic link."
    Preview1 path_remove_directory PathRemoveDirectory Path (fd: Fd, path: Text, path_len: TextLen) errno
        "Removes an empty directory."
    Preview1 path_rename PathRename Path (fd: Fd, old_path: Text, old_path_len: TextLen, new_fd: Fd, new_path: Text, new_path_len: TextLen) errno
        "Renames a file or directory."
    Preview1 path_symlink PathSymlink Path (old_path: Text, old_path_len: TextLen, fd: Fd, new_path: Text, new_path_len: TextLen) errno
        "Makes a symbolic link; targets that are absolute or leave the mount are refused."
    Preview1 path_unlink_file PathUnlinkFile Path (fd: Fd, path: Text, path_len: TextLen) errno
        "Removes a name that is no directory."
    Preview1 poll_oneoff PollOneoff Poll (subscriptions: Pointer, events: Pointer, nsubscriptions: Size, nevents: OutU32) errno
        "Waits for clocks and descriptors, at most 4096 at a time."
    Preview1 proc_exit ProcExit Process (code: ExitCode) never
        "Ends the process."
    Preview1 proc_raise ProcRaise Process (signal: Signal) errno
        "Does what the signal does where nobody handles it."
    Preview1 random_get RandomGet Random (buf: Pointer, buf_len: Size) errno
        "Writes random bytes."
    Preview1 sched_yield SchedYield Process () errno
        "Lets others run."
    Preview1 sock_accept SockAccept Socket (fd: Fd, flags: FdFlags, connection: OutU32) errno
        "Takes the next connection of a listener; waits for it."
    Preview1 sock_recv SockRecv Socket (fd: Fd, ri_data: Buffers, ri_data_len: BufferCount, ri_flags: ReceiveFlags, ro_data_len: OutU32, ro_flags: OutU16) errno
        "Receives; waits for data."
    Preview1 sock_send SockSend Socket (fd: Fd, si_data: Buffers, si_data_len: BufferCount, si_flags: SendFlags, so_data_len: OutU32) errno
        "Sends; waits for room."
    Preview1 sock_shutdown SockShutdown Socket (fd: Fd, how: ShutdownFlags) errno
        "Ends directions of a connection."
    Wasix callback_signal CallbackSignal Process (callback: Text, callback_len: TextLen) nothing
        "Names the exported function that signals are told to; an empty name gives them their default actions."
    Wasix fd_dup FdDup File (fd: Fd, copy: OutU32) errno
        "Gives a duplicate of a descriptor, with which it shares offset and flags."
    Wasix fd_dup2 FdDup2 File (fd: Fd, min_result_fd: Fd, cloexec: Size, copy: OutU32) errno
        "As `fd_dup`, under a number that is not below the one given."
    Wasix fd_fdflags_get FdFdflagsGet File (fd: Fd, flags: OutU16) errno
        "Tells whether a descriptor closes when another program takes the place of this one."
    Wasix fd_fdflags_set FdFdflagsSet File (fd: Fd, flags: Size) errno
        "Says whether a descriptor closes when another program takes the place of this one."
    Wasix fd_pipe FdPipe File (read_fd: OutU32, write_fd: OutU32) errno
        "Makes a pipe of 64 KiB; its ends have one direction each."
    Wasix proc_exec ProcExec Process (name: Text, name_len: TextLen, args: Text, args_len: TextLen) never
        "Runs another program of the guest's files in place of this one; ends with 127 where it cannot be had."
    Wasix proc_exec2 ProcExec2 Process (name: Text, name_len: TextLen, args: Text, args_len: TextLen, envs: Text, envs_len: TextLen) never
        "As `proc_exec`, with another environment."
    Wasix proc_exec3 ProcExec3 Process (name: Text, name_len: TextLen, args: Text, args_len: TextLen, envs: Text, envs_len: TextLen, search_path: Size, path: Text, path_len: TextLen) errno
        "As `proc_exec2`, along a path if asked for; returns where the program cannot be had."
    Wasix proc_exit2 ProcExit2 Process (code: ExitCode) never
        "Ends the process, as `proc_exit` does."
    Wasix proc_fork ProcFork Process (copy_memory: Size, pid: OutU32) errno
        "Makes a copy of the process that goes on from this call, of any module; memory is always copied, and only the first thread may fork and is copied."
    Wasix proc_join ProcJoin Process (pid: Pointer, flags: Size, status: Pointer) errno
        "Tells what has become of a child, and waits for that if asked to."
    Wasix proc_signal ProcSignal Process (pid: Pid, signal: Signal) errno
        "Sends a signal to a process; to a group where the upper bit of the number is set, which is ours."
    Wasix proc_spawn2 ProcSpawn2 Process (name: Text, name_len: TextLen, args: Text, args_len: TextLen, envs: Text, envs_len: TextLen, fd_ops: Pointer, fd_ops_len: Size, signals: Pointer, signals_len: Size, search_path: Size, path: Text, path_len: TextLen, pid: OutU32) errno
        "Runs a program in a child; its descriptors can be closed, duplicated and opened first, its folder and its signals cannot be set."
    Brant proc_group ProcGroup Process (pid: Pid, group: OutU32) errno
        "Gives the group of a process."
    Brant proc_group_set ProcGroupSet Process (pid: Pid, group: Pid) errno
        "Puts the process or a child into a group."
    Brant tty_foreground TtyForeground Process (group: OutU32) errno
        "Gives the group that signals of the terminal go to."
    Brant tty_foreground_set TtyForegroundSet Process (group: Pid) errno
        "Has signals of the terminal go to a group."
    Wasix tty_get TtyGet Process (state: Pointer) errno
        "Tells how large the terminal is, and which standard streams lead to it; zeros where there is none."
    Wasix proc_id ProcId Process (pid: OutU32) errno
        "Gives the number of the process."
    Wasix proc_parent ProcParent Process (pid: Pid, parent: OutU32) errno
        "Gives the number of a process's parent, 0 where it has none."
    Wasix sock_open SockOpen Socket (af: AddressFamily, socktype: SocketType, sock_proto: SocketProtocol, ro_sock: OutU32) errno
        "Makes a socket of TCP or UDP, over IPv4 or IPv6; `acces` where no rule of `--net` allows anything."
    Wasix sock_pair SockPair Socket (af: AddressFamily, socktype: SocketType, sock_proto: SocketProtocol, ro_sock1: OutU32, ro_sock2: OutU32) errno
        "Makes two Unix sockets that are connected to each other."
    Wasix sock_bind SockBind Socket (fd: Fd, addr: SocketAddress) errno
        "Gives a socket an address of its own, if a rule `listen` allows it."
    Wasix sock_listen SockListen Socket (fd: Fd, backlog: Size) errno
        "Has a socket take connections; at most 4096 wait to be taken."
    Wasix sock_accept_v2 SockAcceptV2 Socket (fd: Fd, fd_flags: FdFlags, ro_fd: OutU32, ro_addr: Pointer) errno
        "Takes the next connection of a listener, and tells who called; waits for it. `sock_accept` of this module is the same."
    Wasix sock_connect SockConnect Socket (fd: Fd, addr: SocketAddress) errno
        "Connects a socket, if a rule `connect` allows it; waits until it is."
    Wasix sock_recv_from SockRecvFrom Socket (fd: Fd, ri_data: Buffers, ri_data_len: BufferCount, ri_flags: ReceiveFlags, ro_data_len: OutU32, ro_flags: OutU16, ro_addr: Pointer) errno
        "Receives a message, and tells who has sent it; waits for one."
    Wasix sock_send_to SockSendTo Socket (fd: Fd, si_data: Buffers, si_data_len: BufferCount, si_flags: SendFlags, addr: SocketAddress, so_data_len: OutU32) errno
        "Sends a message of at most 64 KiB to an address, if a rule `connect` allows it."
    Wasix sock_status SockStatus Socket (fd: Fd, ro_status: OutU8) errno
        "Tells whether a socket is connected or listens (1, opened), or not yet (0, opening); closed and failed are never told."
    Wasix sock_addr_local SockAddrLocal Socket (fd: Fd, ro_addr: Pointer) errno
        "Gives the address of a socket; ports are little-endian."
    Wasix sock_addr_peer SockAddrPeer Socket (fd: Fd, ro_addr: Pointer) errno
        "Gives the address that a socket is connected to."
    Wasix sock_set_opt_flag SockSetOptFlag Socket (fd: Fd, sockopt: SocketOption, flag: Flag) errno
        "Sets an option that is a truth; dont_route and promiscuous give `notsup`."
    Wasix sock_get_opt_flag SockGetOptFlag Socket (fd: Fd, sockopt: SocketOption, ro_flag: OutU8) errno
        "Tells what an option that is a truth is set to."
    Wasix sock_set_opt_size SockSetOptSize Socket (fd: Fd, sockopt: SocketOption, size: FileSize) errno
        "Sets an option that is a number; recv_lowat and send_lowat give `notsup`."
    Wasix sock_get_opt_size SockGetOptSize Socket (fd: Fd, sockopt: SocketOption, ro_size: OutU64) errno
        "Tells what an option that is a number is set to, and the error that a socket has met."
    Wasix sock_set_opt_time SockSetOptTime Socket (fd: Fd, sockopt: SocketOption, time: Pointer) errno
        "Sets how long calls on a socket may wait, and how long closing it."
    Wasix sock_get_opt_time SockGetOptTime Socket (fd: Fd, sockopt: SocketOption, ro_time: Pointer) errno
        "Tells how long calls on a socket may wait."
    Wasix sock_join_multicast_v4 SockJoinMulticastV4 Socket (fd: Fd, multiaddr: Pointer, iface: Pointer) errno
        "Not supported: `notsup`."
    Wasix sock_leave_multicast_v4 SockLeaveMulticastV4 Socket (fd: Fd, multiaddr: Pointer, iface: Pointer) errno
        "Not supported: `notsup`."
    Wasix sock_join_multicast_v6 SockJoinMulticastV6 Socket (fd: Fd, multiaddr: Pointer, iface: Size) errno
        "Not supported: `notsup`."
    Wasix sock_leave_multicast_v6 SockLeaveMulticastV6 Socket (fd: Fd, multiaddr: Pointer, iface: Size) errno
        "Not supported: `notsup`."
    Wasix sock_send_file SockSendFile Socket (out_fd: Fd, in_fd: Fd, offset: FileSize, count: FileSize, ro_sent: OutU64) errno
        "Not supported, `notsup`: read and send."
    Wasix resolve Resolve Socket (host: Text, host_len: TextLen, port: Size, addrs: Pointer, naddrs: Size, ro_naddrs: OutU32) errno
        "Finds the addresses of a name, if a rule allows to ask for it; waits for them."
}

impl Syscall {
    /// The call of this name, whatever its module.
    pub fn from_name(name: &str) -> Option<Syscall> {
        CALLS.iter().find(|call| call.name == name).map(|call| call.syscall)
    }

    /// The call that guests import under these names.
    pub fn from_import(module: &str, name: &str) -> Option<Syscall> {
        let module = Module::ALL.into_iter().find(|known| known.name() == module)?;
        let call = match (module, Syscall::from_name(name)?) {
            // The one name that means another call there.
            (Module::Wasix, Syscall::SockAccept) => Syscall::SockAcceptV2,
            (_, call) => call,
        };
        module.holds(call.row().module).then_some(call)
    }

    /// Whether who imports it may come to have other processes beside it, or signals.
    pub fn needs_tree(self) -> bool {
        use Syscall as S;
        matches!(
            self,
            S::CallbackSignal
                | S::FdPipe
                | S::ProcExec
                | S::ProcExec2
                | S::ProcExec3
                | S::ProcFork
                | S::ProcGroupSet
                | S::ProcSpawn2
                | S::TtyForegroundSet
        )
    }

    /// Its row.
    pub fn row(self) -> &'static Call {
        &CALLS[self as usize]
    }
}

/// The page `docs/SYSCALLS.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# System calls\n\n\
         Made from the table in `vm/kernel/src/syscall/table.rs` by the test that checks this page; `BLESS=1 cargo test -p brant-kernel` writes it again.\n\n\
         A guest imports these from the module that heads each table (and from `wasi_unstable` nothing).\n\
         All 46 calls of WASI preview 1 are there; the last column says what each does, and where brant does less or other than the specification allows.\n\
         From `wasix_32v1` come the calls that WASIX adds, as far as they are listed, and those of preview 1 under the same names.\n\
         From `brant_v1` come a few of our own, for what both leave out.\n\
         A call that would block parks the thread as data and is made again when it can go on.\n\
         Pointers that lie outside of guest memory give `fault`, and nothing has happened then.\n",
    );
    for module in Module::ALL {
        page.push_str(&format!(
            "\n## {}\n\n| call | topic | parameters | what it does |\n|---|---|---|---|\n",
            module.name()
        ));
        for call in CALLS.iter().filter(|call| call.module == module) {
            page.push_str(&row(call));
        }
    }
    page
}

/// The row of a call in its table.
fn row(call: &Call) -> String {
    let params: Vec<_> = call
        .params
        .iter()
        .map(|param| {
            format!("{}: {}", param.name, if param.kind.is_wide() { "i64" } else { "i32" })
        })
        .collect();
    format!(
        "| `{}` | {} | {} | {} |\n",
        call.name,
        call.group.name(),
        params.join(", "),
        call.summary
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_46_calls_are_there_once() {
        let preview1 = CALLS.iter().filter(|call| call.module == Module::Preview1);
        assert_eq!(preview1.count(), 46);
        for (index, call) in CALLS.iter().enumerate() {
            assert_eq!(call.syscall as usize, index);
            assert_eq!(Syscall::from_name(call.name), Some(call.syscall));
        }
    }
    #[test]
    fn wasix_holds_preview_1_and_not_the_other_way_round() {
        let (preview1, wasix) = (Module::Preview1.name(), Module::Wasix.name());
        assert_eq!(Syscall::from_import(preview1, "fd_read"), Some(Syscall::FdRead));
        assert_eq!(Syscall::from_import(wasix, "fd_read"), Some(Syscall::FdRead));
        assert_eq!(Syscall::from_import(wasix, "proc_id"), Some(Syscall::ProcId));
        assert_eq!(Syscall::from_import(preview1, "proc_id"), None);
        assert_eq!(Syscall::from_import("wasi_unstable", "fd_read"), None);
        assert_eq!(Syscall::from_import(wasix, "fd_reap"), None);
    }
}
