//! Sites, shapes and liveness, from text to what the walk says.

use brant_engine::site::{Shape, SiteId, SiteKind, Sites};
use brant_engine::{Engine, Module, ValType};

fn module(text: &str) -> Module {
    let bytes = wat::parse_str(text).expect("text of a module");
    Module::new(&Engine::default(), bytes).expect("a valid module")
}

/// `kind live operands`, a line for each site of function 0 but blocks.
fn check(text: &str, expected: &[&str]) {
    let module = module(text);
    let sites = Sites::of(&module, 0).expect("sites");
    let mut found = Vec::new();
    for (id, site) in sites.iter().filter(|(_, site)| site.kind != SiteKind::Block) {
        let live: Vec<String> = sites.live(id).iter().map(|local| local.to_string()).collect();
        let shape = Shape::of(&module, 0, id).expect("a shape");
        let operands: Vec<String> = shape.operands.iter().map(ValType::to_string).collect();
        found.push(format!("{} [{}] ({})", site.kind, live.join(" "), operands.join(" ")));
        assert_eq!(sites.find(site.offset, site.kind), Some(id));
    }
    let mut ids = Vec::new();
    Sites::each(&module, 0, |id, operands| {
        let shape = Shape::of(&module, 0, id).expect("a shape");
        assert_eq!(operands.iter().collect::<Vec<_>>(), shape.operands);
        ids.push(id);
    })
    .expect("sites");
    assert!(ids.into_iter().eq(sites.iter().map(|(id, _)| id)));
    assert_eq!(found, expected);
}

#[test]
fn a_loop_keeps_what_the_next_turn_reads() {
    check(
        "(module (func (param i32 i32) (result i32) (local i32 i32)
            (local.set 3 (local.get 1))
            (loop
                (local.set 2 (i32.add (local.get 2) (local.get 0)))
                (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get 2)))",
        &["entry [0 1 2] ()", "loop [0 2] ()"],
    );
}

#[test]
fn calls_have_two_sites_and_arguments_are_gone_in_the_second() {
    check(
        "(module (func (param i64 f32) (result i64)
            (i64.add (local.get 0) (call 1 (local.get 1))))
          (func (param f32) (result i64) (i64.const 0)))",
        &["entry [0 1] ()", "call [] (i64 f32)", "return [] (i64)"],
    );
}

#[test]
fn inner_loops_keep_what_outer_turns_read() {
    check(
        "(module (func (param i32) (local i32 i32)
            (loop $outer
                (loop $inner
                    (br_if $inner (local.get 0))
                    (br_if $outer (local.get 1)))
                (local.set 2 (i32.const 1)))))",
        &["entry [0 1] ()", "loop [0 1] ()", "loop [0 1] ()"],
    );
}

#[test]
fn both_halves_of_an_if_count() {
    check(
        "(module (func (param i32 i32 i32)
            (call 1)
            (if (local.get 0) (then (local.set 1 (i32.const 2)) (call 1))
                (else (drop (local.get 1)) (call 1) (drop (local.get 2)))))
          (func))",
        &[
            "entry [0 1 2] ()",
            "call [0 1 2] ()",
            "return [0 1 2] ()",
            "call [] ()",
            "return [] ()",
            "call [2] ()",
            "return [2] ()",
        ],
    );
}

#[test]
fn unreachable_code_has_no_sites() {
    check(
        "(module (func (param i32)
            (block (br 0) (loop (call 0 (i32.const 0))) (br_if 0 (local.get 0)))
            (drop (memory.grow (local.get 0)))
            (return)
            (call 0 (i32.const 1)))
          (memory 1))",
        &["entry [0] ()", "operation [] (i32)"],
    );
}

#[test]
fn tail_calls_have_no_return_site() {
    check(
        "(module (table 1 funcref) (type $t (func (param i32)))
          (func (param i32) (return_call_indirect (type $t) (i32.const 3) (local.get 0))))",
        &["entry [0] ()", "call [] (i32 i32)"],
    );
}

#[test]
fn a_site_that_is_not_there_has_no_shape() {
    let module = module("(module (import \"a\" \"b\" (func)) (func))");
    assert!(Sites::of(&module, 0).is_err(), "imported");
    assert!(Shape::of(&module, 1, SiteId(7)).is_err());
}

#[test]
fn a_reference_made_by_ref_func_is_an_operand_like_any_other() {
    check(
        "(module (table 1 funcref) (elem declare func 0)
            (func (result i32) (table.grow (ref.func 0) (i32.const 1))))",
        &["entry [] ()", "operation [] (funcref i32)"],
    );
}
