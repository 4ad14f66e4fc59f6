//! Element and data segments.
//!
//! The bytes of data are not read in the second pass: they are often most of a module, and are
//! written straight from the text to the end of the output ([`Assembler::write_data`]).
//!
//! Spec: Text Format, Modules, Element Segments and Data Segments.

use super::types::FUNCREF;
use super::{Assembler, Failed, Parse};
use crate::encode::{SectionId, Subsection, leb};
use crate::instruction::{END, I32_CONST, I64_CONST, REF_FUNC};
use crate::lexer::Kind;
use crate::resolve::Space;
use crate::{SourceMapBuilder, Span, number, string};

/// A data segment up to its bytes.
#[derive(Debug)]
pub(super) struct DataHeader {
    /// The form, for messages and the map.
    open: Span,
    /// Mode, memory and offset.
    bytes: Vec<u8>,
    origins: Vec<(u32, Span)>,
    /// Where the bytes begin in the text.
    contents_at: u32,
}

/// What an element segment holds.
enum Elements {
    /// Indices of functions, of the type `funcref`.
    Functions,
    /// Expressions; the type is in the bytes.
    Expressions(Vec<u8>),
}

impl Assembler<'_> {
    /// `(elem ...)`
    pub(super) fn elem_field(&mut self, open: Span) -> Parse {
        let index = self.spaces.pass(Space::Elem);
        let header = self.header()?;
        if let Some(name) = self.given_name(header) {
            self.names.add(Subsection::Elem, index, &name);
        }
        self.note_origin(SectionId::Elem, open);
        let mut bytes = Vec::new();
        let declared = self.take_keyword(b"declare");
        let token = self.peek();
        let active = !declared
            && (token.kind == Kind::Number
                || token.kind == Kind::Open && self.peek_form() != Some(b"ref"));
        // Without a table the list may be bare indices, as it was before reference types.
        let mut bare_allowed = false;
        let mut table = None;
        let mut offset = Vec::new();
        if active {
            if token.kind == Kind::Number {
                bare_allowed = true;
                table = Some(self.index(Space::Table)?);
            } else if let Some(open) = self.take_form(b"table") {
                table = Some(self.index(Space::Table)?);
                self.close(open, &[])?;
            } else {
                bare_allowed = true;
            }
            self.offset(&mut offset)?;
        }
        let elements = if self.take_keyword(b"func") || bare_allowed && self.is_bare_list() {
            Elements::Functions
        } else {
            let mut of = Vec::new();
            self.reference_type(&mut of)?;
            Elements::Expressions(of)
        };
        let mode = match (declared, active) {
            (true, _) => Mode::Declared,
            (_, false) => Mode::Passive,
            _ => Mode::Active { table, offset },
        };
        write_mode(&mut bytes, mode, &elements);
        match elements {
            Elements::Functions => self.function_list(&mut bytes, false)?,
            Elements::Expressions(_) => self.expression_list(&mut bytes)?,
        };
        self.append(SectionId::Elem, &bytes);
        self.close(open, &[])
    }

    /// Whether indices without a type follow.
    fn is_bare_list(&self) -> bool {
        matches!(self.peek().kind, Kind::Number | Kind::Id | Kind::Close)
    }

    /// `(offset ...)`, or one folded instruction.
    fn offset(&mut self, out: &mut Vec<u8>) -> Parse {
        if let Some(open) = self.take_form(b"offset") {
            self.expression(out)?;
            self.close(open, &["an instruction"])
        } else {
            self.folded_expression(out)
        }
    }

    /// Indices of functions up to the parenthesis; as expressions where asked for.
    fn function_list(&mut self, out: &mut Vec<u8>, as_expressions: bool) -> Parse<u32> {
        let mut list = Vec::new();
        let mut count = 0;
        while self.peek().kind != Kind::Close {
            let index = self.index(Space::Func)?;
            count += 1;
            if as_expressions {
                list.push(REF_FUNC);
                leb::unsigned(&mut list, index);
                list.push(END);
            } else {
                leb::unsigned(&mut list, index);
            }
        }
        leb::unsigned(out, count);
        out.extend_from_slice(&list);
        Ok(count)
    }

    /// `(item ...)` or folded instructions up to the parenthesis.
    fn expression_list(&mut self, out: &mut Vec<u8>) -> Parse<u32> {
        let mut list = Vec::new();
        let mut count = 0;
        while self.peek().kind != Kind::Close {
            if let Some(open) = self.take_form(b"item") {
                self.expression(&mut list)?;
                self.close(open, &["an instruction"])?;
            } else {
                self.folded_expression(&mut list)?;
            }
            count += 1;
        }
        leb::unsigned(out, count);
        out.extend_from_slice(&list);
        Ok(count)
    }

    /// `(elem ...)` inside a table; gives the number of elements.
    pub(super) fn inline_elements(&mut self, table: u32, is_64: bool, of: &[u8]) -> Parse<u32> {
        self.spaces.pass(Space::Elem);
        let Some(open) = self.take_form(b"elem") else {
            let token = self.peek();
            return Err(self.unexpected(token, &["`(elem ...)`"]));
        };
        self.note_origin(SectionId::Elem, open);
        let offset = zero(is_64);
        let mut list = Vec::new();
        let expressions = self.peek().kind == Kind::Open;
        let functions = !expressions && of == [FUNCREF];
        let count = match expressions {
            true => self.expression_list(&mut list)?,
            false => self.function_list(&mut list, !functions)?,
        };
        let elements =
            if functions { Elements::Functions } else { Elements::Expressions(of.to_vec()) };
        let mut bytes = Vec::new();
        write_mode(&mut bytes, Mode::Active { table: Some(table), offset }, &elements);
        bytes.extend_from_slice(&list);
        self.append(SectionId::Elem, &bytes);
        self.close(open, &[])?;
        Ok(count)
    }

    /// `(data ...)`
    pub(super) fn data_field(&mut self, open: Span) -> Parse {
        let index = self.spaces.pass(Space::Data);
        let header = self.header()?;
        if let Some(name) = self.given_name(header) {
            self.names.add(Subsection::Data, index, &name);
        }
        let mut bytes = Vec::new();
        self.body.origins.clear();
        let token = self.peek();
        if matches!(token.kind, Kind::String | Kind::Close) {
            bytes.push(1);
        } else {
            let mut memory = 0;
            if token.kind == Kind::Number {
                memory = self.index(Space::Memory)?;
            } else if let Some(open) = self.take_form(b"memory") {
                memory = self.index(Space::Memory)?;
                self.close(open, &[])?;
            }
            if memory == 0 {
                bytes.push(0);
            } else {
                bytes.push(2);
                leb::unsigned(&mut bytes, memory);
            }
            self.offset(&mut bytes)?;
        }
        self.data_header(open, bytes);
        Ok(())
    }

    fn data_header(&mut self, open: Span, bytes: Vec<u8>) {
        let origins = std::mem::take(&mut self.body.origins);
        let contents_at = self.lex.at as u32;
        self.data.push(DataHeader { open, bytes, origins, contents_at });
        self.sections.data_count += 1;
    }

    /// `(data ...)` inside a memory; gives the number of bytes.
    pub(super) fn inline_data(&mut self, memory: u32, is_64: bool) -> Parse<usize> {
        self.spaces.pass(Space::Data);
        let Some(open) = self.take_form(b"data") else {
            let token = self.peek();
            return Err(self.unexpected(token, &["limits", "`(data ...)`", "`(import ...)`"]));
        };
        let mut bytes = Vec::new();
        if memory == 0 {
            bytes.push(0);
        } else {
            bytes.push(2);
            leb::unsigned(&mut bytes, memory);
        }
        bytes.extend_from_slice(&zero(is_64));
        self.body.origins.clear();
        self.data_header(open, bytes);
        let mut contents = Vec::new();
        self.data_contents(open, &mut contents)?;
        Ok(contents.len())
    }

    /// Appends all data segments, in their order.
    pub(super) fn write_data(&mut self, out: &mut Vec<u8>, map: &mut SourceMapBuilder) -> Parse {
        for header in std::mem::take(&mut self.data) {
            if self.mapped {
                let at = out.len() as u64;
                map.add(at, header.open);
                for (offset, span) in header.origins {
                    map.add(at + u64::from(offset), span);
                }
            }
            out.extend_from_slice(&header.bytes);
            let size_at = out.len();
            self.lex.at = header.contents_at as usize;
            // An inline segment was read before, with its complaints.
            let _reported: Parse = self.data_contents(header.open, out);
            let len = out.len() - size_at;
            let mut size = Vec::new();
            leb::unsigned(&mut size, len as u32);
            out.resize(out.len() + size.len(), 0);
            out.copy_within(size_at..size_at + len, size_at + size.len());
            out[size_at..size_at + size.len()].copy_from_slice(&size);
        }
        if self.diagnostics.is_empty() { Ok(()) } else { Err(Failed) }
    }

    /// Strings and lists of numbers, with the parenthesis that closes the segment.
    fn data_contents(&mut self, open: Span, out: &mut Vec<u8>) -> Parse {
        loop {
            let before = self.lex.at;
            let token = self.next();
            match token.kind {
                Kind::String => {
                    if let Err(error) = string::unescape(self.text, token.span, out) {
                        self.diagnostics.push(*error);
                    }
                }
                Kind::Open => self.data_numbers(token.span, out)?,
                _ => {
                    self.lex.at = before;
                    return self.close(open, &["a string"]);
                }
            }
        }
    }

    /// `(i32 1 2 3)` and so on.
    fn data_numbers(&mut self, open: Span, out: &mut Vec<u8>) -> Parse {
        const KINDS: [&str; 7] = ["i8", "i16", "i32", "i64", "f32", "f64", "v128"];
        let keyword = self.next();
        let word = keyword.span.of(self.text);
        if !KINDS.iter().any(|kind| kind.as_bytes() == word) {
            let error = self.unknown_keyword(keyword, "data type", &KINDS);
            return Err(self.fail(error));
        }
        while self.peek().kind != Kind::Close {
            match word {
                b"v128" => self.v128_constant(out)?,
                b"f32" => self.float_constant(out, 4)?,
                b"f64" => self.float_constant(out, 8)?,
                _ => {
                    let bits = match word {
                        b"i8" => 8,
                        b"i16" => 16,
                        b"i32" => 32,
                        _ => 64,
                    };
                    self.integer_constant(out, bits)?;
                }
            }
        }
        self.close(open, &["a number"])
    }

    /// An integer as little-endian bytes.
    pub(crate) fn integer_constant(&mut self, out: &mut Vec<u8>, bits: u32) -> Parse {
        let value = self.integer(bits)?;
        out.extend_from_slice(&value.to_le_bytes()[..bits as usize / 8]);
        Ok(())
    }

    /// An integer of `bits` bits, signed or unsigned, as two's complement.
    pub(super) fn integer(&mut self, bits: u32) -> Parse<u64> {
        let token = self.peek();
        if token.kind != Kind::Number {
            return Err(self.unexpected(token, &[&format!("a {bits}-bit integer")]));
        }
        self.next();
        match number::integer(token.span.of(self.text), bits) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.bad_number(token.span, error, &format!("a {bits}-bit integer"))),
        }
    }

    /// A float as little-endian bytes.
    pub(crate) fn float_constant(&mut self, out: &mut Vec<u8>, len_bytes: usize) -> Parse {
        let token = self.peek();
        let what = if len_bytes == 4 { "a 32-bit float" } else { "a 64-bit float" };
        if !matches!(token.kind, Kind::Number | Kind::Keyword) {
            return Err(self.unexpected(token, &[what]));
        }
        let bytes = token.span.of(self.text);
        let bits = match len_bytes {
            4 => number::f32_bits(bytes).map(u64::from),
            _ => number::f64_bits(bytes),
        };
        match bits {
            Ok(bits) => out.extend_from_slice(&bits.to_le_bytes()[..len_bytes]),
            Err(_) if token.kind == Kind::Keyword && !bytes.starts_with(b"nan") => {
                return Err(self.unexpected(token, &[what]));
            }
            Err(error) => {
                self.next();
                return Err(self.bad_number(token.span, error, what));
            }
        }
        self.next();
        Ok(())
    }
}

enum Mode {
    Passive,
    Declared,
    Active { table: Option<u32>, offset: Vec<u8> },
}

/// Flags, table, offset and type of an element segment.
///
/// An active segment without a table has the oldest form, if its type allows it.
fn write_mode(out: &mut Vec<u8>, mode: Mode, elements: &Elements) {
    let expressions = match elements {
        Elements::Functions => 0,
        Elements::Expressions(_) => 4,
    };
    let oldest = match elements {
        Elements::Functions => true,
        Elements::Expressions(of) => **of == [FUNCREF],
    };
    match mode {
        Mode::Passive => out.push(1 | expressions),
        Mode::Declared => out.push(3 | expressions),
        Mode::Active { table: None, offset } if oldest => {
            out.push(expressions);
            out.extend_from_slice(&offset);
            return;
        }
        Mode::Active { table, offset } => {
            out.push(2 | expressions);
            leb::unsigned(out, table.unwrap_or(0));
            out.extend_from_slice(&offset);
        }
    }
    match elements {
        Elements::Functions => out.push(0),
        Elements::Expressions(of) => out.extend_from_slice(of),
    }
}

/// The expression of an offset of 0.
fn zero(is_64: bool) -> Vec<u8> {
    vec![if is_64 { I64_CONST } else { I32_CONST }, 0, END]
}
