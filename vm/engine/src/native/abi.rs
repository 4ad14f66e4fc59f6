//! Where parameters and results of compiled functions are: the C convention of the processor, with
//! the instance's block as the first parameter.
//!
//! Results: the first two integers and the first two floats (vectors count as floats) in registers,
//! every other result `i` at `Vm::results` + 16 `i`, whichever the processor.

use crate::types::{ValType, slot_count};

/// Registers for integer parameters, the block's included.
pub const INT_REGISTERS: usize = if cfg!(target_arch = "aarch64") { 8 } else { 6 };
/// Registers for floats and vectors.
pub const FLOAT_REGISTERS: usize = 8;
/// Registers of each kind for results.
const RESULT_REGISTERS: usize = 2;

/// Where a parameter is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParamPlace {
    /// In the integer register of this number.
    Int(usize),
    /// In the float register of this number.
    Float(usize),
    /// On the stack, this many 8-byte words above the first.
    Stack(usize),
}

/// Where a result is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultPlace {
    /// In the integer register of this number.
    Int(usize),
    /// In the float register of this number.
    Float(usize),
    /// Behind `Vm::results`, in the 16-byte cell of this number.
    Memory(usize),
}

/// How values of a function type go between a window of the value stack and registers.
#[derive(Debug)]
pub struct CallPlan {
    /// Type and place of each parameter.
    pub params: Box<[(ValType, ParamPlace)]>,
    /// Words on the native stack: an even number.
    pub word_count: usize,
    /// Type and place of each result.
    pub results: Box<[(ValType, ResultPlace)]>,
    /// Slots of the parameters in a window.
    pub param_slots: usize,
    /// Slots of the results in a window.
    pub result_slots: usize,
}

impl CallPlan {
    /// That of functions with these parameters and results.
    pub fn new(param_types: &[ValType], result_types: &[ValType]) -> Self {
        let (places, words) = params(param_types);
        Self {
            params: param_types.iter().copied().zip(places).collect(),
            word_count: words.next_multiple_of(2),
            results: result_types.iter().copied().zip(results(result_types)).collect(),
            param_slots: slot_count(param_types),
            result_slots: slot_count(result_types),
        }
    }
}

fn is_float(ty: ValType) -> bool {
    matches!(ty, ValType::F32 | ValType::F64 | ValType::V128)
}

/// The places of parameters of these types, and how many words they take on the stack.
pub fn params(types: &[ValType]) -> (Vec<ParamPlace>, usize) {
    let (mut ints, mut floats, mut words) = (1, 0, 0);
    let places = types.iter().map(|&ty| {
        let (used, limit, place): (&mut usize, _, fn(usize) -> ParamPlace) = match is_float(ty) {
            true => (&mut floats, FLOAT_REGISTERS, ParamPlace::Float),
            false => (&mut ints, INT_REGISTERS, ParamPlace::Int),
        };
        if *used < limit {
            *used += 1;
            return place(*used - 1);
        }
        let slots = ty.slot_count();
        words = usize::next_multiple_of(words, slots) + slots;
        ParamPlace::Stack(words - slots)
    });
    let places = places.collect();
    (places, words)
}

/// The places of results of these types.
pub fn results(types: &[ValType]) -> Vec<ResultPlace> {
    let (mut ints, mut floats) = (0, 0);
    let places = types.iter().enumerate().map(|(index, &ty)| {
        let (used, place): (&mut usize, fn(usize) -> ResultPlace) = match is_float(ty) {
            true => (&mut floats, ResultPlace::Float),
            false => (&mut ints, ResultPlace::Int),
        };
        if *used == RESULT_REGISTERS {
            return ResultPlace::Memory(index);
        }
        *used += 1;
        place(*used - 1)
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValType::*;

    #[test]
    fn what_has_no_register_goes_to_the_stack_aligned() {
        let types = [[I32; 7].as_slice(), &[F32; 8], &[V128, I64]].concat();
        let (places, words) = params(&types);
        let first = INT_REGISTERS - 1;
        assert_eq!(places[first - 1], ParamPlace::Int(first));
        if INT_REGISTERS == 6 {
            assert_eq!(places[5..7], [ParamPlace::Stack(0), ParamPlace::Stack(1)]);
            assert_eq!(places[15..], [ParamPlace::Stack(2), ParamPlace::Stack(4)]);
            assert_eq!(words, 5);
        }
    }

    #[test]
    fn results_behind_the_second_of_a_kind_go_to_memory() {
        let places = results(&[I32, F64, I64, ExternRef, V128, F32]);
        use ResultPlace::*;
        assert_eq!(places, [Int(0), Float(0), Int(1), Memory(3), Float(1), Memory(5)]);
    }
}
