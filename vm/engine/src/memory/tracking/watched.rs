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
use super::missing::Missing;

/// A range whose faults are resolved here.
#[derive(Debug)]
pub(super) enum Watched {
    /// Its writes are noted.
    Writes(Noted),
    /// Its pages are still to come.
    Missing(Missing),
}

/// What a system call does with bytes of a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HostUse {
    /// It reads them.
    Read,
    /// It writes them.
    Write,
}

/// What is to be done about a fault.
#[cfg(guard_pages)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// Nothing: it is none of this range.
    NotOurs,
    /// The instruction runs again.
    Resolved,
    /// It does once this page is there.
    Waits(usize),
}

/// Ranges at a time; a move that finds no place copies a guest that stands.
const PLACES_COUNT: usize = 256;

static PLACES: [AtomicPtr<Watched>; PLACES_COUNT] =
    [const { AtomicPtr::new(ptr::null_mut()) }; PLACES_COUNT];

/// How many places are taken.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How many handlers look at the table.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

/// The same ranges, for whoever may wait.
static ALL: Mutex<Vec<Arc<Watched>>> = Mutex::new(Vec::new());

/// Whose ranges these are comes back whole after every change.
fn all() -> MutexGuard<'static, Vec<Arc<Watched>>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has faults of a range resolved from now on.
pub(super) fn enter(range: &Arc<Watched>) -> io::Result<()> {
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
pub(super) fn leave(range: &Arc<Watched>) {
    leave_in(&mut all(), range);
}

fn leave_in(all: &mut Vec<Arc<Watched>>, range: &Arc<Watched>) {
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
    let mut waits = None;
    let resolved = PLACES.iter().any(|place| {
        // SAFETY: what stands in the table lives: whoever takes it out waits for this handler.
        let range = unsafe { place.load(Ordering::SeqCst).as_ref() };
        match range {
            Some(Watched::Writes(noted)) => noted.resolve(signal, address),
            Some(Watched::Missing(missing)) => match missing.resolve(signal, address) {
                Fault::NotOurs => false,
                Fault::Resolved => true,
                Fault::Waits(page) => {
                    missing.hold();
                    waits = Some((missing, page));
                    true
                }
            },
            None => false,
        }
    });
    LOOKING.fetch_sub(1, Ordering::SeqCst);
    if let Some((missing, page)) = waits {
        missing.wait_in_handler(page);
    }
    resolved
}

/// Opens bytes of a guest's memory to system calls, which do not fault there but fail. False if the
/// guest is not to go on.
#[inline]
pub(crate) fn open_for_host(bytes: &[u8], what: HostUse) -> bool {
    COUNT.load(Ordering::Relaxed) == 0 || bytes.is_empty() || open_ranges(bytes, what)
}

#[cold]
fn open_ranges(bytes: &[u8], what: HostUse) -> bool {
    let from = bytes.as_ptr().addr();
    let to = from + bytes.len();
    // Who waits here holds nobody up.
    let ranges: Vec<Arc<Watched>> = all().clone();
    ranges.iter().all(|range| match &**range {
        Watched::Writes(noted) => {
            if what == HostUse::Write {
                noted.open_for_host(from, to);
            }
            true
        }
        Watched::Missing(missing) => missing.wait_for(from, to),
    })
}

/// The addresses are about to be mapped anew or to be given back.
pub(crate) fn retire(base: usize, len_bytes: usize) {
    if COUNT.load(Ordering::SeqCst) == 0 {
        return;
    }
    let mut all = all();
    let end = base + len_bytes;
    let touched = all.iter().filter(|range| match &***range {
        Watched::Writes(noted) => noted.overlaps(base, end),
        Watched::Missing(missing) => missing.overlaps(base, end),
    });
    for range in touched.cloned().collect::<Vec<_>>() {
        match &*range {
            Watched::Writes(noted) => noted.retire(),
            Watched::Missing(missing) => missing.retire(),
        }
        leave_in(&mut all, &range);
    }
}
