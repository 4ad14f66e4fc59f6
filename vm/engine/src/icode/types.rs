//! What the walk wants to know of a type.

pub use crate::types::ValType as Type;

/// The accumulator that a type uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Class {
    /// Integers and references.
    Int,
    /// Floats.
    Float,
    /// Vectors.
    Vector,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Int, Self::Float, Self::Vector];
}

impl Type {
    /// The accumulator that values of this type use.
    #[inline]
    pub(crate) fn class(self) -> Class {
        match self {
            Self::F32 | Self::F64 => Class::Float,
            Self::V128 => Class::Vector,
            _ => Class::Int,
        }
    }

    /// How many slots a value takes, as the walk counts them.
    #[inline]
    pub(crate) fn slots(self) -> u32 {
        self.slot_count() as u32
    }

    /// The type whose encoding is this byte.
    #[inline]
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x7F => Self::I32,
            0x7E => Self::I64,
            0x7D => Self::F32,
            0x7C => Self::F64,
            0x7B => Self::V128,
            0x70 => Self::FuncRef,
            0x6F => Self::ExternRef,
            _ => return None,
        })
    }
}
