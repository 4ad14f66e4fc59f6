//! Blocks and branches.

use brant_engine::ValType;
use brant_engine::compile::{CompileError, Stops};
use brant_engine::site::SiteKind;
use brant_isa::{Opcode, Trap};
use cranelift_codegen::ir::{Block, BlockArg, BlockCall, InstBuilder, JumpTableData, Type, Value};

use brant_engine::FuncType;

use super::polled::Ways;
use super::start::clif_types;
use super::unroll::Copies;
use super::{Translator, bits, invalid};
use crate::abi::{ResultPlace, clif, result_places, trap_code, vm};

/// What opened a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opened {
    /// The function itself: branches to it return.
    Function,
    /// Branches go forward, to its end.
    Block,
    /// Branches go back, to this header.
    Loop(Block),
    /// As a block; without its condition control goes to this block.
    If(Block),
}

/// An open block.
pub struct Frame<'a> {
    opened: Opened,
    /// Operands below its parameters.
    pub height: usize,
    pub params: Vec<Type>,
    results: Vec<Type>,
    /// Where forward branches go, once there is one.
    end: Option<Block>,
    /// The parameters of an `if`, for its other half.
    saved: Vec<Value>,
    /// Whether operands below it are variables too.
    pub kept: bool,
    /// Copies of a small loop, for `unroll.rs`.
    pub copies: Option<Copies<'a>>,
    /// Which ways lead back or out, for `polled.rs`.
    pub ways: Ways,
}

impl<'a> Translator<'a, '_> {
    /// The frame around the body.
    pub(super) fn push_function_frame(&mut self, ty: &FuncType) {
        self.frames.push(Frame {
            opened: Opened::Function,
            height: 0,
            params: Vec::new(),
            results: clif_types(ty.results()).collect(),
            end: None,
            saved: Vec::new(),
            kept: false,
            copies: None,
            ways: Ways::default(),
        });
    }

    /// Types of the parameters and of the results of the block that begins.
    fn block_type(&mut self) -> Result<(Vec<Type>, Vec<Type>), CompileError> {
        let code = self.s33()?;
        if let Ok(index) = usize::try_from(code) {
            let ty = self.module.types().get(index).ok_or_else(|| invalid("a type"))?;
            self.budget.spend(ty.params().len() + ty.results().len())?;
            return Ok((clif_types(ty.params()).collect(), clif_types(ty.results()).collect()));
        }
        // One byte of a value type, as a number with a sign.
        let result = match code & 0x7F {
            0x40 => return Ok((Vec::new(), Vec::new())),
            0x7F => ValType::I32,
            0x7E => ValType::I64,
            0x7D => ValType::F32,
            0x7C => ValType::F64,
            0x7B => ValType::V128,
            0x70 => ValType::FuncRef,
            0x6F => ValType::ExternRef,
            _ => return Err(CompileError::Unsupported("a type of a block".to_owned())),
        };
        Ok((Vec::new(), vec![clif(result)]))
    }

    /// Makes the operands of a block plain, and opens it.
    fn open(&mut self, opened: Opened, kept: bool, params: Vec<Type>, results: Vec<Type>) {
        let height = self.operands.len() - params.len();
        let saved = match opened {
            Opened::If(_) => self.operands[height..].to_vec(),
            _ => Vec::new(),
        };
        let ways = self.ways(matches!(opened, Opened::Loop(_)));
        let (end, copies) = (None, None);
        self.frames.push(Frame { opened, height, params, results, end, saved, kept, copies, ways });
    }

    /// Operands below the parameters of a block that begins.
    fn height_below(&self, params: &[Type]) -> Result<usize, CompileError> {
        let height = self.operands.len().checked_sub(params.len());
        height.ok_or_else(|| invalid("operands that are missing"))
    }

    /// `block`.
    pub(super) fn block(&mut self) -> Result<(), CompileError> {
        let (params, results) = self.block_type()?;
        let height = self.height_below(&params)?;
        self.carry(params.len())?;
        let kept = self.keep_operands(height);
        self.open(Opened::Block, kept, params, results);
        Ok(())
    }

    /// `loop`.
    pub(super) fn open_loop(&mut self) -> Result<(), CompileError> {
        let (params, results) = self.block_type()?;
        let copies = self.copies()?;
        let height = self.height_below(&params)?;
        let args = self.carry(params.len())?;
        let kept = self.keep_operands(height);
        let header = self.block_with(&params);
        // Whoever counts sites counts ways back alone, as the interpreter does: who comes to the loop
        // from above goes around the header.
        let inner = (self.options.stops == Stops::Every).then(|| self.block_with(&params));
        self.b.ins().jump(inner.unwrap_or(header), &args);
        self.way_in(header, height)?;
        self.b.switch_to_block(header);
        let values = self.loop_operands(header, height);
        self.open(Opened::Loop(header), kept, params, results);
        self.refresh_kept();
        self.is_leaf = false;
        let look = self.look_at_header(header, &values)?;
        if let Some(frame) = self.frames.last_mut() {
            frame.ways.look = look;
            frame.copies = copies;
        }
        if let Some(inner) = inner {
            self.b.ins().jump(inner, &frame_args(&values));
            self.go_on_in(inner);
            self.loop_operands(inner, height);
            self.refresh_kept();
        }
        if self.options.fuel {
            self.pay(SiteKind::Loop)?;
        }
        Ok(())
    }

    /// Takes the parameters of a loop from those of `block`.
    pub(super) fn loop_operands(&mut self, block: Block, height: usize) -> Vec<Value> {
        let values = self.b.block_params(block).to_vec();
        self.operands.truncate(height);
        self.operands.extend_from_slice(&values);
        values
    }

    /// Operands below the innermost block from their variables again.
    pub(super) fn refresh_kept(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.take_kept(&frame);
            self.frames.push(frame);
        }
    }

    /// `if`.
    pub(super) fn open_if(&mut self) -> Result<(), CompileError> {
        let condition = self.pop_any()?;
        let (params, results) = self.block_type()?;
        let height = self.height_below(&params)?;
        self.carry(params.len())?;
        let kept = self.keep_operands(height);
        let (then, otherwise) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(condition, then, &[], otherwise, &[]);
        self.b.seal_block(otherwise);
        self.go_on_in(then);
        self.open(Opened::If(otherwise), kept, params, results);
        self.start_block(SiteKind::Block)
    }

    /// `else`, at the end of a first half that can be reached.
    pub(super) fn open_else(&mut self) -> Result<(), CompileError> {
        self.leave_to_end()?;
        self.begin_else()
    }

    fn begin_else(&mut self) -> Result<(), CompileError> {
        let mut frame = self.frames.pop().ok_or_else(|| invalid("an else"))?;
        let Opened::If(otherwise) = frame.opened else { return Err(invalid("an else")) };
        self.b.switch_to_block(otherwise);
        frame.opened = Opened::Block;
        self.operands.truncate(frame.height);
        self.back_to_begin(frame.ways.begin());
        self.take_kept(&frame);
        self.operands.append(&mut frame.saved);
        self.frames.push(frame);
        self.start_block(SiteKind::Block)
    }

    /// Takes the results of the innermost block to its end.
    fn leave_to_end(&mut self) -> Result<(), CompileError> {
        let depth = self.frames.len() - 1;
        let count = self.frames[depth].results.len();
        let args = self.carry(count)?;
        let end = self.end_of(depth);
        self.note_end(depth);
        self.b.ins().jump(end, &args);
        Ok(())
    }

    /// `end`, at the end of code that can be reached.
    pub(super) fn close(&mut self) -> Result<(), CompileError> {
        self.close_after(true)
    }

    /// `end`; `reachable` says whether the code before it can get here.
    fn close_after(&mut self, reachable: bool) -> Result<(), CompileError> {
        let Some(frame) = self.frames.last() else { return Err(invalid("an end")) };
        let opened = frame.opened;
        if opened == Opened::Function {
            return self.close_function(reachable);
        }
        let is_copied = frame.copies.is_some();
        let joins = frame.end.is_some() || matches!(opened, Opened::If(_)) || is_copied;
        if joins && reachable {
            self.leave_to_end()?;
        }
        if is_copied && self.begin_copy() {
            return Ok(());
        }
        if let Opened::If(otherwise) = opened {
            // Without an `else` parameters and results are the same.
            let args: Vec<_> = frame_args(&self.frames[self.frames.len() - 1].saved);
            let end = self.end_of(self.frames.len() - 1);
            let begin = self.frames[self.frames.len() - 1].ways.begin();
            self.back_to_begin(begin);
            self.note_end(self.frames.len() - 1);
            self.b.switch_to_block(otherwise);
            self.b.ins().jump(end, &args);
        }
        if let Opened::Loop(header) = opened {
            self.b.seal_block(header);
        }
        if joins || !reachable {
            let end = self.end_of(self.frames.len() - 1);
            self.go_on_in(end);
        }
        let mut frame = self.frames.pop().ok_or_else(|| invalid("an end"))?;
        self.end_ways(std::mem::take(&mut frame.ways), reachable && !joins);
        if let Some(end) = frame.end {
            self.operands.truncate(frame.height);
            self.operands.extend_from_slice(self.b.block_params(end));
        }
        self.take_kept(&frame);
        match joins || !reachable {
            true => self.start_block(SiteKind::Block),
            false => self.stop_between(SiteKind::Block),
        }
    }

    /// The last `end`.
    fn close_function(&mut self, reachable: bool) -> Result<(), CompileError> {
        self.end_price();
        let depth = self.frames.len() - 1;
        let count = self.frames[depth].results.len();
        let mut values = None;
        match self.frames[depth].end {
            None if reachable => values = Some(self.pop_many(count)?),
            None => {}
            Some(end) => {
                if reachable {
                    self.leave_to_end()?;
                }
                self.go_on_in(end);
                values = Some(self.b.block_params(end).to_vec());
            }
        }
        if let Some(values) = values {
            self.emit_return(&values)?;
        }
        self.frames.pop();
        Ok(())
    }

    /// A block with parameters of these types.
    pub(super) fn block_with(&mut self, types: &[Type]) -> Block {
        let block = self.b.create_block();
        for &ty in types {
            self.b.append_block_param(block, ty);
        }
        block
    }

    /// Where forward branches to a frame go.
    fn end_of(&mut self, depth: usize) -> Block {
        if let Some(end) = self.frames[depth].end {
            return end;
        }
        let results = std::mem::take(&mut self.frames[depth].results);
        let end = self.block_with(&results);
        self.frames[depth].results = results;
        self.frames[depth].end = Some(end);
        end
    }

    /// Where branches to a frame go.
    fn target(&mut self, depth: usize) -> Block {
        self.note_way(depth);
        match self.frames[depth].opened {
            Opened::Loop(header) => self.next_copy(depth).unwrap_or(header),
            _ => self.end_of(depth),
        }
    }

    /// How many values a branch to a frame carries.
    fn arity(&self, depth: usize) -> usize {
        let frame = &self.frames[depth];
        if let Opened::Loop(_) = frame.opened { frame.params.len() } else { frame.results.len() }
    }

    /// The top `count` operands, which stay there and become plain, as arguments of a branch.
    fn carry(&mut self, count: usize) -> Result<Vec<BlockArg>, CompileError> {
        let from = self.operands.len().checked_sub(count);
        let from = from.ok_or_else(|| invalid("operands that are missing"))?;
        self.budget.spend(count)?;
        for i in from..self.operands.len() {
            self.operands[i] = self.plain(self.operands[i]);
        }
        Ok(frame_args(&self.operands[from..]))
    }

    /// The frame that a label means.
    fn label(&mut self) -> Result<usize, CompileError> {
        let relative = self.index()?;
        self.frame_at(relative)
    }

    fn frame_at(&self, relative: u32) -> Result<usize, CompileError> {
        let depth = self.frames.len().checked_sub(1 + relative as usize);
        depth.ok_or_else(|| invalid("a label"))
    }

    /// `br`.
    pub(super) fn branch(&mut self) -> Result<(), CompileError> {
        let depth = self.label()?;
        self.branch_to(depth)
    }

    fn branch_to(&mut self, depth: usize) -> Result<(), CompileError> {
        let args = self.carry(self.arity(depth))?;
        let target = self.target(depth);
        self.b.ins().jump(target, &args);
        self.skip_unreachable()
    }

    /// `br_if`.
    pub(super) fn branch_if(&mut self) -> Result<(), CompileError> {
        let depth = self.label()?;
        let condition = self.pop_any()?;
        // Where fuel is counted basic blocks have to be those of the interpreter, which knows other
        // conditions beforehand: there it does not matter whether one is known.
        match bits(&self.b.func.dfg, condition) {
            Some([0, _]) if !self.options.fuel => return Ok(()),
            Some([0, _]) | None => {}
            Some(_) => return self.branch_to(depth),
        }
        let args = self.carry(self.arity(depth))?;
        let target = self.target(depth);
        let next = self.b.create_block();
        self.b.ins().brif(condition, target, &args, next, &[]);
        self.go_on_in(next);
        self.start_block(SiteKind::Block)
    }

    /// `br_table`. Labels that carry values get a block each.
    pub(super) fn branch_table(&mut self) -> Result<(), CompileError> {
        let count = self.index()? as usize;
        self.budget.spend(count)?;
        let mut depths = Vec::new();
        for _ in 0..=count {
            depths.push(self.label()?);
        }
        let index = self.pop()?;
        let default = depths[count];
        let args = self.carry(self.arity(default))?;
        let mut ways: Vec<(usize, Block)> = Vec::new();
        let mut blocks = Vec::with_capacity(depths.len());
        for &depth in &depths {
            let block = match (args.is_empty(), ways.iter().find(|way| way.0 == depth)) {
                (true, _) => self.target(depth),
                (false, Some(&(_, block))) => block,
                (false, None) => {
                    let block = self.b.create_block();
                    ways.push((depth, block));
                    block
                }
            };
            let lists = &mut self.b.func.dfg.value_lists;
            blocks.push(BlockCall::new(block, [], lists));
        }
        let table = JumpTableData::new(blocks[count], &blocks[..count]);
        let table = self.b.create_jump_table(table);
        self.b.ins().br_table(index, table);
        for (depth, block) in ways {
            self.budget.spend(args.len())?;
            self.go_on_in(block);
            let target = self.target(depth);
            self.b.ins().jump(target, &args);
        }
        self.skip_unreachable()
    }

    /// `return`.
    pub(super) fn return_now(&mut self) -> Result<(), CompileError> {
        let count = self.frames[0].results.len();
        let values = self.pop_many(count)?;
        self.emit_return(&values)?;
        self.skip_unreachable()
    }

    /// Returns values, those that do not fit in registers through memory.
    fn emit_return(&mut self, values: &[Value]) -> Result<(), CompileError> {
        let ty = super::type_of(self.module, self.function)?;
        let mut in_registers = Vec::new();
        let mut memory = None;
        for (&value, place) in values.iter().zip(result_places(ty.results())) {
            match place {
                ResultPlace::Register(_) => in_registers.push(value),
                ResultPlace::Memory(offset) => {
                    let base = match memory {
                        Some(base) => base,
                        None => self.load_vm(vm::RESULTS),
                    };
                    memory = Some(base);
                    let flags = self.regions.results();
                    self.b.ins().store(flags, value, base, offset);
                }
            }
        }
        self.b.ins().return_(&in_registers);
        Ok(())
    }

    /// `unreachable`.
    pub(super) fn unreachable(&mut self) -> Result<(), CompileError> {
        // Cranelift would make a conditional trap of a branch to a block that only traps, and the trap
        // would report the branch's place.
        self.b.ins().sequence_point();
        self.b.ins().trap(trap_code(Trap::Unreachable));
        let block =
            self.b.current_block().filter(|&block| self.b.func.layout.entry_block() != Some(block));
        if let Some(block) = block {
            self.b.set_cold_block(block);
        }
        self.skip_unreachable()
    }

    /// Goes over code that cannot be reached, to the `else` or `end` of the innermost block.
    pub(super) fn skip_unreachable(&mut self) -> Result<(), CompileError> {
        self.end_price();
        let mut nested = 0u32;
        loop {
            let opcode = self.opcode()?;
            match opcode {
                Opcode::Else if nested == 0 => return self.begin_else(),
                Opcode::End if nested == 0 => return self.close_after(false),
                Opcode::End => nested -= 1,
                Opcode::Block | Opcode::Loop | Opcode::If => {
                    self.skip_immediates(opcode)?;
                    nested += 1;
                }
                _ => self.skip_immediates(opcode)?,
            }
        }
    }

    /// A block begins: it may pay, and the thread may stop.
    pub(super) fn start_block(&mut self, kind: SiteKind) -> Result<(), CompileError> {
        if kind != SiteKind::Entry {
            self.stop_between(kind)?;
        }
        if self.options.fuel {
            self.pay(kind)?;
        }
        Ok(())
    }

    /// Where only the strictest code can stop. At a block the interpreter can go on only where blocks
    /// pay for themselves.
    pub(super) fn stop_between(&mut self, kind: SiteKind) -> Result<(), CompileError> {
        let is_shared = kind != SiteKind::Block || self.options.fuel;
        if self.options.stops == Stops::Every && is_shared {
            return self.poll_here(kind);
        }
        Ok(())
    }
}

/// Values as arguments of a branch.
fn frame_args(values: &[Value]) -> Vec<BlockArg> {
    values.iter().map(|&value| BlockArg::Value(value)).collect()
}
