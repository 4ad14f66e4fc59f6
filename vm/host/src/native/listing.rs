//! Reading a directory by small cookies, in bounded memory, however large it is.
//!
//! A cookie is the number of an entry: 0 is the start, `.` and `..` come first and are made here,
//! the entries of the system follow in its order.
//! One block of entries is held at a time. Reading on, or again from any cookie of the block, is
//! exact even while entries are being removed (`rm -r` does that).
//! For a jump elsewhere the listing notes where some entries begin for the system and skips on from
//! the nearest note; notes are thinned out when they get many.
//! This file must never know who asks.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, RawDir, SeekFrom};
use rustix::io::Errno;

/// The system fills this much at a time: some hundred entries.
const BLOCK_BYTES: usize = 16 << 10;

/// Notes held before every second one is dropped.
const MAX_NOTES: usize = 256;

/// `.` and `..`.
const DOT_COUNT: u64 = 2;

/// One entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed<'a> {
    /// Reading on from here gives the entry behind this one.
    pub next_cookie: u64,
    /// Number of the file.
    pub inode: u64,
    /// What kind of file it is.
    pub kind: FileType,
    /// Its name, in the bytes that the system gave.
    pub name: &'a [u8],
}

/// How far a directory has been read.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Number of the first entry in `entries`, not counting the dots.
    first: u64,
    entries: Vec<Entry>,
    names: Vec<u8>,
    /// Whether the system had nothing behind the block.
    at_end: bool,
    /// (number of an entry, where it begins for the system), ascending.
    notes: Vec<(u64, u64)>,
    /// Entries between two notes.
    stride: u64,
}

#[derive(Debug)]
struct Entry {
    inode: u64,
    kind: FileType,
    name_end: usize,
    /// Where the next entry begins for the system.
    next: u64,
}

impl Listing {
    /// Calls `visit` with the entries from `cookie` on until it says `false` or none is left.
    ///
    /// `directory` must be open for reading, and its offset belongs to this listing alone.
    pub(super) fn read(
        &mut self, directory: &File, cookie: u64, visit: &mut dyn FnMut(Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        let mut cookie = cookie;
        while cookie < DOT_COUNT {
            // The parent of a mount is not the guest's to know, so `..` has the number of `.`.
            let inode = rustix::fs::fstat(directory)?.st_ino;
            let name: &[u8] = if cookie == 0 { b"." } else { b".." };
            cookie += 1;
            let dot = Listed { next_cookie: cookie, inode, kind: FileType::Directory, name };
            if !visit(dot) {
                return Ok(());
            }
            // A reader that starts over wants to see what has changed.
            self.rewind();
        }
        let mut number = cookie - DOT_COUNT;
        self.seek(directory, number)?;
        loop {
            let Some(index) = self.index_of(number) else {
                if self.at_end {
                    return Ok(());
                }
                self.advance(directory)?;
                continue;
            };
            let entry = &self.entries[index];
            let name_start = index.checked_sub(1).map_or(0, |before| self.entries[before].name_end);
            let name = &self.names[name_start..entry.name_end];
            let kind = match entry.kind {
                FileType::Unknown => kind_by_asking(directory, name),
                known => known,
            };
            number += 1;
            let next_cookie = number + DOT_COUNT;
            if !visit(Listed { next_cookie, inode: entry.inode, kind, name }) {
                return Ok(());
            }
        }
    }

    /// Forgets all that was read.
    fn rewind(&mut self) {
        *self = Listing { notes: std::mem::take(&mut self.notes), ..Listing::default() };
        self.notes.clear();
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (index < self.entries.len()).then_some(index)
    }

    /// Number of the entry behind the block.
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Brings the block to `number`, or to the end if there are fewer entries.
    fn seek(&mut self, directory: &File, number: u64) -> Result<(), Errno> {
        if self.stride == 0 {
            self.stride = 1;
            self.jump(directory, 0, 0)?;
        }
        if number < self.first {
            let (first, offset) = self.note_before(number);
            self.jump(directory, first, offset)?;
        } else if number > self.end() {
            let (first, offset) = self.note_before(number);
            if first > self.end() {
                self.jump(directory, first, offset)?;
            }
        }
        while number > self.end() && !self.at_end {
            self.advance(directory)?;
        }
        Ok(())
    }

    /// Empties the block and stands before entry `first`, which begins at `offset`.
    fn jump(&mut self, directory: &File, first: u64, offset: u64) -> Result<(), Errno> {
        rustix::fs::seek(directory, SeekFrom::Start(offset))?;
        self.entries.clear();
        self.names.clear();
        self.first = first;
        self.at_end = false;
        Ok(())
    }

    /// Replaces the block by the one behind it.
    fn advance(&mut self, directory: &File) -> Result<(), Errno> {
        let first = self.end();
        if let Some(last) = self.entries.last() {
            let offset = last.next;
            self.note(first, offset);
        }
        self.first = first;
        self.entries.clear();
        self.names.clear();
        let mut buffer = [MaybeUninit::uninit(); BLOCK_BYTES];
        let mut block = RawDir::new(directory, &mut buffer);
        loop {
            let Some(entry) = block.next() else {
                self.at_end = true;
                return Ok(());
            };
            let entry = match entry {
                // The directory was removed under the reader: there is nothing more in it.
                Err(Errno::NOENT) => {
                    self.at_end = true;
                    return Ok(());
                }
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                self.names.extend_from_slice(name);
                self.entries.push(Entry {
                    inode: entry.ino(),
                    kind: entry.file_type(),
                    name_end: self.names.len(),
                    next: entry.next_entry_cookie(),
                });
            }
            if block.is_buffer_empty() && !self.entries.is_empty() {
                return Ok(());
            }
        }
    }

    fn note(&mut self, number: u64, offset: u64) {
        if self.notes.last().is_some_and(|(last, _)| number < last + self.stride) {
            return;
        }
        self.notes.push((number, offset));
        if self.notes.len() == MAX_NOTES {
            let mut keep = false;
            self.notes.retain(|_| {
                keep = !keep;
                keep
            });
            let span = self.notes.last().map_or(0, |(last, _)| *last);
            self.stride = (span / self.notes.len() as u64).max(1);
        }
    }

    fn note_before(&self, number: u64) -> (u64, u64) {
        let behind = self.notes.partition_point(|(noted, _)| *noted <= number);
        behind.checked_sub(1).map_or((0, 0), |index| self.notes[index])
    }
}

/// Some file systems leave the kind out of their lists.
fn kind_by_asking(directory: &File, name: &[u8]) -> FileType {
    let name = std::ffi::OsStr::from_bytes(name);
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(listing: &mut Listing, directory: &File, cookie: u64, max: usize) -> Vec<String> {
        let mut names = Vec::new();
        listing
            .read(directory, cookie, &mut |entry| {
                names.push(String::from_utf8(entry.name.to_vec()).unwrap());
                names.len() < max
            })
            .unwrap();
        names
    }

    fn filled(count: usize) -> (tempfile::TempDir, File) {
        let temporary = tempfile::tempdir().unwrap();
        for number in 0..count {
            File::create(temporary.path().join(format!("file-{number:05}"))).unwrap();
        }
        let directory = File::open(temporary.path()).unwrap();
        (temporary, directory)
    }

    #[test]
    fn dots_come_first_and_all_names_once() {
        let (_temporary, directory) = filled(3);
        let mut listing = Listing::default();
        let found = names(&mut listing, &directory, 0, 100);
        assert_eq!(found[..2], [".", ".."]);
        let rest: BTreeSet<_> = found[2..].iter().cloned().collect();
        assert_eq!(
            rest.into_iter().collect::<Vec<_>>(),
            ["file-00000", "file-00001", "file-00002"]
        );
    }

    #[test]
    fn every_cookie_gives_the_same_rest() {
        let (_temporary, directory) = filled(2_000);
        let mut listing = Listing::default();
        let all = names(&mut listing, &directory, 0, usize::MAX);
        assert_eq!(all.len(), 2_002);
        for cookie in [1_999, 2, 1_000, 3, 1, 700, 701, 2_001, 2_002, 0] {
            let rest = names(&mut listing, &directory, cookie, usize::MAX);
            assert_eq!(rest, all[cookie as usize..], "from {cookie}");
        }
    }

    #[test]
    fn a_cookie_behind_the_end_gives_nothing() {
        let (_temporary, directory) = filled(3);
        let mut listing = Listing::default();
        for cookie in [6, 1 << 20, u64::MAX] {
            assert_eq!(names(&mut listing, &directory, cookie, 9), [""; 0]);
        }
        assert_eq!(names(&mut listing, &directory, 4, 9).len(), 1);
    }

    #[test]
    fn removing_while_reading_misses_nothing() {
        let (temporary, directory) = filled(3_000);
        let mut listing = Listing::default();
        let (mut cookie, mut removed) = (0, 0);
        loop {
            let mut batch = Vec::new();
            listing
                .read(&directory, cookie, &mut |entry| {
                    batch.push((
                        entry.next_cookie,
                        String::from_utf8_lossy(entry.name).into_owned(),
                    ));
                    batch.len() < 7
                })
                .unwrap();
            // The last one is read again, as a guest does whose buffer cut it off.
            let used = if batch.len() == 7 { 6 } else { batch.len() };
            if used == 0 {
                break;
            }
            for (next, name) in &batch[..used] {
                cookie = *next;
                if !name.starts_with('.') {
                    std::fs::remove_file(temporary.path().join(name)).unwrap();
                    removed += 1;
                }
            }
        }
        assert_eq!(removed, 3_000);
    }

    #[test]
    fn starting_over_sees_what_is_new() {
        let (temporary, directory) = filled(1);
        let mut listing = Listing::default();
        assert_eq!(names(&mut listing, &directory, 0, 9).len(), 3);
        File::create(temporary.path().join("new")).unwrap();
        assert_eq!(names(&mut listing, &directory, 0, 9).len(), 4);
    }

    #[test]
    fn memory_does_not_grow_with_the_directory() {
        let (_temporary, directory) = filled(6_000);
        let mut listing = Listing::default();
        assert_eq!(names(&mut listing, &directory, 0, usize::MAX).len(), 6_002);
        assert!(listing.entries.capacity() < 2_048, "{}", listing.entries.capacity());
        assert!(listing.notes.len() <= MAX_NOTES);
    }
}
