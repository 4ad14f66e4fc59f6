//! The model: three names, the files behind them, and descriptors with offsets.
//!
//! It is what POSIX says of files in so few words that it can be read in a minute.

use std::collections::BTreeMap;

use brant_kernel::{Errno, Rights, Syscall};

use super::sequence::Op;
use super::{Guest, MOUNT};

const NAMES: [&str; 3] = ["a", "bb", "ccc"];
/// Where arguments and results of the model's own calls lie.
const PATH: usize = 0x100;
const SECOND_PATH: usize = 0x180;
const BUFFERS: usize = 0x200;
const BYTES: usize = 0x400;
const OUT: usize = 0x300;
/// A number that no descriptor has.
const NOT_OPEN: u64 = 39;

/// An open file.
struct Open {
    file: usize,
    offset: u64,
    reads: bool,
    writes: bool,
    appends: bool,
}

/// All that the model knows.
#[derive(Default)]
pub struct Files {
    contents: Vec<Vec<u8>>,
    names: BTreeMap<&'static str, usize>,
    open: BTreeMap<u64, Open>,
}

/// What must come: an error of this kind, or some error.
enum Wanted {
    This(Errno),
    SomeError,
}

impl Wanted {
    fn check(&self, what: &str, errno: Errno) -> Result<bool, String> {
        match self {
            Wanted::This(wanted) if *wanted == errno => Ok(errno == Errno::Success),
            Wanted::SomeError if errno != Errno::Success => Ok(false),
            Wanted::This(wanted) => Err(format!("{what}: expected {wanted:?}, got {errno:?}")),
            Wanted::SomeError => Err(format!("{what}: succeeds")),
        }
    }
}

fn text(guest: &mut Guest, at: usize, name: &str) -> [u64; 2] {
    guest.memory()[at..at + name.len()].copy_from_slice(name.as_bytes());
    [at as u64, name.len() as u64]
}

fn name(pick: u8) -> &'static str {
    NAMES[usize::from(pick) % NAMES.len()]
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, wanted: T, got: T) -> Result<(), String> {
    match wanted == got {
        true => Ok(()),
        false => Err(format!("{what}: expected {wanted:?}, got {got:?}")),
    }
}

impl Files {
    /// Makes a call and compares with what the model says of it.
    pub fn make(&mut self, guest: &mut Guest, op: &Op) -> Result<bool, String> {
        match *op {
            Op::Raw(_) => {}
            Op::Open { name, create, rights, append } => {
                self.open_file(guest, self::name(name), create, rights, append)?;
            }
            Op::Write { fd, parts, at, seed } => self.write(guest, fd, parts, at, seed)?,
            Op::Read { fd, parts, at } => self.read(guest, fd, parts, at)?,
            Op::Seek { fd, offset, whence } => self.seek(guest, fd, offset, whence % 3)?,
            Op::SetSize { fd, size } => self.set_size(guest, fd, size % 0x1000)?,
            Op::Close { fd } => self.close(guest, fd)?,
            Op::Renumber { from, to } => self.renumber(guest, from, to)?,
            Op::Unlink { name } => self.unlink(guest, self::name(name))?,
            Op::Rename { from, to } => self.rename(guest, self::name(from), self::name(to))?,
            Op::Stat { name } => self.stat(guest, self::name(name))?,
        }
        Ok(true)
    }

    /// One of the open descriptors, or one that is not open.
    fn pick(&self, fd: u8) -> u64 {
        let index = usize::from(fd) % (self.open.len() + 1);
        self.open.keys().nth(index).copied().unwrap_or(NOT_OPEN)
    }

    fn open_file(
        &mut self, guest: &mut Guest, name: &'static str, create: u8, rights: u8, append: bool,
    ) -> Result<(), String> {
        const CREATE: u64 = 1;
        const EXCLUSIVE: u64 = 4;
        const TRUNCATE: u64 = 8;
        let flags =
            [0, CREATE, CREATE | EXCLUSIVE, TRUNCATE, CREATE | TRUNCATE][usize::from(create) % 5];
        let (mut reads, mut writes) =
            [(true, false), (false, true), (true, true)][usize::from(rights) % 3];
        if flags & TRUNCATE != 0 || append {
            (reads, writes) = (true, true);
        }
        let mut granted = Rights::FD_SEEK | Rights::FD_TELL;
        if reads {
            granted = granted | Rights::FD_READ;
        }
        if writes {
            granted = granted | Rights::FD_WRITE | Rights::FD_FILESTAT_SET_SIZE;
        }
        let exists = self.names.get(name).copied();
        let wanted = match exists {
            Some(_) if flags & EXCLUSIVE != 0 => Errno::Exists,
            None if flags & CREATE == 0 => Errno::NoEntry,
            // Descriptors may have run out, which the model does not count.
            _ if self.open.len() > 20 => return Ok(()),
            _ => Errno::Success,
        };
        let [at, len] = text(guest, PATH, name);
        let (append_flag, out) = (u64::from(append), OUT as u64);
        let args = [MOUNT, 0, at, len, flags, granted.0, 0, append_flag, out];
        let errno = guest.expect(Syscall::PathOpen, &args)?;
        if !Wanted::This(wanted).check("open", errno)? {
            return Ok(());
        }
        let file = exists.unwrap_or_else(|| {
            self.contents.push(Vec::new());
            self.names.insert(name, self.contents.len() - 1);
            self.contents.len() - 1
        });
        if flags & TRUNCATE != 0 {
            self.contents[file].clear();
        }
        let fd = u64::from(guest.u32_at(OUT));
        let open = Open { file, offset: 0, reads, writes, appends: append };
        match self.open.insert(fd, open) {
            None => Ok(()),
            Some(_) => Err(format!("open gives {fd}, which is open")),
        }
    }

    /// Three buffers behind each other, and how long they are together.
    fn buffers(guest: &mut Guest, parts: [u8; 3]) -> usize {
        let mut at = BYTES;
        for (index, part) in parts.iter().enumerate() {
            let len = usize::from(part % 50);
            let buffer = (at as u64 | (len as u64) << 32).to_le_bytes();
            guest.memory()[BUFFERS + 8 * index..][..8].copy_from_slice(&buffer);
            at += len;
        }
        at - BYTES
    }

    fn write(
        &mut self, guest: &mut Guest, fd: u8, parts: [u8; 3], at: Option<u16>, seed: u8,
    ) -> Result<(), String> {
        let fd = self.pick(fd);
        let len = Self::buffers(guest, parts);
        if len == 0 {
            return Ok(());
        }
        let bytes: Vec<u8> = (0..len).map(|index| seed.wrapping_add(index as u8)).collect();
        guest.memory()[BYTES..BYTES + len].copy_from_slice(&bytes);
        let at = at.map(|at| u64::from(at % 0x800));
        let errno = match at {
            None => guest.expect(Syscall::FdWrite, &[fd, BUFFERS as u64, 3, OUT as u64])?,
            Some(at) => {
                guest.expect(Syscall::FdPwrite, &[fd, BUFFERS as u64, 3, at, OUT as u64])?
            }
        };
        let wanted = match self.open.get(&fd) {
            None => Wanted::This(Errno::BadDescriptor),
            Some(open) if !open.writes => Wanted::SomeError,
            Some(_) => Wanted::This(Errno::Success),
        };
        if !wanted.check("write", errno)? {
            return Ok(());
        }
        equal("written", len, guest.u32_at(OUT) as usize)?;
        let Some(open) = self.open.get_mut(&fd) else { return Ok(()) };
        let content = &mut self.contents[open.file];
        let start = match open.appends {
            true => content.len(),
            false => at.unwrap_or(open.offset) as usize,
        };
        if content.len() < start + len {
            content.resize(start + len, 0);
        }
        content[start..start + len].copy_from_slice(&bytes);
        if at.is_none() {
            open.offset = (start + len) as u64;
        }
        Ok(())
    }

    fn read(
        &mut self, guest: &mut Guest, fd: u8, parts: [u8; 3], at: Option<u16>,
    ) -> Result<(), String> {
        let fd = self.pick(fd);
        let len = Self::buffers(guest, parts);
        let at = at.map(|at| u64::from(at % 0x800));
        let errno = match at {
            None => guest.expect(Syscall::FdRead, &[fd, BUFFERS as u64, 3, OUT as u64])?,
            Some(at) => guest.expect(Syscall::FdPread, &[fd, BUFFERS as u64, 3, at, OUT as u64])?,
        };
        let wanted = match self.open.get(&fd) {
            None => Wanted::This(Errno::BadDescriptor),
            Some(open) if !open.reads => Wanted::SomeError,
            Some(_) => Wanted::This(Errno::Success),
        };
        if !wanted.check("read", errno)? {
            return Ok(());
        }
        let Some(open) = self.open.get_mut(&fd) else { return Ok(()) };
        let content = &self.contents[open.file];
        let start = (at.unwrap_or(open.offset) as usize).min(content.len());
        let expected = &content[start..content.len().min(start + len)];
        equal("bytes that were read", expected.len(), guest.u32_at(OUT) as usize)?;
        equal("what was read", expected, &guest.memory()[BYTES..BYTES + expected.len()])?;
        if at.is_none() {
            open.offset += expected.len() as u64;
        }
        Ok(())
    }

    fn seek(&mut self, guest: &mut Guest, fd: u8, offset: i16, whence: u8) -> Result<(), String> {
        let fd = self.pick(fd);
        let delta = i64::from(offset);
        let args = [fd, delta.cast_unsigned(), whence.into(), OUT as u64];
        let errno = guest.expect(Syscall::FdSeek, &args)?;
        let Some(open) = self.open.get_mut(&fd) else {
            Wanted::This(Errno::BadDescriptor).check("seek", errno)?;
            return Ok(());
        };
        let from = [0, open.offset, self.contents[open.file].len() as u64][usize::from(whence)];
        let Some(target) = from.checked_add_signed(delta) else {
            Wanted::This(Errno::Invalid).check("seek before the start", errno)?;
            return Ok(());
        };
        Wanted::This(Errno::Success).check("seek", errno)?;
        open.offset = target;
        equal("new offset", target, guest.u64_at(OUT))?;
        let errno = guest.expect(Syscall::FdTell, &[fd, OUT as u64])?;
        Wanted::This(Errno::Success).check("tell", errno)?;
        equal("offset", target, guest.u64_at(OUT))
    }

    fn set_size(&mut self, guest: &mut Guest, fd: u8, size: u16) -> Result<(), String> {
        let fd = self.pick(fd);
        let errno = guest.expect(Syscall::FdFilestatSetSize, &[fd, size.into()])?;
        let wanted = match self.open.get(&fd) {
            None => Wanted::This(Errno::BadDescriptor),
            Some(open) if !open.writes => Wanted::SomeError,
            Some(_) => Wanted::This(Errno::Success),
        };
        if wanted.check("set size", errno)? {
            self.contents[self.open[&fd].file].resize(size.into(), 0);
        }
        Ok(())
    }

    fn close(&mut self, guest: &mut Guest, fd: u8) -> Result<(), String> {
        let fd = self.pick(fd);
        let errno = guest.expect(Syscall::FdClose, &[fd])?;
        let wanted = match self.open.remove(&fd) {
            None => Errno::BadDescriptor,
            Some(_) => Errno::Success,
        };
        Wanted::This(wanted).check("close", errno).map(drop)
    }

    fn renumber(&mut self, guest: &mut Guest, from: u8, to: u8) -> Result<(), String> {
        let (from, to) = (self.pick(from), self.pick(to));
        let errno = guest.expect(Syscall::FdRenumber, &[from, to])?;
        let both = self.open.contains_key(&from) && self.open.contains_key(&to);
        let wanted = if both { Errno::Success } else { Errno::BadDescriptor };
        if Wanted::This(wanted).check("renumber", errno)?
            && from != to
            && let Some(moved) = self.open.remove(&from)
        {
            self.open.insert(to, moved);
        }
        Ok(())
    }

    fn unlink(&mut self, guest: &mut Guest, name: &'static str) -> Result<(), String> {
        let [at, len] = text(guest, PATH, name);
        let errno = guest.expect(Syscall::PathUnlinkFile, &[MOUNT, at, len])?;
        let wanted = match self.names.remove(name) {
            None => Errno::NoEntry,
            Some(_) => Errno::Success,
        };
        Wanted::This(wanted).check("unlink", errno).map(drop)
    }

    fn rename(
        &mut self, guest: &mut Guest, from: &'static str, to: &'static str,
    ) -> Result<(), String> {
        let [at, len] = text(guest, PATH, from);
        let [to_at, to_len] = text(guest, SECOND_PATH, to);
        let args = [MOUNT, at, len, MOUNT, to_at, to_len];
        let errno = guest.expect(Syscall::PathRename, &args)?;
        match self.names.remove(from) {
            None => Wanted::This(Errno::NoEntry).check("rename", errno).map(drop),
            Some(file) => {
                self.names.insert(to, file);
                Wanted::This(Errno::Success).check("rename", errno).map(drop)
            }
        }
    }

    fn stat(&mut self, guest: &mut Guest, name: &'static str) -> Result<(), String> {
        let [at, len] = text(guest, PATH, name);
        let errno = guest.expect(Syscall::PathFilestatGet, &[MOUNT, 0, at, len, OUT as u64])?;
        match self.names.get(name) {
            None => Wanted::This(Errno::NoEntry).check("stat", errno).map(drop),
            Some(&file) => {
                Wanted::This(Errno::Success).check("stat", errno)?;
                equal("size", self.contents[file].len() as u64, guest.u64_at(OUT + 32))
            }
        }
    }
}
