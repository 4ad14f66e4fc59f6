//! From bytes to the index of a module: one pass over the sections.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use wasmparser::{
    DataKind, ElementItems, ElementKind, ExternalKind, FuncValidatorAllocations, Parser, Payload,
    TypeRef, ValidPayload, Validator,
};

use super::{
    ConstExpr, CustomItem, DataSegment, ElementSegment, ExportItem, GlobalDecl, ImportItem,
    ItemKind, MAX_MODULE_BYTES, ModuleBytes, ModuleError, ModuleInner, SegmentMode, Span,
    TableDecl,
};
use crate::config::Engine;
use crate::types::{FuncType, GlobalType, MemoryType, RefType, TableType, ValType};

/// When bodies are validated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// With the rest of the module.
    Now,
    /// Each one before its function first runs.
    BeforeTheyRun,
}

/// Validates `bytes` and writes down where everything is.
pub fn build(
    engine: &Engine, bytes: ModuleBytes, bodies: Bodies,
) -> Result<ModuleInner, ModuleError> {
    let holder = bytes.clone();
    let all = holder.as_slice();
    if all.len() > MAX_MODULE_BYTES {
        return Err(ModuleError::TooLarge(all.len()));
    }
    let features = engine.config().features;
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut allocations = FuncValidatorAllocations::default();
    let mut module = empty(engine, bytes);
    for payload in parser.parse_all(all) {
        let payload = payload?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, body) => {
                if module.resources.is_none() {
                    module.resources = Some(function.resources.clone());
                }
                if bodies == Bodies::Now {
                    let mut validator = function.into_validator(allocations);
                    validator.validate(&body)?;
                    allocations = validator.into_allocations();
                }
                module.bodies.push(Span::new(body.range()));
            }
            _ => section(&mut module, all, payload)?,
        }
    }
    if bodies == Bodies::BeforeTheyRun {
        module.validated = module.bodies.iter().map(|_| AtomicBool::new(false)).collect();
    }
    Ok(module)
}

fn empty(engine: &Engine, bytes: ModuleBytes) -> ModuleInner {
    ModuleInner {
        engine: engine.clone(),
        bytes,
        types: Vec::new(),
        imports: Vec::new(),
        functions: Vec::new(),
        tables: Vec::new(),
        memories: Vec::new(),
        globals: Vec::new(),
        imported: Default::default(),
        exports: Vec::new(),
        exports_by_name: OnceLock::new(),
        start: None,
        elements: Vec::new(),
        data: Vec::new(),
        bodies: Vec::new(),
        code_start: 0,
        custom: Vec::new(),
        names: OnceLock::new(),
        sites: Default::default(),
        shapes: Default::default(),
        native_code: Default::default(),
        libraries: Default::default(),
        hash: OnceLock::new(),
        identity: OnceLock::new(),
        code_hash: OnceLock::new(),
        resources: None,
        validated: Box::default(),
    }
}

/// Takes what a section has, which the validator has seen.
fn section(module: &mut ModuleInner, all: &[u8], payload: Payload<'_>) -> Result<(), ModuleError> {
    match payload {
        Payload::TypeSection(reader) => {
            for ty in reader.into_iter_err_on_gc_types() {
                module.types.push(func_type(&ty?)?);
            }
        }
        Payload::ImportSection(reader) => {
            for import in reader.into_imports() {
                take_import(module, all, import?)?;
            }
        }
        Payload::FunctionSection(reader) => {
            for ty in reader {
                module.functions.push(ty?);
            }
        }
        Payload::TableSection(reader) => {
            for table in reader {
                let table = table?;
                let init = match &table.init {
                    wasmparser::TableInit::RefNull => None,
                    wasmparser::TableInit::Expr(expr) => Some(ConstExpr::new(expr)),
                };
                module.tables.push(TableDecl { ty: table_type(&table.ty)?, init });
            }
        }
        Payload::MemorySection(reader) => {
            for memory in reader {
                module.memories.push(memory_type(&memory?)?);
            }
        }
        Payload::GlobalSection(reader) => {
            for global in reader {
                let global = global?;
                let init = Some(ConstExpr::new(&global.init_expr));
                module.globals.push(GlobalDecl { ty: global_type(&global.ty)?, init });
            }
        }
        Payload::ExportSection(reader) => {
            for export in reader {
                let export = export?;
                let kind = match export.kind {
                    ExternalKind::Func | ExternalKind::FuncExact => ItemKind::Func,
                    ExternalKind::Table => ItemKind::Table,
                    ExternalKind::Memory => ItemKind::Memory,
                    ExternalKind::Global => ItemKind::Global,
                    ExternalKind::Tag => return Err(unsupported("tags")),
                };
                let name = Span::of(export.name.as_bytes(), all);
                module.exports.push(ExportItem { name, kind, index: export.index });
            }
        }
        Payload::StartSection { func, .. } => module.start = Some(func),
        Payload::ElementSection(reader) => {
            for element in reader {
                let element = element?;
                module.elements.push(element_segment(all, &element)?);
            }
        }
        Payload::DataSection(reader) => {
            for data in reader {
                let data = data?;
                let mode = match &data.kind {
                    DataKind::Passive => SegmentMode::Passive,
                    DataKind::Active { memory_index, offset_expr } => SegmentMode::Active {
                        index: *memory_index,
                        offset: ConstExpr::new(offset_expr),
                    },
                };
                module.data.push(DataSegment { mode, bytes: Span::of(data.data, all) });
            }
        }
        Payload::CodeSectionStart { unchecked_range, .. } => {
            module.code_start = unchecked_range.start as u32;
            module
                .bodies
                .reserve_exact(module.functions.len() - module.imported.functions as usize);
        }
        Payload::CustomSection(reader) => {
            let name = Span::of(reader.name().as_bytes(), all);
            module.custom.push(CustomItem { name, data: Span::of(reader.data(), all) });
        }
        _ => {}
    }
    Ok(())
}

fn take_import(
    module: &mut ModuleInner, all: &[u8], import: wasmparser::Import<'_>,
) -> Result<(), ModuleError> {
    let counts = &mut module.imported;
    let (kind, count) = match import.ty {
        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
            module.functions.push(ty);
            (ItemKind::Func, &mut counts.functions)
        }
        TypeRef::Table(ty) => {
            module.tables.push(TableDecl { ty: table_type(&ty)?, init: None });
            (ItemKind::Table, &mut counts.tables)
        }
        TypeRef::Memory(ty) => {
            module.memories.push(memory_type(&ty)?);
            (ItemKind::Memory, &mut counts.memories)
        }
        TypeRef::Global(ty) => {
            module.globals.push(GlobalDecl { ty: global_type(&ty)?, init: None });
            (ItemKind::Global, &mut counts.globals)
        }
        TypeRef::Tag(_) => return Err(unsupported("tags")),
    };
    let index = *count;
    *count += 1;
    let span = |text: &str| Span::of(text.as_bytes(), all);
    let (first, name) = (span(import.module), span(import.name));
    module.imports.push(ImportItem { module: first, name, kind, index });
    Ok(())
}

fn element_segment(
    all: &[u8], element: &wasmparser::Element<'_>,
) -> Result<ElementSegment, ModuleError> {
    let mode = match &element.kind {
        ElementKind::Passive => SegmentMode::Passive,
        ElementKind::Declared => SegmentMode::Declared,
        ElementKind::Active { table_index, offset_expr } => SegmentMode::Active {
            index: table_index.unwrap_or(0),
            offset: ConstExpr::new(offset_expr),
        },
    };
    let (items, are_expressions) = match &element.items {
        ElementItems::Functions(items) => (items.range(), false),
        ElementItems::Expressions(ty, items) => {
            RefType::from_parsed(*ty).ok_or(unsupported("this type of reference"))?;
            (items.range(), true)
        }
    };
    debug_assert!(items.end as usize <= all.len(), "items lie in the module");
    Ok(ElementSegment { mode, items: Span::new(items), are_expressions })
}

fn unsupported(what: &'static str) -> ModuleError {
    ModuleError::Unsupported { what, offset: 0 }
}

fn val_type(ty: wasmparser::ValType) -> Result<ValType, ModuleError> {
    ValType::from_parsed(ty).ok_or(unsupported("this type of value"))
}

fn func_type(ty: &wasmparser::FuncType) -> Result<FuncType, ModuleError> {
    let all = |types: &[wasmparser::ValType]| {
        types.iter().map(|&ty| val_type(ty)).collect::<Result<Vec<_>, _>>()
    };
    Ok(FuncType::new(all(ty.params())?, all(ty.results())?))
}

fn table_type(ty: &wasmparser::TableType) -> Result<TableType, ModuleError> {
    let element =
        RefType::from_parsed(ty.element_type).ok_or(unsupported("this type of reference"))?;
    Ok(TableType { element, minimum: ty.initial, maximum: ty.maximum, is_64: ty.table64 })
}

fn memory_type(ty: &wasmparser::MemoryType) -> Result<MemoryType, ModuleError> {
    if ty.page_size_log2.is_some() {
        return Err(unsupported("pages of other sizes"));
    }
    Ok(MemoryType {
        minimum_wasm_pages: ty.initial,
        maximum_wasm_pages: ty.maximum,
        is_64: ty.memory64,
        is_shared: ty.shared,
    })
}

fn global_type(ty: &wasmparser::GlobalType) -> Result<GlobalType, ModuleError> {
    if ty.shared {
        return Err(unsupported("shared globals"));
    }
    Ok(GlobalType { value: val_type(ty.content_type)?, is_mutable: ty.mutable })
}
