//! Hand-made modules, run through the public interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use brant_engine::{
    Caller, Config, Engine, Extern, Flow, Func, FuncType, HostError, HostPanic, Instance, Module,
    Stop, Store, Thread, Trap, Val, ValType,
};

fn engine() -> Engine {
    Engine::default()
}

fn module(engine: &Engine, text: &str) -> Module {
    let bytes = wat::parse_str(text).expect("text of a module");
    Module::new(engine, bytes).expect("a valid module")
}

struct Guest {
    store: Store,
    instance: Instance,
}

impl Guest {
    fn new(text: &str) -> Self {
        Self::with(&engine(), text, |_| Vec::new())
    }

    fn with(engine: &Engine, text: &str, imports: impl FnOnce(&mut Store) -> Vec<Extern>) -> Self {
        let module = module(engine, text);
        let mut store = Store::new(engine, Box::new(()));
        let imports = imports(&mut store);
        let instance = Instance::new(&mut store, &module, &imports).expect("an instance");
        Self { store, instance }
    }

    fn func(&self, name: &str) -> Func {
        self.instance.export(&self.store, name).and_then(Extern::func).expect("a function")
    }

    fn run(&mut self, name: &str, arguments: &[Val]) -> Stop {
        let func = self.func(name);
        Thread::new(&mut self.store, func, arguments).run(&mut self.store)
    }

    fn results(&mut self, name: &str, arguments: &[Val]) -> Vec<Val> {
        match self.run(name, arguments) {
            Stop::Done(results) => results,
            stop => panic!("{name}: {stop}"),
        }
    }

    fn trap(&mut self, name: &str, arguments: &[Val]) -> Trap {
        match self.run(name, arguments) {
            Stop::Trap(report) => report.code,
            stop => panic!("{name}: {stop:?}"),
        }
    }
}

fn host(
    store: &mut Store, params: &[ValType], results: &[ValType],
    call: impl Fn(&mut Caller<'_>, &[Val], &mut [Val]) -> Result<Flow, HostError> + Send + 'static,
) -> Extern {
    let ty = FuncType::new(params.iter().copied(), results.iter().copied());
    Extern::Func(Func::host(store, ty, call))
}

const LOOP: &str = r#"(module (global $n (export "n") (mut i32) (i32.const 0))
    (func (export "spin") (loop (global.set $n (i32.add (global.get $n) (i32.const 1))) (br 0)))
    (func (export "count") (param i32) (result i32) (local i32)
      (loop (local.set 1 (i32.add (local.get 1) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.get 1) (local.get 0))))
      (local.get 1)))"#;

#[test]
fn calls_loops_and_memory_give_results() {
    let mut guest = Guest::new(
        r#"(module (memory 1)
            (func $fib (export "fib") (param i32) (result i32)
              (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
                (then (local.get 0))
                (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                               (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
            (func (export "swap") (param i64 f32) (result f32 i64) (local.get 1) (local.get 0))
            (func (export "store") (param i32 i64) (result i32)
              (i64.store (local.get 0) (local.get 1))
              (i32.load offset=4 (local.get 0))))"#,
    );
    assert_eq!(guest.results("fib", &[Val::I32(20)]), [Val::I32(6765)]);
    let swapped = guest.results("swap", &[Val::I64(-1), Val::F32(0x7fa0_0000)]);
    assert_eq!(swapped, [Val::F32(0x7fa0_0000), Val::I64(-1)], "a signalling NaN stays");
    assert_eq!(guest.results("store", &[Val::I32(8), Val::I64(7 << 32)]), [Val::I32(7)]);
    assert_eq!(guest.trap("store", &[Val::I32(-8), Val::I64(0)]), Trap::OutOfBoundsMemoryAccess);
    assert_eq!(
        guest.trap("store", &[Val::I32(65_529), Val::I64(0)]),
        Trap::OutOfBoundsMemoryAccess
    );
    assert_eq!(guest.results("store", &[Val::I32(65_528), Val::I64(0)]), [Val::I32(0)]);
}

#[test]
fn memory_traps_know_the_address() {
    let mut guest = Guest::new(
        r#"(module $mine (memory 1) (func $deep (param i32) (result i32) (i32.load offset=16 (local.get 0)))
            (func (export "f") (param i32) (result i32) (call $deep (local.get 0))))"#,
    );
    let Stop::Trap(report) = guest.run("f", &[Val::I32(0x2_0000)]) else { panic!("a trap") };
    assert_eq!(report.memory_bytes, Some(0x1_0000));
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        assert_eq!(report.fault_address, Some(0x2_0010));
    }
    let names: Vec<_> = report.backtrace.iter().map(|f| f.name.as_deref()).collect();
    assert_eq!(names, [Some("deep"), Some("f")]);
    let text = report.to_string();
    assert!(text.contains("mine!deep\n"), "{text}");
}

#[test]
fn an_interrupt_stops_a_loop_that_can_go_on() {
    let mut guest = Guest::new(LOOP);
    let interrupt = guest.store.interrupt_handle();
    let waker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        interrupt.interrupt();
        start
    });
    let func = guest.func("spin");
    let mut thread = Thread::new(&mut guest.store, func, &[]);
    let stop = thread.run(&mut guest.store);
    let asked = waker.join().expect("no panic");
    assert!(matches!(stop, Stop::Interrupted), "{stop}");
    assert!(asked.elapsed() < Duration::from_secs(1));
    let n = guest.instance.export(&guest.store, "n").and_then(Extern::global).expect("a global");
    let before = n.get(&guest.store);
    assert_ne!(before, Val::I32(0));
    guest.store.interrupt_handle().interrupt();
    assert!(matches!(thread.run(&mut guest.store), Stop::Interrupted));
    assert_eq!(n.get(&guest.store), before, "an interrupt between runs stops the next one at once");
}

#[test]
fn an_interrupted_call_has_the_result_of_an_undisturbed_one() {
    let mut guest = Guest::new(LOOP);
    let func = guest.func("count");
    let interrupt = guest.store.interrupt_handle();
    let done = Arc::new(AtomicU32::new(0));
    let seen = done.clone();
    let nagger = std::thread::spawn(move || {
        while seen.load(Ordering::Relaxed) == 0 {
            interrupt.interrupt();
            std::thread::sleep(Duration::from_micros(50));
        }
    });
    let mut thread = Thread::new(&mut guest.store, func, &[Val::I32(3_000_000)]);
    let mut stops = 0;
    let results = loop {
        match thread.run(&mut guest.store) {
            Stop::Done(results) => break results,
            Stop::Interrupted => stops += 1,
            stop => panic!("{stop}"),
        }
        assert!(stops < 1_000_000, "no progress");
    };
    done.store(1, Ordering::Relaxed);
    nagger.join().expect("no panic");
    assert_eq!(results, [Val::I32(3_000_000)]);
    assert!(stops > 0);
    assert!(thread.has_ended());
    assert!(matches!(thread.run(&mut guest.store), Stop::Failed(_)));
}

#[test]
fn two_threads_of_one_instance_take_turns() {
    let mut guest = Guest::with(
        &engine(),
        r#"(module (import "h" "yield" (func $yield (param i32)))
            (func (export "f") (param $id i32) (result i32) (local $i i32)
              (loop (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (call $yield (local.get $i))
                (br_if 0 (i32.lt_u (local.get $i) (i32.const 10))))
              (i32.add (local.get $id) (local.get $i))))"#,
        |store| {
            let turn = AtomicU32::new(0);
            vec![host(store, &[ValType::I32], &[], move |_, _, _| {
                match turn.fetch_add(1, Ordering::Relaxed) % 3 {
                    0 => Ok(Flow::Return),
                    _ => Ok(Flow::Block),
                }
            })]
        },
    );
    let func = guest.func("f");
    let mut threads = [100, 200].map(|id| Thread::new(&mut guest.store, func, &[Val::I32(id)]));
    let mut results = Vec::new();
    while results.len() < 2 {
        for thread in &mut threads {
            if !thread.has_ended() {
                match thread.run(&mut guest.store) {
                    Stop::Done(values) => results.push(values[0]),
                    Stop::Blocked => {}
                    stop => panic!("{stop}"),
                }
            }
        }
    }
    results.sort_by_key(|value| value.i32());
    assert_eq!(results, [Val::I32(110), Val::I32(210)]);
}

#[test]
fn hosts_may_call_guests_that_call_hosts() {
    let mut guest = Guest::with(
        &engine(),
        r#"(module (import "h" "down" (func $down (param i32) (result i32)))
            (memory 1)
            (func (export "f") (param i32) (result i32)
              (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
                (else (i32.mul (local.get 0)
                    (call $down (i32.sub (local.get 0) (i32.const 1))))))))"#,
        |store| {
            vec![host(store, &[ValType::I32], &[ValType::I32], |caller, arguments, results| {
                let instance = caller.instance().expect("a guest calls");
                let f = instance.export(caller.store(), "f").and_then(Extern::func).expect("f");
                caller.memory(0).expect("a memory").write_u32(0, 7).expect("inside");
                results[0] = caller.call(f, arguments)?[0];
                Ok(Flow::Return)
            })]
        },
    );
    assert_eq!(guest.results("f", &[Val::I32(10)]), [Val::I32(3_628_800)]);
    assert_eq!(guest.trap("f", &[Val::I32(1_000_000)]), Trap::CallStackExhausted);
    assert_eq!(guest.results("f", &[Val::I32(5)]), [Val::I32(120)], "the store is usable");
}

#[test]
fn host_functions_end_runs_in_every_way() {
    let mut guest = Guest::with(
        &engine(),
        r#"(module (import "h" "end" (func $end (param i32)))
            (func (export "f") (param i32) (call $end (local.get 0))))"#,
        |store| {
            vec![host(store, &[ValType::I32], &[], |_, arguments, _| {
                match arguments[0].i32().unwrap_or(0) {
                    0 => Ok(Flow::Return),
                    1 => Err(HostError::Exit(42)),
                    2 => Err(HostError::Trap(Trap::Unreachable)),
                    3 => Err(HostError::Other("a reason".into())),
                    _ => panic!("on purpose"),
                }
            })]
        },
    );
    assert!(guest.results("f", &[Val::I32(0)]).is_empty());
    assert!(matches!(guest.run("f", &[Val::I32(1)]), Stop::Exit(42)));
    assert_eq!(guest.trap("f", &[Val::I32(2)]), Trap::Unreachable);
    let Stop::Failed(error) = guest.run("f", &[Val::I32(3)]) else { panic!("it fails") };
    assert_eq!(error.to_string(), "a reason");
    let Stop::Failed(error) = guest.run("f", &[Val::I32(4)]) else { panic!("it fails") };
    assert_eq!(error.downcast_ref::<HostPanic>().map(|p| p.message.as_str()), Some("on purpose"));
    assert!(guest.results("f", &[Val::I32(0)]).is_empty(), "the store is usable");
}

#[test]
fn a_store_that_is_exchanged_while_it_runs_fails_the_run() {
    let mut guest = Guest::with(
        &engine(),
        r#"(module (import "h" "swap" (func $swap)) (func (export "f") (call $swap)))"#,
        |store| {
            vec![host(store, &[], &[], |caller, _, _| {
                *caller.store() = Store::new(&Engine::default(), Box::new(()));
                Ok(Flow::Return)
            })]
        },
    );
    assert!(matches!(guest.run("f", &[]), Stop::Failed(_)));
}

#[test]
fn a_result_of_another_type_fails_the_run() {
    let mut guest = Guest::with(
        &engine(),
        r#"(module (import "h" "f" (func $f (result funcref)))
            (func (export "f") (drop (call $f))))"#,
        |store| {
            vec![host(store, &[], &[ValType::FuncRef], |_, _, results| {
                results[0] = Val::I64(0x7777_7777);
                Ok(Flow::Return)
            })]
        },
    );
    assert!(matches!(guest.run("f", &[]), Stop::Failed(_)));
}

#[test]
fn calls_across_instances_keep_their_own_state() {
    let engine = engine();
    let mut store = Store::new(&engine, Box::new(()));
    let library = module(
        &engine,
        r#"(module (memory (export "m") 1) (global $g (mut i32) (i32.const 0))
            (func (export "next") (param i32) (result i32)
              (global.set $g (i32.add (global.get $g) (local.get 0)))
              (i32.store (i32.const 0) (global.get $g))
              (i32.load (i32.const 0))))"#,
    );
    let library = Instance::new(&mut store, &library, &[]).expect("an instance");
    let next = library.export(&store, "next").expect("a function");
    let user = module(
        &engine,
        r#"(module (import "l" "next" (func $next (param i32) (result i32)))
            (memory 1) (table 1 funcref) (elem (i32.const 0) $next)
            (type $t (func (param i32) (result i32)))
            (func (export "f") (result i32)
              (i32.store (i32.const 0) (i32.const 1000))
              (i32.add (i32.load (i32.const 0))
                (i32.add (call $next (i32.const 1))
                         (call_indirect (type $t) (i32.const 10) (i32.const 0))))))"#,
    );
    let user = Instance::new(&mut store, &user, &[next]).expect("an instance");
    let f = user.export(&store, "f").and_then(Extern::func).expect("f");
    assert_eq!(f.call(&mut store, &[]).expect("results"), [Val::I32(1012)]);
}

#[test]
fn recursion_ends_at_the_limit_and_leaves_the_store_usable() {
    let text = r#"(module (type $t (func)) (table 1 funcref) (elem (i32.const 0) $i)
        (func $d (export "direct") (call $d))
        (func $i (export "indirect") (call_indirect (type $t) (i32.const 0)))
        (func $a (export "even") (param i32) (result i32)
          (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
            (else (return_call $b (i32.sub (local.get 0) (i32.const 1))))))
        (func $b (param i32) (result i32)
          (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
            (else (return_call $a (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let mut guest = Guest::new(text);
    assert_eq!(guest.trap("direct", &[]), Trap::CallStackExhausted);
    assert_eq!(guest.trap("indirect", &[]), Trap::CallStackExhausted);
    assert_eq!(guest.results("even", &[Val::I32(1_000_000)]), [Val::I32(1)]);
    let Stop::Trap(report) = guest.run("direct", &[]) else { panic!("a trap") };
    assert!(report.frame_count > 10_000 && report.backtrace.len() == brant_engine::MAX_FRAMES);
}

#[test]
fn fuel_runs_out_and_can_be_refilled() {
    let engine = Engine::new(&Config { fuel: true, ..Config::default() }).expect("a configuration");
    let mut guest = Guest::with(&engine, LOOP, |_| Vec::new());
    let func = guest.func("count");
    let mut thread = Thread::new(&mut guest.store, func, &[Val::I32(1000)]);
    let mut refills = 0;
    let results = loop {
        match thread.run(&mut guest.store) {
            Stop::OutOfFuel => {
                guest.store.add_fuel(500);
                refills += 1;
            }
            Stop::Done(results) => break results,
            stop => panic!("{stop}"),
        }
        assert!(refills < 1000, "no progress");
    };
    assert_eq!(results, [Val::I32(1000)]);
    // The loop has eight operators, `loop` and `end` being free; three are outside of it.
    let used = refills * 500 - guest.store.fuel();
    assert_eq!(used, 1000 * 8 + 1);
}

#[test]
fn a_lazy_module_fails_where_the_invalid_body_would_run() {
    let bytes = wat::parse_str(
        r#"(module (func (export "good") (result i32) (i32.const 1))
            (func (export "bad") (result i32)))"#,
    )
    .expect("text");
    let engine = engine();
    let module = Module::lazy(&engine, bytes).expect("sections are valid");
    let mut store = Store::new(&engine, Box::new(()));
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let mut guest = Guest { store, instance };
    assert_eq!(guest.results("good", &[]), [Val::I32(1)]);
    let Stop::Failed(error) = guest.run("bad", &[]) else { panic!("it fails") };
    assert!(error.downcast_ref::<brant_engine::ModuleError>().is_some(), "{error}");
}

#[test]
fn memories_without_signal_handlers_are_checked() {
    let config = Config { signal_handlers: false, ..Config::default() };
    let engine = Engine::new(&config).expect("a configuration");
    let text = r#"(module (memory 1 2)
        (func (export "load") (param i32) (result i32) (i32.load8_u offset=1 (local.get 0)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let mut guest = Guest::with(&engine, text, |_| Vec::new());
    assert_eq!(guest.results("load", &[Val::I32(65_534)]), [Val::I32(0)]);
    assert_eq!(guest.trap("load", &[Val::I32(65_535)]), Trap::OutOfBoundsMemoryAccess);
    assert_eq!(guest.trap("load", &[Val::I32(-1)]), Trap::OutOfBoundsMemoryAccess);
    assert_eq!(guest.results("grow", &[Val::I32(1)]), [Val::I32(1)]);
    assert_eq!(guest.results("load", &[Val::I32(65_535)]), [Val::I32(0)]);
    assert_eq!(guest.results("grow", &[Val::I32(1)]), [Val::I32(-1)]);
}

#[test]
fn bulk_operations_check_first_and_move_all() {
    let mut guest = Guest::new(
        r#"(module (memory 10) (data $d "0123456789")
            (func (export "fill") (param i32 i32 i32)
              (memory.fill (local.get 0) (local.get 1) (local.get 2)))
            (func (export "copy") (param i32 i32 i32)
              (memory.copy (local.get 0) (local.get 1) (local.get 2)))
            (func (export "init") (param i32 i32 i32)
              (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
            (func (export "drop") (data.drop $d))
            (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"#,
    );
    let i32s = |values: [i32; 3]| values.map(Val::I32);
    guest.results("fill", &i32s([0, 7, 300_000]));
    guest.results("fill", &i32s([300_000, 9, 100_000]));
    // Overlapping, upwards, over several chunks.
    guest.results("copy", &i32s([200_000, 100_000, 300_000]));
    for (at, expected) in [(199_999, 7), (399_999, 7), (400_000, 9), (499_999, 9), (500_000, 0)] {
        assert_eq!(guest.results("load", &[Val::I32(at)]), [Val::I32(expected)], "at {at}");
    }
    assert_eq!(guest.trap("fill", &i32s([600_000, 1, 100_000])), Trap::OutOfBoundsMemoryAccess);
    assert_eq!(guest.results("load", &[Val::I32(600_000)]), [Val::I32(0)], "nothing was written");
    guest.results("init", &i32s([5, 3, 4]));
    assert_eq!(guest.results("load", &[Val::I32(5)]), [Val::I32(i32::from(b'3'))]);
    guest.results("drop", &[]);
    guest.results("init", &i32s([5, 0, 0]));
    assert_eq!(guest.trap("init", &i32s([5, 0, 1])), Trap::OutOfBoundsMemoryAccess);
}
