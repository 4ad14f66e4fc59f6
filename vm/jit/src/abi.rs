//! Types, signatures, where results are, and how code sees a `Vm`.

use std::mem::offset_of;

use brant_engine::vm::{FuncSlot, MemoryView, TableView, Vm};
use brant_engine::{FuncType, ValType};
use cranelift_codegen::ir::{
    AbiParam, AliasRegion, AliasRegionData, ArgumentPurpose, Endianness, Function, MemFlagsData,
    Signature, TrapCode, Type, types,
};
use cranelift_codegen::isa::CallConv;

use brant_isa::Trap;

/// The type that values of `ty` have outside of operators.
pub fn clif(ty: ValType) -> Type {
    match ty {
        ValType::I32 | ValType::FuncRef | ValType::ExternRef => types::I32,
        ValType::I64 => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::V128 => types::I8X16,
    }
}

/// Where a result is after a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultPlace {
    /// In a register: the result of this index in CLIF.
    Register(usize),
    /// At this offset from `Vm::results`.
    Memory(i32),
}

/// The first two integers and the first two floats are in registers.
pub fn result_places(results: &[ValType]) -> impl Iterator<Item = ResultPlace> {
    let (mut integers, mut floats, mut registers) = (0, 0, 0);
    results.iter().enumerate().map(move |(i, &ty)| {
        let of_its_kind = match clif(ty) {
            types::I32 | types::I64 => &mut integers,
            _ => &mut floats,
        };
        *of_its_kind += 1;
        if *of_its_kind > 2 {
            return ResultPlace::Memory(16 * i as i32);
        }
        registers += 1;
        ResultPlace::Register(registers - 1)
    })
}

/// SystemV, not Tail: with it the exceptional edge of a call clobbers what a plain call does, so
/// that a pad costs the hot path nothing; and a callee leaves its stack arguments where they are.
pub fn signature(ty: &FuncType) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::special(types::I64, ArgumentPurpose::VMContext));
    signature.params.extend(ty.params().iter().map(|&ty| AbiParam::new(clif(ty))));
    add_results(&mut signature, ty);
    signature
}

/// Of code that begins at a loop: it takes the address of all its values.
pub fn loop_signature(ty: &FuncType) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::special(types::I64, ArgumentPurpose::VMContext));
    signature.params.push(AbiParam::new(types::I64));
    add_results(&mut signature, ty);
    signature
}

fn add_results(signature: &mut Signature, ty: &FuncType) {
    for (&ty, place) in ty.results().iter().zip(result_places(ty.results())) {
        if let ResultPlace::Register(_) = place {
            signature.returns.push(AbiParam::new(clif(ty)));
        }
    }
}

/// `Vm::operate`.
pub fn operate_signature() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::special(types::I64, ArgumentPurpose::VMContext));
    signature.params.extend([AbiParam::new(types::I32); 3]);
    signature.params.extend([AbiParam::new(types::I64); 3]);
    signature.returns.push(AbiParam::new(types::I64));
    signature
}

/// `Vm::copy` and `Vm::fill`.
pub fn bytes_signature(second: Type) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([types::I64, second, types::I64].map(AbiParam::new));
    signature
}

/// `Vm::poll`, which keeps every register.
pub fn poll_signature() -> Signature {
    Signature::new(CallConv::PreserveAll)
}

macro_rules! offsets {
    ($of:ident: $($name:ident $field:ident $(.$inner:ident)*)*) => {
        $(pub const $name: i32 = offset_of!($of, $field $(.$inner)*) as i32;)*
    };
}

/// Offsets in `Vm`.
pub mod vm {
    use super::*;
    offsets! { Vm:
        MEM0 mem0  MEM0_BYTES mem0_bytes  MEMORIES memories  TABLES tables  TYPES types
        GLOBALS globals  FUNCTIONS functions  LOCAL_FUNCTIONS local_functions  FUEL fuel  WAKE wake
        NATIVE_LIMIT native_limit  RESULTS results
        POLL poll  OPERATE operate  TAIL_CALL tail_call  TAIL_CODE tail.code
        TAIL_WORD_COUNT tail.word_count  RECORD record  CALL_OUT call_out
        INDIRECT_INDEX indirect_index  COPY copy  FILL fill
    }
}
/// Offsets in `FuncSlot`.
pub mod slot {
    use super::*;
    offsets! { FuncSlot: VM vm  TY ty  REFERENCE reference  NATIVE native }
}
/// Offsets in `TableView`.
pub mod table {
    use super::*;
    offsets! { TableView: ELEMENTS elements  LEN len }
}
/// Offsets in `MemoryView`.
pub mod memory {
    use super::*;
    offsets! { MemoryView: BASE base  LEN_BYTES len_bytes }
}

/// What an access touches. A store without a region would fence the loads of all others.
#[derive(Clone, Copy)]
pub struct Regions {
    heap: AliasRegion,
    vm: AliasRegion,
    record: AliasRegion,
    table: AliasRegion,
    global: AliasRegion,
    results: AliasRegion,
    call: AliasRegion,
}

impl Regions {
    /// Declares the regions in `function`.
    pub fn new(function: &mut Function) -> Self {
        let mut region = |user_id, description: &'static str| {
            let description = description.into();
            function.dfg.alias_regions.insert(AliasRegionData { user_id, description })
        };
        Self {
            heap: region(0, "heap"),
            vm: region(1, "vm"),
            record: region(2, "record"),
            table: region(3, "table"),
            global: region(4, "global"),
            results: region(5, "results"),
            call: region(6, "call"),
        }
    }

    /// Linear memories: accesses trap.
    pub fn heap(self, code: TrapCode) -> MemFlagsData {
        MemFlagsData::new()
            .with_endianness(Endianness::Little)
            .with_alias_region(Some(self.heap))
            .with_trap_code(Some(code))
    }
    /// What never changes while code of the instance runs.
    pub fn fixed(self) -> MemFlagsData {
        self.vm().with_readonly().with_can_move()
    }
    /// What changes in `Vm`, in slots and in views.
    pub fn vm(self) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.vm))
    }
    /// Records of frames that give up their state. Vectors are not aligned there.
    pub fn record(self) -> MemFlagsData {
        MemFlagsData::new().with_notrap().with_alias_region(Some(self.record))
    }
    /// Elements of tables; the access traps at address 0.
    pub fn table(self, code: TrapCode) -> MemFlagsData {
        MemFlagsData::new()
            .with_aligned()
            .with_alias_region(Some(self.table))
            .with_trap_code(Some(code))
    }
    /// Cells of globals.
    pub fn global(self) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.global))
    }
    /// Memory 0, where the access is known to lie in it.
    pub fn inside(self) -> MemFlagsData {
        MemFlagsData::new()
            .with_endianness(Endianness::Little)
            .with_notrap()
            .with_alias_region(Some(self.heap))
    }
    /// What a call says of itself.
    pub fn call(self) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.call))
    }
    /// Results that are not in registers.
    pub fn results(self) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.results))
    }
}

/// The code under which a trap comes back from Cranelift.
pub fn trap_code(trap: Trap) -> TrapCode {
    match trap {
        Trap::IntegerDivideByZero => TrapCode::INTEGER_DIVISION_BY_ZERO,
        Trap::IntegerOverflow => TrapCode::INTEGER_OVERFLOW,
        Trap::InvalidConversionToInteger => TrapCode::BAD_CONVERSION_TO_INTEGER,
        trap => TrapCode::unwrap_user(trap as u8),
    }
}

/// The trap of a code; none for the stack check.
pub fn trap_of(code: TrapCode) -> Option<Trap> {
    match code {
        TrapCode::STACK_OVERFLOW => None,
        TrapCode::INTEGER_DIVISION_BY_ZERO => Some(Trap::IntegerDivideByZero),
        TrapCode::INTEGER_OVERFLOW => Some(Trap::IntegerOverflow),
        TrapCode::BAD_CONVERSION_TO_INTEGER => Some(Trap::InvalidConversionToInteger),
        TrapCode::HEAP_OUT_OF_BOUNDS => Some(Trap::OutOfBoundsMemoryAccess),
        code => Trap::from_code(u64::from(code.as_raw().get())),
    }
}
