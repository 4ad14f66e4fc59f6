//! The simulated host: a run on it is a function of the programs and a seed.
//!
//! Files live in memory (`tree`), time moves by waiting and by one step for each reading, random
//! numbers come from the seed, input and connections are scripted, output is kept (`channel`).
//! It answers as the native host does, error by error. Nothing here asks the real system anything.

mod channel;
mod random;
mod tree;

use std::io::{IoSlice, IoSliceMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brant_kernel::errno::Errno;
use brant_kernel::host::{
    Advice, Answer, Clock, Direction, Durability, Entry, Follow, Handle, Host, Interest, Kind,
    MountAccess, OpenHow, Opened, Readiness, Receive, SetTime, Shutdown, Stat, Stream, Truncated,
    Waker, Woken,
};

pub use channel::Recorded;
use channel::{Channel, Script};
use random::Random;
use tree::{Access, NodeId, Tree};

/// What the wall clock shows at the start: 2001-09-09, 01:46:40 UTC.
const START_NS: u64 = 1_000_000_000_000_000_000;
/// How far time moves when it is read.
const STEP_NS: u64 = 1_000;

/// An open object.
enum Object {
    Directory {
        node: NodeId,
        root: NodeId,
        access: MountAccess,
    },
    File {
        node: NodeId,
        access: Access,
    },
    Channel(Channel),
    /// Connections that will come, the earliest last.
    Listener(Vec<Script>),
}

/// A host that does not exist.
///
/// ```
/// use brant_host::sim::SimHost;
/// let mut host = SimHost::new(7);
/// host.add_file("/data", "notes.txt", b"hello").unwrap();
/// assert_eq!(host.file("/data", "notes.txt").unwrap(), b"hello");
/// ```
pub struct SimHost {
    tree: Tree,
    mounts: Vec<(PathBuf, NodeId)>,
    objects: Vec<Option<Object>>,
    now_ns: u64,
    random: Random,
    input: Option<Script>,
    output: Recorded,
    error: Recorded,
    connections: Vec<(String, Vec<Script>)>,
    bell: Arc<Bell>,
    /// How many tokens were given.
    tokens: u128,
}

impl SimHost {
    /// A host without files, whose standard input is empty.
    pub fn new(seed: u64) -> SimHost {
        SimHost {
            tree: Tree::new(),
            mounts: Vec::new(),
            objects: Vec::new(),
            now_ns: 0,
            random: Random::new(seed),
            input: Some(Script::default()),
            output: Recorded::default(),
            error: Recorded::default(),
            connections: Vec::new(),
            bell: Arc::default(),
            tokens: 0,
        }
    }

    /// Lets `bytes` come in on standard input at `at_ns` after the start, behind what was scripted
    /// before.
    pub fn type_in(&mut self, at_ns: u64, bytes: &[u8]) {
        self.input.get_or_insert_default().push(at_ns, bytes);
    }

    /// Keeps standard input open behind the script: the guest waits instead of seeing its end.
    pub fn keep_input_open(&mut self) {
        self.input.get_or_insert_default().keep_open();
    }

    /// What is written to standard output; stays readable while a kernel owns the host.
    pub fn output(&self) -> Recorded {
        self.output.clone()
    }

    /// What is written to standard error.
    pub fn error(&self) -> Recorded {
        self.error.clone()
    }

    /// Lets somebody call `address` at `at_ns`, send `bytes` and then only listen. Gives what that
    /// caller hears.
    pub fn call(&mut self, address: &str, at_ns: u64, bytes: &[u8]) -> Recorded {
        let mut script = Script::default();
        script.push(at_ns, bytes);
        let heard = script.heard();
        match self.connections.iter_mut().find(|(of, _)| of == address) {
            Some((_, scripts)) => scripts.push(script),
            None => self.connections.push((address.to_owned(), vec![script])),
        }
        heard
    }

    /// The directory that stands for `path` of the outside.
    fn mount_node(&mut self, path: &Path) -> NodeId {
        if let Some((_, node)) = self.mounts.iter().find(|(of, _)| of == path) {
            return *node;
        }
        let node = self.tree.new_root(START_NS);
        self.mounts.push((path.to_owned(), node));
        node
    }

    /// Puts a file below the directory that stands for `mount`; makes the directories on its way.
    ///
    /// # Errors
    /// What a guest would be told.
    pub fn add_file(&mut self, mount: impl AsRef<Path>, path: &str, bytes: &[u8]) -> Answer<()> {
        let root = self.mount_node(mount.as_ref());
        for (slash, _) in path.match_indices('/') {
            match self.tree.create_directory(root, &path.as_bytes()[..slash], START_NS) {
                Ok(()) | Err(Errno::Exists) => {}
                Err(errno) => return Err(errno),
            }
        }
        let how = OpenHow { write: true, create: true, truncate: true, ..OpenHow::default() };
        let (node, _) = self.tree.open(root, path.as_bytes(), how, START_NS)?;
        self.tree.write(node, bytes, 0, START_NS)?;
        self.tree.close(node);
        Ok(())
    }

    /// The bytes of a file below the directory that stands for `mount`.
    ///
    /// # Errors
    /// What a guest would be told.
    pub fn file(&mut self, mount: impl AsRef<Path>, path: &str) -> Answer<Vec<u8>> {
        let root = self.mount_node(mount.as_ref());
        let node = self.tree.find(root, path.as_bytes(), Follow::Yes)?;
        self.tree.bytes(node).map(<[u8]>::to_vec).ok_or(Errno::IsDirectory)
    }

    fn insert(&mut self, object: Object) -> Handle {
        let free = self.objects.iter().position(Option::is_none);
        let index = free.unwrap_or(self.objects.len());
        if index == self.objects.len() {
            self.objects.push(None);
        }
        self.objects[index] = Some(object);
        Handle(index as u32)
    }

    fn get(&self, handle: Handle) -> Answer<&Object> {
        self.objects.get(handle.0 as usize).and_then(Option::as_ref).ok_or(Errno::BadDescriptor)
    }

    fn channel(&mut self, handle: Handle) -> Answer<&mut Channel> {
        let object = self.objects.get_mut(handle.0 as usize).and_then(Option::as_mut);
        match object.ok_or(Errno::BadDescriptor)? {
            Object::Channel(channel) => Ok(channel),
            Object::Directory { .. } => Err(Errno::IsDirectory),
            Object::File { .. } | Object::Listener(_) => Err(Errno::Invalid),
        }
    }

    fn socket(&mut self, handle: Handle) -> Answer<&mut Channel> {
        match self.get(handle)? {
            Object::Channel(channel) if channel.is_connection() => self.channel(handle),
            Object::Listener(_) => Err(Errno::NotConnected),
            _ => Err(Errno::NotSocket),
        }
    }

    fn node(&self, handle: Handle) -> Answer<(NodeId, Access)> {
        match *self.get(handle)? {
            Object::File { node, access } => Ok((node, access)),
            Object::Directory { .. } => Err(Errno::IsDirectory),
            Object::Channel(_) | Object::Listener(_) => Err(Errno::IllegalSeek),
        }
    }

    /// A directory to look into.
    fn directory(&self, handle: Handle) -> Answer<(NodeId, NodeId)> {
        match *self.get(handle)? {
            Object::Directory { node, root, .. } => Ok((node, root)),
            _ => Err(Errno::NotDirectory),
        }
    }

    /// A directory to change.
    fn writable(&self, handle: Handle) -> Answer<(NodeId, NodeId)> {
        match *self.get(handle)? {
            Object::Directory { access: MountAccess::ReadOnly, .. } => Err(Errno::ReadOnly),
            _ => self.directory(handle),
        }
    }

    fn wall_ns(&self) -> u64 {
        START_NS.saturating_add(self.now_ns)
    }

    fn time(&self, set: SetTime) -> Option<u64> {
        match set {
            SetTime::Keep => None,
            SetTime::Now => Some(self.wall_ns()),
            SetTime::At(ns) => Some(ns),
        }
    }

    fn readiness(&self, interest: &Interest) -> Answer<Option<Readiness>> {
        let ready = |bytes, hung_up| Some(Readiness { bytes, hung_up });
        Ok(match (self.get(interest.object)?, interest.direction) {
            (Object::Channel(channel), Direction::Read) => {
                let (bytes, ended) = channel.readable(self.now_ns);
                if bytes > 0 || ended { ready(bytes, ended) } else { None }
            }
            (Object::Listener(calls), Direction::Read) => {
                let come = calls.last().filter(|call| call.first_ns() <= self.now_ns);
                come.and_then(|_| ready(1, false))
            }
            _ => ready(1, false),
        })
    }

    /// When something more will come to the object.
    fn next_event_ns(&self, interest: &Interest) -> Option<u64> {
        match self.get(interest.object) {
            Ok(Object::Channel(channel)) => channel.next_ns(),
            Ok(Object::Listener(calls)) => calls.last().map(Script::first_ns),
            _ => None,
        }
    }
}

impl Host for SimHost {
    fn now_ns(&mut self, clock: Clock) -> Answer<u64> {
        self.now_ns = self.now_ns.saturating_add(STEP_NS);
        Ok(match clock {
            Clock::Realtime => self.wall_ns(),
            Clock::Monotonic | Clock::ProcessCpu | Clock::ThreadCpu => self.now_ns,
        })
    }

    fn resolution_ns(&mut self, _: Clock) -> Answer<u64> {
        Ok(STEP_NS)
    }

    fn random(&mut self, buffer: &mut [u8]) -> Answer<()> {
        self.random.fill(buffer);
        Ok(())
    }

    fn stream(&mut self, stream: Stream) -> Answer<Opened> {
        let channel = match stream {
            Stream::Input => Channel::input(self.input.take().ok_or(Errno::BadDescriptor)?),
            Stream::Output => Channel::output(self.output.clone()),
            Stream::Error => Channel::output(self.error.clone()),
        };
        let handle = self.insert(Object::Channel(channel));
        Ok(Opened { handle, kind: Kind::Unknown, terminal: false })
    }

    fn mount(&mut self, directory: &Path, access: MountAccess) -> Answer<Handle> {
        let node = self.mount_node(directory);
        self.tree.keep(node);
        Ok(self.insert(Object::Directory { node, root: node, access }))
    }

    fn listen(&mut self, address: &str) -> Answer<Handle> {
        address.parse::<std::net::SocketAddr>().map_err(|_| Errno::Invalid)?;
        let known = self.connections.iter().position(|(of, _)| of == address);
        let mut calls = known.map_or(Vec::new(), |index| self.connections.remove(index).1);
        calls.sort_by_key(|call| std::cmp::Reverse(call.first_ns()));
        Ok(self.insert(Object::Listener(calls)))
    }

    fn close(&mut self, object: Handle) -> Answer<()> {
        self.get(object)?;
        match self.objects[object.0 as usize].take() {
            Some(Object::Directory { node, .. } | Object::File { node, .. }) => {
                self.tree.close(node)
            }
            Some(Object::Channel(_) | Object::Listener(_)) | None => {}
        }
        Ok(())
    }

    fn stat(&mut self, object: Handle) -> Answer<Stat> {
        match *self.get(object)? {
            Object::Directory { node, .. } | Object::File { node, .. } => Ok(self.tree.stat(node)),
            Object::Channel(ref channel) => Ok(channel.stat(u64::from(object.0))),
            Object::Listener(_) => Ok(channel::stat(Kind::StreamSocket, u64::from(object.0))),
        }
    }

    fn set_times(&mut self, object: Handle, accessed: SetTime, modified: SetTime) -> Answer<()> {
        let node = match *self.get(object)? {
            Object::Directory { access: MountAccess::ReadOnly, .. }
            | Object::File { access: Access { mount: MountAccess::ReadOnly, .. }, .. } => {
                return Err(Errno::ReadOnly);
            }
            Object::Directory { node, .. } | Object::File { node, .. } => node,
            Object::Channel(_) | Object::Listener(_) => return Err(Errno::NotPermitted),
        };
        let (accessed, modified) = (self.time(accessed), self.time(modified));
        self.tree.set_times(node, accessed, modified, START_NS + self.now_ns);
        Ok(())
    }

    fn sync(&mut self, object: Handle, _: Durability) -> Answer<()> {
        match self.get(object)? {
            Object::Directory { .. } | Object::File { .. } => Ok(()),
            Object::Channel(_) | Object::Listener(_) => Err(Errno::Invalid),
        }
    }

    fn read_at(
        &mut self, file: Handle, buffers: &mut [IoSliceMut<'_>], offset: u64,
    ) -> Answer<usize> {
        let (node, access) = self.node(file)?;
        if !access.read {
            return Err(Errno::BadDescriptor);
        }
        let bytes = self.tree.bytes(node).ok_or(Errno::IsDirectory)?;
        let mut rest = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or(&[]);
        let mut done = 0;
        for buffer in buffers {
            let count = buffer.len().min(rest.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            done += count;
        }
        Ok(done)
    }

    fn write_at(&mut self, file: Handle, buffers: &[IoSlice<'_>], offset: u64) -> Answer<usize> {
        let (node, access) = self.node(file)?;
        if !access.write {
            return Err(Errno::BadDescriptor);
        }
        let now_ns = self.wall_ns();
        let mut done = 0;
        for buffer in buffers {
            self.tree.write(node, buffer, offset + done as u64, now_ns)?;
            done += buffer.len();
        }
        Ok(done)
    }

    fn append(&mut self, file: Handle, buffers: &[IoSlice<'_>]) -> Answer<(usize, u64)> {
        let (node, _) = self.node(file)?;
        let end = self.tree.stat(node).size_bytes;
        let count = self.write_at(file, buffers, end)?;
        Ok((count, end + count as u64))
    }

    fn set_size(&mut self, file: Handle, size_bytes: u64) -> Answer<()> {
        let (node, access) = self.node(file)?;
        if access.mount == MountAccess::ReadOnly {
            return Err(Errno::ReadOnly);
        }
        if !access.write {
            return Err(Errno::Invalid);
        }
        self.tree.set_size(node, size_bytes, START_NS + self.now_ns)
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Answer<()> {
        let (node, access) = self.node(file)?;
        if access.mount == MountAccess::ReadOnly {
            return Err(Errno::ReadOnly);
        }
        if !access.write {
            return Err(Errno::BadDescriptor);
        }
        let end = offset.checked_add(length).ok_or(Errno::FileTooBig)?;
        let size_bytes = self.tree.stat(node).size_bytes.max(end);
        self.tree.set_size(node, size_bytes, START_NS + self.now_ns)
    }

    fn advise(&mut self, file: Handle, _: u64, _: u64, _: Advice) -> Answer<()> {
        self.node(file).map(|_| ())
    }

    fn read(&mut self, stream: Handle, buffers: &mut [IoSliceMut<'_>]) -> Answer<usize> {
        let now_ns = self.now_ns;
        self.channel(stream)?.read(buffers, now_ns, false)
    }

    fn write(&mut self, stream: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        self.channel(stream)?.write(buffers)
    }

    fn open(&mut self, directory: Handle, path: &[u8], how: OpenHow) -> Answer<Opened> {
        let Object::Directory { node: start, root, access: mount } = *self.get(directory)? else {
            return Err(Errno::NotDirectory);
        };
        let now_ns = self.wall_ns();
        let (node, kind) = match mount {
            MountAccess::ReadWrite => self.tree.open(start, path, how, now_ns)?,
            MountAccess::ReadOnly => self.tree.open_read_only(start, path, how, now_ns)?,
        };
        let object = match kind {
            Kind::Directory => Object::Directory { node, root, access: mount },
            _ => {
                let access = Access { read: how.read || !how.write, write: how.write, mount };
                Object::File { node, access }
            }
        };
        Ok(Opened { handle: self.insert(object), kind, terminal: false })
    }

    fn list(
        &mut self, directory: Handle, cookie: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Answer<()> {
        let (node, _) = self.directory(directory)?;
        self.tree.list(node, cookie, visit);
        Ok(())
    }

    fn stat_at(&mut self, directory: Handle, path: &[u8], follow: Follow) -> Answer<Stat> {
        let (start, _) = self.directory(directory)?;
        Ok(self.tree.stat(self.tree.find(start, path, follow)?))
    }

    fn set_times_at(
        &mut self, directory: Handle, path: &[u8], follow: Follow, accessed: SetTime,
        modified: SetTime,
    ) -> Answer<()> {
        let (start, _) = self.writable(directory)?;
        let node = self.tree.find(start, path, follow)?;
        let (accessed, modified) = (self.time(accessed), self.time(modified));
        self.tree.set_times(node, accessed, modified, START_NS + self.now_ns);
        Ok(())
    }

    fn create_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        let (start, _) = self.writable(directory)?;
        let now_ns = self.wall_ns();
        self.tree.create_directory(start, path, now_ns)
    }

    fn remove_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        let (start, _) = self.writable(directory)?;
        let now_ns = self.wall_ns();
        self.tree.remove_directory(start, path, now_ns)
    }

    fn remove_file(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        let (start, _) = self.writable(directory)?;
        let now_ns = self.wall_ns();
        self.tree.remove_file(start, path, now_ns)
    }

    fn rename(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()> {
        let ((from, _), (to, _)) = (self.writable(from)?, self.writable(to)?);
        let now_ns = self.wall_ns();
        self.tree.rename(from, path, to, new_path, now_ns)
    }

    fn link(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()> {
        let ((from, _), (to, _)) = (self.writable(from)?, self.writable(to)?);
        let now_ns = self.wall_ns();
        self.tree.link(from, path, to, new_path, now_ns)
    }

    fn symlink(&mut self, target: &[u8], directory: Handle, path: &[u8]) -> Answer<()> {
        let (start, root) = self.writable(directory)?;
        let now_ns = self.wall_ns();
        self.tree.symlink(target, start, root, path, now_ns)
    }

    fn read_link(&mut self, directory: Handle, path: &[u8], buffer: &mut [u8]) -> Answer<usize> {
        let (start, _) = self.directory(directory)?;
        let target = self.tree.read_link(start, path)?;
        let count = target.len().min(buffer.len());
        buffer[..count].copy_from_slice(&target[..count]);
        Ok(count)
    }

    fn accept(&mut self, listener: Handle) -> Answer<Opened> {
        let now_ns = self.now_ns;
        let object = self.objects.get_mut(listener.0 as usize).and_then(Option::as_mut);
        let call = match object.ok_or(Errno::BadDescriptor)? {
            Object::Listener(calls) => {
                let next = calls.last().filter(|call| call.first_ns() <= now_ns);
                next.ok_or(Errno::Again)?;
                calls.pop().ok_or(Errno::Again)?
            }
            Object::Channel(channel) if channel.is_connection() => return Err(Errno::Invalid),
            _ => return Err(Errno::NotSocket),
        };
        let handle = self.insert(Object::Channel(Channel::connection(call)));
        Ok(Opened { handle, kind: Kind::StreamSocket, terminal: false })
    }

    fn receive(
        &mut self, socket: Handle, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<(usize, Truncated)> {
        let now_ns = self.now_ns;
        let count = self.socket(socket)?.read(buffers, now_ns, how.peek)?;
        Ok((count, Truncated::No))
    }

    fn send(&mut self, socket: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        self.socket(socket)?.write(buffers)
    }

    fn shut_down(&mut self, socket: Handle, what: Shutdown) -> Answer<()> {
        self.socket(socket)?.shut_down(what);
        Ok(())
    }

    fn wait(&mut self, interests: &mut [Interest], deadline_ns: Option<u64>) -> Answer<Woken> {
        if self.bell.rung.swap(false, Ordering::Relaxed) {
            return Ok(Woken::Interrupted);
        }
        loop {
            let mut found = false;
            for interest in interests.iter_mut() {
                interest.ready = self.readiness(interest)?;
                found |= interest.ready.is_some();
            }
            if found {
                return Ok(Woken::Ready);
            }
            if deadline_ns.is_some_and(|deadline_ns| deadline_ns <= self.now_ns) {
                return Ok(Woken::Deadline);
            }
            let events = interests.iter().filter_map(|interest| self.next_event_ns(interest));
            // Nothing will ever happen: in a real system this would be a hang.
            self.now_ns = events.chain(deadline_ns).min().ok_or(Errno::Deadlock)?.max(self.now_ns);
        }
    }

    fn waker(&self) -> Arc<dyn Waker> {
        self.bell.clone()
    }

    fn chance(&self) -> Option<u64> {
        Some(self.random.state())
    }

    fn go_on_with(&mut self, chance: u64) {
        self.random = Random::new(chance);
    }

    fn token(&mut self) -> Answer<[u8; 16]> {
        self.tokens += 1;
        Ok(self.tokens.to_le_bytes())
    }

    fn resume_stream(&mut self, stream: Stream, bytes: u64) -> Answer<()> {
        if stream == Stream::Input {
            let channels = self.objects.iter_mut().flatten().filter_map(|object| match object {
                Object::Channel(channel) if !channel.is_connection() => Some(channel),
                _ => None,
            });
            channels.for_each(|channel| channel.skip(bytes));
        }
        Ok(())
    }

    fn scratch(&mut self) -> Answer<Opened> {
        let node = self.tree.scratch(START_NS + self.now_ns)?;
        let access = Access { read: true, write: true, mount: MountAccess::ReadWrite };
        let handle = self.insert(Object::File { node, access });
        Ok(Opened { handle, kind: Kind::File, terminal: false })
    }
}

/// Ends a wait.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
}

impl Waker for Bell {
    fn wake(&self) {
        self.rung.store(true, Ordering::Relaxed);
    }
}
