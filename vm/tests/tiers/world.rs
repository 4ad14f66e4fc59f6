//! Programs of the tree, what they are granted, and what can be seen of a run.

use std::fs;
use std::sync::OnceLock;

use brant::{
    Captured, Config, Engine, ExitStatus, Input, Module, MountAccess, Output, Process,
    ProcessBuilder, Tier,
};
use brant_engine::compile::Stops;
use brant_programs::{PROGRAMS, Program, Run};
use tempfile::TempDir;

/// What can be seen of a run from outside, and its memory at the end.
#[derive(PartialEq, Eq, Debug)]
pub struct Seen {
    pub end: String,
    pub output: Vec<u8>,
    pub memory: blake3::Hash,
}

/// What a run is granted.
pub struct World<'a> {
    pub program: &'a Program,
    pub run: &'a Run,
    folder: TempDir,
    output: Captured,
}

impl<'a> World<'a> {
    pub fn new(program: &'a Program, run: &'a Run) -> World<'a> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in run.files {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        World { program, run, folder, output: Captured::new() }
    }

    pub fn grant(&self, builder: ProcessBuilder) -> Process {
        let builder = builder
            .stdin(Input::Bytes(self.run.stdin.as_bytes().to_vec()))
            .stdout(Output::Capture(self.output.clone()))
            .mount(self.folder.path(), ".", MountAccess::ReadWrite);
        builder.build().unwrap_or_else(|error| panic!("{}: {error}", self.program.name))
    }

    pub fn begin(&self, module: &Module) -> Process {
        let args = [self.program.name].into_iter().chain(self.run.args.iter().copied());
        self.grant(Process::builder(module).args(args))
    }

    pub fn seen(&self, process: &mut Process, status: &ExitStatus) -> Seen {
        let memory = process.memory().expect("a memory");
        let bytes = memory.slice(0, memory.len_bytes()).expect("all of it");
        let memory = blake3::hash(bytes);
        Seen { end: status.to_string(), output: self.output.bytes(), memory }
    }
}

/// An engine with the compiler.
pub fn engine(tier: Tier, stops: Stops) -> Engine {
    let config = Config { tier, stops, ..Config::default() };
    Engine::new(&brant::with_compiler(config)).expect("an engine")
}

/// The programs of the tree with their modules.
pub fn programs() -> &'static [(&'static Program, Vec<u8>)] {
    static ALL: OnceLock<Vec<(&Program, Vec<u8>)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let all = PROGRAMS.iter();
        all.map(|program| (program, program.module().expect("a module"))).collect()
    })
}

/// A generator of numbers by seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// Small numbers and large ones up to 2^`bits` alike.
    pub fn spread(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits + 1);
        self.below(1 << bits)
    }
}
