//! Rows 10 to 15: what a running module does to memory, tables, stacks and references. And the
//! half of row 24 that a command line shows, rows 37 and 38. More of them, as scripts, in `rows`.

use std::path::Path;
use std::time::{Duration, Instant};

use brant::{
    Caller, Config, Engine, Error, ExitStatus, Limits, Linker, Module, Process, Stopped, Tier, Trap,
};

use crate::child::{brant, brant_in, brant_within};

/// Runs a text as a program: exit code, and what it says.
fn run(args: &[&str], text: &str) -> (i32, String) {
    let all: Vec<&str> = [&["run"][..], args].concat();
    let ended = brant(&all, "module.wat", text.as_bytes());
    (ended.code, ended.errors)
}

/// Calls the function `main` of a library under limits: an i32, or the trap.
fn main_of(text: &str, config: &Config, limits: Limits) -> Result<i32, Trap> {
    let engine = Engine::new(config).expect("an engine");
    let module = Module::from_text(&engine, text).unwrap_or_else(|error| panic!("{error}"));
    let mut process = Process::builder(&module).limits(limits).build().expect("it is linked");
    let main = process.get_typed_func::<(), i32>("main").expect("main");
    match main.call(&mut process, ()) {
        Ok(value) => Ok(value),
        Err(Error::Trap(report)) => Err(report.code),
        Err(error) => panic!("{error}"),
    }
}

/// The ways to run: interpreted, with signals for faults and with checks; and compiled.
fn all_ways() -> [Config; 3] {
    let interpreted = Config { tier: Tier::Interp, ..Config::default() };
    let checked = Config { signal_handlers: false, ..interpreted.clone() };
    let compiled = brant::with_compiler(Config { tier: Tier::Jit, ..Config::default() });
    [interpreted, checked, compiled]
}

#[test]
fn row_10_memories_grow_to_a_limit_and_then_answer_minus_one() {
    // By one page until it is refused: the number of pages at the end.
    let text = r#"(module (memory 1) (func (export "main") (result i32)
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        memory.size))"#;
    let limits = Limits { memory_bytes: 100 << 16, ..Limits::default() };
    for config in all_ways() {
        assert_eq!(main_of(text, &config, limits.clone()), Ok(100));
    }
    let all = r#"(module (memory 0) (func (export "main") (result i32)
        (drop (memory.grow (i32.const 65535)))
        (drop (memory.grow (i32.const 65536)))
        (drop (memory.grow (i32.const -1)))
        (memory.grow (i32.const 65535))))"#;
    for config in all_ways() {
        let answer = main_of(all, &config, limits.clone());
        assert_eq!(answer, Ok(-1), "all are beyond the limit");
    }
}

#[test]
fn row_10_memory_that_the_system_does_not_give_is_minus_one() {
    // The child has 1 GiB of address space.
    let text = r#"(module (memory 0) (func (export "main") (result i32)
        (memory.grow (i32.const 65535))))"#;
    let ended = brant(&["run", "--invoke", "main"], "module.wat", text.as_bytes());
    assert_eq!((ended.code, ended.output.trim()), (0, "-1"), "{}", ended.errors);
    let (code, errors) = run(&[], r#"(module (memory 65536) (func (export "_start")))"#);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("error: "), "{errors}");
}

#[test]
fn row_10_little_address_space_is_left_to_the_guest() {
    // A compiler that finds no memory ends the host process, so that it does not begin.
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs");
    let compiled = |address_space_kib, tier| {
        let words = ["run", "--no-cache", "--stats", "--tier", tier, "bin/nbody.wasm", "1000"];
        let ended = brant_within(address_space_kib, &programs, &words);
        assert_eq!(ended.code, 0, "{tier} in {address_space_kib} KiB: {}", ended.errors);
        let line = ended.errors.lines().find_map(|line| line.strip_prefix("compiled"));
        line.map_or(0, |count| count.trim().parse().expect("a number"))
    };
    assert!(compiled(1 << 20, "jit") > 10, "there is room for a compiler");
    for address_space_kib in [256 << 10, 160 << 10, 96 << 10] {
        assert_eq!(compiled(address_space_kib, "jit"), 0);
        assert_eq!(compiled(address_space_kib, "auto"), 0);
    }
}

#[test]
fn row_10_a_hundred_memories_and_64_bits() {
    let text = format!(
        "(module {} (func (export \"_start\") (i32.store8 99 (i32.const 65535) (i32.const 1))))",
        "(memory 1 2)".repeat(100)
    );
    let (code, errors) = run(&[], &text);
    assert_eq!(code, 0, "{errors}");
    let text = r#"(module (memory i64 281474976710656) (func (export "_start")))"#;
    let (code, errors) = run(&[], text);
    assert_eq!(code, 1, "{errors}");
}

#[test]
fn row_11_tables_grow_to_a_limit_and_then_answer_minus_one() {
    let (code, errors) =
        run(&[], r#"(module (table 4294967295 funcref) (func (export "_start")))"#);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("limit of table elements"), "{errors}");
    let text = r#"(module (table $t 0 externref) (func (export "main") (result i32)
        (loop $more (br_if $more
          (i32.ne (table.grow $t (ref.null extern) (i32.const 1000)) (i32.const -1))))
        (drop (table.grow $t (ref.null extern) (i32.const -1)))
        (table.size $t)))"#;
    let limits = Limits { table_elements: 50_500, ..Limits::default() };
    assert_eq!(main_of(text, &Config::default(), limits), Ok(50_000));
}

#[test]
fn row_12_recursion_of_each_kind_ends() {
    let direct = r#"(module (func $f (export "_start") (call $f)))"#;
    let indirect = r#"(module (table funcref (elem $f)) (type $t (func))
        (func $f (export "_start") (call_indirect (type $t) (i32.const 0))))"#;
    let mutual = r#"(module (func $f (export "_start") (call $g (i64.const 1)))
        (func $g (param i64) (call $f)))"#;
    for text in [direct, indirect, mutual] {
        for stack in ["4KiB", "1MiB", "256MiB"] {
            let (code, errors) = run(&["--max-stack", stack], text);
            assert_eq!(code, 134, "{stack}: {errors}");
            assert!(errors.contains("call stack exhausted"), "{errors}");
        }
    }
    let start = r#"(module (func $f (call $f)) (start $f))"#;
    assert_eq!(run(&[], start).0, 134);
    // A tail call takes no stack: only a limit ends it.
    let tail = r#"(module (func $f (export "_start") (return_call $f)))"#;
    assert_eq!(run(&["--fuel", "10000000"], tail).0, 124);
    assert_eq!(run(&["--timeout", "50ms"], tail).0, 124);
    let tail = r#"(module (table funcref (elem $f)) (type $t (func))
        (func $f (export "_start") (return_call_indirect (type $t) (i32.const 0))))"#;
    assert_eq!(run(&["--timeout", "50ms"], tail).0, 124);
}

#[test]
fn row_12_recursion_through_the_host_ends() {
    let text = r#"(module (import "host" "again" (func $again))
        (func $f (export "f") (call $again))
        (func (export "_start") (call $f)))"#;
    let engine = Engine::default();
    let module = Module::from_text(&engine, text).expect("a module");
    let mut linker = Linker::new();
    linker.func("host", "again", |caller: &mut Caller<'_>| {
        caller.call("f", &[])?;
        Ok::<(), Error>(())
    });
    let mut process = Process::builder(&module).linker(&linker).build().expect("it is linked");
    match process.run() {
        Ok(ExitStatus::Trapped(report)) => assert_eq!(report.code, Trap::CallStackExhausted),
        Err(error) => assert!(error.to_string().contains("call stack exhausted"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_14_the_last_byte_can_be_read_and_the_next_cannot() {
    // Instruction, bytes that it reads, what it leaves on the stack.
    let loads = [
        ("i32.load8_u", 1, ""),
        ("i32.load16_u", 2, ""),
        ("i32.load", 4, ""),
        ("i64.load", 8, "i32.wrap_i64"),
        ("f32.load", 4, "i32.reinterpret_f32"),
        ("f64.load", 8, "i64.reinterpret_f64 i32.wrap_i64"),
        ("v128.load", 16, "i32x4.extract_lane 0"),
        ("v128.load8x8_u", 8, "i32x4.extract_lane 0"),
        ("v128.load64_splat", 8, "i32x4.extract_lane 0"),
        ("v128.load32_zero", 4, "i32x4.extract_lane 0"),
    ];
    for config in all_ways() {
        for (load, size, rest) in loads {
            let last: u64 = 0x1_0000 - size;
            let case = |address: u64, offset: u64| {
                let text = format!(
                    "(module (memory 1 1) (func (export \"main\") (result i32)
                       (i32.const {address}) {load} offset={offset} {rest}))",
                );
                main_of(&text, &config, Limits::default())
            };
            for (address, offset) in [(last, 0), (0, last), (last / 2, last - last / 2)] {
                assert_eq!(case(address, offset), Ok(0), "{load} {address} {offset}");
            }
            let far = u64::from(u32::MAX);
            for (address, offset) in
                [(last + 1, 0), (0, last + 1), (far, 0), (0, far), (far, far), (far, 1)]
            {
                let ended = case(address, offset);
                assert_eq!(ended, Err(Trap::OutOfBoundsMemoryAccess), "{load} {address} {offset}");
            }
        }
    }
}

#[test]
fn row_14_a_store_across_the_end_writes_nothing() {
    let text = r#"(module (memory (export "memory") 1 1)
        (func (export "main") (result i32) (local i32)
          (i64.store (i32.const 65532) (i64.const -1)) (i32.const 0)))"#;
    for config in all_ways() {
        let engine = Engine::new(&config).expect("an engine");
        let module = Module::from_text(&engine, text).expect("a module");
        let mut process = Process::builder(&module).build().expect("it is linked");
        let main = process.get_typed_func::<(), i32>("main").expect("main");
        assert!(matches!(main.call(&mut process, ()), Err(Error::Trap(_))));
        let memory = process.memory().expect("a memory");
        let end = memory.slice(65_528, 8).expect("it is inside");
        // The first half is inside of the memory, and must not be written alone.
        assert_eq!(end, [0; 8]);
    }
}

#[test]
fn row_15_references_are_null_until_they_are_set() {
    let text = r#"(module
        (table 3 funcref) (global $g (mut externref) (ref.null extern))
        (func $wide (param v128 i64 i32) (result funcref externref) (local funcref externref)
          (local.get 3) (local.get 4))
        (func (export "main") (result i32) (local funcref externref v128)
          ;; Bits on the stack where references of the next call will be.
          (drop (drop (call $wide (v128.const i64x2 -1 -1) (i64.const -1) (i32.const -1))))
          (call $wide (v128.const i64x2 -1 -1) (i64.const -1) (i32.const -1))
          ref.is_null
          (if (param funcref) (result i32) (then ref.is_null) (else drop (i32.const 0)))
          (i32.and (ref.is_null (local.get 0)))
          (i32.and (ref.is_null (local.get 1)))
          (i32.and (ref.is_null (global.get $g)))
          (i32.and (ref.is_null (table.get (i32.const 2))))
          (i32.and (i32.eqz (i32x4.extract_lane 3 (local.get 2))))))"#;
    for config in all_ways() {
        assert_eq!(main_of(text, &config, Limits::default()), Ok(1));
    }
}

#[test]
fn row_15_a_null_is_no_function() {
    let text = r#"(module (type $t (func (result i32)))
        (table 2 funcref) (elem (i32.const 0) $zero)
        (func $zero (result i32) (i32.const 7))
        (func (export "main") (result i32)
          (table.set (i32.const 0) (ref.null func))
          (call_indirect (type $t) (i32.const 0))))"#;
    let ended = main_of(text, &Config::default(), Limits::default());
    assert_eq!(ended, Err(Trap::UninitializedElement));
}

#[test]
fn row_15_code_that_cannot_be_reached_has_any_type_and_does_nothing() {
    let text = r#"(module (memory 1) (func (export "main") (result i32)
        (i32.const 1)
        (block $out (param i32) (result i32)
          (br $out)
          (i32.add (f64.eq)) (if (param i32) (result i32) (then) (else (i32.clz)))
          (memory.grow) (drop) (loop (param i32) (br 0)) (select) (i32.store (i32.const 0))
          (unreachable) (call_indirect (param i64) (result i32)))
        (block (result i32 i32) (i32.const 2) (i32.const 3) (br 0) (unreachable))
        drop i32.add))"#;
    let text = text.replace("(memory 1)", "(memory 1) (table 1 funcref)");
    for config in all_ways() {
        assert_eq!(main_of(&text, &config, Limits::default()), Ok(3));
    }
}

#[test]
fn row_37_idle_processes_are_all_written_down_and_go_on() {
    // A slice of the 10,000: all stand in the midst of a loop at the same time.
    const COUNT: u64 = 300;
    let text = r#"(module (memory (export "memory") 1) (func (export "_start") (local i32)
        (loop $l (i32.store (i32.const 0) (local.tee 0 (i32.add (local.get 0) (i32.const 1))))
          (br_if $l (i32.lt_u (local.get 0) (i32.const 1000))))))"#;
    let engine = Engine::new(&all_ways()[2]).expect("an engine");
    let module = Module::from_text(&engine, text).expect("a module");
    let mut idle: Vec<Process> = (1..=COUNT)
        .map(|sites| {
            let mut process = Process::builder(&module).build().expect("it is linked");
            process.stop_after_sites(sites);
            assert!(matches!(process.run(), Ok(ExitStatus::Stopped(Stopped::AtSite))));
            process
        })
        .collect();
    let snapshots: Vec<_> =
        idle.iter_mut().map(|process| process.checkpoint().expect("a snapshot")).collect();
    drop(idle);
    for snapshot in snapshots {
        let restored = Process::restore_with(&engine, &snapshot, std::slice::from_ref(&module));
        let mut process = restored.and_then(|builder| builder.build()).expect("a process");
        assert!(matches!(process.run(), Ok(ExitStatus::Exited(0))));
        let memory = process.memory().expect("a memory");
        assert_eq!(memory.read_u32(0).expect("it is inside"), 1000);
    }
}

#[test]
fn no_page_is_writable_and_executable_at_once() {
    let text = r#"(module (func (export "main") (result i32) (i32.const 1)))"#;
    let compiled = all_ways()[2].clone();
    let engine = Engine::new(&compiled).expect("an engine");
    let module = Module::from_text(&engine, text).expect("a module");
    let mut process = Process::builder(&module).build().expect("it is linked");
    let main = process.get_typed_func::<(), i32>("main").expect("main");
    assert_eq!(main.call(&mut process, ()).expect("it runs"), 1);
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the system tells");
    let both = |line: &&str| line.split(' ').nth(1).is_some_and(|rights| rights.contains("wx"));
    assert_eq!(maps.lines().find(both), None);
    // The code that was just run is somewhere outside of every file.
    let executable = |line: &str| line.contains("-xp") || line.contains("-xs");
    assert!(maps.lines().any(|line| executable(line) && !line.contains(".so")));
}

#[test]
fn row_38_whatever_runs_on_and_on_is_stopped() {
    let wait = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff"
          (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
          ;; One subscription to the monotonic clock, an hour from now.
          (i32.store (i32.const 16) (i32.const 1))
          (i64.store (i32.const 24) (i64.const 3600000000000))
          (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#;
    let cases = [
        ("a loop", r#"(module (func (export "_start") (loop (br 0))))"#),
        ("a start function", r#"(module (func $f (loop (br 0))) (start $f))"#),
        (
            "fills",
            r#"(module (memory 4096) (func (export "_start")
                (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x10000000)) (br 0))))"#,
        ),
        (
            "copies",
            r#"(module (memory 4096) (func (export "_start") (loop
                (memory.copy (i32.const 1) (i32.const 0) (i32.const 0xfffffff)) (br 0))))"#,
        ),
        ("a wait", wait),
    ];
    for (what, text) in cases {
        let engine = Engine::default();
        let module = Module::from_text(&engine, text).unwrap_or_else(|error| panic!("{error}"));
        let time = Duration::from_millis(50);
        let limits = Limits { time: Some(time), ..Limits::default() };
        let mut process = Process::builder(&module).limits(limits).build().expect("it is linked");
        // Twice: what was stopped can go on, and be stopped again.
        for _ in 0..2 {
            let started = Instant::now();
            let is_program = module.exports().any(|export| export.name == "_start");
            let ended = if is_program { process.run() } else { process.prepare() };
            assert!(
                matches!(ended, Ok(ExitStatus::Stopped(Stopped::OutOfTime))),
                "{what}: {ended:?}"
            );
            // 10 ms on a machine that has nothing else to do.
            assert!(started.elapsed() < time + Duration::from_secs(1), "{what}");
        }
    }
    for text in [cases[0].1, cases[1].1] {
        assert_eq!(run(&["--fuel", "1000000"], text).0, 124);
    }
}

#[test]
fn row_24_the_current_directory_is_not_granted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("notes.txt"), "secret").expect("a file");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/bin/words.wasm");
    let program = program.to_str().expect("a path in UTF-8");
    for path in ["notes.txt", "./notes.txt", "/proc/self/cwd/notes.txt", "/etc/hostname"] {
        let ended = brant_in(folder.path(), &["run", program, path]);
        assert_eq!((ended.code, ended.output.as_str()), (1, ""), "{path}: {}", ended.errors);
    }
}
