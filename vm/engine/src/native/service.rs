//! The threads that compile while guests run: hottest first, and nobody waits for them.
//!
//! There is one, and where there is a core for it a second one from the time on that something short
//! would have to wait for something long: a huge function takes as long as a hundred others.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::compile::{Compiler, Entry, Options, Request};
use crate::config::CodeCounts;
use crate::memory::address_space_left_bytes;
use crate::module::{Module, ModuleInner};
use crate::native::code::NativeCode;
use crate::native::credit::worth;
use crate::native::packed;
use crate::stored::{Found, Library};

/// A function with a larger body takes long.
const SHORT_BODY_BYTES: usize = 6 << 10;

/// Something to be compiled.
#[derive(Debug)]
pub struct Job {
    pub module: Module,
    pub function: u32,
    pub entry: Entry,
    pub options: Options,
    /// What interpreting the function has cost so far, in nanoseconds; it goes on counting.
    pub lost_ns: Arc<AtomicU64>,
    /// What compiling it costs.
    pub cost_ns: u64,
    /// The instance that asks.
    pub instance: u32,
    pub done: Sender<Done>,
    /// Set when something was sent.
    pub ready: Arc<AtomicBool>,
    /// The instance has not seen what is stored of its module.
    pub wants_library: bool,
}

/// Something for an instance.
#[derive(Debug)]
pub struct Done {
    pub instance: u32,
    pub news: News,
}

/// What there is for an instance.
#[derive(Debug)]
pub enum News {
    /// Code that it has asked for.
    Code(Arc<NativeCode>),
    /// What is stored of its module.
    Library(Arc<Library>),
}

impl Job {
    fn is_short(&self) -> bool {
        let body = self.module.inner().body_span(self.function).unwrap_or_default();
        body.len_bytes() <= SHORT_BODY_BYTES
    }

    /// The largest comes first.
    fn worth(&self) -> u64 {
        worth(self.lost_ns.load(Ordering::Relaxed), self.cost_ns)
    }

    fn send(&self, news: News) {
        // A store that is gone needs no code.
        if self.done.send(Done { instance: self.instance, news }).is_ok() {
            self.ready.store(true, Ordering::Release);
        }
    }
}

/// The compiling threads of an engine. They end with the engine, or with their last job.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    compiler: Arc<dyn Compiler>,
    jobs: Mutex<Jobs>,
    wake: Condvar,
}

#[derive(Default, Debug)]
struct Jobs {
    list: Vec<Job>,
    is_closed: bool,
    /// Whether the first thread has something long in work.
    is_long: bool,
    has_second: bool,
}

/// What a thread takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lane {
    Any,
    Short,
}

impl Service {
    /// Starts the first thread. If the host has none, nothing is compiled.
    pub fn new(compiler: Arc<dyn Compiler>) -> Self {
        let (jobs, wake) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { compiler, jobs, wake });
        shared.start(Lane::Any);
        Self { shared }
    }

    /// Has a job done some time.
    pub fn ask(&self, job: Job) {
        let mut jobs = self.shared.lock();
        jobs.list.push(job);
        self.shared.start_second(&mut jobs);
        drop(jobs);
        self.shared.wake.notify_all();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, lane: Lane) {
        let theirs = self.clone();
        let thread = std::thread::Builder::new().name("brant-compile".to_owned());
        // Without the thread jobs stay where they are, and the interpreter goes on.
        let _ = thread.spawn(move || theirs.work(lane));
    }

    /// Starts the second thread if something short waits for something long, and there is a core for
    /// it besides those of the guest and of the first thread: the guest would have to share its own.
    fn start_second(self: &Arc<Self>, jobs: &mut Jobs) {
        let is_wanted = jobs.is_long && !jobs.has_second && jobs.list.iter().any(Job::is_short);
        if is_wanted {
            jobs.has_second = true;
            if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 2) {
                self.start(Lane::Short);
            }
        }
    }

    fn work(self: &Arc<Self>, lane: Lane) {
        while let Some(job) = self.next(lane) {
            let Job { ref module, function, entry, options, .. } = job;
            let library = module.inner().libraries.open(module, options);
            if let Some(library) = library.filter(|_| job.wants_library) {
                job.send(News::Library(library));
            }
            let request = Request { module, function, entry, options };
            if let Some(code) = compiled(&*self.compiler, &request) {
                job.send(News::Code(code));
            }
        }
    }

    fn next(self: &Arc<Self>, lane: Lane) -> Option<Job> {
        let mut jobs = self.lock();
        if lane == Lane::Any {
            jobs.is_long = false;
        }
        loop {
            if jobs.is_closed {
                return None;
            }
            let fit = |i: &usize| lane == Lane::Any || jobs.list[*i].is_short();
            let best = (0..jobs.list.len()).filter(fit).max_by_key(|&i| jobs.list[i].worth());
            if let Some(best) = best {
                let job = jobs.list.swap_remove(best);
                if lane == Lane::Any && !job.is_short() {
                    jobs.is_long = true;
                    self.start_second(&mut jobs);
                }
                return Some(job);
            }
            jobs = self.wake.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Code of a function: the module's own, stored, or compiled now. None if it cannot be had.
pub fn compiled(compiler: &dyn Compiler, request: &Request<'_>) -> Option<Arc<NativeCode>> {
    let Request { module, function, entry, options } = *request;
    let inner = module.inner();
    if let Some(code) = inner.native_code().get(&(function, entry, options)) {
        return Some(code.clone());
    }
    let library = inner.libraries.open(module, options);
    if let Some(library) = &library {
        match library.find(function, entry) {
            Some(Found::Code(code)) => return Some(keep_stored(inner, options, code)),
            Some(Found::Refused) => return None,
            None => {}
        }
    }
    let packed = compile(compiler, request);
    if let Some(library) = &library {
        library.add_one(function, entry, packed.as_deref());
    }
    let code = NativeCode::place(vec![(function, entry, packed?)])?.pop()?;
    inner.native_code().insert((function, entry, options), code.clone());
    Some(code)
}

/// Takes note of code that was found in a library.
pub fn keep_stored(
    module: &ModuleInner, options: Options, code: Arc<NativeCode>,
) -> Arc<NativeCode> {
    let counters = module.engine.counters();
    counters.stored.fetch_add(1, Ordering::Relaxed);
    counters.code_bytes.fetch_add(code.code_bytes() as u64, Ordering::Relaxed);
    module.native_code().insert((code.function, code.entry, options), code.clone());
    code
}

/// Address space that has to be left for something to be compiled, in bytes.
///
/// A compiler ends the host process when its memory runs out, so that under a limit of address
/// space (`ulimit -v`) it may not come near that: the allocator reserves 64 MiB for each thread that
/// compiles, and sqlite was ended where 120 MiB were left.
const COMPILE_ROOM_BYTES: u64 = 256 << 20;

/// Compiles a function, and counts that. None if it cannot be compiled.
pub fn compile(compiler: &dyn Compiler, request: &Request<'_>) -> Option<Vec<u8>> {
    if address_space_left_bytes().is_some_and(|left| left < COMPILE_ROOM_BYTES) {
        return None;
    }
    let began = Instant::now();
    let made = compiler.compile(request);
    let counters = request.module.inner().engine.counters();
    let took_ns = began.elapsed().as_nanos() as u64;
    counters.compile_ns.fetch_add(took_ns, Ordering::Relaxed);
    let made = made.ok()?;
    counters.compiled.fetch_add(1, Ordering::Relaxed);
    counters.code_bytes.fetch_add(made.code.len() as u64, Ordering::Relaxed);
    packed::pack(&made)
}

/// Counts what becomes of functions, from several threads.
#[derive(Default, Debug)]
pub struct Counters {
    compiled: AtomicU64,
    stored: AtomicU64,
    code_bytes: AtomicU64,
    compile_ns: AtomicU64,
}

impl Counters {
    /// What has been counted so far.
    pub fn get(&self) -> CodeCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CodeCounts {
            compiled: get(&self.compiled),
            stored: get(&self.stored),
            code_bytes: get(&self.code_bytes),
            compile_ns: get(&self.compile_ns),
        }
    }
}
