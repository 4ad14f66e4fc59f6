//! Gives a program functions of the host, with and without access to its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use brant::{Caller, Engine, Error, Linker, Module, Process};

const PROGRAM: &str = r#"
(module
  (import "host" "log" (func $log (param i32 i32)))
  (import "host" "count" (func $count (param i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 16) "twice")
  (func (export "twice") (param $number i64) (result i64)
    (call $log (i32.const 16) (i32.const 5))
    (drop (call $count (local.get $number)))
    (call $count (local.get $number))))
"#;

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::from_text(&engine, PROGRAM)?;

    let mut linker = Linker::new();
    // State of the host is what a closure captures.
    let sum = Arc::new(AtomicI64::new(0));
    let total = Arc::clone(&sum);
    linker.func("host", "count", move |number: i64| {
        total.fetch_add(number, Ordering::Relaxed) + number
    });
    // A guest's pointer may be anything: `read_text` answers with an error, never with a panic,
    // and an error of a host function ends the guest.
    linker.func("host", "log", |caller: &mut Caller<'_>, pointer: u32, length: u32| {
        let text = caller.read_text(pointer, length)?;
        println!("the guest says: {text}");
        Ok::<(), Error>(())
    });

    let mut process = Process::builder(&module).linker(&linker).build()?;
    let twice = process.get_typed_func::<i64, i64>("twice")?;
    println!("result: {}", twice.call(&mut process, 21)?);
    println!("sum: {}", sum.load(Ordering::Relaxed));
    Ok(())
}
