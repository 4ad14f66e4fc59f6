//! What an embedder chooses once, for all modules and stores of an engine.

use std::sync::{Arc, OnceLock};

use wasmparser::WasmFeatures;

use crate::compile::{Compiler, Stops};
use crate::native::service::{Counters, Service};
use crate::profile::PerfMap;
use crate::stored::CodeStore;

/// Choices of an [`Engine`]. The default is what `brant run` uses.
#[derive(Clone, Debug)]
pub struct Config {
    /// What modules may use. What the engine cannot execute is refused whatever stands here.
    pub features: WasmFeatures,
    /// Whether faults of guest code arrive as signals. Without it every memory is checked.
    pub signal_handlers: bool,
    /// Whether each block of operators takes fuel.
    pub fuel: bool,
    /// Whether all that a guest can see is fixed: bits of NaN, the largest memory.
    pub deterministic: bool,
    /// The largest memory in a deterministic run, reserved at the start.
    pub deterministic_memory_bytes: u64,
    /// Whether memories can be copied at once. It makes the first touch of a page dearer.
    pub copy_on_write: bool,
    /// How deeply a guest thread's frames may nest: 16 bytes for each, and 8 for each slot.
    pub max_stack_bytes: usize,
    /// What turns functions into machine code. None leaves everything to the interpreter, and so
    /// does [`NO_NATIVE_CODE`].
    pub compiler: Option<Arc<dyn Compiler>>,
    /// What keeps compiled code from one process to the next. None keeps nothing.
    pub code_store: Option<Arc<dyn CodeStore>>,
    /// What is told where compiled code is.
    pub perf_map: Option<Arc<PerfMap>>,
    /// What is compiled.
    pub tier: Tier,
    /// Where compiled code can stop.
    pub stops: Stops,
}

/// What an engine compiles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tier {
    /// Nothing.
    Interp,
    /// Everything, before an instance runs.
    Jit,
    /// What runs often, while the interpreter goes on.
    Auto,
}

impl Tier {
    const NAMES: [(Tier, &str); 3] =
        [(Tier::Interp, "interp"), (Tier::Jit, "jit"), (Tier::Auto, "auto")];

    /// Its name, as the command line has it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(tier, _)| *tier == self).map_or("", |(_, name)| name)
    }

    /// The tier of this name.
    pub fn from_name(name: &str) -> Option<Tier> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(tier, _)| *tier)
    }
}

/// What the engine executes.
pub const SUPPORTED_FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::THREADS);

impl Default for Config {
    fn default() -> Self {
        Self {
            features: SUPPORTED_FEATURES,
            signal_handlers: true,
            fuel: false,
            deterministic: false,
            deterministic_memory_bytes: 1 << 30,
            copy_on_write: false,
            max_stack_bytes: 1 << 20,
            compiler: None,
            code_store: None,
            perf_map: None,
            tier: Tier::Auto,
            stops: Stops::Usual,
        }
    }
}

/// A factory of modules and stores. A copy is the same engine.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    /// Started when something is to be compiled.
    service: OnceLock<Service>,
    counters: Counters,
}

/// What has been made of functions so far, by all modules of an engine.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CodeCounts {
    /// Functions, and loops that code begins at, that were compiled.
    pub compiled: u64,
    /// Those that were found in the code store.
    pub stored: u64,
    /// Bytes of machine code, of both.
    pub code_bytes: u64,
    /// Time that threads have compiled, all together.
    pub compile_ns: u64,
}

/// Why there is no engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EngineError {
    /// The configuration asks for features that the engine cannot execute.
    UnsupportedFeatures(String),
    /// The stack limit is below [`Engine::MIN_STACK_BYTES`] or above [`Engine::MAX_STACK_BYTES`].
    StackLimit(usize),
    /// Everything is to be compiled, and this is why nothing can be.
    NoCompiler(String),
}

/// Why this build cannot run compiled code, whatever compiles it; None if it can.
pub const NO_NATIVE_CODE: Option<&str> = match cfg!(native_code) {
    true => None,
    false => {
        Some("this build of the engine runs no machine code on this kind of processor or system")
    }
};

impl Engine {
    /// A stack limit below this leaves no room for a call of `main`.
    pub const MIN_STACK_BYTES: usize = 4 << 10;
    /// Frame sizes and offsets on the value stack stay far from the limits of their types.
    pub const MAX_STACK_BYTES: usize = 1 << 30;

    /// An engine with these choices.
    ///
    /// # Errors
    /// A choice that cannot be had.
    pub fn new(config: &Config) -> Result<Self, EngineError> {
        let missing = config.features.difference(SUPPORTED_FEATURES | TYPES_ONLY);
        if !missing.is_empty() {
            let names: Vec<_> = missing.iter_names().map(|(name, _)| name.to_lowercase()).collect();
            return Err(EngineError::UnsupportedFeatures(names.join(", ")));
        }
        if !(Self::MIN_STACK_BYTES..=Self::MAX_STACK_BYTES).contains(&config.max_stack_bytes) {
            return Err(EngineError::StackLimit(config.max_stack_bytes));
        }
        let mut config = config.clone();
        let refusal = refusal(&config);
        match (refusal, config.tier) {
            (Some(why), Tier::Jit) => return Err(EngineError::NoCompiler(why)),
            (Some(_), _) => config.compiler = None,
            (None, _) => {}
        }
        Ok(Self::with(config))
    }

    fn with(config: Config) -> Self {
        let (service, counters) = (OnceLock::new(), Counters::default());
        Self(Arc::new(Inner { config, service, counters }))
    }

    /// What has been made of functions so far.
    pub fn code_counts(&self) -> CodeCounts {
        self.0.counters.get()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// The choices.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The thread that compiles; None without a compiler.
    pub(crate) fn service(&self) -> Option<&Service> {
        let compiler = self.0.config.compiler.as_ref()?;
        Some(self.0.service.get_or_init(|| Service::new(compiler.clone())))
    }
}

/// Why an engine of these choices compiles nothing.
fn refusal(config: &Config) -> Option<String> {
    if let Some(why) = NO_NATIVE_CODE {
        return Some(why.to_owned());
    }
    let Some(compiler) = &config.compiler else {
        return Some("the engine was given no compiler".to_owned());
    };
    if !config.signal_handlers {
        return Some("compiled code needs handlers of signals for its traps".to_owned());
    }
    // To ask a compiler may take as long as to make it: only whoever waits for its code asks.
    if config.tier == Tier::Jit { compiler.refusal() } else { None }
}

/// Bits of [`WasmFeatures`] that change what the parser accepts and nothing that runs.
const TYPES_ONLY: WasmFeatures = WasmFeatures::WASM1.union(WasmFeatures::GC_TYPES);

impl Default for Engine {
    fn default() -> Self {
        Self::with(Config::default())
    }
}

impl std::fmt::Display for EngineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnsupportedFeatures(names) => {
                write!(f, "features that the engine cannot execute: {names}")
            }
            Self::StackLimit(bytes) => write!(
                f,
                "a stack limit of {bytes} bytes is not between {} and {}",
                Engine::MIN_STACK_BYTES,
                Engine::MAX_STACK_BYTES
            ),
            Self::NoCompiler(why) => write!(f, "nothing can be compiled here: {why}"),
        }
    }
}

impl std::error::Error for EngineError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_executed_is_refused_by_name() {
        let config =
            Config { features: WasmFeatures::WASM2 | WasmFeatures::GC, ..Config::default() };
        let error = Engine::new(&config).expect_err("no gc");
        assert_eq!(error.to_string(), "features that the engine cannot execute: gc");
    }

    #[test]
    fn an_engine_that_is_to_compile_everything_needs_a_compiler() {
        let config = Config { tier: Tier::Jit, ..Config::default() };
        assert!(matches!(Engine::new(&config), Err(EngineError::NoCompiler(_))));
        let config = Config { tier: Tier::Auto, ..config };
        assert!(Engine::new(&config).is_ok_and(|engine| engine.service().is_none()));
    }

    #[test]
    fn stack_limits_have_limits() {
        for max_stack_bytes in [0, usize::MAX] {
            let config = Config { max_stack_bytes, ..Config::default() };
            assert_eq!(Engine::new(&config).err(), Some(EngineError::StackLimit(max_stack_bytes)));
        }
    }
}
