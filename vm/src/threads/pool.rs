//! Guest threads on several threads of the host, the workers: `kernel` and `hybrid`.
//!
//! Each worker has a queue of threads that can run; one whose queue is empty takes half of the
//! longest other queue. Whoever waits is in no queue and has no worker. Who runs the process looks
//! after those who wait in calls or for a time, by the host's own wait; threads that are woken at an
//! address go to a queue at once: under `hybrid` to that of the worker that wakes them, see `handoff.rs`.
//!
//! Everything that concerns the process as a whole (it is to stop, it ends, all wait for each other)
//! is the *end* of the pool: all workers give up what they run at its next site, and go. Then the
//! threads are data again, and nobody can tell from them how they were run.
//!
//! Lock order: queues of waits in a memory, births, the pool. The kernel's lock is never taken
//! while the pool's is held.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use brant_engine::{Interrupt, Stop, TrapReport, Val};
use brant_kernel::Parked;
use brant_kernel::host::Waker;
use rustc_hash::FxHashMap;

use super::handoff::Handoff;
use super::ticker::Ticker;
use super::turns::Sets;
use super::{Births, Blocked, Spawned, ThreadPolicy};
use crate::system::{System, Waited};
use crate::{Error, Stopped};

/// How the threads of a process came to rest.
pub(crate) enum End {
    /// The process was asked to stop.
    Stopped(Stopped),
    /// The first thread has returned.
    Returned(Vec<Val>),
    /// The program ends with this code.
    Exit(i32),
    /// It ends with a trap.
    Trap(Box<TrapReport>),
    /// It ends for a reason of the host.
    Failed(Error),
    /// Each thread waits for another one.
    Deadlock,
}

/// The workers of a process, and the threads that they run.
pub(crate) struct Pool {
    state: Mutex<State>,
    /// Workers wait here for somebody to run.
    work: Condvar,
    /// Ends the wait of whoever looks after those who wait.
    waker: Arc<dyn Waker>,
    births: Arc<Births>,
    /// How many workers there are at most.
    limit: usize,
    policy: ThreadPolicy,
}

thread_local! {
    /// The number of the worker that this thread of the host is. Its pool is the only one that its
    /// guests wake anybody in.
    static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
}

#[derive(Default)]
struct State {
    /// One for each worker.
    queues: Vec<VecDeque<Box<Spawned>>>,
    /// What each worker runs.
    running: Vec<Option<Running>>,
    /// Whether each worker's guests wait as soon as they have woken somebody.
    handoffs: Vec<Handoff>,
    /// How many workers wait for somebody to run.
    idle_count: usize,
    /// By number. Numbers are given here, so that nobody can choose them to collide.
    waiting: FxHashMap<u32, Box<Spawned>>,
    /// Who of those that wait has to be looked after.
    sets: Sets,
    /// Those that nobody runs any more.
    resting: Vec<(u32, Box<Spawned>)>,
    end: Option<End>,
    workers: Vec<JoinHandle<()>>,
    /// How many threads there are.
    count: usize,
}

struct Running {
    interrupt: Interrupt,
    /// Whether it was interrupted because its time was over.
    is_over: bool,
}

/// What a thread does after it has stopped.
enum After {
    Runs,
    /// It runs, once it is known why it was interrupted.
    Interrupted,
    Waits,
    /// Nothing: it is done.
    Gone,
    /// All others stop too.
    Ends(End),
}

/// What those who wait are waiting for.
struct Look {
    parked: Vec<Parked>,
    deadline_ns: Option<u64>,
}

impl Pool {
    /// Runs `threads`, the first thread of the process among them, until something concerns the
    /// process; `stopped` says whether that is so. Gives the threads back as they stand, by their
    /// numbers.
    pub fn run(
        births: &Arc<Births>, policy: ThreadPolicy, threads: BTreeMap<u32, Box<Spawned>>,
        system: &mut System, stopped: &mut dyn FnMut() -> Option<Stopped>,
    ) -> (BTreeMap<u32, Box<Spawned>>, End) {
        let limit = match policy {
            ThreadPolicy::User => 1,
            ThreadPolicy::Kernel => usize::MAX,
            ThreadPolicy::Hybrid => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let (state, work) = (Mutex::default(), Condvar::new());
        let (waker, births) = (system.waker(), births.clone());
        let pool = Arc::new(Pool { state, work, waker, births, limit, policy });
        // Before the first one runs: it may wake others.
        pool.births.run_in(Some(pool.clone()));
        for thread in threads.into_values() {
            pool.admit(thread);
        }
        let ticker = Ticker::calling({
            let pool = pool.clone();
            move || pool.tick()
        });
        match ticker {
            Ok(_ticker) => pool.attend(system, stopped),
            Err(error) => pool.end(End::Failed(error)),
        }
        // A worker that has not gone yet may still bring somebody.
        let gathered = pool.gather();
        pool.births.run_in(None);
        gathered
    }

    /// Takes in a thread: one that can run, or one that waits.
    pub fn admit(self: &Arc<Self>, mut thread: Box<Spawned>) {
        let mut state = self.lock();
        state.count += 1;
        // It may have been woken while nobody ran it.
        if is_woken(&thread) {
            thread.blocked = Blocked::No;
        }
        if state.end.is_none() && state.running.len() < self.limit.min(state.count) {
            self.hire(&mut state);
        }
        if thread.blocked == Blocked::No {
            self.make_ready(state, thread);
        } else {
            state.park(thread);
        }
    }

    /// Puts a thread that can run behind others: under `hybrid` behind those of the worker whose guest
    /// has made it ready.
    fn make_ready(&self, mut state: MutexGuard<'_, State>, thread: Box<Spawned>) {
        let me = match self.policy {
            ThreadPolicy::Hybrid => WORKER.get().filter(|&me| me < state.queues.len()),
            ThreadPolicy::User | ThreadPolicy::Kernel => None,
        };
        match me {
            Some(me) => {
                let is_alone = state.queues[me].is_empty();
                state.queues[me].push_back(thread);
                if state.handoffs[me].woke() && is_alone {
                    return;
                }
            }
            None => state.push(thread),
        }
        self.call_worker(state);
    }

    /// Has a worker come that waits for somebody to run, if there is one.
    fn call_worker(&self, state: MutexGuard<'_, State>) {
        let is_heard = state.idle_count > 0;
        drop(state);
        if is_heard {
            self.work.notify_one();
        }
    }

    /// Has one more worker, if the system gives one; else there has to be one already.
    fn hire(self: &Arc<Self>, state: &mut State) {
        let (me, pool) = (state.running.len(), self.clone());
        let worker = Builder::new().name(format!("brant-worker-{me}"));
        match worker.spawn(move || pool.work(me)) {
            Ok(worker) => {
                state.workers.push(worker);
                state.running.push(None);
                state.handoffs.push(Handoff::default());
                // The first thread was there before its worker.
                if state.queues.len() == me {
                    state.queues.push(VecDeque::new());
                }
            }
            Err(error) if state.running.is_empty() => {
                state.end.get_or_insert(End::Failed(Error::host(error)));
            }
            Err(_) => {}
        }
    }

    /// What a worker does.
    fn work(&self, me: usize) {
        WORKER.set(Some(me));
        let mut state = self.lock();
        while state.end.is_none() {
            let Some(mut thread) = state.take(me) else {
                state.idle_count += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle_count -= 1;
                continue;
            };
            let interrupt = thread.store.interrupt_handle();
            state.running[me] = Some(Running { interrupt, is_over: false });
            drop(state);
            let stop = thread.thread.run(&mut thread.store);
            if matches!(stop, Stop::Blocked) {
                // This may read a clock of the kernel, and so comes before the pool's lock.
                thread.blocked = Blocked::of(&thread.thread, &mut thread.store, thread.blocked);
            }
            state = self.stopped(me, thread, stop);
        }
    }

    /// What comes of the stop of a thread.
    fn stopped(&self, me: usize, mut thread: Box<Spawned>, stop: Stop) -> MutexGuard<'_, State> {
        let after = match stop {
            Stop::Done(values) if thread.id == 0 => After::Ends(End::Returned(values)),
            Stop::Done(_) if thread.go_on() => After::Runs,
            Stop::Done(_) => After::Gone,
            Stop::Trap(report) => After::Ends(End::Trap(report)),
            Stop::Exit(code) => After::Ends(End::Exit(code)),
            Stop::Failed(error) => After::Ends(End::Failed(crate::process::failed(error))),
            Stop::OutOfFuel => After::Ends(End::Stopped(Stopped::OutOfFuel)),
            Stop::Interrupted => After::Interrupted,
            Stop::Blocked => After::Waits,
        };
        let mut state = self.lock();
        let was_over = state.running[me].take().is_some_and(|running| running.is_over);
        state.handoffs[me].stopped();
        // Whether whoever looks after those who wait has something new to look at.
        let is_news = match after {
            After::Ends(end) => {
                state.resting.push((thread.id, thread));
                // At once: a pool in which nobody runs would look as if all waited for each other.
                state.finish(end);
                drop(state);
                self.work.notify_all();
                true
            }
            After::Gone => {
                state.count -= 1;
                let is_idle = state.is_idle();
                drop(state);
                self.births.ended();
                // Its memory goes while others run.
                drop(thread);
                is_idle
            }
            After::Waits if !is_woken(&thread) => {
                let is_watched = state.park(thread);
                if !is_watched && !state.is_idle() {
                    return state;
                }
                drop(state);
                true
            }
            After::Waits | After::Runs | After::Interrupted => {
                // Nobody but the ticker interrupts a thread for no reason of the process.
                let is_asked = matches!(after, After::Interrupted) && !was_over;
                thread.blocked = Blocked::No;
                state.queues[me].push_back(thread);
                if !is_asked {
                    return state;
                }
                drop(state);
                true
            }
        };
        if is_news {
            self.waker.wake();
        }
        self.lock()
    }

    /// A thread was woken at the address where it waits.
    pub fn woken(&self, id: u32) {
        let mut state = self.lock();
        // Who is not there yet looks for itself; who was quicker may wait for something else by now.
        if state.waiting.get(&id).is_none_or(|thread| !is_woken(thread)) {
            return;
        }
        let Some(thread) = state.unpark(id) else { return };
        self.make_ready(state, thread);
    }

    /// A quantum is over: whoever runs gives way if somebody waits for a worker.
    fn tick(&self) {
        let mut state = self.lock();
        if state.queues.iter().all(VecDeque::is_empty) {
            return;
        }
        if state.idle_count > 0 {
            // Somebody was left to a worker that has not come to it.
            state.handoffs.fill(Handoff::default());
            self.work.notify_all();
        }
        for running in state.running.iter_mut().flatten() {
            running.is_over = true;
            running.interrupt.interrupt();
        }
    }

    /// Looks after those who wait, until the end.
    fn attend(&self, system: &mut System, stopped: &mut dyn FnMut() -> Option<Stopped>) {
        loop {
            if let Some(why) = stopped() {
                self.end(End::Stopped(why));
            }
            let look = match self.look() {
                Ok(look) => look,
                Err(None) => return,
                Err(Some(end)) => return self.end(end),
            };
            let waited = system.wait_apart(&look.parked, look.deadline_ns);
            let now_ns = match look.deadline_ns {
                Some(_) => system.deadline(0),
                None => 0,
            };
            self.go_on(waited == Waited::Ready, now_ns);
        }
    }

    /// What those who wait are waiting for; the end, if nothing will ever happen; none of both if
    /// there is an end.
    fn look(&self) -> Result<Look, Option<End>> {
        let state = self.lock();
        if state.end.is_some() {
            return Err(None);
        }
        let mut look = Look { parked: Vec::new(), deadline_ns: None };
        let mut in_call = false;
        for thread in state.sets.in_call.iter().chain(&state.sets.timed) {
            let Some(thread) = state.waiting.get(thread) else { continue };
            match thread.blocked {
                Blocked::No => {}
                Blocked::InCall => {
                    in_call = true;
                    match thread.store.data::<System>().parked() {
                        Some(parked) => look.parked.push(parked.clone()),
                        // Whatever its call waits for, the host knows nothing of it.
                        None => look.deadline_ns = Some(0),
                    }
                }
                Blocked::AtAddress { deadline_ns } => {
                    let both = look.deadline_ns.into_iter().chain(deadline_ns);
                    look.deadline_ns = both.min();
                }
            }
        }
        match state.is_idle() && !in_call && look.deadline_ns.is_none() {
            true => Err(Some(End::Deadlock)),
            false => Ok(look),
        }
    }

    /// Has those go on whose time is over, or whose calls may be complete.
    fn go_on(&self, calls_may_go_on: bool, now_ns: u64) {
        let mut state = self.lock();
        let is_due = |thread: &Spawned| match thread.blocked {
            Blocked::No => true,
            Blocked::InCall => calls_may_go_on,
            Blocked::AtAddress { deadline_ns } => {
                deadline_ns.is_some_and(|deadline_ns| deadline_ns <= now_ns) || is_woken(thread)
            }
        };
        let Sets { in_call, timed, .. } = &state.sets;
        let due = in_call.iter().chain(timed).copied();
        let due: Vec<u32> =
            due.filter(|id| state.waiting.get(id).is_some_and(|thread| is_due(thread))).collect();
        let mut late = Vec::new();
        let due_count = due.len();
        for id in due {
            let is_timed = state.sets.timed.contains(&id);
            match state.unpark(id) {
                Some(thread) if is_timed => late.push(thread),
                Some(thread) => state.push(thread),
                None => {}
            }
        }
        drop(state);
        // The queue of the address has a lock that comes before the pool's.
        for thread in &mut late {
            thread.thread.time_out(&thread.store);
        }
        let mut state = self.lock();
        late.into_iter().for_each(|thread| state.push(thread));
        // No more workers than there is something to do for.
        let wanted_count = due_count.min(state.idle_count);
        drop(state);
        (0..wanted_count).for_each(|_| self.work.notify_one());
    }

    /// Ends the pool.
    fn end(&self, end: End) {
        self.lock().finish(end);
        self.work.notify_all();
    }

    /// All threads, when the last worker has gone.
    fn gather(&self) -> (BTreeMap<u32, Box<Spawned>>, End) {
        loop {
            let workers = std::mem::take(&mut self.lock().workers);
            if workers.is_empty() {
                break;
            }
            for worker in workers {
                // What a host function panics with is caught before it gets here.
                let _ = worker.join();
            }
        }
        let mut state = self.lock();
        let State { queues, waiting, resting, end, .. } = std::mem::take(&mut *state);
        let ready = queues.into_iter().flatten().map(|thread| (thread.id, thread));
        let threads = ready.chain(waiting).chain(resting).collect();
        (threads, end.unwrap_or(End::Deadlock))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Has all who run stop, because of this end. That of the program counts even if the process was
    /// to stop before: the thread that has ended it cannot do so again.
    fn finish(&mut self, end: End) {
        if matches!(self.end, None | Some(End::Stopped(_))) {
            self.end = Some(end);
        }
        for running in self.running.iter().flatten() {
            running.interrupt.interrupt();
        }
    }

    /// Whether nobody runs, or could.
    fn is_idle(&self) -> bool {
        self.running.iter().all(Option::is_none) && self.queues.iter().all(VecDeque::is_empty)
    }

    /// Keeps a thread that waits, and says whether it has to be looked after.
    fn park(&mut self, thread: Box<Spawned>) -> bool {
        let is_watched =
            thread.blocked == Blocked::InCall || thread.blocked.deadline_ns().is_some();
        if is_watched {
            self.sets.put(thread.id, thread.blocked);
        }
        self.waiting.insert(thread.id, thread);
        is_watched
    }

    /// Takes out a thread that waits for nothing any more.
    fn unpark(&mut self, id: u32) -> Option<Box<Spawned>> {
        let mut thread = self.waiting.remove(&id)?;
        if thread.blocked == Blocked::InCall || thread.blocked.deadline_ns().is_some() {
            self.sets.remove(id);
        }
        thread.blocked = Blocked::No;
        Some(thread)
    }

    /// Puts a thread that can run behind the others of the shortest queue.
    fn push(&mut self, thread: Box<Spawned>) {
        match self.queues.iter_mut().min_by_key(|queue| queue.len()) {
            Some(queue) => queue.push_back(thread),
            // The first worker is on its way.
            None => self.queues.push(VecDeque::from([thread])),
        }
    }

    /// What a worker runs next.
    fn take(&mut self, me: usize) -> Option<Box<Spawned>> {
        if let Some(thread) = self.queues[me].pop_front() {
            return Some(thread);
        }
        let longest = self.queues.iter_mut().max_by_key(|queue| queue.len())?;
        // The half that waits longest stays in its order.
        let mut stolen = longest.split_off(longest.len() / 2);
        let thread = stolen.pop_front();
        self.queues[me] = stolen;
        thread
    }
}

/// Whether a thread that waits at an address waits for nothing any more.
fn is_woken(thread: &Spawned) -> bool {
    matches!(thread.blocked, Blocked::AtAddress { .. })
        && thread.thread.wait().is_none_or(|wait| wait.end.is_some())
}
