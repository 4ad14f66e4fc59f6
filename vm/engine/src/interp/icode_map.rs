//! The icode of an instance: where it is, and whose an address is.

use std::cell::Cell;

use crate::icode::code::Arena;

/// All functions of an instance that were translated so far.
#[derive(Default)]
pub(crate) struct Icode {
    arena: Arena,
    /// Sorted when somebody asks, which is at traps and in tools.
    functions: Vec<Span>,
    is_sorted: Cell<bool>,
}

#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    function: u32,
}

impl Icode {
    /// Keeps the records of a function; gives its entry.
    pub(crate) fn keep(&mut self, function: u32, words: &[u64]) -> *const u8 {
        let entry = self.arena.keep(words).cast::<u8>();
        let start = entry as usize;
        self.functions.push(Span { start, end: start + size_of_val(words), function });
        self.is_sorted.set(false);
        entry
    }

    /// The function whose record lies at `address`, and the record's offset in it.
    pub(crate) fn find(&mut self, address: *const u8) -> Option<(u32, u32)> {
        if !self.is_sorted.replace(true) {
            self.functions.sort_unstable_by_key(|span| span.start);
        }
        let address = address as usize;
        let at = self.functions.partition_point(|span| span.start <= address).checked_sub(1)?;
        let span = self.functions[at];
        (address < span.end).then(|| (span.function, (address - span.start) as u32))
    }

    /// How many bytes of icode there are.
    pub(crate) fn len_bytes(&self) -> usize {
        self.arena.len_bytes()
    }

    /// How many functions were translated.
    pub(crate) fn function_count(&self) -> usize {
        self.functions.len()
    }
}
