//! Where icode is: a buffer that one translation fills, and an arena that keeps what is finished.

use crate::interp::dispatch::Handler;

/// Position of a record in the buffer, in words of 8 bytes.
pub type Word = u32;

/// The icode of one function while it is made. Reused from function to function.
#[derive(Default)]
pub struct Buffer {
    words: Vec<u64>,
}

impl Buffer {
    /// Forgets everything but the allocation.
    pub fn clear(&mut self) {
        self.words.clear();
    }
    /// Where the next record will be.
    #[inline]
    pub fn here(&self) -> Word {
        self.words.len() as Word
    }
    /// A record with its operands: four u16 fields.
    #[inline]
    pub fn record(&mut self, handler: Handler, fields: [u16; 4]) -> Word {
        let here = self.here();
        self.words.extend_from_slice(&[handler as usize as u64, pack(fields)]);
        here
    }
    /// Another word of the last record.
    #[inline]
    pub fn extra(&mut self, word: u64) {
        self.words.push(word);
    }
    /// Drops everything from `from` on.
    pub fn truncate(&mut self, from: Word) {
        self.words.truncate(from as usize);
    }
    /// Takes the record at `from` out, which is the last one.
    pub fn take(&mut self, from: Word) -> ([u64; 4], usize) {
        let mut words = [0; 4];
        let tail = &self.words[from as usize..];
        let count = tail.len();
        words[..count].copy_from_slice(tail);
        self.truncate(from);
        (words, count)
    }
    /// The handler's address of a record.
    pub fn set_handler(&mut self, record: Word, handler: Handler) {
        self.words[record as usize] = handler as usize as u64;
    }
    /// Puts another record of 16 bytes in the place of one.
    pub fn replace(&mut self, record: Word, handler: Handler, fields: [u16; 4]) {
        self.set_handler(record, handler);
        self.words[record as usize + 1] = pack(fields);
    }
    /// Sets the u16 at byte `at` of a record.
    pub fn set_field(&mut self, record: Word, at: usize, value: u16) {
        let word = &mut self.words[record as usize + at / 8];
        let shift = at % 8 * 8;
        *word = *word & !(0xFFFF << shift) | u64::from(value) << shift;
    }
    /// Sets the 32 bits at byte `at` from the start of the buffer.
    pub fn set_u32(&mut self, at: u32, value: u32) {
        let word = &mut self.words[at as usize / 8];
        let shift = at % 8 * 8;
        *word = *word & !(0xFFFF_FFFF << shift) | u64::from(value) << shift;
    }
    /// All words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

/// Four u16 fields as one word, first field lowest.
#[inline]
pub fn pack(fields: [u16; 4]) -> u64 {
    let [a, b, c, d] = fields.map(u64::from);
    a | b << 16 | c << 32 | d << 48
}

/// Two u16 fields and 32 bits behind them.
#[inline]
pub fn with_word(a: u16, b: u16, word: u32) -> [u16; 4] {
    [a, b, word as u16, (word >> 16) as u16]
}

/// Finished icode. Never moves and is freed as a whole: frames hold addresses in it.
#[derive(Default)]
pub struct Arena {
    chunks: Vec<Box<[u64]>>,
    used: usize,
    next_words: usize,
}

/// Chunks grow up to this many words (256 KiB), so that small programs stay small.
const MAX_CHUNK_WORDS: usize = 1 << 15;
const MIN_CHUNK_WORDS: usize = 1 << 6;

impl Arena {
    /// Copies `words` and gives their address.
    pub fn keep(&mut self, words: &[u64]) -> *const u64 {
        let place = self.place(words.len());
        place.copy_from_slice(words);
        place.as_ptr()
    }

    /// Room for `count` words.
    fn place(&mut self, count: usize) -> &mut [u64] {
        let room = self.chunks.last().map_or(0, |chunk| chunk.len() - self.used);
        if room < count {
            let usual = self.next_words.clamp(MIN_CHUNK_WORDS, MAX_CHUNK_WORDS);
            self.next_words = usual * 2;
            self.chunks.push(vec![0; usual.max(count)].into_boxed_slice());
            self.used = 0;
        }
        let from = self.used;
        self.used += count;
        let chunk = self.chunks.last_mut().expect("a chunk was just made sure of");
        &mut chunk[from..from + count]
    }

    /// How many bytes of icode there are.
    pub fn len_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len() * 8).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_code_stays_where_it_is() {
        let mut arena = Arena::default();
        let kept: Vec<_> = (0..2000u64).map(|i| (i, arena.keep(&[i; 7]))).collect();
        for (i, address) in kept {
            // SAFETY: `keep` gave the address of seven words.
            assert_eq!(unsafe { address.add(6).read() }, i);
        }
        assert!(arena.len_bytes() < 2000 * 56 * 2);
    }
}
