//! The side of the program that runs: its socket, and what callers may ask of it.
//!
//! Requests come from the same user, but are read as an enemy's: bounded, and with a time in which
//! they have to come.

use std::ffi::CString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use brant_host::native::NativeHost;
use brant_kernel::host::{Clock, Host};
use serde_json::{Value, json};

use super::LINE_LIMIT_BYTES;
#[cfg(feature = "node")]
use super::depart::Leave;
use crate::{Error, Process, Tier};

/// In this time a caller has to send its line and take its answer: the guest stands meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// What becomes of the program when its callers have been served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    GoOn,
    /// It has been killed.
    Kill,
}

/// The socket of a program that runs; removed when it is dropped.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    program: String,
    began: Instant,
    is_paused: bool,
    #[cfg(feature = "node")]
    pub(super) leave: Leave,
}

impl Control {
    /// Makes the socket under which other commands find this host process.
    ///
    /// # Errors
    /// What the system says. The program can run without it.
    pub fn open(program: &str) -> io::Result<Control> {
        // Behind a wall it could not be opened any more.
        brant_engine::open_pagemap();
        let path = super::directory()?.join(std::process::id().to_string());
        let listener = match UnixListener::bind(&path) {
            // One that was killed had the same number.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                std::fs::remove_file(&path)?;
                UnixListener::bind(&path)
            }
            other => other,
        }?;
        let (program, began) = (program.to_owned(), Instant::now());
        if let Ok(path) = CString::new(path.as_os_str().as_bytes()) {
            brant_engine::remove_on_termination(path);
        }
        Ok(Control {
            listener,
            path,
            program,
            began,
            is_paused: false,
            #[cfg(feature = "node")]
            leave: Leave::default(),
        })
    }

    /// Where the socket is; it has to stay removable.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A copy of the socket's descriptor, for whoever waits on behalf of the program.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn doorbell(&self) -> io::Result<OwnedFd> {
        self.listener.as_fd().try_clone_to_owned()
    }

    /// Has callers stop the program from now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn attach(&self, process: &mut Process) -> Result<(), Error> {
        process.stop_on_input(self.listener.as_fd())
    }

    /// Serves all who call, and those who come while the program is paused.
    pub fn serve(&mut self, process: &mut Process) -> Next {
        loop {
            // A descriptor that does not block says that nobody is there.
            let accepted = match self.listener.set_nonblocking(!self.is_paused) {
                Ok(()) => self.listener.accept(),
                Err(error) => Err(error),
            };
            match accepted {
                Ok((stream, _)) => {
                    // A caller that went away is no matter of the program's.
                    if let Ok(Next::Kill) = self.converse(&stream, process) {
                        return Next::Kill;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Next::GoOn,
            }
            #[cfg(feature = "node")]
            if self.leave.is_under_way() {
                // It goes on, or it leaves: a move does not wait for it.
                return Next::GoOn;
            }
        }
    }

    fn converse(&mut self, stream: &UnixStream, process: &mut Process) -> io::Result<Next> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = Vec::new();
        BufReader::new(stream).take(LINE_LIMIT_BYTES).read_until(b'\n', &mut line)?;
        let request: Value = serde_json::from_slice(&line).unwrap_or_default();
        #[cfg(feature = "node")]
        if request["verb"] == "migrate" {
            let stream = stream.try_clone()?;
            match self.is_paused {
                true => self.leave.refuse_paused(stream),
                false => self.leave.begin(stream, &request, &self.program, process),
            }
            return Ok(Next::GoOn);
        }
        let (answer, next) = match self.answer(&request, process) {
            Ok(outcome) => outcome,
            Err(text) => (json!({ "error": text }), Next::GoOn),
        };
        let mut writer = stream;
        writer.write_all(format!("{answer}\n").as_bytes())?;
        Ok(next)
    }

    fn answer(&mut self, request: &Value, process: &mut Process) -> Result<(Value, Next), String> {
        match request["verb"].as_str() {
            Some("status") => {}
            Some("pause") => self.is_paused = true,
            Some("resume") => self.is_paused = false,
            Some("kill") => return Ok((json!({ "killed": true }), Next::Kill)),
            Some("tier") => {
                let tier = request["tier"].as_str().and_then(Tier::from_name);
                let tier = tier.ok_or("there is no such tier")?;
                process.set_tier(tier).map_err(|error| error.to_string())?;
            }
            Some(other) => return Err(format!("this program does not know the verb `{other}`")),
            None => return Err("that is no request".to_owned()),
        }
        Ok((self.status(process), Next::GoOn))
    }

    fn status(&self, process: &Process) -> Value {
        json!({
            "program": self.program,
            "state": if self.is_paused { "paused" } else { "running" },
            "tier": process.tier().name(),
            "threads": 1,
            "memory_bytes": process.memory_bytes(),
            "cpu_ns": NativeHost::new().now_ns(Clock::ProcessCpu).unwrap_or(0),
            "uptime_ns": self.began.elapsed().as_nanos() as u64,
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // What is left over is removed by the next one who looks.
        let _ = std::fs::remove_file(&self.path);
    }
}
