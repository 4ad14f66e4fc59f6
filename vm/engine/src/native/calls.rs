//! What compiled code calls: functions without code of their own, and operations of the engine.

use brant_isa::Trap;

use crate::compile::Operation;
use crate::frame;
use crate::host::{Flow, HostError};
use crate::icode::reader::Reader;
use crate::interp::driver::{self, Done, End};
use crate::interp::frames::Stand;
use crate::native::abi::{CallPlan, ParamPlace, ResultPlace};
use crate::native::capture::{self, Innermost, Walk};
use crate::native::code::Landing;
use crate::native::fault;
use crate::native::given::Given;
use crate::native::segment::{Segment, current};
use crate::native::stubs::CalledOut;
use crate::native::tier;
use crate::site::SiteKind;
use crate::thread::Parked;
use crate::vm::{FuncKind, FuncSlot};

/// The opcodes of `call` and `return_call`; the others are those of indirect calls.
const CALL: u8 = 0x10;
const RETURN_CALL: u8 = 0x12;

/// The Rust half of `call_out`: runs the function that the call at the return address means.
pub unsafe extern "C" fn called_out(saved: *mut CalledOut) {
    // SAFETY: compiled code runs in a segment, which is only used from here meanwhile. Plans stay
    // where they are as long as the store.
    unsafe {
        let mut here = current();
        let segment = &mut *here;
        let callee = match std::mem::replace(&mut segment.tail_callee, std::ptr::null_mut()) {
            slot if slot.is_null() => callee(segment, (*saved).return_address),
            // The frame whose bytecode has this call is gone.
            slot => Callee { slot, index: None },
        };
        let plan = &*segment.services.parts().0.types.plan((*callee.slot).ty);
        let window = segment.base.value_top;
        if window > (*segment.vm).stack_limit {
            return leave(segment, saved, End::Trap(Trap::CallStackExhausted));
        }
        store_arguments(plan, window, &*saved);
        segment.called = saved;
        let failed = match (*callee.slot).kind {
            FuncKind::Host => host(&mut here, callee, plan, window),
            FuncKind::Guest => guest(segment, callee.slot, window),
        };
        // A call that has waited comes back in another one.
        let segment = &mut *here;
        segment.called = std::ptr::null_mut();
        match failed {
            None => load_results(plan, window, &mut *saved, (*segment.vm).results),
            Some((end, innermost)) => stop(segment, saved, end, innermost),
        }
    }
}

/// A function that compiled code called.
#[derive(Clone, Copy)]
pub struct Callee {
    /// The function.
    pub slot: *mut FuncSlot,
    /// The operand of an indirect call.
    index: Option<u32>,
}

/// What a call means, as its bytecode says.
#[derive(Clone, Copy, Debug)]
pub enum CallTarget {
    /// The function of this index.
    Function(u32),
    /// An element of the table of this index.
    Element(u32),
}

/// The targets of calls that leave compiled code, by return address: the last ones of each.
#[derive(Default, Debug)]
pub struct CallTargets(Box<[(usize, CallTarget)]>);

/// How many targets are kept: a power of two.
const TARGETS_COUNT: usize = 512;

impl CallTargets {
    fn at(&mut self, return_address: usize) -> &mut (usize, CallTarget) {
        if self.0.is_empty() {
            self.0 = vec![(0, CallTarget::Function(0)); TARGETS_COUNT].into();
        }
        &mut self.0[(return_address ^ return_address >> 9) % TARGETS_COUNT]
    }
}

/// Finds the function that the call before `return_address` means.
///
/// # Safety
/// The segment runs compiled code, which has just made the call.
pub unsafe fn callee(segment: &mut Segment<'_>, return_address: usize) -> Callee {
    let vm = segment.vm;
    let known = *segment.services.parts().0.call_targets.at(return_address);
    let target = match known.0 == return_address {
        true => known.1,
        false => {
            let target = target(segment, return_address);
            *segment.services.parts().0.call_targets.at(return_address) = (return_address, target);
            target
        }
    };
    // SAFETY: the block is that of an instance of the store; arrays are as long as index spaces, and
    // the code has just checked the index of an indirect call.
    unsafe {
        match target {
            CallTarget::Function(index) => {
                Callee { slot: *(*vm).local_functions.add(index as usize), index: None }
            }
            CallTarget::Element(table) => {
                let index = (*vm).indirect_index;
                let view = *(*vm).tables.add(table as usize);
                assert!(index < (*view).len, "the code has checked the index");
                let reference = *(*view).elements.add(index as usize);
                Callee { slot: *(*vm).functions.add(reference as usize), index: Some(index) }
            }
        }
    }
}

/// What the call before `return_address` means, from the bytecode.
fn target(segment: &mut Segment<'_>, return_address: usize) -> CallTarget {
    let Some(Landing::Call(code, call)) = segment.code().landing(return_address) else {
        unreachable!("compiled code calls from where its tables say");
    };
    let (function, offset) = (code.function, call.body_offset);
    // SAFETY: the block is that of an instance of the store.
    let instance = unsafe { (*segment.vm).instance };
    let module = segment.services.parts().0.instances[instance as usize].module.inner();
    let body = module.bytes.at(module.body_span(function).unwrap_or_default());
    let mut reader = Reader::new(&body[offset as usize..]);
    let (code, first) = (reader.byte(), reader.index());
    match code {
        CALL | RETURN_CALL => CallTarget::Function(first),
        _ => CallTarget::Element(reader.index()),
    }
}

type Failed = Option<(End, Innermost)>;

/// Calls a function of the host; again, where it would have blocked, when the thread goes on. The call
/// is a site: a stop that is asked for comes before it.
unsafe fn host(
    here: &mut *mut Segment<'static>, callee: Callee, plan: &CallPlan, window: *mut u64,
) -> Failed {
    // SAFETY: by the contract of `called_out`.
    let end = unsafe {
        loop {
            let segment = &mut **here;
            let vm = segment.vm;
            if (*vm).is_stopped() {
                break End::Interrupted;
            }
            match segment.services.call_host(callee.slot, vm, window) {
                Ok(Flow::Return) => return None,
                Ok(Flow::Block) if stays(here) => {}
                Ok(Flow::Block) => break End::Blocked,
                Err(HostError::Trap(trap)) => return Some((End::Trap(trap), Innermost::Inside)),
                Err(error) => return Some((End::Host(error), Innermost::Inside)),
            }
        }
    };
    // SAFETY: as above: the arguments are what they were.
    let mut operands = unsafe { cells(plan, window) };
    operands.extend(callee.index.map(|index| [u64::from(index), 0]));
    Some((end, Innermost::Before(SiteKind::Call, operands)))
}

/// Waits, with everything where it stands, if that is possible; `here` is then the segment that goes
/// on. False if its frames are to be given up.
///
/// # Safety
/// `here` is the innermost segment, whose own code has just called, and nobody holds a reference to it
/// or to what it serves.
unsafe fn stays(here: &mut *mut Segment<'static>) -> bool {
    // SAFETY: by the contract of this function.
    unsafe {
        if !(**here).can_be_suspended() {
            return false;
        }
        *here = Segment::suspend(*here);
        !(**here).is_taken_apart
    }
}

/// Runs a function of a guest in the interpreter, which may enter compiled code again.
unsafe fn guest(segment: &mut Segment<'_>, slot: *mut FuncSlot, window: *mut u64) -> Failed {
    // SAFETY: by the contract of `called_out`; the window is free, and the slack behind the limit
    // has room for a header.
    unsafe {
        let (own, limit) = (segment.vm, (*segment.vm).stack_limit);
        if window.wrapping_byte_add((*slot).frame_bytes as usize) > limit {
            return Some((End::Trap(Trap::CallStackExhausted), Innermost::Inside));
        }
        tier::called(segment.services.parts().0, (*(*slot).vm).instance, (*slot).index);
        let (store, activation) = segment.services.parts();
        let budget = if store.site_plan.counts() { 0 } else { activation.native.budget };
        let mut vm = driver::start(&*segment.services, slot, window, budget);
        ((*vm).stack_limit, (*vm).fuel) = (limit, (*own).fuel);
        let native = &segment.services.parts().1.native;
        let (given, places) = (native.given.len(), native.places.len());
        let end = match segment.services.parts().0.site_plan.count() {
            true => End::Interrupted,
            false => driver::run(segment.services, &mut vm),
        };
        (*own).fuel = (*vm).fuel;
        segment.services.parts().1.native.budget = (*vm).budget;
        if matches!(end, End::Done) {
            return None;
        }
        let native = &mut segment.services.parts().1.native;
        if !end.can_go_on() {
            if native.places.len() == places {
                segment.services.take_places(Stand::of(vm));
            }
        } else if native.given.len() == given {
            native.given.push(Given::Interpreted(Parked::registers_of(vm)));
        }
        Some((end, Innermost::Inside))
    }
}

/// Ends the call that `saved` belongs to: takes the segment apart, or leaves it.
unsafe fn stop(
    segment: &mut Segment<'static>, saved: *mut CalledOut, end: End, innermost: Innermost,
) {
    // SAFETY: by the contract of `called_out`.
    unsafe {
        if !end.can_go_on() {
            return leave(segment, saved, end);
        }
        capture::begin(segment, end, innermost, walk(saved), None);
    }
}

/// Leaves the segment with a trap or an error, and notes where its frames stand.
///
/// # Safety
/// `saved` is what a stub has just saved above compiled frames of the segment.
pub unsafe fn leave(segment: &mut Segment<'static>, saved: *mut CalledOut, end: End) {
    // SAFETY: nothing in the frames above has anything to drop.
    unsafe {
        fault::take_places(segment, walk(saved));
        Segment::leave(segment, end)
    }
}

/// The frames that wait for what `saved` belongs to.
pub fn walk(saved: *mut CalledOut) -> Walk {
    // SAFETY: `call_out` and `call_operate` made it.
    unsafe {
        Walk { slot: &raw mut (*saved).return_address, frame_pointer: (*saved).frame_pointer }
    }
}

/// The Rust half of `Vm::operate`: an operation of the engine, in chunks.
pub unsafe extern "C" fn operate(saved: *mut CalledOut) {
    // SAFETY: compiled code runs in a segment, which is only used from here meanwhile.
    unsafe {
        let mut here = current();
        let [_, operation, first, second, a, b, ..] = (*saved).ints;
        let operation = Operation::from_code(operation as u16).expect("an operation's number");
        let mut operands = [a, b, last_operand(saved)];
        let end = loop {
            let segment = &mut *here;
            let vm = segment.vm;
            let immediates = [first as u32, second as u32];
            match segment.services.operate(vm, operation, immediates, &mut operands) {
                Ok(Done::Yes) => return (*saved).ints[0] = operands[0],
                Ok(Done::More) if !(*vm).is_stopped() => {}
                Ok(Done::More) => break End::Interrupted,
                Ok(Done::Blocked) if stays(&mut here) => {}
                Ok(Done::Blocked) => break End::Blocked,
                Err(trap) => return leave(segment, saved, End::Trap(trap)),
            }
        };
        let operands = operands.map(|operand| [operand, 0]).to_vec();
        stop(&mut *here, saved, end, Innermost::Before(SiteKind::Operation, operands));
    }
}

/// The seventh parameter of `Vm::operate`.
unsafe fn last_operand(saved: *mut CalledOut) -> u64 {
    // SAFETY: `call_operate` made it.
    unsafe {
        match (*saved).ints.get(6) {
            Some(&operand) => operand,
            // The first word on the stack, above the return address.
            None => *saved.add(1).cast::<u64>(),
        }
    }
}

/// The arguments at a window.
unsafe fn cells(plan: &CallPlan, window: *mut u64) -> Vec<[u64; 2]> {
    let mut at = window;
    let cells = plan.params.iter().map(|(ty, _)| {
        let slots = ty.slot_count();
        // SAFETY: by the contract of `called_out`.
        let cell = unsafe { [*at, if slots == 2 { *at.add(1) } else { 0 }] };
        at = at.wrapping_add(slots);
        cell
    });
    cells.collect()
}

/// Writes the parameters of a call to a window of the value stack.
///
/// # Safety
/// A stub has just saved them, and the window has room.
pub unsafe fn store_arguments(plan: &CallPlan, window: *mut u64, saved: &CalledOut) {
    // SAFETY: `call_out` made it: the words of the call lie above.
    let words = unsafe { (&raw const *saved).add(1).cast::<u64>() };
    let mut at = window;
    for &(ty, place) in &plan.params {
        let slots = ty.slot_count();
        let cell = match place {
            ParamPlace::Int(i) => [saved.ints[i], 0],
            ParamPlace::Float(i) => saved.floats[i],
            // SAFETY: as above.
            ParamPlace::Stack(i) => unsafe {
                [*words.add(i), if slots == 2 { *words.add(i + 1) } else { 0 }]
            },
        };
        let cell = frame::Slot::of_cell(ty, cell).cell();
        for &part in &cell[..slots] {
            // SAFETY: the value stack has slack for the arguments of any call.
            unsafe { *at = part };
            at = at.wrapping_add(1);
        }
    }
}

/// Moves the results at a window to where compiled code takes them from.
unsafe fn load_results(plan: &CallPlan, window: *mut u64, saved: &mut CalledOut, area: *mut u64) {
    let mut at = window;
    for &(ty, place) in &plan.results {
        let slots = ty.slot_count();
        // SAFETY: by the contract of `called_out`.
        let cell = unsafe { [*at, if slots == 2 { *at.add(1) } else { 0 }] };
        at = at.wrapping_add(slots);
        match place {
            ResultPlace::Int(i) => saved.ints[i] = cell[0],
            ResultPlace::Float(i) => saved.floats[i] = cell,
            // SAFETY: the area has a cell for each result of every function.
            ResultPlace::Memory(i) => unsafe { area.cast::<[u64; 2]>().add(i).write(cell) },
        }
    }
}
