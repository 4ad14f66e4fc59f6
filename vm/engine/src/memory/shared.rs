//! Memories that several stores use at once, each on a thread of the host of its own.
//!
//! Every store has its own view of such a memory. Growth writes the new size into all of them while
//! it holds the lock, so that it is seen everywhere once `memory.grow` is over.
//!
//! Spec: threads proposal, "shared linear memory".

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::wait::WaitQueue;
use super::{Reservation, reserve_for};
use crate::config::Config;
use crate::store::{LimitError, Resource, Store};
use crate::types::MemoryType;
use crate::vm::{MemoryView, Vm};

/// A memory that can be imported by instances of several stores of one engine.
#[derive(Clone)]
pub struct SharedMemory(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub ty: MemoryType,
    /// What the size never exceeds.
    pub max_bytes: u64,
    /// Who waits at its addresses.
    pub waits: WaitQueue,
    base: *mut u8,
    guarded: bool,
    state: Mutex<State>,
}

struct State {
    area: Reservation,
    len_bytes: u64,
    users: Vec<User>,
}

/// A store that has the memory.
struct User {
    view: *mut MemoryView,
    /// Instances of it whose memory 0 this is.
    mirrors: Vec<*mut Vm>,
}

// SAFETY: the pointers lead to the reservation, which lives as long as this, and to views and blocks
// of stores that take themselves off the list before they go; of those only sizes are written, with
// atomic instructions and under the lock.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// A memory of its minimum size.
    pub fn new(ty: MemoryType, config: &Config) -> Result<Arc<Self>, LimitError> {
        let (area, guarded, max_bytes) = reserve_for(&ty, config)?;
        let (base, len_bytes) = (area.base(), ty.minimum_wasm_pages * super::WASM_PAGE_BYTES);
        let state = Mutex::new(State { area, len_bytes, users: Vec::new() });
        let waits = WaitQueue::default();
        Ok(Arc::new(Self { ty, max_bytes, waits, base, guarded, state }))
    }

    /// How it looks now.
    pub fn view(&self) -> MemoryView {
        let len_bytes = self.lock().len_bytes;
        MemoryView { base: self.base, len_bytes, guarded: u32::from(self.guarded) }
    }

    /// Keeps `view` up to date from now on.
    ///
    /// # Safety
    /// It stays where it is until [`Self::leave`].
    pub unsafe fn enter(&self, view: *mut MemoryView) {
        let mut state = self.lock();
        // SAFETY: by the contract of this function.
        unsafe { write_size(&raw mut (*view).len_bytes, state.len_bytes) };
        state.users.push(User { view, mirrors: Vec::new() });
    }

    /// Keeps the copy of the size in `vm` up to date too.
    ///
    /// # Safety
    /// It stays where it is until the store of `view` leaves.
    pub unsafe fn mirror_in(&self, view: *const MemoryView, vm: *mut Vm) {
        let mut state = self.lock();
        // SAFETY: by the contract of this function.
        unsafe {
            (*vm).mem0 = self.base;
            write_size(&raw mut (*vm).mem0_bytes, state.len_bytes);
        }
        if let Some(user) = state.users.iter_mut().find(|user| user.view.cast_const() == view) {
            user.mirrors.push(vm);
        }
    }

    /// Forgets `view` and the blocks that belong to it.
    pub fn leave(&self, view: *const MemoryView) {
        self.lock().users.retain(|user| user.view.cast_const() != view);
    }

    /// Grows by `delta_bytes` and gives the size before, in bytes; None if it cannot.
    pub fn grow(&self, delta_bytes: u64) -> Option<u64> {
        let mut state = self.lock();
        let old_bytes = state.len_bytes;
        let new_bytes = old_bytes.checked_add(delta_bytes).filter(|&n| n <= self.max_bytes)?;
        if !state.area.commit(old_bytes as usize, new_bytes as usize) {
            return None;
        }
        state.len_bytes = new_bytes;
        for user in &state.users {
            // SAFETY: users are on the list only while their views and blocks live.
            unsafe {
                write_size(&raw mut (*user.view).len_bytes, new_bytes);
                for &vm in &user.mirrors {
                    write_size(&raw mut (*vm).mem0_bytes, new_bytes);
                }
            }
        }
        Some(old_bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a size that a guest may be reading.
///
/// # Safety
/// `place` is that of a live number.
unsafe fn write_size(place: *mut u64, bytes: u64) {
    // SAFETY: by the contract of this function.
    unsafe { AtomicU64::from_ptr(place) }.store(bytes, Ordering::Relaxed);
}

impl SharedMemory {
    /// A memory of its minimum size, which no store has yet.
    ///
    /// # Errors
    /// The host does not allow it.
    ///
    /// # Panics
    /// `ty` is not shared.
    pub fn new(engine: &crate::Engine, ty: MemoryType) -> Result<Self, LimitError> {
        assert!(ty.is_shared, "{ty:?} is not shared");
        Shared::new(ty, engine.config()).map(Self)
    }

    /// A memory of its minimum size, which the limits of `store` allow and pay for as long as that
    /// store is there. No store has it yet.
    ///
    /// # Errors
    /// A limit, or the host, does not allow it.
    ///
    /// # Panics
    /// `ty` is not shared.
    pub fn within_limits(store: &mut Store, ty: MemoryType) -> Result<Self, LimitError> {
        assert!(ty.is_shared, "{ty:?} is not shared");
        let inner = store.inner_mut();
        let bytes = ty.minimum_wasm_pages.saturating_mul(super::WASM_PAGE_BYTES);
        inner.budget.take(Resource::MemoryBytes, bytes)?;
        let made = Shared::new(ty, inner.engine.config());
        let made = made.inspect_err(|_| inner.budget.give_back(Resource::MemoryBytes, bytes));
        made.map(Self)
    }

    /// Its type, with the size at the start as the minimum.
    pub fn ty(&self) -> MemoryType {
        self.0.ty
    }

    /// Its size in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.0.lock().len_bytes
    }
}

impl std::fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedMemory").field("ty", &self.0.ty).finish_non_exhaustive()
    }
}

/// What a memory cannot have.
pub(super) fn no_room(asked: u64, left: u64) -> LimitError {
    LimitError { resource: Resource::HostMemory, asked, left }
}
