//! A guest's calls and loops take nothing of the native stack, in this build too.
//!
//! Handlers reach each other by sibling calls where the build makes jumps of them, and by returns to a
//! loop where it does not. Each guest here makes tens of millions of calls and back edges on a thread
//! whose native stack would be full after a few thousand lost ones. `.ci/run` runs it a second time with
//! the engine built as an embedder's dev build does: unoptimised, with debug assertions.

use brant::{Engine, Module, Process, Val};

/// Room for the driver and a host call, not for a thousand frames of a handler.
const NATIVE_STACK_BYTES: usize = 256 << 10;

/// Runs `run` of a guest on a small native stack.
fn run(text: &str, argument: i32, expected: i32) {
    let thread = |text: &str| {
        let engine = Engine::default();
        let module = Module::from_text(&engine, text).expect("the guest is valid");
        let mut process = Process::builder(&module).build().expect("no imports");
        process.call("run", &[Val::I32(argument)])
    };
    let results = std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(NATIVE_STACK_BYTES);
        let handle = builder.spawn_scoped(scope, || thread(text)).expect("a thread");
        handle.join().expect("no panic").expect("no trap")
    });
    assert_eq!(results, [Val::I32(expected)]);
}

/// A loop of as many turns as the argument says; local 1 counts them up.
fn turns(functions: &str, body: &str) -> String {
    format!(
        "(module (table 2 funcref) (type $t (func (param i32) (result i32)))
           (elem (i32.const 0) $next $next) {functions}
           (func $next (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
           (func (export \"run\") (param $n i32) (result i32) (local $x i32)
             (loop $l {body} (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
             (local.get $x)))"
    )
}

#[test]
fn back_edges_take_no_native_stack() {
    let body = "(local.set $x (i32.add (local.get $x) (i32.const 1)))";
    run(&turns("", body), 30_000_000, 30_000_000);
}

#[test]
fn calls_and_returns_take_no_native_stack() {
    let body = "(local.set $x (call $next (local.get $x)))";
    run(&turns("", body), 10_000_000, 10_000_000);
}

#[test]
fn indirect_calls_take_no_native_stack() {
    let index = "(i32.and (local.get $n) (i32.const 1))";
    let body = format!("(local.set $x (call_indirect (type $t) (local.get $x) {index}))");
    run(&turns("", &body), 10_000_000, 10_000_000);
}

#[test]
fn tail_calls_take_no_native_stack() {
    let odd_and_even = "
        (func $even (param i32 i32) (result i32)
          (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
          (return_call $odd (i32.sub (local.get 0) (i32.const 1))
                            (i32.add (local.get 1) (i32.const 1))))
        (func $odd (param i32 i32) (result i32)
          (return_call $even (i32.sub (local.get 0) (i32.const 1))
                             (i32.add (local.get 1) (i32.const 1))))";
    let body = "(local.set $x (call $even (i32.const 20000000) (local.get $x)))";
    run(&turns(odd_and_even, body), 1, 20_000_000);
}

#[test]
fn recursion_takes_no_native_stack() {
    let fib = "(func $fib (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
          (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                         (call $fib (i32.sub (local.get 0) (i32.const 2)))))))";
    // fib(31) is 1,346,269, made in 4,356,617 calls.
    run(&turns(fib, "(local.set $x (call $fib (i32.const 31)))"), 1, 1_346_269);
}

#[test]
fn jump_tables_take_no_native_stack() {
    let body = "(block $b (block $a
          (br_table $a $b (i32.and (local.get $n) (i32.const 1))))
          (local.set $x (i32.add (local.get $x) (i32.const 2))))";
    run(&turns("", body), 20_000_000, 20_000_000);
}

#[test]
fn straight_code_takes_no_native_stack() {
    let vector =
        "(local.set $v (i8x16.shl (i8x16.add (local.get $v) (local.get $v)) (i32.const 1)))";
    let float = "(local.set $f (f64.div (f64.sqrt (local.get $f)) (f64.const 3)))";
    let scalar =
        "(local.set $x (i32.rem_u (i32.rotl (local.get $x) (i32.const 3)) (i32.const 99991)))";
    let body: String = [vector, float, scalar].concat().repeat(40_000);
    let text = format!(
        "(module (func (export \"run\") (param $n i32) (result i32)
           (local $x i32) (local $v v128) (local $f f64)
           (loop $l {body} (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
           (local.get $x)))"
    );
    run(&text, 20, 0);
}
