//! A run: what the driver asks of the store and of the host while guest code is on its way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use brant_isa::Trap;

use crate::host::{Caller, Flow, HostError, HostFunc};
use crate::icode::Operation;
use crate::instance::Instance;
use crate::interp::access::atomic;
use crate::interp::driver::{Done, Services};
use crate::interp::frames::{Stand, frames};
use crate::interp::icode_map::Icode;
use crate::memory::Memory;
use crate::memory::wait::{WaitState, Waiter};
use crate::module::ModuleInner;
use crate::stop::{HostMistake, HostPanic};
use crate::store::bulk::check_aligned;
use crate::store::{Store, StoreInner};
use crate::thread::{Activation, Waiting};
use crate::trap::Place;
use crate::types::slot_count;
use crate::val::Val;
use crate::vm::{FuncSlot, Vm};

/// A store and the stack that one of its threads runs on.
pub(crate) struct Run<'a> {
    pub store: &'a mut Store,
    pub activation: &'a mut Activation,
}

impl Services for Run<'_> {
    fn instance(&mut self, vm: *mut Vm) -> (Arc<ModuleInner>, &mut Icode) {
        let inner = self.store.inner_mut();
        // SAFETY: the block belongs to an instance of this store.
        let index = unsafe { (*vm).instance };
        let instance = &mut inner.instances[index as usize];
        let module = instance.module.inner().clone();
        (module, &mut instance.icode)
    }

    fn call_host(
        &mut self, slot: *mut FuncSlot, caller: *mut Vm, window: *mut u64,
    ) -> Result<Flow, HostError> {
        // SAFETY: the block belongs to an instance of this store. Fuel is in the running block while
        // the guest runs, and in the store while the host does.
        unsafe {
            self.store.inner_mut().fuel = (*caller).fuel;
            let result = self.host(slot, Some(caller), window);
            (*caller).fuel = self.store.inner().fuel;
            result
        }
    }

    fn operate(
        &mut self, vm: *mut Vm, operation: Operation, immediates: [u32; 2], operands: &mut [u64; 3],
    ) -> Result<Done, Trap> {
        match operation {
            Operation::AtomicWait32 => self.wait(vm, 4, immediates, operands),
            Operation::AtomicWait64 => self.wait(vm, 8, immediates, operands),
            _ => self.store.inner_mut().operate(vm, operation, immediates, operands),
        }
    }

    fn parts(&mut self) -> (&mut StoreInner, &mut Activation) {
        (self.store.inner_mut(), self.activation)
    }

    unsafe fn take_places(&mut self, stand: Stand) {
        // SAFETY: by the contract of the trait.
        let places = unsafe { self.places(stand) };
        self.activation.native.places.extend(places);
    }

    fn slot_counts(&self, slot: *mut FuncSlot) -> (usize, usize) {
        // SAFETY: slots live as long as the store.
        let ty = self.store.inner().types.get(unsafe { (*slot).ty });
        (ty.param_slots(), ty.result_slots())
    }
}

/// What `memory.atomic.wait` gives.
mod waited {
    pub const WOKEN: u64 = 0;
    pub const NOT_EQUAL: u64 = 1;
    pub const TIMED_OUT: u64 = 2;
}

impl Run<'_> {
    /// `memory.atomic.wait32` and `wait64` on a cell of `bytes` bytes: enters the queue, or says how
    /// the wait ended.
    fn wait(
        &mut self, vm: *mut Vm, bytes: u64, [memory, offset]: [u32; 2], operands: &mut [u64; 3],
    ) -> Result<Done, Trap> {
        let inner = self.store.inner_mut();
        // SAFETY: the block belongs to an instance of this store.
        let instance = &inner.instances[unsafe { (*vm).instance } as usize];
        let index = instance.memories[memory as usize];
        let memory = &inner.memories[index as usize];
        let [base, expected, timeout] = *operands;
        let address = base + u64::from(offset);
        if let Some(wait) = &self.activation.wait {
            operands[0] = match wait.waiter.state() {
                WaitState::Waiting => return Ok(Done::Blocked),
                WaitState::Woken => waited::WOKEN,
                WaitState::TimedOut => waited::TIMED_OUT,
            };
            self.activation.end_wait();
            return Ok(Done::Yes);
        }
        check_aligned(address, bytes, memory.view.len_bytes)?;
        let shared = memory.shared().ok_or(Trap::ExpectedSharedMemory)?;
        // SAFETY: the cell lies in the memory, and is aligned.
        let holds = || unsafe {
            let place = memory.view.base.add(address as usize);
            let mask = u64::MAX >> (64 - 8 * bytes);
            atomic::load(place, 8 * bytes as u32) == expected & mask
        };
        let waiter = self.activation.spare_waiter.take();
        let waiter = waiter.unwrap_or_else(|| Waiter::new(inner.wake.clone()));
        if !shared.waits.enter(address, &waiter, holds) {
            self.activation.spare_waiter = Some(waiter);
            operands[0] = waited::NOT_EQUAL;
            return Ok(Done::Yes);
        }
        let timeout_ns = u64::try_from(timeout as i64).ok();
        let memory = Memory { store: inner.id, index };
        self.activation.wait =
            Some(Waiting { memory, address, timeout_ns, waiter, shared: shared.clone() });
        Ok(Done::Blocked)
    }

    /// Calls the host function of `slot` with the arguments at `window`, where its results go. No
    /// panic of it gets any further.
    pub fn host(
        &mut self, slot: *mut FuncSlot, caller: Option<*mut Vm>, window: *mut u64,
    ) -> Result<Flow, HostError> {
        let (id, activations) = (self.store.inner().id, self.store.inner().activations);
        // SAFETY: the slot is one of this store, and so is the block of the caller.
        let (host, instance) = unsafe {
            let host: *const HostFunc = self.store.inner().hosts[(*slot).index as usize].as_ptr();
            (host, caller.map(|vm| Instance { store: id, index: (*vm).instance }))
        };
        // SAFETY: host functions are never freed before their store, which is leaked if the function
        // exchanges it.
        let host = unsafe { &*host };
        let mut values = std::mem::take(&mut self.activation.values);
        self.read_arguments(host, window, &mut values);

        let outer_top = self.activation.top;
        self.activation.top = window.wrapping_add(host.slot_count());
        let mut host_caller = Caller { store: self.store, instance, activation: self.activation };
        let (arguments, results) = values.split_at_mut(host.ty.params().len());
        // What a panic leaves behind is the embedder's: the guest's own state is complete before it.
        let called =
            catch_unwind(AssertUnwindSafe(|| (host.call)(&mut host_caller, arguments, results)));
        self.activation.top = outer_top;
        if self.store.inner().id != id {
            return Err(HostError::Other(Box::new(HostMistake::StoreExchanged)));
        }
        self.store.inner_mut().activations = activations;
        let result = called
            .unwrap_or_else(|payload| Err(HostError::Other(Box::new(HostPanic::new(&*payload)))));
        let result = match result {
            Ok(Flow::Return) => self.write_results(host, &values, window),
            other => other,
        };
        values.clear();
        self.activation.values = values;
        result
    }

    /// Fills `values` with the arguments at `window` and the default results.
    fn read_arguments(&self, host: &HostFunc, window: *mut u64, values: &mut Vec<Val>) {
        let mut place = window;
        for &ty in host.ty.params() {
            // SAFETY: the arguments of the call stand at `window`, and the stack goes on behind them.
            let cell = unsafe { [*place, *place.add(1)] };
            place = place.wrapping_add(ty.slot_count());
            values.push(self.store.inner().val(ty, cell));
        }
        values.extend(host.ty.results().iter().map(|&ty| Val::default_of(ty)));
    }

    fn write_results(
        &self, host: &HostFunc, values: &[Val], window: *mut u64,
    ) -> Result<Flow, HostError> {
        let results = &values[host.ty.params().len()..];
        if !results.iter().map(|value| value.ty()).eq(host.ty.results().iter().copied()) {
            return Err(HostError::Other(Box::new(HostMistake::ResultType)));
        }
        let mut place = window;
        for &value in results {
            let cell = self.store.inner().cell(value);
            for &part in &cell[..value.ty().slot_count()] {
                // SAFETY: the stack has room for the results of every call.
                unsafe { *place = part };
                place = place.wrapping_add(1);
            }
        }
        Ok(Flow::Return)
    }
}

impl HostFunc {
    /// How many slots its arguments or its results take, and two more that a reader may touch.
    fn slot_count(&self) -> usize {
        slot_count(self.ty.params()).max(slot_count(self.ty.results())) + 2
    }
}

impl Run<'_> {
    /// Where all frames from `stand` on stand, innermost first.
    ///
    /// # Safety
    /// A run has ended there, and nothing has run on its stack since.
    pub unsafe fn places(&mut self, stand: Stand) -> Vec<Place> {
        // SAFETY: by the contract of this function.
        let frames = unsafe { frames(self, stand) };
        let instances = &self.store.inner().instances;
        let places = frames.into_iter().map(|frame| {
            // SAFETY: the block belongs to an instance of this store.
            let instance = unsafe { (*frame.vm).instance };
            let module = instances[instance as usize].module.inner();
            let body = module.body_span(frame.function).unwrap_or_default();
            let offset = Some(u64::from(body.start) + u64::from(frame.offset));
            Place { instance, function: frame.function, offset }
        });
        places.collect()
    }
}
