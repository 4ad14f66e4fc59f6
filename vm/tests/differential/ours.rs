//! The side of brant.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use brant_engine::compile::Stops;
use brant_engine::{
    Config, Engine, Extern, ExternType, Flow, Func, Global, Instance, InstantiateError, Interrupt,
    Memory, Module, ModuleError, RefType, Resource, Stop, Store, Table, Thread, Tier, Trap, Val,
    ValType,
};

use brant_kernel::persist::KernelState;
use brant_mobility::{Contents, ModuleImage, Purpose, ReadLimits, Snapshot, Standing};

use super::values::{End, Kind, Log, Mode, Numbers, Value, global};

/// What wasmi does on its fuel is far less than this.
const FUEL: u64 = 20_000_000;
/// What a call gets that says nothing.
const FUEL_TO_TRY: u64 = 100_000;
/// Longer than any call that wasmi finishes takes, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn load(bytes: &[u8], mode: Mode) -> Result<Module, ModuleError> {
    let config = Config {
        signal_handlers: mode != Mode::Checked,
        fuel: mode.has_fuel(),
        // Frames of compiled code have to fit into the native stack of the thread that calls.
        max_stack_bytes: if mode.is_compiled() { 1 << 20 } else { 64 << 20 },
        tier: if mode.is_compiled() { Tier::Jit } else { Tier::Interp },
        stops: if mode.stops_at_sites() { Stops::Every } else { Stops::Usual },
        ..Config::default()
    };
    let config = if mode.is_compiled() { brant::with_compiler(config) } else { config };
    Module::new(&Engine::new(&config).expect("an engine"), bytes.to_vec())
}

/// Exported functions and the kinds of their parameters.
pub fn functions(module: &Module) -> Vec<(String, Vec<Kind>)> {
    let exports = module.exports().filter_map(|export| match export.ty {
        ExternType::Func(ty) => {
            Some((export.name.to_owned(), ty.params().iter().map(|&ty| kind(ty)).collect()))
        }
        _ => None,
    });
    exports.collect()
}

/// A store with one instance.
pub struct Ours {
    module: Module,
    pub store: Store,
    mode: Mode,
    instance: Option<Instance>,
    log: Arc<Mutex<Log>>,
    numbers: Numbers,
    watch: Watch,
    moves_count: u64,
}

/// A call stops so often at most.
const MOST_STOPS: u64 = 30;

/// A call is given its fuel in so many small parts, then all that is left.
const MOST_SLICES: u64 = 100;

impl Ours {
    pub fn new(module: &Module, mode: Mode, seed: u64) -> Ours {
        let mut store = Store::new(module.engine(), Box::new(()));
        if mode == Mode::Mixed {
            store.mix_tiers(Some(seed));
        }
        let watch = Watch::new(store.interrupt_handle());
        let log = Arc::default();
        let numbers = Numbers::new(!seed);
        let (module, instance, moves_count) = (module.clone(), None, 0);
        Ours { module, store, mode, instance, log, numbers, watch, moves_count }
    }

    /// Makes the instance and runs its start function.
    pub fn prepare(&mut self) -> End {
        let instance = match self.instantiate() {
            Ok(instance) => instance,
            Err(end) => return end,
        };
        match instance.start(&self.store) {
            Some(start) => self.run(start, &[], FUEL),
            None => End::Values(Vec::new()),
        }
    }

    fn instantiate(&mut self) -> Result<Instance, End> {
        let kinds: Vec<ExternType> = self.module.imports().map(|import| import.ty).collect();
        let (mut imports, mut counts) = (Vec::new(), [0; 4]);
        for kind in &kinds {
            let count = &mut counts[match kind {
                ExternType::Func(_) => 0,
                ExternType::Global(_) => 1,
                ExternType::Table(_) => 2,
                ExternType::Memory(_) => 3,
            }];
            imports.push(self.import(*count, kind));
            *count += 1;
        }
        let instance = match Instance::new(&mut self.store, &self.module, &imports) {
            Ok(instance) => instance,
            Err(InstantiateError::Trap(trap)) => return Err(End::Trap(words(trap))),
            Err(InstantiateError::Limit(error)) if error.resource == Resource::HostMemory => {
                return Err(End::Open);
            }
            Err(error) => return Err(End::Wrong(error.to_string())),
        };
        self.instance = Some(instance);
        Ok(instance)
    }

    /// How often it moved since somebody asked.
    pub fn take_moves(&mut self) -> u64 {
        std::mem::take(&mut self.moves_count)
    }

    /// Becomes bytes, and goes on from them in a new store, in a tier by chance.
    fn move_on(&mut self, thread: &mut Thread) -> Result<Thread, String> {
        let (hash, bytes) = (self.module.hash(), None);
        let standing = Standing {
            modules: vec![ModuleImage { name: String::new(), hash, bytes }],
            threads: vec![(Purpose::Call, thread)],
            preparation: Vec::new(),
            resources: KernelState::default(),
            generation: [0; 16],
            contents: Contents::Compressed,
            spawned: None,
        };
        let snapshot = Snapshot::capture(&mut self.store, standing);
        let bytes = snapshot.map_err(|error| error.to_string())?.to_vec();
        let snapshot = Snapshot::from_bytes(bytes.into(), &ReadLimits::default());
        let snapshot = snapshot.map_err(|error| error.to_string())?;
        self.store = Store::new(self.module.engine(), Box::new(()));
        self.watch = Watch::new(self.store.interrupt_handle());
        let tier = if self.numbers.next().is_multiple_of(2) { Tier::Interp } else { Tier::Jit };
        self.store.set_tier(tier);
        self.instantiate().map_err(|end| format!("it cannot be made again: {end:?}"))?;
        let mut restored = snapshot.restore(&mut self.store).map_err(|error| error.to_string())?;
        self.moves_count += 1;
        Ok(restored.threads.pop().ok_or("the thread is gone")?.thread)
    }

    /// Import `index` among those of its kind.
    fn import(&mut self, index: usize, ty: &ExternType) -> Extern {
        let store = &mut self.store;
        match ty {
            ExternType::Func(ty) => {
                let kinds: Vec<Kind> = ty.results().iter().map(|ty| kind(*ty)).collect();
                let log = Arc::clone(&self.log);
                Extern::Func(Func::host(store, ty.clone(), move |_, params, results| {
                    let params = params.iter().map(value);
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    let answer = log.call(index, params, &kinds).ok_or(Trap::Unreachable)?;
                    for (result, answer) in results.iter_mut().zip(answer) {
                        *result = val(answer);
                    }
                    Ok(Flow::Return)
                }))
            }
            ExternType::Global(ty) => {
                Extern::Global(Global::new(store, *ty, val(global(index, kind(ty.value)))))
            }
            ExternType::Table(ty) => {
                let null = match ty.element {
                    RefType::Func => Val::FuncRef(None),
                    RefType::Extern => Val::ExternRef(None),
                };
                Extern::Table(Table::new(store, *ty, null).expect("tables are small"))
            }
            ExternType::Memory(ty) => {
                Extern::Memory(Memory::new(store, *ty).expect("memories are small"))
            }
        }
    }

    pub fn call(&mut self, name: &str, arguments: &[Value]) -> End {
        self.call_for(name, arguments, FUEL)
    }

    /// Calls what may never end: for a while, and with no result.
    pub fn try_out(&mut self, name: &str, arguments: &[Value]) {
        self.call_for(name, arguments, FUEL_TO_TRY);
    }

    fn call_for(&mut self, name: &str, arguments: &[Value], fuel: u64) -> End {
        let func = self.func(name);
        let arguments: Vec<Val> = arguments.iter().copied().map(val).collect();
        self.run(func, &arguments, fuel)
    }

    fn run(&mut self, func: Func, arguments: &[Val], mut fuel: u64) -> End {
        let mut thread = Thread::new(&mut self.store, func, arguments);
        if matches!(self.mode, Mode::Guarded | Mode::Jit) {
            self.store.interrupt_handle().interrupt();
        }
        // A function of the host that is exported again has no frames.
        if self.mode == Mode::Nomad && thread.frames(&mut self.store).is_some() {
            // Most calls end before they come to another site than their first.
            thread = match self.move_on(&mut thread) {
                Ok(thread) => thread,
                Err(what) => return End::Wrong(format!("it cannot move: {what}")),
            };
        }
        if self.mode.stops_at_sites() {
            self.plan_a_stop();
        }
        let mut stops_count = 0;
        loop {
            match thread.run(&mut self.store) {
                Stop::Done(values) => return End::Values(values.iter().map(value).collect()),
                Stop::Trap(report) if report.code == Trap::CallStackExhausted => return End::Open,
                Stop::Trap(report) => return End::Trap(words(report.code)),
                Stop::Interrupted if self.watch.is_over() => {
                    return End::Wrong(format!("it does not end in {PATIENCE:?}"));
                }
                Stop::Interrupted if self.mode.stops_at_sites() => {
                    if self.mode == Mode::Mixed {
                        let frames = thread.frames(&mut self.store).expect("a thread that stands");
                        thread = match Thread::from_frames(&mut self.store, func, &frames) {
                            Ok(thread) => thread,
                            Err(error) => return End::Wrong(format!("{error}: {frames:?}")),
                        };
                    }
                    if self.mode == Mode::Nomad {
                        thread = match self.move_on(&mut thread) {
                            Ok(thread) => thread,
                            Err(what) => return End::Wrong(format!("it cannot move: {what}")),
                        };
                    }
                    stops_count += 1;
                    if stops_count < MOST_STOPS {
                        self.plan_a_stop();
                    } else {
                        self.store.stop_at_site(None);
                    }
                }
                Stop::Interrupted => {}
                Stop::OutOfFuel if fuel == 0 => {
                    return End::Wrong("it does not end with its fuel".to_owned());
                }
                Stop::OutOfFuel => {
                    // A stop costs as much as the stack is deep.
                    let part = match self.mode {
                        Mode::Slices | Mode::JitSlices if stops_count < MOST_SLICES => {
                            self.numbers.next() % 100
                        }
                        _ => fuel,
                    };
                    stops_count += 1;
                    fuel = fuel.saturating_sub(part + 1);
                    self.store.add_fuel(part + 1);
                }
                other => return End::Wrong(other.to_string()),
            }
        }
    }

    /// Lets the next run stop after a few sites, or after many.
    fn plan_a_stop(&mut self) {
        let bits = self.numbers.next() % 5;
        self.store.stop_at_site(Some(1 + self.numbers.next() % (1 << bits)));
    }

    pub fn log(&self) -> Log {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn memory(&self, name: &str) -> Option<&[u8]> {
        Some(self.export(name)?.memory()?.bytes(&self.store))
    }

    /// What a global or the elements of a table hold.
    pub fn shown(&self, name: &str) -> Vec<Value> {
        match self.export(name) {
            Some(Extern::Global(global)) => vec![value(&global.get(&self.store))],
            Some(Extern::Table(table)) => {
                let size = table.len(&self.store);
                let element = |index| table.get(&self.store, index).expect("it is inside");
                (0..size).map(|index| value(&element(index))).collect()
            }
            _ => Vec::new(),
        }
    }

    pub fn func(&self, name: &str) -> Func {
        self.export(name).and_then(Extern::func).expect("the function is exported")
    }

    fn export(&self, name: &str) -> Option<Extern> {
        self.instance?.export(&self.store, name)
    }
}

/// Interrupts a store that runs too long.
struct Watch {
    over: Arc<AtomicBool>,
    /// Dropped first, which ends the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn new(interrupt: Interrupt) -> Watch {
        let (alive, gone) = channel::<()>();
        let over = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while gone.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                tell.store(true, Ordering::Release);
                interrupt.interrupt();
            }
        });
        Watch { over, alive: Some(alive), thread: Some(thread) }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread only waits");
        }
    }
}

/// The specification's words for a trap, two of them as wasmi has them: one.
fn words(trap: Trap) -> String {
    match trap {
        Trap::UndefinedElement => Trap::OutOfBoundsTableAccess,
        other => other,
    }
    .message()
    .to_owned()
}

fn kind(ty: ValType) -> Kind {
    match ty {
        ValType::I32 => Kind::I32,
        ValType::I64 => Kind::I64,
        ValType::F32 => Kind::F32,
        ValType::F64 => Kind::F64,
        ValType::V128 => Kind::V128,
        ValType::FuncRef => Kind::Func,
        ValType::ExternRef => Kind::Extern,
    }
}

pub fn value(val: &Val) -> Value {
    match *val {
        Val::I32(value) => Value::I32(value as u32),
        Val::I64(value) => Value::I64(value as u64),
        Val::F32(bits) => Value::F32(bits),
        Val::F64(bits) => Value::F64(bits),
        Val::V128(bits) => Value::V128(bits),
        Val::FuncRef(func) => Value::Func { is_null: func.is_none() },
        Val::ExternRef(outer) => Value::Extern { is_null: outer.is_none() },
    }
}

pub fn val(value: Value) -> Val {
    match value {
        Value::I32(bits) => Val::I32(bits as i32),
        Value::I64(bits) => Val::I64(bits as i64),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(bits) => Val::V128(bits),
        // Nobody gives anything but null.
        Value::Func { .. } => Val::FuncRef(None),
        Value::Extern { .. } => Val::ExternRef(None),
    }
}
