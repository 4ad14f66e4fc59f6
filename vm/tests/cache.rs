//! The code cache: found again, and as good as absent when it is damaged, foreign, or not private.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use brant::mobility::Contents;
use brant::{CodeCache, CodeCounts, Config, Engine, Error, Module, Process, Stopped, Tier, Val};
use brant_engine::compile::{CompileError, Compiler, NativeFunction, Request};
use tempfile::TempDir;

/// Every kind of row that compiled code has: traps, calls, operations, loops, constants in records.
const TEXT: &str = r#"
(module
  (memory (export "memory") 1)
  (table funcref (elem $square $cube))
  (type $unary (func (param i32) (result i32)))
  (func $square (type $unary) (i32.mul (local.get 0) (local.get 0)))
  (func $cube (type $unary) (i32.mul (call $square (local.get 0)) (local.get 0)))
  (func $sum (param $n i32) (result i32) (local $total i32) (local $wide f64)
    (local.set $wide (f64.const 1.5))
    (loop $again
      (local.set $total (i32.add (local.get $total)
        (call_indirect (type $unary) (local.get $n) (i32.and (local.get $n) (i32.const 1)))))
      (memory.fill (i32.const 64) (local.get $n) (i32.const 8))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (local.get $total) (i32.trunc_f64_s (local.get $wide))))
  (func (export "run") (param $n i32) (result i32)
    (i32.add (call $sum (local.get $n)) (i32.load (i32.const 64))))
  (func $divide (param i32) (result i32) (i32.div_s (i32.const 7) (local.get 0)))
  (func (export "fail") (param i32) (result i32) (i32.add (call $divide (local.get 0)) (i32.const 1))))
"#;

fn cache(path: &Path) -> CodeCache {
    CodeCache::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn engine_with(tier: Tier, cache: CodeCache) -> Engine {
    let config = Config { tier, code_store: Some(Arc::new(cache)), ..Config::default() };
    Engine::new(&brant::with_compiler(config)).expect("a configuration")
}

fn engine(tier: Tier, path: &Path) -> Engine {
    engine_with(tier, cache(path))
}

fn bytes() -> Vec<u8> {
    Module::from_text(&Engine::default(), TEXT).expect("a text").bytes().to_vec()
}

/// Runs the module, its failing export too; gives what came, and what became of its functions.
fn run(engine: &Engine) -> (Vec<String>, CodeCounts) {
    let module = Module::new(engine, bytes()).expect("a module");
    let mut process = Process::builder(&module).build().expect("it is linked");
    let mut seen = Vec::new();
    for n in [1, 100] {
        seen.push(format!("{:?}", process.call("run", &[Val::I32(n)])));
    }
    match process.call("fail", &[Val::I32(0)]) {
        Err(Error::Trap(report)) => seen.push(report.to_string()),
        other => seen.push(format!("{other:?}")),
    }
    (seen, engine.code_counts())
}

/// What the interpreter says.
fn expected() -> Vec<String> {
    let config = Config { tier: Tier::Interp, ..Config::default() };
    run(&Engine::new(&config).expect("a configuration")).0
}

/// A folder in which the cache will be, and the cache's path.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("deep/brant");
    (folder, path)
}

/// The files with code, by name.
fn code_files(path: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(path).expect("the cache").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "code")).collect();
    files.sort();
    files
}

fn code_file(path: &Path) -> PathBuf {
    let files = code_files(path);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn a_second_run_compiles_nothing() {
    let (_folder, path) = place();
    let (seen, first) = run(&engine(Tier::Jit, &path));
    assert_eq!(seen, expected());
    assert!(first.compiled >= 6 && first.stored == 0, "{first:?}");
    for _ in 0..2 {
        let (seen, second) = run(&engine(Tier::Jit, &path));
        assert_eq!(seen, expected());
        assert_eq!(second.compiled, 0, "{second:?}");
        assert!(second.stored >= 6 && second.code_bytes > 0, "{second:?}");
    }
}

#[test]
fn what_was_compiled_ahead_is_all_that_a_run_needs() {
    let (_folder, path) = place();
    let ahead = engine(Tier::Auto, &path);
    let module = Module::new(&ahead, bytes()).expect("a module");
    let made = module.compile_ahead(&|done, all| assert!(done <= all)).expect("a compiler");
    assert_eq!((made.functions, made.found), (6, 0));
    assert_eq!(ahead.code_counts().compiled, 6);
    assert_eq!(made.refused(&ahead.code_counts()), 0);
    let kept = cache(&path).list().expect("a list").remove(0);
    assert_eq!((kept.survey.functions, kept.survey.damaged), (6, 0));
    assert!(kept.survey.traps >= 4 && kept.survey.calls >= 6 && kept.survey.slots >= 2, "{kept:?}");
    assert_eq!(kept.survey.valid_bytes, kept.len_bytes);
    assert_eq!(kept.module, module.hash());
    let again = Module::new(&engine(Tier::Auto, &path), bytes()).expect("a module");
    assert_eq!(again.compile_ahead(&|_, _| ()).expect("a compiler").found, 6);
    let (seen, counts) = run(&engine(Tier::Jit, &path));
    assert_eq!(seen, expected());
    assert_eq!(counts.compiled, 0, "{counts:?}");
}

#[test]
fn a_stop_in_stored_code_gives_the_frames_of_code_made_just_now() {
    let (_folder, path) = place();
    let stopped = |tier: Tier, is_stored: bool, site: u64| {
        let store: Arc<CodeCache> = Arc::new(cache(&path));
        let stops = brant_engine::compile::Stops::Every;
        let config = Config { tier, stops, ..Config::default() };
        let config = Config { code_store: is_stored.then_some(store as _), ..config };
        let engine = Engine::new(&brant::with_compiler(config)).expect("a configuration");
        let module = Module::new(&engine, bytes()).expect("a module");
        let mut process = Process::builder(&module).build().expect("it is linked");
        process.stop_after_sites(site);
        match process.call("run", &[Val::I32(50)]) {
            Err(Error::Stopped(Stopped::AtSite)) => {}
            other => panic!("{tier:?} at site {site}: {other:?}"),
        }
        let snapshot = process.checkpoint_as(Contents::Plain).expect("it stands at a site");
        let end = format!("{:?}", process.resume_call());
        (snapshot.execution, end, engine.code_counts())
    };
    for site in [1, 2, 3, 4, 5, 20, 77, 101] {
        // The way on from this site may need code that no run before has needed.
        stopped(Tier::Jit, true, site);
        let (execution, end, counts) = stopped(Tier::Jit, true, site);
        assert!(counts.compiled == 0 && counts.stored > 0, "site {site}: {counts:?}");
        let (expected, expected_end, _) = stopped(Tier::Jit, false, site);
        assert_eq!(execution, expected, "site {site}");
        assert_eq!(end, expected_end, "site {site}");
    }
}

#[test]
fn hot_functions_of_a_run_are_found_by_the_next() {
    let (_folder, path) = place();
    let hot = |engine: &Engine| {
        let module = Module::new(engine, bytes()).expect("a module");
        let mut process = Process::builder(&module).build().expect("it is linked");
        let began = std::time::Instant::now();
        // Until something of it is compiled or found, and used.
        loop {
            process.call("run", &[Val::I32(2000)]).expect("it runs");
            let counts = engine.code_counts();
            let enough = counts.compiled + counts.stored >= 2;
            if enough || began.elapsed() > Duration::from_secs(60) {
                return counts;
            }
        }
    };
    let first = hot(&engine(Tier::Auto, &path));
    assert!(first.compiled >= 2, "{first:?}");
    // The compiling thread adds to the file when it has said that it is done.
    let began = std::time::Instant::now();
    while code_files(&path).is_empty() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = hot(&engine(Tier::Auto, &path));
    assert!(second.stored >= 1, "{second:?}");
}

#[test]
fn every_damage_is_noticed_and_repaired() {
    let (_folder, path) = place();
    run(&engine(Tier::Jit, &path));
    let file = code_file(&path);
    let good = fs::read(&file).expect("the file");
    let expected = expected();
    // Each byte of the header, of the batch's head and of the rows; of the code every some.
    let rows_end = 96 + 32 + 6 * 32;
    let step = (good.len() - rows_end) / 100 + 1;
    let damaged_at = |at: usize| {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        fs::write(&file, &damaged).expect("the file");
        cache(&path).list().expect("a list").first().map(|kept| kept.survey)
    };
    assert_eq!(damaged_at(20), None, "the header");
    assert_eq!(damaged_at(100).map(|it| (it.functions, it.damaged)), Some((0, 0)), "the batch");
    assert_eq!(damaged_at(rows_end + 40).map(|it| (it.functions, it.damaged)), Some((5, 1)));
    let mut recompiled = 0;
    for at in (0..rows_end).chain((rows_end..good.len()).step_by(step)) {
        let mut damaged = good.clone();
        damaged[at] ^= 0x55;
        fs::write(&file, &damaged).expect("the file");
        let (seen, counts) = run(&engine(Tier::Jit, &path));
        assert_eq!(seen, expected, "damage at {at}");
        recompiled += usize::from(counts.compiled > 0);
        let is_gap = counts.compiled == 0;
        assert!(!is_gap || at >= rows_end, "damage at {at} was not noticed");
        // What was made anew is in the file, behind or instead of what was damaged.
        let (seen, counts) = run(&engine(Tier::Jit, &path));
        assert_eq!(seen, expected, "damage at {at}, repaired");
        assert_eq!(counts.compiled, 0, "damage at {at} was not repaired");
    }
    assert!(recompiled > rows_end, "{recompiled}");
}

#[test]
fn a_file_that_was_cut_is_used_as_far_as_it_goes() {
    let (_folder, path) = place();
    run(&engine(Tier::Jit, &path));
    let file = code_file(&path);
    let good = fs::read(&file).expect("the file");
    for len in (0..good.len()).step_by(good.len() / 60 + 1) {
        fs::write(&file, &good[..len]).expect("the file");
        let (seen, counts) = run(&engine(Tier::Jit, &path));
        assert_eq!(seen, expected(), "cut to {len}");
        assert!(counts.compiled > 0, "cut to {len}");
        assert_eq!(run(&engine(Tier::Jit, &path)).1.compiled, 0, "cut to {len}");
    }
    // What a writer left that was killed in the middle, and what nobody has written.
    for rest in [&good[96..150], &[0; 4096], &[0xff; 33]] {
        fs::write(&file, [&good[..], rest].concat()).expect("the file");
        assert_eq!(run(&engine(Tier::Jit, &path)).1.compiled, 0);
    }
}

/// The compiler of this build under another fingerprint.
#[derive(Debug)]
struct Foreign(Arc<dyn Compiler>);

impl Compiler for Foreign {
    fn compile(&self, request: &Request<'_>) -> Result<NativeFunction, CompileError> {
        self.0.compile(request)
    }

    fn fingerprint(&self) -> [u8; 32] {
        [9; 32]
    }
}

#[test]
fn code_of_another_compiler_or_for_other_rules_is_not_used() {
    let (_folder, path) = place();
    run(&engine(Tier::Jit, &path));
    let own = brant::with_compiler(Config::default()).compiler.expect("a compiler");
    let config =
        |config| Config { tier: Tier::Jit, code_store: Some(Arc::new(cache(&path))), ..config };
    let others = [
        Config { compiler: Some(Arc::new(Foreign(own))), ..config(Config::default()) },
        brant::with_compiler(config(Config { fuel: true, ..Config::default() })),
        brant::with_compiler(config(Config { deterministic: true, ..Config::default() })),
    ];
    for (i, config) in others.into_iter().enumerate() {
        let engine = Engine::new(&config).expect("a configuration");
        let module = Module::new(&engine, bytes()).expect("a module");
        let limits = brant::Limits { fuel: config.fuel.then_some(1 << 20), ..Default::default() };
        let mut process = Process::builder(&module).limits(limits).build().expect("it is linked");
        process.call("run", &[Val::I32(3)]).expect("it runs");
        let counts = engine.code_counts();
        assert!(counts.stored == 0 && counts.compiled >= 6, "{i}: {counts:?}");
    }
    let files = code_files(&path);
    assert_eq!(files.len(), 4);
    // Under the name of another file none is taken.
    let contents: Vec<Vec<u8>> =
        files.iter().map(|file| fs::read(file).expect("the file")).collect();
    for i in 0..files.len() {
        fs::write(&files[i], &contents[(i + 1) % files.len()]).expect("the file");
    }
    let (seen, counts) = run(&engine(Tier::Jit, &path));
    assert_eq!(seen, expected());
    assert!(counts.stored == 0 && counts.compiled >= 6, "{counts:?}");
}

#[test]
fn several_writers_lose_nothing() {
    let (_folder, path) = place();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let (seen, _) = run(&engine(Tier::Jit, &path));
                assert_eq!(seen, expected());
            });
        }
    });
    let (seen, counts) = run(&engine(Tier::Jit, &path));
    assert_eq!(seen, expected());
    assert_eq!(counts.compiled, 0, "{counts:?}");
    let left: Vec<_> = fs::read_dir(&path).expect("the cache").collect();
    assert_eq!(left.len(), 1, "nothing unfinished is left: {left:?}");
}

#[test]
fn a_writer_that_is_stuck_stops_nobody() {
    let (_folder, path) = place();
    run(&engine(Tier::Jit, &path));
    let file = code_file(&path);
    OpenOptions::new().write(true).open(&file).expect("the file").set_len(100).expect("it is cut");
    let held = fs::File::open(&file).expect("the file");
    held.lock().expect("a lock");
    let (seen, counts) = run(&engine(Tier::Jit, &path));
    assert_eq!(seen, expected());
    assert!(counts.compiled >= 6, "{counts:?}");
    drop(held);
    run(&engine(Tier::Jit, &path));
    assert_eq!(run(&engine(Tier::Jit, &path)).1.compiled, 0);
}

#[test]
fn the_size_is_bounded_and_the_oldest_use_goes_first() {
    let (_folder, path) = place();
    run(&engine(Tier::Jit, &path));
    let first = code_file(&path);
    let len = fs::metadata(&first).expect("the file").len();
    let age = |file: &Path, seconds| {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        OpenOptions::new()
            .write(true)
            .open(file)
            .expect("the file")
            .set_modified(then)
            .expect("a time");
    };
    // Files with the names that the cache gives, of which none is used by anybody.
    let other = |i: usize| path.join(format!("{i:064x}.code"));
    for i in 0..10 {
        fs::write(other(i), vec![0; len as usize]).expect("a file");
        fs::set_permissions(other(i), Permissions::from_mode(0o600)).expect("a mode");
        age(&other(i), 10_000 + i as u64);
    }
    age(&first, 100_000);
    // The oldest of all is used, and so is not the oldest any more.
    assert_eq!(run(&engine_with(Tier::Jit, cache(&path).with_limit(5 * len))).1.compiled, 0);
    // A new one makes the others go.
    let config = Config { fuel: true, tier: Tier::Jit, ..Config::default() };
    let store = Arc::new(cache(&path).with_limit(6 * len));
    let config = brant::with_compiler(Config { code_store: Some(store), ..config });
    let engine = Engine::new(&config).expect("a configuration");
    let module = Module::new(&engine, bytes()).expect("a module");
    Process::builder(&module).build().expect("it is linked");
    let total: u64 =
        code_files(&path).iter().map(|file| fs::metadata(file).expect("the file").len()).sum();
    assert!(total <= 6 * len, "{total} of {}", 6 * len);
    assert!(total >= 3 * len, "{total} of {}", 6 * len);
    assert!(first.exists(), "it was used just now");
    assert!(other(0).exists() && !other(9).exists(), "the oldest went first");
}

#[test]
fn a_cache_that_cannot_be_written_is_no_hindrance() {
    let (_folder, path) = place();
    let read_only = cache(&path);
    // A directory that is gone takes no file, whoever asks.
    fs::remove_dir(&path).expect("it is empty");
    let (seen, counts) = run(&engine_with(Tier::Jit, read_only));
    assert_eq!(seen, expected());
    assert!(counts.compiled >= 6, "{counts:?}");
    run(&engine(Tier::Jit, &path));
    fs::set_permissions(&path, Permissions::from_mode(0o500)).expect("a mode");
    let (seen, counts) = run(&engine(Tier::Jit, &path));
    assert_eq!(seen, expected());
    assert_eq!(counts.compiled, 0, "what is there is used: {counts:?}");
    fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("a mode");
}

#[test]
fn only_a_directory_of_the_user_alone_is_a_cache() {
    let (folder, path) = place();
    cache(&path);
    for made in [path.as_path(), path.parent().expect("a folder")] {
        assert_eq!(fs::metadata(made).expect("it was made").mode() & 0o777, 0o700, "{made:?}");
    }
    let refused = |path: &Path| CodeCache::open(path).expect_err("not private").to_string();
    for mode in [0o701, 0o710, 0o770, 0o755, 0o777] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        assert!(refused(&path).contains("not a directory of this user alone"), "{mode:o}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("a mode");
    // Nor one that belongs to somebody else, where the test may make one.
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
        assert!(refused(&path).contains("not a directory of this user alone"));
        std::os::unix::fs::chown(&path, Some(0), None).expect("it was allowed before");
    }
    let link = folder.path().join("link");
    symlink(&path, &link).expect("a link");
    CodeCache::open(&link).expect_err("a link leads anywhere");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    CodeCache::open(&file).expect_err("no directory");
}

#[test]
fn only_files_of_the_user_alone_are_read() {
    let (folder, path) = place();
    run(&engine(Tier::Jit, &path));
    let file = code_file(&path);
    assert_eq!(fs::metadata(&file).expect("the file").mode() & 0o777, 0o600);
    fs::set_permissions(&file, Permissions::from_mode(0o620)).expect("a mode");
    assert_eq!(run(&engine(Tier::Jit, &path)).1.stored, 0);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("a mode");
    assert_eq!(run(&engine(Tier::Jit, &path)).1.compiled, 0);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).expect("the file");
    symlink(&elsewhere, &file).expect("a link");
    assert_eq!(run(&engine(Tier::Jit, &path)).1.stored, 0);
    // Neither a directory nor anything else in its place is a fault.
    fs::remove_file(&file).expect("the link");
    fs::create_dir(&file).expect("a directory");
    let (seen, counts) = run(&engine(Tier::Jit, &path));
    assert_eq!((seen, counts.stored), (expected(), 0));
}

#[test]
fn a_module_file_that_was_seen_is_not_read_again_and_a_changed_one_is() {
    let (folder, path) = place();
    let file = folder.path().join("module.wasm");
    let write = |bytes: &[u8]| {
        fs::write(&file, bytes).expect("a file");
        let hour = SystemTime::now() - Duration::from_secs(3600);
        OpenOptions::new()
            .write(true)
            .open(&file)
            .expect("the file")
            .set_modified(hour)
            .expect("a time");
    };
    let run = |expected: i32| {
        let engine = engine(Tier::Jit, &path);
        let module = Module::from_file(&engine, &file).expect("a module");
        let mut process = Process::builder(&module).build().expect("it is linked");
        let found = process.call("f", &[]).expect("it runs");
        assert_eq!(found, [Val::I32(expected)]);
        engine.code_counts()
    };
    let module = |n: i32| {
        let text = format!("(module (func (export \"f\") (result i32) (i32.const {n})))");
        Module::from_text(&Engine::default(), text).expect("a text").bytes().to_vec()
    };
    let hashes = || {
        let names = fs::read_dir(&path).expect("the cache").filter_map(|entry| {
            let path = entry.expect("an entry").path();
            path.extension().is_some_and(|ending| ending == "hash").then_some(path)
        });
        names.collect::<Vec<_>>()
    };
    write(&module(1));
    assert_eq!(run(1).compiled, 1);
    // It was changed a moment ago: what it is may not be kept yet.
    assert_eq!(hashes(), Vec::<PathBuf>::new());
    std::thread::sleep(Duration::from_millis(3100));
    assert_eq!(run(1).compiled, 0);
    let kept = hashes();
    assert_eq!(kept.len(), 1);
    assert_eq!(cache(&path).list().expect("a list")[0].path, Some(file.clone()));
    assert_eq!(run(1).compiled, 0);
    // Another program of the same size and time in its place.
    write(&module(2));
    assert_eq!(run(2).compiled, 1);
    // A note that was damaged is none.
    let mut note = OpenOptions::new().write(true).open(&kept[0]).expect("the file");
    note.seek(SeekFrom::Start(80)).expect("it is longer");
    note.write_all(&[1, 2, 3]).expect("the file");
    assert_eq!(run(2).compiled, 0);
}
