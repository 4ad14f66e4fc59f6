//! Profiles: where guests spend their time, and which code is where.
//!
//! A sample is asked for from another thread, at intervals, and taken at the guest's next site: the
//! interpreter's next look at its budget, or the next entry or loop header of compiled code. Both
//! tiers so give stacks of functions, and nothing is unwound or captured for it.
//! Nothing here knows what becomes of samples.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use crate::interp::exit::Exit;
use crate::interp::frames::Stand;
use crate::native::calls::walk;
use crate::native::capture::Walk;
use crate::native::code::{Landing, NativeCode};
use crate::native::segment::{Segment, current};
use crate::store::{Store, StoreInner};
use crate::trap::readable_name;
use crate::vm::{FuncSlot, Vm};

/// A stack of more frames loses its outermost ones.
const MAX_DEPTH: usize = 512;

/// No profile has more different stacks; samples of others are counted as lost.
const MAX_STACKS: usize = 1 << 16;

/// A stack of a guest, and how often it was seen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Sample {
    /// The names of its functions, outermost first.
    pub frames: Vec<String>,
    /// How often.
    pub count: u64,
}

/// An instance, and a function of its module.
type Frame = (u32, u32);

/// The samples of a store.
#[derive(Default, Debug)]
pub(crate) struct Samples {
    /// By stack, innermost frame first.
    counts: HashMap<Vec<Frame>, u64>,
    lost: u64,
}

impl Store {
    /// Keeps samples from now on: see [`Interrupt::sample`](crate::Interrupt::sample).
    pub fn keep_samples(&mut self) {
        self.inner_mut().samples.get_or_insert_default();
    }

    /// What was seen so far, most frequent first.
    pub fn samples(&self) -> Vec<Sample> {
        let inner = self.inner();
        let Some(samples) = &inner.samples else { return Vec::new() };
        let name = |&(instance, function): &Frame| {
            let module = inner.instances[instance as usize].module.inner();
            match module.function_name(function) {
                Some(name) => readable_name(name),
                None => format!("<function {function}>"),
            }
        };
        let lost = Sample { frames: vec!["<lost>".to_owned()], count: samples.lost };
        let stacks = samples.counts.iter().map(|(stack, &count)| Sample {
            frames: stack.iter().rev().map(name).collect(),
            count,
        });
        let mut all: Vec<Sample> = stacks.chain([lost]).filter(|sample| sample.count > 0).collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.frames.cmp(&b.frames)));
        all
    }
}

impl Samples {
    fn add(&mut self, stack: Vec<Frame>) {
        let is_full = self.counts.len() >= MAX_STACKS && !self.counts.contains_key(&stack);
        match is_full || stack.is_empty() {
            true => self.lost += 1,
            false => *self.counts.entry(stack).or_default() += 1,
        }
    }
}

/// Takes a sample where the interpreter has looked at its budget, if one is asked for.
///
/// # Safety
/// The run in `vm` stands.
pub(crate) unsafe fn sample_interpreter(store: &mut StoreInner, vm: *mut Vm) {
    if !store.stopper.take_sample() || store.samples.is_none() {
        return;
    }
    let mut stack = Vec::new();
    // SAFETY: by the contract of this function.
    unsafe {
        let stand = match Exit::from_code((*vm).exit) == Exit::Budget {
            true => Some(Stand::of(vm)),
            false => {
                // At an entry the accumulator is the callee's slot, whose code may be a stub.
                let slot = (*vm).acc as *const FuncSlot;
                stack.push(((*vm).instance, (*slot).index));
                let params = (*store.types.plan((*slot).ty)).param_slots;
                Stand::below(vm, (*vm).fp.add(params))
            }
        };
        interpreted(store, stand, &mut stack);
        outer(store, current(), &mut stack);
    }
    take(store, stack);
}

/// Takes a sample at a poll of compiled code in the innermost segment, if one is asked for. `at` is
/// the function that polls, `walk` the frames that wait for it.
///
/// # Safety
/// The segment is live, and its frames are those of compiled code.
pub(crate) unsafe fn sample_compiled(segment: *mut Segment<'static>, at: u32, walk: Walk) {
    // SAFETY: by the contract of this function.
    unsafe {
        let store: *mut StoreInner = (*segment).services.parts().0;
        if (*store).samples.is_none() {
            return;
        }
        let mut stack = vec![((*(*segment).vm).instance, at)];
        compiled(&*store, segment, walk, &mut stack);
        outer(&*store, (*segment).outer(), &mut stack);
        take(&mut *store, stack);
    }
}

fn take(store: &mut StoreInner, mut stack: Vec<Frame>) {
    stack.truncate(MAX_DEPTH);
    if let Some(samples) = &mut store.samples {
        samples.add(stack);
    }
}

/// Adds the frames of an interpreter from `stand` on.
unsafe fn interpreted(store: &StoreInner, stand: Option<Stand>, stack: &mut Vec<Frame>) {
    let mut stand = stand;
    while let Some(Stand { vm, fp, address }) = stand
        && stack.len() < MAX_DEPTH
    {
        // SAFETY: frames lead to live blocks of the store, and each frame's header was written by the
        // call that made it.
        unsafe {
            let index = (*vm).instance;
            let instance = &store.instances[index as usize];
            let Some((function, _)) = instance.icode.find(address) else { return };
            stack.push((index, function));
            let params = instance.module.inner().function_type(function).param_slots();
            stand = Stand::below(vm, fp.add(params));
        }
    }
}

/// Adds the frames of a segment that `walk` leads to, and of the interpreter that has entered it.
unsafe fn compiled(
    store: &StoreInner, segment: *mut Segment<'static>, walk: Walk, stack: &mut Vec<Frame>,
) {
    // SAFETY: the segment is live; only frames that the map knows are followed.
    unsafe {
        let instance = (*(*segment).vm).instance;
        let mut walk = walk;
        while stack.len() < MAX_DEPTH
            && let Some(Landing::Call(code, _)) = store.code.landing(*walk.slot)
        {
            stack.push((instance, code.function));
            walk = walk.next();
        }
        interpreted(store, Stand::below((*segment).vm, (*segment).base.header), stack);
    }
}

/// Adds the frames of a segment that waits for a function it has called, and of all outside of it.
unsafe fn outer(store: &StoreInner, segment: *mut Segment<'static>, stack: &mut Vec<Frame>) {
    let mut segment = segment;
    // SAFETY: segments are live for as long as they are in the list.
    unsafe {
        while !segment.is_null() && !(*segment).called.is_null() && stack.len() < MAX_DEPTH {
            compiled(store, segment, walk((*segment).called), stack);
            segment = (*segment).outer();
        }
    }
}

/// Where lines about compiled code go, in the form that Linux' `perf` reads: address and size in
/// hexadecimal digits, and a name.
pub struct PerfMap(Mutex<Box<dyn Write + Send>>);

impl PerfMap {
    /// Lines go to `out`, each in one piece.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(out)))
    }

    pub(crate) fn note(&self, module: &crate::module::ModuleInner, code: &NativeCode) {
        let name = match module.function_name(code.function) {
            Some(name) => readable_name(name),
            None => format!("<function {}>", code.function),
        };
        let (start, len_bytes) = (code.start() as usize, code.code_bytes());
        let line = format!("{start:x} {len_bytes:x} {name}\n");
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A profile that cannot be written is no reason to disturb the guest.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

impl fmt::Debug for PerfMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PerfMap")
    }
}
