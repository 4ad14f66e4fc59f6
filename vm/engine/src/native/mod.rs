//! Compiled code: where it is, how a run enters and leaves it, and how its frames give up their
//! state. It knows no compiler: what is run here came through [`crate::compile`].
//!
//! ```text
//! driver (interp) -> Segment::run -> stubs::enter -> compiled frames ..
//!                                      .. -> stubs::call_out -> calls::called_out -> host, or
//!                                            driver::run again, above the frames of the first
//! ```
//!
//! A *segment* is what stands on the native stack between an `enter` and the next driver. It belongs
//! to one instance. A stop takes segments and interpreters apart from the innermost outwards: each
//! adds what it has of its frames to `NativeState::given` and returns to what has entered it. A trap goes the same
//! way, with places for the backtrace instead of frames.
//!
//! Who waits is not taken apart before somebody looks: the outermost segment of a thread returns to the
//! driver (`stubs::suspend`) while its frames stay on the thread's native stack, and another segment goes
//! on with them (`stubs::resume`), or takes them apart.
//!
//! ```text
//! abi.rs      where parameters and results are
//! arena.rs    code memory            code.rs    whose an address is
//! segment.rs  in and out of compiled code       stubs/     the machine code for that
//! calls.rs    what compiled code calls          capture.rs stops: frames give up their state
//! fault.rs    traps of compiled code            tail.rs    tail calls of compiled code
//! tier.rs     what is compiled, and when        ahead.rs   everything before it runs
//! credit.rs   what interpreting has cost        packed.rs  functions as bytes
//! service.rs  the threads that compile          given.rs   what a stop leaves, and which frames
//! ```

pub mod abi;
pub mod ahead;
pub mod arena;
pub mod calls;
pub mod capture;
pub mod code;
mod credit;
pub mod fault;
pub mod given;
pub mod packed;
pub mod segment;
pub mod service;
pub mod stubs;
mod tail;
pub mod tier;
