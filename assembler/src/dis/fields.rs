//! The fields of a module but for the bodies of functions.
//!
//! Each function here puts one entry of a section, without the line feed before it.

use super::code::{self, Code};
use super::names::{Identifiers, Space};
use super::outline::{SectionKind, skip_value_type};
use super::reader::{Fault, Reader};
use super::sink::Sink;
use super::types::{
    put_definition, put_index, put_limits, put_mutable, put_name_annotation, put_type_entry,
    put_value_type,
};
use super::{Module, strings};

/// Items of a long list on each line.
const LIST_LINE_COUNT: u32 = 16;

/// How many items of each index space have been printed.
#[derive(Default)]
pub(super) struct Counters {
    pub types: u32,
    pub functions: u32,
    tables: u32,
    memories: u32,
    globals: u32,
    tags: u32,
    elements: u32,
    data: u32,
}

/// The next index of a space.
fn next(counter: &mut u32) -> u32 {
    let index = *counter;
    *counter = counter.saturating_add(1);
    index
}

/// Puts one entry of a section.
pub(super) fn put_entry<'a>(
    sink: &mut Sink<'_>, module: &Module<'a>, code: &mut Code<'a>, kind: SectionKind,
    counters: &mut Counters, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let names = &module.names;
    match kind {
        SectionKind::Type => {
            counters.types = put_type_entry(sink, names, reader, counters.types)?;
        }
        SectionKind::Import => put_import(sink, module, code, counters, reader)?,
        SectionKind::Table => {
            sink.put("(table ");
            put_definition(sink, names, Space::Table, next(&mut counters.tables));
            sink.put_byte(b' ');
            let has_value = reader.peek() == Some(0x40);
            if has_value {
                reader.array::<2>("a table")?;
            }
            put_table_type(sink, module, reader)?;
            if has_value {
                sink.put_byte(b' ');
                code::put_expression(sink, module, reader, "", "")?;
            }
            sink.put_byte(b')');
        }
        SectionKind::Memory => {
            sink.put("(memory ");
            put_definition(sink, names, Space::Memory, next(&mut counters.memories));
            sink.put_byte(b' ');
            put_limits(sink, reader)?;
            sink.put_byte(b')');
        }
        SectionKind::Tag => {
            put_tag(sink, module, counters, reader)?;
        }
        SectionKind::Global => {
            sink.put("(global ");
            put_definition(sink, names, Space::Global, next(&mut counters.globals));
            sink.put_byte(b' ');
            put_mutable(sink, names, reader)?;
            sink.put_byte(b' ');
            code::put_expression(sink, module, reader, "", "")?;
            sink.put_byte(b')');
        }
        SectionKind::Export => put_export(sink, module, reader)?,
        SectionKind::Element => put_element(sink, module, counters, reader)?,
        SectionKind::Data => put_data(sink, module, counters, reader)?,
        // These have no entries of this kind.
        SectionKind::Custom
        | SectionKind::Function
        | SectionKind::Start
        | SectionKind::Code
        | SectionKind::DataCount => {}
    }
    Ok(())
}

fn put_import<'a>(
    sink: &mut Sink<'_>, module: &Module<'a>, code: &mut Code<'a>, counters: &mut Counters,
    reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let names = &module.names;
    sink.put("(import ");
    strings::put_name(sink, reader.name("the module of an import")?);
    sink.put_byte(b' ');
    strings::put_name(sink, reader.name("the name of an import")?);
    sink.put_byte(b' ');
    match reader.byte("the kind of an import")? {
        0 => {
            let function = next(&mut counters.functions);
            sink.put("(func ");
            put_definition(sink, names, Space::Func, function);
            sink.put_byte(b' ');
            code.put_signature(sink, module, function, reader.u32("a type index")?)?;
        }
        1 => {
            sink.put("(table ");
            put_definition(sink, names, Space::Table, next(&mut counters.tables));
            sink.put_byte(b' ');
            put_table_type(sink, module, reader)?;
        }
        2 => {
            sink.put("(memory ");
            put_definition(sink, names, Space::Memory, next(&mut counters.memories));
            sink.put_byte(b' ');
            put_limits(sink, reader)?;
        }
        3 => {
            sink.put("(global ");
            put_definition(sink, names, Space::Global, next(&mut counters.globals));
            sink.put_byte(b' ');
            put_mutable(sink, names, reader)?;
        }
        // The outline has refused every other kind.
        _ => {
            put_tag(sink, module, counters, reader)?;
            sink.put_byte(b')');
            return Ok(());
        }
    }
    sink.put("))");
    Ok(())
}

/// Puts limits and element type, which stand the other way round in bytecode.
fn put_table_type(
    sink: &mut Sink<'_>, module: &Module<'_>, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let mut element = *reader;
    skip_value_type(reader)?;
    put_limits(sink, reader)?;
    sink.put_byte(b' ');
    put_value_type(sink, &module.names, &mut element)
}

fn put_tag(
    sink: &mut Sink<'_>, module: &Module<'_>, counters: &mut Counters, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    sink.put("(tag ");
    put_definition(sink, &module.names, Space::Tag, next(&mut counters.tags));
    sink.put_byte(b' ');
    let at = reader.position();
    if reader.byte("the kind of a tag")? != 0 {
        return Err(Reader::fault(at, "unknown kind of tag"));
    }
    module.uses.put(sink, reader.u32("a type index")?);
    sink.put_byte(b')');
    Ok(())
}

fn put_export(
    sink: &mut Sink<'_>, module: &Module<'_>, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    sink.put("(export ");
    strings::put_name(sink, reader.name("the name of an export")?);
    let at = reader.position();
    let (keyword, space) = match reader.byte("the kind of an export")? {
        0 => (" (func ", Space::Func),
        1 => (" (table ", Space::Table),
        2 => (" (memory ", Space::Memory),
        3 => (" (global ", Space::Global),
        4 => (" (tag ", Space::Tag),
        kind => return Err(Reader::fault(at, format!("unknown kind of export {kind}"))),
    };
    sink.put(keyword);
    put_index(sink, &module.names, space, reader.u32("an index")?);
    sink.put("))");
    Ok(())
}

fn put_element(
    sink: &mut Sink<'_>, module: &Module<'_>, counters: &mut Counters, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let names = &module.names;
    sink.put("(elem ");
    put_definition(sink, names, Space::Elem, next(&mut counters.elements));
    let at = reader.position();
    let flags = reader.u32("the kind of an element segment")?;
    if flags > 7 {
        return Err(Reader::fault(at, format!("unknown kind of element segment {flags}")));
    }
    let is_active = flags & 1 == 0;
    let has_more = flags & 2 != 0;
    let has_expressions = flags & 4 != 0;
    if is_active {
        if has_more {
            sink.put(" (table ");
            put_index(sink, names, Space::Table, reader.u32("a table index")?);
            sink.put_byte(b')');
        }
        sink.put_byte(b' ');
        code::put_expression(sink, module, reader, "(offset ", ")")?;
    } else if has_more {
        sink.put(" declare");
    }
    let has_type = flags & 3 != 0;
    sink.put_byte(b' ');
    if has_expressions {
        if has_type {
            put_value_type(sink, names, reader)?;
        } else {
            sink.put("funcref");
        }
    } else {
        let at = reader.position();
        if has_type && reader.byte("the kind of elements")? != 0 {
            return Err(Reader::fault(at, "unknown kind of elements"));
        }
        sink.put("func");
    }
    for item in 0..reader.u32("the number of elements")? {
        if item % LIST_LINE_COUNT == 0 && item > 0 {
            sink.new_line(2);
        } else {
            sink.put_byte(b' ');
        }
        if has_expressions {
            code::put_expression(sink, module, reader, "(item ", ")")?;
        } else {
            put_index(sink, names, Space::Func, reader.u32("a function index")?);
        }
    }
    sink.put_byte(b')');
    Ok(())
}

fn put_data(
    sink: &mut Sink<'_>, module: &Module<'_>, counters: &mut Counters, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let names = &module.names;
    sink.put("(data ");
    put_definition(sink, names, Space::Data, next(&mut counters.data));
    let at = reader.position();
    let flags = reader.u32("the kind of a data segment")?;
    if flags > 2 {
        return Err(Reader::fault(at, format!("unknown kind of data segment {flags}")));
    }
    if flags == 2 {
        let memory = reader.u32("a memory index")?;
        if memory != 0 {
            sink.put(" (memory ");
            put_index(sink, names, Space::Memory, memory);
            sink.put_byte(b')');
        }
    }
    if flags != 1 {
        sink.put_byte(b' ');
        code::put_expression(sink, module, reader, "(offset ", ")")?;
    }
    let count = reader.u32("the length of a data segment")?;
    strings::put_data(sink, reader.take(count as usize, "a data segment")?, 2);
    sink.put_byte(b')');
    Ok(())
}

/// Puts the parameters of a function one by one, with their names, and the results.
pub(super) fn put_named_signature(
    sink: &mut Sink<'_>, module: &Module<'_>, locals: &Identifiers<'_>, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let names = &module.names;
    let mut list = LocalList::new(" (param", sink);
    for local in 0..reader.u32("the number of parameters")? {
        list.before_type(sink, module, locals, local);
        put_value_type(sink, names, reader)?;
        list.after_type(sink);
    }
    list.finish(sink);
    let results = reader.u32("the number of results")?;
    if results > 0 {
        sink.put(" (result");
        for _ in 0..results {
            sink.put_byte(b' ');
            put_value_type(sink, names, reader)?;
        }
        sink.put_byte(b')');
    }
    Ok(())
}

/// A list of parameters or locals: those with names stand by themselves, others together.
pub(super) struct LocalList {
    keyword: &'static str,
    state: ListState,
    line_start: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ListState {
    Closed,
    /// Parentheses are open around locals without names.
    Open,
    /// Parentheses are open around one with a name.
    Named,
}

/// Columns after which a list goes on in the next line.
const LIST_LINE_COLUMNS: u64 = 80;

impl LocalList {
    pub fn new(keyword: &'static str, sink: &Sink<'_>) -> Self {
        Self { keyword, state: ListState::Closed, line_start: sink.position() }
    }

    /// Puts what stands before the type of a local.
    pub fn before_type(
        &mut self, sink: &mut Sink<'_>, module: &Module<'_>, locals: &Identifiers<'_>, local: u32,
    ) {
        let identifier = locals.get(local);
        let name = locals.annotation(module.names.treatment, local);
        if sink.position() - self.line_start > LIST_LINE_COLUMNS {
            self.line_start = sink.position();
            sink.new_line(2);
        }
        if identifier.is_none() && name.is_none() {
            if self.state == ListState::Closed {
                sink.put(self.keyword);
            }
            sink.put_byte(b' ');
            self.state = ListState::Open;
            return;
        }
        self.close(sink);
        sink.put(self.keyword);
        sink.put_byte(b' ');
        if let Some(identifier) = identifier {
            sink.put_bytes(identifier);
            sink.put_byte(b' ');
        }
        if let Some(name) = name {
            put_name_annotation(sink, name);
        }
        self.state = ListState::Named;
    }

    /// Puts what stands behind it.
    pub fn after_type(&mut self, sink: &mut Sink<'_>) {
        if self.state == ListState::Named {
            self.close(sink);
        }
    }

    /// Ends the list.
    pub fn finish(mut self, sink: &mut Sink<'_>) {
        self.close(sink);
    }

    fn close(&mut self, sink: &mut Sink<'_>) {
        if self.state != ListState::Closed {
            sink.put_byte(b')');
        }
        self.state = ListState::Closed;
    }
}
