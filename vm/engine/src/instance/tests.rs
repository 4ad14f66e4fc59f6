use super::*;
use crate::{
    Engine, GlobalType, LimitError, Limits, MemoryType, RefType, Resource, TableType, Trap, Val,
    ValType,
};

fn module(text: &str) -> Module {
    let bytes = wat::parse_str(text).expect("text of a module");
    Module::new(&Engine::default(), bytes).expect("a valid module")
}

fn instance(
    store: &mut Store, text: &str, imports: &[Extern],
) -> Result<Instance, InstantiateError> {
    Instance::new(store, &module(text), imports)
}

fn store() -> Store {
    Store::new(&Engine::default(), Box::new(()))
}

fn memory(store: &Store, instance: Instance, name: &str) -> Memory {
    instance.export(store, name).and_then(Extern::memory).expect("an exported memory")
}

#[test]
fn segments_are_written_in_order() {
    let mut store = store();
    let made = instance(
        &mut store,
        r#"(module (memory (export "m") 1) (table (export "t") 4 funcref)
            (func $f (export "f")) (func $g)
            (data (i32.const 1) "abc") (data (i32.const 2) "X")
            (elem (i32.const 1) $f $g) (elem (i32.const 2) funcref (ref.null func)))"#,
        &[],
    )
    .expect("an instance");
    let bytes = memory(&store, made, "m").bytes(&store);
    assert_eq!(&bytes[..5], b"\0aXc\0");
    let table = made.export(&store, "t").and_then(Extern::table).expect("a table");
    let f = made.export(&store, "f").and_then(Extern::func);
    assert_eq!(table.get(&store, 1), Some(Val::FuncRef(f)));
    assert_eq!(table.get(&store, 2), Some(Val::FuncRef(None)), "the later segment wins");
}

#[test]
fn a_segment_that_does_not_fit_traps_and_leaves_what_came_before() {
    let mut store = store();
    let owner = instance(&mut store, r#"(module (memory (export "m") 1))"#, &[]).expect("fits");
    let shared = memory(&store, owner, "m");
    let text = r#"(module (import "a" "m" (memory 1))
        (data (i32.const 0) "first") (data (i32.const 65535) "xy"))"#;
    let error = instance(&mut store, text, &[Extern::Memory(shared)]).expect_err("one too many");
    assert_eq!(error, InstantiateError::Trap(Trap::OutOfBoundsMemoryAccess));
    assert_eq!(&shared.bytes(&store)[..5], b"first");
    assert_eq!(shared.bytes(&store)[65_535], 0, "a segment is written whole or not at all");
}

#[test]
fn imports_must_be_there_and_fit() {
    let mut store = store();
    let text = r#"(module (import "a" "g" (global i32)))"#;
    let error = instance(&mut store, text, &[]).expect_err("nothing given");
    assert_eq!(error.to_string(), "unknown import: \"a\" \"g\"");
    let ty = GlobalType { value: ValType::I64, is_mutable: true };
    let global = Global::new(&mut store, ty, Val::I64(1));
    let error = instance(&mut store, text, &[Extern::Global(global)]).expect_err("another type");
    assert_eq!(
        error.to_string(),
        "incompatible import type: \"a\" \"g\" is a mutable global i64, expected a constant \
         global i32"
    );
}

#[test]
fn a_memory_is_imported_by_its_present_size() {
    let mut store = store();
    let ty = MemoryType {
        minimum_wasm_pages: 1,
        maximum_wasm_pages: Some(3),
        is_64: false,
        is_shared: false,
    };
    let memory = Memory::new(&mut store, ty).expect("a memory");
    let text = r#"(module (import "a" "m" (memory 2 3)))"#;
    assert!(instance(&mut store, text, &[Extern::Memory(memory)]).is_err());
    memory.grow(&mut store, 1);
    assert!(instance(&mut store, text, &[Extern::Memory(memory)]).is_ok());
}

#[test]
fn growth_shows_in_every_instance() {
    let mut store = store();
    let owner = instance(&mut store, r#"(module (memory (export "m") 1))"#, &[]).expect("fits");
    let shared = memory(&store, owner, "m");
    let user =
        instance(&mut store, r#"(module (import "a" "m" (memory 1)))"#, &[Extern::Memory(shared)])
            .expect("fits");
    shared.grow(&mut store, 1);
    for instance in [owner, user] {
        let vm = instance.of(store.inner()).vm();
        // SAFETY: no guest runs.
        assert_eq!(unsafe { (*vm).mem0_bytes }, 2 << 16);
    }
}

#[test]
fn globals_are_cells_that_instances_share() {
    let mut store = store();
    let ty = GlobalType { value: ValType::V128, is_mutable: true };
    let global = Global::new(&mut store, ty, Val::V128(u128::MAX - 1));
    let user = instance(
        &mut store,
        r#"(module (import "a" "g" (global (mut v128)))
            (global $h (export "h") i32 (i32.const 5))
            (export "g" (global 0)))"#,
        &[Extern::Global(global)],
    )
    .expect("fits");
    let g = user.export(&store, "g").and_then(Extern::global).expect("a global");
    assert!(g.set(&mut store, Val::V128(3)));
    assert_eq!(global.get(&store), Val::V128(3));
    let h = user.export(&store, "h").and_then(Extern::global).expect("a global");
    assert_eq!(h.get(&store), Val::I32(5));
    assert!(!h.set(&mut store, Val::I32(6)), "immutable");
}

#[test]
fn what_fails_gives_its_budget_back() {
    let mut store = store();
    store.set_limits(Limits { table_elements: 10, memory_bytes: 1 << 16, ..Limits::default() });
    let text = "(module (memory 1) (table 5 funcref) (table 6 funcref))";
    let error = instance(&mut store, text, &[]).expect_err("eleven elements");
    let expected = LimitError { resource: Resource::TableElements, asked: 6, left: 5 };
    assert_eq!(error, InstantiateError::Limit(expected));
    for resource in [
        Resource::MemoryBytes,
        Resource::TableElements,
        Resource::Memories,
        Resource::Tables,
        Resource::Instances,
    ] {
        assert_eq!(store.taken(resource), 0, "{resource:?}");
    }
    assert!(instance(&mut store, "(module (memory 1) (table 10 funcref))", &[]).is_ok());
}

#[test]
fn a_table_as_large_as_can_be_is_an_error() {
    let mut store = store();
    let text = "(module (table 0xffffffff funcref))";
    assert!(matches!(instance(&mut store, text, &[]), Err(InstantiateError::Limit(_))));
    let ty = TableType { element: RefType::Func, minimum: u64::MAX, maximum: None, is_64: true };
    store.set_limits(Limits { table_elements: u64::MAX, ..Limits::default() });
    assert!(Table::new(&mut store, ty, Val::FuncRef(None)).is_err());
}

#[test]
#[should_panic(expected = "another store")]
fn handles_are_bound_to_their_store() {
    let mut first = store();
    let owner = instance(&mut first, "(module)", &[]).expect("fits");
    owner.export(&store(), "x");
}
