//! The budget of a store: everything whose size a guest chooses goes through it.
//!
//! Stores of one process have their limits in common.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the guests of a store may take, all instances together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of linear memories.
    pub memory_bytes: u64,
    /// Elements of tables and of passive segments.
    pub table_elements: u64,
    /// How many memories there can be.
    pub memories_count: u64,
    /// How many tables there can be.
    pub tables_count: u64,
    /// How many instances there can be.
    pub instances_count: u64,
}

impl Default for Limits {
    /// Memory as much as there is; tables up to 40 MB, more than real programs have by far.
    fn default() -> Self {
        Self {
            memory_bytes: u64::MAX,
            table_elements: 10_000_000,
            memories_count: 10_000,
            tables_count: 10_000,
            instances_count: 10_000,
        }
    }
}

/// What a limit is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// [`Limits::memory_bytes`].
    MemoryBytes,
    /// [`Limits::table_elements`].
    TableElements,
    /// [`Limits::memories_count`].
    Memories,
    /// [`Limits::tables_count`].
    Tables,
    /// [`Limits::instances_count`].
    Instances,
    /// Memory or address space of the host.
    HostMemory,
}

/// Something would take more than a limit leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitError {
    /// What there is too little of.
    pub resource: Resource,
    /// How much was asked for.
    pub asked: u64,
    /// How much is left.
    pub left: u64,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.resource {
            Resource::MemoryBytes => "bytes of linear memory",
            Resource::TableElements => "table elements",
            Resource::Memories => "memories",
            Resource::Tables => "tables",
            Resource::Instances => "instances",
            Resource::HostMemory => {
                return write!(f, "the host cannot give {} bytes of memory", self.asked);
            }
        };
        write!(f, "limit of {what}: {} asked for, {} left", self.asked, self.left)
    }
}

impl std::error::Error for LimitError {}

/// What a store has taken of limits that other stores may have in common with it. It comes back when
/// the store goes.
#[derive(Default, Debug)]
pub(crate) struct Budget {
    pool: Arc<Mutex<Pool>>,
    /// What this store has taken.
    own: [u64; RESOURCES],
}

/// How many kinds are counted.
const RESOURCES: usize = 5;

/// Limits, and what is taken of them by all who have them in common.
#[derive(Default, Debug)]
struct Pool {
    limits: Limits,
    taken: [u64; RESOURCES],
}

impl Pool {
    fn left(&self, resource: Resource) -> u64 {
        let limit = match resource {
            Resource::MemoryBytes => self.limits.memory_bytes,
            Resource::TableElements => self.limits.table_elements,
            Resource::Memories => self.limits.memories_count,
            Resource::Tables => self.limits.tables_count,
            Resource::Instances => self.limits.instances_count,
            Resource::HostMemory => u64::MAX,
        };
        limit.saturating_sub(self.taken.get(resource as usize).copied().unwrap_or(0))
    }
}

impl Budget {
    /// That of another store with the same limits, of which nothing is taken yet for it.
    pub fn sibling(&self) -> Self {
        Self { pool: self.pool.clone(), own: [0; RESOURCES] }
    }

    /// Sets limits. What is taken stays taken, even if it is more.
    pub fn set_limits(&mut self, limits: Limits) {
        self.pool().limits = limits;
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.pool().limits
    }

    /// How much of `resource` is taken, by all who have the limits in common.
    pub fn taken(&self, resource: Resource) -> u64 {
        self.pool().taken.get(resource as usize).copied().unwrap_or(0)
    }

    /// How much of `resource` is left.
    #[cfg(test)]
    pub fn left(&self, resource: Resource) -> u64 {
        self.pool().left(resource)
    }

    /// Takes `asked` of `resource`.
    ///
    /// # Errors
    /// There is less left; nothing is taken.
    pub fn take(&mut self, resource: Resource, asked: u64) -> Result<(), LimitError> {
        let mut pool = self.pool();
        let left = pool.left(resource);
        if asked > left {
            return Err(LimitError { resource, asked, left });
        }
        if let Some(taken) = pool.taken.get_mut(resource as usize) {
            *taken += asked;
            drop(pool);
            self.own[resource as usize] += asked;
        }
        Ok(())
    }

    /// Gives back what was taken.
    pub fn give_back(&mut self, resource: Resource, amount: u64) {
        let Some(own) = self.own.get_mut(resource as usize) else { return };
        debug_assert!(*own >= amount, "only what was taken comes back");
        let amount = amount.min(*own);
        *own -= amount;
        self.pool().taken[resource as usize] -= amount;
    }

    /// Leaves what was taken to all who have the limits in common: it outlives the store.
    pub fn leave(&mut self, resource: Resource, amount: u64) {
        if let Some(own) = self.own.get_mut(resource as usize) {
            *own = own.saturating_sub(amount);
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        let own = self.own;
        for (taken, own) in self.pool().taken.iter_mut().zip(own) {
            *taken -= own;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_takes_nothing() {
        let mut budget = Budget::default();
        budget.set_limits(Limits { tables_count: 3, ..Limits::default() });
        assert_eq!(budget.take(Resource::Tables, 2), Ok(()));
        let error = budget.take(Resource::Tables, 2).expect_err("one is left");
        assert_eq!(error.to_string(), "limit of tables: 2 asked for, 1 left");
        assert_eq!(budget.take(Resource::Tables, 1), Ok(()));
        budget.give_back(Resource::Tables, 3);
        assert_eq!(budget.left(Resource::Tables), 3);
        assert_eq!(budget.take(Resource::MemoryBytes, u64::MAX), Ok(()));
        assert!(budget.take(Resource::MemoryBytes, 1).is_err(), "no wrapping");
    }

    #[test]
    fn siblings_take_from_the_same_limits() {
        let mut first = Budget::default();
        first.set_limits(Limits { memory_bytes: 10, ..Limits::default() });
        let mut second = first.sibling();
        assert_eq!(first.take(Resource::MemoryBytes, 4), Ok(()));
        assert_eq!(second.take(Resource::MemoryBytes, 6), Ok(()));
        assert!(first.take(Resource::MemoryBytes, 1).is_err());
        // Half of it outlives the second store, the other half goes with it.
        second.leave(Resource::MemoryBytes, 3);
        drop(second);
        assert_eq!(first.taken(Resource::MemoryBytes), 7);
        assert_eq!(first.left(Resource::MemoryBytes), 3);
    }
}
