//! From an opcode of the table to the CLIF of its row.

use brant_isa::{Immediates, Imms, Op, Opcode, Out, ops};
use cranelift_codegen::ir::Value;

use super::Emit;

/// Operands as an operator takes them.
trait Operands {
    fn take(values: &[Value]) -> Self;
}
impl Operands for () {
    fn take(_: &[Value]) -> Self {}
}
impl Operands for (Value,) {
    fn take(values: &[Value]) -> Self {
        (values[0],)
    }
}
impl Operands for (Value, Value) {
    fn take(values: &[Value]) -> Self {
        (values[0], values[1])
    }
}
impl Operands for (Value, Value, Value) {
    fn take(values: &[Value]) -> Self {
        (values[0], values[1], values[2])
    }
}

/// An operator's result: a value, or nothing.
trait Results {
    fn value(self) -> Option<Value>;
}
impl Results for () {
    fn value(self) -> Option<Value> {
        None
    }
}
impl Results for Value {
    fn value(self) -> Option<Value> {
        Some(self)
    }
}

macro_rules! derive_emission {
    (
        { $($op:ident $bytes:tt $name:literal $feature:ident $effect:ident $imms:tt
            $args:tt -> $out:tt = $sem:ident $(<$($of:ty),+>)?;)* }
        { $($vop:ident $vbytes:tt $vname:literal $vfeature:ident $veffect:ident $vimms:tt
            $vargs:tt -> $vout:tt = $vsem:ident $(<$($vof:ty),+>)?;)* }
        $others:tt
    ) => {
        /// Emits an operator on its operands. A condition comes back as an i8. `None` for operators
        /// without a result, and for what is no operator.
        pub fn emit(
            m: &Emit<'_, '_>, opcode: Opcode, imms: &Immediates, operands: &[Value],
        ) -> Option<Value> {
            match opcode {
                $(Opcode::$op => run::<ops::$op>(m, imms, operands),)*
                $(Opcode::$vop => run::<ops::$vop>(m, imms, operands),)*
                _ => None,
            }
        }
    };
}
brant_isa::for_each_row!(derive_emission);

fn run<'a, 'f, O: Op>(m: &Emit<'a, 'f>, imms: &Immediates, operands: &[Value]) -> Option<Value>
where
    <O::Args as brant_isa::Args>::Of<Emit<'a, 'f>>: Operands,
    <O::Out as Out>::Of<Emit<'a, 'f>>: Results,
{
    let Ok(out) = O::run(m, Imms::unpack(imms), Operands::take(operands));
    out.value()
}
