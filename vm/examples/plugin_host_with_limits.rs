//! Runs plug-ins that nobody has read: whatever they do ends in a word, not in a hung host.

use std::time::Duration;

use brant::{Config, Engine, Error, ExitStatus, Limits, Module, Process};

/// What strangers have sent, and what each one tries.
const PLUGINS: [(&str, &str); 5] = [
    ("honest", r#"(module (func (export "_start")))"#),
    ("endless", r#"(module (func (export "_start") (loop (br 0))))"#),
    ("deep", r#"(module (func $f (export "_start") (call $f)))"#),
    (
        "greedy",
        r#"(module
             (memory (export "memory") 1)
             (func (export "_start")
               (if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1))
                 (then unreachable))))"#,
    ),
    ("curious", r#"(module (import "host" "secrets" (func)) (func (export "_start")))"#),
];

fn main() -> Result<(), Error> {
    // How deep a stack may grow is a choice of the engine: code is translated for it.
    let engine = Engine::new(&Config { max_stack_bytes: 64 << 10, ..Config::default() })?;
    let limits = Limits {
        time: Some(Duration::from_millis(100)),
        memory_bytes: 1 << 20,
        ..Limits::default()
    };
    for (name, text) in PLUGINS {
        let module = Module::from_text(&engine, text)?;
        let verdict = match Process::builder(&module).limits(limits.clone()).build() {
            Err(error) => format!("refused: {error}"),
            Ok(mut process) => match process.run()? {
                ExitStatus::Exited(code) => format!("ended with {code}"),
                ExitStatus::Trapped(report) => format!("trapped: {}", report.code.message()),
                ExitStatus::Stopped(why) => format!("stopped: {why}"),
            },
        };
        println!("{name:8} {verdict}");
    }
    Ok(())
}
