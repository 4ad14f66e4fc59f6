//! The engine: modules, memories, frames and the interpreter.
//!
//! It runs guest code and knows nothing of system calls. Guest bytes are hostile: whatever they
//! are, the answer is an error or a trap, in bounded memory.

pub mod compile;
mod config;
mod doorbell;
mod error;
mod frame;
mod func;
mod global;
mod host;
mod icode;
mod instance;
mod interp;
mod memory;
mod module;
mod native;
pub mod persist;
mod profile;
mod run;
mod signal;
pub mod site;
mod stack;
mod stop;
mod store;
pub mod stored;
mod table;
mod terminate;
mod thread;
mod trap;
mod types;
mod val;
pub mod vm;

pub use brant_isa::Trap;
pub use config::{
    CodeCounts, Config, Engine, EngineError, NO_NATIVE_CODE, SUPPORTED_FEATURES, Tier,
};
pub use doorbell::{interrupt_on_input, take_ring};
pub use error::{InstantiateError, RunError};
pub use frame::{FrameError, FrameState, Slot};
pub use func::Func;
pub use global::Global;
pub use host::{Caller, Flow, HostError};
pub use icode::show::{IcodeListing, ShowError, ShownFunction, ShownRecord};
pub use instance::{Extern, Instance};
pub use memory::wait::Wake;
pub use memory::{
    GuestMemory, Memory, MemoryImage, MissingPages, OutOfBounds, SharedMemory, WASM_PAGE_BYTES,
    WriteTracker, WriteTracking, WrittenPages, open_pagemap,
};
pub use module::{
    CustomSection, ExportType, FileBytes, ImportType, MAX_MODULE_BYTES, Module, ModuleBytes,
    ModuleError,
};
pub use native::ahead::Ahead;
pub use profile::{PerfMap, Sample};
pub use stop::{HostMistake, HostPanic, Stop};
pub use store::{Interrupt, LimitError, Limits, Resource, Store};
pub use table::Table;
pub use terminate::{
    TerminalSignal, end_as_by, exit_on_termination, keep_termination, pass_terminal_to,
    pass_termination_to, remove_on_termination,
};
pub use thread::{Thread, Wait, WaitEnd};
pub use trap::{FrameInfo, MAX_FRAMES, SourceFrame, TrapReport};
pub use types::{
    ExternType, FuncType, GlobalType, MemoryType, RefType, TableType, ValType, slot_count,
};
pub use val::{ExternRef, Val};
pub use wasmparser::WasmFeatures;
