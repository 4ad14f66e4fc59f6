//! Names of records that stand for several operators: what they are made of, in the order in which
//! it happens.
//!
//! A sum inside of an address is written as the operator that it was, `[i32.add s0 -8]`, because it
//! wraps as that operator does; `[s0 + 8]` is an offset, and does not.

use brant_isa::{Opcode, ROWS};

use super::names::Names;
use crate::icode::choice::{DISPLACED, Form, LoadTest, VARIANTS, add_branch, branch};
use crate::interp::dispatch::handler;
use crate::interp::step::fused::AddPair;
use crate::interp::step::special::zero_locals;

/// Comparisons that melt into a branch together with the record before them.
const COMPARISONS: [Opcode; 10] = [
    Opcode::I32Eq,
    Opcode::I32Ne,
    Opcode::I32LtS,
    Opcode::I32LtU,
    Opcode::I32GtS,
    Opcode::I32GtU,
    Opcode::I32LeS,
    Opcode::I32LeU,
    Opcode::I32GeS,
    Opcode::I32GeU,
];

const LOADS: [Opcode; 3] = [Opcode::I32Load, Opcode::I32Load8U, Opcode::I32Load16U];

/// More pairs of locals have a handler that counts.
const MOST_PAIRS: u32 = 16;

impl Names {
    /// Names all of them.
    pub(super) fn fused(&mut self) {
        for pairs in 1..=MOST_PAIRS {
            let pattern = format!("zero from {{a}}, {pairs} pairs");
            self.add(zero_locals(pairs), None, pattern);
        }
        self.add(zero_locals(MOST_PAIRS + 1), None, "zero from {a}, {word} pairs");
        let both = "i32.add {b} {k} -> {a}, i32.add {d} {k2} -> {c} acc";
        self.add(handler::<AddPair>(), None, both);
        for row in ROWS.iter().take(VARIANTS.len()) {
            self.displaced(row.opcode);
        }
        for back in [false, true] {
            self.bits(back);
            for comparison in COMPARISONS {
                for with_slot in [false, true] {
                    self.add_test(comparison, with_slot, back);
                    for from_slot in [false, true] {
                        for load in LOADS {
                            let test = LoadTest { load, comparison, from_slot, with_slot };
                            self.load_test(test, back);
                        }
                    }
                }
            }
        }
    }

    /// Accesses at a sum with a constant.
    fn displaced(&mut self, opcode: Opcode) {
        let row = opcode.row();
        for (form, &pair) in DISPLACED[opcode as usize].iter().enumerate() {
            let base = if form % 2 == 0 { "{a}" } else { "acc" };
            let value = match (row.operand_kinds.len(), form / 2) {
                (1, _) => "",
                (_, 0) => " {b}",
                _ => " {B}",
            };
            let pattern = format!("{} [i32.add {base} {{word}}]{value}", row.name);
            self.pair(pair, row, &pattern, "{b}");
        }
    }

    /// Branches on the bits that two integers have in common.
    fn bits(&mut self, back: bool) {
        for (form, operands) in [
            (Form::AS, "acc {a}"),
            (Form::AI, "acc {B}"),
            (Form::SS, "{a} {b}"),
            (Form::SI, "{a} {B}"),
        ] {
            for (sense, verb) in [(false, "unless"), (true, "if")] {
                if let Some(handler) = branch(Opcode::I32And, form, sense, back) {
                    let pattern = format!("{verb} i32.and {operands} {} {{to}}", way(back));
                    self.add(handler, None, pattern);
                }
            }
        }
    }

    /// Branches that add first.
    fn add_test(&mut self, comparison: Opcode, with_slot: bool, back: bool) {
        if let Some(handler) = add_branch(comparison, with_slot, back) {
            let (name, other) = (comparison.name(), other(with_slot));
            let way = way(back);
            let pattern =
                format!("i32.add {{from}} {{k}} -> {{a}} acc, if {name} acc {other} {way} {{to}}");
            self.add(handler, None, pattern);
        }
    }

    /// Branches that load first.
    fn load_test(&mut self, test: LoadTest, back: bool) {
        if let Some(handler) = test.handler(back) {
            let address = if test.from_slot { "{a}" } else { "acc" };
            let (load, name) = (test.load.name(), test.comparison.name());
            let (way, other) = (way(back), other(test.with_slot));
            let pattern = format!("if {name} ({load} [{address}{{+k}}]) {other} {way} {{to}}");
            self.add(handler, None, pattern);
        }
    }
}

fn way(back: bool) -> &'static str {
    if back { "back to" } else { "to" }
}

fn other(with_slot: bool) -> &'static str {
    if with_slot { "{b}" } else { "{B}" }
}
