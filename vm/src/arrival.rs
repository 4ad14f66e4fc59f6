//! A process on its way here: linked, its memory comes page by page, and it has nothing open.

use std::any::Any;

use brant_engine::persist::PAGE_BYTES;
use brant_kernel::RunState;
use brant_kernel::host::Host;
use brant_kernel::processes::ROOT;
use brant_mobility::{RestoreError, Snapshot};

use crate::system::{Grants, System};
use crate::{Error, Interrupt, Limits, Process};

/// A process whose memory comes before the rest of it. Made by [`crate::ProcessBuilder::arrive`].
pub struct Arrival {
    process: Process,
    grants: Grants,
    host: Option<Box<dyn Host>>,
    user_data: Box<dyn Any + Send>,
    limits: Limits,
}

impl Arrival {
    pub(crate) fn new(
        process: Process, grants: Grants, host: Option<Box<dyn Host>>,
        user_data: Box<dyn Any + Send>, limits: Limits,
    ) -> Arrival {
        Arrival { process, grants, host, user_data, limits }
    }

    /// Grows its memories to these sizes.
    ///
    /// # Errors
    /// It has other memories, they would have to shrink, or a limit does not allow it.
    pub fn grow(&mut self, memories_wasm_pages: &[u64]) -> Result<(), Error> {
        let store = &mut self.process.store;
        if memories_wasm_pages.len() != store.memory_count() as usize {
            return Err(RestoreError::Modules.into());
        }
        for (index, &wasm_pages) in (0..).zip(memories_wasm_pages) {
            store.grow_memory_to(index, wasm_pages).map_err(RestoreError::Engine)?;
        }
        Ok(())
    }

    /// The sizes that its memories have now.
    pub fn memories_wasm_pages(&self) -> Vec<u64> {
        self.process.store.memory_sizes_wasm_pages()
    }

    /// Writes a page of 4 KiB; none is a page of zeros.
    ///
    /// # Errors
    /// There is no such page.
    pub fn write_page(
        &mut self, memory: u32, page: u64, content: Option<&[u8; PAGE_BYTES]>,
    ) -> Result<(), Error> {
        let written = self.process.store.write_page(memory, page, content);
        Ok(written.map_err(RestoreError::Engine)?)
    }

    /// The rest: everything but pages that came before. What it asks for is granted or refused here.
    ///
    /// # Errors
    /// The snapshot does not fit, or asks for what is not granted.
    pub fn finish(mut self, snapshot: &Snapshot) -> Result<Process, Error> {
        let ours = &self.process.modules;
        let theirs = &snapshot.code.modules;
        let is_same = ours.len() == theirs.len()
            && ours
                .iter()
                .zip(theirs)
                .all(|((name, module), image)| *name == image.name && module.hash() == image.hash);
        if !is_same {
            return Err(RestoreError::Modules.into());
        }
        let Arrival { grants, limits, host, user_data, .. } = self;
        let mut system = System::new(grants, &limits, host, user_data, Some(snapshot))?;
        let waker = system.waker();
        // How instances are made is known since the program was linked.
        system.births = self.process.system().births.clone();
        *self.process.system() = system;
        let interrupt = Interrupt::new(self.process.store.interrupt_handle(), waker);
        self.process.set_interrupt(interrupt);
        let interrupted =
            snapshot.tree.as_ref().and_then(|tree| tree.state.member(ROOT)?.interrupted);
        self.process.go_on_from(snapshot, &[], interrupted.map(RunState::restore))?;
        Ok(self.process)
    }
}

impl std::fmt::Debug for Arrival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrival").field("limits", &self.limits).finish_non_exhaustive()
    }
}
