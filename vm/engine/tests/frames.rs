//! Frames: a thread is stopped at every site in turn, taken apart, put together and run on.

use brant_engine::{
    Config, Engine, Extern, Flow, FrameError, FrameState, Func, FuncType, Instance, Module, Slot,
    Stop, Store, Thread, Val, ValType,
};

fn module(engine: &Engine, text: &str) -> Module {
    let bytes = wat::parse_str(text).expect("text of a module");
    Module::new(engine, bytes).expect("a valid module")
}

struct Guest {
    store: Store,
    instance: Instance,
}

/// Imports `env.block`, which gives back its argument and blocks when called for the first time.
fn guest(engine: &Engine, text: &str) -> Guest {
    let module = module(engine, text);
    let mut store = Store::new(engine, Box::new(false));
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    let block = Func::host(&mut store, ty, |caller, arguments, results| {
        let again = std::mem::replace(caller.data_mut::<bool>(), true);
        if !again {
            return Ok(Flow::Block);
        }
        *caller.data_mut::<bool>() = false;
        results[0] = arguments[0];
        Ok(Flow::Return)
    });
    let needed = module.imports().len();
    let imports = vec![Extern::Func(block); needed];
    let instance = Instance::new(&mut store, &module, &imports).expect("an instance");
    Guest { store, instance }
}

fn func(guest: &Guest, name: &str) -> Func {
    guest.instance.export(&guest.store, name).and_then(Extern::func).expect("a function")
}

/// Runs `run` to its end, but takes the thread apart at every stop. Gives results and stops.
fn in_pieces(guest: &mut Guest, arguments: &[Val]) -> (Vec<Val>, usize) {
    let run = func(guest, "run");
    let mut thread = Thread::new(&mut guest.store, run, arguments);
    let mut stops = 0;
    loop {
        guest.store.interrupt_handle().interrupt();
        match thread.run(&mut guest.store) {
            Stop::Done(results) => return (results, stops),
            stop if stop.can_go_on() => {}
            stop => panic!("{stop:?}"),
        }
        // The first stop is the one that was asked for; now one quantum.
        let frames = thread.frames(&mut guest.store).expect("frames");
        thread = Thread::from_frames(&mut guest.store, run, &frames).expect("a thread");
        assert_eq!(thread.frames(&mut guest.store), Some(frames), "what was put together");
        if let Stop::Done(results) = run_a_bit(guest, &mut thread) {
            return (results, stops);
        }
        stops += 1;
    }
}

/// Runs until another thread interrupts, or until fuel or a call stops the run.
fn run_a_bit(guest: &mut Guest, thread: &mut Thread) -> Stop {
    let interrupt = guest.store.interrupt_handle();
    let asker = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_micros(50));
        interrupt.interrupt();
    });
    guest.store.add_fuel(7);
    let stop = thread.run(&mut guest.store);
    asker.join().expect("no panic");
    stop
}

const CALLS: &str = r#"(module
    (import "env" "block" (func $block (param i32) (result i32)))
    (memory 1)
    (type $binary (func (param i32 f64) (result i64 f32)))
    (table funcref (elem $leaf))
    (func $leaf (type $binary) (local v128 i32)
        (local.set 2 (f64x2.splat (local.get 1)))
        (loop $more
            (local.set 3 (i32.add (local.get 3) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get 3) (local.get 0))))
        (i64.extend_i32_u (call $block (local.get 3)))
        (f32.demote_f64 (f64x2.extract_lane 1 (local.get 2))))
    (func $middle (param $n i32) (result i64) (local $x f64)
        (local.set $x (f64.const 1.5))
        (i64.const 1000)
        (i64.extend_i32_s (local.get $n))
        (local.set $n (i32.const 3))
        (if (param i64) (result i64) (local.get $n)
            (then
                (call_indirect (type $binary) (i32.const 900) (local.get $x) (i32.const 0))
                (drop)
                (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536))
                (i64.add))
            (else (drop) (i64.const 1)))
        (i64.mul))
    (func (export "run") (param i32) (result i64) (local i64)
        (loop $again
            (local.set 1 (i64.add (local.get 1) (call $middle (local.get 0))))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 1)))"#;

fn expected_of_calls(n: i64) -> i64 {
    (1..=n).map(|n| 1000 * (n + 900)).sum()
}

#[test]
fn a_run_in_pieces_gives_the_same_results() {
    let mut guest = guest(&Engine::default(), CALLS);
    let (results, stops) = in_pieces(&mut guest, &[Val::I32(40)]);
    assert_eq!(results, [Val::I64(expected_of_calls(40))]);
    assert!(stops >= 40, "at least each blocked call: {stops}");
}

#[test]
fn so_does_a_run_that_stops_for_fuel_at_every_block() {
    let config = Config { fuel: true, ..Config::default() };
    let mut guest = guest(&Engine::new(&config).expect("an engine"), CALLS);
    let (results, stops) = in_pieces(&mut guest, &[Val::I32(2)]);
    assert_eq!(results, [Val::I64(expected_of_calls(2))]);
    assert!(stops > 1000, "{stops}");
}

/// Runs to the end with a stop at every `step`-th site; gives results and the number of such stops.
fn site_by_site(step: u64) -> (Vec<Val>, u64) {
    let mut guest = guest(&Engine::default(), CALLS);
    let run = func(&guest, "run");
    let mut thread = Thread::new(&mut guest.store, run, &[Val::I32(3)]);
    let mut stops = 0;
    loop {
        guest.store.stop_at_site(Some(step));
        match thread.run(&mut guest.store) {
            Stop::Done(results) => return (results, stops),
            Stop::Interrupted => assert!(guest.store.take_site_stop(), "nobody else asks"),
            Stop::Blocked => continue,
            stop => panic!("{stop:?}"),
        }
        stops += 1;
        let frames = thread.frames(&mut guest.store).expect("frames");
        thread = Thread::from_frames(&mut guest.store, run, &frames).expect("a thread");
    }
}

#[test]
fn every_site_of_a_run_can_be_stopped_at_again() {
    let expected = vec![Val::I64(expected_of_calls(3))];
    let (results, sites) = site_by_site(1);
    assert_eq!(results, expected);
    assert!(sites > 3 * 900, "{sites}");
    assert_eq!(site_by_site(1), (results, sites), "the same sites again");
    for step in [2, 7, 1023, 1024, 1025] {
        let (results, stops) = site_by_site(step);
        assert_eq!(results, expected);
        // A blocked call is a stop of another kind, from which sites are counted anew.
        assert!(stops.abs_diff(sites / step) <= 3, "{stops} of {sites} in steps of {step}");
    }
}

#[test]
fn a_count_of_sites_outlives_other_stops() {
    let stop_at = |other_stops: usize| {
        let mut guest = guest(&Engine::default(), CALLS);
        let run = func(&guest, "run");
        let mut thread = Thread::new(&mut guest.store, run, &[Val::I32(3)]);
        guest.store.stop_at_site(Some(1500));
        for _ in 0..other_stops {
            guest.store.interrupt_handle().interrupt();
            assert!(matches!(thread.run(&mut guest.store), Stop::Interrupted));
            assert!(!guest.store.take_site_stop());
        }
        while !guest.store.take_site_stop() {
            assert!(thread.run(&mut guest.store).can_go_on());
        }
        thread.frames(&mut guest.store).expect("frames")
    };
    assert_eq!(stop_at(0), stop_at(5));
}

#[test]
fn a_thread_goes_on_in_another_store() {
    let engine = Engine::default();
    let mut first = guest(&engine, CALLS);
    let run = func(&first, "run");
    let mut thread = Thread::new(&mut first.store, run, &[Val::I32(5)]);
    assert!(matches!(thread.run(&mut first.store), Stop::Blocked));
    let frames = thread.frames(&mut first.store).expect("frames");
    assert_eq!(frames.len(), 3);

    let mut second = guest(&engine, CALLS);
    *second.store.data_mut::<bool>() = true;
    let run = func(&second, "run");
    let mut thread = Thread::from_frames(&mut second.store, run, &frames).expect("a thread");
    loop {
        match thread.run(&mut second.store) {
            Stop::Blocked => {}
            Stop::Done(results) => {
                return assert_eq!(results, [Val::I64(expected_of_calls(5))]);
            }
            stop => panic!("{stop:?}"),
        }
    }
}

#[test]
fn a_thread_that_has_not_begun_has_the_frame_of_its_call() {
    let mut guest = guest(&Engine::default(), CALLS);
    let run = func(&guest, "run");
    let mut thread = Thread::new(&mut guest.store, run, &[Val::I32(3)]);
    let frames = thread.frames(&mut guest.store).expect("frames");
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].locals[0], Slot { ty: ValType::I32, bits: 3 });
    let mut thread = Thread::from_frames(&mut guest.store, run, &frames).expect("a thread");
    while !matches!(thread.run(&mut guest.store), Stop::Done(_)) {}
}

#[test]
fn frames_that_no_run_leaves_are_refused() {
    let config = Config { max_stack_bytes: 16 << 10, ..Config::default() };
    let mut guest = guest(&Engine::new(&config).expect("an engine"), CALLS);
    let run = func(&guest, "run");
    let mut thread = Thread::new(&mut guest.store, run, &[Val::I32(5)]);
    assert!(matches!(thread.run(&mut guest.store), Stop::Blocked));
    let good = thread.frames(&mut guest.store).expect("frames");
    let mut refused = |change: &dyn Fn(&mut Vec<FrameState>)| {
        let mut frames = good.clone();
        change(&mut frames);
        Thread::from_frames(&mut guest.store, run, &frames).expect_err("a change that is refused")
    };
    assert_eq!(refused(&|frames| frames.clear()), FrameError::Empty);
    assert_eq!(refused(&|frames| frames[1].instance = 1), FrameError::UnknownFunction { frame: 1 });
    assert_eq!(refused(&|frames| frames[1].function = 0), FrameError::UnknownFunction { frame: 1 });
    assert_eq!(
        refused(&|frames| frames[0].function = 99),
        FrameError::UnknownFunction { frame: 0 }
    );
    assert_eq!(refused(&|frames| frames[2].site.0 = 99), FrameError::WrongSite { frame: 2 });
    assert_eq!(refused(&|frames| drop(frames.pop())), FrameError::WrongSite { frame: 1 });
    assert_eq!(
        refused(&|frames| frames[2].locals[0].ty = ValType::FuncRef),
        FrameError::WrongSlots { frame: 2 }
    );
    assert_eq!(
        refused(&|frames| frames[2].locals[0].bits = 1 << 40),
        FrameError::WrongSlots { frame: 2 }
    );
    assert_eq!(
        refused(&|frames| frames[1].operands.truncate(0)),
        FrameError::WrongSlots { frame: 1 }
    );
    assert_eq!(refused(&|frames| drop(frames.remove(1))), FrameError::WrongResults { frame: 1 });
    let many = |frames: &mut Vec<FrameState>| {
        let middle = frames[0].clone();
        *frames = std::iter::repeat_n(middle, 10_000).chain(frames.drain(1..)).collect();
    };
    assert!(matches!(refused(&many), FrameError::StackLimit | FrameError::WrongResults { .. }));
}

#[test]
fn frames_of_several_instances_keep_their_way_back() {
    let engine = Engine::default();
    let inner = module(
        &engine,
        r#"(module (import "env" "block" (func $block (param i32) (result i32)))
            (func (export "inner") (param f64 i32) (result f64 i32)
                (f64.add (local.get 0) (f64.const 1))
                (call $block (local.get 1))))"#,
    );
    let outer = r#"(module
        (import "env" "inner" (func $inner (param f64 i32) (result f64 i32)))
        (func (export "run") (param i32) (result f64)
            (f64.const 10) (f64.const 100) (call $inner (f64.const 0.5) (local.get 0))
            (f64.convert_i32_s) (f64.mul) (f64.add) (f64.add)))"#;
    let mut guest =
        guest(&engine, r#"(module (import "env" "block" (func (param i32) (result i32))))"#);
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    let block = Func::host(&mut guest.store, ty, |caller, arguments, results| {
        let again = std::mem::replace(caller.data_mut::<bool>(), true);
        results[0] = arguments[0];
        Ok(if again { Flow::Return } else { Flow::Block })
    });
    let store = &mut guest.store;
    let inner = Instance::new(store, &inner, &[Extern::Func(block)]).expect("an instance");
    let inner = inner.export(store, "inner").expect("exported");
    let outer = module(&engine, outer);
    guest.instance = Instance::new(store, &outer, &[inner]).expect("an instance");
    let (results, _) = in_pieces(&mut guest, &[Val::I32(7)]);
    assert_eq!(results, [Val::F64((10.0 + (100.0 + 1.5 * 7.0f64)).to_bits())]);
}
