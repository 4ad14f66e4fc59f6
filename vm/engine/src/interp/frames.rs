//! Where the frames of a run stand: for backtraces.
//!
//! Nothing is kept for this while a guest runs. A record's operator comes from lowering the function
//! once more with a recorder, which gives the same records.

use std::collections::HashMap;

use crate::icode::lower::{Lower, with_scratch};
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

/// Where a walk over frames is: an instance, the frame, and an address in its icode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand {
    pub vm: *mut Vm,
    pub fp: *mut u64,
    pub address: *const u8,
}

impl Stand {
    /// Where the run in `vm` has ended.
    ///
    /// # Safety
    /// `vm` is live.
    pub unsafe fn of(vm: *mut Vm) -> Self {
        // SAFETY: by the contract of this function.
        unsafe { Self { vm, fp: (*vm).fp, address: (*vm).ip } }
    }

    /// What waits for the frame whose header this is; None if that was the outermost.
    ///
    /// # Safety
    /// The call that made the frame of the instance `vm` has written the header.
    pub unsafe fn below(vm: *mut Vm, header: *mut u64) -> Option<Self> {
        // SAFETY: by the contract of this function; an area is what `Driver::switch` wrote: fp, ip,
        // instance.
        unsafe {
            let (mut vm, mut fp, mut back) = (vm, *header as *mut u64, *header.add(1) as *const u8);
            if back == stubs::switch_back() {
                back = *fp.add(1) as *const u8;
                vm = *fp.add(2) as *mut Vm;
                fp = *fp as *mut u64;
            }
            // A return address is behind its call's record.
            let address = back.wrapping_sub(1);
            (back != stubs::done()).then_some(Self { vm, fp, address })
        }
    }
}

/// All frames from `stand` on, the innermost first.
///
/// # Safety
/// A run has ended there, and nothing has run on its stack since.
pub(crate) unsafe fn frames(services: &mut dyn Services, stand: Stand) -> Vec<FrameAt> {
    let mut found = Vec::new();
    let mut maps = HashMap::new();
    let mut stand = stand;
    loop {
        let Stand { vm, fp, address } = stand;
        let (module, icode) = services.instance(vm);
        let Some((function, at)) = icode.find(address) else { return found };
        let operators = maps.entry((vm as usize, function)).or_insert_with(|| {
            let mut recorder = Recorder::default();
            let context = Context::new(&module, vm);
            let body = module.bytes.at(module.body_span(function).unwrap_or_default());
            with_scratch(|scratch| {
                Lower::function(&context, function, body, scratch, Some(&mut recorder));
            });
            recorder.records
        });
        let record = operators.partition_point(|&(word, _)| word * 8 <= at);
        let offset = record.checked_sub(1).map_or(0, |record| operators[record].1);
        found.push(FrameAt { vm, function, offset });
        let params = module.function_type(function).param_slots();
        // SAFETY: each frame's header was written by the call that made the frame.
        match unsafe { Stand::below(vm, fp.add(params)) } {
            Some(below) => stand = below,
            None => return found,
        }
    }
}
