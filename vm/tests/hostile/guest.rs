//! A guest that is nothing but its system calls: each can be made with any arguments, in each mode.

use std::path::{Path, PathBuf};

use brant::{
    Captured, Config, Engine, Error, Input, Limits, Module, MountAccess, Output, Process,
    ProcessBuilder, Tier, TypedFunc,
};
use brant_kernel::CALLS;
use brant_kernel::syscall::ParamKind;

/// How a guest is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Interp,
    Jit,
    /// The tier changes between calls.
    Mixed,
    /// As bytes in between: the process is written down after every few calls, and goes on in the
    /// other tier with what was granted before.
    Nomad,
}

/// Checks in each mode; one that fails says in which.
pub fn in_each_mode(check: impl Fn(Mode)) {
    for mode in [Mode::Interp, Mode::Jit, Mode::Mixed, Mode::Nomad] {
        eprintln!("mode {mode:?}");
        check(mode);
    }
}

/// Calls between two moves, in mode `nomad`.
const CALLS_BETWEEN_MOVES: u64 = 7;

/// A process with one function for each system call, and a memory of one page.
pub struct Guest {
    process: Process,
    pub output: Captured,
    mode: Mode,
    mount: Option<PathBuf>,
    limits: Limits,
    calls_count: u64,
}

/// The page.
pub const MEMORY_BYTES: u64 = 0x1_0000;
/// Where results go that nobody looks at.
pub const OUT: u64 = 0x8000;

impl Guest {
    /// A guest that is granted its standard streams alone, or a directory as well.
    pub fn new(mode: Mode, mount: Option<&Path>, limits: Limits) -> Guest {
        let tier = if mode == Mode::Interp { Tier::Interp } else { Tier::Jit };
        let module = Module::from_text(&engine(tier), text()).expect("a module");
        let (output, mount) = (Captured::new(), mount.map(Path::to_owned));
        let builder = Process::builder(&module).args(["guest"]);
        let process = granted(builder, mount.as_deref(), &limits, &output);
        Guest { process, output, mode, mount, limits, calls_count: 0 }
    }

    /// Between two calls: changes the tier, or moves, where the mode says so.
    fn wander(&mut self) {
        self.calls_count += 1;
        let tier = if self.calls_count.is_multiple_of(2) { Tier::Interp } else { Tier::Jit };
        match self.mode {
            Mode::Interp | Mode::Jit => {}
            Mode::Mixed => self.process.set_tier(tier).expect("a tier of its engine"),
            Mode::Nomad if !self.calls_count.is_multiple_of(CALLS_BETWEEN_MOVES) => {}
            Mode::Nomad => {
                let snapshot = match self.process.checkpoint() {
                    Ok(snapshot) => snapshot,
                    // An end of a pipe keeps its process where it is.
                    Err(Error::Capture(_)) => return,
                    Err(error) => panic!("{error}"),
                };
                let builder = Process::restore(&engine(tier), &snapshot).expect("a module");
                self.process = granted(builder, self.mount.as_deref(), &self.limits, &self.output);
            }
        }
    }

    /// Makes a call: the name of its error, or `success`.
    pub fn call(&mut self, name: &str, args: &[u64]) -> &'static str {
        let row = CALLS.iter().find(|row| row.name == name).expect("a system call");
        assert_eq!(row.params.len(), args.len(), "{name}");
        self.wander();
        let params: Vec<brant::Val> = row
            .params
            .iter()
            .zip(args)
            .map(|(param, &arg)| match param.kind.is_wide() {
                true => brant::Val::I64(arg.cast_signed()),
                false => brant::Val::I32((arg as u32).cast_signed()),
            })
            .collect();
        match self.process.call(name, &params) {
            Ok(results) => {
                let code = results.first().and_then(|value| value.i32()).expect("an errno");
                let errno = brant_kernel::Errno::ALL[usize::try_from(code).expect("an errno")];
                errno.name()
            }
            Err(error) => panic!("{name} {args:x?}: {error}"),
        }
    }

    /// Opens a file for everything, making it if it is not there.
    pub fn open(&mut self, path: &str) -> u64 {
        let path = self.text(0x7000, path);
        let rights = 0x01ff_ffff;
        let args = [3, 0, path[0], path[1], 1, rights, 0, 0, OUT];
        assert_eq!(self.call("path_open", &args), "success");
        u64::from(self.u32_at(OUT))
    }

    /// Puts bytes into the memory; address and length.
    pub fn text(&mut self, at: u64, text: &str) -> [u64; 2] {
        self.write(at, text.as_bytes());
        [at, text.len() as u64]
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        self.process.memory().expect("a memory").write(at, bytes).expect("it is inside");
    }

    /// Writes a list of buffers: addresses and lengths.
    pub fn buffers(&mut self, at: u64, buffers: &[(u32, u32)]) {
        for (index, (address, len)) in buffers.iter().enumerate() {
            self.write(at + 8 * index as u64, &address.to_le_bytes());
            self.write(at + 8 * index as u64 + 4, &len.to_le_bytes());
        }
    }

    pub fn memory(&mut self) -> Vec<u8> {
        let memory = self.process.memory().expect("a memory");
        memory.slice(0, MEMORY_BYTES).expect("it is inside").to_vec()
    }

    pub fn u32_at(&mut self, at: u64) -> u32 {
        self.process.memory().expect("a memory").read_u32(at).expect("it is inside")
    }

    /// Calls the function that yields very often.
    pub fn storm(&mut self) -> Result<(), Error> {
        let storm: TypedFunc<(), ()> = self.process.get_typed_func("storm")?;
        storm.call(&mut self.process, ())
    }
}

fn engine(tier: Tier) -> Engine {
    Engine::new(&brant::with_compiler(Config { tier, ..Config::default() })).expect("an engine")
}

fn granted(
    builder: ProcessBuilder, mount: Option<&Path>, limits: &Limits, output: &Captured,
) -> Process {
    let builder = builder
        .limits(limits.clone())
        .stdin(Input::Bytes(b"input".to_vec()))
        .stdout(Output::Capture(output.clone()));
    let builder = match mount {
        Some(folder) => builder.mount(folder, "/", MountAccess::ReadWrite),
        None => builder,
    };
    builder.build().expect("the guest is linked")
}

/// The module: every call is imported, wrapped and exported.
fn text() -> String {
    let mut text = String::from("(module\n");
    let mut functions = String::new();
    for row in CALLS.iter().filter(|row| row.returns) {
        let kind = |kind: ParamKind| if kind.is_wide() { " i64" } else { " i32" };
        let params: String = row.params.iter().map(|param| kind(param.kind)).collect();
        let kind = format!("(param{params}) (result i32)");
        let name = row.name;
        let module = row.module.name();
        text += &format!("(import \"{module}\" \"{name}\" (func ${name} {kind}))\n");
        let gets: String =
            (0..row.params.len()).map(|index| format!("(local.get {index}) ")).collect();
        functions += &format!("(func (export \"{name}\") {kind} (call ${name} {gets}))\n");
    }
    text + "(memory (export \"memory\") 1 1)\n"
        + &functions
        + "(func (export \"storm\") (local i32)
             (loop $again
               (drop (call $sched_yield))
               (br_if $again (i32.lt_u
                 (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 200000))))))"
}
