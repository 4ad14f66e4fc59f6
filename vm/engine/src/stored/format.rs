//! The form of stored code: a header and batches of packed functions, each added at the end.
//!
//! A reader walks the batches and looks at their rows only; a function's own bytes are looked at
//! when it is called first. Later rows hold against earlier ones of the same function, so that code
//! which was damaged is replaced by being added again.
//! All checksums are BLAKE3 under the key of the file: what belongs to another file never fits.
//!
//! ```text
//! header  magic | version | id and module of the key | checksum of these    96 bytes
//! batch   magic | rows | bytes in all | checksum of these and of the rows   32 bytes
//!         rows: function | entry | offset in the batch | bytes | checksum   32 bytes each
//!         packed functions, each at a multiple of 16
//! ```
//!
//! A row without bytes stands for a function that the compiler has refused.

use super::Key;
use crate::compile::Entry;
use crate::site::SiteId;

/// What a file begins with.
const MAGIC: [u8; 8] = *b"\x7fbrantC\n";

/// Changes with this file, and with the form of packed functions.
const VERSION: u32 = 1;

/// How many bytes the header has.
pub const HEADER_BYTES: usize = 96;

const BATCH_MAGIC: u32 = 0xb4a7_c0de;
const BATCH_BYTES: usize = 32;
const ROW_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 16;
const ALIGN: usize = 16;

/// No batch is larger: writers begin a new one before.
const MAX_BATCH_BYTES: usize = 256 << 20;

/// The entry of functions that begin at their start.
const AT_START: u32 = u32::MAX;

/// A checksum under a key.
pub type Checksum = [u8; CHECKSUM_BYTES];

/// A function of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    pub function: u32,
    pub entry: Entry,
    /// Where its packed form is, counted from the start of the file.
    pub at: usize,
    /// How long that is; 0 if there is none.
    pub len_bytes: usize,
    checksum: Checksum,
}

impl Row {
    /// Whether these bytes are those that the row was made for.
    pub fn fits(&self, key: &Key, bytes: &[u8]) -> bool {
        bytes.len() == self.len_bytes && checksum(key, &[bytes]) == self.checksum
    }
}

fn checksum(key: &Key, parts: &[&[u8]]) -> Checksum {
    let mut hasher = blake3::Hasher::new_keyed(&key.id);
    for part in parts {
        hasher.update(part);
    }
    let mut short = [0; CHECKSUM_BYTES];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM_BYTES]);
    short
}

/// Tells entries of a function apart.
pub fn entry_number(entry: Entry) -> u32 {
    match entry {
        Entry::Start => AT_START,
        Entry::Loop(SiteId(site)) => site,
    }
}

/// What a file under this key begins with.
pub fn header(key: &Key) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..48].copy_from_slice(&key.id);
    bytes[48..80].copy_from_slice(&key.module);
    let sum = checksum(key, &[&bytes[..80]]);
    bytes[80..].copy_from_slice(&sum);
    bytes
}

/// The key of the file that begins with these bytes, if they are a header.
pub fn header_key(bytes: &[u8; HEADER_BYTES]) -> Option<Key> {
    let part = |at: usize| bytes[at..].first_chunk().copied();
    let key = Key { id: part(16)?, module: part(48)? };
    (header(&key) == *bytes).then_some(key)
}

/// How many bytes of a file under this key are a header and whole batches, if those before `from`
/// are known to be; 0 if the header is another one. `read` fills a buffer from an offset of the
/// file, and says whether it could.
pub fn valid_bytes(key: &Key, from: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) -> u64 {
    let mut end = from;
    if end < HEADER_BYTES as u64 {
        let mut found = [0; HEADER_BYTES];
        if !read(0, &mut found) || found != header(key) {
            return 0;
        }
        end = HEADER_BYTES as u64;
    }
    let mut buffer = Vec::new();
    loop {
        let mut first = [0; BATCH_BYTES];
        let Some(head) = read(end, &mut first).then(|| Head::new(&first)).flatten() else {
            return end;
        };
        buffer.resize(BATCH_BYTES + head.rows_bytes, 0);
        // The last byte has to be there, too.
        let last = end + head.len_bytes as u64 - 1;
        let is_whole = read(end, &mut buffer) && head.fits(key, &buffer) && read(last, &mut [0]);
        if !is_whole {
            return end;
        }
        end += head.len_bytes as u64;
    }
}

/// What a batch begins with.
struct Head {
    rows_bytes: usize,
    len_bytes: usize,
}

impl Head {
    fn new(bytes: &[u8]) -> Option<Self> {
        let magic = word(bytes, 0)?;
        let rows_bytes = (word(bytes, 4)? as usize).checked_mul(ROW_BYTES)?;
        let len_bytes = word(bytes, 8)? as usize;
        let is_one = magic == BATCH_MAGIC
            && word(bytes, 12)? == 0
            && (1..=MAX_BATCH_BYTES).contains(&len_bytes)
            && len_bytes.is_multiple_of(ALIGN)
            && rows_bytes <= len_bytes - BATCH_BYTES.min(len_bytes);
        is_one.then_some(Self { rows_bytes, len_bytes })
    }

    /// Whether the checksum in `bytes`, which are the head and the rows, is theirs.
    fn fits(&self, key: &Key, bytes: &[u8]) -> bool {
        let (head, rows) = bytes.split_at(BATCH_BYTES);
        checksum(key, &[&head[..16], rows]) == head[16..]
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The rows of all valid batches of a file, in their order. None if the header is another one.
pub fn rows(key: &Key, bytes: &[u8]) -> Option<Vec<Row>> {
    if bytes.get(..HEADER_BYTES)? != header(key) {
        return None;
    }
    let (mut at, mut rows) = (HEADER_BYTES, Vec::new());
    while let Some(found) = batch(key, &bytes[at..]) {
        let table = &found[BATCH_BYTES..][..Head::new(found)?.rows_bytes];
        rows.extend(table.chunks_exact(ROW_BYTES).filter_map(|row| read_row(row, at, found.len())));
        at += found.len();
    }
    Some(rows)
}

/// The batch at the front of `bytes`, if it is whole.
fn batch<'a>(key: &Key, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let head = Head::new(bytes)?;
    let whole = bytes.get(..head.len_bytes)?;
    head.fits(key, &whole[..BATCH_BYTES + head.rows_bytes]).then_some(whole)
}

fn read_row(bytes: &[u8], batch_at: usize, batch_bytes: usize) -> Option<Row> {
    let entry = match word(bytes, 4)? {
        AT_START => Entry::Start,
        site => Entry::Loop(SiteId(site)),
    };
    let (offset, len_bytes) = (word(bytes, 8)? as usize, word(bytes, 12)? as usize);
    let is_inside = offset.checked_add(len_bytes)? <= batch_bytes && offset.is_multiple_of(ALIGN);
    let checksum = *bytes.get(16..)?.first_chunk()?;
    let row = Row { function: word(bytes, 0)?, entry, at: batch_at + offset, len_bytes, checksum };
    is_inside.then_some(row)
}

/// Makes a batch.
#[derive(Debug)]
pub struct BatchWriter {
    key: Key,
    rows: Vec<u8>,
    functions: Vec<u8>,
    /// Where each row has its offset, which is known at the end.
    offsets: Vec<usize>,
}

impl BatchWriter {
    /// An empty batch for a file under `key`.
    pub fn new(key: Key) -> Self {
        Self { key, rows: Vec::new(), functions: Vec::new(), offsets: Vec::new() }
    }

    /// How large it has become.
    pub fn len_bytes(&self) -> usize {
        self.rows.len() + self.functions.len()
    }

    /// Adds a function; `packed` is empty if it was refused.
    pub fn push(&mut self, function: u32, entry: Entry, packed: &[u8]) {
        let entry = entry_number(entry);
        self.offsets.push(self.functions.len());
        for word in [function, entry, 0, packed.len() as u32] {
            self.rows.extend(word.to_le_bytes());
        }
        self.rows.extend(checksum(&self.key, &[packed]));
        self.functions.extend(packed);
        self.functions.resize(self.functions.len().next_multiple_of(ALIGN), 0);
    }

    /// The bytes of the batch; none if nothing was added, or too much.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        let first = BATCH_BYTES + self.rows.len();
        let len_bytes = first + self.functions.len();
        if self.offsets.is_empty() || len_bytes > MAX_BATCH_BYTES {
            return None;
        }
        for (row, offset) in self.rows.chunks_exact_mut(ROW_BYTES).zip(&self.offsets) {
            row[8..12].copy_from_slice(&((first + offset) as u32).to_le_bytes());
        }
        let mut bytes = Vec::with_capacity(len_bytes);
        for word in [BATCH_MAGIC, self.offsets.len() as u32, len_bytes as u32, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(checksum(&self.key, &[&bytes, &self.rows]));
        bytes.extend(&self.rows);
        bytes.extend(&self.functions);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key { id: [7; 32], module: [1; 32] };
    const OTHER: Key = Key { id: [8; 32], module: [1; 32] };

    /// Two batches behind a header.
    fn file() -> Vec<u8> {
        let mut bytes = header(&KEY).to_vec();
        let mut first = BatchWriter::new(KEY);
        first.push(3, Entry::Start, b"three");
        first.push(4, Entry::Loop(SiteId(9)), &[4; 40]);
        bytes.extend(first.finish().expect("two functions"));
        let mut second = BatchWriter::new(KEY);
        second.push(3, Entry::Start, b"");
        bytes.extend(second.finish().expect("one function"));
        bytes
    }

    fn valid(key: &Key, from: u64, bytes: &[u8]) -> usize {
        let read = |at: u64, buffer: &mut [u8]| {
            let part = bytes.get(at as usize..).and_then(|rest| rest.get(..buffer.len()));
            part.map(|part| buffer.copy_from_slice(part)).is_some()
        };
        valid_bytes(key, from, read) as usize
    }

    #[test]
    fn what_was_added_is_found_in_its_order() {
        let bytes = file();
        let found = rows(&KEY, &bytes).expect("its header");
        let part = |row: &Row| bytes[row.at..][..row.len_bytes].to_vec();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].function, found[0].entry), (3, Entry::Start));
        assert_eq!((found[1].function, found[1].entry), (4, Entry::Loop(SiteId(9))));
        assert_eq!((part(&found[0]), part(&found[1])), (b"three".to_vec(), vec![4; 40]));
        assert_eq!((found[2].function, found[2].len_bytes), (3, 0));
        assert!(found.iter().all(|row| row.at % ALIGN == 0 && row.fits(&KEY, &part(row))));
        assert!(!found[0].fits(&KEY, b"threw") && !found[0].fits(&OTHER, b"three"));
        assert_eq!(valid(&KEY, 0, &bytes), bytes.len());
        assert_eq!(valid(&KEY, HEADER_BYTES as u64, &bytes), bytes.len());
        assert_eq!(header_key(bytes.first_chunk().expect("a header")), Some(KEY));
    }

    #[test]
    fn a_file_that_was_cut_has_the_batches_before_the_cut() {
        let bytes = file();
        let second = rows(&KEY, &bytes).expect("its header").len() - 1;
        for len in 0..bytes.len() {
            let cut = &bytes[..len];
            let end = valid(&KEY, 0, cut);
            match rows(&KEY, cut) {
                None => assert!(len < HEADER_BYTES && end == 0),
                Some(rows) => {
                    assert!(rows.is_empty() || rows.len() == second, "{len}");
                    assert!(end <= len && end >= HEADER_BYTES);
                    assert_eq!(rows, super::rows(&KEY, &bytes[..end]).expect("its header"));
                }
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = file();
        let good = rows(&KEY, &bytes).expect("its header");
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let found = rows(&KEY, &damaged).unwrap_or_default();
                let sound =
                    found.iter().filter(|row| row.fits(&KEY, &damaged[row.at..][..row.len_bytes]));
                // What is left is as it was, and something is missing, unless it was a gap.
                assert!(sound.clone().all(|row| good.contains(row)), "{at}");
                let in_a_gap = at >= HEADER_BYTES && {
                    let covered =
                        good.iter().any(|row| (row.at..row.at + row.len_bytes).contains(&at));
                    !covered && found == good
                };
                assert!(sound.count() < good.len() || in_a_gap, "{at}");
            }
        }
    }

    #[test]
    fn a_foreign_file_has_nothing() {
        let bytes = file();
        assert_eq!(rows(&OTHER, &bytes), None);
        assert_eq!(valid(&OTHER, 0, &bytes), 0);
        // Nor have foreign batches behind the right header.
        let mut mixed = header(&OTHER).to_vec();
        mixed.extend(&bytes[HEADER_BYTES..]);
        assert_eq!(rows(&OTHER, &mixed), Some(vec![]));
        assert_eq!(valid(&OTHER, 0, &mixed), HEADER_BYTES);
    }

    #[test]
    fn counts_that_no_file_can_have_are_refused() {
        for (rows, len) in [(u32::MAX, 32), (1, 32), (0, 0), (0, u32::MAX), (1, 16), (0, 24)] {
            let mut bytes = header(&KEY).to_vec();
            for word in [BATCH_MAGIC, rows, len, 0] {
                bytes.extend(word.to_le_bytes());
            }
            bytes.resize(4096, 0);
            assert_eq!(super::rows(&KEY, &bytes), Some(vec![]), "{rows} {len}");
            assert_eq!(valid(&KEY, 0, &bytes), HEADER_BYTES);
        }
    }
}
