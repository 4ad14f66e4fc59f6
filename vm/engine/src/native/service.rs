//! The thread that compiles while guests run: hottest first, and nobody waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::compile::{Compiler, Entry, Options, Request};
use crate::module::Module;
use crate::native::code::NativeCode;

/// Something to be compiled.
#[derive(Debug)]
pub struct Job {
    pub module: Module,
    pub function: u32,
    pub entry: Entry,
    pub options: Options,
    /// How much is won, as far as is known: the largest comes first.
    pub weight: u64,
    /// The instance that asks.
    pub instance: u32,
    pub done: Sender<Done>,
    /// Set when something was sent.
    pub ready: Arc<AtomicBool>,
}

/// Code for an instance.
#[derive(Debug)]
pub struct Done {
    pub instance: u32,
    pub code: Arc<NativeCode>,
}

/// The compiling thread of an engine. It ends with the engine, or with its last job.
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
}

impl Service {
    /// Starts the thread. If the host has none, nothing is compiled.
    pub fn new(compiler: Arc<dyn Compiler>) -> Self {
        let (jobs, wake) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { compiler, jobs, wake });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("brant-compile".to_owned());
        // Without the thread jobs stay where they are, and the interpreter goes on.
        let _ = thread.spawn(move || theirs.work());
        Self { shared }
    }

    /// Has a job done some time.
    pub fn ask(&self, job: Job) {
        self.shared.lock().list.push(job);
        self.shared.wake.notify_one();
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

    fn work(&self) {
        while let Some(job) = self.next() {
            let Job { ref module, function, entry, options, .. } = job;
            let code = compiled(&*self.compiler, module, function, entry, options);
            let Some(code) = code else { continue };
            // A store that is gone needs no code.
            if job.done.send(Done { instance: job.instance, code }).is_ok() {
                job.ready.store(true, Ordering::Release);
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.lock();
        loop {
            if jobs.is_closed {
                return None;
            }
            let best = (0..jobs.list.len()).max_by_key(|&i| jobs.list[i].weight);
            if let Some(best) = best {
                return Some(jobs.list.swap_remove(best));
            }
            jobs = self.wake.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Code of a function, from the module's own or compiled now. None if it cannot be had.
pub fn compiled(
    compiler: &dyn Compiler, module: &Module, function: u32, entry: Entry, options: Options,
) -> Option<Arc<NativeCode>> {
    let key = (function, entry, options);
    if let Some(code) = module.inner().native_code().get(&key) {
        return Some(code.clone());
    }
    let made = compiler.compile(&Request { module, function, entry, options }).ok()?;
    let code = NativeCode::install(vec![(function, entry, made)])?.pop()?;
    module.inner().native_code().insert(key, code.clone());
    Some(code)
}
