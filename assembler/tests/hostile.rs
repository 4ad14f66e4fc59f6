//! Texts made to break the assembler: deep, long, wrong. It must answer, in bounded time and
//! memory and without native recursion.

use brant_asm::{AssembleOptions, Diagnostics, assemble, script};
use wasmparser::{Validator, WasmFeatures};

fn run(text: impl AsRef<[u8]>) -> Result<Vec<u8>, Diagnostics> {
    assemble(text.as_ref(), &AssembleOptions::default())
}

/// Assembles on a thread whose native stack is small.
fn run_on_small_stack(text: String) -> Result<Vec<u8>, Diagnostics> {
    let thread = std::thread::Builder::new().stack_size(128 * 1024);
    thread.spawn(move || run(text)).expect("a thread").join().expect("no panic and no overflow")
}

/// The first mistake as `line:column code`.
#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: &str) {
    let text = text.as_ref();
    let diagnostics = run(text).expect_err("the text is refused");
    let first = &diagnostics.list[0];
    assert_eq!(format!("{} {}", first.span.line_column(text), first.code), expected);
    assert!(diagnostics.list.len() <= Diagnostics::LIMIT);
    for diagnostic in &diagnostics.list {
        let size = diagnostic.message.len()
            + diagnostic.notes.iter().map(String::len).sum::<usize>()
            + diagnostic.expected.iter().map(String::len).sum::<usize>()
            + diagnostic.suggestion.as_ref().map_or(0, |s| s.replacement.len());
        assert!(size < 4096, "a complaint of {size} bytes");
    }
}

fn is_valid(bytes: &[u8]) -> bool {
    Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).is_ok()
}

#[test]
fn a_million_nested_blocks_assemble() {
    let n = 1_000_000;
    let flat = format!("(func {} {})", "block ".repeat(n), "end ".repeat(n));
    let bytes = run_on_small_stack(flat).expect("flat blocks");
    assert!(bytes.len() > 3 * n);
    let folded = format!("(func {}{})", "(block".repeat(n), ")".repeat(n));
    assert_eq!(run_on_small_stack(folded).expect("folded blocks"), bytes);
}

#[test]
fn named_labels_stay_linear_however_deep() {
    let n = 100_000;
    let blocks: String = (0..n).map(|i| format!("block $b{i} br $b0 br $b{i}\n")).collect();
    let text = format!("(func {blocks} {})", "end ".repeat(n));
    run_on_small_stack(text).expect("deep labels");
}

#[test]
fn a_hundred_thousand_folded_instructions_assemble() {
    let n = 100_000;
    let text =
        format!("(func (result i32) {}(i32.const 1){})", "(i32.eqz".repeat(n), ")".repeat(n));
    assert!(is_valid(&run_on_small_stack(text).expect("folded operands")));
    let ifs = format!("(func {} nop{})", "(if (i32.const 1) (then".repeat(n), "))".repeat(n));
    run_on_small_stack(ifs).expect("folded ifs");
}

#[test]
fn comments_nest_to_any_depth() {
    let n = 3_000_000;
    let text = format!("{}{}(func)", "(;".repeat(n), ";)".repeat(n));
    run_on_small_stack(text).expect("a comment");
    check("(;".repeat(n), "1:1 unclosed-comment");
    check(format!("(func){}", "(@a".repeat(100_000)), "1:7 malformed-annotation");
}

#[test]
fn long_identifiers_are_names_like_others() {
    let long = "x".repeat(10_000_000);
    let bytes = run(format!("(func ${long} call ${long})")).expect("a long name");
    assert!(bytes.len() > long.len());
    check(format!("(func call ${long})"), "1:12 unknown-identifier");
    check(format!("(func {long})"), "1:7 unknown-instruction");
    check(format!("(func ${long}) (func ${long})"), "1:10000016 duplicate-identifier");
}

#[test]
fn bytes_that_are_no_text_are_found_with_line_and_column() {
    check(b"(module\n  \0)", "2:3 unexpected-character");
    check(b"(module\n  (func\xff))", "2:8 malformed-utf8");
    check(b"(module\n  ;; \xc3\n)", "2:6 malformed-utf8");
    check("(module\n (func \u{7f}))", "2:8 unexpected-character");
    check("(module (func ü))", "1:15 unexpected-character");
    check("(export \"\u{1}\" (func 0))", "1:10 malformed-string");
}

#[test]
fn many_locals_are_the_validators_affair() {
    let with = |n: usize| run(format!("(func (local {}))", "i32 ".repeat(n))).expect("locals");
    assert!(is_valid(&with(50_000)));
    assert!(!is_valid(&with(50_001)));
    let alternating = run(format!("(func (local {}))", "i32 i64 ".repeat(100_000)));
    assert!(!is_valid(&alternating.expect("locals")));
}

#[test]
fn giant_numbers_are_read_or_refused() {
    let nines = "9".repeat(1_000_000);
    check(format!("(func i32.const {nines})"), "1:17 number-out-of-range");
    check(format!("(func i64.const 0x{nines})"), "1:17 number-out-of-range");
    check(format!("(func f64.const {nines})"), "1:17 number-out-of-range");
    check(format!("(func f32.const 0x1p{nines})"), "1:17 number-out-of-range");
    check(format!("(func br {nines})"), "1:10 number-out-of-range");
    check(format!("(memory {nines})"), "1:9 number-out-of-range");
    check(format!("(func i32.load offset={nines})"), "1:23 number-out-of-range");
    run(format!("(func f64.const 0.{nines})")).expect("a long fraction");
    run(format!("(func f64.const 0x0.{nines}p-{nines})")).expect("a long hexadecimal fraction");
}

#[test]
fn counts_beyond_every_limit_are_written_or_refused() {
    let n = 300_000;
    let funcs = run("(func)".repeat(n)).expect("functions");
    assert!(funcs.len() > n);
    run(format!("(func {})", "(export \"x\")".repeat(n))).expect("exports");
    run("(type (func))".repeat(n)).expect("types");
    run(format!("(func (param {}))", "i32 ".repeat(n))).expect("parameters");
    run(format!("(func br_table {})", "0 ".repeat(n))).expect("labels");
    run(format!("(table funcref (elem {}))", "0 ".repeat(n))).expect("elements");
    run(format!("(func select {})", "(result i32)".repeat(n))).expect("types of select");
    run("(memory 1)".repeat(n)).expect("memories");
}

#[test]
fn a_text_of_mistakes_alone_takes_no_time() {
    let n = 50_000;
    let names: String = (0..n).map(|i| format!("(func $function_{i})\n")).collect();
    let calls: String = (0..n).map(|i| format!("call $functoin_{i}\n")).collect();
    let text = format!("{names}(func {calls})");
    let diagnostics = run(&text).expect_err("unknown names");
    assert_eq!(diagnostics.list.len(), Diagnostics::LIMIT);
    assert_eq!(diagnostics.omitted, n - Diagnostics::LIMIT);
    run("(func (".repeat(n)).expect_err("forms without an end");
    run("(func (export \"a\"\n".repeat(n)).expect_err("heads without an end");
    run("(rec (type $t (func\n".repeat(n)).expect_err("groups without an end");
    run("(func i32.bad)".repeat(n)).expect_err("unknown instructions");
    run("(bad)".repeat(n)).expect_err("unknown fields");
    run("\"".repeat(n)).expect_err("strings without an end");
    run(")".repeat(n)).expect_err("parentheses");
    run(format!("(func {})", "$a ".repeat(n))).expect_err("stray tokens");
    run(format!("(func {})", "x ".repeat(n))).expect_err("stray words");
    run(format!("(func {})", "(local ".repeat(n))).expect_err("misplaced locals");
    run(format!("(func (if {}))", "nop ".repeat(n))).expect_err("instructions in a folded if");
}

#[test]
fn every_prefix_of_a_text_gets_an_answer() {
    let text = r#"(module $m (@custom "c" (before first) "\00") (type $t (func (param $p i32)))
      (import "a" "b" (func $f (type $t))) (table $tab 1 funcref) (memory (data "x\u{41}"))
      (global $g (mut i32) (i32.const 1)) (elem (i32.const 0) $f) (start $h)
      (func $h (export "h") (local $l v128)
        block $b (; c ;) local.get $l drop br $b end $b
        (if (i32.const 0x1) (then (br_table 0 0 (i32.const 2))) (else nop))
        f64.const -nan:0x1 drop v128.const i32x4 1 2 3 4 drop ;; end
        (call_indirect (param i32) (i32.const 1) (i32.const 0))))"#;
    for end in 0..text.len() {
        if text.is_char_boundary(end) {
            let _ = run(&text[..end]);
            let _ = script::parse(&text.as_bytes()[..end]);
        }
    }
    run(text).expect("the whole");
}

#[test]
fn scripts_do_not_recurse() {
    let n = 100_000;
    let either = format!("(assert_return (invoke \"f\") {}", "(either ".repeat(n));
    let threads = "(thread $t ".repeat(n);
    for text in [either, threads] {
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        let parsed = thread.spawn(move || script::parse(text.as_bytes()).map(|_| ()));
        assert!(parsed.expect("a thread").join().expect("no overflow").is_err());
    }
}
