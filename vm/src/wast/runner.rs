//! Runs one directive after another.

use std::collections::BTreeMap;

use brant_asm::script::{Action, DirectiveKind, Expected, Invoke, Module as ScriptModule};
use brant_engine::{
    Config, Engine, Extern, Func, Instance, InstantiateError, Module, Stop, Store, Thread, Tier,
    Trap, Val,
};

use super::Verdict;
use super::nomad::Recipe;
use super::spectest::Spectest;
use super::value::{HostValues, matches, value};
use crate::Features;
use crate::wast::Mode;

/// The seed of all random choices.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// In modes with stops a run stops after at most so many sites.
const LONGEST_RUN_SITES: u64 = 40;

/// In mode `nomad` a script moves so often: each time all of its modules are instantiated again.
const MOST_MOVES: usize = 300;

/// A call is stopped so often, because a stop costs what the depth of the stack is, and some scripts
/// go as deep as the stack allows.
const MOST_STOPS: usize = 50;

/// The state of a script.
pub struct Runner {
    mode: Mode,
    random: u64,
    recipe: Recipe,
    moves_count: usize,
    engine: Engine,
    store: Store,
    spectest: Spectest,
    host_values: HostValues,
    /// What the last `module` made.
    current: Option<Outcome>,
    /// Instances by identifier.
    named: BTreeMap<String, Outcome>,
    /// Instances by the name under which they are imported.
    registered: BTreeMap<String, Outcome>,
    /// Modules that are kept without being instantiated, the last one under no name too.
    definitions: BTreeMap<Option<String>, Option<Module>>,
}

/// What became of a module; nothing more is counted about one that has failed.
#[derive(Clone, Copy)]
enum Outcome {
    Instance(Instance),
    Failed,
}

/// How a module did not become an instance.
enum NoInstance {
    /// It cannot be parsed or is not valid.
    Module(String),
    /// Its imports do not fit.
    Link(String),
    /// It trapped.
    Trap(Trap),
    /// Something else that must not happen.
    Other(String),
}

/// How an action ended.
enum Ended {
    Values(Vec<Val>),
    Trap(Trap),
}

/// An action that could not be tried.
enum Untried {
    /// The module has failed, and that was counted.
    Silent,
    /// The script asks for what is not there.
    Error(String),
}

impl From<String> for Untried {
    fn from(message: String) -> Untried {
        Untried::Error(message)
    }
}

impl Runner {
    /// A runner before its first directive.
    pub fn new(features: Features, mode: Mode) -> Result<Runner, String> {
        let mut config = Config { features: features.into(), ..Config::default() };
        match mode {
            Mode::Interp => config.tier = Tier::Interp,
            Mode::Jit => config = crate::with_compiler(Config { tier: Tier::Jit, ..config }),
            Mode::Mixed | Mode::Nomad => {
                let stops = brant_engine::compile::Stops::Every;
                config = crate::with_compiler(Config { tier: Tier::Jit, stops, ..config });
            }
        }
        let engine = Engine::new(&config).map_err(|error| error.to_string())?;
        let mut store = Store::new(&engine, Box::new(()));
        let spectest = Spectest::new(&mut store)?;
        let mut runner = Runner {
            mode,
            random: SEED,
            recipe: Recipe::default(),
            moves_count: 0,
            engine,
            store,
            spectest,
            host_values: HostValues::default(),
            current: None,
            named: BTreeMap::new(),
            registered: BTreeMap::new(),
            definitions: BTreeMap::new(),
        };
        if mode == Mode::Mixed {
            runner.store.mix_tiers(Some(SEED));
        }
        if runner.stops_at_sites() {
            runner.plan_a_stop();
        }
        Ok(runner)
    }

    /// Runs a directive.
    ///
    /// # Errors
    /// It did not do what it must; the text says what it did.
    pub fn directive(&mut self, kind: &DirectiveKind) -> Result<Verdict, String> {
        match kind {
            DirectiveKind::Module(module) => self.module(module).map(|()| Verdict::Passed),
            DirectiveKind::ModuleDefinition(module) => self.define(module),
            DirectiveKind::ModuleInstance { instance, module } => {
                self.instance_of_definition(instance.as_deref(), module.as_ref())
            }
            DirectiveKind::Register { name, module } => self.register(name, module.as_deref()),
            DirectiveKind::Invoke(invoke) => match self.invoke(invoke) {
                Ok(Ended::Values(_)) => Ok(Verdict::Passed),
                Ok(Ended::Trap(trap)) => Err(format!("trapped: {}", trap.message())),
                Err(untried) => untried.verdict(),
            },
            DirectiveKind::AssertReturn { action, results } => match self.action(action) {
                Ok(Ended::Values(values)) => self.compare(results, &values),
                Ok(Ended::Trap(trap)) => Err(format!("trapped: {}", trap.message())),
                Err(untried) => untried.verdict(),
            },
            DirectiveKind::AssertTrap { action, message }
            | DirectiveKind::AssertExhaustion { action, message } => match self.action(action) {
                Ok(Ended::Trap(trap)) => same_trap(trap, message),
                Ok(Ended::Values(values)) => Err(format!("returned {values:x?}, must trap")),
                Err(untried) => untried.verdict(),
            },
            DirectiveKind::AssertMalformed { module, .. }
            | DirectiveKind::AssertInvalid { module, .. } => match self.load(module) {
                Err(_) => Ok(Verdict::Passed),
                Ok(_) => Err("the module is valid, and must not be".to_owned()),
            },
            DirectiveKind::AssertUnlinkable { module, .. } => match self.instantiate(module) {
                Err(NoInstance::Link(_)) => Ok(Verdict::Passed),
                Err(other) => Err(format!("{}, and must not link", other.text())),
                Ok(_) => Err("the module links, and must not".to_owned()),
            },
            // What a custom section says is nobody's business but its readers'.
            DirectiveKind::AssertMalformedCustom { .. }
            | DirectiveKind::AssertInvalidCustom { .. } => {
                Err("custom sections are not looked into".to_owned())
            }
            DirectiveKind::AssertException { .. } => Err("the engine has no exceptions".to_owned()),
            DirectiveKind::Thread { .. } | DirectiveKind::Wait { .. } => {
                Err("the engine has no threads".to_owned())
            }
        }
    }

    fn module(&mut self, module: &ScriptModule) -> Result<(), String> {
        let made = self.instantiate(module);
        let outcome = made.as_ref().map_or(Outcome::Failed, |made| Outcome::Instance(*made));
        self.keep(module.name.as_deref(), outcome);
        made.map(drop).map_err(NoInstance::text)
    }

    fn keep(&mut self, name: Option<&str>, outcome: Outcome) {
        self.current = Some(outcome);
        if let Some(name) = name {
            self.named.insert(name.to_owned(), outcome);
        }
    }

    fn define(&mut self, module: &ScriptModule) -> Result<Verdict, String> {
        let loaded = self.load(module);
        let kept = loaded.as_ref().ok().cloned();
        if module.name.is_some() {
            self.definitions.insert(module.name.clone(), kept.clone());
        }
        self.definitions.insert(None, kept);
        loaded.map(|_| Verdict::Passed)
    }

    fn instance_of_definition(
        &mut self, instance: Option<&str>, module: Option<&String>,
    ) -> Result<Verdict, String> {
        let found = self.definitions.get(&module.cloned());
        let Some(definition) = found.cloned().ok_or_else(|| "no such module".to_owned())? else {
            self.keep(instance, Outcome::Failed);
            return Ok(Verdict::Silent);
        };
        let made = self.instantiate_module(&definition);
        let outcome = made.as_ref().map_or(Outcome::Failed, |made| Outcome::Instance(*made));
        self.keep(instance, outcome);
        made.map(|_| Verdict::Passed).map_err(NoInstance::text)
    }

    fn register(&mut self, name: &str, module: Option<&str>) -> Result<Verdict, String> {
        let outcome = match module {
            Some(module) => self.named.get(module).copied(),
            None => self.current,
        };
        let outcome = outcome.ok_or_else(|| "no such instance".to_owned())?;
        self.registered.insert(name.to_owned(), outcome);
        Ok(match outcome {
            Outcome::Instance(_) => Verdict::Passed,
            Outcome::Failed => Verdict::Silent,
        })
    }

    /// Assembles and validates a module.
    fn load(&self, module: &ScriptModule) -> Result<Module, String> {
        let bytes = module.bytes().map_err(|diagnostics| diagnostics.to_string())?;
        Module::new(&self.engine, bytes.into_owned()).map_err(|error| error.to_string())
    }

    fn instantiate(&mut self, module: &ScriptModule) -> Result<Instance, NoInstance> {
        let module = self.load(module).map_err(NoInstance::Module)?;
        self.instantiate_module(&module)
    }

    fn instantiate_module(&mut self, module: &Module) -> Result<Instance, NoInstance> {
        let mut imports = Vec::with_capacity(module.imports().len());
        for import in module.imports() {
            let found = self.import(import.module, import.name);
            let missing =
                || NoInstance::Link(format!("nothing provides {} {}", import.module, import.name));
            imports.push(found.ok_or_else(missing)?);
        }
        let made = Instance::new(&mut self.store, module, &imports);
        let registered = &self.registered;
        self.recipe.note(module, made.as_ref().ok().copied(), |name| match registered.get(name) {
            Some(Outcome::Instance(instance)) => Some(*instance),
            Some(Outcome::Failed) | None => None,
        });
        let mut instance = match made {
            Ok(instance) => instance,
            Err(InstantiateError::Trap(trap)) => return Err(NoInstance::Trap(trap)),
            Err(error) => return Err(NoInstance::Link(error.to_string())),
        };
        if let Some(start) = instance.start(&self.store) {
            let number = self.recipe.len() - 1;
            match self.run(start, &[]) {
                // It may have moved meanwhile.
                Ok(Ended::Values(_)) => instance = self.recipe.instance(number).unwrap_or(instance),
                Ok(Ended::Trap(trap)) => return Err(NoInstance::Trap(trap)),
                Err(message) => return Err(NoInstance::Other(message)),
            }
        }
        Ok(instance)
    }

    fn import(&self, module: &str, name: &str) -> Option<Extern> {
        match self.registered.get(module) {
            Some(Outcome::Instance(instance)) => instance.export(&self.store, name),
            Some(Outcome::Failed) => None,
            None if module == "spectest" => self.spectest.get(name),
            None => None,
        }
    }

    fn action(&mut self, action: &Action) -> Result<Ended, Untried> {
        match action {
            Action::Invoke(invoke) => self.invoke(invoke),
            Action::Get { module, global } => {
                let instance = self.instance(module.as_deref())?;
                match instance.export(&self.store, global) {
                    Some(Extern::Global(found)) => Ok(Ended::Values(vec![found.get(&self.store)])),
                    _ => Err(Untried::Error(format!("no global is called `{global}`"))),
                }
            }
            Action::Module(module) => match self.instantiate(module) {
                Ok(_) => Ok(Ended::Values(Vec::new())),
                Err(NoInstance::Trap(trap)) => Ok(Ended::Trap(trap)),
                Err(other) => Err(Untried::Error(other.text())),
            },
        }
    }

    fn invoke(&mut self, invoke: &Invoke) -> Result<Ended, Untried> {
        let instance = self.instance(invoke.module.as_deref())?;
        let Some(Extern::Func(function)) = instance.export(&self.store, &invoke.function) else {
            return Err(Untried::Error(format!("no function is called `{}`", invoke.function)));
        };
        let mut arguments = Vec::with_capacity(invoke.arguments.len());
        for argument in &invoke.arguments {
            arguments.push(value(argument, &mut self.store, &mut self.host_values)?);
        }
        let kinds = function.ty(&self.store).params().iter().copied();
        if !kinds.eq(arguments.iter().map(|argument| argument.ty())) {
            return Err(Untried::Error("the arguments have other types".to_owned()));
        }
        Ok(self.run(function, &arguments)?)
    }

    fn instance(&self, name: Option<&str>) -> Result<Instance, Untried> {
        let outcome = match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        };
        match outcome {
            Some(Outcome::Instance(instance)) => Ok(instance),
            Some(Outcome::Failed) => Err(Untried::Silent),
            None => Err(Untried::Error("no such instance".to_owned())),
        }
    }

    fn run(&mut self, function: Func, arguments: &[Val]) -> Result<Ended, String> {
        let mut thread = Thread::new(&mut self.store, function, arguments);
        let mut stop = thread.run(&mut self.store);
        let mut stops_count = 0;
        // There is no other thread that could wake this one.
        while matches!(stop, Stop::Blocked)
            && let Some(wait) = thread.wait()
        {
            stop = match wait.timeout_ns {
                Some(_) => {
                    thread.time_out(&self.store);
                    thread.run(&mut self.store)
                }
                None => thread.trap(&mut self.store, Trap::Deadlock),
            };
        }
        while self.stops_at_sites() && matches!(stop, Stop::Interrupted) {
            stops_count += 1;
            if self.mode == Mode::Nomad {
                thread = self.move_on(thread)?;
            }
            match stops_count < MOST_STOPS {
                true => self.plan_a_stop(),
                false => self.store.stop_at_site(None),
            }
            stop = thread.run(&mut self.store);
        }
        if self.stops_at_sites() {
            self.plan_a_stop();
        }
        match stop {
            Stop::Done(values) => Ok(Ended::Values(values)),
            Stop::Trap(report) => Ok(Ended::Trap(report.code)),
            other => Err(format!("stopped: {other}")),
        }
    }

    /// How often runs have moved.
    pub fn moves_count(&self) -> usize {
        self.moves_count
    }

    fn stops_at_sites(&self) -> bool {
        matches!(self.mode, Mode::Mixed | Mode::Nomad)
    }

    /// In mode `nomad`: lets a thread that stands go on elsewhere, if it can.
    fn move_on(&mut self, mut thread: Thread) -> Result<Thread, String> {
        if self.moves_count == MOST_MOVES {
            return Ok(thread);
        }
        let tier = if self.moves_count.is_multiple_of(2) { Tier::Interp } else { Tier::Jit };
        let moved = self.recipe.relocate(&self.engine, &mut self.store, &mut thread, tier)?;
        let Some(remade) = moved else { return Ok(thread) };
        self.moves_count += 1;
        let outcomes = self.current.iter_mut().chain(self.named.values_mut());
        for outcome in outcomes.chain(self.registered.values_mut()) {
            if let Outcome::Instance(instance) = outcome {
                *instance = self.recipe.successor(&remade, *instance);
            }
        }
        self.recipe.moved_to(&remade);
        // Nothing in the store refers to what the host had: else it would not have moved.
        self.host_values = HostValues::default();
        (self.store, self.spectest) = (remade.store, remade.spectest);
        Ok(remade.thread)
    }

    /// In modes with stops: lets the next run stop after a random number of sites.
    fn plan_a_stop(&mut self) {
        // xorshift64: the same stops in every run.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.store.stop_at_site(Some(self.random % LONGEST_RUN_SITES + 1));
    }

    fn compare(&self, expected: &[Expected], actual: &[Val]) -> Result<Verdict, String> {
        let same = expected.len() == actual.len()
            && expected.iter().zip(actual).all(|(want, got)| matches(want, *got, &self.store));
        match same {
            true => Ok(Verdict::Passed),
            false => Err(format!("returned {actual:x?}, must return {expected:x?}")),
        }
    }
}

/// Trap messages of scripts may say more or less than ours: an index, for instance.
fn same_trap(trap: Trap, message: &str) -> Result<Verdict, String> {
    let ours = trap.message();
    match message.starts_with(ours) || ours.starts_with(message) {
        true => Ok(Verdict::Passed),
        false => Err(format!("trapped with `{ours}`, must trap with `{message}`")),
    }
}

impl Untried {
    fn verdict(self) -> Result<Verdict, String> {
        match self {
            Untried::Silent => Ok(Verdict::Silent),
            Untried::Error(message) => Err(message),
        }
    }
}

impl NoInstance {
    fn text(self) -> String {
        match self {
            NoInstance::Module(text) | NoInstance::Link(text) | NoInstance::Other(text) => text,
            NoInstance::Trap(trap) => format!("trapped: {}", trap.message()),
        }
    }
}
