//! Calls of functions.

use brant_engine::compile::{CallKind, CompileError, Entry, stack_words};
use brant_engine::site::SiteKind;
use brant_engine::vm::Vm;
use brant_isa::Trap;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};

use super::exits::Target;
use super::{Translator, invalid, type_of};
use crate::abi::{ResultPlace, clif, result_places, slot, trap_code, vm};

impl Translator<'_, '_> {
    /// `call`.
    pub(super) fn call(&mut self) -> Result<(), CompileError> {
        let (function, type_index) = self.direct_callee()?;
        if function == self.function && self.own_code && self.tuning.self_calls {
            let ty = type_of(self.module, function)?;
            let own = self.signatures.own(self.b.func, type_index, ty);
            self.call_of_type(type_index, Target::Own(own))?;
            // It has a call, so its entry looks.
            self.note_look();
            return Ok(());
        }
        let target = self.code_of(function)?;
        self.call_of_type(type_index, Target::Address(target))
    }

    /// The function that a call names, and its type index.
    fn direct_callee(&mut self) -> Result<(u32, u32), CompileError> {
        let function = self.index()?;
        let type_index = self.module.function_types().get(function as usize).copied();
        let type_index = type_index.ok_or_else(|| invalid("no such function"))?;
        self.stop_between(SiteKind::Call)?;
        Ok((function, type_index))
    }

    /// How many globals of its own the instance has.
    pub(super) fn own_globals(&self) -> usize {
        self.module.global_count() - self.module.imported_globals() as usize
    }

    /// The code of a function of the instance.
    fn code_of(&mut self, function: u32) -> Result<Value, CompileError> {
        let offset = Vm::native_offset(self.own_globals(), function as usize);
        let offset = i32::try_from(offset).map_err(|_| CompileError::TooLarge)?;
        // What stands there changes when the function is compiled.
        Ok(self.load_vm(offset))
    }

    /// `return_call`.
    pub(super) fn return_call(&mut self) -> Result<(), CompileError> {
        let (function, type_index) = self.direct_callee()?;
        let target = self.code_of(function)?;
        self.tail_call_of_type(type_index, target)
    }

    /// `return_call_indirect`.
    pub(super) fn return_call_indirect(&mut self) -> Result<(), CompileError> {
        let (type_index, target) = self.indirect_callee()?;
        self.tail_call_of_type(type_index, target)
    }

    /// Has `code` called when this function has returned; and returns.
    fn tail_call_of_type(&mut self, type_index: u32, code: Value) -> Result<(), CompileError> {
        let module = self.module;
        let ty = module.types().get(type_index as usize).ok_or_else(|| invalid("a type"))?;
        let room = match self.entry {
            Entry::Start => stack_words(type_of(module, self.function)?.params()),
            Entry::Loop(_) => 0,
        };
        let words = stack_words(ty.params());
        if words > room {
            return Err(CompileError::Unsupported("a tail call with so many arguments".to_owned()));
        }
        let mut args = vec![self.vm];
        args.extend(self.pop_many(ty.params().len())?);
        let site = self.site(SiteKind::Call)?;
        let signature = self.signatures.of_type(self.b.func, type_index, ty);
        let flags = self.regions.vm();
        self.b.ins().store(flags, code, self.vm, vm::TAIL_CODE);
        let words = self.b.ins().iconst(types::I64, words as i64);
        self.b.ins().store(flags, words, self.vm, vm::TAIL_WORD_COUNT);
        let target = self.load_fixed(self.vm, vm::TAIL_CALL);
        // The results are those of a function of the host; else nobody looks at them.
        let returned =
            self.call_out(CallKind::TailCall, site, signature, Target::Address(target), &args)?;
        self.b.ins().return_(&returned);
        self.skip_unreachable()
    }

    /// The type index and the code of the callee of an indirect call.
    fn indirect_callee(&mut self) -> Result<(u32, Value), CompileError> {
        let type_index = self.index()?;
        let table = self.index()?;
        self.stop_between(SiteKind::Call)?;
        let index = self.pop()?;
        let reference = self.table_element(table, index, trap_code(Trap::UndefinedElement))?;
        let callee = self.slot_of(reference);
        // The engine finds the callee by its index, where it has to.
        let flags = self.regions.call();
        self.b.ins().store(flags, index, self.vm, vm::INDIRECT_INDEX);
        let target = match self.tuning.own_calls {
            true => self.own_or_other(callee, reference, type_index)?,
            false => {
                self.check_type(callee, reference, type_index)?;
                let flags = self.regions.vm();
                let native = self.b.ins().load(types::I64, flags, callee, slot::NATIVE);
                let call_out = self.load_fixed(self.vm, vm::CALL_OUT);
                let owner = self.load_fixed(callee, slot::VM);
                let is_own = self.b.ins().icmp(IntCC::Equal, owner, self.vm);
                self.b.ins().select(is_own, native, call_out)
            }
        };
        Ok((type_index, target))
    }

    /// What to call for a function by reference. That it has the right type and is of this instance
    /// is one comparison; if not, it has at least to have the type.
    fn own_or_other(
        &mut self, callee: Value, reference: Value, type_index: u32,
    ) -> Result<Value, CompileError> {
        let flags = self.regions.fixed();
        let functions = self.module.function_count();
        let offset = Vm::own_type_offset(self.own_globals(), functions, type_index as usize);
        let offset = i32::try_from(offset).map_err(|_| CompileError::TooLarge)?;
        let expected = self.load_fixed(self.vm, offset);
        let is = self.b.ins().load(types::I64, flags, callee, slot::TY);
        let is_own = self.b.ins().icmp(IntCC::Equal, is, expected);
        let [own, other, call] = [(); 3].map(|()| self.b.create_block());
        let target = self.b.append_block_param(call, types::I64);
        self.b.ins().brif(is_own, own, &[], other, &[]);
        self.b.set_cold_block(other);
        self.go_on_in(other);
        self.check_type(callee, reference, type_index)?;
        if let Some(block) = self.b.current_block() {
            self.b.set_cold_block(block);
        }
        let call_out = self.load_fixed(self.vm, vm::CALL_OUT);
        self.b.ins().jump(call, &[BlockArg::Value(call_out)]);
        self.go_on_in(own);
        let flags = self.regions.vm();
        let native = self.b.ins().load(types::I64, flags, callee, slot::NATIVE);
        self.b.ins().jump(call, &[BlockArg::Value(native)]);
        self.go_on_in(call);
        Ok(target)
    }

    /// `call_indirect`.
    pub(super) fn call_indirect(&mut self) -> Result<(), CompileError> {
        let (type_index, target) = self.indirect_callee()?;
        self.call_of_type(type_index, Target::Address(target))
    }

    /// The slot of a reference; that of null has a type which no call has.
    fn slot_of(&mut self, reference: Value) -> Value {
        let slots = self.load_vm(vm::FUNCTIONS);
        let wide = self.b.ins().uextend(types::I64, reference);
        let offset = self.b.ins().ishl_imm_u(wide, 3);
        let place = self.b.ins().iadd(slots, offset);
        let flags = self.regions.vm();
        self.b.ins().load(types::I64, flags, place, 0)
    }

    /// Traps unless the function has the type of the call.
    fn check_type(
        &mut self, callee: Value, reference: Value, type_index: u32,
    ) -> Result<(), CompileError> {
        let flags = self.regions.fixed();
        let types = self.load_fixed(self.vm, vm::TYPES);
        let offset = i32::try_from(4 * i64::from(type_index)).map_err(|_| invalid("a type"))?;
        let expected = self.b.ins().load(types::I32, flags, types, offset);
        let is = self.b.ins().load(types::I32, flags, callee, slot::TY);
        let differs = self.b.ins().icmp(IntCC::NotEqual, is, expected);
        let (wrong, right) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(differs, wrong, &[], right, &[]);
        self.b.set_cold_block(wrong);
        self.go_on_in(wrong);
        self.b.ins().trapz(reference, trap_code(Trap::UninitializedElement));
        self.b.ins().trap(trap_code(Trap::IndirectCallTypeMismatch));
        self.go_on_in(right);
        Ok(())
    }

    /// Calls `target` with the arguments on the stack, and pushes its results.
    fn call_of_type(&mut self, type_index: u32, target: Target) -> Result<(), CompileError> {
        let module = self.module;
        let ty = module.types().get(type_index as usize).ok_or_else(|| invalid("a type"))?;
        let mut args = vec![self.vm];
        args.extend(self.pop_many(ty.params().len())?);
        let site = self.site(SiteKind::Return)?;
        let signature = self.signatures.of_type(self.b.func, type_index, ty);
        let returned = self.call_out(CallKind::Function, site, signature, target, &args)?;
        self.budget.spend(ty.results().len())?;
        let mut memory = None;
        for (&ty, place) in ty.results().iter().zip(result_places(ty.results())) {
            let value = match place {
                ResultPlace::Register(n) => returned[n],
                ResultPlace::Memory(offset) => {
                    let flags = self.regions.vm();
                    let base = match memory {
                        Some(base) => base,
                        None => self.b.ins().load(types::I64, flags, self.vm, vm::RESULTS),
                    };
                    memory = Some(base);
                    let flags = self.regions.results();
                    self.b.ins().load(clif(ty), flags, base, offset)
                }
            };
            self.push(value);
        }
        Ok(())
    }
}

/// The offset of a pointer in an array by index of functions.
pub fn entry_of(index: u32) -> Result<i32, CompileError> {
    i32::try_from(8 * i64::from(index)).map_err(|_| invalid("an index"))
}
