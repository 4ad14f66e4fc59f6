//! Processes: a program with its instances, its descriptors and the thread that runs it.

use std::any::Any;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use brant_engine::{
    Extern, Func, GuestMemory, Instance, Stop, Store, Thread, Tier, Trap, TrapReport, Val,
};
#[cfg(feature = "node")]
use brant_host::native::Gate;

use brant_mobility::Purpose;

use crate::clock::Timer;
use crate::processes::{Asked, Handler, Relatives, Slice, Terminal};
use crate::system::{System, Waited};
use crate::threads::{
    Births, Blocked, End, First, Next, SiteStop, Spawned, ThreadPolicy, Threads, Turn,
};
use crate::typed::{TypedFunc, WasmValue, WasmValues};
use crate::{Error, ExitStatus, Interrupt, Limits, Module, ProcessBuilder, Stopped};

/// A program in its sandbox.
///
/// It is built by a [`ProcessBuilder`], which names everything that the program can reach.
/// A program with `_start` is [run](Process::run); functions of a library are
/// [looked up](Process::get_typed_func) and called.
/// Guest code runs on the thread that calls; the process can be sent to another one at any time.
pub struct Process {
    pub(crate) store: Store,
    instance: Instance,
    pub(crate) limits: Limits,
    interrupt: Interrupt,
    /// The modules of all instances with the names under which they are linked; the program last.
    pub(crate) modules: Vec<(String, Module)>,
    /// Start functions, and what prepares a library; they run before anything else.
    pub(crate) preparation: VecDeque<Func>,
    /// What stands still.
    pub(crate) current: Option<Current>,
    /// What the thread was for that ran last.
    pub(crate) last_purpose: Purpose,
    /// The code with which the program ended.
    pub(crate) ended: Option<i32>,
    /// Whether input at a descriptor stops it.
    has_doorbell: bool,
    /// Those that the program has started; they run while a function of it runs.
    pub(crate) threads: Threads,
    /// After how many sites it stops.
    site_stop: SiteStop,
    /// Where the others stood when all of them waited for each other.
    deadlocked: Vec<(i32, TrapReport)>,
    /// What it has made of other processes, if it is the first one of its tree.
    pub(crate) relatives: Option<Box<Relatives>>,
    /// What waits for the end of a function that was told of a signal.
    pub(crate) handler: Option<Box<Handler>>,
    /// Whether a turn was interrupted for no reason of the process.
    gave_way: bool,
    /// Whether its program has still to begin, by itself, behind what prepares it.
    pub(crate) has_to_begin: bool,
    /// How long it has run, where it takes turns with other processes.
    pub(crate) busy: Duration,
}

/// A thread that was begun and has not ended.
pub(crate) struct Current {
    pub thread: Thread,
    pub purpose: Purpose,
    pub blocked: Blocked,
}

/// Why a thread does not go on by itself.
pub(crate) enum Pause {
    Error(Error),
    Exit(i32),
    Stopped(Stopped),
}

/// What has become of a process in a turn.
enum Turned {
    GoesOn,
    Stopped(Stopped),
    Returned(Vec<Val>),
}

impl Process {
    /// What a program needs to run, with nothing granted yet.
    pub fn builder(module: &Module) -> ProcessBuilder {
        ProcessBuilder::new(module)
    }

    pub(crate) fn new(
        store: Store, instance: Instance, limits: Limits, interrupt: Interrupt,
        preparation: VecDeque<Func>, modules: Vec<(String, Module)>, births: Arc<Births>,
    ) -> Process {
        let (current, ended, has_doorbell) = (None, None, false);
        let threads = Threads::new(births);
        Process {
            store,
            instance,
            limits,
            interrupt,
            modules,
            preparation,
            current,
            last_purpose: Purpose::Program,
            ended,
            has_doorbell,
            threads,
            site_stop: SiteStop::default(),
            deadlocked: Vec::new(),
            relatives: None,
            handler: None,
            gave_way: false,
            has_to_begin: false,
            busy: Duration::ZERO,
        }
    }

    /// Runs the program (`_start`) to its end or to a stop; after a stop it goes on.
    ///
    /// A program that has ended gives the same status again.
    ///
    /// # Errors
    /// A module without `_start`, or with one that has parameters; a host function that failed, or
    /// a function that is not valid.
    pub fn run(&mut self) -> Result<ExitStatus, Error> {
        if let Some(code) = self.ended {
            return Ok(ExitStatus::Exited(code));
        }
        let start = self.function("_start")?;
        // Nobody could say what its arguments are.
        let kind = start.ty(&self.store);
        if !kind.params().is_empty() {
            return Err(Error::WrongType { name: "_start".to_owned(), found: kind.to_string() });
        }
        let done = self.perform(Purpose::Program, Some((start, &[])));
        if done.is_ok() {
            self.ended = Some(0);
        }
        self.status(done)
    }

    /// Runs what has to run before the first call: start functions and `_initialize`.
    ///
    /// [`Process::run`] and calls do this by themselves.
    ///
    /// # Errors
    /// As [`Process::run`].
    pub fn prepare(&mut self) -> Result<ExitStatus, Error> {
        let done = self.perform(Purpose::Preparation, None);
        self.status(done)
    }

    /// Whether it has something to run: it exports `_start`.
    pub fn is_program(&self) -> bool {
        self.function("_start").is_ok()
    }

    /// Whether nothing has to run any more before the first call.
    pub fn is_prepared(&self) -> bool {
        self.preparation.is_empty() && self.current.is_none()
    }

    fn status(&mut self, done: Result<Vec<Val>, Pause>) -> Result<ExitStatus, Error> {
        match done {
            Ok(_) => Ok(ExitStatus::Exited(0)),
            Err(Pause::Exit(code)) => Ok(ExitStatus::Exited(code)),
            Err(Pause::Stopped(why)) => Ok(ExitStatus::Stopped(why)),
            Err(Pause::Error(Error::Trap(report))) => {
                self.ended = Some(ExitStatus::TRAP_CODE);
                Ok(ExitStatus::Trapped(report))
            }
            Err(Pause::Error(error)) => Err(error),
        }
    }

    /// Looks up an exported function whose type is that of the Rust types.
    ///
    /// ```
    /// # use brant::{Engine, Module, Process};
    /// # fn main() -> Result<(), brant::Error> {
    /// let text = r#"(module (func (export "add") (param i32 i32) (result i32)
    ///     local.get 0  local.get 1  i32.add))"#;
    /// let module = Module::from_text(&Engine::default(), text)?;
    /// let mut process = Process::builder(&module).build()?;
    /// let add = process.get_typed_func::<(i32, i32), i32>("add")?;
    /// assert_eq!(add.call(&mut process, (40, 2))?, 42);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// No such function, or one of another type.
    pub fn get_typed_func<P: WasmValues, R: WasmValues>(
        &mut self, name: &str,
    ) -> Result<TypedFunc<P, R>, Error> {
        let func = self.function(name)?;
        let kind = func.ty(&self.store);
        if kind.params() != P::types() || kind.results() != R::types() {
            return Err(Error::WrongType { name: name.to_owned(), found: kind.to_string() });
        }
        Ok(TypedFunc::new(func))
    }

    /// Calls an exported function whose type is known only now.
    ///
    /// # Errors
    /// No such function or other types; a trap, the end of the program, or a stop, after which
    /// [`Process::resume_call`] goes on.
    pub fn call(&mut self, name: &str, params: &[Val]) -> Result<Vec<Val>, Error> {
        let func = self.function(name)?;
        let kind = func.ty(&self.store);
        if !kind.params().iter().copied().eq(params.iter().map(|param| param.ty())) {
            return Err(Error::WrongType { name: name.to_owned(), found: kind.to_string() });
        }
        self.call_func(func, params)
    }

    pub(crate) fn call_func(&mut self, func: Func, params: &[Val]) -> Result<Vec<Val>, Error> {
        if self.current.as_ref().is_some_and(|current| current.purpose != Purpose::Preparation) {
            return Err(Error::Busy);
        }
        self.perform(Purpose::Call, Some((func, params))).map_err(Pause::into_error)
    }

    /// Goes on with a call that was stopped.
    ///
    /// # Errors
    /// As [`Process::call`]; [`Error::NothingToResume`] where no call was stopped.
    pub fn resume_call(&mut self) -> Result<Vec<Val>, Error> {
        match &self.current {
            Some(Current { purpose: Purpose::Call, .. }) => {
                let _timer = self.timer()?;
                self.go_on().map_err(Pause::into_error)
            }
            _ => Err(Error::NothingToResume),
        }
    }

    /// The memory of the program.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if it has none.
    pub fn memory(&mut self) -> Result<GuestMemory<'_>, Error> {
        let memory = self.instance.memory(&self.store, 0).ok_or(Error::NoMemory)?;
        Ok(memory.guest(&mut self.store))
    }

    /// The value of an exported global.
    ///
    /// # Errors
    /// No such global, or one of another type.
    pub fn global<T: WasmValue>(&self, name: &str) -> Result<T, Error> {
        let Some(Extern::Global(global)) = self.instance.export(&self.store, name) else {
            return Err(Error::no_export(name));
        };
        let value = global.get(&self.store);
        let wrong = || Error::WrongType { name: name.to_owned(), found: value.ty().to_string() };
        T::from_val(&value).ok_or_else(wrong)
    }

    /// A handle that stops the process from any thread.
    pub fn interrupt_handle(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Sets how long a run or a call may take from now on.
    pub fn set_time_limit(&mut self, time: Option<Duration>) {
        self.limits.time = time;
    }

    /// How long a run or a call may take.
    pub fn time_limit(&self) -> Option<Duration> {
        self.limits.time
    }

    /// Lets the program stop at its `count`-th site from here on: an entry of a function, or a header
    /// of a loop to which it comes back; the sites of all its threads count. The run ends with [`Stopped::AtSite`] and can go on.
    ///
    /// Which site that is depends on nothing but the program, so that each point of a run can be
    /// had again; with more than one thread that holds in a deterministic run.
    pub fn stop_after_sites(&mut self, count: u64) {
        self.site_stop.set(count);
    }

    /// Stops the program with [`Stopped::Called`] whenever there is input at `doorbell`, and makes
    /// that descriptor one that does not block. Waits in the host have to end by themselves then.
    ///
    /// It takes the signal SIGIO of the host process, in which no other process may have this.
    ///
    /// # Errors
    /// What the system says.
    pub fn stop_on_input(&mut self, doorbell: BorrowedFd<'_>) -> Result<(), Error> {
        let interrupt = self.store.interrupt_handle();
        brant_engine::interrupt_on_input(doorbell, &interrupt).map_err(Error::host)?;
        self.has_doorbell = true;
        Ok(())
    }

    /// What of it is compiled.
    pub fn tier(&self) -> Tier {
        self.store.tier()
    }

    /// Has it compiled, or not, from now on. A program that stands goes on in the other tier.
    ///
    /// # Errors
    /// [`Error::NoCompiler`]: the engine has none.
    pub fn set_tier(&mut self, tier: Tier) -> Result<(), Error> {
        if let Some(current) = &mut self.current {
            current.thread.let_go(&mut self.store);
        }
        if !self.store.set_tier(tier) {
            return Err(Error::NoCompiler);
        }
        for (thread, store) in self.threads.each() {
            thread.let_go(store);
            store.set_tier(tier);
        }
        Ok(())
    }

    /// How many threads it has, the first one included.
    pub fn thread_count(&self) -> usize {
        1 + self.threads.count()
    }

    /// Where the threads that the program has started stood when all of them waited for each other,
    /// by their numbers; the report of the first one is that of the trap.
    pub fn deadlocked(&self) -> &[(i32, TrapReport)] {
        &self.deadlocked
    }

    /// Gives more fuel.
    pub fn add_fuel(&mut self, operators: u64) {
        self.store.add_fuel(operators);
    }

    /// How much fuel is left.
    pub fn fuel(&self) -> u64 {
        self.store.fuel()
    }

    /// Bytes of linear memory that all instances have now.
    pub fn memory_bytes(&self) -> u64 {
        self.store.taken(brant_engine::Resource::MemoryBytes)
    }

    /// Bytes read from standard input, written to standard output and to standard error so far, on
    /// all hosts that the process has been on.
    pub fn stream_bytes(&mut self) -> [u64; 3] {
        self.system().with_kernel(|kernel| kernel.stream_bytes())
    }

    /// How often each system call was made; those that were not made are left out.
    pub fn system_call_counts(&mut self) -> Vec<(&'static str, u64)> {
        self.system().counts()
    }

    /// The data that [`ProcessBuilder::data`] gave the process, if they are a `T`.
    pub fn data<T: Any>(&mut self) -> Option<&mut T> {
        self.system().user_data.downcast_mut()
    }

    /// Another way to end its waits: its system is another one.
    pub(crate) fn set_interrupt(&mut self, interrupt: Interrupt) {
        self.interrupt = interrupt;
    }

    /// The way of signals of a terminal to the program; none if it cannot handle any.
    pub fn terminal(&self) -> Option<Terminal> {
        let member = self.store.data::<System>().member()?;
        Some(Terminal::new(member.tree.terminal().clone(), self.interrupt.clone()))
    }

    /// Knows which sockets stay on this host when the process leaves, if any do.
    #[cfg(feature = "node")]
    pub(crate) fn gate(&mut self) -> Option<&Gate> {
        self.system().gate()
    }

    pub(crate) fn system(&mut self) -> &mut System {
        self.store.data_mut()
    }

    /// Runs another program from now on, under the same name for whoever stops it.
    pub(crate) fn take_place(&mut self, next: Process) {
        let Process { store, instance, modules, preparation, threads, has_to_begin, .. } = next;
        self.has_to_begin = has_to_begin;
        (self.store, self.instance, self.modules) = (store, instance, modules);
        (self.preparation, self.threads) = (preparation, threads);
        (self.current, self.handler, self.gave_way) = (None, None, false);
        self.deadlocked = Vec::new();
    }

    /// How much it may take.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn export(&self, name: &str) -> Option<Extern> {
        self.instance.export(&self.store, name)
    }

    pub(crate) fn function(&self, name: &str) -> Result<Func, Error> {
        self.export(name).and_then(Extern::func).ok_or_else(|| Error::no_export(name))
    }

    /// Prepares the process where that has not been done, and runs a function.
    fn perform(
        &mut self, purpose: Purpose, function: Option<(Func, &[Val])>,
    ) -> Result<Vec<Val>, Pause> {
        let _timer = self.timer().map_err(Pause::Error)?;
        match self.current.as_ref().map(|current| current.purpose) {
            None => {}
            Some(Purpose::Preparation) => drop(self.go_on()?),
            // The program was stopped: it goes on.
            Some(stopped) if stopped == purpose => return self.go_on(),
            Some(_) => return Err(Pause::Error(Error::Busy)),
        }
        while let Some(func) = self.preparation.pop_front() {
            self.begin(Purpose::Preparation, func, &[])?;
        }
        match function {
            Some((func, params)) => self.begin(purpose, func, params),
            None => Ok(Vec::new()),
        }
    }

    fn begin(&mut self, purpose: Purpose, func: Func, params: &[Val]) -> Result<Vec<Val>, Pause> {
        let thread = Thread::new(&mut self.store, func, params);
        self.current = Some(Current { thread, purpose, blocked: Blocked::No });
        self.threads.begin();
        self.go_on()
    }

    /// Runs the current thread to its end, or to a stop that asks the embedder.
    fn go_on(&mut self) -> Result<Vec<Val>, Pause> {
        if let Some(mut relatives) = Relatives::of(self) {
            let outcome = relatives.run(self);
            self.relatives = Some(relatives);
            return outcome;
        }
        let Some(mut current) = self.current.take() else {
            return Err(Pause::Error(Error::NothingToResume));
        };
        self.last_purpose = current.purpose;
        // A process that goes on elsewhere may have threads before its first turn.
        self.threads.admit().map_err(Pause::Error)?;
        loop {
            if self.threads.are_on_workers() && !self.site_stop.is_set() {
                return self.run_on_workers(current);
            }
            let (_, turned) = self.step(&mut current)?;
            match turned {
                Turned::GoesOn => {}
                Turned::Stopped(why) => {
                    self.current = Some(current);
                    return Err(Pause::Stopped(why));
                }
                Turned::Returned(values) => return Ok(values),
            }
        }
    }

    /// Gives the next thread its turn, or looks after those who wait.
    fn step(&mut self, current: &mut Current) -> Result<(Next, Turned), Pause> {
        let next = self.threads.next(current.blocked);
        let turned = match next {
            Next::First => self.turn(current)?,
            Next::Spawned => {
                let turn = self.threads.turn(&mut self.store, &mut self.site_stop);
                self.after_turn(turn)?
            }
            Next::Wake => self.wake(current)?,
        };
        self.threads.admit().map_err(Pause::Error)?;
        Ok((next, turned))
    }

    /// Runs a process of a tree until it gives way, waits, asks for another process, or ends.
    pub(crate) fn slice(&mut self) -> Slice {
        self.gave_way = false;
        loop {
            let Some(mut current) = self.current.take().or_else(|| self.next_function()) else {
                return Slice::Ends(Ok(Vec::new()));
            };
            self.last_purpose = current.purpose;
            let stepped = self.step(&mut current);
            let turned = match stepped {
                Ok((next, Turned::GoesOn)) => {
                    self.current = Some(current);
                    self.after_step(next)
                }
                Ok((_, Turned::Stopped(why))) => {
                    self.current = Some(current);
                    Some(Slice::Ends(Err(Pause::Stopped(why))))
                }
                Ok((_, Turned::Returned(_))) if self.end_handler() => None,
                Ok((_, Turned::Returned(_))) if self.has_to_begin => None,
                Ok((_, Turned::Returned(values))) => Some(Slice::Ends(Ok(values))),
                Err(pause) => Some(Slice::Ends(Err(pause))),
            };
            if let Some(slice) = turned {
                return slice;
            }
        }
    }

    /// Why a slice is over after a step that brought no end.
    fn after_step(&mut self, next: Next) -> Option<Slice> {
        if next != Next::Wake
            && let Some(request) = self.system().take_request()
        {
            return Some(Slice::Asks(Asked { request, is_first: next == Next::First }));
        }
        if next == Next::Wake
            && let Some(waits) = self.system().take_waits()
        {
            return Some(Slice::Waits(waits));
        }
        std::mem::take(&mut self.gave_way).then_some(Slice::GivesWay)
    }

    /// What a process of a tree runs next that has nothing begun: what prepares it, then its program.
    fn next_function(&mut self) -> Option<Current> {
        let next = self.preparation.pop_front().map(|func| (func, Purpose::Preparation));
        let (func, purpose) = match next {
            Some(next) => next,
            None if std::mem::take(&mut self.has_to_begin) => {
                (self.function("_start").ok()?, Purpose::Program)
            }
            None => return None,
        };
        let thread = Thread::new(&mut self.store, func, &[]);
        self.threads.begin();
        Some(Current { thread, purpose, blocked: Blocked::No })
    }

    /// Whether it is the process that the embedder has.
    pub(crate) fn is_root(&self) -> bool {
        self.store.data::<System>().is_root
    }

    /// Runs all threads on workers, to the end of the first one or to a stop that asks the embedder.
    fn run_on_workers(&mut self, current: Current) -> Result<Vec<Val>, Pause> {
        let Current { thread, purpose, blocked } = current;
        let mut system = self.system().of_thread();
        let (interrupt, has_doorbell) = (self.interrupt.clone(), self.has_doorbell);
        let empty = Store::new(self.store.engine(), Box::new(()));
        let first = Spawned::first(std::mem::replace(&mut self.store, empty), thread, blocked);
        let mut why = || why_stopped(&interrupt, has_doorbell);
        let (first, end) = self.threads.run_on_workers(first, &mut system, &mut why);
        let Some(first) = first else {
            self.ended = Some(ExitStatus::TRAP_CODE);
            return Err(Pause::Error(Error::host("a worker is lost, and a thread with it")));
        };
        let Spawned { store, thread, blocked, .. } = first;
        self.store = store;
        let mut current = Current { thread, purpose, blocked };
        match end {
            End::Returned(values) => Ok(values),
            End::Exit(code) => Err(self.exit(code)),
            End::Trap(report) => Err(Pause::Error(Error::Trap(report))),
            End::Failed(error) => Err(Pause::Error(error)),
            End::Stopped(why) => {
                self.current = Some(current);
                Err(Pause::Stopped(why))
            }
            End::Deadlock => match self.deadlock(&mut current) {
                Err(pause) => Err(pause),
                Ok(_) => Err(Pause::Error(Error::NothingToResume)),
            },
        }
    }

    /// Has its threads run on these threads of the host from now on. Runs that are to be repeatable
    /// or count fuel are always [`ThreadPolicy::User`].
    pub fn set_thread_policy(&mut self, policy: ThreadPolicy) {
        let config = self.store.engine().config();
        let takes_turns = config.deterministic || config.fuel;
        self.threads.policy = if takes_turns { ThreadPolicy::User } else { policy };
    }

    /// On which threads of the host its threads run.
    pub fn thread_policy(&self) -> ThreadPolicy {
        self.threads.policy
    }

    /// Runs the first thread, for a quantum if there are others.
    fn turn(&mut self, current: &mut Current) -> Result<Turned, Pause> {
        self.threads.begin_turn(&mut self.store, &mut self.site_stop);
        let stop = current.thread.run(&mut self.store);
        let counted = self.threads.end_turn(&mut self.store, &mut self.site_stop);
        if counted.is_over {
            self.threads.pass_on();
        }
        match stop {
            Stop::Done(values) => Ok(Turned::Returned(values)),
            Stop::Trap(report) => Err(Pause::Error(Error::Trap(report))),
            Stop::Exit(code) => Err(self.exit(code)),
            Stop::Failed(error) => Err(Pause::Error(failed(error))),
            Stop::OutOfFuel => Ok(Turned::Stopped(Stopped::OutOfFuel)),
            Stop::Interrupted if counted.is_reached => Ok(Turned::Stopped(Stopped::AtSite)),
            Stop::Interrupted if counted.is_over => Ok(Turned::GoesOn),
            Stop::Interrupted => Ok(self.interrupted()),
            Stop::Blocked => {
                current.blocked = Blocked::of(&current.thread, &mut self.store, current.blocked);
                self.threads.pass_on();
                Ok(Turned::GoesOn)
            }
        }
    }

    /// Why a turn was interrupted: the process stops, or the turn was over.
    fn interrupted(&mut self) -> Turned {
        match self.stopped() {
            Some(why) => Turned::Stopped(why),
            None => {
                self.gave_way = true;
                self.threads.interrupted();
                Turned::GoesOn
            }
        }
    }

    /// What the turn of another thread means for the process.
    fn after_turn(&mut self, turn: Turn) -> Result<Turned, Pause> {
        match turn {
            // The interrupt may have come to another thread's store.
            Turn::Over => Ok(self.stopped().map_or(Turned::GoesOn, Turned::Stopped)),
            Turn::Interrupted => Ok(self.interrupted()),
            Turn::AtSite => Ok(Turned::Stopped(Stopped::AtSite)),
            Turn::Exit(code) => Err(self.exit(code)),
            Turn::Trap(report) => Err(Pause::Error(Error::Trap(report))),
            Turn::Failed(error) => Err(Pause::Error(error)),
            Turn::OutOfFuel => Ok(Turned::Stopped(Stopped::OutOfFuel)),
        }
    }

    pub(crate) fn exit(&mut self, code: i32) -> Pause {
        self.ended = Some(code);
        Pause::Exit(code)
    }

    /// Ends all threads, because each waits for another one.
    fn deadlock(&mut self, current: &mut Current) -> Result<Turned, Pause> {
        self.deadlocked = self.threads.deadlock();
        match current.thread.trap(&mut self.store, Trap::Deadlock) {
            Stop::Trap(report) => Err(Pause::Error(Error::Trap(report))),
            _ => Ok(Turned::GoesOn),
        }
    }

    /// Looks who can go on of those who wait, and waits with them if nobody can run.
    fn wake(&mut self, current: &mut Current) -> Result<Turned, Pause> {
        let Current { thread, blocked, .. } = current;
        let woken = self.threads.wake(First { store: &mut self.store, thread, blocked });
        match woken {
            Some(Waited::Ready) => Ok(Turned::GoesOn),
            Some(Waited::Interrupted) => Ok(self.stopped().map_or(Turned::GoesOn, Turned::Stopped)),
            None => self.deadlock(current),
        }
    }

    /// Why the program was stopped; none if what stopped it is over.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        why_stopped(&self.interrupt, self.has_doorbell)
    }

    fn timer(&self) -> Result<Option<Timer>, Error> {
        self.limits.time.map(|time| Timer::start(&self.interrupt, time)).transpose()
    }
}

impl Pause {
    fn into_error(self) -> Error {
        match self {
            Pause::Error(error) => error,
            Pause::Exit(code) => Error::Exit(code),
            Pause::Stopped(why) => Error::Stopped(why),
        }
    }
}

/// Why a program was stopped; none if what stopped it is over.
fn why_stopped(interrupt: &Interrupt, has_doorbell: bool) -> Option<Stopped> {
    let called = || has_doorbell && brant_engine::take_ring();
    interrupt.take_reason().or_else(|| called().then_some(Stopped::Called))
}

/// Finds out what failed.
pub(crate) fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(error) => return *error,
        Err(other) => other,
    };
    match error.downcast::<brant_engine::ModuleError>() {
        Ok(error) => Error::Module(*error),
        Err(other) => Error::Host(other),
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("limits", &self.limits).finish_non_exhaustive()
    }
}
