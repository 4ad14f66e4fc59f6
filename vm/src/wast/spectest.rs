//! The module `spectest`, which every script may import from.
//!
//! Spec: the reference interpreter's host module.
//! Its functions print there; here they say nothing.

use brant_engine::{
    Caller, Extern, Flow, Func, FuncType, Global, GlobalType, HostError, Memory, MemoryType,
    RefType, Store, Table, TableType, Val, ValType,
};

/// What a script imports from `spectest`, if it is there.
pub struct Spectest {
    items: Vec<(&'static str, Extern)>,
}

impl Spectest {
    /// Makes its items in a store.
    ///
    /// # Errors
    /// The store's limits leave no room.
    pub fn new(store: &mut Store) -> Result<Spectest, String> {
        use ValType::{F32, F64, I32, I64};
        let mut items = Vec::new();
        for (name, params) in [
            ("print", &[][..]),
            ("print_i32", &[I32]),
            ("print_i64", &[I64]),
            ("print_f32", &[F32]),
            ("print_f64", &[F64]),
            ("print_i32_f32", &[I32, F32]),
            ("print_f64_f64", &[F64, F64]),
        ] {
            let kind = FuncType::new(params.iter().copied(), []);
            items.push((name, Extern::Func(Func::host(store, kind, silence))));
        }
        for (name, value) in [
            ("global_i32", Val::I32(666)),
            ("global_i64", Val::I64(666)),
            ("global_f32", Val::F32(666.6f32.to_bits())),
            ("global_f64", Val::F64(666.6f64.to_bits())),
        ] {
            let kind = GlobalType { value: value.ty(), is_mutable: false };
            items.push((name, Extern::Global(Global::new(store, kind, value))));
        }
        let kind =
            TableType { element: RefType::Func, minimum: 10, maximum: Some(20), is_64: false };
        let table = Table::new(store, kind, Val::FuncRef(None)).map_err(|e| e.to_string())?;
        items.push(("table", Extern::Table(table)));
        for (name, is_shared) in [("memory", false), ("shared_memory", true)] {
            let maximum_wasm_pages = Some(2);
            let kind =
                MemoryType { minimum_wasm_pages: 1, maximum_wasm_pages, is_64: false, is_shared };
            let memory = Memory::new(store, kind).map_err(|e| e.to_string())?;
            items.push((name, Extern::Memory(memory)));
        }
        Ok(Spectest { items })
    }

    /// The item called `name`.
    pub fn get(&self, name: &str) -> Option<Extern> {
        self.items.iter().find(|(known, _)| *known == name).map(|(_, item)| *item)
    }
}

fn silence(_: &mut Caller<'_>, _: &[Val], _: &mut [Val]) -> Result<Flow, HostError> {
    Ok(Flow::Return)
}
