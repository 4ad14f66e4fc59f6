//! Stops: the frames of a segment give up their state.
//!
//! Each frame on the native stack gets a part of one record, and its callee is made to return to
//! the trampoline, which goes to the frame's pad: the pad stores what is live and returns. When the
//! outermost has returned, the record is whole. What it means is found out later, by `given`: whoever
//! stops a guest need not wait for that.

use crate::compile::{CallKind, Entry};
use crate::interp::driver::End;
use crate::native::code::{Landing, NativeCode};
use crate::native::given::{Begun, Given, Records, Taken};
use crate::native::packed::CallRow;
use crate::native::segment::{Segment, current};
use crate::native::stubs::{Polled, leave_entry, trampoline};
use crate::profile;
use crate::site::{SiteId, SiteKind};

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
    Entry(Begun),
    /// It stands at a loop header, or where a block is paid for.
    Polled,
    /// It waits for a call, whose frames were taken before.
    Inside,
    /// It stands before the call or operation, whose operands these are, the deepest first.
    Before(SiteKind, Vec<[u64; 2]>),
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
                let begun = begun(segment, &*code, saved);
                let walk = Polled::caller(saved);
                (*saved).return_address = leave_entry as *const () as usize;
                return begin(segment, End::Interrupted, Innermost::Entry(begun), walk, None);
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
    /// Keeps the record, once every pad has run, and ends the segment with the stop.
    pub fn finish(self, segment: &mut Segment<'_>) {
        assert_eq!(self.delivered, self.deliveries.len(), "every pad has run");
        // SAFETY: the block is that of an instance of the store. Polls of others shall go on.
        let instance = unsafe {
            (*segment.vm).record = std::ptr::null_mut();
            (*segment.vm).instance
        };
        let given = &mut segment.services.parts().1.native.given;
        let before = match self.innermost {
            Innermost::Entry(begun) => {
                given.push(Given::Begun(instance, begun));
                None
            }
            Innermost::Before(kind, operands) => Some((kind, operands)),
            Innermost::Polled | Innermost::Inside => None,
        };
        let Capture { taken, words, .. } = self;
        given.push(Given::Compiled(Records { instance, before, taken, words }));
        segment.end = Some(self.end);
    }
}

/// What there is of a function that has not begun.
///
/// # Safety
/// `poll_at_entry` has led from the start of `code` to `polled`, with what was saved.
unsafe fn begun(segment: &mut Segment<'_>, code: &NativeCode, saved: *const Polled) -> Begun {
    if let Entry::Loop(site) = code.entry {
        return Begun::Loop { function: code.function, site, cells: segment.cells.to_vec() };
    }
    // SAFETY: the block is that of an instance of the store; plans stay where they are as long as
    // it. By the contract of this function the words of the call lie where it says.
    unsafe {
        let slot = *(*segment.vm).local_functions.add(code.function as usize);
        let plan = &*segment.services.parts().0.types.plan((*slot).ty);
        let words = std::slice::from_raw_parts(Polled::words(saved), plan.word_count);
        Begun::Function {
            function: code.function,
            ints: (*saved).ints(),
            floats: std::array::from_fn(|i| (*saved).floats[i]),
            words: words.to_vec(),
        }
    }
}
