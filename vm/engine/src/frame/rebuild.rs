//! From frames to the interpreter's stack.
//!
//! Frames may come from an enemy: `check` compares each with what the bytecode says of its site, so
//! that `rebuild` only ever lays out frames that a run could have left.

use std::sync::Arc;

use crate::frame::capture::Layout;
use crate::frame::{FrameError, FrameState, Registers, Slot};
use crate::icode::lower::MAX_FRAME_SLOTS;
use crate::icode::lower::stack::{Holding, Operand, Place};
use crate::icode::reader::Reader;
use crate::icode::types::Class;
use crate::interp::driver::{SWITCH_SLOTS, translate};
use crate::interp::exit::Exit;
use crate::interp::stubs;
use crate::module::ModuleInner;
use crate::site::{Shape, SiteId, SiteKind};
use crate::stack::ValueStack;
use crate::store::StoreInner;
use crate::types::ValType;
use crate::vm::Vm;

/// The opcode of `call`.
const CALL: u8 = 0x10;

/// Checks that frames could stand on a stack of this store, the outermost first.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check(store: &StoreInner, frames: &[FrameState]) -> Result<(), FrameError> {
    if frames.is_empty() {
        return Err(FrameError::Empty);
    }
    let mut awaited: Option<Vec<ValType>> = None;
    for (index, frame) in frames.iter().enumerate() {
        let is_innermost = index + 1 == frames.len();
        let module = module_of(store, frame).ok_or(FrameError::UnknownFunction { frame: index })?;
        let wrong_site = FrameError::WrongSite { frame: index };
        let sites = module.inner().sites(frame.function).ok_or(wrong_site.clone())?;
        let site = sites.get(frame.site).ok_or(wrong_site.clone())?;
        if is_innermost == (site.kind == SiteKind::Return) {
            return Err(wrong_site);
        }
        let shape = Shape::of(module, frame.function, frame.site).map_err(|_| wrong_site)?;
        if !fits(store, &frame.locals, &shape.locals)
            || !fits(store, &frame.operands, &shape.operands)
        {
            return Err(FrameError::WrongSlots { frame: index });
        }
        let results = module.inner().function_type(frame.function).results();
        if awaited.is_some_and(|awaited| awaited != results) {
            return Err(FrameError::WrongResults { frame: index });
        }
        awaited = Some(match is_innermost {
            true => Vec::new(),
            false => awaited_at(module.inner(), frame.function, site.offset),
        });
    }
    Ok(())
}

fn module_of<'a>(store: &'a StoreInner, frame: &FrameState) -> Option<&'a crate::Module> {
    let instance = store.instances.get(frame.instance as usize)?;
    let own = frame.function.checked_sub(instance.module.inner().imported.functions)?;
    let own_count =
        instance.module.inner().functions.len() as u32 - instance.module.inner().imported.functions;
    (own < own_count).then_some(&instance.module)
}

/// Whether slots have these types, and references lead to something.
fn fits(store: &StoreInner, slots: &[Slot], types: &[ValType]) -> bool {
    let functions = u128::from(store.functions.next_reference());
    let externs = store.externs.len() as u128;
    slots.len() == types.len()
        && slots.iter().zip(types).all(|(slot, &ty)| {
            let in_range = match ty {
                ValType::FuncRef => slot.bits < functions,
                ValType::ExternRef => slot.bits <= externs,
                _ => true,
            };
            slot.ty == ty && in_range && slot.is_canonical()
        })
}

/// The types of the results that the call at an operator waits for.
fn awaited_at(module: &ModuleInner, function: u32, offset: u32) -> Vec<ValType> {
    let body = module.bytes.at(module.body_span(function).unwrap_or_default());
    let mut reader = Reader::new(body.get(offset as usize..).unwrap_or_default());
    let code = reader.byte();
    let index = reader.index();
    // A return site stands at `call` or `call_indirect`, whose first immediate is a type.
    let ty = if code == CALL { module.functions[index as usize] } else { index };
    module.types[ty as usize].results().to_vec()
}

/// A frame on its way to the stack.
struct Placed {
    vm: *mut Vm,
    fp: *mut u64,
    layout: Arc<Layout>,
    /// The first record of its function.
    code: *const u8,
}

/// Lays out frames, the outermost first, on an empty stack; gives the registers to go on with.
///
/// # Errors
/// They do not fit.
///
/// # Panics
/// `check` has not accepted them.
pub(crate) fn rebuild(
    store: &mut StoreInner, stack: &ValueStack, frames: &[FrameState],
) -> Result<Registers, FrameError> {
    let mut below: Option<Placed> = None;
    for frame in frames {
        let placed = place(store, stack, frame, below.as_ref())?;
        // SAFETY: `place` has made sure that the frame lies in the stack.
        unsafe { fill(&placed, frame) };
        below = Some(placed);
    }
    let placed = below.ok_or(FrameError::Empty)?;
    // SAFETY: as above.
    Ok(unsafe { registers(store, &placed, frames.last()) })
}

/// Finds out where the interpreter has the values of frames at a site, so that `rebuild` need not.
pub(crate) fn prepare(store: &mut StoreInner, instance: u32, function: u32, site: SiteId) {
    let vm = store.instances[instance as usize].vm();
    // What there is none of is said by `rebuild`.
    let _ = Layout::of_site(store, vm, function, site);
}

/// More than frames can need in the interpreter, their headers and switch areas included.
pub(crate) fn slots_bytes(frames: &[FrameState]) -> usize {
    // Constants and slots that are free at a site take room as well; nobody has more of them than
    // a frame can have, of which only the innermost counts: those below end at their window.
    let slots = |frame: &FrameState| 2 * (frame.locals.len() + frame.operands.len()) + 16;
    let all: usize = frames.iter().map(slots).sum();
    8 * (all + MAX_FRAME_SLOTS as usize)
}

/// Finds the place of a frame and writes its header.
fn place(
    store: &mut StoreInner, stack: &ValueStack, frame: &FrameState, below: Option<&Placed>,
) -> Result<Placed, FrameError> {
    let instance = &mut store.instances[frame.instance as usize];
    let (vm, module) = (instance.vm(), instance.module.clone());
    let module = module.inner();
    let slot = instance.functions[frame.function as usize];
    // SAFETY: slots live as long as the store, and no guest runs.
    let slot = unsafe { &mut *slot };
    if slot.icode.is_null() {
        translate(module, &mut instance.icode, vm, slot)
            .expect("the frames were checked, so that the body is valid");
    }
    let (code, frame_bytes) = (slot.icode, slot.frame_bytes as usize);
    let layout = Layout::of_site(store, vm, frame.function, frame.site)
        .ok_or(FrameError::WrongSite { frame: 0 })?;
    let params = module.function_type(frame.function).param_slots();
    let results = module.function_type(frame.function).results();
    let results = results.iter().map(|ty| ty.slot_count()).sum::<usize>();
    let (fp, previous, back) = match below {
        None => (stack.base(), stack.base() as u64, stubs::done() as u64),
        Some(below) => {
            // SAFETY: the window lies in the frame below, or right behind it.
            let window = unsafe { below.fp.add(below.layout.state.top as usize) };
            let back = below.return_address();
            if below.vm == vm {
                (window, below.fp as u64, back)
            } else {
                // SAFETY: the stack has slack for a switch area and arguments.
                unsafe {
                    let area = window.add(params);
                    let counts = params as u64 | (results as u64) << 32;
                    let words = [below.fp as u64, back, below.vm as u64, counts];
                    area.cast::<[u64; SWITCH_SLOTS]>().write(words);
                    (area.add(SWITCH_SLOTS), area as u64, stubs::switch_back() as u64)
                }
            }
        }
    };
    if fp.wrapping_byte_add(frame_bytes) > stack.room() {
        return Err(FrameError::StackLimit);
    }
    // SAFETY: the frame lies in the stack, its header behind the parameters.
    unsafe {
        *fp.add(params) = previous;
        *fp.add(params + 1) = back;
    }
    Ok(Placed { vm, fp, layout, code })
}

impl Placed {
    /// Where a run of this frame goes on.
    fn return_address(&self) -> u64 {
        self.code.wrapping_add(self.layout.state.record as usize * 8) as u64
    }
}

/// Writes the values of a frame to its slots.
unsafe fn fill(placed: &Placed, frame: &FrameState) {
    for (&(_, slot), &value) in placed.layout.state.locals.iter().zip(&frame.locals) {
        // SAFETY: by the contract of this function.
        unsafe { write(placed.fp, slot, value) };
    }
    for (operand, &value) in placed.layout.state.operands.iter().zip(&frame.operands) {
        let slot = match operand.place {
            Place::Slot => operand.slot,
            // The local itself may be dead, and so zero in the frame.
            Place::Local(slot) => slot,
            Place::Constant(_) | Place::Acc => continue,
        };
        // SAFETY: as above.
        unsafe { write(placed.fp, slot, value) };
    }
}

unsafe fn write(fp: *mut u64, slot: u32, value: Slot) {
    let [low, high] = value.cell();
    // SAFETY: by the contract of `fill`; vectors have a second slot.
    unsafe {
        let at = fp.add(slot as usize);
        *at = low;
        if value.ty == ValType::V128 {
            *at.add(1) = high;
        }
    }
}

/// The registers with which the innermost frame goes on.
unsafe fn registers(store: &StoreInner, placed: &Placed, frame: Option<&FrameState>) -> Registers {
    let state = &placed.layout.state;
    let exit = match state.site.kind {
        SiteKind::Entry => Exit::Entered,
        SiteKind::Loop => Exit::Budget,
        SiteKind::Call | SiteKind::Return => Exit::CallOut,
        SiteKind::Operation => Exit::Runtime,
        SiteKind::Block => Exit::OutOfFuel,
    };
    let mut registers = Registers {
        vm: placed.vm,
        ip: placed.return_address() as *const u8,
        fp: placed.fp,
        acc: 0,
        facc: 0.0,
        vacc: [0; 2],
        exit: exit.code(),
    };
    if let (SiteKind::Entry, Some(frame)) = (state.site.kind, frame) {
        let instance = &store.instances[frame.instance as usize];
        let slot = instance.functions[frame.function as usize];
        registers.acc = slot as u64;
        // Compiled code, if there is any by now.
        // SAFETY: slots live as long as the store.
        registers.ip = unsafe { (*slot).code };
        return registers;
    }
    let operands = frame.map_or(&[][..], |frame| &frame.operands);
    for (class, Holding { owner, alias }) in Class::ALL.into_iter().zip(state.holding) {
        let cell = match (owner, alias) {
            (Some(owner), _) => owned(&state.operands, operands, owner),
            // SAFETY: what an accumulator holds as well lies in a slot of the frame.
            (_, Some(slot)) => unsafe {
                let at = placed.fp.add(slot as usize);
                [*at, *at.add(1)]
            },
            _ => continue,
        };
        match class {
            Class::Int => registers.acc = cell[0],
            Class::Float => registers.facc = f64::from_bits(cell[0]),
            Class::Vector => registers.vacc = cell,
        }
    }
    registers
}

/// The value of the operand that is in an accumulator alone.
fn owned(places: &[Operand], values: &[Slot], owner: u32) -> [u64; 2] {
    let is_there = places.get(owner as usize).is_some_and(|operand| operand.place == Place::Acc);
    let value = values.get(owner as usize).filter(|_| is_there);
    value.map_or([0; 2], |value| value.cell())
}
