//! Operators as types, so that code can be generic over them, and as functions on numbers.

use crate::eval::{Bits, Env, Eval, NoMemory, OutBits};
use crate::machine::{Lane, Machine, MemArg, Shuffle};
use crate::semantics::Semantics;
use crate::simd::SimdSemantics;
use crate::types::{Kind, Ty};
use crate::{Effect, Opcode, Trap};

/// Operands of an operator: a tuple of types, and on machine `M` a tuple of values.
pub trait Args: 'static {
    /// The values.
    type Of<M: Machine>;
    /// The types as data.
    const KINDS: &'static [Kind];
}
impl Args for () {
    type Of<M: Machine> = ();
    const KINDS: &'static [Kind] = &[];
}
impl<A: Ty> Args for (A,) {
    type Of<M: Machine> = (M::V<A>,);
    const KINDS: &'static [Kind] = &[A::KIND];
}
impl<A: Ty, B: Ty> Args for (A, B) {
    type Of<M: Machine> = (M::V<A>, M::V<B>);
    const KINDS: &'static [Kind] = &[A::KIND, B::KIND];
}
impl<A: Ty, B: Ty, C: Ty> Args for (A, B, C) {
    type Of<M: Machine> = (M::V<A>, M::V<B>, M::V<C>);
    const KINDS: &'static [Kind] = &[A::KIND, B::KIND, C::KIND];
}

/// Result of an operator: a type, or `()`.
pub trait Out: 'static {
    /// The value.
    type Of<M: Machine>;
    /// The type as data.
    const KIND: Option<Kind>;
}
impl Out for () {
    type Of<M: Machine> = ();
    const KIND: Option<Kind> = None;
}
impl<T: Ty> Out for T {
    type Of<M: Machine> = M::V<T>;
    const KIND: Option<Kind> = Some(T::KIND);
}

/// The immediates that an operator can have, as plain values.
#[derive(Clone, Copy, Default, Debug)]
pub struct Immediates {
    /// Offset of a memory access.
    pub at: MemArg,
    /// A lane index.
    pub lane: Lane,
    /// The lanes of a shuffle.
    pub lanes: Shuffle,
}

/// Immediates of an operator, as a tuple.
pub trait Imms: Copy + 'static {
    /// Takes what the operator has.
    fn unpack(from: &Immediates) -> Self;
}
impl Imms for () {
    #[inline(always)]
    fn unpack(_: &Immediates) -> Self {}
}
impl Imms for (MemArg,) {
    #[inline(always)]
    fn unpack(from: &Immediates) -> Self {
        (from.at,)
    }
}
impl Imms for (Lane,) {
    #[inline(always)]
    fn unpack(from: &Immediates) -> Self {
        (from.lane,)
    }
}
impl Imms for (MemArg, Lane) {
    #[inline(always)]
    fn unpack(from: &Immediates) -> Self {
        (from.at, from.lane)
    }
}
impl Imms for (Shuffle,) {
    #[inline(always)]
    fn unpack(from: &Immediates) -> Self {
        (from.lanes,)
    }
}

/// An operator as a type.
pub trait Op: 'static {
    /// Its row.
    const OPCODE: Opcode;
    /// Its immediates.
    type Imms: Imms;
    /// Its operands.
    type Args: Args;
    /// Its result.
    type Out: Out;
    /// Runs the operator on machine `m`.
    ///
    /// # Errors
    /// The machine's own trap, where it traps while the body runs.
    fn run<M: Semantics + SimdSemantics>(
        m: &M, imms: Self::Imms, args: <Self::Args as Args>::Of<M>,
    ) -> Result<<Self::Out as Out>::Of<M>, M::Trap>;
}

/// A primitive's value becomes a `Result` that never fails; the other effects have one already.
macro_rules! result {
    (Pure $value:expr) => {
        Ok($value)
    };
    (Commutes $value:expr) => {
        Ok($value)
    };
    ($effect:ident $result:expr) => {
        $result
    };
}

macro_rules! derive_ops {
    (
        { $($op:ident $bytes:tt $name:literal $feature:ident $effect:ident
            {$($imm:ident : $imm_ty:ty),*} ($($arg:ident : $ty:ty),*) -> $out:ty
            = $sem:ident $(<$($of:ty),+>)?;)* }
        { $($vop:ident $vbytes:tt $vname:literal $vfeature:ident $veffect:ident
            {$($vimm:ident : $vimm_ty:ty),*} ($($varg:ident : $vty:ty),*) -> $vout:ty
            = $vsem:ident $(<$($vof:ty),+>)?;)* }
        $others:tt
    ) => {
        /// The operators as types.
        pub mod ops {
            use super::*;
            use crate::types::{F32x4, F64x2, I8x16, I16x8, I32x4, I64x2, V128 as v128};
            $(derive_ops!(@op $op $name $effect {$($imm $imm_ty),*} {$($arg $ty),*} $out, $sem {$(<$($of),+>)?});)*
            $(derive_ops!(@op $vop $vname $veffect {$($vimm $vimm_ty),*} {$($varg $vty),*} $vout, $vsem {$(<$($vof),+>)?});)*
        }

        /// Runs `opcode` on numbers: constant folding, and the reference of tests. Operands and
        /// result are bits, of which narrower types use the low ones.
        ///
        /// Gives `None` for instructions that are no operators, and where `args` are too few.
        ///
        /// # Errors
        /// The operator's trap.
        pub fn eval<E: Env>(
            m: &Eval<E>, opcode: Opcode, imms: &Immediates, args: &[u128],
        ) -> Result<Option<u128>, Trap> {
            if args.len() < opcode.row().operand_kinds.len() {
                return Ok(None);
            }
            match opcode {
                $(Opcode::$op => {
                    let out = ops::$op::run(m, Imms::unpack(imms), Bits::from_bits(args))?;
                    Ok(OutBits::to_bits(out))
                })*
                $(Opcode::$vop => {
                    let out = ops::$vop::run(m, Imms::unpack(imms), Bits::from_bits(args))?;
                    Ok(OutBits::to_bits(out))
                })*
                _ => Ok(None),
            }
        }

        /// Runs `opcode` on numbers of at most 64 bits; `None` for every other opcode.
        fn eval_scalar(opcode: Opcode, args: &[u128]) -> Option<u128> {
            match opcode {
                $(Opcode::$op => {
                    let out = ops::$op::run(&Eval(NoMemory), Imms::unpack(&Immediates::default()), Bits::from_bits(args));
                    out.ok().and_then(OutBits::to_bits)
                })*
                _ => None,
            }
        }
    };
    (@op $op:ident $name:literal $effect:ident {$($imm:ident $imm_ty:ty),*} {$($arg:ident $ty:ty),*}
        $out:ty, $sem:ident {$(<$($of:ty),+>)?}) => {
        #[doc = concat!("`", $name, "`")]
        pub struct $op;
        impl Op for $op {
            const OPCODE: Opcode = Opcode::$op;
            type Imms = ($($imm_ty,)*);
            type Args = ($($ty,)*);
            type Out = $out;
            #[inline(always)]
            fn run<M: Semantics + SimdSemantics>(
                m: &M,
                ($($imm,)*): Self::Imms,
                ($($arg,)*): <Self::Args as Args>::Of<M>,
            ) -> Result<<Self::Out as Out>::Of<M>, M::Trap> {
                result!($effect m.$sem$(::<$($of),+>)?($($imm,)* $($arg),*))
            }
        }
    };
}
crate::for_each_row!(derive_ops);

/// Folds a pure operator over constants of at most 64 bits. A NaN is left to run time, because
/// which NaN it is may depend on the machine.
pub fn fold(opcode: Opcode, args: &[u64]) -> Option<u64> {
    let row = opcode.row();
    if row.effect != Effect::Pure || args.len() != row.operand_kinds.len() {
        return None;
    }
    let mut words = [0; 3];
    for (word, &arg) in words.iter_mut().zip(args) {
        *word = u128::from(arg);
    }
    let out = eval_scalar(opcode, &words[..args.len()])? as u64;
    let nan = match row.result_kind {
        Some(Kind::F32) => f32::from_bits(out as u32).is_nan(),
        Some(Kind::F64) => f64::from_bits(out).is_nan(),
        _ => false,
    };
    (!nan).then_some(out)
}
