//! A thread that waits in compiled code stands where it is, on a stack of its own. It goes on there,
//! on any thread of the host, or gives up its frames to whoever looks at them.

use brant::Tier;
use brant_engine::compile::Stops;
use brant_engine::{
    Extern, Flow, FrameState, Func, FuncType, Instance, Module, Stop, Store, Thread, Trap, Val,
    ValType,
};

use crate::world::engine;

/// Waits at an address, and in a call of the host, below frames with values of each type.
const WAITS: &str = r#"(module
    (import "" "block" (func $block (param i32 i64 f64) (result i32)))
    (memory 1 1 shared)
    (global $g (mut i32) (i32.const 1))
    (func $deep (param i32 f64 v128) (result i32) (local i64 i32)
        (local.set 3 (i64.extend_i32_u (local.get 0)))
        (global.set $g (i32.add (global.get $g) (local.get 0)))
        (if (i32.eqz (local.get 0)) (then
            (local.set 4 (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))
            (return (i32.add (local.get 4) (call $block (i32.trunc_f64_s (local.get 1))
                (i64.add (local.get 3) (i64.const 5)) (local.get 1))))))
        (i32.add
            (i32.add (i32x4.extract_lane 1 (local.get 2)) (i32.wrap_i64 (local.get 3)))
            (call $deep (i32.sub (local.get 0) (i32.const 1)) (f64.add (local.get 1) (f64.const 1.5))
                (i32x4.add (local.get 2) (i32x4.splat (local.get 0))))))
    (func (export "run") (param i32) (result i32) (local i32)
        (loop $all
            (local.set 1 (i32.add (i32.mul (local.get 1) (i32.const 3))
                (call $deep (i32.and (local.get 0) (i32.const 7)) (f64.const 0.25)
                    (v128.const i32x4 1 2 3 4))))
            (br_if $all (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (i32.add (local.get 1) (global.get $g))))"#;

struct Guest {
    store: Store,
    thread: Thread,
    run: Func,
}

impl Guest {
    fn new(tier: Tier) -> Guest {
        let bytes = brant_asm::assemble(WAITS.as_bytes(), &Default::default()).expect("a module");
        let module = Module::new(&engine(tier, Stops::Usual), bytes).expect("a valid module");
        let mut store = Store::new(module.engine(), Box::new(0u32));
        let ty = FuncType::new([ValType::I32, ValType::I64, ValType::F64], [ValType::I32]);
        // Would block twice before it returns.
        let block = Func::host(&mut store, ty, |caller, params, results| {
            let calls = caller.data_mut::<u32>();
            *calls += 1;
            if !calls.is_multiple_of(3) {
                return Ok(Flow::Block);
            }
            let [Val::I32(a), Val::I64(b), Val::F64(c)] = *params else { panic!("{params:?}") };
            results[0] = Val::I32(a + b as i32 + f64::from_bits(c) as i32);
            Ok(Flow::Return)
        });
        let instance =
            Instance::new(&mut store, &module, &[Extern::Func(block)]).expect("an instance");
        let run = instance.export(&store, "run").and_then(Extern::func).expect("the function");
        let thread = Thread::new(&mut store, run, &[Val::I32(12)]);
        Guest { store, thread, run }
    }

    /// Runs to the next wait; the results at the end.
    fn run(&mut self) -> Option<Vec<Val>> {
        match self.thread.run(&mut self.store) {
            Stop::Done(values) => Some(values),
            Stop::Blocked => None,
            stop => panic!("{stop}"),
        }
    }

    /// Ends its wait at an address, if it is in one.
    fn wake(&mut self) {
        self.thread.time_out(&self.store);
    }

    fn frames(&mut self) -> Vec<FrameState> {
        self.thread.frames(&mut self.store).expect("a thread that stands")
    }
}

/// The frames at every wait, and the results.
fn seen(tier: Tier) -> (Vec<Vec<FrameState>>, Vec<Val>) {
    let mut guest = Guest::new(tier);
    let mut all = Vec::new();
    loop {
        if let Some(values) = guest.run() {
            return (all, values);
        }
        all.push(guest.frames());
        assert_eq!(Some(&guest.frames()), all.last(), "who looks twice sees the same");
        guest.wake();
    }
}

#[test]
fn who_waits_in_compiled_code_has_the_frames_of_the_interpreter() {
    let (frames, values) = seen(Tier::Interp);
    assert!(frames.iter().any(|frames| frames.len() == 9), "waits are deep");
    assert_eq!(seen(Tier::Jit), (frames, values));
}

#[test]
fn who_is_not_looked_at_goes_on_where_it_stands() {
    let (frames, values) = seen(Tier::Interp);
    // Looks at every wait of this number, and lets the stacks go at every one of the other.
    for (look, let_go) in [(usize::MAX, usize::MAX), (3, usize::MAX), (usize::MAX, 5), (2, 3)] {
        let mut guest = Guest::new(Tier::Jit);
        let mut waits = 0;
        let result = loop {
            match guest.run() {
                Some(values) => break values,
                None => waits += 1,
            }
            // Once frames were given up, the interpreter has some of them for a while.
            let stands = format!("{:?}", guest.thread).contains("state: Suspended");
            assert!(stands || look.min(let_go) <= waits, "wait {waits}");
            // A look in vain, now and then: nothing has happened.
            if waits % 4 == 0 && guest.thread.wait().is_some() {
                assert_eq!(guest.run(), None, "it waits on");
            }
            if waits % look == 0 {
                assert_eq!(guest.frames(), frames[waits - 1], "wait {waits}");
            }
            if waits % let_go == 0 {
                guest.thread.let_go(&mut guest.store);
            }
            guest.wake();
        };
        assert_eq!((waits, &result), (frames.len(), &values));
    }
}

#[test]
fn it_goes_on_on_any_thread_of_the_host() {
    let (_, values) = seen(Tier::Interp);
    let mut guest = Guest::new(Tier::Jit);
    loop {
        let done;
        (guest, done) = std::thread::spawn(move || {
            let done = guest.run();
            (guest, done)
        })
        .join()
        .expect("it runs");
        if let Some(done) = done {
            assert_eq!(done, values);
            break;
        }
        guest.wake();
    }
}

#[test]
fn it_ends_where_it_stands() {
    for waits in 1..4 {
        let mut guest = Guest::new(Tier::Jit);
        for _ in 0..waits {
            assert_eq!(guest.run(), None);
            guest.wake();
        }
        let depth = guest.frames().len();
        // Nobody goes on with the second one.
        let mut other = Guest::new(Tier::Jit);
        assert_eq!(other.run(), None);
        drop(other);
        match guest.thread.trap(&mut guest.store, Trap::Deadlock) {
            Stop::Trap(report) => assert_eq!(report.backtrace.len(), depth),
            stop => panic!("{stop}"),
        }
    }
}

#[test]
fn a_stop_finds_it_where_it_stands() {
    let (frames, values) = seen(Tier::Interp);
    let mut guest = Guest::new(Tier::Jit);
    let mut waits = 0;
    loop {
        match guest.run() {
            Some(done) => break assert_eq!(done, values),
            None => waits += 1,
        }
        guest.store.interrupt_handle().interrupt();
        let stop = guest.thread.run(&mut guest.store);
        assert!(matches!(stop, Stop::Interrupted), "{stop}");
        if waits % 2 == 0 {
            // From its frames it is the same thread.
            let frames = guest.frames();
            let end = guest.thread.wait().map(|wait| wait.end);
            guest.thread = Thread::from_frames(&mut guest.store, guest.run, &frames)
                .expect("frames of this store");
            if let Some(end) = end {
                guest.thread.restore_wait(&mut guest.store, end).expect("it stands at a wait");
            }
        }
        guest.wake();
    }
    assert_eq!(waits, frames.len());
}
