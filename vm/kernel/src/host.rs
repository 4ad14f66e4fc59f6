//! `trait Host`: everything nondeterministic that a guest can see enters here, and nowhere else.
//!
//! A host holds open objects (directories, files, streams, sockets) behind [`Handle`]s and answers
//! one question at a time. It never blocks but in [`Host::wait`]: what would block says
//! [`Errno::Again`], and the kernel parks the call as data.
//! It knows no descriptor, no right and no guest memory; offsets of files are the kernel's, so that
//! they can be saved. Two hosts exist: the real system and a deterministic twin.
//!
//! Paths are the guest's bytes, relative to a directory, and hostile. A host resolves them without
//! ever leaving the mount that the directory belongs to.

use std::io::{IoSlice, IoSliceMut};
use std::path::Path;
use std::sync::Arc;

use crate::errno::Errno;
use crate::net::Net;

/// What a host answers.
pub type Answer<T> = Result<T, Errno>;

/// Names an open object of one host; means nothing to any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub u32);

/// The real system, or a deterministic twin of it.
pub trait Host: Send {
    // ---- Time and chance ----

    /// Time of `clock`, in nanoseconds; since 1970 for [`Clock::Realtime`].
    ///
    /// # Errors
    /// [`Errno::NotSupported`] where the system has no such clock.
    fn now_ns(&mut self, clock: Clock) -> Answer<u64>;

    /// The smallest step of `clock`, in nanoseconds, never 0.
    ///
    /// # Errors
    /// [`Errno::NotSupported`] where the system has no such clock.
    fn resolution_ns(&mut self, clock: Clock) -> Answer<u64>;

    /// Fills `buffer` with random bytes. The kernel asks for at most 64 KiB at a time.
    ///
    /// # Errors
    /// [`Errno::Io`] where the system has none to give.
    fn random(&mut self, buffer: &mut [u8]) -> Answer<()>;

    // ---- Objects that exist from the start ----

    /// A standard stream of this process.
    ///
    /// # Errors
    /// [`Errno::BadDescriptor`] if it is closed.
    fn stream(&mut self, stream: Stream) -> Answer<Opened>;

    /// Opens a directory that the manifest grants. Through a read-only one nothing below it can
    /// ever be changed: each call that would says [`Errno::ReadOnly`].
    ///
    /// # Errors
    /// What the system says, [`Errno::NotDirectory`] for anything else.
    fn mount(&mut self, directory: &Path, access: MountAccess) -> Answer<Handle>;

    /// Starts to listen on a TCP address (`127.0.0.1:8080`) that the manifest grants.
    ///
    /// # Errors
    /// What the system says, [`Errno::Invalid`] for what is no address.
    fn listen(&mut self, address: &str) -> Answer<Handle>;

    // ---- Any object ----

    /// Lets go of an object.
    ///
    /// # Errors
    /// [`Errno::BadDescriptor`] for a handle that is not open, like every call below.
    fn close(&mut self, object: Handle) -> Answer<()>;

    /// What is known of an open object.
    ///
    /// # Errors
    /// What the system says.
    fn stat(&mut self, object: Handle) -> Answer<Stat>;

    /// Sets the times of an open file or directory.
    ///
    /// # Errors
    /// What the system says; [`Errno::ReadOnly`].
    fn set_times(&mut self, object: Handle, accessed: SetTime, modified: SetTime) -> Answer<()>;

    /// Brings what was written to the disk; [`Durability::Data`] without the times.
    ///
    /// # Errors
    /// What the system says; [`Errno::Invalid`] for what cannot be synchronised.
    fn sync(&mut self, object: Handle, what: Durability) -> Answer<()>;

    // ---- Files: the offset is the caller's ----

    /// Reads from `offset` on; 0 bytes at the end.
    ///
    /// # Errors
    /// What the system says; [`Errno::IsDirectory`], [`Errno::IllegalSeek`].
    fn read_at(
        &mut self, file: Handle, buffers: &mut [IoSliceMut<'_>], offset: u64,
    ) -> Answer<usize>;

    /// Writes from `offset` on, and grows the file with zeros up to there.
    ///
    /// # Errors
    /// What the system says; [`Errno::ReadOnly`], [`Errno::NoSpace`], [`Errno::FileTooBig`].
    fn write_at(&mut self, file: Handle, buffers: &[IoSlice<'_>], offset: u64) -> Answer<usize>;

    /// Writes at the end, whoever else does so too.
    /// Gives the number of bytes and the offset behind them.
    ///
    /// # Errors
    /// As [`Host::write_at`].
    fn append(&mut self, file: Handle, buffers: &[IoSlice<'_>]) -> Answer<(usize, u64)>;

    /// Cuts or grows a file to `size_bytes`.
    ///
    /// # Errors
    /// What the system says; [`Errno::ReadOnly`], [`Errno::FileTooBig`].
    fn set_size(&mut self, file: Handle, size_bytes: u64) -> Answer<()>;

    /// Makes sure that `length` bytes from `offset` on have room; grows the file if it is shorter.
    ///
    /// # Errors
    /// What the system says; [`Errno::NotSupported`], [`Errno::ReadOnly`], [`Errno::NoSpace`].
    fn allocate(&mut self, file: Handle, offset: u64, length: u64) -> Answer<()>;

    /// Tells how a range (to the end if `length` is 0) will be used.
    ///
    /// # Errors
    /// What the system says.
    fn advise(&mut self, file: Handle, offset: u64, length: u64, advice: Advice) -> Answer<()>;

    // ---- Streams: what has no offset ----

    /// Reads what is there from a stream, a device or a socket; 0 bytes at the end.
    ///
    /// # Errors
    /// [`Errno::Again`] if nothing is there yet.
    fn read(&mut self, stream: Handle, buffers: &mut [IoSliceMut<'_>]) -> Answer<usize>;

    /// Writes what has room to a stream, a device or a socket.
    ///
    /// # Errors
    /// [`Errno::Again`] if nothing has room; [`Errno::BrokenPipe`] if nobody reads any more.
    fn write(&mut self, stream: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize>;

    // ---- Directories and paths ----

    /// Opens what `path` names below `directory`.
    ///
    /// # Errors
    /// What the system says; [`Errno::NotPermitted`] for a path that leaves the mount;
    /// [`Errno::ReadOnly`] if anything could be changed through it and the mount is read-only.
    fn open(&mut self, directory: Handle, path: &[u8], how: OpenHow) -> Answer<Opened>;

    /// Lists a directory from `cookie` on (0 is the start) until `visit` says `false`.
    ///
    /// `.` and `..` come first. An entry's cookie is that of the next one, and is small.
    ///
    /// # Errors
    /// What the system says; [`Errno::NotDirectory`].
    fn list(
        &mut self, directory: Handle, cookie: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Answer<()>;

    /// What is known of the file that `path` names.
    ///
    /// # Errors
    /// What the system says; [`Errno::NotPermitted`] for a path that leaves the mount, like every
    /// call below.
    fn stat_at(&mut self, directory: Handle, path: &[u8], follow: Follow) -> Answer<Stat>;

    /// Sets the times of the file that `path` names.
    ///
    /// # Errors
    /// What the system says; [`Errno::ReadOnly`], like every call below that changes something.
    fn set_times_at(
        &mut self, directory: Handle, path: &[u8], follow: Follow, accessed: SetTime,
        modified: SetTime,
    ) -> Answer<()>;

    /// Makes a directory.
    ///
    /// # Errors
    /// What the system says.
    fn create_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// What the system says.
    fn remove_directory(&mut self, directory: Handle, path: &[u8]) -> Answer<()>;

    /// Removes a name that is no directory.
    ///
    /// # Errors
    /// What the system says.
    fn remove_file(&mut self, directory: Handle, path: &[u8]) -> Answer<()>;

    /// Gives a file or directory another name, in place of what had that name.
    ///
    /// # Errors
    /// What the system says; [`Errno::CrossDevice`].
    fn rename(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()>;

    /// Gives a file a second name. A symbolic link is not followed.
    ///
    /// # Errors
    /// What the system says; [`Errno::CrossDevice`].
    fn link(&mut self, from: Handle, path: &[u8], to: Handle, new_path: &[u8]) -> Answer<()>;

    /// Makes a symbolic link at `path`.
    ///
    /// # Errors
    /// What the system says; [`Errno::NotPermitted`] for a target that is absolute or leads out of
    /// the mount, so that no other program can be led there either.
    fn symlink(&mut self, target: &[u8], directory: Handle, path: &[u8]) -> Answer<()>;

    /// Reads where a symbolic link points, as much as fits into `buffer`.
    ///
    /// # Errors
    /// What the system says; [`Errno::NotPermitted`] if it points to an absolute path, which would
    /// tell about the system outside.
    fn read_link(&mut self, directory: Handle, path: &[u8], buffer: &mut [u8]) -> Answer<usize>;

    // ---- Sockets ----

    /// Takes the next connection of a listener.
    ///
    /// # Errors
    /// [`Errno::Again`] if nobody has called yet; [`Errno::NotSocket`], like every call below.
    fn accept(&mut self, listener: Handle) -> Answer<Opened>;

    /// Reads what is there from a socket; says too whether a message was cut off.
    ///
    /// # Errors
    /// [`Errno::Again`] if nothing is there yet.
    fn receive(
        &mut self, socket: Handle, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<(usize, Truncated)>;

    /// Writes what has room to a socket.
    ///
    /// # Errors
    /// [`Errno::Again`] if nothing has room; [`Errno::BrokenPipe`].
    fn send(&mut self, socket: Handle, buffers: &[IoSlice<'_>]) -> Answer<usize>;

    /// Ends one or both directions of a connection.
    ///
    /// # Errors
    /// What the system says; [`Errno::NotConnected`].
    fn shut_down(&mut self, socket: Handle, what: Shutdown) -> Answer<()>;

    /// What this host does for sockets that a guest makes itself.
    ///
    /// # Errors
    /// [`Errno::NotSupported`] where there are none.
    fn net(&mut self) -> Answer<&mut dyn Net> {
        Err(Errno::NotSupported)
    }

    // ---- Waiting ----

    /// Waits until one of `interests` can go on, `deadline_ns` of [`Clock::Monotonic`] has come
    /// (`None`: never), or the [`Waker`] was used. Sets [`Interest::ready`] of those that can.
    ///
    /// A deadline that has passed makes this a question that does not wait.
    ///
    /// # Errors
    /// What the system says.
    fn wait(&mut self, interests: &mut [Interest], deadline_ns: Option<u64>) -> Answer<Woken>;

    /// Columns and rows of the terminal that the standard streams lead to; none where they lead
    /// to none.
    fn terminal_size(&mut self) -> Option<(u16, u16)> {
        None
    }

    /// A way to end [`Host::wait`] from another thread.
    fn waker(&self) -> Arc<dyn Waker>;

    // ---- Processes that move ----

    /// A number that no host gives twice: it names a snapshot. Never what a guest would have been
    /// given as random bytes next, so that being saved changes nothing.
    ///
    /// # Errors
    /// [`Errno::Io`] where the system has no random numbers to give.
    fn token(&mut self) -> Answer<[u8; 16]> {
        let mut token = [0; 16];
        self.random(&mut token)?;
        Ok(token)
    }

    /// Where the sequence of random numbers stands, if it is one that a seed repeats; [`Host::go_on_with`]
    /// goes on there.
    fn chance(&self) -> Option<u64> {
        None
    }

    /// Goes on with the sequence of random numbers where another host's stood. Without effect on a
    /// host whose numbers nobody can repeat.
    fn go_on_with(&mut self, _chance: u64) {}

    /// Tells how many bytes of a standard stream the process has read or written elsewhere, before
    /// it goes on here. A host that holds streams for processes that move skips what was read, and
    /// knows what was written.
    ///
    /// # Errors
    /// What the system says; the process cannot go on here.
    fn resume_stream(&mut self, stream: Stream, bytes: u64) -> Answer<()> {
        let _ = (stream, bytes);
        Ok(())
    }

    /// A name by which another host can take an open connection or a listener over. Asking for it
    /// changes nothing.
    ///
    /// # Errors
    /// [`Errno::NotSupported`] if nobody could.
    fn hand_over(&mut self, object: Handle) -> Answer<Vec<u8>> {
        let _ = object;
        Err(Errno::NotSupported)
    }

    /// Takes over what [`Host::hand_over`] of another host has named. The name may be an enemy's.
    ///
    /// # Errors
    /// [`Errno::NotSupported`] if this host takes nothing over; [`Errno::NotCapable`] for a name
    /// that was not meant for it.
    fn take_over(&mut self, name: &[u8]) -> Answer<Opened> {
        let _ = name;
        Err(Errno::NotSupported)
    }

    /// An empty file without a name, for what an unlinked file held elsewhere.
    ///
    /// # Errors
    /// [`Errno::NotSupported`] where there are none.
    fn scratch(&mut self) -> Answer<Opened> {
        Err(Errno::NotSupported)
    }
}

/// Ends a wait of one host from any thread; a wake before the wait ends the next one.
pub trait Waker: Send + Sync {
    /// Makes [`Host::wait`] return.
    fn wake(&self);
}

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The time of day; may jump.
    Realtime,
    /// Never runs backwards; its start means nothing.
    Monotonic,
    /// CPU time of the host process.
    ProcessCpu,
    /// CPU time of the host thread.
    ThreadCpu,
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard input.
    Input,
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// What may be done below a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MountAccess {
    /// Everything.
    ReadWrite,
    /// Nothing that changes anything.
    ReadOnly,
}

/// An object that was just opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its name from now on.
    pub handle: Handle,
    /// What it is.
    pub kind: Kind,
    /// Whether a person sits at the other end.
    pub terminal: bool,
}

/// What an object is. The numbers are those of WASI's `filetype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A pipe, or what has no better name.
    Unknown = 0,
    /// A disk as a device.
    BlockDevice = 1,
    /// A terminal, or another device of characters.
    CharacterDevice = 2,
    /// A directory.
    Directory = 3,
    /// A file with an offset.
    File = 4,
    /// A socket of messages.
    DatagramSocket = 5,
    /// A socket of bytes.
    StreamSocket = 6,
    /// A symbolic link.
    Link = 7,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Number of the device that holds it.
    pub device: u64,
    /// Its number on that device.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// How many names it has.
    pub link_count: u64,
    /// Its size.
    pub size_bytes: u64,
    /// Last read, since 1970.
    pub accessed_ns: u64,
    /// Last written, since 1970.
    pub modified_ns: u64,
    /// Last changed in any way, since 1970.
    pub changed_ns: u64,
}

/// How to open a path. The default asks for nothing but the file as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenHow {
    /// Its bytes will be read.
    pub read: bool,
    /// Its bytes will be written.
    pub write: bool,
    /// Make it if it is not there.
    pub create: bool,
    /// Refuse it if it is there (with `create`).
    pub exclusive: bool,
    /// Empty it.
    pub truncate: bool,
    /// Refuse it if it is no directory.
    pub directory: bool,
    /// Whether a symbolic link in the last component is followed.
    pub follow: Follow,
    /// Whether each write waits for the disk.
    pub sync: Option<Durability>,
}

impl Default for OpenHow {
    fn default() -> OpenHow {
        OpenHow {
            read: false,
            write: false,
            create: false,
            exclusive: false,
            truncate: false,
            directory: false,
            follow: Follow::No,
            sync: None,
        }
    }
}

/// Whether a symbolic link in the last component of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Follow {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// What is brought to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// The bytes, and what is needed to read them again.
    Data,
    /// The times too.
    All,
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetTime {
    /// Leave it.
    Keep,
    /// The host's time.
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

/// How a range of a file will be used. The numbers are those of WASI's `advice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Advice {
    /// Nothing special.
    Normal = 0,
    /// From front to back.
    Sequential = 1,
    /// Here and there.
    Random = 2,
    /// Soon.
    WillNeed = 3,
    /// Not soon.
    DontNeed = 4,
    /// Once.
    NoReuse = 5,
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where the entry behind this one is listed.
    pub next_cookie: u64,
    /// Number of the file.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// Its name: any bytes but NUL and slash.
    pub name: &'a [u8],
}

/// How to receive from a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receive {
    /// Leave the bytes in the socket.
    pub peek: bool,
    /// Only all that was asked for is enough.
    pub wait_all: bool,
}

/// Whether the rest of a message was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncated {
    /// It was.
    Yes,
    /// It was not.
    No,
}

/// Which directions of a connection end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Nothing more is received.
    Read,
    /// Nothing more is sent.
    Write,
    /// Both.
    Both,
}

/// Something to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The object.
    pub object: Handle,
    /// What should become possible.
    pub direction: Direction,
    /// Set by [`Host::wait`].
    pub ready: Option<Readiness>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, or taking a connection.
    Read,
    /// Writing.
    Write,
}

/// What was found of an object that can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Bytes that can be read at once, as far as is known; at least 1 if it is not.
    pub bytes: u64,
    /// Whether the other end is gone.
    pub hung_up: bool,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// An object can go on.
    Ready,
    /// The time has come.
    Deadline,
    /// The waker was used, or the system interrupted the wait.
    Interrupted,
}
