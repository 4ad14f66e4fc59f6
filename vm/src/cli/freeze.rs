//! `brant freeze`: a program that has started, in a file.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use brant::mobility::Contents;
use brant::{
    ExitStatus, Input, InputAsked, Interrupt, Module, Process, Stopped, Validation, write_snapshot,
};

use super::exit::Failure;
use super::options::RunOptions;
use super::run;
use super::units::{self, show_bytes};

/// Runs a program to a point and writes a snapshot that starts there.
#[derive(clap::Args)]
pub struct FreezeOptions {
    /// The file to write, from which `brant run` starts. May stand last, too.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Freeze after this time (default: when it first waits for its standard input).
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    after: Option<Duration>,

    /// Freeze at the N-th site.
    #[arg(long, value_name = "N", value_parser = units::count, conflicts_with = "after")]
    at: Option<u64>,

    #[command(flatten)]
    run: RunOptions,
}

/// Runs the verb.
pub fn freeze(options: &mut FreezeOptions) -> Result<u8, Failure> {
    // What stands behind the program is the program's, but for this one option at the end.
    if let [_, .., flag, file] = &options.run.program[..]
        && options.output.is_none()
        && (flag == "-o" || flag == "--output")
    {
        options.output = Some(file.into());
        options.run.program.truncate(options.run.program.len() - 2);
    }
    let Some(output) = &options.output else {
        return Err(Failure::usage("there is no file to write").with_help("name it with `-o FILE`"));
    };
    let Some((file, args)) = options.run.program.split_first() else {
        return Err(Failure::usage("there is no program to freeze"));
    };
    let engine = run::engine(&run::config(&options.run)?)?;
    let explain = |error| run::explain(&error, &options.run);
    let module = Module::from_file_with_validation(&engine, file, Validation::Lazy);
    let module = module.map_err(explain)?;
    let interrupt: Arc<OnceLock<Interrupt>> = Arc::default();
    let ours = interrupt.clone();
    let asked = InputAsked::new(move || {
        if let Some(interrupt) = ours.get() {
            interrupt.interrupt();
        }
    });
    let builder = run::grants(Process::builder(&module), file, args, &options.run)?
        .stdin(Input::Held(asked))
        .limits(run::limits(&options.run));
    let mut process = builder.build().map_err(explain)?;
    // Nobody else sets it.
    let _ = interrupt.set(process.interrupt_handle());
    if let Some(count) = options.at {
        process.stop_after_sites(count);
    }
    if let Some(after) = options.after {
        let interrupt = process.interrupt_handle();
        std::thread::spawn(move || {
            std::thread::sleep(after);
            interrupt.interrupt();
        });
    }
    match process.run().map_err(explain)? {
        ExitStatus::Stopped(Stopped::Interrupted | Stopped::AtSite) => {}
        other => {
            return Err(Failure::load(format!("the program {other} before it could be frozen"))
                .with_help("`--after TIME` or `--at N` freezes it earlier"));
        }
    }
    let snapshot = process.checkpoint_as(Contents::Plain).map_err(explain)?;
    let bytes = write_snapshot(&snapshot, output).map_err(explain)?;
    if options.run.verbose {
        eprintln!("brant: {} written", show_bytes(bytes));
    }
    Ok(0)
}
