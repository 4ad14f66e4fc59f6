//! What code is made for: this processor, and the settings that all functions share.

use std::fmt;

use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};

use crate::tuning::Tuning;

/// Differs between builds whose sources differ: see `build.rs`.
const SOURCES: &str = env!("BRANT_SOURCES");

/// The target of all compilations.
pub struct Target {
    isa: OwnedTargetIsa,
    /// The same without the optimiser, for all but small bodies.
    quick_isa: OwnedTargetIsa,
    /// What the translator does for speed.
    pub tuning: Tuning,
}

/// Why there is no compiler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TargetError {
    /// Cranelift does not know this processor, or cannot be set up for it.
    Unknown(String),
    /// Rounding would need calls into the host: the processor has no SSE 4.1.
    TooOld,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => write!(f, "there is no compiler for this processor: {why}"),
            Self::TooOld => f.write_str("the compiler needs a processor with SSE 4.1"),
        }
    }
}

impl std::error::Error for TargetError {}

/// In a larger body the optimiser takes a fifth of the time that compiling takes, and makes the code
/// no quicker: whoever has compiled the program to bytecode has done its work before. In small ones
/// it costs little, and they are where people write bytecode by hand.
const MAX_OPTIMISED_BYTES: usize = 512;

/// What all code has in common.
const SETTINGS: [(&str, &str); 6] = [
    ("regalloc_algorithm", "backtracking"),
    // A stop finds frames by the chain of frame pointers, and nothing unwinds through them.
    ("preserve_frame_pointers", "true"),
    ("unwind_info", "false"),
    // Frames that jump over the guard are refused by their size.
    ("enable_probestack", "false"),
    ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
    ("machine_code_cfg_info", "false"),
];

impl Target {
    /// This processor.
    pub fn native(tuning: Tuning) -> Result<Self, TargetError> {
        let isa = self::isa("speed")?;
        if cfg!(target_arch = "x86_64") {
            let has = |name: &str| {
                isa.isa_flags().iter().any(|flag| flag.name == name && flag.as_bool() == Some(true))
            };
            if !has("has_sse41") {
                return Err(TargetError::TooOld);
            }
        }
        Ok(Self { isa, quick_isa: self::isa("none")?, tuning })
    }

    /// Cranelift's description of it.
    pub fn isa(&self) -> &OwnedTargetIsa {
        &self.isa
    }

    /// The one for a function whose body has this size.
    pub fn isa_for(&self, body_bytes: usize) -> &OwnedTargetIsa {
        match self.tuning.quick_large && body_bytes > MAX_OPTIMISED_BYTES {
            true => &self.quick_isa,
            false => &self.isa,
        }
    }

    /// See [`Compiler::fingerprint`](brant_engine::compile::Compiler::fingerprint).
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut text = format!("brant-jit {SOURCES} {:?} ", self.tuning);
        text += cranelift_codegen::VERSION;
        text += &self.isa.triple().to_string();
        for flag in self.isa.flags().iter().chain(self.isa.isa_flags()) {
            text += &format!(" {flag}");
        }
        *blake3::hash(text.as_bytes()).as_bytes()
    }
}

/// Cranelift for this processor, at a level of its optimiser.
fn isa(opt_level: &str) -> Result<OwnedTargetIsa, TargetError> {
    let unknown = |why: &dyn fmt::Display| TargetError::Unknown(why.to_string());
    let mut builder = cranelift_native::builder().map_err(|why| unknown(&why))?;
    if cfg!(target_arch = "aarch64") {
        // A stop rewrites return addresses, and goes to where no branch was meant to go.
        for name in ["sign_return_address", "use_bti"] {
            builder.set(name, "false").map_err(|why| unknown(&why))?;
        }
    }
    let mut flags = settings::builder();
    for (name, value) in SETTINGS.into_iter().chain([("opt_level", opt_level)]) {
        flags.set(name, value).map_err(|why| unknown(&why))?;
    }
    builder.finish(settings::Flags::new(flags)).map_err(|why| unknown(&why))
}
