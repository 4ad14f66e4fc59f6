//! What a sequence is made of: calls whose result is known, and hostile ones.

use arbitrary::Arbitrary;
use brant_kernel::Syscall;
use brant_kernel::syscall::{Param, ParamKind};

/// One step of a sequence. Names and descriptors are picked from few, so that they meet.
#[derive(Arbitrary, Debug)]
pub enum Op {
    Raw(Box<Raw>),
    Open { name: u8, create: u8, rights: u8, append: bool },
    Write { fd: u8, parts: [u8; 3], at: Option<u16>, seed: u8 },
    Read { fd: u8, parts: [u8; 3], at: Option<u16> },
    Seek { fd: u8, offset: i16, whence: u8 },
    SetSize { fd: u8, size: u16 },
    Close { fd: u8 },
    Renumber { from: u8, to: u8 },
    Unlink { name: u8 },
    Rename { from: u8, to: u8 },
    Stat { name: u8 },
}

/// Any call with any arguments.
#[derive(Arbitrary, Debug)]
pub struct Raw {
    pub call: u8,
    args: [Arg; 9],
    /// What lies at [`SCRATCH`] before the call: lists of buffers, subscriptions, paths.
    scratch: [Word; 6],
}

/// An argument.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Arg {
    /// What makes sense for the parameter.
    Fitting(u8),
    Small(u8),
    Inside(u16),
    Edge(u8),
    Any(u64),
}

/// Eight bytes of the scratch area.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Word {
    Buffer(u16, u8),
    Path(u8),
    Any(u64),
}

/// Where hostile calls find their lists.
const SCRATCH: usize = 0x4000;

/// Ends of ranges, where mistakes are made.
const EDGES: [u64; 20] = [
    0xffff,
    0x1_0000,
    0x1_0000 - 4,
    0x1_0000 - 8,
    0x1_0000 - 64,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0xffff_fffc,
    0xffff_0000,
    1 << 28,
    (1 << 28) + 1,
    1 << 29,
    1 << 30,
    1 << 62,
    u64::MAX >> 1,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
    1 << 40,
];

/// Texts for paths, eight bytes each.
const PATHS: [&[u8; 8]; 10] = [
    b"a\0\0\0\0\0\0\0",
    b"../../..",
    b"/etc/pas",
    b"a/b/c/d/",
    b"./././.b",
    b"b///////",
    b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8",
    b"new/../a",
    b"c.......",
    b"........",
];

impl Raw {
    /// Fills the scratch area.
    pub fn prepare(&self, memory: &mut [u8]) {
        for (index, word) in self.scratch.iter().enumerate() {
            let bytes = match *word {
                Word::Buffer(at, len) => (u64::from(at) | u64::from(len) << 32).to_le_bytes(),
                Word::Path(which) => *PATHS[usize::from(which) % PATHS.len()],
                Word::Any(bits) => bits.to_le_bytes(),
            };
            memory[SCRATCH + 8 * index..][..8].copy_from_slice(&bytes);
        }
    }

    pub fn args(&self, syscall: Syscall) -> Vec<u64> {
        let params = syscall.row().params;
        let arg = |(param, arg): (&Param, &Arg)| {
            let bits = match *arg {
                Arg::Fitting(pick) => fitting(param.kind, u64::from(pick)),
                Arg::Small(value) => value.into(),
                Arg::Inside(value) => value.into(),
                Arg::Edge(pick) => EDGES[usize::from(pick) % EDGES.len()],
                // Sizes between would only make the simulated disk large.
                Arg::Any(value) if param.kind.is_wide() => value | 1 << 50,
                Arg::Any(value) => value,
            };
            // The engine hands on an i32 zero-extended.
            if param.kind.is_wide() { bits } else { bits & 0xffff_ffff }
        };
        params.iter().zip(&self.args).map(arg).collect()
    }
}

/// A value that may make the call succeed.
fn fitting(kind: ParamKind, pick: u64) -> u64 {
    match kind {
        ParamKind::Fd => pick % 8,
        ParamKind::Pointer | ParamKind::Text | ParamKind::Buffers => {
            SCRATCH as u64 + 8 * (pick % 6)
        }
        ParamKind::Size | ParamKind::TextLen => pick % 64,
        ParamKind::BufferCount => pick % 4,
        ParamKind::OutU16 | ParamKind::OutU32 | ParamKind::OutU64 => 0x3000 + 8 * pick,
        ParamKind::Rights => u64::MAX >> 34 >> (pick % 8),
        ParamKind::FileSize | ParamKind::FileDelta | ParamKind::Cookie => pick,
        ParamKind::Timestamp => pick << 20,
        _ => pick % 4,
    }
}

/// Whether a success changes neither a file, a name nor a descriptor that the model knows.
pub fn leaves_files_alone(syscall: Syscall) -> bool {
    use Syscall as S;
    matches!(
        syscall,
        S::ArgsGet
            | S::ArgsSizesGet
            | S::EnvironGet
            | S::EnvironSizesGet
            | S::ClockResGet
            | S::ClockTimeGet
            | S::FdAdvise
            | S::FdDatasync
            | S::FdFdstatGet
            | S::FdFilestatGet
            | S::FdPread
            | S::FdPrestatGet
            | S::FdPrestatDirName
            | S::FdReaddir
            | S::FdSync
            | S::FdTell
            | S::PathFilestatGet
            | S::PathReadlink
            | S::PollOneoff
            | S::RandomGet
            | S::SchedYield
    )
}
