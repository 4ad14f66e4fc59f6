//! The table and the pipes as plain values, and back. A state that comes from elsewhere is an enemy's
//! until it is checked.

use std::collections::{BTreeMap, BTreeSet};

use super::pipe::{CAPACITY_BYTES, Pipe};
use super::table::{MAX_PID, Table};
use super::{Core, FIRST_END, MOST_PIPES, Pid, ROOT, State, end_of, signal};
use crate::host::Handle;
use crate::persist::{Descriptions, PipeState, TreeState};

/// Numbers of pipes are below this one.
pub(super) const PIPE_NUMBERS: u32 = 1 << 24;

impl Core {
    /// All but the members and the order in which they run, which others know.
    pub(crate) fn save(&self) -> TreeState {
        let entries = self.table.iter().map(|(pid, entry)| (pid, entry.clone())).collect();
        let pipes = self.pipes.iter();
        let pipes = pipes.map(|(&number, pipe)| PipeState { number, bytes: pipe.content() });
        let (last_pid, begins_anew) = self.table.numbers();
        TreeState {
            entries,
            last_pid,
            begins_anew,
            foreground: self.table.foreground,
            pipes: pipes.collect(),
            next_pipe: self.next_pipe,
            ..TreeState::default()
        }
    }

    /// Makes this what was saved, with pipes that nobody has ends of yet.
    pub(crate) fn restore(&mut self, state: &TreeState) {
        let numbers = (state.last_pid, state.begins_anew);
        self.table = Table::restore(&state.entries, numbers, state.foreground, self.table.limit);
        let pipes = state.pipes.iter();
        self.pipes = pipes.map(|pipe| (pipe.number, Pipe::restore(&pipe.bytes))).collect();
        self.next_pipe = state.next_pipe % PIPE_NUMBERS;
    }

    /// Opens an end of a pipe that was restored; none if there is no such end, or somebody has it.
    pub(crate) fn restore_end(&mut self, end: u32) -> Option<Handle> {
        let handle = Handle(FIRST_END.checked_add(end)?);
        let (number, direction) = end_of(handle)?;
        self.pipes.get_mut(&number)?.open(direction).then_some(handle)
    }

    /// Lets go of what only a tree needs that is being restored.
    pub(crate) fn settle(&mut self) {
        self.pipes.retain(|_, pipe| pipe.is_open());
        self.descriptions = Descriptions::default();
    }
}

impl TreeState {
    /// Whether a tree can have been so.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let rows: BTreeMap<Pid, _> = self.entries.iter().map(|(pid, row)| (*pid, row)).collect();
        let runs =
            |pid: &Pid| rows.get(pid).is_some_and(|row| !matches!(row.state, State::Ended(_)));
        let ascends = |numbers: Vec<u32>| numbers.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascends(self.entries.iter().map(|(pid, _)| *pid).collect()) {
            return Err("has a number that comes twice");
        }
        if !runs(&ROOT) || rows[&ROOT].parent != 0 {
            return Err("has no root that runs");
        }
        let is_number = |pid: Pid| (ROOT..=MAX_PID).contains(&pid);
        if !rows.keys().chain([&self.last_pid, &self.foreground]).all(|&pid| is_number(pid)) {
            return Err("has a number that no process has");
        }
        for (&pid, row) in &rows {
            // Whoever ends leaves its children to the root.
            if pid != ROOT && !runs(&row.parent) {
                return Err("is the child of nobody");
            }
            if !is_number(row.group) || row.pending.0 >> (signal::number::LAST + 1) != 0 {
                return Err("has a group or a signal that there is not");
            }
        }
        if !self.all_come_from_the_root(&rows.iter().map(|(p, row)| (*p, row.parent)).collect()) {
            return Err("is its own ancestor");
        }
        let members: Vec<Pid> = self.members.iter().map(|member| member.pid).collect();
        if members != rows.keys().copied().filter(runs).collect::<Vec<_>>() {
            return Err("is there without a row in the table, or the other way round");
        }
        let mut queued = BTreeSet::new();
        if !self.queue.iter().all(|pid| runs(pid) && queued.insert(*pid)) {
            return Err("is to run and is not there, or is twice");
        }
        let is_pipe =
            |pipe: &PipeState| pipe.number < PIPE_NUMBERS && pipe.bytes.len() <= CAPACITY_BYTES;
        if self.pipes.len() > MOST_PIPES
            || !self.pipes.iter().all(is_pipe)
            || !ascends(self.pipes.iter().map(|pipe| pipe.number).collect())
        {
            return Err("has a pipe that there cannot be");
        }
        Ok(())
    }

    fn all_come_from_the_root(&self, parents: &BTreeMap<Pid, Pid>) -> bool {
        let mut known = BTreeSet::from([0]);
        for &pid in parents.keys() {
            let (mut path, mut at) = (Vec::new(), pid);
            while !known.contains(&at) {
                if path.len() > parents.len() {
                    return false;
                }
                path.push(at);
                at = parents.get(&at).copied().unwrap_or(0);
            }
            known.extend(path);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::MemberState;
    use crate::processes::signal::Signals;
    use crate::processes::table::{End, Entry};

    fn row(parent: Pid) -> Entry {
        Entry {
            parent,
            group: ROOT,
            state: State::Runs,
            pending: Signals::default(),
            handles_signals: false,
            name: "p".to_owned(),
        }
    }

    /// The root, a child of it, a child of that one, and a zombie.
    fn sample() -> TreeState {
        let zombie = Entry { state: State::Ended(End::Exit(3)), ..row(2) };
        let member = |pid| MemberState { pid, ..MemberState::default() };
        TreeState {
            entries: vec![(1, row(0)), (2, row(1)), (3, row(2)), (7, zombie)],
            last_pid: 7,
            foreground: 2,
            pipes: vec![
                PipeState { number: 0, bytes: vec![1] },
                PipeState { number: 4, bytes: vec![] },
            ],
            queue: vec![3, 1],
            members: [1, 2, 3].map(member).to_vec(),
            ..TreeState::default()
        }
    }

    #[test]
    fn what_no_tree_has_been_is_refused() {
        assert_eq!(sample().check(), Ok(()));
        let refused = |change: fn(&mut TreeState)| {
            let mut state = sample();
            change(&mut state);
            state.check().is_err()
        };
        assert!(refused(|state| state.entries.clear()), "nobody");
        assert!(refused(|state| state.entries[0].1.parent = 2), "a root with a parent");
        assert!(refused(|state| state.entries[0].1.state = State::Ended(End::Exit(0))), "no root");
        assert!(refused(|state| state.entries.swap(1, 2)), "another order");
        assert!(refused(|state| state.entries[1].0 = 3), "a number twice");
        assert!(refused(|state| state.entries[3].0 = MAX_PID + 1), "too large a number");
        assert!(refused(|state| state.entries[2].1.parent = 9), "a parent that is not there");
        assert!(refused(|state| state.entries[2].1.parent = 7), "a parent that has ended");
        assert!(refused(|state| state.entries[1].1.parent = 3), "a circle");
        assert!(refused(|state| state.entries[1].1.parent = 2), "a circle of one");
        assert!(refused(|state| state.entries[1].1.group = 0), "no group");
        assert!(refused(|state| state.entries[1].1.pending = Signals(1 << 31)), "no signal");
        assert!(refused(|state| state.foreground = 0), "no foreground");
        assert!(refused(|state| drop(state.members.pop())), "a row without a process");
        assert!(refused(|state| state.members[2].pid = 7), "a zombie that is there");
        assert!(refused(|state| state.queue.push(3)), "twice in the queue");
        assert!(refused(|state| state.queue.push(7)), "a zombie in the queue");
        assert!(refused(|state| state.pipes[1].number = 0), "a pipe twice");
        assert!(refused(|state| state.pipes[1].number = PIPE_NUMBERS), "too large a number");
        assert!(refused(|state| state.pipes[1].bytes = vec![0; CAPACITY_BYTES + 1]), "too much");
    }

    #[test]
    fn long_lines_of_parents_take_no_long_time() {
        let mut state = sample();
        state.entries = (1..=20_000).map(|pid| (pid, row(pid - 1))).collect();
        state.members =
            (1..=20_000).map(|pid| MemberState { pid, ..MemberState::default() }).collect();
        state.last_pid = 20_000;
        assert_eq!(state.check(), Ok(()));
    }
}
