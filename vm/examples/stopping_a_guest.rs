//! Stops a guest from another thread, looks at it, and lets it go on.

use std::thread;
use std::time::Duration;

use brant::{Engine, Error, ExitStatus, Module, Process};

/// Counts for ever, in a global that the host can read.
const COUNTER: &str = r#"
(module
  (global $count (export "count") (mut i64) (i64.const 0))
  (func (export "_start")
    (loop $next
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (br $next))))
"#;

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::from_text(&engine, COUNTER)?;
    let mut process = Process::builder(&module).build()?;

    let mut last = 0;
    for round in 1..=3 {
        // The handle can be cloned, sent anywhere, and used at any time.
        let interrupt = process.interrupt_handle();
        let clock = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            interrupt.interrupt();
        });
        let status = process.run()?;
        let _ = clock.join();
        assert!(matches!(status, ExitStatus::Stopped(_)), "nothing else ends this program");

        // The guest stands still now; the next `run` goes on where it was stopped.
        let count = process.global::<i64>("count")?;
        println!("round {round}: counting on: {}", count > last);
        last = count;
    }
    Ok(())
}
