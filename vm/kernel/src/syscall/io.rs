//! Reading and writing.
//!
//! Buffers of the guest are used where they are. What is written goes to the host in batches of
//! sixteen buffers, what is read is filled buffer by buffer: both are legal short transfers to a
//! guest, and neither needs memory of its own.

use std::io::{IoSlice, IoSliceMut};

use brant_engine::GuestMemory;

use crate::descriptor::{Binding, Descriptor, FdFlags, Object};
use crate::errno::Errno;
use crate::host::{Direction, Handle};
use crate::kernel::{CallResult, Kernel, Stopped};
use crate::rights::Rights;
use crate::syscall::Syscall;

/// Buffers in one call. More are an error, as POSIX's IOV_MAX has it.
pub(super) const MOST_BUFFERS: u32 = 1024;
/// The longest message, which is that of UDP.
pub(super) const LONGEST_MESSAGE_BYTES: u64 = 64 << 10;
/// Buffers that go to the host at a time.
const BATCH: usize = 16;
/// The end of a process by the signal PIPE, as a shell counts it.
const BROKEN_PIPE_EXIT: i32 = 128 + 13;

/// A list of buffers in guest memory, checked as a whole.
#[derive(Clone, Copy)]
pub(super) struct Buffers {
    at: u64,
    count: u64,
    /// Sum of the lengths.
    pub bytes: u64,
}

impl Buffers {
    /// Checks the list and each buffer in it, before anything happens.
    ///
    /// # Errors
    /// inval for more than [`MOST_BUFFERS`] or a sum that is no u32; fault.
    pub fn check(memory: &GuestMemory<'_>, at: u32, count: u32) -> Result<Buffers, Stopped> {
        if count > MOST_BUFFERS {
            return Err(Errno::Invalid.into());
        }
        let mut buffers = Buffers { at: u64::from(at), count: u64::from(count), bytes: 0 };
        memory.slice(buffers.at, 8 * buffers.count)?;
        for index in 0..buffers.count {
            let (address, len) = buffers.get(memory, index)?;
            memory.slice(address, len)?;
            buffers.bytes += len;
        }
        if buffers.bytes > u64::from(u32::MAX) { Err(Errno::Invalid.into()) } else { Ok(buffers) }
    }

    /// Address and length of a buffer. A guest that reads into its own list can change it.
    fn get(&self, memory: &GuestMemory<'_>, index: u64) -> Result<(u64, u64), Stopped> {
        let at = self.at + 8 * index;
        Ok((u64::from(memory.read_u32(at)?), u64::from(memory.read_u32(at + 4)?)))
    }

    /// Fills the buffers in order by `read`, which gets each buffer and how much was read before.
    ///
    /// # Errors
    /// What `read` says, if nothing was read before; fault.
    pub fn fill(
        &self, memory: &mut GuestMemory<'_>,
        mut read: impl FnMut(&mut [IoSliceMut<'_>], u64) -> Result<usize, Errno>,
    ) -> Result<u64, Stopped> {
        let mut done = 0;
        for index in 0..self.count {
            let (address, len) = self.get(memory, index)?;
            if len == 0 {
                continue;
            }
            let buffer = memory.slice_mut(address, len)?;
            match read(&mut [IoSliceMut::new(buffer)], done) {
                Ok(count) => {
                    done += count as u64;
                    if (count as u64) < len {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        if self.bytes == 0 {
            // Nothing to fill, but an object that cannot be read still says so.
            read(&mut [], 0)?;
        }
        Ok(done)
    }

    /// Fills the buffers in order with what `read` brings into one buffer at a time: a message is
    /// received as a whole. No message is longer than 64 KiB.
    ///
    /// # Errors
    /// What `read` says; fault.
    pub fn fill_at_once(
        &self, memory: &mut GuestMemory<'_>,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> Result<usize, Errno>,
    ) -> Result<u64, Stopped> {
        if self.count == 1 {
            let (address, len) = self.get(memory, 0)?;
            let buffer = memory.slice_mut(address, len)?;
            return Ok(read(&mut [IoSliceMut::new(buffer)])? as u64);
        }
        let mut message = vec![0; self.bytes.min(LONGEST_MESSAGE_BYTES) as usize];
        let count = read(&mut [IoSliceMut::new(&mut message)])?;
        let (mut rest, mut index) = (&message[..count], 0);
        while !rest.is_empty() && index < self.count {
            let (address, len) = self.get(memory, index)?;
            let (part, behind) = rest.split_at(rest.len().min(len as usize));
            memory.write(address, part)?;
            (rest, index) = (behind, index + 1);
        }
        Ok(count as u64)
    }

    /// Gives all bytes of the buffers to `write` at once: a message is sent as a whole.
    ///
    /// # Errors
    /// What `write` says; msgsize for more than 64 KiB; fault.
    pub fn gather(
        &self, memory: &GuestMemory<'_>, write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, Errno>,
    ) -> Result<u64, Stopped> {
        if self.bytes > LONGEST_MESSAGE_BYTES {
            return Err(Errno::MessageTooBig.into());
        }
        let mut message = Vec::with_capacity(self.bytes as usize);
        for index in 0..self.count {
            let (address, len) = self.get(memory, index)?;
            message.extend_from_slice(memory.slice(address, len)?);
        }
        Ok(write(&[IoSlice::new(&message)])? as u64)
    }

    /// Gives the buffers in order to `write`, with how much was written before, the first
    /// `skip_bytes` left out.
    ///
    /// # Errors
    /// What `write` says, with how much was written before.
    pub fn drain(
        &self, memory: &GuestMemory<'_>, skip_bytes: u64,
        mut write: impl FnMut(&[IoSlice<'_>], u64) -> Result<usize, Errno>,
    ) -> Result<u64, (u64, Stopped)> {
        let (mut done, mut index, mut start) = (skip_bytes, 0, 0);
        while index < self.count || self.bytes == 0 {
            let mut batch = [IoSlice::new(&[]); BATCH];
            let (mut used, mut offered, first) = (0, 0, start);
            while used < BATCH && index < self.count {
                let (address, len) = self.get(memory, index).map_err(|e| (done, e))?;
                let bytes = memory.slice(address, len).map_err(|e| (done, e.into()))?;
                let skipped = done.saturating_sub(start).min(len) as usize;
                batch[used] = IoSlice::new(&bytes[skipped..]);
                offered += len - skipped as u64;
                start += len;
                used += 1;
                index += 1;
            }
            if offered == 0 && self.bytes > 0 {
                continue;
            }
            let written = write(&batch[..used], done).map_err(|errno| (done, errno.into()))?;
            done += written as u64;
            if (written as u64) < offered || self.bytes == 0 {
                break;
            }
            debug_assert!(first <= done);
        }
        Ok(done)
    }
}

impl Kernel {
    /// `fd_read(fd, iovs, iovs_len, nread)`: reads from a file at its offset, or from a stream.
    ///
    /// Errors: badf, notcapable, inval, fault, isdir, again on a nonblocking stream, and the
    /// host's. Spec: `fd_read`.
    pub(crate) fn fd_read(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, iovs: u32, iovs_len: u32, nread: u32,
    ) -> CallResult {
        let descriptor = self.descriptors.get(fd)?;
        readable(descriptor)?;
        let (handle, object, offset) = (descriptor.handle, descriptor.object, descriptor.offset());
        let nonblock = descriptor.flags().contains(FdFlags::NONBLOCK);
        let standard = standard_stream(descriptor);
        let buffers = Buffers::check(memory, iovs, iovs_len)?;
        memory.slice(u64::from(nread), 4)?;
        let host = &mut self.host;
        let read = match object {
            Object::File => buffers.fill(memory, |b, done| host.read_at(handle, b, offset + done)),
            _ => buffers.fill(memory, |b, _| host.read(handle, b)),
        };
        let done = self.park_if_again(read, handle, Direction::Read, nonblock, 0)?;
        if object == Object::File {
            self.descriptors.get(fd)?.set_offset(offset.saturating_add(done));
        }
        if let Some(number) = standard {
            self.count_stream(number, done);
        }
        Ok(memory.write_u32(u64::from(nread), done as u32)?)
    }

    /// `fd_pread(fd, iovs, iovs_len, offset, nread)`: reads at an offset; that of the descriptor
    /// stays.
    ///
    /// Errors: as `fd_read`; spipe for what has no offset. Spec: `fd_pread`.
    pub(crate) fn fd_pread(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, iovs: u32, iovs_len: u32, offset: u64,
        nread: u32,
    ) -> CallResult {
        let descriptor = self.descriptors.get(fd)?;
        has_offset(descriptor)?;
        readable(descriptor)?;
        let handle = descriptor.handle;
        check_offset(offset)?;
        let buffers = Buffers::check(memory, iovs, iovs_len)?;
        memory.slice(u64::from(nread), 4)?;
        let host = &mut self.host;
        let done = buffers.fill(memory, |b, done| host.read_at(handle, b, offset + done))?;
        Ok(memory.write_u32(u64::from(nread), done as u32)?)
    }

    /// `fd_write(fd, iovs, iovs_len, nwritten)`: writes to a file at its offset (or at its end with
    /// append), or to a stream.
    ///
    /// Errors: badf, notcapable, inval, fault, isdir, again on a nonblocking stream, nospc at the
    /// disk limit, pipe, and the host's. Spec: `fd_write`.
    pub(crate) fn fd_write(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, iovs: u32, iovs_len: u32, nwritten: u32,
    ) -> CallResult {
        let descriptor = self.descriptors.get(fd)?;
        writable(descriptor)?;
        let (handle, object, offset) = (descriptor.handle, descriptor.object, descriptor.offset());
        let flags = descriptor.flags();
        let is_pipe = descriptor.binding == Binding::Pipe;
        let standard = standard_stream(descriptor);
        let buffers = Buffers::check(memory, iovs, iovs_len)?;
        memory.slice(u64::from(nwritten), 4)?;
        if object == Object::File {
            self.charge_disk(buffers.bytes)?;
            let done = self.write_file(memory, fd, &buffers, (handle, flags, offset))?;
            return Ok(memory.write_u32(u64::from(nwritten), done as u32)?);
        }
        // A state that was restored may say more than there is.
        let before = self.parked(Syscall::FdWrite).map_or(0, |parked| parked.progress_bytes);
        let before = before.min(buffers.bytes);
        let host = &mut self.host;
        let written = buffers.drain(memory, before, |b, _| host.write(handle, b));
        if let Some(number) = standard {
            let (Ok(reached) | Err((reached, _))) = &written;
            let more = reached.saturating_sub(before);
            self.count_stream(number, more);
        }
        let nonblock = flags.contains(FdFlags::NONBLOCK);
        let done = match written {
            Err((_, Stopped::Errno(Errno::BrokenPipe)))
                if standard.is_some() && self.manifest.ends_on_broken_pipe =>
            {
                return Err(Stopped::Exit(BROKEN_PIPE_EXIT));
            }
            Err((_, Stopped::Errno(Errno::BrokenPipe))) if is_pipe => {
                return Err(self.broken_pipe());
            }
            // What was written before an error counts; the error comes back with the next call.
            Err((done, Stopped::Errno(errno)))
                if done > 0 && (errno != Errno::Again || nonblock) =>
            {
                done
            }
            Err((done, stopped)) => {
                self.park_if_again(Err(stopped), handle, Direction::Write, nonblock, done)?
            }
            // A blocking write ends when all is written.
            Ok(done) if done < buffers.bytes && !nonblock => {
                let again = Err(Errno::Again.into());
                self.park_if_again(again, handle, Direction::Write, nonblock, done)?
            }
            Ok(done) => done,
        };
        Ok(memory.write_u32(u64::from(nwritten), done as u32)?)
    }

    fn write_file(
        &mut self, memory: &GuestMemory<'_>, fd: u32, buffers: &Buffers,
        (handle, flags, offset): (Handle, FdFlags, u64),
    ) -> Result<u64, Stopped> {
        let host = &mut self.host;
        let mut end = offset;
        let written = if flags.contains(FdFlags::APPEND) {
            buffers.drain(memory, 0, |b, _| {
                let (count, behind) = host.append(handle, b)?;
                end = behind;
                Ok(count)
            })
        } else {
            buffers.drain(memory, 0, |b, done| {
                let count = host.write_at(handle, b, offset.saturating_add(done))?;
                end = offset.saturating_add(done + count as u64);
                Ok(count)
            })
        };
        let done = match written {
            Ok(done) => done,
            Err((done, Stopped::Errno(_))) if done > 0 => done,
            Err((_, stopped)) => return Err(stopped),
        };
        self.descriptors.get(fd)?.set_offset(end);
        Ok(done)
    }

    /// `fd_pwrite(fd, iovs, iovs_len, offset, nwritten)`: writes at an offset; that of the
    /// descriptor stays. With append it writes at the end, as Linux does.
    ///
    /// Errors: as `fd_write`; spipe for what has no offset. Spec: `fd_pwrite`.
    pub(crate) fn fd_pwrite(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, iovs: u32, iovs_len: u32, offset: u64,
        nwritten: u32,
    ) -> CallResult {
        let descriptor = self.descriptors.get(fd)?;
        has_offset(descriptor)?;
        writable(descriptor)?;
        let (handle, flags, before) = (descriptor.handle, descriptor.flags(), descriptor.offset());
        check_offset(offset)?;
        let buffers = Buffers::check(memory, iovs, iovs_len)?;
        memory.slice(u64::from(nwritten), 4)?;
        self.charge_disk(buffers.bytes)?;
        let done = self.write_file(memory, fd, &buffers, (handle, flags, offset))?;
        self.descriptors.get(fd)?.set_offset(before);
        Ok(memory.write_u32(u64::from(nwritten), done as u32)?)
    }
}

/// The number of the standard stream that a descriptor leads to.
fn standard_stream(descriptor: &Descriptor) -> Option<usize> {
    match descriptor.binding {
        Binding::Stream(number) => Some(number as usize).filter(|&number| number < 3),
        _ => None,
    }
}

fn readable(descriptor: &Descriptor) -> Result<(), Errno> {
    if descriptor.object == Object::Directory {
        return Err(Errno::IsDirectory);
    }
    if descriptor.rights.contains(Rights::FD_READ) { Ok(()) } else { Err(Errno::NotCapable) }
}

fn writable(descriptor: &Descriptor) -> Result<(), Errno> {
    if descriptor.object == Object::Directory {
        return Err(Errno::IsDirectory);
    }
    if descriptor.rights.contains(Rights::FD_WRITE) { Ok(()) } else { Err(Errno::NotCapable) }
}

/// Whether the object has an offset at all.
pub(super) fn has_offset(descriptor: &Descriptor) -> Result<(), Errno> {
    match descriptor.object {
        Object::File => Ok(()),
        Object::Directory => Err(Errno::IsDirectory),
        Object::Stream | Object::Connection | Object::Listener | Object::Socket => {
            Err(Errno::IllegalSeek)
        }
    }
}

/// Files end below 2^63.
pub(super) fn check_offset(offset: u64) -> Result<(), Errno> {
    if i64::try_from(offset).is_ok() { Ok(()) } else { Err(Errno::Invalid) }
}
