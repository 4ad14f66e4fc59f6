//! The process table: who there is, whose child it is, and how it ended. It knows nothing of how
//! processes are run.
//!
//! The first process is the root: it has no parent, inherits those whose parent has ended, and its
//! end is the end of all.

use std::collections::BTreeMap;

use super::signal::{DefaultAction, Signal, Signals, default_action, number};
use crate::errno::Errno;

/// The number of a process.
pub type Pid = u32;

/// The process that was there first.
pub const ROOT: Pid = 1;
/// No process has a larger number.
pub(super) const MAX_PID: Pid = (1 << 29) - 1;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By a signal.
    Signal(Signal),
}

impl End {
    /// The exit code as a shell counts it.
    pub fn code(self) -> i32 {
        match self {
            End::Exit(code) => code,
            End::Signal(signal) => 128 + i32::from(signal),
        }
    }
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can, or waits in a call.
    Runs,
    /// A signal has stopped it.
    Stopped {
        /// That signal.
        signal: Signal,
        /// Whether its parent knows.
        is_told: bool,
    },
    /// It is a zombie: only its end is left, for its parent to ask for.
    Ended(End),
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its parent; 0 for the root.
    pub parent: Pid,
    /// Its group, named after the process that founded it.
    pub group: Pid,
    /// Whether it runs.
    pub state: State,
    /// Signals on their way to it.
    pub pending: Signals,
    /// Whether it handles signals itself.
    pub handles_signals: bool,
    /// What it is called: the first argument of its program.
    pub name: String,
}

/// Whom a parent asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Any child.
    Any,
    /// This one.
    Child(Pid),
}

/// What a parent learns of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It has ended, and is gone from the table.
    Ended(Pid, End),
    /// It stands.
    Stopped(Pid, Signal),
    /// Nothing yet.
    Nothing,
}

/// All processes of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    entries: BTreeMap<Pid, Entry>,
    last_pid: Pid,
    /// Whether the numbers have come to their end once.
    begins_anew: bool,
    /// The group that signals of the terminal go to.
    pub foreground: Pid,
    /// How many there may be, zombies included.
    pub limit: u64,
}

impl Table {
    /// A table with the root alone.
    pub fn new(name: String, limit: u64) -> Table {
        let root = Entry {
            parent: 0,
            group: ROOT,
            state: State::Runs,
            pending: Signals::default(),
            handles_signals: false,
            name,
        };
        let entries = BTreeMap::from([(ROOT, root)]);
        Table { entries, last_pid: ROOT, begins_anew: false, foreground: ROOT, limit }
    }

    /// A table of these rows, whose numbers go on as [`Table::numbers`] has said.
    pub(super) fn restore(
        entries: &[(Pid, Entry)], numbers: (Pid, bool), foreground: Pid, limit: u64,
    ) -> Table {
        let (last_pid, begins_anew) = numbers;
        let entries = entries.iter().cloned().collect();
        Table { entries, last_pid, begins_anew, foreground, limit }
    }

    /// The number that was given last, and whether numbers have come to their end once.
    pub(super) fn numbers(&self) -> (Pid, bool) {
        (self.last_pid, self.begins_anew)
    }

    /// The row of a process.
    ///
    /// # Errors
    /// [`Errno::NoProcess`].
    pub fn get(&self, pid: Pid) -> Result<&Entry, Errno> {
        self.entries.get(&pid).ok_or(Errno::NoProcess)
    }

    /// The row of a process, to be changed.
    ///
    /// # Errors
    /// [`Errno::NoProcess`].
    pub fn get_mut(&mut self, pid: Pid) -> Result<&mut Entry, Errno> {
        self.entries.get_mut(&pid).ok_or(Errno::NoProcess)
    }

    /// All rows by number.
    pub fn iter(&self) -> impl Iterator<Item = (Pid, &Entry)> {
        self.entries.iter().map(|(&pid, entry)| (pid, entry))
    }

    /// Gives a child of `parent` a number: in its group, and with what it handles.
    ///
    /// # Errors
    /// [`Errno::Again`] at the limit, [`Errno::NoProcess`].
    pub fn add(&mut self, parent: Pid, handles_signals: bool) -> Result<Pid, Errno> {
        if self.entries.len() as u64 >= self.limit {
            return Err(Errno::Again);
        }
        let of_parent = self.get(parent)?;
        let entry = Entry {
            parent,
            group: of_parent.group,
            state: State::Runs,
            pending: Signals::default(),
            handles_signals,
            name: of_parent.name.clone(),
        };
        let pid = self.free_number();
        self.entries.insert(pid, entry);
        Ok(pid)
    }

    /// A number that no process has, and that no group is named after.
    fn free_number(&mut self) -> Pid {
        loop {
            if self.last_pid >= MAX_PID {
                (self.last_pid, self.begins_anew) = (ROOT, true);
            }
            self.last_pid += 1;
            let pid = self.last_pid;
            let is_taken = || {
                self.entries.contains_key(&pid)
                    || self.entries.values().any(|entry| entry.group == pid)
            };
            // Before the numbers begin anew nobody can have this one.
            if !self.begins_anew || !is_taken() {
                return pid;
            }
        }
    }

    /// Takes a process out that never ran.
    pub fn forget(&mut self, pid: Pid) {
        self.entries.remove(&pid);
    }

    /// Makes a process a zombie, and its children the root's. Gives its parent, which gets CHLD.
    pub fn end(&mut self, pid: Pid, end: End) -> Pid {
        let Some(entry) = self.entries.get_mut(&pid) else { return 0 };
        entry.state = State::Ended(end);
        entry.pending = Signals::default();
        let parent = entry.parent;
        for other in self.entries.values_mut().filter(|other| other.parent == pid) {
            other.parent = ROOT;
        }
        self.tell(parent);
        // Children that had ended before are the root's to ask for.
        if pid != ROOT {
            self.tell(ROOT);
        }
        parent
    }

    /// Lets a parent know that something has become of a child.
    fn tell(&mut self, parent: Pid) {
        if let Some(entry) = self.entries.get_mut(&parent)
            && !matches!(entry.state, State::Ended(_))
        {
            entry.pending.add(number::CHLD);
        }
    }

    /// Says what has become of a child, which is then known.
    ///
    /// # Errors
    /// [`Errno::Child`] if there is no such child.
    pub fn ask(&mut self, parent: Pid, whom: Whom, with_stopped: bool) -> Result<Told, Errno> {
        let is_meant = |pid: Pid, entry: &Entry| {
            entry.parent == parent && (whom == Whom::Any || whom == Whom::Child(pid))
        };
        let mut has_child = false;
        for (&pid, entry) in &mut self.entries {
            if !is_meant(pid, entry) {
                continue;
            }
            has_child = true;
            match &mut entry.state {
                State::Ended(end) => {
                    let told = Told::Ended(pid, *end);
                    self.entries.remove(&pid);
                    return Ok(told);
                }
                State::Stopped { signal, is_told } if with_stopped && !*is_told => {
                    *is_told = true;
                    return Ok(Told::Stopped(pid, *signal));
                }
                State::Stopped { .. } | State::Runs => {}
            }
        }
        if has_child { Ok(Told::Nothing) } else { Err(Errno::Child) }
    }

    /// Those who belong to a group and have not ended.
    pub fn group(&self, group: Pid) -> Vec<Pid> {
        let all = self.entries.iter();
        let of_group = all
            .filter(|(_, entry)| entry.group == group && !matches!(entry.state, State::Ended(_)));
        of_group.map(|(&pid, _)| pid).collect()
    }

    /// Puts a process into a group: its own, or one of those that there are.
    ///
    /// # Errors
    /// [`Errno::NoProcess`] unless `by` is the process or its parent; [`Errno::NotPermitted`] for
    /// a group that is not there.
    pub fn set_group(&mut self, by: Pid, pid: Pid, group: Pid) -> Result<(), Errno> {
        let entry = self.get(pid)?;
        if pid != by && entry.parent != by {
            return Err(Errno::NoProcess);
        }
        if group != pid && !self.entries.values().any(|entry| entry.group == group) {
            return Err(Errno::NotPermitted);
        }
        self.get_mut(pid)?.group = group;
        Ok(())
    }

    /// Sends a signal to a process; a zombie does not mind. Says whether it may have to go on.
    ///
    /// # Errors
    /// [`Errno::NoProcess`].
    pub fn send(&mut self, pid: Pid, signal: Signal) -> Result<bool, Errno> {
        let entry = self.get_mut(pid)?;
        if signal == 0 || matches!(entry.state, State::Ended(_)) {
            return Ok(false);
        }
        // Nobody would have the root go on. Spec: POSIX, orphaned process groups.
        if pid == ROOT
            && matches!(signal, number::TSTP | number::TTIN | number::TTOU)
            && !entry.handles_signals
        {
            return Ok(false);
        }
        // To go on comes first, and takes back what would stop, as POSIX has it.
        if signal == number::CONT || signal == number::KILL {
            for stop in [number::STOP, number::TSTP, number::TTIN, number::TTOU] {
                entry.pending.remove(stop);
            }
            entry.state = State::Runs;
        }
        if default_action(signal) == DefaultAction::Stop {
            entry.pending.remove(number::CONT);
        }
        if default_action(signal) != DefaultAction::Ignore || entry.handles_signals {
            entry.pending.add(signal);
        }
        Ok(true)
    }

    /// Has a process stand because of a signal; gives its parent, which gets CHLD.
    pub fn stop(&mut self, pid: Pid, signal: Signal) -> Pid {
        let Some(entry) = self.entries.get_mut(&pid) else { return 0 };
        entry.state = State::Stopped { signal, is_told: false };
        let parent = entry.parent;
        self.tell(parent);
        parent
    }
}
