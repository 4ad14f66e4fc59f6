//! Traps: why an instruction has no result.
//!
//! Knows no frame, no address and no engine: only codes and the specification's words for them.

use std::fmt;

macro_rules! traps {
    ($($(#[$doc:meta])* $name:ident = $code:literal $message:literal;)*) => {
        /// Why an instruction has no result.
        ///
        /// Codes are below 256, start at 1 and are dense, so that an exit code can be one.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Trap {
            $($(#[$doc])* $name = $code,)*
        }

        impl Trap {
            /// All traps in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The specification's words, as its test suite has them.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message,)*
                }
            }
        }
    };
}

traps! {
    /// The instruction `unreachable`.
    Unreachable = 1 "unreachable";
    /// Division or remainder by zero.
    IntegerDivideByZero = 2 "integer divide by zero";
    /// A quotient or a conversion that does not fit.
    IntegerOverflow = 3 "integer overflow";
    /// A conversion of NaN to an integer.
    InvalidConversionToInteger = 4 "invalid conversion to integer";
    /// A memory access that ends behind the memory.
    OutOfBoundsMemoryAccess = 5 "out of bounds memory access";
    /// A table access that ends behind the table.
    OutOfBoundsTableAccess = 6 "out of bounds table access";
    /// An indirect call through an index behind the table.
    UndefinedElement = 7 "undefined element";
    /// An indirect call through a null element.
    UninitializedElement = 8 "uninitialized element";
    /// An indirect call of a function of another type.
    IndirectCallTypeMismatch = 9 "indirect call type mismatch";
    /// Calls nested more deeply than the stack limit allows.
    CallStackExhausted = 10 "call stack exhausted";
    /// An atomic access that is not aligned.
    UnalignedAtomic = 11 "unaligned atomic";
    /// `memory.atomic.wait` on a memory that is not shared.
    ExpectedSharedMemory = 12 "expected shared memory";
    /// An operation on a null reference.
    NullReference = 13 "null reference";
    /// A cast that the value does not satisfy.
    CastFailure = 14 "cast failure";
    /// An array access behind its end.
    OutOfBoundsArrayAccess = 15 "out of bounds array access";
    /// An exception that nothing catches.
    UncaughtException = 16 "unhandled exception";
    /// A wait that nobody can end.
    Deadlock = 17 "all threads are waiting";
}

impl Trap {
    /// The trap that has this code.
    pub fn from_code(code: u64) -> Option<Self> {
        let index = usize::try_from(code.checked_sub(1)?).ok()?;
        Self::ALL.get(index).copied()
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Trap {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_and_come_back() {
        for (i, &trap) in Trap::ALL.iter().enumerate() {
            assert_eq!(trap as usize, i + 1);
            assert_eq!(Trap::from_code(trap as u64), Some(trap));
        }
        assert_eq!(Trap::from_code(0), None);
        assert_eq!(Trap::from_code(Trap::ALL.len() as u64 + 1), None);
        assert_eq!(Trap::from_code(u64::MAX), None);
    }
}
