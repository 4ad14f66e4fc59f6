//! Constant expressions: initial values of globals, offsets of segments, elements.

use wasmparser::{BinaryReader, Operator, OperatorsReader};

use super::{ModuleInner, Span};

/// A constant expression, as the place in the module where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConstExpr(Span);

/// What constant expressions can refer to. Values are cells: the low half alone unless a vector.
pub(crate) trait ConstScope {
    /// The value of global `index`.
    fn global(&self, index: u32) -> u128;
    /// The reference to function `index`.
    fn function(&self, index: u32) -> u32;
}

impl ConstExpr {
    pub(crate) fn new(expr: &wasmparser::ConstExpr<'_>) -> Self {
        let reader = expr.get_binary_reader();
        Self(Span::new(reader.range()))
    }

    /// Its value. Integers are zero-extended, null is 0.
    pub(crate) fn value(self, module: &ModuleInner, scope: &impl ConstScope) -> u128 {
        let bytes = module.bytes.at(self.0);
        let features = module.engine.config().features;
        evaluate(BinaryReader::new_features(bytes, u64::from(self.0.start), features), scope)
    }
}

/// The value of the expression that `reader` reads. The validator has seen it: exactly one value
/// is left, and whatever an invalid expression would do is 0.
pub(crate) fn evaluate(reader: BinaryReader<'_>, scope: &impl ConstScope) -> u128 {
    // Most expressions are one constant; the stack grows with the bytes of the expression.
    let mut stack = Vec::with_capacity(1);
    let mut operators = OperatorsReader::new(reader);
    while let Ok(operator) = operators.read() {
        let value = match operator {
            Operator::I32Const { value } => u128::from(value as u32),
            Operator::I64Const { value } => u128::from(value as u64),
            Operator::F32Const { value } => u128::from(value.bits()),
            Operator::F64Const { value } => u128::from(value.bits()),
            Operator::V128Const { value } => u128::from_le_bytes(*value.bytes()),
            Operator::RefNull { .. } => 0,
            Operator::RefFunc { function_index } => u128::from(scope.function(function_index)),
            Operator::GlobalGet { global_index } => scope.global(global_index),
            Operator::End => break,
            _ => {
                let (b, a) = (stack.pop().unwrap_or(0), stack.pop().unwrap_or(0));
                binary(&operator, a, b)
            }
        };
        stack.push(value);
    }
    stack.pop().unwrap_or(0)
}

/// The operators of the extended constant expressions.
fn binary(operator: &Operator<'_>, a: u128, b: u128) -> u128 {
    let narrow = |f: fn(u32, u32) -> u32| u128::from(f(a as u32, b as u32));
    let wide = |f: fn(u64, u64) -> u64| u128::from(f(a as u64, b as u64));
    match operator {
        Operator::I32Add => narrow(u32::wrapping_add),
        Operator::I32Sub => narrow(u32::wrapping_sub),
        Operator::I32Mul => narrow(u32::wrapping_mul),
        Operator::I64Add => wide(u64::wrapping_add),
        Operator::I64Sub => wide(u64::wrapping_sub),
        Operator::I64Mul => wide(u64::wrapping_mul),
        _ => 0,
    }
}
