//! From a snapshot to a store that goes on.

use brant_engine::persist::{PAGE_BYTES, PersistError};
use brant_engine::{Func, Store, Thread, WASM_PAGE_BYTES};

use crate::error::{RestoreError, SnapshotError};
use crate::execution::Purpose;
use crate::{PageRun, Snapshot};

/// Fewer pages are copied sooner than they are mapped.
const MAPPED_FROM_PAGES: u64 = 16;

/// A host process has some ten thousand mappings, and other uses for them.
const MAPPED_LIMIT: usize = 1024;

/// What goes on in a store that was restored.
#[derive(Debug)]
pub struct Restored {
    /// The threads.
    pub threads: Vec<RestoredThread>,
    /// What has to run before the program.
    pub preparation: Vec<Func>,
}

/// A thread that goes on.
#[derive(Debug)]
pub struct RestoredThread {
    /// What it is for.
    pub purpose: Purpose,
    /// The thread itself.
    pub thread: Thread,
}

/// A thread that the program had started, and that goes on.
#[derive(Debug)]
pub struct RestoredSpawned {
    /// The thread itself.
    pub thread: Thread,
    /// What has to run before its start function.
    pub preparation: Vec<Func>,
}

impl From<SnapshotError> for RestoreError {
    fn from(error: SnapshotError) -> RestoreError {
        RestoreError::Pages(error)
    }
}

impl Snapshot {
    /// Makes a store what the captured one was. It was made from the snapshot's modules, linked in
    /// their order, and nothing has run in it.
    ///
    /// # Errors
    /// The snapshot does not fit the modules, or needs more than the limits allow. The store is good
    /// for nothing then.
    pub fn restore(&self, store: &mut Store) -> Result<Restored, RestoreError> {
        if let Some(trap) = &self.execution.trap {
            return Err(RestoreError::Trapped(trap.code));
        }
        let config = store.engine().config();
        match (self.code.deterministic, config.deterministic) {
            (true, false) => return Err(RestoreError::Configuration("with `deterministic`")),
            (false, true) => return Err(RestoreError::Configuration("without `deterministic`")),
            _ => {}
        }
        match (self.code.fuel, config.fuel) {
            (true, false) => return Err(RestoreError::Configuration("with a limit of fuel")),
            (false, true) => return Err(RestoreError::Configuration("without a limit of fuel")),
            _ => {}
        }
        if self.execution.store.holds_host_values {
            return Err(PersistError::Reference.into());
        }
        store.restore(&self.execution.store)?;
        self.restore_pages(store)?;
        let mut threads = Vec::with_capacity(self.execution.threads.len());
        for image in &self.execution.threads {
            let thread = Thread::restore(store, &image.state)?;
            threads.push(RestoredThread { purpose: image.purpose, thread });
        }
        let preparation = self.execution.preparation.iter();
        let preparation = preparation.map(|&func| store.func(func).ok_or(PersistError::Reference));
        Ok(Restored { threads, preparation: preparation.collect::<Result<_, _>>()? })
    }

    /// Writes the pages to memories that have their sizes already.
    fn restore_pages(&self, store: &mut Store) -> Result<(), RestoreError> {
        // Runs do not overlap: once each is known to lie in its memory, there are not more pages
        // than the memories have.
        for run in self.pages.runs() {
            if self.pages_of(run.memory).is_none_or(|size| run.first + run.count > size) {
                return Err(PersistError::Page.into());
            }
        }
        let memories = store.memory_count();
        let is_first = |run: &&PageRun| run.memory < memories;
        // What can be mapped is read when the program asks for it.
        let mut mapped_count = 0;
        let mut is_mapped = |run: &PageRun| {
            let place = self.pages.place(run).filter(|_| run.count >= MAPPED_FROM_PAGES);
            let Some((bytes, offset)) = place.filter(|_| mapped_count < MAPPED_LIMIT) else {
                return false;
            };
            let mapped = store.map_pages(run.memory, run.first, run.count, bytes, offset);
            mapped_count += usize::from(mapped);
            mapped
        };
        let runs = self.pages.runs().iter().filter(is_first);
        let rest: Vec<&PageRun> = runs.filter(|run| !is_mapped(run)).collect();
        self.pages.each_of(rest, |memory, page, content| {
            store.write_page(memory, page, content).map_err(RestoreError::Engine)
        })
    }

    /// How many pages of 4 KiB a memory has; None for one that is not there, or of no size that
    /// memories have.
    fn pages_of(&self, memory: u32) -> Option<u64> {
        self.execution.memory_wasm_pages(memory)?.checked_mul(WASM_PAGE_BYTES / PAGE_BYTES as u64)
    }

    /// Makes the store of a thread that the program had started what the captured one was, and gives
    /// the thread. The store was made as the first one was, on the same shared memories, and nothing
    /// has run in it; the first one has been [restored](Snapshot::restore).
    ///
    /// Nobody waits at an address yet: whoever restores all threads has them enter their queues in
    /// the order of [`Spawned::queue`](crate::Spawned).
    ///
    /// # Errors
    /// As [`Snapshot::restore`]; there is no such thread.
    pub fn restore_thread(
        &self, number: usize, store: &mut Store,
    ) -> Result<RestoredSpawned, RestoreError> {
        let threads = self.execution.spawned.as_ref();
        let image = threads.and_then(|spawned| spawned.list.get(number));
        let image = image.ok_or(PersistError::Count("threads"))?;
        if image.store.holds_host_values {
            return Err(PersistError::Reference.into());
        }
        store.restore(&image.store)?;
        let memories = u64::from(store.memory_count());
        let first = memories * (number as u64 + 1);
        let own = self.pages.runs().iter().filter(|run| {
            let memory = u64::from(run.memory);
            (first..first + memories).contains(&memory)
        });
        self.pages.each_of(own, |memory, page, content| {
            let memory = (u64::from(memory) - first) as u32;
            store.write_page(memory, page, content).map_err(RestoreError::Engine)
        })?;
        let thread = Thread::restore(store, &image.state)?;
        let preparation = image.preparation.iter();
        let preparation = preparation.map(|&func| store.func(func).ok_or(PersistError::Reference));
        Ok(RestoredSpawned { thread, preparation: preparation.collect::<Result<_, _>>()? })
    }
}
