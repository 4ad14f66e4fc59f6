//! Reports of traps: where the guest stood, in its own terms.

mod backtrace;
mod dwarf;
mod escape;

use std::fmt;

use brant_isa::Trap;

pub(crate) use backtrace::{Place, frames_of};
use escape::Escaped;

/// Why and where a guest has trapped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrapReport {
    /// Why.
    pub code: Trap,
    /// The frames of the guest, innermost first; at most [`MAX_FRAMES`] of them.
    pub backtrace: Vec<FrameInfo>,
    /// How many frames there were.
    pub frame_count: usize,
    /// The address in memory 0 that the guest could not reach, where it is known.
    pub fault_address: Option<u64>,
    /// The size of memory 0, if the trap was about memory.
    pub memory_bytes: Option<u64>,
}

/// A report keeps so many frames: the innermost ones, and a few of the outermost.
pub const MAX_FRAMES: usize = 64;

/// A frame of a guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrameInfo {
    /// How far out it is: 0 is the innermost.
    pub depth: usize,
    /// The index of the function in its module.
    pub function: u32,
    /// The name of the module, if it has one.
    pub module: Option<String>,
    /// The name of the function as the module has it, if it has one.
    pub name: Option<String>,
    /// Where the frame stands: an offset in the module's bytes.
    pub offset: Option<u64>,
    /// Where that is in the source, inlined functions first, if the module tells.
    pub source: Vec<SourceFrame>,
}

/// A place in the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceFrame {
    /// The function there, readable, if it is another than the frame's: it was inlined.
    pub function: Option<String>,
    /// The file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
}

/// A name of a module for people: demangled, and without what would harm a terminal.
pub(crate) fn readable_name(name: &str) -> String {
    Escaped(&format!("{:#}", rustc_demangle::demangle(name))).to_string()
}

impl TrapReport {
    /// The report of a trap that came when no guest was running.
    pub(crate) fn without_frames(code: Trap) -> Self {
        let backtrace = Vec::new();
        Self { code, backtrace, frame_count: 0, fault_address: None, memory_bytes: None }
    }
}

impl fmt::Display for TrapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm trap: {}", self.code)?;
        if let (Some(address), Some(bytes)) = (self.fault_address, self.memory_bytes) {
            write!(f, "\n  at address {address:#x} of a memory of {bytes:#x} bytes")?;
        }
        if !self.backtrace.is_empty() {
            f.write_str("\nwasm backtrace:")?;
        }
        let mut expected = 0;
        for frame in &self.backtrace {
            if frame.depth != expected {
                write!(f, "\n      ... {} more frames ...", frame.depth - expected)?;
            }
            expected = frame.depth + 1;
            write!(f, "\n{:>5}: {frame}", frame.depth)?;
        }
        Ok(())
    }
}

impl fmt::Display for FrameInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.offset {
            write!(f, "{offset:#8x} - ")?;
        }
        let module = self.module.as_deref().unwrap_or("<unknown>");
        write!(f, "{}!", Escaped(module))?;
        match &self.name {
            Some(name) => f.write_str(&readable_name(name))?,
            None => write!(f, "<function {}>", self.function)?,
        }
        for source in &self.source {
            write!(f, "{source}")?;
        }
        Ok(())
    }
}

impl fmt::Display for SourceFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MARGIN: &str = "\n                    ";
        if let Some(function) = &self.function {
            write!(f, "{MARGIN}inlined {}", Escaped(function))?;
        }
        let Some(file) = &self.file else { return Ok(()) };
        write!(f, "{MARGIN}at {}", Escaped(file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match self.column {
            Some(column) => write!(f, ":{column}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TrapReport {}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(depth: usize, name: Option<&str>) -> FrameInfo {
        FrameInfo {
            depth,
            function: 7,
            module: Some("m".to_owned()),
            name: name.map(str::to_owned),
            offset: Some(0x1f),
            source: Vec::new(),
        }
    }

    #[test]
    fn a_report_reads_like_a_backtrace() {
        let mut first = frame(0, Some("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"));
        first.source = vec![
            SourceFrame {
                function: Some("inner".to_owned()),
                file: Some("a.rs".to_owned()),
                line: Some(3),
                column: Some(9),
            },
            SourceFrame {
                function: None,
                file: Some("b.rs".to_owned()),
                line: Some(20),
                column: None,
            },
        ];
        let report = TrapReport {
            code: Trap::OutOfBoundsMemoryAccess,
            backtrace: vec![first, frame(1, Some("evil\x1b[2J\nname")), frame(900, None)],
            frame_count: 901,
            fault_address: Some(0x1_0000),
            memory_bytes: Some(0x1_0000),
        };
        let expected = "wasm trap: out of bounds memory access
  at address 0x10000 of a memory of 0x10000 bytes
wasm backtrace:
    0:     0x1f - m!core::fmt::Write::write_fmt
                    inlined inner
                    at a.rs:3:9
                    at b.rs:20
    1:     0x1f - m!evil\\u{1b}[2J\\nname
      ... 898 more frames ...
  900:     0x1f - m!<function 7>";
        assert_eq!(report.to_string(), expected);
    }
}
