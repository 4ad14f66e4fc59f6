//! How far a call has come that could not be finished: plain data, never a host stack.

use crate::host::{Direction, Handle};
use crate::syscall::Syscall;

/// Whether the process's thread stands in a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunState {
    /// It runs, or can.
    #[default]
    Running,
    /// It waits in a call, which is made again with the same arguments once it can go on.
    Parked(Parked),
}

/// A call that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Which call.
    pub call: Syscall,
    /// Bytes already written. What was read counts only when the call is complete.
    pub progress_bytes: u64,
    /// When the call began, on the monotonic clock: relative times count from here.
    pub began_ns: u64,
    /// What it waits for.
    pub waits_for: Vec<(Handle, Direction)>,
    /// When it ends at the latest, on the monotonic clock.
    pub deadline_ns: Option<u64>,
    /// Whether a signal was handled while it waited: if it cannot end yet, it ends with `intr`.
    pub is_interrupted: bool,
}
