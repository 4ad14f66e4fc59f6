//! The compiler that this build has, made when it is first asked for something.

use brant_engine::{Config, Engine, EngineError, Tier};

/// `config` with the compiler that this build has; without the feature `jit` there is none, and
/// everything is interpreted.
///
/// ```
/// let config = brant::with_compiler(brant::Config::default());
/// let engine = brant::Engine::new(&config)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn with_compiler(config: Config) -> Config {
    #[cfg(feature = "jit")]
    return Config { compiler: Some(std::sync::Arc::new(lazy::Lazy::default())), ..config };
    #[cfg(not(feature = "jit"))]
    config
}

/// Why this build compiles nothing on this machine; None if it does.
pub fn why_nothing_is_compiled() -> Option<String> {
    let config = with_compiler(Config { tier: Tier::Jit, ..Config::default() });
    Engine::new(&config).err().map(|error| match error {
        EngineError::NoCompiler(why) => why,
        other => other.to_string(),
    })
}

#[cfg(feature = "jit")]
mod lazy {
    use std::sync::OnceLock;

    use brant_engine::compile::{CompileError, Compiler, NativeFunction, Request};
    use brant_jit::{Jit, TargetError};

    /// Most programs end before anything is worth compiling, and should not wait for Cranelift's tables.
    #[derive(Debug, Default)]
    pub struct Lazy(OnceLock<Result<Jit, TargetError>>);

    impl Lazy {
        fn get(&self) -> Result<&Jit, CompileError> {
            let jit = self.0.get_or_init(Jit::new).as_ref();
            jit.map_err(|error| CompileError::Unsupported(error.to_string()))
        }
    }

    impl Compiler for Lazy {
        fn compile(&self, request: &Request<'_>) -> Result<NativeFunction, CompileError> {
            self.get()?.compile(request)
        }

        fn fingerprint(&self) -> [u8; 32] {
            self.get().map_or([0; 32], Jit::fingerprint)
        }

        fn refusal(&self) -> Option<String> {
            let jit = self.0.get_or_init(Jit::new);
            jit.as_ref().err().map(ToString::to_string)
        }
    }
}
