//! `Show`: values are text. Documentation.

use std::cell::RefCell;
use std::convert::Infallible;

use crate::machine::{FloatCc, IntCc, Machine, MemArg, RmwOp};
use crate::semantics::Semantics;
use crate::types::{Float, Int, Scalar, Ty};
use crate::{Args, Immediates, Imms, Op, Out, Trap};

/// Texts made so far, and the lines with an effect in their order.
#[derive(Default)]
pub struct Show {
    texts: RefCell<Vec<String>>,
    lines: RefCell<Vec<String>>,
}

/// A text, by index: machine values have to be `Copy`.
#[derive(Clone, Copy)]
pub struct Text(usize);

impl Show {
    pub(crate) fn text(&self, text: impl Into<String>) -> Text {
        self.texts.borrow_mut().push(text.into());
        Text(self.texts.borrow().len() - 1)
    }
    pub(crate) fn get(&self, text: Text) -> String {
        self.texts.borrow()[text.0].clone()
    }
    pub(crate) fn call(&self, f: &str, args: &[Text]) -> Text {
        let args: Vec<_> = args.iter().map(|&arg| self.get(arg)).collect();
        self.text(format!("{f}({})", args.join(", ")))
    }
    fn infix(&self, a: Text, op: &str, b: Text) -> Text {
        self.text(format!("({} {op} {})", self.get(a), self.get(b)))
    }
    pub(crate) fn line(&self, line: String) {
        self.lines.borrow_mut().push(line);
    }
}

impl Semantics for Show {}

pub(crate) fn int_cc(cc: IntCc) -> &'static str {
    match cc {
        IntCc::Eq => "==",
        IntCc::Ne => "!=",
        IntCc::Lts => "<s",
        IntCc::Ltu => "<u",
        IntCc::Gts => ">s",
        IntCc::Gtu => ">u",
        IntCc::Les => "<=s",
        IntCc::Leu => "<=u",
        IntCc::Ges => ">=s",
        IntCc::Geu => ">=u",
    }
}
pub(crate) fn float_cc(cc: FloatCc) -> &'static str {
    match cc {
        FloatCc::Eq => "==",
        FloatCc::Ne => "!=",
        FloatCc::Lt => "<",
        FloatCc::Gt => ">",
        FloatCc::Le => "<=",
        FloatCc::Ge => ">=",
        FloatCc::Uno => "unordered with",
    }
}

macro_rules! infix {
    ($bound:ident: $($name:ident $op:literal)*) => {$(
        fn $name<T: $bound>(&self, a: Text, b: Text) -> Text { self.infix(a, $op, b) }
    )*};
}
macro_rules! calls {
    ($bound:ident: $($name:ident($($arg:ident),+) $f:literal)*) => {$(
        fn $name<T: $bound>(&self, $($arg: Text),+) -> Text { self.call($f, &[$($arg),+]) }
    )*};
}
macro_rules! shifts {
    ($($name:ident $op:literal)*) => {$(
        fn $name<T: Int>(&self, a: Text, b: Text) -> Text {
            self.infix(a, $op, self.text(format!("({} mod {})", self.get(b), T::BITS)))
        }
    )*};
}

#[rustfmt::skip]
impl Machine for Show {
    type V<T: Ty> = Text;
    type Trap = Infallible;

    fn trap_if(&self, condition: Text, trap: Trap) -> Result<(), Infallible> {
        self.line(format!("trap \"{trap}\" if {}", self.get(condition)));
        Ok(())
    }

    fn iconst<T: Int>(&self, x: i64) -> Text { self.text(x.to_string()) }
    infix! { Int: iadd "+" isub "-" imul "*" band "and" bor "or" bxor "xor"
        sdiv "/s" udiv "/u" srem "%s" urem "%u" }
    shifts! { ishl "<<" sshr ">>s" ushr ">>u" }
    calls! { Int: rotl(a, b) "rotl" rotr(a, b) "rotr" clz(a) "clz" ctz(a) "ctz" popcnt(a) "popcnt" }
    fn icmp<T: Int>(&self, cc: IntCc, a: Text, b: Text) -> Text { self.infix(a, int_cc(cc), b) }
    fn and(&self, a: Text, b: Text) -> Text { self.infix(a, "and", b) }
    fn not(&self, a: Text) -> Text { self.call("not", &[a]) }

    fn uextend<A: Int, B: Int>(&self, a: Text) -> Text { self.call("zero_extend", &[a]) }
    fn sextend<A: Int, B: Int>(&self, a: Text) -> Text { self.call("sign_extend", &[a]) }
    fn ireduce<A: Int, B: Int>(&self, a: Text) -> Text { self.text(format!("low {} bits of {}", B::BITS, self.get(a))) }
    fn bitcast<A: Scalar, B: Scalar>(&self, a: Text) -> Text { self.text(format!("bits of {}", self.get(a))) }

    fn fconst<T: Float>(&self, x: f64) -> Text { self.text(x.to_string()) }
    infix! { Float: fadd "+" fsub "-" fmul "*" fdiv "/" }
    calls! { Float: fmin(a, b) "min" fmax(a, b) "max" fcopysign(a, b) "copysign" fabs(a) "abs" fneg(a) "neg"
        sqrt(a) "sqrt" ceil(a) "ceil" floor(a) "floor" ftrunc(a) "trunc" nearest(a) "nearest" }
    fn fcmp<T: Float>(&self, cc: FloatCc, a: Text, b: Text) -> Text { self.infix(a, float_cc(cc), b) }
    fn fpromote(&self, a: Text) -> Text { self.call("promote", &[a]) }
    fn fdemote(&self, a: Text) -> Text { self.call("demote", &[a]) }
    fn fcvt_to_sint_sat<A: Float, B: Int>(&self, a: Text) -> Text { self.call("truncate_sat_s", &[a]) }
    fn fcvt_to_uint_sat<A: Float, B: Int>(&self, a: Text) -> Text { self.call("truncate_sat_u", &[a]) }
    fn fcvt_from_sint<A: Int, B: Float>(&self, a: Text) -> Text { self.call("convert_s", &[a]) }
    fn fcvt_from_uint<A: Int, B: Float>(&self, a: Text) -> Text { self.call("convert_u", &[a]) }

    fn select<T: Ty>(&self, c: Text, a: Text, b: Text) -> Text {
        self.text(format!("if {} then {} else {}", self.get(c), self.get(a), self.get(b)))
    }

    fn load<T: Scalar>(&self, _: MemArg, address: Text) -> Result<Text, Infallible> {
        Ok(self.text(format!("{} at [{} + at.offset]", T::KIND.name(), self.get(address))))
    }
    fn store<T: Scalar>(&self, _: MemArg, address: Text, x: Text) -> Result<(), Infallible> {
        self.line(format!("[{} + at.offset] = {}", self.get(address), self.get(x)));
        Ok(())
    }
    fn atomic_load<T: Int>(&self, _: MemArg, address: Text) -> Result<Text, Infallible> {
        Ok(self.text(format!("atomic {} at [{} + at.offset]", T::KIND.name(), self.get(address))))
    }
    fn atomic_store<T: Int>(&self, _: MemArg, address: Text, x: Text) -> Result<(), Infallible> {
        self.line(format!("atomic [{} + at.offset] = {}", self.get(address), self.get(x)));
        Ok(())
    }
    fn atomic_rmw<T: Int>(&self, op: RmwOp, at: MemArg, address: Text, x: Text) -> Result<Text, Infallible> {
        let old = self.atomic_load::<T>(at, address)?;
        let new = match op {
            RmwOp::Add => self.infix(old, "+", x),
            RmwOp::Sub => self.infix(old, "-", x),
            RmwOp::And => self.infix(old, "and", x),
            RmwOp::Or => self.infix(old, "or", x),
            RmwOp::Xor => self.infix(old, "xor", x),
            RmwOp::Xchg => x,
        };
        self.atomic_store::<T>(at, address, new)?;
        Ok(old)
    }
    fn atomic_cas<T: Int>(&self, at: MemArg, address: Text, expected: Text, x: Text) -> Result<Text, Infallible> {
        let old = self.atomic_load::<T>(at, address)?;
        let new = self.select::<T>(self.infix(old, "==", expected), x, old);
        self.atomic_store::<T>(at, address, new)?;
        Ok(old)
    }
}

/// Operands by their names in the row.
pub trait Names {
    /// A text for each name.
    fn names(show: &Show, names: &[&str]) -> Self;
}
impl Names for () {
    fn names(_: &Show, _: &[&str]) -> Self {}
}
impl Names for (Text,) {
    fn names(m: &Show, n: &[&str]) -> Self {
        (m.text(n[0]),)
    }
}
impl Names for (Text, Text) {
    fn names(m: &Show, n: &[&str]) -> Self {
        (m.text(n[0]), m.text(n[1]))
    }
}
impl Names for (Text, Text, Text) {
    fn names(m: &Show, n: &[&str]) -> Self {
        (m.text(n[0]), m.text(n[1]), m.text(n[2]))
    }
}

/// A result as the last line.
pub trait Last {
    /// Adds the line, if there is a result.
    fn line(self, show: &Show);
}
impl Last for () {
    fn line(self, _: &Show) {}
}
impl Last for Text {
    fn line(self, show: &Show) {
        let text = show.get(self);
        show.line(text);
    }
}

/// The semantics of an operator in one line.
pub fn formula<O: Op>() -> String
where
    <O::Args as Args>::Of<Show>: Names,
    <O::Out as Out>::Of<Show>: Last,
{
    let show = Show::default();
    let args = Names::names(&show, O::OPCODE.row().operands);
    let Ok(out) = O::run(&show, O::Imms::unpack(&Immediates::default()), args);
    out.line(&show);
    show.lines.into_inner().join("; ")
}
