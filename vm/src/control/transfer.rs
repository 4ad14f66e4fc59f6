//! Snapshots on their way from a program that runs to whoever asked for one.
//!
//! ```text
//! caller     {"verb":"checkpoint","stop":true}
//! program    {"bytes":N}  and N bytes           it stands, if it is to stop
//! caller     {"stored":true}                    only if it is to stop
//! program    {"moved":true}                     it has stopped, and will not go on
//! ```
//!
//! The program runs behind a wall and could not open the caller's file: the caller stores the bytes.
//! A program that is to stop does so only when it knows that they are stored; if it never hears so,
//! it goes on. Nothing here knows where they are stored.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::caller::{connect, converse};
use super::listener::say;
use super::{CallError, directory, read_line};
use crate::Snapshot;

/// A large program takes some time to be written down.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(120);
/// A disk may take long to have everything.
const STORE_PATIENCE: Duration = Duration::from_secs(60);

/// Sends a snapshot.
pub(super) fn give(mut stream: &UnixStream, snapshot: &Snapshot) -> io::Result<()> {
    let encoded = snapshot.encode();
    say(stream, &json!({ "bytes": encoded.len_bytes() }))?;
    encoded.write(&mut stream)
}

/// Sends a snapshot, and says whether it was stored. The caller is told that it is the only one who
/// has the program.
pub(super) fn give_away(stream: &UnixStream, snapshot: &Snapshot) -> io::Result<bool> {
    give(stream, snapshot)?;
    stream.set_read_timeout(Some(STORE_PATIENCE))?;
    let answer: Value = serde_json::from_slice(&read_line(stream)?).unwrap_or_default();
    if answer["stored"] != true {
        return Ok(false);
    }
    // From here on it is the caller's, whether or not it hears so.
    let _ = say(stream, &json!({ "moved": true }));
    Ok(true)
}

/// A snapshot that comes from a program that runs.
#[derive(Debug)]
pub struct Fetched {
    stream: UnixStream,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Asks the program `id` for a snapshot. It goes on meanwhile; with `stop` it stands until it is
/// told that the snapshot is [stored](Fetched::stored), and ends then.
///
/// # Errors
/// There is no such program, it cannot be captured, or it does not answer.
pub fn fetch(id: u32, stop: bool) -> Result<Fetched, CallError> {
    let stream = connect(&directory()?, id, CAPTURE_PATIENCE)?;
    let answer = converse(&stream, &json!({ "verb": "checkpoint", "stop": stop }))?;
    let bytes = answer["bytes"].as_u64().ok_or(CallError::Silent)?;
    Ok(Fetched { stream, bytes })
}

impl Fetched {
    /// Copies all of it.
    ///
    /// # Errors
    /// The program has ended, or what the writer says.
    pub fn copy_to(&mut self, writer: &mut (impl Write + ?Sized)) -> io::Result<u64> {
        let mut reader = BufReader::with_capacity(64 << 10, &self.stream).take(self.bytes);
        let count = io::copy(&mut reader, writer)?;
        match count == self.bytes {
            true => Ok(count),
            false => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the program has ended before all of its snapshot had come",
            )),
        }
    }

    /// Tells a program that was to stop that its snapshot is stored, and says whether it has
    /// answered that it stops.
    pub fn stored(self) -> bool {
        let answer = converse(&self.stream, &json!({ "stored": true }));
        answer.is_ok_and(|answer| answer["moved"] == true)
    }
}
