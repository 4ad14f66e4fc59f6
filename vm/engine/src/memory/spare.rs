//! Stacks of threads that have ended, for those that begin.
//!
//! A program that starts a thread for each small task would spend most of its time on mappings.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Reservation;

/// So many are kept for the whole host process. Each may have pages that a deep recursion has touched.
const MOST_SPARE: usize = 4;

static SPARE: Mutex<Vec<Spare>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Spare {
    area: Reservation,
    /// Where the accessible bytes begin and end.
    committed: (usize, usize),
}

/// The memory of a stack. What its bytes are at first is not known: frames write before they read.
#[derive(Debug)]
pub struct StackArea {
    /// There until it is dropped.
    spare: Option<Spare>,
}

impl StackArea {
    /// `len_bytes`, of which those from `from` to `to` are accessible. None if the host has no room.
    pub fn new(len_bytes: usize, from: usize, to: usize) -> Option<Self> {
        let committed = (from, to);
        if let Some(spare) = take(len_bytes, committed) {
            return Some(Self { spare: Some(spare) });
        }
        let area = Reservation::guarded(len_bytes, from..to)?;
        Some(Self { spare: Some(Spare { area, committed }) })
    }

    fn area(&self) -> &Reservation {
        let spare = self.spare.as_ref();
        &spare.unwrap_or_else(|| unreachable!("it is there until it is dropped")).area
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.area().base()
    }

    /// How many bytes there are.
    pub fn len_bytes(&self) -> usize {
        self.area().len_bytes()
    }
}

impl Drop for StackArea {
    fn drop(&mut self) {
        let Some(spare) = self.spare.take() else { return };
        let mut all = lock();
        if all.len() < MOST_SPARE {
            all.push(spare);
        }
    }
}

fn lock() -> MutexGuard<'static, Vec<Spare>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One that is as it is wanted. Of another size there may be one too many: it makes room.
fn take(len_bytes: usize, committed: (usize, usize)) -> Option<Spare> {
    let mut all = lock();
    let is_meant = |spare: &Spare| {
        spare.committed == committed
            && spare.area.len_bytes() == len_bytes.next_multiple_of(super::host_page_bytes())
    };
    match all.iter().rposition(is_meant) {
        Some(at) => Some(all.swap_remove(at)),
        None => {
            let other = (all.len() == MOST_SPARE).then(|| all.swap_remove(0));
            // It is unmapped without the lock.
            drop(all);
            drop(other);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_used_again_by_one_of_its_size() {
        let size = 3 * super::super::host_page_bytes() + 77;
        let first = StackArea::new(size, 0, 4096).expect("room");
        let base = first.base();
        // SAFETY: it is accessible, and nobody else has it.
        unsafe { base.write(7) };
        drop(first);
        let kept: Vec<_> = (0..MOST_SPARE).map(|_| StackArea::new(size, 0, 4096)).collect();
        // Other tests have stacks of their own, of other sizes, and may have taken its place.
        let bases: Vec<_> = kept.iter().flatten().map(StackArea::base).collect();
        assert_eq!(bases.len(), MOST_SPARE);
        assert!(bases.iter().all(|base| bases.iter().filter(|other| *other == base).count() == 1));
        for stack in kept.iter().flatten() {
            // SAFETY: as above.
            unsafe { stack.base().add(4095).write(1) };
        }
        drop(kept);
        assert!(lock().len() <= MOST_SPARE);
    }
}
