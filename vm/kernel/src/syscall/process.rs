//! Processes: who one is, how one ends, copies of oneself, other programs, what became of children.
//!
//! What needs another process to be made waits for whoever runs the tree: the call says what it
//! asks ([`Request`]) and is made again with the answer as its progress.

use brant_engine::GuestMemory;

use crate::errno::Errno;
use crate::host::Kind;
use crate::kernel::{CallResult, Kernel, Stopped, Wait};
use crate::manifest::Manifest;
use crate::processes::{End, Member, Pid, ROOT, Request, Told, Whom, signal};
use crate::syscall::Syscall;

/// No process has this number.
const NO_PID: u32 = 0;
/// Flags of `proc_join`.
const NON_BLOCKING: u32 = 1;
const WAKE_STOPPED: u32 = 2;
/// How an answer to a request is written as the progress of the call: a value, or an error.
const VALUE: u64 = 1 << 40;
const ERROR: u64 = 1 << 41;

/// The answer to a request, as the call that waits for it finds it.
pub fn answer(result: Result<Pid, Errno>) -> u64 {
    match result {
        Ok(value) => VALUE | u64::from(value),
        Err(errno) => ERROR | u64::from(errno.code()),
    }
}

impl Kernel {
    /// `proc_exit(code)`: ends the process.
    ///
    /// Never returns. Spec: `proc_exit`.
    pub(crate) fn proc_exit(&mut self, _: &mut GuestMemory<'_>, code: u32) -> CallResult {
        Err(Stopped::Exit(code as i32))
    }

    /// `proc_exit2(code)`: ends the process.
    ///
    /// Never returns. Spec: WASIX, `proc_exit2`.
    pub(crate) fn proc_exit2(&mut self, memory: &mut GuestMemory<'_>, code: u32) -> CallResult {
        self.proc_exit(memory, code)
    }

    /// `sched_yield()`: nobody else runs here, so there is nobody to give way to.
    ///
    /// Errors: none. Spec: `sched_yield`.
    pub(crate) fn sched_yield(&mut self, _: &mut GuestMemory<'_>) -> CallResult {
        Ok(())
    }

    /// The number of this process.
    pub fn number(&self) -> Pid {
        self.member.as_ref().map_or(ROOT, |member| member.pid)
    }

    /// `proc_id(pid)`: the number of the process.
    ///
    /// Errors: fault. Spec: WASIX, `proc_id`.
    pub(crate) fn proc_id(&mut self, memory: &mut GuestMemory<'_>, pid: u32) -> CallResult {
        Ok(memory.write_u32(pid.into(), self.number())?)
    }

    /// `proc_parent(pid, parent)`: the number of a process's parent; 0 where it has none.
    ///
    /// Errors: srch for a process that is not there, fault. Spec: WASIX, `proc_parent`.
    pub(crate) fn proc_parent(
        &mut self, memory: &mut GuestMemory<'_>, pid: u32, parent: u32,
    ) -> CallResult {
        let found = match &self.member {
            Some(member) => member.tree.lock().table.get(pid)?.parent,
            None if pid == ROOT => NO_PID,
            None => return Err(Errno::NoProcess.into()),
        };
        Ok(memory.write_u32(parent.into(), found)?)
    }

    /// The tree that the process is in.
    ///
    /// # Errors
    /// notsup where there is none.
    pub(super) fn tree(&self) -> Result<Member, Errno> {
        self.member.clone().ok_or(Errno::NotSupported)
    }

    /// The answer to what this call has asked, if it has.
    pub(super) fn answered(&self, call: Syscall) -> Option<Result<Pid, Errno>> {
        let progress = self.parked(call)?.progress_bytes;
        if progress & VALUE != 0 {
            return Some(Ok(progress as u32));
        }
        if progress & ERROR != 0 {
            let errno = Errno::ALL.get((progress & 0xffff) as usize).copied();
            return Some(Err(errno.unwrap_or(Errno::Again)));
        }
        None
    }

    /// Waits for the answer to a request.
    pub(super) fn ask(&mut self, request: Request) -> Stopped {
        self.request = Some(request);
        Stopped::Block(Wait { waits_for: Vec::new(), deadline_ns: None, progress_bytes: 0 })
    }

    /// What the process has just asked of whoever runs its tree.
    pub fn take_request(&mut self) -> Option<Request> {
        self.request.take()
    }

    /// Its place in a tree.
    pub fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    /// Puts a process that has just been made into a tree, whose host is its host from now on.
    pub fn join_tree(&mut self, member: Member) {
        self.host = Box::new(member.clone());
        if member.pid == ROOT {
            member.tree.lock().counted = self.counted;
        }
        self.member = Some(member);
    }

    /// The kernel of a child: it has duplicates of all descriptors, and may do what this may.
    pub(super) fn child(&mut self, pid: Pid) -> Result<Kernel, Errno> {
        let member = Member { pid, ..self.tree()? };
        let mut child = Kernel::empty(self.manifest.clone(), Box::new(member.clone()));
        child.descriptors = self.descriptors.clone();
        child.sockets = self.sockets.clone();
        child.names = self.names.clone();
        child.member = Some(member);
        child.ahead = self.ahead;
        child.signal_handler.clone_from(&self.signal_handler);
        Ok(child)
    }

    /// What is granted to any process of the tree.
    pub fn grants(&self) -> Manifest {
        Manifest { args: Vec::new(), env: Vec::new(), ..self.manifest.clone() }
    }

    /// Closes everything, because the process has ended.
    pub fn close_all(&mut self) {
        for descriptor in self.descriptors.take(|_| true) {
            // Nobody is left to be told.
            let _ = self.let_go(descriptor);
        }
    }

    /// Has the process run another program: it keeps its number, and what is not to be closed.
    pub fn exec(&mut self, args: Vec<Vec<u8>>, env: Option<Vec<Vec<u8>>>) {
        for descriptor in self.descriptors.take(|descriptor| descriptor.closes_on_exec) {
            let _ = self.let_go(descriptor);
        }
        self.signal_handler = None;
        self.manifest.env = env.unwrap_or_else(|| std::mem::take(&mut self.manifest.env));
        self.manifest.args = args;
        self.tell_table();
    }

    /// Writes what the table says of the process.
    pub(super) fn tell_table(&self) {
        let Some(member) = &self.member else { return };
        if let Ok(entry) = member.tree.lock().table.get_mut(member.pid) {
            let name = self.manifest.args.first().map(|name| String::from_utf8_lossy(name));
            entry.name = name.unwrap_or_default().into_owned();
            entry.handles_signals = self.signal_handler.is_some();
        }
    }

    /// `proc_fork(copy_memory, pid)`: makes a copy of the process that goes on from this very call:
    /// with 0 in the copy, with the number of the copy here.
    ///
    /// Memory is always copied (as far as it is changed), so that a copy that runs another program
    /// at once costs little, and nobody has to stand still for it.
    ///
    /// Errors: fault, again at the limit of processes, nomem, notsup where the process is in no
    /// tree or in another thread than its first. Spec: WASIX, `proc_fork`.
    pub(crate) fn proc_fork(
        &mut self, memory: &mut GuestMemory<'_>, _copy_memory: u32, pid: u32,
    ) -> CallResult {
        if let Some(answer) = self.answered(Syscall::ProcFork) {
            return Ok(memory.write_u32(pid.into(), answer?)?);
        }
        memory.slice(pid.into(), 4)?;
        let member = self.tree()?;
        let handles = self.signal_handler.is_some();
        let child_pid = member.tree.lock().table.add(member.pid, handles)?;
        let child = self.child(child_pid)?;
        Err(self.ask(Request::Fork(child_pid, Box::new(child))))
    }

    /// `proc_join(pid, flags, status)`: what has become of a child: of the one that `pid` (an
    /// option: tag, number) names, or of any. Waits for it unless `flags` has 1; with 2 it also
    /// tells of one that was stopped. Writes the number of the child to `pid`.
    ///
    /// The status is six bytes: a tag (0 nothing, 1 exit, 2 signal, 3 stopped), and from the third
    /// on the exit code as u16 (1, 2), and the signal (2: as the fifth byte, 3: as the third).
    ///
    /// Errors: fault, inval, child if there is none, intr. Spec: WASIX, `proc_join`.
    pub(crate) fn proc_join(
        &mut self, memory: &mut GuestMemory<'_>, pid: u32, flags: u32, status: u32,
    ) -> CallResult {
        let (pid, status) = (u64::from(pid), u64::from(status));
        if flags > NON_BLOCKING | WAKE_STOPPED {
            return Err(Errno::Invalid.into());
        }
        memory.slice(status, 6)?;
        let whom = match memory.read_u8(pid)? {
            0 => Whom::Any,
            1 => Whom::Child(memory.read_u32(pid + 4)?),
            _ => return Err(Errno::Invalid.into()),
        };
        memory.slice(pid, 8)?;
        let Some(member) = self.member.clone() else { return Err(Errno::Child.into()) };
        let told = member.tree.lock().table.ask(member.pid, whom, flags & WAKE_STOPPED != 0)?;
        let mut bytes = [0; 6];
        let child = match told {
            Told::Nothing if flags & NON_BLOCKING == 0 => {
                let waits_for = Vec::new();
                return Err(Stopped::Block(Wait {
                    waits_for,
                    deadline_ns: None,
                    progress_bytes: 0,
                }));
            }
            Told::Nothing => 0,
            Told::Ended(child, End::Exit(code)) => {
                bytes[0] = 1;
                bytes[2..4].copy_from_slice(&(code as u16).to_le_bytes());
                child
            }
            Told::Ended(child, End::Signal(signal)) => {
                bytes[0] = 2;
                bytes[2..4].copy_from_slice(&(128 + u16::from(signal)).to_le_bytes());
                bytes[4] = signal;
                child
            }
            Told::Stopped(child, signal) => {
                (bytes[0], bytes[2]) = (3, signal);
                child
            }
        };
        let mut option = [0; 8];
        option[0] = u8::from(child != 0);
        option[4..8].copy_from_slice(&child.to_le_bytes());
        memory.write(pid, &option)?;
        Ok(memory.write(status, &bytes)?)
    }

    /// `proc_group(pid, group)`: the group of a process; 0 is the process itself. Ours.
    ///
    /// Errors: srch, fault.
    pub(crate) fn proc_group(
        &mut self, memory: &mut GuestMemory<'_>, pid: u32, group: u32,
    ) -> CallResult {
        let pid = if pid == 0 { self.number() } else { pid };
        let found = match &self.member {
            Some(member) => member.tree.lock().table.get(pid)?.group,
            None if pid == ROOT => ROOT,
            None => return Err(Errno::NoProcess.into()),
        };
        Ok(memory.write_u32(group.into(), found)?)
    }

    /// `proc_group_set(pid, group)`: puts the process or a child (0 is the process itself) into a
    /// group that is there, or (its own number, or 0) into one that it founds. Ours.
    ///
    /// Errors: srch, perm for a group that is not there, notsup.
    pub(crate) fn proc_group_set(
        &mut self, _: &mut GuestMemory<'_>, pid: u32, group: u32,
    ) -> CallResult {
        let member = self.tree()?;
        let pid = if pid == 0 { member.pid } else { pid };
        let group = if group == 0 { pid } else { group };
        Ok(member.tree.lock().table.set_group(member.pid, pid, group)?)
    }

    /// `tty_foreground(group)`: the group that signals of the terminal go to. Ours.
    ///
    /// Errors: fault.
    pub(crate) fn tty_foreground(
        &mut self, memory: &mut GuestMemory<'_>, group: u32,
    ) -> CallResult {
        let found = self.member.as_ref().map_or(ROOT, |m| m.tree.lock().table.foreground);
        Ok(memory.write_u32(group.into(), found)?)
    }

    /// `tty_foreground_set(group)`: has signals of the terminal go to a group. Ours.
    ///
    /// Errors: srch for a group that is not there, notsup.
    pub(crate) fn tty_foreground_set(&mut self, _: &mut GuestMemory<'_>, group: u32) -> CallResult {
        let member = self.tree()?;
        let mut core = member.tree.lock();
        if core.table.group(group).is_empty() {
            return Err(Errno::NoProcess.into());
        }
        core.table.foreground = group;
        member.tree.terminal().want();
        Ok(())
    }

    /// `tty_get(state)`: columns, rows, and twice 0 (sizes in pixels are not known) as u32; then a
    /// byte each: whether descriptors 0, 1, 2 are a terminal, and whether it shows what is typed, and
    /// gives it line by line. WINCH says that it has changed.
    ///
    /// Errors: fault. Spec: WASIX, `tty_get`.
    pub(crate) fn tty_get(&mut self, memory: &mut GuestMemory<'_>, state: u32) -> CallResult {
        let is_terminal =
            |fd| self.descriptors.get(fd).is_ok_and(|found| found.kind == Kind::CharacterDevice);
        let streams = [0, 1, 2].map(is_terminal);
        let is_there = streams.contains(&true);
        let size = if is_there { self.host.terminal_size() } else { None };
        let (columns, rows) = size.unwrap_or((0, 0));
        let mut bytes = [0; 24];
        bytes[..4].copy_from_slice(&u32::from(columns).to_le_bytes());
        bytes[4..8].copy_from_slice(&u32::from(rows).to_le_bytes());
        for (place, truth) in bytes[16..21].iter_mut().zip(streams.iter().chain(&[is_there; 2])) {
            *place = u8::from(*truth);
        }
        Ok(memory.write(state.into(), &bytes)?)
    }

    /// `proc_raise(signal)`: does what the signal does: what a handler does, or, by default, nothing,
    /// or the end with 128 and its number.
    ///
    /// Errors: inval for an unknown signal. Spec: `proc_raise`.
    pub(crate) fn proc_raise(&mut self, _: &mut GuestMemory<'_>, signal: u32) -> CallResult {
        let signal = signal_number(signal)?;
        match &self.member {
            Some(member) => Ok(member.tree.lock().send(member.pid, signal)?),
            None if signal::default_action(signal) == signal::DefaultAction::Ignore => Ok(()),
            None => Err(Stopped::Exit(128 + i32::from(signal))),
        }
    }

    /// `proc_signal(pid, signal)`: sends a signal to a process; 0 only asks whether it is there.
    /// Ours: a number with the upper bit set is a group's.
    ///
    /// Errors: srch, inval for an unknown signal. Spec: WASIX, `proc_signal`.
    pub(crate) fn proc_signal(
        &mut self, memory: &mut GuestMemory<'_>, pid: u32, signal: u32,
    ) -> CallResult {
        let number = signal_number(signal)?;
        let Some(member) = &self.member else {
            return match pid {
                ROOT => self.proc_raise(memory, signal),
                _ => Err(Errno::NoProcess.into()),
            };
        };
        let mut core = member.tree.lock();
        let sent = match pid & GROUP {
            0 => core.send(pid, number),
            _ => core.send_to_group(pid & !GROUP, number),
        };
        Ok(sent?)
    }

    /// `callback_signal(callback, callback_len)`: names the exported function that signals are told
    /// to from now on; an empty name gives them their default actions back. A name that cannot be
    /// read changes nothing.
    ///
    /// Returns nothing. Spec: WASIX, `callback_signal`.
    pub(crate) fn callback_signal(
        &mut self, memory: &mut GuestMemory<'_>, callback: u32, callback_len: u32,
    ) -> CallResult {
        const LONGEST_NAME: u32 = 256;
        if callback_len > LONGEST_NAME {
            return Err(Errno::NameTooLong.into());
        }
        let name = memory.slice(callback.into(), callback_len.into())?.to_vec();
        let name = String::from_utf8(name).map_err(|_| Errno::IllegalByteSequence)?;
        self.signal_handler = Some(name).filter(|name| !name.is_empty());
        if let (Some(_), Some(member)) = (&self.signal_handler, &self.member) {
            member.tree.terminal().want();
        }
        self.tell_table();
        Ok(())
    }

    /// The function that signals are told to.
    pub fn signal_handler(&self) -> Option<&str> {
        self.signal_handler.as_deref()
    }

    /// What writing to a pipe that nobody reads does: the signal PIPE.
    pub(super) fn broken_pipe(&mut self) -> Stopped {
        match &self.member {
            Some(member) if self.signal_handler.is_some() => {
                // It is there: it makes this call.
                let _ = member.tree.lock().send(member.pid, signal::number::PIPE);
                Errno::BrokenPipe.into()
            }
            _ => Stopped::Exit(128 + i32::from(signal::number::PIPE)),
        }
    }

    /// Whether the call that is being gone on with was interrupted by a signal.
    pub(crate) fn is_interrupted(&self) -> bool {
        matches!(&self.run_state, crate::RunState::Parked(parked) if parked.is_interrupted)
    }
}

/// Marks the number of a group where a process is meant otherwise.
const GROUP: u32 = 1 << 31;

fn signal_number(signal: u32) -> Result<signal::Signal, Errno> {
    let number = u8::try_from(signal).map_err(|_| Errno::Invalid)?;
    if number <= signal::number::LAST { Ok(number) } else { Err(Errno::Invalid) }
}
