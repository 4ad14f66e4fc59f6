//! Tables: references by index.

use crate::store::{Budget, LimitError, Resource, Stable, Store, StoreInner};
use crate::types::{RefType, TableType, ValType};
use crate::val::Val;
use crate::vm::TableView;

/// A table of a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Table {
    pub(crate) store: u64,
    pub(crate) index: u32,
}

/// The content of a table.
pub(crate) struct TableInner {
    /// What handlers see of `elements`.
    pub view: TableView,
    pub ty: TableType,
    elements: Vec<u32>,
}

impl TableInner {
    /// A table of its minimum size, all `init`, taken from `budget`.
    pub fn new(ty: TableType, init: u32, budget: &mut Budget) -> Result<Self, LimitError> {
        budget.take(Resource::TableElements, ty.minimum)?;
        let view = TableView { elements: std::ptr::null_mut(), len: 0 };
        let mut table = Self { view, ty, elements: Vec::new() };
        if table.resize(ty.minimum, init).is_none() {
            budget.give_back(Resource::TableElements, ty.minimum);
            let (asked, left) = (ty.minimum.saturating_mul(4), 0);
            return Err(LimitError { resource: Resource::HostMemory, asked, left });
        }
        Ok(table)
    }

    /// Grows by `delta` elements that are `init` and gives the size before, or None and stays as is.
    pub fn grow(&mut self, delta: u64, init: u32, budget: &mut Budget) -> Option<u64> {
        let old = self.elements.len() as u64;
        let limit = self.ty.maximum.unwrap_or(u64::MAX).min(u64::from(u32::MAX));
        let new = old.checked_add(delta).filter(|&new| new <= limit)?;
        budget.take(Resource::TableElements, delta).ok()?;
        if self.resize(new, init).is_none() {
            budget.give_back(Resource::TableElements, delta);
            return None;
        }
        Some(old)
    }

    /// New elements are written before the size is published.
    fn resize(&mut self, new: u64, init: u32) -> Option<()> {
        let new = usize::try_from(new).ok().filter(|&new| new <= u32::MAX as usize)?;
        if self.elements.is_empty() && init == 0 {
            self.elements = zeroed(new)?;
        } else {
            self.elements.try_reserve(new - self.elements.len()).ok()?;
            self.elements.resize(new, init);
        }
        self.view = TableView { elements: self.elements.as_mut_ptr(), len: new as u32 };
        Some(())
    }

    /// All references.
    pub fn elements(&self) -> &[u32] {
        &self.elements
    }

    /// All references.
    pub fn elements_mut(&mut self) -> &mut [u32] {
        &mut self.elements
    }
}

/// Zeroed elements in memory that the host has not touched yet; None if there is too little.
fn zeroed(len: usize) -> Option<Vec<u32>> {
    let layout = std::alloc::Layout::array::<u32>(len).ok()?;
    if len == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the layout is not empty; the vector gets the allocation with the layout it frees.
    unsafe {
        let elements = std::alloc::alloc_zeroed(layout).cast::<u32>();
        (!elements.is_null()).then(|| Vec::from_raw_parts(elements, len, len))
    }
}

impl Table {
    /// A table of its minimum size, all `init`, that belongs to no instance.
    ///
    /// # Errors
    /// A limit, or the host, does not allow it.
    ///
    /// # Panics
    /// `init` is not of the table's type.
    pub fn new(store: &mut Store, ty: TableType, init: Val) -> Result<Self, LimitError> {
        let inner = store.inner_mut();
        let init = inner.reference(init, ty.element);
        inner.budget.take(Resource::Tables, 1)?;
        let made = TableInner::new(ty, init, &mut inner.budget);
        let table = made.inspect_err(|_| inner.budget.give_back(Resource::Tables, 1))?;
        inner.tables.push(Stable::new(table));
        Ok(Self { store: inner.id, index: inner.tables.len() as u32 - 1 })
    }

    /// Its type, with the size at the start as the minimum.
    pub fn ty(self, store: &Store) -> TableType {
        self.of(store.inner()).ty
    }

    /// How many elements there are.
    pub fn len(self, store: &Store) -> u64 {
        self.of(store.inner()).elements.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(self, store: &Store) -> bool {
        self.len(store) == 0
    }

    /// Element `index`; None behind the end.
    pub fn get(self, store: &Store, index: u64) -> Option<Val> {
        let table = self.of(store.inner());
        let reference = *table.elements.get(usize::try_from(index).ok()?)?;
        Some(store.inner().val(table.ty.element.into(), [u64::from(reference), 0]))
    }

    /// Sets element `index`; false behind the end.
    ///
    /// # Panics
    /// `value` is not of the table's type.
    pub fn set(self, store: &mut Store, index: u64, value: Val) -> bool {
        let element = self.of(store.inner()).ty.element;
        let reference = store.inner().reference(value, element);
        let elements = &mut store.inner_mut().tables[self.index as usize].elements;
        let place = usize::try_from(index).ok().and_then(|index| elements.get_mut(index));
        place.map(|place| *place = reference).is_some()
    }

    /// Grows it by elements that are `init` and gives the size before; None if it cannot.
    ///
    /// # Panics
    /// `init` is not of the table's type.
    pub fn grow(self, store: &mut Store, delta: u64, init: Val) -> Option<u64> {
        let element = self.of(store.inner()).ty.element;
        let init = store.inner().reference(init, element);
        let inner = store.inner_mut();
        inner.tables[self.index as usize].grow(delta, init, &mut inner.budget)
    }

    fn of(self, inner: &StoreInner) -> &TableInner {
        inner.check_handle(self.store);
        &inner.tables[self.index as usize]
    }
}

impl StoreInner {
    /// The number of a reference that shall be an element of type `ty`.
    fn reference(&self, value: Val, ty: RefType) -> u32 {
        assert_eq!(value.ty(), ValType::from(ty), "the type of the table's elements");
        self.cell(value)[0] as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Limits;
    use crate::{Engine, ExternRef};

    #[test]
    fn growth_is_bounded_by_type_and_budget() {
        let mut store = Store::new(&Engine::default(), Box::new(()));
        store.set_limits(Limits { table_elements: 10, ..Limits::default() });
        let ty = TableType { element: RefType::Extern, minimum: 2, maximum: Some(6), is_64: false };
        let table = Table::new(&mut store, ty, Val::ExternRef(None)).expect("two of ten");
        let seven = Val::ExternRef(Some(ExternRef::new(&mut store, 7u32)));
        assert_eq!(table.grow(&mut store, 3, seven), Some(2));
        assert_eq!(table.grow(&mut store, 2, seven), None);
        assert_eq!(table.grow(&mut store, u64::MAX, seven), None);
        assert_eq!(table.get(&store, 1), Some(Val::ExternRef(None)));
        assert_eq!(table.get(&store, 4), Some(seven));
        assert_eq!(table.get(&store, 5), None);
        assert!(!table.set(&mut store, 5, seven));
        let unbounded = TableType { maximum: None, minimum: 0, ..ty };
        let other = Table::new(&mut store, unbounded, seven).expect("nothing yet");
        assert_eq!(other.grow(&mut store, u64::from(u32::MAX), seven), None);
        assert_eq!(other.grow(&mut store, 5, seven), Some(0));
        assert_eq!(other.grow(&mut store, 1, seven), None);
    }
}
