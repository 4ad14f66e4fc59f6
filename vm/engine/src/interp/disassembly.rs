//! Reads the machine code of the handlers of this build.
//!
//! The way from one record to the next has no call, no push and no frame.
//!
//! A lost sibling call is found here before it costs anything else: each handler that runs would leave
//! a frame on the native stack until the budget ends.

use brant_isa::Opcode;
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, Register};

use crate::icode::choice::{BRANCHES, CHECKED, DISPLACED, INDEXED, VARIANTS};
use crate::interp::dispatch::{Handler, handler};
use crate::interp::place::{Acc, Imm, Slot};
use crate::interp::regs::at;
use crate::interp::step::branch::{Back, BranchTable, Forward, Jump};
use crate::interp::step::call::{Call, CallIndirect, INDEX, Return, ReturnOne};
use crate::interp::step::moves::{GlobalGet, GlobalSet, Move, MovePair, Only, Own, Select};
use crate::interp::step::special::{Fuel, ZeroPairs};

/// What a reader of the code wants to know of a handler.
#[derive(Debug, Default)]
struct Path {
    /// Instructions on the shortest way to the next handler, the jump included.
    shortest: usize,
    /// What should not be on a way to the next handler.
    faults: Vec<String>,
}

/// Handlers are shorter than this, calls of cold code left out.
const MAX_INSTRUCTIONS: usize = 600;

/// One instruction at `address`.
fn decode(address: u64) -> Instruction {
    // SAFETY: `address` is in a function of this program, whose text is readable to the end of the
    // page after the longest instruction.
    let bytes = unsafe { std::slice::from_raw_parts(address as *const u8, 15) };
    Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode()
}

/// Whether the instruction makes room on the native stack.
fn grows_the_stack(instruction: &Instruction) -> bool {
    let to_rsp = instruction.op0_register() == Register::RSP;
    instruction.mnemonic() == Mnemonic::Push || instruction.mnemonic() == Mnemonic::Sub && to_rsp
}

/// Follows all ways from the entry of `handler`; ways end at jumps to an address in memory or in a
/// register (the next handler), at direct jumps to other functions and at direct calls (cold code).
fn read(handler: Handler) -> Path {
    let mut path = Path { shortest: usize::MAX, ..Path::default() };
    // Address, instructions so far, whether the stack has grown.
    let mut open = vec![(handler as usize as u64, 0, false)];
    let mut seen = std::collections::HashSet::new();
    while let Some((mut address, mut count, mut grown)) = open.pop() {
        while count < MAX_INSTRUCTIONS && seen.insert((address, grown)) {
            let instruction = decode(address);
            count += 1;
            grown |= grows_the_stack(&instruction);
            match instruction.flow_control() {
                FlowControl::Next => {}
                FlowControl::ConditionalBranch => {
                    open.push((instruction.near_branch_target(), count, grown));
                }
                FlowControl::UnconditionalBranch => {
                    address = instruction.near_branch_target();
                    continue;
                }
                FlowControl::IndirectBranch => {
                    path.shortest = path.shortest.min(count);
                    if grown {
                        path.faults.push(format!("a frame on the way to {address:x}"));
                    }
                    break;
                }
                FlowControl::IndirectCall => {
                    path.faults.push(format!("a call of the next handler at {address:x}"));
                    break;
                }
                _ => break,
            }
            assert_ne!(instruction.code(), Code::INVALID, "not code at {address:x}");
            address = instruction.next_ip();
        }
    }
    path
}

/// Operators that are calls of the mathematical library where the machine has no instruction for them,
/// and signed division: its two registers are those of the dispatch, and one more constant is compared.
fn may_have_a_frame(opcode: Opcode) -> bool {
    use Opcode::*;
    matches!(
        opcode,
        F32Ceil | F32Floor | F32Trunc | F32Nearest | F64Ceil | F64Floor | F64Trunc | F64Nearest
    ) || matches!(opcode, I32DivS | I64DivS)
}

#[test]
fn no_handler_of_a_scalar_operator_calls_or_makes_a_frame() {
    let mut faults = Vec::new();
    let mut count = 0;
    for opcode in brant_isa::ROWS.iter().map(|row| row.opcode).take(VARIANTS.len()) {
        let index = opcode as usize;
        if opcode.row().name.contains('x') && opcode.row().name.starts_with(['i', 'f']) {
            // Vectors: some lane-wise operators are long, see the next test.
            continue;
        }
        if may_have_a_frame(opcode) {
            continue;
        }
        let pairs = VARIANTS[index].iter().flatten().chain(INDEXED[index]).chain(DISPLACED[index]);
        let handlers = pairs.flat_map(|pair| [pair.to_acc, pair.to_slot]);
        for handler in handlers.chain(BRANCHES[index].iter().flatten().copied()) {
            count += 1;
            faults.extend(read(handler).faults.into_iter().map(|fault| (opcode, fault)));
        }
    }
    assert!(count > 2000, "{count} handlers were read");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_handler_at_all_calls_the_next_one() {
    let mut faults = Vec::new();
    for (index, forms) in VARIANTS.iter().enumerate() {
        let pairs = forms.iter().flatten().chain(&CHECKED[index]);
        for handler in pairs.flat_map(|pair| [pair.to_acc, pair.to_slot]) {
            let found = read(handler).faults;
            faults.extend(found.into_iter().filter(|fault| fault.contains("a call")));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn moves_jumps_calls_and_returns_have_no_frame() {
    type A = Slot<{ at::A }>;
    type B = Slot<{ at::B }>;
    let handlers: [(&str, Handler); 16] = [
        ("move", handler::<Move<i64, B, Only<{ at::A }>>>()),
        ("move a constant", handler::<Move<i64, Imm, Only<{ at::A }>>>()),
        ("two moves", handler::<MovePair>()),
        ("global.get", handler::<GlobalGet<i64, Own, Acc>>()),
        ("global.set", handler::<GlobalSet<i64, Own, A>>()),
        ("select", handler::<Select<i64, Acc, A, B, Acc>>()),
        ("jump", handler::<Jump<Forward>>()),
        ("jump back", handler::<Jump<Back>>()),
        ("br_table", handler::<BranchTable<Acc>>()),
        ("call", handler::<Call>()),
        ("call_indirect", handler::<CallIndirect<Acc, 24>>()),
        ("call_indirect of a slot", handler::<CallIndirect<Slot<INDEX>, 32>>()),
        ("return", handler::<Return>()),
        ("return of one", handler::<ReturnOne<i64, Acc>>()),
        ("zero locals", handler::<ZeroPairs<4>>()),
        ("fuel", handler::<Fuel>()),
    ];
    for (name, handler) in handlers {
        let path = read(handler);
        assert!(path.faults.is_empty(), "{name}: {path:?}");
        assert!(path.shortest < 40, "{name}: {path:?}");
    }
}

#[test]
fn addition_takes_five_instructions_and_a_load_at_most_eight() {
    use crate::icode::choice::Form;
    let shortest = |opcode: Opcode, form: Form| {
        let pair = VARIANTS[opcode as usize][form.0].expect("a form of this operator");
        read(pair.to_acc).shortest
    };
    assert!(shortest(Opcode::I32Add, Form::AS) <= 5);
    assert!(shortest(Opcode::I32Load, Form::A) <= 6);
    assert!(shortest(Opcode::I32Load, Form::S) <= 8);
}
