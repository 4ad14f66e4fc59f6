//! From a store that stands to a snapshot.

use brant_engine::persist::{ThreadState, Trapped};
use brant_engine::{Func, Store, Thread};
use brant_kernel::persist::KernelState;

use crate::error::CaptureError;
use crate::execution::{Execution, Purpose, ThreadImage};
use crate::pages::PagesBuilder;
use crate::{Code, ModuleImage, Snapshot};

/// What belongs to a process that stands, besides its store.
#[derive(Debug)]
pub struct Standing<'a> {
    /// Its modules, in the order of their instances.
    pub modules: Vec<ModuleImage>,
    /// Its threads.
    pub threads: Vec<(Purpose, &'a Thread)>,
    /// What has to run before the program.
    pub preparation: Vec<Func>,
    /// The state of its kernel.
    pub resources: KernelState,
    /// A number that no other snapshot has.
    pub generation: [u8; 16],
    /// How contents of pages are kept.
    pub contents: Contents,
}

/// How contents of pages are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Contents {
    /// Small.
    #[default]
    Compressed,
    /// As they are, so that a file of them can be mapped.
    Plain,
    /// Not at all: they go another way.
    Elsewhere,
}

impl Snapshot {
    /// Captures a process. It stands as it stood, whatever comes of it.
    ///
    /// # Errors
    /// Something of it cannot be written down.
    pub fn capture(store: &mut Store, standing: Standing<'_>) -> Result<Self, CaptureError> {
        let Standing { modules, threads, preparation, resources, generation, contents } = standing;
        let state = store.save()?;
        let mut images = Vec::with_capacity(threads.len());
        for (purpose, thread) in threads {
            images.push(ThreadImage { purpose, state: thread.save(store)? });
        }
        let in_frames = images.iter().any(|image| image.state.holds_host_values());
        if state.holds_host_values || in_frames {
            return Err(CaptureError::HostValues);
        }
        let preparation = preparation.into_iter().map(|func| store.func_ref(func));
        let preparation = preparation.collect::<Result<_, _>>()?;
        let mut pages = match contents {
            Contents::Compressed => PagesBuilder::compressed(),
            Contents::Plain | Contents::Elsewhere => PagesBuilder::plain(),
        };
        let memories = match contents {
            Contents::Elsewhere => 0,
            _ => store.memory_count(),
        };
        for memory in 0..memories {
            store.changed_pages(memory, |page, content| pages.add(memory, page, content));
        }
        let config = store.engine().config();
        let code = Code { modules, deterministic: config.deterministic, fuel: config.fuel };
        let execution = Execution { store: state, threads: images, preparation, trap: None };
        Ok(Self { generation, code, execution, resources, pages: pages.finish() })
    }

    /// Captures what is left of a process that has trapped, in a thread for `purpose`. What is not
    /// standing any more is not in `standing` either.
    ///
    /// # Errors
    /// As [`Snapshot::capture`].
    pub fn post_mortem(
        store: &mut Store, standing: Standing<'_>, purpose: Purpose, trapped: Trapped,
    ) -> Result<Self, CaptureError> {
        let mut snapshot = Self::capture(store, standing)?;
        let state = ThreadState { func: trapped.func, frames: trapped.callers };
        snapshot.execution.threads.push(ThreadImage { purpose, state });
        snapshot.execution.trap = Some(trapped.trap);
        Ok(snapshot)
    }
}
