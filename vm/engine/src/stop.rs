//! How a run of a thread ends or pauses.

use std::error::Error;
use std::fmt;

use crate::trap::TrapReport;
use crate::val::Val;

/// Why a run has stopped.
#[derive(Debug)]
pub enum Stop {
    /// The function has returned.
    Done(Vec<Val>),
    /// An instruction has no result.
    Trap(Box<TrapReport>),
    /// A host function ended the run with this code.
    Exit(i32),
    /// A host function failed, a body was found not to be valid, or there was no memory for a stack.
    Failed(Box<dyn Error + Send + Sync>),
    /// Somebody asked for it. To run again goes on.
    Interrupted,
    /// The next block of operators costs more fuel than is left. To run again goes on.
    OutOfFuel,
    /// A host function would block, or the thread waits at an address ([`crate::Thread::wait`]). To
    /// run again calls it again, or looks whether the thread was woken.
    Blocked,
}

impl Stop {
    /// Whether to run the thread again goes on.
    pub fn can_go_on(&self) -> bool {
        matches!(self, Self::Interrupted | Self::OutOfFuel | Self::Blocked)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(results) => write!(f, "done with {} results", results.len()),
            Self::Trap(report) => report.fmt(f),
            Self::Exit(code) => write!(f, "exit with code {code}"),
            Self::Failed(error) => error.fmt(f),
            Self::Interrupted => f.write_str("interrupted"),
            Self::OutOfFuel => f.write_str("out of fuel"),
            Self::Blocked => f.write_str("blocked"),
        }
    }
}

/// A host function panicked. The guest has ended; the host goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostPanic {
    /// What the panic said.
    pub message: String,
}

impl HostPanic {
    pub(crate) fn new(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self { message: text.unwrap_or("something without words").to_owned() }
    }
}

impl fmt::Display for HostPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a host function panicked: {}", self.message)
    }
}

impl Error for HostPanic {}

/// A mistake of the embedder that would have broken the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostMistake {
    /// A host function gave a result of another type than it has.
    ResultType,
    /// A host function put another store in the place of the one that runs.
    StoreExchanged,
    /// The thread has come to its end before.
    ThreadEnded,
}

impl fmt::Display for HostMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResultType => "a host function gave a result of another type than it has",
            Self::StoreExchanged => "a host function exchanged the store that runs",
            Self::ThreadEnded => "the thread has come to its end before",
        })
    }
}

impl Error for HostMistake {}
