//! What a compiler is to the engine: a function from bytecode to machine code that names no address.
//!
//! The engine decides what is compiled and when, keeps the code, enters it and reads its frames.
//! The compiler sees a module and says what it made of one function; it holds no state of a run.
//!
//! ```text
//! code        position-independent, without relocations: all it needs is in registers or in `Vm`
//! parameters  the processor's C convention: the instance's `Vm` first, then the function's own
//! results     the first two integers and the first two floats (vectors count as floats) in
//!             registers; every other result i at `Vm::results` + 16 i
//! callee      loaded from the entry of its index behind `Vm`, or for a reference `FuncSlot::native`
//!             if the function is the caller's own, else `Vm::call_out`; its first parameter is the
//!             caller's `Vm` in all cases. A function that calls itself may jump to its own start.
//!             Before a call by reference its index in the table goes to
//!             `Vm::indirect_index`
//! record      of a call beneath which the thread stopped: the frame stores its live locals and its
//!             operands there. Narrow values write their own bytes only, so that the record has to
//!             be zero before. Operands that `Vm::operate` was given are not in it: the engine has
//!             them, and knows how far the operation came.
//! traps       division by zero and overflow are the processor's own where it has them: on x86-64
//!             SIGFPE; access faults are SIGSEGV, also at address 0 for elements of tables; all
//!             others are SIGILL
//! entry       the stack check comes when nothing but the frame's first two words was pushed (frame
//!             pointer and return address), with the limit and the size of the frame added up in r10
//!             on x86-64, in x16 on aarch64
//! ```

use std::fmt;

use brant_isa::Trap;

use crate::config::Config;
pub use crate::icode::Operation;
use crate::module::{Module, ModuleInner};
use crate::site::SiteId;
use crate::types::ValType;

/// Turns functions into machine code. Called from several threads.
pub trait Compiler: Send + Sync + fmt::Debug {
    /// Compiles what is asked for.
    ///
    /// # Errors
    /// The function is left to the interpreter.
    fn compile(&self, request: &Request<'_>) -> Result<NativeFunction, CompileError>;

    /// Differs between two compilers, or processors, whose code must not be exchanged.
    fn fingerprint(&self) -> [u8; 32];

    /// Why it compiles nothing at all on this machine; None if it does.
    fn refusal(&self) -> Option<String> {
        None
    }
}

/// What is to be compiled, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The module, whose body of the function is valid.
    pub module: &'a Module,
    /// The function, by index of the module; not imported.
    pub function: u32,
    /// Where its code begins.
    pub entry: Entry,
    /// What the code may rely on.
    pub options: Options,
}

/// Where code begins.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Entry {
    /// At the start of the function.
    Start,
    /// At a loop header. The parameters are the `Vm` and the address of the values at the site:
    /// all locals, then all operands, in 16-byte cells. Returns the function's results.
    Loop(SiteId),
}

/// What code may rely on, and what it has to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Options {
    /// Where a thread can stop.
    pub stops: Stops,
    /// Memory 0 is guarded: an access at a 32-bit address plus an offset that
    /// [`GUARD_BYTES`](crate::vm::GUARD_BYTES) covers needs no check.
    pub guarded_memory: bool,
    /// Blocks pay for themselves from `Vm::fuel`.
    pub fuel: bool,
    /// NaNs that operations make are the canonical ones.
    pub canonical_nans: bool,
}

impl Options {
    /// What code of a module may rely on in an engine, in an instance whose memory 0 is guarded or
    /// not.
    pub(crate) fn new(config: &Config, module: &ModuleInner, guarded: bool) -> Self {
        // Threads take turns by counted sites where everything has to be repeatable.
        let counts = config.deterministic && module.memories.iter().any(|ty| ty.is_shared);
        Self {
            stops: if counts { Stops::Every } else { config.stops },
            guarded_memory: guarded && config.signal_handlers,
            fuel: config.fuel,
            canonical_nans: config.deterministic,
        }
    }
}

/// Where code looks whether it shall stop, and can give up its state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stops {
    /// Nowhere: to measure what the others cost.
    Never,
    /// At entries and loop headers, in calls and operations of the engine; fewer where a path
    /// between two of them is short.
    Usual,
    /// At every site; at a loop header whenever it is come back to, and not on the way in.
    Every,
}

/// A compiled function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NativeFunction {
    /// The code. Its first byte is its entry, aligned to 16 bytes.
    pub code: Vec<u8>,
    /// Instructions that trap, by ascending offset.
    pub traps: Vec<NativeTrap>,
    /// Return addresses of calls, by ascending offset.
    pub calls: Vec<NativeCall>,
}

/// An instruction that can trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NativeTrap {
    /// Where the instruction is.
    pub code_offset: u32,
    /// Why it traps.
    pub cause: TrapCause,
    /// The operator, as an offset in the function's body.
    pub body_offset: u32,
}

/// Why an instruction traps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrapCause {
    /// As the operator says.
    Guest(Trap),
    /// The stack check of the function's entry: a stop, or the end of the stack.
    Entry,
}

/// A call that other code runs beneath: its return address is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NativeCall {
    /// The return address.
    pub code_offset: u32,
    /// The operator, as an offset in the function's body.
    pub body_offset: u32,
    /// What is called.
    pub kind: CallKind,
    /// The site at which the frame stands meanwhile: that of `Return` for calls of functions.
    pub site: SiteId,
    /// Where to go, with the address of a record in the register of the exception's first payload,
    /// so that the state is stored there and the function returns. For polls the return address
    /// itself serves. None where the code gives up nothing.
    pub pad_offset: Option<u32>,
    /// Where each live local and operand of the site is in the record, ascending. Two that are the
    /// same value have the same place.
    pub slots: Vec<RecordSlot>,
    /// Size of the record.
    pub record_bytes: u32,
}

/// What a call reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallKind {
    /// A function.
    Function,
    /// A function in place of this one, by `Vm::tail_call`. The site is that of the call itself.
    TailCall,
    /// `Vm::operate`.
    Operation,
    /// `Vm::poll`, at a loop header. After it `Vm::record` says whether to give up the state.
    Poll,
    /// `Vm::poll`, where a block costs more fuel than there is.
    Fuel,
}

/// A value of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordSlot {
    /// Which local or operand it is.
    pub what: SlotOf,
    /// Where its value is.
    pub at: RecordPlace,
}

/// A local or an operand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SlotOf {
    /// The local of this index.
    Local(u32),
    /// The operand of this index; 0 is the deepest.
    Operand(u32),
}

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordPlace {
    /// At this offset of the record; 16 bytes for vectors, 8 for all others.
    Offset(u32),
    /// Nowhere: these are its bits.
    Constant([u64; 2]),
}

/// How many 8-byte words a call with parameters of these types puts on the stack: an even number.
/// A tail call can have no more of them than the function that makes it, and none if that begins at
/// a loop.
pub fn stack_words(params: &[ValType]) -> usize {
    crate::native::abi::params(params).1.next_multiple_of(2)
}

/// Why there is no code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CompileError {
    /// The body is larger than compiling it is worth.
    TooLarge,
    /// Something in it is not supported.
    Unsupported(String),
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the body is too large to compile"),
            Self::Unsupported(what) => write!(f, "the compiler does not support {what}"),
        }
    }
}

impl std::error::Error for CompileError {}
