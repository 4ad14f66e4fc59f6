//! Where the frames of a run stand: for backtraces.
//!
//! Nothing is kept for this while a guest runs. A record's operator comes from lowering the function
//! once more with a recorder, which gives the same records.

use std::collections::HashMap;

use crate::icode::lower::Lower;
use crate::icode::{Context, Recorder};
use crate::interp::driver::Services;
use crate::interp::stubs;
use crate::vm::Vm;

/// A frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameAt {
    /// Its instance.
    pub vm: *mut Vm,
    /// Its function, as an index of the module.
    pub function: u32,
    /// The operator at which it stands, as an offset in the function's body.
    pub offset: u32,
}

/// All frames below the state in `vm`, the innermost first.
///
/// # Safety
/// A run has ended in `vm`, and nothing has run on its stack since.
pub(crate) unsafe fn frames(services: &mut dyn Services, vm: *mut Vm) -> Vec<FrameAt> {
    let mut found = Vec::new();
    let mut maps = HashMap::new();
    let mut vm = vm;
    // SAFETY: by the contract of this function.
    let (mut fp, mut address) = unsafe { ((*vm).fp, (*vm).ip) };
    loop {
        let (module, icode, scratch) = services.instance(vm);
        let Some((function, at)) = icode.find(address) else { return found };
        let operators = maps.entry((vm as usize, function)).or_insert_with(|| {
            let mut recorder = Recorder::default();
            let context = Context::new(&module, vm);
            let body = module.bytes.at(module.body_span(function).unwrap_or_default());
            Lower::function(&context, function, body, scratch, Some(&mut recorder));
            recorder.records
        });
        let record = operators.partition_point(|&(word, _)| word * 8 <= at);
        let offset = record.checked_sub(1).map_or(0, |record| operators[record].1);
        found.push(FrameAt { vm, function, offset });
        let params = module.function_type(function).param_slots();
        // SAFETY: each frame's header was written by the call that made the frame.
        let (previous, back) = unsafe { (*fp.add(params), *fp.add(params + 1)) };
        fp = previous as *mut u64;
        let mut back = back as *const u8;
        if back == stubs::switch_back() {
            // SAFETY: the area that `Driver::switch` wrote: fp, ip, instance.
            unsafe {
                back = *fp.add(1) as *const u8;
                vm = *fp.add(2) as *mut Vm;
                fp = *fp as *mut u64;
            }
        }
        if back == stubs::done() {
            return found;
        }
        // A return address is behind its call's record.
        address = back.wrapping_sub(1);
    }
}
