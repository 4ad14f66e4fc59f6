//! One run, as a process of its own.
//!
//! Times and exit come from outside. The memory comes from the run itself: what the system tells a
//! parent begins with the memory of the parent. Also from inside come what the compiler did and when
//! the program began, by way of a file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wait4::Wait4;

use brant::Trap;

use super::super::exit::{Failure, TRAP};
use super::super::input::cause;
use super::super::options::Tier;
use super::report;

/// What one run took and did.
#[derive(Clone, Debug)]
pub struct Sample {
    /// From the start to the end.
    pub wall: Duration,
    /// Processor time of all threads.
    pub cpu: Duration,
    /// From the start to the first byte of output; none if there was no output.
    pub first_output: Option<Duration>,
    /// The most memory it had.
    pub peak_bytes: u64,
    /// From its start to the first instruction of the program.
    pub ready_ns: u64,
    /// What its compiler did.
    pub compiling: Compiling,
    /// What it did.
    pub outcome: Outcome,
    /// The end of its standard error.
    pub last_words: Vec<u8>,
}

/// What a compiler did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Compiling {
    /// Functions and loops.
    pub count: u64,
    /// Machine code.
    pub code_bytes: u64,
    /// Processor time.
    pub time_ns: u64,
}

/// What can be seen of a run from outside, without its times.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Outcome {
    /// Its exit code; 128 and the signal's number for a process that a signal ended.
    pub code: i32,
    /// The hash of its standard output.
    pub output: [u8; 32],
    /// The hash of its standard error.
    pub error: [u8; 32],
}

impl Sample {
    /// Whether the program failed.
    pub fn failed(&self) -> bool {
        self.outcome.code != 0
    }

    /// Whether its stack overflowed, which it may do at another depth in another tier.
    pub fn overflowed(&self) -> bool {
        let message = Trap::CallStackExhausted.to_string();
        let said =
            |bytes: &[u8]| bytes.windows(message.len()).any(|part| part == message.as_bytes());
        self.outcome.code == i32::from(TRAP) && said(&self.last_words)
    }
}

/// Starts runs.
pub struct Runner {
    /// Options and program.
    words: Vec<OsString>,
    input: Option<File>,
    /// Where the input begins.
    input_start: u64,
    stats: Scratch,
}

impl Runner {
    /// For a program with its options. Takes standard input for all runs.
    pub fn new(words: Vec<OsString>) -> Result<Runner, Failure> {
        let stats = Scratch::new("stats").map_err(|error| cannot("make a file", &error))?;
        let (input, input_start) = input().map_err(|error| cannot("keep the input", &error))?;
        Ok(Runner { words, input, input_start, stats })
    }

    /// Runs the program once.
    pub fn run(&self, tier: Tier) -> Result<Sample, Failure> {
        self.measure(tier).map_err(|error| cannot("run the program", &error))
    }

    fn measure(&self, tier: Tier) -> io::Result<Sample> {
        self.stats.file.set_len(0)?;
        let stdin = match &self.input {
            None => Stdio::null(),
            Some(file) => {
                (&*file).seek(SeekFrom::Start(self.input_start))?;
                file.try_clone()?.into()
            }
        };
        let mut command = Command::new("/proc/self/exe");
        command.arg0("brant").args(["run", "--tier", report::name(tier)]);
        // Every run compiles what it needs, or the first one would be slower than the others.
        command.args(["--no-cache", "--report-to"]).arg(&self.stats.path);
        command.args(&self.words).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn()?;
        let (output, error) = (child.stdout.take(), child.stderr.take());
        let (output, error) = std::thread::scope(|scope| {
            let error = scope.spawn(|| Stream::read(error, start));
            (Stream::read(output, start), error.join().unwrap_or_default())
        });
        let ended = child.wait4()?;
        let wall = start.elapsed();
        let code = ended.status.code().or(ended.status.signal().map(|number| 128 + number));
        let stats = self.stats();
        let number = |of: &Value, name: &str| of[name].as_u64();
        let compiling = &stats["compiler"];
        let first_output = [output.first, error.first].into_iter().flatten().min();
        Ok(Sample {
            wall,
            cpu: ended.rusage.utime + ended.rusage.stime,
            first_output,
            peak_bytes: number(&stats, "peak_bytes").unwrap_or(ended.rusage.maxrss),
            ready_ns: number(&stats, "ready_ns").unwrap_or(0),
            compiling: Compiling {
                count: number(compiling, "compiled").unwrap_or(0),
                code_bytes: number(compiling, "code_bytes").unwrap_or(0),
                time_ns: number(compiling, "time_ns").unwrap_or(0),
            },
            outcome: Outcome {
                code: code.unwrap_or(-1),
                output: *output.hash.finalize().as_bytes(),
                error: *error.hash.finalize().as_bytes(),
            },
            last_words: error.tail,
        })
    }

    /// What the run said about itself; nothing, if it could not even start.
    fn stats(&self) -> Value {
        /// The calls of a run are counted by name, and there are 46 of them.
        const LIMIT_BYTES: u64 = 1 << 20;
        let mut text = String::new();
        let mut file = &self.stats.file;
        let read = file.rewind().and_then(|()| file.take(LIMIT_BYTES).read_to_string(&mut text));
        match read {
            Ok(_) => serde_json::from_str(text.trim()).unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }
}

fn cannot(what: &str, error: &io::Error) -> Failure {
    Failure::load(format!("cannot {what}: {}", cause(error)))
}

/// Standard input as something that can be read again and again, and where it begins.
///
/// What comes through a pipe is kept in a file and not in memory, because the peak that the system
/// sees of a run begins with the memory of its parent.
fn input() -> io::Result<(Option<File>, u64)> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok((None, 0));
    }
    let mut given = File::from(std::os::fd::AsFd::as_fd(&stdin).try_clone_to_owned()?);
    if given.metadata()?.is_file() {
        let start = given.stream_position()?;
        return Ok((Some(given), start));
    }
    let kept = Scratch::new("input")?;
    let mut file = kept.file.try_clone()?;
    io::copy(&mut given, &mut file)?;
    Ok((Some(file), 0))
}

/// A file that goes away with its owner.
struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    fn new(purpose: &str) -> io::Result<Scratch> {
        let name = format!("brant-bench-{}-{purpose}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Nobody else's file is ever opened, and nobody else opens this one.
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Scratch { file, path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that somebody else has removed is gone as well.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What came through a pipe.
#[derive(Default)]
struct Stream {
    hash: blake3::Hasher,
    /// When its first byte came.
    first: Option<Duration>,
    /// Its last bytes.
    tail: Vec<u8>,
}

impl Stream {
    /// Enough for a backtrace.
    const TAIL_BYTES: usize = 4096;

    /// Reads all of it. What cannot be read any more has ended.
    fn read(pipe: Option<impl Read>, start: Instant) -> Stream {
        let mut stream = Stream::default();
        let Some(mut pipe) = pipe else { return stream };
        let mut buffer = vec![0; 64 << 10];
        loop {
            let bytes = match pipe.read(&mut buffer) {
                Ok(0) => return stream,
                Ok(count) => &buffer[..count],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return stream,
            };
            stream.first.get_or_insert_with(|| start.elapsed());
            stream.hash.update(bytes);
            stream.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(Self::TAIL_BYTES)..]);
            let excess = stream.tail.len().saturating_sub(Self::TAIL_BYTES);
            stream.tail.drain(..excess);
        }
    }
}
