//! Guest threads: a value stack, and where they stand in it.
//!
//! A thread that has stopped at a site is plain data: registers and frames. It can go on at any
//! time, on any host thread, while other threads of the store have run meanwhile.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use crate::frame::{self, FrameError, FrameState, Registers, Slot, WaitSite};
use crate::func::Func;
use crate::host::HostError;
use crate::interp::driver::{self, End};
use crate::interp::frames::Stand;
use crate::memory::wait::{WaitState, Waiter};
use crate::memory::{Memory, Shared};
use crate::native::given::{self, Given};
use crate::native::segment::NativeState;
use crate::persist::{PersistError, TrapFrame, TrapState};
use crate::run::Run;
use crate::signal;
use crate::stack::ValueStack;
use crate::stop::{HostMistake, Stop};
use crate::store::{LimitError, Resource, Store};
use crate::trap::{Place, TrapReport, frames_of};
use crate::val::Val;
use crate::vm::{FuncKind, Vm};

use brant_isa::Trap;

/// A guest thread: the run of one function.
#[derive(Debug)]
pub struct Thread {
    func: Func,
    arguments: Vec<Val>,
    activation: Activation,
    state: State,
}

// SAFETY: the pointers lead into the thread's own stack and into its store, and `run` needs that
// store to itself.
unsafe impl Send for Thread {}

#[derive(Debug)]
enum State {
    New,
    Parked(Parked),
    /// Compiled code has given up its state. It is laid out for the interpreter when the thread goes
    /// on: whoever stops it need not wait for that.
    Standing(Standing),
    /// It waits in compiled code, whose frames stand on its native stack.
    Suspended,
    Ended,
}

/// What a thread has left that was stopped in compiled code, or above some.
#[derive(Debug)]
struct Standing {
    given: Vec<Given>,
    /// The frames that it is, the outermost first, once somebody has asked.
    frames: OnceCell<Vec<FrameState>>,
    /// For so many of them it was found out where the interpreter has their values.
    prepared: usize,
}

impl Standing {
    /// What needs no stack any more.
    fn of(frames: Vec<FrameState>) -> Self {
        Self { given: Vec::new(), frames: OnceCell::from(frames), prepared: 0 }
    }

    fn frames(&self, store: &mut Store) -> &[FrameState] {
        // SAFETY: the thread's stack is kept with this, and runs on it take this away first. Code
        // and blocks live as long as the store.
        self.frames.get_or_init(|| unsafe { given::frames(store.inner_mut(), &self.given) })
    }

    /// Finds out what laying the frames out needs, which takes long where functions are large and
    /// were never stopped before. A stop that is asked for meanwhile need not wait for the rest: the
    /// thread still stands. Each call gets further, so that no number of stops keeps it from running.
    fn prepare(&mut self, store: &mut Store) -> Prepared {
        let count = self.frames(store).len();
        while self.prepared < count {
            let &FrameState { instance, function, site, .. } = &self.frames(store)[self.prepared];
            frame::prepare(store.inner_mut(), instance, function, site);
            self.prepared += 1;
            if store.inner().take_interrupt() {
                return Prepared::Stopped;
            }
        }
        Prepared::All
    }
}

/// How far the preparation of frames came.
#[derive(PartialEq, Eq)]
enum Prepared {
    All,
    Stopped,
}

/// What a thread that does not run goes on with: others use the block of the instance meanwhile.
#[derive(Debug)]
pub(crate) struct Parked {
    registers: Registers,
    budget: i64,
}

/// The runs that stand on one value stack: a thread's own, and those that host functions start.
pub(crate) struct Activation {
    stack: Option<ValueStack>,
    /// Behind everything that the waiting frames use.
    pub top: *mut u64,
    depth: u32,
    /// For arguments and results of host functions, used from call to call.
    pub values: Vec<Val>,
    /// What compiled code needs, and what it leaves behind.
    pub native: NativeState,
    /// What the thread waits for, if it stands at `memory.atomic.wait`.
    pub wait: Option<Waiting>,
    /// For its next wait.
    pub spare_waiter: Option<Arc<Waiter>>,
}

/// A wait at an address that has begun.
pub(crate) struct Waiting {
    pub memory: Memory,
    pub address: u64,
    pub timeout_ns: Option<u64>,
    pub waiter: Arc<Waiter>,
    pub shared: Arc<Shared>,
}

impl Waiting {
    /// Leaves the queue, if it was not woken before.
    fn leave(&self) {
        self.shared.waits.leave(self.address, &self.waiter, WaitState::TimedOut);
    }
}

impl Drop for Waiting {
    /// Nobody is to be woken who is not there any more.
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waiting at {:#x}: {:?}", self.address, self.waiter.state())
    }
}

/// What a thread waits for that has stopped at `memory.atomic.wait`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// The memory.
    pub memory: Memory,
    /// The address of the cell.
    pub address: u64,
    /// How long it waits at most, from when it began, in ns. None is for ever.
    pub timeout_ns: Option<u64>,
    /// How it ended, if it would go on now.
    pub end: Option<WaitEnd>,
    /// Whoever began to wait later has a larger one.
    pub ticket: u64,
}

/// How a wait at an address ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WaitEnd {
    /// Somebody has woken it.
    Woken,
    /// Its time was over.
    TimedOut,
}

/// Frames of compiled code may take so many times the stack limit in the interpreter.
const MAX_ROOM: usize = 16;

/// What a nested run takes from the stack limit, because it takes about as much of the host's stack.
const NESTED_BYTES: usize = 8 << 10;

/// Runs inside runs: each takes some KiB of the host's stack, whose size nobody knows.
const MAX_NESTED: u32 = 128;

impl Thread {
    /// A thread that will run `func`. It takes no memory for a stack before its first run.
    ///
    /// # Panics
    /// Arguments do not have the types of the parameters.
    pub fn new(store: &mut Store, func: Func, arguments: &[Val]) -> Self {
        check_arguments(store, func, arguments);
        let activation = Activation::new(None);
        Self { func, arguments: arguments.to_vec(), activation, state: State::New }
    }

    /// Runs to the next stop. After [`Stop::Interrupted`], [`Stop::OutOfFuel`] and [`Stop::Blocked`]
    /// another run goes on from there.
    ///
    /// # Panics
    /// `store` is not the thread's.
    pub fn run(&mut self, store: &mut Store) -> Stop {
        store.inner().check_handle(self.func.store);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => Stop::Failed(Box::new(HostMistake::ThreadEnded)),
            State::New => {
                let limit_bytes = store.engine().config().max_stack_bytes;
                let Some(stack) = ValueStack::new(limit_bytes) else {
                    let (asked, left) = (limit_bytes as u64, 0);
                    let error = LimitError { resource: Resource::HostMemory, asked, left };
                    return Stop::Failed(Box::new(error));
                };
                let base = stack.base();
                self.activation.stack = Some(stack);
                let (stop, vm) = self.activation.begin(store, self.func, &self.arguments, base);
                self.keep(stop, vm)
            }
            State::Parked(parked) => self.go_on(store, parked.restore()),
            State::Suspended if store.inner().site_plan.counts() => {
                // In compiled code nobody could count the site that it stands at.
                self.state = State::Suspended;
                self.take_apart(store);
                self.run(store)
            }
            State::Suspended => {
                let suspended = self.activation.native.suspended.as_ref();
                let vm = suspended.map_or(std::ptr::null_mut(), |suspended| suspended.vm);
                self.go_on(store, vm)
            }
            State::Standing(mut left) => {
                if left.prepare(store) == Prepared::Stopped {
                    self.state = State::Standing(left);
                    return Stop::Interrupted;
                }
                let frames = left.frames(store);
                match self.activation.lay_out(store, frames) {
                    Ok(parked) => self.go_on(store, parked.restore()),
                    Err(error) => Stop::Failed(Box::new(error)),
                }
            }
        }
    }

    fn go_on(&mut self, store: &mut Store, vm: *mut Vm) -> Stop {
        let (stop, vm) = self.activation.go_on(store, self.func, vm);
        self.keep(stop, vm)
    }

    /// A thread that goes on from `frames`, the outermost first, and ends with the results of
    /// `func`.
    ///
    /// # Errors
    /// The frames are no thread of this store: they may come from anywhere.
    ///
    /// # Panics
    /// `func` is not the store's.
    pub fn from_frames(
        store: &mut Store, func: Func, frames: &[FrameState],
    ) -> Result<Self, FrameError> {
        frame::check(store.inner(), frames)?;
        let outermost = frames.first().ok_or(FrameError::Empty)?;
        let module = store.inner().instances[outermost.instance as usize].module.inner();
        if module.function_type(outermost.function).results() != func.ty(store).results() {
            return Err(FrameError::WrongResults { frame: 0 });
        }
        let limit_bytes = store.engine().config().max_stack_bytes;
        let used_bytes = frame::slots_bytes(frames).min(limit_bytes * MAX_ROOM);
        let stack = ValueStack::with_room(limit_bytes, used_bytes).ok_or(FrameError::HostMemory)?;
        let registers = frame::rebuild(store.inner_mut(), &stack, frames)?;
        let activation = Activation::new(Some(stack));
        let state = State::Parked(Parked { registers, budget: driver::BUDGET });
        Ok(Self { func, arguments: Vec::new(), activation, state })
    }

    /// Its frames, the outermost first, with which [`Self::from_frames`] goes on in this store or in
    /// another one that was made alike. None if it has ended, or has not begun and would run a
    /// function of the host.
    ///
    /// # Panics
    /// `store` is not the thread's.
    pub fn frames(&mut self, store: &mut Store) -> Option<Vec<FrameState>> {
        store.inner().check_handle(self.func.store);
        self.take_apart(store);
        match &self.state {
            State::Ended | State::Suspended => None,
            State::New => {
                frame::entry_frame(store.inner(), self.func, &self.arguments).map(|one| vec![one])
            }
            State::Standing(left) => Some(left.frames(store).to_vec()),
            // SAFETY: the registers are those that the run has left, and nothing has run since.
            State::Parked(parked) => unsafe {
                frame::capture(store.inner_mut(), &parked.registers)
            },
        }
    }

    /// What it waits for, if it has stopped at `memory.atomic.wait`.
    pub fn wait(&self) -> Option<Wait> {
        let &Waiting { memory, address, timeout_ns, ref waiter, .. } =
            self.activation.wait.as_ref()?;
        let end = match waiter.state() {
            WaitState::Waiting => None,
            WaitState::Woken => Some(WaitEnd::Woken),
            WaitState::TimedOut => Some(WaitEnd::TimedOut),
        };
        Some(Wait { memory, address, timeout_ns, end, ticket: waiter.ticket() })
    }

    /// Goes on with a wait in front of which the thread stands, as it stood when it was saved: as
    /// the last one in its queue, or with its end.
    ///
    /// # Errors
    /// [`PersistError::Wait`]: the thread does not stand there, or cannot wait there.
    ///
    /// # Panics
    /// `store` is not the thread's.
    pub fn restore_wait(
        &mut self, store: &mut Store, end: Option<WaitEnd>,
    ) -> Result<(), PersistError> {
        let frames = self.frames(store).ok_or(PersistError::NoFrames)?;
        let inner = store.inner();
        let WaitSite { memory: index, address, timeout_ns } = frames
            .last()
            .and_then(|frame| frame::wait_site(inner, frame))
            .ok_or(PersistError::Wait)?;
        let shared = inner.memories[index as usize].shared().ok_or(PersistError::Wait)?.clone();
        let waiter = match end {
            None => {
                let waiter = Waiter::new(inner.wake.clone());
                // What is in the cell was looked at when the wait began.
                shared.waits.enter(address, &waiter, || true);
                waiter
            }
            Some(WaitEnd::Woken) => Waiter::over(WaitState::Woken, inner.wake.clone()),
            Some(WaitEnd::TimedOut) => Waiter::over(WaitState::TimedOut, inner.wake.clone()),
        };
        let memory = Memory { store: inner.id, index };
        self.activation.wait = Some(Waiting { memory, address, timeout_ns, waiter, shared });
        Ok(())
    }

    /// Gives its stacks back and keeps its frames only, from which the next run goes on, in
    /// whatever tier the store has then.
    ///
    /// # Panics
    /// `store` is not the thread's.
    pub fn let_go(&mut self, store: &mut Store) {
        let holds_stacks = match &self.state {
            State::Parked(_) | State::Suspended => true,
            State::Standing(left) => !left.given.is_empty(),
            State::New | State::Ended => false,
        };
        if !holds_stacks {
            return;
        }
        if let Some(frames) = self.frames(store) {
            self.state = State::Standing(Standing::of(frames));
            self.activation.stack = None;
            self.activation.native = NativeState::default();
        }
    }

    /// Has compiled code that waits on the thread's native stack give up its frames, for whoever looks
    /// at them.
    fn take_apart(&mut self, store: &mut Store) {
        let Some(suspended) = self.activation.native.suspended.take() else { return };
        let activation = &mut self.activation;
        // SAFETY: the thread has stopped with this, in this store, and nothing has run on its stack
        // since.
        unsafe { driver::take_apart(&mut Run { store, activation }, &suspended) };
        let given = std::mem::take(&mut self.activation.native.given);
        self.state = State::Standing(Standing { given, frames: OnceCell::new(), prepared: 0 });
    }

    /// Ends its wait because its time is over; nothing if it was woken before.
    ///
    /// # Panics
    /// `store` is not the thread's.
    pub fn time_out(&mut self, store: &Store) {
        store.inner().check_handle(self.func.store);
        if let Some(wait) = &self.activation.wait {
            wait.leave();
        }
    }

    /// Ends it where it stands, with a trap: what it waits for cannot come.
    ///
    /// # Panics
    /// `store` is not the thread's.
    pub fn trap(&mut self, store: &mut Store, code: Trap) -> Stop {
        store.inner().check_handle(self.func.store);
        self.take_apart(store);
        let report = match std::mem::replace(&mut self.state, State::Ended) {
            State::Parked(parked) => self.report_at(store, code, parked),
            State::Standing(left) => {
                let frames = left.frames(store);
                match self.activation.lay_out(store, frames) {
                    Ok(parked) => self.report_at(store, code, parked),
                    Err(_) => TrapReport::without_frames(code),
                }
            }
            State::New | State::Suspended | State::Ended => TrapReport::without_frames(code),
        };
        self.activation.stack = None;
        self.activation.wait = None;
        Stop::Trap(Box::new(report))
    }

    fn report_at(&mut self, store: &mut Store, code: Trap, parked: Parked) -> TrapReport {
        let vm = parked.restore();
        self.activation.report(store, self.func, code, vm)
    }

    /// The function whose results it ends with.
    pub fn func(&self) -> Func {
        self.func
    }

    /// Whether another run would go on or begin.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Keeps the registers if the run can go on, else frees the stack.
    fn keep(&mut self, stop: Stop, vm: *mut Vm) -> Stop {
        let given = std::mem::take(&mut self.activation.native.given);
        if !stop.can_go_on() {
            self.activation.stack = None;
        } else if self.activation.native.suspended.is_some() {
            self.state = State::Suspended;
        } else if !given.is_empty() {
            let standing = Standing { given, frames: OnceCell::new(), prepared: 0 };
            self.state = State::Standing(standing);
        } else if vm.is_null() {
            // A host function without a guest below it would block: it is called again.
            self.state = State::New;
        } else {
            self.state = State::Parked(Parked::new(vm));
        }
        stop
    }
}

impl Parked {
    fn new(vm: *mut Vm) -> Self {
        // SAFETY: blocks live as long as the store, and no guest runs.
        Self { registers: unsafe { Self::registers_of(vm) }, budget: unsafe { (*vm).budget } }
    }

    /// The registers of a run that stands in `vm`.
    ///
    /// # Safety
    /// `vm` is live.
    pub unsafe fn registers_of(vm: *mut Vm) -> Registers {
        // SAFETY: by the contract of this function.
        let &Vm { ip, fp, acc, facc, vacc, exit, .. } = unsafe { &*vm };
        Registers { vm, ip, fp, acc, facc, vacc, exit }
    }

    fn restore(self) -> *mut Vm {
        // SAFETY: as in `new`.
        let from = self.registers;
        // SAFETY: as in `new`.
        let vm = unsafe { &mut *from.vm };
        (vm.ip, vm.fp, vm.acc, vm.budget) = (from.ip, from.fp, from.acc, self.budget);
        (vm.facc, vm.vacc, vm.exit) = (from.facc, from.vacc, from.exit);
        from.vm
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stack, depth, native, wait, .. } = self;
        write!(f, "{depth} runs inside, {wait:?}, on {stack:?} and {native:?}")
    }
}

impl Activation {
    fn new(stack: Option<ValueStack>) -> Self {
        let (top, values, native) = (std::ptr::null_mut(), Vec::new(), NativeState::default());
        Self { stack, top, depth: 0, values, native, wait: None, spare_waiter: None }
    }

    /// Its wait is over.
    pub fn end_wait(&mut self) {
        if let Some(wait) = self.wait.take() {
            let mut waiter = wait.waiter.clone();
            drop(wait);
            if Waiter::reset(&mut waiter) {
                self.spare_waiter = Some(waiter);
            }
        }
    }

    /// Runs `func` on top of the waiting run, to its end or to what takes its place.
    pub fn nested(&mut self, store: &mut Store, func: Func, arguments: &[Val]) -> Stop {
        check_arguments(store, func, arguments);
        let base = self.top.wrapping_byte_add(NESTED_BYTES);
        let needed = base.wrapping_add(2 * arguments.len() + 2);
        let limit = self.stack.as_ref().map_or(std::ptr::null_mut(), ValueStack::limit);
        if needed > limit || self.depth == MAX_NESTED {
            return Stop::Trap(Box::new(TrapReport::without_frames(Trap::CallStackExhausted)));
        }
        self.depth += 1;
        let (stop, _) = self.begin(store, func, arguments, base);
        self.depth -= 1;
        stop
    }

    /// Runs `func` with its frame at `base`. Also gives the instance that it stopped in.
    fn begin(
        &mut self, store: &mut Store, func: Func, arguments: &[Val], base: *mut u64,
    ) -> (Stop, *mut Vm) {
        let mut place = base;
        for &value in arguments {
            let cell = store.inner().cell(value);
            for part in &cell[..value.ty().slot_count()] {
                // SAFETY: the stack has slack behind its limit for the arguments of any call.
                unsafe {
                    *place = *part;
                    place = place.add(1);
                }
            }
        }
        let slot = store.inner().functions.slot(func.reference);
        // SAFETY: slots live as long as the store.
        let (kind, vm) = unsafe { ((*slot).kind, (*slot).vm) };
        if kind == FuncKind::Host {
            let called = Run { store, activation: self }.host(slot, None, base);
            let end = match called {
                Ok(crate::Flow::Return) => End::Done,
                Ok(crate::Flow::Block) => End::Blocked,
                Err(error) => End::Host(error),
            };
            return (self.stop(store, func, base, end, vm), vm);
        }
        let limit = self.stack.as_ref().map_or(std::ptr::null_mut(), ValueStack::limit);
        // SAFETY: as above. A function that is not translated yet is checked when it is.
        if base.wrapping_byte_add(unsafe { (*slot).frame_bytes } as usize) > limit {
            let none = std::ptr::null_mut();
            return (self.stop(store, func, base, End::Trap(Trap::CallStackExhausted), none), none);
        }
        // SAFETY: the arguments stand at `base`, and the block belongs to this store.
        let vm =
            unsafe { driver::start(&Run { store, activation: self }, slot, base, driver::BUDGET) };
        self.dispatch(store, func, base, vm)
    }

    /// Whether what runs is the thread's own run, and none that a function of the host has started.
    pub fn is_outermost(&self) -> bool {
        self.depth == 0
    }

    fn go_on(&mut self, store: &mut Store, func: Func, vm: *mut Vm) -> (Stop, *mut Vm) {
        let base = self.stack.as_ref().map_or(std::ptr::null_mut(), ValueStack::base);
        self.dispatch(store, func, base, vm)
    }

    /// Runs from the state in `vm`.
    fn dispatch(
        &mut self, store: &mut Store, func: Func, base: *mut u64, mut vm: *mut Vm,
    ) -> (Stop, *mut Vm) {
        let inner = store.inner_mut();
        if inner.engine.config().signal_handlers {
            signal::prepare_thread();
        }
        if self.depth == 0 && inner.take_interrupt() {
            return (Stop::Interrupted, vm);
        }
        inner.activations += 1;
        let (id, fuel, counts) = (inner.id, inner.fuel, inner.site_plan.counts());
        let limit = self.stack.as_ref().map_or(std::ptr::null_mut(), ValueStack::limit);
        // SAFETY: the block belongs to this store, and its state is that of `start` or of a pause.
        let end = unsafe {
            ((*vm).stack_limit, (*vm).fuel, (*vm).fault_address) = (limit, fuel, 0);
            if counts {
                (*vm).budget = 0;
            }
            match self.native.suspended.take() {
                Some(suspended) => {
                    let run = &mut Run { store, activation: self };
                    driver::resume(run, &suspended, &mut vm)
                }
                None => driver::run(&mut Run { store, activation: self }, &mut vm),
            }
        };
        let inner = store.inner_mut();
        if inner.id != id {
            return (Stop::Failed(Box::new(HostMistake::StoreExchanged)), vm);
        }
        inner.activations -= 1;
        // SAFETY: as above.
        inner.fuel = unsafe { (*vm).fuel };
        // A run that a host function has started does not go on.
        if self.depth > 0 {
            self.native.given.clear();
        }
        (self.stop(store, func, base, end, vm), vm)
    }

    /// Puts frames that compiled code has given up back, as those of the interpreter.
    fn lay_out(&mut self, store: &mut Store, frames: &[FrameState]) -> Result<Parked, FrameError> {
        let limit_bytes = store.engine().config().max_stack_bytes;
        // Compiled frames may need more room in the interpreter than its limit.
        let used_bytes = frame::slots_bytes(frames).min(limit_bytes * MAX_ROOM);
        let stack = ValueStack::with_room(limit_bytes, used_bytes);
        let stack = stack.ok_or(FrameError::HostMemory)?;
        let registers = frame::rebuild(store.inner_mut(), &stack, frames)?;
        self.stack = Some(stack);
        Ok(Parked { registers, budget: driver::BUDGET })
    }

    fn stop(
        &mut self, store: &mut Store, func: Func, base: *mut u64, end: End, vm: *mut Vm,
    ) -> Stop {
        match end {
            End::Done => Stop::Done(results(store, func, base)),
            End::Trap(code) | End::Host(HostError::Trap(code)) => {
                Stop::Trap(Box::new(self.report(store, func, code, vm)))
            }
            End::Host(HostError::Exit(code)) => Stop::Exit(code),
            End::Host(HostError::Other(error)) => Stop::Failed(error),
            End::Invalid(error) => Stop::Failed(Box::new(error)),
            End::Interrupted => {
                // A nested run leaves the word as it is, for the run that waits for it.
                if self.depth == 0 {
                    store.inner().take_interrupt();
                }
                Stop::Interrupted
            }
            End::OutOfFuel => Stop::OutOfFuel,
            End::Blocked => Stop::Blocked,
        }
    }
}

fn check_arguments(store: &Store, func: Func, arguments: &[Val]) {
    let given = arguments.iter().map(|value| value.ty());
    let fits = given.eq(func.ty(store).params().iter().copied());
    assert!(fits, "arguments {arguments:?} for a function {}", func.ty(store));
}

/// The results that stand at `base`.
fn results(store: &Store, func: Func, base: *mut u64) -> Vec<Val> {
    let inner = store.inner();
    let mut place = base;
    let types = func.ty(store).results().iter();
    let values = types.map(|&ty| {
        // SAFETY: a function that is done has left its results there; the stack goes on behind them.
        unsafe {
            let cell = [*place, *place.add(1)];
            place = place.add(ty.slot_count());
            inner.val(ty, cell)
        }
    });
    values.collect()
}

impl Activation {
    /// What there is to say about a trap in the instance that `vm` is; null if no guest was running.
    fn report(&mut self, store: &mut Store, func: Func, code: Trap, vm: *mut Vm) -> TrapReport {
        if vm.is_null() {
            return TrapReport::without_frames(code);
        }
        // What compiled code has left is complete.
        let mut places = std::mem::take(&mut self.native.places);
        let is_interpreted = places.is_empty();
        let native_fault = self.native.fault.take();
        // SAFETY: the run has just ended there: registers and frames are complete.
        let (mut fault, mut mem0, mut mem0_bytes) = unsafe {
            if places.is_empty() {
                places = Run { store, activation: self }.places(Stand::of(vm));
            }
            ((*vm).fault_address, (*vm).mem0 as u64, (*vm).mem0_bytes)
        };
        if let Some(native) = native_fault {
            [fault, mem0, mem0_bytes] = native;
        }
        let is_about_memory = code == Trap::OutOfBoundsMemoryAccess;
        let report = TrapReport {
            code,
            backtrace: frames_of(store.inner(), &places),
            frame_count: places.len(),
            fault_address: (is_about_memory && fault != 0).then(|| fault.wrapping_sub(mem0)),
            memory_bytes: is_about_memory.then_some(mem0_bytes),
        };
        if store.inner().trapped.is_on && self.depth == 0 {
            let innermost = is_interpreted.then(|| places.first()).flatten();
            // SAFETY: as above: this is where the run has ended.
            let left = innermost.and_then(|place| unsafe { left_over(store, code, place, vm) });
            let (locals, callers) = left.unwrap_or_default();
            let trap = kept(&report, &places, locals);
            let kept = Some(Box::new((trap, func.reference, callers)));
            store.inner_mut().trapped.last = kept;
        }
        report
    }
}

/// What a trap leaves for whoever looks into it later.
fn kept(report: &TrapReport, places: &[Place], locals: Vec<Slot>) -> TrapState {
    let backtrace = report.backtrace.iter().filter_map(|frame| {
        let &Place { instance, function, offset } = places.get(frame.depth)?;
        Some(TrapFrame { depth: frame.depth as u64, instance, function, offset })
    });
    TrapState {
        code: report.code,
        backtrace: backtrace.collect(),
        frame_count: report.frame_count as u64,
        fault_address: report.fault_address,
        memory_bytes: report.memory_bytes,
        locals: TrapState::without_references(locals),
    }
}

/// The locals of the frame at `place`, in which an interpreted run has ended, and the frames that
/// wait for it.
///
/// # Safety
/// `vm` is where the run has ended, and nothing has run on its stack since.
unsafe fn left_over(
    store: &mut Store, code: Trap, place: &Place, vm: *mut Vm,
) -> Option<(Vec<Slot>, Vec<FrameState>)> {
    let inner = store.inner_mut();
    let module = inner.instances[place.instance as usize].module.inner().clone();
    let param_slots = module.function_type(place.function).param_slots();
    // SAFETY: by the contract of this function; the header stands behind the parameters.
    unsafe {
        let fp = (*vm).fp;
        let callers = frame::capture_below(inner, vm, fp.add(param_slots))?;
        // A frame for which there was no room has not begun.
        let locals = match code {
            Trap::CallStackExhausted => Vec::new(),
            _ => frame::locals_of(inner, vm, place.function, fp)?,
        };
        Some((locals, callers))
    }
}
