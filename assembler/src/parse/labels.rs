//! The labels of the blocks that are open.

use std::collections::HashMap;

use crate::Span;
use crate::names::{Seed, name_of};

/// How many levels are searched one by one; below that a table helps, so that a text of deeply
/// nested named blocks stays linear.
const SEARCHED: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Label {
    hash: u32,
    id: Option<Span>,
}

/// A stack of labels, the innermost last.
#[derive(Debug)]
pub(super) struct Labels {
    seed: Seed,
    stack: Vec<Label>,
    /// For each hash the levels of labels with it; filled once the stack is deep.
    by_hash: HashMap<u32, Vec<u32>>,
    indexed: bool,
}

impl Labels {
    pub fn new(seed: Seed) -> Labels {
        Labels { seed, stack: Vec::new(), by_hash: HashMap::new(), indexed: false }
    }

    pub fn clear(&mut self) {
        self.stack.clear();
        self.by_hash.clear();
        self.indexed = false;
    }

    /// Enters a block.
    pub fn push(&mut self, text: &[u8], id: Option<Span>) {
        let hash = id.map_or(0, |id| self.seed.hash(&name_of(text, id)));
        self.stack.push(Label { hash, id });
        if self.indexed {
            self.index_level(self.stack.len() - 1);
        } else if self.stack.len() > SEARCHED {
            self.indexed = true;
            for level in 0..self.stack.len() {
                self.index_level(level);
            }
        }
    }

    /// Leaves a block.
    pub fn pop(&mut self) {
        let label = self.stack.pop();
        if self.indexed
            && let Some(Label { hash, id: Some(_) }) = label
            && let Some(levels) = self.by_hash.get_mut(&hash)
        {
            levels.pop();
        }
    }

    /// The identifier of the innermost block.
    pub fn innermost(&self) -> Option<Span> {
        self.stack.last().and_then(|label| label.id)
    }

    /// How many blocks are between here and the innermost one with a name.
    pub fn find(&self, text: &[u8], name: &[u8]) -> Option<u32> {
        let hash = self.seed.hash(name);
        let is_it = |label: &Label| {
            label.hash == hash && label.id.is_some_and(|id| *name_of(text, id) == *name)
        };
        if !self.indexed {
            return self.stack.iter().rev().position(is_it).map(|depth| depth as u32);
        }
        let levels = self.by_hash.get(&hash)?;
        let level = levels.iter().rev().find(|&&level| is_it(&self.stack[level as usize]))?;
        Some(self.stack.len() as u32 - 1 - level)
    }

    /// The identifiers, the innermost first.
    pub fn ids(&self) -> impl Iterator<Item = Span> + Clone + '_ {
        self.stack.iter().rev().filter_map(|label| label.id)
    }

    fn index_level(&mut self, level: usize) {
        let Label { hash, id } = self.stack[level];
        if id.is_some() {
            self.by_hash.entry(hash).or_default().push(level as u32);
        }
    }
}
