//! The icode of an instance: where it is, and whose an address is.

use crate::icode::code::Arena;

/// All functions of an instance that were translated so far.
#[derive(Default)]
pub(crate) struct Icode {
    arena: Arena,
    /// By ascending address: whoever enters compiled code asks often.
    functions: Vec<Span>,
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
        let at = self.functions.partition_point(|span| span.start <= start);
        self.functions.insert(at, Span { start, end: start + size_of_val(words), function });
        entry
    }

    /// The function whose record lies at `address`, and the record's offset in it.
    pub(crate) fn find(&self, address: *const u8) -> Option<(u32, u32)> {
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
