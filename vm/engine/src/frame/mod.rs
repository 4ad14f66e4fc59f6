//! Frames as data: what a thread consists of when it does not run.
//!
//! A [`FrameState`] says which function stands at which site, and what its slots hold. It names no
//! tier and no address: a frame of the interpreter and one of compiled code that stand at one site
//! are equal, dead locals being zero in both.
//!
//! ```text
//! capture.rs   from the interpreter's stack to frames
//! rebuild.rs   from frames to the interpreter's stack, once they are checked
//! wait.rs      what a frame waits for that stands at `memory.atomic.wait`
//! ```

mod capture;
mod rebuild;
mod wait;

use std::fmt;

pub(crate) use capture::{Layout, Registers, capture, capture_below, entry_frame, locals_of};
pub(crate) use rebuild::{check, rebuild, slots_bytes};
pub(crate) use wait::{WaitSite, wait_site};

use crate::site::SiteId;
use crate::types::ValType;

/// A typed value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Slot {
    /// Its type.
    pub ty: ValType,
    /// Its bits, all above the type's width zero. References are numbers in the space of their
    /// type, 0 being null.
    pub bits: u128,
}

impl Slot {
    /// The value of type `ty` that a cell of two words holds.
    pub(crate) fn of_cell(ty: ValType, cell: [u64; 2]) -> Self {
        let low = u128::from(cell[0]);
        let bits = match ty {
            ValType::V128 => u128::from(cell[1]) << 64 | low,
            ValType::I64 | ValType::F64 => low,
            ValType::I32 | ValType::F32 | ValType::FuncRef | ValType::ExternRef => {
                low & u128::from(u32::MAX)
            }
        };
        Self { ty, bits }
    }

    /// The default value of a type.
    pub const fn zero(ty: ValType) -> Self {
        Self { ty, bits: 0 }
    }

    /// As two words, the second 0 but for vectors.
    pub(crate) fn cell(self) -> [u64; 2] {
        [self.bits as u64, (self.bits >> 64) as u64]
    }

    /// Whether no bit above the type's width is set.
    fn is_canonical(self) -> bool {
        self == Self::of_cell(self.ty, self.cell())
    }
}

/// A frame in its portable form.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FrameState {
    /// The instance, in the order in which those of the store were made.
    pub instance: u32,
    /// The function, by index of the module.
    pub function: u32,
    /// The site at which it stands: `return` for all but the innermost.
    pub site: SiteId,
    /// All locals, dead ones zero.
    pub locals: Vec<Slot>,
    /// The operands, deepest first.
    pub operands: Vec<Slot>,
}

/// Why frames are no thread of a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// There is none.
    Empty,
    /// The store has no such instance, or its module no such function of its own.
    UnknownFunction {
        /// The frame, outermost first.
        frame: usize,
    },
    /// The function has no such site, or the frame cannot stand there: only the innermost stands
    /// elsewhere than inside a call.
    WrongSite {
        /// The frame, outermost first.
        frame: usize,
    },
    /// Slots do not have the number, types and range that the site says.
    WrongSlots {
        /// The frame, outermost first.
        frame: usize,
    },
    /// The results of a frame are not those that the call below it waits for.
    WrongResults {
        /// The frame, outermost first.
        frame: usize,
    },
    /// The frames need more than the stack's limit.
    StackLimit,
    /// The host has no memory for a stack.
    HostMemory,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a thread needs a frame"),
            Self::UnknownFunction { frame } => write!(f, "frame {frame}: no such function"),
            Self::WrongSite { frame } => write!(f, "frame {frame}: it cannot stand at this site"),
            Self::WrongSlots { frame } => {
                write!(f, "frame {frame}: its slots are not those of the site")
            }
            Self::WrongResults { frame } => {
                write!(f, "frame {frame}: it does not return what the frame below waits for")
            }
            Self::StackLimit => f.write_str("the frames need more stack than the limit allows"),
            Self::HostMemory => f.write_str("the host has no memory for a stack"),
        }
    }
}

impl std::error::Error for FrameError {}
