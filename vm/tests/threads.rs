//! Programs on shared memory.

use std::time::{Duration, Instant};

use brant::{
    Config, Engine, Error, ExitStatus, Limits, Module, Process, ProcessBuilder, Stopped,
    ThreadPolicy,
};

const WAITS: &str = r#"(module
    (memory 1 1 shared)
    (func (export "wait") (param $timeout i64) (result i32)
        (memory.atomic.wait32 (i32.const 0) (i32.const 0) (local.get $timeout)))
    (func (export "_start")
        (drop (memory.atomic.wait64 (i32.const 8) (i64.const 0) (i64.const -1)))))"#;

fn process() -> Process {
    let module = Module::from_text(&Engine::default(), WAITS).expect("a valid module");
    Process::builder(&module).build().expect("a process")
}

#[test]
fn a_wait_takes_its_time() {
    let mut process = process();
    let wait = process.get_typed_func::<i64, i32>("wait").expect("a function");
    let began = Instant::now();
    assert_eq!(wait.call(&mut process, 20_000_000).expect("a result"), 2);
    assert!(began.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_wait_that_was_interrupted_goes_on() {
    let mut process = process();
    let wait = process.get_typed_func::<i64, i32>("wait").expect("a function");
    process.interrupt_handle().interrupt();
    let began = Instant::now();
    match wait.call(&mut process, 30_000_000) {
        Err(Error::Stopped(Stopped::Interrupted)) => {}
        other => panic!("{other:?}"),
    }
    let values = process.resume_call().expect("a result");
    assert_eq!(values, [brant::Val::I32(2)]);
    assert!(began.elapsed() >= Duration::from_millis(30));
}

#[test]
fn who_waits_alone_for_ever_is_told() {
    match process().run().expect("a status") {
        ExitStatus::Trapped(report) => {
            assert_eq!(report.code.to_string(), "all threads are waiting");
            assert_eq!(report.backtrace.len(), 1);
        }
        status => panic!("{status:?}"),
    }
}

/// A program whose threads share a memory: `$body` of the first one, `$other` of those it starts.
fn threaded(body: &str, other: &str) -> String {
    format!(
        r#"(module
        (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff"
            (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "env" "memory" (memory 1 2 shared))
        (func $wait (param $at i32) (param $while i32)
            (loop $again
                (drop (memory.atomic.wait32 (local.get $at) (local.get $while) (i64.const -1)))
                (br_if $again
                    (i32.eq (i32.atomic.load (local.get $at)) (local.get $while)))))
        (func $signal (param $at i32)
            (drop (i32.atomic.rmw.add (local.get $at) (i32.const 1)))
            (drop (memory.atomic.notify (local.get $at) (i32.const -1))))
        (func (export "wasi_thread_start") (param $id i32) (param $argument i32) {other})
        (func (export "_start") {body}))"#
    )
}

const POLICIES: [ThreadPolicy; 3] =
    [ThreadPolicy::User, ThreadPolicy::Kernel, ThreadPolicy::Hybrid];

fn run(
    text: &str, policy: ThreadPolicy, config: impl FnOnce(ProcessBuilder) -> ProcessBuilder,
) -> (Process, ExitStatus) {
    let engine = Engine::new(&brant::with_compiler(Config::default())).expect("an engine");
    let module = Module::from_text(&engine, text).expect("a valid module");
    let mut process = config(Process::builder(&module)).threads(policy).build().expect("a process");
    let status = process.run().expect("a status");
    (process, status)
}

/// The exit code, which is the same under each policy.
fn exit_code(text: &str) -> i32 {
    let codes = POLICIES.map(|policy| match run(text, policy, |builder| builder).1 {
        ExitStatus::Exited(code) => code,
        status => panic!("{policy:?}: {status:?}"),
    });
    assert_eq!(codes, [codes[0]; 3]);
    codes[0]
}

#[test]
fn threads_count_together_and_are_waited_for() {
    // 20 threads add their arguments at address 8, and say at address 4 that they are done.
    let text = threaded(
        "(local $i i32)
        (loop $more
            (if (i32.lt_s (call $spawn (local.get $i)) (i32.const 1)) (then (unreachable)))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                   (i32.const 20))))
        (loop $join
            (local.set $i (i32.atomic.load (i32.const 4)))
            (if (i32.lt_u (local.get $i) (i32.const 20))
                (then (call $wait (i32.const 4) (local.get $i)) (br $join))))
        (call $exit (i32.atomic.load (i32.const 8)))",
        "(drop (i32.atomic.rmw.add (i32.const 8) (local.get $argument)))
        (call $signal (i32.const 4))",
    );
    assert_eq!(exit_code(&text), 190);
}

#[test]
fn nobody_who_computes_keeps_the_others_from_it() {
    // The first thread turns until the other one has counted to a million, and the other way round.
    let turns = |at: i32| {
        format!(
            "(loop $spin (br_if $spin (i32.eqz (i32.load (i32.const {at})))))
            (i32.store (i32.const {}) (i32.const 1))",
            at + 4
        )
    };
    let first =
        format!("(drop (call $spawn (i32.const 0))) {} (call $exit (i32.const 3))", turns(16));
    let other = format!(
        "(local $n i32)
        (loop $count
            (br_if $count (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                                  (i32.const 1000000))))
        (i32.store (i32.const 16) (i32.const 1)) {}",
        turns(20)
    );
    assert_eq!(exit_code(&threaded(&first, &other)), 3);
}

#[test]
fn a_call_that_waits_keeps_nobody_else() {
    // The other thread sleeps for 50 ms in poll_oneoff; the first one counts meanwhile.
    let text = threaded(
        "(local $n i32)
        (drop (call $spawn (i32.const 0)))
        (loop $count
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $count (i32.eqz (i32.atomic.load (i32.const 4)))))
        (call $exit (i32.gt_u (local.get $n) (i32.const 100000)))",
        // A subscription at 64: relative time on the monotonic clock.
        "(i32.store8 offset=72 (i32.const 0) (i32.const 0))
        (i32.store offset=80 (i32.const 0) (i32.const 1))
        (i64.store offset=88 (i32.const 0) (i64.const 50000000))
        (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 192)))
        (call $signal (i32.const 4))",
    );
    let began = Instant::now();
    assert_eq!(exit_code(&text), 1);
    assert!(began.elapsed() >= Duration::from_millis(50));
}

#[test]
fn who_waits_for_each_other_is_told() {
    let text = threaded(
        "(drop (call $spawn (i32.const 0))) (call $wait (i32.const 4) (i32.const 0))",
        "(call $wait (i32.const 8) (i32.const 0))",
    );
    for policy in POLICIES {
        let (process, status) = run(&text, policy, |builder| builder);
        match status {
            ExitStatus::Trapped(report) => {
                assert_eq!(report.code.to_string(), "all threads are waiting");
                assert_eq!(report.backtrace.len(), 2);
            }
            status => panic!("{policy:?}: {status:?}"),
        }
        let others: Vec<_> =
            process.deadlocked().iter().map(|(id, report)| (*id, report.backtrace.len())).collect();
        assert_eq!(others, [(1, 2)], "{policy:?}");
    }
}

#[test]
fn any_thread_ends_the_program() {
    let waits = "(drop (call $spawn (i32.const 9))) (call $wait (i32.const 4) (i32.const 0))";
    assert_eq!(exit_code(&threaded(waits, "(call $exit (local.get $argument))")), 9);
    for policy in POLICIES {
        match run(&threaded(waits, "(unreachable)"), policy, |builder| builder).1 {
            ExitStatus::Trapped(report) => assert_eq!(report.code.to_string(), "unreachable"),
            status => panic!("{policy:?}: {status:?}"),
        }
    }
    // And the end of the first one is the end of all.
    let text = threaded("(drop (call $spawn (i32.const 0)))", "(loop $for_ever (br $for_ever))");
    assert_eq!(exit_code(&text), 0);
}

#[test]
fn there_are_no_more_threads_than_allowed() {
    let text = threaded(
        "(drop (call $spawn (i32.const 0)))
        (drop (call $spawn (i32.const 0)))
        (call $exit (i32.eq (call $spawn (i32.const 0)) (i32.const -1)))",
        "(call $wait (i32.const 4) (i32.const 0))",
    );
    for policy in POLICIES {
        let limits = Limits { threads_count: 2, ..Limits::default() };
        let (mut process, status) = run(&text, policy, |builder| builder.limits(limits));
        assert!(matches!(status, ExitStatus::Exited(1)), "{policy:?}: {status:?}");
        assert!(process.checkpoint().is_err(), "it has ended");
    }
    // A program that says nothing of what its threads run has none.
    let text = threaded("(call $exit (i32.sub (i32.const 1) (call $spawn (i32.const 0))))", "");
    assert_eq!(exit_code(&text.replace("wasi_thread_start", "something_else")), 2);
}

#[test]
fn threads_together_take_no_more_than_the_process_may() {
    // Each thread's instance has a memory of 16 pages of its own beside the shared one. The program
    // tries to start four and exits with the number of those that it got; threads that have ended
    // make room.
    let text = threaded(
        "(local $i i32) (local $got i32)
        (loop $more
            (if (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0))
                (then (local.set $got (i32.add (local.get $got) (i32.const 1)))))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                   (i32.const 4))))
        (call $exit (local.get $got))",
        "(call $wait (i32.const 8) (i32.const 0))",
    );
    let text = text.replacen("(func $wait", "(memory 16) (func $wait", 1);
    let got = |memory_bytes| {
        let limits = Limits { memory_bytes, ..Limits::default() };
        match run(&text, ThreadPolicy::User, |builder| builder.limits(limits)).1 {
            ExitStatus::Exited(code) => code,
            status => panic!("{status:?}"),
        }
    };
    let enough = (1 + 5 * 16) << 16;
    assert_eq!(got(enough), 4);
    assert_eq!(got(enough - 1), 3);
    assert_eq!(got((1 + 16) << 16), 0);
}

#[test]
fn what_a_thread_had_is_there_for_the_next_one() {
    let text = threaded(
        "(local $i i32)
        (loop $more
            (loop $again
                (br_if $again (i32.lt_s (call $spawn (i32.const 0)) (i32.const 0))))
            (call $wait (i32.const 4) (local.get $i))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                   (i32.const 50))))
        (call $exit (i32.const 7))",
        "(call $signal (i32.const 4))",
    );
    let text = text.replacen("(func $wait", "(memory 16) (func $wait", 1);
    for policy in POLICIES {
        let memory_bytes = (1 + 2 * 16) << 16;
        let limits = Limits { memory_bytes, threads_count: 1, ..Limits::default() };
        let status = run(&text, policy, |builder| builder.limits(limits)).1;
        assert!(matches!(status, ExitStatus::Exited(7)), "{policy:?}: {status:?}");
    }
}

#[test]
fn a_program_with_threads_stops_and_goes_on() {
    let text = threaded(
        "(drop (call $spawn (i32.const 0)))
        (loop $spin (br_if $spin (i32.lt_u (i32.atomic.load (i32.const 4)) (i32.const 2))))
        (call $exit (i32.const 5))",
        "(local $n i32)
        (loop $count
            (br_if $count (i32.ne (local.tee $n (i32.add (local.get $n) (i32.const 1)))
                                  (i32.const 5000000))))
        (call $signal (i32.const 4))
        (loop $count
            (br_if $count (i32.ne (local.tee $n (i32.sub (local.get $n) (i32.const 1)))
                                  (i32.const 0))))
        (call $signal (i32.const 4))",
    );
    let module = Module::from_text(&Engine::default(), &text).expect("a valid module");
    for policy in POLICIES {
        let mut process = Process::builder(&module).threads(policy).build().expect("a process");
        let handle = process.interrupt_handle();
        let asks = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            handle.interrupt();
        });
        match process.run().expect("a status") {
            ExitStatus::Stopped(Stopped::Interrupted) => {}
            status => panic!("{status:?}"),
        }
        asks.join().expect("it only asks");
        // What goes on elsewhere goes on here too.
        let snapshot = process.checkpoint().expect("a snapshot");
        let restored = Process::restore(&Engine::default(), &snapshot)
            .and_then(|builder| builder.threads(policy).build());
        let mut restored = restored.expect("a process");
        assert_eq!(restored.thread_count(), 2);
        assert!(matches!(restored.run(), Ok(ExitStatus::Exited(5))));
        match process.run().expect("a status") {
            ExitStatus::Exited(5) => {}
            status => panic!("{status:?}"),
        }
    }
}
