//! Programs on shared memory.

use std::time::{Duration, Instant};

use brant::{Engine, Error, ExitStatus, Module, Process, Stopped};

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
