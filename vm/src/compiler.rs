//! The compiler that this build has, made when it is first asked for something.

use brant_engine::Config;

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

#[cfg(feature = "jit")]
mod lazy {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use brant_engine::compile::{CompileError, Compiler, NativeFunction, Request, Work};
    use brant_jit::{Jit, TargetError};

    /// Most programs end before anything is worth compiling, and should not wait for Cranelift's tables.
    #[derive(Debug, Default)]
    pub struct Lazy {
        jit: OnceLock<Result<Jit, TargetError>>,
        /// What it has done; the counts need no order among each other.
        compilations_count: AtomicU64,
        code_bytes: AtomicU64,
        time_ns: AtomicU64,
    }

    impl Lazy {
        fn get(&self) -> Result<&Jit, CompileError> {
            let jit = self.jit.get_or_init(Jit::new).as_ref();
            jit.map_err(|error| CompileError::Unsupported(error.to_string()))
        }
    }

    impl Compiler for Lazy {
        fn compile(&self, request: &Request<'_>) -> Result<NativeFunction, CompileError> {
            let start = Instant::now();
            let made = self.get().and_then(|jit| jit.compile(request));
            self.time_ns.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
            if let Ok(made) = &made {
                self.compilations_count.fetch_add(1, Ordering::Relaxed);
                self.code_bytes.fetch_add(made.code.len() as u64, Ordering::Relaxed);
            }
            made
        }

        fn work(&self) -> Work {
            Work {
                compilations_count: self.compilations_count.load(Ordering::Relaxed),
                code_bytes: self.code_bytes.load(Ordering::Relaxed),
                time_ns: self.time_ns.load(Ordering::Relaxed),
            }
        }

        fn fingerprint(&self) -> [u8; 32] {
            self.get().map_or([0; 32], Jit::fingerprint)
        }
    }
}
