//! Bodies for which CLIF has one instruction, with the same traps in the same order.

use brant_isa::machine::{MemArg, Res};
use brant_isa::semantics::Semantics;
use brant_isa::simd::SimdSemantics;
use brant_isa::types::{Float, Int, IntShape, Kind, Shape, Ty};
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use cranelift_frontend::FuncInstBuilder;

use super::{Emit, clif, shape};

impl Emit<'_, '_> {
    /// A load that extends what it reads to `T`.
    fn extending_load<N: Int, T: Int>(
        &self, at: MemArg, address: Value,
        load: impl FnOnce(FuncInstBuilder<'_, '_>, Type, Value, i32) -> Value,
    ) -> Value {
        let (place, offset) = self.place(at, address, clif(N::KIND).bytes());
        self.ins(|i| load(i, clif(T::KIND), place, offset))
    }
}

impl Semantics for Emit<'_, '_> {
    fn div_s<T: Int>(&self, a: Value, b: Value) -> Res<Self, T> {
        Ok(self.ins(|i| i.sdiv(a, b)))
    }
    fn div_u<T: Int>(&self, a: Value, b: Value) -> Res<Self, T> {
        Ok(self.ins(|i| i.udiv(a, b)))
    }
    fn rem_s<T: Int>(&self, a: Value, b: Value) -> Res<Self, T> {
        Ok(self.ins(|i| i.srem(a, b)))
    }
    fn rem_u<T: Int>(&self, a: Value, b: Value) -> Res<Self, T> {
        Ok(self.ins(|i| i.urem(a, b)))
    }
    fn trunc_s<A: Float, B: Int>(&self, a: Value) -> Res<Self, B> {
        Ok(self.ins(|i| i.fcvt_to_sint(clif(B::KIND), a)))
    }
    fn trunc_u<A: Float, B: Int>(&self, a: Value) -> Res<Self, B> {
        Ok(self.ins(|i| i.fcvt_to_uint(clif(B::KIND), a)))
    }
    fn load_s<N: Int, T: Int>(&self, at: MemArg, address: Value) -> Res<Self, T> {
        let heap = self.heap();
        Ok(self.extending_load::<N, T>(at, address, |i, ty, place, offset| match N::KIND {
            Kind::I8 => i.sload8(ty, heap, place, offset),
            Kind::I16 => i.sload16(ty, heap, place, offset),
            _ => i.sload32(heap, place, offset),
        }))
    }
    fn load_u<N: Int, T: Int>(&self, at: MemArg, address: Value) -> Res<Self, T> {
        let heap = self.heap();
        Ok(self.extending_load::<N, T>(at, address, |i, ty, place, offset| match N::KIND {
            Kind::I8 => i.uload8(ty, heap, place, offset),
            Kind::I16 => i.uload16(ty, heap, place, offset),
            _ => i.uload32(heap, place, offset),
        }))
    }
    fn store_low<N: Int, T: Int>(
        &self, at: MemArg, address: Value, x: Value,
    ) -> Result<(), Self::Trap> {
        let heap = self.heap();
        let (place, offset) = self.place(at, address, clif(N::KIND).bytes());
        self.ins(|i| match N::KIND {
            Kind::I8 => i.istore8(heap, x, place, offset),
            Kind::I16 => i.istore16(heap, x, place, offset),
            _ => i.istore32(heap, x, place, offset),
        });
        Ok(())
    }
}

impl SimdSemantics for Emit<'_, '_> {
    fn vload_extend_s<S: IntShape>(
        &self, at: MemArg, address: Value,
    ) -> Res<Self, brant_isa::types::V128> {
        let heap = self.heap();
        let (place, offset) = self.place(at, address, 8);
        Ok(self.ins(|i| match clif(S::Lane::KIND) {
            types::I8 => i.sload8x8(heap, place, offset),
            types::I16 => i.sload16x4(heap, place, offset),
            _ => i.sload32x2(heap, place, offset),
        }))
    }
    fn vload_extend_u<S: IntShape>(
        &self, at: MemArg, address: Value,
    ) -> Res<Self, brant_isa::types::V128> {
        let heap = self.heap();
        let (place, offset) = self.place(at, address, 8);
        Ok(self.ins(|i| match clif(S::Lane::KIND) {
            types::I8 => i.uload8x8(heap, place, offset),
            types::I16 => i.uload16x4(heap, place, offset),
            _ => i.uload32x2(heap, place, offset),
        }))
    }
    fn vload_zero<S: Shape>(
        &self, at: MemArg, address: Value,
    ) -> Res<Self, brant_isa::types::V128> {
        let lane = clif(S::Lane::KIND);
        let (place, offset) = self.place(at, address, lane.bytes());
        let x = self.ins(|i| i.load(lane, self.heap(), place, offset));
        Ok(self.ins(|i| i.scalar_to_vector(shape::<S>(), x)))
    }
}
