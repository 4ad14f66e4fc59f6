//! One memory in several stores: atomic accesses, growth, waiting and waking.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use brant_engine::{
    Config, Engine, Extern, Instance, Memory, MemoryType, Module, SharedMemory, Stop, Store,
    Thread, Trap, Val, WaitEnd,
};

const TYPE: MemoryType = MemoryType {
    minimum_wasm_pages: 1,
    maximum_wasm_pages: Some(4),
    is_64: false,
    is_shared: true,
};

const GUEST: &str = r#"(module
    (import "" "memory" (memory 1 4 shared))
    (func (export "count") (param $times i32)
        (loop $more
            (drop (i32.atomic.rmw.add (i32.const 64) (i32.const 1)))
            (br_if $more (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
    (func (export "get") (result i32) (i32.atomic.load (i32.const 64)))
    (func (export "set") (param i32) (i32.atomic.store offset=64 (i32.const 0) (local.get 0)))
    (func (export "wait") (param $expected i32) (param $timeout i64) (result i32)
        (memory.atomic.wait32 offset=60 (i32.const 4) (local.get $expected) (local.get $timeout)))
    (func (export "wait_at") (param $address i32) (result i32)
        (memory.atomic.wait32 (local.get $address) (i32.const 0) (i64.const -1)))
    (func (export "notify") (param $count i32) (result i32)
        (memory.atomic.notify (i32.const 64) (local.get $count)))
    (func (export "size") (result i32) (memory.size))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "last") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;

/// One store that has the memory.
struct Guest {
    store: Store,
    instance: Instance,
}

impl Guest {
    fn new(module: &Module, memory: &SharedMemory) -> Self {
        let mut store = Store::new(module.engine(), Box::new(()));
        let memory = Memory::from_shared(&mut store, memory).expect("a limit of memories");
        let imports = [Extern::Memory(memory)];
        let instance = Instance::new(&mut store, module, &imports).expect("an instance");
        Self { store, instance }
    }

    fn thread(&mut self, name: &str, arguments: &[Val]) -> Thread {
        let func = self.instance.export(&self.store, name).and_then(Extern::func);
        Thread::new(&mut self.store, func.expect("a function"), arguments)
    }

    fn call(&mut self, name: &str, arguments: &[Val]) -> Vec<Val> {
        match self.thread(name, arguments).run(&mut self.store) {
            Stop::Done(values) => values,
            stop => panic!("{name}: {stop}"),
        }
    }
}

/// Two guests on one memory, with accesses by the guard or checked.
fn guests(signal_handlers: bool) -> [Guest; 2] {
    let config = Config { signal_handlers, ..Config::default() };
    let engine = Engine::new(&config).expect("an engine");
    let bytes = wat::parse_str(GUEST).expect("text of a module");
    let module = Module::new(&engine, bytes).expect("a valid module");
    let memory = SharedMemory::new(&engine, TYPE).expect("address space");
    [Guest::new(&module, &memory), Guest::new(&module, &memory)]
}

#[test]
fn no_increment_is_lost_between_two_threads_of_the_host() {
    for guarded in [true, false] {
        let [mut a, mut b] = guests(guarded);
        thread::scope(|scope| {
            scope.spawn(|| a.call("count", &[Val::I32(100_000)]));
            b.call("count", &[Val::I32(100_000)]);
        });
        assert_eq!(a.call("get", &[]), [Val::I32(200_000)]);
    }
}

#[test]
fn growth_is_seen_by_all_who_have_the_memory() {
    for guarded in [true, false] {
        let [mut a, mut b] = guests(guarded);
        let last = 2 * 65_536 - 1;
        let stop = b.thread("last", &[Val::I32(last)]).run(&mut b.store);
        assert!(matches!(stop, Stop::Trap(report) if report.code == Trap::OutOfBoundsMemoryAccess));
        assert_eq!(a.call("grow", &[]), [Val::I32(1)]);
        assert_eq!(b.call("size", &[]), [Val::I32(2)]);
        assert_eq!(b.call("last", &[Val::I32(last)]), [Val::I32(0)]);
        drop(a);
        assert_eq!([b.call("grow", &[]), b.call("grow", &[])], [[Val::I32(2)], [Val::I32(3)]]);
        assert_eq!(b.call("grow", &[]), [Val::I32(-1)], "the maximum");
    }
}

#[test]
fn a_wait_ends_by_being_woken_or_by_its_time() {
    let [mut a, mut b] = guests(true);
    let mut waiting = a.thread("wait", &[Val::I32(0), Val::I64(5_000)]);
    assert!(matches!(waiting.run(&mut a.store), Stop::Blocked));
    assert!(matches!(waiting.run(&mut a.store), Stop::Blocked), "to look again changes nothing");
    let wait = waiting.wait().expect("it waits");
    assert_eq!((wait.address, wait.timeout_ns, wait.end), (64, Some(5_000), None));

    assert_eq!(b.call("notify", &[Val::I32(1)]), [Val::I32(1)]);
    assert!(waiting.wait().is_some_and(|wait| wait.end == Some(WaitEnd::Woken)));
    waiting.time_out(&a.store);
    match waiting.run(&mut a.store) {
        Stop::Done(values) => assert_eq!(values, [Val::I32(0)], "who was woken is not late"),
        stop => panic!("{stop}"),
    }
    assert!(waiting.wait().is_none());

    let mut late = a.thread("wait", &[Val::I32(0), Val::I64(1)]);
    assert!(matches!(late.run(&mut a.store), Stop::Blocked));
    late.time_out(&a.store);
    assert_eq!(b.call("notify", &[Val::I32(1)]), [Val::I32(0)], "nobody waits any more");
    assert!(matches!(late.run(&mut a.store), Stop::Done(values) if values == [Val::I32(2)]));
    // The value is compared before anything else, and no wait begins.
    assert_eq!(a.call("wait", &[Val::I32(7), Val::I64(-1)]), [Val::I32(1)]);
}

#[test]
fn threads_of_the_host_wake_each_other() {
    const ROUNDS: i32 = 500;
    let [mut a, mut b] = guests(true);
    let (woken, wakes) = channel();
    a.store.on_wake(Arc::new(move || woken.send(()).expect("the waiter is there")));
    thread::scope(|scope| {
        let waker = scope.spawn(move || {
            for round in 1..=ROUNDS {
                while b.call("notify", &[Val::I32(1)]) == [Val::I32(0)] {
                    thread::yield_now();
                }
                assert!(round <= ROUNDS);
            }
        });
        for _ in 0..ROUNDS {
            let mut waiting = a.thread("wait", &[Val::I32(0), Val::I64(-1)]);
            let stop = loop {
                match waiting.run(&mut a.store) {
                    Stop::Blocked => wakes.recv_timeout(Duration::from_secs(20)).expect("a wake"),
                    stop => break stop,
                }
            };
            assert!(matches!(stop, Stop::Done(values) if values == [Val::I32(0)]));
        }
        waker.join().expect("every wake found somebody");
    });
}

#[test]
fn what_cannot_wait_traps() {
    let [mut a, _b] = guests(true);
    for (address, code) in [
        (2, Trap::UnalignedAtomic),
        (65_536, Trap::OutOfBoundsMemoryAccess),
        (-4, Trap::OutOfBoundsMemoryAccess),
    ] {
        let stop = a.thread("wait_at", &[Val::I32(address)]).run(&mut a.store);
        assert!(matches!(stop, Stop::Trap(report) if report.code == code), "{address}");
    }
    let mut waiting = a.thread("wait", &[Val::I32(0), Val::I64(-1)]);
    assert!(matches!(waiting.run(&mut a.store), Stop::Blocked));
    match waiting.trap(&mut a.store, Trap::Deadlock) {
        Stop::Trap(report) => {
            assert_eq!(report.code, Trap::Deadlock);
            assert_eq!(report.backtrace.len(), 1, "it says where it waited");
        }
        stop => panic!("{stop}"),
    }
    assert!(waiting.has_ended());
}
