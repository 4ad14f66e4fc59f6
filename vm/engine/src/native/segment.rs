//! Segments: runs of compiled code between two drivers.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::Ordering;

use crate::interp::driver::{End, Services};
use crate::memory::{Reservation, host_page_bytes};
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
    /// Where frames stood at a trap, innermost first.
    pub places: Vec<Place>,
    /// What the fault was about: address, memory's base and size.
    pub fault: Option<[u64; 3]>,
}

/// The native stack of a guest thread, and a page for results.
#[derive(Debug)]
struct NativeStack {
    area: Reservation,
    results: Box<[u128; RESULT_AREA_BYTES / 16]>,
}

impl NativeStack {
    fn new(limit_bytes: usize) -> Option<Self> {
        let bytes =
            (limit_bytes * NATIVE_FACTOR + HOST_STACK_BYTES).next_multiple_of(host_page_bytes());
        let guard = host_page_bytes();
        let mut area = Reservation::new(guard + bytes)?;
        area.commit(guard, guard + bytes).then_some(())?;
        Some(Self { area, results: Box::new([0; RESULT_AREA_BYTES / 16]) })
    }
    fn top(&self) -> usize {
        self.area.base() as usize + self.area.len_bytes()
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
    /// The stack pointer in `enter`.
    pub saved_stack: u64,
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
    /// Where the parameters of the outermost frame were.
    pub window: *mut u64,
    /// Where its code begins at a loop header: the values there, else nothing.
    pub cells: &'a [u128],
    /// Behind everything that waiting frames use on the value stack.
    pub value_top: *mut u64,
    /// No guest frame's stack check lets it go below.
    pub native_limit: u64,
    /// Why it ends, if not by returning.
    pub end: Option<End>,
    pub capture: Option<Capture>,
    /// The header of the interpreter's frame that it has in the place of.
    pub header: *mut u64,
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
    /// Its frames, or its places, were added to the thread's `NativeState`.
    Ended(End),
}

/// What to run, and where its values are.
pub struct Entry<'a> {
    pub code: *const u8,
    /// How parameters and results are passed.
    pub plan: &'a CallPlan,
    /// Slots with the parameters, and with the results afterwards.
    pub window: *mut u64,
    /// Behind everything that waiting frames use on the value stack.
    pub value_top: *mut u64,
    /// The header of the frame that the interpreter has made for the call.
    pub header: *mut u64,
    /// The values at a loop header, whose address is a parameter in place of all others.
    pub cells: Option<&'a [u128]>,
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
        let words = match entry.plan.word_count {
            _ if entry.cells.is_some() => &mut few[..0],
            count if count <= FEW_WORDS => &mut few[..count],
            count => {
                many.resize(count, 0);
                &mut many[..]
            }
        };
        let mut way = Way {
            saved_stack: 0,
            stack,
            words: ptr::null(),
            word_count: 0,
            code: entry.code,
            ints: [0; INT_REGISTERS],
            floats: [[0; 2]; FLOAT_REGISTERS],
        };
        way.ints[0] = vm as u64;
        match entry.cells {
            Some(cells) => way.ints[1] = cells.as_ptr() as u64,
            // SAFETY: by the contract of this function.
            None => unsafe { arguments(entry, &mut way, words) },
        }
        (way.words, way.word_count) = (words.as_ptr(), words.len());
        let mut segment = Segment {
            way,
            vm,
            services,
            window: entry.window,
            cells: entry.cells.unwrap_or_default(),
            value_top: entry.value_top,
            native_limit: limit,
            end: None,
            capture: None,
            header: entry.header,
            called: ptr::null_mut(),
            tail_words: Vec::new(),
            tail_callee: ptr::null_mut(),
            successor: ptr::null_mut(),
            outer: CURRENT.get(),
        };
        // SAFETY: by the contract of this function; the segment outlives the run.
        unsafe {
            (*vm).results = results;
            segment.prepare_limits();
            let here: *mut Segment<'static> = (&raw mut segment).cast();
            CURRENT.set(here);
            stubs::enter(&raw mut (*here).way);
            CURRENT.set((*here).outer);
        }
        if let Some(capture) = segment.capture.take() {
            capture.finish(&mut segment);
        }
        if let Some(end) = segment.end.take() {
            return Outcome::Ended(end);
        }
        if !segment.successor.is_null() {
            return Outcome::TailCall(segment.successor);
        }
        // SAFETY: the code has returned, with its results where the convention says.
        unsafe { take_results(entry, &segment.way, results) };
        Outcome::Returned
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
    Some((to, stack.limit(), stack.results.as_mut_ptr().cast()))
}

/// Distributes the values at the window to registers and stack words.
unsafe fn arguments(entry: &Entry<'_>, way: &mut Way, words: &mut [u64]) {
    let mut at = entry.window;
    for &(ty, place) in &entry.plan.params {
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
unsafe fn take_results(entry: &Entry<'_>, way: &Way, area: *const u64) {
    let mut at = entry.window;
    for &(ty, place) in &entry.plan.results {
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
