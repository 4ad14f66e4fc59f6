//! Standard streams that are not those of the host process: bytes, buffers, writers.
//!
//! [`Streams`] stands in front of a host and answers for the streams it was given; all else passes
//! through.
//! Its own objects have handles from the upper half, which hosts, counting from 0, never reach.
//! Connections whose sockets are elsewhere (`lanes`) come with remote streams.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use brant_host::sim::SimHost;
use brant_kernel::errno::Errno;
use brant_kernel::host::{
    Advice, Answer, Clock, Direction, Durability, Entry, Follow, Handle, Host, Interest, Kind,
    MountAccess, OpenHow, Opened, Readiness, Receive, SetTime, Shutdown, Stat, Stream, Truncated,
    Waker, Woken,
};
use brant_kernel::net::{Address, Carries, Family, Net, Resolution, SocketOption};

use crate::lanes::Lanes;
use crate::remote::Remote;

/// What a program reads as its standard input.
#[derive(Debug, Default)]
pub enum Input {
    /// The end, at once.
    #[default]
    Empty,
    /// The standard input of the host process.
    Inherit,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing ever comes; who first waits for it is told so.
    Held(InputAsked),
    /// What somebody elsewhere sends.
    Remote(Remote),
}

/// What is called when a program waits for input that is held back.
pub struct InputAsked(Box<dyn FnMut() + Send>);

impl InputAsked {
    /// Calls `asked` each time that the program begins to wait.
    pub fn new(asked: impl FnMut() + Send + 'static) -> InputAsked {
        InputAsked(Box::new(asked))
    }
}

impl std::fmt::Debug for InputAsked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InputAsked")
    }
}

/// Where standard output or standard error of a program goes.
#[derive(Default)]
pub enum Output {
    /// Nowhere.
    #[default]
    Null,
    /// To the same stream of the host process.
    Inherit,
    /// To a buffer that can be read at any time.
    Capture(Captured),
    /// To a writer, which may block.
    Writer {
        /// Takes the bytes.
        writer: Box<dyn Write + Send>,
        /// Whether the program shall think that it is a terminal.
        terminal: bool,
    },
    /// To somebody elsewhere.
    Remote(Remote),
}

/// What a program has written so far. A copy is the same buffer.
///
/// ```
/// let output = brant::Captured::new();
/// assert_eq!(output.text(), "");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// More than this is not kept: the program gets `ENOSPC`.
    pub const LIMIT_BYTES: usize = 1 << 30;

    /// An empty buffer.
    pub fn new() -> Captured {
        Captured::default()
    }

    /// A copy of what was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.with(|bytes| bytes.clone())
    }

    /// What was written so far as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        self.with(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        // A buffer is whole after every write, so another thread's panic does not spoil it.
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The first handle of an object of [`Streams`]: input, output, error.
const FIRST: u32 = 1 << 31;

/// The first handle of a lane or a door; ends of pipes begin at 3 << 30 (`vm/kernel/src/processes`).
const FIRST_LANE: u32 = 5 << 29;

/// A host whose standard streams are others.
pub(crate) struct Streams {
    host: Box<dyn Host>,
    input: Input,
    /// How many bytes of the input were read.
    read_bytes: usize,
    outputs: [Output; 2],
    /// Connections whose sockets are elsewhere; none where nothing is.
    lanes: Option<Lanes>,
    /// Who answers for time and chance, if the host does not.
    twin: Option<SimHost>,
}

impl Streams {
    /// Puts streams in front of a host.
    pub(crate) fn new(host: Box<dyn Host>, input: Input, output: Output, error: Output) -> Streams {
        let mut lanes = None;
        if let Input::Remote(remote) = &input {
            remote.set_waker(host.waker());
            lanes = Some(remote.lanes().clone());
        }
        for output in [&output, &error] {
            if let Output::Remote(remote) = output {
                remote.set_waker(host.waker());
            }
        }
        Streams { host, input, read_bytes: 0, outputs: [output, error], lanes, twin: None }
    }

    /// Tries whether a process could go on: whatever lanes it has could be had.
    #[cfg(feature = "node")]
    pub(crate) fn on_trial(self) -> Streams {
        Streams { lanes: Some(Lanes::trial()), ..self }
    }

    /// The lanes and the place there that a handle leads to.
    fn lane(&self, handle: Handle) -> Option<(&Lanes, usize)> {
        let slot = handle.0.checked_sub(FIRST_LANE)?;
        self.lanes.as_ref().map(|lanes| (lanes, slot as usize))
    }

    /// What one of our own objects can do; the outer option is whether it is one.
    fn own_readiness(&self, interest: &Interest) -> Option<Option<Readiness>> {
        if let Some((lanes, slot)) = self.lane(interest.object) {
            return Some(lanes.readiness(slot, interest.direction));
        }
        own(interest.object).map(|index| self.readiness(index, interest.direction))
    }

    /// Takes time and chance from a simulated host; everything else stays as it is.
    pub(crate) fn with_twin(self, twin: SimHost) -> Streams {
        Streams { twin: Some(twin), ..self }
    }

    /// Whether one of our own streams can go on; those that are not remote always can.
    fn readiness(&self, index: usize, direction: Direction) -> Option<Readiness> {
        let bytes = match (direction, index, &self.input) {
            (Direction::Read, 0, Input::Remote(remote)) => return remote.readiness(0),
            (Direction::Read, 0, Input::Bytes(all)) => all.len().saturating_sub(self.read_bytes),
            (Direction::Read, ..) => 0,
            (Direction::Write, ..) => 1,
        };
        match (direction, index.checked_sub(1).map(|output| &self.outputs[output])) {
            (Direction::Write, Some(Output::Remote(remote))) => remote.readiness(index),
            _ => Some(Readiness { bytes: bytes as u64, hung_up: bytes == 0 }),
        }
    }

    fn write_to(&mut self, index: usize, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        match &mut self.outputs[index] {
            Output::Null => Ok(buffers.iter().map(|buffer| buffer.len()).sum()),
            // `stream` has passed the question on, so nobody has this handle.
            Output::Inherit => Err(Errno::BadDescriptor),
            Output::Capture(captured) => captured.with(|bytes| {
                let mut count = 0;
                for buffer in buffers {
                    let room = Captured::LIMIT_BYTES.saturating_sub(bytes.len());
                    let part = &buffer[..buffer.len().min(room)];
                    bytes.extend_from_slice(part);
                    count += part.len();
                }
                match count == 0 && buffers.iter().any(|buffer| !buffer.is_empty()) {
                    true => Err(Errno::NoSpace),
                    false => Ok(count),
                }
            }),
            Output::Writer { writer, .. } => {
                let mut count = 0;
                for buffer in buffers {
                    writer.write_all(buffer).map_err(|error| errno(&error))?;
                    count += buffer.len();
                }
                writer.flush().map_err(|error| errno(&error))?;
                Ok(count)
            }
            Output::Remote(remote) => remote.write(index, buffers),
        }
    }
}

fn errno(error: &io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Errno::BrokenPipe,
        io::ErrorKind::StorageFull => Errno::NoSpace,
        _ => Errno::Io,
    }
}

/// The handle of a lane or door at this place.
pub(crate) fn lane_handle(slot: usize) -> Handle {
    Handle(FIRST_LANE + slot as u32)
}

/// Which of our objects a handle names: 0 is the input, 1 and 2 the outputs.
fn own(handle: Handle) -> Option<usize> {
    handle.0.checked_sub(FIRST).filter(|index| *index < 3).map(|index| index as usize)
}

impl Host for Streams {
    fn stream(&mut self, stream: Stream) -> Answer<Opened> {
        let (index, inherited, terminal) = match stream {
            Stream::Input => (0, matches!(self.input, Input::Inherit), false),
            Stream::Output => (1, matches!(self.outputs[0], Output::Inherit), false),
            Stream::Error => (2, matches!(self.outputs[1], Output::Inherit), false),
        };
        if inherited {
            return self.host.stream(stream);
        }
        let terminal = match (index, &self.input) {
            (0, Input::Remote(remote)) => remote.is_terminal(0),
            (0, _) => terminal,
            _ => match &self.outputs[index - 1] {
                Output::Writer { terminal, .. } => *terminal,
                Output::Remote(remote) => remote.is_terminal(index),
                _ => false,
            },
        };
        let kind = if terminal { Kind::CharacterDevice } else { Kind::Unknown };
        Ok(Opened { handle: Handle(FIRST + index as u32), kind, terminal })
    }

    fn close(&mut self, object: Handle) -> Answer<()> {
        if let Some((lanes, slot)) = self.lane(object) {
            return lanes.close(slot);
        }
        match own(object) {
            Some(_) => Ok(()),
            None => self.host.close(object),
        }
    }

    fn stat(&mut self, object: Handle) -> Answer<Stat> {
        let is_lane = self.lane(object).is_some();
        if own(object).is_none() && !is_lane {
            return self.host.stat(object);
        }
        Ok(Stat {
            device: 0,
            inode: u64::from(object.0),
            kind: if is_lane { Kind::StreamSocket } else { Kind::Unknown },
            link_count: 1,
            size_bytes: 0,
            accessed_ns: 0,
            modified_ns: 0,
            changed_ns: 0,
        })
    }

    fn read(&mut self, stream: Handle, buffers: &mut [IoSliceMut<'_>]) -> Answer<usize> {
        if let Some((lanes, slot)) = self.lane(stream) {
            return lanes.receive(slot, buffers, Receive::default());
        }
        let bytes = match (own(stream), &self.input) {
            (None, _) => return self.host.read(stream, buffers),
            (Some(0), Input::Bytes(bytes)) => bytes.get(self.read_bytes..).unwrap_or_default(),
            (Some(0), Input::Held(_)) => return Err(Errno::Again),
            (Some(0), Input::Remote(remote)) => return remote.read(buffers),
            (Some(0), _) => return Ok(0),
            (Some(_), _) => return Err(Errno::BadDescriptor),
        };
        let mut count = 0;
        for buffer in buffers {
            let part = (bytes.len() - count).min(buffer.len());
            buffer[..part].copy_from_slice(&bytes[count..count + part]);
            count += part;
        }
        self.read_bytes += count;
        Ok(count)
    }

    fn write(&mut self, stream: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        if let Some((lanes, slot)) = self.lane(stream) {
            return lanes.send(slot, buffers);
        }
        match own(stream) {
            None => self.host.write(stream, buffers),
            Some(0) => Err(Errno::BadDescriptor),
            Some(index) => self.write_to(index - 1, buffers),
        }
    }

    fn wait(&mut self, interests: &mut [Interest], deadline_ns: Option<u64>) -> Answer<Woken> {
        // Our own streams never make anyone wait: when one is asked for, the others are only
        // looked at.
        if let Input::Held(InputAsked(asked)) = &mut self.input
            && interests.iter().any(|interest| own(interest.object) == Some(0))
        {
            match deadline_ns {
                // Somebody only looks whether there is something.
                Some(0) => return Ok(Woken::Deadline),
                _ => asked(),
            }
            return self.host.wait(&mut [], deadline_ns);
        }
        let mut any = false;
        let mut waits_for_remote = false;
        for interest in interests.iter_mut() {
            let Some(ready) = self.own_readiness(interest) else { continue };
            interest.ready = ready;
            any |= interest.ready.is_some();
            waits_for_remote |= interest.ready.is_none();
        }
        let is_ours = |interest: &Interest| interest.object.0 >= FIRST;
        let mut others: Vec<Interest> =
            interests.iter().copied().filter(|interest| !is_ours(interest)).collect();
        let deadline_ns = if any { Some(0) } else { deadline_ns };
        let woken = match (&mut self.twin, others.is_empty() && !waits_for_remote) {
            (_, true) if any => Woken::Ready,
            // Nothing but time is waited for: it moves on at once.
            (Some(twin), true) => twin.wait(&mut [], deadline_ns)?,
            // What comes from outside comes first, however long that takes: a clock that does not
            // run cannot end a wait.
            (Some(_), false) if !any => self.host.wait(&mut others, None)?,
            // Whoever fills a remote stream wakes the host.
            _ => self.host.wait(&mut others, deadline_ns)?,
        };
        if waits_for_remote {
            for interest in interests.iter_mut().filter(|interest| interest.ready.is_none()) {
                let Some(ready) = self.own_readiness(interest) else { continue };
                interest.ready = ready;
                any |= interest.ready.is_some();
            }
        }
        let theirs = interests.iter_mut().filter(|interest| !is_ours(interest));
        for (interest, answered) in theirs.zip(others) {
            interest.ready = answered.ready;
        }
        Ok(if any { Woken::Ready } else { woken })
    }

    fn set_times(&mut self, object: Handle, accessed: SetTime, modified: SetTime) -> Answer<()> {
        self.host.set_times(object, accessed, modified)
    }

    fn sync(&mut self, object: Handle, what: Durability) -> Answer<()> {
        match own(object) {
            Some(_) => Err(Errno::Invalid),
            None => self.host.sync(object, what),
        }
    }

    fn now_ns(&mut self, clock: Clock) -> Answer<u64> {
        match &mut self.twin {
            Some(twin) => twin.now_ns(clock),
            None => self.host.now_ns(clock),
        }
    }

    fn resolution_ns(&mut self, clock: Clock) -> Answer<u64> {
        match &mut self.twin {
            Some(twin) => twin.resolution_ns(clock),
            None => self.host.resolution_ns(clock),
        }
    }

    fn random(&mut self, buffer: &mut [u8]) -> Answer<()> {
        match &mut self.twin {
            Some(twin) => twin.random(buffer),
            None => self.host.random(buffer),
        }
    }

    fn mount(&mut self, directory: &Path, access: MountAccess) -> Answer<Handle> {
        self.host.mount(directory, access)
    }

    fn listen(&mut self, address: &str) -> Answer<Handle> {
        self.host.listen(address)
    }

    fn read_at(
        &mut self, file: Handle, buffers: &mut [IoSliceMut<'_>], offset: u64,
    ) -> Answer<usize> {
        self.host.read_at(file, buffers, offset)
    }

    fn write_at(&mut self, file: Handle, buffers: &[IoSlice<'_>], offset: u64) -> Answer<usize> {
        self.host.write_at(file, buffers, offset)
    }

    fn append(&mut self, file: Handle, buffers: &[IoSlice<'_>]) -> Answer<(usize, u64)> {
        self.host.append(file, buffers)
    }

    fn set_size(&mut self, file: Handle, size_bytes: u64) -> Answer<()> {
        self.host.set_size(file, size_bytes)
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Answer<()> {
        self.host.allocate(file, offset, length)
    }

    fn advise(&mut self, file: Handle, offset: u64, length: u64, advice: Advice) -> Answer<()> {
        self.host.advise(file, offset, length, advice)
    }

    fn open(&mut self, directory: Handle, path: &[u8], how: OpenHow) -> Answer<Opened> {
        self.host.open(directory, path, how)
    }

    fn list(
        &mut self, directory: Handle, cookie: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Answer<()> {
        self.host.list(directory, cookie, visit)
    }

    fn stat_at(&mut self, directory: Handle, path: &[u8], follow: Follow) -> Answer<Stat> {
        self.host.stat_at(directory, path, follow)
    }

    fn set_times_at(
        &mut self, directory: Handle, path: &[u8], follow: Follow, accessed: SetTime,
        modified: SetTime,
    ) -> Answer<()> {
        self.host.set_times_at(directory, path, follow, accessed, modified)
    }

    fn create_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        self.host.create_directory(directory, path)
    }

    fn remove_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        self.host.remove_directory(directory, path)
    }

    fn remove_file(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        self.host.remove_file(directory, path)
    }

    fn rename(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()> {
        self.host.rename(from, path, to, new_path)
    }

    fn link(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()> {
        self.host.link(from, path, to, new_path)
    }

    fn symlink(&mut self, target: &[u8], directory: Handle, path: &[u8]) -> Answer<()> {
        self.host.symlink(target, directory, path)
    }

    fn read_link(&mut self, directory: Handle, path: &[u8], buffer: &mut [u8]) -> Answer<usize> {
        self.host.read_link(directory, path, buffer)
    }

    fn accept(&mut self, listener: Handle) -> Answer<Opened> {
        match self.lane(listener) {
            Some((lanes, slot)) => lanes.accept(slot),
            None => self.host.accept(listener),
        }
    }

    fn receive(
        &mut self, socket: Handle, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<(usize, Truncated)> {
        match self.lane(socket) {
            Some((lanes, slot)) => {
                lanes.receive(slot, buffers, how).map(|count| (count, Truncated::No))
            }
            None => self.host.receive(socket, buffers, how),
        }
    }

    fn send(&mut self, socket: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        match self.lane(socket) {
            Some((lanes, slot)) => lanes.send(slot, buffers),
            None => self.host.send(socket, buffers),
        }
    }

    fn shut_down(&mut self, socket: Handle, what: Shutdown) -> Answer<()> {
        match self.lane(socket) {
            Some((lanes, slot)) => lanes.shut_down(slot, what),
            None => self.host.shut_down(socket, what),
        }
    }

    fn net(&mut self) -> Answer<&mut dyn Net> {
        match self.lanes {
            Some(_) => Ok(self),
            None => self.host.net(),
        }
    }

    fn terminal_size(&mut self) -> Option<(u16, u16)> {
        let leads_there = |output: &Output| {
            matches!(output, Output::Inherit | Output::Writer { terminal: true, .. })
        };
        let is_ours = matches!(self.input, Input::Inherit) || self.outputs.iter().any(leads_there);
        is_ours.then(|| self.host.terminal_size()).flatten()
    }

    fn waker(&self) -> Arc<dyn Waker> {
        self.host.waker()
    }

    fn chance(&self) -> Option<u64> {
        match &self.twin {
            Some(twin) => twin.chance(),
            None => self.host.chance(),
        }
    }

    fn go_on_with(&mut self, chance: u64) {
        match &mut self.twin {
            Some(twin) => twin.go_on_with(chance),
            None => self.host.go_on_with(chance),
        }
    }

    fn token(&mut self) -> Answer<[u8; 16]> {
        self.host.token()
    }

    fn resume_stream(&mut self, stream: Stream, bytes: u64) -> Answer<()> {
        let index: usize = match stream {
            Stream::Input => 0,
            Stream::Output => 1,
            Stream::Error => 2,
        };
        match (&self.input, index.checked_sub(1).map(|output| &self.outputs[output])) {
            (Input::Bytes(all), None) => {
                self.read_bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(all.len());
            }
            (Input::Remote(remote), None) | (_, Some(Output::Remote(remote))) => {
                remote.resume(index, bytes);
            }
            (Input::Inherit, None) | (_, Some(Output::Inherit)) => {
                return self.host.resume_stream(stream, bytes);
            }
            _ => {}
        }
        Ok(())
    }

    fn hand_over(&mut self, object: Handle) -> Answer<Vec<u8>> {
        match self.lane(object) {
            Some((lanes, slot)) => lanes.hand_over(slot),
            None => self.host.hand_over(object),
        }
    }

    fn take_over(&mut self, name: &[u8]) -> Answer<Opened> {
        match &self.lanes {
            Some(lanes) => lanes.take_over(name),
            None => self.host.take_over(name),
        }
    }

    fn scratch(&mut self) -> Answer<Opened> {
        self.host.scratch()
    }
}

/// Options of a lane's socket are those of its keeper, and so are its addresses: they can be set
/// without effect, and not be asked for.
impl Net for Streams {
    fn open(&mut self, family: Family, carries: Carries) -> Answer<Handle> {
        self.host.net()?.open(family, carries)
    }

    fn pair(&mut self, carries: Carries) -> Answer<(Handle, Handle)> {
        self.host.net()?.pair(carries)
    }

    fn bind(&mut self, socket: Handle, address: &Address) -> Answer<()> {
        match self.lane(socket) {
            Some(_) => Err(Errno::Invalid),
            None => self.host.net()?.bind(socket, address),
        }
    }

    fn listen(&mut self, socket: Handle, backlog: u32) -> Answer<()> {
        match self.lane(socket) {
            // A door is open as long as it is there.
            Some((lanes, slot)) if lanes.is_door(slot) => Ok(()),
            Some(_) => Err(Errno::Invalid),
            None => self.host.net()?.listen(socket, backlog),
        }
    }

    fn connect(&mut self, socket: Handle, address: &Address) -> Answer<()> {
        match self.lane(socket) {
            Some(_) => Err(Errno::IsConnected),
            None => self.host.net()?.connect(socket, address),
        }
    }

    fn receive_from(
        &mut self, socket: Handle, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<(usize, Truncated, Option<Address>)> {
        match self.lane(socket) {
            Some((lanes, slot)) => {
                lanes.receive(slot, buffers, how).map(|count| (count, Truncated::No, None))
            }
            None => self.host.net()?.receive_from(socket, buffers, how),
        }
    }

    fn send_to(
        &mut self, socket: Handle, buffers: &[IoSlice<'_>], address: &Address,
    ) -> Answer<usize> {
        match self.lane(socket) {
            Some(_) => Err(Errno::IsConnected),
            None => self.host.net()?.send_to(socket, buffers, address),
        }
    }

    fn local(&mut self, socket: Handle) -> Answer<Address> {
        match self.lane(socket) {
            Some(_) => Err(Errno::NotSupported),
            None => self.host.net()?.local(socket),
        }
    }

    fn peer(&mut self, socket: Handle) -> Answer<Address> {
        match self.lane(socket) {
            Some(_) => Err(Errno::NotSupported),
            None => self.host.net()?.peer(socket),
        }
    }

    fn option(&mut self, socket: Handle, option: SocketOption) -> Answer<u64> {
        match self.lane(socket) {
            Some(_) => Err(Errno::NotSupported),
            None => self.host.net()?.option(socket, option),
        }
    }

    fn set_option(&mut self, socket: Handle, option: SocketOption, value: u64) -> Answer<()> {
        match self.lane(socket) {
            Some(_) => Ok(()),
            None => self.host.net()?.set_option(socket, option, value),
        }
    }

    fn take_error(&mut self, socket: Handle) -> Answer<Option<Errno>> {
        match self.lane(socket) {
            Some((lanes, slot)) => Ok(lanes.error(slot)),
            None => self.host.net()?.take_error(socket),
        }
    }

    fn resolve(&mut self, name: &str) -> Answer<Resolution> {
        self.host.net()?.resolve(name)
    }
}
