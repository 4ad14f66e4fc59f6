//! Function bodies and constant expressions.
//!
//! The flat form is one pass over the bytes: each instruction is put as it is read.
//! Labels are told apart by their depth, so that a body needs no memory unless its labels have
//! names.

use super::Module;
use brant_isa::{ImmediateKind as Kind, Opcode};

use super::fields::{LocalList, put_named_signature};
use super::fold::Fold;
use super::names::{Identifiers, Nested, Space};
use super::number;
use super::reader::{Fault, Reader};
use super::sink::Sink;
use super::table::{Entry, Form, Table};
use super::types::{put_heap_type, put_index, put_name_annotation, put_value_type};

/// Nesting of a function's instructions in the text: inside `(module (func`.
const BODY_LEVEL: usize = 2;

/// Most locals of a function, as in the limits that engines share.
const LOCALS_MAX_COUNT: u32 = 50_000;

/// How many labels outwards a name is looked for; beyond it a label is a number.
const LABEL_SEARCH_MAX: usize = 64;

/// Targets of `br_table` on each line.
const TARGETS_LINE_COUNT: u32 = 16;

/// What is known while bodies are printed one after another.
#[derive(Default)]
pub(super) struct Code<'a> {
    locals: Nested<'a>,
    labels: Nested<'a>,
    /// Names of the function at hand.
    local_names: Identifiers<'a>,
    label_names: Identifiers<'a>,
    /// Labels that have begun in the function at hand.
    pub label_count: u32,
    /// The labels around the instruction at hand by number, if labels have names.
    open: Vec<u32>,
    /// How many labels are around it.
    pub depth: usize,
    /// Whether an instruction needed the number of data segments in advance.
    pub needs_data_count: bool,
}

impl<'a> Code<'a> {
    pub fn new(module: &Module<'a>) -> Self {
        let (locals, labels) = (module.names.locals, module.names.labels);
        Self { locals, labels, ..Self::default() }
    }

    /// Puts type, parameters and results of a function, behind its identifier.
    pub fn put_signature(
        &mut self, sink: &mut Sink<'_>, module: &Module<'a>, function: u32, index: u32,
    ) -> Result<(), Fault> {
        self.locals.take(function, &mut self.local_names);
        match module.outline.signature(index) {
            Some(signature) if !self.local_names.is_empty() => {
                sink.put("(type ");
                put_index(sink, &module.names, Space::Type, index);
                sink.put_byte(b')');
                let mut reader = Reader::at(module.bytes, signature.offset);
                put_named_signature(sink, module, &self.local_names, &mut reader)
            }
            _ => {
                module.uses.put(sink, index);
                Ok(())
            }
        }
    }

    /// Puts a function, folded where there is memory for it.
    pub fn put_function(
        &mut self, sink: &mut Sink<'_>, module: &Module<'a>, function: u32, mut body: Reader<'a>,
        fold: Option<&mut Fold<'_>>,
    ) -> Result<(), Fault> {
        sink.put("(func ");
        super::types::put_definition(sink, &module.names, Space::Func, function);
        sink.put_byte(b' ');
        let index = module.outline.function_types.get(function as usize).copied();
        self.put_signature(sink, module, function, index.unwrap_or(u32::MAX))?;
        self.labels.take(function, &mut self.label_names);

        let params = module.outline.signature_of_function(function);
        self.put_locals(sink, module, params.map_or(0, |params| params.param_count), &mut body)?;
        match fold {
            None => self.put_body(sink, module, &mut body)?,
            Some(fold) => fold.put_body(self, sink, module, function, &mut body)?,
        }
        sink.new_line(1);
        sink.put_byte(b')');
        Ok(())
    }

    fn put_locals(
        &mut self, sink: &mut Sink<'_>, module: &Module<'a>, params: u32, body: &mut Reader<'_>,
    ) -> Result<(), Fault> {
        let groups = body.u32("the number of locals")?;
        if groups == 0 {
            return Ok(());
        }
        sink.new_line(BODY_LEVEL);
        let mut list = LocalList::new("(local", sink);
        let mut total: u32 = 0;
        for _ in 0..groups {
            let at = body.position();
            let count = body.u32("the number of locals")?;
            let first = total;
            total = total.saturating_add(count);
            if total > LOCALS_MAX_COUNT {
                return Err(Reader::fault(at, format!("more than {LOCALS_MAX_COUNT} locals")));
            }
            let start = *body;
            super::outline::skip_value_type(body)?;
            for local in first..total {
                list.before_type(sink, module, &self.local_names, params.saturating_add(local));
                put_value_type(sink, &module.names, &mut start.clone())?;
                list.after_type(sink);
            }
        }
        list.finish(sink);
        Ok(())
    }

    /// Forgets the labels of the function before.
    pub fn begin_body(&mut self) {
        self.label_count = 0;
        self.depth = 0;
        self.open.clear();
    }

    /// Puts the instructions of a body, each on a line of its own.
    pub fn put_body(
        &mut self, sink: &mut Sink<'_>, module: &Module<'_>, body: &mut Reader<'_>,
    ) -> Result<(), Fault> {
        self.begin_body();
        let table = Table::get();
        loop {
            let at = body.position();
            let entry = table.decode(body)?;
            if entry.form == Form::End && self.depth == 0 {
                return at_end(body);
            }
            sink.new_line(BODY_LEVEL + self.level(entry));
            if module.options.offsets {
                put_offset(sink, at);
            }
            self.put_instruction(sink, module, entry, body)?;
            if sink.has_failed() {
                return Ok(());
            }
        }
    }

    /// How far an instruction is indented.
    #[inline(always)]
    fn level(&self, entry: &Entry) -> usize {
        match entry.form {
            Form::End | Form::Else => self.depth.saturating_sub(1),
            _ => self.depth,
        }
    }

    /// Puts an instruction with its immediates.
    #[inline(always)]
    pub fn put_instruction(
        &mut self, sink: &mut Sink<'_>, module: &Module<'_>, entry: &Entry, reader: &mut Reader<'_>,
    ) -> Result<(), Fault> {
        sink.put_padded(&entry.text, usize::from(entry.text_length));
        match entry.form {
            Form::Plain => {}
            Form::Local => {
                let local = reader.u32("a local index")?;
                self.put_local(sink, local);
            }
            Form::I32 => sink.put_i64(reader.signed(32, "a constant")?),
            Form::MemArg => put_memory_argument(sink, module, entry, reader)?,
            Form::Label => {
                let label = reader.u32("a label")?;
                self.put_label(sink, label);
            }
            Form::Block => self.put_block(sink, module, reader)?,
            Form::End => self.end_label(),
            _ => self.put_immediates(sink, module, entry, reader)?,
        }
        Ok(())
    }

    /// Puts immediates of any kind, in the order of the text: a memory or table that an
    /// instruction works on comes first there and last in bytecode.
    #[inline(never)]
    fn put_immediates(
        &mut self, sink: &mut Sink<'_>, module: &Module<'_>, entry: &Entry, reader: &mut Reader<'_>,
    ) -> Result<(), Fault> {
        let names = &module.names;
        let kinds = entry.immediates();
        let segment = match kinds.first().map(|first| first.kind) {
            Some(Kind::Data) if kinds.len() == 2 => Some((Space::Data, Space::Memory)),
            Some(Kind::Elem) if kinds.len() == 2 => Some((Space::Elem, Space::Table)),
            _ => None,
        };
        if let Some((segments, space)) = segment {
            self.needs_data_count |= segments == Space::Data;
            let segment = reader.u32("the index of a segment")?;
            put_unless_zero(sink, module, space, reader.u32("an index")?, "", " ");
            put_index(sink, names, segments, segment);
            return Ok(());
        }
        match entry.opcode {
            Opcode::CallIndirect | Opcode::ReturnCallIndirect => {
                let index = reader.u32("a type index")?;
                put_unless_zero(sink, module, Space::Table, reader.u32("a table index")?, "", " ");
                module.uses.put(sink, index);
            }
            Opcode::MemoryCopy => put_two(sink, module, Space::Memory, reader)?,
            Opcode::TableCopy => put_two(sink, module, Space::Table, reader)?,
            _ => {
                for (position, immediate) in kinds.iter().enumerate() {
                    if position > 0 {
                        sink.put_byte(b' ');
                    }
                    self.put_immediate(sink, module, entry, immediate.kind, reader)?;
                }
            }
        }
        Ok(())
    }

    fn put_immediate(
        &mut self, sink: &mut Sink<'_>, module: &Module<'_>, entry: &Entry, kind: Kind,
        reader: &mut Reader<'_>,
    ) -> Result<(), Fault> {
        let names = &module.names;
        match kind {
            Kind::BlockType => self.put_block(sink, module, reader)?,
            Kind::Catches => self.put_catches(sink, module, reader)?,
            Kind::Label => {
                let label = reader.u32("a label")?;
                self.put_label(sink, label);
            }
            Kind::LabelTable => self.put_label_table(sink, reader)?,
            Kind::Func => put_index(sink, names, Space::Func, reader.u32("a function index")?),
            Kind::Type => put_index(sink, names, Space::Type, reader.u32("a type index")?),
            Kind::Global => put_index(sink, names, Space::Global, reader.u32("a global index")?),
            Kind::Data => {
                self.needs_data_count = true;
                put_index(sink, names, Space::Data, reader.u32("a data index")?);
            }
            Kind::Elem => put_index(sink, names, Space::Elem, reader.u32("an element index")?),
            Kind::Tag => put_index(sink, names, Space::Tag, reader.u32("a tag index")?),
            Kind::Memory => {
                let memory = reader.u32("a memory index")?;
                put_unless_zero(sink, module, Space::Memory, memory, " ", "");
            }
            Kind::Table => {
                let table = reader.u32("a table index")?;
                put_unless_zero(sink, module, Space::Table, table, " ", "");
            }
            Kind::Local => {
                let local = reader.u32("a local index")?;
                self.put_local(sink, local);
            }
            Kind::Field | Kind::Count => sink.put_u32(reader.u32("a number")?),
            Kind::MemArg { .. } => put_memory_argument(sink, module, entry, reader)?,
            Kind::I32 => sink.put_i64(reader.signed(32, "a constant")?),
            Kind::I64 => sink.put_i64(reader.signed(64, "a constant")?),
            Kind::F32 => number::put_f32(sink, u32::from_le_bytes(reader.array("a constant")?)),
            Kind::F64 => number::put_f64(sink, u64::from_le_bytes(reader.array("a constant")?)),
            Kind::V128 => {
                sink.put("i32x4");
                for _ in 0..4 {
                    sink.put_byte(b' ');
                    let lane = u32::from_le_bytes(reader.array("a constant")?);
                    sink.put("0x");
                    number::put_hex_digits(sink, lane);
                }
            }
            Kind::Lane { .. } => sink.put_u32(u32::from(reader.byte("a lane")?)),
            Kind::Shuffle => {
                for (position, lane) in reader.array::<16>("lanes")?.into_iter().enumerate() {
                    sink.put(if position > 0 { " " } else { "" });
                    sink.put_u32(u32::from(lane));
                }
            }
            Kind::SelectTypes => {
                sink.put("(result");
                for _ in 0..reader.u32("the number of types")? {
                    sink.put_byte(b' ');
                    put_value_type(sink, names, reader)?;
                }
                sink.put_byte(b')');
            }
            Kind::HeapType => put_heap_type(sink, names, reader)?,
            Kind::RefType => put_cast_type(sink, module, false, reader)?,
            Kind::RefTypeNull => put_cast_type(sink, module, true, reader)?,
            Kind::BranchOnCast => {
                let at = reader.position();
                let flags = reader.byte("flags of a cast")?;
                if flags > 3 {
                    return Err(Reader::fault(at, "malformed flags of a cast"));
                }
                let label = reader.u32("a label")?;
                self.put_label(sink, label);
                sink.put_byte(b' ');
                put_cast_type(sink, module, flags & 1 != 0, reader)?;
                sink.put_byte(b' ');
                put_cast_type(sink, module, flags & 2 != 0, reader)?;
            }
            Kind::Zero => {
                let at = reader.position();
                if reader.byte("a zero")? != 0 {
                    return Err(Reader::fault(at, "zero byte expected"));
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn put_local(&self, sink: &mut Sink<'_>, local: u32) {
        if !self.local_names.is_empty()
            && let Some(identifier) = self.local_names.get(local)
        {
            sink.put_bytes(identifier);
        } else {
            sink.put_u32(local);
        }
    }

    /// Puts a label, and the number of its block as a comment where it has no name.
    #[inline]
    fn put_label(&self, sink: &mut Sink<'_>, label: u32) {
        if !self.label_names.is_empty()
            && let Some(identifier) = self.label_identifier(label as usize)
        {
            sink.put_bytes(identifier);
            return;
        }
        sink.put_u32(label);
        if let Some(number) = self.depth.checked_sub(label as usize) {
            sink.put(" (;@");
            sink.put_u32(number as u32);
            sink.put(";)");
        }
    }

    /// The name of a label if it is the innermost one with this name.
    fn label_identifier(&self, label: usize) -> Option<&[u8]> {
        if label > LABEL_SEARCH_MAX {
            return None;
        }
        let number = |label: usize| {
            let at = self.open.len().checked_sub(label + 1)?;
            self.label_names.get(self.open[at])
        };
        let identifier = number(label)?;
        let is_hidden = (0..label).any(|inner| number(inner) == Some(identifier));
        if is_hidden { None } else { Some(identifier) }
    }

    fn put_label_table(
        &mut self, sink: &mut Sink<'_>, reader: &mut Reader<'_>,
    ) -> Result<(), Fault> {
        let at = reader.position();
        let count = reader.u32("the number of labels")?;
        if count as usize > reader.left() {
            return Err(Reader::fault(at, format!("{count} labels are claimed")));
        }
        for target in 0..=count {
            if target > 0 && target % TARGETS_LINE_COUNT == 0 {
                sink.new_line(BODY_LEVEL + self.depth + 1);
            } else if target > 0 {
                sink.put_byte(b' ');
            }
            let label = reader.u32("a label")?;
            self.put_label(sink, label);
        }
        Ok(())
    }

    /// Begins a label: puts its name and the type of its block.
    fn put_block(
        &mut self, sink: &mut Sink<'_>, module: &Module<'_>, reader: &mut Reader<'_>,
    ) -> Result<(), Fault> {
        let number = self.label_count;
        self.label_count = number.saturating_add(1);
        self.depth += 1;
        if !self.label_names.is_empty() {
            self.open.push(number);
            if let Some(identifier) = self.label_names.get(number) {
                sink.put_byte(b' ');
                sink.put_bytes(identifier);
            }
            if let Some(name) = self.label_names.annotation(module.names.treatment, number) {
                sink.put_byte(b' ');
                put_name_annotation(sink, name);
            }
        }
        sink.put(" (;@");
        sink.put_u32(self.depth as u32);
        sink.put(";)");
        match reader.peek() {
            Some(0x40) => {
                reader.byte("a block type")?;
            }
            Some(code) if code < 0x80 && code & 0x40 != 0 => {
                sink.put(" (result ");
                put_value_type(sink, &module.names, reader)?;
                sink.put_byte(b')');
            }
            _ => {
                let at = reader.position();
                let index = reader.signed(33, "a block type")?;
                let index =
                    u32::try_from(index).map_err(|_| Reader::fault(at, "malformed block type"))?;
                sink.put_byte(b' ');
                module.uses.put(sink, index);
            }
        }
        Ok(())
    }

    fn put_catches(
        &mut self, sink: &mut Sink<'_>, module: &Module<'_>, reader: &mut Reader<'_>,
    ) -> Result<(), Fault> {
        // The labels of catches count from outside of the block.
        self.depth -= 1;
        let own = self.open.pop();
        for _ in 0..reader.u32("the number of catches")? {
            let at = reader.position();
            let kind = reader.byte("a catch")?;
            sink.put(match kind {
                0 => " (catch ",
                1 => " (catch_ref ",
                2 => " (catch_all ",
                3 => " (catch_all_ref ",
                _ => return Err(Reader::fault(at, format!("unknown kind of catch {kind}"))),
            });
            if kind < 2 {
                put_index(sink, &module.names, Space::Tag, reader.u32("a tag index")?);
                sink.put_byte(b' ');
            }
            let label = reader.u32("a label")?;
            self.put_label(sink, label);
            sink.put_byte(b')');
        }
        self.depth += 1;
        self.open.extend(own);
        Ok(())
    }

    #[inline(always)]
    pub fn end_label(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.open.pop();
    }
}

/// Refuses bytes behind the end of a body.
pub(super) fn at_end(body: &Reader<'_>) -> Result<(), Fault> {
    if body.is_done() {
        return Ok(());
    }
    let message = format!("{} bytes behind the end of the body", body.left());
    Err(Reader::fault(body.position(), message))
}

/// Puts the indices of a copy, which the text leaves away where both are 0.
fn put_two(
    sink: &mut Sink<'_>, module: &Module<'_>, space: Space, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let to = reader.u32("an index")?;
    let from = reader.u32("an index")?;
    if to != 0 || from != 0 {
        sink.put_byte(b' ');
        put_index(sink, &module.names, space, to);
        sink.put_byte(b' ');
        put_index(sink, &module.names, space, from);
    }
    Ok(())
}

/// Puts an offset as a comment.
pub(super) fn put_offset(sink: &mut Sink<'_>, offset: usize) {
    sink.put("(;");
    sink.put_hex(offset as u64);
    sink.put(";) ");
}

/// Puts a reference type of which bytecode has the heap type only.
fn put_cast_type(
    sink: &mut Sink<'_>, module: &Module<'_>, is_nullable: bool, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    sink.put(if is_nullable { "(ref null " } else { "(ref " });
    put_heap_type(sink, &module.names, reader)?;
    sink.put_byte(b')');
    Ok(())
}

/// Puts an index that the text leaves away where it is 0.
fn put_unless_zero(
    sink: &mut Sink<'_>, module: &Module<'_>, space: Space, index: u32, before: &str, after: &str,
) {
    if index != 0 {
        sink.put(before);
        put_index(sink, &module.names, space, index);
        sink.put(after);
    }
}

/// Puts memory, offset and alignment, each only where it is not what is usual.
#[inline(always)]
fn put_memory_argument(
    sink: &mut Sink<'_>, module: &Module<'_>, entry: &Entry, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let at = reader.position();
    let mut align = reader.u32("an alignment")?;
    if align >= 64 {
        if align >= 128 {
            return Err(Reader::fault(at, "malformed alignment"));
        }
        align -= 64;
        let memory = reader.u32("a memory index")?;
        put_unless_zero(sink, module, Space::Memory, memory, " ", "");
    }
    let offset = reader.u64("an offset")?;
    if offset != 0 {
        sink.put_padded(b" offset=", 8);
        if offset <= u64::from(u32::MAX) {
            sink.put_u32(offset as u32);
        } else {
            sink.put_u64(offset);
        }
    }
    if align != u32::from(entry.align_log2) {
        sink.put_padded(b" align=", 7);
        sink.put_u64(1 << align);
    }
    Ok(())
}

/// Puts a constant expression: one instruction in parentheses, or several between `open` and
/// `close`.
pub(super) fn put_expression(
    sink: &mut Sink<'_>, module: &Module<'_>, reader: &mut Reader<'_>, open: &str, close: &str,
) -> Result<(), Fault> {
    let mut code = Code::default();
    let table = Table::get();
    let is_single = is_single(*reader).unwrap_or(false);
    sink.put(if is_single { "(" } else { open });
    let mut count = 0;
    loop {
        let entry = table.decode(reader)?;
        if entry.form == Form::End && code.depth == 0 {
            break;
        }
        if count > 0 {
            sink.put_byte(b' ');
        }
        count += 1;
        code.put_instruction(sink, module, entry, reader)?;
    }
    sink.put(if is_single { ")" } else { close });
    Ok(())
}

/// Whether an expression is just one instruction of the usual ones.
fn is_single(mut reader: Reader<'_>) -> Result<bool, Fault> {
    match reader.byte("an instruction")? {
        0x41 => drop(reader.signed(32, "a constant")?),
        0x42 => drop(reader.signed(64, "a constant")?),
        0x43 => drop(reader.array::<4>("a constant")?),
        0x44 => drop(reader.array::<8>("a constant")?),
        0x23 | 0xd2 => drop(reader.u32("an index")?),
        0xd0 => drop(reader.signed(33, "a heap type")?),
        0xfd => {
            reader.u32("an instruction")?;
            reader.array::<16>("a constant")?;
        }
        _ => return Ok(false),
    }
    Ok(reader.peek() == Some(0x0b))
}
