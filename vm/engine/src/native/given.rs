//! What a stop leaves of frames, and what they are: found out when somebody asks.
//!
//! A stop has to be quick; what its frames are needs the shapes of their sites, and those walks over
//! function bodies. So a stop only takes along what would be gone, and the frames are made by the
//! first who wants them: a snapshot, or the thread itself when it goes on.

use std::sync::Arc;

use crate::compile::{RecordPlace, SlotOf};
use crate::frame::{self, FrameState, Registers, Slot};
use crate::module::ModuleInner;
use crate::native::abi::{self, FLOAT_REGISTERS, INT_REGISTERS, ParamPlace};
use crate::native::code::NativeCode;
use crate::native::packed::CallRow;
use crate::site::{Shape, SiteId, SiteKind};
use crate::store::StoreInner;
use crate::types::ValType;
use crate::vm::Vm;

/// Frames of a thread that has stopped, the innermost first. The thread's stack stays as it is for
/// as long as this is used.
#[derive(Debug)]
pub enum Given {
    /// A compiled function of this instance that has not begun.
    Begun(u32, Begun),
    /// Those of a segment.
    Compiled(Records),
    /// Those of an interpreter, which has stopped with these registers.
    Interpreted(Registers),
    /// Those that wait for the frame with this header, which is of the instance `vm`.
    Waiting { vm: *mut Vm, header: *mut u64 },
}

/// A compiled function that has not begun.
#[derive(Debug)]
pub enum Begun {
    /// Its parameters are in registers and on the stack.
    Function {
        function: u32,
        ints: [u64; INT_REGISTERS],
        floats: [[u64; 2]; FLOAT_REGISTERS],
        words: Vec<u64>,
    },
    /// It begins at a loop: all locals, then all operands of its header.
    Loop { function: u32, site: SiteId, cells: Vec<u128> },
}

/// What compiled frames have stored.
#[derive(Debug)]
pub struct Records {
    pub instance: u32,
    /// What the innermost frame stands before, with its operands, the deepest first.
    pub before: Option<(SiteKind, Vec<[u64; 2]>)>,
    /// Innermost first.
    pub taken: Vec<Taken>,
    pub words: Vec<u64>,
}

/// A compiled frame.
#[derive(Debug)]
pub struct Taken {
    pub code: *const NativeCode,
    /// The number of its call.
    pub call: usize,
    /// The first of its words in the record.
    pub at: usize,
}

/// Shapes that were looked up for the frames at hand. Recursions have few.
const SHAPES_KEPT: usize = 16;

/// The frames that a stop has left, the outermost first.
///
/// # Safety
/// The stop was one of this store, nothing has run on the thread's stack since, and code that it has
/// stopped is still the store's.
pub unsafe fn frames(store: &mut StoreInner, given: &[Given]) -> Vec<FrameState> {
    let mut all = Vec::new();
    for given in given {
        // SAFETY: by the contract of this function.
        unsafe {
            match given {
                Given::Begun(instance, begun) => all.push(begun.frame(store, *instance)),
                Given::Compiled(records) => records.frames(store, &mut all),
                Given::Interpreted(registers) => {
                    let frames = frame::capture(store, registers).unwrap_or_default();
                    all.extend(frames.into_iter().rev());
                }
                &Given::Waiting { vm, header } => {
                    let frames = frame::capture_below(store, vm, header).unwrap_or_default();
                    all.extend(frames.into_iter().rev());
                }
            }
        }
    }
    all.reverse();
    all
}

impl Records {
    /// Adds its frames, the innermost first.
    ///
    /// # Safety
    /// The code is the store's.
    unsafe fn frames(&self, store: &StoreInner, all: &mut Vec<FrameState>) {
        let module = store.instances[self.instance as usize].module.inner().clone();
        let mut shapes: Vec<(u32, SiteId, Arc<Shape>)> = Vec::new();
        let mut before = self.before.as_ref();
        all.reserve(self.taken.len());
        for taken in &self.taken {
            // SAFETY: by the contract of this function.
            let code = unsafe { &*taken.code };
            let call = code.call_row(taken.call).expect("it was found before");
            let before = before.take();
            let site = match before {
                Some((kind, _)) => {
                    let sites = module.sites(code.function).expect("compiled code has sites");
                    sites.find(call.body_offset, *kind).expect("a site at each call")
                }
                None => call.site,
            };
            let known = shapes.iter().find(|known| (known.0, known.1) == (code.function, site));
            let shape = match known {
                Some((_, _, shape)) => shape.clone(),
                None => {
                    let shape = module.shape(code.function, site).expect("compiled code has sites");
                    if shapes.len() < SHAPES_KEPT {
                        shapes.push((code.function, site, shape.clone()));
                    }
                    shape
                }
            };
            let (locals, mut operands) = read_record(&shape, &call, &self.words[taken.at..]);
            if let Some((_, cells)) = before {
                let rest = shape.operands[operands.len()..].iter().zip(cells);
                operands.extend(rest.map(|(&ty, &cell)| Slot::of_cell(ty, cell)));
            }
            let (instance, function) = (self.instance, code.function);
            all.push(FrameState { instance, function, site, locals, operands });
        }
    }
}

/// The locals and the operands that a frame has stored.
fn read_record(shape: &Shape, call: &CallRow<'_>, words: &[u64]) -> (Vec<Slot>, Vec<Slot>) {
    let mut locals: Vec<Slot> = shape.locals.iter().map(|&ty| Slot::zero(ty)).collect();
    let mut operands = Vec::with_capacity(shape.operands.len());
    let mut is_sorted = true;
    for slot in call.slots() {
        let ty = match slot.what {
            SlotOf::Local(local) => shape.locals[local as usize],
            SlotOf::Operand(operand) => shape.operands[operand as usize],
        };
        let cell = match slot.at {
            RecordPlace::Constant(cell) => cell,
            RecordPlace::Offset(offset) => {
                let at = offset as usize / 8;
                [words[at], if ty.slot_count() == 2 { words[at + 1] } else { 0 }]
            }
        };
        let value = Slot::of_cell(ty, cell);
        match slot.what {
            SlotOf::Local(local) => locals[local as usize] = value,
            SlotOf::Operand(operand) => {
                is_sorted &= operands.last().is_none_or(|&(last, _)| last < operand);
                operands.push((operand, value));
            }
        }
    }
    if !is_sorted {
        operands.sort_by_key(|&(operand, _)| operand);
    }
    (locals, operands.into_iter().map(|(_, value)| value).collect())
}

impl Begun {
    fn frame(&self, store: &StoreInner, instance: u32) -> FrameState {
        let module = store.instances[instance as usize].module.inner();
        match self {
            Self::Function { function, ints, floats, words } => {
                let value = |place| match place {
                    ParamPlace::Int(i) => [ints[i], 0],
                    ParamPlace::Float(i) => floats[i],
                    ParamPlace::Stack(i) => [words[i], words.get(i + 1).copied().unwrap_or(0)],
                };
                function_frame(module, instance, *function, value)
            }
            Self::Loop { function, site, cells } => {
                let shape = module.shape(*function, *site).expect("compiled code has sites");
                let slot = |(&ty, &bits): (&ValType, &u128)| {
                    Slot::of_cell(ty, [bits as u64, (bits >> 64) as u64])
                };
                let locals = shape.locals.iter().zip(cells).map(slot).collect();
                let rest = &cells[shape.locals.len()..];
                let operands = shape.operands.iter().zip(rest).map(slot).collect();
                FrameState { instance, function: *function, site: *site, locals, operands }
            }
        }
    }
}

/// The frame of a function that has not begun, from its parameters.
fn function_frame(
    module: &Arc<ModuleInner>, instance: u32, function: u32, value: impl Fn(ParamPlace) -> [u64; 2],
) -> FrameState {
    let sites = module.sites(function).expect("compiled code has sites");
    let site = sites.find(0, SiteKind::Entry).expect("every function has an entry");
    let live = sites.live(site);
    let (places, _) = abi::params(module.function_type(function).params());
    let locals = sites.locals().iter().enumerate();
    let locals = locals.map(|(i, &ty)| match places.get(i) {
        Some(&place) if live.contains(i as u32) => {
            let [low, high] = value(place);
            Slot::of_cell(ty, [low, if ty.slot_count() == 2 { high } else { 0 }])
        }
        _ => Slot::zero(ty),
    });
    let locals = locals.collect();
    FrameState { instance, function, site, locals, operands: Vec::new() }
}
