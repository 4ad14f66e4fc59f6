//! What records do: one type for each kind of record, generic over operator and places.
//!
//! A step changes `Regs` and says how to go on; it does not know how the next one is reached.
//! Layouts of records are in `icode/mod.rs`.

pub mod branch;
pub mod bulk;
pub mod call;
pub mod fused;
pub mod moves;
pub mod operator;
pub mod special;
