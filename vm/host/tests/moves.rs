//! A kernel is saved and restored on the same host or another: one test for each kind of resource.

use std::fs;
use std::path::Path;

use brant_engine::GuestMemory;
use brant_host::native::NativeHost;
use brant_host::sim::SimHost;
use brant_kernel::host::{Clock, Host, MountAccess, Stream};
use brant_kernel::persist::{Action, Attachment, KernelState, Obstacle};
use brant_kernel::{Errno, Kernel, Manifest, Mount, Outcome, Rights, RunState, Syscall};

const DATA: u64 = 1024;
const OUT: u64 = 8;

struct Guest {
    kernel: Kernel,
    bytes: Vec<u8>,
}

fn manifest(host: &Path) -> Manifest {
    let access = MountAccess::ReadWrite;
    Manifest {
        args: vec![b"program".to_vec(), b"argument".to_vec()],
        env: vec![b"A=1".to_vec(), b"B=2".to_vec()],
        mounts: vec![Mount { host: host.to_owned(), guest: "/data".to_owned(), access }],
        ..Manifest::default()
    }
}

impl Guest {
    fn new(kernel: Kernel) -> Guest {
        Guest { kernel, bytes: vec![0; 4096] }
    }

    fn call(&mut self, call: Syscall, args: &[u64]) -> Outcome {
        self.kernel.syscall(call, &mut GuestMemory::new(&mut self.bytes), args)
    }

    fn ok(&mut self, call: Syscall, args: &[u64]) {
        assert_eq!(self.call(call, args), Outcome::Done(Errno::Success), "{call:?}");
    }

    fn number(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes[at as usize..][..8].try_into().expect("eight bytes"))
    }

    /// Opens a file of the mount, made if it is not there, for everything.
    fn open(&mut self, path: &str) -> u64 {
        self.bytes[DATA as usize..][..path.len()].copy_from_slice(path.as_bytes());
        let (rights, length) = (Rights::FILE.0, path.len() as u64);
        self.ok(Syscall::PathOpen, &[3, 0, DATA, length, 1, rights, 0, 0, OUT]);
        self.number(OUT) as u32 as u64
    }

    fn buffer(&mut self, bytes: &[u8]) -> u64 {
        self.bytes[DATA as usize..][..bytes.len()].copy_from_slice(bytes);
        self.bytes[16..20].copy_from_slice(&(DATA as u32).to_le_bytes());
        self.bytes[20..24].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        16
    }

    fn write(&mut self, fd: u64, bytes: &[u8]) {
        let at = self.buffer(bytes);
        self.ok(Syscall::FdWrite, &[fd, at, 1, OUT]);
    }

    fn read(&mut self, fd: u64, count: usize) -> Vec<u8> {
        let at = self.buffer(&vec![0; count]);
        self.ok(Syscall::FdRead, &[fd, at, 1, OUT]);
        let done = self.number(OUT) as u32 as usize;
        self.bytes[DATA as usize..][..done].to_vec()
    }

    fn seek(&mut self, fd: u64, to: u64) {
        self.ok(Syscall::FdSeek, &[fd, to, 0, OUT]);
    }

    fn save(&mut self) -> KernelState {
        self.kernel.save().expect("everything can be moved")
    }
}

/// A guest on the real system, and the directory that it was granted.
fn native() -> (Guest, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let kernel = Kernel::new(manifest(folder.path()), Box::new(NativeHost::new()));
    (Guest::new(kernel.expect("a kernel")), folder)
}

fn restored(state: &KernelState, folder: &Path) -> Result<Guest, Obstacle> {
    let manifest = Manifest { args: Vec::new(), env: Vec::new(), ..manifest(folder) };
    Kernel::restore(manifest, Box::new(NativeHost::new()), state).map(Guest::new)
}

#[test]
fn an_open_file_is_rebound_by_path_with_offset_flags_and_rights() {
    let (mut guest, folder) = native();
    let fd = guest.open("notes");
    guest.write(fd, b"hello world");
    guest.seek(fd, 6);
    guest.ok(Syscall::FdFdstatSetFlags, &[fd, 1]);
    let lost = Rights::FILE.0 & !Rights::FD_ALLOCATE.0;
    guest.ok(Syscall::FdFdstatSetRights, &[fd, lost, 0]);
    let state = guest.save();
    let again = KernelState { clocks: state.clocks, ..guest.save() };
    assert_eq!(again, state, "saving changes nothing");
    drop(guest);
    let mut guest = restored(&state, folder.path()).expect("the same host grants the same");
    assert_eq!(guest.call(Syscall::FdAllocate, &[fd, 0, 1]), Outcome::Done(Errno::NotCapable));
    assert_eq!(guest.read(fd, 5), b"world");
    guest.write(fd, b"!");
    assert_eq!(fs::read(folder.path().join("notes")).expect("the file"), b"hello world!");
}

#[test]
fn args_and_environment_move_and_may_be_given_anew() {
    let (mut guest, folder) = native();
    let state = guest.save();
    let same = restored(&state, folder.path()).expect("restored");
    assert_eq!(same.kernel.manifest().args, guest.kernel.manifest().args);
    assert_eq!(same.kernel.manifest().env, guest.kernel.manifest().env);
    let other = Manifest {
        args: vec![b"other".to_vec()],
        env: vec![b"B=3".to_vec()],
        ..manifest(folder.path())
    };
    let other = Kernel::restore(other, Box::new(NativeHost::new()), &state).expect("restored");
    assert_eq!(other.manifest().args, [b"other".to_vec()]);
    assert_eq!(other.manifest().env, [b"A=1".to_vec(), b"B=3".to_vec()]);
}

#[test]
fn a_mount_that_is_not_granted_is_refused_by_name() {
    let (mut guest, folder) = native();
    let state = guest.save();
    let manifest = Manifest { mounts: Vec::new(), ..manifest(folder.path()) };
    let refused = Kernel::restore(manifest, Box::new(NativeHost::new()), &state);
    let refused = refused.expect_err("nothing is granted").to_string();
    let expected = "descriptor 3 (mount `/data`) is not granted here; \
                    grant it with `--dir HOST::/data`";
    assert_eq!(refused, expected);
}

#[test]
fn a_file_to_be_written_is_refused_below_a_read_only_mount() {
    let (mut guest, folder) = native();
    guest.open("notes");
    let state = guest.save();
    let mut manifest = manifest(folder.path());
    manifest.mounts[0].access = MountAccess::ReadOnly;
    let refused = Kernel::restore(manifest, Box::new(NativeHost::new()), &state);
    assert_eq!(refused.expect_err("read-only").fd, Some(4));
}

#[test]
fn another_file_under_the_same_path_is_refused_and_a_copy_is_not() {
    let (mut guest, folder) = native();
    let fd = guest.open("notes");
    guest.write(fd, b"hello");
    let state = guest.save();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let missing = restored(&state, elsewhere.path()).err().expect("no such file");
    assert!(missing.to_string().contains("`notes` below mount `/data`"), "{missing}");
    fs::write(elsewhere.path().join("notes"), "longer than hello").expect("a file");
    let other = restored(&state, elsewhere.path()).err().expect("another size");
    assert!(other.why.starts_with("is another file here"), "{other}");
    fs::copy(folder.path().join("notes"), elsewhere.path().join("notes")).expect("a copy");
    assert!(restored(&state, elsewhere.path()).is_ok(), "a copy has the same size");
    fs::write(folder.path().join("notes"), "it has grown meanwhile").expect("the file");
    assert!(restored(&state, folder.path()).is_ok(), "the same file may have changed");
}

#[test]
fn a_file_without_a_name_moves_by_value() {
    let (mut guest, folder) = native();
    let fd = guest.open("temporary");
    guest.write(fd, b"only here");
    guest.seek(fd, 5);
    fs::remove_file(folder.path().join("temporary")).expect("the file");
    let state = guest.save();
    let entry = state.descriptors.last().expect("the file");
    assert_eq!(entry.action, Action::Copy(b"only here".to_vec()));
    assert_eq!(entry.attachment(), Attachment::Unattached);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut guest = restored(&state, elsewhere.path()).expect("bytes can go anywhere");
    assert_eq!(guest.read(fd, 100), b"here");
    guest.write(fd, b" and there");
    guest.seek(fd, 0);
    assert_eq!(guest.read(fd, 100), b"only here and there");
}

#[test]
fn a_renamed_file_keeps_its_process_here_and_says_why() {
    let (mut guest, folder) = native();
    guest.open("before");
    fs::rename(folder.path().join("before"), folder.path().join("behind")).expect("renamed");
    let obstacles = guest.kernel.save().expect_err("its path leads nowhere");
    assert_eq!(obstacles.len(), 1);
    assert_eq!(
        (obstacles[0].fd, obstacles[0].what.as_str()),
        (Some(4), "`before` below mount `/data`")
    );
    assert!(obstacles[0].to_string().contains("renamed or replaced"), "{}", obstacles[0]);
}

#[test]
fn a_closed_mount_is_no_obstacle_for_files_below_it() {
    let (mut guest, folder) = native();
    let fd = guest.open("notes");
    guest.write(fd, b"still here");
    guest.ok(Syscall::FdClose, &[3]);
    let state = guest.save();
    let mut guest = restored(&state, folder.path()).expect("restored");
    assert_eq!(guest.call(Syscall::FdPrestatGet, &[3, OUT]), Outcome::Done(Errno::BadDescriptor));
    guest.seek(fd, 6);
    assert_eq!(guest.read(fd, 10), b"here");
}

#[test]
fn a_connection_keeps_its_process_here_and_a_listener_needs_a_grant() {
    let mut host = SimHost::new(1);
    host.call("127.0.0.1:80", 0, b"hello");
    let manifest = Manifest { listeners: vec!["127.0.0.1:80".to_owned()], ..Manifest::default() };
    let mut guest = Guest::new(Kernel::new(manifest.clone(), Box::new(host)).expect("a kernel"));
    let listening = guest.save();
    let other = Kernel::restore(manifest, Box::new(SimHost::new(2)), &listening);
    assert!(other.is_ok(), "the destination grants a listener");
    let none = Kernel::restore(Manifest::default(), Box::new(SimHost::new(2)), &listening);
    assert_eq!(none.expect_err("no listener is granted").fd, Some(3));
    guest.ok(Syscall::SockAccept, &[3, 0, OUT]);
    let obstacles = guest.kernel.save().expect_err("a connection");
    assert_eq!((obstacles[0].fd, obstacles[0].what.as_str()), (Some(4), "connection"));
    assert!(obstacles[0].remedy.contains("node"), "{}", obstacles[0]);
}

#[test]
fn streams_go_on_where_their_counters_stand() {
    let mut host = SimHost::new(1);
    host.type_in(0, b"first second");
    let output = host.output();
    let kernel = Kernel::new(Manifest::default(), Box::new(host)).expect("a kernel");
    let mut guest = Guest::new(kernel);
    assert_eq!(guest.read(0, 6), b"first ");
    guest.write(1, b"twelve bytes");
    guest.write(2, b"error");
    assert_eq!(output.text(), "twelve bytes");
    let state = guest.save();
    assert_eq!(state.stream_bytes, [6, 12, 5]);
    let mut host = SimHost::new(2);
    host.type_in(0, b"first second");
    let kernel = Kernel::restore(Manifest::default(), Box::new(host), &state).expect("restored");
    let mut guest = Guest::new(kernel);
    assert_eq!(guest.read(0, 100), b"second");
    assert_eq!(guest.kernel.stream_bytes(), [12, 12, 5]);
}

#[test]
fn clocks_never_go_backwards_and_leave_out_the_way() {
    let (mut guest, folder) = native();
    let state = guest.save();
    std::thread::sleep(std::time::Duration::from_millis(30));
    let mut again = restored(&state, folder.path()).expect("restored");
    let now_ns = again.kernel.now_ns(Clock::Monotonic).expect("a clock");
    assert!(now_ns >= state.clocks.monotonic_ns);
    let host_ns = again.kernel.host().now_ns(Clock::Monotonic).expect("a clock");
    assert!(host_ns - now_ns >= 30_000_000, "the time on the way does not count");
    let cpu_ns = again.kernel.now_ns(Clock::ProcessCpu).expect("a clock");
    assert!(cpu_ns >= state.clocks.process_cpu_ns);
    let mut far = state.clone();
    far.clocks.monotonic_ns = u64::MAX;
    assert!(restored(&far, folder.path()).is_err(), "no clock shows that");
}

#[test]
fn a_sleep_keeps_its_remaining_time() {
    const SECOND_NS: u64 = 1_000_000_000;
    let mut sleeper =
        Guest::new(Kernel::new(Manifest::default(), Box::new(SimHost::new(1))).expect("a kernel"));
    sleeper.bytes[64 + 16] = 1;
    sleeper.bytes[64 + 24..64 + 32].copy_from_slice(&(10 * SECOND_NS).to_le_bytes());
    let args = [64, 256, 1, OUT];
    assert_eq!(sleeper.call(Syscall::PollOneoff, &args), Outcome::Block);
    // Three seconds are slept here, the rest on a host whose clock is somewhere else.
    let began_ns = sleeper.kernel.now_ns(Clock::Monotonic).expect("a clock");
    sleeper.kernel.wait(Some(began_ns + 3 * SECOND_NS)).expect("it waits");
    let state = sleeper.save();
    let mut host = SimHost::new(2);
    for _ in 0..5_000 {
        host.now_ns(Clock::Monotonic).expect("a clock");
    }
    let kernel = Kernel::restore(Manifest::default(), Box::new(host), &state).expect("restored");
    let mut restored = Guest { kernel, bytes: sleeper.bytes.clone() };
    let here_ns = restored.kernel.host().now_ns(Clock::Monotonic).expect("a clock");
    loop {
        restored.kernel.wait(None).expect("it waits");
        match restored.call(Syscall::PollOneoff, &args) {
            Outcome::Block => assert!(matches!(restored.kernel.run_state(), RunState::Parked(_))),
            outcome => break assert_eq!(outcome, Outcome::Done(Errno::Success)),
        }
    }
    let slept_ns = restored.kernel.host().now_ns(Clock::Monotonic).expect("a clock") - here_ns;
    assert!((7 * SECOND_NS - 100_000..7 * SECOND_NS + 100_000).contains(&slept_ns), "{slept_ns}");
}

#[test]
fn states_that_no_kernel_saves_are_refused() {
    let (mut guest, folder) = native();
    guest.open("notes");
    let good = guest.save();
    let refused = |change: &dyn Fn(&mut KernelState)| {
        let mut state = good.clone();
        change(&mut state);
        restored(&state, folder.path()).err().expect("a change that is refused").fd
    };
    assert_eq!(refused(&|s| s.descriptors[4].fd = 3), Some(3), "a number twice");
    assert_eq!(refused(&|s| s.descriptors[4].fd = u32::MAX), Some(u32::MAX));
    assert_eq!(refused(&|s| s.descriptors[4].offset = u64::MAX), Some(4));
    assert_eq!(refused(&|s| s.descriptors[4].action = Action::Rebind), Some(4));
    assert_eq!(refused(&|s| s.descriptors[4].object = s.descriptors[3].object), Some(4));
    assert_eq!(refused(&|s| s.descriptors[3].action = Action::Copy(Vec::new())), Some(3));
    let outside = |s: &mut KernelState| {
        s.descriptors[4].binding = brant_kernel::Binding::Path {
            mount: "/data".to_owned(),
            path: b"../../../../etc/passwd".to_vec(),
        };
    };
    assert_eq!(refused(&outside), Some(4), "paths stay below their mount");
    let mut greedy = good.clone();
    greedy.descriptors[0].rights = Rights(u64::MAX);
    let greedy = restored(&greedy, folder.path()).expect("rights are cut to what makes sense");
    assert_eq!(greedy.kernel.descriptors().get(0).expect("open").rights, Rights::STREAM);
}

#[test]
fn tokens_are_never_given_twice_and_take_nothing_from_the_guest() {
    let mut native = NativeHost::new();
    assert_ne!(native.token().expect("random"), native.token().expect("random"));
    let (mut one, mut other) = (SimHost::new(7), SimHost::new(7));
    assert_ne!(one.token().expect("a count"), one.token().expect("a count"));
    let (mut a, mut b) = ([0; 16], [0; 16]);
    one.random(&mut a).expect("random");
    other.random(&mut b).expect("random");
    assert_eq!(a, b);
    assert_eq!(one.resume_stream(Stream::Output, 5), Ok(()));
}
