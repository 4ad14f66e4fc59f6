//! Compiled functions in memory, and whose an address is.

use std::sync::Arc;

use crate::compile::{Entry, NativeCall, NativeFunction, NativeTrap, TrapCause};
use crate::native::arena::CodeChunk;

/// A compiled function that can run. Shared by all instances of its module.
#[derive(Debug)]
pub struct NativeCode {
    /// The function, by index of its module.
    pub function: u32,
    /// Where its code begins.
    pub entry: Entry,
    start: usize,
    len_bytes: usize,
    traps: Vec<NativeTrap>,
    calls: Vec<NativeCall>,
    /// Keeps the mapping.
    _chunk: Arc<CodeChunk>,
}

/// What an address in compiled code is.
#[derive(Clone, Copy, Debug)]
pub enum Landing<'a> {
    /// The first byte: the function has not begun.
    Start(&'a NativeCode),
    /// The return address of a call.
    Call(&'a NativeCode, &'a NativeCall),
}

impl NativeCode {
    /// Puts compiled functions into memory. None if the host refuses.
    pub fn install(compiled: Vec<(u32, Entry, NativeFunction)>) -> Option<Vec<Arc<Self>>> {
        let pieces: Vec<&[u8]> = compiled.iter().map(|(_, _, made)| &made.code[..]).collect();
        let (chunk, offsets) = CodeChunk::new(&pieces)?;
        let chunk = Arc::new(chunk);
        let all = compiled.into_iter().zip(offsets).map(|((function, entry, made), offset)| {
            Arc::new(Self {
                function,
                entry,
                start: chunk.address(offset) as usize,
                len_bytes: made.code.len(),
                traps: made.traps,
                calls: made.calls,
                _chunk: chunk.clone(),
            })
        });
        Some(all.collect())
    }

    /// Its first byte.
    pub fn start(&self) -> *const u8 {
        self.start as *const u8
    }

    /// The address of the byte at an offset.
    pub fn address(&self, offset: u32) -> usize {
        self.start + offset as usize
    }

    /// Why the instruction at `pc` traps, if it can.
    #[cfg_attr(not(native_code), allow(dead_code, reason = "handlers of signals ask for it"))]
    pub fn trap(&self, pc: usize) -> Option<&NativeTrap> {
        let offset = (pc - self.start) as u32;
        let at = self.traps.binary_search_by_key(&offset, |trap| trap.code_offset).ok()?;
        Some(&self.traps[at])
    }

    fn call(&self, return_address: usize) -> Option<&NativeCall> {
        let offset = (return_address - self.start) as u32;
        let at = self.calls.binary_search_by_key(&offset, |call| call.code_offset).ok()?;
        Some(&self.calls[at])
    }
}

/// All code that the instances of a store may run.
#[derive(Default, Debug)]
pub struct CodeMap {
    /// By ascending address.
    list: Vec<Arc<NativeCode>>,
}

impl CodeMap {
    /// Takes code in.
    pub fn add(&mut self, code: Arc<NativeCode>) {
        let at = self.list.partition_point(|other| other.start < code.start);
        if self.list.get(at).is_none_or(|other| other.start != code.start) {
            self.list.insert(at, code);
        }
    }

    /// The function whose code `pc` lies in. Takes no lock and allocates nothing.
    pub fn find(&self, pc: usize) -> Option<&NativeCode> {
        let at = self.list.partition_point(|code| code.start <= pc).checked_sub(1)?;
        let code = &self.list[at];
        // A return address may lie right behind the last call.
        (pc <= code.start + code.len_bytes).then_some(code)
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
