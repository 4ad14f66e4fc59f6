//! What a program gets: everything that it can reach is named here.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use brant_engine::{
    Extern, ExternType, Flow, Func, FuncType, HostError, Instance, Memory, MemoryImage,
    SharedMemory, Store, Val,
};
use brant_host::sim::SimHost;
use brant_kernel::host::{Host, MountAccess};
use brant_kernel::net::NetRule;
use brant_kernel::{Mount, RunState, Syscall};
use brant_mobility::Snapshot;

use crate::linker::HostFunction;
use crate::streams::{Input, Output};
use crate::system::{Grants, System, Trace, TracedCall, Watched};
use crate::threads;
use crate::{
    Arrival, Caller, Error, Interrupt, Limits, Linker, MissingImport, Module, Process, ThreadPolicy,
};

/// Names what a program gets; nothing is granted by default.
pub struct ProcessBuilder {
    module: Module,
    linker: Linker,
    limits: Limits,
    grants: Grants,
    host: Option<Box<dyn Host>>,
    user_data: Box<dyn Any + Send>,
    policy: ThreadPolicy,
    /// Whether time is virtual, so that nobody may wait beside those who run.
    is_virtual: bool,
    /// Where the process goes on, and the modules that were linked before the program.
    origin: Option<Origin>,
}

/// What a process goes on from.
pub(crate) struct Origin {
    pub snapshot: Snapshot,
    pub preloads: Vec<(String, Module)>,
    /// Memories whose pages are not in the snapshot.
    pub memories: Vec<MemoryImage>,
    /// The call in which it was told of a signal, if a function handles one.
    pub interrupted: Option<RunState>,
}

impl ProcessBuilder {
    pub(crate) fn new(module: &Module) -> ProcessBuilder {
        ProcessBuilder {
            module: module.clone(),
            linker: Linker::new(),
            limits: Limits::default(),
            grants: Grants::default(),
            host: None,
            user_data: Box::new(()),
            policy: ThreadPolicy::User,
            is_virtual: false,
            origin: None,
        }
    }

    /// A builder of a process that goes on.
    pub(crate) fn going_on(module: &Module, origin: Origin) -> ProcessBuilder {
        ProcessBuilder { origin: Some(origin), ..ProcessBuilder::new(module) }
    }

    /// Adds arguments. The first one is the name of the program.
    #[must_use]
    pub fn args<T: Into<Vec<u8>>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.grants.manifest.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        let mut pair: Vec<u8> = name.into();
        pair.push(b'=');
        pair.extend_from_slice(&value.into());
        self.grants.manifest.env.push(pair);
        self
    }

    /// Grants a directory under a name of the guest's.
    #[must_use]
    pub fn mount(
        mut self, host: impl Into<PathBuf>, guest: impl Into<String>, access: MountAccess,
    ) -> Self {
        let mount = Mount { host: host.into(), guest: guest.into(), access };
        self.grants.manifest.mounts.push(mount);
        self
    }

    /// Listens on a TCP address (`127.0.0.1:8080`) and grants the socket.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.grants.manifest.listeners.push(address.into());
        self
    }

    /// The same; should the process leave this host, the socket and the connections that it has taken
    /// stay here, and whoever sees it leave speaks for it to its callers. A node does so by itself.
    #[must_use]
    pub fn serve(mut self, address: impl Into<String>) -> Self {
        let address = address.into();
        self.grants.served.push(address.clone());
        self.listen(address)
    }

    /// Has waits of the program end whenever there is input at `doorbell`, which somebody else reads.
    /// Without effect on a host of one's own.
    #[must_use]
    pub fn doorbell(mut self, doorbell: std::os::fd::OwnedFd) -> Self {
        self.grants.doorbell = Some(doorbell);
        self
    }

    /// Lets sockets that the program makes reach what the rule allows; what a rule denies stays
    /// denied. Nothing is allowed by default.
    ///
    /// ```
    /// # let wasm = b"\0asm\x01\0\0\0".to_vec();
    /// # let module = brant::Module::new(&brant::Engine::default(), wasm)?;
    /// brant::Process::builder(&module)
    ///     .net("connect:*.example.org:443".parse()?)
    ///     .net("listen:127.0.0.1:8080".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn net(mut self, rule: NetRule) -> Self {
        self.grants.manifest.net.add(rule);
        self
    }

    /// Passes the standard streams of the host process on.
    #[must_use]
    pub fn inherit_stdio(self) -> Self {
        self.stdin(Input::Inherit).stdout(Output::Inherit).stderr(Output::Inherit)
    }

    /// What the program reads as its standard input (default: nothing).
    #[must_use]
    pub fn stdin(mut self, input: Input) -> Self {
        self.grants.input = input;
        self
    }

    /// Where its standard output goes (default: nowhere).
    #[must_use]
    pub fn stdout(mut self, output: Output) -> Self {
        self.grants.output = output;
        self
    }

    /// Where its standard error goes (default: nowhere).
    #[must_use]
    pub fn stderr(mut self, output: Output) -> Self {
        self.grants.error = output;
        self
    }

    /// How much it may take.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What it may import besides system calls.
    #[must_use]
    pub fn linker(mut self, linker: &Linker) -> Self {
        self.linker = linker.clone();
        self
    }

    /// Writing to a standard stream that nobody reads any more ends the program, as it ends
    /// native ones; without this the call answers `pipe`.
    #[must_use]
    pub fn end_on_broken_pipe(mut self) -> Self {
        self.grants.manifest.ends_on_broken_pipe = true;
        self
    }

    /// Shows system calls as they end, those of processes that the program makes among them: those of
    /// some topics, all of them where none is named.
    #[must_use]
    pub fn trace(
        mut self, groups: &[&str], mut see: impl FnMut(&TracedCall<'_>) + Send + 'static,
    ) -> Self {
        self.grants.trace = Some(Trace::new(groups, move |call| {
            see(call);
            Watched::GoesOn
        }));
        self
    }

    /// Data of the embedder, which host functions find through [`Caller::data`].
    #[must_use]
    pub fn data<T: Any + Send>(mut self, data: T) -> Self {
        self.user_data = Box::new(data);
        self
    }

    /// On which threads of the host the threads of the program run (default:
    /// [`ThreadPolicy::User`]).
    #[must_use]
    pub fn threads(mut self, policy: ThreadPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Makes the run repeatable: clocks stand still but for being read and waited for, and random
    /// numbers come from the seed. Files and streams stay what they are.
    ///
    /// A wait for input that has a deadline waits for the input.
    #[must_use]
    pub fn repeatable(mut self, seed: u64) -> Self {
        self.grants.seed = Some(seed);
        self.is_virtual = true;
        self
    }

    /// A simulated host: directories that are granted begin empty and live in memory, clocks are
    /// virtual, random numbers come from the seed, and nothing of the machine is reached but the
    /// standard streams.
    #[must_use]
    pub fn sim(mut self, seed: u64) -> Self {
        self.is_virtual = true;
        self.host(SimHost::new(seed))
    }

    /// Another host than the machine this runs on: a simulated one, or one of the embedder's.
    #[must_use]
    pub fn host(mut self, host: impl Host + 'static) -> Self {
        self.host = Some(Box::new(host));
        self
    }

    /// Links the program. No code of it runs yet, not even its start function.
    ///
    /// # Errors
    /// An import that nothing provides, a grant that cannot be had, or a limit; a snapshot that does
    /// not fit, or asks for what is not granted.
    pub fn build(mut self) -> Result<Process, Error> {
        self.grants.has_tree = self.needs_tree();
        let origin = self.origin.take();
        if let Some(origin) = &origin {
            self.linker.modules.clone_from(&origin.preloads);
        }
        let (grants, host) = (std::mem::take(&mut self.grants), self.host.take());
        let user_data = std::mem::replace(&mut self.user_data, Box::new(()));
        let snapshot = origin.as_ref().map(|origin| &origin.snapshot);
        let system = System::new(grants, &self.limits, host, user_data, snapshot)?;
        let mut process = self.link(system)?;
        if let Some(origin) = origin {
            process.go_on_from(&origin.snapshot, &origin.memories, origin.interrupted)?;
        }
        Ok(process)
    }

    /// Links a program that is on its way here: it has nothing open, and gets what is granted when
    /// the rest of it has come.
    ///
    /// # Errors
    /// As [`ProcessBuilder::build`].
    pub fn arrive(mut self) -> Result<Arrival, Error> {
        self.grants.has_tree = self.needs_tree();
        let limits = self.limits.clone();
        let (grants, host) = (std::mem::take(&mut self.grants), self.host.take());
        let user_data = std::mem::replace(&mut self.user_data, Box::new(()));
        let nothing = System::new(Grants::default(), &limits, None, Box::new(()), None)?;
        let process = self.link(nothing)?;
        Ok(Arrival::new(process, grants, host, user_data, limits))
    }

    /// Whether the program, or what is linked beside it, may come to have other processes.
    fn needs_tree(&self) -> bool {
        let linked = self.linker.modules.iter().map(|(_, module)| module);
        linked.chain([&self.module]).any(|module| {
            module.imports().any(|import| {
                Syscall::from_import(import.module, import.name).is_some_and(Syscall::needs_tree)
            })
        })
    }

    /// Says in which call a process that goes on was told of a signal, if a function handles one.
    pub(crate) fn interrupted(mut self, interrupted: Option<RunState>) -> Self {
        if let Some(origin) = &mut self.origin {
            origin.interrupted = interrupted;
        }
        self
    }

    /// Links a program for a process of the tree of `sibling`, whose limits are its limits.
    ///
    /// # Errors
    /// As [`ProcessBuilder::build`].
    pub(crate) fn build_beside(
        mut self, sibling: &Store, system: System,
    ) -> Result<Process, Error> {
        let origin = self.origin.take();
        let mut process = self.link_in_store(beside(sibling, system))?;
        if let Some(origin) = origin {
            process.go_on_from(&origin.snapshot, &origin.memories, origin.interrupted)?;
        }
        Ok(process)
    }

    fn link(self, system: System) -> Result<Process, Error> {
        let engine = self.module.engine_module().engine().clone();
        if self.limits.fuel.is_some() && !engine.config().fuel {
            return Err(Error::NoFuel);
        }
        let mut store = Store::new(&engine, Box::new(system));
        // Each process of a tree and each thread may have one of each, for each module that is linked.
        let linked = self.linker.modules.len() as u64 + 1;
        let others = self.limits.processes_count.saturating_add(self.limits.threads_count);
        let others = others.saturating_mul(linked);
        let default = brant_engine::Limits::default();
        store.set_limits(brant_engine::Limits {
            memory_bytes: self.limits.memory_bytes,
            table_elements: self.limits.table_elements,
            instances_count: self.limits.instances_count.saturating_add(others),
            memories_count: default.memories_count.saturating_add(others),
            tables_count: default.tables_count.saturating_add(others),
        });
        store.add_fuel(self.limits.fuel.unwrap_or(0));
        self.link_in_store(store)
    }

    fn link_in_store(self, mut store: Store) -> Result<Process, Error> {
        let engine = self.module.engine_module().engine().clone();
        let waker = store.data_mut::<System>().waker();
        let interrupt = Interrupt::new(store.interrupt_handle(), waker);

        let starts_threads = |module: &Module| {
            let mut imports = module.engine_module().imports();
            imports.any(|import| threads::provides(import.module, import.name))
        };
        let mut modules = self.linker.modules.iter().map(|(_, module)| module);
        let mut recipe = Recipe {
            module: self.module.clone(),
            linker: self.linker.clone(),
            memories: BTreeMap::new(),
            is_deterministic: engine.config().deterministic,
            starts_threads: starts_threads(&self.module) || modules.any(starts_threads),
        };
        let (instance, preparation) = recipe.link(&mut store)?;
        store.shrink_to_fit();
        let births = store.data::<System>().births.clone();
        births.are_by(recipe);
        store.on_wake(births.alarm(0));
        let mut modules = self.linker.modules;
        modules.push((String::new(), self.module));
        let mut process =
            Process::new(store, instance, self.limits, interrupt, preparation, modules, births);
        process.set_thread_policy(if self.is_virtual { ThreadPolicy::User } else { self.policy });
        Ok(process)
    }
}

impl std::fmt::Debug for ProcessBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessBuilder")
            .field("linker", &self.linker)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How the instances of a process are made, once for each of its threads.
pub(crate) struct Recipe {
    module: Module,
    pub linker: Linker,
    /// Memories that the program imports and nobody provides, by the names of the import: all
    /// threads have the same.
    memories: BTreeMap<(String, String), SharedMemory>,
    /// Whether all that a guest can see has to be repeatable.
    pub is_deterministic: bool,
    /// Whether a module imports what starts threads.
    pub starts_threads: bool,
}

impl Recipe {
    /// Makes the instances of the first thread, and the memories that it shares with the others.
    fn link(&mut self, store: &mut Store) -> Result<(Instance, VecDeque<Func>), Error> {
        for import in self.module.engine_module().imports() {
            let ExternType::Memory(ty) = import.ty else { continue };
            let key = (import.module.to_owned(), import.name.to_owned());
            if ty.is_shared && !self.linker.modules.iter().any(|(name, _)| *name == key.0) {
                let memory = SharedMemory::within_limits(store, ty).map_err(Error::host)?;
                self.memories.insert(key, memory);
            }
        }
        self.link_in(store)
    }

    /// Makes the instances of another thread, in a store of its own that is used as `sibling` is and
    /// has its limits in common with it.
    pub fn instantiate(
        &self, sibling: &Store, system: System,
    ) -> Result<(Store, Instance, VecDeque<Func>), Error> {
        self.make(beside(sibling, system))
    }

    /// As [`Recipe::instantiate`], for a thread that goes on: shared memories are as they are to be.
    pub fn instantiate_joined(
        &self, sibling: &Store, system: System,
    ) -> Result<(Store, Instance, VecDeque<Func>), Error> {
        let mut store = beside(sibling, system);
        store.join_memories(true);
        self.make(store)
    }

    fn make(&self, mut store: Store) -> Result<(Store, Instance, VecDeque<Func>), Error> {
        let (instance, preparation) = self.link_in(&mut store)?;
        Ok((store, instance, preparation))
    }

    fn link_in(&self, store: &mut Store) -> Result<(Instance, VecDeque<Func>), Error> {
        let mut linking =
            Linking { recipe: self, instances: BTreeMap::new(), preparation: VecDeque::new() };
        for (name, module) in &self.linker.modules {
            let instance = linking.instantiate(store, module)?;
            linking.instances.insert(name.clone(), instance);
        }
        let instance = linking.instantiate(store, &self.module)?;
        Ok((instance, linking.preparation))
    }
}

/// An empty store that is used as `sibling` is, and has its limits in common with it.
fn beside(sibling: &Store, system: System) -> Store {
    let mut store = Store::new(sibling.engine(), Box::new(system));
    store.share_limits(sibling);
    store.keep_trapped(sibling.keeps_trapped());
    if store.tier() != sibling.tier() {
        store.set_tier(sibling.tier());
    }
    store
}

/// The instances of a thread as they come.
struct Linking<'a> {
    recipe: &'a Recipe,
    /// Those of the linker's modules, by the name under which they are imported.
    instances: BTreeMap<String, Instance>,
    preparation: VecDeque<Func>,
}

impl Linking<'_> {
    fn instantiate(&mut self, store: &mut Store, module: &Module) -> Result<Instance, Error> {
        let module = module.engine_module();
        let mut imports = Vec::with_capacity(module.imports().len());
        let mut missing = Vec::new();
        for import in module.imports() {
            match self.import(store, import.module, import.name, &import.ty) {
                Some(found) => imports.push(found),
                None => missing.push(MissingImport {
                    module: import.module.to_owned(),
                    name: import.name.to_owned(),
                    kind: show(&import.ty),
                }),
            }
        }
        if !missing.is_empty() {
            return Err(Error::MissingImports(missing));
        }
        let instance = Instance::new(store, module, &imports)?;
        self.preparation.extend(instance.start(store));
        // A library of the system interface is prepared by its `_initialize`.
        if instance.export(store, "_start").is_none()
            && let Some(Extern::Func(prepare)) = instance.export(store, "_initialize")
            && *prepare.ty(store) == FuncType::new([], [])
        {
            self.preparation.push_back(prepare);
        }
        Ok(instance)
    }

    fn import(
        &self, store: &mut Store, module: &str, name: &str, kind: &ExternType,
    ) -> Option<Extern> {
        let key = (module.to_owned(), name.to_owned());
        if let Some(function) = self.recipe.linker.functions.get(&key) {
            return Some(Extern::Func(host_function(store, function)));
        }
        if let Some(instance) = self.instances.get(module) {
            return instance.export(store, name);
        }
        match kind {
            ExternType::Func(_) => System::import(store, module, name).map(Extern::Func),
            ExternType::Memory(_) => {
                let shared = self.recipe.memories.get(&key)?;
                Memory::from_shared(store, shared).ok().map(Extern::Memory)
            }
            _ => None,
        }
    }
}

fn host_function(store: &mut Store, function: &HostFunction) -> Func {
    let call = function.call.clone();
    Func::host(store, function.kind.clone(), move |caller, params: &[Val], results: &mut [Val]| {
        call(&mut Caller::new(caller), params, results)?;
        Ok::<Flow, HostError>(Flow::Return)
    })
}

/// The type of an import as messages show it.
fn show(kind: &ExternType) -> String {
    match kind {
        ExternType::Func(kind) => format!("function {kind}"),
        ExternType::Table(_) => "table".to_owned(),
        ExternType::Memory(_) => "memory".to_owned(),
        ExternType::Global(kind) => format!("global {}", kind.value),
    }
}
