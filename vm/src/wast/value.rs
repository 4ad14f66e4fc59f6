//! Values of a script as values of the engine, and patterns held against results.

use std::collections::BTreeMap;

use brant_asm::script::{Argument, Expected, FloatPattern, HeapType, VectorPattern};
use brant_engine::{ExternRef, Store, Val};

/// The host's values that a script speaks of, by number.
#[derive(Default)]
pub struct HostValues(BTreeMap<u32, ExternRef>);

impl HostValues {
    fn get(&mut self, store: &mut Store, number: u32) -> ExternRef {
        *self.0.entry(number).or_insert_with(|| ExternRef::new(store, number))
    }
}

/// An argument as a value.
pub fn value(argument: &Argument, store: &mut Store, host: &mut HostValues) -> Result<Val, String> {
    Ok(match *argument {
        Argument::I32(value) => Val::I32(value),
        Argument::I64(value) => Val::I64(value),
        Argument::F32(bits) => Val::F32(bits),
        Argument::F64(bits) => Val::F64(bits),
        Argument::V128(bytes) => Val::V128(u128::from_le_bytes(bytes)),
        Argument::RefNull(HeapType::Func | HeapType::NoFunc) => Val::FuncRef(None),
        Argument::RefNull(HeapType::Extern | HeapType::NoExtern) => Val::ExternRef(None),
        Argument::RefExtern(number) => Val::ExternRef(Some(host.get(store, number))),
        Argument::RefNull(_) | Argument::RefHost(_) => {
            return Err(format!("the engine has no values like {argument:?}"));
        }
    })
}

/// Whether a result is as the pattern wants it.
pub fn matches(expected: &Expected, actual: Val, store: &Store) -> bool {
    match (expected, actual) {
        (Expected::I32(want), Val::I32(got)) => *want == got,
        (Expected::I64(want), Val::I64(got)) => *want == got,
        (Expected::F32(want), Val::F32(got)) => matches_f32(*want, got),
        (Expected::F64(want), Val::F64(got)) => matches_f64(*want, got),
        (Expected::V128(want), Val::V128(got)) => matches_vector(want, got.to_le_bytes()),
        (Expected::RefNull(kind), Val::FuncRef(None)) => {
            matches!(kind, None | Some(HeapType::Func | HeapType::NoFunc))
        }
        (Expected::RefNull(kind), Val::ExternRef(None)) => {
            matches!(kind, None | Some(HeapType::Extern | HeapType::NoExtern))
        }
        (Expected::RefExtern(number), Val::ExternRef(Some(got))) => {
            number.is_none_or(|number| got.get::<u32>(store) == Some(&number))
        }
        (Expected::RefFunc(_) | Expected::Ref(HeapType::Func), Val::FuncRef(Some(_))) => true,
        (Expected::Ref(HeapType::Extern), Val::ExternRef(Some(_))) => true,
        (Expected::Either(patterns), got) => {
            patterns.iter().any(|pattern| matches(pattern, got, store))
        }
        _ => false,
    }
}

/// Spec: a canonical NaN has only the highest bit of its payload set, an arithmetic one at least
/// that; the sign is free.
fn matches_f32(want: FloatPattern<u32>, got: u32) -> bool {
    match want {
        FloatPattern::Bits(bits) => bits == got,
        FloatPattern::CanonicalNan => got & 0x7FFF_FFFF == 0x7FC0_0000,
        FloatPattern::ArithmeticNan => got & 0x7FC0_0000 == 0x7FC0_0000,
    }
}

fn matches_f64(want: FloatPattern<u64>, got: u64) -> bool {
    match want {
        FloatPattern::Bits(bits) => bits == got,
        FloatPattern::CanonicalNan => got & 0x7FFF_FFFF_FFFF_FFFF == 0x7FF8_0000_0000_0000,
        FloatPattern::ArithmeticNan => got & 0x7FF8_0000_0000_0000 == 0x7FF8_0000_0000_0000,
    }
}

fn matches_vector(want: &VectorPattern, got: [u8; 16]) -> bool {
    match want {
        VectorPattern::I8x16(lanes) => *lanes == got,
        VectorPattern::I16x8(lanes) => *lanes == lanes_of(got, u16::from_le_bytes),
        VectorPattern::I32x4(lanes) => *lanes == lanes_of(got, u32::from_le_bytes),
        VectorPattern::I64x2(lanes) => *lanes == lanes_of(got, u64::from_le_bytes),
        VectorPattern::F32x4(lanes) => {
            let got: [u32; 4] = lanes_of(got, u32::from_le_bytes);
            lanes.iter().zip(got).all(|(want, got)| matches_f32(*want, got))
        }
        VectorPattern::F64x2(lanes) => {
            let got: [u64; 2] = lanes_of(got, u64::from_le_bytes);
            lanes.iter().zip(got).all(|(want, got)| matches_f64(*want, got))
        }
    }
}

/// The lanes of a vector: `COUNT` times `SIZE` bytes.
fn lanes_of<T, const SIZE: usize, const COUNT: usize>(
    bytes: [u8; 16], lane: impl Fn([u8; SIZE]) -> T,
) -> [T; COUNT] {
    const { assert!(SIZE * COUNT == 16) };
    std::array::from_fn(|index| lane(std::array::from_fn(|byte| bytes[index * SIZE + byte])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_nan_are_told_apart() {
        assert!(matches_f32(FloatPattern::CanonicalNan, 0xFFC0_0000));
        assert!(!matches_f32(FloatPattern::CanonicalNan, 0x7FC0_0001));
        assert!(matches_f32(FloatPattern::ArithmeticNan, 0x7FC0_0001));
        assert!(!matches_f32(FloatPattern::ArithmeticNan, 0x7F80_0001));
        assert!(!matches_f64(FloatPattern::ArithmeticNan, f64::INFINITY.to_bits()));
        assert!(matches_f64(FloatPattern::Bits(0), 0));
        assert!(!matches_f64(FloatPattern::Bits(0), (-0.0f64).to_bits()));
    }

    #[test]
    fn lanes_are_little_endian() {
        let bytes: [u8; 16] = std::array::from_fn(|index| index as u8);
        let lanes = [0x0302_0100, 0x0706_0504, 0x0B0A_0908, 0x0F0E_0D0C];
        assert!(matches_vector(&VectorPattern::I32x4(lanes), bytes));
        assert!(!matches_vector(&VectorPattern::I64x2([0, 1]), bytes));
    }
}
