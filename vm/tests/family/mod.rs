//! A model of a tree of processes, as POSIX describes one, and a walk that makes the same steps in the
//! model and in the kernel's table: each answer has to be the same, and so has each row after each step.
//!
//! Nothing of the table's own code is used by the model; it is written to be read beside the standard
//! (POSIX.1-2024, `fork`, `waitpid`, `setpgid`, `kill`, and "Signal Concepts").

use std::collections::{BTreeMap, BTreeSet};

use brant_kernel::Errno;
use brant_kernel::processes::signal::{Signal, can_be_handled, number};
use brant_kernel::processes::{End, ROOT, State, Table, Told, Whom};

/// Processes of a tree in this test, at most.
const LIMIT: usize = 12;

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Runs,
    Stands { by: Signal, is_known: bool },
    Zombie(End),
}

#[derive(Clone, Debug)]
struct Process {
    parent: u32,
    group: u32,
    life: Life,
    pending: BTreeSet<Signal>,
    handles: bool,
}

/// Signals that stop a process.
const STOPS: [Signal; 4] = [number::STOP, number::TSTP, number::TTIN, number::TTOU];

/// Signals that do nothing where nobody handles them. Spec: POSIX, `<signal.h>`.
fn is_ignored(signal: Signal) -> bool {
    matches!(signal, number::CHLD | number::CONT | number::URG | number::WINCH)
}

/// A tree of processes.
#[derive(Clone, Debug)]
struct Model {
    all: BTreeMap<u32, Process>,
    last: u32,
}

impl Model {
    fn new() -> Model {
        let root = Process {
            parent: 0,
            group: ROOT,
            life: Life::Runs,
            pending: BTreeSet::new(),
            handles: false,
        };
        Model { all: BTreeMap::from([(ROOT, root)]), last: ROOT }
    }

    /// A copy of a process: its group and its handler, none of its signals.
    fn fork(&mut self, pid: u32) -> Result<u32, Errno> {
        if self.all.len() >= LIMIT {
            return Err(Errno::Again);
        }
        let of = self.all.get(&pid).ok_or(Errno::NoProcess)?;
        let child =
            Process { parent: pid, life: Life::Runs, pending: BTreeSet::new(), ..of.clone() };
        self.last += 1;
        self.all.insert(self.last, child);
        Ok(self.last)
    }

    fn tell_of_child(&mut self, parent: u32) {
        if let Some(process) = self.all.get_mut(&parent)
            && !matches!(process.life, Life::Zombie(_))
        {
            process.pending.insert(number::CHLD);
        }
    }

    /// A process ends: its parent may ask how, and its children are the first process's.
    fn exit(&mut self, pid: u32, end: End) {
        let Some(process) = self.all.get_mut(&pid) else { return };
        process.life = Life::Zombie(end);
        process.pending.clear();
        let parent = process.parent;
        for child in self.all.values_mut().filter(|child| child.parent == pid) {
            child.parent = ROOT;
        }
        self.tell_of_child(parent);
        // It may have inherited children that had ended already.
        if pid != ROOT {
            self.tell_of_child(ROOT);
        }
    }

    /// What a parent hears: each end once, each stop once if it asks for stops.
    fn wait(&mut self, parent: u32, whom: Whom, with_stops: bool) -> Result<Told, Errno> {
        let is_meant = |pid: u32| match whom {
            Whom::Any => true,
            Whom::Child(only) => only == pid,
        };
        let children: Vec<u32> = self
            .all
            .iter()
            .filter(|(pid, process)| process.parent == parent && is_meant(**pid))
            .map(|(pid, _)| *pid)
            .collect();
        if children.is_empty() {
            return Err(Errno::Child);
        }
        for pid in children {
            let process = self.all.get_mut(&pid).expect("it was just there");
            match process.life {
                Life::Zombie(end) => {
                    self.all.remove(&pid);
                    return Ok(Told::Ended(pid, end));
                }
                Life::Stands { by, is_known: false } if with_stops => {
                    process.life = Life::Stands { by, is_known: true };
                    return Ok(Told::Stopped(pid, by));
                }
                _ => {}
            }
        }
        Ok(Told::Nothing)
    }

    /// Only oneself and one's children, and only into a group that is there or that it founds.
    fn set_group(&mut self, by: u32, pid: u32, group: u32) -> Result<(), Errno> {
        let parent = self.all.get(&pid).ok_or(Errno::NoProcess)?.parent;
        if by != pid && by != parent {
            return Err(Errno::NoProcess);
        }
        let is_there = group == pid || self.all.values().any(|other| other.group == group);
        if !is_there {
            return Err(Errno::NotPermitted);
        }
        self.all.get_mut(&pid).expect("it is there").group = group;
        Ok(())
    }

    fn kill(&mut self, pid: u32, signal: Signal) -> Result<(), Errno> {
        let process = self.all.get_mut(&pid).ok_or(Errno::NoProcess)?;
        if signal == 0 || matches!(process.life, Life::Zombie(_)) {
            return Ok(());
        }
        let is_from_terminal = STOPS.contains(&signal) && signal != number::STOP;
        // The group of the first process is orphaned: the terminal does not stop it.
        if pid == ROOT && is_from_terminal && !process.handles {
            return Ok(());
        }
        if signal == number::CONT || signal == number::KILL {
            process.life = Life::Runs;
            process.pending.retain(|pending| !STOPS.contains(pending));
        }
        if STOPS.contains(&signal) {
            process.pending.remove(&number::CONT);
        }
        if process.handles || !is_ignored(signal) {
            process.pending.insert(signal);
        }
        Ok(())
    }

    /// The next signal that comes to a process which can take one: KILL first, then by number.
    fn next_signal(&self, pid: u32) -> Option<Signal> {
        let process = self.all.get(&pid)?;
        let kill = process.pending.contains(&number::KILL).then_some(number::KILL);
        kill.or_else(|| process.pending.first().copied())
    }
}

/// The steps of a walk, from bytes.
struct Steps<'a>(std::slice::Iter<'a, u8>);

impl Steps<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.0.next().copied()
    }

    /// One of those that there are, or now and then a number that nobody has.
    fn pid(&mut self, model: &Model) -> Option<u32> {
        let byte = self.byte()?;
        if byte > 250 {
            return Some(u32::from(byte));
        }
        let place = usize::from(byte) % model.all.len();
        model.all.keys().nth(place).copied()
    }

    fn signal(&mut self) -> Option<Signal> {
        // Those that do more than end a process come more often.
        const OFTEN: [Signal; 8] = [
            number::KILL,
            number::CONT,
            number::STOP,
            number::TSTP,
            number::CHLD,
            number::INT,
            number::TTIN,
            0,
        ];
        let byte = self.byte()?;
        let place = usize::from(byte);
        Some(OFTEN.get(place / 24).copied().unwrap_or(byte % (number::LAST + 1)))
    }
}

fn runs(model: &Model, pid: u32) -> bool {
    model.all.get(&pid).is_some_and(|process| process.life == Life::Runs)
}

/// Walks as the bytes say, and says how many steps that were.
///
/// # Panics
/// The table and the model do not agree.
pub fn walk(bytes: &[u8]) -> usize {
    let mut steps = Steps(bytes.iter());
    let mut table = Table::new("root".to_owned(), LIMIT as u64);
    let mut model = Model::new();
    let mut count = 0;
    while step(&mut steps, &mut table, &mut model).is_some() {
        compare(&table, &model);
        count += 1;
        // The end of the first process is the end of all.
        if matches!(model.all[&ROOT].life, Life::Zombie(_)) {
            break;
        }
    }
    count
}

fn step(steps: &mut Steps<'_>, table: &mut Table, model: &mut Model) -> Option<()> {
    let (what, pid) = (steps.byte()?, steps.pid(model)?);
    match what % 16 {
        // Only who runs can call.
        0..=3 if runs(model, pid) => {
            let handles = model.all[&pid].handles;
            assert_eq!(table.add(pid, handles), model.fork(pid), "fork by {pid}");
        }
        4 if runs(model, pid) => {
            let code = i32::from(steps.byte()?);
            table.end(pid, End::Exit(code));
            model.exit(pid, End::Exit(code));
        }
        5..=7 if runs(model, pid) => {
            let (flags, child) = (steps.byte()?, steps.pid(model)?);
            let whom = if flags & 1 == 0 { Whom::Any } else { Whom::Child(child) };
            let with_stops = flags & 2 != 0;
            let told = table.ask(pid, whom, with_stops);
            assert_eq!(told, model.wait(pid, whom, with_stops), "wait by {pid} for {whom:?}");
        }
        8..=9 if runs(model, pid) => {
            let (other, group) = (steps.pid(model)?, steps.pid(model)?);
            let set = table.set_group(pid, other, group);
            assert_eq!(set, model.set_group(pid, other, group), "{pid} puts {other} into {group}");
        }
        10..=12 => {
            let signal = steps.signal()?;
            let sent = table.send(pid, signal).map(drop);
            assert_eq!(sent, model.kill(pid, signal), "{signal} to {pid}");
        }
        13 if runs(model, pid) => {
            let handles = steps.byte()? % 2 == 1;
            table.get_mut(pid).expect("it runs").handles_signals = handles;
            model.all.get_mut(&pid).expect("it runs").handles = handles;
        }
        14..=15 => deliver(table, model, pid),
        _ => {}
    }
    Some(())
}

/// A signal comes to a process, as whoever runs the tree brings it.
fn deliver(table: &mut Table, model: &mut Model, pid: u32) {
    // Who stands gets none but those that have it go on, which it does then.
    if !runs(model, pid) {
        return;
    }
    let expected = model.next_signal(pid);
    let came = table.get_mut(pid).expect("it runs").pending.take_next();
    assert_eq!(came, expected, "what comes to {pid}");
    let Some(signal) = came else { return };
    let process = model.all.get_mut(&pid).expect("it runs");
    process.pending.remove(&signal);
    if process.handles && can_be_handled(signal) {
        return;
    }
    if is_ignored(signal) {
        return;
    }
    if STOPS.contains(&signal) {
        process.life = Life::Stands { by: signal, is_known: false };
        let parent = process.parent;
        model.tell_of_child(parent);
        assert_eq!(table.stop(pid, signal), parent);
        return;
    }
    table.end(pid, End::Signal(signal));
    model.exit(pid, End::Signal(signal));
}

fn compare(table: &Table, model: &Model) {
    let pids: Vec<u32> = table.iter().map(|(pid, _)| pid).collect();
    assert_eq!(pids, model.all.keys().copied().collect::<Vec<_>>());
    for (pid, entry) in table.iter() {
        let process = &model.all[&pid];
        assert_eq!((entry.parent, entry.group), (process.parent, process.group), "{pid}");
        let state = match process.life {
            Life::Runs => State::Runs,
            Life::Stands { by, is_known } => State::Stopped { signal: by, is_told: is_known },
            Life::Zombie(end) => State::Ended(end),
        };
        assert_eq!(entry.state, state, "{pid}");
        let pending: BTreeSet<Signal> =
            (0..=number::LAST).filter(|&signal| entry.pending.contains(signal)).collect();
        assert_eq!(pending, process.pending, "signals of {pid}");
        assert_eq!(entry.handles_signals, process.handles);
        // Nobody is an orphan: each parent is there, and none has ended unless it is asked for.
        assert!(pid == ROOT || table.get(entry.parent).is_ok(), "{pid} has no parent");
    }
    for group in model.all.values().map(|process| process.group) {
        let members: Vec<u32> = model
            .all
            .iter()
            .filter(|(_, other)| other.group == group && !matches!(other.life, Life::Zombie(_)))
            .map(|(pid, _)| *pid)
            .collect();
        assert_eq!(table.group(group), members, "group {group}");
    }
}
