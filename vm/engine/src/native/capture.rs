//! Stops: the frames of a segment give up their state.
//!
//! Each frame on the native stack gets a part of one record, and its callee is made to return to
//! the trampoline, which goes to the frame's pad: the pad stores what is live and returns. When the
//! outermost has returned, the record is read.

use crate::compile::{CallKind, Entry, RecordPlace, SlotOf};
use crate::frame::{FrameState, Slot};
use crate::interp::driver::End;
use crate::native::abi::{self, ParamPlace};
use crate::native::code::{Landing, NativeCode};
use crate::native::packed::CallRow;
use crate::native::segment::{Segment, current};
use crate::native::stubs::{Polled, leave_entry, trampoline};
use crate::profile;
use crate::site::{Shape, SiteId, SiteKind};

/// What the trampoline needs for one frame: its record and its pad.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Delivery {
    record: *mut u64,
    pad: usize,
}

/// A stop on its way.
#[derive(Debug)]
pub struct Capture {
    end: End,
    innermost: Innermost,
    /// Innermost first.
    taken: Vec<Taken>,
    words: Vec<u64>,
    deliveries: Vec<Delivery>,
    delivered: usize,
}

/// What is known of the innermost frame besides its record.
#[derive(Debug)]
pub enum Innermost {
    /// It has not begun: this is all of it.
    Entry(FrameState),
    /// It stands at a loop header, or where a block is paid for.
    Polled,
    /// It waits for a call, whose frames were taken before.
    Inside,
    /// It stands before the call or operation, whose operands these are, the deepest first.
    Before(SiteKind, Vec<[u64; 2]>),
}

#[derive(Debug)]
struct Taken {
    code: *const NativeCode,
    /// The number of its call.
    call: usize,
    /// The first of its words in the record.
    at: usize,
}

/// Where a walk over the native stack begins.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// The place of the next return address.
    pub slot: *mut usize,
    /// The frame pointer of the frame that it returns to.
    pub frame_pointer: *mut usize,
}

impl Walk {
    /// Goes to the frame that called this one.
    ///
    /// # Safety
    /// The frame has a frame pointer, as all compiled code has.
    pub unsafe fn next(self) -> Self {
        // SAFETY: by the contract of this function.
        unsafe {
            Self { slot: self.frame_pointer.add(1), frame_pointer: *self.frame_pointer as *mut _ }
        }
    }
}

/// The Rust half of `poll`.
///
/// No unwinding from here: the stack is rewritten below (`extern` makes it an abort).
pub unsafe extern "C" fn polled(saved: *mut Polled) {
    // SAFETY: a poll runs in compiled code, and so in a segment, which is only used from here.
    unsafe {
        let segment = &mut *current();
        if segment.services.parts().0.stopper.take_sample() {
            sample(segment, &*saved);
        }
        (*segment.vm).arm(segment.native_limit);
        let mut is_stopped = (*segment.vm).is_stopped();
        let address = (*saved).return_address;
        let frame_pointer = (*saved).frame_pointer;
        let vm = segment.vm;
        let pays = match segment.code().landing(address) {
            Some(Landing::Start(code)) if is_stopped => {
                let code: *const NativeCode = code;
                let frame = entry_frame(segment, &*code, &*saved);
                let walk = Polled::caller(saved);
                (*saved).return_address = leave_entry as *const () as usize;
                return begin(segment, End::Interrupted, Innermost::Entry(frame), walk, None);
            }
            Some(Landing::Call(code, call)) => {
                let (function, site) = (code.function, call.site);
                let pays = call.kind == CallKind::Fuel;
                is_stopped |= !pays && counted(segment, function, site);
                pays
            }
            _ => return,
        };
        if !is_stopped && !pays {
            return;
        }
        let end = if pays { End::OutOfFuel } else { End::Interrupted };
        let walk = Walk { slot: frame_pointer.add(1), frame_pointer: *frame_pointer as *mut _ };
        begin(segment, end, Innermost::Polled, walk, Some(address));
        let record = segment.capture.as_mut().map(|capture| capture.words.as_mut_ptr());
        (*vm).record = record.unwrap_or(std::ptr::null_mut());
    }
}

/// Notes where a polled frame and all that wait for it are.
unsafe fn sample(segment: &mut Segment<'static>, saved: &Polled) {
    let (address, frame_pointer) = (saved.return_address, saved.frame_pointer);
    // SAFETY: by the contract of `polled`; an entry has no frame of its own yet.
    unsafe {
        let (function, walk) = match segment.code().landing(address) {
            Some(Landing::Start(code)) => {
                let slot = (&raw const *saved).add(1).cast::<usize>().cast_mut();
                (code.function, Walk { slot, frame_pointer })
            }
            Some(Landing::Call(code, _)) => {
                let outer = *frame_pointer as *mut usize;
                (code.function, Walk { slot: frame_pointer.add(1), frame_pointer: outer })
            }
            None => return,
        };
        profile::sample_compiled(segment, function, walk);
    }
}

/// Whether a plan stops the run at this site.
fn counted(segment: &mut Segment<'static>, function: u32, site: SiteId) -> bool {
    // SAFETY: the block is that of an instance of the store.
    let instance = unsafe { (*segment.vm).instance };
    let store = segment.services.parts().0;
    if !store.site_plan.counts() {
        return false;
    }
    let sites = store.instances[instance as usize].module.inner().sites(function);
    let kind = sites.and_then(|sites| sites.get(site)).map(|site| site.kind);
    matches!(kind, Some(SiteKind::Entry | SiteKind::Loop)) && store.site_plan.count_in_code()
}

/// Begins a stop: assigns each frame its part of the record and rewrites the return addresses from
/// `walk` on. `polled` is where a polled frame goes on, which needs no pad.
///
/// # Safety
/// The walk is one over the compiled frames of the segment, up to its `enter`.
pub unsafe fn begin(
    segment: &mut Segment<'static>, end: End, innermost: Innermost, walk: Walk,
    polled: Option<usize>,
) {
    let (mut taken, mut places, mut total) = (Vec::new(), Vec::new(), 0);
    let map = segment.code();
    let mut take = |code: &NativeCode, call: CallRow<'_>| {
        taken.push(Taken { code, call: call.number, at: total });
        places.push((total, call.pad_offset.map(|pad| code.address(pad))));
        total += (call.record_bytes as usize).div_ceil(8);
    };
    if let Some(Landing::Call(code, call)) = polled.and_then(|address| map.landing(address)) {
        take(code, call);
    }
    let mut walk = walk;
    // SAFETY: by the contract of this function. Only frames that the map knows are followed; the
    // return to `enter` is not among them.
    unsafe {
        while let Some(Landing::Call(code, call)) = map.landing(*walk.slot) {
            take(code, call);
            *walk.slot = trampoline as *const () as usize;
            walk = walk.next();
        }
    }
    // A vector that is empty has a pointer that is not null either.
    let mut words = vec![0u64; total + 1];
    let records = words.as_mut_ptr();
    let first = usize::from(polled.is_some());
    let deliveries = places[first..].iter().map(|&(at, pad)| Delivery {
        record: records.wrapping_add(at),
        pad: pad.expect("code that can be stopped has pads"),
    });
    let deliveries = deliveries.collect();
    segment.capture = Some(Capture { end, innermost, taken, words, deliveries, delivered: 0 });
}

/// The record and the pad of the next frame, called by the trampoline on the guest's stack.
pub unsafe extern "C" fn next_delivery() -> Delivery {
    // SAFETY: as in `polled`.
    let segment = unsafe { &mut *current() };
    let capture = segment.capture.as_mut().expect("the trampoline runs in stops only");
    capture.delivered += 1;
    capture.deliveries[capture.delivered - 1]
}

impl Capture {
    /// Makes frames of the record, once every pad has run, and ends the segment with the stop.
    pub fn finish(self, segment: &mut Segment<'_>) {
        assert_eq!(self.delivered, self.deliveries.len(), "every pad has run");
        let (store, activation) = segment.services.parts();
        // SAFETY: the block is that of an instance of the store. Polls of others shall go on.
        let instance = unsafe {
            (*segment.vm).record = std::ptr::null_mut();
            (*segment.vm).instance
        };
        let module = store.instances[instance as usize].module.clone();
        let frames = &mut activation.native.frames;
        let mut innermost = Some(self.innermost);
        if let Some(Innermost::Entry(frame)) = innermost {
            frames.push(frame);
            innermost = None;
        }
        for taken in &self.taken {
            // SAFETY: the store keeps code and its tables.
            let code = unsafe { &*taken.code };
            let call = code.call_row(taken.call).expect("it was found before");
            let sites = module.inner().sites(code.function).expect("compiled code has sites");
            let words = &self.words[taken.at..];
            let mut frame = FrameState {
                instance,
                function: code.function,
                site: call.site,
                locals: sites.locals().iter().map(|&ty| Slot::zero(ty)).collect(),
                operands: Vec::new(),
            };
            let before = match innermost.take() {
                Some(Innermost::Before(kind, operands)) => Some((kind, operands)),
                _ => None,
            };
            if let Some((kind, _)) = before {
                frame.site = sites.find(call.body_offset, kind).expect("a site at each call");
            }
            let shape = module.inner().shape(code.function, frame.site).expect("its shape");
            read_record(&mut frame, &shape, &call, words);
            if let Some((_, operands)) = before {
                let types = &shape.operands[frame.operands.len()..];
                let operands = types.iter().zip(operands);
                frame.operands.extend(operands.map(|(&ty, cell)| Slot::of_cell(ty, cell)));
            }
            frames.push(frame);
        }
        segment.end = Some(self.end);
    }
}

/// Reads what a frame has stored.
fn read_record(frame: &mut FrameState, shape: &Shape, call: &CallRow<'_>, words: &[u64]) {
    let mut operands = Vec::new();
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
            SlotOf::Local(local) => frame.locals[local as usize] = value,
            SlotOf::Operand(operand) => operands.push((operand, value)),
        }
    }
    operands.sort_by_key(|&(operand, _)| operand);
    frame.operands = operands.into_iter().map(|(_, value)| value).collect();
}

/// The frame of a function that has not begun, from its parameters.
unsafe fn entry_frame(segment: &mut Segment<'_>, code: &NativeCode, saved: &Polled) -> FrameState {
    // SAFETY: the block is that of an instance of the store.
    let instance = unsafe { (*segment.vm).instance };
    let module = segment.services.parts().0.instances[instance as usize].module.clone();
    let sites = module.inner().sites(code.function).expect("compiled code has sites");
    let ints = saved.ints();
    if let Entry::Loop(site) = code.entry {
        // SAFETY: the second parameter of such code is the address of its values.
        return unsafe {
            loop_frame(&module, instance, code.function, site, ints[1] as *const u128)
        };
    }
    let site = sites.find(0, SiteKind::Entry).expect("every function has an entry");
    let live = sites.live(site);
    let params = module.inner().function_type(code.function).params();
    let (places, _) = abi::params(params);
    // SAFETY: `polled` calls this for a function that has not begun.
    let words = unsafe { Polled::words(saved) };
    let locals = sites.locals().iter().enumerate().map(|(i, &ty)| {
        let Some(&place) = places.get(i) else { return Slot::zero(ty) };
        if !live.contains(i as u32) {
            return Slot::zero(ty);
        }
        let cell = match place {
            ParamPlace::Int(i) => [ints[i], 0],
            ParamPlace::Float(i) => saved.floats[i],
            // SAFETY: as above; vectors take two words.
            ParamPlace::Stack(i) => unsafe {
                [*words.add(i), if ty.slot_count() == 2 { *words.add(i + 1) } else { 0 }]
            },
        };
        Slot::of_cell(ty, cell)
    });
    let locals = locals.collect();
    FrameState { instance, function: code.function, site, locals, operands: Vec::new() }
}

/// The frame whose values lie in cells: all locals, then all operands of a loop header.
unsafe fn loop_frame(
    module: &crate::Module, instance: u32, function: u32, site: SiteId, cells: *const u128,
) -> FrameState {
    let shape = module.inner().shape(function, site).expect("compiled code has sites");
    let mut at = cells;
    let mut read = |&ty| {
        // SAFETY: by the contract of this function.
        let bits = unsafe { *at };
        at = at.wrapping_add(1);
        Slot::of_cell(ty, [bits as u64, (bits >> 64) as u64])
    };
    let locals = shape.locals.iter().map(&mut read).collect();
    let operands = shape.operands.iter().map(&mut read).collect();
    FrameState { instance, function, site, locals, operands }
}
