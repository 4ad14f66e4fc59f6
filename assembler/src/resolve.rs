//! Index spaces: what identifiers mean.
//!
//! The first pass enters every definition here, so that the second can turn an identifier into an
//! index wherever it stands.
//!
//! Spec: Text Format, Conventions, Contexts.

use crate::names::{Names, Seed, name_of};
use crate::{Diagnostic, Span};

/// The kinds of things that have indices in a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Func,
    Table,
    Memory,
    Global,
    Tag,
    Type,
    Elem,
    Data,
    Local,
    Label,
    Field,
}

impl Space {
    /// The number of spaces that belong to a whole module.
    pub const MODULE_COUNT: usize = 8;

    /// What one thing in the space is called.
    pub fn noun(self) -> &'static str {
        match self {
            Space::Func => "function",
            Space::Table => "table",
            Space::Memory => "memory",
            Space::Global => "global",
            Space::Tag => "tag",
            Space::Type => "type",
            Space::Elem => "element segment",
            Space::Data => "data segment",
            Space::Local => "local",
            Space::Label => "label",
            Space::Field => "field",
        }
    }
}

/// The definitions of one space.
#[derive(Clone, Debug)]
pub(crate) struct Definitions {
    /// Those with identifiers.
    pub names: Names,
    /// All of them.
    pub count: u32,
    /// The number of those that the second pass has come by.
    pub passed: u32,
}

/// The index spaces of a module.
#[derive(Debug)]
pub(crate) struct Spaces([Definitions; Space::MODULE_COUNT]);

impl Spaces {
    /// Empty spaces.
    pub fn new(seed: Seed) -> Spaces {
        Spaces(std::array::from_fn(|_| Definitions {
            names: Names::new(seed),
            count: 0,
            passed: 0,
        }))
    }

    /// One space of the module.
    #[inline]
    pub fn of(&self, space: Space) -> &Definitions {
        &self.0[space as usize]
    }

    /// One space of the module, to add to.
    #[inline]
    pub fn of_mut(&mut self, space: Space) -> &mut Definitions {
        &mut self.0[space as usize]
    }

    /// The index of the next definition of this kind in the order of the text.
    pub fn pass(&mut self, space: Space) -> u32 {
        let definitions = self.of_mut(space);
        definitions.passed += 1;
        definitions.passed - 1
    }
}

/// How many candidates a message lists.
const LISTED: usize = 8;

/// How many names are compared for a suggestion; the later mistakes of a text compare fewer, so
/// that a hostile text with many mistakes and many names costs little.
const COMPARED: usize = 50_000;

/// Longer names get no suggestion.
const COMPARED_LEN: usize = 64;

/// The most similar of some names, if one is near enough to be a misspelling.
pub(crate) fn most_similar<'n>(
    wanted: &str, names: impl Iterator<Item = &'n str>,
) -> Option<&'n str> {
    if wanted.len() > COMPARED_LEN {
        return None;
    }
    let distance_allowed = 1 + wanted.len() / 4;
    names
        .filter(|name| name.len().abs_diff(wanted.len()) <= distance_allowed)
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        // At least half of the letters must be right.
        .filter(|(distance, _)| *distance <= distance_allowed && *distance * 2 <= wanted.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The complaint about an identifier that stands for nothing; `defined` are the tokens of those
/// that do, and `earlier` is the number of complaints before this one.
#[cold]
pub(crate) fn unknown(
    text: &[u8], id: Span, space: Space, defined: impl Iterator<Item = Span> + Clone,
    earlier: usize,
) -> Diagnostic {
    let noun = space.noun();
    let shown = shorten(&String::from_utf8_lossy(id.of(text)));
    let mut diagnostic =
        Diagnostic::error("unknown-identifier", id, format!("unknown {noun} `{shown}`"));
    let written: Vec<(String, Span)> = defined
        .clone()
        .take(COMPARED / (1 + earlier))
        .filter(|span| span.len_bytes() <= 2 * COMPARED_LEN)
        .map(|span| (String::from_utf8_lossy(&name_of(text, span)).into_owned(), span))
        .collect();
    let wanted = String::from_utf8_lossy(&name_of(text, id)).into_owned();
    if let Some(name) = most_similar(&wanted, written.iter().map(|(name, _)| name.as_str())) {
        let found = written.iter().find(|(written, _)| written == name);
        let span = found.map_or(id, |(_, span)| *span);
        diagnostic = diagnostic
            .suggesting(String::from_utf8_lossy(span.of(text)))
            .and_label(span, format!("a {noun} with a similar name"));
    }
    let count = defined.clone().count();
    let list: Vec<String> = defined
        .take(LISTED)
        .map(|span| format!("`{}`", shorten(&String::from_utf8_lossy(span.of(text)))))
        .collect();
    let what = match (space, count) {
        (Space::Label, 0) => "no labelled block is open here".to_string(),
        (Space::Local, 0) => "this function has no named parameters or locals".to_string(),
        (_, 0) => format!("no {noun} in this module has an identifier"),
        (Space::Label, _) => format!("the labels open here are {}", list.join(", ")),
        (Space::Local, _) => format!("the locals of this function are {}", list.join(", ")),
        (Space::Memory, 1) => format!("the memory of this module is {}", list.join(", ")),
        (Space::Memory, _) => format!("the memories of this module are {}", list.join(", ")),
        (_, 1) => format!("the only {noun} with an identifier is {}", list.join(", ")),
        (_, _) => format!("the {noun}s of this module are {}", list.join(", ")),
    };
    let more = if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() };
    diagnostic.with_note(what + &more)
}

/// A text of a token short enough for a message.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}
