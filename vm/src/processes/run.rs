//! Who runs next, who waits, and for what.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use brant_engine::Val;
use brant_kernel::Errno;
use brant_kernel::host::{Clock, Interest};
use brant_kernel::processes::signal::number;
use brant_kernel::processes::{End, Pid, ROOT, State, Waits};

use super::{Relatives, Slice};
use crate::process::Pause;
use crate::system::System;
use crate::threads::{ThreadPolicy, Ticker};
use crate::{Error, Process, Stopped};

/// So many slices may pass before those who wait for the host are looked at.
const UNASKED_SLICES: u32 = 32;

impl Relatives {
    /// Those of a process that is the first one of a tree.
    pub fn of(root: &mut Process) -> Option<Box<Relatives>> {
        if !root.is_root() {
            return None;
        }
        if let Some(relatives) = root.relatives.take() {
            return Some(relatives);
        }
        let tree = root.store.data::<System>().member()?.tree.clone();
        // Threads of a process take turns within its slices.
        root.set_thread_policy(ThreadPolicy::User);
        Some(Box::new(Relatives {
            tree,
            others: BTreeMap::new(),
            queue: VecDeque::new(),
            waiting: BTreeMap::new(),
            programs: HashMap::new(),
            ticker: None,
            is_virtual: root.store.engine().config().deterministic,
            unasked: 0,
        }))
    }

    /// Runs all until the function ends that the first process runs, or until something stops them.
    pub fn run(&mut self, root: &mut Process) -> Result<Vec<Val>, Pause> {
        self.make_ready(ROOT);
        loop {
            if let Some(why) = root.stopped() {
                return Err(Pause::Stopped(why));
            }
            self.tree.hear_terminal();
            self.wake();
            if self.unasked >= UNASKED_SLICES {
                self.ask_host(Some(0))?;
            }
            let Some(pid) = self.queue.pop_front() else {
                self.ask_host(None)?;
                continue;
            };
            self.unasked += 1;
            if pid == ROOT {
                if let Some(end) = self.run_root(root)? {
                    return Ok(end);
                }
            } else if let Some(process) = self.others.remove(&pid) {
                self.run_other(root, pid, process)?;
            }
        }
    }

    /// Has the first process run; gives what its function returned.
    fn run_root(&mut self, root: &mut Process) -> Result<Option<Vec<Val>>, Pause> {
        if let Some(end) = self.signal(ROOT, root) {
            self.end_all();
            return Err(root.exit(end.code()));
        }
        if self.is_stopped(ROOT) {
            return Ok(None);
        }
        if let Some(ticker) = &self.ticker {
            ticker.turn_of_store(&root.store);
        }
        let began = Instant::now();
        let slice = root.slice();
        root.busy += began.elapsed();
        if let Some(ticker) = &self.ticker {
            ticker.turn_of(None);
        }
        match slice {
            Slice::GivesWay => self.queue.push_back(ROOT),
            Slice::Waits(waits) => self.awaits(ROOT, waits),
            Slice::Asks(asked) => {
                self.serve(root, asked)?;
                self.queue.push_front(ROOT);
            }
            Slice::Ends(Ok(values)) => {
                if root.last_purpose == brant_mobility::Purpose::Program {
                    self.end_all();
                }
                return Ok(Some(values));
            }
            Slice::Ends(Err(Pause::Stopped(why))) => {
                self.queue.push_front(ROOT);
                return Err(Pause::Stopped(why));
            }
            Slice::Ends(Err(pause)) => {
                self.end_all();
                return Err(pause);
            }
        }
        Ok(None)
    }

    /// Has another process run.
    fn run_other(
        &mut self, root: &mut Process, pid: Pid, mut process: Box<Process>,
    ) -> Result<(), Pause> {
        match self.slice_of(root, pid, &mut process) {
            Ok(Some(end)) => self.end(pid, &mut process, end),
            Ok(None) => drop(self.others.insert(pid, process)),
            Err(pause) => {
                self.others.insert(pid, process);
                return Err(pause);
            }
        }
        Ok(())
    }

    /// Gives another process a slice; gives its end, if it ends.
    fn slice_of(
        &mut self, root: &mut Process, pid: Pid, process: &mut Process,
    ) -> Result<Option<End>, Pause> {
        if let Some(end) = self.signal(pid, process) {
            return Ok(Some(end));
        }
        if self.is_stopped(pid) {
            return Ok(None);
        }
        // There is one tank of fuel for all.
        process.store.add_fuel(root.store.take_fuel());
        if let Some(ticker) = &self.ticker {
            ticker.turn_of_store(&process.store);
        }
        let began = Instant::now();
        let slice = process.slice();
        process.busy += began.elapsed();
        if let Some(ticker) = &self.ticker {
            ticker.turn_of(None);
        }
        root.store.add_fuel(process.store.take_fuel());
        match slice {
            Slice::GivesWay => self.queue.push_back(pid),
            Slice::Waits(waits) => self.awaits(pid, waits),
            Slice::Asks(asked) => {
                self.serve(process, asked)?;
                self.queue.push_front(pid);
            }
            Slice::Ends(Err(Pause::Stopped(Stopped::OutOfFuel))) => {
                self.queue.push_front(pid);
                return Err(Pause::Stopped(Stopped::OutOfFuel));
            }
            Slice::Ends(Err(Pause::Stopped(_))) => self.queue.push_back(pid),
            Slice::Ends(Ok(_)) => return Ok(Some(End::Exit(0))),
            Slice::Ends(Err(Pause::Exit(code))) => return Ok(Some(End::Exit(code))),
            Slice::Ends(Err(Pause::Error(error))) => {
                self.report(pid, process, &error);
                return Ok(Some(End::Signal(number::ABRT)));
            }
        }
        Ok(None)
    }

    /// Tells of a process that ends by a trap where it would have told of errors.
    fn report(&self, pid: Pid, process: &mut Process, error: &Error) {
        let name = self.tree.lock().table.get(pid).map(|entry| entry.name.clone());
        let name = name.unwrap_or_default();
        process.system().with_kernel(|kernel| kernel.say(&format!("{name} ({pid}): {error}\n")));
    }

    /// A process has ended: all that is left of it is how.
    fn end(&mut self, pid: Pid, process: &mut Process, end: End) {
        process.system().with_kernel(brant_kernel::Kernel::close_all);
        self.tree.lock().ended(pid, end);
    }

    /// The first process has ended, and so do all.
    fn end_all(&mut self) {
        for (pid, mut process) in std::mem::take(&mut self.others) {
            self.end(pid, &mut process, End::Signal(number::KILL));
        }
        self.queue.clear();
        self.waiting.clear();
        self.ticker = None;
    }

    /// A process waits.
    fn awaits(&mut self, pid: Pid, waits: Waits) {
        self.waiting.insert(pid, waits);
    }

    fn is_stopped(&self, pid: Pid) -> bool {
        let core = self.tree.lock();
        core.table.get(pid).is_ok_and(|entry| matches!(entry.state, State::Stopped { .. }))
    }

    /// Has a process run that may be able to.
    fn make_ready(&mut self, pid: Pid) {
        self.waiting.remove(&pid);
        if !self.queue.contains(&pid) {
            self.queue.push_back(pid);
        }
    }

    /// Has those run that something has become of.
    pub(super) fn wake(&mut self) {
        let woken = self.tree.lock().take_woken();
        for pid in woken {
            if pid == ROOT || self.others.contains_key(&pid) {
                self.make_ready(pid);
            }
        }
    }

    /// Asks the host whether anybody can go on; waits until somebody can, or until `deadline_ns` on
    /// its clock.
    fn ask_host(&mut self, deadline_ns: Option<u64>) -> Result<(), Pause> {
        self.unasked = 0;
        let (mut interests, mut whose) = (Vec::new(), Vec::new());
        let mut earliest_ns = deadline_ns;
        for (&pid, waits) in &self.waiting {
            for &(object, direction) in &waits.objects {
                interests.push(Interest { object, direction, ready: None });
                whose.push(pid);
            }
            if let Some(ns) = waits.deadline_ns {
                earliest_ns = Some(earliest_ns.map_or(ns, |earliest| earliest.min(ns)));
            }
        }
        let is_timed = self.waiting.values().any(|waits| waits.deadline_ns.is_some());
        if deadline_ns.is_some() && interests.is_empty() && !is_timed {
            return Ok(());
        }
        let mut core = self.tree.lock();
        let waited = core.host.wait(&mut interests, earliest_ns);
        let fail = |errno: Errno| Pause::Error(Error::host(errno));
        if let Err(errno) = waited
            && errno != Errno::Interrupted
        {
            return Err(fail(errno));
        }
        let now_ns = match is_timed {
            true => core.host.now_ns(Clock::Monotonic).map_err(fail)?,
            false => 0,
        };
        drop(core);
        let ready = interests.iter().zip(whose).filter(|(interest, _)| interest.ready.is_some());
        let mut due: Vec<Pid> = ready.map(|(_, pid)| pid).collect();
        let is_due = |waits: &Waits| waits.deadline_ns.is_some_and(|ns| ns <= now_ns);
        due.extend(self.waiting.iter().filter(|(_, w)| is_due(w)).map(|(&pid, _)| pid));
        due.into_iter().for_each(|pid| self.make_ready(pid));
        Ok(())
    }

    /// Has slices end by the clock, because there is somebody to give way to.
    pub(super) fn tick(&mut self) -> Result<(), Error> {
        if self.ticker.is_none() && !self.is_virtual {
            self.ticker = Some(Ticker::start()?);
        }
        Ok(())
    }
}
