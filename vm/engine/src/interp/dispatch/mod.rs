//! From one record to the next: twins with the same names.
//!
//! - `tail`: a handler calls the next one, which an optimising build turns into a jump. Nothing
//!   breaks where it does not: the budget ends a run after 1024 calls and back edges.
//! - `loop_`: a handler returns to a loop. For builds that make no such jumps.
//!
//! A step knows neither of them: it changes `Regs` and says how to go on.

use super::exit::Exit;
use super::regs::Regs;

#[cfg(dispatch = "loop")]
#[path = "loop.rs"]
mod chosen;
#[cfg(dispatch = "tail")]
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
