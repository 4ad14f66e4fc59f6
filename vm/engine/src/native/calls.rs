//! What compiled code calls: functions without code of their own, and operations of the engine.

use brant_isa::Trap;

use crate::compile::Operation;
use crate::frame;
use crate::host::{Flow, HostError};
use crate::icode::reader::Reader;
use crate::interp::driver::{self, Done, End};
use crate::interp::frames::Stand;
use crate::native::abi::{self, ParamPlace, ResultPlace};
use crate::native::capture::{self, Innermost, Walk};
use crate::native::code::Landing;
use crate::native::fault;
use crate::native::segment::{Segment, current};
use crate::native::stubs::CalledOut;
use crate::native::tier;
use crate::site::SiteKind;
use crate::thread::Parked;
use crate::types::ValType;
use crate::vm::{FuncKind, FuncSlot};

/// The opcode of `call`; the other one is `call_indirect`.
const CALL: u8 = 0x10;

/// The Rust half of `call_out`: runs the function that the call at the return address means.
pub unsafe extern "sysv64" fn called_out(saved: *mut CalledOut) {
    // SAFETY: compiled code runs in a segment, which is only used from here meanwhile.
    unsafe {
        let segment = &mut *current();
        let callee = callee(segment, (*saved).return_address);
        let (params, results) = types(segment, callee.slot);
        let window = segment.value_top;
        if window > (*segment.vm).stack_limit {
            return leave(segment, saved, End::Trap(Trap::CallStackExhausted));
        }
        store_arguments(params, window, &*saved);
        let failed = match (*callee.slot).kind {
            FuncKind::Host => host(segment, callee, window),
            FuncKind::Guest => guest(segment, callee.slot, window),
        };
        match failed {
            None => load_results(results, window, &mut *saved, (*segment.vm).results),
            Some((end, innermost)) => stop(segment, saved, end, innermost),
        }
    }
}

/// A function that compiled code called.
#[derive(Clone, Copy)]
struct Callee {
    slot: *mut FuncSlot,
    /// The operand of an indirect call.
    index: Option<u32>,
}

/// Finds the function that the call before `return_address` means, from the bytecode.
unsafe fn callee(segment: &mut Segment<'_>, return_address: usize) -> Callee {
    let vm = segment.vm;
    let Some(Landing::Call(code, call)) = segment.code().landing(return_address) else {
        unreachable!("compiled code calls from where its tables say");
    };
    let (function, offset) = (code.function, call.body_offset);
    let store = segment.services.parts().0;
    // SAFETY: the block is that of an instance of the store; arrays are as long as index spaces, and
    // the code has just checked the index of an indirect call.
    unsafe {
        let module = store.instances[(*vm).instance as usize].module.inner();
        let body = module.bytes.at(module.body_span(function).unwrap_or_default());
        let mut reader = Reader::new(&body[offset as usize..]);
        if reader.byte() == CALL {
            return Callee {
                slot: *(*vm).local_functions.add(reader.index() as usize),
                index: None,
            };
        }
        let (_type, table) = (reader.index(), reader.index());
        let index = (*vm).indirect_index;
        let view = *(*vm).tables.add(table as usize);
        assert!(index < (*view).len, "the code has checked the index");
        let reference = *(*view).elements.add(index as usize);
        Callee { slot: *(*vm).functions.add(reference as usize), index: Some(index) }
    }
}

/// Types of a function. Canonical types are never freed before their store.
unsafe fn types(
    segment: &mut Segment<'_>, slot: *mut FuncSlot,
) -> (&'static [ValType], &'static [ValType]) {
    // SAFETY: slots live as long as the store, and so do the lists that a type owns.
    unsafe {
        let ty = segment.services.parts().0.types.get((*slot).ty);
        (&*(ty.params() as *const [ValType]), &*(ty.results() as *const [ValType]))
    }
}

type Failed = Option<(End, Innermost)>;

/// Calls a function of the host. The call is a site: a stop that is asked for comes before it.
unsafe fn host(segment: &mut Segment<'_>, callee: Callee, window: *mut u64) -> Failed {
    // SAFETY: by the contract of `called_out`.
    unsafe {
        let vm = segment.vm;
        let (params, _) = types(segment, callee.slot);
        let before = |end| {
            let mut operands = cells(params, window);
            operands.extend(callee.index.map(|index| [u64::from(index), 0]));
            Some((end, Innermost::Before(SiteKind::Call, operands)))
        };
        if (*vm).is_stopped() {
            return before(End::Interrupted);
        }
        match segment.services.call_host(callee.slot, vm, window) {
            Ok(Flow::Return) => None,
            Ok(Flow::Block) => before(End::Blocked),
            Err(HostError::Trap(trap)) => Some((End::Trap(trap), Innermost::Inside)),
            Err(error) => Some((End::Host(error), Innermost::Inside)),
        }
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
        let mut vm = driver::start(&*segment.services, slot, window);
        ((*vm).stack_limit, (*vm).fuel) = (limit, (*own).fuel);
        let native = &segment.services.parts().1.native;
        let (frames, places) = (native.frames.len(), native.places.len());
        let end = driver::run(segment.services, &mut vm);
        (*own).fuel = (*vm).fuel;
        if matches!(end, End::Done) {
            return None;
        }
        let (store, activation) = segment.services.parts();
        if !end.can_go_on() {
            if activation.native.places.len() == places {
                segment.services.take_places(Stand::of(vm));
            }
        } else if activation.native.frames.len() == frames {
            let registers = Parked::registers_of(vm);
            let mut taken = frame::capture(store, &registers).unwrap_or_default();
            taken.reverse();
            activation.native.frames.extend(taken);
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
unsafe fn leave(segment: &mut Segment<'static>, saved: *mut CalledOut, end: End) {
    // SAFETY: nothing in the frames above has anything to drop.
    unsafe {
        fault::take_places(segment, walk(saved));
        Segment::leave(segment, end)
    }
}

fn walk(saved: *mut CalledOut) -> Walk {
    // SAFETY: `call_out` and `call_operate` made it.
    unsafe {
        Walk { slot: &raw mut (*saved).return_address, frame_pointer: (*saved).frame_pointer }
    }
}

/// The Rust half of `Vm::operate`: an operation of the engine, in chunks.
pub unsafe extern "sysv64" fn operate(saved: *mut CalledOut) {
    // SAFETY: compiled code runs in a segment, which is only used from here meanwhile.
    unsafe {
        let segment = &mut *current();
        let [_, operation, first, second, a, b, ..] = (*saved).ints;
        let operation = Operation::from_code(operation as u16).expect("an operation's number");
        let mut operands = [a, b, last_operand(saved)];
        loop {
            let vm = segment.vm;
            let immediates = [first as u32, second as u32];
            match segment.services.operate(vm, operation, immediates, &mut operands) {
                Ok(Done::Yes) => return (*saved).ints[0] = operands[0],
                Ok(Done::More) if !(*vm).is_stopped() => {}
                Ok(Done::More) => {
                    let operands = operands.map(|operand| [operand, 0]).to_vec();
                    let innermost = Innermost::Before(SiteKind::Operation, operands);
                    return stop(segment, saved, End::Interrupted, innermost);
                }
                Err(trap) => return leave(segment, saved, End::Trap(trap)),
            }
        }
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

/// The values at a window.
unsafe fn cells(types: &[ValType], window: *mut u64) -> Vec<[u64; 2]> {
    let mut at = window;
    let cells = types.iter().map(|ty| {
        let slots = ty.slot_count();
        // SAFETY: by the contract of `called_out`.
        let cell = unsafe { [*at, if slots == 2 { *at.add(1) } else { 0 }] };
        at = at.wrapping_add(slots);
        cell
    });
    cells.collect()
}

/// Writes the parameters of a call to a window of the value stack.
unsafe fn store_arguments(params: &[ValType], window: *mut u64, saved: &CalledOut) {
    // SAFETY: `call_out` made it: the words of the call lie above.
    let words = unsafe { (&raw const *saved).add(1).cast::<u64>() };
    let mut at = window;
    for (&ty, place) in params.iter().zip(abi::params(params).0) {
        let cell = match place {
            ParamPlace::Int(i) => [saved.ints[i], 0],
            ParamPlace::Float(i) => saved.floats[i],
            // SAFETY: as above.
            ParamPlace::Stack(i) => unsafe {
                [*words.add(i), if ty.slot_count() == 2 { *words.add(i + 1) } else { 0 }]
            },
        };
        let cell = frame::Slot::of_cell(ty, cell).cell();
        for &part in &cell[..ty.slot_count()] {
            // SAFETY: the value stack has slack for the arguments of any call.
            unsafe { *at = part };
            at = at.wrapping_add(1);
        }
    }
}

/// Moves the results at a window to where compiled code takes them from.
unsafe fn load_results(
    results: &[ValType], window: *mut u64, saved: &mut CalledOut, area: *mut u64,
) {
    // SAFETY: by the contract of `called_out`.
    let cells = unsafe { cells(results, window) };
    for (cell, place) in cells.into_iter().zip(abi::results(results)) {
        match place {
            ResultPlace::Int(i) => saved.ints[i] = cell[0],
            ResultPlace::Float(i) => saved.floats[i] = cell,
            // SAFETY: the area has a cell for each result of every function.
            ResultPlace::Memory(i) => unsafe { area.cast::<[u64; 2]>().add(i).write(cell) },
        }
    }
}
