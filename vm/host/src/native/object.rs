//! The open objects of a host, and the numbers that name them.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use brant_kernel::errno::Errno;
use brant_kernel::host::{Answer, Handle, Kind, MountAccess};
use rustix::fs::FileType;

use super::channel::Channel;
use super::directory::Directory;

/// An open object.
#[derive(Debug)]
pub(super) enum Object {
    /// A directory of a mount.
    Directory(Directory),
    /// A regular file; its own offset is never used but for appending.
    File { file: File, access: MountAccess },
    /// A standard stream, a pipe or a device.
    Channel(Channel),
    /// A socket that takes connections.
    Listener(OwnedFd),
    /// A connection.
    Socket(OwnedFd),
    /// What rings when a question is answered; no guest has a number for it.
    Bell(OwnedFd),
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Object::Directory(directory) => directory.as_fd(),
            Object::File { file, .. } => file.as_fd(),
            Object::Channel(channel) => channel.as_fd(),
            Object::Listener(fd) | Object::Socket(fd) | Object::Bell(fd) => fd.as_fd(),
        }
    }
}

impl Object {
    /// What may be done to the file itself.
    pub(super) fn access(&self) -> MountAccess {
        match self {
            Object::Directory(directory) => directory.access(),
            Object::File { access, .. } => *access,
            Object::Channel(channel) => channel.access(),
            Object::Listener(_) | Object::Socket(_) | Object::Bell(_) => MountAccess::ReadWrite,
        }
    }

    /// Refuses a change where nothing may be changed.
    pub(super) fn writable(&self) -> Answer<()> {
        match self.access() {
            MountAccess::ReadWrite => Ok(()),
            MountAccess::ReadOnly => Err(Errno::ReadOnly),
        }
    }
}

/// Objects by number. A number is used again after its object was closed.
#[derive(Debug, Default)]
pub(super) struct Objects {
    slots: Vec<Option<Object>>,
    free: Vec<u32>,
}

impl Objects {
    /// Takes an object in.
    pub(super) fn insert(&mut self, object: Object) -> Answer<Handle> {
        if let Some(number) = self.free.pop() {
            self.slots[number as usize] = Some(object);
            return Ok(Handle(number));
        }
        let number = u32::try_from(self.slots.len()).map_err(|_| Errno::TooManyDescriptors)?;
        self.slots.push(Some(object));
        Ok(Handle(number))
    }

    /// Lets an object go.
    pub(super) fn remove(&mut self, handle: Handle) -> Answer<Object> {
        let slot = self.slots.get_mut(handle.0 as usize);
        let object = slot.and_then(Option::take).ok_or(Errno::BadDescriptor)?;
        self.free.push(handle.0);
        Ok(object)
    }

    /// The object behind a number.
    pub(super) fn get(&self, handle: Handle) -> Answer<&Object> {
        self.slots.get(handle.0 as usize).and_then(Option::as_ref).ok_or(Errno::BadDescriptor)
    }

    /// The same, to change what the host keeps beside it.
    pub(super) fn get_mut(&mut self, handle: Handle) -> Answer<&mut Object> {
        let slot = self.slots.get_mut(handle.0 as usize);
        slot.and_then(Option::as_mut).ok_or(Errno::BadDescriptor)
    }

    /// The directory behind a number.
    pub(super) fn directory(&self, handle: Handle) -> Answer<&Directory> {
        match self.get(handle)? {
            Object::Directory(directory) => Ok(directory),
            _ => Err(Errno::NotDirectory),
        }
    }

    /// The regular file behind a number.
    pub(super) fn file(&self, handle: Handle) -> Answer<&File> {
        match self.get(handle)? {
            Object::File { file, .. } => Ok(file),
            Object::Directory(_) => Err(Errno::IsDirectory),
            _ => Err(Errno::IllegalSeek),
        }
    }

    /// The connection behind a number.
    pub(super) fn socket(&self, handle: Handle) -> Answer<&OwnedFd> {
        match self.get(handle)? {
            Object::Socket(socket) => Ok(socket),
            Object::Listener(_) => Err(Errno::NotConnected),
            _ => Err(Errno::NotSocket),
        }
    }
}

/// What the system calls a kind of file.
pub(super) fn kind(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::CharacterDevice => Kind::CharacterDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Socket => Kind::StreamSocket,
        FileType::Fifo | FileType::Unknown => Kind::Unknown,
    }
}
