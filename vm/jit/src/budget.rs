//! What a compilation may cost. A body that explodes is left to the interpreter.

use brant_engine::compile::CompileError;

/// Bodies above this size take seconds.
pub const MAX_BODY_BYTES: usize = 512 << 10;

/// CLIF instructions, and values that branches and records carry.
const MAX_WORK: u64 = 2_000_000;

/// Blocks times locals: at each block there may be a value for each local.
pub const MAX_MERGES: u64 = 64 << 20;

/// Pairs of values that come into one loop, over all loops. Cranelift takes those that do not change
/// out of a header one by one, and each time goes through all others: some nanoseconds for a pair.
const MAX_HEADER_PAIRS: u64 = 1 << 30;

/// The machine code of one function: side tables count in 32 bits, and branches reach 2 GiB.
pub const MAX_CODE_BYTES: usize = 64 << 20;

/// What is left.
#[derive(Debug)]
pub struct Budget {
    work: u64,
    header_pairs: u64,
}

impl Budget {
    pub fn new() -> Self {
        Self { work: MAX_WORK, header_pairs: MAX_HEADER_PAIRS }
    }

    /// Takes `work` units.
    pub fn spend(&mut self, work: usize) -> Result<(), CompileError> {
        self.work = self.work.checked_sub(work as u64).ok_or(CompileError::TooLarge)?;
        Ok(())
    }

    /// Takes a loop into whose header so many values come.
    pub fn spend_header(&mut self, values: usize) -> Result<(), CompileError> {
        let pairs = (values as u64).saturating_mul(values as u64);
        self.header_pairs = self.header_pairs.checked_sub(pairs).ok_or(CompileError::TooLarge)?;
        Ok(())
    }
}
