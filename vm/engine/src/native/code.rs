//! Compiled functions in memory, and whose an address is.

use std::ops::Range;
use std::sync::Arc;

use crate::compile::{Entry, NativeTrap, TrapCause};
use crate::native::arena::CodeChunk;
use crate::native::packed::{CODE_AT, CallRow, Packed};

/// A compiled function that can run. Shared by all instances of its module.
#[derive(Debug)]
pub struct NativeCode {
    /// The function, by index of its module.
    pub function: u32,
    /// Where its code begins.
    pub entry: Entry,
    start: usize,
    code_bytes: usize,
    /// Where its packed form is in the chunk.
    packed: Range<usize>,
    chunk: Arc<CodeChunk>,
}

/// What an address in compiled code is.
#[derive(Clone, Copy, Debug)]
pub enum Landing<'a> {
    /// The first byte: the function has not begun.
    Start(&'a NativeCode),
    /// The return address of a call.
    Call(&'a NativeCode, CallRow<'a>),
}

impl NativeCode {
    /// Puts packed functions into memory. None if the host refuses.
    pub fn place(packed: Vec<(u32, Entry, Vec<u8>)>) -> Option<Vec<Arc<Self>>> {
        debug_assert!(
            packed.iter().all(|(_, _, bytes)| Packed::new(bytes).is_some_and(|it| it.check())),
            "compilers make what readers accept"
        );
        let pieces: Vec<&[u8]> = packed.iter().map(|(_, _, bytes)| &bytes[..]).collect();
        let (chunk, offsets) = CodeChunk::new(&pieces)?;
        let chunk = Arc::new(chunk);
        let all = packed.iter().zip(offsets).filter_map(|((function, entry, bytes), offset)| {
            let range = offset..offset + bytes.len();
            Some(Arc::new(Self::at(*function, *entry, chunk.clone(), range)?))
        });
        Some(all.collect())
    }

    /// The packed function at a place of a chunk, which must be one that a compiler has made.
    pub fn at(
        function: u32, entry: Entry, chunk: Arc<CodeChunk>, packed: Range<usize>,
    ) -> Option<Self> {
        let code_bytes = Packed::new(chunk.bytes(packed.clone())?)?.code_bytes();
        let start = chunk.address(packed.start + CODE_AT) as usize;
        Some(Self { function, entry, start, code_bytes, packed, chunk })
    }

    /// How many bytes of code it has.
    pub fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    /// Its packed form.
    fn packed_bytes(&self) -> &[u8] {
        self.chunk.bytes(self.packed.clone()).unwrap_or_default()
    }

    fn packed(&self) -> Option<Packed<'_>> {
        Packed::new(self.packed_bytes())
    }

    /// Its first byte.
    pub fn start(&self) -> *const u8 {
        self.start as *const u8
    }

    /// The address of the byte at an offset.
    pub fn address(&self, offset: u32) -> usize {
        self.start + offset as usize
    }

    /// Why the instruction at `pc` traps, if it can. Allocates nothing.
    #[cfg_attr(not(native_code), allow(dead_code, reason = "handlers of signals ask for it"))]
    pub fn trap(&self, pc: usize) -> Option<NativeTrap> {
        self.packed()?.trap((pc - self.start) as u32)
    }

    fn call(&self, return_address: usize) -> Option<CallRow<'_>> {
        self.packed()?.call((return_address - self.start) as u32)
    }

    /// The call of this number.
    pub fn call_row(&self, number: usize) -> Option<CallRow<'_>> {
        self.packed()?.call_row(number)
    }
}

/// All code that the instances of a store may run.
#[derive(Default, Debug)]
pub struct CodeMap {
    /// By ascending address.
    list: Vec<Arc<NativeCode>>,
}

impl CodeMap {
    /// Takes code in; false if it is there.
    pub fn add(&mut self, code: Arc<NativeCode>) -> bool {
        let at = self.list.partition_point(|other| other.start < code.start);
        let is_new = self.list.get(at).is_none_or(|other| other.start != code.start);
        if is_new {
            self.list.insert(at, code);
        }
        is_new
    }

    /// The function whose code `pc` lies in. Takes no lock and allocates nothing.
    pub fn find(&self, pc: usize) -> Option<&NativeCode> {
        let at = self.list.partition_point(|code| code.start <= pc).checked_sub(1)?;
        let code = &self.list[at];
        // A return address may lie right behind the last call.
        (pc <= code.start + code.code_bytes).then_some(code)
    }

    /// What a frame stands at whose code goes on at `address`.
    pub fn landing(&self, address: usize) -> Option<Landing<'_>> {
        let code = self.find(address)?;
        if let Some(call) = code.call(address) {
            return Some(Landing::Call(code, call));
        }
        (address == code.start).then_some(Landing::Start(code))
    }

    /// Whether the instruction at `pc` can trap, and why.
    #[cfg_attr(not(native_code), allow(dead_code, reason = "handlers of signals ask for it"))]
    pub fn trap(&self, pc: usize) -> Option<(&NativeCode, TrapCause)> {
        let code = self.find(pc)?;
        Some((code, code.trap(pc)?.cause))
    }
}
