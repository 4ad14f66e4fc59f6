//! Segments: runs of compiled code between two drivers.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::Ordering;

use crate::interp::driver::{End, Services};
use crate::memory::{StackArea, host_page_bytes};
use crate::native::abi::{CallPlan, FLOAT_REGISTERS, INT_REGISTERS, ParamPlace, ResultPlace};
use crate::native::capture::Capture;
use crate::native::code::CodeMap;
use crate::native::given::Given;
use crate::native::stubs::{self, CalledOut};
use crate::trap::Place;
use crate::vm::{FuncSlot, Vm};

/// Below the limit of guest code: for functions of the engine and of the host.
const HOST_STACK_BYTES: usize = 512 << 10;

/// Native frames are rarely larger than so many times the same frames in guest units.
const NATIVE_FACTOR: usize = 4;

/// How often the results that do not fit in registers may be more than a page: a function has at
/// most 1000 results of 16 bytes.
const RESULT_AREA_BYTES: usize = 16 << 10;

/// Calls with more words on the stack take them from the heap.
const FEW_WORDS: usize = 16;

/// What a guest thread keeps for its compiled code.
#[derive(Default, Debug)]
pub struct NativeState {
    stack: Option<NativeStack>,
    /// What is left of the budget of interpreters that compiled code has called.
    pub budget: i64,
    /// Frames that a stop has left, innermost first.
    pub given: Vec<Given>,
    /// The segment that waits on the stack, if the thread stands in one.
    pub suspended: Option<Suspended>,
    /// Where frames stood at a trap, innermost first.
    pub places: Vec<Place>,
    /// What the fault was about: address, memory's base and size.
    pub fault: Option<[u64; 3]>,
}

/// The native stack of a guest thread, and behind it the area for results.
///
/// ```text
/// | no access | functions of the engine and the host | frames of the guest | results |
///                                                limit ^                   top ^
/// ```
#[derive(Debug)]
struct NativeStack {
    area: StackArea,
}

impl NativeStack {
    fn new(limit_bytes: usize) -> Option<Self> {
        let bytes = limit_bytes * NATIVE_FACTOR + HOST_STACK_BYTES + RESULT_AREA_BYTES;
        let bytes = bytes.next_multiple_of(host_page_bytes());
        let guard = host_page_bytes();
        StackArea::new(guard + bytes, guard, guard + bytes).map(|area| Self { area })
    }
    fn top(&self) -> usize {
        self.area.base() as usize + self.area.len_bytes() - RESULT_AREA_BYTES
    }
    fn results(&self) -> *mut u64 {
        self.top() as *mut u64
    }
    fn limit(&self) -> u64 {
        (self.area.base() as usize + host_page_bytes() + HOST_STACK_BYTES) as u64
    }
    fn contains(&self, address: usize) -> bool {
        (self.area.base() as usize..self.top()).contains(&address)
    }
}

/// How `stubs::enter` calls, and what came back.
#[derive(Debug)]
#[repr(C)]
pub struct Way {
    /// The stack pointer in `enter` or `resume`.
    pub saved_stack: u64,
    /// The stack pointer in `suspend`.
    pub suspended_stack: u64,
    /// The word on the guest's stack that says whose way it is on: `enter` puts it below all frames.
    pub bottom: *mut *mut Way,
    /// The stack to change to; 0 to stay.
    pub stack: usize,
    /// Words that go on the stack.
    pub words: *const u64,
    /// How many of them: an even number.
    pub word_count: usize,
    /// What is called.
    pub code: *const u8,
    /// Integer registers, then the integer results.
    pub ints: [u64; INT_REGISTERS],
    /// Float registers, then the float results.
    pub floats: [[u64; 2]; FLOAT_REGISTERS],
}

/// A run of compiled code. It stays where it is from `run` until that returns.
pub struct Segment<'a> {
    pub way: Way,
    pub vm: *mut Vm,
    pub services: &'a mut dyn Services,
    pub base: Base,
    /// Where its code begins at a loop header: the values there, else nothing.
    pub cells: &'a [u128],
    /// No guest frame's stack check lets it go below.
    pub native_limit: u64,
    /// Why it ends, if not by returning.
    pub end: Option<End>,
    pub capture: Option<Capture>,
    /// Whether it was resumed only to give up its frames.
    pub is_taken_apart: bool,
    /// Whether `enter` or `resume` has come back because it waits.
    is_suspended: bool,
    /// What it has called and waits for; null while its own code runs.
    pub called: *mut CalledOut,
    /// Words on the stack of the tail call that is on its way.
    pub tail_words: Vec<u64>,
    /// The function that a tail call reaches by `call_out`, null at any other call.
    pub tail_callee: *mut FuncSlot,
    /// The function that the driver is to run in place of the segment.
    successor: *mut FuncSlot,
    outer: *mut Segment<'static>,
}

thread_local! {
    /// The innermost segment of this host thread, null outside of compiled code. Signal handlers
    /// read it: it has no destructor and no lazy initialisation.
    static CURRENT: Cell<*mut Segment<'static>> = const { Cell::new(ptr::null_mut()) };
}

/// The innermost segment of this host thread, null outside of compiled code.
pub fn current() -> *mut Segment<'static> {
    CURRENT.get()
}

/// How a run of compiled code came to its end.
#[derive(Debug)]
pub enum Outcome {
    /// It has returned: its results are at the window.
    Returned,
    /// Its outermost frame went for this function, whose arguments are at the window.
    TailCall(*mut FuncSlot),
    /// It waits, and stands where it is: it was left to the thread's `NativeState`.
    Suspended,
    /// Its frames, or its places, were added to the thread's `NativeState`.
    Ended(End),
}

/// Where a segment stands on the value stack, in the place of a frame of the interpreter.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    /// How parameters and results of its outermost function are passed. Plans stay where they are as
    /// long as the store.
    pub plan: *const CallPlan,
    /// Slots with the parameters, and with the results afterwards.
    pub window: *mut u64,
    /// Behind everything that waiting frames use.
    pub value_top: *mut u64,
    /// The header of the frame that the interpreter has made for the call. It is overwritten by
    /// results.
    pub header: *mut u64,
    /// What was in the header: the frame of the caller, and where that goes on.
    pub fp: *mut u64,
    pub back: *const u8,
}

/// What to run, and where its values are.
pub struct Entry<'a> {
    pub code: *const u8,
    pub base: Base,
    /// The values at a loop header, whose address is a parameter in place of all others.
    pub cells: Option<&'a [u128]>,
}

/// A segment that waits: its frames stand on the thread's native stack, and nothing of it on that of
/// the host. Whoever wants the frames has it taken apart.
#[derive(Debug)]
pub struct Suspended {
    pub vm: *mut Vm,
    pub base: Base,
    stack: u64,
    bottom: *mut *mut Way,
    native_limit: u64,
    called: *mut CalledOut,
}

/// How a suspended segment goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resume {
    /// It does again what it waits for.
    GoOn,
    /// It gives up its frames.
    TakeApart,
}

impl Way {
    #[inline(always)]
    fn new(stack: usize, code: *const u8) -> Self {
        Self {
            saved_stack: 0,
            suspended_stack: 0,
            bottom: ptr::null_mut(),
            stack,
            words: ptr::null(),
            word_count: 0,
            code,
            ints: [0; INT_REGISTERS],
            floats: [[0; 2]; FLOAT_REGISTERS],
        }
    }
}

impl<'a> Segment<'a> {
    /// Runs compiled code of the instance `vm` to its end.
    ///
    /// # Safety
    /// The code is that of a function of the instance with these types, whose values stand at the
    /// window, which has room for the results. The thread was prepared for signals.
    pub unsafe fn run(services: &'a mut dyn Services, vm: *mut Vm, entry: &Entry<'a>) -> Outcome {
        let Some((stack, limit, results)) = native_stack(services) else {
            return Outcome::Ended(End::Trap(brant_isa::Trap::CallStackExhausted));
        };
        let mut few = [0; FEW_WORDS];
        let mut many = Vec::new();
        // SAFETY: see `Base::plan`.
        let words = match unsafe { (*entry.base.plan).word_count } {
            _ if entry.cells.is_some() => &mut few[..0],
            count if count <= FEW_WORDS => &mut few[..count],
            count => {
                many.resize(count, 0);
                &mut many[..]
            }
        };
        let mut way = Way::new(stack, entry.code);
        way.ints[0] = vm as u64;
        match entry.cells {
            Some(cells) => way.ints[1] = cells.as_ptr() as u64,
            // SAFETY: by the contract of this function.
            None => unsafe { arguments(entry, &mut way, words) },
        }
        (way.words, way.word_count) = (words.as_ptr(), words.len());
        let mut segment = Segment::new(services, vm, entry.base, way, limit);
        segment.cells = entry.cells.unwrap_or_default();
        // SAFETY: by the contract of this function.
        unsafe { segment.go(results, |here| stubs::enter(&raw mut (*here).way)) }
    }

    /// Goes on with a segment that waits.
    ///
    /// # Safety
    /// It is one of the thread and of the store that `services` are of. The host's thread was
    /// prepared for signals.
    pub unsafe fn resume(
        services: &'a mut dyn Services, suspended: &Suspended, how: Resume,
    ) -> Outcome {
        let &Suspended { vm, base, stack, bottom, native_limit, called } = suspended;
        let native = &services.parts().1.native;
        let results = native.stack.as_ref().map_or(ptr::null_mut(), NativeStack::results);
        let mut way = Way::new(0, ptr::null());
        (way.suspended_stack, way.bottom) = (stack, bottom);
        let mut segment = Segment::new(services, vm, base, way, native_limit);
        (segment.called, segment.is_taken_apart) = (called, how == Resume::TakeApart);
        // SAFETY: by the contract of this function; what stands on the stack takes the new segment
        // for the one that it was suspended in.
        unsafe {
            segment
                .go(results, |here| stubs::resume(&raw mut (*here).way, here.expose_provenance()))
        }
    }

    #[inline(always)]
    fn new(
        services: &'a mut dyn Services, vm: *mut Vm, base: Base, way: Way, native_limit: u64,
    ) -> Self {
        Segment {
            way,
            vm,
            services,
            base,
            cells: &[],
            native_limit,
            end: None,
            capture: None,
            is_taken_apart: false,
            is_suspended: false,
            called: ptr::null_mut(),
            tail_words: Vec::new(),
            tail_callee: ptr::null_mut(),
            successor: ptr::null_mut(),
            outer: CURRENT.get(),
        }
    }

    /// Changes to the guest's stack by `change`, and says how that came back.
    ///
    /// # Safety
    /// As for `run` or `resume`.
    unsafe fn go(
        &mut self, results: *mut u64, change: impl FnOnce(*mut Segment<'static>),
    ) -> Outcome {
        // SAFETY: by the contract of this function; the segment outlives the run.
        unsafe {
            (*self.vm).results = results;
            self.prepare_limits();
            let here: *mut Segment<'static> = (&raw mut *self).cast();
            CURRENT.set(here);
            change(here);
            CURRENT.set((*here).outer);
        }
        if self.is_suspended {
            let &mut Segment { vm, base, native_limit, called, .. } = self;
            let Way { suspended_stack: stack, bottom, .. } = self.way;
            let suspended = Suspended { vm, base, stack, bottom, native_limit, called };
            self.services.parts().1.native.suspended = Some(suspended);
            return Outcome::Suspended;
        }
        if let Some(capture) = self.capture.take() {
            capture.finish(self);
        }
        if let Some(end) = self.end.take() {
            return Outcome::Ended(end);
        }
        if !self.successor.is_null() {
            return Outcome::TailCall(self.successor);
        }
        // SAFETY: the code has returned, with its results where the convention says.
        unsafe { take_results(&self.base, &self.way, results) };
        Outcome::Returned
    }

    /// Whether it can wait where it stands: below it is nothing on the host's stack but the driver of
    /// the thread, which is data.
    pub fn can_be_suspended(&mut self) -> bool {
        self.outer.is_null() && self.services.parts().1.is_outermost()
    }

    /// Has `run` or `resume` return, while all frames stand where they are. Comes back with the
    /// segment that goes on, which takes the place of this one, perhaps on another thread of the host.
    ///
    /// # Safety
    /// It is the innermost one, and can be suspended.
    pub unsafe fn suspend(this: *mut Self) -> *mut Self {
        // SAFETY: by the contract of this function; `resume` passes the address of a live segment.
        unsafe {
            (*this).is_suspended = true;
            std::ptr::with_exposed_provenance_mut(stubs::suspend(&raw mut (*this).way))
        }
    }

    /// Sets the stack limit of the instance; one that asks for a stop stays.
    unsafe fn prepare_limits(&mut self) {
        // SAFETY: the block is live.
        unsafe {
            let vm = &*self.vm;
            let is_armed = vm.native_limit.load(Ordering::Relaxed) == self.native_limit
                && vm.wake.load(Ordering::Relaxed) == 0;
            if !is_armed {
                vm.arm(self.native_limit);
            }
        }
    }

    /// The segment around this one, null if there is none.
    pub fn outer(&self) -> *mut Segment<'static> {
        self.outer
    }

    /// The code that the store's instances may run.
    pub fn code(&mut self) -> &CodeMap {
        &self.services.parts().0.code
    }

    /// Ends the segment from inside: goes back to `run`, past everything on the native stack.
    ///
    /// # Safety
    /// It is the innermost one, and nothing above it on the stack has anything to drop.
    pub unsafe fn leave(this: *mut Self, end: End) -> ! {
        // SAFETY: by the contract of this function.
        unsafe {
            (*this).end = Some(end);
            stubs::leave(&raw mut (*this).way)
        }
    }

    /// Ends the segment from inside, for a function whose arguments stand at the window.
    ///
    /// # Safety
    /// As for `leave`.
    pub unsafe fn leave_for(this: *mut Self, successor: *mut FuncSlot) -> ! {
        // SAFETY: by the contract of this function.
        unsafe {
            (*this).successor = successor;
            stubs::leave(&raw mut (*this).way)
        }
    }
}

/// The stack to change to (0 if this is it already), its limit, and the area for results.
fn native_stack(services: &mut dyn Services) -> Option<(usize, u64, *mut u64)> {
    let (store, activation) = services.parts();
    let limit_bytes = store.engine.config().max_stack_bytes;
    let state = &mut activation.native;
    if state.stack.is_none() {
        state.stack = Some(NativeStack::new(limit_bytes)?);
    }
    let stack = state.stack.as_mut()?;
    let here = &raw const limit_bytes as usize;
    let to = if stack.contains(here) { 0 } else { stack.top() };
    // Deep inside, a nested run would begin below the limit.
    if to == 0 && (here as u64) < stack.limit() {
        return None;
    }
    Some((to, stack.limit(), stack.results()))
}

/// Distributes the values at the window to registers and stack words.
unsafe fn arguments(entry: &Entry<'_>, way: &mut Way, words: &mut [u64]) {
    let mut at = entry.base.window;
    // SAFETY: see `Base::plan`.
    for &(ty, place) in unsafe { &(*entry.base.plan).params } {
        let slots = ty.slot_count();
        // SAFETY: by the contract of `run`.
        let cell = unsafe { [*at, if slots == 2 { *at.add(1) } else { 0 }] };
        at = at.wrapping_add(slots);
        match place {
            ParamPlace::Int(i) => way.ints[i] = cell[0],
            ParamPlace::Float(i) => way.floats[i] = cell,
            ParamPlace::Stack(i) => words[i..i + slots].copy_from_slice(&cell[..slots]),
        }
    }
}

/// Collects results to the window.
unsafe fn take_results(base: &Base, way: &Way, area: *const u64) {
    let mut at = base.window;
    // SAFETY: see `Base::plan`.
    for &(ty, place) in unsafe { &(*base.plan).results } {
        let cell = match place {
            ResultPlace::Int(i) => [way.ints[i], 0],
            ResultPlace::Float(i) => way.floats[i],
            // SAFETY: the area has a cell for each result of every function.
            ResultPlace::Memory(i) => unsafe { [*area.add(2 * i), *area.add(2 * i + 1)] },
        };
        let cell = crate::frame::Slot::of_cell(ty, cell).cell();
        for &part in &cell[..ty.slot_count()] {
            // SAFETY: by the contract of `run`.
            unsafe { *at = part };
            at = at.wrapping_add(1);
        }
    }
}

impl std::fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segment({:?}, {:?})", self.vm, self.way)
    }
}
