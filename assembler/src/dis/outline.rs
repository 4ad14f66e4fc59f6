//! The first look at a module: which sections there are, and how large each index space is.
//!
//! Printing needs two things before it comes to them: the names (they stand at the end) and the
//! types of functions (the text repeats parameters and results beside a type's index).
//! The outline keeps four bytes for each function and a few for each type, and nothing for custom
//! sections, however many there are.

use super::reader::{Fault, Reader};

/// Bytes at the start of every module: magic number and version 1.
const HEADER: &[u8; 8] = b"\0asm\x01\0\0\0";

/// Most types of a module, as in the limits that engines share.
const TYPES_MAX_COUNT: u32 = 1_000_000;

/// Most functions of a module, as in the limits that engines share.
const FUNCTIONS_MAX_COUNT: u32 = 1_000_000;

/// The kinds of sections, numbered as in bytecode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SectionKind {
    Custom,
    Type,
    Import,
    Function,
    Table,
    Memory,
    Global,
    Export,
    Start,
    Element,
    Code,
    Data,
    DataCount,
    Tag,
}

impl SectionKind {
    /// The order in which sections stand in a module, and in the text.
    const ORDER: [SectionKind; 13] = {
        use SectionKind::*;
        [
            Type, Import, Function, Table, Memory, Tag, Global, Export, Start, Element, DataCount,
            Code, Data,
        ]
    };

    fn from_id(id: u8) -> Option<Self> {
        if id == 0 {
            return Some(Self::Custom);
        }
        Self::ORDER.into_iter().find(|kind| *kind as u8 == id)
    }

    /// The place in [`SectionKind::ORDER`].
    pub fn rank(self) -> usize {
        Self::ORDER.iter().position(|kind| *kind == self).unwrap_or(0)
    }

    /// What the text calls the section as an anchor of custom ones.
    pub fn anchor(self) -> &'static str {
        match self {
            Self::Custom | Self::DataCount | Self::Code => "code",
            Self::Type => "type",
            Self::Import => "import",
            Self::Function => "func",
            Self::Table => "table",
            Self::Memory => "memory",
            Self::Global => "global",
            Self::Export => "export",
            Self::Start => "start",
            Self::Element => "elem",
            Self::Data => "data",
            Self::Tag => "tag",
        }
    }
}

/// One section: its kind and its contents.
pub(crate) struct Section<'a> {
    pub kind: SectionKind,
    pub contents: Reader<'a>,
}

/// The sections of a module, one after another.
pub(crate) struct Sections<'a> {
    reader: Reader<'a>,
    /// One more than the rank of the last section that was no custom one.
    next_rank: usize,
}

impl<'a> Sections<'a> {
    /// # Errors
    /// Bytes that do not begin as a module does.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes);
        let length = bytes.len().min(HEADER.len());
        if bytes[..length] != HEADER[..length] || length == 0 {
            let message = if bytes.starts_with(b"\0asm") {
                match bytes.get(6) {
                    Some(1) => "this is a component, not a module",
                    _ => "unknown version of the format, version 1 expected",
                }
            } else {
                "no module begins like this: `\\00asm` expected"
            };
            return Err(Reader::fault(0, message));
        }
        reader.take(HEADER.len(), "the header of a module")?;
        Ok(Self { reader, next_rank: 0 })
    }

    /// The next section, or nothing at the end of the module.
    pub fn next(&mut self) -> Result<Option<Section<'a>>, Fault> {
        if self.reader.is_done() {
            return Ok(None);
        }
        let at = self.reader.position();
        let id = self.reader.byte("the id of a section")?;
        let kind = SectionKind::from_id(id)
            .ok_or_else(|| Reader::fault(at, format!("unknown section id {id}")))?;
        let count = self.reader.u32("the length of a section")? as usize;
        let contents = self.reader.window(count, "a section")?;
        if kind != SectionKind::Custom {
            if kind.rank() < self.next_rank {
                let anchor = kind.anchor();
                let message = format!("the section of `{anchor}` is out of order or repeated");
                return Err(Reader::fault(at, message));
            }
            self.next_rank = kind.rank() + 1;
        }
        Ok(Some(Section { kind, contents }))
    }
}

/// What the rest of the text needs to know in advance.
#[derive(Default)]
pub(crate) struct Outline<'a> {
    /// For each type its parameters and results; `None` where it is no function type.
    pub signatures: Vec<Option<Signature>>,
    /// For each function its type; imported ones first.
    pub function_types: Vec<u32>,
    /// How many of the functions are imported.
    pub imported_functions: u32,
    pub table_count: u32,
    pub memory_count: u32,
    pub global_count: u32,
    pub tag_count: u32,
    pub element_count: u32,
    pub data_count: u32,
    /// Types of tags, imported ones first.
    pub tag_types: Vec<u32>,
    /// The contents of the code section.
    pub code: Option<Reader<'a>>,
    /// Whether there is a section that says how many data segments there are.
    pub has_data_count: bool,
    /// The contents of the first custom section called `name`.
    pub names: Option<Reader<'a>>,
    /// Whether that one is the last section of the module and the only one of its name.
    pub names_are_last: bool,
    /// The last section that is no custom one.
    pub last: Option<SectionKind>,
}

/// The shape of a function type.
#[derive(Clone, Copy)]
pub(crate) struct Signature {
    /// Where the list of parameters begins in the module (its count).
    pub offset: usize,
    pub param_count: u32,
    pub result_count: u32,
}

impl<'a> Outline<'a> {
    /// Goes over the module once.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut outline = Outline::default();
        let mut sections = Sections::new(bytes)?;
        let mut declared = 0;
        while let Some(section) = sections.next()? {
            let mut contents = section.contents;
            outline.names_are_last = false;
            match section.kind {
                SectionKind::Custom => {
                    let is_names = contents.name("the name of a custom section")? == "name";
                    if is_names {
                        outline.names_are_last = outline.names.is_none();
                        outline.names = outline.names.or(Some(contents));
                    }
                    continue;
                }
                SectionKind::Type => outline.read_types(contents)?,
                SectionKind::Import => outline.read_imports(contents)?,
                SectionKind::Function => {
                    declared = contents.u32("the number of functions")?;
                    check_count(contents, declared, FUNCTIONS_MAX_COUNT, "functions")?;
                    for _ in 0..declared {
                        outline.function_types.push(contents.u32("a type index")?);
                    }
                }
                SectionKind::Tag => {
                    let count = contents.u32("the number of tags")?;
                    for _ in 0..count {
                        contents.byte("the kind of a tag")?;
                        outline.tag_types.push(contents.u32("a type index")?);
                        outline.tag_count += 1;
                    }
                }
                SectionKind::Table => {
                    outline.table_count = count(&mut contents, outline.table_count)?
                }
                SectionKind::Memory => {
                    outline.memory_count = count(&mut contents, outline.memory_count)?
                }
                SectionKind::Global => {
                    outline.global_count = count(&mut contents, outline.global_count)?
                }
                SectionKind::Element => outline.element_count = count(&mut contents, 0)?,
                SectionKind::Data => outline.data_count = count(&mut contents, 0)?,
                SectionKind::Code => outline.code = Some(contents),
                SectionKind::DataCount => outline.has_data_count = true,
                SectionKind::Export | SectionKind::Start => {}
            }
            outline.last = Some(section.kind);
        }
        let bodies = match outline.code {
            Some(mut code) => code.u32("the number of functions")?,
            None => 0,
        };
        if bodies != declared {
            let at = outline.code.map_or(bytes.len(), |code| code.position());
            let message = format!("{declared} functions are declared, but {bodies} have a body");
            return Err(Reader::fault(at, message));
        }
        Ok(outline)
    }

    fn read_types(&mut self, mut contents: Reader<'a>) -> Result<(), Fault> {
        let groups = contents.u32("the number of types")?;
        check_count(contents, groups, TYPES_MAX_COUNT, "types")?;
        for _ in 0..groups {
            let mut members = 1;
            if contents.peek() == Some(0x4e) {
                contents.byte("a group of types")?;
                members = contents.u32("the number of types")?;
                check_count(contents, members, TYPES_MAX_COUNT, "types")?;
            }
            for _ in 0..members {
                let signature = read_type(&mut contents)?;
                self.signatures.push(signature);
            }
        }
        Ok(())
    }

    fn read_imports(&mut self, mut contents: Reader<'a>) -> Result<(), Fault> {
        let count = contents.u32("the number of imports")?;
        for _ in 0..count {
            contents.name("the module of an import")?;
            contents.name("the name of an import")?;
            let at = contents.position();
            match contents.byte("the kind of an import")? {
                0 => {
                    self.function_types.push(contents.u32("a type index")?);
                    self.imported_functions += 1;
                }
                1 => {
                    skip_value_type(&mut contents)?;
                    skip_limits(&mut contents)?;
                    self.table_count += 1;
                }
                2 => {
                    skip_limits(&mut contents)?;
                    self.memory_count += 1;
                }
                3 => {
                    skip_value_type(&mut contents)?;
                    contents.byte("whether a global is mutable")?;
                    self.global_count += 1;
                }
                4 => {
                    contents.byte("the kind of a tag")?;
                    self.tag_types.push(contents.u32("a type index")?);
                    self.tag_count += 1;
                }
                kind => return Err(Reader::fault(at, format!("unknown kind of import {kind}"))),
            }
        }
        Ok(())
    }

    /// The signature of a function by its index.
    pub fn signature_of_function(&self, function: u32) -> Option<Signature> {
        self.signature(*self.function_types.get(function as usize)?)
    }

    /// The signature of a type by its index.
    pub fn signature(&self, index: u32) -> Option<Signature> {
        *self.signatures.get(index as usize)?
    }
}

/// The size of an index space: what was imported and what the section claims to declare.
fn count(contents: &mut Reader<'_>, imported: u32) -> Result<u32, Fault> {
    Ok(imported.saturating_add(contents.u32("a count")?))
}

/// Refuses a count that the bytes behind it cannot hold, or that no engine takes.
fn check_count(contents: Reader<'_>, count: u32, most: u32, what: &str) -> Result<(), Fault> {
    if count > most || count as usize > contents.left() {
        let message = format!("{count} {what} are claimed, more than there can be");
        return Err(Reader::fault(contents.position(), message));
    }
    Ok(())
}

/// Goes over one type; the signature if it is a function's.
fn read_type(contents: &mut Reader<'_>) -> Result<Option<Signature>, Fault> {
    let mut at = contents.position();
    let mut form = contents.byte("a type")?;
    if form == 0x4f || form == 0x50 {
        for _ in 0..contents.u32("the number of supertypes")? {
            contents.u32("a type index")?;
        }
        at = contents.position();
        form = contents.byte("a type")?;
    }
    match form {
        0x60 => {
            let offset = contents.position();
            let param_count = contents.u32("the number of parameters")?;
            for _ in 0..param_count {
                skip_value_type(contents)?;
            }
            let result_count = contents.u32("the number of results")?;
            for _ in 0..result_count {
                skip_value_type(contents)?;
            }
            Ok(Some(Signature { offset, param_count, result_count }))
        }
        0x5f => {
            for _ in 0..contents.u32("the number of fields")? {
                skip_value_type(contents)?;
                contents.byte("whether a field is mutable")?;
            }
            Ok(None)
        }
        0x5e => {
            skip_value_type(contents)?;
            contents.byte("whether elements are mutable")?;
            Ok(None)
        }
        form => Err(Reader::fault(at, format!("unknown form of type {form:#04x}"))),
    }
}

/// Goes over a value type, a reference type or a packed type.
pub(super) fn skip_value_type(contents: &mut Reader<'_>) -> Result<(), Fault> {
    if matches!(contents.byte("a type")?, 0x63 | 0x64) {
        contents.signed(33, "a heap type")?;
    }
    Ok(())
}

fn skip_limits(contents: &mut Reader<'_>) -> Result<(), Fault> {
    let flags = contents.byte("limits")?;
    contents.u64("the minimum of limits")?;
    if flags & 1 != 0 {
        contents.u64("the maximum of limits")?;
    }
    if flags & 8 != 0 {
        contents.u32("the size of a page")?;
    }
    Ok(())
}
