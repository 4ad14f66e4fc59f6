//! Modules: validated, immutable, shared by all instances.
//!
//! A module keeps its bytes and an index of what stands where; names, segments and bodies are read
//! from the bytes when they are needed. It knows no store and no address.

mod build;
mod bytes;
mod const_expr;
mod custom;
mod error;
mod mapped;
mod parts;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use wasmparser::{
    BinaryReader, FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody,
    ValidatorResources,
};

pub use bytes::{MAX_MODULE_BYTES, ModuleBytes, Span};
pub use const_expr::ConstExpr;
pub(crate) use const_expr::{ConstScope, evaluate};
pub use custom::CustomSection;
pub(crate) use custom::Names;
pub use error::ModuleError;
pub use mapped::FileBytes;

use crate::compile::{Entry, Options};
use crate::config::Engine;
use crate::native::code::NativeCode;
use crate::site::{Shape, SiteId, Sites};
use crate::stored::{Identity, Libraries};
use crate::types::{ExternType, FuncType, GlobalType, MemoryType, TableType};

/// A validated module. A copy is the same module.
#[derive(Clone, Debug)]
pub struct Module(Arc<ModuleInner>);

/// What a module is made of.
pub(crate) struct ModuleInner {
    pub engine: Engine,
    pub bytes: ModuleBytes,
    /// Function types by type index.
    pub types: Vec<FuncType>,
    pub imports: Vec<ImportItem>,
    /// Type indices of all functions, imported ones first. So are the three behind it.
    pub functions: Vec<u32>,
    pub tables: Vec<TableDecl>,
    pub memories: Vec<MemoryType>,
    pub globals: Vec<GlobalDecl>,
    pub imported: ImportedCounts,
    pub exports: Vec<ExportItem>,
    /// Indices into `exports` by ascending name, made when somebody looks for one.
    exports_by_name: OnceLock<Box<[u32]>>,
    pub start: Option<u32>,
    pub elements: Vec<ElementSegment>,
    pub data: Vec<DataSegment>,
    /// Bodies of the module's own functions.
    bodies: Vec<Span>,
    /// Where the contents of the code section begin: what offsets in DWARF are counted from.
    pub code_start: u32,
    pub custom: Vec<CustomItem>,
    names: OnceLock<Names>,
    /// Sites of the functions that somebody asked about.
    sites: Mutex<HashMap<u32, Arc<Sites>>>,
    /// Shapes of the sites at which compiled code was stopped.
    shapes: Mutex<HashMap<(u32, SiteId), Arc<Shape>>>,
    native_code: Mutex<NativeCodes>,
    /// What is stored of it.
    pub libraries: Libraries,
    hash: OnceLock<[u8; 32]>,
    /// The file that it was read from.
    identity: OnceLock<Identity>,
    /// The hash that code is stored under: that of the bytes, or what is known of the file.
    code_hash: OnceLock<[u8; 32]>,
    /// What the validator knows of the module, for bodies that are validated later.
    resources: Option<ValidatorResources>,
    /// Whether the body was found to be valid; empty if all were at the start.
    validated: Box<[AtomicBool]>,
}

/// Compiled code of a module, by function, entry and what it relies on.
type NativeCodes = HashMap<(u32, Entry, Options), Arc<NativeCode>>;

/// How many of each kind are imported: they come first in the index spaces.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct ImportedCounts {
    pub functions: u32,
    pub tables: u32,
    pub memories: u32,
    pub globals: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct ImportItem {
    pub module: Span,
    pub name: Span,
    pub kind: ItemKind,
    /// Its index among all of its kind.
    pub index: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ExportItem {
    pub name: Span,
    pub kind: ItemKind,
    pub index: u32,
}

/// What crosses a module's border.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ItemKind {
    Func,
    Table,
    Memory,
    Global,
}

#[derive(Clone, Debug)]
pub(crate) struct TableDecl {
    pub ty: TableType,
    /// What elements are at the start, if not null.
    pub init: Option<ConstExpr>,
}

#[derive(Clone, Debug)]
pub(crate) struct GlobalDecl {
    pub ty: GlobalType,
    /// None for imported ones.
    pub init: Option<ConstExpr>,
}

/// What becomes of a segment at instantiation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SegmentMode {
    /// Written to the table or memory of this index.
    Active { index: u32, offset: ConstExpr },
    /// Kept for instructions.
    Passive,
    /// Names functions that `ref.func` may refer to; dropped at once.
    Declared,
}

#[derive(Clone, Debug)]
pub(crate) struct ElementSegment {
    pub mode: SegmentMode,
    /// The items with their count in front.
    pub items: Span,
    pub are_expressions: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct DataSegment {
    pub mode: SegmentMode,
    pub bytes: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct CustomItem {
    pub name: Span,
    pub data: Span,
}

/// Something that a module asks for.
#[derive(Clone, Debug)]
pub struct ImportType<'a> {
    /// The first name.
    pub module: &'a str,
    /// The second name.
    pub name: &'a str,
    /// What it has to be.
    pub ty: ExternType,
}

/// Something that a module offers.
#[derive(Clone, Debug)]
pub struct ExportType<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub ty: ExternType,
}

impl Module {
    /// Validates everything.
    ///
    /// # Errors
    /// The first thing that is not valid.
    pub fn new(engine: &Engine, bytes: impl Into<ModuleBytes>) -> Result<Self, ModuleError> {
        Self::build(engine, bytes.into(), build::Bodies::Now)
    }

    /// Validates all but the bodies; each body is validated before it first runs.
    ///
    /// # Errors
    /// The first thing outside of bodies that is not valid.
    pub fn lazy(engine: &Engine, bytes: impl Into<ModuleBytes>) -> Result<Self, ModuleError> {
        Self::build(engine, bytes.into(), build::Bodies::BeforeTheyRun)
    }

    fn build(
        engine: &Engine, bytes: ModuleBytes, bodies: build::Bodies,
    ) -> Result<Self, ModuleError> {
        Ok(Self(Arc::new(build::build(engine, bytes, bodies)?)))
    }

    /// Validates the bodies that were not validated yet.
    ///
    /// # Errors
    /// The first body that is not valid.
    pub fn validate_bodies(&self) -> Result<(), ModuleError> {
        let mut allocations = FuncValidatorAllocations::default();
        for body in 0..self.0.bodies.len() as u32 {
            self.0.validate_body(self.0.imported.functions + body, &mut allocations)?;
        }
        Ok(())
    }

    /// Validates the body of function `index`, if that was not done yet.
    ///
    /// # Errors
    /// What is not valid in it.
    pub fn validate_body(&self, index: u32) -> Result<(), ModuleError> {
        self.0.validate_body(index, &mut FuncValidatorAllocations::default())
    }

    /// The engine that it was made for.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The bytes that it was made from.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes.as_slice()
    }

    /// The bytes that it was made from, to be kept without being copied.
    pub fn shared_bytes(&self) -> ModuleBytes {
        self.0.bytes.clone()
    }

    /// The BLAKE3 hash of its bytes: its identity. Computed at the first call.
    pub fn hash(&self) -> [u8; 32] {
        *self.0.hash.get_or_init(|| *blake3::hash(self.bytes()).as_bytes())
    }

    /// Says which file it was made from, unchanged: compiled code that is stored for the file is then
    /// found without a look at all of its bytes.
    pub fn set_identity(&self, identity: Identity) {
        // The first word holds.
        let _ = self.0.identity.set(identity);
    }

    /// The hash under which code is stored, if it is known without much work.
    pub(crate) fn known_code_hash(&self) -> Option<[u8; 32]> {
        let known = self.0.code_hash.get().or_else(|| self.0.hash.get());
        if let Some(&hash) = known {
            return Some(hash);
        }
        let store = self.0.engine.config().code_store.as_ref()?;
        let hash = store.hash_of(self.0.identity.get()?)?;
        Some(*self.0.code_hash.get_or_init(|| hash))
    }

    /// The hash under which code is stored.
    pub(crate) fn code_hash(&self) -> [u8; 32] {
        if let Some(hash) = self.known_code_hash() {
            return hash;
        }
        let hash = self.hash();
        if let (Some(store), Some(identity)) =
            (&self.0.engine.config().code_store, self.0.identity.get())
        {
            store.keep_hash(identity, &hash);
        }
        hash
    }

    /// What it asks for, in its order.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = ImportType<'_>> {
        self.0.imports.iter().map(|item| ImportType {
            module: self.0.bytes.text(item.module),
            name: self.0.bytes.text(item.name),
            ty: self.0.extern_type(item.kind, item.index),
        })
    }

    /// What it offers, in its order.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> {
        self.0.exports.iter().map(|item| ExportType {
            name: self.0.bytes.text(item.name),
            ty: self.0.extern_type(item.kind, item.index),
        })
    }

    /// The type of what it offers under `name`.
    pub fn export(&self, name: &str) -> Option<ExternType> {
        let item = self.0.export(name)?;
        Some(self.0.extern_type(item.kind, item.index))
    }

    /// Its name, from its name section.
    pub fn name(&self) -> Option<&str> {
        self.0.names().module.map(|span| self.0.bytes.text(span))
    }

    /// The name of function `index`, from the name section, else from its import or export.
    pub fn function_name(&self, index: u32) -> Option<&str> {
        self.0.function_name(index)
    }

    /// How many functions there are, imported ones included.
    pub fn function_count(&self) -> usize {
        self.0.functions.len()
    }

    /// Its custom sections, in their order.
    pub fn custom_sections(&self) -> impl ExactSizeIterator<Item = CustomSection<'_>> {
        self.0.custom.iter().map(|item| CustomSection {
            name: self.0.bytes.text(item.name),
            data: self.0.bytes.at(item.data),
        })
    }

    pub(crate) fn inner(&self) -> &Arc<ModuleInner> {
        &self.0
    }
}

impl ModuleInner {
    /// The type of function `index`.
    pub fn function_type(&self, index: u32) -> &FuncType {
        &self.types[self.functions[index as usize] as usize]
    }

    /// Where the body of function `index` is: locals and operators. None if it is imported.
    pub fn body_span(&self, index: u32) -> Option<Span> {
        let own = index.checked_sub(self.imported.functions)?;
        self.bodies.get(own as usize).copied()
    }

    /// The body of function `index`, which is not imported.
    pub fn body(&self, index: u32) -> FunctionBody<'_> {
        let span = self.body_span(index).unwrap_or_default();
        let features = self.engine.config().features;
        let bytes = self.bytes.at(span);
        FunctionBody::new(BinaryReader::new_features(bytes, u64::from(span.start), features))
    }

    /// A validator for the body of function `index`, to be driven along with another walk; none if
    /// the body is known to be valid. [`Self::mark_valid`] tells the end of it.
    pub fn body_validator(
        &self, index: u32, allocations: FuncValidatorAllocations,
    ) -> Option<FuncValidator<ValidatorResources>> {
        let own = index.checked_sub(self.imported.functions)? as usize;
        // Acquire pairs with nothing but the flag itself: a body that is validated twice is no harm.
        if self.validated.get(own)?.load(Ordering::Relaxed) {
            return None;
        }
        let resources = self.resources.clone()?;
        let features = self.engine.config().features;
        let ty = self.functions[index as usize];
        Some(FuncToValidate { resources, index, ty, features }.into_validator(allocations))
    }

    /// What a validator of one body needs; none in a module without bodies.
    pub fn resources(&self) -> Option<ValidatorResources> {
        self.resources.clone()
    }

    /// The shape of a site, found at the first call.
    pub fn shape(self: &Arc<Self>, index: u32, site: SiteId) -> Option<Arc<Shape>> {
        let lock = || self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = lock().get(&(index, site)) {
            return Some(shape.clone());
        }
        let shape = Arc::new(Shape::of(&Module(self.clone()), index, site).ok()?);
        lock().insert((index, site), shape.clone());
        Some(shape)
    }

    /// What was compiled so far, in memory.
    pub fn native_code(&self) -> MutexGuard<'_, NativeCodes> {
        self.native_code.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sites of function `index`, found at the first call; none if it is imported or not valid.
    pub fn sites(self: &Arc<Self>, index: u32) -> Option<Arc<Sites>> {
        let lock = || self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sites) = lock().get(&index) {
            return Some(sites.clone());
        }
        let sites = Arc::new(Sites::of(&Module(self.clone()), index).ok()?);
        lock().insert(index, sites.clone());
        Some(sites)
    }

    /// Takes note that the body of function `index` is valid.
    pub fn mark_valid(&self, index: u32) {
        let own = (index - self.imported.functions) as usize;
        if let Some(flag) = self.validated.get(own) {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Validates the body of function `index` unless that was done.
    ///
    /// # Errors
    /// What is not valid in it.
    pub fn validate_body(
        &self, index: u32, allocations: &mut FuncValidatorAllocations,
    ) -> Result<(), ModuleError> {
        let Some(mut validator) = self.body_validator(index, std::mem::take(allocations)) else {
            return Ok(());
        };
        validator.validate(&self.body(index))?;
        *allocations = validator.into_allocations();
        self.mark_valid(index);
        Ok(())
    }

    /// The type of item `index` of a kind.
    pub fn extern_type(&self, kind: ItemKind, index: u32) -> ExternType {
        let at = index as usize;
        match kind {
            ItemKind::Func => ExternType::Func(self.function_type(index).clone()),
            ItemKind::Table => ExternType::Table(self.tables[at].ty),
            ItemKind::Memory => ExternType::Memory(self.memories[at]),
            ItemKind::Global => ExternType::Global(self.globals[at].ty),
        }
    }

    /// The export called `name`.
    pub fn export(&self, name: &str) -> Option<ExportItem> {
        let by_name = self.exports_by_name.get_or_init(|| {
            let mut order: Box<[u32]> = (0..self.exports.len() as u32).collect();
            order.sort_by_key(|&i| self.bytes.at(self.exports[i as usize].name));
            order
        });
        let found = by_name.binary_search_by_key(&name.as_bytes(), |&i| {
            self.bytes.at(self.exports[i as usize].name)
        });
        found.ok().map(|at| self.exports[by_name[at] as usize])
    }

    /// The name section, read at the first call.
    pub fn names(&self) -> &Names {
        self.names.get_or_init(|| Names::read(self))
    }

    /// See [`Module::function_name`].
    pub fn function_name(&self, index: u32) -> Option<&str> {
        if let Some(span) = self.names().function(index) {
            return Some(self.bytes.text(span));
        }
        let is_it = |kind, at| kind == ItemKind::Func && at == index;
        let import = self.imports.iter().find(|item| is_it(item.kind, item.index));
        let export = || self.exports.iter().find(|item| is_it(item.kind, item.index));
        let name = import.map(|item| item.name).or_else(|| export().map(|item| item.name))?;
        Some(self.bytes.text(name))
    }
}

impl std::fmt::Debug for ModuleInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Module({:?}, {} functions)", self.bytes, self.functions.len())
    }
}

#[cfg(test)]
mod tests;
