//! Making an instance: allocation, initial values, segments, in the specification's order.
//!
//! Spec: 4.5.4 (instantiation).

use brant_isa::Trap;
use std::sync::Arc;

use wasmparser::{BinaryReader, SectionLimited};

use super::{Extern, InstanceInner, SlotArray, VmBlock, elements_offset};
use crate::error::InstantiateError;
use crate::global::GlobalInner;
use crate::interp::icode_map::Icode;
use crate::memory::MemoryInner;
use crate::module::{ConstScope, ElementSegment, Module, ModuleInner, SegmentMode};
use crate::store::{LimitError, Resource, Stable, StoreInner};
use crate::table::TableInner;
use crate::vm::{FuncKind, FuncSlot, Vm, own_type};

/// What initial values can refer to.
pub(crate) struct Scope<'a> {
    pub cells: &'a [*mut u64],
    pub functions: &'a [*mut FuncSlot],
}

impl ConstScope for Scope<'_> {
    fn global(&self, index: u32) -> u128 {
        let Some(&cell) = self.cells.get(index as usize) else { return 0 };
        // SAFETY: cells live as long as the store, and no guest runs during instantiation.
        unsafe { u128::from(*cell) | u128::from(*cell.add(1)) << 64 }
    }
    fn function(&self, index: u32) -> u32 {
        // SAFETY: slots live as long as the store.
        self.functions.get(index as usize).map_or(0, |&slot| unsafe { (*slot).reference })
    }
}

/// Makes the instance, with everything but active segments, and gives its index.
pub fn allocate(
    store: &mut StoreInner, module: &Module, imports: &[Extern],
) -> Result<u32, LimitError> {
    let inner = module.inner();
    store.budget.take(Resource::Instances, 1)?;
    let passive = passive_elements(inner);
    let taken = store.budget.take(Resource::TableElements, passive);
    let made = taken.and_then(|()| {
        own_memories_and_tables(store, inner).inspect_err(|_| {
            store.budget.give_back(Resource::TableElements, passive);
        })
    });
    let (own_memories, own_tables) = made.inspect_err(|_| {
        store.budget.give_back(Resource::Instances, 1);
    })?;

    let index = store.instances.len() as u32;
    let block = VmBlock::new(inner);
    let vm = block.vm();

    let mut instance = InstanceInner {
        module: module.clone(),
        slots: own_slots(store, inner, vm),
        vm: Arc::new(block),
        functions: Box::default(),
        table_views: Box::default(),
        memory_views: Box::default(),
        cells: Box::default(),
        type_ids: inner.types.iter().map(|ty| store.types.id(ty)).collect(),
        tables: Box::default(),
        memories: Box::default(),
        globals: Box::default(),
        elements: Box::default(),
        data_dropped: vec![false; inner.data.len()].into(),
        icode: Icode::default(),
        native: Default::default(),
    };
    take_functions(store, &mut instance, imports);
    take_memories(store, &mut instance, imports, own_memories);
    take_globals(store, &mut instance, imports);
    take_tables(store, &mut instance, imports, own_tables);
    let scope = Scope { cells: &instance.cells, functions: &instance.functions };
    let passive = inner.elements.iter().map(|segment| match segment.mode {
        SegmentMode::Passive => references(inner, segment, &scope).collect(),
        _ => Box::default(),
    });
    instance.elements = passive.collect();

    // SAFETY: the block was just made and is nobody else's.
    let block = unsafe { &mut *vm };
    block.functions = store.functions.as_ptr();
    block.local_functions = instance.functions.as_ptr();
    block.tables = instance.table_views.as_ptr();
    block.memories = instance.memory_views.as_ptr();
    block.types = instance.type_ids.as_ptr();
    block.globals = instance.cells.as_ptr();
    block.stop_word = &raw const store.stopper.word;
    block.instance = index;
    fill_tail(&instance, index);
    store.publish_functions();
    store.instances.push(Stable::new(instance));
    Ok(index)
}

/// Fills what stands in the block behind the entries of functions.
fn fill_tail(instance: &InstanceInner, index: u32) {
    let module = instance.module.inner();
    // SAFETY: the block has a word for each type and for each table, and is nobody else's.
    unsafe {
        let elements = instance.vm().byte_add(elements_offset(module, 0));
        let types = elements.cast::<u64>().sub(instance.type_ids.len());
        for (i, &ty) in instance.type_ids.iter().enumerate() {
            types.add(i).write(own_type(ty, index));
        }
        for (i, &view) in instance.table_views.iter().enumerate() {
            elements.cast::<*mut u32>().add(i).write((*view).elements);
        }
    }
}

type Owned = (Vec<MemoryInner>, Vec<(TableInner, Option<crate::module::ConstExpr>)>);

/// Memories and tables that the module defines; if one cannot be had, all are given back.
fn own_memories_and_tables(
    store: &mut StoreInner, module: &ModuleInner,
) -> Result<Owned, LimitError> {
    let (mut memories, mut tables) = (Vec::new(), Vec::new());
    let mut make = || {
        for ty in &module.memories[module.imported.memories as usize..] {
            store.budget.take(Resource::Memories, 1)?;
            let memory = MemoryInner::new(*ty, store.engine.config(), &mut store.budget);
            memories.push(memory.inspect_err(|_| store.budget.give_back(Resource::Memories, 1))?);
        }
        for declared in &module.tables[module.imported.tables as usize..] {
            store.budget.take(Resource::Tables, 1)?;
            let table = TableInner::new(declared.ty, 0, &mut store.budget);
            let table = table.inspect_err(|_| store.budget.give_back(Resource::Tables, 1))?;
            tables.push((table, declared.init));
        }
        Ok(())
    };
    let made = make();
    if made.is_err() {
        for memory in &memories {
            store.budget.give_back(Resource::Memories, 1);
            store.budget.give_back(Resource::MemoryBytes, memory.view.len_bytes);
        }
        for (table, _) in &tables {
            store.budget.give_back(Resource::Tables, 1);
            store.budget.give_back(Resource::TableElements, table.elements().len() as u64);
        }
    }
    made.map(|()| (memories, tables))
}

/// How many elements passive segments have.
fn passive_elements(module: &ModuleInner) -> u64 {
    let passive = module.elements.iter().filter(|e| matches!(e.mode, SegmentMode::Passive));
    passive.map(|segment| u64::from(count(module, segment))).sum()
}

/// Slots of the functions that the module defines, not yet known to the store.
fn own_slots(store: &mut StoreInner, module: &ModuleInner, vm: *mut Vm) -> SlotArray {
    let first = store.functions.next_reference();
    let ids: Vec<u32> = module.types.iter().map(|ty| store.types.id(ty)).collect();
    let own = module.functions.iter().enumerate().skip(module.imported.functions as usize);
    let code = crate::interp::stubs::untranslated();
    let instance = store.instances.len() as u32;
    let slots = own.zip(first..).map(|((index, &ty), reference)| FuncSlot {
        code,
        vm,
        ty: ids[ty as usize],
        instance,
        index: index as u32,
        reference,
        frame_bytes: 0,
        kind: FuncKind::Guest,
        icode: std::ptr::null(),
        native: crate::native::stubs::call_out as *const u8,
    });
    SlotArray::new(slots.collect())
}

fn take_functions(store: &mut StoreInner, instance: &mut InstanceInner, imports: &[Extern]) {
    let module = instance.module.inner();
    let own = module.functions.len() - module.imported.functions as usize;
    let mut functions = Vec::with_capacity(module.functions.len());
    let imported = imports.iter().filter_map(|given| given.func());
    functions.extend(imported.map(|func| store.functions.slot(func.reference)));
    store.functions.reserve(own);
    for index in 0..own {
        let slot = instance.slots.slot(index);
        store.functions.push(slot);
        functions.push(slot);
    }
    instance.functions = functions.into();
}

fn take_memories(
    store: &mut StoreInner, instance: &mut InstanceInner, imports: &[Extern], own: Vec<MemoryInner>,
) {
    let imported = imports.iter().filter_map(|given| given.memory());
    let mut indices: Vec<u32> = imported.map(|memory| memory.index).collect();
    for memory in own {
        indices.push(store.add_memory(memory));
    }
    let memories = &mut store.memories;
    // SAFETY: the address of a field of a value that stays where it is.
    let view = |&index: &u32| unsafe { &raw mut (*memories[index as usize].as_ptr()).view };
    instance.memory_views = indices.iter().map(view).collect();
    let vm = instance.vm();
    match indices.first() {
        Some(&first) => memories[first as usize].mirror_in(vm),
        // SAFETY: the block is this instance's own.
        None => unsafe { (*vm).mem0 = std::ptr::dangling_mut() },
    }
    instance.memories = indices.into();
}

/// Globals see imported ones and those before them.
fn take_globals(store: &mut StoreInner, instance: &mut InstanceInner, imports: &[Extern]) {
    let imported = imports.iter().filter_map(|given| given.global());
    let mut indices: Vec<u32> = imported.map(|global| global.index).collect();
    let mut cells: Vec<_> = indices.iter().map(|&i| store.globals[i as usize].cell).collect();
    let module = instance.module.inner();
    for (own, declared) in module.globals[indices.len()..].iter().enumerate() {
        let offset = Vm::global_offset(own as u32) as usize;
        // SAFETY: the block has a cell for each global that the module defines.
        let cell = unsafe { instance.vm().byte_add(offset).cast::<u64>() };
        let scope = Scope { cells: &cells, functions: &instance.functions };
        let value = declared.init.map_or(0, |init| init.value(module, &scope));
        let mut global = GlobalInner::in_instance(declared.ty, cell);
        global.set_bits([value as u64, (value >> 64) as u64]);
        cells.push(cell);
        indices.push(store.globals.len() as u32);
        store.globals.push(global);
    }
    instance.cells = cells.into();
    instance.globals = indices.into();
}

fn take_tables(
    store: &mut StoreInner, instance: &mut InstanceInner, imports: &[Extern],
    own: Vec<(TableInner, Option<crate::module::ConstExpr>)>,
) {
    let imported = imports.iter().filter_map(|given| given.table());
    let mut indices: Vec<u32> = imported.map(|table| table.index).collect();
    let scope = Scope { cells: &instance.cells, functions: &instance.functions };
    for (mut table, init) in own {
        if let Some(init) = init {
            table.elements_mut().fill(init.value(instance.module.inner(), &scope) as u32);
        }
        indices.push(store.tables.len() as u32);
        store.tables.push(Stable::new(table));
    }
    // SAFETY: the address of a field of a value that stays where it is.
    let view = |&index: &u32| unsafe { &raw mut (*store.tables[index as usize].as_ptr()).view };
    instance.table_views = indices.iter().map(view).collect();
    instance.tables = indices.into();
}

/// How many elements a segment has: the number in front of its items.
fn count(module: &ModuleInner, segment: &ElementSegment) -> u32 {
    BinaryReader::new(module.bytes.at(segment.items), 0).read_var_u32().unwrap_or(0)
}

/// The references of a segment.
fn references<'a>(
    module: &'a ModuleInner, segment: &ElementSegment, scope: &'a Scope<'a>,
) -> Box<dyn Iterator<Item = u32> + 'a> {
    let features = module.engine.config().features;
    let bytes = module.bytes.at(segment.items);
    let reader = BinaryReader::new_features(bytes, u64::from(segment.items.start), features);
    if segment.are_expressions {
        let items = SectionLimited::<wasmparser::ConstExpr<'a>>::new(reader);
        let items = items.into_iter().flatten().flatten();
        Box::new(
            items.map(move |item| crate::module::evaluate(item.get_binary_reader(), scope) as u32),
        )
    } else {
        let items = SectionLimited::<u32>::new(reader).into_iter().flatten().flatten();
        Box::new(items.map(move |index| scope.function(index)))
    }
}

/// Writes active segments: elements first, each kind in its order.
pub fn write_segments(store: &mut StoreInner, index: u32) -> Result<(), InstantiateError> {
    write_elements(store, index)?;
    write_data(store, index)?;
    Ok(())
}

fn write_elements(store: &mut StoreInner, index: u32) -> Result<(), Trap> {
    let StoreInner { instances, tables, .. } = store;
    let instance = &instances[index as usize];
    let module = instance.module.inner();
    let scope = Scope { cells: &instance.cells, functions: &instance.functions };
    for segment in &module.elements {
        let SegmentMode::Active { index, offset } = segment.mode else { continue };
        let table = &mut tables[instance.tables[index as usize] as usize];
        let from = offset.value(module, &scope) as u64;
        let end = from.checked_add(u64::from(count(module, segment)));
        let len = table.elements().len() as u64;
        let end = end.filter(|&end| end <= len).ok_or(Trap::OutOfBoundsTableAccess)?;
        let places = &mut table.elements_mut()[from as usize..end as usize];
        for (place, reference) in places.iter_mut().zip(references(module, segment, &scope)) {
            *place = reference;
        }
    }
    Ok(())
}

/// Zero pages of a fresh memory are not written, so that the host does not have to provide them.
const PAGE_BYTES: usize = 4096;

fn write_data(store: &mut StoreInner, index: u32) -> Result<(), Trap> {
    let StoreInner { instances, memories, joins_memories, .. } = store;
    let instance = &mut instances[index as usize];
    let module = instance.module.clone();
    let module = module.inner();
    // Up to here own memories may have been written; behind it they are fresh.
    let mut written_bytes = vec![0usize; instance.memories.len()];
    for (at, segment) in module.data.iter().enumerate() {
        let SegmentMode::Active { index, offset } = segment.mode else { continue };
        let scope = Scope { cells: &instance.cells, functions: &instance.functions };
        let memory = &mut memories[instance.memories[index as usize] as usize];
        if *joins_memories && memory.shared().is_some() {
            instance.data_dropped[at] = true;
            continue;
        }
        let data = module.bytes.at(segment.bytes);
        let from = offset.value(module, &scope) as u64;
        let end = from.checked_add(data.len() as u64);
        let end = end.filter(|&end| end <= memory.view.len_bytes);
        let end = end.ok_or(Trap::OutOfBoundsMemoryAccess)? as usize;
        let is_own = index >= module.imported.memories;
        let fresh_from = if is_own { written_bytes[index as usize] } else { usize::MAX };
        write_nonzero(&mut memory.bytes_mut()[..end], from as usize, data, fresh_from);
        written_bytes[index as usize] = written_bytes[index as usize].max(end);
        instance.data_dropped[at] = true;
    }
    Ok(())
}

/// Writes `data` to `memory` from `from` on, but for pages of zeros behind `fresh_from`.
fn write_nonzero(memory: &mut [u8], from: usize, data: &[u8], fresh_from: usize) {
    let (mut at, mut rest) = (from, data);
    while !rest.is_empty() {
        let step = (PAGE_BYTES - at % PAGE_BYTES).min(rest.len());
        let (chunk, behind) = rest.split_at(step);
        if at < fresh_from || chunk.iter().any(|&byte| byte != 0) {
            memory[at..at + step].copy_from_slice(chunk);
        }
        (at, rest) = (at + step, behind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_zeros_are_written_only_over_what_was_written() {
        let mut memory = vec![1u8; 3 * PAGE_BYTES];
        let mut data = vec![0u8; 2 * PAGE_BYTES + 10];
        data[PAGE_BYTES] = 7;
        write_nonzero(&mut memory, 5, &data, 0);
        assert_eq!(memory[5], 1, "the first page is zero and fresh");
        assert_eq!(memory[PAGE_BYTES + 5], 7);
        write_nonzero(&mut memory, 5, &data, 6);
        assert_eq!(memory[4..7], [1, 0, 0], "the first page was written before");
    }
}
