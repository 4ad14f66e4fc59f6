//! A job runner whose jobs survive `kill -9`: ten times a second the job is written to a file, and
//! whoever takes the job up goes on from the last one.
//!
//! Without arguments it shows that: it starts a worker, kills it in the midst of the job, and starts
//! another one. What a job has written after its last snapshot is written again, so let jobs write
//! what may come twice.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use brant::{Engine, Error, ExitStatus, Module, Process, Stopped, read_snapshot, write_snapshot};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(file) = std::env::args().nth(1) {
        return Ok(work(Path::new(&file))?);
    }
    let file = std::env::temp_dir().join(format!("job-{}.brant", std::process::id()));
    let start = || {
        let mut worker = Command::new(std::env::current_exe()?);
        worker.arg(&file).stdout(Stdio::piped()).spawn()
    };
    let mut first = start()?;
    std::thread::sleep(Duration::from_millis(1500));
    first.kill()?;
    println!("the first worker: {}", first.wait()?);
    let second = start()?.wait_with_output()?;
    let lines = String::from_utf8_lossy(&second.stdout).into_owned();
    println!("the second worker: {}", second.status);
    println!("it begins where the first one was: {}", lines.lines().next() != Some("1"));
    println!("its last line: {}", lines.lines().last().unwrap_or("none"));
    println!("nothing is left to be done: {}", !file.exists());
    Ok(())
}

/// Does the job, or what is left of it.
fn work(file: &Path) -> Result<(), Error> {
    let engine = Engine::default();
    let builder = if file.exists() {
        Process::restore(&engine, &read_snapshot(file)?)?
    } else {
        let module = Module::from_file(&engine, "programs/counter.wat")?;
        Process::builder(&module).args(["counter", "25"])
    };
    let mut process = builder.inherit_stdio().build()?;
    let interrupt = process.interrupt_handle();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(100));
            interrupt.interrupt();
        }
    });
    while let ExitStatus::Stopped(Stopped::Interrupted) = process.run()? {
        write_snapshot(&process.checkpoint()?, file)?;
    }
    // The job is done.
    let _ = std::fs::remove_file(file);
    Ok(())
}
