//! `Emit`: values are Cranelift values, and running a body appends its CLIF.
//!
//! A primitive is one instruction. Bodies for which CLIF has one instruction with the same meaning,
//! traps and their order included, are overridden in `overrides.rs`.
//! Nothing here knows operands, blocks or sites.

mod overrides;
mod scalar;
mod table;
mod vector;

use std::cell::RefCell;

use brant_engine::vm::GUARD_BYTES;
use brant_isa::machine::MemArg;
use brant_isa::types::{Kind, Shape, Ty};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, TrapCode, Type, Value, types};
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder};

use crate::abi::{self, Regions};

pub use table::emit;

/// The machine whose values are those of a function that is being built.
pub struct Emit<'a, 'f> {
    /// In a cell, because primitives take `&self` so that bodies nest.
    builder: RefCell<&'a mut FunctionBuilder<'f>>,
    vm: Value,
    regions: Regions,
    memory: MemoryAt,
    /// The trap of an access to the memory.
    code: TrapCode,
    canonical_nans: bool,
}

/// The linear memory that an operator works on.
#[derive(Clone, Copy, Debug)]
pub enum MemoryAt {
    /// Memory 0, whose base is known.
    First {
        base: Value,
        /// Whether what lies behind it faults.
        guarded: bool,
    },
    /// The memory of this index.
    Other(u32),
}

/// The CLIF type of a value inside a body.
pub fn clif(kind: Kind) -> Type {
    match kind {
        Kind::Bool | Kind::I8 => types::I8,
        Kind::I16 => types::I16,
        Kind::I32 => types::I32,
        Kind::I64 => types::I64,
        Kind::F32 => types::F32,
        Kind::F64 => types::F64,
        Kind::V128 => types::I8X16,
    }
}

/// The vector type of a shape.
fn shape<S: Shape>() -> Type {
    let lane = clif(S::Lane::KIND);
    lane.by(128 / lane.bits()).unwrap_or(types::I8X16)
}

/// How lanes lie in a vector.
pub fn lane_order() -> MemFlagsData {
    MemFlagsData::new().with_endianness(Endianness::Little)
}

impl<'a, 'f> Emit<'a, 'f> {
    /// Appends to the current block of `builder`.
    pub fn new(
        builder: &'a mut FunctionBuilder<'f>, vm: Value, regions: Regions, memory: MemoryAt,
        code: TrapCode, canonical_nans: bool,
    ) -> Self {
        Self { builder: RefCell::new(builder), vm, regions, memory, code, canonical_nans }
    }

    /// Flags of an access to linear memory.
    fn heap(&self) -> MemFlagsData {
        self.regions.heap(self.code)
    }

    fn ins<R>(&self, f: impl FnOnce(FuncInstBuilder<'_, '_>) -> R) -> R {
        f(self.builder.borrow_mut().ins())
    }

    /// The lanes of `v`, as `shape`; nothing if they are already.
    fn lanes(&self, shape: Type, v: Value) -> Value {
        let is = self.builder.borrow().func.dfg.value_type(v);
        if is == shape { v } else { self.ins(|i| i.bitcast(shape, lane_order(), v)) }
    }

    /// `x`, or the canonical NaN in place of any other, if NaNs are to be canonical.
    fn nan(&self, x: Value) -> Value {
        if !self.canonical_nans {
            return x;
        }
        let ty = self.builder.borrow().func.dfg.value_type(x);
        let lane = match ty.lane_type() {
            types::F32 => self.ins(|i| i.f32const(f32::from_bits(0x7FC0_0000))),
            _ => self.ins(|i| i.f64const(f64::from_bits(0x7FF8_0000_0000_0000))),
        };
        let is_nan = self.ins(|i| i.fcmp(FloatCC::Unordered, x, x));
        if !ty.is_vector() {
            return self.ins(|i| i.select(is_nan, lane, x));
        }
        let all = self.ins(|i| i.splat(ty, lane));
        let is_nan = self.lanes(ty, is_nan);
        self.ins(|i| i.bitselect(is_nan, all, x))
    }

    /// Where an access of `bytes` at `address` goes: the host's address, and a constant to be added.
    fn place(&self, at: MemArg, address: Value, bytes: u32) -> (Value, i32) {
        let wide = self.ins(|i| i.uextend(types::I64, address));
        let fixed = self.regions.fixed();
        let (base, len) = match self.memory {
            MemoryAt::First { base, guarded } => {
                if guarded && u64::from(at.offset) + u64::from(bytes) <= GUARD_BYTES {
                    let place = self.ins(|i| i.iadd(base, wide));
                    return (place, at.offset as i32);
                }
                let vm = self.regions.vm();
                (base, self.ins(|i| i.load(types::I64, vm, self.vm, abi::vm::MEM0_BYTES)))
            }
            MemoryAt::Other(index) => {
                let list = self.ins(|i| i.load(types::I64, fixed, self.vm, abi::vm::MEMORIES));
                let view = self.ins(|i| i.load(types::I64, fixed, list, 8 * index as i32));
                let base = self.ins(|i| i.load(types::I64, fixed, view, abi::memory::BASE));
                let vm = self.regions.vm();
                (base, self.ins(|i| i.load(types::I64, vm, view, abi::memory::LEN_BYTES)))
            }
        };
        // Below 2^34, so that no sum wraps.
        let behind = i64::from(at.offset) + i64::from(bytes);
        let behind = self.ins(|i| i.iconst(types::I64, behind));
        let end = self.ins(|i| i.iadd(wide, behind));
        let outside = self.ins(|i| i.icmp(IntCC::UnsignedGreaterThan, end, len));
        let offset = self.ins(|i| i.iconst(types::I64, i64::from(at.offset)));
        let place = self.ins(|i| i.iadd(base, wide));
        let place = self.ins(|i| i.iadd(place, offset));
        // An access out of bounds goes to address 0 and traps there, even if the processor guessed
        // that it is in bounds.
        let null = self.ins(|i| i.iconst(types::I64, 0));
        (self.ins(|i| i.select_spectre_guard(outside, null, place)), 0)
    }
}
