//! Stops a program, writes it to a file, and goes on from the file in a new process.

use std::time::Duration;

use brant::{Captured, Engine, Error, Module, Output, Process, read_snapshot, write_snapshot};

fn main() -> Result<(), Error> {
    let (engine, output) = (Engine::default(), Captured::new());
    let module = Module::from_file(&engine, "programs/counter.wat")?;
    let file = std::env::temp_dir().join(format!("counter-{}.brant", std::process::id()));

    // Ten lines a second: the program is stopped in the midst of its sleep before the third.
    let builder = Process::builder(&module).args(["counter", "4"]);
    let mut process = builder.stdout(Output::Capture(output.clone())).build()?;
    let interrupt = process.interrupt_handle();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(250));
        interrupt.interrupt();
    });
    println!("{}", process.run()?);
    write_snapshot(&process.checkpoint()?, &file)?;
    drop(process);

    // What it may reach is granted anew: a snapshot carries wishes, never authority.
    let snapshot = read_snapshot(&file)?;
    let restored = Process::restore(&engine, &snapshot)?.stdout(Output::Capture(output.clone()));
    println!("{}", restored.build()?.run()?);
    print!("{}", output.text());
    let _ = std::fs::remove_file(file);
    Ok(())
}
