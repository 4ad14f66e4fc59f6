//! Types of values, functions, memories, tables and globals; canonical ids of function types.
//!
//! A canonical id is an index into the types of one store: two function types are equal if and only
//! if their ids are, so that an indirect call compares one number.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexSet;

use crate::native::abi::CallPlan;

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// Reference to a function, or null.
    FuncRef,
    /// Reference to something of the host, or null.
    ExternRef,
}

impl ValType {
    /// How many 8-byte slots a value of this type takes.
    pub const fn slot_count(self) -> usize {
        if matches!(self, Self::V128) { 2 } else { 1 }
    }

    /// The type that the validator calls `ty`, if this engine has values of it.
    pub(crate) fn from_parsed(ty: wasmparser::ValType) -> Option<Self> {
        use wasmparser::ValType as Parsed;
        Some(match ty {
            Parsed::I32 => Self::I32,
            Parsed::I64 => Self::I64,
            Parsed::F32 => Self::F32,
            Parsed::F64 => Self::F64,
            Parsed::V128 => Self::V128,
            Parsed::Ref(ty) => RefType::from_parsed(ty)?.into(),
        })
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::FuncRef => "funcref",
            Self::ExternRef => "externref",
        })
    }
}

/// The type of a table's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RefType {
    /// Functions.
    Func,
    /// Things of the host.
    Extern,
}

impl RefType {
    pub(crate) fn from_parsed(ty: wasmparser::RefType) -> Option<Self> {
        match ty {
            wasmparser::RefType::FUNCREF => Some(Self::Func),
            wasmparser::RefType::EXTERNREF => Some(Self::Extern),
            _ => None,
        }
    }
}

impl From<RefType> for ValType {
    fn from(ty: RefType) -> Self {
        match ty {
            RefType::Func => Self::FuncRef,
            RefType::Extern => Self::ExternRef,
        }
    }
}

/// Parameters and results of a function.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FuncType {
    /// Copies of a type have these in common.
    types: Arc<[ValType]>,
    param_count: u32,
}

impl FuncType {
    /// The type with these parameters and results.
    pub fn new(
        params: impl IntoIterator<Item = ValType>, results: impl IntoIterator<Item = ValType>,
    ) -> Self {
        let mut types: Vec<_> = params.into_iter().collect();
        let param_count = types.len() as u32;
        types.extend(results);
        Self { types: types.into(), param_count }
    }

    /// Types of the parameters.
    pub fn params(&self) -> &[ValType] {
        &self.types[..self.param_count as usize]
    }

    /// Types of the results.
    pub fn results(&self) -> &[ValType] {
        &self.types[self.param_count as usize..]
    }

    /// How many slots the parameters take.
    pub fn param_slots(&self) -> usize {
        slot_count(self.params())
    }

    /// How many slots the results take.
    pub fn result_slots(&self) -> usize {
        slot_count(self.results())
    }
}

/// How many slots values of these types take.
pub fn slot_count(types: &[ValType]) -> usize {
    types.iter().map(|ty| ty.slot_count()).sum()
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        write!(f, "[{}] -> [{}]", list(self.params()), list(self.results()))
    }
}

/// The type of a linear memory. Sizes are in wasm pages of 64 KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryType {
    /// Size at the start.
    pub minimum_wasm_pages: u64,
    /// Size that it never exceeds.
    pub maximum_wasm_pages: Option<u64>,
    /// Whether addresses have 64 bits.
    pub is_64: bool,
    /// Whether several threads may use it at once.
    pub is_shared: bool,
}

/// The type of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableType {
    /// What its elements are.
    pub element: RefType,
    /// Size at the start.
    pub minimum: u64,
    /// Size that it never exceeds.
    pub maximum: Option<u64>,
    /// Whether indices have 64 bits.
    pub is_64: bool,
}

/// The type of a global.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GlobalType {
    /// What it holds.
    pub value: ValType,
    /// Whether it can be set.
    pub is_mutable: bool,
}

/// The type of something that crosses a module's border.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
}

/// The function types of a store, each with its canonical id.
#[derive(Default, Debug)]
pub struct TypeIds {
    types: IndexSet<FuncType>,
    /// Made when compiled code meets the type; they stay where they are.
    plans: Vec<Option<Box<CallPlan>>>,
}

impl TypeIds {
    /// The id of `ty`, a new one if no function had that type before.
    pub fn id(&mut self, ty: &FuncType) -> u32 {
        let known = self.types.get_index_of(ty);
        known.unwrap_or_else(|| self.types.insert_full(ty.clone()).0) as u32
    }

    /// How compiled code and the interpreter pass values of functions of this type. It stays where
    /// it is as long as the types do.
    pub fn plan(&mut self, id: u32) -> *const CallPlan {
        let at = id as usize;
        if self.plans.len() <= at {
            self.plans.resize_with(self.types.len(), || None);
        }
        let ty = &self.types[at];
        let new = || Box::new(CallPlan::new(ty.params(), ty.results()));
        &raw const **self.plans[at].get_or_insert_with(new)
    }

    /// Gives back room that was kept for more.
    pub fn shrink_to_fit(&mut self) {
        self.types.shrink_to_fit();
    }

    /// The type that has this id.
    pub fn get(&self, id: u32) -> &FuncType {
        &self.types[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_types_have_one_id() {
        let mut ids = TypeIds::default();
        let a = FuncType::new([ValType::I32, ValType::V128], [ValType::F64]);
        let b = FuncType::new([ValType::I32], [ValType::V128, ValType::F64]);
        let id = ids.id(&a);
        assert_ne!(id, ids.id(&b), "same list of types, cut elsewhere");
        assert_eq!(id, ids.id(&a.clone()));
        assert_eq!(ids.get(id), &a);
        assert_eq!((a.param_slots(), a.result_slots()), (3, 1));
        assert_eq!(a.to_string(), "[i32 v128] -> [f64]");
    }
}
