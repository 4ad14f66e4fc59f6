//! Descriptors: numbers through which a guest reaches objects, and what it may do with them.
//!
//! A descriptor is plain data but for the handle, which a restore will open again by the binding.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use crate::errno::Errno;
use crate::host::{Handle, Kind};
use crate::rights::Rights;

/// Flags of a descriptor. Spec: WASI preview 1, `fdflags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FdFlags(pub u16);

impl FdFlags {
    /// Each write goes to the end.
    pub const APPEND: FdFlags = FdFlags(1);
    /// Each write waits for the disk, without the times.
    pub const DSYNC: FdFlags = FdFlags(2);
    /// What would block says so.
    pub const NONBLOCK: FdFlags = FdFlags(4);
    /// Reads wait for writes under way.
    pub const RSYNC: FdFlags = FdFlags(8);
    /// Each write waits for the disk.
    pub const SYNC: FdFlags = FdFlags(16);
    /// All that exist.
    pub const ALL: FdFlags = FdFlags(31);

    /// Whether all of `other` are set.
    pub const fn contains(self, other: FdFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a descriptor leads to, and how it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A file: reads and writes have an offset.
    File,
    /// A directory.
    Directory,
    /// A standard stream, a pipe or a device.
    Stream,
    /// A connection.
    Connection,
    /// A socket that listens.
    Listener,
    /// A socket that the guest made, whatever became of it.
    Socket,
}

/// How the object is found again by another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The standard stream of this number.
    Stream(u32),
    /// The mount of this name.
    Mount(String),
    /// An end of a pipe, which only the processes of its tree have.
    Pipe,
    /// A path below another descriptor's mount. `mount` is the mount's name.
    Path {
        /// Name of the mount.
        mount: String,
        /// Path below it, as the guest gave it; joined over nested directories.
        path: Vec<u8>,
    },
    /// A listener of the manifest, by its place there.
    Listener(u32),
    /// A connection, which no other host has.
    Connection,
}

/// An open file description: what a descriptor has in common with its duplicates, in whichever
/// process of a tree these are. The object is closed with the last of them.
#[derive(Debug, Default)]
pub struct OpenFile {
    flags: AtomicU16,
    offset: AtomicU64,
}

impl OpenFile {
    /// One that nobody else has yet.
    pub fn new(flags: FdFlags, offset: u64) -> Arc<OpenFile> {
        Arc::new(OpenFile { flags: AtomicU16::new(flags.0), offset: AtomicU64::new(offset) })
    }
}

/// One entry of the table. A copy is a duplicate: both have one open file description.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// The host's name for the object.
    pub handle: Handle,
    /// How it is used.
    pub object: Object,
    /// What the guest is told that it is.
    pub kind: Kind,
    /// What it may be used for.
    pub rights: Rights,
    /// What descriptors opened through it may be used for.
    pub inheriting: Rights,
    /// What it has in common with its duplicates.
    pub open: Arc<OpenFile>,
    /// Whether a program that takes the place of this one does not get it.
    pub closes_on_exec: bool,
    /// The name under which it was there from the start.
    pub preopen: Option<String>,
    /// How it is found again.
    pub binding: Binding,
}

impl Descriptor {
    /// Its flags.
    pub fn flags(&self) -> FdFlags {
        FdFlags(self.open.flags.load(Ordering::Relaxed))
    }

    /// Sets its flags, and those of its duplicates.
    pub fn set_flags(&self, flags: FdFlags) {
        self.open.flags.store(flags.0, Ordering::Relaxed);
    }

    /// Where the next read or write of a file begins.
    pub fn offset(&self) -> u64 {
        self.open.offset.load(Ordering::Relaxed)
    }

    /// Moves its offset, and that of its duplicates.
    pub fn set_offset(&self, offset: u64) {
        self.open.offset.store(offset, Ordering::Relaxed);
    }

    /// The object, if it has to be closed because no duplicate is left.
    pub fn last_of(self) -> Option<Handle> {
        Arc::into_inner(self.open).map(|_| self.handle)
    }
}

/// The descriptors of a process. A copy has duplicates of all of them.
#[derive(Clone, Debug, Default)]
pub struct DescriptorTable {
    entries: Vec<Option<Descriptor>>,
    open_count: u32,
    limit: u32,
    /// No free number is below this one.
    lowest_free: usize,
}

impl DescriptorTable {
    /// An empty table for at most `limit` descriptors.
    pub fn new(limit: u32) -> DescriptorTable {
        DescriptorTable { limit, ..DescriptorTable::default() }
    }

    /// How many are open.
    pub fn open_count(&self) -> u32 {
        self.open_count
    }

    /// From now on there may be as many.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Takes the lowest free number.
    ///
    /// # Errors
    /// [`Errno::TooManyDescriptors`].
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.check_room()?;
        let free = (self.lowest_free..self.entries.len()).find(|&i| self.entries[i].is_none());
        let index = free.unwrap_or(self.entries.len());
        if index == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[index] = Some(descriptor);
        self.open_count += 1;
        self.lowest_free = index + 1;
        Ok(index as u32)
    }

    /// Takes a number that is free. No table has numbers that are higher than its limit and the three
    /// that streams may have left free.
    ///
    /// # Errors
    /// [`Errno::TooManyDescriptors`], [`Errno::BadDescriptor`] for a number that is taken or too
    /// high.
    pub fn insert_at(&mut self, fd: u32, descriptor: Descriptor) -> Result<(), Errno> {
        self.check_room()?;
        let index = fd as usize;
        if fd >= self.limit.saturating_add(3) || matches!(self.entries.get(index), Some(Some(_))) {
            return Err(Errno::BadDescriptor);
        }
        if index >= self.entries.len() {
            self.entries.resize(index + 1, None);
        }
        self.entries[index] = Some(descriptor);
        self.open_count += 1;
        Ok(())
    }

    /// Whether one more can be opened; asked before anything is.
    ///
    /// # Errors
    /// [`Errno::TooManyDescriptors`].
    pub fn check_room(&self) -> Result<(), Errno> {
        if self.open_count >= self.limit { Err(Errno::TooManyDescriptors) } else { Ok(()) }
    }

    /// Leaves the number free, as a standard stream that is closed does.
    pub fn skip(&mut self) {
        self.entries.push(None);
    }

    /// The descriptor `fd`.
    ///
    /// # Errors
    /// [`Errno::BadDescriptor`].
    pub fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.entries.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::BadDescriptor)
    }

    /// The descriptor `fd`, to be changed.
    ///
    /// # Errors
    /// [`Errno::BadDescriptor`].
    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.entries.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BadDescriptor)
    }

    /// The descriptor `fd`, if it has all of `rights`.
    ///
    /// # Errors
    /// [`Errno::BadDescriptor`], [`Errno::NotCapable`].
    #[inline]
    pub fn with_rights(&self, fd: u32, rights: Rights) -> Result<&Descriptor, Errno> {
        let descriptor = self.get(fd)?;
        if descriptor.rights.contains(rights) { Ok(descriptor) } else { Err(Errno::NotCapable) }
    }

    /// Takes `fd` out.
    ///
    /// # Errors
    /// [`Errno::BadDescriptor`].
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        let entry = self.entries.get_mut(fd as usize).ok_or(Errno::BadDescriptor)?;
        let descriptor = entry.take().ok_or(Errno::BadDescriptor)?;
        self.open_count -= 1;
        self.lowest_free = self.lowest_free.min(fd as usize);
        Ok(descriptor)
    }

    /// Puts `from` in the place of `to`, both open, and gives what was there.
    ///
    /// # Errors
    /// [`Errno::BadDescriptor`].
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<Option<Descriptor>, Errno> {
        self.get(from)?;
        self.get(to)?;
        if from == to {
            return Ok(None);
        }
        let moved = self.remove(from)?;
        Ok(self.entries[to as usize].replace(moved))
    }

    /// Puts a descriptor at `fd`, and gives what was there.
    ///
    /// # Errors
    /// [`Errno::TooManyDescriptors`], [`Errno::BadDescriptor`] for a number that is too high.
    pub fn replace(
        &mut self, fd: u32, descriptor: Descriptor,
    ) -> Result<Option<Descriptor>, Errno> {
        match self.entries.get_mut(fd as usize) {
            Some(Some(old)) => Ok(Some(std::mem::replace(old, descriptor))),
            _ => self.insert_at(fd, descriptor).map(|()| None),
        }
    }

    /// Takes the lowest free number that is not below `least`.
    ///
    /// # Errors
    /// [`Errno::TooManyDescriptors`].
    pub fn insert_from(&mut self, least: u32, descriptor: Descriptor) -> Result<u32, Errno> {
        let is_free = |fd: &u32| !matches!(self.entries.get(*fd as usize), Some(Some(_)));
        let free = (least..self.limit.saturating_add(3)).find(is_free);
        let fd = free.ok_or(Errno::TooManyDescriptors)?;
        self.insert_at(fd, descriptor).map(|()| fd)
    }

    /// Takes out all that `is_gone` names.
    pub fn take(&mut self, is_gone: impl Fn(&Descriptor) -> bool) -> Vec<Descriptor> {
        let gone = self.iter().filter(|(_, descriptor)| is_gone(descriptor)).map(|(fd, _)| fd);
        let gone: Vec<u32> = gone.collect();
        gone.into_iter().filter_map(|fd| self.remove(fd).ok()).collect()
    }

    /// All open descriptors with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Descriptor)> {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(|(fd, entry)| Some((fd as u32, entry.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(handle: u32) -> Descriptor {
        Descriptor {
            handle: Handle(handle),
            object: Object::File,
            kind: Kind::File,
            rights: Rights::FILE,
            inheriting: Rights::NONE,
            open: OpenFile::new(FdFlags::default(), 0),
            closes_on_exec: false,
            preopen: None,
            binding: Binding::Connection,
        }
    }

    #[test]
    fn numbers_are_given_lowest_first() {
        let mut table = DescriptorTable::new(10);
        for n in 0..5 {
            assert_eq!(table.insert(file(n)), Ok(n));
        }
        table.remove(3).expect("open");
        table.remove(1).expect("open");
        assert_eq!(table.insert(file(9)), Ok(1));
        assert_eq!(table.insert(file(9)), Ok(3));
        assert_eq!(table.insert(file(9)), Ok(5));
    }

    #[test]
    fn the_limit_counts_what_is_open() {
        let mut table = DescriptorTable::new(2);
        table.insert(file(0)).expect("room");
        table.insert(file(1)).expect("room");
        assert_eq!(table.insert(file(2)), Err(Errno::TooManyDescriptors));
        table.remove(0).expect("open");
        assert_eq!(table.insert(file(2)), Ok(0));
    }

    #[test]
    fn renumber_moves_and_frees() {
        let mut table = DescriptorTable::new(10);
        table.insert(file(0)).expect("room");
        table.insert(file(1)).expect("room");
        assert!(matches!(table.renumber(0, 0), Ok(None)));
        assert_eq!(table.renumber(0, 7).err(), Some(Errno::BadDescriptor));
        assert_eq!(table.renumber(1, 0).map(|old| old.map(|d| d.handle)), Ok(Some(Handle(0))));
        assert_eq!(table.get(0).map(|d| d.handle), Ok(Handle(1)));
        assert_eq!(table.get(1).err(), Some(Errno::BadDescriptor));
        assert_eq!(table.insert(file(2)), Ok(1));
    }
}
