//! Why the dispatch returned to the driver.

use brant_isa::Trap;

/// A reason to return. `ip` is where the run goes on once the driver has done its part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The outermost function has returned; its results are at `fp`.
    Done,
    /// The budget is used up, at a loop header.
    Budget,
    /// The budget is used up, at the entry of a function: its frame stands, `acc` is its slot.
    Entered,
    /// `acc` is the address of a function's slot whose icode does not exist yet; its frame stands.
    Translate,
    /// The call at `ip` leaves the instance; `payload` is the address of the callee's slot.
    CallOut,
    /// The tail call at `ip` leaves the instance; `payload` is the address of the callee's slot.
    TailCallOut,
    /// A function has returned to another instance than its own.
    SwitchBack,
    /// The operation at `ip` is done by the driver.
    Runtime,
    /// A compiled function was called: `acc` is its slot, its frame stands.
    Native,
    /// The block at `ip` costs more fuel than there is.
    OutOfFuel,
    /// The instruction at `ip` has no defined result.
    Trap(Trap),
}

/// Codes from here on are not traps.
const FIRST: u64 = 256;

impl Exit {
    const PLAIN: [Self; 10] = [
        Self::Done,
        Self::Budget,
        Self::Translate,
        Self::CallOut,
        Self::TailCallOut,
        Self::SwitchBack,
        Self::Runtime,
        Self::OutOfFuel,
        Self::Entered,
        Self::Native,
    ];

    /// The exit as a number: traps by their own code, which is what a fault gives too.
    #[inline(always)]
    pub const fn code(self) -> u64 {
        match self {
            Self::Done => FIRST,
            Self::Budget => FIRST + 1,
            Self::Translate => FIRST + 2,
            Self::CallOut => FIRST + 3,
            Self::TailCallOut => FIRST + 4,
            Self::SwitchBack => FIRST + 5,
            Self::Runtime => FIRST + 6,
            Self::OutOfFuel => FIRST + 7,
            Self::Entered => FIRST + 8,
            Self::Native => FIRST + 9,
            Self::Trap(trap) => trap as u64,
        }
    }

    /// The exit that has this code.
    pub fn from_code(code: u64) -> Self {
        match code.checked_sub(FIRST) {
            Some(index) => Self::PLAIN[index as usize],
            None => Self::Trap(Trap::from_code(code).expect("the code of an exit")),
        }
    }
}
