//! The compiler: from the bytecode of one function to machine code, by Cranelift.
//!
//! A pure function: it knows modules, the layout of `Vm` and the contract of
//! [`brant_engine::compile`], but no store, no address and no code that runs. What it makes is
//! position-independent, has no relocation, and can be kept on disk.
//!
//! | part | file |
//! |---|---|
//! | what code is made for | `target.rs` |
//! | types, signatures, places of results, offsets in `Vm` | `abi.rs` |
//! | operators with semantics, as CLIF | `emit/` |
//! | control, locals, calls, stops | `translate/` |
//! | from Cranelift's output to side tables | `finish.rs` |
//! | listings | `show.rs` |
//! | what could be left out | `tuning.rs` |
#![forbid(unsafe_code)]
#![recursion_limit = "1024"]

mod abi;
mod accesses;
mod budget;
mod emit;
mod finish;
pub mod show;
mod target;
mod translate;
mod tuning;

use std::cell::RefCell;

use brant_engine::compile::{CompileError, Compiler, NativeFunction, Request};
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_frontend::FunctionBuilderContext;

pub use target::TargetError;
pub use tuning::Tuning;

/// Cranelift as a [`Compiler`]. Code is for the processor that it was made on.
pub struct Jit {
    target: target::Target,
}

/// Allocations that are used from function to function.
struct Scratch {
    context: Context,
    builder: FunctionBuilderContext,
    control: ControlPlane,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        context: Context::new(),
        builder: FunctionBuilderContext::new(),
        control: ControlPlane::default(),
    });
}

impl Jit {
    /// A compiler for this processor.
    ///
    /// # Errors
    /// It has no instructions that the code needs, or is of an unknown kind.
    pub fn new() -> Result<Self, TargetError> {
        Self::with(Tuning::ALL)
    }

    /// The same, with some of what it does left out: to measure what that is worth.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(tuning: Tuning) -> Result<Self, TargetError> {
        Ok(Self { target: target::Target::native(tuning)? })
    }
}

impl Compiler for Jit {
    fn compile(&self, request: &Request<'_>) -> Result<NativeFunction, CompileError> {
        SCRATCH.with_borrow_mut(|scratch| {
            let (calls, accesses) = translate::translate(&self.target, request, scratch)?;
            finish::finish(&self.target, request, scratch, calls, accesses)
        })
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.target.fingerprint()
    }
}

impl std::fmt::Debug for Jit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jit({})", self.target.isa().triple())
    }
}
