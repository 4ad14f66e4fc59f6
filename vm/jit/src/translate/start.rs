//! Where code begins: at the start of the function, or at the header of one of its loops.
//!
//! Code that begins at a loop has a first block that loads the values and goes to the header. The
//! whole body is translated all the same, since an outer loop may come to any of it; what nothing
//! reaches, Cranelift drops. Operands that are older than the header have two sources then, so they
//! become variables wherever a block begins (`Frame::kept`), until the header is reached.

use brant_engine::ValType;
use brant_engine::compile::{CompileError, Entry, Request, Stops};
use brant_engine::site::{SiteId, SiteKind, Sites};
use cranelift_codegen::ir::immediates::Ieee64;
use cranelift_codegen::ir::{
    Block, BlockArg, ConstantData, GlobalValueData, InstBuilder, MemFlagsData, Type, Value, types,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use wasmparser::{BinaryReader, ValType as ParsedType};

use super::control::Frame;
use super::exits::Signatures;
use super::{Translator, invalid, type_of};
use crate::abi::{self, Regions, clif};
use crate::accesses::Accesses;
use crate::budget::Budget;
use crate::emit::MemoryAt;
use crate::tuning::Tuning;

/// A start at a loop.
pub struct LateStart {
    /// Its header's site.
    pub site: SiteId,
    /// The block that loads operands and goes to the header.
    pub way_in: Block,
    /// The address of the values.
    pub cells: Value,
    /// Whether the pass has come to the header.
    pub is_reached: bool,
    /// Operands from the bottom as variables, as far as an open block has made them such.
    pub variables: Vec<Variable>,
}

/// A function that has so many values at most, and calls nothing, does not check the stack. Its
/// frame stays far below 8 KiB: that much has to be below the limit that others check.
const MAX_UNCHECKED_VALUES: usize = 256;

/// Size of a value's cell.
const CELL_BYTES: i32 = 16;

impl<'a, 'f> Translator<'a, 'f> {
    /// Everything in front of the first operator.
    pub fn start(
        mut b: FunctionBuilder<'f>, request: &Request<'a>, tuning: Tuning, sites: &'a Sites,
        body: &'a [u8],
    ) -> Result<Self, CompileError> {
        let module = request.module;
        let ty = type_of(module, request.function)?;
        let regions = Regions::new(b.func);
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        b.seal_block(entry);
        let params = b.block_params(entry).to_vec();
        let vm = params[0];
        let base = b.ins().load(types::I64, regions.fixed(), vm, abi::vm::MEM0);
        let guarded = request.options.guarded_memory;
        let memory = MemoryAt::First { base, guarded };
        let locals: Vec<_> = sites.locals().iter().map(|&ty| b.declare_var(clif(ty))).collect();
        let mut reader = BinaryReader::new(body, 0);
        skip_declarations(&mut reader)?;
        let mut translator = Self {
            b,
            module,
            function: request.function,
            entry: request.entry,
            options: request.options,
            tuning,
            own_code: request.entry == Entry::Start,
            sites,
            reader,
            offset: 0,
            budget: Budget::new(),
            regions,
            vm,
            memory,
            locals,
            operands: Vec::new(),
            accesses: Accesses::default(),
            frames: Vec::new(),
            calls: Vec::new(),
            signatures: Signatures::default(),
            any_exit: None,
            exits: Vec::new(),
            price: None,
            late: None,
            polled: Default::default(),
            is_leaf: true,
        };
        translator.budget.spend(sites.locals().len())?;
        if let Entry::Loop(site) = request.entry {
            translator.start_late(site, params[1])?;
        }
        let from_params = translator.late.is_none();
        for (i, &local) in sites.locals().iter().enumerate() {
            let value = match params[1..].get(i) {
                Some(&param) if from_params => param,
                _ => translator.zero(clif(local)),
            };
            translator.b.def_var(translator.locals[i], value);
        }
        translator.push_function_frame(ty);
        if from_params {
            // The stack check stops entries too, but never counts them.
            translator.stop_between(SiteKind::Entry)?;
        }
        translator.start_block(SiteKind::Entry)?;
        Ok(translator)
    }

    /// Loads the locals that the loop wants; the body then begins in a block that nothing reaches.
    fn start_late(&mut self, site: SiteId, cells: Value) -> Result<(), CompileError> {
        if self.sites.get(site).is_none_or(|site| site.kind != SiteKind::Loop) {
            return Err(invalid("a start at what is no loop"));
        }
        let live = self.sites.live(site);
        for (i, &ty) in self.sites.locals().iter().enumerate() {
            let value = match live.contains(i as u32) {
                true => self.load_cell(cells, i, clif(ty))?,
                false => self.zero(clif(ty)),
            };
            self.b.def_var(self.locals[i], value);
        }
        let (way_in, unreached) = (self.b.create_block(), self.b.create_block());
        self.b.ins().jump(way_in, &[]);
        self.b.seal_block(way_in);
        self.go_on_in(unreached);
        let variables = Vec::new();
        self.late = Some(LateStart { site, way_in, cells, is_reached: false, variables });
        Ok(())
    }

    fn load_cell(&mut self, cells: Value, index: usize, ty: Type) -> Result<Value, CompileError> {
        let offset = i32::try_from(index).ok().and_then(|index| index.checked_mul(CELL_BYTES));
        let offset = offset.ok_or(CompileError::TooLarge)?;
        let flags = self.regions.record();
        Ok(self.b.ins().load(ty, flags, cells, offset))
    }

    /// Makes variables of the operands below a block that is about to open.
    pub fn keep_operands(&mut self, height: usize) -> bool {
        let Some(late) = &mut self.late else { return false };
        if late.is_reached {
            return false;
        }
        late.variables.truncate(self.frames.last().map_or(0, |frame| frame.height));
        for k in late.variables.len()..height {
            let value = self.operands[k];
            let ty = self.b.func.dfg.value_type(value);
            let variable = self.b.declare_var(ty);
            self.b.def_var(variable, value);
            late.variables.push(variable);
        }
        true
    }

    /// Takes the operands below a block from their variables again.
    pub fn take_kept(&mut self, frame: &Frame<'_>) {
        let Some(late) = &self.late else { return };
        if !frame.kept {
            return;
        }
        for (operand, &variable) in self.operands[..frame.height].iter_mut().zip(&late.variables) {
            *operand = self.b.use_var(variable);
        }
    }

    /// Fills the way in, if the loop at hand is where the code begins. All operands of its header
    /// below `height` are variables, the rest are parameters of `header`.
    pub fn way_in(&mut self, header: Block, height: usize) -> Result<(), CompileError> {
        let site = self.site(SiteKind::Loop)?;
        let Some(late) = &mut self.late else { return Ok(()) };
        if late.site != site {
            return Ok(());
        }
        late.is_reached = true;
        let (way_in, cells, variables) = (late.way_in, late.cells, late.variables.clone());
        self.b.switch_to_block(way_in);
        let locals = self.locals.len();
        for (k, &variable) in variables.iter().enumerate().take(height) {
            let ty = self.type_of(self.operands[k]);
            let value = self.load_operand(cells, locals + k, ty)?;
            self.b.def_var(variable, value);
        }
        let params: Vec<Type> =
            self.b.block_params(header).iter().map(|&param| self.type_of(param)).collect();
        let mut args = Vec::with_capacity(params.len());
        for (i, ty) in params.into_iter().enumerate() {
            args.push(BlockArg::Value(self.load_cell(cells, locals + height + i, ty)?));
        }
        self.b.ins().jump(header, &args);
        Ok(())
    }

    /// An operand of the type that its maker gave it.
    fn load_operand(&mut self, cells: Value, cell: usize, ty: Type) -> Result<Value, CompileError> {
        match ty {
            types::I8 => {
                let value = self.load_cell(cells, cell, types::I32)?;
                Ok(self.b.ins().ireduce(types::I8, value))
            }
            ty => self.load_cell(cells, cell, ty),
        }
    }

    /// The default value of a type.
    pub fn zero(&mut self, ty: Type) -> Value {
        match ty {
            types::F32 => self.b.ins().f32const(0.0),
            types::F64 => self.b.ins().f64const(Ieee64::with_bits(0)),
            types::I8X16 => {
                let zeros = self.b.func.dfg.constants.insert(ConstantData::from(&[0u8; 16][..]));
                self.b.ins().vconst(ty, zeros)
            }
            ty => self.b.ins().iconst(ty, 0),
        }
    }

    /// The entry poll is Cranelift's own stack check: no CLIF, and at its trap every parameter is
    /// still in its place. What calls nothing and has no loop runs for a short while only, and if it
    /// has few values, then its frame is small.
    pub fn check_at_entry(&mut self) {
        let is_small = self.b.func.dfg.num_values() <= MAX_UNCHECKED_VALUES;
        if self.is_leaf && is_small && self.options.stops != Stops::Every {
            return;
        }
        let base = self.b.create_global_value(GlobalValueData::VMContext);
        let flags = self.b.func.dfg.mem_flags.insert_unchecked(MemFlagsData::trusted());
        let offset = abi::vm::NATIVE_LIMIT.into();
        let global_type = types::I64;
        let limit = GlobalValueData::Load { base, offset, global_type, flags };
        let limit = self.b.create_global_value(limit);
        self.b.func.stack_limit = Some(limit);
    }
}

/// Goes over the declarations of locals.
fn skip_declarations(reader: &mut BinaryReader<'_>) -> Result<(), CompileError> {
    let broken = |_| invalid("a body that ends early");
    for _ in 0..reader.read_var_u32().map_err(broken)? {
        reader.read_var_u32().map_err(broken)?;
        reader.read::<ParsedType>().map_err(broken)?;
    }
    Ok(())
}

/// The types of values as CLIF has them.
pub fn clif_types(types: &[ValType]) -> impl Iterator<Item = Type> {
    types.iter().map(|&ty| clif(ty))
}
