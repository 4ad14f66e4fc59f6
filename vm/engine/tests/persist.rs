//! The state of a store: saved in the middle of a run, restored in another store, run to the end.

use brant_engine::persist::{ElementRun, PAGE_BYTES, PersistError, StoreState, ThreadState};
use brant_engine::{
    Engine, Extern, Flow, Func, FuncType, Instance, Limits, Module, Slot, Stop, Store, Thread, Val,
    ValType,
};

/// Everything that a store can hold, changed before the run blocks.
const BUSY: &str = r#"(module
    (import "env" "block" (func $block (param i32) (result i32)))
    (memory $m 2 8)
    (data (i32.const 100) "base image")
    (data (i32.const 4090) "across pages")
    (data $passive "passive")
    (data $dropped "dropped")
    (table $t 3 10 funcref)
    (elem (table $t) (i32.const 0) func $double $block)
    (elem $more func $double $triple)
    (elem $gone func $triple)
    (type $unary (func (param i32) (result i32)))
    (global $constant i64 (i64.const 7))
    (global $count (mut i32) (i32.const 1))
    (global $pointer (mut funcref) (ref.func $double))
    (global $vector (mut v128) (v128.const i64x2 0 0))
    (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
    (func $triple (type $unary) (i32.mul (local.get 0) (i32.const 3)))
    (func (export "run") (param i32) (result i64) (local funcref)
        (local.set 1 (ref.func $triple))
        (global.set $count (i32.const 41))
        (global.set $vector (i8x16.splat (i32.const 9)))
        (global.set $pointer (ref.func $block))
        (drop (memory.grow (i32.const 3)))
        (i32.store8 (i32.const 100) (i32.const 66))
        (i32.store (i32.const 300000) (i32.const 5))
        (memory.fill (i32.const 4096) (i32.const 0) (i32.const 4096))
        (drop (table.grow $t (ref.func $triple) (i32.const 2)))
        (data.drop $dropped)
        (elem.drop $gone)
        (drop (call $block (i32.const 1)))
        (table.set $t (i32.const 2) (local.get 1))
        (memory.init $passive (i32.const 200) (i32.const 0) (i32.const 7))
        (i64.add
            (i64.extend_i32_u (i32.add
                (call_indirect $t (type $unary) (global.get $count) (i32.const 2))
                (i32.load8_u (i32.const 100))))
            (i64.add (global.get $constant)
                (i64.extend_i32_u (i32.add (i32.load (i32.const 300000))
                    (i32.mul (i32.const 1000) (memory.size)))))))
    (func (export "drop") (memory.init $dropped (i32.const 0) (i32.const 0) (i32.const 1)))
    (func (export "gone") (table.init $t $gone (i32.const 0) (i32.const 0) (i32.const 1))))"#;

const RESULT: i64 = 3 * 41 + 66 + 7 + 5 + 5000;

struct Guest {
    store: Store,
    instance: Instance,
}

/// `env.block` blocks while the data of the store say so.
fn guest(text: &str, blocks: bool) -> Guest {
    let engine = Engine::default();
    let module = Module::new(&engine, wat::parse_str(text).expect("text")).expect("a module");
    let mut store = Store::new(&engine, Box::new(blocks));
    // Numbers of functions differ from store to store.
    for _ in 0..if blocks { 3 } else { 0 } {
        Func::host(&mut store, FuncType::new([], []), |_, _, _| Ok(Flow::Return));
    }
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    let block = Func::host(&mut store, ty, |caller, arguments, results| {
        results[0] = arguments[0];
        Ok(if *caller.data::<bool>() { Flow::Block } else { Flow::Return })
    });
    let instance = Instance::new(&mut store, &module, &[Extern::Func(block)]).expect("an instance");
    Guest { store, instance }
}

fn func(guest: &Guest, name: &str) -> Func {
    guest.instance.export(&guest.store, name).and_then(Extern::func).expect("a function")
}

type Pages = Vec<(u64, Option<Box<[u8; PAGE_BYTES]>>)>;

fn pages(store: &Store) -> Pages {
    let mut pages = Vec::new();
    store.changed_pages(0, |page, content| pages.push((page, content.copied().map(Box::new))));
    pages
}

/// A run that blocks in the middle: its store and thread as values.
fn in_the_middle() -> (StoreState, ThreadState, Pages) {
    let mut guest = guest(BUSY, true);
    let run = func(&guest, "run");
    let mut thread = Thread::new(&mut guest.store, run, &[Val::I32(0)]);
    assert!(matches!(thread.run(&mut guest.store), Stop::Blocked));
    let state = guest.store.save().expect("a state");
    let thread = thread.save(&mut guest.store).expect("a thread");
    (state, thread, pages(&guest.store))
}

#[test]
fn a_run_goes_on_in_another_store() {
    let (state, thread, pages_then) = in_the_middle();
    assert_eq!(state.memories_wasm_pages, [5]);
    assert_eq!(pages_then.iter().map(|page| page.0).collect::<Vec<_>>(), [0, 1, 300_000 / 4096]);
    assert!(pages_then[1].1.is_none(), "the guest has zeroed what the data segment wrote");

    let mut other = guest(BUSY, false);
    other.store.restore(&state).expect("a store like the first");
    for (page, content) in &pages_then {
        other.store.write_page(0, *page, content.as_deref()).expect("a page");
    }
    let mut restored = Thread::restore(&mut other.store, &thread).expect("a thread");
    assert_eq!(other.store.save().as_ref(), Ok(&state), "what was restored");
    assert_eq!(restored.save(&mut other.store).as_ref(), Ok(&thread));
    assert_eq!(pages(&other.store), pages_then);
    match restored.run(&mut other.store) {
        Stop::Done(results) => assert_eq!(results, [Val::I64(RESULT)]),
        stop => panic!("{stop:?}"),
    }
    for name in ["drop", "gone"] {
        let func = func(&other, name);
        assert!(func.call(&mut other.store, &[]).is_err(), "what was dropped is gone");
    }
}

#[test]
fn a_memory_becomes_its_base_image_again() {
    let mut guest = guest(BUSY, false);
    assert_eq!(pages(&guest.store), [], "nothing has changed yet");
    let run = func(&guest, "run");
    run.call(&mut guest.store, &[Val::I32(0)]).expect("it runs");
    assert!(!pages(&guest.store).is_empty());
    guest.store.reset_memory(0);
    assert_eq!(pages(&guest.store), []);
    let memory = guest.instance.memory(&guest.store, 0).expect("a memory");
    assert_eq!(&memory.bytes(&guest.store)[100..110], b"base image");
    assert_eq!(&memory.bytes(&guest.store)[4090..4102], b"across pages");
}

#[test]
fn untouched_pages_of_a_large_memory_are_not_looked_at() {
    let text = r#"(module (import "env" "block" (func (param i32) (result i32)))
        (memory 32768) (data (i32.const 0x3000_0000) "far")
        (func (export "run") (param i32) (result i64)
            (i32.store8 (i32.const 0x7000_0000) (i32.const 1)) (i64.const 0)))"#;
    let mut guest = guest(text, false);
    let run = func(&guest, "run");
    run.call(&mut guest.store, &[Val::I32(0)]).expect("it runs");
    let changed = pages(&guest.store);
    assert_eq!(changed.iter().map(|page| page.0).collect::<Vec<_>>(), [0x7000_0000 / 4096]);
}

#[test]
fn states_of_other_stores_are_refused() {
    let (good, thread, _) = in_the_middle();
    let refused = |change: &dyn Fn(&mut StoreState)| {
        let mut state = good.clone();
        change(&mut state);
        guest(BUSY, false).store.restore(&state).expect_err("a change that is refused")
    };
    assert_eq!(refused(&|s| s.instances.clear()), PersistError::Count("instances"));
    assert_eq!(
        refused(&|s| s.instances[0].dropped_data.truncate(1)),
        PersistError::Count("segments")
    );
    assert_eq!(
        refused(&|s| s.instances[0].dropped_data.fill(false)),
        PersistError::Segment,
        "active segments are gone from the start"
    );
    assert_eq!(refused(&|s| s.memories_wasm_pages.push(1)), PersistError::Count("memories"));
    for wasm_pages in [1, 9, u64::MAX] {
        let error = refused(&|s| s.memories_wasm_pages[0] = wasm_pages);
        assert_eq!(error, PersistError::Size("memory"), "{wasm_pages}");
    }
    assert_eq!(good.tables[0].iter().map(|run| run.count).collect::<Vec<_>>(), [1, 1, 1, 2]);
    assert_eq!(refused(&|s| s.tables[0].truncate(2)), PersistError::Size("table"));
    for count in [7, u64::MAX - 3, u64::MAX] {
        let more = ElementRun { count, bits: 0 };
        assert_eq!(refused(&|s| s.tables[0].push(more)), PersistError::Size("table"));
    }
    for bits in [5, 1 << 32 | 99, 9 << 32, u64::MAX] {
        assert_eq!(refused(&|s| s.tables[0][1].bits = bits), PersistError::Reference, "{bits:#x}");
    }
    assert_eq!(refused(&|s| s.globals.truncate(1)), PersistError::Count("globals"));
    assert_eq!(
        refused(&|s| s.globals.push(Slot::zero(ValType::I32))),
        PersistError::Count("globals")
    );
    assert_eq!(refused(&|s| s.globals[0] = Slot::zero(ValType::FuncRef)), PersistError::GlobalType);
    assert_eq!(refused(&|s| s.globals[1].bits = 77), PersistError::Reference);

    let mut store = guest(BUSY, false).store;
    let wild = |bits| {
        let mut wild = thread.clone();
        wild.frames[0].locals[1].bits = bits;
        wild
    };
    for bits in [5, 9 << 32, 1 << 64] {
        let error = Thread::restore(&mut store, &wild(bits)).map(drop);
        assert_eq!(error, Err(PersistError::Reference));
    }
    assert_eq!(store.write_page(0, 32, None), Err(PersistError::Page));
    assert_eq!(store.write_page(0, u64::MAX, None), Err(PersistError::Page));
    assert_eq!(store.write_page(1, 0, None), Err(PersistError::Page));
}

#[test]
fn limits_hold_for_what_is_restored() {
    let (state, ..) = in_the_middle();
    let mut store = guest(BUSY, false).store;
    store.set_limits(Limits { memory_bytes: 4 << 16, ..Limits::default() });
    assert_eq!(store.restore(&state), Err(PersistError::Size("memory")));
    let mut store = guest(BUSY, false).store;
    store.set_limits(Limits { table_elements: 6, ..Limits::default() });
    assert_eq!(store.restore(&state), Err(PersistError::Size("table")));
}

#[test]
fn what_nothing_names_cannot_be_saved() {
    let mut guest = guest(BUSY, false);
    let Some(Extern::Func(run)) = guest.instance.export(&guest.store, "run") else {
        panic!("a function")
    };
    let nameless = Func::host(&mut guest.store, FuncType::new([], []), |_, _, _| Ok(Flow::Return));
    let ty = brant_engine::TableType {
        element: brant_engine::RefType::Func,
        minimum: 1,
        maximum: None,
        is_64: false,
    };
    let func = |func| Val::FuncRef(Some(func));
    let table = brant_engine::Table::new(&mut guest.store, ty, func(run)).expect("a table");
    assert!(guest.store.save().is_ok());
    assert!(table.set(&mut guest.store, 0, func(nameless)));
    assert_eq!(guest.store.save(), Err(PersistError::NamelessFunction));
}
