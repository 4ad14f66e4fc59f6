//! Types: value types, reference types, type definitions, limits.

use super::names::{Names, Space};
use super::outline::{Outline, Signature};
use super::reader::{Fault, Reader};
use super::sink::Sink;
use super::strings;

/// Most parameters and results that are repeated beside a type's index.
/// A longer list on every function could make the text far larger than the module.
const REPEATED_MAX_COUNT: u32 = 100;

/// The text of a value type whose code is one byte.
pub(super) fn short_type(code: u8) -> Option<&'static str> {
    Some(match code {
        0x7f => "i32",
        0x7e => "i64",
        0x7d => "f32",
        0x7c => "f64",
        0x7b => "v128",
        0x78 => "i8",
        0x77 => "i16",
        0x74 => "nullexnref",
        0x73 => "nullfuncref",
        0x72 => "nullexternref",
        0x71 => "nullref",
        0x70 => "funcref",
        0x6f => "externref",
        0x6e => "anyref",
        0x6d => "eqref",
        0x6c => "i31ref",
        0x6b => "structref",
        0x6a => "arrayref",
        0x69 => "exnref",
        _ => return None,
    })
}

/// The text of an abstract heap type.
fn abstract_heap_type(code: i64) -> Option<&'static str> {
    Some(match code & 0x7f {
        _ if !(-64..0).contains(&code) => return None,
        0x74 => "noexn",
        0x73 => "nofunc",
        0x72 => "noextern",
        0x71 => "none",
        0x70 => "func",
        0x6f => "extern",
        0x6e => "any",
        0x6d => "eq",
        0x6c => "i31",
        0x6b => "struct",
        0x6a => "array",
        0x69 => "exn",
        _ => return None,
    })
}

/// Puts an index, as an identifier where there is one.
#[inline]
pub(super) fn put_index(sink: &mut Sink<'_>, names: &Names<'_>, space: Space, index: u32) {
    let identifiers = names.of(space);
    if !identifiers.is_empty()
        && let Some(identifier) = identifiers.get(index)
    {
        sink.put_bytes(identifier);
    } else {
        sink.put_u32(index);
    }
}

/// Puts what stands at the head of a definition: identifier, name and index as a comment, each
/// with a space behind it.
pub(super) fn put_definition(sink: &mut Sink<'_>, names: &Names<'_>, space: Space, index: u32) {
    if let Some(identifier) = names.of(space).get(index) {
        sink.put_bytes(identifier);
        sink.put_byte(b' ');
    }
    if let Some(name) = names.annotation(space, index) {
        put_name_annotation(sink, name);
    }
    sink.put_index_comment(index);
}

/// Puts `(@name "...")` and a space.
pub(super) fn put_name_annotation(sink: &mut Sink<'_>, name: &str) {
    sink.put("(@name ");
    strings::put_name(sink, name);
    sink.put(") ");
}

/// Puts a heap type.
pub(super) fn put_heap_type(
    sink: &mut Sink<'_>, names: &Names<'_>, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let at = reader.position();
    let code = reader.signed(33, "a heap type")?;
    if let Ok(index) = u32::try_from(code) {
        put_index(sink, names, Space::Type, index);
        return Ok(());
    }
    match abstract_heap_type(code) {
        Some(text) => sink.put(text),
        None => return Err(Reader::fault(at, "unknown heap type")),
    }
    Ok(())
}

/// Puts a value type or a packed type.
pub(super) fn put_value_type(
    sink: &mut Sink<'_>, names: &Names<'_>, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let at = reader.position();
    let code = reader.byte("a type")?;
    match (short_type(code), code) {
        (Some(text), _) => sink.put(text),
        (None, 0x63 | 0x64) => {
            sink.put(if code == 0x63 { "(ref null " } else { "(ref " });
            put_heap_type(sink, names, reader)?;
            sink.put_byte(b')');
        }
        _ => return Err(Reader::fault(at, format!("unknown type {code:#04x}"))),
    }
    Ok(())
}

/// Puts ` (keyword type type)`, or nothing for an empty list.
fn put_type_list(
    sink: &mut Sink<'_>, names: &Names<'_>, keyword: &str, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    let count = reader.u32("the number of types")?;
    if count == 0 {
        return Ok(());
    }
    sink.put(keyword);
    for _ in 0..count {
        sink.put_byte(b' ');
        put_value_type(sink, names, reader)?;
    }
    sink.put_byte(b')');
    Ok(())
}

/// Puts a type that may be mutable: `(mut t)`.
pub(super) fn put_mutable(
    sink: &mut Sink<'_>, names: &Names<'_>, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    // The type stands before its mutability, so that it is read twice.
    let mut ahead = *reader;
    super::outline::skip_value_type(&mut ahead)?;
    let at = ahead.position();
    let is_mutable = match ahead.byte("whether it is mutable")? {
        0 => false,
        1 => true,
        _ => return Err(Reader::fault(at, "malformed mutability")),
    };
    sink.put(if is_mutable { "(mut " } else { "" });
    put_value_type(sink, names, reader)?;
    sink.put(if is_mutable { ")" } else { "" });
    *reader = ahead;
    Ok(())
}

/// Puts limits, with the index type before them where it is not i32.
pub(super) fn put_limits(sink: &mut Sink<'_>, reader: &mut Reader<'_>) -> Result<(), Fault> {
    let at = reader.position();
    let flags = reader.byte("limits")?;
    if flags > 15 {
        return Err(Reader::fault(at, "malformed limits"));
    }
    sink.put(if flags & 4 != 0 { "i64 " } else { "" });
    sink.put_u64(reader.u64("the minimum of limits")?);
    if flags & 1 != 0 {
        sink.put_byte(b' ');
        sink.put_u64(reader.u64("the maximum of limits")?);
    }
    sink.put(if flags & 2 != 0 { " shared" } else { "" });
    if flags & 8 != 0 {
        let at = reader.position();
        let size = 1_u64.checked_shl(reader.u32("the size of a page")?);
        let size = size.ok_or_else(|| Reader::fault(at, "malformed size of a page"))?;
        sink.put(" (pagesize ");
        sink.put_u64(size);
        sink.put_byte(b')');
    }
    Ok(())
}

/// Puts the parameters and results of a function type.
fn put_function_type(
    sink: &mut Sink<'_>, names: &Names<'_>, reader: &mut Reader<'_>,
) -> Result<(), Fault> {
    put_type_list(sink, names, " (param", reader)?;
    put_type_list(sink, names, " (result", reader)
}

/// Puts one entry of the type section, the index of the first type in it given; the index of the
/// next.
pub(super) fn put_type_entry(
    sink: &mut Sink<'_>, names: &Names<'_>, reader: &mut Reader<'_>, mut index: u32,
) -> Result<u32, Fault> {
    if reader.peek() != Some(0x4e) {
        put_type(sink, names, reader, index)?;
        return Ok(index + 1);
    }
    reader.byte("a group of types")?;
    sink.put("(rec");
    for _ in 0..reader.u32("the number of types")? {
        sink.new_line(2);
        put_type(sink, names, reader, index)?;
        index += 1;
    }
    sink.put_byte(b')');
    Ok(index)
}

fn put_type(
    sink: &mut Sink<'_>, names: &Names<'_>, reader: &mut Reader<'_>, index: u32,
) -> Result<(), Fault> {
    sink.put("(type ");
    put_definition(sink, names, Space::Type, index);
    let mut form = reader.byte("a type")?;
    let is_sub = form == 0x4f || form == 0x50;
    if is_sub {
        sink.put(if form == 0x4f { " (sub final" } else { " (sub" });
        for _ in 0..reader.u32("the number of supertypes")? {
            sink.put_byte(b' ');
            put_index(sink, names, Space::Type, reader.u32("a type index")?);
        }
        form = reader.byte("a type")?;
    }
    match form {
        0x60 => {
            sink.put(" (func");
            put_function_type(sink, names, reader)?;
        }
        0x5f => {
            sink.put(" (struct");
            for _ in 0..reader.u32("the number of fields")? {
                sink.put(" (field ");
                put_mutable(sink, names, reader)?;
                sink.put_byte(b')');
            }
        }
        // The outline has refused every other form.
        _ => {
            sink.put(" (array ");
            put_mutable(sink, names, reader)?;
        }
    }
    sink.put(if is_sub { ")))" } else { "))" });
    Ok(())
}

/// For each type the text that refers to it: `(type 3) (param i32) (result i32)`.
#[derive(Default)]
pub(super) struct TypeUses {
    text: Vec<u8>,
    /// Where the text of each type begins.
    starts: Vec<usize>,
}

impl TypeUses {
    /// Renders every type once, so that its uses are copies.
    pub fn new(bytes: &[u8], outline: &Outline<'_>, names: &Names<'_>) -> Result<Self, Fault> {
        let mut uses = TypeUses::default();
        let mut text = Vec::new();
        let mut sink = Sink::new(&mut text);
        for (index, signature) in outline.signatures.iter().enumerate() {
            uses.starts.push(sink.position() as usize);
            sink.put("(type ");
            put_index(&mut sink, names, Space::Type, index as u32);
            sink.put_byte(b')');
            if let Some(signature) = signature
                && signature.is_repeated()
            {
                let mut reader = Reader::at(bytes, signature.offset);
                put_function_type(&mut sink, names, &mut reader)?;
            }
        }
        // A vector takes every write.
        let _ = sink.finish();
        uses.text = text;
        Ok(uses)
    }

    /// Puts a reference to a type.
    #[inline]
    pub fn put(&self, sink: &mut Sink<'_>, index: u32) {
        let at = index as usize;
        match self.starts.get(at) {
            Some(&start) => {
                let end = self.starts.get(at + 1).map_or(self.text.len(), |end| *end);
                sink.put_bytes(&self.text[start..end]);
            }
            None => {
                sink.put("(type ");
                sink.put_u32(index);
                sink.put_byte(b')');
            }
        }
    }
}

impl Signature {
    /// Whether parameters and results are repeated beside the index.
    pub fn is_repeated(self) -> bool {
        self.param_count.saturating_add(self.result_count) <= REPEATED_MAX_COUNT
    }
}
