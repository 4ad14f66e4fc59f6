//! Bytecode to text.
//!
//! The text assembles to the same bytes again: every custom section is printed at its place, and
//! names become identifiers exactly where the assembler makes the same name section of them.
//! Where bytecode is not in its shortest form (padded LEB128 numbers), the text has the same
//! meaning.
//!
//! The text is written as the bytes are read; what is kept in memory is one rendered line for each
//! type and the identifiers.
//! Nesting costs heap, never native stack.
//! It must never know whether a module is valid: what can be decoded can be printed.

mod code;
mod custom;
mod fields;
mod fold;
pub(crate) mod names;
mod number;
pub(crate) mod outline;
mod reader;
mod sink;
pub(crate) mod strings;
pub(crate) mod table;
mod types;

use std::cell::RefCell;
use std::io;

use code::Code;
use custom::Place;
use fields::Counters;
use fold::{Fold, Shared};
use names::{Names, Space, Treatment};
use outline::{Outline, Section, SectionKind, Sections};
use reader::{Fault, Reader};
use sink::Sink;
use types::TypeUses;

/// Writes the text of a module.
///
/// # Errors
/// Bytes that cannot be decoded, with their offset, and failures of `out`.
/// What was written before an error stays written.
pub fn disassemble(
    bytes: &[u8], options: &DisassembleOptions, out: &mut dyn io::Write,
) -> Result<(), DisassembleError> {
    let mut sink = Sink::new(out);
    let printed = Module::new(bytes, options).and_then(|module| module.put(&mut sink));
    let written = sink.finish();
    printed.map_err(|fault| *fault)?;
    written.map_err(DisassembleError::Write)
}

/// A module and what the text of any part of it may need.
struct Module<'a> {
    bytes: &'a [u8],
    options: &'a DisassembleOptions,
    outline: Outline<'a>,
    names: Names<'a>,
    uses: TypeUses,
}

impl<'a> Module<'a> {
    fn new(bytes: &'a [u8], options: &'a DisassembleOptions) -> Result<Self, Fault> {
        let outline = Outline::new(bytes)?;
        let mut module =
            Module { bytes, options, outline, names: Names::default(), uses: TypeUses::default() };
        if options.names {
            module.names = Names::new(&module.outline, |body| count_labels(&module, body).ok());
        }
        module.uses = TypeUses::new(bytes, &module.outline, &module.names)?;
        Ok(module)
    }

    /// Puts the whole text.
    fn put(&self, sink: &mut Sink<'_>) -> Result<(), Fault> {
        sink.put("(module");
        if let Some(name) = self.names.module.filter(|name| !name.is_empty()) {
            let mut identifier = vec![b' '];
            strings::push_identifier(&mut identifier, name);
            sink.put_bytes(&identifier);
        }
        let mut printing = Printing {
            module: self,
            code: Code::new(self),
            counters: Counters::default(),
            last: None,
        };
        let mut sections = Sections::new(self.bytes)?;
        while let Some(section) = sections.next()? {
            if sink.has_failed() {
                return Ok(());
            }
            printing.put_section(sink, section)?;
        }
        if self.outline.has_data_count && !printing.code.needs_data_count {
            // No instruction calls for the section, so the text must.
            sink.new_line(1);
            sink.put("(@data_count)");
        }
        sink.put("\n)\n");
        Ok(())
    }
}

/// How many labels a body has.
fn count_labels<'a>(module: &Module<'a>, body: Reader<'a>) -> Result<u32, Fault> {
    let mut nothing = io::sink();
    let mut sink = Sink::new(&mut nothing);
    let mut code = Code::default();
    let mut body = body;
    for _ in 0..body.u32("the number of locals")? {
        body.u32("the number of locals")?;
        outline::skip_value_type(&mut body)?;
    }
    code.put_body(&mut sink, module, &mut body)?;
    Ok(code.label_count)
}

/// What is known while sections are printed one after another.
struct Printing<'m, 'a> {
    module: &'m Module<'a>,
    code: Code<'a>,
    counters: Counters,
    /// The last section that was no custom one.
    last: Option<SectionKind>,
}

impl<'a> Printing<'_, 'a> {
    fn put_section(&mut self, sink: &mut Sink<'_>, section: Section<'a>) -> Result<(), Fault> {
        let mut contents = section.contents;
        let module = self.module;
        match section.kind {
            SectionKind::Custom => return self.put_custom(sink, contents),
            SectionKind::Function | SectionKind::DataCount => {
                contents = Reader::at(module.bytes, module.bytes.len());
            }
            SectionKind::Start => {
                self.begin_field(sink, &contents);
                sink.put("(start ");
                let function = contents.u32("a function index")?;
                types::put_index(sink, &module.names, Space::Func, function);
                sink.put_byte(b')');
            }
            SectionKind::Code => self.put_functions(sink, &mut contents)?,
            kind => {
                for _ in 0..contents.u32("the number of entries")? {
                    self.begin_field(sink, &contents);
                    let (code, counters) = (&mut self.code, &mut self.counters);
                    fields::put_entry(sink, module, code, kind, counters, &mut contents)?;
                    if sink.has_failed() {
                        return Ok(());
                    }
                }
            }
        }
        self.last = Some(section.kind);
        if contents.is_done() {
            return Ok(());
        }
        let anchor = section.kind.anchor();
        let message =
            format!("{} bytes behind the end of the section of `{anchor}`", contents.left());
        Err(Reader::fault(contents.position(), message))
    }

    /// Begins the line of a field.
    fn begin_field(&self, sink: &mut Sink<'_>, contents: &Reader<'_>) {
        sink.new_line(1);
        if self.module.options.offsets {
            code::put_offset(sink, contents.position());
        }
    }

    fn put_custom(&mut self, sink: &mut Sink<'_>, contents: Reader<'a>) -> Result<(), Fault> {
        let outline = &self.module.outline;
        let is_first_names = {
            let mut ahead = contents;
            ahead.name("the name of a custom section")? == "name"
                && outline.names.is_some_and(|names| names.position() == ahead.position())
        };
        if is_first_names && self.module.names.treatment == Treatment::Identifiers {
            return Ok(());
        }
        let place = match self.last {
            _ if self.last == outline.last => Place::Last,
            None => Place::First,
            Some(kind) => Place::After(kind),
        };
        self.begin_field(sink, &contents);
        custom::put_custom(sink, place, contents)
    }

    fn put_functions(
        &mut self, sink: &mut Sink<'_>, contents: &mut Reader<'a>,
    ) -> Result<(), Fault> {
        let text = RefCell::new(Vec::new());
        let mut writer = Shared(&text);
        let mut fold = match self.module.options.form {
            Form::Flat => None,
            Form::Folded => Some(Fold::new(&text, Sink::new(&mut writer))),
        };
        for _ in 0..contents.u32("the number of functions")? {
            let count = contents.u32("the length of a body")? as usize;
            self.begin_field(sink, contents);
            let body = contents.window(count, "the body of a function")?;
            let function = self.counters.functions;
            self.code.put_function(sink, self.module, function, body, fold.as_mut())?;
            self.counters.functions += 1;
            if sink.has_failed() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// How instructions are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// One instruction on each line.
    #[default]
    Flat,
    /// Operands stand inside the parentheses of the instruction that takes them.
    Folded,
}

/// Options of [`crate::disassemble`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DisassembleOptions {
    /// How instructions are laid out.
    pub form: Form,
    /// Whether names of the name section are used as identifiers.
    /// Without them the name section is printed as bytes.
    pub names: bool,
    /// Whether each field and instruction begins with its offset in the bytecode as a comment.
    pub offsets: bool,
}

impl Default for DisassembleOptions {
    fn default() -> Self {
        Self { form: Form::Flat, names: true, offsets: false }
    }
}

/// Why there is no text, or only a part of it.
#[derive(Debug)]
pub enum DisassembleError {
    /// The bytes are no module.
    Malformed {
        /// Where in the bytes.
        offset: usize,
        /// One sentence without a full stop.
        message: String,
    },
    /// The text could not be written.
    Write(io::Error),
}

impl std::fmt::Display for DisassembleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed { offset, message } => write!(f, "{message} (at offset {offset:#x})"),
            Self::Write(error) => write!(f, "the text cannot be written: {error}"),
        }
    }
}

impl std::error::Error for DisassembleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed { .. } => None,
            Self::Write(error) => Some(error),
        }
    }
}
