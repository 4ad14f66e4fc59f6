//! From a store that stands to a snapshot.

use brant_engine::persist::{ThreadState, Trapped};
use brant_engine::{Func, Store, Thread, Wait};
use brant_kernel::persist::{KernelState, ParkedState};

use crate::error::CaptureError;
use crate::execution::{Execution, Purpose, ThreadImage};
use crate::pages::PagesBuilder;
use crate::spawned::{Spawned, SpawnedThread, WaitImage};
use crate::{Code, ModuleImage, Snapshot};

/// What belongs to a process that stands, besides its store.
#[derive(Debug)]
pub struct Standing<'a> {
    /// Its modules, in the order of their instances.
    pub modules: Vec<ModuleImage>,
    /// Its threads.
    pub threads: Vec<(Purpose, &'a mut Thread)>,
    /// What has to run before the program.
    pub preparation: Vec<Func>,
    /// The state of its kernel.
    pub resources: KernelState,
    /// A number that no other snapshot has.
    pub generation: [u8; 16],
    /// How contents of pages are kept.
    pub contents: Contents,
    /// The threads that the program has started; none if it has never done so, and nobody waits at
    /// an address.
    pub spawned: Option<StandingThreads<'a>>,
}

/// The threads of a process besides its first one.
#[derive(Debug)]
pub struct StandingThreads<'a> {
    /// By ascending number.
    pub list: Vec<StandingThread<'a>>,
    /// The largest number that was given to a thread.
    pub last_id: u32,
    /// Who has the turn: the number of a thread, 0 for the first one.
    pub turn: u32,
    /// How many sites of that turn are left, where turns are counted.
    pub sites_left: Option<u64>,
    /// When the wait of the first thread ends at the latest, if it waits at an address.
    pub first_deadline_ns: Option<u64>,
}

/// A thread that the program has started.
#[derive(Debug)]
pub struct StandingThread<'a> {
    /// Its number.
    pub id: u32,
    /// Its own store.
    pub store: &'a mut Store,
    /// The thread.
    pub thread: &'a mut Thread,
    /// What has to run before its start function.
    pub preparation: Vec<Func>,
    /// The argument of its start function, if that has not begun.
    pub argument: Option<u32>,
    /// When its wait at an address ends at the latest.
    pub deadline_ns: Option<u64>,
    /// The call that it waits in.
    pub parked: Option<ParkedState>,
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
        let Standing { modules, threads, preparation, resources, generation, contents, spawned } =
            standing;
        let state = store.save()?;
        let mut images = Vec::with_capacity(threads.len());
        let first = threads.first().and_then(|(_, thread)| thread.wait());
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
        let spawned = spawned.map(|threads| capture_threads(store, first, threads, &mut pages));
        let spawned = spawned.transpose()?;
        let config = store.engine().config();
        let code = Code { modules, deterministic: config.deterministic, fuel: config.fuel };
        let execution =
            Execution { store: state, threads: images, preparation, trap: None, spawned };
        Ok(Self { generation, code, execution, resources, pages: pages.finish(), tree: None })
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

/// Captures the threads besides the first one, and those of their memories that are theirs alone.
fn capture_threads(
    first_store: &Store, first: Option<Wait>, threads: StandingThreads<'_>,
    pages: &mut PagesBuilder,
) -> Result<Spawned, CaptureError> {
    let StandingThreads { list, last_id, turn, sites_left, first_deadline_ns } = threads;
    let image = |wait: Wait, deadline_ns| {
        let end = wait.end;
        // Whoever goes on waits for nothing any more.
        WaitImage { end, deadline_ns: if end.is_none() { deadline_ns } else { None } }
    };
    let ticket = |wait: Wait| wait.end.is_none().then_some(wait.ticket);
    let mut queue: Vec<(u64, u32)> = Vec::new();
    queue.extend(first.and_then(ticket).map(|ticket| (ticket, 0)));
    let mut images = Vec::with_capacity(list.len());
    let memories = first_store.memory_count();
    for (number, standing) in (1..).zip(list) {
        let StandingThread { id, store, thread, argument, deadline_ns, parked, .. } = standing;
        let wait = thread.wait();
        queue.extend(wait.and_then(ticket).map(|ticket| (ticket, id)));
        let state = thread.save(store)?;
        let saved = store.save()?;
        if saved.holds_host_values || state.holds_host_values() {
            return Err(CaptureError::HostValues);
        }
        let preparation = standing.preparation.into_iter().map(|func| store.func_ref(func));
        let preparation = preparation.collect::<Result<_, _>>()?;
        for memory in (0..store.memory_count()).filter(|&m| !store.shares_memory(m, first_store)) {
            let name = memories * number + memory;
            store.changed_pages(memory, |page, content| pages.add(name, page, content));
        }
        let wait = wait.map(|wait| image(wait, deadline_ns));
        let store = saved;
        images.push(SpawnedThread { id, store, state, preparation, argument, wait, parked });
    }
    queue.sort_unstable();
    Ok(Spawned {
        list: images,
        last_id,
        turn,
        sites_left,
        first_wait: first.map(|wait| image(wait, first_deadline_ns)),
        queue: queue.into_iter().map(|(_, id)| id).collect(),
    })
}
