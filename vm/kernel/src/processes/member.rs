//! The host as one process of a tree sees it.

use std::io::{IoSlice, IoSliceMut};
use std::path::Path;
use std::sync::Arc;

use super::{Pid, Tree};
use crate::errno::Errno;
use crate::host::{
    Advice, Answer, Clock, Direction, Durability, Entry, Follow, Handle, Host, Interest, Kind,
    MountAccess, OpenHow, Opened, Receive, SetTime, Shutdown, Stat, Stream, Truncated, Waker,
    Woken,
};
use crate::net::{Address, Carries, Family, Net, Resolution, SocketOption};

/// The place of a process in its tree, and its host.
#[derive(Clone, Debug)]
pub struct Member {
    /// The tree.
    pub tree: Tree,
    /// Its number there.
    pub pid: Pid,
}

impl Member {
    /// Makes a pipe: its reading end, its writing end.
    ///
    /// # Errors
    /// [`Errno::TooManyFiles`] if the tree has too many.
    pub fn pipe(&self) -> Answer<(Handle, Handle)> {
        self.tree.lock().make_pipe().ok_or(Errno::TooManyFiles)
    }
}

/// What a pipe is, to whoever asks.
const PIPE_STAT: Stat = Stat {
    device: 0,
    inode: 0,
    kind: Kind::Unknown,
    link_count: 1,
    size_bytes: 0,
    accessed_ns: 0,
    modified_ns: 0,
    changed_ns: 0,
};

impl Host for Member {
    // ---- Pipes are its own ----

    fn close(&mut self, object: Handle) -> Answer<()> {
        let mut core = self.tree.lock();
        match core.pipe(object) {
            Some(_) => core.close_end(object),
            None => core.host.close(object)?,
        }
        Ok(())
    }
    fn stat(&mut self, object: Handle) -> Answer<Stat> {
        let mut core = self.tree.lock();
        match core.pipe(object) {
            Some(_) => Ok(Stat { inode: u64::from(object.0 / 2), ..PIPE_STAT }),
            None => core.host.stat(object),
        }
    }
    fn read(&mut self, stream: Handle, buffers: &mut [IoSliceMut<'_>]) -> Answer<usize> {
        let mut core = self.tree.lock();
        let Some((pipe, direction)) = core.pipe(stream) else {
            return core.host.read(stream, buffers);
        };
        let Direction::Read = direction else { return Err(Errno::BadDescriptor) };
        let count = pipe.read(buffers)?;
        core.changed(stream);
        Ok(count)
    }
    fn write(&mut self, stream: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        let mut core = self.tree.lock();
        let Some((pipe, direction)) = core.pipe(stream) else {
            return core.host.write(stream, buffers);
        };
        let Direction::Write = direction else { return Err(Errno::BadDescriptor) };
        let count = pipe.write(buffers)?;
        core.changed(stream);
        Ok(count)
    }
    /// Never waits: what the process waits for is written down, and whoever runs the tree waits.
    fn wait(&mut self, interests: &mut [Interest], deadline_ns: Option<u64>) -> Answer<Woken> {
        let mut core = self.tree.lock();
        let mut is_ready = false;
        let mut others: Vec<Interest> = Vec::new();
        for interest in interests.iter_mut() {
            match core.pipe(interest.object) {
                Some((pipe, direction)) => {
                    let is_meant = direction == interest.direction;
                    interest.ready = pipe.readiness(direction).filter(|_| is_meant);
                    is_ready |= interest.ready.is_some();
                }
                None => others.push(Interest { ready: None, ..*interest }),
            }
        }
        if !others.is_empty() {
            core.host.wait(&mut others, Some(0))?;
            let mut answers = others.into_iter();
            for interest in interests.iter_mut() {
                if core.pipe(interest.object).is_none() {
                    interest.ready = answers.next().and_then(|answer| answer.ready);
                    is_ready |= interest.ready.is_some();
                }
            }
        }
        if is_ready {
            return Ok(Woken::Ready);
        }
        if let Some(deadline_ns) = deadline_ns
            && deadline_ns <= core.host.now_ns(Clock::Monotonic)?
        {
            return Ok(Woken::Deadline);
        }
        core.await_all(self.pid, interests, deadline_ns);
        Ok(Woken::Interrupted)
    }

    // ---- All else is the host's of the tree ----

    fn net(&mut self) -> Answer<&mut dyn Net> {
        Ok(self)
    }
    fn waker(&self) -> Arc<dyn Waker> {
        self.tree.lock().host.waker()
    }
    fn terminal_size(&mut self) -> Option<(u16, u16)> {
        self.tree.lock().host.terminal_size()
    }
    fn now_ns(&mut self, clock: Clock) -> Answer<u64> {
        self.tree.lock().host.now_ns(clock)
    }
    fn resolution_ns(&mut self, clock: Clock) -> Answer<u64> {
        self.tree.lock().host.resolution_ns(clock)
    }
    fn random(&mut self, buffer: &mut [u8]) -> Answer<()> {
        self.tree.lock().host.random(buffer)
    }
    fn stream(&mut self, stream: Stream) -> Answer<Opened> {
        self.tree.lock().host.stream(stream)
    }
    fn mount(&mut self, directory: &Path, access: MountAccess) -> Answer<Handle> {
        self.tree.lock().host.mount(directory, access)
    }
    fn listen(&mut self, address: &str) -> Answer<Handle> {
        self.tree.lock().host.listen(address)
    }
    fn set_times(&mut self, object: Handle, accessed: SetTime, modified: SetTime) -> Answer<()> {
        self.tree.lock().host.set_times(object, accessed, modified)
    }
    fn sync(&mut self, object: Handle, what: Durability) -> Answer<()> {
        self.tree.lock().host.sync(object, what)
    }
    fn read_at(
        &mut self, file: Handle, buffers: &mut [IoSliceMut<'_>], offset: u64,
    ) -> Answer<usize> {
        self.tree.lock().host.read_at(file, buffers, offset)
    }
    fn write_at(&mut self, file: Handle, buffers: &[IoSlice<'_>], offset: u64) -> Answer<usize> {
        self.tree.lock().host.write_at(file, buffers, offset)
    }
    fn append(&mut self, file: Handle, buffers: &[IoSlice<'_>]) -> Answer<(usize, u64)> {
        self.tree.lock().host.append(file, buffers)
    }
    fn set_size(&mut self, file: Handle, size_bytes: u64) -> Answer<()> {
        self.tree.lock().host.set_size(file, size_bytes)
    }
    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Answer<()> {
        self.tree.lock().host.allocate(file, offset, length)
    }
    fn advise(&mut self, file: Handle, offset: u64, length: u64, advice: Advice) -> Answer<()> {
        self.tree.lock().host.advise(file, offset, length, advice)
    }
    fn open(&mut self, directory: Handle, path: &[u8], how: OpenHow) -> Answer<Opened> {
        self.tree.lock().host.open(directory, path, how)
    }
    fn stat_at(&mut self, directory: Handle, path: &[u8], follow: Follow) -> Answer<Stat> {
        self.tree.lock().host.stat_at(directory, path, follow)
    }
    fn set_times_at(
        &mut self, directory: Handle, path: &[u8], follow: Follow, accessed: SetTime,
        modified: SetTime,
    ) -> Answer<()> {
        self.tree.lock().host.set_times_at(directory, path, follow, accessed, modified)
    }
    fn create_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        self.tree.lock().host.create_directory(directory, path)
    }
    fn remove_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        self.tree.lock().host.remove_directory(directory, path)
    }
    fn remove_file(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        self.tree.lock().host.remove_file(directory, path)
    }
    fn rename(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()> {
        self.tree.lock().host.rename(from, path, to, new_path)
    }
    fn link(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()> {
        self.tree.lock().host.link(from, path, to, new_path)
    }
    fn symlink(&mut self, target: &[u8], directory: Handle, path: &[u8]) -> Answer<()> {
        self.tree.lock().host.symlink(target, directory, path)
    }
    fn read_link(&mut self, directory: Handle, path: &[u8], buffer: &mut [u8]) -> Answer<usize> {
        self.tree.lock().host.read_link(directory, path, buffer)
    }
    fn accept(&mut self, listener: Handle) -> Answer<Opened> {
        self.tree.lock().host.accept(listener)
    }
    fn receive(
        &mut self, socket: Handle, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<(usize, Truncated)> {
        self.tree.lock().host.receive(socket, buffers, how)
    }
    fn send(&mut self, socket: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        self.tree.lock().host.send(socket, buffers)
    }
    fn shut_down(&mut self, socket: Handle, what: Shutdown) -> Answer<()> {
        self.tree.lock().host.shut_down(socket, what)
    }
    fn chance(&self) -> Option<u64> {
        self.tree.lock().host.chance()
    }
    fn go_on_with(&mut self, chance: u64) {
        self.tree.lock().host.go_on_with(chance)
    }
    fn resume_stream(&mut self, stream: Stream, bytes: u64) -> Answer<()> {
        self.tree.lock().host.resume_stream(stream, bytes)
    }
    fn hand_over(&mut self, object: Handle) -> Answer<Vec<u8>> {
        self.tree.lock().host.hand_over(object)
    }
    fn take_over(&mut self, name: &[u8]) -> Answer<Opened> {
        self.tree.lock().host.take_over(name)
    }
    fn scratch(&mut self) -> Answer<Opened> {
        self.tree.lock().host.scratch()
    }
    fn list(
        &mut self, directory: Handle, cookie: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Answer<()> {
        self.tree.lock().host.list(directory, cookie, visit)
    }
    fn token(&mut self) -> Answer<[u8; 16]> {
        self.tree.lock().host.token()
    }
}

impl Net for Member {
    fn open(&mut self, family: Family, carries: Carries) -> Answer<Handle> {
        self.tree.lock().host.net()?.open(family, carries)
    }
    fn pair(&mut self, carries: Carries) -> Answer<(Handle, Handle)> {
        self.tree.lock().host.net()?.pair(carries)
    }
    fn bind(&mut self, socket: Handle, address: &Address) -> Answer<()> {
        self.tree.lock().host.net()?.bind(socket, address)
    }
    fn listen(&mut self, socket: Handle, backlog: u32) -> Answer<()> {
        self.tree.lock().host.net()?.listen(socket, backlog)
    }
    fn connect(&mut self, socket: Handle, address: &Address) -> Answer<()> {
        self.tree.lock().host.net()?.connect(socket, address)
    }
    fn receive_from(
        &mut self, socket: Handle, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<(usize, Truncated, Option<Address>)> {
        self.tree.lock().host.net()?.receive_from(socket, buffers, how)
    }
    fn send_to(
        &mut self, socket: Handle, buffers: &[IoSlice<'_>], address: &Address,
    ) -> Answer<usize> {
        self.tree.lock().host.net()?.send_to(socket, buffers, address)
    }
    fn local(&mut self, socket: Handle) -> Answer<Address> {
        self.tree.lock().host.net()?.local(socket)
    }
    fn peer(&mut self, socket: Handle) -> Answer<Address> {
        self.tree.lock().host.net()?.peer(socket)
    }
    fn option(&mut self, socket: Handle, option: SocketOption) -> Answer<u64> {
        self.tree.lock().host.net()?.option(socket, option)
    }
    fn set_option(&mut self, socket: Handle, option: SocketOption, value: u64) -> Answer<()> {
        self.tree.lock().host.net()?.set_option(socket, option, value)
    }
    fn take_error(&mut self, socket: Handle) -> Answer<Option<Errno>> {
        self.tree.lock().host.net()?.take_error(socket)
    }
    fn resolve(&mut self, name: &str) -> Answer<Resolution> {
        self.tree.lock().host.net()?.resolve(name)
    }
}
