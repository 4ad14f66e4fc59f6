//! From a body to CLIF, in one pass over the bytecode.
//!
//! Operators of the instruction table go to `Emit`. What is left has files by topic: blocks and
//! branches, values that move, calls, memories and tables; and stops: polls, pads and fuel.
//!
//! An operand is a CLIF value of the type that its maker gave it: a condition may be an i8, a vector
//! may have any shape. Whoever needs the type that the operand has in Wasm says so (`pop`).

mod calls;
mod control;
mod copies;
mod exits;
mod fuel;
mod immediates;
mod memories;
mod polled;
mod records;
mod start;
mod unroll;
mod values;

use brant_engine::compile::{CompileError, Entry, NativeCall, Options, Request};
use brant_engine::site::{SiteId, Sites};
use brant_engine::{FuncType, Module};
use brant_isa::{Immediates, Opcode, Row, Trap};
use cranelift_codegen::ir::{
    Block, DataFlowGraph, InstBuilder, InstructionData, Opcode as ClifOpcode, SourceLoc, Type,
    Value, ValueDef, types,
};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use wasmparser::BinaryReader;

use crate::Scratch;
use crate::abi::{self, Regions, trap_code};
use crate::accesses::Accesses;
use crate::budget::{Budget, MAX_BODY_BYTES, MAX_MERGES};
use crate::emit::{Emit, MemoryAt, emit, lane_order};
use crate::target::Target;
use crate::tuning::Tuning;

use control::Frame;
use exits::Signatures;
use fuel::Price;
use polled::Polled;
use records::Exit;
use start::LateStart;

/// Source locations from here on are the numbers of calls that have no exception table; below are
/// offsets of operators.
pub const FIRST_CALL_LOCATION: u32 = 1 << 31;

/// The source location of calls of the host that no table knows. Cranelift keeps locations as
/// distances from the first one, and takes that of -1 for none.
pub const HOST_CALL_LOCATION: u32 = u32::MAX - 1;

/// The state of the pass.
struct Translator<'a, 'f> {
    b: FunctionBuilder<'f>,
    module: &'a Module,
    function: u32,
    entry: Entry,
    options: Options,
    tuning: Tuning,
    /// Whether the code begins at the start of the function, so that a call of it can go there.
    own_code: bool,
    sites: &'a Sites,
    reader: BinaryReader<'a>,
    /// Where the operator at hand begins.
    offset: u32,
    budget: Budget,
    regions: Regions,
    vm: Value,
    memory: MemoryAt,
    locals: Vec<Variable>,
    operands: Vec<Value>,
    /// Accesses so far.
    accesses: Accesses,
    frames: Vec<Frame<'a>>,
    /// Calls so far; code offsets are filled in later.
    calls: Vec<NativeCall>,
    signatures: Signatures,
    /// What stands for all exits until they are built, and the exits.
    any_exit: Option<Block>,
    exits: Vec<Exit>,
    /// What the basic block at hand costs.
    price: Option<Price>,
    /// Where the code begins, if not at the start.
    late: Option<LateStart>,
    /// Which loops have had calls that look whether to stop.
    polled: Polled,
    /// Whether something in the body may run long or deep, so that its entry has to check.
    is_leaf: bool,
}

/// Builds the CLIF of a function in `scratch.context`, and gives its calls and accesses.
pub fn translate(
    target: &Target, request: &Request<'_>, scratch: &mut Scratch,
) -> Result<(Vec<NativeCall>, Accesses), CompileError> {
    let module = request.module;
    let body = module.body_bytes(request.function).ok_or_else(|| invalid("an import"))?;
    if body.len() > MAX_BODY_BYTES {
        return Err(CompileError::TooLarge);
    }
    let sites = Sites::of(module, request.function).map_err(|_| invalid("an invalid body"))?;
    scratch.context.clear();
    let function = &mut scratch.context.func;
    let ty = type_of(module, request.function)?;
    function.signature = match request.entry {
        Entry::Start => abi::signature(ty),
        Entry::Loop(_) => abi::loop_signature(ty),
    };
    let b = FunctionBuilder::new(function, &mut scratch.builder);
    let made =
        Translator::start(b, request, target.tuning, &sites, body).and_then(|mut translator| {
            translator.body()?;
            let Translator { b, calls, accesses, .. } = translator;
            b.finalize(target.isa().frontend_config());
            Ok((calls, accesses))
        });
    if made.is_err() {
        // What was left half built must not meet the next function.
        scratch.builder = FunctionBuilderContext::new();
    }
    made
}

/// The type of a function.
fn type_of(module: &Module, function: u32) -> Result<&FuncType, CompileError> {
    let ty = module.function_types().get(function as usize);
    ty.and_then(|&ty| module.types().get(ty as usize)).ok_or_else(|| invalid("no such function"))
}

/// What a valid module does not contain.
fn invalid(what: &str) -> CompileError {
    CompileError::Unsupported(what.to_owned())
}

impl<'a> Translator<'a, '_> {
    fn body(&mut self) -> Result<(), CompileError> {
        while !self.frames.is_empty() {
            self.operator()?;
        }
        if self.late.as_ref().is_some_and(|late| !late.is_reached) {
            return Err(invalid("a start at a loop that is never reached"));
        }
        self.build_exits()?;
        self.check_at_entry();
        Ok(())
    }

    /// Takes one operator.
    fn operator(&mut self) -> Result<(), CompileError> {
        let opcode = self.opcode()?;
        self.b.set_srcloc(SourceLoc::new(self.offset));
        self.budget.spend(1)?;
        let blocks = self.b.func.dfg.num_blocks() as u64;
        if blocks * self.locals.len() as u64 > MAX_MERGES {
            return Err(CompileError::TooLarge);
        }
        self.charge(opcode);
        let row = opcode.row();
        if row.is_operator() { self.of_table(opcode, row) } else { self.by_hand(opcode) }
    }

    /// Those without semantics in the table.
    fn by_hand(&mut self, opcode: Opcode) -> Result<(), CompileError> {
        match opcode {
            Opcode::Unreachable => self.unreachable(),
            Opcode::Nop => Ok(()),
            Opcode::Block => self.block(),
            Opcode::Loop => self.open_loop(),
            Opcode::If => self.open_if(),
            Opcode::Else => self.open_else(),
            Opcode::End => self.close(),
            Opcode::Br => self.branch(),
            Opcode::BrIf => self.branch_if(),
            Opcode::BrTable => self.branch_table(),
            Opcode::Return => self.return_now(),
            Opcode::Call => self.call(),
            Opcode::CallIndirect => self.call_indirect(),
            Opcode::ReturnCall => self.return_call(),
            Opcode::ReturnCallIndirect => self.return_call_indirect(),
            Opcode::Drop => self.pop_any().map(drop),
            Opcode::Select | Opcode::SelectTyped => self.select(opcode),
            Opcode::LocalGet => self.local_get(),
            Opcode::LocalSet => self.local_set(),
            Opcode::LocalTee => self.local_tee(),
            Opcode::GlobalGet => self.global_get(),
            Opcode::GlobalSet => self.global_set(),
            Opcode::I32Const
            | Opcode::I64Const
            | Opcode::F32Const
            | Opcode::F64Const
            | Opcode::V128Const => self.constant(opcode),
            Opcode::RefNull => self.ref_null(),
            Opcode::RefIsNull => self.ref_is_null(),
            Opcode::RefFunc => self.ref_func(),
            Opcode::MemorySize => self.memory_size(),
            Opcode::TableSize => self.table_size(),
            Opcode::TableGet => self.table_get(),
            Opcode::TableSet => self.table_set(),
            Opcode::MemoryCopy | Opcode::MemoryFill => self.copy_or_fill(opcode),
            Opcode::MemoryGrow
            | Opcode::MemoryInit
            | Opcode::DataDrop
            | Opcode::TableInit
            | Opcode::TableCopy
            | Opcode::TableGrow
            | Opcode::TableFill
            | Opcode::ElemDrop
            | Opcode::MemoryAtomicNotify
            | Opcode::MemoryAtomicWait32
            | Opcode::MemoryAtomicWait64 => self.operation(opcode),
            Opcode::AtomicFence => self.fence(),
            other => Err(CompileError::Unsupported(other.name().to_owned())),
        }
    }

    /// Those with semantics.
    fn of_table(&mut self, opcode: Opcode, row: &Row) -> Result<(), CompileError> {
        let (imms, memory) = self.immediates(row)?;
        let mut operands = [self.vm; 3];
        let count = row.operand_kinds.len();
        for slot in operands[..count].iter_mut().rev() {
            *slot = self.pop()?;
        }
        let out = self.emit(opcode, &imms, memory, &operands[..count]);
        self.operands.extend(out);
        Ok(())
    }

    /// Emits an operator of the table.
    fn emit(
        &mut self, opcode: Opcode, imms: &Immediates, memory: Option<u32>, operands: &[Value],
    ) -> Option<Value> {
        let at = memory.filter(|&memory| memory != 0).map_or(self.memory, MemoryAt::Other);
        let canonical_nans = self.options.canonical_nans;
        let code = match memory {
            Some(_) => self.accesses.memory(self.offset),
            None => trap_code(Trap::OutOfBoundsMemoryAccess),
        };
        let m = Emit::new(&mut self.b, self.vm, self.regions, at, code, canonical_nans);
        emit(&m, opcode, imms, operands)
    }

    fn push(&mut self, value: Value) {
        self.operands.push(value);
    }

    /// The top operand as its maker left it.
    fn pop_any(&mut self) -> Result<Value, CompileError> {
        self.operands.pop().ok_or_else(|| invalid("an operand that is missing"))
    }

    /// The top operand, of the type that it has outside of operators.
    fn pop(&mut self) -> Result<Value, CompileError> {
        let value = self.pop_any()?;
        Ok(self.plain(value))
    }

    /// The top `count` operands, deepest first.
    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, CompileError> {
        let rest = self.operands.len().checked_sub(count);
        let rest = rest.ok_or_else(|| invalid("operands that are missing"))?;
        self.budget.spend(count)?;
        let values = self.operands.split_off(rest);
        Ok(values.into_iter().map(|value| self.plain(value)).collect())
    }

    /// A value with the type that it has outside of operators.
    fn plain(&mut self, value: Value) -> Value {
        match self.type_of(value) {
            types::I8 => self.b.ins().uextend(types::I32, value),
            ty if ty.is_vector() && ty != types::I8X16 => {
                self.b.ins().bitcast(types::I8X16, lane_order(), value)
            }
            _ => value,
        }
    }

    fn type_of(&self, value: Value) -> Type {
        self.b.func.dfg.value_type(value)
    }

    /// The site of a kind at the operator at hand.
    fn site(&self, kind: brant_engine::site::SiteKind) -> Result<SiteId, CompileError> {
        self.sites.find(self.offset, kind).ok_or_else(|| invalid("an operator without its site"))
    }

    /// Goes on in `block`, all of whose predecessors are known.
    fn go_on_in(&mut self, block: Block) {
        self.b.seal_block(block);
        self.b.switch_to_block(block);
    }
}

/// The bits of a value that is a constant.
fn bits(dfg: &DataFlowGraph, value: Value) -> Option<[u64; 2]> {
    let ValueDef::Result(inst, 0) = dfg.value_def(dfg.resolve_aliases(value)) else {
        return None;
    };
    match dfg.insts[inst] {
        InstructionData::UnaryImm { opcode: ClifOpcode::Iconst, imm } => {
            Some([imm.bits() as u64, 0])
        }
        InstructionData::UnaryIeee32 { imm, .. } => Some([u64::from(imm.bits()), 0]),
        InstructionData::UnaryIeee64 { imm, .. } => Some([imm.bits(), 0]),
        InstructionData::UnaryConst { constant_handle, .. } => {
            let bytes = dfg.constants.get(constant_handle).as_slice();
            let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
            Some([word(0)?, word(8)?])
        }
        _ => None,
    }
}
