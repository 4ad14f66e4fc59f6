//! Threads that a program starts by itself (`thread-spawn` of wasi-threads).
//!
//! Each has an instance of the program in a store of its own, whose shared memories are those of the
//! others; descriptors, clocks and random numbers come from the one kernel of the process.
//! A call of `thread-spawn` only notes what is wanted; the threads are made by whoever runs the
//! process, between two turns. Here all of them take turns on the thread of the host that runs the
//! process, as user-level threads do: see `turns`.
//!
//! Source: wasi-threads, <https://github.com/WebAssembly/wasi-threads>.

mod ticker;
mod turns;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brant_engine::{Flow, Func, FuncType, Instance, Store, Thread, Val, ValType};

use crate::builder::Recipe;
use crate::system::System;
use crate::{Error, Limits};

pub(crate) use turns::{Blocked, First, Threads, Turn};

/// The module that guests import `thread-spawn` from.
const MODULE: &str = "wasi";
const SPAWN: &str = "thread-spawn";
/// What a new thread runs: its number and the argument of `thread-spawn`.
const START: &str = "wasi_thread_start";

/// The largest number of a thread: the upper bits are reserved.
const MAX_ID: i32 = (1 << 29) - 1;

/// What a guest gets where there can be no more threads.
const NO_THREAD: i32 = -1;

/// Who wants a thread.
#[derive(Default)]
pub(crate) struct Wanted(Mutex<State>);

#[derive(Default)]
struct State {
    /// Those to be made: number, argument.
    births: VecDeque<(i32, i32)>,
    /// How many there are besides the first one, those to be made included.
    count: u64,
    limit: u64,
    last_id: i32,
}

/// Whether brant itself fills an import of this name.
pub(crate) fn provides(module: &str, name: &str) -> bool {
    module == MODULE && name == SPAWN
}

impl Wanted {
    pub fn new(limits: &Limits) -> Arc<Wanted> {
        let state = State { limit: limits.threads_count, ..State::default() };
        Arc::new(Wanted(Mutex::new(state)))
    }

    /// Notes that a thread is wanted, and gives its number.
    fn spawn(&self, argument: i32) -> Option<i32> {
        let mut state = self.lock();
        if state.count >= state.limit || state.last_id == MAX_ID {
            return None;
        }
        state.count += 1;
        state.last_id += 1;
        let id = state.last_id;
        state.births.push_back((id, argument));
        Some(id)
    }

    /// The next thread to be made.
    fn birth(&self) -> Option<(i32, i32)> {
        self.lock().births.pop_front()
    }

    /// Takes note that a thread has ended.
    fn ended(&self) {
        self.lock().count -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The function behind the import `thread-spawn`.
pub(crate) fn import(store: &mut Store, module: &str, name: &str) -> Option<Func> {
    if !provides(module, name) {
        return None;
    }
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    Some(Func::host(store, ty, |caller, params, results| {
        let starts = caller.instance().is_some_and(|instance| {
            instance.export(caller.store(), START).and_then(|export| export.func()).is_some()
        });
        let argument = match params {
            [Val::I32(argument)] => *argument,
            // The linker has compared the types.
            _ => 0,
        };
        let id = match starts {
            true => caller.data_mut::<System>().wanted.spawn(argument),
            false => None,
        };
        if id.is_some() {
            // Whoever runs the process makes the thread at the next site.
            caller.store().interrupt_handle().interrupt();
        }
        results[0] = Val::I32(id.unwrap_or(NO_THREAD));
        Ok(Flow::Return)
    }))
}

/// A thread that the program has started.
pub(crate) struct Spawned {
    pub id: i32,
    pub store: Store,
    pub blocked: Blocked,
    thread: Thread,
    /// What it runs afterwards.
    next: VecDeque<(Func, Vec<Val>)>,
}

impl Spawned {
    /// Makes the thread: an instance on the shared memories, which has not run yet.
    fn new(recipe: &Recipe, first: &Store, id: i32, argument: i32) -> Result<Spawned, Error> {
        let system = first.data::<System>().of_thread();
        let (mut store, instance, preparation): (Store, Instance, VecDeque<Func>) =
            recipe.instantiate(first, system)?;
        let start = instance.export(&store, START).and_then(|export| export.func());
        let start = start.ok_or_else(|| Error::no_export(START))?;
        let arguments = vec![Val::I32(id), Val::I32(argument)];
        if !start.ty(&store).params().iter().copied().eq(arguments.iter().map(|val| val.ty())) {
            let found = start.ty(&store).to_string();
            return Err(Error::WrongType { name: START.to_owned(), found });
        }
        let mut next: VecDeque<_> =
            preparation.into_iter().map(|func| (func, Vec::new())).collect();
        next.push_back((start, arguments));
        let (func, arguments) = next.pop_front().ok_or_else(|| Error::no_export(START))?;
        let thread = Thread::new(&mut store, func, &arguments);
        Ok(Spawned { id, store, thread, next, blocked: Blocked::No })
    }
}
