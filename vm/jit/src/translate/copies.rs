//! Short copies and fills of memory 0.
//!
//! A copy of a few bytes is what compilers make of an assignment of a struct: to ask the engine costs
//! ten times the copy. So the code looks at the bounds itself and, if all lies inside and is short,
//! moves the bytes, a few of them in registers. Everything else goes to the engine: what is long, what
//! traps, what is about another memory.

use brant_engine::compile::CompileError;
use brant_engine::site::SiteKind;
use brant_isa::Opcode;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Type, Value, types};

use super::{Translator, bits};
use crate::abi::vm;
use crate::emit::MemoryAt;

/// The engine looks whether to stop between chunks of this size: what is no longer needs no look.
const SHORT_BYTES: i64 = 64 << 10;

/// So many bytes go through registers if their number is a constant.
const FEW_BYTES: u64 = 64;

impl Translator<'_, '_> {
    /// `memory.copy` and `memory.fill`.
    pub(super) fn copy_or_fill(&mut self, opcode: Opcode) -> Result<(), CompileError> {
        let immediates = self.operation_immediates(opcode)?;
        self.stop_between(SiteKind::Operation)?;
        let operands = self.pop_many(3)?;
        let MemoryAt::First { base, .. } = self.memory else {
            return self.operate(opcode, immediates, &operands);
        };
        let is_narrow = operands.iter().all(|&operand| self.type_of(operand) == types::I32);
        if immediates != [0, 0] || !is_narrow || !self.tuning.short_copies {
            return self.operate(opcode, immediates, &operands);
        }
        let (to, second, count) = (operands[0], operands[1], operands[2]);
        let constant = bits(&self.b.func.dfg, count).map(|[count, _]| count);
        let (to, count) = (self.widened(to), self.widened(count));
        let is_copy = opcode == Opcode::MemoryCopy;
        let from = is_copy.then(|| self.widened(second));
        let is_slow = self.is_long_or_outside(to, from, count);
        let [slow, short, done] = [(); 3].map(|()| self.b.create_block());
        self.b.ins().brif(is_slow, slow, &[], short, &[]);
        self.b.set_cold_block(slow);
        self.go_on_in(slow);
        self.operate(opcode, immediates, &operands)?;
        if let Some(block) = self.b.current_block() {
            self.b.set_cold_block(block);
        }
        self.b.ins().jump(done, &[]);
        self.go_on_in(short);
        let to = self.b.ins().iadd(base, to);
        match (from, constant) {
            (Some(from), Some(count)) if count <= FEW_BYTES => {
                let from = self.b.ins().iadd(base, from);
                self.copy_few(to, from, count as i32);
            }
            (Some(from), _) => {
                let from = self.b.ins().iadd(base, from);
                let signature = self.signatures.copy(self.b.func);
                let target = self.load_vm(vm::COPY);
                self.call_host(signature, target, &[to, from, count]);
            }
            (None, Some(count)) if count <= FEW_BYTES => self.fill_few(to, second, count as i32),
            (None, _) => {
                let signature = self.signatures.fill(self.b.func);
                let target = self.load_vm(vm::FILL);
                self.call_host(signature, target, &[to, second, count]);
            }
        }
        self.b.ins().jump(done, &[]);
        self.go_on_in(done);
        Ok(())
    }

    fn widened(&mut self, value: Value) -> Value {
        self.b.ins().uextend(types::I64, value)
    }

    /// Whether the engine has to do it. Sums of 32-bit numbers do not wrap.
    fn is_long_or_outside(&mut self, to: Value, from: Option<Value>, count: Value) -> Value {
        let last = match from {
            Some(from) => self.b.ins().umax(to, from),
            None => to,
        };
        let end = self.b.ins().iadd(last, count);
        let size = self.load_vm(vm::MEM0_BYTES);
        let is_outside = self.b.ins().icmp(IntCC::UnsignedGreaterThan, end, size);
        let is_long = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, count, SHORT_BYTES);
        self.b.ins().bor(is_outside, is_long)
    }

    /// Reads all before it writes anything, since the places may overlap.
    fn copy_few(&mut self, to: Value, from: Value, count: i32) {
        let flags = self.regions.inside();
        let mut loaded = Vec::new();
        for (ty, at) in pieces(count) {
            loaded.push((self.b.ins().load(ty, flags, from, at), at));
        }
        for (value, at) in loaded {
            self.b.ins().store(flags, value, to, at);
        }
    }

    fn fill_few(&mut self, to: Value, byte: Value, count: i32) {
        let flags = self.regions.inside();
        let byte = self.b.ins().ireduce(types::I8, byte);
        let vector = self.b.ins().splat(types::I8X16, byte);
        let wide = self.b.ins().uextend(types::I64, byte);
        let all = self.b.ins().imul_imm_u(wide, 0x0101_0101_0101_0101);
        for (ty, at) in pieces(count) {
            let value = match ty {
                types::I8X16 => vector,
                types::I64 => all,
                ty => self.b.ins().ireduce(ty, all),
            };
            self.b.ins().store(flags, value, to, at);
        }
    }
}

/// Pieces of so many bytes, the last of which may overlap the one before it.
fn pieces(count: i32) -> Vec<(Type, i32)> {
    let (ty, bytes) = match count {
        0 => return Vec::new(),
        16.. => (types::I8X16, 16),
        8.. => (types::I64, 8),
        4.. => (types::I32, 4),
        2.. => (types::I16, 2),
        _ => (types::I8, 1),
    };
    let mut all: Vec<_> = (0..count / bytes).map(|i| (ty, i * bytes)).collect();
    if count % bytes != 0 {
        all.push((ty, count - bytes));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_byte_and_no_other() {
        for count in 0..=FEW_BYTES as i32 {
            let pieces = pieces(count);
            let covered =
                |at| pieces.iter().any(|&(ty, p)| (p..p + ty.bytes() as i32).contains(&at));
            assert!((0..count).all(covered), "{count}: {pieces:?}");
            assert!(!covered(-1) && !covered(count), "{count}: {pieces:?}");
            assert!(pieces.len() <= 5, "{count}: {pieces:?}");
        }
    }
}
