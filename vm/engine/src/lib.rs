//! The engine: modules, memories, frames and the interpreter.
//!
//! It runs guest code and knows nothing of system calls. Guest bytes are hostile: whatever they
//! are, the answer is an error or a trap, in bounded memory.

mod config;
mod icode;
mod interp;
mod memory;
mod module;
mod terminate;
mod types;
pub mod vm;

pub use brant_isa::Trap;
pub use config::{Config, Engine, EngineError, SUPPORTED_FEATURES};
pub use memory::{GuestMemory, OutOfBounds};
pub use module::{
    CustomSection, ExportType, FileBytes, ImportType, MAX_MODULE_BYTES, Module, ModuleBytes,
    ModuleError,
};
pub use terminate::exit_on_termination;
pub use types::{
    ExternType, FuncType, GlobalType, MemoryType, RefType, TableType, ValType, slot_count,
};
pub use wasmparser::WasmFeatures;
