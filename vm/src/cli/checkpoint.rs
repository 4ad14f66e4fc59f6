//! Snapshots while a program runs: at intervals, at a site, or when another command asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use brant::{Error, Interrupt, Process, control, write_snapshot};

use super::control::failure;
use super::exit::Failure;
use super::options::RunOptions;
use super::units::{self, show_bytes};

/// Options of `brant checkpoint`.
#[derive(clap::Args)]
pub struct CheckpointOptions {
    /// The program's number, as `brant ps` shows it.
    id: u32,

    /// The file to write; one that is there is replaced when the snapshot is whole.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// End the program behind the snapshot (its exit code is 75); without this it goes on.
    #[arg(long)]
    stop: bool,

    /// Say how large the snapshot is.
    #[arg(short, long)]
    verbose: bool,
}

/// Runs the verb.
pub fn checkpoint(options: &CheckpointOptions) -> Result<u8, Failure> {
    let failed = |error| failure(options.id, &error);
    let mut fetched = control::fetch(options.id, options.stop).map_err(failed)?;
    let stored = brant::replace_file(&options.output, &mut |writer| fetched.copy_to(writer));
    let bytes = stored.map_err(|error| {
        Failure::load(format!("cannot write `{}`: {error}", options.output.display()))
            .with_help("the program goes on")
    })?;
    if options.verbose {
        eprintln!("brant: {} written", show_bytes(bytes));
    }
    if options.stop && !fetched.stored() {
        let text = format!("the program {} has not said that it ends", options.id);
        return Err(Failure::load(text)
            .with_help("the snapshot is good; see with `brant ps` whether the program goes on"));
    }
    Ok(0)
}

/// The snapshots of a run.
pub struct Checkpoints {
    every: Option<(Duration, PathBuf)>,
    at: Option<(u64, PathBuf)>,
    stop: bool,
    on_trap: Option<PathBuf>,
    ticker: Option<Ticker>,
}

impl Checkpoints {
    /// Reads the options.
    pub fn new(options: &RunOptions) -> Result<Checkpoints, Failure> {
        let every = options.checkpoint_every.as_deref().map(interval).transpose();
        let every = every.map_err(Failure::usage)?;
        Ok(Checkpoints {
            every: every.map(|(time, path)| (time, path.to_owned())),
            at: options.checkpoint_at.zip(options.checkpoint_to.clone()),
            stop: options.stop,
            on_trap: options.on_trap.clone(),
            ticker: None,
        })
    }

    /// The folders that snapshots are written to.
    pub fn folders(options: &RunOptions) -> Vec<PathBuf> {
        let every = options.checkpoint_every.as_deref().and_then(|text| interval(text).ok());
        let others = [options.checkpoint_to.as_deref(), options.on_trap.as_deref()];
        let files = every.map(|(_, path)| path).into_iter().chain(others.into_iter().flatten());
        let folder = |path: &Path| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        files.map(folder).collect()
    }

    /// Arms what stops the program for them.
    pub fn start(&mut self, process: &mut Process) {
        if let Some((count, _)) = self.at {
            process.stop_after_sites(count);
        }
        process.keep_post_mortem(self.on_trap.is_some());
        let every = self.every.as_ref();
        self.ticker = every.map(|(time, _)| Ticker::start(process.interrupt_handle(), *time));
    }

    /// Writes the snapshot of the site at which the program stands; true if it is not to go on.
    ///
    /// # Errors
    /// There is no snapshot: nobody could tell otherwise that what was asked for was not done.
    pub fn at_site(&self, process: &mut Process) -> Result<bool, Error> {
        if let Some((_, path)) = &self.at {
            write_snapshot(&process.checkpoint()?, path)?;
        }
        Ok(self.stop)
    }

    /// Writes what is left of the program, if it has trapped.
    pub fn post_mortem(&self, process: &mut Process) {
        let Some(path) = &self.on_trap else { return };
        let written = process.post_mortem().and_then(|snapshot| {
            snapshot.map(|snapshot| write_snapshot(&snapshot, path)).transpose()
        });
        if let Err(error) = written {
            eprintln!("brant: no snapshot of the trap was written: {error}");
        }
    }

    /// Writes the snapshot of an interval, if one is over.
    pub fn interval(&self, process: &mut Process) -> bool {
        let is_due = self.ticker.as_ref().is_some_and(Ticker::take_due);
        if let (true, Some((_, path))) = (is_due, &self.every) {
            try_to_write(process, path);
        }
        is_due
    }
}

/// Writes a snapshot; where that cannot be done the one before stays, and the program goes on.
fn try_to_write(process: &mut Process, path: &Path) {
    let written = process.checkpoint().and_then(|snapshot| write_snapshot(&snapshot, path));
    if let Err(error) = written {
        eprintln!("brant: no snapshot was written: {error}");
    }
}

/// Takes `10s:FILE` apart.
fn interval(text: &str) -> Result<(Duration, &Path), String> {
    let parts = text.split_once(':').filter(|(_, file)| !file.is_empty());
    let (time, file) = parts.ok_or("write a time and a file, such as `10s:FILE`")?;
    match units::duration(time)? {
        Duration::ZERO => Err("an interval is longer than nothing".to_owned()),
        time => Ok((time, Path::new(file))),
    }
}

/// Interrupts a process at intervals.
struct Ticker {
    due: Arc<AtomicBool>,
    /// Dropped, it ends the thread.
    _alive: Sender<()>,
}

impl Ticker {
    fn start(interrupt: Interrupt, time: Duration) -> Ticker {
        let (alive, gone) = channel::<()>();
        let due = Arc::new(AtomicBool::new(false));
        let ours = due.clone();
        let tick = move || {
            while gone.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                ours.store(true, Ordering::Release);
                interrupt.interrupt();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("brant-checkpoint".into()).spawn(tick)
        {
            eprintln!("brant: no snapshots will be written: {error}");
        }
        Ticker { due, _alive: alive }
    }

    fn take_due(&self) -> bool {
        self.due.swap(false, Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_a_time_and_a_file() {
        let expected = (Duration::from_secs(10), Path::new("a:b"));
        assert_eq!(interval("10s:a:b"), Ok(expected));
        for wrong in ["10s", "10s:", ":a", "0s:a", "soon:a"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
