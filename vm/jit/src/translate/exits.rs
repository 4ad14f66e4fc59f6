//! Stops: polls, calls with pads, and what a frame stores when it gives up its state.
//!
//! Nothing is kept ready for a stop: a pad, or the block behind a poll, stores what is live where it
//! lies, and returns a dummy. Constants go to the side table, not to code.

use brant_engine::compile::{
    CallKind, CompileError, NativeCall, RecordPlace, RecordSlot, SlotOf, Stops,
};
use brant_engine::site::{SiteId, SiteKind};
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExceptionTableData, ExceptionTableItem, ExceptionTag, InstBuilder,
    SigRef, SourceLoc, Type, Value, types,
};

use super::{FIRST_CALL_LOCATION, Translator};
use crate::abi::{self, ResultPlace, clif, result_places, vm};

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
    pub(super) fn loop_header(
        &mut self, header: Block, params: &[Value],
    ) -> Result<(), CompileError> {
        if self.options.stops != Stops::Never {
            let site = self.site(SiteKind::Loop)?;
            let back: Vec<_> = params.iter().map(|&value| BlockArg::Value(value)).collect();
            self.poll(site, Some((header, &back)))?;
        }
        if self.options.fuel {
            self.pay(SiteKind::Loop)?;
        }
        Ok(())
    }

    /// Looks whether to stop at a site that is no loop header.
    pub(super) fn poll_here(&mut self, kind: SiteKind) -> Result<(), CompileError> {
        let site = self.site(kind)?;
        self.poll(site, None)
    }

    /// Looks whether to stop; if not, or not for long, goes on here or at a header.
    fn poll(
        &mut self, site: SiteId, header: Option<(Block, &[BlockArg])>,
    ) -> Result<(), CompileError> {
        let (cold, body) = (self.b.create_block(), self.b.create_block());
        let flags = self.regions.vm();
        let wake = self.b.ins().load(types::I32, flags, self.vm, vm::WAKE);
        self.b.ins().brif(wake, cold, &[], body, &[]);
        self.b.set_cold_block(cold);
        self.go_on_in(cold);
        let (back, args) = header.unwrap_or((body, &[]));
        self.ask(CallKind::Poll, site, back, args)?;
        self.go_on_in(body);
        Ok(())
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
        let exit = self.b.create_block();
        self.b.ins().brif(record, exit, &[], back, args);
        self.b.set_cold_block(exit);
        self.go_on_in(exit);
        self.give_up(kind, site, self.operands.len(), record)
    }

    /// The next call has no exception table: it is found by its source location.
    fn mark_call(&mut self) {
        let location = FIRST_CALL_LOCATION + self.calls.len() as u32;
        self.b.set_srcloc(SourceLoc::new(location));
    }

    fn unmark_call(&mut self) {
        self.b.set_srcloc(SourceLoc::new(self.offset));
    }

    /// A call beneath which the thread may stop at `site`; the operands are those that it leaves.
    /// Gives its results that are in registers.
    pub(super) fn call_out(
        &mut self, kind: CallKind, site: SiteId, signature: SigRef, target: Value, args: &[Value],
    ) -> Result<Vec<Value>, CompileError> {
        self.is_leaf = false;
        self.budget.spend(args.len())?;
        if self.options.stops == Stops::Never {
            self.mark_call();
            let call = self.b.ins().call_indirect(signature, target, args);
            self.unmark_call();
            self.calls.push(self.described(kind, site));
            return Ok(self.b.inst_results(call).to_vec());
        }
        let (normal, pad) = (self.b.create_block(), self.b.create_block());
        let returns: Vec<Type> = {
            let signature = &self.b.func.dfg.signatures[signature];
            signature.returns.iter().map(|result| result.value_type).collect()
        };
        let results: Vec<Value> =
            returns.iter().map(|&ty| self.b.append_block_param(normal, ty)).collect();
        let record = self.b.append_block_param(pad, types::I64);
        let dfg = &mut self.b.func.dfg;
        let lists = &mut dfg.value_lists;
        let rets = (0..returns.len()).map(|i| BlockArg::TryCallRet(i as u32));
        let normal_call = BlockCall::new(normal, rets, lists);
        let pad_call = BlockCall::new(pad, [BlockArg::TryCallExn(0)], lists);
        let tag = ExceptionTag::from_u32(self.calls.len() as u32);
        let items = [ExceptionTableItem::Tag(tag, pad_call)];
        let table = ExceptionTableData::new(signature, normal_call, items);
        let table = dfg.exception_tables.push(table);
        self.b.ins().try_call_indirect(target, args, table);
        self.b.set_cold_block(pad);
        self.go_on_in(pad);
        self.give_up(kind, site, self.operands.len(), record)?;
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

    /// Notes the call, stores what is live into `record` and returns a dummy.
    fn give_up(
        &mut self, kind: CallKind, site: SiteId, operands: usize, record: Value,
    ) -> Result<(), CompileError> {
        let mut call = self.described(kind, site);
        let sites = self.sites;
        for local in sites.live(site).iter() {
            let value = self.b.use_var(self.locals[local as usize]);
            self.keep(&mut call, SlotOf::Local(local), value, record)?;
        }
        for k in 0..operands {
            self.keep(&mut call, SlotOf::Operand(k as u32), self.operands[k], record)?;
        }
        self.calls.push(call);
        let ty = super::type_of(self.module, self.function)?;
        let mut dummies = Vec::new();
        for (&ty, place) in ty.results().iter().zip(result_places(ty.results())) {
            if let ResultPlace::Register(_) = place {
                dummies.push(self.zero(clif(ty)));
            }
        }
        self.b.ins().return_(&dummies);
        Ok(())
    }

    /// Stores one value, or notes that it is a constant.
    fn keep(
        &mut self, call: &mut NativeCall, what: SlotOf, value: Value, record: Value,
    ) -> Result<(), CompileError> {
        self.budget.spend(1)?;
        if let Some(bits) = self.bits(value) {
            call.slots.push(RecordSlot { what, at: RecordPlace::Constant(bits) });
            return Ok(());
        }
        let offset = call.record_bytes;
        let offset_in_code = i32::try_from(offset).map_err(|_| CompileError::TooLarge)?;
        let value = match self.type_of(value) {
            types::I8 => self.b.ins().uextend(types::I32, value),
            _ => value,
        };
        let flags = self.regions.record();
        self.b.ins().store(flags, value, record, offset_in_code);
        call.record_bytes += if self.type_of(value).is_vector() { 16 } else { 8 };
        call.slots.push(RecordSlot { what, at: RecordPlace::Offset(offset) });
        Ok(())
    }
}

/// Signatures that calls of the function have, each declared once.
#[derive(Default)]
pub struct Signatures {
    functions: std::collections::HashMap<u32, SigRef>,
    operate: Option<SigRef>,
    poll: Option<SigRef>,
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
    /// Of `Vm::operate`.
    pub fn operate(&mut self, function: &mut cranelift_codegen::ir::Function) -> SigRef {
        *self.operate.get_or_insert_with(|| function.import_signature(abi::operate_signature()))
    }
    /// Of `Vm::poll`.
    pub fn poll(&mut self, function: &mut cranelift_codegen::ir::Function) -> SigRef {
        *self.poll.get_or_insert_with(|| function.import_signature(abi::poll_signature()))
    }
}
