//! A run: what the driver asks of the store and of the host while guest code is on its way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use brant_isa::Trap;

use crate::host::{Caller, Flow, HostError, HostFunc};
use crate::icode::Operation;
use crate::icode::lower::Scratch;
use crate::instance::Instance;
use crate::interp::driver::{Done, Services};
use crate::interp::frames::frames;
use crate::interp::icode_map::Icode;
use crate::module::ModuleInner;
use crate::stop::{HostMistake, HostPanic};
use crate::store::Store;
use crate::thread::Activation;
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
    fn instance(&mut self, vm: *mut Vm) -> (Arc<ModuleInner>, &mut Icode, &mut Scratch) {
        let inner = self.store.inner_mut();
        // SAFETY: the block belongs to an instance of this store.
        let index = unsafe { (*vm).instance };
        let instance = &mut inner.instances[index as usize];
        let module = instance.module.inner().clone();
        (module, &mut instance.icode, &mut inner.scratch)
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
        self.store.inner_mut().operate(vm, operation, immediates, operands)
    }

    fn next_sites(&mut self) -> i64 {
        self.store.inner_mut().next_sites()
    }

    fn slot_counts(&self, slot: *mut FuncSlot) -> (usize, usize) {
        // SAFETY: slots live as long as the store.
        let ty = self.store.inner().types.get(unsafe { (*slot).ty });
        (ty.param_slots(), ty.result_slots())
    }
}

impl Run<'_> {
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
    /// Where all frames below the state in `vm` stand, innermost first.
    ///
    /// # Safety
    /// A run has ended in `vm`, and nothing has run on its stack since.
    pub unsafe fn places(&mut self, vm: *mut Vm) -> Vec<Place> {
        // SAFETY: by the contract of this function.
        let frames = unsafe { frames(self, vm) };
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
