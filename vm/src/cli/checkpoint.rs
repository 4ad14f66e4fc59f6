//! Snapshots while a program runs: at intervals, or at a site.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use brant::{Error, ExitStatus, Interrupt, Process, Stopped, write_snapshot};

use super::exit::Failure;
use super::options::RunOptions;
use super::units;

/// What was asked for.
pub struct Checkpoints {
    every: Option<(Duration, PathBuf)>,
    at: Option<(u64, PathBuf)>,
    stop: bool,
}

/// How a run ended.
pub enum Ended {
    /// As runs do.
    Status(ExitStatus),
    /// Behind its snapshot, to go on elsewhere.
    Moved,
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
        })
    }

    /// The folders that snapshots are written to.
    pub fn folders(options: &RunOptions) -> Vec<PathBuf> {
        let every = options.checkpoint_every.as_deref().and_then(|text| interval(text).ok());
        let files = every.map(|(_, path)| path).into_iter().chain(options.checkpoint_to.as_deref());
        let folder = |path: &Path| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        files.map(folder).collect()
    }

    /// Runs the program to its end, or to the snapshot behind which it stops.
    pub fn drive(&self, process: &mut Process) -> Result<Ended, Error> {
        if let Some((count, _)) = self.at {
            process.stop_after_sites(count);
        }
        let ticker = self.every.as_ref();
        let ticker = ticker.map(|(time, _)| Ticker::start(process.interrupt_handle(), *time));
        let mut left = process.time_limit();
        loop {
            let began = Instant::now();
            let status = process.run()?;
            // The limit is one of the whole run, whatever stops it on its way.
            left = left.map(|left| left.saturating_sub(began.elapsed()));
            process.set_time_limit(left);
            match status {
                ExitStatus::Stopped(Stopped::AtSite) => {
                    if let Some((_, path)) = &self.at {
                        write_snapshot(&process.checkpoint()?, path)?;
                    }
                    if self.stop {
                        return Ok(Ended::Moved);
                    }
                }
                ExitStatus::Stopped(Stopped::Interrupted)
                    if ticker.as_ref().is_some_and(Ticker::take_due) =>
                {
                    if let Some((_, path)) = &self.every {
                        try_to_write(process, path);
                    }
                }
                status => return Ok(Ended::Status(status)),
            }
        }
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
