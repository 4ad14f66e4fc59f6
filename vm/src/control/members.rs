//! What callers ask about the processes of a program: who there is, signals, limits.

use serde_json::{Value, json};

use super::throttle::Throttle;
use crate::{LimitChange, Process, Signalled};

/// The processes of a program as an answer.
pub(super) fn list(process: &mut Process) -> Value {
    let rows = process.processes().into_iter().map(|info| {
        json!({
            "pid": info.pid, "parent": info.parent, "group": info.group, "state": info.state,
            "program": info.program, "threads": info.threads, "memory_bytes": info.memory_bytes,
            "busy_ns": info.busy.as_nanos() as u64,
        })
    });
    json!({ "processes": rows.collect::<Vec<_>>() })
}

/// Sends the signal of a request.
///
/// # Errors
/// Why not, in words.
pub(super) fn signal(request: &Value, process: &mut Process) -> Result<Signalled, String> {
    let pid = request["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(1);
    let number = request["signal"].as_u64().and_then(|number| u8::try_from(number).ok());
    let number = number.ok_or("that is no signal")?;
    process.send_signal(pid, number).map_err(|_| format!("the program has no process {pid}"))
}

/// Changes the limits that a request names, and tells all of them and how much of each is used.
///
/// # Errors
/// Why not, in words.
pub(super) fn limit(
    request: &Value, process: &mut Process, throttle: &mut Option<Throttle>,
) -> Result<Value, String> {
    let count = |name: &str| request[name].as_u64();
    let descriptors = count("descriptors").map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    process.change_limits(LimitChange {
        memory_bytes: count("memory"),
        processes_count: count("processes"),
        descriptors_count: descriptors,
        disk_bytes: count("disk"),
    });
    if let Some(percent) = count("cpu") {
        Throttle::change(throttle, percent, process)?;
    }
    let (limits, usage) = (process.limits().clone(), process.usage());
    Ok(json!({
        "memory": { "limit": limits.memory_bytes, "used": usage.memory_bytes },
        "processes": { "limit": limits.processes_count, "used": usage.processes_count },
        "descriptors": { "limit": limits.descriptors_count, "used": usage.descriptors_count },
        "disk": { "limit": limits.disk_bytes, "used": usage.disk_bytes },
        "cpu": { "limit": throttle.as_ref().map(Throttle::percent) },
    }))
}
