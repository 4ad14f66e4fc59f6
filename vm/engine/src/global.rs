//! Globals: a typed cell, in the block of the instance that defines it or on its own.

use crate::store::{Stable, Store, StoreInner};
use crate::types::GlobalType;
use crate::val::Val;

/// A global of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Global {
    pub(crate) store: u64,
    pub(crate) index: u32,
}

/// Where a global is.
pub(crate) struct GlobalInner {
    pub ty: GlobalType,
    /// Its cell of 16 bytes.
    pub cell: *mut u64,
    /// Holds the cell if it is in no instance.
    _own: Option<Stable<[u64; 2]>>,
}

impl GlobalInner {
    /// The global whose cell is in the block of an instance.
    pub fn in_instance(ty: GlobalType, cell: *mut u64) -> Self {
        Self { ty, cell, _own: None }
    }

    /// What is in the cell.
    pub fn bits(&self) -> [u64; 2] {
        // SAFETY: the cell lives as long as the store, and no guest runs while the host has it.
        unsafe { [*self.cell, *self.cell.add(1)] }
    }

    /// Writes the cell.
    pub fn set_bits(&mut self, bits: [u64; 2]) {
        // SAFETY: as in `bits`, and `&mut self` excludes other users.
        unsafe {
            *self.cell = bits[0];
            *self.cell.add(1) = bits[1];
        }
    }
}

impl Global {
    /// A global that belongs to no instance.
    ///
    /// # Panics
    /// `value` is not of the type.
    pub fn new(store: &mut Store, ty: GlobalType, value: Val) -> Self {
        assert_eq!(value.ty(), ty.value, "the type of the global");
        let inner = store.inner_mut();
        let own = Stable::new(inner.cell(value));
        inner.globals.push(GlobalInner { ty, cell: own.as_ptr().cast(), _own: Some(own) });
        Self { store: inner.id, index: inner.globals.len() as u32 - 1 }
    }

    /// Its type.
    pub fn ty(self, store: &Store) -> GlobalType {
        self.of(store.inner()).ty
    }

    /// Its value.
    pub fn get(self, store: &Store) -> Val {
        let global = self.of(store.inner());
        store.inner().val(global.ty.value, global.bits())
    }

    /// Sets its value; false if it is immutable.
    ///
    /// # Panics
    /// `value` is not of the type.
    pub fn set(self, store: &mut Store, value: Val) -> bool {
        let ty = self.of(store.inner()).ty;
        assert_eq!(value.ty(), ty.value, "the type of the global");
        if ty.is_mutable {
            let cell = store.inner().cell(value);
            store.inner_mut().globals[self.index as usize].set_bits(cell);
        }
        ty.is_mutable
    }

    fn of(self, inner: &StoreInner) -> &GlobalInner {
        inner.check_handle(self.store);
        &inner.globals[self.index as usize]
    }
}
