//! The state of a store as plain values: what a snapshot is made of, and made into again.
//!
//! A state is good for any store that was made alike: the same modules, linked in the same order.
//! It names no address. References to functions are [`FuncRef`]s, never numbers of one store; how
//! the values are written down is nobody's business here, and neither are files.
//!
//! ```text
//! reference.rs  functions by instance and index
//! base.rs       what the data segments alone make of a memory
//! pages.rs      the pages that differ from it
//! post_mortem.rs  what is left of a thread that has trapped
//! ```
//!
//! Whatever a state says is checked before it is used: it may come from an enemy.

mod base;
mod pages;
mod post_mortem;
mod reference;

use std::fmt;

pub use pages::PAGE_BYTES;
pub(crate) use post_mortem::TrapKeeper;
pub use post_mortem::{TrapFrame, TrapState, Trapped};
pub use reference::FuncRef;
pub(crate) use reference::References;

use crate::frame::{FrameError, FrameState, Slot};
use crate::func::Func;
use crate::store::{LimitError, Store, StoreInner};
use crate::thread::Thread;
use crate::types::{RefType, ValType};

/// Everything that belongs to a store but the contents of its memories and its threads.
///
/// References to functions are bits of [`FuncRef`]; those to values of the host are numbers of the
/// store, which only the same store understands.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct StoreState {
    /// Units of fuel that are left.
    pub fuel: u64,
    /// Sizes of all memories.
    pub memories_wasm_pages: Vec<u64>,
    /// Elements of all tables.
    pub tables: Vec<Vec<ElementRun>>,
    /// Values of the globals that can change, in the order of the store.
    pub globals: Vec<Slot>,
    /// What instances have dropped.
    pub instances: Vec<InstanceState>,
    /// Whether a table or a global holds a value of the host.
    pub holds_host_values: bool,
}

/// Equal elements of a table, one behind the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ElementRun {
    /// How many.
    pub count: u64,
    /// Their bits.
    pub bits: u64,
}

/// What an instance has dropped.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct InstanceState {
    /// Whether a data segment is gone.
    pub dropped_data: Vec<bool>,
    /// Whether an element segment is gone, or was empty.
    pub dropped_elements: Vec<bool>,
}

/// A thread that stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadState {
    /// The function whose results it ends with.
    pub func: FuncRef,
    /// Its frames, the outermost first. References to functions are bits of [`FuncRef`].
    pub frames: Vec<FrameState>,
}

/// Why a state cannot be saved, or is not one of this store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PersistError {
    /// A reference leads to a function of the host that no module imports: nothing names it.
    NamelessFunction,
    /// The thread has ended, or a host function would be its first frame.
    NoFrames,
    /// The store has not as many of these as the state.
    Count(&'static str),
    /// A memory or table cannot have this size: it would have to shrink, or its type forbids it.
    Size(&'static str),
    /// A memory or table needs more than the limits allow.
    Limit(LimitError),
    /// A global has another type.
    GlobalType,
    /// A reference leads nowhere.
    Reference,
    /// A segment is there that the store has dropped.
    Segment,
    /// A page lies outside of its memory.
    Page,
    /// The thread does not stand where threads wait.
    Wait,
    /// The frames are no thread of the store.
    Frames(FrameError),
}

impl fmt::Display for PersistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NamelessFunction => {
                f.write_str("a reference leads to a host function that no module imports")
            }
            Self::NoFrames => f.write_str("the thread has no frames"),
            Self::Count(what) => write!(f, "the number of {what} is not that of the modules"),
            Self::Size(what) => write!(f, "a {what} cannot have this size"),
            Self::Limit(error) => error.fmt(f),
            Self::GlobalType => f.write_str("a global has another type"),
            Self::Reference => f.write_str("a reference leads nowhere"),
            Self::Segment => f.write_str("a segment is there that was dropped"),
            Self::Page => f.write_str("a page lies outside of its memory"),
            Self::Wait => f.write_str("a thread waits where none can"),
            Self::Frames(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PersistError {}

impl Store {
    /// What is in the store, memories (see [`Self::changed_pages`]) and threads left out.
    ///
    /// # Errors
    /// [`PersistError::NamelessFunction`].
    pub fn save(&self) -> Result<StoreState, PersistError> {
        let inner = self.inner();
        let references = References::of(inner);
        let mut state = StoreState {
            fuel: inner.fuel,
            memories_wasm_pages: inner.memories.iter().map(|memory| memory.wasm_pages()).collect(),
            instances: inner
                .instances
                .iter()
                .map(|instance| InstanceState {
                    dropped_data: instance.data_dropped.to_vec(),
                    dropped_elements: instance.elements.iter().map(|e| e.is_empty()).collect(),
                })
                .collect(),
            ..StoreState::default()
        };
        for table in &inner.tables {
            let is_func = table.ty.element == RefType::Func;
            let mut runs: Vec<ElementRun> = Vec::new();
            for equal in table.elements().chunk_by(|a, b| a == b) {
                state.holds_host_values |= !is_func && equal[0] != 0;
                let bits = match is_func {
                    true => references.func(equal[0])?.bits(),
                    false => u64::from(equal[0]),
                };
                runs.push(ElementRun { count: equal.len() as u64, bits });
            }
            state.tables.push(runs);
        }
        for global in inner.globals.iter().filter(|global| global.ty.is_mutable) {
            let slot = Slot::of_cell(global.ty.value, global.bits());
            state.holds_host_values |= slot.ty == ValType::ExternRef && slot.bits != 0;
            state.globals.push(references.portable_slot(slot)?);
        }
        Ok(state)
    }

    /// Makes the store what it was when `state` was saved. Memories grow and keep their contents.
    ///
    /// # Errors
    /// The state is not one of a store like this, or needs more than the limits allow. What was
    /// restored before stays: the store is good for nothing then.
    pub fn restore(&mut self, state: &StoreState) -> Result<(), PersistError> {
        let inner = self.inner_mut();
        restore_segments(inner, &state.instances)?;
        grow_memories(inner, &state.memories_wasm_pages)?;
        restore_tables(inner, &state.tables)?;
        restore_globals(inner, &state.globals)?;
        inner.fuel = state.fuel;
        Ok(())
    }

    /// The function that a reference leads to.
    pub fn func(&self, reference: FuncRef) -> Option<Func> {
        let reference = reference.in_store(self.inner())?;
        Some(Func { store: self.inner().id, reference })
    }

    /// How a function is named in a state.
    ///
    /// # Errors
    /// [`PersistError::NamelessFunction`].
    pub fn func_ref(&self, func: Func) -> Result<FuncRef, PersistError> {
        self.inner().check_handle(func.store);
        References::of(self.inner()).func(func.reference)
    }
}

impl Thread {
    /// The thread as a value. It stands still, or has not begun.
    ///
    /// # Errors
    /// It has no frames, or one of them refers to what nothing names.
    ///
    /// # Panics
    /// `store` is not the thread's.
    pub fn save(&mut self, store: &mut Store) -> Result<ThreadState, PersistError> {
        let mut frames = self.frames(store).ok_or(PersistError::NoFrames)?;
        let references = References::of(store.inner());
        for slot in frames.iter_mut().flat_map(|f| f.locals.iter_mut().chain(&mut f.operands)) {
            *slot = references.portable_slot(*slot)?;
        }
        Ok(ThreadState { func: references.func(self.func().reference)?, frames })
    }

    /// The thread that goes on from a state.
    ///
    /// # Errors
    /// The state is no thread of this store.
    pub fn restore(store: &mut Store, state: &ThreadState) -> Result<Self, PersistError> {
        let func = store.func(state.func).ok_or(PersistError::Reference)?;
        let mut frames = state.frames.clone();
        for slot in frames.iter_mut().flat_map(|f| f.locals.iter_mut().chain(&mut f.operands)) {
            *slot = reference::slot_in_store(store.inner(), *slot)?;
        }
        Self::from_frames(store, func, &frames).map_err(PersistError::Frames)
    }
}

impl ThreadState {
    /// Whether a frame holds a value of the host.
    pub fn holds_host_values(&self) -> bool {
        let slots = self.frames.iter().flat_map(|frame| frame.locals.iter().chain(&frame.operands));
        slots.into_iter().any(|slot| slot.ty == ValType::ExternRef && slot.bits != 0)
    }
}

fn restore_segments(store: &mut StoreInner, states: &[InstanceState]) -> Result<(), PersistError> {
    if states.len() != store.instances.len() {
        return Err(PersistError::Count("instances"));
    }
    for (instance, state) in store.instances.iter_mut().zip(states) {
        if state.dropped_data.len() != instance.data_dropped.len()
            || state.dropped_elements.len() != instance.elements.len()
        {
            return Err(PersistError::Count("segments"));
        }
        for (is_dropped, &was_dropped) in instance.data_dropped.iter_mut().zip(&state.dropped_data)
        {
            if *is_dropped && !was_dropped {
                return Err(PersistError::Segment);
            }
            *is_dropped = was_dropped;
        }
        for (elements, &was_dropped) in instance.elements.iter_mut().zip(&state.dropped_elements) {
            if elements.is_empty() && !was_dropped {
                return Err(PersistError::Segment);
            }
            if was_dropped {
                *elements = Box::default();
            }
        }
    }
    Ok(())
}

fn grow_memories(store: &mut StoreInner, sizes: &[u64]) -> Result<(), PersistError> {
    let StoreInner { memories, budget, .. } = store;
    if sizes.len() != memories.len() {
        return Err(PersistError::Count("memories"));
    }
    for (memory, &wasm_pages) in memories.iter_mut().zip(sizes) {
        let delta = wasm_pages.checked_sub(memory.wasm_pages());
        let delta = delta.ok_or(PersistError::Size("memory"))?;
        memory.grow(delta, budget).ok_or(PersistError::Size("memory"))?;
    }
    Ok(())
}

fn restore_tables(store: &mut StoreInner, states: &[Vec<ElementRun>]) -> Result<(), PersistError> {
    if states.len() != store.tables.len() {
        return Err(PersistError::Count("tables"));
    }
    for (index, runs) in states.iter().enumerate() {
        let element = store.tables[index].ty.element;
        let size = runs.iter().try_fold(0u64, |sum, run| sum.checked_add(run.count));
        let old = store.tables[index].elements().len() as u64;
        let delta = size.and_then(|size| size.checked_sub(old));
        let delta = delta.ok_or(PersistError::Size("table"))?;
        let StoreInner { tables, budget, .. } = store;
        tables[index].grow(delta, 0, budget).ok_or(PersistError::Size("table"))?;
        let mut at = 0;
        for run in runs {
            let slot = Slot { ty: element.into(), bits: u128::from(run.bits) };
            let reference = reference::slot_in_store(store, slot)?.bits as u32;
            // The sum of all counts is the table's size.
            let end = at + run.count as usize;
            store.tables[index].elements_mut()[at..end].fill(reference);
            at = end;
        }
    }
    Ok(())
}

fn restore_globals(store: &mut StoreInner, states: &[Slot]) -> Result<(), PersistError> {
    let mut states = states.iter();
    for index in 0..store.globals.len() {
        let ty = store.globals[index].ty;
        if !ty.is_mutable {
            continue;
        }
        let state = *states.next().ok_or(PersistError::Count("globals"))?;
        if state.ty != ty.value {
            return Err(PersistError::GlobalType);
        }
        let slot = reference::slot_in_store(store, state)?;
        store.globals[index].set_bits(slot.cell());
    }
    if states.next().is_some() { Err(PersistError::Count("globals")) } else { Ok(()) }
}
