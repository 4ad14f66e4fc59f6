//! The table against an independent list: every operator of wasmparser has its row.

use std::collections::BTreeSet;

use brant_isa::{Effect, ImmediateKind, Opcode, ROWS};

macro_rules! names_of_operators {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
        &[$((stringify!($proposal), stringify!($visit))),*]
    };
}
static OPERATORS: &[(&str, &str)] = wasmparser::for_each_operator!(names_of_operators);

/// Proposals that are not part of Wasm 3.0 or of the threads proposal.
const OTHERS: &[&str] = &[
    "legacy_exceptions",
    "shared_everything_threads",
    "stack_switching",
    "wide_arithmetic",
    "custom_descriptors",
    "memory_control",
    "acquire_release_atomics",
];

#[test]
fn every_operator_of_the_standard_has_a_row() {
    let plain = |name: &str| name.replace(['.', '-'], "_");
    let rows: BTreeSet<String> = ROWS.iter().map(|row| plain(row.name)).collect();
    let mut missing = Vec::new();
    for (proposal, visit) in OPERATORS.iter().filter(|(proposal, _)| !OTHERS.contains(proposal)) {
        let name = visit.trim_start_matches("visit_");
        // Rows that the parser of bytecode tells apart and the text does not.
        let name = match name {
            "typed_select" | "typed_select_multi" => "select",
            "ref_test_non_null" | "ref_test_nullable" => "ref_test",
            "ref_cast_non_null" | "ref_cast_nullable" => "ref_cast",
            name => name,
        };
        if !rows.contains(name) {
            missing.push(format!("{proposal}: {name}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn encodings_are_unique() {
    let mut seen = BTreeSet::new();
    for row in ROWS {
        assert!(seen.insert(row.encoding.bytes), "{}", row.name);
    }
}

#[test]
fn only_three_names_stand_for_two_rows() {
    let mut seen = BTreeSet::new();
    let again: Vec<_> =
        ROWS.iter().filter(|row| !seen.insert(row.name)).map(|row| row.name).collect();
    assert_eq!(again, ["select", "ref.test", "ref.cast"]);
}

#[test]
fn alignments_follow_from_the_width_of_the_access() {
    let align = |name: &str| match Opcode::from_name(name).expect("a row").row().immediates[0].kind
    {
        ImmediateKind::MemArg { natural_align_log2 } => natural_align_log2,
        other => panic!("{other:?}"),
    };
    for (name, log2) in [
        ("i32.load", 2),
        ("i64.load", 3),
        ("f32.load", 2),
        ("f64.store", 3),
        ("i32.load8_s", 0),
        ("i64.load16_u", 1),
        ("i64.load32_s", 2),
        ("i64.store32", 2),
        ("v128.load", 4),
        ("v128.store", 4),
        ("v128.load8x8_s", 3),
        ("v128.load16x4_u", 3),
        ("v128.load32x2_s", 3),
        ("v128.load8_splat", 0),
        ("v128.load64_splat", 3),
        ("v128.load32_zero", 2),
        ("v128.load64_zero", 3),
        ("v128.load16_lane", 1),
        ("v128.store64_lane", 3),
        ("memory.atomic.notify", 2),
        ("memory.atomic.wait32", 2),
        ("memory.atomic.wait64", 3),
        ("i32.atomic.load8_u", 0),
        ("i64.atomic.rmw16.add_u", 1),
        ("i64.atomic.rmw.cmpxchg", 3),
        ("i32.atomic.store", 2),
    ] {
        assert_eq!(align(name), log2, "{name}");
    }
}

#[test]
fn lanes_are_counted_by_shape() {
    for (name, lanes) in [
        ("i8x16.extract_lane_s", 16),
        ("i16x8.replace_lane", 8),
        ("i32x4.extract_lane", 4),
        ("f64x2.replace_lane", 2),
        ("v128.load8_lane", 16),
        ("v128.store16_lane", 8),
        ("v128.load64_lane", 2),
        ("v128.store32_lane", 4),
    ] {
        let immediates = Opcode::from_name(name).expect("a row").row().immediates;
        assert!(
            immediates.iter().any(|imm| imm.kind == ImmediateKind::Lane { count: lanes }),
            "{name}"
        );
    }
}

#[test]
fn operators_and_only_they_have_semantics() {
    for row in ROWS {
        assert_eq!(row.is_operator(), row.show.is_some(), "{}", row.name);
        assert_eq!(row.operands.len(), row.operand_kinds.len(), "{}", row.name);
        assert!(
            !row.commutative || row.effect == Effect::Pure && row.operands.len() == 2,
            "{}",
            row.name
        );
    }
}
