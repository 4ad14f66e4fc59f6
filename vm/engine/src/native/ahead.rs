//! Compiling the functions of a module before they run, on all cores.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::compile::{Compiler, Entry, Options, Request};
use crate::config::CodeCounts;
use crate::memory::MemoryInner;
use crate::module::Module;
use crate::native::service;
use crate::stored::{BatchWriter, Library};

/// A batch that has become so large goes to the store.
const BATCH_BYTES: usize = 1 << 20;

/// With fewer functions than so many for each, a thread costs more than it helps.
const FUNCTIONS_PER_THREAD: usize = 16;

/// What was compiled of a module before anybody runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ahead {
    /// Functions of its own.
    pub functions: u64,
    /// Those that were there before.
    pub found: u64,
}

impl Ahead {
    /// Functions that could not be compiled, if the engine has compiled nothing else.
    pub fn refused(&self, counts: &CodeCounts) -> u64 {
        self.functions - self.found - counts.compiled.min(self.functions - self.found)
    }
}

impl Module {
    /// Compiles all functions that are not in the engine's code store yet, on all cores, for a
    /// memory as instances usually have it; they are kept there. `progress` is told by several
    /// threads how many bytes of how many are done. None without a compiler or a store.
    pub fn compile_ahead(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Option<Ahead> {
        let inner = self.inner();
        let config = inner.engine.config();
        let compiler = config.compiler.clone()?;
        let guarded = inner.memories.first().is_some_and(|ty| MemoryInner::is_guarded(*ty, config));
        let options = Options::new(config, inner, guarded);
        let library = inner.libraries.open(self, options)?;
        let own = inner.imported.functions..inner.functions.len() as u32;
        let missing: Vec<u32> =
            own.clone().filter(|&f| library.find(f, Entry::Start).is_none()).collect();
        let len_bytes = |f: u32| inner.body_span(f).unwrap_or_default().len_bytes() as u64;
        let all_bytes = missing.iter().map(|&f| len_bytes(f)).sum();
        let done_bytes = AtomicU64::new(0);
        let task = Task {
            compiler: &*compiler,
            module: self,
            options,
            functions: &missing,
            library: Some(&library),
            keep: Keep::Nothing,
        };
        compile(&task, &|bytes| {
            let before = done_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            progress(before + bytes as u64, all_bytes);
        });
        let functions = own.len() as u64;
        Some(Ahead { functions, found: functions - missing.len() as u64 })
    }
}

/// What becomes of the code, besides being stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// The caller gets it.
    Code,
    /// Nobody needs it now.
    Nothing,
}

/// What is to be compiled, and what for.
#[derive(Debug)]
pub struct Task<'a> {
    pub compiler: &'a dyn Compiler,
    pub module: &'a Module,
    pub options: Options,
    pub functions: &'a [u32],
    pub library: Option<&'a Library>,
    pub keep: Keep,
}

/// A function and its packed code.
pub type Made = (u32, Entry, Vec<u8>);

/// Compiles functions from their start, by ascending index, and adds them to the library.
/// `progress` is told by each thread after each function how many bytes its body has.
pub fn compile(task: &Task<'_>, progress: &(dyn Fn(usize) + Sync)) -> Vec<Made> {
    let next = AtomicUsize::new(0);
    let work = || work(task, &next, progress);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let mut made = match threads.min(task.functions.len() / FUNCTIONS_PER_THREAD) {
        0 | 1 => work(),
        threads => std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            all.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        }),
    };
    made.sort_by_key(|&(function, ..)| function);
    made
}

/// What each of the threads does: takes the next function until there is none.
fn work(task: &Task<'_>, next: &AtomicUsize, progress: &(dyn Fn(usize) + Sync)) -> Vec<Made> {
    let Task { compiler, module, options, functions, library, keep } = *task;
    let inner = module.inner();
    let (mut made, mut scratch) = (Vec::new(), Default::default());
    let mut batch = library.map(|library| BatchWriter::new(library.key));
    let entry = Entry::Start;
    while let Some(&function) = functions.get(next.fetch_add(1, Ordering::Relaxed)) {
        // What is not valid is left to the interpreter, which says so when it is called.
        if inner.validate_body(function, &mut scratch).is_ok() {
            let request = Request { module, function, entry, options };
            let packed = service::compile(compiler, &request);
            if let (Some(library), Some(open)) = (library, &mut batch) {
                open.push(function, entry, packed.as_deref().unwrap_or_default());
                if open.len_bytes() >= BATCH_BYTES {
                    library.add(std::mem::replace(open, BatchWriter::new(library.key)));
                }
            }
            let kept = packed.filter(|_| keep == Keep::Code);
            made.extend(kept.map(|packed| (function, entry, packed)));
        }
        progress(inner.body_span(function).unwrap_or_default().len_bytes());
    }
    if let (Some(library), Some(batch)) = (library, batch) {
        library.add(batch);
    }
    made
}
