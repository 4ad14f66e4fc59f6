//! The side of the program that runs: its socket, and what callers may ask of it.
//!
//! Requests come from the same user, but are read as an enemy's: bounded, and with a time in which
//! they have to come.

use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use brant_host::native::NativeHost;
use brant_kernel::host::{Clock, Host};
use serde_json::{Value, json};

#[cfg(feature = "node")]
use super::depart::Leave;
use super::throttle::Throttle;
use super::{members, read_line, tracing, transfer};
use crate::{Error, Process, Signalled, Tier};

/// In this time a caller has to send its line and take its answer: the guest stands meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// What becomes of the program when its callers have been served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    GoOn,
    /// It has been killed.
    Kill,
    /// It has to end with this exit code.
    End(i32),
    /// It goes on elsewhere: somebody has its snapshot, and has stored it.
    Moved,
}

/// The socket of a program that runs; removed when it is dropped.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    program: String,
    began: Instant,
    is_paused: bool,
    /// Snapshots on their way, while the program goes on.
    transfers: Vec<JoinHandle<()>>,
    /// Its share of processors, if somebody has set one.
    throttle: Option<Throttle>,
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
            transfers: Vec::new(),
            throttle: None,
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

    /// Keeps the program to a share of processors, which callers can change.
    pub fn set_throttle(&mut self, throttle: Option<Throttle>) {
        self.throttle = throttle;
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
                Ok((stream, _)) => match self.converse(stream, process) {
                    // A caller that went away is no matter of the program's.
                    Ok(Next::GoOn) | Err(_) => {}
                    Ok(next) => return next,
                },
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

    fn converse(&mut self, stream: UnixStream, process: &mut Process) -> io::Result<Next> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request: Value = serde_json::from_slice(&read_line(&stream)?).unwrap_or_default();
        if request["verb"] == "trace" {
            let attached = tracing::attach(&stream, &request, process);
            let answer = match attached {
                Ok(()) => json!({ "attached": true }),
                Err(text) => json!({ "error": text }),
            };
            say(&stream, &answer)?;
            return Ok(Next::GoOn);
        }
        if request["verb"] == "checkpoint" {
            return self.checkpoint(stream, &request, process);
        }
        #[cfg(feature = "node")]
        if request["verb"] == "migrate" {
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
        say(&stream, &answer)?;
        Ok(next)
    }

    /// Gives a snapshot to a caller. The program goes on while it is on its way, unless it is to stop
    /// behind it.
    fn checkpoint(
        &mut self, stream: UnixStream, request: &Value, process: &mut Process,
    ) -> io::Result<Next> {
        let snapshot = match process.checkpoint() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                say(&stream, &json!({ "error": error.to_string() }))?;
                return Ok(Next::GoOn);
            }
        };
        if request["stop"] == true {
            let is_stored = transfer::give_away(&stream, &snapshot)?;
            return Ok(if is_stored { Next::Moved } else { Next::GoOn });
        }
        self.transfers.retain(|transfer| !transfer.is_finished());
        let give = move || {
            // The caller sees that it has not got all of it.
            let _ = transfer::give(&stream, &snapshot);
        };
        let thread = std::thread::Builder::new().name("brant-snapshot".to_owned()).spawn(give);
        self.transfers.extend(thread.ok());
        Ok(Next::GoOn)
    }

    fn answer(&mut self, request: &Value, process: &mut Process) -> Result<(Value, Next), String> {
        match request["verb"].as_str() {
            Some("status") => {}
            Some("pause") => self.is_paused = true,
            Some("resume") => self.is_paused = false,
            Some("kill") => return Ok((json!({ "killed": true }), Next::Kill)),
            Some("processes") => return Ok((members::list(process), Next::GoOn)),
            Some("signal") => match members::signal(request, process)? {
                Signalled::Sent => {}
                Signalled::Ends(code) => return Ok((json!({ "ended": code }), Next::End(code))),
                Signalled::Stops => self.is_paused = true,
                Signalled::GoesOn => self.is_paused = false,
            },
            Some("limit") => {
                let limits = members::limit(request, process, &mut self.throttle)?;
                return Ok((limits, Next::GoOn));
            }
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
            "threads": process.thread_count(),
            "memory_bytes": process.memory_bytes(),
            "cpu_ns": NativeHost::new().now_ns(Clock::ProcessCpu).unwrap_or(0),
            "uptime_ns": self.began.elapsed().as_nanos() as u64,
        })
    }
}

pub(super) fn say(mut stream: &UnixStream, line: &Value) -> io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes())
}

impl Drop for Control {
    fn drop(&mut self) {
        // What is left over is removed by the next one who looks.
        let _ = std::fs::remove_file(&self.path);
        for transfer in self.transfers.drain(..) {
            // Its caller has a second for each part of it.
            let _ = transfer.join();
        }
    }
}
