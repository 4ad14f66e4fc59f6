//! The processes that a program makes: copies of itself (`proc_fork`) and other programs.
//!
//! Each is a [`Process`] of its own, with a store, a kernel and limits in common with the others of
//! its tree. The first one is the embedder's, and runs them all: they take turns on the thread that
//! runs it, and whoever waits for a pipe, a child or the host is data meanwhile. When the first one
//! ends, so do all.
//!
//! ```text
//! look.rs     who there is, signals, limits and traces, for whoever steers a program
//! run.rs      who runs next, who waits, and for what
//! make.rs     how a process comes into being, and how it becomes another program
//! signals.rs  what comes of signals
//! persist.rs  a tree as data, and one that goes on from it
//! terminal.rs how those of the terminal get there
//! ```

mod look;
mod make;
mod persist;
mod run;
mod signals;
mod terminal;

use std::collections::{BTreeMap, HashMap, VecDeque};

use brant_engine::Val;
use brant_kernel::processes::{Pid, ProgramId, Request, Tree, Waits};

use crate::process::Pause;
use crate::threads::Ticker;
use crate::{Module, Process};

pub use look::{LimitChange, ProcessInfo, Signalled, Usage, state_name};
pub(crate) use persist::standing;
pub(crate) use signals::Handler;
pub use terminal::Terminal;

/// Why a process does not run any more.
pub(crate) enum Slice {
    /// Somebody else may run.
    GivesWay,
    /// It cannot go on before one of these.
    Waits(Waits),
    /// It asks for another process.
    Asks(Asked),
    /// It ends, or all have to stop.
    Ends(Result<Vec<Val>, Pause>),
}

/// A request, and whether the first thread of a process asks.
pub(crate) struct Asked {
    pub request: Request,
    pub is_first: bool,
}

/// The processes of a tree, as the first one has them.
pub(crate) struct Relatives {
    tree: Tree,
    /// All but the first.
    others: BTreeMap<Pid, Box<Process>>,
    /// Those that can run, the first one included; whoever is here is neither waiting nor stopped.
    queue: VecDeque<Pid>,
    waiting: BTreeMap<Pid, Waits>,
    /// Programs that were loaded.
    programs: HashMap<ProgramId, Module>,
    /// Ends slices; not there before there is somebody to give way to.
    ticker: Option<Ticker>,
    /// Whether nothing but waiting ends a slice, because the run has to be repeatable.
    is_virtual: bool,
    /// How many slices there were since the host was asked.
    unasked: u32,
}
