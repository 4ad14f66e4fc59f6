//! Vectors of 128 bits: twins of the files one folder up.

mod eval;
mod machine;
mod semantics;
mod show;

pub use machine::{
    BitOp, FloatLaneOp, FloatLaneUnary, Half, IntLaneOp, IntLaneUnary, Shift, Sign, Simd,
};
pub use semantics::SimdSemantics;
