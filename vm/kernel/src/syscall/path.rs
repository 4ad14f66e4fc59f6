//! Paths below directories. The host resolves them; nothing here looks into a path but for what the
//! specification says of its bytes.

use brant_engine::GuestMemory;

use crate::descriptor::{Binding, Descriptor, FdFlags, Object, OpenFile};
use crate::errno::Errno;
use crate::host::{Durability, Follow, Handle, Kind, OpenHow};
use crate::kernel::{CallResult, Kernel, Stopped};
use crate::rights::Rights;
use crate::syscall::descriptor::{fd_flags, meaningful};
use crate::syscall::file::{stat_bytes, times};

/// The longest path that is looked at; no system has a longer one.
const LONGEST_PATH_BYTES: u32 = 4096;

/// The bits of `oflags`.
const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

/// How a path is to be opened, in the guest's own numbers.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub dirflags: u32,
    pub oflags: u32,
    pub rights_base: u64,
    pub rights_inheriting: u64,
    pub fdflags: u32,
}

/// A path of the guest: UTF-8 without NUL.
///
/// A copy: another thread of the guest may write to the memory while the path is looked at.
pub(super) fn path(memory: &GuestMemory<'_>, at: u32, len: u32) -> Result<Vec<u8>, Stopped> {
    let bytes = memory.slice(u64::from(at), u64::from(len))?;
    if len > LONGEST_PATH_BYTES {
        return Err(Errno::NameTooLong.into());
    }
    let bytes = bytes.to_vec();
    if bytes.contains(&0) {
        return Err(Errno::Invalid.into());
    }
    if std::str::from_utf8(&bytes).is_err() {
        return Err(Errno::IllegalByteSequence.into());
    }
    Ok(bytes)
}

fn follow(lookup_flags: u32) -> Result<Follow, Errno> {
    match lookup_flags {
        0 => Ok(Follow::No),
        1 => Ok(Follow::Yes),
        _ => Err(Errno::Invalid),
    }
}

impl Kernel {
    /// The directory `fd`, if it has `rights`.
    fn directory(&self, fd: u32, rights: Rights) -> Result<Handle, Errno> {
        let descriptor = self.descriptors.get(fd)?;
        if descriptor.object != Object::Directory {
            return Err(Errno::NotDirectory);
        }
        if descriptor.rights.contains(rights) {
            Ok(descriptor.handle)
        } else {
            Err(Errno::NotCapable)
        }
    }

    /// `path_create_directory(fd, path, path_len)`: makes a directory.
    ///
    /// Errors: badf, notdir, notcapable, exist, noent, rofs, perm for a path that leaves the mount,
    /// inval, ilseq, nametoolong, fault. Spec: `path_create_directory`.
    pub(crate) fn path_create_directory(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, at: u32, len: u32,
    ) -> CallResult {
        let directory = self.directory(fd, Rights::PATH_CREATE_DIRECTORY)?;
        Ok(self.host.create_directory(directory, &path(memory, at, len)?)?)
    }

    /// `path_filestat_get(fd, flags, path, path_len, stat)`: 64 bytes about a file.
    ///
    /// Errors: as above, and inval for unknown flags. Spec: `path_filestat_get`.
    pub(crate) fn path_filestat_get(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, flags: u32, at: u32, len: u32, stat: u32,
    ) -> CallResult {
        let directory = self.directory(fd, Rights::PATH_FILESTAT_GET)?;
        let found = self.host.stat_at(directory, &path(memory, at, len)?, follow(flags)?)?;
        Ok(memory.write(u64::from(stat), &stat_bytes(&found))?)
    }

    /// `path_filestat_set_times(fd, flags, path, path_len, atim, mtim, fst_flags)`: sets the times.
    ///
    /// Errors: as above, and inval if a time is both given and now. Spec: `path_filestat_set_times`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn path_filestat_set_times(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, flags: u32, at: u32, len: u32, atim: u64,
        mtim: u64, fst_flags: u32,
    ) -> CallResult {
        let (accessed, modified) = times(atim, mtim, fst_flags)?;
        let directory = self.directory(fd, Rights::PATH_FILESTAT_SET_TIMES)?;
        let path = &path(memory, at, len)?;
        Ok(self.host.set_times_at(directory, path, follow(flags)?, accessed, modified)?)
    }

    /// `path_link(old_fd, old_flags, old_path, .., new_fd, new_path, ..)`: gives a file a second
    /// name.
    ///
    /// Errors: as above; inval to follow a symbolic link, which POSIX leaves open and Linux does
    /// not do; xdev between mounts. Spec: `path_link`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn path_link(
        &mut self, memory: &mut GuestMemory<'_>, old_fd: u32, old_flags: u32, old_at: u32,
        old_len: u32, new_fd: u32, new_at: u32, new_len: u32,
    ) -> CallResult {
        let from = self.directory(old_fd, Rights::PATH_LINK_SOURCE)?;
        let to = self.directory(new_fd, Rights::PATH_LINK_TARGET)?;
        let (old, new) = (&path(memory, old_at, old_len)?, &path(memory, new_at, new_len)?);
        if follow(old_flags)? == Follow::Yes {
            return Err(Errno::Invalid.into());
        }
        Ok(self.host.link(from, old, to, new)?)
    }

    /// `path_open(fd, dirflags, path, path_len, oflags, rights_base, rights_inheriting, fdflags,
    /// opened)`: opens a file or directory under the lowest free number.
    ///
    /// Rights that mean nothing on what is opened are dropped; rights that the directory does not
    /// hand on are refused.
    ///
    /// Errors: badf, notdir, notcapable, inval for unknown flags, isdir to write to a directory,
    /// mfile, exist, noent, rofs, perm for a path that leaves the mount, loop, ilseq, nametoolong,
    /// fault. Spec: `path_open`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn path_open(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, dirflags: u32, at: u32, len: u32,
        oflags: u32, rights_base: u64, rights_inheriting: u64, fdflags: u32, opened_at: u32,
    ) -> CallResult {
        let wanted = Wanted { dirflags, oflags, rights_base, rights_inheriting, fdflags };
        let descriptor = self.open_below(fd, wanted, || {
            memory.slice(u64::from(opened_at), 4)?;
            path(memory, at, len)
        })?;
        let opened = self.descriptors.insert(descriptor)?;
        Ok(memory.write_u32(u64::from(opened_at), opened)?)
    }

    /// Opens what `path` gives below the directory `fd`; it has no number yet.
    ///
    /// # Errors
    /// As `path_open`.
    pub(super) fn open_below(
        &mut self, fd: u32, wanted: Wanted, path: impl FnOnce() -> Result<Vec<u8>, Stopped>,
    ) -> Result<Descriptor, Stopped> {
        let Wanted { dirflags, oflags, rights_base, rights_inheriting, fdflags } = wanted;
        let mut needs = Rights::PATH_OPEN;
        if oflags & CREATE != 0 {
            needs = needs | Rights::PATH_CREATE_FILE;
        }
        if oflags & TRUNCATE != 0 {
            needs = needs | Rights::PATH_FILESTAT_SET_SIZE;
        }
        let directory = self.directory(fd, needs)?;
        let flags = fd_flags(fdflags)?;
        if oflags > CREATE | DIRECTORY | EXCLUSIVE | TRUNCATE {
            return Err(Errno::Invalid.into());
        }
        // Bits that no specification names were never asked for.
        let base = Rights(rights_base) & Rights::BELOW_MOUNT;
        let inheriting = Rights(rights_inheriting) & Rights::BELOW_MOUNT;
        if !self.descriptors.get(fd)?.inheriting.contains(base | inheriting) {
            return Err(Errno::NotCapable.into());
        }
        let writes = Rights::FD_WRITE | Rights::FD_ALLOCATE | Rights::FD_FILESTAT_SET_SIZE;
        let how = OpenHow {
            read: base.intersects(Rights::FD_READ | Rights::FD_READDIR),
            write: base.intersects(writes)
                || flags.contains(FdFlags::APPEND) && oflags & DIRECTORY == 0,
            create: oflags & CREATE != 0,
            exclusive: oflags & EXCLUSIVE != 0,
            truncate: oflags & TRUNCATE != 0,
            directory: oflags & DIRECTORY != 0,
            follow: follow(dirflags)?,
            sync: match flags {
                flags if flags.contains(FdFlags::SYNC) || flags.contains(FdFlags::RSYNC) => {
                    Some(Durability::All)
                }
                flags if flags.contains(FdFlags::DSYNC) => Some(Durability::Data),
                _ => None,
            },
        };
        if how.directory && (how.write || how.create && !how.exclusive && how.truncate) {
            return Err(Errno::IsDirectory.into());
        }
        let path = &path()?;
        self.descriptors.check_room()?;
        let found = self.host.open(directory, path, how)?;
        let object = match found.kind {
            Kind::Directory => Object::Directory,
            Kind::File | Kind::BlockDevice => Object::File,
            _ => Object::Stream,
        };
        Ok(Descriptor {
            handle: found.handle,
            object,
            kind: found.kind,
            rights: base & meaningful(object),
            inheriting: if object == Object::Directory { inheriting } else { Rights::NONE },
            open: OpenFile::new(flags, 0),
            closes_on_exec: false,
            preopen: None,
            binding: self.binding_below(fd, path),
        })
    }

    /// The binding of what `path` names below the directory `fd`.
    fn binding_below(&self, fd: u32, path: &[u8]) -> Binding {
        match self.descriptors.get(fd).map(|directory| &directory.binding) {
            Ok(Binding::Path { mount, path: above }) => {
                Binding::Path { mount: mount.clone(), path: [above, &b"/"[..], path].concat() }
            }
            Ok(Binding::Mount(mount)) => {
                Binding::Path { mount: mount.clone(), path: path.to_vec() }
            }
            _ => Binding::Path { mount: String::new(), path: path.to_vec() },
        }
    }

    /// `path_readlink(fd, path, path_len, buf, buf_len, bufused)`: where a symbolic link points, cut
    /// off where the buffer ends.
    ///
    /// Errors: as above, and inval for what is no link. Spec: `path_readlink`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn path_readlink(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, at: u32, len: u32, buf: u32,
        buf_len: u32, bufused: u32,
    ) -> CallResult {
        let directory = self.directory(fd, Rights::PATH_READLINK)?;
        memory.slice(u64::from(buf), u64::from(buf_len))?;
        memory.slice(u64::from(bufused), 4)?;
        let mut target = [0; LONGEST_PATH_BYTES as usize];
        let room = target.len().min(buf_len as usize);
        let path = &path(memory, at, len)?;
        let count = self.host.read_link(directory, path, &mut target[..room])?;
        memory.write(u64::from(buf), &target[..count])?;
        Ok(memory.write_u32(u64::from(bufused), count as u32)?)
    }

    /// `path_remove_directory(fd, path, path_len)`: removes an empty directory.
    ///
    /// Errors: as above, and notempty, notdir. Spec: `path_remove_directory`.
    pub(crate) fn path_remove_directory(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, at: u32, len: u32,
    ) -> CallResult {
        let directory = self.directory(fd, Rights::PATH_REMOVE_DIRECTORY)?;
        Ok(self.host.remove_directory(directory, &path(memory, at, len)?)?)
    }

    /// `path_rename(fd, old_path, .., new_fd, new_path, ..)`: renames, in place of what has the new
    /// name.
    ///
    /// Errors: as above, and isdir, notdir, notempty, xdev between mounts. Spec: `path_rename`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn path_rename(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, old_at: u32, old_len: u32, new_fd: u32,
        new_at: u32, new_len: u32,
    ) -> CallResult {
        let from = self.directory(fd, Rights::PATH_RENAME_SOURCE)?;
        let to = self.directory(new_fd, Rights::PATH_RENAME_TARGET)?;
        let (old, new) = (&path(memory, old_at, old_len)?, &path(memory, new_at, new_len)?);
        Ok(self.host.rename(from, old, to, new)?)
    }

    /// `path_symlink(old_path, .., fd, new_path, ..)`: makes a symbolic link.
    ///
    /// Errors: as above, and perm for a target that is absolute or leaves the mount.
    /// Spec: `path_symlink`.
    pub(crate) fn path_symlink(
        &mut self, memory: &mut GuestMemory<'_>, old_at: u32, old_len: u32, fd: u32, new_at: u32,
        new_len: u32,
    ) -> CallResult {
        let directory = self.directory(fd, Rights::PATH_SYMLINK)?;
        let (target, new) = (&path(memory, old_at, old_len)?, &path(memory, new_at, new_len)?);
        Ok(self.host.symlink(target, directory, new)?)
    }

    /// `path_unlink_file(fd, path, path_len)`: removes a name that is no directory.
    ///
    /// Errors: as above, and isdir. Spec: `path_unlink_file`.
    pub(crate) fn path_unlink_file(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, at: u32, len: u32,
    ) -> CallResult {
        let directory = self.directory(fd, Rights::PATH_UNLINK_FILE)?;
        Ok(self.host.remove_file(directory, &path(memory, at, len)?)?)
    }
}
