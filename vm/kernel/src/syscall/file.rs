//! Open files: size, times, room on the disk.

use brant_engine::GuestMemory;

use crate::descriptor::{Descriptor, Object};
use crate::errno::Errno;
use crate::host::{Advice, Durability, Handle, SetTime, Stat};
use crate::kernel::{CallResult, Kernel};
use crate::rights::Rights;
use crate::syscall::io::check_offset;

/// Size of a `filestat` in guest memory.
pub(super) const STAT_BYTES: usize = 64;

/// A `filestat` as it stands in guest memory. Spec: `filestat`.
pub(super) fn stat_bytes(stat: &Stat) -> [u8; STAT_BYTES] {
    let mut bytes = [0; STAT_BYTES];
    let mut put = |at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, stat.device);
    put(8, stat.inode);
    put(16, stat.kind as u64);
    put(24, stat.link_count);
    put(32, stat.size_bytes);
    put(40, stat.accessed_ns);
    put(48, stat.modified_ns);
    put(56, stat.changed_ns);
    bytes
}

/// The two times to set. Spec: `fstflags`: atim 1, atim_now 2, mtim 4, mtim_now 8.
pub(super) fn times(atim: u64, mtim: u64, flags: u32) -> Result<(SetTime, SetTime), Errno> {
    if flags > 15 {
        return Err(Errno::Invalid);
    }
    let one = |given: bool, now: bool, time| match (given, now) {
        (false, false) => Ok(SetTime::Keep),
        (true, false) => Ok(SetTime::At(time)),
        (false, true) => Ok(SetTime::Now),
        (true, true) => Err(Errno::Invalid),
    };
    let accessed = one(flags & 1 != 0, flags & 2 != 0, atim)?;
    let modified = one(flags & 4 != 0, flags & 8 != 0, mtim)?;
    Ok((accessed, modified))
}

impl Kernel {
    /// The file `fd`, if it has `rights`; a directory or a stream is none.
    ///
    /// A file that was not opened for writing is the wrong argument, as in POSIX.
    fn file(&self, fd: u32, rights: Rights, otherwise: Errno) -> Result<Handle, Errno> {
        let Descriptor { handle, object, rights: granted, .. } = *self.descriptors.get(fd)?;
        match object {
            Object::File if !granted.contains(rights | Rights::FD_WRITE) => {
                let opened_for_it = granted.contains(Rights::FD_WRITE);
                Err(if opened_for_it { Errno::NotCapable } else { Errno::Invalid })
            }
            Object::File => Ok(handle),
            Object::Directory => Err(Errno::IsDirectory),
            _ => Err(otherwise),
        }
    }

    /// `fd_advise(fd, offset, len, advice)`: tells how a range will be used.
    ///
    /// Errors: badf, notcapable, inval for unknown advice or a range that ends nowhere, spipe.
    /// Spec: `fd_advise`.
    pub(crate) fn fd_advise(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, offset: u64, len: u64, advice: u32,
    ) -> CallResult {
        const ADVICE: [Advice; 6] = [
            Advice::Normal,
            Advice::Sequential,
            Advice::Random,
            Advice::WillNeed,
            Advice::DontNeed,
            Advice::NoReuse,
        ];
        let advice = *ADVICE.get(advice as usize).ok_or(Errno::Invalid)?;
        let end = offset.checked_add(len).ok_or(Errno::Invalid)?;
        check_offset(end)?;
        let descriptor = self.descriptors.with_rights(fd, Rights::FD_ADVISE)?;
        match descriptor.object {
            Object::File => Ok(self.host.advise(descriptor.handle, offset, len, advice)?),
            // A directory takes advice and does nothing with it.
            Object::Directory => Ok(()),
            _ => Err(Errno::IllegalSeek.into()),
        }
    }

    /// `fd_allocate(fd, offset, len)`: makes sure that a range has room.
    ///
    /// Errors: badf, notcapable, inval for an empty range, fbig, nospc at the disk limit, notsup,
    /// isdir, spipe. Spec: `fd_allocate`.
    pub(crate) fn fd_allocate(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, offset: u64, len: u64,
    ) -> CallResult {
        let handle = self.file(fd, Rights::FD_ALLOCATE, Errno::IllegalSeek)?;
        if len == 0 {
            return Err(Errno::Invalid.into());
        }
        let end = offset.checked_add(len).ok_or(Errno::FileTooBig)?;
        i64::try_from(end).map_err(|_| Errno::FileTooBig)?;
        self.charge_disk(len)?;
        Ok(self.host.allocate(handle, offset, len)?)
    }

    /// `fd_datasync(fd)`: brings the bytes to the disk.
    ///
    /// Errors: badf, notcapable, inval, and the host's. Spec: `fd_datasync`.
    pub(crate) fn fd_datasync(&mut self, _: &mut GuestMemory<'_>, fd: u32) -> CallResult {
        let handle = self.descriptors.with_rights(fd, Rights::FD_DATASYNC)?.handle;
        Ok(self.host.sync(handle, Durability::Data)?)
    }

    /// `fd_sync(fd)`: brings bytes and times to the disk.
    ///
    /// Errors: badf, notcapable, inval, and the host's. Spec: `fd_sync`.
    pub(crate) fn fd_sync(&mut self, _: &mut GuestMemory<'_>, fd: u32) -> CallResult {
        let handle = self.descriptors.with_rights(fd, Rights::FD_SYNC)?.handle;
        Ok(self.host.sync(handle, Durability::All)?)
    }

    /// `fd_filestat_get(fd, stat)`: 64 bytes about an open file.
    ///
    /// Errors: badf, notcapable, fault, and the host's. Spec: `fd_filestat_get`.
    pub(crate) fn fd_filestat_get(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, stat: u32,
    ) -> CallResult {
        let descriptor = self.descriptors.with_rights(fd, Rights::FD_FILESTAT_GET)?;
        let mut found = self.host.stat(descriptor.handle)?;
        found.kind = descriptor.kind;
        Ok(memory.write(u64::from(stat), &stat_bytes(&found))?)
    }

    /// `fd_filestat_set_size(fd, size)`: cuts or grows a file.
    ///
    /// Errors: badf, notcapable, fbig, nospc at the disk limit, isdir, inval for a stream, rofs.
    /// Spec: `fd_filestat_set_size`.
    pub(crate) fn fd_filestat_set_size(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, size: u64,
    ) -> CallResult {
        let handle = self.file(fd, Rights::FD_FILESTAT_SET_SIZE, Errno::Invalid)?;
        i64::try_from(size).map_err(|_| Errno::FileTooBig)?;
        if self.manifest.limits.disk_bytes != u64::MAX {
            let before = self.host.stat(handle)?.size_bytes;
            self.charge_disk(size.saturating_sub(before))?;
        }
        Ok(self.host.set_size(handle, size)?)
    }

    /// `fd_filestat_set_times(fd, atim, mtim, fst_flags)`: sets the times of an open file.
    ///
    /// Errors: badf, notcapable, inval if a time is both given and now, rofs.
    /// Spec: `fd_filestat_set_times`.
    pub(crate) fn fd_filestat_set_times(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, atim: u64, mtim: u64, fst_flags: u32,
    ) -> CallResult {
        let (accessed, modified) = times(atim, mtim, fst_flags)?;
        let handle = self.descriptors.with_rights(fd, Rights::FD_FILESTAT_SET_TIMES)?.handle;
        Ok(self.host.set_times(handle, accessed, modified)?)
    }
}
