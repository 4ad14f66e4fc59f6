//! Ranges of memory whose faults are resolved here, as the handler of signals finds them.
//!
//! The handler runs in the midst of anything: it takes no lock and allocates nothing. So the ranges
//! stand in a table of pointers, and whoever takes one out waits until no handler looks any more.
//!
//! Lock order: `ALL`, then the gate of a range.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::faults::Noted;

/// Ranges at a time; a move that finds no place copies a guest that stands.
const PLACES_COUNT: usize = 256;

static PLACES: [AtomicPtr<Noted>; PLACES_COUNT] =
    [const { AtomicPtr::new(ptr::null_mut()) }; PLACES_COUNT];

/// How many places are taken.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How many handlers look at the table.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

/// The same ranges, for whoever may wait.
static ALL: Mutex<Vec<Arc<Noted>>> = Mutex::new(Vec::new());

/// Whose ranges these are comes back whole after every change.
fn all() -> MutexGuard<'static, Vec<Arc<Noted>>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has faults of a range resolved from now on.
pub(super) fn enter(range: &Arc<Noted>) -> io::Result<()> {
    let mut all = all();
    let pointer = Arc::as_ptr(range).cast_mut();
    let taken = PLACES.iter().any(|place| {
        let (empty, order) = (ptr::null_mut(), Ordering::SeqCst);
        place.compare_exchange(empty, pointer, order, order).is_ok()
    });
    if !taken {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    COUNT.fetch_add(1, Ordering::SeqCst);
    all.push(range.clone());
    Ok(())
}

/// Has them resolved no more. Nothing of the range is protected by now.
pub(super) fn leave(range: &Arc<Noted>) {
    leave_in(&mut all(), range);
}

fn leave_in(all: &mut Vec<Arc<Noted>>, range: &Arc<Noted>) {
    let pointer = Arc::as_ptr(range).cast_mut();
    for place in &PLACES {
        let (empty, order) = (ptr::null_mut(), Ordering::SeqCst);
        if place.compare_exchange(pointer, empty, order, order).is_ok() {
            COUNT.fetch_sub(1, Ordering::SeqCst);
        }
    }
    while LOOKING.load(Ordering::SeqCst) != 0 {
        std::hint::spin_loop();
    }
    all.retain(|other| !Arc::ptr_eq(other, range));
}

/// Resolves a fault at `address` that came as this signal; false if it is none of ours.
///
/// Called by the handler of signals.
#[cfg(guard_pages)]
pub(crate) fn resolve_fault(signal: libc::c_int, address: usize) -> bool {
    if COUNT.load(Ordering::SeqCst) == 0 {
        return false;
    }
    LOOKING.fetch_add(1, Ordering::SeqCst);
    let resolved = PLACES.iter().any(|place| {
        // SAFETY: what stands in the table lives: whoever takes it out waits for this handler.
        let range = unsafe { place.load(Ordering::SeqCst).as_ref() };
        range.is_some_and(|range| range.resolve(signal, address))
    });
    LOOKING.fetch_sub(1, Ordering::SeqCst);
    resolved
}

/// Opens bytes of a guest's memory to system calls that write there, which do not fault but fail.
#[inline]
pub(crate) fn open_for_host(bytes: &[u8]) {
    if COUNT.load(Ordering::Relaxed) != 0 && !bytes.is_empty() {
        open_ranges(bytes);
    }
}

#[cold]
fn open_ranges(bytes: &[u8]) {
    let start = bytes.as_ptr().addr();
    all().iter().for_each(|range| range.open_for_host(start, start + bytes.len()));
}

/// The addresses are about to be mapped anew or to be given back.
pub(crate) fn retire(base: usize, len_bytes: usize) {
    if COUNT.load(Ordering::SeqCst) == 0 {
        return;
    }
    let mut all = all();
    let touched = all.iter().filter(|range| range.overlaps(base, base + len_bytes));
    for range in touched.cloned().collect::<Vec<_>>() {
        range.retire();
        leave_in(&mut all, &range);
    }
}
