//! What is compiled, and when; and where an instance keeps what it has of compiled code.
//!
//! Whenever the interpreter's budget has run out, the function and the loop that it stands in are
//! credited with the time that this took (`credit.rs`). A function is compiled when the credit
//! exceeds an eighth of what compiling it will take (ski rental, by a compiler on another core): what
//! the interpreter has lost then bounds what the compiler can lose.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::compile::{Entry, Options, Request, Stops};
use crate::config::Tier;
use crate::frame::Layout;
use crate::instance::InstanceInner;
use crate::interp::exit::Exit;
use crate::interp::stubs as records;
use crate::module::Module;
use crate::native::ahead::{self, Keep, Task};
use crate::native::arena;
use crate::native::code::NativeCode;
use crate::native::credit::{Credit, TickClock, cost_ns};
use crate::native::service::{self, Done, Job, News};
use crate::native::stubs;
use crate::store::StoreInner;
use crate::stored::{Found, Library};
use crate::vm::{FuncSlot, Vm};

/// What compiled code loses with a call of a function that has none.
const CALL_NS: u64 = 150;

/// Of so many entries one is looked at.
const ENTRIES_PER_LOOK: u32 = 16;

/// Of smaller modules nothing is looked for in the store before something is hot: the look would take
/// as long as they run.
const LOOK_AT_ONCE_BYTES: usize = 8 << 10;

/// What a store has of the compiler.
#[derive(Debug, Default)]
pub struct Compiling {
    /// Where finished code comes; made when some is first asked for, as most stores of threads and
    /// small processes never do.
    channel: OnceCell<(Sender<Done>, Receiver<Done>)>,
    /// How often the interpreter has entered compiled code.
    entries: u32,
    ready: Arc<AtomicBool>,
    clock: TickClock,
}

/// What an instance has of compiled code.
#[derive(Default)]
pub struct NativeInstance {
    /// Whether the block has entries of functions, and what else compiled code looks for.
    is_prepared: bool,
    /// Loops that can be entered, by the address of their header's record.
    loops: HashMap<usize, Arc<LoopCode>>,
    /// Code of loops whose header is not known as a record yet.
    profile: Profile,
    /// What is stored of the module, once that is known.
    library: Option<Arc<Library>>,
}

/// Compiled code that begins at a loop header.
pub struct LoopCode {
    pub code: Arc<NativeCode>,
    /// Where the interpreter has the values.
    pub layout: Layout,
}

#[derive(Default)]
struct Profile {
    credit: Credit,
    asked: HashSet<(u32, Entry)>,
    /// The headers of loops that code was asked for.
    headers: HashMap<(u32, Entry), usize>,
    /// Addresses of the headers at which that was done: to find a loop's values is a walk over the
    /// whole body, and a function without code comes by again and again.
    tried: HashSet<usize>,
}

/// Prepares a new instance: finds what is stored of its module, and compiles every function if the
/// engine is to have no other code.
pub fn begin(store: &mut StoreInner, index: u32) {
    if store.tier == Tier::Auto && store.engine.config().code_store.is_some() {
        let module = store.instances[index as usize].module.clone();
        let is_large = module.bytes().len() >= LOOK_AT_ONCE_BYTES;
        if is_large && module.known_code_hash().is_some() {
            let options = options(store, index);
            let library = module.inner().libraries.open(&module, options);
            store.instances[index as usize].native.library = library;
        }
    }
    compile_all(store, index);
}

/// Compiles every function of an instance, if the engine is to have no other code.
fn compile_all(store: &mut StoreInner, index: u32) {
    let config = store.engine.config();
    let Some(compiler) = config.compiler.clone().filter(|_| store.tier == Tier::Jit) else {
        return;
    };
    let module = store.instances[index as usize].module.clone();
    let inner = module.inner();
    let options = options(store, index);
    let library = inner.libraries.open(&module, options);
    let lists = |f| library.as_ref().is_some_and(|library| library.lists(f, Entry::Start));
    let mut missing: Vec<u32> = (inner.imported.functions..inner.functions.len() as u32).collect();
    // What is stored is looked at when it is called.
    missing
        .retain(|&f| !inner.native_code().contains_key(&(f, Entry::Start, options)) && !lists(f));
    let task = Task {
        compiler: &*compiler,
        module: &module,
        options,
        functions: &missing,
        library: library.as_deref(),
        keep: Keep::Code,
    };
    let made = ahead::compile(&task, &|_| ());
    store.instances[index as usize].native.library = library;
    let installed = NativeCode::place(made).unwrap_or_default();
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
    Options::new(config, store.instances[index as usize].module.inner(), guarded)
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
    for entry in entries(instance).iter_mut().filter(|entry| !entry.is_null()) {
        *entry = call_out;
    }
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
    if store.code.add(code.clone())
        && let Some(map) = &store.engine.config().perf_map
    {
        map.note(store.instances[index as usize].module.inner(), &code);
    }
    prepare(store, index);
    let instance = &mut store.instances[index as usize];
    match code.entry {
        Entry::Start => {
            entries(instance)[code.function as usize] = code.start();
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

/// What compiled code of an instance calls, by function index.
fn entries(instance: &mut InstanceInner) -> &mut [*const u8] {
    let module = instance.module.inner();
    let own_globals = module.globals.len() - module.imported.globals as usize;
    let offset = Vm::native_offset(own_globals, 0);
    // SAFETY: the block has an entry for each function; no guest runs, so nothing else uses them.
    unsafe {
        let first = instance.vm().byte_add(offset).cast::<*const u8>();
        std::slice::from_raw_parts_mut(first, module.functions.len())
    }
}

/// Gives an instance what compiled code looks for in its block.
fn prepare(store: &mut StoreInner, index: u32) {
    let instance = &mut store.instances[index as usize];
    if instance.native.is_prepared {
        return;
    }
    instance.native.is_prepared = true;
    let call_out = stubs::call_out as *const u8;
    entries(instance).fill(call_out);
    // SAFETY: the block lives as long as the store, and no guest runs.
    let vm = unsafe { &mut *instance.vm() };
    vm.poll = stubs::poll as *const u8;
    vm.operate = stubs::call_operate as *const u8;
    vm.call_out = call_out;
    vm.copy = libc::memmove as *const u8;
    vm.fill = libc::memset as *const u8;
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
    let tick_ns = store.compiling.clock.tick_ns();
    // SAFETY: the block is live, and the run in it stands.
    let (index, exit, ip, fp, acc) =
        unsafe { ((*vm).instance, (*vm).exit, (*vm).ip as usize, (*vm).fp as usize, (*vm).acc) };
    if Exit::from_code(exit) != Exit::Budget {
        // SAFETY: at an entry the accumulator is the callee's slot.
        let function = unsafe { (*(acc as *const FuncSlot)).index };
        credit(store, index, function, tick_ns);
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
    let here_ns = native.profile.credit.add_here(fp, ip, tick_ns);
    let (function, _) = store.instances[index as usize].icode.find(ip as *const u8)?;
    if credit(store, index, function, tick_ns) && stays(store, index, function, here_ns, tick_ns) {
        ask_loop(store, vm, index, function, ip);
    }
    None
}

/// Whether a frame of a function that is hot is worth code that begins at its loop: if it has spent
/// as much in it, without a break, as that costs; or if there is code for the next call, and such
/// frames have lost as much since.
fn stays(store: &mut StoreInner, index: u32, function: u32, here_ns: u64, tick_ns: u64) -> bool {
    let Some(cost_ns) = cost_of(store, index, function) else { return false };
    let instance = &mut store.instances[index as usize];
    // SAFETY: slots live as long as the store.
    let native = unsafe { (*instance.functions[function as usize]).native };
    match native == stubs::call_out as *const u8 {
        true => here_ns >= cost_ns,
        false => instance.native.profile.credit.add_late(function, tick_ns, cost_ns),
    }
}

/// Asks for code that begins at the loop whose header is at `ip`.
fn ask_loop(store: &mut StoreInner, vm: *mut Vm, index: u32, function: u32, ip: usize) {
    if !store.instances[index as usize].native.profile.tried.insert(ip) {
        return;
    }
    // The header's record is found again when the code is there.
    let Some(layout) = Layout::of_loop(store, vm, ip as *const u8) else { return };
    let entry = Entry::Loop(layout.site);
    let headers = &mut store.instances[index as usize].native.profile.headers;
    headers.entry((function, entry)).or_insert(ip);
    ask(store, index, function, entry);
}

/// Has the loop compiled whose header is at `ip`, for engines that interpret only what they must. It
/// goes on in the interpreter until that is done: who stops the guest shall not wait for a compiler.
/// Only code that can be stopped everywhere, which is for tests, is made at once.
fn loop_now(store: &mut StoreInner, vm: *mut Vm, index: u32, ip: usize) -> Option<Arc<LoopCode>> {
    let compiler = store.engine.config().compiler.clone()?;
    if !store.instances[index as usize].native.profile.tried.insert(ip) {
        return None;
    }
    let layout = Layout::of_loop(store, vm, ip as *const u8)?;
    let entry = Entry::Loop(layout.site);
    let options = options(store, index);
    let native = &mut store.instances[index as usize].native;
    if native.profile.asked.contains(&(layout.function, entry)) {
        return None;
    }
    native.profile.headers.insert((layout.function, entry), ip);
    if store.engine.config().stops != Stops::Every {
        // The run has come to it already.
        ask(store, index, layout.function, entry);
        return None;
    }
    native.profile.asked.insert((layout.function, entry));
    let module = store.instances[index as usize].module.clone();
    let request = Request { module: &module, function: layout.function, entry, options };
    let code = service::compiled(&*compiler, &request)?;
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

/// What a function of the instance has to lose before it is compiled.
fn cost_of(store: &StoreInner, index: u32, function: u32) -> Option<u64> {
    let body = store.instances[index as usize].module.inner().body_span(function)?;
    Some(cost_ns(body.len_bytes(), store.engine.config().code_store.is_some()))
}

/// Credits a function; asks for its code when it has lost as much as that costs, and says whether
/// it has.
fn credit(store: &mut StoreInner, index: u32, function: u32, won_ns: u64) -> bool {
    let Some(cost_ns) = cost_of(store, index, function) else { return false };
    let instance = &mut store.instances[index as usize];
    let total_ns = instance.native.profile.credit.add(function, won_ns);
    if total_ns < cost_ns {
        return false;
    }
    ask(store, index, function, Entry::Start);
    true
}

fn ask(store: &mut StoreInner, index: u32, function: u32, entry: Entry) {
    let profile = &mut store.instances[index as usize].native.profile;
    if !profile.asked.insert((function, entry)) {
        return;
    }
    let lost_ns = profile.credit.of(function);
    let Some(cost_ns) = cost_of(store, index, function) else { return };
    let options = options(store, index);
    let instance = &store.instances[index as usize];
    let module: Module = instance.module.clone();
    let (done, ready) =
        (store.compiling.channel.get_or_init(channel).0.clone(), store.compiling.ready.clone());
    let wants_library = instance.native.library.is_none();
    let job = Job {
        module,
        function,
        entry,
        options,
        lost_ns,
        cost_ns,
        instance: index,
        done,
        ready,
        wants_library,
    };
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
    let next = |store: &StoreInner| store.compiling.channel.get()?.1.try_recv().ok();
    while let Some(Done { instance, news }) = next(store) {
        match news {
            News::Code(code) => install(store, instance, code),
            News::Library(library) => adopt(store, instance, library),
        }
    }
}

/// Takes what is stored of the functions that an instance has called before that was known. All
/// others are looked for when they are called.
fn adopt(store: &mut StoreInner, index: u32, library: Arc<Library>) {
    let instance = &mut store.instances[index as usize];
    if instance.native.library.is_some() || store.tier == Tier::Interp {
        return;
    }
    instance.native.library = Some(library);
    let imported = instance.module.inner().imported.functions;
    for function in imported..instance.functions.len() as u32 {
        // SAFETY: slots live as long as the store, and no guest runs.
        let was_called = unsafe {
            let slot = &*store.instances[index as usize].functions[function as usize];
            !slot.icode.is_null() && slot.code == slot.icode
        };
        if was_called {
            take_stored(store, index, function);
        }
    }
}

/// Gives a function that is called for the first time the code that is stored of it. Says whether
/// there was some.
pub fn first_call(store: &mut StoreInner, slot: *mut FuncSlot) -> bool {
    if store.tier == Tier::Interp || store.engine.config().code_store.is_none() {
        return false;
    }
    // SAFETY: the slot is that of a guest's function, and lives as long as the store.
    let (index, function) = unsafe { ((*(*slot).vm).instance, (*slot).index) };
    take_stored(store, index, function)
}

fn take_stored(store: &mut StoreInner, index: u32, function: u32) -> bool {
    let instance = &mut store.instances[index as usize];
    let Some(library) = &instance.native.library else { return false };
    let code = match library.find(function, Entry::Start) {
        Some(Found::Code(code)) => code,
        Some(Found::Refused) => return false,
        // It was promised before the start; what was damaged is made anew.
        None if store.tier == Tier::Jit && library.lists(function, Entry::Start) => {
            return compile_now(store, index, function);
        }
        None => return false,
    };
    let module = instance.module.clone();
    instance.native.profile.asked.insert((function, Entry::Start));
    let code = service::keep_stored(module.inner(), options(store, index), code);
    install(store, index, code);
    true
}

/// Compiles a function while its guest waits.
fn compile_now(store: &mut StoreInner, index: u32, function: u32) -> bool {
    let Some(compiler) = store.engine.config().compiler.clone() else { return false };
    let module = store.instances[index as usize].module.clone();
    let options = options(store, index);
    let request = Request { module: &module, function, entry: Entry::Start, options };
    let is_valid = module.inner().validate_body(function, &mut Default::default()).is_ok();
    let code = is_valid.then(|| service::compiled(&*compiler, &request)).flatten();
    code.map(|code| install(store, index, code)).is_some()
}
