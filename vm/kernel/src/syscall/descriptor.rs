//! Descriptors themselves: what they are, what they may do, where they stand.

use brant_engine::GuestMemory;

use crate::descriptor::{Binding, Descriptor, FdFlags, Object, OpenFile};
use crate::errno::Errno;
use crate::host::Kind;
use crate::kernel::{CallResult, Kernel};
use crate::rights::Rights;
use crate::syscall::io::has_offset;

impl Kernel {
    /// `fd_close(fd)`: lets go of an object.
    ///
    /// Errors: badf, and what the host could not write any more. Spec: `fd_close`.
    pub(crate) fn fd_close(&mut self, _: &mut GuestMemory<'_>, fd: u32) -> CallResult {
        let descriptor = self.descriptors.remove(fd)?;
        Ok(self.let_go(descriptor)?)
    }

    /// `fd_fdstat_get(fd, stat)`: 24 bytes: kind, flags, rights, inheriting rights.
    ///
    /// Errors: badf, fault. Spec: `fd_fdstat_get`, `fdstat`.
    pub(crate) fn fd_fdstat_get(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, stat: u32,
    ) -> CallResult {
        let descriptor = self.descriptors.get(fd)?;
        let mut bytes = [0; 24];
        bytes[0] = descriptor.kind as u8;
        bytes[2..4].copy_from_slice(&descriptor.flags().0.to_le_bytes());
        bytes[8..16].copy_from_slice(&descriptor.rights.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&descriptor.inheriting.0.to_le_bytes());
        Ok(memory.write(u64::from(stat), &bytes)?)
    }

    /// `fd_fdstat_set_flags(fd, flags)`: sets append and nonblock.
    ///
    /// Errors: badf, notcapable, inval for unknown flags, notsup to change a flag of synchronous
    /// writes. Spec: `fd_fdstat_set_flags`.
    pub(crate) fn fd_fdstat_set_flags(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, flags: u32,
    ) -> CallResult {
        let flags = fd_flags(flags)?;
        let descriptor = self.descriptors.with_rights(fd, Rights::FD_FDSTAT_SET_FLAGS)?;
        let changed = FdFlags(flags.0 ^ descriptor.flags().0);
        if changed.0 & !(FdFlags::APPEND.0 | FdFlags::NONBLOCK.0) != 0 {
            return Err(Errno::NotSupported.into());
        }
        descriptor.set_flags(flags);
        Ok(())
    }

    /// `fd_fdstat_set_rights(fd, rights_base, rights_inheriting)`: gives rights up.
    ///
    /// Errors: badf, notcapable for a right that is not there. Spec: `fd_fdstat_set_rights`.
    pub(crate) fn fd_fdstat_set_rights(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, rights_base: u64, rights_inheriting: u64,
    ) -> CallResult {
        let (base, inheriting) = (Rights(rights_base), Rights(rights_inheriting));
        let descriptor = self.descriptors.get_mut(fd)?;
        if !descriptor.rights.contains(base) || !descriptor.inheriting.contains(inheriting) {
            return Err(Errno::NotCapable.into());
        }
        descriptor.rights = base;
        descriptor.inheriting = inheriting;
        Ok(())
    }

    /// `fd_prestat_get(fd, prestat)`: 8 bytes: the tag 0 (directory), the length of the name.
    ///
    /// Errors: badf for what is no mount, fault. Spec: `fd_prestat_get`.
    pub(crate) fn fd_prestat_get(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, prestat: u32,
    ) -> CallResult {
        let name = self.descriptors.get(fd)?.preopen.as_ref().ok_or(Errno::BadDescriptor)?;
        Ok(memory.write_u64(u64::from(prestat), (name.len() as u64) << 32)?)
    }

    /// `fd_prestat_dir_name(fd, path, path_len)`: the name of a mount, without a NUL.
    ///
    /// Errors: badf, nametoolong if `path_len` is too small, fault. Spec: `fd_prestat_dir_name`.
    pub(crate) fn fd_prestat_dir_name(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, path: u32, path_len: u32,
    ) -> CallResult {
        let name = self.descriptors.get(fd)?.preopen.as_ref().ok_or(Errno::BadDescriptor)?;
        if name.len() > path_len as usize {
            return Err(Errno::NameTooLong.into());
        }
        Ok(memory.write(u64::from(path), name.as_bytes())?)
    }

    /// `fd_renumber(fd, to)`: closes `to` and gives its number to `fd`.
    ///
    /// Errors: badf if one of both is not open. Spec: `fd_renumber`.
    pub(crate) fn fd_renumber(&mut self, _: &mut GuestMemory<'_>, fd: u32, to: u32) -> CallResult {
        if let Some(replaced) = self.descriptors.renumber(fd, to)? {
            self.let_go(replaced)?;
        }
        Ok(())
    }

    /// `fd_dup(fd, copy)`: a duplicate under the lowest free number: both have one offset and one set
    /// of flags.
    ///
    /// Errors: badf, mfile, fault. Spec: WASIX, `fd_dup`.
    pub(crate) fn fd_dup(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, copy: u32,
    ) -> CallResult {
        self.fd_dup2(memory, fd, 0, 0, copy)
    }

    /// `fd_dup2(fd, min_result_fd, cloexec, copy)`: a duplicate under the lowest free number that is
    /// not below `min_result_fd`. (It is no `dup2` of POSIX, which `fd_renumber` of a duplicate is.)
    ///
    /// Errors: badf, mfile, fault. Spec: WASIX, `fd_dup2`.
    pub(crate) fn fd_dup2(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, min_result_fd: u32, cloexec: u32,
        copy: u32,
    ) -> CallResult {
        memory.slice(u64::from(copy), 4)?;
        let mut duplicate = self.descriptors.get(fd)?.clone();
        duplicate.closes_on_exec = cloexec & 0xff != 0;
        let number = self.descriptors.insert_from(min_result_fd, duplicate)?;
        Ok(memory.write_u32(u64::from(copy), number)?)
    }

    /// Gives a duplicate of `fd` the number `to`, as `dup2` of POSIX does.
    pub(super) fn duplicate_to(&mut self, fd: u32, to: u32) -> CallResult {
        let mut duplicate = self.descriptors.get(fd)?.clone();
        duplicate.closes_on_exec = false;
        if fd != to
            && let Some(old) = self.descriptors.replace(to, duplicate)?
        {
            // As `dup2`, it does not tell what closing the old one said.
            let _ = self.let_go(old);
        }
        Ok(())
    }

    /// `fd_pipe(read_fd, write_fd)`: a pipe of 64 KiB. Writes of at most 4096 bytes are whole.
    ///
    /// Errors: mfile, nfile at 4096 pipes of a tree, notsup where the process is in no tree, fault.
    /// Spec: WASIX, `fd_pipe`; ends have one direction each, as in POSIX.
    pub(crate) fn fd_pipe(
        &mut self, memory: &mut GuestMemory<'_>, read_fd: u32, write_fd: u32,
    ) -> CallResult {
        memory.slice(u64::from(read_fd), 4)?;
        memory.slice(u64::from(write_fd), 4)?;
        let (reader, writer) = self.tree()?.pipe()?;
        let end = |handle, gone: Rights| Descriptor {
            handle,
            object: Object::Stream,
            kind: Kind::Unknown,
            rights: Rights(Rights::STREAM.0 & !gone.0),
            inheriting: Rights::NONE,
            open: OpenFile::new(FdFlags::default(), 0),
            closes_on_exec: false,
            preopen: None,
            binding: Binding::Pipe,
        };
        let (reader, writer) = (end(reader, Rights::FD_WRITE), end(writer, Rights::FD_READ));
        let (first, second) = (reader.handle, writer.handle);
        let numbers = self.descriptors.insert(reader).and_then(|read| {
            let write = self.descriptors.insert(writer);
            write.inspect_err(|_| drop(self.descriptors.remove(read))).map(|write| (read, write))
        });
        let (read, write) = numbers.inspect_err(|_| {
            let _ = (self.host.close(first), self.host.close(second));
        })?;
        memory.write_u32(u64::from(read_fd), read)?;
        Ok(memory.write_u32(u64::from(write_fd), write)?)
    }

    /// `fd_fdflags_get(fd, flags)`: 1 where another program in place of this one does not get it.
    ///
    /// Errors: badf, fault. Spec: WASIX, `fd_fdflags_get`.
    pub(crate) fn fd_fdflags_get(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, flags: u32,
    ) -> CallResult {
        let closes = self.descriptors.get(fd)?.closes_on_exec;
        Ok(memory.write(u64::from(flags), &u16::from(closes).to_le_bytes())?)
    }

    /// `fd_fdflags_set(fd, flags)`: says whether another program in place of this one gets it.
    ///
    /// Errors: badf, inval for other flags than 1. Spec: WASIX, `fd_fdflags_set`.
    pub(crate) fn fd_fdflags_set(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, flags: u32,
    ) -> CallResult {
        let descriptor = self.descriptors.get_mut(fd)?;
        if flags > 1 {
            return Err(Errno::Invalid.into());
        }
        descriptor.closes_on_exec = flags == 1;
        Ok(())
    }

    /// `fd_seek(fd, offset, whence, newoffset)`: moves the offset from the start (0), from where it
    /// is (1) or from the end (2).
    ///
    /// Errors: badf, notcapable, isdir, spipe for a stream, inval before the start or for an
    /// unknown `whence`, fault. Spec: `fd_seek`.
    pub(crate) fn fd_seek(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, offset: i64, whence: u32, newoffset: u32,
    ) -> CallResult {
        let descriptor = self.descriptors.get(fd)?;
        has_offset(descriptor)?;
        let asks_only = offset == 0 && whence == 1;
        let enough = Rights::FD_SEEK | if asks_only { Rights::FD_TELL } else { Rights::NONE };
        if !descriptor.rights.intersects(enough) {
            return Err(Errno::NotCapable.into());
        }
        let from = match whence {
            0 => 0,
            1 => descriptor.offset(),
            2 => self.host.stat(descriptor.handle)?.size_bytes,
            _ => return Err(Errno::Invalid.into()),
        };
        let target = from.checked_add_signed(offset).filter(|&to| i64::try_from(to).is_ok());
        let target = target.ok_or(Errno::Invalid)?;
        memory.write_u64(u64::from(newoffset), target)?;
        self.descriptors.get(fd)?.set_offset(target);
        Ok(())
    }

    /// `fd_tell(fd, offset)`: the offset.
    ///
    /// Errors: badf, notcapable, isdir, spipe, fault. Spec: `fd_tell`.
    pub(crate) fn fd_tell(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, offset: u32,
    ) -> CallResult {
        let descriptor = self.descriptors.get(fd)?;
        has_offset(descriptor)?;
        if !descriptor.rights.contains(Rights::FD_TELL) {
            return Err(Errno::NotCapable.into());
        }
        Ok(memory.write_u64(u64::from(offset), descriptor.offset())?)
    }
}

/// Flags of a descriptor from a guest's number.
pub(super) fn fd_flags(flags: u32) -> Result<FdFlags, Errno> {
    match u16::try_from(flags) {
        Ok(flags) if FdFlags::ALL.contains(FdFlags(flags)) => Ok(FdFlags(flags)),
        _ => Err(Errno::Invalid),
    }
}

/// The rights that make sense on an object.
pub(crate) fn meaningful(object: Object) -> Rights {
    match object {
        Object::File => Rights::FILE,
        Object::Directory => Rights::DIRECTORY,
        Object::Stream => Rights::STREAM,
        Object::Connection => Rights::CONNECTION,
        Object::Listener => Rights::LISTENER,
        Object::Socket => Rights::SOCKET,
    }
}
