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

/// All ways to track writes that are to be had here: the best alone would be no test of the others.
fn ways() -> Vec<WriteTracking> {
    WriteTracking::ALL.into_iter().filter(|way| way.is_available()).collect()
}

/// What is written is told once, by pages of 4 KiB, in memories with and without huge pages.
#[test]
fn a_tracker_tells_what_was_written_since() {
    for (tracking, wasm_pages) in ways().into_iter().flat_map(|way| [(way, 1), (way, 1024)]) {
        let (mut store, memory) = filled(wasm_pages);
        let mut tracker = store.track_writes(tracking).expect("it is to be had");
        let all: u64 = written(&mut tracker).iter().map(|pages| pages.count).sum();
        assert_eq!(all, wasm_pages * 16, "{tracking}: everything at the first time");
        assert_eq!(written(&mut tracker), []);
        let last = wasm_pages * 16 - 1;
        for page in [3, 4, last] {
            memory.guest(&mut store).write(page * 4096 + 5, &[1]).expect("in bounds");
        }
        assert_eq!(tracker.written_count().ok(), Some(3), "{tracking}");
        let expected =
            [(3, 2), (last, 1)].map(|(first, count)| WrittenPages { memory: 0, first, count });
        assert_eq!(written(&mut tracker), expected);
        assert_eq!(tracker.written_count().ok(), Some(0));
        let mut page = [0; 4096];
        tracker.read(expected[1], &mut page).expect("it is there");
        assert_eq!((page[4], page[5], page[6]), (7, 1, 7));
        assert!(tracker.read(WrittenPages { first: last + 1, ..expected[1] }, &mut page).is_err());
        drop(tracker);
        memory.guest(&mut store).write(0, &[9; 8192]).expect("nothing is protected any more");
    }
}

/// A page that nobody has touched before tracking began is told of once it is written. Where faults
/// tell, untouched pages of a large memory are not told of; the kernel alone counts them as written.
#[test]
fn what_was_never_touched_is_told_of_once_it_is() {
    for tracking in ways() {
        let mut store = store(Config::default());
        let memory = Memory::new(&mut store, ty(4096, None)).expect("room");
        memory.guest(&mut store).write(9 * 4096, &[1]).expect("in bounds");
        let mut tracker = store.track_writes(tracking).expect("it is to be had");
        let first = written(&mut tracker);
        let told: u64 = first.iter().map(|pages| pages.count).sum();
        let is_exact = tracking != WriteTracking::Asynchronous;
        assert!(!is_exact || (1..=512).contains(&told), "{tracking}: {told}");
        memory.guest(&mut store).write(50_000 * 4096, &[1]).expect("in bounds");
        let second = written(&mut tracker);
        let found = second.iter().any(|p| (p.first..p.first + p.count).contains(&50_000));
        assert!(found, "{tracking}");
    }
}

/// Whatever is written while somebody looks is told of by then or the next time.
#[test]
fn nothing_is_lost_while_somebody_looks() {
    for tracking in ways() {
        let (store, memory) = filled(16);
        let mut tracker = store.track_writes(tracking).expect("it is to be had");
        let (base, pages) = (memory.bytes(&store).as_ptr().addr(), 256);
        let mut copy = vec![0u8; pages * 4096];
        let mut look = |tracker: &mut WriteTracker| {
            for part in written(tracker) {
                let place = part.first as usize * 4096..(part.first + part.count) as usize * 4096;
                tracker.read(part, &mut copy[place]).expect("it is there");
            }
        };
        let write = move || {
            let mut random = 12345u32;
            for round in 0..20_000u32 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (random >> 8) as usize % (pages * 1024) * 4;
                // SAFETY: the memory lives until the thread has ended, and only it writes there.
                unsafe { ((base + at) as *mut u32).write_volatile(round) };
            }
        };
        let writer = std::thread::spawn(write);
        while !writer.is_finished() {
            look(&mut tracker);
        }
        writer.join().expect("it only writes");
        look(&mut tracker);
        assert!(copy == memory.bytes(&store), "{tracking}");
    }
}

/// A system call that writes to a guest's memory does not fail, whenever somebody looks.
#[test]
fn system_calls_write_to_what_is_tracked() {
    use std::io::Read;
    for tracking in ways() {
        let (mut store, memory) = filled(4);
        let mut tracker = store.track_writes(tracking).expect("it is to be had");
        for round in 0..3 {
            written(&mut tracker);
            let mut guest = memory.guest(&mut store);
            let buffer = guest.slice_mut(5 * 4096 - 10, 20).expect("in bounds");
            let mut zeros = std::fs::File::open("/dev/zero").expect("every Linux has it");
            written(&mut tracker);
            assert_eq!(zeros.read(buffer).ok(), Some(20), "{tracking}, round {round}");
            let told = written(&mut tracker);
            let has = |page| told.iter().any(|p| (p.first..p.first + p.count).contains(&page));
            assert!(has(4) && has(5), "{tracking}: {told:?}");
        }
    }
}

#[test]
fn a_tracker_may_outlive_its_memories() {
    for tracking in ways() {
        let (store, _) = filled(1);
        let mut tracker = store.track_writes(tracking).expect("it is to be had");
        drop(store);
        let pages = WrittenPages { memory: 0, first: 0, count: 1 };
        // Another test may have a memory at that place by now: what counts is that nothing crashes.
        let _ = tracker.read(pages, &mut [0; 4096]);
        let _ = tracker.take_written(|_| {});
        assert_eq!(tracker.tracked_pages(0), 16);
    }
}

/// Pages that come later are waited for by whoever touches them, in this program or in a system call,
/// and what nobody awaits is zero.
#[test]
fn pages_come_while_somebody_waits_for_them() {
    if !MissingPages::are_available() {
        return;
    }
    let (mut store, memory) = filled(4);
    let awaited = [(3, 2), (63, 1)].map(|(first, count)| WrittenPages { memory: 0, first, count });
    let missing = store.await_pages(&awaited).expect("it is to be had");
    assert_eq!((missing.left(), missing.runs(9)), (3, awaited.to_vec()));
    assert_eq!(memory.bytes(&store)[2 * 4096], 7, "what was there is there");
    std::thread::scope(|scope| {
        let missing = &missing;
        let reader = scope.spawn(|| {
            let bytes = memory.bytes(&store);
            let sum = u32::from(bytes[3 * 4096]) + u32::from(bytes[4 * 4096 + 9]);
            let mut null = std::fs::File::create("/dev/null").expect("every Linux has it");
            let guest = memory.guest(&mut store);
            let last = guest.slice(63 * 4096, 4096).expect("it comes");
            std::io::Write::write_all(&mut null, last).expect("it is there");
            (sum, last[0])
        });
        let mut asked = Vec::new();
        while asked.len() < 3 {
            missing.wait_for_asks(std::time::Duration::from_secs(1), |_, page| {
                asked.push(page);
                let content = [page as u8; 4096];
                assert!(missing.fill(0, page, Some(&content)).expect("the memory is there"));
                assert!(!missing.fill(0, page, None).expect("the memory is there"), "only once");
            });
        }
        assert_eq!(asked, [3, 4, 63]);
        assert_eq!(reader.join().expect("it only reads"), (7, 63));
    });
    assert_eq!(missing.left(), 0);
    assert!(!missing.fill(0, 9, None).expect("the memory is there"), "nobody awaits it");
    drop(missing);
    memory.guest(&mut store).write(0, &[1; 4 << 16]).expect("in bounds");
}

/// Whoever waits for pages that will never come is let out, and no system call sees what it finds.
#[test]
fn what_will_not_come_is_never_seen_outside() {
    if !MissingPages::are_available() {
        return;
    }
    let (mut store, memory) = filled(1);
    let awaited = WrittenPages { memory: 0, first: 5, count: 1 };
    assert!(store.await_pages(&[WrittenPages { first: 16, ..awaited }]).is_err(), "no such page");
    let missing = store.await_pages(&[awaited]).expect("it is to be had");
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| memory.guest(&mut store).slice(5 * 4096, 1).map(|s| s[0]));
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(!reader.is_finished(), "it waits");
        missing.give_up();
        assert!(reader.join().expect("it only reads").is_err());
    });
    assert!(missing.is_lost());
    // Compiled code that touches it goes on; but nothing of it, nor of its neighbours, gets out.
    assert_eq!(memory.bytes(&store)[5 * 4096], 0);
    assert!(memory.guest(&mut store).slice(0, 9).is_err());
    drop(missing);
    assert!(memory.guest(&mut store).read_u8(0).is_err());
}
