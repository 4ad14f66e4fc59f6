//! Linear memories: reserved once, accessible as far as they have grown, never moved.
//!
//! ```text
//! guarded   | accessible | no access ......... 4 GiB | 32 MiB |   no access is checked
//! checked   | accessible | no access .. maximum |                 every access is checked
//! ```
//!
//! A memory is guarded if its addresses have 32 bits, faults arrive as signals and there is enough
//! address space. Where the space is limited a memory reserves half of what is left, and growth
//! beyond that fails as the guest's `memory.grow` may.

mod guest;
mod image;
mod reservation;
mod shared;
mod spare;
mod touched;
mod tracking;
pub(crate) mod wait;

use std::sync::Arc;

pub use guest::{GuestMemory, OutOfBounds};
use image::Backing;
pub use image::MemoryImage;
use reservation::HugePages;
pub(crate) use reservation::{Reservation, address_space_left_bytes, host_page_bytes};
pub use shared::SharedMemory;
pub(crate) use spare::StackArea;
pub use tracking::{MissingPages, WriteTracker, WriteTracking, WrittenPages, open_pagemap};

use crate::config::Config;
use crate::store::{Budget, LimitError, Resource, Stable, Store, StoreInner};
use crate::types::MemoryType;
use crate::vm::{GUARD_BYTES, MemoryView, Vm};
pub(crate) use shared::Shared;
use shared::no_room;
#[cfg(guard_pages)]
pub(crate) use tracking::resolve_fault;

/// Size of a page of WebAssembly.
pub const WASM_PAGE_BYTES: u64 = 1 << 16;

/// What a guarded memory reserves.
#[cfg(guard_pages)]
pub(crate) const RESERVED_32_BYTES: u64 = REACH_32_BYTES + GUARD_BYTES;

/// What a 32-bit address reaches.
const REACH_32_BYTES: u64 = 1 << 32;

/// No memory with 64-bit addresses reserves more, so that many of them fit into the address space.
const MAX_RESERVED_BYTES: u64 = 64 << 30;

/// Memories above this size use huge pages; for smaller ones they would cost more than they save.
const HUGE_PAGES_FROM_BYTES: u64 = 64 << 20;

/// The smallest size at which the kernel could use a huge page unasked.
const HUGE_PAGE_BYTES: u64 = 2 << 20;

/// A linear memory of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Memory {
    pub(crate) store: u64,
    pub(crate) index: u32,
}

/// The content of a memory.
pub(crate) struct MemoryInner {
    pub view: MemoryView,
    pub ty: MemoryType,
    area: Reservation,
    backing: Backing,
    /// The memory itself, if other stores have it too; the area is empty then.
    shared: Option<Arc<Shared>>,
    /// What the size never exceeds: the type's maximum, the reservation, a fixed maximum.
    max_bytes: u64,
    /// Instances whose memory 0 this is.
    mirrors: Vec<*mut Vm>,
}

impl MemoryInner {
    /// A memory of its minimum size, taken from `budget`.
    pub fn new(ty: MemoryType, config: &Config, budget: &mut Budget) -> Result<Self, LimitError> {
        let min_bytes = ty.minimum_wasm_pages.saturating_mul(WASM_PAGE_BYTES);
        budget.take(Resource::MemoryBytes, min_bytes)?;
        let made = match ty.is_shared {
            true => Shared::new(ty, config).map(Self::from_shared),
            false => reserve_for(&ty, config).map(|(area, guarded, max_bytes)| {
                let (base, guarded) = (area.base(), u32::from(guarded));
                let view = MemoryView { base, len_bytes: min_bytes, guarded };
                let (backing, mirrors, shared) = (Backing::default(), Vec::new(), None);
                Self { view, ty, area, backing, shared, max_bytes, mirrors }
            }),
        };
        let mut memory =
            made.inspect_err(|_| budget.give_back(Resource::MemoryBytes, min_bytes))?;
        if config.copy_on_write && memory.shared.is_none() && !memory.make_shareable() {
            budget.give_back(Resource::MemoryBytes, min_bytes);
            return Err(no_room(min_bytes, memory.max_bytes));
        }
        memory.advise(0);
        Ok(memory)
    }

    /// A store's view of a memory that others have too.
    fn from_shared(shared: Arc<Shared>) -> Self {
        let (view, ty, max_bytes) = (shared.view(), shared.ty, shared.max_bytes);
        let (area, backing, shared) = (Reservation::empty(), Backing::default(), Some(shared));
        Self { view, ty, area, backing, shared, max_bytes, mirrors: Vec::new() }
    }

    /// Has the view kept up to date. To be called once it is where it stays.
    pub fn settle(&mut self) {
        if let Some(shared) = &self.shared {
            // SAFETY: memories of a store never move, and leave when they are dropped.
            unsafe { shared.enter(&raw mut self.view) };
        }
    }

    /// The memory itself, if other stores can have it.
    pub fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Whether a memory of this type is guarded where there is enough address space.
    pub fn is_guarded(ty: MemoryType, config: &Config) -> bool {
        !ty.is_64 && config.signal_handlers && cfg!(guard_pages)
    }

    /// Size in wasm pages.
    pub fn wasm_pages(&self) -> u64 {
        self.view.len_bytes / WASM_PAGE_BYTES
    }

    /// Grows by `delta` pages and gives the size before, or None and stays as it is.
    pub fn grow(&mut self, delta_wasm_pages: u64, budget: &mut Budget) -> Option<u64> {
        let old_bytes = self.view.len_bytes;
        let delta_bytes = delta_wasm_pages.checked_mul(WASM_PAGE_BYTES)?;
        let new_bytes = old_bytes.checked_add(delta_bytes).filter(|&n| n <= self.max_bytes)?;
        budget.take(Resource::MemoryBytes, delta_bytes).ok()?;
        if let Some(shared) = &self.shared {
            let grown = shared.grow(delta_bytes);
            match grown {
                Some(_) => budget.leave(Resource::MemoryBytes, delta_bytes),
                None => budget.give_back(Resource::MemoryBytes, delta_bytes),
            }
            return Some(grown? / WASM_PAGE_BYTES);
        }
        if !self.area.commit(old_bytes as usize, new_bytes as usize) {
            budget.give_back(Resource::MemoryBytes, delta_bytes);
            return None;
        }
        self.view.len_bytes = new_bytes;
        if !self.extend_backing(old_bytes) {
            self.view.len_bytes = old_bytes;
            budget.give_back(Resource::MemoryBytes, delta_bytes);
            return None;
        }
        self.advise(old_bytes);
        for &vm in &self.mirrors {
            // SAFETY: blocks of instances live as long as the store, which owns this memory too.
            unsafe { (*vm).mem0_bytes = new_bytes };
        }
        Some(old_bytes / WASM_PAGE_BYTES)
    }

    fn advise(&mut self, old_bytes: u64) {
        let new_bytes = self.view.len_bytes;
        if self.shared.is_some() {
            return;
        }
        if new_bytes > HUGE_PAGES_FROM_BYTES {
            self.area.advise_huge_pages(new_bytes as usize, HugePages::Yes);
        } else if new_bytes >= HUGE_PAGE_BYTES && old_bytes < HUGE_PAGE_BYTES {
            let until = HUGE_PAGES_FROM_BYTES.min(self.max_bytes);
            self.area.advise_huge_pages(until as usize, HugePages::No);
        }
    }

    /// Shows this memory as memory 0 of the instance whose block is `vm`, now and after each growth.
    pub fn mirror_in(&mut self, vm: *mut Vm) {
        if let Some(shared) = &self.shared {
            // SAFETY: blocks live as long as the store, whose memories leave before.
            return unsafe { shared.mirror_in(&raw const self.view, vm) };
        }
        // SAFETY: the caller owns the block; it lives as long as the store.
        unsafe {
            (*vm).mem0 = self.view.base;
            (*vm).mem0_bytes = self.view.len_bytes;
        }
        self.mirrors.push(vm);
    }

    /// All bytes. Those of a shared memory may change meanwhile, if other stores' guests run: whoever
    /// decides something by them decides by a copy.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len_bytes` bytes were committed and stay so, and no guest of this store runs while
        // the host has it. What guests of other stores write to a shared memory is plain bytes, of
        // which every value is one; no address is ever taken from them without a check.
        unsafe { std::slice::from_raw_parts(self.view.base, self.view.len_bytes as usize) }
    }

    /// All bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` excludes other users.
        unsafe { std::slice::from_raw_parts_mut(self.view.base, self.view.len_bytes as usize) }
    }
}

impl Drop for MemoryInner {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.leave(&raw const self.view);
        }
    }
}

/// A reservation for a memory of this type, its first bytes accessible; whether it is guarded; the
/// size that the memory never exceeds.
fn reserve_for(ty: &MemoryType, config: &Config) -> Result<(Reservation, bool, u64), LimitError> {
    let pages_to_bytes = |pages: u64| pages.saturating_mul(WASM_PAGE_BYTES);
    let min_bytes = pages_to_bytes(ty.minimum_wasm_pages);
    let mut max_bytes = ty.maximum_wasm_pages.map_or(u64::MAX, pages_to_bytes);
    max_bytes = max_bytes.min(if ty.is_64 { MAX_RESERVED_BYTES } else { REACH_32_BYTES });
    if config.deterministic {
        max_bytes = max_bytes.min(config.deterministic_memory_bytes);
    }
    if min_bytes > max_bytes {
        return Err(no_room(min_bytes, max_bytes));
    }
    let guard = MemoryInner::is_guarded(*ty, config);
    let least_bytes = if config.deterministic { max_bytes } else { min_bytes };
    let made = reserve(guard, max_bytes, least_bytes).and_then(|(mut area, guarded)| {
        area.commit(0, min_bytes as usize).then_some((area, guarded))
    });
    let (area, guarded) = made.ok_or(no_room(least_bytes, max_bytes))?;
    let max_bytes = max_bytes.min(area.len_bytes() as u64);
    Ok((area, guarded, max_bytes))
}

/// Reserves for a memory that may reach `max_bytes`; says whether it is guarded.
fn reserve(guard: bool, max_bytes: u64, least_bytes: u64) -> Option<(Reservation, bool)> {
    if guard && let Some(area) = Reservation::new((REACH_32_BYTES + GUARD_BYTES) as usize) {
        return Some((area, true));
    }
    let mut bytes = max_bytes;
    if let Some(left) = address_space_left_bytes() {
        bytes = bytes.min((left / 2).max(least_bytes));
    }
    loop {
        bytes -= bytes % WASM_PAGE_BYTES;
        if bytes < least_bytes {
            return None;
        }
        if let Some(area) = Reservation::new(usize::try_from(bytes).ok()?) {
            return Some((area, false));
        }
        if bytes == least_bytes {
            return None;
        }
        bytes = (bytes / 2).max(least_bytes);
    }
}

impl StoreInner {
    /// Takes a memory in, and gives its index.
    pub fn add_memory(&mut self, memory: MemoryInner) -> u32 {
        let mut memory = Stable::new(memory);
        memory.settle();
        self.memories.push(memory);
        self.memories.len() as u32 - 1
    }
}

impl Memory {
    /// A memory of its minimum size that belongs to no instance.
    ///
    /// # Errors
    /// A limit, or the host, does not allow it.
    pub fn new(store: &mut Store, ty: MemoryType) -> Result<Self, LimitError> {
        let inner = store.inner_mut();
        inner.budget.take(Resource::Memories, 1)?;
        let made = MemoryInner::new(ty, inner.engine.config(), &mut inner.budget);
        let memory = made.inspect_err(|_| inner.budget.give_back(Resource::Memories, 1))?;
        Ok(Self { store: inner.id, index: inner.add_memory(memory) })
    }

    /// A memory that other stores have too.
    ///
    /// # Errors
    /// A limit does not allow it.
    pub fn from_shared(store: &mut Store, shared: &SharedMemory) -> Result<Self, LimitError> {
        let inner = store.inner_mut();
        inner.budget.take(Resource::Memories, 1)?;
        let memory = MemoryInner::from_shared(shared.0.clone());
        Ok(Self { store: inner.id, index: inner.add_memory(memory) })
    }

    /// The memory as other stores can have it; None if its type is not shared.
    pub fn shared(self, store: &Store) -> Option<SharedMemory> {
        self.of(store.inner()).shared().cloned().map(SharedMemory)
    }

    /// Its type, with the size at the start as the minimum.
    pub fn ty(self, store: &Store) -> MemoryType {
        self.of(store.inner()).ty
    }

    /// Its size in wasm pages.
    pub fn wasm_pages(self, store: &Store) -> u64 {
        self.of(store.inner()).wasm_pages()
    }

    /// Grows it and gives the size before; None if it cannot grow so far.
    pub fn grow(self, store: &mut Store, delta_wasm_pages: u64) -> Option<u64> {
        let inner = store.inner_mut();
        inner.check_handle(self.store);
        inner.memories[self.index as usize].grow(delta_wasm_pages, &mut inner.budget)
    }

    /// All bytes.
    pub fn bytes(self, store: &Store) -> &[u8] {
        self.of(store.inner()).bytes()
    }

    /// Its content, to be read and written by checked addresses.
    pub fn guest(self, store: &mut Store) -> GuestMemory<'_> {
        let inner = store.inner_mut();
        inner.check_handle(self.store);
        GuestMemory::new(inner.memories[self.index as usize].bytes_mut())
    }

    /// Whether handlers reach it without checks.
    pub fn is_guarded(self, store: &Store) -> bool {
        self.of(store.inner()).view.guarded != 0
    }

    fn of(self, inner: &StoreInner) -> &MemoryInner {
        inner.check_handle(self.store);
        &inner.memories[self.index as usize]
    }
}

#[cfg(test)]
mod tests;
