//! Sequences of system calls, hostile ones among them, on the simulated host.
//!
//! Bytes become a sequence of calls (`sequence`), which is made twice. Whatever the calls are:
//!
//! - a call that fails has changed nothing: not the memory, and not the files, which a small model
//!   (`files`) knows as far as no hostile call has succeeded;
//! - what the model predicts comes;
//! - both times every answer and every byte of the guest's memory are the same.
//!
//! Used by a test (`vm/tests/syscalls.rs`) and by the fuzz target `syscalls`.

mod files;
mod sequence;

use arbitrary::Unstructured;
use brant_engine::GuestMemory;
use brant_host::sim::SimHost;
use brant_kernel::host::MountAccess;
use brant_kernel::net::NetRules;
use brant_kernel::{CALLS, Errno, Kernel, Limits, Manifest, Mount, Outcome, Syscall};

use files::Files;
use sequence::{Op, Raw};

/// The descriptor of the only mount.
const MOUNT: u64 = 3;
const MEMORY_BYTES: usize = 0x1_0000;
/// No sequence is longer.
const OPS_LIMIT: usize = 100;
/// How often a call that waits is made again.
const WAITS_LIMIT: usize = 8;

/// What a sequence has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Hostile calls that were made.
    pub raw_count: u64,
    /// How many of them succeeded.
    pub raw_success_count: u64,
    /// Calls whose result the model has foretold.
    pub foretold_count: u64,
}

impl std::ops::AddAssign for Shown {
    fn add_assign(&mut self, other: Shown) {
        self.raw_count += other.raw_count;
        self.raw_success_count += other.raw_success_count;
        self.foretold_count += other.foretold_count;
    }
}

/// Makes the calls that `data` stand for.
///
/// # Errors
/// Which call did what it must not.
pub fn run(data: &[u8]) -> Result<Shown, String> {
    let mut source = Unstructured::new(data);
    let mut ops = Vec::new();
    while !source.is_empty() && ops.len() < OPS_LIMIT {
        let Ok(op) = source.arbitrary::<Op>() else { break };
        ops.push(op);
    }
    let (first, shown) = Guest::new().make(&ops)?;
    let (second, _) = Guest::new().make(&ops)?;
    match first == second {
        true => Ok(shown),
        false => Err(format!("the second time it is not the same: {ops:?}")),
    }
}

/// A kernel, the memory of a guest, and what the model knows.
pub struct Guest {
    kernel: Kernel,
    memory: Vec<u8>,
    files: Option<Files>,
    answers: Vec<u64>,
    shown: Shown,
}

/// What a call came to.
pub enum Answer {
    Errno(Errno),
    /// The sequence ends: the guest has ended, or waits for what never comes.
    Ended,
}

impl Guest {
    fn new() -> Guest {
        let mut host = SimHost::new(1);
        host.type_in(5, b"typed");
        host.call("127.0.0.1:80", 10, b"hello");
        let manifest = Manifest {
            args: vec![b"guest".to_vec(), b"argument".to_vec()],
            env: vec![b"NAME=value".to_vec()],
            mounts: vec![Mount {
                host: "/data".into(),
                guest: "/data".to_owned(),
                access: MountAccess::ReadWrite,
            }],
            listeners: vec!["127.0.0.1:80".to_owned()],
            net: NetRules::default(),
            ends_on_broken_pipe: false,
            limits: Limits { descriptors: 40, disk_bytes: 1 << 20, ..Limits::default() },
        };
        let kernel = Kernel::new(manifest, Box::new(host)).expect("the simulated host has all");
        Guest {
            kernel,
            memory: vec![0; MEMORY_BYTES],
            files: Some(Files::default()),
            answers: Vec::new(),
            shown: Shown::default(),
        }
    }

    /// Makes all calls: every answer and the memory at the end, and what was shown.
    fn make(mut self, ops: &[Op]) -> Result<(Vec<u64>, Shown), String> {
        for (index, op) in ops.iter().enumerate() {
            let goes_on = match op {
                Op::Raw(raw) => self.raw(raw),
                op => {
                    let Some(mut files) = self.files.take() else { continue };
                    self.shown.foretold_count += 1;
                    let done = files.make(&mut self, op);
                    self.files = Some(files);
                    done
                }
            };
            match goes_on {
                Ok(true) => {}
                Ok(false) => break,
                Err(what) => return Err(format!("call {index} of {ops:?}: {what}")),
            }
        }
        let words = self.memory.chunks_exact(8).map(|word| word.try_into().expect("8 bytes"));
        let memory = words.map(u64::from_le_bytes).collect::<Vec<u64>>();
        self.answers.extend(memory);
        Ok((self.answers, self.shown))
    }

    /// A hostile call. If it succeeds, the model may know nothing any more.
    fn raw(&mut self, raw: &Raw) -> Result<bool, String> {
        self.shown.raw_count += 1;
        let syscall = CALLS[usize::from(raw.call) % CALLS.len()].syscall;
        raw.prepare(&mut self.memory);
        let args = raw.args(syscall);
        match self.call(syscall, &args)? {
            Answer::Ended => Ok(false),
            Answer::Errno(Errno::Success) => {
                self.shown.raw_success_count += 1;
                if !sequence::leaves_files_alone(syscall) {
                    self.files = None;
                }
                Ok(true)
            }
            Answer::Errno(_) => Ok(true),
        }
    }

    /// Makes a call, again and again while it waits.
    pub fn call(&mut self, syscall: Syscall, args: &[u64]) -> Result<Answer, String> {
        let before = self.memory.clone();
        for _ in 0..WAITS_LIMIT {
            let mut memory = GuestMemory::new(&mut self.memory);
            let outcome = self.kernel.syscall(syscall, &mut memory, args);
            self.answers.push(match outcome {
                Outcome::Done(errno) => u64::from(errno.code()),
                Outcome::Block => 1 << 32,
                Outcome::Exit(code) => 1 << 33 | u64::from(code.cast_unsigned()),
            });
            match outcome {
                Outcome::Exit(_) => return Ok(Answer::Ended),
                Outcome::Done(errno) => {
                    if errno != Errno::Success && self.memory != before {
                        return Err(format!(
                            "{syscall:?} {args:x?} fails with {errno:?} and changes the memory"
                        ));
                    }
                    return Ok(Answer::Errno(errno));
                }
                Outcome::Block => {
                    if self.kernel.wait(None).is_err() {
                        return Ok(Answer::Ended);
                    }
                }
            }
        }
        Ok(Answer::Ended)
    }

    /// Makes a call that a model foretells: it neither waits nor ends.
    pub fn expect(&mut self, syscall: Syscall, args: &[u64]) -> Result<Errno, String> {
        match self.call(syscall, args)? {
            Answer::Errno(errno) => Ok(errno),
            Answer::Ended => Err(format!("{syscall:?} {args:x?} does not return")),
        }
    }

    pub fn memory(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    pub fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.memory[at..at + 4].try_into().expect("4 bytes"))
    }

    pub fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.memory[at..at + 8].try_into().expect("8 bytes"))
    }
}
