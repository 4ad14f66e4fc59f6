//! Small loops, translated several times over.
//!
//! In a loop of a few instructions the look at its header is a good part of them. So its body is
//! translated four times: a branch back in one copy goes to the next, and only that of the last copy
//! goes to the header, which looks. What the copies have in common, such as counting in steps of one,
//! Cranelift folds.

use brant_engine::compile::{CompileError, Stops};
use brant_isa::Opcode;
use cranelift_codegen::ir::Block;
use wasmparser::BinaryReader;

use super::Translator;

/// How often a small loop is translated.
const COPIES: u32 = 4;

/// A loop with more operators looks rarely enough.
const MAX_OPERATORS: usize = 40;

/// A loop of which there are copies.
pub struct Copies<'a> {
    /// Its body.
    body: BinaryReader<'a>,
    /// How many copies follow the one at hand.
    left: u32,
    /// Where the next one begins, once something branches there.
    next: Option<Block>,
}

impl<'a> Translator<'a, '_> {
    /// The copies of the loop that begins here, if it is worth any.
    pub(super) fn copies(&mut self) -> Result<Option<Copies<'a>>, CompileError> {
        let looks = self.options.stops == Stops::Usual;
        if !looks || self.options.fuel || !self.tuning.unrolled_loops {
            return Ok(None);
        }
        let (body, offset) = (self.reader.clone(), self.offset);
        let is_small = self.is_small_loop();
        (self.reader, self.offset) = (body.clone(), offset);
        Ok(is_small?.then_some(Copies { body, left: COPIES - 1, next: None }))
    }

    /// Whether the body from here on is short, calls nothing and has no loop inside.
    fn is_small_loop(&mut self) -> Result<bool, CompileError> {
        let mut nested = 0u32;
        for _ in 0..MAX_OPERATORS {
            let opcode = self.opcode()?;
            match opcode {
                Opcode::End if nested == 0 => return Ok(true),
                Opcode::End => nested -= 1,
                Opcode::Block | Opcode::If => nested += 1,
                Opcode::Loop | Opcode::BrTable => return Ok(false),
                Opcode::Call | Opcode::CallIndirect => return Ok(false),
                Opcode::MemoryCopy | Opcode::MemoryFill => return Ok(false),
                _ if super::memories::is_operation(opcode) => return Ok(false),
                _ => {}
            }
            self.skip_immediates(opcode)?;
        }
        Ok(false)
    }

    /// Where branches back to the loop at `depth` go: to its next copy, if there will be one.
    pub(super) fn next_copy(&mut self, depth: usize) -> Option<Block> {
        let frame = &self.frames[depth];
        let copies = frame.copies.as_ref().filter(|copies| copies.left > 0)?;
        if let Some(next) = copies.next {
            return Some(next);
        }
        let params = frame.params.clone();
        let next = self.block_with(&params);
        if let Some(copies) = &mut self.frames[depth].copies {
            copies.next = Some(next);
        }
        Some(next)
    }

    /// At the end of a copy of the innermost block: begins the next one. False if there is none.
    pub(super) fn begin_copy(&mut self) -> bool {
        let Some(frame) = self.frames.last_mut() else { return false };
        let height = frame.height;
        let Some(copies) = &mut frame.copies else { return false };
        let Some(next) = copies.next.take() else { return false };
        copies.left -= 1;
        self.reader = copies.body.clone();
        self.go_on_in(next);
        self.loop_operands(next, height);
        self.refresh_kept();
        true
    }
}
