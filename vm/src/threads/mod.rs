//! Threads that a program starts by itself (`thread-spawn` of wasi-threads).
//!
//! Each has an instance of the program in a store of its own, whose shared memories are those of the
//! others; descriptors, clocks and random numbers come from the one kernel of the process.
//! A call of `thread-spawn` makes the thread, or answers that it cannot be had; whoever runs the
//! process takes it in between two turns.
//!
//! There is one way to run a thread, and three policies that say on which thread of the host:
//! all of them in turns on the one that runs the process (`user`), each on one of its own
//! (`kernel`), or many on few (`hybrid`). Whenever the process stands, all threads are data, and
//! nothing says how they were run.
//!
//! ```text
//! births.rs   how threads come into being
//! turns.rs    who runs next, and for how long: one thread after the other
//! pool.rs     several at once, on workers
//! handoff.rs  whether who is woken is left to the worker of who wakes it
//! waits.rs    who waits for what, and who can go on
//! ticker.rs   ends turns by the clock
//! sites.rs    ends turns by counted sites
//! persist.rs  from threads that stand to a snapshot, and back
//! ```
//!
//! Source: wasi-threads, <https://github.com/WebAssembly/wasi-threads>.

mod births;
mod handoff;
mod persist;
mod policy;
mod pool;
mod sites;
mod ticker;
mod turns;
mod waits;

use std::collections::VecDeque;

use brant_engine::{Flow, Func, FuncType, Instance, Store, Thread, Val, ValType};

use crate::Error;
use crate::builder::Recipe;
use crate::system::System;

pub(crate) use births::Births;
pub use policy::ThreadPolicy;
pub(crate) use pool::End;
pub(crate) use sites::SiteStop;
pub(crate) use ticker::Ticker;
pub(crate) use turns::{Next, Threads, Turn};
pub(crate) use waits::{Blocked, First};

/// The module that guests import `thread-spawn` from.
const MODULE: &str = "wasi";
const SPAWN: &str = "thread-spawn";
/// What a new thread runs: its number and the argument of `thread-spawn`.
const START: &str = "wasi_thread_start";

/// What a guest gets where there can be no more threads.
const NO_THREAD: i32 = -1;

/// Whether brant itself fills an import of this name.
pub(crate) fn provides(module: &str, name: &str) -> bool {
    module == MODULE && name == SPAWN
}

/// The function behind the import `thread-spawn`.
pub(crate) fn import(store: &mut Store, module: &str, name: &str) -> Option<Func> {
    if !provides(module, name) {
        return None;
    }
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    Some(Func::host(store, ty, |caller, params, results| {
        let argument = match params {
            [Val::I32(argument)] => *argument,
            // The linker has compared the types.
            _ => 0,
        };
        let store = caller.store();
        let births = store.data::<System>().births.clone();
        let id = births.spawn(store, argument);
        if id.is_some() && births.are_forgotten() {
            // Whoever runs the process takes the thread in at the next site.
            store.interrupt_handle().interrupt();
        }
        results[0] = Val::I32(id.map_or(NO_THREAD, u32::cast_signed));
        Ok(Flow::Return)
    }))
}

/// A thread that the program has started.
pub(crate) struct Spawned {
    pub id: u32,
    pub store: Store,
    pub blocked: Blocked,
    pub thread: Thread,
    /// What has to run before its start function.
    preparation: VecDeque<Func>,
    /// Its start function and the argument of that, if it has not begun.
    start: Option<(Func, i32)>,
}

impl Spawned {
    /// The first thread of a process, to be run as the others are.
    pub fn first(store: Store, thread: Thread, blocked: Blocked) -> Spawned {
        let preparation = VecDeque::new();
        Spawned { id: 0, store, thread, preparation, start: None, blocked }
    }

    /// Makes the thread: an instance on the shared memories, which has not run yet.
    fn new(recipe: &Recipe, sibling: &Store, id: u32, argument: i32) -> Result<Spawned, Error> {
        let system = sibling.data::<System>().of_thread();
        let (mut store, instance, mut preparation) = recipe.instantiate(sibling, system)?;
        let births = &store.data::<System>().births;
        let alarm = births.alarm(id);
        store.on_wake(alarm);
        let start = start_of(&store, instance)?;
        let (thread, start) = match preparation.pop_front() {
            Some(func) => (Thread::new(&mut store, func, &[]), Some((start, argument))),
            None => (begin(&mut store, start, id, argument), None),
        };
        Ok(Spawned { id, store, thread, preparation, start, blocked: Blocked::No })
    }

    /// Goes on with what comes next when a function is done; false if nothing comes.
    fn go_on(&mut self) -> bool {
        if let Some(func) = self.preparation.pop_front() {
            self.thread = Thread::new(&mut self.store, func, &[]);
        } else if let Some((start, argument)) = self.start.take() {
            self.thread = begin(&mut self.store, start, self.id, argument);
        } else {
            return false;
        }
        true
    }
}

/// The function that threads of an instance run.
fn start_of(store: &Store, instance: Instance) -> Result<Func, Error> {
    let start = instance.export(store, START).and_then(|export| export.func());
    let start = start.ok_or_else(|| Error::no_export(START))?;
    let kind = start.ty(store);
    if *kind != FuncType::new([ValType::I32, ValType::I32], []) {
        return Err(Error::WrongType { name: START.to_owned(), found: kind.to_string() });
    }
    Ok(start)
}

fn begin(store: &mut Store, start: Func, id: u32, argument: i32) -> Thread {
    Thread::new(store, start, &[Val::I32(id.cast_signed()), Val::I32(argument)])
}
