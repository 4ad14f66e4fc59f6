//! Icode for people: the records of a function, decoded.
//!
//! The function is translated as for a run, with a recorder, in an instance whose imports are
//! stand-ins; nothing of the guest runs. A record says what it is by its handler, and handlers do
//! not know their names: `names` lists them. It must never be asked while a guest runs, and nothing
//! but listings may rest on it.

mod fused;
mod names;

use std::fmt;

use brant_isa::Opcode;

use crate::icode::lower::{Lower, Scratch};
use crate::icode::reader::Reader;
use crate::icode::{Context, Recorder};
use crate::{
    Engine, Extern, ExternType, Func, FuncType, Global, HostError, Instance, InstantiateError,
    LimitError, Memory, Module, ModuleError, Store, Table, Val,
};
use names::Names;

/// A module whose functions can be shown as the interpreter sees them.
pub struct IcodeListing {
    module: Module,
    store: Store,
    instance: Instance,
    scratch: Scratch,
    names: Names,
}

/// A function as icode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownFunction {
    /// Size of a frame, header and operands included.
    pub frame_bytes: u32,
    /// Size of its icode.
    pub icode_bytes: u32,
    /// The records in their order.
    pub records: Vec<ShownRecord>,
}

/// A record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownRecord {
    /// Where it stands in the function's icode.
    pub at_bytes: u32,
    /// Where the operator that it ends stands in the module.
    pub offset: u64,
    /// What it does.
    pub text: String,
}

/// Why there is no listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ShowError {
    /// The module cannot be put together, even with stand-ins.
    Instantiate(InstantiateError),
    /// The function is not valid.
    Invalid(ModuleError),
    /// There is no such function, or it is imported.
    NoBody(u32),
}

impl From<InstantiateError> for ShowError {
    fn from(error: InstantiateError) -> Self {
        Self::Instantiate(error)
    }
}

impl fmt::Display for ShowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instantiate(error) => error.fmt(f),
            Self::Invalid(error) => error.fmt(f),
            Self::NoBody(index) => write!(f, "function {index} has no body in this module"),
        }
    }
}

impl std::error::Error for ShowError {}

impl IcodeListing {
    /// Puts a module together with stand-ins for its imports. Its start function does not run.
    ///
    /// # Errors
    /// A limit, or a segment that does not fit.
    pub fn new(engine: &Engine, module: &Module) -> Result<Self, ShowError> {
        let mut store = Store::new(engine, Box::new(()));
        let imports = module
            .imports()
            .map(|import| stand_in(&mut store, import.ty))
            .collect::<Result<Vec<_>, _>>()
            .map_err(InstantiateError::Limit)?;
        let instance = Instance::new(&mut store, module, &imports)?;
        let module = module.clone();
        Ok(Self { module, store, instance, scratch: Scratch::default(), names: Names::new() })
    }

    /// Translates function `index` and decodes what comes.
    ///
    /// # Errors
    /// The function has no body, or its body is not valid.
    pub fn function(&mut self, index: u32) -> Result<ShownFunction, ShowError> {
        let module = self.module.inner();
        let span = module.body_span(index).ok_or(ShowError::NoBody(index))?;
        module.validate_body(index, &mut self.scratch.validator).map_err(ShowError::Invalid)?;
        let instance = &self.store.inner().instances[self.instance.index as usize];
        let context = Context::new(module, instance.vm());
        let body = module.bytes.at(span);
        let mut recorder = Recorder::default();
        let frame_bytes =
            Lower::function(&context, index, body, &mut self.scratch, Some(&mut recorder));
        let words = self.scratch.words();
        let starts = recorder.records.iter().map(|&(word, _)| word as usize);
        let ends = starts.skip(1).chain([words.len()]);
        let records = recorder.records.iter().zip(ends).map(|(&(word, offset), end)| {
            let record = &words[word as usize..end];
            let at_bytes = word * 8;
            let operator = Operator::read(body, offset);
            let text = self.names.show(record, at_bytes, operator, &self.module);
            ShownRecord { at_bytes, offset: span.start as u64 + u64::from(offset), text }
        });
        let records = records.collect();
        Ok(ShownFunction { frame_bytes, icode_bytes: words.len() as u32 * 8, records })
    }
}

impl fmt::Debug for IcodeListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IcodeListing").finish_non_exhaustive()
    }
}

/// The operator that a record ends.
#[derive(Clone, Copy)]
struct Operator {
    opcode: Option<Opcode>,
    /// Its first immediate, where that is an index.
    index: u32,
}

impl Operator {
    fn read(body: &[u8], offset: u32) -> Self {
        let mut reader = Reader::new(body.get(offset as usize..).unwrap_or_default());
        let code = reader.byte();
        let opcode = match code {
            0xFC..=0xFE => Opcode::decode(Some(code), reader.index()),
            _ => Opcode::decode(None, u32::from(code)),
        };
        Self { opcode, index: reader.index() }
    }
}

/// Something of the type of an import.
fn stand_in(store: &mut Store, ty: ExternType) -> Result<Extern, LimitError> {
    Ok(match ty {
        ExternType::Func(ty) => Extern::Func(absent(store, ty)),
        ExternType::Table(ty) => {
            Extern::Table(Table::new(store, ty, Val::default_of(ty.element.into()))?)
        }
        ExternType::Memory(ty) => Extern::Memory(Memory::new(store, ty)?),
        ExternType::Global(ty) => Extern::Global(Global::new(store, ty, Val::default_of(ty.value))),
    })
}

fn absent(store: &mut Store, ty: FuncType) -> Func {
    Func::host(store, ty, |_, _, _| Err(HostError::Trap(brant_isa::Trap::Unreachable)))
}
