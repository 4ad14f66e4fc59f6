//! The real system: files below granted directories, streams, sockets, clocks, random numbers.
//!
//! [`NativeHost`] answers `trait Host` from the machine that brant runs on.
//! `resolve` is the one way from a guest's path to a file; `directory` and `listing` build on it;
//! `channel` and `socket` never wait; `wait` is the one place that does.
//! Nothing here knows what a guest, a descriptor number or a WASI call is.

mod channel;
mod clock;
mod directory;
pub mod doctor;
mod errno;
mod gate;
pub mod handover;
pub mod landlock;
mod listing;
mod net;
mod object;
pub mod private;
mod resolve;
pub mod seccomp;
mod socket;
mod wait;
pub mod watch;

use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use brant_kernel::errno::Errno;
use brant_kernel::host::{
    Advice, Answer, Clock, Durability, Entry, Follow, Handle, Host, Interest, Kind, MountAccess,
    OpenHow, Opened, Receive, SetTime, Shutdown, Stat, Stream, Truncated, Waker, Woken,
};
use brant_kernel::net::Net;
use rustix::fs::{FallocateFlags, FileType};
use rustix::io::ReadWriteFlags;

use channel::Channel;
use directory::{Directory, Found, timestamps};
use errno::errno;
pub use gate::Gate;
use object::{Object, Objects};
use wait::Bell;

/// The machine that brant runs on. Making one costs no system call.
#[derive(Debug, Default)]
pub struct NativeHost {
    objects: Objects,
    questions: net::Questions,
    bell: Arc<Bell>,
    /// Input here ends a wait.
    doorbell: Option<OwnedFd>,
    /// Knows which sockets stay here when the process leaves.
    gate: Option<Gate>,
}

impl NativeHost {
    /// A host with nothing open.
    pub fn new() -> NativeHost {
        NativeHost::default()
    }

    /// Has waits end as if they were woken whenever there is input at `doorbell`, which somebody else
    /// reads.
    #[must_use]
    pub fn with_doorbell(self, doorbell: OwnedFd) -> NativeHost {
        NativeHost { doorbell: Some(doorbell), ..self }
    }

    /// Keeps sockets behind `gate` when the process leaves.
    #[must_use]
    pub fn with_gate(self, gate: Gate) -> NativeHost {
        NativeHost { gate: Some(gate), ..self }
    }
}

/// The user on whose behalf this process acts, by number.
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl Host for NativeHost {
    fn now_ns(&mut self, clock: Clock) -> Answer<u64> {
        Ok(clock::now_ns(clock))
    }

    fn resolution_ns(&mut self, clock: Clock) -> Answer<u64> {
        Ok(clock::resolution_ns(clock))
    }

    fn random(&mut self, buffer: &mut [u8]) -> Answer<()> {
        clock::random(buffer).map_err(errno)
    }

    fn stream(&mut self, stream: Stream) -> Answer<Opened> {
        let channel = Channel::standard(stream).map_err(errno)?;
        let stat = rustix::fs::fstat(&channel).map_err(errno)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            // Its offset is shared with other processes: a guest sees a stream.
            FileType::RegularFile => Kind::Unknown,
            other => object::kind(other),
        };
        let terminal = kind == Kind::CharacterDevice && rustix::termios::isatty(&channel);
        let handle = self.objects.insert(Object::Channel(channel))?;
        Ok(Opened { handle, kind, terminal })
    }

    fn mount(&mut self, directory: &Path, access: MountAccess) -> Answer<Handle> {
        let directory = Directory::mount(directory, access).map_err(errno)?;
        self.objects.insert(Object::Directory(directory))
    }

    fn listen(&mut self, address: &str) -> Answer<Handle> {
        let listener = socket::listen(address).map_err(errno)?;
        let handle = self.objects.insert(Object::Listener(listener))?;
        if let Some(gate) = &self.gate {
            gate.listens(address, handle);
        }
        Ok(handle)
    }

    fn close(&mut self, object: Handle) -> Answer<()> {
        let closed = self.objects.remove(object);
        if let Some(gate) = &self.gate {
            gate.closed(object);
        }
        closed.map(drop)
    }

    fn stat(&mut self, object: Handle) -> Answer<Stat> {
        let stat = rustix::fs::fstat(self.objects.get(object)?).map_err(errno)?;
        Ok(stat_of(&stat))
    }

    fn set_times(&mut self, object: Handle, accessed: SetTime, modified: SetTime) -> Answer<()> {
        let object = self.objects.get(object)?;
        object.writable()?;
        rustix::fs::futimens(object, &timestamps(accessed, modified)).map_err(errno)
    }

    fn sync(&mut self, object: Handle, what: Durability) -> Answer<()> {
        let object = self.objects.get(object)?;
        match what {
            Durability::Data => rustix::fs::fdatasync(object),
            Durability::All => rustix::fs::fsync(object),
        }
        .map_err(errno)
    }

    fn read_at(
        &mut self, file: Handle, buffers: &mut [IoSliceMut<'_>], offset: u64,
    ) -> Answer<usize> {
        let file = self.objects.file(file)?;
        match buffers {
            [buffer] => rustix::io::pread(file, &mut buffer[..], offset),
            _ => rustix::io::preadv(file, buffers, offset),
        }
        .map_err(errno)
    }

    fn write_at(&mut self, file: Handle, buffers: &[IoSlice<'_>], offset: u64) -> Answer<usize> {
        let file = self.objects.file(file)?;
        match buffers {
            [buffer] => rustix::io::pwrite(file, buffer, offset),
            _ => rustix::io::pwritev(file, buffers, offset),
        }
        .map_err(errno)
    }

    fn append(&mut self, file: Handle, buffers: &[IoSlice<'_>]) -> Answer<(usize, u64)> {
        let file = self.objects.file(file)?;
        // An offset of -1 moves the file's own offset along, which then tells where the end was.
        let count = rustix::io::pwritev2(file, buffers, u64::MAX, ReadWriteFlags::APPEND);
        let count = count.map_err(errno)?;
        Ok((count, rustix::fs::tell(file).map_err(errno)?))
    }

    fn set_size(&mut self, file: Handle, size_bytes: u64) -> Answer<()> {
        self.objects.get(file)?.writable()?;
        rustix::fs::ftruncate(self.objects.file(file)?, size_bytes).map_err(errno)
    }

    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Answer<()> {
        self.objects.get(file)?.writable()?;
        let file = self.objects.file(file)?;
        rustix::io::retry_on_intr(|| {
            rustix::fs::fallocate(file, FallocateFlags::empty(), offset, length)
        })
        .map_err(errno)
    }

    fn advise(&mut self, file: Handle, offset: u64, length: u64, advice: Advice) -> Answer<()> {
        let advice = match advice {
            Advice::Normal => rustix::fs::Advice::Normal,
            Advice::Sequential => rustix::fs::Advice::Sequential,
            Advice::Random => rustix::fs::Advice::Random,
            Advice::WillNeed => rustix::fs::Advice::WillNeed,
            Advice::DontNeed => rustix::fs::Advice::DontNeed,
            Advice::NoReuse => rustix::fs::Advice::NoReuse,
        };
        let file = self.objects.file(file)?;
        rustix::fs::fadvise(file, offset, NonZeroU64::new(length), advice).map_err(errno)
    }

    fn read(&mut self, stream: Handle, buffers: &mut [IoSliceMut<'_>]) -> Answer<usize> {
        match self.objects.get(stream)? {
            Object::Channel(channel) => channel.read(buffers).map_err(errno),
            Object::Directory(_) => Err(Errno::IsDirectory),
            Object::File { .. } | Object::Bell(_) => Err(Errno::Invalid),
            Object::Listener(_) | Object::Socket(_) => {
                self.receive(stream, buffers, Receive::default()).map(|(count, _)| count)
            }
        }
    }

    fn write(&mut self, stream: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        match self.objects.get(stream)? {
            Object::Channel(channel) => channel.write(buffers).map_err(errno),
            Object::Directory(_) => Err(Errno::IsDirectory),
            Object::File { .. } | Object::Bell(_) => Err(Errno::Invalid),
            Object::Listener(_) | Object::Socket(_) => self.send(stream, buffers),
        }
    }

    fn open(&mut self, directory: Handle, path: &[u8], how: OpenHow) -> Answer<Opened> {
        let directory = self.objects.directory(directory)?;
        let access = directory.access();
        let (object, kind) = match directory.open(path, how).map_err(errno)? {
            Found::Directory(directory) => (Object::Directory(directory), Kind::Directory),
            Found::File(file) => (Object::File { file, access }, Kind::File),
            Found::Other(file, kind) => {
                let channel = Channel::owned(OwnedFd::from(file), access);
                (Object::Channel(channel), object::kind(kind))
            }
        };
        let terminal = kind == Kind::CharacterDevice && rustix::termios::isatty(object.as_fd());
        let handle = self.objects.insert(object)?;
        Ok(Opened { handle, kind, terminal })
    }

    fn list(
        &mut self, directory: Handle, cookie: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Answer<()> {
        let Object::Directory(directory) = self.objects.get_mut(directory)? else {
            return Err(Errno::NotDirectory);
        };
        let mut visit = |listed: listing::Listed<'_>| {
            visit(Entry {
                next_cookie: listed.next_cookie,
                inode: listed.inode,
                kind: object::kind(listed.kind),
                name: listed.name,
            })
        };
        directory.list(cookie, &mut visit).map_err(errno)
    }

    fn stat_at(&mut self, directory: Handle, path: &[u8], follow: Follow) -> Answer<Stat> {
        let stat = self.objects.directory(directory)?.stat(path, follow).map_err(errno)?;
        Ok(stat_of(&stat))
    }

    fn set_times_at(
        &mut self, directory: Handle, path: &[u8], follow: Follow, accessed: SetTime,
        modified: SetTime,
    ) -> Answer<()> {
        let times = timestamps(accessed, modified);
        self.objects.directory(directory)?.set_times(path, follow, &times).map_err(errno)
    }

    fn create_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        self.objects.directory(directory)?.create_directory(path).map_err(errno)
    }

    fn remove_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        self.objects.directory(directory)?.remove_directory(path).map_err(errno)
    }

    fn remove_file(&mut self, directory: Handle, path: &[u8]) -> Answer<()> {
        self.objects.directory(directory)?.remove_file(path).map_err(errno)
    }

    fn rename(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()> {
        let to = self.objects.directory(to)?;
        self.objects.directory(from)?.rename(path, to, new_path).map_err(errno)
    }

    fn link(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()> {
        let to = self.objects.directory(to)?;
        self.objects.directory(from)?.link(path, to, new_path).map_err(errno)
    }

    fn symlink(&mut self, target: &[u8], directory: Handle, path: &[u8]) -> Answer<()> {
        self.objects.directory(directory)?.symlink(target, path).map_err(errno)
    }

    fn read_link(&mut self, directory: Handle, path: &[u8], buffer: &mut [u8]) -> Answer<usize> {
        self.objects.directory(directory)?.read_link(path, buffer).map_err(errno)
    }

    fn accept(&mut self, listener: Handle) -> Answer<Opened> {
        let socket = match self.objects.get(listener)? {
            // A socket that does not listen says so itself.
            Object::Listener(socket) | Object::Socket(socket) => socket,
            _ => return Err(Errno::NotSocket),
        };
        let connection = socket::accept(socket).map_err(errno)?;
        let handle = self.objects.insert(Object::Socket(connection))?;
        if let Some(gate) = &self.gate {
            gate.accepted(listener, handle);
        }
        Ok(Opened { handle, kind: Kind::StreamSocket, terminal: false })
    }

    fn receive(
        &mut self, socket: Handle, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<(usize, Truncated)> {
        socket::receive(self.objects.socket(socket)?, buffers, how).map_err(errno)
    }

    fn send(&mut self, socket: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        socket::send(self.objects.socket(socket)?, buffers).map_err(errno)
    }

    fn shut_down(&mut self, socket: Handle, what: Shutdown) -> Answer<()> {
        socket::shut_down(self.objects.socket(socket)?, what).map_err(errno)
    }

    fn net(&mut self) -> Answer<&mut dyn Net> {
        Ok(self)
    }

    fn wait(&mut self, interests: &mut [Interest], deadline_ns: Option<u64>) -> Answer<Woken> {
        wait::wait(&self.objects, (&self.bell, self.doorbell.as_ref()), interests, deadline_ns)
    }

    fn terminal_size(&mut self) -> Option<(u16, u16)> {
        let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
        let streams = [output, rustix::stdio::stderr(), input].into_iter();
        let size =
            streams.filter_map(|stream| rustix::termios::tcgetwinsize(stream).ok()).next()?;
        Some((size.ws_col, size.ws_row))
    }

    fn waker(&self) -> Arc<dyn Waker> {
        self.bell.clone()
    }

    fn hand_over(&mut self, object: Handle) -> Answer<Vec<u8>> {
        let gate = self.gate.as_ref().ok_or(Errno::NotSupported)?;
        gate.hand_over(object, self.objects.get(object)?.as_fd())
    }

    #[cfg(target_os = "linux")]
    fn scratch(&mut self) -> Answer<Opened> {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create(c"brant scratch file", flags).map_err(errno)?;
        let object = Object::File { file: file.into(), access: MountAccess::ReadWrite };
        let handle = self.objects.insert(object)?;
        Ok(Opened { handle, kind: Kind::File, terminal: false })
    }
}

fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    let ns = |seconds: i64, rest: u64| {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(rest)
    };
    Stat {
        device: wide(stat.st_dev),
        inode: wide(stat.st_ino),
        kind: object::kind(FileType::from_raw_mode(stat.st_mode)),
        link_count: wide(stat.st_nlink),
        size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
        accessed_ns: ns(stat.st_atime, stat.st_atime_nsec),
        modified_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
        changed_ns: ns(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// Some machines count in fewer bits.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}
