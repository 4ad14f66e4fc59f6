//! The driver: enters the dispatch, and does what handlers leave to it.
//!
//! A guest's progress is never on the native stack here: every exit leaves the whole state in the
//! `Vm` and on the value stack, and each arm below changes that state so that a run can go on.
//!
//! A call into another instance puts a switch area between the frames:
//!
//! ```text
//! caller's frame  .. | arguments | S: fp, ip, vm of the caller; counts | arguments' copy | header | ..
//!                      ^ window                                          ^ callee's fp      (S, switch-back)
//! ```

use std::sync::Arc;

use brant_isa::Trap;

use crate::host::{Flow, HostError};
use crate::icode::lower::{HEADER_SLOTS, Lower, with_scratch};
use crate::icode::{Context, Operation};
use crate::interp::dispatch;
use crate::interp::exit::Exit;
use crate::interp::frames::Stand;
use crate::interp::icode_map::Icode;
use crate::interp::regs::at;
use crate::interp::step::call::TAIL_HEADER;
use crate::interp::stubs;
use crate::module::{ModuleError, ModuleInner};
use crate::native::given::Given;
use crate::native::segment::{Base, Entry, Outcome, Resume, Segment, Suspended};
use crate::native::tier::{self, LoopCode};
use crate::profile;
use crate::store::StoreInner;
use crate::thread::{Activation, Parked};
use crate::vm::{FuncKind, FuncSlot, Vm};

/// Calls and back edges between two looks at the stop word.
///
/// A build without sibling calls in disguise (see `dispatch`) uses at most so many native frames,
/// times the records between two of them.
pub const BUDGET: i64 = 1024;

/// Whether an operation is done, or a chunk of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Done {
    /// All of it.
    Yes,
    /// The operands were rewritten to the rest.
    More,
    /// The thread waits in front of it, with its operands.
    Blocked,
}

/// What the driver asks of the store.
pub(crate) trait Services {
    /// The parts of an instance that translation needs.
    fn instance(&mut self, vm: *mut Vm) -> (Arc<ModuleInner>, &mut Icode);
    /// Calls a host function with the arguments at `window`, where its results go.
    fn call_host(
        &mut self, slot: *mut FuncSlot, caller: *mut Vm, window: *mut u64,
    ) -> Result<Flow, HostError>;
    /// Does an operation, or a chunk of it. Operands in stack order; a result in the first.
    fn operate(
        &mut self, vm: *mut Vm, operation: Operation, immediates: [u32; 2], operands: &mut [u64; 3],
    ) -> Result<Done, Trap>;
    /// The store, and what belongs to the thread that runs.
    fn parts(&mut self) -> (&mut StoreInner, &mut Activation);
    /// Notes for a backtrace where the frames of a run stand.
    ///
    /// # Safety
    /// A run has ended there, and nothing has run on its stack since.
    unsafe fn take_places(&mut self, stand: Stand);
    /// How many slots the parameters and the results of a function take.
    fn slot_counts(&self, slot: *mut FuncSlot) -> (usize, usize);
}

/// Why a run came to an end, or to a pause.
#[derive(Debug)]
pub(crate) enum End {
    /// The results stand at the base.
    Done,
    /// An instruction has no result.
    Trap(Trap),
    /// A host function failed.
    Host(HostError),
    /// A body that was about to run first is not valid.
    Invalid(ModuleError),
    /// The stop word was set. The run can go on.
    Interrupted,
    /// The next block costs more than is left. The run can go on.
    OutOfFuel,
    /// A host function would block, or the thread waits at an address. The run can go on, with the
    /// same call or instruction.
    Blocked,
}

/// Makes the frame of `slot` at `base`, where its arguments stand: what `run` is to be given.
///
/// # Safety
/// `slot` is a guest function of a live store; `base` has room for the arguments and a header.
pub(crate) unsafe fn start(
    services: &dyn Services, slot: *mut FuncSlot, base: *mut u64, budget: i64,
) -> *mut Vm {
    let (params, _) = services.slot_counts(slot);
    // SAFETY: by the contract of this function.
    unsafe {
        let vm = (*slot).vm;
        let header = base.add(params);
        *header = base as u64;
        *header.add(1) = stubs::done() as u64;
        (*vm).fp = base;
        (*vm).ip = (*slot).code;
        (*vm).acc = slot as u64;
        (*vm).budget = budget;
        (*vm).exit = Exit::Entered.code();
        vm
    }
}

/// Runs from the state saved in `vm`, which may be another instance's afterwards.
///
/// # Safety
/// The state is that of `start`, or of an earlier run that can go on.
pub(crate) unsafe fn run(services: &mut dyn Services, vm: &mut *mut Vm) -> End {
    let mut driver = Driver { services, vm: *vm };
    // SAFETY: by the contract of this function.
    let end = unsafe { driver.run() };
    *vm = driver.vm;
    end
}

/// Goes on with a segment that waits, and then with whatever waits for it. `vm` is the instance that
/// it has stopped in afterwards.
///
/// # Safety
/// It is the one that the thread of `services` was suspended in.
pub(crate) unsafe fn resume(
    services: &mut dyn Services, suspended: &Suspended, vm: &mut *mut Vm,
) -> End {
    let mut driver = Driver { services, vm: suspended.vm };
    // SAFETY: by the contract of this function.
    let end = unsafe {
        let outcome = Segment::resume(driver.services, suspended, Resume::GoOn);
        match driver.after(outcome, suspended.base) {
            Ok(()) => driver.run(),
            Err(end) => end,
        }
    };
    *vm = driver.vm;
    end
}

/// Has a segment that waits give up its frames, and adds them to `NativeState::given`, with all that
/// waits for it.
///
/// # Safety
/// As for `resume`.
pub(crate) unsafe fn take_apart(services: &mut dyn Services, suspended: &Suspended) {
    let mut driver = Driver { services, vm: suspended.vm };
    // SAFETY: by the contract of this function.
    let end = unsafe {
        let outcome = Segment::resume(driver.services, suspended, Resume::TakeApart);
        driver.after(outcome, suspended.base)
    };
    assert!(matches!(end, Err(End::Blocked)), "it gives up where it waits");
}

impl End {
    /// Whether the run stands at a site.
    pub fn can_go_on(&self) -> bool {
        matches!(self, Self::Interrupted | Self::OutOfFuel | Self::Blocked)
    }
}

struct Driver<'a> {
    services: &'a mut dyn Services,
    vm: *mut Vm,
}

impl Driver<'_> {
    unsafe fn run(&mut self) -> End {
        loop {
            // SAFETY: the state in `vm` is complete at every exit, and each arm keeps it so.
            let step = unsafe {
                match Exit::from_code(crate::signal::call(dispatch::run, self.vm)) {
                    Exit::Done => Err(End::Done),
                    Exit::Trap(trap) => Err(End::Trap(trap)),
                    Exit::OutOfFuel => Err(End::OutOfFuel),
                    Exit::Budget | Exit::Entered => self.tick(),
                    Exit::Translate => self.translate(),
                    Exit::Native => self.enter_native(),
                    Exit::CallOut => self.call_out(),
                    Exit::TailCallOut => self.tail_call_out(),
                    Exit::SwitchBack => self.switch_back(),
                    Exit::Runtime => self.operate(),
                }
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// The budget is used up: looks at the stop word and at what is hot.
    unsafe fn tick(&mut self) -> Result<(), End> {
        // SAFETY: by the contract of `run`.
        unsafe {
            self.poll()?;
            profile::sample_interpreter(self.services.parts().0, self.vm);
            let plan = &mut self.services.parts().0.site_plan;
            // Whoever counts looks at every site.
            (*self.vm).budget = if plan.counts() { 0 } else { BUDGET };
            if plan.count() {
                return Err(End::Interrupted);
            }
            match tier::tick(self.services.parts().0, self.vm) {
                Some(found) => self.enter_loop(&found),
                None => Ok(()),
            }
        }
    }

    /// Goes on in compiled code with the loop that the innermost frame stands at, to the return of
    /// its function.
    unsafe fn enter_loop(&mut self, found: &LoopCode) -> Result<(), End> {
        // SAFETY: the frame stands at the header that the code is for. Plans stay where they are as
        // long as the store.
        unsafe {
            let registers = Parked::registers_of(self.vm);
            let (locals, operands) = found.layout.read(registers.fp, &registers);
            let cells: Vec<u128> = locals.iter().chain(&operands).map(|slot| slot.bits).collect();
            let slot = *(*self.vm).local_functions.add(found.layout.function as usize);
            let plan = &*self.services.parts().0.types.plan((*slot).ty);
            self.services.parts().0.site_plan.enter_counted();
            let window = registers.fp;
            let header = window.add(found.layout.param_slots);
            let (fp, back) = (*header as *mut u64, *header.add(1) as *const u8);
            let used = (*slot).frame_bytes as usize / 8;
            let value_top = window.add(used.max(plan.result_slots + HEADER_SLOTS as usize));
            let base = Base { plan, window, value_top, header, fp, back };
            self.run_native(&Entry { code: found.code.start(), base, cells: Some(&cells) })
        }
    }

    /// Runs compiled code in place of the frame at its window.
    unsafe fn run_native(&mut self, entry: &Entry<'_>) -> Result<(), End> {
        // SAFETY: the frame stands where the code begins.
        unsafe {
            let outcome = Segment::run(self.services, self.vm, entry);
            self.after(outcome, entry.base)
        }
    }

    /// What comes of the run of a segment.
    unsafe fn after(&mut self, outcome: Outcome, base: Base) -> Result<(), End> {
        let Base { window, header, fp, back, .. } = base;
        // SAFETY: the segment was in the place of the frame at its window.
        unsafe {
            match outcome {
                Outcome::Returned => {
                    self.resume(window, fp, back);
                    Ok(())
                }
                Outcome::TailCall(slot) => self.succeed(slot, window, fp, back),
                Outcome::Ended(end) => Err(self.unwind(end, header)),
                Outcome::Suspended => Err(End::Blocked),
            }
        }
    }

    /// Enters a guest's function in place of compiled code that has returned to `fp` and `back`. The
    /// arguments stand at `window`.
    unsafe fn succeed(
        &mut self, slot: *mut FuncSlot, window: *mut u64, fp: *mut u64, back: *const u8,
    ) -> Result<(), End> {
        let (params, _) = self.services.slot_counts(slot);
        // SAFETY: the slack behind the stack's limit has room for the arguments and a header.
        unsafe {
            if (*slot).vm != self.vm {
                return match back == stubs::switch_back() {
                    // As in `tail_call_out`.
                    true => self.enter_other(slot, window, fp, params),
                    false => self.switch(slot, window, fp as u64, back as u64),
                };
            }
            if window.byte_add((*slot).frame_bytes as usize) > (*self.vm).stack_limit {
                return Err(End::Trap(Trap::CallStackExhausted));
            }
            let header = window.add(params);
            *header = fp as u64;
            *header.add(1) = back as u64;
            let vm = &mut *self.vm;
            (vm.fp, vm.ip, vm.acc) = (window, (*slot).code, slot as u64);
            vm.exit = Exit::Entered.code();
            vm.budget -= 1;
            if vm.budget < 0 { self.tick() } else { Ok(()) }
        }
    }

    /// Looks at the stop word.
    unsafe fn poll(&mut self) -> Result<(), End> {
        // SAFETY: by the contract of `run`, `vm` is live, and so is the store's stop word.
        unsafe {
            match (*self.vm).is_stopped() {
                false => Ok(()),
                true => Err(End::Interrupted),
            }
        }
    }

    /// Translates the function that was called, and goes on at its first record.
    unsafe fn translate(&mut self) -> Result<(), End> {
        // SAFETY: the stub runs with the callee's slot in the accumulator and its frame in place.
        unsafe {
            let slot = (*self.vm).acc as *mut FuncSlot;
            if tier::first_call(self.services.parts().0, slot) {
                return self.enter_native();
            }
            let (module, icode) = self.services.instance(self.vm);
            translate(&module, icode, self.vm, &mut *slot).map_err(End::Invalid)?;
            (*self.vm).ip = (*slot).code;
            // The size of the frame was not known to the call.
            let frame_bytes = (*slot).frame_bytes as usize;
            if (*self.vm).fp.byte_add(frame_bytes) > (*self.vm).stack_limit {
                return Err(End::Trap(Trap::CallStackExhausted));
            }
        }
        Ok(())
    }

    /// Runs the compiled function that was called, to its return.
    unsafe fn enter_native(&mut self) -> Result<(), End> {
        // SAFETY: the stub runs with the callee's slot in the accumulator and its frame in place.
        // Plans stay where they are as long as the store.
        unsafe {
            let (slot, window) = ((*self.vm).acc as *mut FuncSlot, (*self.vm).fp);
            if self.services.parts().0.site_plan.stays_in_interpreter() {
                return self.interpret(slot);
            }
            let store = self.services.parts().0;
            store.site_plan.enter_counted();
            let plan = &*store.types.plan((*slot).ty);
            let header = window.add(plan.param_slots);
            let (fp, back) = (*header as *mut u64, *header.add(1) as *const u8);
            tier::entered(store, self.vm, back);
            let used = plan.param_slots.max(plan.result_slots) + HEADER_SLOTS as usize;
            let value_top = window.add(used);
            let base = Base { plan, window, value_top, header, fp, back };
            self.run_native(&Entry { code: (*slot).native, base, cells: None })
        }
    }

    /// Interprets a compiled function that was called.
    unsafe fn interpret(&mut self, slot: *mut FuncSlot) -> Result<(), End> {
        // SAFETY: as in `translate`.
        unsafe {
            if (*slot).icode.is_null() {
                let (module, icode) = self.services.instance(self.vm);
                translate(&module, icode, self.vm, &mut *slot).map_err(End::Invalid)?;
            }
            (*self.vm).ip = (*slot).icode;
            if (*self.vm).fp.byte_add((*slot).frame_bytes as usize) > (*self.vm).stack_limit {
                return Err(End::Trap(Trap::CallStackExhausted));
            }
        }
        Ok(())
    }

    /// Takes what waits below a segment that has ended by a stop or a trap: the caller of the frame
    /// with this header, and all below it.
    unsafe fn unwind(&mut self, end: End, header: *mut u64) -> End {
        // SAFETY: the header was written by the call, and nothing below it has changed since.
        unsafe {
            if end.can_go_on() {
                let given = &mut self.services.parts().1.native.given;
                given.push(Given::Waiting { vm: self.vm, header });
            } else if let Some(stand) = Stand::below(self.vm, header) {
                self.services.take_places(stand);
            }
        }
        end
    }

    /// The callee of the call at `ip`, and the window of its arguments.
    unsafe fn callee(&self) -> (*mut FuncSlot, *mut u64) {
        // SAFETY: calls that leave the instance put the slot there; see `step::call`.
        unsafe {
            let vm = &*self.vm;
            let window = vm.ip.add(at::A).cast::<u16>().read() as usize;
            (vm.payload as *mut FuncSlot, vm.fp.add(window))
        }
    }

    /// Calls a host function. The state is that of the call, until it returns.
    unsafe fn call_host(&mut self, slot: *mut FuncSlot, window: *mut u64) -> Result<(), End> {
        // SAFETY: the host may call back into this instance, which uses the same `Vm`.
        unsafe {
            let Vm { ip, fp, acc, budget, call_bytes, payload, .. } = *self.vm;
            let result = self.services.call_host(slot, self.vm, window);
            let vm = &mut *self.vm;
            (vm.ip, vm.fp, vm.acc, vm.budget) = (ip, fp, acc, budget);
            (vm.call_bytes, vm.payload) = (call_bytes, payload);
            match result {
                Ok(Flow::Return) => Ok(()),
                Ok(Flow::Block) => Err(End::Blocked),
                Err(HostError::Trap(trap)) => Err(End::Trap(trap)),
                Err(error) => Err(End::Host(error)),
            }
        }
    }

    /// Goes on behind a call: results stand at `window`, a single one in its accumulator too.
    unsafe fn resume(&mut self, window: *mut u64, fp: *mut u64, ip: *const u8) {
        // SAFETY: the window has at least two slots of stack behind it.
        unsafe {
            let vm = &mut *self.vm;
            (vm.fp, vm.ip) = (fp, ip);
            vm.acc = *window;
            vm.facc = f64::from_bits(*window);
            vm.vacc = [*window, *window.add(1)];
        }
    }

    unsafe fn call_out(&mut self) -> Result<(), End> {
        // SAFETY: see `callee`; the record has `call_bytes` bytes.
        unsafe {
            let (slot, window) = self.callee();
            let back = (*self.vm).ip.add((*self.vm).call_bytes as usize);
            let fp = (*self.vm).fp;
            match (*slot).kind {
                FuncKind::Host => {
                    // Before the call, which is a site: behind it a result is on its way.
                    self.poll()?;
                    self.call_host(slot, window)?;
                    self.resume(window, fp, back);
                    Ok(())
                }
                FuncKind::Guest => self.switch(slot, window, fp as u64, back as u64),
            }
        }
    }

    unsafe fn tail_call_out(&mut self) -> Result<(), End> {
        // SAFETY: see `callee`; the record knows where the header of the running function is.
        unsafe {
            let (slot, arguments) = self.callee();
            let (params, results) = self.services.slot_counts(slot);
            let fp = (*self.vm).fp;
            let header = fp.add((*self.vm).ip.add(TAIL_HEADER).cast::<u32>().read() as usize);
            if (*slot).kind == FuncKind::Host {
                self.poll()?;
                self.call_host(slot, arguments)?;
                let (previous, back) = (*header, *header.add(1));
                std::ptr::copy(arguments, fp, results);
                self.resume(fp, previous as *mut u64, back as *const u8);
                return Ok(());
            }
            let (previous, back) = (*header, *header.add(1));
            std::ptr::copy(arguments, fp, params);
            if back == stubs::switch_back() as u64 {
                // The running function was called from another instance: its switch area serves
                // the callee too, so that tail calls to and fro need no stack.
                return self.enter_other(slot, fp, previous as *mut u64, params);
            }
            self.switch(slot, fp, previous, back)
        }
    }

    /// Calls a function of another instance with the arguments at `window`.
    unsafe fn switch(
        &mut self, slot: *mut FuncSlot, window: *mut u64, fp: u64, back: u64,
    ) -> Result<(), End> {
        let (params, results) = self.services.slot_counts(slot);
        // SAFETY: the slack behind the stack's limit has room for arguments and area.
        unsafe {
            let area = window.add(params);
            let callee = area.add(SWITCH_SLOTS);
            if callee.add(params) > (*self.vm).stack_limit {
                return Err(End::Trap(Trap::CallStackExhausted));
            }
            std::ptr::copy_nonoverlapping(window, callee, params);
            let counts = params as u64 | (results as u64) << 32;
            area.cast::<[u64; SWITCH_SLOTS]>().write([fp, back, self.vm as u64, counts]);
            self.enter_other(slot, callee, area, params)
        }
    }

    /// Goes on in another instance: the arguments stand at `fp`, and `area` in front of them.
    unsafe fn enter_other(
        &mut self, slot: *mut FuncSlot, fp: *mut u64, area: *mut u64, params: usize,
    ) -> Result<(), End> {
        // SAFETY: as in `switch`.
        unsafe {
            let other = (*slot).vm;
            if fp.byte_add((*slot).frame_bytes as usize) > (*self.vm).stack_limit {
                return Err(End::Trap(Trap::CallStackExhausted));
            }
            let header = fp.add(params);
            *header = area as u64;
            *header.add(1) = stubs::switch_back() as u64;
            self.hand_over(other);
            (*other).fp = fp;
            (*other).ip = (*slot).code;
            (*other).acc = slot as u64;
            (*other).exit = Exit::Entered.code();
            (*other).budget -= 1;
            match (*other).budget < 0 {
                true => self.tick(),
                false => Ok(()),
            }
        }
    }

    /// Makes `other` the instance that runs.
    unsafe fn hand_over(&mut self, other: *mut Vm) {
        // SAFETY: both are live; a thread has one stack, one budget and one store of fuel.
        unsafe {
            let (from, to) = (self.vm, other);
            (*to).budget = (*from).budget;
            (*to).fuel = (*from).fuel;
            (*to).stack_limit = (*from).stack_limit;
        }
        self.vm = other;
    }

    unsafe fn switch_back(&mut self) -> Result<(), End> {
        // SAFETY: a return to the switch-back record leaves `fp` at the area that `switch` wrote,
        // and the results behind it.
        unsafe {
            let area = (*self.vm).fp;
            let [fp, back, vm, counts] = area.cast::<[u64; SWITCH_SLOTS]>().read();
            let window = area.sub(counts as u32 as usize);
            std::ptr::copy(area.add(SWITCH_SLOTS), window, (counts >> 32) as usize);
            self.hand_over(vm as *mut Vm);
            self.resume(window, fp as *mut u64, back as *const u8);
        }
        Ok(())
    }

    /// Does the operation at `ip`, in chunks, with a look at the stop word between them.
    unsafe fn operate(&mut self) -> Result<(), End> {
        // SAFETY: see the layout of such records in `icode`; frames have slots to spare, so that
        // three operands can be named where there are fewer.
        unsafe {
            let ip = (*self.vm).ip;
            let operation = Operation::from_code(ip.add(at::A).cast::<u16>().read());
            let operation = operation.expect("lowering wrote an operation");
            let base = ip.add(at::B).cast::<u16>().read() as usize;
            let immediates =
                [ip.add(at::WORD).cast::<u32>().read(), ip.add(at::EXTRA).cast::<u32>().read()];
            let operands = (*self.vm).fp.add(base).cast::<[u64; 3]>();
            loop {
                let done = self.services.operate(self.vm, operation, immediates, &mut *operands);
                match done.map_err(End::Trap)? {
                    Done::Yes => {
                        (*self.vm).ip = ip.add(OPERATION_BYTES);
                        return Ok(());
                    }
                    Done::More => self.poll()?,
                    Done::Blocked => return Err(End::Blocked),
                }
            }
        }
    }
}

/// Size of the area that a call into another instance leaves on the stack.
pub(crate) const SWITCH_SLOTS: usize = 4;
/// Size of the record of an operation.
const OPERATION_BYTES: usize = 24;

/// Validates and lowers the function of `slot` for the instance that `vm` is.
pub(crate) fn translate(
    module: &ModuleInner, icode: &mut Icode, vm: *mut Vm, slot: &mut FuncSlot,
) -> Result<(), ModuleError> {
    with_scratch(|scratch| {
        module.validate_body(slot.index, &mut scratch.validator)?;
        let context = Context::new(module, vm);
        let body = module.bytes.at(module.body_span(slot.index).unwrap_or_default());
        slot.frame_bytes = Lower::function(&context, slot.index, body, scratch, None);
        slot.icode = icode.keep(slot.index, scratch.words());
        Ok::<(), ModuleError>(())
    })?;
    if slot.code == stubs::untranslated() {
        slot.code = slot.icode;
    }
    Ok(())
}
