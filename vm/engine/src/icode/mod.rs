//! Icode: what the interpreter runs. Made from bytecode when a function is first called.
//!
//! A function is a stream of 64-bit words: records, of which each begins with its handler's address.
//!
//! ```text
//!  byte  0          8     10    12    14    16
//!        handler  | a   | b   | c   | d   |             four u16: slots of the frame
//!        handler  | a   | b   | word      |             memory offset, immediate, displacement
//!        handler  | constant              |
//!        handler  | window,params |  -    | slot of the callee  |            call
//!        handler  | window,params | type  | view of the table   | index |    call_indirect
//!        handler  | index |  -  | last    | displacements, 4 bytes each ..   br_table
//!        handler  | op  | base| word      | second immediate    |            done by the driver
//! ```
//!
//! Slots are counted from the frame's start and scaled by the handler; displacements count from the
//! start of their record, so that a function can be copied to its final place. Records hold addresses
//! of the instance (slots of functions, views of tables, cells of imported globals): icode belongs to
//! one instance and never leaves the engine.

#![allow(dead_code, reason = "the driver joins when the store does")]

pub mod choice;
pub mod code;
mod combined;
pub mod lower;
pub mod reader;
pub mod show;
pub mod types;
mod variants;

use crate::module::ModuleInner;
use crate::site::{Site, SiteKind};
use crate::vm::{FuncSlot, MemoryView, TableView, Vm};
use lower::stack::{Holding, Operand};
use types::Type;

/// What the pass must know of the module and of the instance that the icode is for.
pub(crate) struct Context<'a> {
    module: &'a ModuleInner,
    vm: *const Vm,
    /// Whether blocks pay for themselves.
    counts_fuel: bool,
    /// Whether NaNs that operations make are the canonical ones.
    canonical_nans: bool,
    /// Whether memory 0 has no guard.
    checked_memory: bool,
}

impl<'a> Context<'a> {
    /// For code of `module` that runs in the instance of `vm`.
    pub(crate) fn new(module: &'a ModuleInner, vm: *const Vm) -> Self {
        let config = module.engine.config();
        // SAFETY: the instance has a view for each memory of its module.
        let guarded = unsafe {
            !module.memories.is_empty() && (**(*vm).memories).guarded != 0 && cfg!(guard_pages)
        };
        Self {
            module,
            vm,
            counts_fuel: config.fuel,
            canonical_nans: config.deterministic,
            checked_memory: !guarded,
        }
    }
    fn signature(&self, type_index: u32) -> Signature<'a> {
        let ty = &self.module.types[type_index as usize];
        Signature { params: ty.params(), results: ty.results() }
    }
    fn type_of_function(&self, function: u32) -> u32 {
        self.module.functions[function as usize]
    }
    fn signature_of_function(&self, function: u32) -> Signature<'a> {
        self.signature(self.type_of_function(function))
    }
    fn slot(&self, function: u32) -> *mut FuncSlot {
        // SAFETY: the instance has a slot for each function of its module.
        unsafe { *(*self.vm).local_functions.add(function as usize) }
    }
    fn callee(&self, function: u32) -> Callee {
        let slot = self.slot(function);
        match function < self.module.imported.functions {
            true => Callee::Elsewhere(slot),
            false => Callee::Here(slot),
        }
    }
    fn reference(&self, function: u32) -> u32 {
        // SAFETY: as in `slot`; slots live as long as the store.
        unsafe { (*self.slot(function)).reference }
    }
    fn global(&self, global: u32) -> (Type, GlobalPlace) {
        let ty = self.module.globals[global as usize].ty.value;
        let place = match global.checked_sub(self.module.imported.globals) {
            Some(own) => GlobalPlace::Own(Vm::global_offset(own)),
            // SAFETY: the instance has a cell for each global of its module.
            None => GlobalPlace::Imported(unsafe { *(*self.vm).globals.add(global as usize) }),
        };
        (ty, place)
    }
    fn table_type(&self, table: u32) -> Type {
        self.module.tables[table as usize].ty.element.into()
    }
    fn table(&self, table: u32) -> *mut TableView {
        // SAFETY: the instance has a view for each table of its module.
        unsafe { *(*self.vm).tables.add(table as usize) }
    }
    fn memory(&self, memory: u32) -> *mut MemoryView {
        // SAFETY: the instance has a view for each memory of its module.
        unsafe { *(*self.vm).memories.add(memory as usize) }
    }
    fn canonical_type(&self, type_index: u32) -> u32 {
        // SAFETY: the instance has an id for each type of its module.
        unsafe { *(*self.vm).types.add(type_index as usize) }
    }
}

/// What a walk writes down when somebody wants to know: which record is which operator, and where
/// the values of one site are.
#[derive(Default)]
pub(crate) struct Recorder {
    /// Records and the operators that they end: word in the buffer, offset in the body.
    pub records: Vec<(u32, u32)>,
    /// The site in question.
    pub wanted: Option<Wanted>,
    /// The values there.
    pub found: Option<StateAt>,
}

/// How the site in question is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// By the record that a run goes on at, and its kind if that is not one of those that begin a
    /// basic block.
    Record(u32, Option<SiteKind>),
    /// By its operator.
    Operator(u32, SiteKind),
}

/// Where values are at a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StateAt {
    /// The site.
    pub site: Site,
    /// The record that a run goes on at.
    pub record: u32,
    /// Types and slots of the locals.
    pub locals: Vec<(Type, u32)>,
    /// Where the operands are.
    pub operands: Vec<Operand>,
    /// What the accumulators hold.
    pub holding: [Holding; 3],
    /// The first slot above the operands: where the results of a call go.
    pub top: u32,
}

impl Recorder {
    /// A recorder that looks for a site.
    pub fn of(wanted: Wanted) -> Self {
        Self { wanted: Some(wanted), ..Self::default() }
    }
    fn record(&mut self, word: u32, offset: u32) {
        self.records.push((word, offset));
    }
    fn rewind(&mut self, word: u32) {
        while self.records.last().is_some_and(|record| record.0 >= word) {
            self.records.pop();
        }
    }
    /// Whether the operator at `offset` and those behind it can tell nothing more about the site. Of a
    /// site that is known by its record that is not known: records that melt are written again.
    fn is_done_at(&self, offset: u32) -> bool {
        let is_behind = matches!(self.wanted, Some(Wanted::Operator(at, _)) if offset > at);
        is_behind && self.found.is_some()
    }
    fn wants(&self, site: Site, record: u32) -> bool {
        match self.wanted {
            None => false,
            Some(Wanted::Record(word, None)) => {
                let begins_a_block =
                    matches!(site.kind, SiteKind::Entry | SiteKind::Block | SiteKind::Loop);
                word == record && begins_a_block
            }
            Some(Wanted::Record(word, Some(kind))) => word == record && kind == site.kind,
            Some(Wanted::Operator(offset, kind)) => offset == site.offset && kind == site.kind,
        }
    }
}

/// Parameters and results of a function.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// Types of the parameters.
    pub params: &'a [Type],
    /// Types of the results.
    pub results: &'a [Type],
}

/// Who a `call` reaches.
#[derive(Clone, Copy)]
pub enum Callee {
    /// A function of the same instance.
    Here(*mut FuncSlot),
    /// An imported function.
    Elsewhere(*mut FuncSlot),
}

/// Where the cell of a global is.
#[derive(Clone, Copy)]
pub enum GlobalPlace {
    /// In the `Vm`, at this offset.
    Own(u32),
    /// At this address.
    Imported(*mut u64),
}

macro_rules! operations {
    ($(#[$meta:meta])* $($name:ident)*) => {
        $(#[$meta])*
        pub enum Operation {
            $($name,)*
        }

        impl Operation {
            /// By number.
            pub fn from_code(code: u16) -> Option<Self> {
                [$(Self::$name),*].get(usize::from(code)).copied()
            }
        }
    };
}

operations! {
    /// Operations that the driver does, with their operands in slots.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[repr(u16)]
    #[allow(missing_docs, reason = "named after their instructions")]
    MemoryGrow
    MemoryInit
    DataDrop
    MemoryCopy
    MemoryFill
    TableInit
    ElemDrop
    TableCopy
    TableGrow
    TableFill
    AtomicNotify
    AtomicWait32
    AtomicWait64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_at(wanted: Wanted, offset: u32, kind: SiteKind) -> Recorder {
        let site = Site { kind, offset };
        let (locals, operands) = (Vec::new(), Vec::new());
        let holding = [Holding::NOTHING; 3];
        let found = Some(StateAt { site, record: 4, locals, operands, holding, top: 0 });
        Recorder { found, ..Recorder::of(wanted) }
    }

    #[test]
    fn a_walk_ends_behind_the_operator_that_was_wanted() {
        let wanted = Wanted::Operator(7, SiteKind::Call);
        assert!(!Recorder::of(wanted).is_done_at(9), "it was not found");
        let recorder = found_at(wanted, 7, SiteKind::Call);
        assert!(!recorder.is_done_at(7), "the same operator may say more");
        assert!(recorder.is_done_at(9));
    }

    #[test]
    fn a_walk_for_a_record_goes_on_to_the_end() {
        let recorder = found_at(Wanted::Record(4, None), 7, SiteKind::Loop);
        assert!(!recorder.is_done_at(9), "records that melt are written again");
    }
}
