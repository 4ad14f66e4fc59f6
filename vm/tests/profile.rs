//! Profiles say where a program is, in both tiers and in what goes back and forth between them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use brant::{Config, Engine, Limits, Module, Process, Sample, Tier, Val};

/// `work` spends its time in `hot`, which it calls directly and through a table; `deep` calls itself
/// before it does.
const TEXT: &str = r#"
(module
  (type $unary (func (param i32) (result i32)))
  (table funcref (elem $hot $deep))
  (func $work (export "work") (param $n i32) (result i32)
    (i32.add
      (call $deep (i32.const 5))
      (call_indirect (type $unary) (local.get $n) (i32.const 0))))
  (func $deep (type $unary)
    (if (result i32) (local.get 0)
      (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
      (else (call $hot (i32.const 100)))))
  (func $hot (type $unary) (local $x i32)
    (loop $again
      (local.set $x (i32.add (call $leaf (local.get $x)) (i32.const 7)))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $x))
  (func $leaf (type $unary) (i32.mul (local.get 0) (i32.const 3)))
  (func (export "idle") (result i32) (i32.const 1)))
"#;

/// Who calls whom.
const CALLS: [(&str, &str); 5] =
    [("work", "deep"), ("work", "hot"), ("deep", "deep"), ("deep", "hot"), ("hot", "leaf")];

fn process(tier: Tier) -> Process {
    let config = brant::with_compiler(Config { tier, ..Config::default() });
    let engine = Engine::new(&config).expect("a configuration");
    let module = Module::from_text(&engine, TEXT).expect("a text");
    Process::builder(&module).limits(Limits::default()).build().expect("it is linked")
}

/// Runs until there are samples enough, and looks at each of them.
fn check(tier: Tier) -> Vec<Sample> {
    let mut process = process(tier);
    let profile = process.profile(Duration::from_micros(200)).expect("a thread");
    let began = Instant::now();
    let count = |samples: &[Sample]| samples.iter().map(|sample| sample.count).sum::<u64>();
    while count(&process.samples()) < 200 {
        process.call("work", &[Val::I32(20_000)]).expect("it runs");
        assert!(began.elapsed() < Duration::from_secs(100), "{:?}", process.samples());
    }
    drop(profile);
    let samples = process.samples();
    let known: BTreeSet<(&str, &str)> = CALLS.into_iter().collect();
    for Sample { frames, .. } in &samples {
        assert_eq!(frames[0], "work", "{tier:?}: {frames:?}");
        for pair in frames.windows(2) {
            assert!(known.contains(&(&*pair[0], &*pair[1])), "{tier:?}: {frames:?}");
        }
        let depth = frames.iter().filter(|name| *name == "deep").count();
        let is_bottom = frames.iter().any(|name| name == "hot");
        assert!(depth == 0 || depth == 6 || (!is_bottom && depth < 6), "{tier:?}: {frames:?}");
    }
    let hot = samples.iter().filter(|sample| sample.frames.contains(&"hot".to_owned()));
    let hot = count(&hot.cloned().collect::<Vec<_>>());
    assert!(hot * 10 >= count(&samples) * 9, "{tier:?}: {samples:?}");
    samples
}

#[test]
fn the_interpreter_says_where_it_is() {
    check(Tier::Interp);
}

#[test]
fn compiled_code_says_where_it_is() {
    check(Tier::Jit);
}

#[test]
fn what_changes_its_tier_says_where_it_is() {
    // At first everything is interpreted, then what is hot is compiled: `work` waits in the
    // interpreter for compiled code.
    check(Tier::Auto);
}

#[test]
fn nobody_who_does_not_ask_pays_for_samples() {
    let mut process = process(Tier::Auto);
    process.call("work", &[Val::I32(100)]).expect("it runs");
    assert_eq!(process.samples(), []);
}

/// Runs the binary with a profile on a program of some 100 ms; gives its folder and number.
fn run(profile: &[&str]) -> (tempfile::TempDir, u32) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = TEXT.replace(
        "(func (export \"idle\")",
        "(func $entry (export \"_start\")
      (drop (call $work (i32.const 30000000))))
      (func (export \"idle\")",
    );
    std::fs::write(folder.path().join("work.wat"), text).expect("a file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_brant"))
        .args(["run", "--tier", "jit"])
        .args(profile)
        .arg("work.wat")
        .current_dir(folder.path())
        .env("BRANT_CACHE_DIR", folder.path().join("cache"))
        .spawn()
        .expect("brant starts");
    assert!(child.wait().expect("it is ours").success());
    (folder, child.id())
}

#[test]
fn a_flame_graph_shows_the_functions() {
    let (folder, _) = run(&["--profile", "flame=out.svg"]);
    let svg = std::fs::read_to_string(folder.path().join("out.svg")).expect("it was written");
    assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"));
    for name in ["entry (", "work (", "hot (", "work.wat"] {
        assert!(svg.contains(name), "{name} is not in the graph");
    }
}

#[test]
fn a_perf_map_has_each_function_at_its_place() {
    // The second run has its code from the cache, where perf would look it up in the file.
    let (folder, number) = run(&["--profile", "perfmap"]);
    drop(folder);
    let path = PathBuf::from(format!("/tmp/perf-{number}.map"));
    let text = std::fs::read_to_string(&path).expect("the map");
    std::fs::remove_file(&path).expect("the map");
    let mut places: Vec<(u64, u64)> = Vec::new();
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let (start, rest) = line.split_once(' ').expect("a start");
        let (len, name) = rest.split_once(' ').expect("a size");
        let number = |digits| u64::from_str_radix(digits, 16).expect("hexadecimal digits");
        places.push((number(start), number(len)));
        names.insert(name.to_owned());
    }
    for name in ["work", "deep", "hot", "leaf"] {
        assert!(names.contains(name), "{name}: {text}");
    }
    places.sort_unstable();
    assert!(places.iter().all(|&(_, len)| len > 0), "{text}");
    let is_disjoint = |pair: &[(u64, u64)]| pair[0].0 + pair[0].1 <= pair[1].0;
    assert!(places.windows(2).all(is_disjoint), "{text}");
}
