//! Values at the border between guest and host.

use std::any::Any;

use crate::func::Func;
use crate::store::{Store, StoreInner};
use crate::types::ValType;

/// A value of a guest. Floats are bits, so that no NaN changes on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Val {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Bits of a 32-bit float.
    F32(u32),
    /// Bits of a 64-bit float.
    F64(u64),
    /// 128-bit vector, first lane lowest.
    V128(u128),
    /// Reference to a function.
    FuncRef(Option<Func>),
    /// Reference to something of the host.
    ExternRef(Option<ExternRef>),
}

/// A reference that a guest can hold to a value of the host. Kept until the store is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExternRef {
    store: u64,
    /// The value's index + 1: 0 is null.
    reference: u32,
}

impl ExternRef {
    /// A reference to `value`.
    ///
    /// # Panics
    /// The store has 2^32 of them.
    pub fn new(store: &mut Store, value: impl Any + Send) -> Self {
        let inner = store.inner_mut();
        inner.externs.push(Box::new(value));
        let reference = u32::try_from(inner.externs.len()).expect("fewer than 2^32 references");
        Self { store: inner.id, reference }
    }

    /// The value, if it is a `T`.
    pub fn get<T: 'static>(self, store: &Store) -> Option<&T> {
        store.inner().check_handle(self.store);
        store.inner().externs.get(self.reference as usize - 1)?.downcast_ref()
    }
}

impl Val {
    /// Its type.
    pub fn ty(self) -> ValType {
        match self {
            Self::I32(_) => ValType::I32,
            Self::I64(_) => ValType::I64,
            Self::F32(_) => ValType::F32,
            Self::F64(_) => ValType::F64,
            Self::V128(_) => ValType::V128,
            Self::FuncRef(_) => ValType::FuncRef,
            Self::ExternRef(_) => ValType::ExternRef,
        }
    }

    /// The value that locals of this type have at first.
    pub fn default_of(ty: ValType) -> Self {
        match ty {
            ValType::I32 => Self::I32(0),
            ValType::I64 => Self::I64(0),
            ValType::F32 => Self::F32(0),
            ValType::F64 => Self::F64(0),
            ValType::V128 => Self::V128(0),
            ValType::FuncRef => Self::FuncRef(None),
            ValType::ExternRef => Self::ExternRef(None),
        }
    }

    /// The integer, if it is an i32.
    pub fn i32(self) -> Option<i32> {
        if let Self::I32(value) = self { Some(value) } else { None }
    }

    /// The integer, if it is an i64.
    pub fn i64(self) -> Option<i64> {
        if let Self::I64(value) = self { Some(value) } else { None }
    }
}

impl StoreInner {
    /// The value of type `ty` whose bits are in `cell`. Integers are zero-extended there.
    pub fn val(&self, ty: ValType, cell: [u64; 2]) -> Val {
        let low = cell[0];
        let store = self.id;
        match ty {
            ValType::I32 => Val::I32(low as i32),
            ValType::I64 => Val::I64(low as i64),
            ValType::F32 => Val::F32(low as u32),
            ValType::F64 => Val::F64(low),
            ValType::V128 => Val::V128(u128::from(cell[1]) << 64 | u128::from(low)),
            ValType::FuncRef => {
                let reference = low as u32;
                Val::FuncRef((reference != 0).then_some(Func { store, reference }))
            }
            ValType::ExternRef => {
                let reference = low as u32;
                Val::ExternRef((reference != 0).then_some(ExternRef { store, reference }))
            }
        }
    }

    /// The bits of a value.
    ///
    /// # Panics
    /// It is a reference of another store.
    pub fn cell(&self, value: Val) -> [u64; 2] {
        let own = |store, reference: u32| {
            self.check_handle(store);
            u64::from(reference)
        };
        match value {
            Val::I32(x) => [u64::from(x as u32), 0],
            Val::I64(x) => [x as u64, 0],
            Val::F32(bits) => [u64::from(bits), 0],
            Val::F64(bits) => [bits, 0],
            Val::V128(bits) => [bits as u64, (bits >> 64) as u64],
            Val::FuncRef(None) | Val::ExternRef(None) => [0, 0],
            Val::FuncRef(Some(func)) => [own(func.store, func.reference), 0],
            Val::ExternRef(Some(outer)) => [own(outer.store, outer.reference), 0],
        }
    }
}
