//! What is left of a thread that has trapped: to be looked into, never to go on.
//!
//! A trap is no site. The frames that called are complete; of the frame that trapped there are its
//! function, the offset of the operator, and its locals. Of compiled code only the backtrace is
//! kept: it does not know its values between two sites.

use brant_isa::Trap;

use super::{FuncRef, PersistError, References};
use crate::frame::{FrameState, Slot};
use crate::store::Store;
use crate::types::ValType;

/// A trap, and where every frame stood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrapState {
    /// Why.
    pub code: Trap,
    /// The frames, innermost first; at most [`MAX_FRAMES`](crate::MAX_FRAMES) of them.
    pub backtrace: Vec<TrapFrame>,
    /// How many frames there were.
    pub frame_count: u64,
    /// The address in memory 0 that could not be reached, where it is known.
    pub fault_address: Option<u64>,
    /// The size of memory 0, if the trap was about memory.
    pub memory_bytes: Option<u64>,
    /// The locals of the innermost frame, references left out; empty for compiled code.
    pub locals: Vec<Slot>,
}

/// Where a frame stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrapFrame {
    /// How far out it was: 0 is the innermost.
    pub depth: u64,
    /// The instance, in the order in which those of the store were made.
    pub instance: u32,
    /// The function, by index of the module.
    pub function: u32,
    /// The offset of the operator in the module's bytes, where it is known.
    pub offset: Option<u64>,
}

/// A thread that has trapped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trapped {
    /// The trap.
    pub trap: TrapState,
    /// The function that the thread ran.
    pub func: FuncRef,
    /// The frames that waited for the innermost one, the outermost first. References to functions
    /// are bits of [`FuncRef`]. Empty for compiled code.
    pub callers: Vec<FrameState>,
}

/// What a store keeps of the last trap.
#[derive(Debug, Default)]
pub(crate) struct TrapKeeper {
    /// Whether anything is kept.
    pub is_on: bool,
    /// The trap, the reference of the thread's function, and its callers.
    pub last: Option<Box<(TrapState, u32, Vec<FrameState>)>>,
}

impl TrapState {
    /// Locals as they may be kept: what was never written may be no reference of the store.
    pub(crate) fn without_references(locals: Vec<Slot>) -> Vec<Slot> {
        let keep = |slot: Slot| match slot.ty {
            ValType::FuncRef | ValType::ExternRef => Slot::zero(slot.ty),
            _ => slot,
        };
        locals.into_iter().map(keep).collect()
    }
}

impl Store {
    /// Whether what is left of a thread that traps is kept, until [`Self::take_trapped`].
    pub fn keep_trapped(&mut self, keep: bool) {
        self.inner_mut().trapped.is_on = keep;
    }

    /// Whether what is left of a thread that traps is kept.
    pub fn keeps_trapped(&self) -> bool {
        self.inner().trapped.is_on
    }

    /// What is left of the last thread that trapped.
    ///
    /// # Errors
    /// [`PersistError::NamelessFunction`].
    pub fn take_trapped(&mut self) -> Result<Option<Trapped>, PersistError> {
        let Some(kept) = self.inner_mut().trapped.last.take() else { return Ok(None) };
        let (trap, func, mut callers) = *kept;
        let references = References::of(self.inner());
        for slot in callers.iter_mut().flat_map(|f| f.locals.iter_mut().chain(&mut f.operands)) {
            *slot = references.portable_slot(*slot)?;
        }
        let func = references.func(func)?;
        Ok(Some(Trapped { trap, func, callers }))
    }
}
