//! What is compiled, and when; and where an instance keeps what it has of compiled code.
//!
//! Whenever the interpreter's budget has run out, the function and the loop that it stands in are
//! credited with what a budget is worth. A function is compiled when the credit exceeds what
//! compiling it will take (ski rental): at that time the interpreter has lost as much as the
//! compiler would have cost, and so at most half of the time is lost in the worst case.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::compile::{Entry, Options, Request};
use crate::config::Tier;
use crate::frame::Layout;
use crate::instance::InstanceInner;
use crate::interp::driver::BUDGET;
use crate::interp::exit::Exit;
use crate::interp::stubs as records;
use crate::module::Module;
use crate::native::arena;
use crate::native::code::NativeCode;
use crate::native::service::{self, Done, Job};
use crate::native::stubs;
use crate::store::StoreInner;
use crate::vm::{FuncSlot, Vm};

/// What a budget is worth: so many calls and back edges, in the interpreter.
const TICK_NS: u64 = BUDGET as u64 * 8;

/// What compiled code loses with a call of a function that has none.
const CALL_NS: u64 = 150;

/// Of so many entries one is looked at.
const ENTRIES_PER_LOOK: u32 = 16;

/// What compiling takes: for each function, and for each byte of its body.
const COMPILE_NS: u64 = 100_000;
const COMPILE_BYTE_NS: u64 = 1_000;

/// Ticks that one run of a loop has to take before the loop is entered in its midst.
const LOOP_TICKS: u32 = 2;

/// What a store has of the compiler.
#[derive(Debug)]
pub struct Compiling {
    sender: Sender<Done>,
    receiver: Receiver<Done>,
    /// How often the interpreter has entered compiled code.
    entries: u32,
    ready: Arc<AtomicBool>,
}

impl Default for Compiling {
    fn default() -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver, entries: 0, ready: Arc::default() }
    }
}

/// What an instance has of compiled code.
#[derive(Default)]
pub struct NativeInstance {
    /// Entries by function index; empty until there is a compiled function.
    entries: Box<[*const u8]>,
    /// Loops that can be entered, by the address of their header's record.
    loops: HashMap<usize, Arc<LoopCode>>,
    /// Code of loops whose header is not known as a record yet.
    profile: Profile,
}

/// Compiled code that begins at a loop header.
pub struct LoopCode {
    pub code: Arc<NativeCode>,
    /// Where the interpreter has the values.
    pub layout: Layout,
}

#[derive(Default)]
struct Profile {
    credit_ns: HashMap<u32, u64>,
    asked: HashSet<(u32, Entry)>,
    /// The headers of loops that code was asked for.
    headers: HashMap<(u32, Entry), usize>,
    /// The frame and header of the last tick, and how often in a row.
    last: (usize, usize, u32),
}

/// Compiles every function of a new instance, if the engine is to have no other code.
pub fn compile_all(store: &mut StoreInner, index: u32) {
    let config = store.engine.config();
    let Some(compiler) = config.compiler.clone().filter(|_| store.tier == Tier::Jit) else {
        return;
    };
    let module = store.instances[index as usize].module.clone();
    let inner = module.inner();
    let options = options(store, index);
    let mut missing: Vec<u32> = (inner.imported.functions..inner.functions.len() as u32).collect();
    missing.retain(|&f| !inner.native_code().contains_key(&(f, Entry::Start, options)));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let (mut made, mut scratch) = (Vec::new(), Default::default());
        while let Some(&function) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What is not valid is left to the interpreter, which says so when it is called.
            if inner.validate_body(function, &mut scratch).is_ok() {
                let request = Request { module: &module, function, entry: Entry::Start, options };
                made.extend(compiler.compile(&request).ok().map(|code| (function, code)));
            }
        }
        made
    };
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let mut made = match threads.min(missing.len() / 16) {
        0 | 1 => work(),
        threads => std::thread::scope(|scope| {
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            all.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        }),
    };
    made.sort_by_key(|&(function, _)| function);
    let made = made.into_iter().map(|(function, code)| (function, Entry::Start, code)).collect();
    let installed = NativeCode::install(made).unwrap_or_default();
    let mut known = inner.native_code();
    for code in installed {
        known.insert((code.function, Entry::Start, options), code);
    }
    let mut all: Vec<_> = known
        .iter()
        .filter(|((_, entry, for_options), _)| *entry == Entry::Start && *for_options == options)
        .map(|(_, code)| code.clone())
        .collect();
    drop(known);
    all.sort_by_key(|code| code.start());
    for code in all {
        install(store, index, code);
    }
}

/// What code of an instance may rely on.
fn options(store: &StoreInner, index: u32) -> Options {
    let config = store.engine.config();
    let views = &store.instances[index as usize].memory_views;
    // SAFETY: views live as long as the store.
    let guarded = views.first().is_some_and(|&view| unsafe { (*view).guarded != 0 });
    Options {
        stops: config.stops,
        guarded_memory: guarded && config.signal_handlers,
        fuel: config.fuel,
        canonical_nans: config.deterministic,
    }
}

/// Has the guests of a store compiled, or not, from now on. No guest runs.
pub fn change(store: &mut StoreInner, tier: Tier) {
    // What was asked for in another tier belongs there; code that is known is taken again.
    take_compiled(store);
    store.tier = tier;
    for index in 0..store.instances.len() {
        let instance = &mut store.instances[index];
        instance.native.profile = Profile::default();
        if tier == Tier::Interp {
            take_out(instance);
        }
        compile_all(store, index as u32);
    }
}

/// Leaves an instance without compiled code. Its mappings stay for as long as the store.
fn take_out(instance: &mut InstanceInner) {
    instance.native.loops.clear();
    let call_out = stubs::call_out as *const u8;
    instance.native.entries.fill(call_out);
    let imported = instance.module.inner().imported.functions as usize;
    for &slot in &instance.functions[imported..] {
        // SAFETY: slots live as long as the store, and no guest runs.
        let slot = unsafe { &mut *slot };
        slot.native = call_out;
        slot.code = match slot.icode.is_null() {
            true => records::untranslated(),
            false => slot.icode,
        };
    }
}

/// Lets an instance run compiled code from now on.
fn install(store: &mut StoreInner, index: u32, code: Arc<NativeCode>) {
    if store.tier == Tier::Interp {
        return;
    }
    arena::forget_fetched();
    store.code.add(code.clone());
    prepare(store, index);
    let instance = &mut store.instances[index as usize];
    match code.entry {
        Entry::Start => {
            instance.native.entries[code.function as usize] = code.start();
            // SAFETY: slots live as long as the store, and no guest runs.
            unsafe {
                let slot = instance.functions[code.function as usize];
                (*slot).native = code.start();
                (*slot).code = records::native();
            }
        }
        Entry::Loop(_) => {
            let key = (code.function, code.entry);
            let Some(header) = instance.native.profile.headers.remove(&key) else { return };
            let vm = instance.vm();
            let Some(layout) = Layout::of_loop(store, vm, header as *const u8) else { return };
            let instance = &mut store.instances[index as usize];
            instance.native.loops.insert(header, Arc::new(LoopCode { code, layout }));
        }
    }
}

/// Gives an instance what compiled code looks for in its block.
fn prepare(store: &mut StoreInner, index: u32) {
    let instance = &mut store.instances[index as usize];
    if !instance.native.entries.is_empty() {
        return;
    }
    let call_out = stubs::call_out as *const u8;
    instance.native.entries = vec![call_out; instance.functions.len()].into();
    // SAFETY: the block lives as long as the store, and no guest runs.
    let vm = unsafe { &mut *instance.vm() };
    vm.native_functions = instance.native.entries.as_ptr();
    vm.poll = stubs::poll as *const u8;
    vm.operate = stubs::call_operate as *const u8;
    vm.call_out = call_out;
    vm.tail_call = stubs::tail_call as *const u8;
    store.stopper.add(instance.block());
}

/// Takes note of a budget that was used up in `vm`. Gives code for the loop that the run stands at.
pub fn tick(store: &mut StoreInner, vm: *mut Vm) -> Option<Arc<LoopCode>> {
    let config = store.engine.config();
    if config.compiler.is_none() || store.tier == Tier::Interp {
        return None;
    }
    let tier = config.tier;
    take_compiled(store);
    // SAFETY: the block is live, and the run in it stands.
    let (index, exit, ip, fp, acc) =
        unsafe { ((*vm).instance, (*vm).exit, (*vm).ip as usize, (*vm).fp as usize, (*vm).acc) };
    if Exit::from_code(exit) != Exit::Budget {
        // SAFETY: at an entry the accumulator is the callee's slot.
        let function = unsafe { (*(acc as *const FuncSlot)).index };
        credit(store, index, function, TICK_NS);
        return None;
    }
    let native = &mut store.instances[index as usize].native;
    if let Some(found) = native.loops.get(&ip) {
        let found = found.clone();
        return (!store.site_plan.stays_in_interpreter()).then_some(found);
    }
    if tier == Tier::Jit {
        return loop_now(store, vm, index, ip);
    }
    let last = &mut native.profile.last;
    *last = match (last.0, last.1) == (fp, ip) {
        true => (fp, ip, last.2 + 1),
        false => (fp, ip, 1),
    };
    let turns = last.2;
    let (function, _) = store.instances[index as usize].icode.find(ip as *const u8)?;
    let is_hot = credit(store, index, function, TICK_NS);
    if is_hot && turns >= LOOP_TICKS {
        // The header's record is found again when the code is there.
        let layout = Layout::of_loop(store, vm, ip as *const u8)?;
        let entry = Entry::Loop(layout.site);
        let headers = &mut store.instances[index as usize].native.profile.headers;
        headers.entry((function, entry)).or_insert(ip);
        ask(store, index, function, entry, u64::from(turns) * TICK_NS);
    }
    None
}

/// Compiles the loop whose header is at `ip` at once, for engines that interpret only what they must.
fn loop_now(store: &mut StoreInner, vm: *mut Vm, index: u32, ip: usize) -> Option<Arc<LoopCode>> {
    let compiler = store.engine.config().compiler.clone()?;
    let layout = Layout::of_loop(store, vm, ip as *const u8)?;
    let entry = Entry::Loop(layout.site);
    let options = options(store, index);
    let native = &mut store.instances[index as usize].native;
    if !native.profile.asked.insert((layout.function, entry)) {
        return None;
    }
    native.profile.headers.insert((layout.function, entry), ip);
    let module = store.instances[index as usize].module.clone();
    let code = service::compiled(&*compiler, &module, layout.function, entry, options)?;
    install(store, index, code);
    let found = store.instances[index as usize].native.loops.get(&ip).cloned();
    found.filter(|_| !store.site_plan.stays_in_interpreter())
}

/// Takes note that the interpreter has called compiled code, and loses time with that: credits the
/// function whose record the call returns to, now and then.
pub fn entered(store: &mut StoreInner, vm: *mut Vm, back: *const u8) {
    store.compiling.entries += 1;
    if !store.compiling.entries.is_multiple_of(ENTRIES_PER_LOOK) || store.tier != Tier::Auto {
        return;
    }
    take_compiled(store);
    // SAFETY: the block is live.
    let index = unsafe { (*vm).instance };
    // Other instances and the outermost frame have no record here.
    let found = store.instances[index as usize].icode.find(back.wrapping_sub(1));
    if let Some((function, _)) = found {
        credit(store, index, function, CALL_NS * u64::from(ENTRIES_PER_LOOK));
    }
}

/// Takes note of a call that compiled code has made of a function without code.
pub fn called(store: &mut StoreInner, index: u32, function: u32) {
    let config = store.engine.config();
    if config.compiler.is_some() && store.tier != Tier::Interp {
        take_compiled(store);
        credit(store, index, function, CALL_NS);
    }
}

/// Credits a function; asks for its code when it has lost as much as that costs, and says whether
/// it has.
fn credit(store: &mut StoreInner, index: u32, function: u32, won_ns: u64) -> bool {
    let instance = &mut store.instances[index as usize];
    let Some(body) = instance.module.inner().body_span(function) else { return false };
    let cost_ns = COMPILE_NS + COMPILE_BYTE_NS * body.len_bytes() as u64;
    let total_ns = instance.native.profile.credit_ns.entry(function).or_default();
    *total_ns += won_ns;
    let total_ns = *total_ns;
    if total_ns < cost_ns {
        return false;
    }
    ask(store, index, function, Entry::Start, total_ns);
    true
}

fn ask(store: &mut StoreInner, index: u32, function: u32, entry: Entry, weight: u64) {
    let options = options(store, index);
    let instance = &mut store.instances[index as usize];
    if !instance.native.profile.asked.insert((function, entry)) {
        return;
    }
    let module: Module = instance.module.clone();
    let (done, ready) = (store.compiling.sender.clone(), store.compiling.ready.clone());
    let job = Job { module, function, entry, options, weight, instance: index, done, ready };
    if let Some(service) = store.engine.service() {
        service.ask(job);
    }
}

/// Installs what has been compiled meanwhile.
fn take_compiled(store: &mut StoreInner) {
    // A relaxed look first: there is rarely anything.
    if !store.compiling.ready.load(Ordering::Relaxed) {
        return;
    }
    store.compiling.ready.store(false, Ordering::Release);
    while let Ok(Done { instance, code }) = store.compiling.receiver.try_recv() {
        install(store, instance, code);
    }
}
