//! Instances: a module with its own globals, memories and tables, linked to those of others.

mod init;
mod link;

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;

pub(crate) use init::Scope;

use crate::error::InstantiateError;
use crate::func::Func;
use crate::global::Global;
use crate::interp::icode_map::Icode;
use crate::memory::Memory;
use crate::module::{ItemKind, Module, ModuleInner};
use crate::native::tier::{self, NativeInstance};
use crate::store::{Store, StoreInner};
use crate::table::Table;
use crate::types::ExternType;
use crate::vm::{FuncSlot, MemoryView, TableView, Vm};

/// An instance of a module in a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    pub(crate) store: u64,
    pub(crate) index: u32,
}

/// Something that modules can offer and ask for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A table.
    Table(Table),
    /// A memory.
    Memory(Memory),
    /// A global.
    Global(Global),
}

/// The content of an instance. Arrays whose addresses are in the block never change their length.
pub(crate) struct InstanceInner {
    pub module: Module,
    vm: Arc<VmBlock>,
    /// Slots of the module's own functions.
    pub slots: SlotArray,
    /// Slots of all functions by index of the module, imported ones first.
    pub functions: Box<[*mut FuncSlot]>,
    /// What handlers see of tables and memories, by index of the module.
    pub table_views: Box<[*mut TableView]>,
    pub memory_views: Box<[*mut MemoryView]>,
    /// Cells of all globals by index of the module.
    pub cells: Box<[*mut u64]>,
    /// Canonical type ids by type index of the module.
    pub type_ids: Box<[u32]>,
    /// Indices in the store, by index of the module.
    pub tables: Box<[u32]>,
    pub memories: Box<[u32]>,
    pub globals: Box<[u32]>,
    /// References of passive element segments; empty once dropped.
    pub elements: Box<[Box<[u32]>]>,
    /// Whether a data segment is dropped.
    pub data_dropped: Box<[bool]>,
    /// What the interpreter has made of its functions so far.
    pub icode: Icode,
    /// What it has of compiled code.
    pub native: NativeInstance,
}

impl InstanceInner {
    /// The block that handlers see.
    pub fn vm(&self) -> *mut Vm {
        self.vm.vm()
    }

    /// The block, to share.
    pub fn block(&self) -> Arc<VmBlock> {
        self.vm.clone()
    }
}

/// The memory of a [`Vm`] and the cells behind it. Shared with those who stop its guest.
#[derive(Debug)]
pub(crate) struct VmBlock(NonNull<Vm>, Layout);

/// Where the block of an instance of `module` has the address of a table's elements.
pub(crate) fn elements_offset(module: &ModuleInner, table: usize) -> usize {
    let globals_count = module.globals.len() - module.imported.globals as usize;
    let (functions_count, types_count) = (module.functions.len(), module.types.len());
    Vm::elements_offset(globals_count, functions_count, types_count, table)
}

impl VmBlock {
    /// A zeroed block for an instance of `module`. The entries of functions take no memory before they
    /// are written.
    pub fn new(module: &ModuleInner) -> Self {
        let bytes = elements_offset(module, module.tables.len());
        let layout =
            Layout::from_size_align(bytes, align_of::<Vm>()).expect("less than 2^63 bytes");
        // SAFETY: the layout is not empty. Zero is a value of all fields of `Vm`.
        let block = unsafe { alloc_zeroed(layout) };
        let Some(block) = NonNull::new(block.cast()) else { handle_alloc_error(layout) };
        Self(block, layout)
    }

    /// The block.
    pub fn vm(&self) -> *mut Vm {
        self.0.as_ptr()
    }
}

// SAFETY: the memory is owned; those who share it use atomic fields of it alone.
unsafe impl Send for VmBlock {}
// SAFETY: as above.
unsafe impl Sync for VmBlock {}

impl Drop for VmBlock {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout; a `Vm` has nothing to drop.
        unsafe { dealloc(self.0.as_ptr().cast(), self.1) };
    }
}

/// Slots at fixed addresses. A `Box` would claim that handlers do not change them.
pub(crate) struct SlotArray {
    first: *mut FuncSlot,
    count: usize,
}

impl SlotArray {
    /// Moves `slots` to their place.
    pub fn new(slots: Vec<FuncSlot>) -> Self {
        let slots = Box::leak(slots.into_boxed_slice());
        Self { first: slots.as_mut_ptr(), count: slots.len() }
    }

    /// The slot of own function `index`.
    pub fn slot(&self, index: usize) -> *mut FuncSlot {
        assert!(index < self.count, "an own function");
        // SAFETY: just checked.
        unsafe { self.first.add(index) }
    }
}

impl Drop for SlotArray {
    fn drop(&mut self) {
        let slots = std::ptr::slice_from_raw_parts_mut(self.first, self.count);
        // SAFETY: `new` leaked this box.
        drop(unsafe { Box::from_raw(slots) });
    }
}

impl Instance {
    /// Links `module` with `imports`, which are in the order of the module's own, and writes its
    /// active segments. The start function is left to the caller: [`Instance::start`].
    ///
    /// # Errors
    /// An import is missing or does not fit, a limit is reached, or a segment does not fit.
    pub fn new(
        store: &mut Store, module: &Module, imports: &[Extern],
    ) -> Result<Self, InstantiateError> {
        let inner = store.inner_mut();
        link::check(inner, module, imports)?;
        let index = init::allocate(inner, module, imports)?;
        init::write_segments(inner, index)?;
        tier::begin(inner, index);
        Ok(Self { store: inner.id, index })
    }

    /// The function that has to run before all others, if there is one.
    pub fn start(self, store: &Store) -> Option<Func> {
        let start = self.of(store.inner()).module.inner().start?;
        Some(self.func(store.inner(), start))
    }

    /// Its module.
    pub fn module(self, store: &Store) -> &Module {
        &self.of(store.inner()).module
    }

    /// What it offers under `name`.
    pub fn export(self, store: &Store, name: &str) -> Option<Extern> {
        let inner = store.inner();
        let item = self.of(inner).module.inner().export(name)?;
        Some(self.item(inner, item.kind, item.index))
    }

    /// Everything it offers, in the module's order.
    pub fn exports(self, store: &Store) -> impl ExactSizeIterator<Item = (&str, Extern)> {
        let inner = store.inner();
        let module = self.of(inner).module.inner();
        module.exports.iter().map(move |item| {
            (module.bytes.text(item.name), self.item(inner, item.kind, item.index))
        })
    }

    /// Memory `index` of its module, imported or not, exported or not.
    pub fn memory(self, store: &Store, index: u32) -> Option<Memory> {
        let index = *self.of(store.inner()).memories.get(index as usize)?;
        Some(Memory { store: self.store, index })
    }

    fn item(self, inner: &StoreInner, kind: ItemKind, index: u32) -> Extern {
        let (store, instance, at) = (self.store, self.of(inner), index as usize);
        match kind {
            ItemKind::Func => Extern::Func(self.func(inner, index)),
            ItemKind::Table => Extern::Table(Table { store, index: instance.tables[at] }),
            ItemKind::Memory => Extern::Memory(Memory { store, index: instance.memories[at] }),
            ItemKind::Global => Extern::Global(Global { store, index: instance.globals[at] }),
        }
    }

    fn func(self, inner: &StoreInner, index: u32) -> Func {
        let slot = self.of(inner).functions[index as usize];
        // SAFETY: slots live as long as the store.
        Func { store: self.store, reference: unsafe { (*slot).reference } }
    }

    fn of(self, inner: &StoreInner) -> &InstanceInner {
        inner.check_handle(self.store);
        &inner.instances[self.index as usize]
    }
}

impl Extern {
    /// Its type. Memories and tables have their present size as the minimum.
    pub fn ty(self, store: &Store) -> ExternType {
        link::extern_type(store.inner(), self)
    }

    /// The function, if it is one.
    pub fn func(self) -> Option<Func> {
        if let Self::Func(func) = self { Some(func) } else { None }
    }

    /// The memory, if it is one.
    pub fn memory(self) -> Option<Memory> {
        if let Self::Memory(memory) = self { Some(memory) } else { None }
    }

    /// The table, if it is one.
    pub fn table(self) -> Option<Table> {
        if let Self::Table(table) = self { Some(table) } else { None }
    }

    /// The global, if it is one.
    pub fn global(self) -> Option<Global> {
        if let Self::Global(global) = self { Some(global) } else { None }
    }
}

#[cfg(test)]
mod tests;
