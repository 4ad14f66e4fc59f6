//! A caller sees the system calls of a program that runs, a line each.
//!
//! The program never waits for whoever watches: lines go through a queue to a thread that writes them,
//! and what has no room is left out and counted.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::{Process, TracedCall, TracedEnd, Watched};

/// Lines that may wait to be written.
const QUEUED_LINES: usize = 4096;

/// Has a caller see calls from now on, until it goes away.
///
/// # Errors
/// In words: no process of that number, or the system gives no thread.
pub(super) fn attach(
    stream: &UnixStream, request: &Value, process: &mut Process,
) -> Result<(), String> {
    let pid = request["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    let groups: Vec<&str> =
        request["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let stream = stream.try_clone().map_err(|error| error.to_string())?;
    let (lines, queue) = sync_channel::<String>(QUEUED_LINES);
    let is_gone = Arc::new(AtomicBool::new(false));
    let (theirs, mut lost) = (is_gone.clone(), 0u64);
    let lines = Mutex::new(lines);
    let see = move |call: &TracedCall<'_>| {
        if theirs.load(Ordering::Acquire) {
            return Watched::IsOver;
        }
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lost > 0 && lines.try_send(json!({ "lost": lost }).to_string()).is_ok() {
            lost = 0;
        }
        if lost > 0 || lines.try_send(line(call).to_string()).is_err() {
            lost += 1;
        }
        Watched::GoesOn
    };
    process.attach_trace(pid, &groups, see).map_err(|_| match pid {
        Some(pid) => format!("the program has no process {pid}"),
        None => "the program has ended".to_owned(),
    })?;
    let write = move || {
        write_all(stream, &queue);
        is_gone.store(true, Ordering::Release);
    };
    let thread = std::thread::Builder::new().name("brant-strace".to_owned()).spawn(write);
    thread.map(drop).map_err(|error| error.to_string())
}

fn write_all(mut stream: UnixStream, queue: &Receiver<String>) {
    // A caller that does not read for long has gone, as far as the program is concerned.
    while let Ok(line) = queue.recv() {
        if stream.write_all(format!("{line}\n").as_bytes()).is_err() {
            return;
        }
    }
}

/// A call as callers get it.
pub fn line(call: &TracedCall<'_>) -> Value {
    let (end, value) = match call.end {
        TracedEnd::Errno(name) => ("errno", json!(name)),
        TracedEnd::Waits => ("waits", json!(true)),
        TracedEnd::Exit(code) => ("exit", json!(code)),
    };
    json!({
        "pid": call.pid, "module": call.module, "call": call.name, "group": call.group,
        "args": call.args, "line": call.line, end: value,
    })
}
