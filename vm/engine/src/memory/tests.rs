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

/// A store with one memory of `wasm_pages`, which is filled.
fn filled(wasm_pages: u64) -> (Store, Memory) {
    let mut store = store(Config::default());
    let memory = Memory::new(&mut store, ty(wasm_pages, None)).expect("room");
    let bytes = vec![7u8; (wasm_pages * WASM_PAGE_BYTES) as usize];
    memory.guest(&mut store).write(0, &bytes).expect("in bounds");
    (store, memory)
}

fn written(tracker: &mut WriteTracker) -> Vec<WrittenPages> {
    let mut all = Vec::new();
    tracker.take_written(|pages| all.push(pages)).expect("the memories are there");
    all
}

/// What is written is told once, by pages of 4 KiB, in memories with and without huge pages.
#[test]
fn a_tracker_tells_what_was_written_since() {
    for wasm_pages in [1, 2048] {
        let (mut store, memory) = filled(wasm_pages);
        let Ok(mut tracker) = store.track_writes() else {
            // Not on this kernel: a move stops the guest first there.
            return;
        };
        let all: u64 = written(&mut tracker).iter().map(|pages| pages.count).sum();
        assert_eq!(all, wasm_pages * 16, "everything at the first time");
        assert_eq!(written(&mut tracker), []);
        let last = wasm_pages * 16 - 1;
        for page in [3, 4, last] {
            memory.guest(&mut store).write(page * 4096 + 5, &[1]).expect("in bounds");
        }
        assert_eq!(tracker.written_count().ok(), Some(3));
        let expected =
            [(3, 2), (last, 1)].map(|(first, count)| WrittenPages { memory: 0, first, count });
        assert_eq!(written(&mut tracker), expected);
        assert_eq!(tracker.written_count().ok(), Some(0));
        let mut page = [0; 4096];
        tracker.read(expected[1], &mut page).expect("it is there");
        assert_eq!((page[4], page[5], page[6]), (7, 1, 7));
        assert!(tracker.read(WrittenPages { first: last + 1, ..expected[1] }, &mut page).is_err());
    }
}

#[test]
fn a_tracker_may_outlive_its_memories() {
    let (store, _) = filled(1);
    let Ok(mut tracker) = store.track_writes() else { return };
    drop(store);
    let pages = WrittenPages { memory: 0, first: 0, count: 1 };
    // Another test may have a memory at that place by now: what counts is that nothing crashes.
    let _ = tracker.read(pages, &mut [0; 4096]);
    let _ = tracker.take_written(|_| {});
    assert_eq!(tracker.tracked_pages(0), 16);
}
