//! Pages that come while the guest runs already.
//!
//! ```text
//! guest's thread    touches a page that is to come: asks for it, and waits in the handler
//! somebody else     hears what is asked for, and fills pages as they come, in any order
//! ```
//!
//! A page is there as a whole or not at all, and what the guest has seen is never filled again. Pages
//! that are not awaited are zero, as ever. If it is given up the guest does not go on: it is let out
//! of its wait only so that its thread can end, and no system call sees what it finds there.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::userfault::{self, Userfault};
#[cfg(guard_pages)]
use super::watched::Fault;
use super::watched::{self, Watched};
use super::{Area, WrittenPages, faults};
use crate::persist::PAGE_BYTES;
use crate::store::Store;

/// Whoever waits looks again after this time, whatever happened.
const LOOK_AGAIN: libc::timespec = libc::timespec { tv_sec: 1, tv_nsec: 0 };

/// Pages of a store's memories that are still to come.
#[derive(Debug)]
pub struct MissingPages {
    ranges: Vec<Arc<Watched>>,
    shared: Arc<Shared>,
}

/// What all memories of a store have in common.
#[derive(Debug, Default)]
struct Shared {
    /// Counts what is asked for; whoever hears that waits here.
    asks: AtomicU32,
    /// Nothing more will come.
    is_lost: AtomicBool,
}

/// The pages of one memory.
#[derive(Debug)]
pub(super) struct Missing {
    area: Area,
    userfault: Userfault,
    /// A bit for each page that is to come.
    pending: Box<[AtomicU64]>,
    left: AtomicU64,
    /// A bit for each page that somebody waits for.
    asked: Box<[AtomicU64]>,
    /// Counts what has come; guests wait here.
    arrived: AtomicU32,
    /// Handlers that wait.
    holders: AtomicUsize,
    shared: Arc<Shared>,
    /// Whether the memory is there.
    gate: Mutex<bool>,
}

impl Store {
    /// Makes these pages missing until they are [filled](MissingPages::fill); whatever they hold now
    /// is dropped.
    ///
    /// # Errors
    /// There are no such pages; the kernel, or this host, cannot.
    pub fn await_pages(&mut self, pages: &[WrittenPages]) -> io::Result<MissingPages> {
        if !MissingPages::are_available() || !self.engine().config().signal_handlers {
            return Err(io::ErrorKind::Unsupported.into());
        }
        crate::signal::prepare_thread();
        let shared = Arc::new(Shared::default());
        let mut missing = MissingPages { ranges: Vec::new(), shared: shared.clone() };
        for (memory, inner) in (0..).zip(&self.inner().memories) {
            let (base, len_bytes) = (inner.view.base as usize, inner.view.len_bytes as usize);
            let own = pages.iter().filter(|pages| pages.memory == memory);
            let range = Missing::new(Area { memory, base, len_bytes }, own, shared.clone())?;
            if range.left.load(Ordering::SeqCst) == 0 {
                continue;
            }
            let range = Arc::new(Watched::Missing(range));
            watched::enter(&range)?;
            missing.ranges.push(range);
            missing.memories().last().map_or(Ok(()), Missing::begin)?;
        }
        match pages.iter().all(|pages| (pages.memory as usize) < self.inner().memories.len()) {
            true => Ok(missing),
            false => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The pages of memory `index` that may be other than what its data segments give, without a
    /// look at their contents.
    pub fn touched_runs(&self, index: u32) -> Vec<WrittenPages> {
        let Some(memory) = self.inner().memories.get(index as usize) else { return Vec::new() };
        let touched = memory.touched_pages();
        let mut runs: Vec<WrittenPages> = Vec::new();
        for page in 0..memory.view.len_bytes / PAGE_BYTES as u64 {
            if touched.as_ref().is_some_and(|touched| !touched.contains(page)) {
                continue;
            }
            match runs.last_mut() {
                Some(last) if last.first + last.count == page => last.count += 1,
                _ => runs.push(WrittenPages { memory: index, first: page, count: 1 }),
            }
        }
        runs
    }

    /// A page of memory `index`.
    pub fn page(&self, index: u32, page: u64) -> Option<&[u8; PAGE_BYTES]> {
        let (pages, _) = self.inner().memories.get(index as usize)?.bytes().as_chunks();
        pages.get(usize::try_from(page).ok()?)
    }
}

impl MissingPages {
    /// Whether pages can come later here.
    pub fn are_available() -> bool {
        faults::is_available()
            && super::super::host_page_bytes() == PAGE_BYTES
            && userfault::missing().is_ok()
    }

    fn memories(&self) -> impl DoubleEndedIterator<Item = &Missing> {
        self.ranges.iter().filter_map(|range| match &**range {
            Watched::Missing(missing) => Some(missing),
            Watched::Writes(_) => None,
        })
    }

    /// A page has come; none is one of zeros. False if it is not awaited, or no more.
    ///
    /// # Errors
    /// What the kernel says; the memory is gone.
    pub fn fill(
        &self, memory: u32, page: u64, content: Option<&[u8; PAGE_BYTES]>,
    ) -> io::Result<bool> {
        let found = self.memories().find(|missing| missing.area.memory == memory);
        found.map_or(Ok(false), |missing| missing.fill(page, content))
    }

    /// How many pages are still to come.
    pub fn left(&self) -> u64 {
        self.memories().map(|missing| missing.left.load(Ordering::SeqCst)).sum()
    }

    /// The first of them, as so many runs at most.
    pub fn runs(&self, limit: usize) -> Vec<WrittenPages> {
        self.memories().flat_map(Missing::runs).take(limit).collect()
    }

    /// Waits for the guest to wait for pages, for this time at most; shows which ones.
    pub fn wait_for_asks(&self, patience: Duration, mut visit: impl FnMut(u32, u64)) {
        let seen = self.shared.asks.load(Ordering::SeqCst);
        let mut count = 0;
        for missing in self.memories() {
            missing.take_asks(|page| {
                count += 1;
                visit(missing.area.memory, page);
            });
        }
        if count == 0 && self.left() > 0 {
            wait(
                &self.shared.asks,
                seen,
                &libc::timespec {
                    tv_sec: patience.as_secs() as libc::time_t,
                    tv_nsec: patience.subsec_nanos().into(),
                },
            );
        }
    }

    /// Has whoever waits for asks look again.
    pub fn rouse(&self) {
        self.shared.asks.fetch_add(1, Ordering::SeqCst);
        wake(&self.shared.asks);
    }

    /// How many pages a memory has that pages are to come to.
    pub fn memory_pages(&self, memory: u32) -> u64 {
        let found = self.memories().find(|missing| missing.area.memory == memory);
        found.map_or(0, |missing| (missing.area.len_bytes / PAGE_BYTES) as u64)
    }

    /// All has come: the memory is like any other again. Nothing happens while pages are missing.
    pub fn finish(&self) {
        if self.left() > 0 || self.is_lost() {
            return;
        }
        for range in &self.ranges {
            let Watched::Missing(missing) = &**range else { continue };
            missing.let_go();
            watched::leave(range);
            missing.until_nobody_waits();
        }
    }

    /// Nothing more will come: the guest does not go on, and its thread can end.
    pub fn give_up(&self) {
        self.shared.is_lost.store(true, Ordering::SeqCst);
        self.memories().for_each(Missing::wake);
        wake(&self.shared.asks);
    }

    /// Whether it was given up.
    pub fn is_lost(&self) -> bool {
        self.shared.is_lost.load(Ordering::SeqCst)
    }
}

impl Drop for MissingPages {
    fn drop(&mut self) {
        if self.left() > 0 {
            // The memory may live on; whatever is missing in it never reads as zero to anybody.
            return self.give_up();
        }
        self.finish();
    }
}

impl Missing {
    fn new<'a>(
        area: Area, pages: impl Iterator<Item = &'a WrittenPages>, shared: Arc<Shared>,
    ) -> io::Result<Missing> {
        let count = area.len_bytes / PAGE_BYTES;
        let mut bits = vec![0u64; count.div_ceil(64)];
        for run in pages {
            let end = run.first.checked_add(run.count).filter(|&end| end <= count as u64);
            for page in run.first..end.ok_or(io::ErrorKind::InvalidInput)? {
                bits[(page / 64) as usize] |= 1 << (page % 64);
            }
        }
        let left = bits.iter().map(|word| u64::from(word.count_ones())).sum();
        Ok(Missing {
            area,
            userfault: userfault::missing()?,
            asked: bits.iter().map(|_| AtomicU64::new(0)).collect(),
            pending: bits.into_iter().map(AtomicU64::new).collect(),
            left: AtomicU64::new(left),
            arrived: AtomicU32::new(0),
            holders: AtomicUsize::new(0),
            shared,
            gate: Mutex::new(true),
        })
    }

    /// Drops what the pages hold, so that they are missing.
    fn begin(&self) -> io::Result<()> {
        for run in self.runs() {
            let at = self.area.base + run.first as usize * PAGE_BYTES;
            let len_bytes = run.count as usize * PAGE_BYTES;
            // SAFETY: the range lies in the memory, whose content is to be replaced; nobody looks at
            // it now.
            let done =
                unsafe { libc::madvise(at as *mut libc::c_void, len_bytes, libc::MADV_DONTNEED) };
            userfault::answer(done)?;
        }
        self.userfault.await_pages(self.area.base, self.area.len_bytes)
    }

    fn gate(&self) -> MutexGuard<'_, bool> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_pending(&self, page: usize) -> bool {
        self.pending[page / 64].load(Ordering::SeqCst) >> (page % 64) & 1 != 0
    }

    fn address(&self, page: usize) -> usize {
        self.area.base + page * PAGE_BYTES
    }

    /// Whether it has bytes of this memory.
    pub fn overlaps(&self, from: usize, to: usize) -> bool {
        from < self.area.base + self.area.len_bytes && to > self.area.base
    }

    fn runs(&self) -> impl Iterator<Item = WrittenPages> {
        let count = self.area.len_bytes / PAGE_BYTES;
        let mut at = 0;
        std::iter::from_fn(move || {
            while at < count && !self.is_pending(at) {
                let word = self.pending[at / 64].load(Ordering::SeqCst) >> (at % 64);
                at += if word == 0 { 64 - at % 64 } else { word.trailing_zeros() as usize };
            }
            let first = at;
            while at < count && self.is_pending(at) {
                at += 1;
            }
            let (memory, count) = (self.area.memory, (at.max(first) - first) as u64);
            (count > 0).then_some(WrittenPages { memory, first: first as u64, count })
        })
    }

    fn fill(&self, page: u64, content: Option<&[u8; PAGE_BYTES]>) -> io::Result<bool> {
        let gate = self.gate();
        if !*gate {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the memory is gone"));
        }
        let page = usize::try_from(page).unwrap_or(usize::MAX);
        if page >= self.area.len_bytes / PAGE_BYTES || !self.is_pending(page) {
            return Ok(false);
        }
        self.userfault.fill(self.address(page), content)?;
        self.pending[page / 64].fetch_and(!(1 << (page % 64)), Ordering::SeqCst);
        self.left.fetch_sub(1, Ordering::SeqCst);
        if self.holders.load(Ordering::SeqCst) > 0 {
            self.wake();
        } else {
            self.arrived.fetch_add(1, Ordering::SeqCst);
        }
        Ok(true)
    }

    fn wake(&self) {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        wake(&self.arrived);
    }

    fn take_asks(&self, mut visit: impl FnMut(u64)) {
        for (index, word) in (0..).zip(&self.asked) {
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut bits = word.swap(0, Ordering::SeqCst);
            while bits != 0 {
                visit(index * 64 + u64::from(bits.trailing_zeros()));
                bits &= bits - 1;
            }
        }
    }

    /// What is to be done about a fault. Called by the handler of signals.
    #[cfg(guard_pages)]
    pub fn resolve(&self, signal: libc::c_int, address: usize) -> Fault {
        let end = self.area.base + self.area.len_bytes;
        if signal != libc::SIGBUS || address < self.area.base || address >= end {
            return Fault::NotOurs;
        }
        let page = (address - self.area.base) / PAGE_BYTES;
        if self.is_pending(page) {
            return Fault::Waits(page);
        }
        // One that was never to come; or it has just come, or nothing is awaited any more.
        let _ = self.userfault.fill(self.address(page), None);
        Fault::Resolved
    }

    /// Somebody is about to wait.
    pub fn hold(&self) {
        self.holders.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits for a page; where it is given up the thread is let out, see the head of this file.
    /// Called by the handler of signals, after [`Self::hold`].
    #[cfg(guard_pages)]
    pub fn wait_in_handler(&self, page: usize) {
        if !self.wait(page) {
            let _ = self.userfault.fill(self.address(page), None);
        }
        self.holders.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits for the pages of these bytes; false if they will not come, or the guest is lost.
    pub fn wait_for(&self, from: usize, to: usize) -> bool {
        if !self.overlaps(from, to) {
            return true;
        }
        let end = self.area.base + self.area.len_bytes;
        let first = (from.max(self.area.base) - self.area.base) / PAGE_BYTES;
        let last = (to.min(end) - self.area.base).div_ceil(PAGE_BYTES);
        self.hold();
        let are_there = (first..last).all(|page| {
            let came = self.wait(page);
            if came && !self.shared.is_lost.load(Ordering::SeqCst) {
                // A system call that touches it does not fault.
                let _ = self.userfault.fill(self.address(page), None);
            }
            came
        });
        self.holders.fetch_sub(1, Ordering::SeqCst);
        are_there && !self.shared.is_lost.load(Ordering::SeqCst)
    }

    fn wait(&self, page: usize) -> bool {
        loop {
            let seen = self.arrived.load(Ordering::SeqCst);
            if !self.is_pending(page) {
                return true;
            }
            if self.shared.is_lost.load(Ordering::SeqCst) {
                return false;
            }
            self.asked[page / 64].fetch_or(1 << (page % 64), Ordering::SeqCst);
            self.shared.asks.fetch_add(1, Ordering::SeqCst);
            wake(&self.shared.asks);
            wait(&self.arrived, seen, &LOOK_AGAIN);
        }
    }

    /// All has come.
    fn let_go(&self) {
        if *self.gate() {
            self.userfault.let_go(self.area.base, self.area.len_bytes);
        }
    }

    /// The memory goes: nobody runs in it any more.
    pub fn retire(&self) {
        *self.gate() = false;
        self.shared.is_lost.store(true, Ordering::SeqCst);
        self.until_nobody_waits();
    }

    fn until_nobody_waits(&self) {
        while self.holders.load(Ordering::SeqCst) != 0 {
            self.wake();
            std::thread::yield_now();
        }
    }
}

/// Sleeps while the word has this value, for a time at most.
fn wait(word: &AtomicU32, value: u32, patience: &libc::timespec) {
    let flags = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word and the time live as long as the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), flags, value, patience) };
}

/// Wakes all who sleep there.
fn wake(word: &AtomicU32) {
    let flags = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word lives as long as the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), flags, i32::MAX) };
}
