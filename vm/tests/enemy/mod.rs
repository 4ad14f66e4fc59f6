//! Snapshots that are changed and get right checksums again: what an enemy would write.
//!
//! Used by a test (`vm/tests/remade.rs`) and by the fuzz target `snapshot`. Both give the number of
//! a snapshot and a list of changes; nothing else enters. What comes of it is refused, or becomes a
//! process that is run for a while on a simulated host, under limits; nothing may panic.
//!
//! A change is one of a value that was read (types, sites, indices, sizes), which no flipped bit
//! would find behind a checksum, or one of the bytes of a section.

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use brant::mobility::{Execution, SectionInfo, WaitImage};
use brant::{
    Config, Engine, ExitStatus, Input, Limits, Module, MountAccess, Process, ProcessBuilder,
    ReadLimits, Snapshot, Stopped, ValType,
};
use brant_engine::persist::ElementRun;
use brant_engine::site::SiteId;
use brant_engine::{Slot, WaitEnd};

/// What is done to a snapshot. Numbers are taken as far as there is something.
#[derive(Arbitrary, Clone, Debug)]
pub enum Change {
    /// A slot of a frame gets another type or other bits.
    Slot { frame: u8, slot: u8, ty: u8, bits: u64 },
    /// A frame stands elsewhere.
    Site { frame: u8, site: u16 },
    /// A frame is one of another function or instance.
    Function { frame: u8, function: u16, instance: u8 },
    /// A frame is there twice, or is gone.
    Frames { frame: u8, twice: bool },
    /// Operands or locals are more or fewer.
    Count { frame: u8, operands: bool, more: bool },
    /// A global is another one.
    Global { global: u8, ty: u8, bits: u64 },
    /// A memory has another size.
    Memory { memory: u8, wasm_pages: u32 },
    /// Elements of a table are others.
    Table { table: u8, run: u8, count: u32, bits: u64 },
    /// A thread runs another function, or is gone.
    Thread { func: u64 },
    /// A thread that the program has started has another number, store, wait or call, is there
    /// twice, or is gone.
    Started { at: u8, what: u8, value: u64 },
    /// Those that wait are others, or in another order; somebody else has the turn.
    Queue { at: u8, id: u8, turn: u8, last_id: u32 },
    /// Something is dropped, or there again.
    Dropped { instance: u8, segment: u8 },
    /// A descriptor has another number, offset, flags or rights.
    Descriptor { at: u8, fd: u32, offset: u64, flags: u16, rights: u64 },
    /// A clock shows another time.
    Clock { monotonic_ns: u64 },
    /// A byte of a section is another one.
    Byte { section: u8, at: u16, bits: u8 },
    /// A number is written over a section.
    Number { section: u8, at: u16, value: u64 },
    /// Bytes of a section are there twice.
    Twice { section: u8, at: u16, count: u8 },
    /// Bytes of a section are gone.
    Gone { section: u8, at: u16, count: u8 },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was no snapshot any more.
    Unreadable,
    /// It did not become a process.
    Refused,
    /// It has run for a while.
    Ran,
}

/// What a process may take; far more than the originals do.
const MEMORY_BYTES: u64 = 24 << 20;
const FUEL: u64 = 3_000;

/// Globals, tables, vectors, references in frames, recursion, a memory that grows.
const WHOLE: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2 40)
    (data (i32.const 0) "\10\00\00\00\03\00\00\00")
    (data (i32.const 16) "hi\n")
    (data $passive "passive")
    (table $t 6 20 funcref)
    (type $unary (func (param i32) (result i32)))
    (elem (table $t) (i32.const 1) func $double $descend)
    (elem $later funcref (ref.func $double) (ref.null func))
    (global $count (mut i32) (i32.const 1))
    (global $wide (mut i64) (i64.const -1))
    (global $vector (mut v128) (v128.const i64x2 1 2))
    (global $func (mut funcref) (ref.func $double))
    (func $double (type $unary) (i32.mul (local.get 0) (i32.const 2)))
    (func $descend (type $unary) (local $f funcref) (local $v v128) (local $d f64)
        (local.set $f (table.get $t (i32.const 1)))
        (local.set $v (i8x16.splat (local.get 0)))
        (local.set $d (f64.convert_i32_s (local.get 0)))
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (if (i32.gt_s (local.get 0) (i32.const 0))
            (then
                (drop (call_indirect $t (type $unary)
                    (i32.sub (local.get 0) (i32.const 1)) (i32.const 2)))
                (table.set $t (i32.const 4) (local.get $f))
                (i32.store (i32.mul (local.get 0) (i32.const 4096)) (global.get $count))
                (global.set $vector (local.get $v))
                (global.set $wide (i64.trunc_sat_f64_s (local.get $d)))))
        (call_indirect $t (type $unary) (local.get 0) (i32.const 1)))
    (func $main (export "_start") (local $i i32)
        (loop $again
            (global.set $count (call $descend (i32.const 5)))
            (memory.fill (i32.const 60000) (i32.const 7) (i32.const 9000))
            (drop (memory.grow (i32.const 1)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br_if $again
                (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))))"#;

/// Threads that compute, wait at an address for a time and for ever, and stand in a call; each has a
/// global and a memory of its own.
const THREADED: &str = r#"(module
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "env" "memory" (memory 1 4 shared))
    (memory $own 1 2)
    (global $count (mut i32) (i32.const 0))
    (func $work (param i32) (result i32) (local i32)
        (loop $again
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (i32.store $own (i32.mul (local.get 0) (i32.const 4096)) (global.get $count))
            (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 1)))
            (br_if $again
                (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 60))))
        (local.get 1))
    (func (export "wasi_thread_start") (param i32 i32)
        (if (i32.eq (local.get 1) (i32.const 0))
            (then (drop (memory.atomic.wait32 (i32.const 16) (i32.const 0) (i64.const -1)))))
        (if (i32.eq (local.get 1) (i32.const 1))
            (then (drop (memory.atomic.wait64 offset=8 (i32.const 16) (i64.const 0)
                                              (i64.const 50000000)))))
        (if (i32.eq (local.get 1) (i32.const 2))
            (then
                (i32.store offset=272 (i32.const 0) (i32.const 1))
                (i64.store offset=280 (i32.const 0) (i64.const 90000000))
                (drop (call $poll (i32.const 256) (i32.const 384) (i32.const 1)
                                  (i32.const 448)))))
        (drop (call $work (local.get 1))))
    (func (export "_start") (local $i i32)
        (loop $more
            (drop (call $spawn (local.get $i)))
            (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                   (i32.const 5))))
        ;; The others come first.
        (drop (memory.atomic.wait32 (i32.const 40) (i32.const 0) (i64.const 1000)))
        (drop (call $work (i32.const 5)))
        (drop (memory.atomic.notify (i32.const 16) (i32.const 1)))
        (drop (call $work (i32.const 6)))))"#;

/// The originals: each program at some of its sites.
struct Originals {
    engine: Engine,
    modules: Vec<Module>,
    /// As bytes.
    snapshots: Vec<Vec<u8>>,
}

fn originals() -> &'static Originals {
    static ALL: OnceLock<Originals> = OnceLock::new();
    ALL.get_or_init(|| {
        let engine = Engine::new(&Config { fuel: true, ..Config::default() }).expect("an engine");
        let whole = Module::from_text(&engine, WHOLE).expect("a module");
        let program = |name: &str| {
            let program = brant_programs::find(name).expect("the program");
            Module::new(&engine, program.module().expect("bytes")).expect("a module")
        };
        let threaded = Module::from_text(&engine, THREADED).expect("a module");
        let modules = vec![whole, program("counter"), program("words"), threaded];
        let mut snapshots = Vec::new();
        let plans: [(&[&str], &[u64]); 4] = [
            (&[], &[1, 9, 23, 40]),
            (&["counter", "4"], &[4, 8]),
            (&["words"], &[40, 120]),
            (&[], &[4, 30, 90, 170]),
        ];
        for (module, (args, sites)) in modules.iter().zip(plans) {
            for &count in sites {
                snapshots.push(stopped(module, args, count));
            }
        }
        Originals { engine, modules, snapshots }
    })
}

fn granted(builder: ProcessBuilder) -> Result<Process, brant::Error> {
    let limits = Limits {
        fuel: Some(FUEL),
        memory_bytes: MEMORY_BYTES,
        table_elements: 10_000,
        threads_count: 8,
        ..Limits::default()
    };
    let builder = builder.mount("data", "data", MountAccess::ReadWrite).sim(1);
    builder.stdin(Input::Bytes(b"one two two".to_vec())).limits(limits).build()
}

fn stopped(module: &Module, args: &[&str], sites: u64) -> Vec<u8> {
    let builder = Process::builder(module).args(args.iter().copied());
    let mut process = granted(builder).expect("a process");
    process.stop_after_sites(sites);
    process.add_fuel(1 << 20);
    let status = process.run().expect("it runs");
    assert!(
        matches!(status, ExitStatus::Stopped(Stopped::AtSite)),
        "{args:?} at {sites}: {status}"
    );
    process.checkpoint().expect("a snapshot").to_vec()
}

/// How many originals there are.
pub fn count() -> usize {
    originals().snapshots.len()
}

/// Changes a snapshot, and tries to go on from it.
pub fn try_out(original: usize, changes: &[Change]) -> Outcome {
    let all = originals();
    let bytes = &all.snapshots[original % all.snapshots.len()];
    let mut snapshot = read(bytes).expect("an original");
    changes.iter().for_each(|change| change_value(&mut snapshot, change));
    let mut sections = Sections::of(&snapshot.to_vec());
    changes.iter().for_each(|change| sections.change(change));
    let bytes = sections.seal();
    let Some(mut snapshot) = read(&bytes) else { return Outcome::Unreadable };
    assert!(read(&snapshot.to_vec()).is_some(), "what was read can be written and read again");
    let store = &mut snapshot.execution.store;
    // How long it runs is not for the enemy to say, and is no matter here.
    store.fuel = store.fuel.min(FUEL);
    let builder = Process::restore_with(&all.engine, &snapshot, &all.modules);
    let Ok(mut process) = builder.and_then(granted) else { return Outcome::Refused };
    let _ = process.run();
    let _ = process.checkpoint().map(|snapshot| snapshot.to_vec());
    assert!(process.memory_bytes() <= MEMORY_BYTES, "the limit holds");
    Outcome::Ran
}

fn read(bytes: &[u8]) -> Option<Snapshot> {
    let limits = ReadLimits { contents_bytes: 64 << 20, ..ReadLimits::default() };
    Snapshot::from_bytes(bytes.to_vec().into(), &limits).ok()
}

const TYPES: [ValType; 7] = [
    ValType::I32,
    ValType::I64,
    ValType::F32,
    ValType::F64,
    ValType::V128,
    ValType::FuncRef,
    ValType::ExternRef,
];

fn slot(ty: u8, bits: u64) -> Slot {
    let ty = TYPES[usize::from(ty) % TYPES.len()];
    // What cannot be written is no change.
    let bits = if ty == ValType::I32 || ty == ValType::F32 { bits & 0xFFFF_FFFF } else { bits };
    Slot { ty, bits: bits.into() }
}

/// The element of a list that a number means; none if the list is empty.
fn pick<T>(list: &mut [T], number: impl Into<usize>) -> Option<&mut T> {
    let count = list.len().max(1);
    list.get_mut(number.into() % count)
}

fn change_value(snapshot: &mut Snapshot, change: &Change) {
    let (execution, resources) = (&mut snapshot.execution, &mut snapshot.resources);
    let store = &mut execution.store;
    let frames = execution.threads.first_mut().map(|thread| &mut thread.state.frames);
    let mut none = Vec::new();
    let frames = frames.unwrap_or(&mut none);
    match *change {
        Change::Slot { frame, slot: number, ty, bits } => {
            if let Some(frame) = pick(frames, frame) {
                let mut slots: Vec<&mut Slot> =
                    frame.locals.iter_mut().chain(&mut frame.operands).collect();
                if let Some(old) = pick(&mut slots, number) {
                    **old = slot(ty, bits);
                }
            }
        }
        Change::Site { frame, site } => {
            if let Some(frame) = pick(frames, frame) {
                frame.site = SiteId(site.into());
            }
        }
        Change::Function { frame, function, instance } => {
            if let Some(frame) = pick(frames, frame) {
                frame.function = function.into();
                frame.instance = instance.into();
            }
        }
        Change::Frames { frame, twice } => {
            let at = usize::from(frame) % frames.len().max(1);
            match (frames.get(at).cloned(), twice) {
                (Some(copy), true) => frames.insert(at, copy),
                (Some(_), false) => drop(frames.remove(at)),
                (None, _) => {}
            }
        }
        Change::Count { frame, operands, more } => {
            if let Some(frame) = pick(frames, frame) {
                let list = if operands { &mut frame.operands } else { &mut frame.locals };
                match more {
                    true => list.push(slot(0, 1)),
                    false => drop(list.pop()),
                }
            }
        }
        Change::Global { global, ty, bits } => {
            if let Some(global) = pick(&mut store.globals, global) {
                *global = slot(ty, bits);
            }
        }
        Change::Memory { memory, wasm_pages } => {
            if let Some(size) = pick(&mut store.memories_wasm_pages, memory) {
                *size = wasm_pages.into();
            }
        }
        Change::Table { table, run, count, bits } => {
            if let Some(run) = pick(&mut store.tables, table).and_then(|runs| pick(runs, run)) {
                *run = ElementRun { count: count.into(), bits };
            }
        }
        Change::Thread { func } => match brant_engine::persist::FuncRef::from_bits(func) {
            Some(func) => {
                if let Some(thread) = execution.threads.first_mut() {
                    thread.state.func = func;
                }
            }
            None => execution.threads.clear(),
        },
        Change::Started { at, what, value } => change_thread(execution, at, what, value),
        Change::Queue { at, id, turn, last_id } => {
            if let Some(spawned) = &mut execution.spawned {
                if let Some(place) = pick(&mut spawned.queue, at) {
                    *place = id.into();
                }
                spawned.turn = turn.into();
                spawned.last_id = spawned.last_id.wrapping_add(last_id);
            }
        }
        Change::Dropped { instance, segment } => {
            if let Some(state) = pick(&mut store.instances, instance) {
                let data = state.dropped_data.iter_mut();
                let mut all: Vec<&mut bool> = data.chain(&mut state.dropped_elements).collect();
                if let Some(is_dropped) = pick(&mut all, segment) {
                    **is_dropped = !**is_dropped;
                }
            }
        }
        Change::Descriptor { at, fd, offset, flags, rights } => {
            if let Some(state) = pick(&mut resources.descriptors, at) {
                (state.fd, state.offset) = (fd, offset);
                (state.flags.0, state.rights.0) = (flags, rights);
            }
        }
        Change::Clock { monotonic_ns } => resources.clocks.monotonic_ns = monotonic_ns,
        Change::Byte { .. }
        | Change::Number { .. }
        | Change::Twice { .. }
        | Change::Gone { .. } => {}
    }
}

/// Changes one of the threads that the program has started.
fn change_thread(execution: &mut Execution, at: u8, what: u8, value: u64) {
    let Some(spawned) = &mut execution.spawned else { return };
    let at = usize::from(at) % spawned.list.len().max(1);
    let Some(thread) = spawned.list.get_mut(at) else { return };
    match what % 9 {
        0 => thread.id = value as u32,
        1 => thread.argument = Some(value as u32),
        2 => {
            if let Some(wait) = &mut thread.wait {
                wait.deadline_ns = Some(value);
            }
        }
        3 => {
            let ends = [None, Some(WaitEnd::Woken), Some(WaitEnd::TimedOut)];
            let end = ends[value as usize % 3];
            let is_new = thread.wait.is_none_or(|wait| wait.end.is_some());
            thread.wait = Some(WaitImage { end, deadline_ns: None });
            let id = thread.id;
            spawned.queue.retain(|&other| other != id || end.is_none());
            if is_new && end.is_none() {
                spawned.queue.push(id);
            }
        }
        4 => thread.store.fuel = value,
        5 => {
            if let Some(size) = pick(&mut thread.store.memories_wasm_pages, value as u8) {
                *size = value >> 8 & 0xFFFF;
            }
        }
        6 => {
            if let Some(global) = pick(&mut thread.store.globals, 0u8) {
                *global = slot(value as u8, value >> 8);
            }
        }
        7 => {
            let frame = pick(&mut thread.state.frames, value as u8);
            if let Some(frame) = frame {
                match value >> 8 & 1 {
                    0 => frame.site = SiteId((value >> 16) as u32 & 0xFF),
                    _ => {
                        if let Some(operand) = pick(&mut frame.operands, (value >> 16) as u8) {
                            *operand = slot((value >> 24) as u8, value >> 32);
                        }
                    }
                }
            }
        }
        _ => {
            let copy = thread.clone();
            match value & 1 {
                0 => spawned.list.insert(at, copy),
                _ => drop(spawned.list.remove(at)),
            }
        }
    }
}

/// The header before the table of sections, and the sections.
struct Sections {
    head: Vec<u8>,
    parts: Vec<Vec<u8>>,
}

/// Before the table.
const HEAD_BYTES: usize = 36;

impl Sections {
    fn of(bytes: &[u8]) -> Sections {
        let infos = Snapshot::sections(bytes).expect("it was just written");
        let part = |info: &SectionInfo| {
            bytes[info.offset as usize..(info.offset + info.bytes) as usize].to_vec()
        };
        Sections { head: bytes[..HEAD_BYTES].to_vec(), parts: infos.iter().map(part).collect() }
    }

    fn change(&mut self, change: &Change) {
        let part = |parts: &mut Vec<Vec<u8>>, section: u8, at: u16| {
            let number = usize::from(section) % parts.len();
            let at = usize::from(at) % parts[number].len().max(1);
            (number, at)
        };
        match *change {
            Change::Byte { section, at, bits } => {
                let (number, at) = part(&mut self.parts, section, at);
                if let Some(byte) = self.parts[number].get_mut(at) {
                    *byte ^= bits;
                }
            }
            Change::Number { section, at, mut value } => {
                let (number, at) = part(&mut self.parts, section, at);
                let mut written = Vec::new();
                while value >= 0x80 {
                    written.push(value as u8 | 0x80);
                    value >>= 7;
                }
                written.push(value as u8);
                let section = &mut self.parts[number];
                let end = (at + written.len()).min(section.len());
                section.splice(at.min(end)..end, written);
            }
            Change::Twice { section, at, count } => {
                let (number, at) = part(&mut self.parts, section, at);
                let section = &mut self.parts[number];
                let end = (at + usize::from(count)).min(section.len());
                let copy = section[at..end].to_vec();
                section.splice(at..at, copy);
            }
            Change::Gone { section, at, count } => {
                let (number, at) = part(&mut self.parts, section, at);
                let section = &mut self.parts[number];
                let end = (at + usize::from(count)).min(section.len());
                section.drain(at..end);
            }
            _ => {}
        }
    }

    /// The file, with lengths and checksums that are right.
    fn seal(&self) -> Vec<u8> {
        const ENTRY_BYTES: usize = 52;
        let mut offset = (HEAD_BYTES + self.parts.len() * ENTRY_BYTES + 32) as u64;
        let mut bytes = self.head.clone();
        for (number, part) in (1u32..).zip(&self.parts) {
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(&offset.to_le_bytes());
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(blake3::hash(part).as_bytes());
            offset += part.len() as u64;
        }
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        self.parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }
}
