//! Loops that need no look of their own, because every way back goes through a call that looks.
//!
//! The pass knows at each place how many of the loops around it, counted from the outermost, have had
//! such a call on every way from their header. A call sets that to all of them; where ways meet, the
//! smallest number holds.

use brant_engine::compile::Stops;
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::{BlockCall, InstructionData, Opcode};

use super::Translator;
use super::exits::Look;

/// How far calls that look have come.
#[derive(Default)]
pub struct Polled {
    /// Loops around the place at hand.
    loops: usize,
    /// How many of them, the outermost first, have had a call.
    had: usize,
}

/// What a block has to remember.
#[derive(Default)]
pub struct Ways {
    /// For a loop: its number among those around it, from 1; else 0.
    level: usize,
    /// For a loop: whether a way back has had no call.
    is_bare: bool,
    /// For a loop: the look in its header.
    pub look: Option<Look>,
    /// Where forward branches came from, together.
    end: Option<usize>,
    /// At its beginning.
    begin: usize,
}

impl Translator<'_, '_> {
    /// What a block that opens has to remember.
    pub(super) fn ways(&mut self, is_loop: bool) -> Ways {
        if is_loop {
            self.polled.loops += 1;
        }
        let level = if is_loop { self.polled.loops } else { 0 };
        Ways { level, begin: self.polled.had, ..Ways::default() }
    }

    /// A call that looks whether to stop.
    pub(super) fn note_look(&mut self) {
        self.polled.had = self.polled.loops;
    }

    /// A branch to the frame at `depth`.
    pub(super) fn note_way(&mut self, depth: usize) {
        let had = self.polled.had;
        let ways = &mut self.frames[depth].ways;
        match ways.level {
            0 => self.note_end(depth),
            level => ways.is_bare |= had < level,
        }
    }

    /// A way to the end of the frame at `depth`.
    pub(super) fn note_end(&mut self, depth: usize) {
        let had = self.polled.had;
        let end = &mut self.frames[depth].ways.end;
        *end = Some(end.map_or(had, |end| end.min(had)));
    }

    /// Goes on from where a block began: its second half, or what it goes around.
    pub(super) fn back_to_begin(&mut self, begin: usize) {
        self.polled.had = begin;
    }

    /// A block has ended; `falls_in` says whether its last operator leads here.
    pub(super) fn end_ways(&mut self, ways: Ways, falls_in: bool) {
        let had = falls_in.then_some(self.polled.had);
        let all = self.polled.loops;
        let meet = [had, ways.end].into_iter().flatten().min();
        self.polled.had = meet.unwrap_or(all);
        if ways.level == 0 {
            return;
        }
        self.polled.loops -= 1;
        self.polled.had = self.polled.had.min(self.polled.loops);
        let is_wanted = self.options.stops == Stops::Usual && self.tuning.polled_loops;
        let Some(look) = ways.look.filter(|_| is_wanted && !ways.is_bare) else { return };
        let dfg = &mut self.b.func.dfg;
        let destination = BlockCall::new(look.on, [], &mut dfg.value_lists);
        dfg.insts[look.branch] = InstructionData::Jump { opcode: Opcode::Jump, destination };
        if let Some(asked) = look.asked {
            let imm = Imm64::new(0);
            dfg.insts[asked] = InstructionData::UnaryImm { opcode: Opcode::Iconst, imm };
        }
    }
}

impl Ways {
    /// What had been called where the block began.
    pub fn begin(&self) -> usize {
        self.begin
    }
}
