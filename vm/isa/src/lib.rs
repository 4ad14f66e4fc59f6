//! Instructions as data: the table, the primitives, the bodies, and what is derived from them.
//!
//! Knows neither the interpreter, nor a compiler, nor the text format's grammar: those are driven by
//! what stands here. No unsafe code.
//!
//! | part | file |
//! |---|---|
//! | rows: numbers, atomic accesses, vectors, everything else | `table.rs`, `table_atomic.rs`, `table_simd.rs`, `table_other.rs` |
//! | what is derived from them | `row.rs`, `op.rs`, `lookup.rs` |
//! | primitives, named after CLIF instructions | `machine.rs`, `simd/machine.rs` |
//! | bodies that are more than one primitive | `semantics.rs`, `simd/semantics.rs` |
//! | machines: numbers, text | `eval.rs`, `show.rs` and their twins in `simd/` |
#![forbid(unsafe_code)]
#![recursion_limit = "1024"]

pub mod doc;
pub mod eval;
mod lookup;
pub mod machine;
mod op;
mod row;
pub mod semantics;
pub mod show;
pub mod simd;
mod table;
mod table_atomic;
mod table_other;
mod table_simd;
mod trap;
pub mod types;

pub use op::{Args, Immediates, Imms, Op, Out, eval, fold, ops};
pub use row::{Effect, Encoding, Feature, Immediate, ImmediateKind, Opcode, ROWS, Row};
pub use trap::Trap;

/// Hands all rows to the macro `then`: `then! { {operators} {vector operators} {others} }`.
#[macro_export]
#[doc(hidden)]
macro_rules! for_each_row {
    ($then:ident) => {
        $crate::for_each_op! { [$crate::__then_atomic] [$then] }
    };
}
#[macro_export]
#[doc(hidden)]
macro_rules! __then_atomic {
    ([$($then:tt)*] $ops:tt) => {
        $crate::for_each_atomic! { [$crate::__then_simd] [$($then)*] $ops }
    };
}
#[macro_export]
#[doc(hidden)]
macro_rules! __then_simd {
    ([$($then:tt)*] { $($op:tt)* } { $($atomic:tt)* }) => {
        $crate::for_each_simd_op! { [$crate::__then_other] [$($then)*] { $($op)* $($atomic)* } }
    };
}
#[macro_export]
#[doc(hidden)]
macro_rules! __then_other {
    ([$($then:tt)*] $ops:tt $simd:tt) => {
        $crate::for_each_other! { [$($then)*] $ops $simd }
    };
}
