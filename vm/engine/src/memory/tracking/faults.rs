//! Each first write to a page faults, and the handler of signals notes it and opens the page.
//!
//! Twice the same with two ways to protect pages: a userfaultfd whose faults come as signals, and the
//! plain protection of pages. The second one costs the kernel a mapping for each run of pages that
//! are alike, so that it looks at larger pieces in large memories.
//!
//! ```text
//! look      forget that the piece was written, protect it, then read it
//! handler   open the piece, note that it was written, run the instruction again
//! ```
//!
//! In this order nothing is lost whatever comes between: a piece that is open and not noted is only
//! ever one whose write has not happened yet.
//!
//! A system call that writes to a protected page fails without a fault. Pages of guests' buffers are
//! opened before such a call, stay open, and count as written until the end.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::userfault::{self, Access, Userfault};
use super::watched::{self, Watched};
use super::{Area, WriteTracking, WrittenPages, gone};
use crate::persist::PAGE_BYTES;
use crate::store::StoreInner;

/// With plain protection a memory is looked at in so many pieces at most: a program may have about
/// 65,000 mappings in all.
const PIECES_LIMIT: usize = 16 << 10;

/// Whether faults come as signals here.
pub(super) fn is_available() -> bool {
    cfg!(all(guard_pages, target_os = "linux"))
}

/// Tells which pages of areas were written.
#[derive(Debug)]
pub(super) struct Tracker {
    ranges: Vec<Arc<Watched>>,
}

impl Tracker {
    /// Begins to track, while the guest stands.
    pub fn new(store: &StoreInner, areas: &[Area], tracking: WriteTracking) -> io::Result<Tracker> {
        if !is_available() || !store.engine.config().signal_handlers {
            return Err(io::ErrorKind::Unsupported.into());
        }
        crate::signal::prepare_thread();
        let mut tracker = Tracker { ranges: Vec::new() };
        for area in areas {
            // Asked before: afterwards the kernel has a note for each page that it protects.
            let touched = store.memories[area.memory as usize].touched_pages();
            let range = Arc::new(Watched::Writes(Noted::new(*area, tracking)?));
            watched::enter(&range)?;
            // From here on it is taken back, whatever fails.
            tracker.ranges.push(range);
            let Some(noted) = tracker.noted().last() else { continue };
            noted.begin()?;
            noted.note_all(|page| touched.as_ref().is_none_or(|touched| touched.contains(page)));
        }
        Ok(tracker)
    }

    /// Shows what was written since the last time, and notes what is written from now on.
    pub fn take_written(&mut self, visit: &mut impl FnMut(WrittenPages)) -> io::Result<()> {
        self.noted().try_for_each(|noted| noted.take(visit))
    }

    /// How many pages were written since the last time.
    pub fn written_count(&self) -> u64 {
        self.noted().map(Noted::count).sum()
    }

    fn noted(&self) -> impl DoubleEndedIterator<Item = &Noted> {
        self.ranges.iter().filter_map(|range| match &**range {
            Watched::Writes(noted) => Some(noted),
            Watched::Missing(_) => None,
        })
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.noted().for_each(Noted::end);
        self.ranges.iter().for_each(watched::leave);
    }
}

/// How pieces are protected.
#[derive(Debug)]
enum Lock {
    Userfault(Userfault),
    Protection,
}

/// A range whose writes are noted.
#[derive(Debug)]
pub(super) struct Noted {
    area: Area,
    lock: Lock,
    piece_bytes: usize,
    /// A bit for each piece that was written, or is open.
    written: Box<[AtomicU64]>,
    gate: Mutex<Gate>,
}

/// What only one at a time does.
#[derive(Debug)]
struct Gate {
    /// The memory is there.
    is_alive: bool,
    /// A bit for each piece that stays open.
    open: Box<[u64]>,
}

impl Noted {
    fn new(area: Area, tracking: WriteTracking) -> io::Result<Noted> {
        let pages = area.len_bytes / PAGE_BYTES;
        let (lock, piece_pages) = match tracking {
            WriteTracking::Protection => {
                (Lock::Protection, pages.div_ceil(PIECES_LIMIT).next_power_of_two())
            }
            _ => (Lock::Userfault(userfault::sync()?), 1),
        };
        let piece_pages = piece_pages.max(crate::memory::host_page_bytes() / PAGE_BYTES);
        let words = pages.div_ceil(piece_pages).div_ceil(64);
        let gate = Gate { is_alive: true, open: vec![0; words].into() };
        Ok(Noted {
            area,
            lock,
            piece_bytes: piece_pages * PAGE_BYTES,
            written: (0..words).map(|_| AtomicU64::new(0)).collect(),
            gate: Mutex::new(gate),
        })
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_address(&self) -> usize {
        self.area.base + self.area.len_bytes
    }

    /// Whether it has bytes of this range.
    pub fn overlaps(&self, from: usize, to: usize) -> bool {
        from < self.end_address() && to > self.area.base
    }

    /// Protects all of it.
    fn begin(&self) -> io::Result<()> {
        if let Lock::Userfault(userfault) = &self.lock {
            userfault.watch(self.area.base, self.area.len_bytes)?;
        }
        match self.set(self.area.base, self.end_address(), Access::Protected) {
            true => Ok(()),
            false => Err(io::Error::last_os_error()),
        }
    }

    /// Opens all of it.
    fn end(&self) {
        let mut gate = self.gate();
        if gate.is_alive {
            gate.is_alive = false;
            self.set(self.area.base, self.end_address(), Access::Open);
        }
    }

    /// The memory goes, or something else is mapped there.
    pub fn retire(&self) {
        self.gate().is_alive = false;
    }

    /// Notes pieces with pages that are to be told of at the first time.
    fn note_all(&self, is_there: impl Fn(u64) -> bool) {
        for page in 0..(self.area.len_bytes / PAGE_BYTES) {
            if is_there(page as u64) {
                self.note(page * PAGE_BYTES / self.piece_bytes);
            }
        }
    }

    fn note(&self, piece: usize) {
        self.written[piece / 64].fetch_or(1 << (piece % 64), Ordering::SeqCst);
    }

    /// The bytes of pieces.
    fn span(&self, first: usize, end: usize) -> (usize, usize) {
        let at = |piece: usize| self.area.base + piece * self.piece_bytes;
        (at(first), at(end).min(self.end_address()))
    }

    /// Resolves a fault, if it is one of this range. Called by the handler of signals.
    #[cfg(guard_pages)]
    pub fn resolve(&self, signal: libc::c_int, address: usize) -> bool {
        let ours = match self.lock {
            Lock::Userfault(_) => libc::SIGBUS,
            Lock::Protection => libc::SIGSEGV,
        };
        if signal != ours || address < self.area.base || address >= self.end_address() {
            return false;
        }
        let piece = (address - self.area.base) / self.piece_bytes;
        let (from, to) = self.span(piece, piece + 1);
        if self.set(from, to, Access::Open) {
            self.note(piece);
            return true;
        }
        // The kernel has no mapping left: as one piece it takes none.
        if !self.set(self.area.base, self.end_address(), Access::Open) {
            return false;
        }
        (0..self.pieces()).for_each(|piece| self.note(piece));
        true
    }

    fn pieces(&self) -> usize {
        self.area.len_bytes.div_ceil(self.piece_bytes)
    }

    /// Opens pieces for good.
    pub fn open_for_host(&self, from: usize, to: usize) {
        if !self.overlaps(from, to) {
            return;
        }
        let mut gate = self.gate();
        let first = (from.max(self.area.base) - self.area.base) / self.piece_bytes;
        let end = (to.min(self.end_address()) - self.area.base).div_ceil(self.piece_bytes);
        for piece in first..end {
            let (word, bit) = (piece / 64, 1 << (piece % 64));
            if !gate.is_alive || gate.open[word] & bit != 0 {
                continue;
            }
            gate.open[word] |= bit;
            let (from, to) = self.span(piece, piece + 1);
            if !self.set(from, to, Access::Open) {
                self.set(self.area.base, self.end_address(), Access::Open);
                (0..self.pieces()).for_each(|piece| self.note(piece));
            }
            self.note(piece);
        }
    }

    fn set(&self, from: usize, to: usize, access: Access) -> bool {
        match &self.lock {
            Lock::Userfault(userfault) => userfault.set(from, to - from, access),
            Lock::Protection => {
                let protection = match access {
                    Access::Open => libc::PROT_READ | libc::PROT_WRITE,
                    Access::Protected => libc::PROT_READ,
                };
                // SAFETY: the range lies in a memory's accessible bytes while it is alive, and is
                // taken out of the table before it is not. A write that faults is let through.
                unsafe { libc::mprotect(from as *mut libc::c_void, to - from, protection) == 0 }
            }
        }
    }

    /// Shows what is noted, and protects it again but for what stays open.
    fn take(&self, visit: &mut impl FnMut(WrittenPages)) -> io::Result<()> {
        let mut at = 0;
        while let Some((first, end)) = self.next_run(at) {
            self.take_run(first, end)?;
            let (from, to) = self.span(first, end);
            visit(WrittenPages {
                memory: self.area.memory,
                first: ((from - self.area.base) / PAGE_BYTES) as u64,
                count: ((to - from) / PAGE_BYTES) as u64,
            });
            at = end;
        }
        match self.gate().is_alive {
            true => Ok(()),
            false => Err(gone()),
        }
    }

    fn take_run(&self, first: usize, end: usize) -> io::Result<()> {
        let gate = self.gate();
        if !gate.is_alive {
            return Err(gone());
        }
        let is_open = |piece: usize| gate.open[piece / 64] >> (piece % 64) & 1 != 0;
        let mut at = first;
        while at < end {
            let stop = (at..end).find(|&piece| is_open(piece)).unwrap_or(end);
            for piece in at..stop {
                self.written[piece / 64].fetch_and(!(1 << (piece % 64)), Ordering::SeqCst);
            }
            let (from, to) = self.span(at, stop);
            if at < stop && !self.set(from, to, Access::Protected) {
                // What cannot be protected counts as written for ever.
                (at..stop).for_each(|piece| self.note(piece));
            }
            at = (stop..end).find(|&piece| !is_open(piece)).unwrap_or(end);
        }
        Ok(())
    }

    /// Pieces behind each other that are noted, from `at` on.
    fn next_run(&self, at: usize) -> Option<(usize, usize)> {
        let is_noted =
            |piece: usize| self.written[piece / 64].load(Ordering::SeqCst) >> (piece % 64) & 1 != 0;
        let mut first = at;
        while first < self.pieces() && !is_noted(first) {
            // Words without a bit are passed at once.
            let word = self.written[first / 64].load(Ordering::SeqCst) >> (first % 64);
            first += if word == 0 { 64 - first % 64 } else { word.trailing_zeros() as usize };
        }
        let end = (first..self.pieces()).find(|&piece| !is_noted(piece));
        (first < self.pieces()).then(|| (first, end.unwrap_or(self.pieces())))
    }

    fn count(&self) -> u64 {
        let pieces: u32 =
            self.written.iter().map(|word| word.load(Ordering::SeqCst).count_ones()).sum();
        u64::from(pieces) * (self.piece_bytes / PAGE_BYTES) as u64
    }
}
