//! Streams without an offset: the standard streams of this process, pipes, terminals, devices.
//!
//! Nothing here may wait. The standard streams belong to whoever started the process too, so their
//! mode is left alone: Linux is asked not to wait call by call, and where it cannot (terminals,
//! pipes before 6.4), a `poll` asks first and a write stays so small that it fits.
//! This file must never know what a descriptor number is.

use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use brant_kernel::host::{MountAccess, Stream};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::FileType;
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

/// What `poll` calls writable takes at least this much at once (`PIPE_BUF`).
const POLLED_WRITE_BYTES: usize = 4_096;

/// "Where the stream stands", for calls that take an offset.
const HERE: u64 = u64::MAX;

/// Major number of the devices that are memory: null, zero, full, random.
const MEMORY_DEVICES: u32 = 1;

/// A stream.
#[derive(Debug)]
pub(super) struct Channel {
    descriptor: Descriptor,
    manner: Cell<Manner>,
    access: MountAccess,
}

#[derive(Debug)]
enum Descriptor {
    Standard(Stream),
    Owned(OwnedFd),
}

/// How a call is kept from waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It never waits: a file, a memory device, or a descriptor of our own that says so itself.
    Plain,
    /// The call says that it must not wait.
    Flagged,
    /// A `poll` before the call.
    Polled,
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.descriptor {
            Descriptor::Standard(Stream::Input) => rustix::stdio::stdin(),
            Descriptor::Standard(Stream::Output) => rustix::stdio::stdout(),
            Descriptor::Standard(Stream::Error) => rustix::stdio::stderr(),
            Descriptor::Owned(descriptor) => descriptor.as_fd(),
        }
    }
}

impl Channel {
    /// A standard stream of this process.
    pub(super) fn standard(stream: Stream) -> Result<Channel, Errno> {
        let channel = Channel {
            descriptor: Descriptor::Standard(stream),
            manner: Cell::new(Manner::Flagged),
            access: MountAccess::ReadWrite,
        };
        let stat = rustix::fs::fstat(&channel)?;
        let memory = rustix::fs::major(stat.st_rdev) == MEMORY_DEVICES;
        channel.manner.set(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Manner::Plain,
            FileType::CharacterDevice if memory => Manner::Plain,
            FileType::CharacterDevice => Manner::Polled,
            _ => Manner::Flagged,
        });
        Ok(channel)
    }

    /// A pipe or device that was opened so that it does not wait.
    pub(super) fn owned(descriptor: OwnedFd, access: MountAccess) -> Channel {
        let descriptor = Descriptor::Owned(descriptor);
        Channel { descriptor, manner: Cell::new(Manner::Plain), access }
    }

    /// What its mount allows.
    pub(super) fn access(&self) -> MountAccess {
        self.access
    }

    /// Reads what is there.
    pub(super) fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        if self.manner.get() == Manner::Flagged {
            let answer =
                retry_on_intr(|| rustix::io::preadv2(self, buffers, HERE, ReadWriteFlags::NOWAIT));
            if !self.cannot_be_flagged(&answer) {
                return answer;
            }
        }
        if self.manner.get() == Manner::Polled && !self.is_ready(PollFlags::IN)? {
            return Err(Errno::AGAIN);
        }
        match buffers {
            [buffer] => retry_on_intr(|| rustix::io::read(self, &mut buffer[..])),
            _ => retry_on_intr(|| rustix::io::readv(self, buffers)),
        }
    }

    /// Writes what has room.
    pub(super) fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        if self.manner.get() == Manner::Flagged {
            let answer =
                retry_on_intr(|| rustix::io::pwritev2(self, buffers, HERE, ReadWriteFlags::NOWAIT));
            if !self.cannot_be_flagged(&answer) {
                return answer;
            }
        }
        if self.manner.get() == Manner::Polled {
            if !self.is_ready(PollFlags::OUT)? {
                return Err(Errno::AGAIN);
            }
            return retry_on_intr(|| self.write_little(buffers));
        }
        match buffers {
            [buffer] => retry_on_intr(|| rustix::io::write(self, buffer)),
            _ => retry_on_intr(|| rustix::io::writev(self, buffers)),
        }
    }

    /// Writes the beginning, at most what a `poll` has promised.
    fn write_little(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let mut bytes = 0;
        let whole = buffers.iter().take_while(|buffer| {
            bytes += buffer.len();
            bytes <= POLLED_WRITE_BYTES
        });
        match whole.count() {
            0 => match buffers.first() {
                Some(first) => rustix::io::write(self, &first[..POLLED_WRITE_BYTES]),
                None => Ok(0),
            },
            count => rustix::io::writev(self, &buffers[..count]),
        }
    }

    /// Notes that the system cannot be told not to wait on this stream.
    fn cannot_be_flagged(&self, answer: &Result<usize, Errno>) -> bool {
        let unknown = [Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL];
        let cannot = answer.is_err_and(|error| unknown.contains(&error));
        if cannot {
            self.manner.set(Manner::Polled);
        }
        cannot
    }

    fn is_ready(&self, wanted: PollFlags) -> Result<bool, Errno> {
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut asked = [PollFd::new(self, wanted)];
        Ok(retry_on_intr(|| rustix::event::poll(&mut asked, Some(&at_once)))? > 0)
    }
}
