//! Running programs, as other commands of the same user see and steer them.
//!
//! Each `brant run` listens on a socket of its own in a private directory:
//!
//! ```text
//! $XDG_RUNTIME_DIR/brant/PID      or      /tmp/brant-USER/PID         (0700, owner checked)
//! ```
//!
//! A caller connects, writes one line of JSON (`{"verb":"pause"}`), and reads one line.
//! The program's own thread answers: input at the socket stops the guest at its next site, so no
//! thread waits for callers, and nothing here is shared between threads.
//! A snapshot follows the line that says how long it is, see `transfer`.
//! This module knows nothing of the words of a command line.

mod caller;
#[cfg(feature = "node")]
mod depart;
mod listener;
mod members;
mod throttle;
mod tracing;
mod transfer;

use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

pub use caller::{CallError, RunningProgram, ask, follow, running};
#[cfg(feature = "node")]
pub use depart::Left;
pub use listener::{Control, Next};
pub use throttle::Throttle;
pub use tracing::line as trace_line;
pub use transfer::{Fetched, fetch};

/// No line of a caller or of an answer is longer: names and numbers fit, and nothing else is sent.
pub const LINE_LIMIT_BYTES: u64 = 16 << 10;

/// The directory of the sockets. Nobody but the user may have made it, or may look into it.
///
/// # Errors
/// What the system says; [`io::ErrorKind::PermissionDenied`] if the directory is not private.
pub fn directory() -> io::Result<PathBuf> {
    let user = brant_host::native::user_id();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let path = match runtime.filter(|path| path.is_absolute()) {
        Some(runtime) => runtime.join("brant"),
        None => std::env::temp_dir().join(format!("brant-{user}")),
    };
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // The directory itself, not where a link leads: another user could have been quicker.
    let found = std::fs::symlink_metadata(&path)?;
    if !found.is_dir() || found.uid() != user || found.mode() & 0o077 != 0 {
        let text = format!("`{}` is not a directory of this user alone", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(path)
}

/// A line, and nothing of what stands behind it; an end without one gives what there was.
fn read_line(mut stream: &UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    // Lines are short, and few.
    while (line.len() as u64) < LINE_LIMIT_BYTES && stream.read(&mut byte)? == 1 {
        line.push(byte[0]);
        if byte == *b"\n" {
            break;
        }
    }
    Ok(line)
}
