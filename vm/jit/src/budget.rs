//! What a compilation may cost. A body that explodes is left to the interpreter.

use brant_engine::compile::CompileError;

/// Bodies above this size take seconds.
pub const MAX_BODY_BYTES: usize = 512 << 10;

/// CLIF instructions, and values that branches and records carry.
const MAX_WORK: u64 = 2_000_000;

/// Blocks times locals: at each block there may be a value for each local.
pub const MAX_MERGES: u64 = 64 << 20;

/// The machine code of one function: side tables count in 32 bits, and branches reach 2 GiB.
pub const MAX_CODE_BYTES: usize = 64 << 20;

/// What is left.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    pub fn new() -> Self {
        Self(MAX_WORK)
    }

    /// Takes `work` units.
    pub fn spend(&mut self, work: usize) -> Result<(), CompileError> {
        self.0 = self.0.checked_sub(work as u64).ok_or(CompileError::TooLarge)?;
        Ok(())
    }
}
