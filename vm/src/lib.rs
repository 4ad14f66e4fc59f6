//! Brant: a process virtual machine whose processes can move.
//!
//! ```
//! use brant::{Captured, Engine, Module, Output, Process};
//!
//! # fn main() -> Result<(), brant::Error> {
//! let engine = Engine::default();
//! let module = Module::from_file(&engine, "../programs/hello.wat")?;
//! let output = Captured::new();
//! let mut process =
//!     Process::builder(&module).args(["hello"]).stdout(Output::Capture(output.clone())).build()?;
//! assert!(process.run()?.success());
//! assert_eq!(output.text(), "hello\n");
//! # Ok(()) }
//! ```
//!
//! An [`Engine`] is a configuration; a [`Module`] is validated bytecode; a [`ProcessBuilder`] names
//! what a program can reach; a [`Process`] runs it.
//! Nothing here knows how an instruction is executed, or how a file is opened: this crate puts the
//! engine, the kernel and the host together.
#![forbid(unsafe_code)]

mod arrival;
mod builder;
mod cache;
mod caller;
mod checkpoint;
mod clock;
mod compiler;
#[cfg(feature = "cli")]
pub mod control;
mod durable;
mod error;
mod features;
mod lanes;
mod limits;
mod linker;
mod module;
#[cfg(feature = "node")]
pub mod node;
mod process;
mod processes;
mod profile;
mod remote;
mod status;
mod streams;
mod system;
mod threads;
mod typed;
#[cfg(feature = "cli")]
pub mod wast;

pub use arrival::Arrival;
pub use brant_engine::compile::Stops;
pub use brant_engine::{
    Ahead, CodeCounts, Config, Engine, EngineError, ExportType, ExternType, FuncType, GuestMemory,
    ImportType, PerfMap, Sample, Tier, Trap, TrapReport, Val, ValType,
};
pub use brant_kernel::host::MountAccess;
pub use brant_kernel::net::{NetRule, NetRuleError};
pub use brant_kernel::persist as resources;
pub use brant_mobility as mobility;
pub use brant_mobility::{ReadLimits, Snapshot};
pub use builder::ProcessBuilder;
pub use cache::{CachedCode, CodeCache};
pub use caller::Caller;
pub use checkpoint::{map_snapshot, read_snapshot, write_snapshot};
pub use clock::Interrupt;
pub use compiler::{why_nothing_is_compiled, with_compiler};
pub use durable::replace_file;
pub use error::{Error, MissingImport};
pub use features::{Features, UnknownFeature};
pub use lanes::Lanes;
pub use limits::Limits;
pub use linker::{HostResults, IntoHostFunction, Linker, WithCaller};
pub use module::{Module, Validation, is_bytecode, skip_interpreter_line};
pub use process::Process;
pub use processes::{LimitChange, ProcessInfo, Signalled, Terminal, Usage, state_name};
pub use profile::Profile;
pub use remote::{Piece, Remote};
pub use status::{ExitStatus, Stopped};
pub use streams::{Captured, Input, InputAsked, Output};
pub use system::{TracedCall, TracedEnd, Watched, provides, system_call_groups};
pub use threads::ThreadPolicy;
pub use typed::{TypedFunc, WasmValue, WasmValues};
