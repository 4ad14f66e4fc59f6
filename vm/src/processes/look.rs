//! Processes of a program as others see and steer them: who there is, signals, limits, traces.

use std::time::Duration;

use brant_engine::{Limits as StoreLimits, Resource, WASM_PAGE_BYTES};
use brant_kernel::Errno;
use brant_kernel::processes::signal::{DefaultAction, Signal, default_action};
use brant_kernel::processes::{End, Entry, Pid, ROOT, State, signal};

use crate::system::{Trace, Watched};
use crate::{Error, Process, TracedCall};

/// A process of a program, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its number; 1 is the one that was there first.
    pub pid: u32,
    /// Its parent; 0 where it has none.
    pub parent: u32,
    /// Its group.
    pub group: u32,
    /// `runs`, `stopped (NAME)`, `ended (CODE)`, `ended (NAME)`.
    pub state: String,
    /// What it is called.
    pub program: String,
    /// How many threads it has; none once it has ended.
    pub threads: usize,
    /// Bytes of its linear memories.
    pub memory_bytes: u64,
    /// How long it has run; known only where it takes turns with others.
    pub busy: Duration,
}

/// What becomes of a program by a signal that it cannot handle itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalled {
    /// It has got it.
    Sent,
    /// It has to end, with this exit code.
    Ends(i32),
    /// It has to stand.
    Stops,
    /// It may go on.
    GoesOn,
}

/// Limits to change while a program runs; none of them stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitChange {
    /// See [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    pub memory_bytes: Option<u64>,
    /// See [`Limits::processes_count`](crate::Limits::processes_count).
    pub processes_count: Option<u64>,
    /// See [`Limits::descriptors_count`](crate::Limits::descriptors_count).
    pub descriptors_count: Option<u32>,
    /// See [`Limits::disk_bytes`](crate::Limits::disk_bytes).
    pub disk_bytes: Option<u64>,
}

/// How much a program has of what is limited, all of its processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of linear memory.
    pub memory_bytes: u64,
    /// Processes, zombies included.
    pub processes_count: u64,
    /// Descriptors of the process that has the most: the limit is each one's own.
    pub descriptors_count: u32,
    /// Bytes written to files.
    pub disk_bytes: u64,
}

/// How a process stands, in words.
pub fn state_name(entry: &Entry) -> String {
    match entry.state {
        State::Runs => "runs".to_owned(),
        State::Stopped { signal, .. } => format!("stopped ({})", signal::name(signal)),
        State::Ended(End::Exit(code)) => format!("ended ({code})"),
        State::Ended(End::Signal(signal)) => format!("ended ({})", signal::name(signal)),
    }
}

impl Process {
    /// The processes of the program by number, this one first. Empty for one that cannot have others.
    pub fn processes(&mut self) -> Vec<ProcessInfo> {
        let Some(member) = self.system().member().cloned() else { return Vec::new() };
        let entries: Vec<(Pid, Entry)> = {
            let core = member.tree.lock();
            core.table.iter().map(|(pid, entry)| (pid, entry.clone())).collect()
        };
        entries.into_iter().map(|(pid, entry)| self.info(pid, &entry)).collect()
    }

    fn info(&self, pid: Pid, entry: &Entry) -> ProcessInfo {
        let process = match pid {
            ROOT => Some(self),
            pid => {
                let relatives = self.relatives.as_ref();
                relatives.and_then(|relatives| relatives.others.get(&pid)).map(Box::as_ref)
            }
        };
        let pages = |process: &Process| process.store.memory_sizes_wasm_pages().iter().sum::<u64>();
        ProcessInfo {
            pid,
            parent: entry.parent,
            group: entry.group,
            state: state_name(entry),
            program: entry.name.clone(),
            threads: process.map_or(0, Process::thread_count),
            memory_bytes: process.map_or(0, |process| pages(process) * WASM_PAGE_BYTES),
            busy: process.map_or(Duration::ZERO, |process| process.busy),
        }
    }

    /// Sends a signal, by its number of WASI, to a process of the program: 1 is this one. It comes
    /// when the program runs. A program that cannot have processes cannot handle signals: what has to
    /// become of it is the answer.
    ///
    /// # Errors
    /// There is no such process, or no such signal.
    pub fn send_signal(&mut self, pid: u32, signal: Signal) -> Result<Signalled, Error> {
        if signal > signal::number::LAST {
            return Err(Error::host(Errno::Invalid));
        }
        if let Some(member) = self.system().member() {
            member.tree.lock().send(pid, signal).map_err(Error::host)?;
            return Ok(Signalled::Sent);
        }
        if pid != ROOT {
            return Err(Error::host(Errno::NoProcess));
        }
        Ok(match default_action(signal) {
            DefaultAction::End => Signalled::Ends(End::Signal(signal).code()),
            DefaultAction::Stop => Signalled::Stops,
            DefaultAction::Ignore if signal == signal::number::CONT => Signalled::GoesOn,
            DefaultAction::Ignore => Signalled::Sent,
        })
    }

    /// Changes limits, of all processes of the program. What it has already is not taken away.
    pub fn change_limits(&mut self, change: LimitChange) {
        if let Some(bytes) = change.memory_bytes {
            let limits = StoreLimits { memory_bytes: bytes, ..self.store.limits() };
            self.store.set_limits(limits);
        }
        if let (Some(count), Some(member)) = (change.processes_count, self.system().member()) {
            member.tree.lock().table.limit = count;
        }
        self.for_all(|process| {
            let limits = &mut process.limits;
            limits.memory_bytes = change.memory_bytes.unwrap_or(limits.memory_bytes);
            limits.processes_count = change.processes_count.unwrap_or(limits.processes_count);
            limits.descriptors_count = change.descriptors_count.unwrap_or(limits.descriptors_count);
            limits.disk_bytes = change.disk_bytes.or(limits.disk_bytes);
            let (descriptors, disk) = (limits.descriptors_count, limits.disk_bytes);
            process.system().with_kernel(|kernel| {
                kernel.set_limits(descriptors, disk.unwrap_or(u64::MAX));
            });
        });
    }

    /// How much of what is limited the program has.
    pub fn usage(&mut self) -> Usage {
        let processes =
            self.system().member().map(|member| member.tree.lock().table.iter().count());
        let mut most = 0;
        self.for_all(|process| {
            most = most.max(process.system().with_kernel(|kernel| kernel.open_count()));
        });
        Usage {
            descriptors_count: most,
            memory_bytes: self.store.taken(Resource::MemoryBytes),
            processes_count: processes.unwrap_or(1) as u64,
            disk_bytes: self.system().with_kernel(|kernel| kernel.disk_bytes()),
        }
    }

    /// Shows system calls from now on, as [`ProcessBuilder::trace`](crate::ProcessBuilder::trace):
    /// those of the process `pid` and of what it starts from now on; of all without a number. `see`
    /// says whether it wants to see more.
    ///
    /// # Errors
    /// There is no such process.
    pub fn attach_trace(
        &mut self, pid: Option<u32>, groups: &[&str],
        see: impl FnMut(&TracedCall<'_>) -> Watched + Send + 'static,
    ) -> Result<(), Error> {
        let trace = Trace::new(groups, see);
        let mut is_there = false;
        self.for_all(|process| {
            let own = process.system().with_kernel(|kernel| kernel.number());
            if pid.is_none_or(|pid| pid == own) {
                process.system().attach_trace(trace.clone());
                is_there = true;
            }
        });
        if is_there { Ok(()) } else { Err(Error::host(Errno::NoProcess)) }
    }

    /// Does something with this process, and with all others of the program.
    fn for_all(&mut self, mut act: impl FnMut(&mut Process)) {
        act(self);
        if let Some(relatives) = &mut self.relatives {
            relatives.others.values_mut().map(Box::as_mut).for_each(act);
        }
    }
}
