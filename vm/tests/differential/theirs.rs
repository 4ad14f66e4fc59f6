//! The side of wasmi.

use std::sync::{Arc, Mutex, PoisonError};

use wasmi::{
    Config, Engine, Error, Extern, ExternType, Func, Global, Instance, Memory, Module, Nullable,
    Ref, Store, Table, TrapCode, V128, Val, ValType,
    errors::{ErrorKind, InstantiationError},
};

use super::values::{End, Kind, Log, Value, global};

/// What one call may use.
const FUEL: u64 = 50_000;

/// Why wasmi does not take a module.
pub struct Refusal {
    pub message: String,
    /// Whether it says that the module is invalid; else it has met a limit of its own.
    pub is_invalid: bool,
}

pub fn load(bytes: &[u8]) -> Result<Module, Refusal> {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .set_max_recursion_depth(20_000)
        .set_max_stack_height(256 << 20)
        .wasm_multi_memory(true)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_memory64(false)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .compilation_mode(wasmi::CompilationMode::Eager);
    Module::new(&Engine::new(&config), bytes).map_err(|error| Refusal {
        message: error.to_string(),
        is_invalid: matches!(error.kind(), ErrorKind::Wasm(_)),
    })
}

/// The functions that a module exports, with the types of their parameters.
pub fn functions(module: &Module) -> Vec<(String, Vec<Kind>)> {
    let function = |export: wasmi::ExportType<'_>| match export.ty() {
        ExternType::Func(ty) => {
            Some((export.name().to_owned(), ty.params().iter().map(|ty| kind(*ty)).collect()))
        }
        _ => None,
    };
    module.exports().filter_map(function).collect()
}

/// A store with one instance.
pub struct Theirs {
    module: Module,
    store: Store<()>,
    instance: Option<Instance>,
    log: Arc<Mutex<Log>>,
}

impl Theirs {
    pub fn new(module: &Module) -> Theirs {
        let store = Store::new(module.engine(), ());
        Theirs { module: module.clone(), store, instance: None, log: Arc::default() }
    }

    /// Makes the instance and runs its start function.
    pub fn prepare(&mut self) -> End {
        self.refuel();
        let module = self.module.clone();
        let (mut imports, mut counts) = (Vec::new(), [0; 4]);
        // Wasmi sorts imports by their kind.
        for import in module.imports() {
            let count = &mut counts[match import.ty() {
                ExternType::Func(_) => 0,
                ExternType::Global(_) => 1,
                ExternType::Table(_) => 2,
                ExternType::Memory(_) => 3,
            }];
            match self.import(*count, import.ty()) {
                Ok(import) => imports.push(import),
                Err(error) => return end(&error),
            }
            *count += 1;
        }
        match Instance::new(&mut self.store, &module, &imports) {
            Ok(instance) => {
                self.instance = Some(instance);
                End::Values(Vec::new())
            }
            Err(error) => end(&error),
        }
    }

    fn refuel(&mut self) {
        self.store.set_fuel(FUEL).expect("the engine counts fuel");
    }

    /// Import `index` among those of its kind.
    fn import(&mut self, index: usize, ty: &ExternType) -> Result<Extern, Error> {
        let store = &mut self.store;
        Ok(match ty {
            ExternType::Func(ty) => {
                let kinds: Vec<Kind> = ty.results().iter().map(|ty| kind(*ty)).collect();
                let log = Arc::clone(&self.log);
                Extern::Func(Func::new(store, ty.clone(), move |_, params, results| {
                    let params = params.iter().map(value);
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    let answer = log.call(index, params, &kinds);
                    let answer = answer.ok_or(TrapCode::UnreachableCodeReached)?;
                    for (result, answer) in results.iter_mut().zip(answer) {
                        *result = val(answer);
                    }
                    Ok(())
                }))
            }
            ExternType::Global(ty) => {
                let initial = val(global(index, kind(ty.content())));
                Extern::Global(Global::new(store, initial, ty.mutability()))
            }
            ExternType::Table(ty) => {
                Extern::Table(Table::new(store, *ty, Ref::default_for_ty(ty.element()))?)
            }
            ExternType::Memory(ty) => Extern::Memory(Memory::new(store, *ty)?),
        })
    }

    pub fn call(&mut self, name: &str, arguments: &[Value]) -> End {
        self.refuel();
        let func = self.export(name).and_then(Extern::into_func).expect("the function is exported");
        let arguments: Vec<Val> = arguments.iter().copied().map(val).collect();
        let ty = func.ty(&self.store);
        let mut results: Vec<Val> =
            ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
        match func.call(&mut self.store, &arguments, &mut results) {
            Ok(()) => End::Values(results.iter().map(value).collect()),
            Err(error) => end(&error),
        }
    }

    pub fn log(&self) -> Log {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of all exports.
    pub fn exported(&self) -> Vec<String> {
        self.module.exports().map(|export| export.name().to_owned()).collect()
    }

    pub fn memory(&self, name: &str) -> Option<&[u8]> {
        Some(self.export(name)?.into_memory()?.data(&self.store))
    }

    /// What a global or the elements of a table hold.
    pub fn shown(&self, name: &str) -> Vec<Value> {
        match self.export(name) {
            Some(Extern::Global(global)) => vec![value(&global.get(&self.store))],
            Some(Extern::Table(table)) => {
                let size = table.size(&self.store);
                let element = |index| table.get(&self.store, index).expect("it is inside");
                (0..size).map(|index| reference(&element(index))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn export(&self, name: &str) -> Option<Extern> {
        self.instance?.get_export(&self.store, name)
    }
}

fn end(error: &Error) -> End {
    match error.as_trap_code() {
        Some(
            TrapCode::OutOfFuel
            | TrapCode::StackOverflow
            | TrapCode::GrowthOperationLimited
            | TrapCode::OutOfSystemMemory,
        ) => End::Open,
        Some(code) => End::Trap(words(code).to_owned()),
        None => match error.kind() {
            ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) => {
                End::Trap(words(TrapCode::TableOutOfBounds).to_owned())
            }
            _ => End::Wrong(error.to_string()),
        },
    }
}

/// The specification's words for a trap. Wasmi has one code for two of them.
fn words(code: TrapCode) -> &'static str {
    match code {
        TrapCode::UnreachableCodeReached => "unreachable",
        TrapCode::MemoryOutOfBounds => "out of bounds memory access",
        TrapCode::TableOutOfBounds => "out of bounds table access",
        TrapCode::IndirectCallToNull => "uninitialized element",
        TrapCode::IntegerDivisionByZero => "integer divide by zero",
        TrapCode::IntegerOverflow => "integer overflow",
        TrapCode::BadConversionToInteger => "invalid conversion to integer",
        TrapCode::BadSignature => "indirect call type mismatch",
        _ => "something else",
    }
}

fn kind(ty: ValType) -> Kind {
    match ty {
        ValType::I32 => Kind::I32,
        ValType::I64 => Kind::I64,
        ValType::F32 => Kind::F32,
        ValType::F64 => Kind::F64,
        ValType::V128 => Kind::V128,
        ValType::FuncRef => Kind::Func,
        ValType::ExternRef => Kind::Extern,
    }
}

fn value(val: &Val) -> Value {
    match val {
        Val::I32(value) => Value::I32(*value as u32),
        Val::I64(value) => Value::I64(*value as u64),
        Val::F32(value) => Value::F32(value.to_bits()),
        Val::F64(value) => Value::F64(value.to_bits()),
        Val::V128(value) => Value::V128(value.as_u128()),
        Val::FuncRef(value) => Value::Func { is_null: value.is_null() },
        Val::ExternRef(value) => Value::Extern { is_null: value.is_null() },
    }
}

fn reference(reference: &Ref) -> Value {
    match reference.is_func() {
        true => Value::Func { is_null: reference.is_null() },
        false => Value::Extern { is_null: reference.is_null() },
    }
}

fn val(value: Value) -> Val {
    match value {
        Value::I32(bits) => Val::I32(bits as i32),
        Value::I64(bits) => Val::I64(bits as i64),
        Value::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
        Value::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
        Value::V128(bits) => Val::V128(V128::from(bits)),
        // Nobody gives anything but null.
        Value::Func { .. } => Val::FuncRef(Nullable::Null),
        Value::Extern { .. } => Val::ExternRef(Nullable::Null),
    }
}
