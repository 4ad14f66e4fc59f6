//! The name section: identifiers for the text, and whether they give the section back.
//!
//! The assembler makes a name section of the identifiers in a text, always in one shape and at the
//! end of the module.
//! Where a module's own section has just that shape and place, its names become identifiers and
//! nothing else is printed; a name that cannot be an identifier (because it is empty or there
//! already) is given beside it with `(@name "...")`.
//! In every other case the section is printed as bytes, and identifiers only serve the reader.

use std::collections::HashSet;

use super::outline::Outline;
use super::reader::{Fault, Reader, u32_length_bytes};
use super::strings;

/// The index spaces whose items can have names, in the order of their subsections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Func,
    Type,
    Table,
    Memory,
    Global,
    Elem,
    Data,
    Tag,
}

/// How many spaces there are.
const SPACE_COUNT: usize = 8;

/// What becomes of the name section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// It is printed as bytes, if there is one.
    #[default]
    Bytes,
    /// The identifiers of the text give it back.
    Identifiers,
}

/// The identifiers of one index space.
#[derive(Default)]
pub(crate) struct Identifiers<'a> {
    /// All identifiers one after another, as they stand in the text, `$` included.
    text: Vec<u8>,
    /// Items with a name in ascending order, and where the identifier of each begins in `text`;
    /// an empty one is none.
    items: Vec<(u32, u32)>,
    /// Items whose name differs from their identifier, in ascending order.
    renamed: Vec<(u32, &'a str)>,
}

impl<'a> Identifiers<'a> {
    /// The identifier of an item, if it has one.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&[u8]> {
        let at = self.find(index)?;
        let start = self.items[at].1 as usize;
        let end = self.items.get(at + 1).map_or(self.text.len(), |next| next.1 as usize);
        self.text.get(start..end).filter(|text| !text.is_empty())
    }

    fn find(&self, index: u32) -> Option<usize> {
        // Where every item has a name, the first guess is right.
        match self.items.get(index as usize) {
            Some(item) if item.0 == index => Some(index as usize),
            _ => self.items.binary_search_by_key(&index, |item| item.0).ok(),
        }
    }

    /// The name that `(@name ...)` must give an item, because its identifier does not.
    pub fn annotation(&self, treatment: Treatment, index: u32) -> Option<&'a str> {
        if treatment == Treatment::Bytes {
            return None;
        }
        let at = self.renamed.binary_search_by_key(&index, |item| item.0).ok()?;
        Some(self.renamed[at].1)
    }

    /// Whether no item has a name.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Forgets everything but keeps the memory.
    fn clear(&mut self) {
        self.text.clear();
        self.items.clear();
        self.renamed.clear();
    }

    /// Adds an item; those with smaller indices are there already.
    fn push(&mut self, index: u32, name: &'a str, taken: &mut Taken<'a>) {
        // Offsets are 32 bits: what does not fit has no identifier, only its name.
        let fits = self.text.len() + 4 * name.len() + 64 < u32::MAX as usize;
        self.items.push((index, self.text.len() as u32));
        if name.is_empty() || !fits {
            self.renamed.push((index, name));
        } else if taken.names.insert(name) {
            strings::push_identifier(&mut self.text, name);
        } else {
            let other = taken.distinguish(name, index);
            strings::push_identifier(&mut self.text, &other);
            taken.made_up.insert(other);
            self.renamed.push((index, name));
        }
    }
}

/// The names of one space that cannot be given a second time.
#[derive(Default)]
struct Taken<'a> {
    /// Names seen so far.
    names: HashSet<&'a str>,
    /// All names of the space, so that what is made up meets none that follows.
    later: HashSet<&'a str>,
    /// Names made up for items whose own name was taken.
    made_up: HashSet<String>,
}

impl Taken<'_> {
    fn distinguish(&self, name: &str, index: u32) -> String {
        let mut other = format!("{name}#{index}");
        while self.later.contains(other.as_str()) || self.made_up.contains(&other) {
            other.push_str(&format!("#{index}"));
        }
        other
    }
}

/// All names of a module.
#[derive(Default)]
pub(crate) struct Names<'a> {
    pub module: Option<&'a str>,
    spaces: [Identifiers<'a>; SPACE_COUNT],
    /// Names of locals and of labels: one list for each function, read as functions are printed.
    pub locals: Nested<'a>,
    pub labels: Nested<'a>,
    pub treatment: Treatment,
}

impl<'a> Names<'a> {
    /// Reads the section. What is wrong in it ends the reading, but is no error: the section is
    /// then printed as bytes.
    ///
    /// `count_labels` tells how many labels the body of a function has, if that can be said.
    pub fn new(
        outline: &Outline<'a>, mut count_labels: impl FnMut(Reader<'a>) -> Option<u32>,
    ) -> Self {
        let mut names = Names::default();
        let Some(contents) = outline.names else { return names };
        let mut reading = Reading { contents, exact: outline.names_are_last };
        if reading.section(outline, &mut names).is_err() {
            reading.exact = false;
        }
        let exact = reading.exact
            && locals_fit(outline, &names.locals).unwrap_or(false)
            && labels_fit(outline, &names.labels, &mut count_labels).unwrap_or(false);
        if exact {
            names.treatment = Treatment::Identifiers;
        }
        names
    }

    /// The identifiers of one index space.
    #[inline(always)]
    pub fn of(&self, space: Space) -> &Identifiers<'a> {
        &self.spaces[space as usize]
    }

    /// The name that `(@name ...)` must give an item.
    pub fn annotation(&self, space: Space, index: u32) -> Option<&'a str> {
        self.of(space).annotation(self.treatment, index)
    }
}

/// Names in two levels: for each function a map.
#[derive(Clone, Copy, Default)]
pub(crate) struct Nested<'a> {
    maps: Option<Reader<'a>>,
    left: u32,
    /// The function whose map comes next.
    next: Option<u32>,
}

impl<'a> Nested<'a> {
    fn new(mut maps: Reader<'a>) -> Result<Self, Fault> {
        let left = maps.u32("a count")?;
        let mut nested = Self { maps: Some(maps), left, next: None };
        nested.advance();
        Ok(nested)
    }

    fn advance(&mut self) {
        let last = self.next.take();
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let next = self.maps.as_mut().and_then(|maps| maps.u32("an index").ok());
        // A list that goes backwards has ended for us: functions are printed in order.
        self.next = next.filter(|next| last.is_none_or(|last| last < *next));
    }

    /// Takes the map of `function` out into `into`, which is empty if there is none.
    /// Functions must be asked for in ascending order.
    pub fn take(&mut self, function: u32, into: &mut Identifiers<'a>) {
        into.clear();
        while let Some(next) = self.next
            && next <= function
        {
            let Some(maps) = &mut self.maps else { return };
            let mut ignored = Identifiers::default();
            let into = if next == function { &mut *into } else { &mut ignored };
            if Reading::map(maps, u32::MAX, into).is_err() {
                self.left = 0;
            }
            self.advance();
        }
    }

    /// Goes through the maps: for each function its index and the largest index named in it.
    fn each(mut self, mut then: impl FnMut(u32, u32) -> Option<bool>) -> Option<bool> {
        while let Some(function) = self.next {
            let maps = self.maps.as_mut()?;
            let largest = Reading::skip_map(maps).ok()??;
            if !then(function, largest)? {
                return Some(false);
            }
            self.advance();
        }
        Some(self.left == 0)
    }
}

/// Reads the section and watches whether it is what an assembler would write.
struct Reading<'a> {
    contents: Reader<'a>,
    exact: bool,
}

impl<'a> Reading<'a> {
    fn section(&mut self, outline: &Outline<'a>, names: &mut Names<'a>) -> Result<(), Fault> {
        let mut last = None;
        while !self.contents.is_done() {
            let id = self.contents.byte("a subsection")?;
            let start = self.contents.position();
            let count = self.contents.u32("the length of a subsection")?;
            self.exact &= self.contents.position() - start == u32_length_bytes(count);
            self.exact &= last < Some(id) && count > 0;
            let mut window = self.contents.window(count as usize, "a subsection")?;
            if last >= Some(id) {
                continue;
            }
            last = Some(id);
            let space = match id {
                0 => {
                    let length = window.clone().u32("the length of a name")?;
                    let shortest = u32_length_bytes(length) + length as usize == count as usize;
                    self.exact &= shortest && length > 0;
                    names.module = Some(window.name("the name of the module")?);
                    continue;
                }
                1 => (Space::Func, outline.function_types.len() as u32),
                2 | 3 => {
                    self.exact &= nested_is_exact(window, outline).unwrap_or(false);
                    let nested = Nested::new(window)?;
                    *(if id == 2 { &mut names.locals } else { &mut names.labels }) = nested;
                    continue;
                }
                4 => (Space::Type, outline.signatures.len() as u32),
                5 => (Space::Table, outline.table_count),
                6 => (Space::Memory, outline.memory_count),
                7 => (Space::Global, outline.global_count),
                8 => (Space::Elem, outline.element_count),
                9 => (Space::Data, outline.data_count),
                11 => (Space::Tag, outline.tag_count),
                _ => {
                    self.exact = false;
                    continue;
                }
            };
            let (space, limit) = space;
            self.exact &= map_is_exact(&mut window.clone()).unwrap_or(false);
            self.exact &= Self::map(&mut window, limit, &mut names.spaces[space as usize])?;
            self.exact &= window.is_done();
        }
        self.exact &= last.is_some();
        Ok(())
    }

    /// Reads a map of indices to names. Whether every index was below `limit`.
    fn map(window: &mut Reader<'a>, limit: u32, into: &mut Identifiers<'a>) -> Result<bool, Fault> {
        let mut taken = Taken::default();
        let count = window.u32("a count")?;
        let mut later = *window;
        for _ in 0..count {
            later.u32("an index")?;
            taken.later.insert(later.name("a name")?);
        }
        for _ in 0..count {
            let index = window.u32("an index")?;
            let name = window.name("a name")?;
            if index >= limit || into.items.last().is_some_and(|last| last.0 >= index) {
                return Ok(false);
            }
            into.push(index, name, &mut taken);
        }
        Ok(true)
    }

    /// Goes over a map; the largest index in it, if it has any.
    fn skip_map(window: &mut Reader<'a>) -> Result<Option<u32>, Fault> {
        let mut largest = None;
        for _ in 0..window.u32("a count")? {
            largest = largest.max(Some(window.u32("an index")?));
            window.name("a name")?;
        }
        Ok(largest)
    }
}

/// Whether a map's numbers have their shortest form and its indices go up, and it is not empty.
fn map_is_exact(window: &mut Reader<'_>) -> Result<bool, Fault> {
    let mut exact = true;
    let mut number = |window: &mut Reader<'_>| {
        let start = window.position();
        let value = window.u32("a number")?;
        exact &= window.position() - start == u32_length_bytes(value);
        Ok::<_, Fault>(value)
    };
    let count = number(window)?;
    let mut last = None;
    let mut ascending = true;
    for _ in 0..count {
        let index = number(window)?;
        ascending &= last < Some(index);
        last = Some(index);
        let length = number(window)?;
        window.take(length as usize, "a name")?;
    }
    Ok(exact && ascending && count > 0)
}

/// The same for maps in maps.
fn nested_is_exact(mut window: Reader<'_>, outline: &Outline<'_>) -> Result<bool, Fault> {
    let start = window.position();
    let count = window.u32("a count")?;
    let mut exact = window.position() - start == u32_length_bytes(count) && count > 0;
    let mut last = None;
    for _ in 0..count {
        let start = window.position();
        let function = window.u32("an index")?;
        exact &= window.position() - start == u32_length_bytes(function);
        exact &= last < Some(function) && (function as usize) < outline.function_types.len();
        last = Some(function);
        exact &= map_is_exact(&mut window)?;
    }
    Ok(exact && window.is_done())
}

/// Whether every named local exists, so that its name has a place in the text.
fn locals_fit(outline: &Outline<'_>, locals: &Nested<'_>) -> Option<bool> {
    let mut bodies = Bodies::new(outline)?;
    locals.each(|function, largest| {
        let params = outline.signature_of_function(function)?.param_count;
        let declared = match bodies.of(function)? {
            Some(body) => count_locals(body).ok()?,
            None => 0,
        };
        Some(u64::from(largest) < u64::from(params) + declared)
    })
}

/// The same for labels.
fn labels_fit<'a>(
    outline: &Outline<'a>, labels: &Nested<'a>,
    count_labels: &mut impl FnMut(Reader<'a>) -> Option<u32>,
) -> Option<bool> {
    let mut bodies = Bodies::new(outline)?;
    labels.each(|function, largest| {
        Some(match bodies.of(function)? {
            Some(body) => largest < count_labels(body)?,
            None => false,
        })
    })
}

/// The bodies of functions, asked for in ascending order.
struct Bodies<'a> {
    code: Option<Reader<'a>>,
    next: u32,
    imported: u32,
}

impl<'a> Bodies<'a> {
    fn new(outline: &Outline<'a>) -> Option<Self> {
        let mut code = outline.code;
        if let Some(code) = &mut code {
            code.u32("a count").ok()?;
        }
        let imported = outline.imported_functions;
        Some(Self { code, next: imported, imported })
    }

    /// The body of a function: `Some(None)` for an imported one, `None` where there is none.
    fn of(&mut self, function: u32) -> Option<Option<Reader<'a>>> {
        if function < self.imported {
            return Some(None);
        }
        let code = self.code.as_mut()?;
        loop {
            let count = code.u32("the length of a body").ok()?;
            let body = code.window(count as usize, "a body").ok()?;
            self.next += 1;
            if self.next > function {
                return Some(Some(body));
            }
        }
    }
}

/// How many locals a body declares.
fn count_locals(mut body: Reader<'_>) -> Result<u64, Fault> {
    let mut total = 0;
    for _ in 0..body.u32("a count")? {
        total += u64::from(body.u32("a count")?);
        super::outline::skip_value_type(&mut body)?;
    }
    Ok(total)
}
