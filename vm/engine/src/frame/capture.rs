//! From the interpreter's stack to frames.
//!
//! Where values are follows from lowering the function once more, with a recorder that looks for
//! the record at which the frame stands.

use std::sync::Arc;

use crate::frame::layouts::Key;
use crate::frame::{FrameState, Slot};
use crate::func::Func;
use crate::icode::lower::stack::Place;
use crate::icode::lower::{Lower, with_scratch};
use crate::icode::types::Class;
use crate::icode::{Context, Recorder, StateAt, Wanted};
use crate::interp::exit::Exit;
use crate::interp::frames::Stand;
use crate::interp::stubs;
use crate::module::{Module, ModuleInner};
use crate::site::{SiteId, SiteKind, Sites};
use crate::store::StoreInner;
use crate::types::ValType;
use crate::vm::{FuncSlot, Vm};

/// The registers of a run that stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    pub vm: *mut Vm,
    pub ip: *const u8,
    pub fp: *mut u64,
    pub acc: u64,
    pub facc: f64,
    pub vacc: [u64; 2],
    /// Why the dispatch returned, as a number.
    pub exit: u64,
}

/// A frame of the stack: whose it is and where it stands.
struct At {
    vm: *mut Vm,
    fp: *mut u64,
    place: Stands,
}

enum Stands {
    /// At the start of a function that has no icode.
    Untranslated(u32),
    /// At this record.
    Record(*const u8, Option<SiteKind>),
}

/// All frames of a run, the outermost first. None if a function is gone from its module, which
/// does not happen.
///
/// # Safety
/// The registers are those of a run of this store that stands, and its stack is as it left it.
pub(crate) unsafe fn capture(
    store: &mut StoreInner, registers: &Registers,
) -> Option<Vec<FrameState>> {
    let innermost = match Exit::from_code(registers.exit) {
        Exit::Entered
            if registers.ip == stubs::untranslated() || registers.ip == stubs::native() =>
        {
            // SAFETY: the accumulator of such a run is the callee's slot.
            Stands::Untranslated(unsafe { (*(registers.acc as *const FuncSlot)).index })
        }
        Exit::Entered => Stands::Record(registers.ip, Some(SiteKind::Entry)),
        Exit::Budget => Stands::Record(registers.ip, Some(SiteKind::Loop)),
        Exit::CallOut | Exit::TailCallOut => Stands::Record(registers.ip, Some(SiteKind::Call)),
        Exit::Runtime => Stands::Record(registers.ip, Some(SiteKind::Operation)),
        _ => Stands::Record(registers.ip, None),
    };
    let at = At { vm: registers.vm, fp: registers.fp, place: innermost };
    // SAFETY: by the contract of this function.
    unsafe { all(store, Some(at), registers) }
}

/// The frames that wait for the one with this header, the outermost first.
///
/// # Safety
/// The call that made the frame of the instance `vm` has written the header, and the stack below is
/// as it was then.
pub(crate) unsafe fn capture_below(
    store: &mut StoreInner, vm: *mut Vm, header: *mut u64,
) -> Option<Vec<FrameState>> {
    // Nothing of a frame inside a call is in an accumulator.
    let (ip, fp) = (std::ptr::null(), std::ptr::null_mut());
    let registers = Registers { vm, ip, fp, acc: 0, facc: 0.0, vacc: [0; 2], exit: 0 };
    // SAFETY: by the contract of this function.
    unsafe { all(store, At::below(vm, header), &registers) }
}

/// What has to be known of a site to read its frames, and to write them.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub function: u32,
    pub site: SiteId,
    sites: Arc<Sites>,
    pub state: StateAt,
    params_count: usize,
    /// How many slots the parameters take.
    pub param_slots: usize,
}

impl Layout {
    /// That of one site, from the function's body.
    fn new(vm: *mut Vm, module: &Module, function: u32, wanted: Wanted) -> Option<Self> {
        let module = module.inner();
        let sites = module.sites(function)?;
        let state = state_at(module, vm, function, wanted)?;
        let site = sites.find(state.site.offset, state.site.kind)?;
        let ty = module.function_type(function);
        let (params_count, param_slots) = (ty.params().len(), ty.param_slots());
        Some(Self { function, site, sites, state, params_count, param_slots })
    }

    /// That of a site whose number is known.
    pub fn of_site(
        store: &mut StoreInner, vm: *mut Vm, function: u32, site: SiteId,
    ) -> Option<Arc<Self>> {
        // SAFETY: blocks of instances live as long as the store.
        let instance = unsafe { (*vm).instance };
        let key = Key::Site { instance, function, site };
        if let Some(known) = store.layouts.get(&key) {
            return Some(known);
        }
        let module = store.instances[instance as usize].module.clone();
        let found = module.inner().sites(function)?.get(site)?;
        let wanted = Wanted::Operator(found.offset, found.kind);
        let made = Self::new(vm, &module, function, wanted)?;
        Some(store.layouts.keep(key, made))
    }

    /// That of the loop whose header is the record at an address.
    pub fn of_loop(store: &mut StoreInner, vm: *mut Vm, header: *const u8) -> Option<Self> {
        // SAFETY: blocks of instances live as long as the store.
        let index = unsafe { (*vm).instance };
        let instance = &mut store.instances[index as usize];
        let module = instance.module.clone();
        let (function, bytes) = instance.icode.find(header)?;
        let wanted = Wanted::Record(bytes / 8, Some(SiteKind::Loop));
        Self::new(vm, &module, function, wanted)
    }

    /// How many values have a place in it.
    pub fn len(&self) -> usize {
        self.state.locals.len() + self.state.operands.len()
    }

    /// All locals of a frame at the site, dead ones zero, and all operands.
    ///
    /// # Safety
    /// `fp` is a frame of the function that stands there, with these registers if it is innermost.
    pub unsafe fn read(&self, fp: *mut u64, registers: &Registers) -> (Vec<Slot>, Vec<Slot>) {
        let live = self.sites.live(self.site);
        let is_entry = self.state.site.kind == SiteKind::Entry;
        let all = self.state.locals.iter().enumerate();
        let locals = all.map(|(i, &(ty, slot))| {
            // At an entry the locals that are no parameters are not written yet.
            match live.contains(i as u32) && !(is_entry && i >= self.params_count) {
                // SAFETY: by the contract of this function.
                true => unsafe { read(fp, slot, ty) },
                false => Slot::zero(ty),
            }
        });
        let locals = locals.collect();
        // SAFETY: as above.
        (locals, unsafe { operands(fp, &self.state, registers) })
    }
}

unsafe fn all(
    store: &mut StoreInner, innermost: Option<At>, registers: &Registers,
) -> Option<Vec<FrameState>> {
    let mut next = innermost;
    let mut frames = Vec::new();
    while let Some(at) = next {
        // SAFETY: by the contract of `capture`.
        let (frame, params) = unsafe { frame(store, &at, registers)? };
        frames.push(frame);
        // SAFETY: each frame's header was written by the call that made it.
        next = unsafe { At::below(at.vm, at.fp.add(params)) };
    }
    frames.reverse();
    Some(frames)
}

impl At {
    /// The frame that waits for the one with this header.
    unsafe fn below(vm: *mut Vm, header: *mut u64) -> Option<Self> {
        // SAFETY: by the contract of `capture_below`.
        let Stand { vm, fp, address } = unsafe { Stand::below(vm, header)? };
        let place = Stands::Record(address.wrapping_add(1), Some(SiteKind::Return));
        Some(Self { vm, fp, place })
    }
}

/// The frame at `at`, and how many slots its parameters take.
unsafe fn frame(
    store: &mut StoreInner, at: &At, registers: &Registers,
) -> Option<(FrameState, usize)> {
    // SAFETY: blocks of instances live as long as the store.
    let instance = unsafe { (*at.vm).instance };
    let layout = match at.place {
        Stands::Untranslated(function) => {
            let module = store.instances[instance as usize].module.clone();
            let wanted = Wanted::Operator(0, SiteKind::Entry);
            Arc::new(Layout::new(at.vm, &module, function, wanted)?)
        }
        Stands::Record(record, kind) => {
            let key = Key::Record { instance, address: record.addr(), kind };
            match store.layouts.get(&key) {
                Some(known) => known,
                None => {
                    let module = store.instances[instance as usize].module.clone();
                    let icode = &store.instances[instance as usize].icode;
                    let (function, bytes) = icode.find(record)?;
                    let wanted = Wanted::Record(bytes / 8, kind);
                    let made = Layout::new(at.vm, &module, function, wanted)?;
                    store.layouts.keep(key, made)
                }
            }
        }
    };
    // SAFETY: by the contract of `capture`.
    let (locals, operands) = unsafe { layout.read(at.fp, registers) };
    let &Layout { function, site, param_slots, .. } = &*layout;
    Some((FrameState { instance, function, site, locals, operands }, param_slots))
}

/// All locals of a frame of a function, wherever it stands behind its entry.
///
/// # Safety
/// `fp` is such a frame.
pub(crate) unsafe fn locals_of(
    store: &mut StoreInner, vm: *mut Vm, function: u32, fp: *mut u64,
) -> Option<Vec<Slot>> {
    // SAFETY: blocks of instances live as long as the store.
    let index = unsafe { (*vm).instance };
    let module = store.instances[index as usize].module.inner().clone();
    let entry = Wanted::Operator(0, SiteKind::Entry);
    let state = state_at(&module, vm, function, entry)?;
    // SAFETY: by the contract of this function; each local has one slot for all of its life.
    Some(state.locals.iter().map(|&(ty, slot)| unsafe { read(fp, slot, ty) }).collect())
}

/// Where values are at a site, by lowering the function once more.
fn state_at(
    module: &Arc<ModuleInner>, vm: *mut Vm, function: u32, wanted: Wanted,
) -> Option<StateAt> {
    let mut recorder = Recorder::of(wanted);
    let context = Context::new(module, vm);
    let body = module.bytes.at(module.body_span(function)?);
    with_scratch(|scratch| {
        Lower::function(&context, function, body, scratch, Some(&mut recorder));
    });
    recorder.found
}

unsafe fn operands(fp: *mut u64, state: &StateAt, registers: &Registers) -> Vec<Slot> {
    let all = state.operands.iter();
    all.map(|operand| match operand.place {
        // SAFETY: by the contract of `frame`.
        Place::Slot => unsafe { read(fp, operand.slot, operand.ty) },
        // SAFETY: as above.
        Place::Local(slot) => unsafe { read(fp, slot, operand.ty) },
        Place::Constant(bits) => Slot::of_cell(operand.ty, [bits, 0]),
        Place::Acc => {
            let cell = match operand.ty.class() {
                Class::Int => [registers.acc, 0],
                Class::Float => [registers.facc.to_bits(), 0],
                Class::Vector => registers.vacc,
            };
            Slot::of_cell(operand.ty, cell)
        }
    })
    .collect()
}

/// The value in a slot of a frame.
unsafe fn read(fp: *mut u64, slot: u32, ty: ValType) -> Slot {
    // SAFETY: by the contract of `frame`; vectors have a second slot.
    unsafe {
        let at = fp.add(slot as usize);
        let second = if ty == ValType::V128 { *at.add(1) } else { 0 };
        Slot::of_cell(ty, [*at, second])
    }
}

/// The frame of a call that has not begun. None for functions of the host.
pub(crate) fn entry_frame(
    store: &StoreInner, func: Func, arguments: &[crate::val::Val],
) -> Option<FrameState> {
    let slot = func.slot(store);
    if slot.vm.is_null() {
        return None;
    }
    // SAFETY: blocks of instances live as long as the store.
    let instance = unsafe { (*slot.vm).instance };
    let function = slot.index;
    let sites = store.instances[instance as usize].module.inner().sites(function)?;
    let site = sites.find(0, SiteKind::Entry)?;
    let live = sites.live(site);
    let types = sites.locals().iter().enumerate();
    let locals = types.map(|(i, &ty)| match arguments.get(i) {
        Some(&value) if live.contains(i as u32) => Slot::of_cell(ty, store.cell(value)),
        _ => Slot::zero(ty),
    });
    let locals = locals.collect();
    Some(FrameState { instance, function, site, locals, operands: Vec::new() })
}
