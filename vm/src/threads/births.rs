//! How threads of a program come into being: at the call of `thread-spawn`, whole or not at all.
//!
//! A thread that was born is on a list until whoever runs the process takes it in, between two
//! turns. The list knows nothing of who runs whom, and when.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use brant_engine::{Store, Wake};
use brant_mobility::{RestoreError, Spawned as SpawnedImages};

use super::Spawned;
use super::pool::Pool;
use crate::Limits;
use crate::builder::Recipe;

/// The largest number of a thread: the upper bits are reserved.
const MAX_ID: u32 = brant_mobility::MAX_THREAD_ID;

/// The births of a process, which all of its threads share.
pub(crate) struct Births {
    /// How the instances of a thread are made; not there before the program is linked.
    recipe: OnceLock<Recipe>,
    state: Mutex<State>,
    /// Whether there is somebody whom nobody has taken in yet.
    is_waiting: AtomicBool,
    /// Whether a clock ends turns.
    is_clocked: AtomicBool,
}

struct State {
    /// Those that nobody has taken in yet.
    born: VecDeque<Spawned>,
    /// Those that were woken since somebody last asked, while one thread runs after the other.
    woken: Vec<u32>,
    /// Who takes them in at once, while several threads run.
    pool: Option<Arc<Pool>>,
    /// How many threads there are besides the first one.
    count: u64,
    limit: u64,
    last_id: u32,
}

impl Births {
    pub fn new(limits: &Limits) -> Arc<Births> {
        let born = VecDeque::new();
        let limit = limits.threads_count;
        let woken = Vec::new();
        let state = Mutex::new(State { born, woken, pool: None, count: 0, limit, last_id: 0 });
        let (is_waiting, is_clocked) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Births { recipe: OnceLock::new(), state, is_waiting, is_clocked })
    }

    /// Says how instances are made.
    pub fn are_by(&self, recipe: Recipe) {
        // A process is linked once.
        let _ = self.recipe.set(recipe);
    }

    /// How instances are made.
    pub fn recipe(&self) -> Option<&Recipe> {
        self.recipe.get()
    }

    /// Whether turns are counted in sites, because all that a guest can see has to be repeatable.
    pub fn count_turns(&self) -> bool {
        self.recipe.get().is_some_and(|recipe| recipe.is_deterministic && recipe.starts_threads)
    }

    /// Makes a thread beside that of `store`, and gives its number; None if it cannot be had.
    pub fn spawn(&self, store: &Store, argument: i32) -> Option<u32> {
        let recipe = self.recipe.get()?;
        let id = self.lock().reserve()?;
        // Nobody waits for the instances to be made.
        let spawned = Spawned::new(recipe, store, id, argument);
        let mut state = self.lock();
        match spawned {
            Ok(spawned) => match state.pool.clone() {
                Some(pool) => {
                    drop(state);
                    pool.admit(Box::new(spawned));
                }
                None => {
                    state.born.push_back(spawned);
                    self.is_waiting.store(true, Ordering::Release);
                }
            },
            Err(_) => {
                state.count -= 1;
                return None;
            }
        }
        Some(id)
    }

    /// Whether there are threads that nobody has taken in yet.
    pub fn are_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::Acquire)
    }

    /// Says whether a clock ends turns.
    pub fn are_clocked(&self, is_clocked: bool) {
        self.is_clocked.store(is_clocked, Ordering::Release);
    }

    /// Whether there are threads that nobody would take in soon: nothing ends the turn that runs.
    pub fn are_forgotten(&self) -> bool {
        self.are_waiting() && !self.count_turns() && !self.is_clocked.load(Ordering::Acquire)
    }

    /// Has threads that are born, and those that are woken, run in a pool from now on, or not.
    pub fn run_in(&self, pool: Option<Arc<Pool>>) {
        self.lock().pool = pool;
    }

    /// What is called when the thread `id` is woken at an address.
    pub fn alarm(self: &Arc<Self>, id: u32) -> Wake {
        let births = self.clone();
        Arc::new(move || {
            let mut state = births.lock();
            match &state.pool {
                Some(pool) => pool.woken(id),
                None => state.woken.push(id),
            }
        })
    }

    /// Puts the numbers of those that were woken behind `ids`.
    pub fn take_woken(&self, ids: &mut Vec<u32>) {
        ids.append(&mut self.lock().woken);
    }

    /// Those that were born and that nobody has taken in yet.
    pub fn take(&self) -> VecDeque<Spawned> {
        if !self.are_waiting() {
            return VecDeque::new();
        }
        let mut state = self.lock();
        self.is_waiting.store(false, Ordering::Release);
        std::mem::take(&mut state.born)
    }

    /// Takes note that a thread has ended.
    pub fn ended(&self) {
        self.lock().count -= 1;
    }

    /// The largest number that a thread has got.
    pub fn last_id(&self) -> u32 {
        self.lock().last_id
    }

    /// Goes on from threads that were born elsewhere.
    ///
    /// # Errors
    /// There may not be so many here.
    pub fn go_on_from(&self, images: &SpawnedImages) -> Result<(), RestoreError> {
        let mut state = self.lock();
        let (count, limit) = (images.list.len() as u64, state.limit);
        if count > limit {
            return Err(RestoreError::Threads { count, limit });
        }
        (state.count, state.last_id) = (count, images.last_id);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of a new thread, if there can be one more.
    fn reserve(&mut self) -> Option<u32> {
        if self.count >= self.limit || self.last_id >= MAX_ID {
            return None;
        }
        self.count += 1;
        self.last_id += 1;
        Some(self.last_id)
    }
}
