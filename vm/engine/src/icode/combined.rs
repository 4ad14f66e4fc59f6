//! Handlers of branches that do more than compare: which there are, and for which operators.

use brant_isa::{Opcode, ops};

use crate::icode::choice::Form;
use crate::interp::dispatch::{Handler, handler};
use crate::interp::place::{Acc, Short, Slot};
use crate::interp::regs::at;
use crate::interp::step::branch::{AddBranch, Back, BranchBits, Forward, LoadBranch};

type A = Slot<{ at::A }>;
type B = Slot<{ at::B }>;

/// Runs `$with!` with the type of the i32 comparison that `$opcode` is; `None` for other operators.
macro_rules! for_comparison {
    ($opcode:expr, $with:ident $(, $more:ty)*) => {
        match $opcode {
            Opcode::I32Eq => $with!(ops::I32Eq $(, $more)*),
            Opcode::I32Ne => $with!(ops::I32Ne $(, $more)*),
            Opcode::I32LtS => $with!(ops::I32LtS $(, $more)*),
            Opcode::I32LtU => $with!(ops::I32LtU $(, $more)*),
            Opcode::I32GtS => $with!(ops::I32GtS $(, $more)*),
            Opcode::I32GtU => $with!(ops::I32GtU $(, $more)*),
            Opcode::I32LeS => $with!(ops::I32LeS $(, $more)*),
            Opcode::I32LeU => $with!(ops::I32LeU $(, $more)*),
            Opcode::I32GeS => $with!(ops::I32GeS $(, $more)*),
            Opcode::I32GeU => $with!(ops::I32GeU $(, $more)*),
            _ => return None,
        }
    };
}

/// Two handlers, forwards and back.
type Edges = [Handler; 2];

/// The branch that goes if the bits that two i32 have in common are some (`sense`) or none.
pub fn bits_branch(form: Form, sense: bool, back: bool) -> Option<Handler> {
    macro_rules! bits {
        ($s:ty) => {{
            const EDGES: [Edges; 2] = [
                [
                    handler::<BranchBits<$s, Forward, false>>(),
                    handler::<BranchBits<$s, Back, false>>(),
                ],
                [
                    handler::<BranchBits<$s, Forward, true>>(),
                    handler::<BranchBits<$s, Back, true>>(),
                ],
            ];
            EDGES
        }};
    }
    let handlers = match form {
        Form::AS => bits!((Acc, A)),
        Form::AI => bits!((Acc, Short)),
        Form::SS => bits!((A, B)),
        Form::SI => bits!((A, Short)),
        _ => return None,
    };
    Some(handlers[usize::from(sense)][usize::from(back)])
}

/// The branch that adds first and compares the sum with slot `at::B`, or with the immediate there.
pub fn add_branch(comparison: Opcode, with_slot: bool, back: bool) -> Option<Handler> {
    macro_rules! add {
        ($o:ty) => {{
            const EDGES: [Edges; 2] = [
                [
                    handler::<AddBranch<$o, Short, Forward>>(),
                    handler::<AddBranch<$o, Short, Back>>(),
                ],
                [handler::<AddBranch<$o, B, Forward>>(), handler::<AddBranch<$o, B, Back>>()],
            ];
            EDGES
        }};
    }
    let handlers = for_comparison!(comparison, add);
    Some(handlers[usize::from(with_slot)][usize::from(back)])
}

/// The branch that loads first, the address from the accumulator or from slot `at::A`.
#[derive(Clone, Copy, Debug)]
pub struct LoadTest {
    /// How it loads.
    pub load: Opcode,
    /// How it compares what was loaded.
    pub comparison: Opcode,
    /// Whether the address is in a slot.
    pub from_slot: bool,
    /// Whether the other operand is in a slot, or an immediate.
    pub with_slot: bool,
}

impl LoadTest {
    /// Its handler, if there is one.
    pub fn handler(self, back: bool) -> Option<Handler> {
        let edges = match self.load {
            Opcode::I32Load => self.edges::<ops::I32Load>(),
            Opcode::I32Load8U => self.edges::<ops::I32Load8U>(),
            Opcode::I32Load16U => self.edges::<ops::I32Load16U>(),
            _ => None,
        };
        edges.map(|edges| edges[usize::from(back)])
    }

    fn edges<L>(self) -> Option<Edges>
    where
        L: brant_isa::Op<Args = (i32,), Out = i32, Imms = (brant_isa::machine::MemArg,)> + 'static,
    {
        macro_rules! load {
            ($o:ty, $s:ty, $r:ty) => {
                [
                    handler::<LoadBranch<L, $s, $o, $r, Forward>>(),
                    handler::<LoadBranch<L, $s, $o, $r, Back>>(),
                ]
            };
        }
        Some(match (self.from_slot, self.with_slot) {
            (false, false) => for_comparison!(self.comparison, load, Acc, Short),
            (true, false) => for_comparison!(self.comparison, load, A, Short),
            (false, true) => for_comparison!(self.comparison, load, Acc, B),
            (true, true) => for_comparison!(self.comparison, load, A, B),
        })
    }
}
