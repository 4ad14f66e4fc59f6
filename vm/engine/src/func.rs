//! Functions of a store: slots at fixed addresses, known to guests by number.

use crate::error::RunError;
use crate::host::{Caller, Flow, HostError, HostFunc};
use crate::stop::Stop;
use crate::store::{Stable, Store, StoreInner};
use crate::thread::Thread;
use crate::types::FuncType;
use crate::val::Val;
use crate::vm::{FuncKind, FuncSlot, NO_INSTANCE, NO_TYPE, Vm};

/// A function of a store: of an instance, or of the embedder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Func {
    pub(crate) store: u64,
    /// The value that references to it have in guests. Never 0.
    pub(crate) reference: u32,
}

/// All functions of a store, by reference value.
pub(crate) struct Functions {
    slots: Vec<*mut FuncSlot>,
    /// What reference 0 leads to, and the slots of host functions.
    own: Vec<Stable<FuncSlot>>,
}

impl Functions {
    pub fn new() -> Self {
        let null = Stable::new(FuncSlot {
            code: crate::interp::stubs::untranslated(),
            vm: std::ptr::null_mut(),
            ty: NO_TYPE,
            instance: NO_INSTANCE,
            index: 0,
            reference: 0,
            frame_bytes: 0,
            kind: FuncKind::Host,
            icode: std::ptr::null(),
            native: crate::native::stubs::call_out as *const u8,
        });
        Self { slots: vec![null.as_ptr()], own: vec![null] }
    }

    /// The array that handlers look references up in. Moves when functions are added.
    pub fn as_ptr(&self) -> *const *mut FuncSlot {
        self.slots.as_ptr()
    }

    /// How many there are, the null slot included: the next reference value.
    pub fn next_reference(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Makes room for `count` more.
    pub fn reserve(&mut self, count: usize) {
        self.slots.reserve(count);
    }

    /// Adds the slot of an instance's function; its `reference` is [`Self::next_reference`].
    pub fn push(&mut self, slot: *mut FuncSlot) {
        self.slots.push(slot);
    }

    /// Adds a host function.
    fn push_host(&mut self, ty: u32, index: u32) -> u32 {
        let reference = self.next_reference();
        let slot = Stable::new(FuncSlot {
            code: crate::interp::stubs::untranslated(),
            vm: std::ptr::null_mut(),
            ty,
            instance: NO_INSTANCE,
            index,
            reference,
            frame_bytes: 0,
            kind: FuncKind::Host,
            icode: std::ptr::null(),
            native: crate::native::stubs::call_out as *const u8,
        });
        self.slots.push(slot.as_ptr());
        self.own.push(slot);
        reference
    }

    /// Gives back room that was kept for more host functions.
    pub fn shrink_to_fit(&mut self) {
        self.own.shrink_to_fit();
    }

    /// The slot that `reference` leads to.
    pub fn slot(&self, reference: u32) -> *mut FuncSlot {
        self.slots[reference as usize]
    }
}

impl Func {
    /// A function of the embedder.
    ///
    /// `call` gets the arguments and writes the results, which are at first the default values of
    /// their types. It may call guests through [`Caller::call`], which may call it again.
    pub fn host(
        store: &mut Store, ty: FuncType,
        call: impl Fn(&mut Caller<'_>, &[Val], &mut [Val]) -> Result<Flow, HostError> + Send + 'static,
    ) -> Self {
        let inner = store.inner_mut();
        let type_id = inner.types.id(&ty);
        let index = inner.hosts.len() as u32;
        // In common with all others of this type.
        let ty = inner.types.get(type_id).clone();
        inner.hosts.push(Stable::new(HostFunc::new(ty, call)));
        let reference = inner.functions.push_host(type_id, index);
        inner.publish_functions();
        Self { store: inner.id, reference }
    }

    /// Its type.
    pub fn ty(self, store: &Store) -> &FuncType {
        let inner = store.inner();
        inner.types.get(self.slot(inner).ty)
    }

    /// Runs it to its end and gives its results.
    ///
    /// # Errors
    /// Any other way in which the run stopped.
    ///
    /// # Panics
    /// Arguments do not have the types of the parameters.
    pub fn call(self, store: &mut Store, arguments: &[Val]) -> Result<Vec<Val>, RunError> {
        match Thread::new(store, self, arguments).run(store) {
            Stop::Done(results) => Ok(results),
            stop => Err(RunError(stop)),
        }
    }

    pub(crate) fn slot(self, inner: &StoreInner) -> &FuncSlot {
        inner.check_handle(self.store);
        // SAFETY: slots live as long as the store and change only in their `code`, while guests run.
        unsafe { &*inner.functions.slot(self.reference) }
    }
}

impl StoreInner {
    /// Tells all instances where the array of functions is now.
    pub fn publish_functions(&mut self) {
        let functions = self.functions.as_ptr();
        let is_current = |vm: *mut Vm| {
            // SAFETY: blocks of instances live as long as the store.
            unsafe { (*vm).functions == functions }
        };
        // Newest last: if that one knows, all do.
        if self.instances.last().is_none_or(|instance| is_current(instance.vm())) {
            return;
        }
        for instance in &mut self.instances {
            // SAFETY: as above.
            unsafe { (*instance.vm()).functions = functions };
        }
    }
}
