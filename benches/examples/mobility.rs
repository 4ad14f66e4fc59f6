//! Figures about processes that move: `cargo run --release -p brant-benches --example mobility`.
//!
//! Medians of many rounds; `benches/mobility.py` adds what only whole host processes show.
//! With `run PROGRAM STOPS TIMES` it runs one program so many times, compiled once, with stops or
//! without, for who counts instructions.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use brant::mobility::Contents;
use brant::{
    Captured, Config, Engine, Interrupt, Linker, Module, Output, Process, Snapshot, Stops, Tier,
    Val, map_snapshot, read_snapshot, write_snapshot,
};
use brant_benches::program;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, name, stops, times] = &args[..]
        && verb == "run"
    {
        return run(name, stops, times.parse()?);
    }
    // A twentieth of the rounds: to see that it runs, not to quote.
    let part = if args.iter().any(|arg| arg == "--quick") { 20 } else { 1 };
    nbody(200 / part)?;
    deep(300 / part)?;
    fork()
}

/// The median of the times that `rounds` rounds say they took.
fn median(
    rounds: usize, mut round: impl FnMut() -> Result<Duration, Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let mut times = (0..rounds).map(|_| round()).collect::<Result<Vec<_>, _>>()?;
    times.sort();
    Ok(times[times.len() / 2].as_secs_f64() * 1e3)
}

fn say(what: &str, ms: f64) {
    println!("{what:62}{ms:9.4} ms");
}

fn engine(config: Config) -> Result<Engine, Box<dyn Error>> {
    Ok(Engine::new(&brant::with_compiler(config))?)
}

fn nbody(rounds: usize) -> Done {
    let engine = engine(Config::default())?;
    let module = Module::new(&engine, program("nbody"))?;
    let output = Captured::new();
    let builder = Process::builder(&module).args(["nbody", "100000"]);
    let mut process = builder.stdout(Output::Capture(output)).build()?;
    process.stop_after_sites(20_000);
    process.run()?;
    let file = std::env::temp_dir().join(format!("brant-mobility-{}", std::process::id()));

    let capture = median(rounds, || {
        let began = Instant::now();
        process.checkpoint()?;
        Ok(began.elapsed())
    })?;
    say("n-body: capture", capture);
    let bytes = median(rounds, || {
        let began = Instant::now();
        process.checkpoint()?.to_vec();
        Ok(began.elapsed())
    })?;
    say("n-body: checkpoint to bytes", bytes);
    // As `write_snapshot` does it, but for the disk, and to a new name each time: ext4 writes at once
    // what takes the place of a file, and the next to take that place has to wait for it.
    let mut number = 0;
    let made = median(rounds, || {
        let (new, name) = (file.with_extension("new"), file.with_extension(number.to_string()));
        number += 1;
        let began = Instant::now();
        std::fs::write(&new, process.checkpoint()?.to_vec())?;
        std::fs::rename(&new, &name)?;
        let took = began.elapsed();
        std::fs::remove_file(&name)?;
        Ok(took)
    })?;
    say("n-body: checkpoint to a file, made", made);
    let durable = median(rounds.min(20), || {
        let began = Instant::now();
        write_snapshot(&process.checkpoint()?, &file)?;
        Ok(began.elapsed())
    })?;
    say("n-body: checkpoint to a file, durable", durable);
    println!("{:62}{:9} bytes", "n-body: size of the snapshot", std::fs::metadata(&file)?.len());

    let snapshot = read_snapshot(&file)?;
    let known = [module.clone()];
    let begin = |snapshot: &Snapshot| -> Result<Process, brant::Error> {
        Process::restore_with(&engine, snapshot, &known)?.build()
    };
    let warm = median(rounds, || {
        let began = Instant::now();
        let process = begin(&snapshot)?;
        let took = began.elapsed();
        drop(process);
        Ok(took)
    })?;
    say("n-body: restore, snapshot in memory and module known", warm);
    let from_file = median(rounds, || {
        let began = Instant::now();
        let process = begin(&read_snapshot(&file)?)?;
        let took = began.elapsed();
        drop(process);
        Ok(took)
    })?;
    say("n-body: restore from a file, module known", from_file);
    std::fs::remove_file(&file)?;
    Ok(())
}

/// What the frames of a recursion in compiled code take, from the moment at which somebody asks for a
/// stop at its bottom: until the thread stands, and until its frames are there as data.
fn deep(rounds: usize) -> Done {
    const TEXT: &str = r#"(module (import "bench" "ask" (func $ask))
        (func $down (export "down") (param i32 i64 f64) (result i64)
            (if (result i64) (i32.eqz (local.get 0))
                (then (loop (call $ask) (br_if 0 (i32.eqz (local.get 0)))) (local.get 1))
                (else (i64.add (local.get 1) (call $down
                    (i32.sub (local.get 0) (i32.const 1))
                    (i64.mul (local.get 1) (i64.const 3))
                    (f64.add (local.get 2) (f64.const 1))))))))"#;
    let engine = engine(Config { tier: Tier::Jit, ..Config::default() })?;
    let module = Module::from_text(&engine, TEXT)?;
    let stop_at = |depth: i32| -> Result<(f64, f64, usize), Box<dyn Error>> {
        let (mut frames, mut whole) = (0, Vec::new());
        let stopped = median(rounds, || {
            // The handle of the process, once there is one; when it was used.
            let handle = Arc::new(OnceLock::<Interrupt>::new());
            let asked = Arc::new(OnceLock::new());
            let (theirs, when) = (handle.clone(), asked.clone());
            let mut linker = Linker::new();
            linker.func("bench", "ask", move || {
                if let Some(handle) = theirs.get() {
                    when.get_or_init(Instant::now);
                    handle.interrupt();
                }
            });
            let mut process = Process::builder(&module).linker(&linker).build()?;
            process.prepare()?;
            let _ = handle.set(process.interrupt_handle());
            let params = [Val::I32(depth), Val::I64(7), Val::F64(0)];
            let stopped = process.call("down", &params);
            let took = asked.get().ok_or("nobody has asked")?.elapsed();
            assert!(matches!(stopped, Err(brant::Error::Stopped(_))), "{stopped:?}");
            let began = Instant::now();
            let checkpoint = process.checkpoint()?;
            whole.push(took + began.elapsed());
            frames = checkpoint.execution.threads[0].state.frames.len();
            Ok(took)
        })?;
        whole.sort();
        Ok((stopped, whole[whole.len() / 2].as_secs_f64() * 1e3, frames))
    };
    let ((one, one_whole, few), (many, many_whole, all)) = (stop_at(1)?, stop_at(101)?);
    say(&format!("compiled frames: {few}, from the request until they stand"), one);
    say(&format!("compiled frames: {all}, from the request until they stand"), many);
    say(&format!("compiled frames: {all}, until they are part of a snapshot"), many_whole);
    say(&format!("compiled frames: {} of them, standing", all - few), many - one);
    say(&format!("compiled frames: {} of them, captured", all - few), many_whole - one_whole);
    Ok(())
}

/// Copies of a process that has written to 256 MiB.
fn fork() -> Done {
    const PAGES: u32 = 65_536;
    const TEXT: &str = r#"(module (memory (export "memory") 4096)
        (func (export "touch") (param $value i32) (local $at i32)
            (loop $next
                (i32.store (local.get $at) (local.get $value))
                (br_if $next (i32.lt_u
                    (local.tee $at (i32.add (local.get $at) (i32.const 4096)))
                    (i32.const 0x10000000))))))"#;
    for copy_on_write in [true, false] {
        let engine = engine(Config { copy_on_write, ..Config::default() })?;
        let module = Module::from_text(&engine, TEXT)?;
        let how = if copy_on_write { "at once" } else { "page by page" };
        let (mut first, mut again, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        let pause = median(5, || {
            let mut process = Process::builder(&module).build()?;
            let touch = |process: &mut Process, value| -> Result<Duration, brant::Error> {
                let began = Instant::now();
                process.call("touch", &[Val::I32(value)])?;
                Ok(began.elapsed())
            };
            first.push(touch(&mut process, 1)?);
            again.push(touch(&mut process, 2)?);
            let began = Instant::now();
            let copy = process.fork()?;
            let took = began.elapsed();
            behind.push(touch(&mut process, 3)?);
            drop(copy.build()?);
            Ok(took)
        })?;
        say(&format!("fork of 256 MiB, {how}: pause"), pause);
        for (what, times) in [
            ("first touch ever", &mut first),
            ("write without fork", &mut again),
            ("first write behind it", &mut behind),
        ] {
            times.sort();
            let each_ns = times[times.len() / 2].as_secs_f64() * 1e9 / f64::from(PAGES);
            println!("{:62}{each_ns:9.0} ns a page", format!("fork of 256 MiB, {how}: {what}"));
        }
    }
    // A file that is mapped costs what the program touches.
    let engine = engine(Config::default())?;
    let module = Module::from_text(&engine, TEXT)?;
    let mut process = Process::builder(&module).build()?;
    process.call("touch", &[Val::I32(1)])?;
    let len = process.memory()?.len_bytes();
    for page in 0..len / 4096 {
        process.memory()?.write(page * 4096, &(page as u32).to_le_bytes())?;
    }
    let file = std::env::temp_dir().join(format!("brant-mobility-{}", std::process::id()));
    write_snapshot(&process.checkpoint_as(Contents::Plain)?, &file)?;
    drop(process);
    let known = [module];
    for (how, is_mapped) in [("mapped", true), ("read", false)] {
        let took = median(5, || {
            let began = Instant::now();
            let snapshot = if is_mapped { map_snapshot(&file) } else { read_snapshot(&file) }?;
            let process = Process::restore_with(&engine, &snapshot, &known)?.build()?;
            let took = began.elapsed();
            drop(process);
            Ok(took)
        })?;
        say(&format!("restore of 256 MiB from a file, {how}"), took);
    }
    std::fs::remove_file(&file)?;
    Ok(())
}

/// Steps of n-body that are worth counting.
const NBODY_STEPS: &str = "20000";

/// Runs a program whole, compiled.
fn run(name: &str, stops: &str, times: usize) -> Done {
    let stops = match stops {
        "usual" => Stops::Usual,
        "never" => Stops::Never,
        _ => return Err("STOPS is usual or never".into()),
    };
    let engine = engine(Config { tier: Tier::Jit, stops, ..Config::default() })?;
    let found = brant_programs::find(name).ok_or("no program of this name")?;
    let module = Module::new(&engine, program(name))?;
    let own: &[&str] = if name == "nbody" { &[NBODY_STEPS] } else { found.runs[0].args };
    for _ in 0..times {
        let args = [found.name].into_iter().chain(own.iter().copied());
        let stdin = brant::Input::Bytes(found.runs[0].stdin.into());
        let output = Output::Capture(Captured::new());
        let builder = Process::builder(&module).args(args).stdin(stdin).stdout(output);
        // The clocks of the machine come from where valgrind has none.
        let builder = builder.repeatable(1);
        let status = builder.build()?.run()?;
        assert!(status.success(), "{status}");
    }
    Ok(())
}
