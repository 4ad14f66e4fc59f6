//! `Show` on vectors.

use std::convert::Infallible;

use super::machine::{
    BitOp, FloatLaneOp, FloatLaneUnary, Half, IntLaneOp, IntLaneUnary, Shift, Sign, Simd,
};
use super::semantics::SimdSemantics;
use crate::machine::{FloatCc, IntCc, Lane, MemArg, Shuffle};
use crate::show::{Show, Text, float_cc, int_cc};
use crate::types::{FloatShape, IntShape, Shape};

impl SimdSemantics for Show {}

impl Show {
    /// `shape.operation(args)`.
    fn lanes<S: Shape>(&self, operation: &str, args: &[Text]) -> Text {
        self.call(&format!("{}.{operation}", S::NAME), args)
    }
}

fn sign(sign: Sign) -> &'static str {
    match sign {
        Sign::Signed => "s",
        Sign::Unsigned => "u",
    }
}

#[rustfmt::skip]
impl Simd for Show {
    fn vload(&self, _: MemArg, address: Text) -> Result<Text, Infallible> {
        Ok(self.text(format!("v128 at [{} + at.offset]", self.get(address))))
    }
    fn vstore(&self, _: MemArg, address: Text, x: Text) -> Result<(), Infallible> {
        self.line(format!("[{} + at.offset] = {}", self.get(address), self.get(x)));
        Ok(())
    }
    fn vzero(&self) -> Text { self.text("0") }
    fn vsplat<S: Shape>(&self, x: Text) -> Text { self.lanes::<S>("splat", &[x]) }
    fn vextract<S: Shape>(&self, _: Lane, a: Text) -> Text { self.lanes::<S>("extract", &[a, self.text("lane")]) }
    fn vreplace<S: Shape>(&self, _: Lane, a: Text, x: Text) -> Text { self.lanes::<S>("replace", &[a, self.text("lane"), x]) }
    fn vshuffle(&self, _: Shuffle, a: Text, b: Text) -> Text { self.call("shuffle", &[self.text("lanes"), a, b]) }
    fn vswizzle(&self, a: Text, b: Text) -> Text { self.call("swizzle", &[a, b]) }
    fn vbits(&self, op: BitOp, a: Text, b: Text) -> Text { self.call(&format!("{op:?}").to_lowercase(), &[a, b]) }
    fn vnot(&self, a: Text) -> Text { self.call("not", &[a]) }
    fn vbitselect(&self, a: Text, b: Text, c: Text) -> Text { self.call("bitselect", &[a, b, c]) }
    fn vany_true(&self, a: Text) -> Text { self.call("any bit of", &[a]) }
    fn vall_true<S: IntShape>(&self, a: Text) -> Text { self.lanes::<S>("all_true", &[a]) }
    fn vbitmask<S: IntShape>(&self, a: Text) -> Text { self.lanes::<S>("bitmask", &[a]) }
    fn vint<S: IntShape>(&self, op: IntLaneOp, a: Text, b: Text) -> Text { self.lanes::<S>(&format!("{op:?}"), &[a, b]) }
    fn vint_unary<S: IntShape>(&self, op: IntLaneUnary, a: Text) -> Text { self.lanes::<S>(&format!("{op:?}"), &[a]) }
    fn vshift<S: IntShape>(&self, shift: Shift, a: Text, count: Text) -> Text {
        self.lanes::<S>(&format!("Shift{shift:?}"), &[a, count])
    }
    fn vicmp<S: IntShape>(&self, cc: IntCc, a: Text, b: Text) -> Text { self.lanes::<S>(int_cc(cc), &[a, b]) }
    fn vnarrow<S: IntShape>(&self, s: Sign, a: Text, b: Text) -> Text { self.lanes::<S>(&format!("narrow_{}", sign(s)), &[a, b]) }
    fn vextend<S: IntShape>(&self, half: Half, s: Sign, a: Text) -> Text {
        self.lanes::<S>(&format!("extend_{}_{}", format!("{half:?}").to_lowercase(), sign(s)), &[a])
    }
    fn vextadd<S: IntShape>(&self, s: Sign, a: Text) -> Text { self.lanes::<S>(&format!("add_pairs_{}", sign(s)), &[a]) }
    fn vdot(&self, a: Text, b: Text) -> Text { self.call("dot", &[a, b]) }
    fn vdot_bytes(&self, a: Text, b: Text) -> Text { self.call("dot_bytes", &[a, b]) }
    fn vq15mulr(&self, a: Text, b: Text) -> Text { self.call("q15mulr", &[a, b]) }
    fn vfloat<S: FloatShape>(&self, op: FloatLaneOp, a: Text, b: Text) -> Text { self.lanes::<S>(&format!("{op:?}"), &[a, b]) }
    fn vfloat_unary<S: FloatShape>(&self, op: FloatLaneUnary, a: Text) -> Text { self.lanes::<S>(&format!("{op:?}"), &[a]) }
    fn vfcmp<S: FloatShape>(&self, cc: FloatCc, a: Text, b: Text) -> Text { self.lanes::<S>(float_cc(cc), &[a, b]) }
    fn vtrunc_sat(&self, s: Sign, a: Text) -> Text { self.call(&format!("truncate_sat_{}", sign(s)), &[a]) }
    fn vtrunc_sat_zero(&self, s: Sign, a: Text) -> Text { self.call(&format!("truncate_sat_low_{}", sign(s)), &[a]) }
    fn vconvert(&self, s: Sign, a: Text) -> Text { self.call(&format!("convert_{}", sign(s)), &[a]) }
    fn vconvert_low(&self, s: Sign, a: Text) -> Text { self.call(&format!("convert_low_{}", sign(s)), &[a]) }
    fn vdemote(&self, a: Text) -> Text { self.call("demote", &[a]) }
    fn vpromote(&self, a: Text) -> Text { self.call("promote_low", &[a]) }
}
