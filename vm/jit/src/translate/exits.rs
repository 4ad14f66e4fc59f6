//! Stops: polls, calls with pads, and what a frame stores when it gives up its state.
//!
//! Nothing is kept ready for a stop: a pad, or the block behind a poll, stores what is live from
//! where it lies, and returns a dummy (`records.rs`).

use brant_engine::compile::{CallKind, CompileError, NativeCall, SlotOf, Stops};
use brant_engine::site::{SiteId, SiteKind};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExceptionTableData, ExceptionTableItem, ExceptionTag, ExtFuncData,
    ExternalName, FuncRef, Inst, InstBuilder, SigRef, SourceLoc, Type, UserExternalName, Value,
    types,
};

use super::{FIRST_CALL_LOCATION, HOST_CALL_LOCATION, Translator};
use crate::abi::{self, vm};

impl Translator<'_, '_> {
    /// A word of `Vm` that may change.
    pub(super) fn load_vm(&mut self, offset: i32) -> Value {
        let flags = self.regions.vm();
        self.b.ins().load(types::I64, flags, self.vm, offset)
    }

    /// A word that never changes while code of the instance runs.
    pub(super) fn load_fixed(&mut self, at: Value, offset: i32) -> Value {
        let flags = self.regions.fixed();
        self.b.ins().load(types::I64, flags, at, offset)
    }

    /// The header looks whether it shall stop. The cold block goes back to the *header* and is the
    /// *first* successor: if it rejoined the loop's body, the exit would end Cranelift's code motion
    /// out of the rest of the loop.
    pub(super) fn look_at_header(
        &mut self, header: Block, params: &[Value],
    ) -> Result<Option<Look>, CompileError> {
        let site = self.site(SiteKind::Loop)?;
        self.budget.spend_header(self.sites.live(site).iter().count())?;
        match self.options.stops {
            Stops::Never => Ok(None),
            // Whoever counts would count a header again that is gone back to.
            Stops::Every => self.poll(site, None).map(Some),
            Stops::Usual => {
                let back: Vec<_> = params.iter().map(|&value| BlockArg::Value(value)).collect();
                self.poll(site, Some((header, &back))).map(Some)
            }
        }
    }

    /// Looks whether to stop at a site that is no loop header.
    pub(super) fn poll_here(&mut self, kind: SiteKind) -> Result<(), CompileError> {
        let site = self.site(kind)?;
        self.poll(site, None).map(drop)
    }

    /// Looks whether to stop; if not, or not for long, goes on here or at a header.
    fn poll(
        &mut self, site: SiteId, header: Option<(Block, &[BlockArg])>,
    ) -> Result<Look, CompileError> {
        let (cold, body) = (self.b.create_block(), self.b.create_block());
        let flags = self.regions.vm();
        // One comparison with memory: nothing is as large as what asks for a stop, and what is compared
        // is at hand.
        let wake = self.b.ins().load(types::I64, flags, self.vm, vm::WAKE);
        let asked = self.b.func.dfg.value_def(wake).inst();
        let is_called = self.b.ins().icmp(IntCC::UnsignedLessThan, self.vm, wake);
        let branch = self.b.ins().brif(is_called, cold, &[], body, &[]);
        self.b.set_cold_block(cold);
        self.go_on_in(cold);
        let (back, args) = header.unwrap_or((body, &[]));
        self.ask(CallKind::Poll, site, back, args)?;
        self.go_on_in(body);
        Ok(Look { asked, branch, on: body })
    }

    /// In a cold block: calls `poll`, and gives up the state or goes on at `back`.
    pub(super) fn ask(
        &mut self, kind: CallKind, site: SiteId, back: Block, args: &[BlockArg],
    ) -> Result<(), CompileError> {
        let poll = self.load_vm(vm::POLL);
        let signature = self.signatures.poll(self.b.func);
        // A plain call: PreserveAll keeps every register, but not on an exceptional edge.
        self.mark_call();
        self.b.ins().call_indirect(signature, poll, &[]);
        self.unmark_call();
        let record = self.load_vm(vm::RECORD);
        let (live, exit) = (self.live(site), self.exit_block());
        let from = self.b.ins().brif(record, exit, &[BlockArg::Value(record)], back, args);
        self.give_up(kind, site, from, live)
    }

    /// The next call has no exception table: it is found by its source location.
    fn mark_call(&mut self) {
        let location = FIRST_CALL_LOCATION + self.calls.len() as u32;
        self.b.set_srcloc(SourceLoc::new(location));
    }

    /// A call of the host beneath which nothing stops and nothing traps.
    pub(super) fn call_host(&mut self, signature: SigRef, target: Value, args: &[Value]) {
        self.b.set_srcloc(SourceLoc::new(HOST_CALL_LOCATION));
        self.b.ins().call_indirect(signature, target, args);
        self.unmark_call();
    }

    fn unmark_call(&mut self) {
        self.b.set_srcloc(SourceLoc::new(self.offset));
    }

    /// A call beneath which the thread may stop at `site`; the operands are those that it leaves.
    /// Gives its results that are in registers.
    pub(super) fn call_out(
        &mut self, kind: CallKind, site: SiteId, signature: SigRef, target: Target, args: &[Value],
    ) -> Result<Vec<Value>, CompileError> {
        self.is_leaf = false;
        self.budget.spend(args.len())?;
        if self.options.stops == Stops::Never {
            self.mark_call();
            let call = match target {
                Target::Address(address) => self.b.ins().call_indirect(signature, address, args),
                Target::Own(function) => self.b.ins().call(function, args),
            };
            self.unmark_call();
            self.calls.push(self.described(kind, site));
            return Ok(self.b.inst_results(call).to_vec());
        }
        let (live, pad, normal) = (self.live(site), self.exit_block(), self.b.create_block());
        let returns: Vec<Type> = {
            let signature = &self.b.func.dfg.signatures[signature];
            signature.returns.iter().map(|result| result.value_type).collect()
        };
        let results: Vec<Value> =
            returns.iter().map(|&ty| self.b.append_block_param(normal, ty)).collect();
        let dfg = &mut self.b.func.dfg;
        let lists = &mut dfg.value_lists;
        let rets = (0..returns.len()).map(|i| BlockArg::TryCallRet(i as u32));
        let normal_call = BlockCall::new(normal, rets, lists);
        let pad_call = BlockCall::new(pad, [BlockArg::TryCallExn(0)], lists);
        let tag = ExceptionTag::from_u32(self.calls.len() as u32);
        let items = [ExceptionTableItem::Tag(tag, pad_call)];
        let table = ExceptionTableData::new(signature, normal_call, items);
        let table = dfg.exception_tables.push(table);
        let from = match target {
            Target::Address(address) => self.b.ins().try_call_indirect(address, args, table),
            Target::Own(function) => self.b.ins().try_call(function, args, table),
        };
        self.give_up(kind, site, from, live)?;
        self.go_on_in(normal);
        Ok(results)
    }

    /// A call without places of values.
    fn described(&self, kind: CallKind, site: SiteId) -> NativeCall {
        NativeCall {
            code_offset: 0,
            body_offset: self.offset,
            kind,
            site,
            pad_offset: None,
            slots: Vec::new(),
            record_bytes: 0,
        }
    }

    /// Notes a call beneath which the thread may stop: what is live at `site`, and that `from` leads
    /// to the exit.
    fn give_up(
        &mut self, kind: CallKind, site: SiteId, from: Inst, live: Live,
    ) -> Result<(), CompileError> {
        let number = self.calls.len();
        self.calls.push(self.described(kind, site));
        self.note_exit(from, number, live.0)
    }

    /// The live locals of a site and all operands.
    fn live(&mut self, site: SiteId) -> Live {
        let sites = self.sites;
        let mut values = Vec::new();
        for local in sites.live(site).iter() {
            values.push((SlotOf::Local(local), self.b.use_var(self.locals[local as usize])));
        }
        let operands = self.operands.iter().enumerate();
        values.extend(operands.map(|(k, &value)| (SlotOf::Operand(k as u32), value)));
        Live(values)
    }
}

/// A place that looks whether to stop.
#[derive(Clone, Copy)]
pub struct Look {
    /// What loads the answer.
    pub asked: Option<Inst>,
    /// The branch on it.
    pub branch: Inst,
    /// Where it goes without a stop.
    pub on: Block,
}

/// What a call goes to.
#[derive(Clone, Copy)]
pub enum Target {
    /// What stands at an address.
    Address(Value),
    /// The code that is being made.
    Own(FuncRef),
}

/// What is live somewhere.
struct Live(Vec<(SlotOf, Value)>);

/// Signatures that calls of the function have, each declared once.
#[derive(Default)]
pub struct Signatures {
    functions: std::collections::HashMap<u32, SigRef>,
    operate: Option<SigRef>,
    poll: Option<SigRef>,
    copy: Option<SigRef>,
    fill: Option<SigRef>,
    own: Option<FuncRef>,
}

impl Signatures {
    /// Of functions of type `index`.
    pub fn of_type(
        &mut self, function: &mut cranelift_codegen::ir::Function, index: u32,
        ty: &brant_engine::FuncType,
    ) -> SigRef {
        let declare = || function.import_signature(abi::signature(ty));
        *self.functions.entry(index).or_insert_with(declare)
    }
    /// The function that is being made, of type `index`.
    pub fn own(
        &mut self, function: &mut cranelift_codegen::ir::Function, index: u32,
        ty: &brant_engine::FuncType,
    ) -> FuncRef {
        if let Some(own) = self.own {
            return own;
        }
        let signature = self.of_type(function, index, ty);
        let name = UserExternalName::new(0, 0);
        let name = ExternalName::user(function.declare_imported_user_function(name));
        let data = ExtFuncData { name, signature, colocated: true, patchable: false };
        *self.own.insert(function.import_function(data))
    }
    /// Of `Vm::copy`.
    pub fn copy(&mut self, function: &mut cranelift_codegen::ir::Function) -> SigRef {
        let declare = || function.import_signature(abi::bytes_signature(types::I64));
        *self.copy.get_or_insert_with(declare)
    }
    /// Of `Vm::fill`.
    pub fn fill(&mut self, function: &mut cranelift_codegen::ir::Function) -> SigRef {
        let declare = || function.import_signature(abi::bytes_signature(types::I32));
        *self.fill.get_or_insert_with(declare)
    }
    /// Of `Vm::operate`.
    pub fn operate(&mut self, function: &mut cranelift_codegen::ir::Function) -> SigRef {
        *self.operate.get_or_insert_with(|| function.import_signature(abi::operate_signature()))
    }
    /// Of `Vm::poll`.
    pub fn poll(&mut self, function: &mut cranelift_codegen::ir::Function) -> SigRef {
        *self.poll.get_or_insert_with(|| function.import_signature(abi::poll_signature()))
    }
}
