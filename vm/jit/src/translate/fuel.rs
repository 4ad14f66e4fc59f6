//! Fuel: one unit for each operator but block, loop, end, else, nop and drop, paid by basic block.
//!
//! A block pays before it runs, and its price is known when it ends: until then the payment has a
//! constant that is filled in later. Blocks begin and end where those of the interpreter do.

use brant_engine::compile::{CallKind, CompileError};
use brant_engine::site::SiteKind;
use brant_isa::Opcode;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::{
    Inst, InstBuilder, InstructionData, Opcode as ClifOpcode, ValueDef, types,
};

use super::Translator;
use crate::abi::vm;

/// What a basic block costs.
pub struct Price {
    /// The constant that it becomes.
    constant: Inst,
    units: u32,
}

impl Translator<'_, '_> {
    /// Adds an operator to the price of its block.
    pub(super) fn charge(&mut self, opcode: Opcode) {
        if let Some(price) = &mut self.price {
            let is_free = matches!(
                opcode,
                Opcode::Nop
                    | Opcode::Block
                    | Opcode::Loop
                    | Opcode::Else
                    | Opcode::End
                    | Opcode::Drop
            );
            price.units += u32::from(!is_free);
        }
    }

    /// Fills in the price of the block that ends here.
    pub(super) fn end_price(&mut self) {
        if let Some(price) = self.price.take() {
            let imm = Imm64::new(i64::from(price.units));
            self.b.func.dfg.insts[price.constant] =
                InstructionData::UnaryImm { opcode: ClifOpcode::Iconst, imm };
        }
    }

    /// Begins a basic block, which pays or stops at its site.
    pub(super) fn pay(&mut self, kind: SiteKind) -> Result<(), CompileError> {
        self.end_price();
        let site = match kind {
            SiteKind::Entry => brant_engine::site::SiteId(0),
            kind => self.site(kind)?,
        };
        let [again, short, enough] = [(); 3].map(|()| self.b.create_block());
        self.b.ins().jump(again, &[]);
        self.b.switch_to_block(again);
        let price = self.b.ins().iconst(types::I64, 0);
        if let ValueDef::Result(constant, _) = self.b.func.dfg.value_def(price) {
            self.price = Some(Price { constant, units: 0 });
        }
        let fuel = self.load_vm(vm::FUEL);
        let lacks = self.b.ins().icmp(IntCC::UnsignedLessThan, fuel, price);
        self.b.ins().brif(lacks, short, &[], enough, &[]);
        self.b.set_cold_block(short);
        self.go_on_in(short);
        self.ask(CallKind::Fuel, site, again, &[])?;
        self.b.seal_block(again);
        self.go_on_in(enough);
        let rest = self.b.ins().isub(fuel, price);
        let flags = self.regions.vm();
        self.b.ins().store(flags, rest, self.vm, vm::FUEL);
        Ok(())
    }
}
