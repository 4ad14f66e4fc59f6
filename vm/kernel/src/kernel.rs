//! The kernel of one process: its tables, and the way of a call through them.

use std::fmt;

use brant_engine::{GuestMemory, OutOfBounds};

use crate::descriptor::{Binding, Descriptor, DescriptorTable, FdFlags, Object, OpenFile};
use crate::errno::Errno;
use crate::host::{Answer, Clock, Direction, Handle, Host, Interest, Kind, Opened, Stream, Woken};
use crate::manifest::Manifest;
use crate::net::{Names, Sockets, Timeout};
use crate::processes::{Member, Request};
use crate::rights::Rights;
use crate::run_state::{Parked, RunState};
use crate::syscall::{CALLS, Syscall};

/// How a system call ended, as the driver of the guest sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is complete; the guest gets this number.
    Done(Errno),
    /// It would block. It is parked in [`Kernel::run_state`]; made again with the same arguments it
    /// goes on from there, best after [`Kernel::wait`].
    Block,
    /// The process ends with this code.
    Exit(i32),
}

/// What keeps a call from completing; inside of the kernel.
pub(crate) enum Stopped {
    Errno(Errno),
    Block(Wait),
    Exit(i32),
}

/// What a call waits for.
pub(crate) struct Wait {
    pub waits_for: Vec<(Handle, Direction)>,
    pub deadline_ns: Option<u64>,
    pub progress_bytes: u64,
}

pub(crate) type CallResult = Result<(), Stopped>;

impl From<Errno> for Stopped {
    fn from(errno: Errno) -> Stopped {
        Stopped::Errno(errno)
    }
}
impl From<OutOfBounds> for Stopped {
    fn from(_: OutOfBounds) -> Stopped {
        Stopped::Errno(Errno::Fault)
    }
}

/// Why a process cannot begin: the manifest grants what is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    /// What was asked for.
    pub what: String,
    /// What the host said.
    pub errno: Errno,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.errno)
    }
}

impl std::error::Error for StartError {}

/// The virtual system of one process.
pub struct Kernel {
    pub(crate) host: Box<dyn Host>,
    pub(crate) manifest: Manifest,
    pub(crate) descriptors: DescriptorTable,
    pub(crate) run_state: RunState,
    pub(crate) sockets: Sockets,
    /// What the name service has answered.
    pub(crate) names: Names,
    /// Of a process that is in no tree.
    pub(crate) counted: Counted,
    /// What the guest's clocks are ahead of the host's.
    pub(crate) ahead: Ahead,
    pub(crate) counts: [u64; CALLS.len()],
    /// Its place in a tree of processes, if it can be in one.
    pub(crate) member: Option<Member>,
    /// What it asks of whoever runs the tree.
    pub(crate) request: Option<Request>,
    /// The exported function that signals are told to; none if their default actions apply.
    pub(crate) signal_handler: Option<String>,
}

/// Bytes that a process, or a tree of processes, has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Written to files.
    pub disk_bytes: u64,
    /// Read from or written to each standard stream.
    pub stream_bytes: [u64; 3],
}

/// How far the guest's clocks are ahead of the host's, in nanoseconds: time on another host counts,
/// time on the way does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub monotonic_ns: i64,
    pub process_cpu_ns: i64,
    pub thread_cpu_ns: i64,
}

impl Ahead {
    fn of(self, clock: Clock) -> i64 {
        match clock {
            Clock::Realtime => 0,
            Clock::Monotonic => self.monotonic_ns,
            Clock::ProcessCpu => self.process_cpu_ns,
            Clock::ThreadCpu => self.thread_cpu_ns,
        }
    }
}

/// What a guest is told that a standard stream is. A device that is no terminal must not be taken for
/// one, which guests know by the kind and by the missing right to seek.
pub(crate) fn stream_kind(opened: Opened) -> Kind {
    match (opened.terminal, opened.kind) {
        (true, _) => Kind::CharacterDevice,
        (false, Kind::CharacterDevice) => Kind::Unknown,
        (false, kind) => kind,
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("manifest", &self.manifest)
            .field("descriptors", &self.descriptors)
            .field("run_state", &self.run_state)
            .finish_non_exhaustive()
    }
}

impl Kernel {
    /// Opens what the manifest grants: streams are 0 to 2, then come the mounts, then the listeners.
    ///
    /// # Errors
    /// A mount or an address that the host does not have.
    pub fn new(manifest: Manifest, host: Box<dyn Host>) -> Result<Kernel, StartError> {
        let mut kernel = Kernel::empty(manifest, host);
        kernel.open_streams();
        kernel.open_mounts()?;
        kernel.open_listeners()?;
        Ok(kernel)
    }

    /// A kernel that has nothing open.
    pub(crate) fn empty(manifest: Manifest, host: Box<dyn Host>) -> Kernel {
        Kernel {
            host,
            descriptors: DescriptorTable::new(manifest.limits.descriptors),
            sockets: Sockets::new(manifest.limits.sockets),
            names: Names::default(),
            manifest,
            run_state: RunState::Running,
            counted: Counted::default(),
            ahead: Ahead::default(),
            counts: [0; CALLS.len()],
            member: None,
            request: None,
            signal_handler: None,
        }
    }

    fn open_streams(&mut self) {
        for (number, stream) in
            [Stream::Input, Stream::Output, Stream::Error].into_iter().enumerate()
        {
            // A stream that is closed outside is closed inside.
            let Ok(opened) = self.host.stream(stream) else {
                self.descriptors.skip();
                continue;
            };
            let handle = opened.handle;
            let inserted = self.descriptors.insert(Descriptor {
                handle,
                object: Object::Stream,
                kind: stream_kind(opened),
                rights: Rights::STREAM,
                inheriting: Rights::NONE,
                open: OpenFile::new(FdFlags::default(), 0),
                closes_on_exec: false,
                preopen: None,
                binding: Binding::Stream(number as u32),
            });
            if inserted.is_err() {
                let _ = self.host.close(handle);
                self.descriptors.skip();
            }
        }
    }

    fn open_mounts(&mut self) -> Result<(), StartError> {
        for mount in self.manifest.mounts.clone() {
            let fail = |errno| StartError { what: mount.host.display().to_string(), errno };
            let handle = self.host.mount(&mount.host, mount.access).map_err(fail)?;
            let descriptor = Descriptor {
                handle,
                object: Object::Directory,
                kind: Kind::Directory,
                rights: Rights::DIRECTORY,
                inheriting: Rights::BELOW_MOUNT,
                open: OpenFile::new(FdFlags::default(), 0),
                closes_on_exec: false,
                preopen: Some(mount.guest.clone()),
                binding: Binding::Mount(mount.guest.clone()),
            };
            self.descriptors.insert(descriptor).map_err(fail)?;
        }
        Ok(())
    }

    fn open_listeners(&mut self) -> Result<(), StartError> {
        for (number, address) in self.manifest.listeners.clone().into_iter().enumerate() {
            let fail = |errno| StartError { what: address.clone(), errno };
            let handle = self.host.listen(&address).map_err(fail)?;
            let descriptor = Descriptor {
                handle,
                object: Object::Listener,
                kind: Kind::StreamSocket,
                rights: Rights::LISTENER,
                inheriting: Rights::CONNECTION,
                open: OpenFile::new(FdFlags::default(), 0),
                closes_on_exec: false,
                preopen: None,
                binding: Binding::Listener(number as u32),
            };
            self.descriptors.insert(descriptor).map_err(fail)?;
        }
        Ok(())
    }

    /// Makes a system call. `args` are the guest's, an i32 zero-extended; missing ones are 0.
    pub fn syscall(
        &mut self, call: Syscall, memory: &mut GuestMemory<'_>, args: &[u64],
    ) -> Outcome {
        // A call that goes on was counted when it began.
        if !matches!(&self.run_state, RunState::Parked(parked) if parked.call == call) {
            self.run_state = RunState::Running;
            self.counts[call as usize] += 1;
        }
        match call.run(self, memory, args) {
            Ok(()) => self.complete(Outcome::Done(Errno::Success)),
            Err(Stopped::Errno(errno)) => self.complete(Outcome::Done(errno)),
            Err(Stopped::Exit(code)) => self.complete(Outcome::Exit(code)),
            // A signal was handled meanwhile, and nothing was transferred yet.
            Err(Stopped::Block(wait)) if wait.progress_bytes == 0 && self.is_interrupted() => {
                self.complete(Outcome::Done(Errno::Interrupted))
            }
            Err(Stopped::Block(wait)) => {
                let began_ns = match &self.run_state {
                    RunState::Parked(parked) => parked.began_ns,
                    RunState::Running => self.now_ns(Clock::Monotonic).unwrap_or(0),
                };
                self.run_state = RunState::Parked(Parked {
                    call,
                    progress_bytes: wait.progress_bytes,
                    began_ns,
                    waits_for: wait.waits_for,
                    deadline_ns: wait.deadline_ns,
                    is_interrupted: false,
                });
                Outcome::Block
            }
        }
    }

    fn complete(&mut self, outcome: Outcome) -> Outcome {
        if !matches!(self.run_state, RunState::Running) {
            self.run_state = RunState::Running;
        }
        outcome
    }

    /// The guest's time of a clock.
    ///
    /// # Errors
    /// [`Errno::NotSupported`] where the host has no such clock.
    pub fn now_ns(&mut self, clock: Clock) -> Answer<u64> {
        Ok(self.host.now_ns(clock)?.saturating_add_signed(self.ahead.of(clock)))
    }

    /// Waits in the host until the parked call can go on, until `deadline_ns` on the guest's
    /// monotonic clock, or until the host's waker is used. Returns at once if no call is parked.
    ///
    /// # Errors
    /// What the host says.
    pub fn wait(&mut self, deadline_ns: Option<u64>) -> Answer<Woken> {
        let RunState::Parked(parked) = &self.run_state else { return Ok(Woken::Ready) };
        let parked = parked.clone();
        self.wait_for(&[parked], deadline_ns)
    }

    /// Waits in the host until one of the `parked` calls can go on, until `deadline_ns` on the
    /// guest's monotonic clock, or until the host's waker is used. Without calls and without a
    /// deadline only the waker ends it.
    ///
    /// # Errors
    /// What the host says.
    pub fn wait_for(&mut self, parked: &[Parked], deadline_ns: Option<u64>) -> Answer<Woken> {
        let interest = |&(object, direction)| Interest { object, direction, ready: None };
        let waits_for = parked.iter().flat_map(|parked| &parked.waits_for);
        let mut interests: Vec<_> = waits_for.map(interest).collect();
        let deadlines = parked.iter().filter_map(|parked| parked.deadline_ns);
        let deadline_ns = deadlines.chain(deadline_ns).min();
        let behind = self.ahead.monotonic_ns.saturating_neg();
        let deadline_ns = deadline_ns.map(|ns| ns.saturating_add_signed(behind));
        self.host.wait(&mut interests, deadline_ns)
    }

    /// Exchanges the state of the thread that makes calls now with that of another one.
    pub fn exchange_run_state(&mut self, other: &mut RunState) {
        // As it is around most calls: to exchange nothing for nothing would cost more than to look.
        if !matches!((&self.run_state, &*other), (RunState::Running, RunState::Running)) {
            std::mem::swap(&mut self.run_state, other);
        }
    }

    /// Whether a call is parked, and how far it has come.
    pub fn run_state(&self) -> &RunState {
        &self.run_state
    }

    /// The call that is being gone on with, if it is `call`.
    pub(crate) fn parked(&self, call: Syscall) -> Option<&Parked> {
        match &self.run_state {
            RunState::Parked(parked) if parked.call == call => Some(parked),
            _ => None,
        }
    }

    /// The open descriptors.
    pub fn descriptors(&self) -> &DescriptorTable {
        &self.descriptors
    }

    /// What the process was given.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How often each call was made, in the order of [`CALLS`].
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Bytes written to files so far.
    pub fn disk_bytes(&self) -> u64 {
        self.member.as_ref().map_or(self.counted, |member| member.tree.lock().counted).disk_bytes
    }

    /// Bytes read from standard input, written to standard output and to standard error so far, on
    /// all hosts that the process has been on.
    pub fn stream_bytes(&self) -> [u64; 3] {
        self.member.as_ref().map_or(self.counted, |member| member.tree.lock().counted).stream_bytes
    }

    /// Says something where the program would report errors, if it can be said at once.
    pub fn say(&mut self, text: &str) {
        if let Ok(error) = self.descriptors.get(2) {
            let handle = error.handle;
            let _ = self.host.write(handle, &[std::io::IoSlice::new(text.as_bytes())]);
        }
    }

    /// Closes the object of a descriptor that is no longer open, unless a duplicate has it too.
    ///
    /// # Errors
    /// What the host could not write any more.
    pub(crate) fn let_go(&mut self, descriptor: Descriptor) -> Answer<()> {
        let handle = descriptor.handle;
        let last = descriptor.last_of();
        if last.is_some() || !self.descriptors.iter().any(|(_, other)| other.handle == handle) {
            self.sockets.remove(handle);
        }
        last.map_or(Ok(()), |handle| self.host.close(handle))
    }

    /// The system below.
    pub fn host(&mut self) -> &mut dyn Host {
        &mut *self.host
    }

    /// Whether the call that is being made is gone on with.
    pub(crate) fn is_parked(&self) -> bool {
        matches!(self.run_state, RunState::Parked(_))
    }

    /// How the call stops that waits for an object: it blocks, or its time is over.
    pub(crate) fn wait_on(
        &mut self, handle: Handle, direction: Direction, timeout: Timeout, progress_bytes: u64,
    ) -> Stopped {
        let timeout_ns = self.sockets.get(handle).and_then(|socket| socket.timeout_ns(timeout));
        let deadline_ns = match timeout_ns.map(|ns| self.deadline(ns)) {
            None => None,
            Some(Ok(Some(deadline_ns))) => Some(deadline_ns),
            Some(Ok(None)) => {
                return Stopped::Errno(match timeout {
                    Timeout::Receive | Timeout::Send => Errno::Again,
                    Timeout::Connect | Timeout::Accept => Errno::TimedOut,
                });
            }
            Some(Err(errno)) => return Stopped::Errno(errno),
        };
        let waits_for = vec![(handle, direction)];
        Stopped::Block(Wait { waits_for, deadline_ns, progress_bytes })
    }

    /// When the call ends that may wait for so long; `None` if that is over.
    fn deadline(&mut self, timeout_ns: u64) -> Answer<Option<u64>> {
        let now_ns = self.now_ns(Clock::Monotonic)?;
        let began_ns = match &self.run_state {
            RunState::Parked(parked) => parked.began_ns,
            RunState::Running => now_ns,
        };
        let deadline_ns = began_ns.saturating_add(timeout_ns);
        Ok(Some(deadline_ns).filter(|&deadline_ns| deadline_ns > now_ns))
    }

    /// Turns "try again" of the host into a wait, unless the descriptor shall not wait.
    pub(crate) fn park_if_again(
        &mut self, result: Result<u64, Stopped>, handle: Handle, direction: Direction,
        nonblock: bool, progress_bytes: u64,
    ) -> Result<u64, Stopped> {
        let timeout = match direction {
            Direction::Read => Timeout::Receive,
            Direction::Write => Timeout::Send,
        };
        match result {
            Err(Stopped::Errno(Errno::Again)) if !nonblock => {
                match self.wait_on(handle, direction, timeout, progress_bytes) {
                    // What was written before its time was over counts.
                    Stopped::Errno(_) if progress_bytes > 0 => Ok(progress_bytes),
                    stopped => Err(stopped),
                }
            }
            result => result,
        }
    }

    /// Counts bytes that will go to a file.
    pub(crate) fn charge_disk(&mut self, bytes: u64) -> Result<(), Errno> {
        let sum = self.disk_bytes().saturating_add(bytes);
        if sum > self.manifest.limits.disk_bytes {
            return Err(Errno::NoSpace);
        }
        self.counted(|counted| counted.disk_bytes = sum);
        Ok(())
    }

    /// How many descriptors are open.
    pub fn open_count(&self) -> u32 {
        self.descriptors.open_count()
    }

    /// Changes how many descriptors may be open, and how many bytes may be written to files. What is
    /// open stays open.
    pub fn set_limits(&mut self, descriptors: u32, disk_bytes: u64) {
        self.manifest.limits.descriptors = descriptors;
        self.manifest.limits.disk_bytes = disk_bytes;
        self.descriptors.set_limit(descriptors);
    }

    /// Counts bytes that went through a standard stream.
    pub(crate) fn count_stream(&mut self, number: usize, bytes: u64) {
        self.counted(|counted| {
            counted.stream_bytes[number] = counted.stream_bytes[number].saturating_add(bytes);
        });
    }

    /// What is counted of the process; processes of a tree are counted together.
    fn counted<T>(&mut self, count: impl FnOnce(&mut Counted) -> T) -> T {
        match &self.member {
            Some(member) => count(&mut member.tree.lock().counted),
            None => count(&mut self.counted),
        }
    }
}
