//! Rows 1 to 9: bytes and text that are no module, or an enormous one.

use brant::{Engine, Module, Validation};
use brant_programs::PROGRAMS;

use crate::child::brant;
use crate::encode::{list, module, number, program, section};

/// The largest count that five bytes can hold.
const MOST: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];

#[test]
fn row_1_every_truncation_of_a_module_gets_an_answer() {
    let engine = Engine::default();
    for program in PROGRAMS {
        let bytes = program.module().expect("programs of the tree are right");
        // All of them where the module is small; the others at places without a pattern.
        let step = 1 + bytes.len() / 500;
        for length in (0..bytes.len()).step_by(step) {
            let eager = Module::new(&engine, bytes[..length].to_vec()).is_ok();
            let lazy = Module::with_validation(&engine, bytes[..length].to_vec(), Validation::Lazy);
            assert!(!eager || lazy.is_ok(), "{} cut at {length}", program.name);
            let announced = sections_end(&bytes[..length]);
            assert!(!eager || announced == length, "{} cut at {length}", program.name);
        }
        assert!(Module::new(&engine, bytes).is_ok(), "{}", program.name);
    }
}

#[test]
fn row_2_changed_bytes_get_the_verdict_of_an_independent_engine() {
    // The long run against V8 stands in `docs/TESTING.md`; here every program is changed a few times.
    let engine = Engine::default();
    let theirs = wasmi::Engine::default();
    let mut random = 1u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % below
    };
    let mut valid = 0;
    for program in PROGRAMS {
        let bytes = program.module().expect("programs of the tree are right");
        if wasmi::Module::validate(&theirs, &bytes).is_err() {
            // It uses what the other engine does not know.
            continue;
        }
        for _ in 0..40_000_000usize.div_ceil(bytes.len()).min(60) {
            let mut changed = bytes.clone();
            changed[next(bytes.len())] = next(256) as u8;
            let is_valid = wasmi::Module::validate(&theirs, &changed).is_ok();
            valid += usize::from(is_valid);
            let ours = Module::new(&engine, changed);
            assert!(ours.is_ok() || !is_valid, "{}: {:?}", program.name, ours.err());
        }
    }
    assert!(valid > 50, "{valid} of the changed modules were valid");
}

/// Where the last section that has begun says that it ends; beyond the end for half a header.
fn sections_end(bytes: &[u8]) -> usize {
    let mut at = 8;
    while at < bytes.len() {
        let (mut length, mut shift) = (0, 0);
        at += 1;
        loop {
            let Some(&byte) = bytes.get(at) else { return usize::MAX };
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at += length;
    }
    at
}

#[test]
fn row_3_counts_of_four_billion_are_errors() {
    let mut cases = Vec::new();
    for id in 1..=12 {
        cases.push((format!("section {id}"), module(&[section(id, &MOST)])));
        let padded = [&MOST[..], &[0; 64]].concat();
        cases.push((format!("section {id} with bytes"), module(&[section(id, &padded)])));
    }
    let params = [&[1, 0x60][..], &MOST, &[0x7f, 0]].concat();
    cases.push(("parameters".to_owned(), module(&[section(1, &params)])));
    let results = [&[1, 0x60, 0][..], &MOST, &[0x7f]].concat();
    cases.push(("results".to_owned(), module(&[section(1, &results)])));
    let locals = [&[1][..], &MOST, &[0x7f]].concat();
    cases.push(("locals".to_owned(), program(&locals)));
    let groups = [&MOST[..], &[1, 0x7f]].concat();
    cases.push(("groups of locals".to_owned(), program(&groups)));
    let elements = [&[1, 0, 0x41, 0, 0x0b][..], &MOST, &[0]].concat();
    cases.push(("elements".to_owned(), module(&[section(9, &elements)])));
    let data = [&[1, 1][..], &MOST, &[0]].concat();
    cases.push(("data".to_owned(), module(&[section(11, &data)])));
    let mut long = b"\0asm\x01\0\0\0\x01".to_vec();
    long.extend_from_slice(&MOST);
    cases.push(("length of a section".to_owned(), long));
    let import = [&[1][..], &MOST, b"name"].concat();
    cases.push(("length of a name".to_owned(), module(&[section(2, &import)])));
    for (what, bytes) in cases {
        for verb in ["check", "run", "dis", "inspect"] {
            let ended = brant(&[verb], "module.wasm", &bytes);
            let refused = ended.code == 1 && ended.errors.contains("error");
            // A disassembler may show what it can of a section without entries.
            assert!(
                refused || verb == "dis" || verb == "inspect",
                "{verb}: {what}: {}",
                ended.code
            );
        }
    }
}

#[test]
fn row_3_counts_in_names_are_no_reason_to_refuse_a_program() {
    for subsection in 0..=9 {
        let inner = [&[subsection][..], &number(5), &MOST].concat();
        let name = [&[4][..], b"name", &inner].concat();
        let mut bytes = program(&[0]);
        bytes.extend(section(0, &name));
        let ended = brant(&["run"], "module.wasm", &bytes);
        assert_eq!(ended.code, 0, "subsection {subsection}: {}", ended.errors);
    }
}

#[test]
fn row_4_a_branch_table_claims_more_than_there_is() {
    let claimed =
        [&[0, 0x02, 0x40, 0x41, 0, 0x0e][..], &[0xfc, 0xff, 0xff, 0xff, 0x0f], &[0, 0, 0x0b]];
    let ended = brant(&["run"], "module.wasm", &program(&claimed.concat()));
    assert_eq!(ended.code, 1, "{}", ended.errors);
}

#[test]
fn row_4_a_branch_table_of_a_million_targets_is_refused_or_runs() {
    for (count, last_index) in [(1_000_000u32, 999_999u32), (60_000, 59_999)] {
        let mut body = vec![0, 0x02, 0x40, 0x41];
        body.extend(signed(last_index as i32));
        body.push(0x0e);
        body.extend(number(count));
        body.extend(std::iter::repeat_n(0, count as usize));
        body.extend([0, 0x0b]);
        let ended = brant(&["run"], "module.wasm", &program(&body));
        assert!([0, 1].contains(&ended.code), "{count}: {} {}", ended.code, ended.errors);
    }
}

/// A signed number in as few bytes as it needs.
fn signed(mut value: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && low & 0x40 == 0) || (value == -1 && low & 0x40 != 0) {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[test]
fn row_5_fifty_thousand_locals_are_taken_and_one_more_is_not() {
    for (count, code) in [(50_000, 0), (50_001, 1)] {
        let body = [&[1][..], &number(count), &[0x7f]].concat();
        let ended = brant(&["run"], "module.wasm", &program(&body));
        assert_eq!(ended.code, code, "{count}: {}", ended.errors);
    }
}

#[test]
fn row_5_recursive_frames_of_vectors_end_the_stack() {
    let body = [&[1][..], &number(50_000), &[0x7b, 0x10, 0]].concat();
    let ended = brant(&["run", "--max-stack", "64MiB"], "module.wasm", &program(&body));
    assert_eq!(ended.code, 134, "{}", ended.errors);
    assert!(ended.errors.contains("call stack exhausted"), "{}", ended.errors);
}

#[test]
fn row_6_a_million_nested_blocks_run_without_native_recursion() {
    let n = 1_000_000;
    let body = [vec![0], [0x02, 0x40].repeat(n), vec![0x0b; n]].concat();
    for verb in ["check", "run"] {
        let ended = brant(&[verb], "module.wasm", &program(&body));
        assert_eq!(ended.code, 0, "{verb}: {}", ended.errors);
    }
}

#[test]
fn row_6_a_hundred_thousand_nested_ifs_run_without_native_recursion() {
    let n = 100_000;
    let body = [vec![0], [0x41, 1, 0x04, 0x40].repeat(n), vec![0x0b; n]].concat();
    let ended = brant(&["run"], "module.wasm", &program(&body));
    assert_eq!(ended.code, 0, "{}", ended.errors);
    let folded = format!(
        "(module (func (export \"_start\") {} {}))",
        "(if (i32.const 1) (then ".repeat(n),
        "))".repeat(n)
    );
    let ended = brant(&["run"], "module.wat", folded.as_bytes());
    assert_eq!(ended.code, 0, "{}", ended.errors);
}

#[test]
fn row_8_a_million_of_a_kind_is_refused_or_taken() {
    let n = 1_000_000u32;
    let types = list(n, &[0x60, 0, 0].repeat(n as usize));
    let functions = list(n, &vec![0; n as usize]);
    let bodies = list(n, &[2, 0, 0x0b].repeat(n as usize));
    let exports: Vec<u8> = (0..n)
        .flat_map(|index| {
            let name = format!("{index:07}");
            [&[7][..], name.as_bytes(), &[0, 0]].concat()
        })
        .collect();
    let one_type = section(1, &[1, 0x60, 0, 0]);
    let cases = [
        ("types", module(&[section(1, &types)])),
        ("functions", module(&[one_type.clone(), section(3, &functions), section(10, &bodies)])),
        (
            "exports",
            module(&[
                one_type,
                section(3, &[1, 0]),
                section(7, &list(n, &exports)),
                section(10, &[1, 2, 0, 0x0b]),
            ]),
        ),
    ];
    for (what, bytes) in cases {
        let ended = brant(&["check"], "module.wasm", &bytes);
        assert!([0, 1].contains(&ended.code), "{what}: {}", ended.code);
        let ended = brant(&["run"], "module.wasm", &bytes);
        assert_eq!(ended.code, 1, "{what} is no program");
    }
}

#[test]
fn row_8_names_cannot_act_on_a_terminal() {
    let mut bytes = program(&[0, 0x00]);
    let name = "\u{1b}[2J\u{7}\u{9b}31m\u{202e}".repeat(600_000);
    let naming = [&[1, 0][..], &number(name.len() as u32), name.as_bytes()].concat();
    let functions = [&[1][..], &number(naming.len() as u32), &naming].concat();
    bytes.extend(section(0, &[&[4][..], b"name", &functions].concat()));
    for verb in ["run", "inspect", "dis"] {
        let ended = brant(&[verb], "module.wasm", &bytes);
        let shown = if verb == "dis" { &ended.errors } else { &(ended.output + &ended.errors) };
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{9b}']), "{verb}");
        assert_eq!(ended.code, if verb == "run" { 134 } else { 0 }, "{verb}");
    }
}

#[test]
fn row_9_texts_that_are_none_are_errors_with_a_place() {
    let cases: [(&str, Vec<u8>); 4] = [
        ("comments", b"(;".repeat(5_000_000)),
        ("identifier", [b"(module (func $", &b"x".repeat(10_000_000)[..], b" nop"].concat()),
        ("NUL", b"(module\n  \0)".to_vec()),
        ("UTF-8", b"(module\n  (func $\xff))".to_vec()),
    ];
    for (what, text) in cases {
        let ended = brant(&["run"], "module.wat", &text);
        assert_eq!(ended.code, 1, "{what}");
        assert!(ended.errors.contains("module.wat:"), "{what}: {:.300}", ended.errors);
        assert!(ended.errors.len() < 10_000, "{what}: {} bytes", ended.errors.len());
    }
}

/// Bodies that cost a compiler far more than their size says, and whether it has to refuse them. Each
/// has a number as its parameter.
fn exploding() -> Vec<(&'static str, bool, Vec<u8>)> {
    let number = |value: usize| number(value as u32);
    let get = |local| [vec![0x20], number(local)].concat();
    // Each block may be where a value of each local comes together with another.
    let locals = [&[1][..], &number(49_000), &[0x7f]].concat();
    let merges = (0..4_000).flat_map(|i| {
        let set = [vec![0x41, 1, 0x21], number(i), vec![0x0b]].concat();
        [get(i * 7), vec![0x04, 0x40], set].concat()
    });
    // Loops in loops, with a call inside: what is live in all of them is kept there.
    let many = 3_000;
    let deep = [
        [&[1][..], &number(2_000), &[0x7e]].concat(),
        [0x03, 0x40].repeat(many),
        vec![0x41, 0, 0x04, 0x40, 0x10, 0, 0x0b],
        vec![0x0b; many],
        (0..2_000).flat_map(|i| [get(i), vec![0x1a]].concat()).collect(),
    ];
    // A megabyte without a branch.
    let long = [vec![0], [0x20, 0, 0x41, 3, 0x6a, 0x21, 0].repeat(150_000)].concat();
    // Tables of branches that all go to the same place.
    let targets = [number(2_000), vec![0; 2_000], vec![0]].concat();
    let table = [vec![0x02, 0x40, 0x41, 0, 0x0e], targets, vec![0x0b]].concat();
    vec![
        ("merges", true, locals.into_iter().chain(merges).collect()),
        ("deep loops", true, deep.concat()),
        ("long", true, long),
        ("tables", false, [vec![0], table.repeat(200)].concat()),
        ("nested", true, [vec![0], [0x02, 0x40].repeat(300_000), vec![0x0b; 300_000]].concat()),
    ]
}

/// A program whose one function has this body, behind a loop that makes it hot.
fn heated(body: &[u8]) -> Vec<u8> {
    let start = [&[0, 0x41][..], &signed(20_000_000), &[0x10, 1]].concat();
    // The locals stand first: no group, or one.
    let count_bytes = body[1..].iter().take_while(|&&byte| byte >= 0x80).count() + 1;
    let (locals, code) = body.split_at(if body[0] == 0 { 1 } else { 2 + count_bytes });
    // do { local 0 -= 1 } while (local 0 != 0)
    let heat = [0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b];
    let function = [locals, &heat, code].concat();
    let sized = |body: &[u8]| [number(body.len() as u32 + 1), body.to_vec(), vec![0x0b]].concat();
    module(&[
        section(1, &[2, 0x60, 0, 0, 0x60, 1, 0x7f, 0]),
        section(3, &[2, 0, 1]),
        section(7, b"\x01\x06_start\0\0"),
        section(10, &list(2, &[sized(&start), sized(&function)].concat())),
    ])
}

#[test]
fn row_7_bodies_that_explode_in_a_compiler_run_in_every_tier() {
    for (name, is_refused, body) in exploding() {
        let module = heated(&body);
        for tier in ["interp", "auto", "jit"] {
            let args = ["run", "--stats", "--format", "json", "--tier", tier];
            let ended = brant(&args, "module.wasm", &module);
            assert_eq!(ended.code, 0, "{name} in {tier}: {}", ended.errors);
            let stats = ended.errors.lines().last().expect("statistics");
            let stats: serde_json::Value = serde_json::from_str(stats).expect("JSON");
            let figure = |key: &str| stats[key].as_u64().expect("a number");
            // The guest has no memory: all of it is ours.
            assert!(figure("peak_bytes") < 300 << 20, "{name} in {tier}: {stats}");
            if tier == "jit" {
                // The start, and the function unless it costs too much.
                let compiled = stats["compiler"]["compiled"].as_u64();
                assert_eq!(compiled, Some(2 - u64::from(is_refused)), "{name}: {stats}");
            }
        }
    }
}
