//! Exchanges bytes with a library: writes text into its memory and reads the answer.

use brant::{Engine, Error, Module, Process};

const LIBRARY: &str = r#"
(module
  (memory (export "memory") 1)
  ;; Turns lower-case letters into capitals, in place.
  (func (export "shout") (param $at i32) (param $length i32)
    (local $end i32)
    (local $byte i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26))
          (then (i32.store8 (local.get $at) (i32.sub (local.get $byte) (i32.const 32)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))))
"#;

fn main() -> Result<(), Error> {
    const AT: u64 = 1024;
    let engine = Engine::default();
    let module = Module::from_text(&engine, LIBRARY)?;
    let mut process = Process::builder(&module).build()?;
    let shout = process.get_typed_func::<(u32, u32), ()>("shout")?;

    let text = "a goose crosses an ocean";
    process.memory()?.write(AT, text.as_bytes())?;
    shout.call(&mut process, (AT as u32, text.len() as u32))?;
    let memory = process.memory()?;
    let answer = memory.slice(AT, text.len() as u64)?;
    println!("{}", String::from_utf8_lossy(answer));

    // Beyond the end of the memory there is an error, never a fault.
    let far = memory.slice(u64::MAX, 1).is_err();
    println!("an address far outside is refused: {far}");
    Ok(())
}
