//! Snapshots as bytes: what is captured comes back, and nothing else is taken.

use brant_engine::{
    Config, Engine, Extern, Flow, Func, FuncType, Instance, Module, ModuleBytes, Stop, Store,
    Thread, Val, ValType,
};
use brant_kernel::host::Kind;
use brant_kernel::persist::{Action, ClockState, DescriptorState, Identity, KernelState};
use brant_kernel::{Binding, FdFlags, Object, Rights, Syscall};
use brant_mobility::{
    CaptureError, Contents, ModuleImage, Purpose, ReadLimits, RestoreError, Section, Snapshot,
    SnapshotError, Standing,
};

/// Globals, tables, a grown memory, references in frames, a loop; it blocks once.
const PROGRAM: &str = r#"(module
    (import "env" "block" (func $block (param i32) (result i32)))
    (memory 1 8)
    (data (i32.const 100) "base image")
    (table $t 4 10 funcref)
    (elem (table $t) (i32.const 0) func $double $block)
    (type $unary (func (param i32) (result i32)))
    (global $count (mut i32) (i32.const 1))
    (global $vector (mut v128) (v128.const i64x2 0 0))
    (global $float (mut f64) (f64.const 0.5))
    (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
    (func $inner (param i32 f32) (result i32) (local v128)
        (local.set 2 (i8x16.splat (local.get 0)))
        (i32.add (call $block (local.get 0)) (i8x16.extract_lane_u 3 (local.get 2))))
    (func (export "run") (param i32) (result i32) (local funcref i64)
        (local.set 1 (table.get $t (i32.const 0)))
        (local.set 2 (i64.const -5))
        (global.set $count (i32.const 41))
        (drop (memory.grow (i32.const 2)))
        (memory.fill (i32.const 4096) (i32.const 7) (i32.const 8192))
        (i32.store (i32.const 150000) (i32.const 5))
        (global.set $count (call $inner (local.get 0) (f32.const 1.5)))
        (table.set $t (i32.const 3) (local.get 1))
        (i32.add
            (call_indirect $t (type $unary) (global.get $count) (i32.const 3))
            (i32.add (i32.wrap_i64 (local.get 2))
                (i32.add (i32.load (i32.const 150000)) (i32.load8_u (i32.const 12287)))))))"#;

const ARGUMENT: i32 = 9;
const RESULT: i32 = 2 * (9 + 9) - 5 + 5 + 7;

struct Guest {
    store: Store,
    run: Func,
    module: Module,
}

fn guest(config: &Config, blocks: bool) -> Guest {
    let engine = Engine::new(config).expect("an engine");
    let bytes = wat::parse_str(PROGRAM).expect("text");
    let module = Module::new(&engine, bytes).expect("a module");
    let mut store = Store::new(&engine, Box::new(blocks));
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    let block = Func::host(&mut store, ty, |caller, arguments, results| {
        results[0] = arguments[0];
        Ok(if *caller.data::<bool>() { Flow::Block } else { Flow::Return })
    });
    let instance = Instance::new(&mut store, &module, &[Extern::Func(block)]).expect("an instance");
    let run = instance.export(&store, "run").and_then(Extern::func).expect("a function");
    Guest { store, run, module }
}

/// A state with one descriptor of each kind, and a call that waits.
fn resources() -> KernelState {
    let entry = |fd, object, binding, action| DescriptorState {
        fd,
        object,
        kind: Kind::File,
        rights: Rights::FILE,
        inheriting: Rights::NONE,
        flags: FdFlags::APPEND,
        offset: 77,
        preopen: (fd == 1).then(|| "/data".to_owned()),
        binding,
        action,
    };
    let path = || Binding::Path { mount: "/data".to_owned(), path: b"a/b".to_vec() };
    let identity = Identity { device: 1, inode: 2, size_bytes: 1 << 40 };
    KernelState {
        args: vec![b"program".to_vec(), vec![0xFF]],
        env: vec![b"A=1".to_vec()],
        descriptors: vec![
            entry(0, Object::Stream, Binding::Stream(0), Action::Rebind),
            entry(1, Object::Directory, Binding::Mount("/data".to_owned()), Action::Rebind),
            entry(2, Object::File, path(), Action::Reopen(identity)),
            entry(3, Object::File, path(), Action::Copy(b"content".to_vec())),
            entry(4, Object::Listener, Binding::Listener(0), Action::Rebind),
            entry(9, Object::Connection, Binding::Connection, Action::TakeOver(vec![1, 2])),
        ],
        clocks: ClockState { monotonic_ns: 1 << 50, process_cpu_ns: 5, thread_cpu_ns: 4 },
        stream_bytes: [1, 2, 1 << 33],
        disk_bytes: 99,
        chance: Some(1 << 60),
        parked: Some(brant_kernel::persist::ParkedState {
            call: Syscall::PollOneoff,
            progress_bytes: 3,
            began_ns: 1 << 49,
            deadline_ns: Some(1 << 51),
        }),
    }
}

fn image(module: &Module) -> ModuleImage {
    let bytes = Some(module.shared_bytes());
    ModuleImage { name: String::new(), hash: module.hash(), bytes }
}

/// A run that has stopped in the inner function.
fn captured(contents: Contents) -> Snapshot {
    let Guest { mut store, run, module } = guest(&Config::default(), true);
    let mut thread = Thread::new(&mut store, run, &[Val::I32(ARGUMENT)]);
    assert!(matches!(thread.run(&mut store), Stop::Blocked));
    let standing = Standing {
        modules: vec![image(&module)],
        threads: vec![(Purpose::Call, &mut thread)],
        preparation: vec![run],
        resources: resources(),
        generation: [7; 16],
        contents,
        spawned: None,
    };
    Snapshot::capture(&mut store, standing).expect("a snapshot")
}

fn parse(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
    Snapshot::from_bytes(ModuleBytes::from(bytes.to_vec()), &ReadLimits::default())
}

fn runs_to_its_end(snapshot: &Snapshot) {
    let mut guest = guest(&Config::default(), false);
    let mut restored = snapshot.restore(&mut guest.store).expect("a store like the first");
    assert_eq!(restored.preparation, [guest.run]);
    assert_eq!(restored.threads[0].purpose, Purpose::Call);
    match restored.threads[0].thread.run(&mut guest.store) {
        Stop::Done(results) => assert_eq!(results, [Val::I32(RESULT)]),
        stop => panic!("{stop:?}"),
    }
}

#[test]
fn a_process_goes_on_from_its_bytes() {
    for contents in [Contents::Compressed, Contents::Plain] {
        let snapshot = captured(contents);
        let bytes = snapshot.to_vec();
        let from_bytes = parse(&bytes).expect("what was written");
        assert_eq!(from_bytes.resources, resources());
        assert_eq!(from_bytes.generation, [7; 16]);
        assert_eq!(from_bytes.execution, snapshot.execution);
        assert_eq!(from_bytes.to_vec(), bytes, "one snapshot has one form");
        assert_eq!(from_bytes.pages.content_count(), 2, "two of the pages are equal");
        runs_to_its_end(&from_bytes);
        // One byte at a time, as a slow peer sends them.
        let mut slow = Slow(&bytes);
        let from_stream = Snapshot::read(&mut slow, &ReadLimits::default());
        runs_to_its_end(&from_stream.expect("what was written"));
    }
}

struct Slow<'a>(&'a [u8]);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(1);
        std::io::Read::read(&mut self.0, &mut buffer[..count])
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    let (one, other) = (captured(Contents::Compressed), captured(Contents::Compressed));
    assert_eq!(one.to_vec(), other.to_vec());
}

#[test]
fn contents_that_can_be_mapped_stand_at_pages() {
    let bytes = captured(Contents::Plain).to_vec();
    let sections = Snapshot::sections(&bytes).expect("sections");
    let contents = sections.last().expect("five");
    assert_eq!((contents.section, contents.offset % 4096), (Section::Contents, 0));
    assert_eq!(contents.bytes, 2 * 4096);
    assert!(bytes[contents.offset as usize..].windows(4).any(|window| window == [7; 4]));
}

/// The section in which a byte of the file stands.
fn section_at(bytes: &[u8], at: usize) -> Section {
    let sections = Snapshot::sections(bytes).expect("sections");
    let found =
        sections.iter().find(|info| (info.offset..info.offset + info.bytes).contains(&(at as u64)));
    found.map_or(Section::Header, |info| info.section)
}

fn named(error: &SnapshotError) -> Section {
    match *error {
        SnapshotError::Truncated(section)
        | SnapshotError::Checksum(section)
        | SnapshotError::TooLarge { section, .. }
        | SnapshotError::Malformed { section, .. } => section,
        SnapshotError::NoSnapshot
        | SnapshotError::Version(_)
        | SnapshotError::SiteScheme(_)
        | SnapshotError::Io(_) => Section::Header,
    }
}

#[test]
fn every_flipped_bit_is_refused_and_its_section_named() {
    let good = captured(Contents::Compressed).to_vec();
    let mut bytes = good.clone();
    for at in 0..good.len() {
        let section = section_at(&good, at);
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            let error = parse(&bytes).map(drop).expect_err("one bit is wrong");
            assert_eq!(named(&error), section, "byte {at}, bit {bit}: {error}");
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn every_truncation_is_refused_and_its_section_named() {
    let good = captured(Contents::Compressed).to_vec();
    for at in 0..good.len() {
        let section = section_at(&good, at);
        for error in [
            parse(&good[..at]).map(drop).expect_err("cut off"),
            Snapshot::read(&mut &good[..at], &ReadLimits::default()).map(drop).expect_err("cut"),
        ] {
            let is_magic = at < 8 && matches!(error, SnapshotError::NoSnapshot);
            assert!(is_magic || named(&error) == section, "{at}: {error}");
        }
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(named(&parse(&longer).map(drop).expect_err("too long")), Section::Header);
    let read = Snapshot::read(&mut &longer[..], &ReadLimits::default());
    assert_eq!(named(&read.map(drop).expect_err("too long")), Section::Header);
}

#[test]
fn sections_above_a_limit_are_refused_before_they_are_read() {
    let good = captured(Contents::Compressed).to_vec();
    let limits = ReadLimits { execution_bytes: 10, ..ReadLimits::default() };
    // The reader breaks where the header ends.
    let error = Snapshot::read(&mut &good[..328], &limits).map(drop).expect_err("a limit");
    assert!(
        matches!(error, SnapshotError::TooLarge { section: Section::Execution, .. }),
        "{error}"
    );
}

#[test]
fn snapshots_of_another_configuration_are_refused() {
    let snapshot = captured(Contents::Compressed);
    for config in [
        Config { deterministic: true, ..Config::default() },
        Config { fuel: true, ..Config::default() },
    ] {
        let error = snapshot.restore(&mut guest(&config, false).store).map(drop);
        assert!(matches!(error, Err(RestoreError::Configuration(_))), "{error:?}");
    }
}

#[test]
fn values_of_the_host_stay_at_home() {
    let engine = Engine::default();
    let text = r#"(module (table (export "t") 1 externref))"#;
    let module = Module::new(&engine, wat::parse_str(text).expect("text")).expect("a module");
    let mut store = Store::new(&engine, Box::new(()));
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let Some(Extern::Table(table)) = instance.export(&store, "t") else { panic!("a table") };
    let standing = || Standing {
        modules: vec![image(&module)],
        threads: Vec::new(),
        preparation: Vec::new(),
        resources: KernelState::default(),
        generation: [0; 16],
        contents: Contents::Compressed,
        spawned: None,
    };
    assert!(Snapshot::capture(&mut store, standing()).is_ok());
    let value = brant_engine::ExternRef::new(&mut store, 5u8);
    table.set(&mut store, 0, Val::ExternRef(Some(value)));
    let error = Snapshot::capture(&mut store, standing()).map(drop);
    assert!(matches!(error, Err(CaptureError::HostValues)), "{error:?}");
}

/// Gives a section of a snapshot other bytes, and makes all checksums right again.
fn replaced(bytes: &[u8], section: Section, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let sections = Snapshot::sections(bytes).expect("sections");
    let mut header = bytes[..36].to_vec();
    let mut rest = Vec::new();
    let mut change = Some(change);
    for (number, info) in (1u32..).zip(&sections) {
        let mut part = bytes[info.offset as usize..][..info.bytes as usize].to_vec();
        if info.section == section
            && let Some(change) = change.take()
        {
            change(&mut part);
        }
        header.extend(number.to_le_bytes());
        header.extend((328 + rest.len() as u64).to_le_bytes());
        header.extend((part.len() as u64).to_le_bytes());
        header.extend(blake3::hash(&part).as_bytes());
        rest.extend(part);
    }
    let hash = blake3::hash(&header);
    [&header[..], hash.as_bytes(), &rest].concat()
}

#[test]
fn mutants_with_right_checksums_are_refused_or_harmless() {
    let good = captured(Contents::Compressed).to_vec();
    assert_eq!(replaced(&good, Section::Code, |_| {}), good, "the tool of this test works");
    let (mut refused, mut harmless) = (0, 0);
    let mut seed = 1u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize
    };
    for section in [Section::Execution, Section::Pages, Section::Contents, Section::Resources] {
        for _ in 0..600 {
            let mutant = replaced(&good, section, |part| {
                for _ in 0..=random() % 3 {
                    let at = random() % part.len();
                    match random() % 4 {
                        0 => part[at] = random() as u8,
                        1 => part[at] ^= 1 << (random() % 8),
                        2 => drop(part.remove(at)),
                        _ => part.insert(at, random() as u8),
                    }
                    if part.is_empty() {
                        part.push(0);
                    }
                }
            });
            let mut guest = guest(&Config::default(), false);
            guest.store.set_limits(brant_engine::Limits {
                memory_bytes: 64 << 20,
                ..brant_engine::Limits::default()
            });
            let Ok(snapshot) = parse(&mutant) else {
                refused += 1;
                continue;
            };
            match snapshot.restore(&mut guest.store) {
                Err(_) => refused += 1,
                Ok(restored) => {
                    harmless += 1;
                    for mut restored in restored.threads {
                        // It may compute anything; it ends, or traps, or is stopped.
                        let interrupt = guest.store.interrupt_handle();
                        interrupt.interrupt();
                        drop(restored.thread.run(&mut guest.store));
                        drop(restored.thread.run(&mut guest.store));
                    }
                }
            }
        }
    }
    assert!(refused > 500 && harmless > 100, "{refused} refused, {harmless} harmless");
}
