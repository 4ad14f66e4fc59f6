//! Stores: what instances, memories, tables and globals belong to.
//!
//! A store is used by one host thread at a time. Handles ([`crate::Func`], [`crate::Memory`], ...)
//! are numbers, good with their own store only. Nothing in a store is freed before the store is:
//! handlers, icode and tables hold addresses and numbers of what is in it.

pub(crate) mod bulk;
mod interrupt;
mod limits;
mod site_plan;
mod stable;

use std::any::Any;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use interrupt::Interrupt;
pub(crate) use interrupt::Stopper;
pub(crate) use limits::Budget;
pub use limits::{LimitError, Limits, Resource};
pub(crate) use site_plan::SitePlan;
pub(crate) use stable::Stable;

use crate::config::{Engine, Tier};
use crate::frame::Layouts;
use crate::func::Functions;
use crate::global::GlobalInner;
use crate::host::HostFunc;
use crate::instance::InstanceInner;
use crate::memory::MemoryInner;
use crate::memory::wait::Wake;
use crate::native::calls::CallTargets;
use crate::native::code::CodeMap;
use crate::native::tier::Compiling;
use crate::persist::TrapKeeper;
use crate::profile::Samples;
use crate::table::TableInner;
use crate::types::TypeIds;

/// What instances, memories, tables and globals belong to.
pub struct Store {
    /// Dropped by hand: a store that is dropped while its guest runs (a host function may put
    /// another one in its place) is leaked instead, because the run still uses it.
    inner: ManuallyDrop<Box<StoreInner>>,
}

/// The content of a store.
pub(crate) struct StoreInner {
    /// Unique in the process; handles carry it.
    pub id: u64,
    pub engine: Engine,
    pub data: Box<dyn Any + Send>,
    /// Shared with every [`Interrupt`].
    pub stopper: Arc<Stopper>,
    pub budget: Budget,
    /// What is left while no guest runs; meanwhile it is in the running `Vm`.
    pub fuel: u64,
    pub types: TypeIds,
    pub functions: Functions,
    pub hosts: Vec<Stable<HostFunc>>,
    pub memories: Vec<Stable<MemoryInner>>,
    pub tables: Vec<Stable<TableInner>>,
    pub globals: Vec<GlobalInner>,
    pub instances: Vec<Stable<InstanceInner>>,
    /// What external references refer to; reference value 1 is the first.
    pub externs: Vec<Box<dyn Any + Send>>,
    /// Compiled code that its instances may run.
    pub code: CodeMap,
    pub compiling: Compiling,
    /// What is compiled.
    pub tier: Tier,
    pub call_targets: CallTargets,
    pub site_plan: SitePlan,
    /// Where values are at sites that threads have stood at.
    pub layouts: Layouts,
    /// Where its guests were seen, if somebody wants to know.
    pub samples: Option<Samples>,
    /// What is left of a thread that has trapped.
    pub trapped: TrapKeeper,
    /// How many runs stand on the native stack.
    pub activations: u32,
    /// Called when a thread of this store that waits at an address is woken.
    pub wake: Option<Wake>,
    /// Whether its shared memories are as a state has them: active segments are not written there.
    pub joins_memories: bool,
}

// SAFETY: the raw pointers in a store lead to what the store itself owns, the boxed values in it are
// `Send`, and nothing of it is bound to a thread.
unsafe impl Send for StoreInner {}

impl Store {
    /// An empty store. `data` is the embedder's, for its host functions.
    pub fn new(engine: &Engine, data: Box<dyn Any + Send>) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let inner = Box::new(StoreInner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            engine: engine.clone(),
            data,
            stopper: Arc::default(),
            budget: Budget::default(),
            fuel: 0,
            types: TypeIds::default(),
            functions: Functions::new(),
            hosts: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            instances: Vec::new(),
            externs: Vec::new(),
            code: CodeMap::default(),
            compiling: Compiling::default(),
            tier: engine.config().tier,
            call_targets: CallTargets::default(),
            site_plan: SitePlan::default(),
            layouts: Layouts::default(),
            samples: None,
            trapped: TrapKeeper::default(),
            activations: 0,
            wake: None,
            joins_memories: false,
        });
        Self { inner: ManuallyDrop::new(inner) }
    }

    /// The engine that it was made for.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Has this store take from the limits of `other`, which hold for both together from now on. To
    /// be called before anything is made in it.
    pub fn share_limits(&mut self, other: &Self) {
        self.inner.budget = other.inner.budget.sibling();
    }

    /// Whether what is instantiated from now on finds its shared memories as they are to be: their
    /// active segments were written long ago, and are not written again.
    pub fn join_memories(&mut self, join: bool) {
        self.inner.joins_memories = join;
    }

    /// Whether `other` has memory `index` too.
    ///
    /// # Panics
    /// The store has no such memory.
    pub fn shares_memory(&self, index: u32, other: &Self) -> bool {
        let shared = self.inner.memories[index as usize].shared();
        shared.is_some_and(|shared| {
            let others = other.inner.memories.iter().filter_map(|memory| memory.shared());
            others.into_iter().any(|other| Arc::ptr_eq(shared, other))
        })
    }

    /// Has `wake` called whenever a thread of this store that waits at an address is woken, by the
    /// thread that wakes it. It must not run guests.
    pub fn on_wake(&mut self, wake: Wake) {
        self.inner.wake = Some(wake);
    }

    /// Gives back room that was kept for more functions than there are: for stores of which there are
    /// thousands.
    pub fn shrink_to_fit(&mut self) {
        self.inner.types.shrink_to_fit();
        self.inner.functions.shrink_to_fit();
        self.inner.hosts.shrink_to_fit();
    }

    /// The embedder's data.
    ///
    /// # Panics
    /// They are not a `T`.
    pub fn data<T: 'static>(&self) -> &T {
        self.inner.data.downcast_ref().expect("the type of the store's data")
    }

    /// The embedder's data.
    ///
    /// # Panics
    /// They are not a `T`.
    pub fn data_mut<T: 'static>(&mut self) -> &mut T {
        self.inner.data.downcast_mut().expect("the type of the store's data")
    }

    /// What is compiled.
    pub fn tier(&self) -> Tier {
        self.inner.tier
    }

    /// Has guests compiled, or not, from now on; compiles everything at once for [`Tier::Jit`].
    ///
    /// Says whether that can be had: without a compiler everything is interpreted. A thread that
    /// stands has to be made anew from its frames, because it may stand before compiled code.
    pub fn set_tier(&mut self, tier: Tier) -> bool {
        if tier != Tier::Interp && self.inner.engine.config().compiler.is_none() {
            return false;
        }
        crate::native::tier::change(&mut self.inner, tier);
        true
    }

    /// Sets what guests may take from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.inner.budget.set_limits(limits);
    }

    /// What guests may take.
    pub fn limits(&self) -> Limits {
        self.inner.budget.limits()
    }

    /// How much of `resource` the guests have taken.
    pub fn taken(&self, resource: Resource) -> u64 {
        self.inner.budget.taken(resource)
    }

    /// Gives the guests `units` more of fuel, at most `u64::MAX` in total.
    pub fn add_fuel(&mut self, units: u64) {
        self.inner.fuel = self.inner.fuel.saturating_add(units);
    }

    /// Takes all fuel that is left, for another store.
    pub fn take_fuel(&mut self) -> u64 {
        std::mem::take(&mut self.inner.fuel)
    }

    /// How much fuel is left.
    pub fn fuel(&self) -> u64 {
        self.inner.fuel
    }

    /// What stops this store's guests from another thread.
    pub fn interrupt_handle(&self) -> Interrupt {
        Interrupt(self.inner.stopper.clone())
    }

    pub(crate) fn inner(&self) -> &StoreInner {
        &self.inner
    }

    pub(crate) fn inner_mut(&mut self) -> &mut StoreInner {
        &mut self.inner
    }
}

impl StoreInner {
    /// Asserts that a handle is of this store: a handle of another one is a mistake of the embedder.
    pub fn check_handle(&self, store: u64) {
        assert_eq!(self.id, store, "a handle was used with another store than its own");
    }

    /// Whether the stop word was set; clears it.
    pub fn take_interrupt(&self) -> bool {
        self.stopper.take()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.inner.activations == 0 {
            // SAFETY: this is the only place that drops it, and it runs once.
            unsafe { ManuallyDrop::drop(&mut self.inner) };
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({}, {} instances)", self.inner.id, self.inner.instances.len())
    }
}
