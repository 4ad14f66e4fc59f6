//! The side of whoever asks: finds the programs of this user and talks to them.
//!
//! A socket that nobody listens to any more belonged to a program that was killed, and is removed.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{LINE_LIMIT_BYTES, directory, read_line};

/// A program answers at its next site; one that does not within this time waits in a call that
/// cannot be ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// A program that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningProgram {
    /// Its number: that of its host process.
    pub id: u32,
    /// The name of the program; chosen by whoever started it.
    pub program: String,
    /// `running`, `paused`, or `silent` for one that does not answer.
    pub state: String,
    /// What of it is compiled.
    pub tier: String,
    /// How many guest threads it has.
    pub threads: u64,
    /// Bytes of linear memory.
    pub memory_bytes: u64,
    /// Time that its host process has used.
    pub cpu_ns: u64,
    /// Time since it began.
    pub uptime_ns: u64,
}

/// Why a program could not be asked.
#[derive(Debug)]
pub enum CallError {
    /// There is no program of this number.
    Unknown,
    /// The program says no.
    Refused(String),
    /// The program does not answer, or not as a program does.
    Silent,
    /// What the system says.
    System(io::Error),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Unknown => f.write_str("there is no such program"),
            CallError::Refused(text) => f.write_str(text),
            CallError::Silent => f.write_str("the program does not answer"),
            CallError::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CallError {}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> CallError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => CallError::Silent,
            _ => CallError::System(error),
        }
    }
}

/// The programs of this user, by number.
///
/// # Errors
/// What the system says about the directory.
pub fn running() -> Result<Vec<RunningProgram>, CallError> {
    let directory = directory()?;
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&directory)? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match ask_at(&directory, id, &json!({ "verb": "status" })) {
            Ok(status) => all.push(RunningProgram::new(id, &status)),
            // It has ended meanwhile.
            Err(CallError::Unknown) => {}
            Err(_) => {
                let state = json!({ "state": "silent" });
                all.push(RunningProgram::new(id, &state));
            }
        }
    }
    all.sort_by_key(|program| program.id);
    Ok(all)
}

/// Asks the program `id`, and gives its answer.
///
/// # Errors
/// There is none, it says no, or it does not answer.
pub fn ask(id: u32, request: &Value) -> Result<Value, CallError> {
    ask_at(&directory()?, id, request)
}

/// Asks the program `id`, and shows each line that it answers until it has said all, however long
/// that takes.
///
/// # Errors
/// There is none, it says no, or it ends before it has answered.
pub fn follow(id: u32, request: &Value, mut see: impl FnMut(&Value)) -> Result<(), CallError> {
    let directory = directory()?;
    let mut stream = connect(&directory, id, PATIENCE)?;
    // A move takes as long as it takes.
    stream.set_read_timeout(None)?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    let mut reader = BufReader::new(&stream);
    let mut has_answered = false;
    loop {
        let mut line = Vec::new();
        (&mut reader).take(LINE_LIMIT_BYTES).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return if has_answered { Ok(()) } else { Err(CallError::Unknown) };
        }
        let answer: Value = serde_json::from_slice(&line).map_err(|_| CallError::Silent)?;
        if let Some(text) = answer["error"].as_str() {
            let help = answer["help"].as_str().filter(|help| !help.is_empty());
            let help = help.map_or(String::new(), |help| format!("\n help: {help}"));
            return Err(CallError::Refused(format!("{text}{help}")));
        }
        has_answered = true;
        see(&answer);
    }
}

fn ask_at(directory: &Path, id: u32, request: &Value) -> Result<Value, CallError> {
    let stream = connect(directory, id, PATIENCE)?;
    converse(&stream, request)
}

/// A connection to the program `id`, which has so long for each answer.
pub(super) fn connect(
    directory: &Path, id: u32, patience: Duration,
) -> Result<UnixStream, CallError> {
    let path = directory.join(id.to_string());
    let stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => return Err(CallError::Unknown),
            io::ErrorKind::ConnectionRefused => {
                // Whether or not somebody else is quicker.
                let _ = std::fs::remove_file(&path);
                return Err(CallError::Unknown);
            }
            _ => return Err(error.into()),
        },
    };
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Says a line, and gives the line that comes back.
pub(super) fn converse(mut stream: &UnixStream, request: &Value) -> Result<Value, CallError> {
    let asked = stream.write_all(format!("{request}\n").as_bytes());
    let line = match asked.and_then(|()| read_line(stream)) {
        // It ended while it was asked.
        Ok(line) if line.is_empty() => return Err(CallError::Unknown),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            return Err(CallError::Unknown);
        }
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(CallError::Unknown),
        Err(error) => return Err(error.into()),
        Ok(line) => line,
    };
    let answer: Value = serde_json::from_slice(&line).map_err(|_| CallError::Silent)?;
    match answer["error"].as_str() {
        Some(text) => Err(CallError::Refused(text.to_owned())),
        None => Ok(answer),
    }
}

impl RunningProgram {
    fn new(id: u32, status: &Value) -> RunningProgram {
        let text = |name: &str| status[name].as_str().unwrap_or("-").to_owned();
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        RunningProgram {
            id,
            program: text("program"),
            state: text("state"),
            tier: text("tier"),
            threads: number("threads"),
            memory_bytes: number("memory_bytes"),
            cpu_ns: number("cpu_ns"),
            uptime_ns: number("uptime_ns"),
        }
    }
}
