//! Small functions, and what is and is not in their code.

use brant_engine::compile::{
    Compiler, Entry, Options, RecordPlace, Request, SlotOf, Stops, TrapCause,
};
use brant_engine::{Engine, Module};
use brant_jit::{Jit, show};
use wast::parser::{self, ParseBuffer};

const USUAL: Options =
    Options { stops: Stops::Usual, guarded_memory: true, fuel: false, canonical_nans: false };

fn module(text: &str) -> Module {
    let buffer = ParseBuffer::new(text).expect("text");
    let mut wat = parser::parse::<wast::Wat<'_>>(&buffer).expect("a module");
    Module::new(&Engine::default(), wat.encode().expect("bytes")).expect("a valid module")
}

fn request(module: &Module, options: Options) -> Request<'_> {
    Request { module, function: module.imported_functions(), entry: Entry::Start, options }
}

fn clif(text: &str, options: Options) -> String {
    let module = module(text);
    show::clif(&Jit::new().expect("a compiler"), &request(&module, options)).expect("CLIF")
}

const SUM: &str = "(module (func (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (local.get 0)))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))";

#[test]
fn a_leaf_without_loops_pays_nothing_for_stops() {
    let text = "(module (func (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))";
    let never = clif(text, Options { stops: Stops::Never, ..USUAL });
    assert_eq!(clif(text, USUAL), never);
    assert!(!never.contains("stack_limit"), "{never}");
}

#[test]
fn a_loop_polls_and_goes_back_to_its_header() {
    let usual = clif(SUM, USUAL);
    assert!(usual.contains("stack_limit") && usual.contains("cold"), "{usual}");
    let never = clif(SUM, Options { stops: Stops::Never, ..USUAL });
    assert!(!never.contains("cold"), "{never}");
}

#[test]
fn a_pad_has_no_code_for_constants() {
    let module = module(
        "(module (import \"\" \"\" (func (result i32)))
            (func (param i32 i64) (result i32)
                (i32.const 7) (local.get 0) (call 0) (drop) (i32.add)
                (drop (local.get 1))))",
    );
    let native = Jit::new().expect("a compiler").compile(&request(&module, USUAL));
    let native = native.expect("code");
    let [call] = &native.calls[..] else { panic!("one call: {:?}", native.calls) };
    let places: Vec<_> = call.slots.iter().map(|slot| (slot.what, slot.at)).collect();
    assert_eq!(
        places,
        [
            (SlotOf::Local(1), RecordPlace::Offset(8)),
            (SlotOf::Operand(0), RecordPlace::Constant([7, 0])),
            (SlotOf::Operand(1), RecordPlace::Offset(0)),
        ]
    );
    assert_eq!(call.record_bytes, 16);
}

#[test]
fn traps_know_their_operator() {
    let module = module(
        "(module (memory 1) (func (param i32) (result i32)
            (i32.div_u (i32.load (local.get 0)) (i32.load offset=8 (local.get 0)))))",
    );
    let native = Jit::new().expect("a compiler").compile(&request(&module, USUAL));
    let native = native.expect("code");
    let mut offsets: Vec<u32> = native.traps.iter().map(|trap| trap.body_offset).collect();
    offsets.sort_unstable();
    // One byte of declarations; local.get 2, i32.load 3, local.get 2, i32.load 3.
    assert_eq!(offsets, [3, 8, 11]);
}

#[test]
fn a_load_that_melts_into_its_user_traps_as_itself() {
    let sum = (0..300).fold("(i32.const 0)".to_owned(), |sum, _| {
        format!("(i32.add {sum} (i32.load (local.get 0)))")
    });
    let text = format!("(module (memory 1) (func (param i32) (result i32) {sum}))");
    let native = Jit::new().expect("a compiler").compile(&request(&module(&text), USUAL));
    let native = native.expect("code");
    let guests = native.traps.iter().filter(|trap| trap.cause != TrapCause::Entry);
    let mut offsets: Vec<u32> = guests.map(|trap| trap.body_offset).collect();
    offsets.sort_unstable();
    // Declarations 1, i32.const 2; then, in each turn, local.get 2, i32.load 3, i32.add 1.
    assert_eq!(offsets, (0..300).map(|i| 5 + 6 * i).collect::<Vec<u32>>());
}

#[test]
fn an_unguarded_memory_is_checked_and_a_guarded_one_is_not() {
    let text = "(module (memory 1) (func (param i32) (result i32) (i32.load (local.get 0))))";
    assert!(!clif(text, USUAL).contains("select_spectre_guard"));
    let checked = clif(text, Options { guarded_memory: false, ..USUAL });
    assert!(checked.contains("select_spectre_guard"), "{checked}");
    let far = "(module (memory 1) (func (param i32) (result i32)
        (i32.load offset=0x2000000 (local.get 0))))";
    assert!(clif(far, USUAL).contains("select_spectre_guard"));
}

#[test]
fn fuel_is_counted_by_block_as_the_interpreter_does() {
    let fuel = clif(SUM, Options { fuel: true, ..USUAL });
    // Nothing before the loop; nine in each turn; one behind it.
    for units in [0, 9, 1] {
        assert!(fuel.contains(&format!("iconst.i64 {units}\n")), "{units}: {fuel}");
    }
}

#[test]
fn machine_code_is_listed() {
    let module = module(SUM);
    let jit = Jit::new().expect("a compiler");
    let text = show::native(&jit, &request(&module, USUAL)).expect("code");
    assert!(text.contains("block0:"), "{text}");
    assert_eq!(jit.fingerprint(), Jit::new().expect("a compiler").fingerprint());
}
