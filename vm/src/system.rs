//! The system of a process: its kernel, and how system calls get from the engine to it.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brant_engine::{Caller, Flow, Func, FuncType, GuestMemory, HostError, Store, Val, ValType};
use brant_host::native::{Gate, NativeHost};
use brant_host::sim::SimHost;
use brant_kernel::host::{Answer, Clock, Host, Waker, Woken};
use brant_kernel::processes::signal::Signals;
use brant_kernel::processes::{Member, Pid, ROOT, Request, Tree, Waits};
use brant_kernel::syscall::{MOST_PARAMS, answer};
use brant_kernel::{CALLS, Errno, Kernel, Manifest, Outcome, Parked, RunState, Syscall, trace};

use brant_mobility::{RestoreError, Snapshot};

use crate::streams::{Input, Output, Streams};
use crate::threads::{self, Births};
use crate::{Error, Limits};

/// So often whoever has waited lets others have the kernel before it waits again.
const GIVE_WAY_COUNT: usize = 100;

/// What a program is granted.
#[derive(Default)]
pub(crate) struct Grants {
    pub manifest: Manifest,
    pub input: Input,
    pub output: Output,
    pub error: Output,
    pub trace: Option<Trace>,
    /// Addresses of listeners whose sockets stay on this host when the process leaves.
    pub served: Vec<String>,
    /// Input here ends waits.
    pub doorbell: Option<OwnedFd>,
    /// The seed, if time and chance are fixed.
    pub seed: Option<u64>,
    /// Whether the program may come to have other processes beside it.
    pub has_tree: bool,
}

/// What the store of a thread carries: the system of its process, and what is the thread's own.
pub(crate) struct System {
    shared: Arc<Shared>,
    /// The call in which the thread stands.
    run_state: RunState,
    /// The embedder's data, which the first thread of a process has.
    pub user_data: Box<dyn Any + Send>,
    /// Threads that the program has made.
    pub births: Arc<Births>,
    /// Its place in a tree of processes, if it can be in one.
    member: Option<Member>,
    /// Whether it is the process that the embedder has.
    pub is_root: bool,
    /// Knows which sockets stay on this host when the process leaves, if any do.
    gate: Option<Gate>,
}

/// What all threads of a process share.
struct Shared {
    core: Mutex<Core>,
    /// How many threads want the kernel while another one has it.
    wanting: AtomicUsize,
    /// Whether who has it waits in the host.
    is_waiting: AtomicBool,
    /// Ends that wait.
    waker: Arc<dyn Waker>,
}

struct Core {
    kernel: Kernel,
    /// Who sees its calls.
    traces: Vec<Trace>,
}

/// A system call, as a trace sees it when it ends or begins to wait.
#[derive(Clone, Copy, Debug)]
pub struct TracedCall<'a> {
    /// The number of the process that made it: 1 is the one that was there first.
    pub pid: u32,
    /// The module that defines it.
    pub module: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its topic.
    pub group: &'static str,
    /// Its arguments as the guest gave them.
    pub args: &'a [u64],
    /// How it ended.
    pub end: TracedEnd,
    /// All of it in one line, as strace prints calls.
    pub line: &'a str,
}

/// How a traced call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TracedEnd {
    /// With an error by its name, `success` where there was none.
    Errno(&'static str),
    /// It waits; the same call is seen again when it ends.
    Waits,
    /// It ended the program with this code.
    Exit(i32),
}

/// The root of a tree, and the host as it sees it.
fn in_tree(tree: Tree) -> (Box<dyn Host>, Option<Member>) {
    let member = Member { tree, pid: ROOT };
    (Box::new(member.clone()), Some(member))
}

/// Whether whoever sees calls wants to see more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// It does.
    GoesOn,
    /// It does not: it is not told any more.
    IsOver,
}

/// Who sees calls, each with its answer whether it goes on.
type See = dyn FnMut(&TracedCall<'_>) -> Watched + Send;

/// Who wants to see which calls. A copy is the same one, for another process.
#[derive(Clone)]
pub(crate) struct Trace {
    /// Topics by name; none for all.
    groups: Arc<[String]>,
    see: Arc<Mutex<See>>,
}

impl Trace {
    /// Shows calls of these topics, of all where none is named.
    pub fn new(
        groups: &[&str], see: impl FnMut(&TracedCall<'_>) -> Watched + Send + 'static,
    ) -> Trace {
        let groups = groups.iter().map(ToString::to_string).collect();
        Trace { groups, see: Arc::new(Mutex::new(see)) }
    }

    fn call(
        &self, pid: Pid, call: Syscall, args: &[u64], outcome: Outcome, memory: &GuestMemory<'_>,
    ) -> Watched {
        let row = call.row();
        let group = row.group.name();
        if !self.groups.is_empty() && !self.groups.iter().any(|wanted| wanted == group) {
            return Watched::GoesOn;
        }
        let end = match outcome {
            Outcome::Done(errno) => TracedEnd::Errno(errno.name()),
            Outcome::Block => TracedEnd::Waits,
            Outcome::Exit(code) => TracedEnd::Exit(code),
        };
        let line = trace::line(call, args, outcome, memory);
        let mut see = self.see.lock().unwrap_or_else(PoisonError::into_inner);
        see(&TracedCall {
            pid,
            module: row.module.name(),
            name: row.name,
            group,
            args,
            end,
            line: &line,
        })
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The call that waits can go on.
    Ready,
    /// Somebody asked for it.
    Interrupted,
}

impl Waited {
    fn of(answer: Answer<Woken>) -> Waited {
        match answer {
            Ok(Woken::Interrupted) => Waited::Interrupted,
            // A host that cannot wait has no time that could pass.
            Ok(Woken::Ready | Woken::Deadline) | Err(_) => Waited::Ready,
        }
    }
}

/// The topics of system calls, by which a trace can be narrowed.
pub fn system_call_groups() -> impl Iterator<Item = &'static str> {
    let mut seen = Vec::new();
    CALLS.iter().map(|call| call.group.name()).filter(move |name| {
        let is_new = !seen.contains(name);
        seen.push(name);
        is_new
    })
}

/// Whether brant itself fills an import of this name.
pub fn provides(module: &str, name: &str) -> bool {
    Syscall::from_import(module, name).is_some() || threads::provides(module, name)
}

/// This machine, as a process has it.
fn native(doorbell: Option<OwnedFd>, gate: Option<Gate>) -> NativeHost {
    let mut host = NativeHost::new();
    if let Some(doorbell) = doorbell {
        host = host.with_doorbell(doorbell);
    }
    if let Some(gate) = gate {
        host = host.with_gate(gate);
    }
    host
}

impl System {
    /// Opens what is granted; with a state, what that asks for and is granted.
    ///
    /// # Errors
    /// Something cannot be had.
    pub fn new(
        grants: Grants, limits: &Limits, host: Option<Box<dyn Host>>,
        user_data: Box<dyn Any + Send>, snapshot: Option<&Snapshot>,
    ) -> Result<System, Error> {
        let Grants { mut manifest, input, output, error, trace, served, doorbell, seed, has_tree } =
            grants;
        manifest.limits.descriptors = limits.descriptors_count;
        manifest.limits.sockets = limits.sockets_count;
        manifest.limits.disk_bytes = limits.disk_bytes.unwrap_or(u64::MAX);
        let gate = match served.is_empty() || host.is_some() {
            true => None,
            false => Some(Gate::new(served).map_err(|error| Error::Host(error.into()))?),
        };
        let host = host.unwrap_or_else(|| Box::new(native(doorbell, gate.clone())));
        let all_inherited =
            matches!((&input, &output, &error), (Input::Inherit, Output::Inherit, Output::Inherit));
        let host: Box<dyn Host> = match (all_inherited, seed) {
            (true, None) => host,
            (_, None) => Box::new(Streams::new(host, input, output, error)),
            (_, Some(seed)) => {
                let streams = Streams::new(host, input, output, error);
                Box::new(streams.with_twin(SimHost::new(seed)))
            }
        };
        let tree = snapshot.and_then(|snapshot| snapshot.tree.as_ref());
        let (host, member) = match (tree, has_tree) {
            (Some(image), _) => {
                let limit = limits.processes_count;
                let tree = Tree::restore(host, &image.state, limit).map_err(RestoreError::from)?;
                in_tree(tree)
            }
            (None, true) => {
                let name = manifest.args.first().map(|name| String::from_utf8_lossy(name));
                let name = name.unwrap_or_default().into_owned();
                in_tree(Tree::new(host, name, limits.processes_count))
            }
            (None, false) => (host, None),
        };
        let relations = tree.and_then(|image| image.state.member(ROOT));
        let mut kernel = match (snapshot, &member, relations) {
            (None, ..) => Kernel::new(manifest, host)?,
            (Some(snapshot), Some(member), Some(relations)) => {
                let (member, resources) = (member.clone(), &snapshot.resources);
                Kernel::restore_member(manifest, member, resources, relations)
                    .map_err(RestoreError::from)?
            }
            (Some(snapshot), ..) => {
                Kernel::restore(manifest, host, &snapshot.resources).map_err(RestoreError::from)?
            }
        };
        if let Some(member) = member.filter(|_| kernel.member().is_none()) {
            kernel.join_tree(member);
        }
        let traces = trace.into_iter().collect();
        Ok(System { user_data, is_root: true, gate, ..System::of_kernel(kernel, traces, limits) })
    }

    /// What the first thread of a process with this kernel carries.
    pub fn of_kernel(mut kernel: Kernel, traces: Vec<Trace>, limits: &Limits) -> System {
        let member = kernel.member().cloned();
        let mut run_state = RunState::Running;
        kernel.exchange_run_state(&mut run_state);
        let shared = Arc::new(Shared {
            waker: kernel.host().waker(),
            core: Mutex::new(Core { kernel, traces }),
            wanting: AtomicUsize::new(0),
            is_waiting: AtomicBool::new(false),
        });
        let births = Births::new(limits);
        let (user_data, is_root, gate) = (Box::new(()), false, None);
        System { shared, run_state, user_data, births, member, is_root, gate }
    }

    /// What the first thread carries of another program that takes the place of this one.
    pub fn of_successor(&self, limits: &Limits) -> System {
        System { births: Births::new(limits), is_root: self.is_root, ..self.of_thread() }
    }

    /// Knows which sockets stay on this host when the process leaves.
    #[cfg(feature = "node")]
    pub fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// Its place in a tree.
    pub fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    /// What a call has just asked of whoever runs the tree.
    pub fn take_request(&mut self) -> Option<Request> {
        self.member.as_ref()?;
        self.with_kernel(Kernel::take_request)
    }

    /// What the process has begun to wait for.
    pub fn take_waits(&self) -> Option<Waits> {
        let member = self.member.as_ref()?;
        member.tree.lock().take_waits(member.pid)
    }

    /// Whether a signal is on its way to the process.
    pub fn has_signal(&self) -> bool {
        let Some(member) = &self.member else { return false };
        let core = member.tree.lock();
        core.table.get(member.pid).is_ok_and(|entry| entry.pending != Signals::default())
    }

    /// Has the call that waits find an answer.
    pub fn answer(&mut self, result: Result<Pid, Errno>) {
        if let RunState::Parked(parked) = &mut self.run_state {
            parked.progress_bytes = answer(result);
        }
    }

    /// What another thread of the same process carries.
    pub fn of_thread(&self) -> System {
        let (shared, births) = (self.shared.clone(), self.births.clone());
        let member = self.member.clone();
        let (run_state, user_data) = (RunState::Running, Box::new(()));
        let gate = self.gate.clone();
        System { shared, run_state, user_data, births, member, is_root: false, gate }
    }

    /// Does something with the kernel, on behalf of this thread.
    pub fn with_kernel<R>(&mut self, act: impl FnOnce(&mut Kernel) -> R) -> R {
        let mut core = self.shared.lock();
        core.kernel.exchange_run_state(&mut self.run_state);
        let result = act(&mut core.kernel);
        core.kernel.exchange_run_state(&mut self.run_state);
        result
    }

    /// Whether this thread stands in a call.
    pub fn run_state(&self) -> &RunState {
        &self.run_state
    }

    /// Has this thread stand in a call, or not.
    pub fn set_run_state(&mut self, run_state: RunState) {
        self.run_state = run_state;
    }

    /// The call in which the thread waits.
    pub fn parked(&self) -> Option<&Parked> {
        match &self.run_state {
            RunState::Parked(parked) => Some(parked),
            RunState::Running => None,
        }
    }

    fn call(&mut self, call: Syscall, memory: &mut GuestMemory<'_>, args: &[u64]) -> Outcome {
        let mut core = self.shared.lock();
        let Core { kernel, traces } = &mut *core;
        let waited = matches!(self.run_state, RunState::Parked(_));
        kernel.exchange_run_state(&mut self.run_state);
        let outcome = kernel.syscall(call, memory, args);
        kernel.exchange_run_state(&mut self.run_state);
        // A call that goes on waiting was seen when it began to.
        let was_seen = waited && outcome == Outcome::Block;
        if !(traces.is_empty() || was_seen) {
            let pid = kernel.number();
            traces.retain(|trace| trace.call(pid, call, args, outcome, memory) == Watched::GoesOn);
        }
        outcome
    }

    /// Has somebody see calls from now on.
    pub fn attach_trace(&mut self, trace: Trace) {
        self.shared.lock().traces.push(trace);
    }

    /// Who sees calls: whoever is made by this process is seen too.
    pub fn traces(&self) -> Vec<Trace> {
        self.shared.lock().traces.clone()
    }

    /// How often each call was made, by name; those that were not made are left out.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let core = self.shared.lock();
        let counts = CALLS.iter().map(|call| call.name).zip(core.kernel.counts().iter().copied());
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// A way to end a wait from another thread.
    pub fn waker(&mut self) -> Arc<dyn Waker> {
        self.with_kernel(|kernel| kernel.host().waker())
    }

    /// When a wait at an address ends that begins now and may take `timeout_ns`.
    pub fn deadline(&mut self, timeout_ns: u64) -> u64 {
        let now_ns = self.with_kernel(|kernel| kernel.now_ns(Clock::Monotonic)).unwrap_or(0);
        now_ns.saturating_add(timeout_ns)
    }

    /// Waits until the parked call of this thread can go on.
    pub fn wait(&mut self) -> Waited {
        Waited::of(self.with_kernel(|kernel| kernel.wait(None)))
    }

    /// Waits until one of the parked calls can go on, or until the guest's monotonic clock shows
    /// `deadline_ns`.
    pub fn wait_for(&mut self, parked: &[Parked], deadline_ns: Option<u64>) -> Waited {
        Waited::of(self.with_kernel(|kernel| kernel.wait_for(parked, deadline_ns)))
    }

    /// As [`System::wait_for`], while other threads run: whoever makes a call ends the wait.
    pub fn wait_apart(&mut self, parked: &[Parked], deadline_ns: Option<u64>) -> Waited {
        let shared = self.shared.clone();
        let mut core = shared.lock();
        // Whoever has not seen this is seen here.
        shared.is_waiting.store(true, Ordering::SeqCst);
        let waited = match shared.wanting.load(Ordering::SeqCst) {
            0 => Waited::of(core.kernel.wait_for(parked, deadline_ns)),
            _ => Waited::Interrupted,
        };
        shared.is_waiting.store(false, Ordering::SeqCst);
        drop(core);
        for _ in 0..GIVE_WAY_COUNT {
            if shared.wanting.load(Ordering::SeqCst) == 0 {
                break;
            }
            std::thread::yield_now();
        }
        waited
    }

    /// The system call that an import names.
    pub fn import(store: &mut Store, module: &str, name: &str) -> Option<Func> {
        let Some(call) = Syscall::from_import(module, name) else {
            return threads::import(store, module, name);
        };
        Some(Func::host(store, signature(call), move |caller, params, results| {
            enter(call, caller, params, results)
        }))
    }
}

impl Shared {
    /// The kernel, as soon as nobody else has it; nobody waits in the host meanwhile.
    fn lock(&self) -> MutexGuard<'_, Core> {
        if let Ok(core) = self.core.try_lock() {
            return core;
        }
        self.wanting.fetch_add(1, Ordering::SeqCst);
        if self.is_waiting.load(Ordering::SeqCst) {
            self.waker.wake();
        }
        let core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        self.wanting.fetch_sub(1, Ordering::SeqCst);
        core
    }
}

/// The type that guests import a call with.
fn signature(call: Syscall) -> FuncType {
    let row = call.row();
    let params = row.params.iter().map(|param| match param.kind.is_wide() {
        true => ValType::I64,
        false => ValType::I32,
    });
    FuncType::new(params, row.returns.then_some(ValType::I32))
}

/// Takes a call of the guest to the kernel, and its answer back.
fn enter(
    call: Syscall, caller: &mut Caller<'_>, params: &[Val], results: &mut [Val],
) -> Result<Flow, HostError> {
    let mut args = [0; MOST_PARAMS];
    for (arg, param) in args.iter_mut().zip(params) {
        *arg = match *param {
            Val::I32(value) => u64::from(value.cast_unsigned()),
            Val::I64(value) => value.cast_unsigned(),
            // The linker has compared the types.
            _ => 0,
        };
    }
    let args = &args[..params.len().min(MOST_PARAMS)];
    let outcome = match caller.data_and_memory::<System>(0) {
        Some((system, mut memory)) => system.call(call, &mut memory, args),
        None => {
            let system = caller.data_mut::<System>();
            system.call(call, &mut GuestMemory::new(&mut []), args)
        }
    };
    if matches!(call, Syscall::ProcRaise | Syscall::ProcSignal | Syscall::FdWrite)
        && caller.data_mut::<System>().has_signal()
    {
        // It is told at the next site.
        caller.store().interrupt_handle().interrupt();
    }
    match outcome {
        Outcome::Done(errno) => {
            if let [result] = results {
                *result = Val::I32(errno.code().into());
            }
            Ok(Flow::Return)
        }
        Outcome::Block => Ok(Flow::Block),
        Outcome::Exit(code) => Err(HostError::Exit(code)),
    }
}
