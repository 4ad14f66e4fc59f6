//! Identifiers and what they stand for.
//!
//! A table keeps ranges of the text, not strings, so a million names cost no allocation each.
//! The hash has a random seed: a text cannot be written so that its names collide.
//!
//! Spec: Text Format, Values, Identifiers; Conventions, Contexts.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use crate::{Span, string};

/// The name of an identifier token, without `$` and quotes.
pub(crate) fn name_of(text: &[u8], id: Span) -> Cow<'_, [u8]> {
    let bytes = id.of(text);
    match bytes {
        [b'$', b'"', inner @ .., b'"'] => {
            if memchr::memchr(b'\\', inner).is_none() {
                return Cow::Borrowed(inner);
            }
            let mut name = Vec::new();
            let quoted = Span { start: id.start + 1, end: id.end };
            // A malformed one was reported where it was read first.
            let _ = string::unescape(text, quoted, &mut name);
            Cow::Owned(name)
        }
        _ => Cow::Borrowed(bytes.get(1..).unwrap_or_default()),
    }
}

/// The hash function of one assembly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

impl Seed {
    /// A new one for each text.
    pub fn random() -> Seed {
        Seed(RandomState::new().hash_one(0))
    }

    /// The hash of a name.
    #[inline]
    pub fn hash(self, name: &[u8]) -> u32 {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mix = |state: u64, word: u64| {
            let product = u128::from(state ^ word) * u128::from(FACTOR | 1);
            product as u64 ^ (product >> 64) as u64
        };
        let mut state = self.0 ^ name.len() as u64;
        let mut words = name.chunks_exact(8);
        for word in &mut words {
            state = mix(state, u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let mut last = [0; 8];
        let rest = words.remainder();
        last[..rest.len()].copy_from_slice(rest);
        state = mix(state.rotate_left(23) ^ self.0, u64::from_le_bytes(last));
        (state ^ state >> 32) as u32
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    id: Span,
    index: u32,
}

/// The names of one index space.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    seed: Seed,
    /// Open addressing: 0 is free, else the number of an entry + 1. A power of two, or empty.
    slots: Vec<u32>,
    entries: Vec<Entry>,
}

impl Names {
    /// An empty table.
    pub fn new(seed: Seed) -> Names {
        Names { seed, slots: Vec::new(), entries: Vec::new() }
    }

    /// Forgets all names, in time proportional to their number.
    pub fn clear(&mut self) {
        let mask = self.slots.len().wrapping_sub(1);
        for entry in self.entries.drain(..) {
            // The slot of an entry lies in the run behind its hash.
            let mut slot = entry.hash as usize & mask;
            while self.slots[slot] != 0 {
                self.slots[slot] = 0;
                slot = (slot + 1) & mask;
            }
        }
    }

    /// Adds the name of an identifier token; gives the earlier token where it is not new.
    pub fn insert(&mut self, text: &[u8], id: Span, index: u32) -> Result<(), Span> {
        let name = name_of(text, id);
        let hash = self.seed.hash(&name);
        if let Some(found) = self.entry(text, &name, hash) {
            return Err(self.entries[found].id);
        }
        if self.entries.len() * 2 >= self.slots.len() {
            self.grow();
        }
        self.entries.push(Entry { hash, id, index });
        self.place(hash, self.entries.len() as u32);
        Ok(())
    }

    /// The index that a name stands for.
    #[inline]
    pub fn find(&self, text: &[u8], name: &[u8]) -> Option<u32> {
        let entry = self.entry(text, name, self.seed.hash(name))?;
        Some(self.entries[entry].index)
    }

    /// All identifier tokens in the order of their definition.
    pub fn ids(&self) -> impl Iterator<Item = Span> + Clone + '_ {
        self.entries.iter().map(|entry| entry.id)
    }

    #[inline]
    fn entry(&self, text: &[u8], name: &[u8], hash: u32) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = hash as usize & mask;
        while let Some(number) = (self.slots[slot] as usize).checked_sub(1) {
            let entry = &self.entries[number];
            if entry.hash == hash && *name_of(text, entry.id) == *name {
                return Some(number);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    fn place(&mut self, hash: u32, number: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = number;
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(16);
        self.slots.clear();
        self.slots.resize(len, 0);
        for number in 0..self.entries.len() {
            self.place(self.entries[number].hash, number as u32 + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_plain_identifiers_are_the_same_name() {
        let text = br#"$a $"a" $"\61" $b"#;
        let ids = [Span::new(0, 2), Span::new(3, 7), Span::new(8, 14), Span::new(15, 17)];
        let mut names = Names::new(Seed::random());
        assert_eq!(names.insert(text, ids[0], 7), Ok(()));
        assert_eq!(names.insert(text, ids[1], 8), Err(ids[0]));
        assert_eq!(names.insert(text, ids[2], 8), Err(ids[0]));
        assert_eq!(names.insert(text, ids[3], 8), Ok(()));
        assert_eq!((names.find(text, b"a"), names.find(text, b"b")), (Some(7), Some(8)));
        names.clear();
        assert_eq!(names.find(text, b"a"), None);
        assert_eq!(names.insert(text, ids[1], 1), Ok(()));
        assert_eq!(names.find(text, b"a"), Some(1));
    }

    #[test]
    fn many_names_are_found_again() {
        let text: String = (0..5000).map(|i| format!("$n{i:05}")).collect();
        let id = |i: usize| Span::new(i * 7, i * 7 + 7);
        let mut names = Names::new(Seed::random());
        for round in 0..3 {
            for i in 0..5000 {
                assert_eq!(names.insert(text.as_bytes(), id(i), i as u32 + round), Ok(()));
            }
            for i in 0..5000 {
                let name = name_of(text.as_bytes(), id(i));
                assert_eq!(names.find(text.as_bytes(), &name), Some(i as u32 + round));
            }
            names.clear();
        }
    }
}
