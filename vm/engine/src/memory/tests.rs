use super::*;
use crate::store::Limits;
use crate::{Config, Engine};

fn ty(minimum: u64, maximum: Option<u64>) -> MemoryType {
    MemoryType {
        minimum_wasm_pages: minimum,
        maximum_wasm_pages: maximum,
        is_64: false,
        is_shared: false,
    }
}

fn store(config: Config) -> Store {
    Store::new(&Engine::new(&config).expect("a configuration"), Box::new(()))
}

#[test]
fn growth_keeps_base_and_content_and_stops_at_the_maximum() {
    for signal_handlers in [true, false] {
        let mut store = store(Config { signal_handlers, ..Config::default() });
        let memory = Memory::new(&mut store, ty(1, Some(3))).expect("a memory");
        assert_eq!(memory.is_guarded(&store), signal_handlers && cfg!(guard_pages));
        let base = memory.bytes(&store).as_ptr();
        memory.guest(&mut store).write_u8(65_535, 7).expect("inside");
        assert_eq!(memory.grow(&mut store, 2), Some(1));
        assert_eq!(memory.grow(&mut store, 1), None);
        assert_eq!(memory.grow(&mut store, u64::MAX), None);
        assert_eq!(memory.wasm_pages(&store), 3);
        let bytes = memory.bytes(&store);
        assert_eq!((bytes.as_ptr(), bytes[65_535], bytes[196_607]), (base, 7, 0));
    }
}

#[test]
fn all_memories_share_one_budget() {
    let mut store = store(Config::default());
    store.set_limits(Limits { memory_bytes: 5 << 16, ..Limits::default() });
    let first = Memory::new(&mut store, ty(2, None)).expect("two of five pages");
    let second = Memory::new(&mut store, ty(2, None)).expect("four of five pages");
    assert_eq!(first.grow(&mut store, 2), None);
    assert_eq!(second.grow(&mut store, 1), Some(2));
    assert_eq!(first.grow(&mut store, 1), None);
    assert!(Memory::new(&mut store, ty(1, None)).is_err());
    assert!(Memory::new(&mut store, ty(0, None)).is_ok(), "nothing takes nothing");
}

#[test]
fn memories_that_no_host_has_are_errors() {
    let mut store = store(Config::default());
    let huge = MemoryType { is_64: true, ..ty(1 << 48, Some(1 << 48)) };
    let error = Memory::new(&mut store, huge).expect_err("2^64 bytes");
    assert_eq!(error.resource, Resource::HostMemory);
    assert_eq!(store.taken(Resource::MemoryBytes), 0);
    assert_eq!(store.taken(Resource::Memories), 0);
    let some = MemoryType { is_64: true, ..ty(1, None) };
    let memory = Memory::new(&mut store, some).expect("a page");
    assert_eq!(memory.grow(&mut store, 1 << 47), None);
    assert!(!memory.is_guarded(&store));
}

#[test]
fn a_deterministic_memory_has_a_fixed_maximum() {
    let config =
        Config { deterministic: true, deterministic_memory_bytes: 4 << 16, ..Config::default() };
    let mut store = store(config);
    let memory = Memory::new(&mut store, ty(1, None)).expect("a memory");
    assert_eq!(memory.grow(&mut store, 4), None);
    assert_eq!(memory.grow(&mut store, 3), Some(1));
    assert!(Memory::new(&mut store, ty(5, None)).is_err());
}
