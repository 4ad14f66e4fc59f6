//! From one record to the next: twins with the same names.
//!
//! - `tail`: a handler calls the next one, which an optimising build turns into a jump. Nothing
//!   breaks where it does not: the budget ends a run after 1024 calls and back edges.
//! - `loop_`: a handler returns to a loop. For builds that make no such jumps, and for those with
//!   debug assertions: a check that takes a local by reference keeps a handler's frame, and its sibling
//!   call stays a call.
//!
//! A step knows neither of them: it changes `Regs` and says how to go on.

use super::exit::Exit;
use super::regs::Regs;

#[cfg(any(dispatch = "loop", debug_assertions))]
#[path = "loop.rs"]
mod chosen;
#[cfg(all(dispatch = "tail", not(debug_assertions)))]
#[path = "tail.rs"]
mod chosen;

pub use chosen::{Handler, handler, run};

/// How a step goes on.
pub enum Flow {
    /// With the record at `ip`.
    Go,
    /// Back to the driver, with `ip` where a later run shall begin.
    Stop(Exit),
}

/// What a handler does, without how the next one is reached.
pub trait Step: 'static {
    /// Runs the record at `regs.ip`.
    ///
    /// # Safety
    /// See [`Regs`].
    unsafe fn step(regs: &mut Regs) -> Flow;
}
