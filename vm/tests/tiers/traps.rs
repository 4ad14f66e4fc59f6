//! Traps say the same in every tier, backtrace included, however compiled code was come to.

use std::fs;
use std::process::Command;

use brant::{ExitStatus, Module, Process, Stopped, Tier};
use brant_engine::compile::Stops;
use brant_engine::{Extern, Instance, Stop, Store, Thread};

use crate::world::engine;

/// Bodies that trap, with `$x` at hand, which is 0.
const BODIES: &[(&str, &str)] = &[
    ("unreachable", "(unreachable)"),
    ("unreachable", "(if (i32.eqz (local.get $x)) (then (unreachable)))"),
    ("unreachable", "(block (br_if 0 (local.get $x)) (unreachable))"),
    ("unreachable", "(loop (unreachable))"),
    ("integer divide by zero", "(drop (i32.div_s (i32.const 7) (local.get $x)))"),
    (
        "integer divide by zero",
        "(drop (i64.rem_u (i64.const 7) (i64.extend_i32_s (local.get $x))))",
    ),
    (
        "integer overflow",
        "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (local.get $x) (i32.const 1))))",
    ),
    (
        "integer overflow",
        "(drop (i64.trunc_f64_u (f64.sub (f64.convert_i32_s (local.get $x)) (f64.const 1e30))))",
    ),
    (
        "invalid conversion to integer",
        "(drop (i32.trunc_f32_s (f32.div (f32.convert_i32_s (local.get $x)) (f32.const 0))))",
    ),
    ("out of bounds memory access", "(drop (i32.load offset=65533 (local.get $x)))"),
    (
        "out of bounds memory access",
        "(i64.store (i32.sub (local.get $x) (i32.const 8)) (i64.const 1))",
    ),
    ("out of bounds memory access", "(drop (v128.load offset=4294967295 (local.get $x)))"),
    (
        "out of bounds memory access",
        "(i32.store8 $second offset=65536 (local.get $x) (i32.const 1))",
    ),
    ("out of bounds memory access", "(memory.fill (i32.const 9) (local.get $x) (i32.const 65528))"),
    ("out of bounds memory access", "(memory.copy (local.get $x) (i32.const 65530) (i32.const 7))"),
    (
        "out of bounds memory access",
        "(memory.init $some (i32.const 9) (local.get $x) (i32.const 6))",
    ),
    ("out of bounds table access", "(drop (table.get (i32.add (local.get $x) (i32.const 4))))"),
    ("out of bounds table access", "(table.set (i32.const -1) (ref.null func))"),
    (
        "out of bounds table access",
        "(table.fill (i32.const 1) (ref.null func) (i32.add (local.get $x) (i32.const 4)))",
    ),
    // The old value of the local is saved in front of what writes it, which stays what it was.
    (
        "out of bounds memory access",
        "(local.get $x) (local.set $x (i32.load offset=65533 (local.get $x))) (drop)",
    ),
    (
        "integer overflow",
        "(local.get $x)
            (local.set $x (i32.div_s (i32.const 0x80000000) (i32.sub (local.get $x) (i32.const 1))))
            (drop)",
    ),
    // What these load, one instruction of the processor loads and uses.
    (
        "out of bounds memory access",
        "(global.set $seen (i32.add (i32.const 3) (i32.load offset=65533 (local.get $x))))",
    ),
    (
        "out of bounds memory access",
        "(global.set $seen (i32.load (i32.load offset=65533 (local.get $x))))",
    ),
    (
        "out of bounds memory access",
        "(global.set $real (f64.mul (f64.const 3) (f64.load offset=65530 (local.get $x))))",
    ),
    (
        "out of bounds memory access",
        "(i32.store offset=65533 (local.get $x)
            (i32.add (i32.const 3) (i32.load offset=65533 (local.get $x))))",
    ),
    (
        "out of bounds memory access",
        "(block (br_if 0 (i64.eq (i64.const 3) (i64.load offset=65530 (local.get $x))))
            (global.set $seen (i32.const 3)))",
    ),
    (
        "out of bounds memory access",
        "(v128.store (local.get $x)
            (i32x4.add (v128.load (i32.const 0)) (v128.load offset=65530 (local.get $x))))",
    ),
    (
        "out of bounds table access",
        "(global.set $seen (ref.is_null (table.get (i32.add (local.get $x) (i32.const 4)))))",
    ),
    ("undefined element", "(call_indirect (type $void) (i32.sub (local.get $x) (i32.const 1)))"),
    ("uninitialized element", "(call_indirect (type $void) (local.get $x))"),
    (
        "indirect call type mismatch",
        "(call_indirect (type $void) (i32.add (local.get $x) (i32.const 1)))",
    ),
];

/// How often the loop around the calls turns before the trap.
const TURNS: u32 = 300_000;

/// A program that traps in a loop's last turn, below a call and an indirect call.
fn text(body: &str, turns: u32) -> String {
    format!(
        r#"(module
    (type $void (func))
    (type $down (func (param i32 i64) (result i64)))
    (memory (export "memory") 1)
    (memory $second 1)
    (data $some "data")
    (global $seen (mut i32) (i32.const 0))
    (global $real (mut f64) (f64.const 0))
    (table 4 funcref)
    (elem (i32.const 1) $down)
    (func $boom (param $x i32) (param f64) (result f64)
        {body}
        (local.get 1))
    (func $down (type $down)
        (if (i32.eqz (local.get 0))
            (then (return (i64.trunc_sat_f64_s (call $boom (local.get 0) (f64.const 1))))))
        (local.get 1))
    (func $turn (param i32) (result i64)
        (i64.const 5)
        (call_indirect (type $down) (local.get 0) (i64.const 3) (i32.const 1))
        (i64.add))
    (func $main (export "_start") (local $left i32) (local $sum i64)
        (local.set $left (i32.const {turns}))
        (loop $more
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (local.set $sum (i64.add (local.get $sum) (call $turn (local.get $left))))
            (br_if $more (local.get $left)))))"#
    )
}

#[test]
fn standard_error_is_the_same_in_every_tier() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (words, body) in BODIES {
        let file = folder.path().join("trap.wat");
        fs::write(&file, text(body, TURNS)).expect("a file");
        let said = ["interp", "jit", "auto"].map(|tier| {
            let mut brant = Command::new(env!("CARGO_BIN_EXE_brant"));
            let output = brant.args(["run", "--tier", tier]).arg(&file).output().expect("it runs");
            assert_eq!(output.status.code(), Some(134), "{body} in {tier}");
            String::from_utf8(output.stderr).expect("text")
        });
        assert!(said[0].contains(words), "{body}: {}", said[0]);
        for name in ["boom", "down", "turn", "main"] {
            assert!(said[0].contains(name), "{body}: {}", said[0]);
        }
        assert_eq!(said[0], said[1], "{body}: interp, jit");
        assert_eq!(said[0], said[2], "{body}: interp, auto");
    }
}

#[test]
fn loops_entered_in_their_midst_trap_with_the_same_words() {
    let module = |tier, body: &str| {
        Module::from_text(&engine(tier, Stops::Usual), text(body, 2000)).expect("a module")
    };
    for (words, body) in BODIES {
        let mut process = Process::builder(&module(Tier::Interp, body)).build().expect("a process");
        let ExitStatus::Trapped(expected) = process.run().expect("it runs") else {
            panic!("{body}: no trap");
        };
        assert!(expected.to_string().contains(words), "{body}: {expected}");
        // Each turn has three sites: the entries of two functions, and the way back.
        for sites in [1, 2, 3, 100, 1000] {
            let mut process =
                Process::builder(&module(Tier::Interp, body)).build().expect("a process");
            process.stop_after_sites(sites);
            let status = process.run().expect("it runs");
            assert!(matches!(status, ExitStatus::Stopped(Stopped::AtSite)), "{body}: {status}");
            process.set_tier(Tier::Jit).expect("there is a compiler");
            let status = process.run().expect("it runs");
            assert_eq!(status.to_string(), expected.to_string(), "{body} from site {sites}");
        }
    }
}

#[test]
fn stacks_of_both_tiers_trap_with_the_same_words() {
    for (_, body) in BODIES {
        let trap = |tier, stops, seed| {
            let engine = engine(tier, stops);
            let bytes = brant_asm::assemble(text(body, 40).as_bytes(), &Default::default());
            let bytes = bytes.expect("text of a module");
            let module = brant_engine::Module::new(&engine, bytes).expect("a valid module");
            let mut store = Store::new(&engine, Box::new(()));
            store.mix_tiers(seed);
            let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
            let start = instance.export(&store, "_start").and_then(Extern::func);
            let mut thread = Thread::new(&mut store, start.expect("a function"), &[]);
            // Whoever counts changes the tier at each site.
            store.stop_at_site(Some(1 << 40));
            match thread.run(&mut store) {
                Stop::Trap(report) => report.to_string(),
                stop => panic!("{body}: {stop}"),
            }
        };
        let expected = trap(Tier::Interp, Stops::Usual, None);
        for seed in 1..4 {
            assert_eq!(trap(Tier::Jit, Stops::Every, Some(seed)), expected, "{body}, seed {seed}");
        }
    }
}
