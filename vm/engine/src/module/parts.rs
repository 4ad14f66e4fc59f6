//! What a compiler reads of a module: types, index spaces, bodies.

use super::{ItemKind, Module};
use crate::types::{FuncType, GlobalType, MemoryType, TableType};

impl Module {
    /// Function types by type index.
    pub fn types(&self) -> &[FuncType] {
        &self.0.types
    }

    /// Type indices of all functions, imported ones first.
    pub fn function_types(&self) -> &[u32] {
        &self.0.functions
    }

    /// How many functions are imported.
    pub fn imported_functions(&self) -> u32 {
        self.0.imported.functions
    }

    /// How many globals are imported.
    pub fn imported_globals(&self) -> u32 {
        self.0.imported.globals
    }

    /// How many globals the module has, imported ones included.
    pub fn global_count(&self) -> usize {
        self.0.globals.len()
    }

    /// How many tables are imported.
    pub fn imported_tables(&self) -> u32 {
        self.0.imported.tables
    }

    /// The type of global `index`.
    pub fn global_type(&self, index: u32) -> Option<GlobalType> {
        self.0.globals.get(index as usize).map(|global| global.ty)
    }

    /// The type of table `index`.
    pub fn table_type(&self, index: u32) -> Option<TableType> {
        self.0.tables.get(index as usize).map(|table| table.ty)
    }

    /// The type of memory `index`.
    pub fn memory_type(&self, index: u32) -> Option<MemoryType> {
        self.0.memories.get(index as usize).copied()
    }

    /// The body of function `index`: declarations of locals, then operators. None if it is imported.
    pub fn body_bytes(&self, index: u32) -> Option<&[u8]> {
        self.0.body_span(index).map(|span| self.0.bytes.at(span))
    }

    /// Where the body of function `index` begins in the module; none if it is imported.
    pub fn body_offset(&self, index: u32) -> Option<u64> {
        self.0.body_span(index).map(|span| span.start as u64)
    }

    /// The function that is exported under `name`.
    pub fn exported_function(&self, name: &str) -> Option<u32> {
        let item = self.0.export(name)?;
        (item.kind == ItemKind::Func).then_some(item.index)
    }
}
