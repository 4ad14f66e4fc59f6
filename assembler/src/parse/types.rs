//! Types: of values, functions, tables, memories, globals, and type definitions.
//!
//! A type is written as bytes when it is read, so two types are equal when their bytes are.
//!
//! Spec: Text Format, Types.

use std::collections::HashMap;

use super::{Assembler, Header, Parse};
use crate::encode::{SectionId, leb};
use crate::lexer::Kind;
use crate::resolve::Space;
use crate::{Diagnostic, Span};

const VALUE_TYPES: [(&str, u8); 5] =
    [("i32", 0x7f), ("i64", 0x7e), ("f32", 0x7d), ("f64", 0x7c), ("v128", 0x7b)];

/// Heap types, and the abbreviation for a nullable reference to one.
const HEAP_TYPES: [(&str, &str, u8); 14] = [
    ("func", "funcref", 0x70),
    ("extern", "externref", 0x6f),
    ("any", "anyref", 0x6e),
    ("eq", "eqref", 0x6d),
    ("i31", "i31ref", 0x6c),
    ("struct", "structref", 0x6b),
    ("array", "arrayref", 0x6a),
    ("exn", "exnref", 0x69),
    ("cont", "contref", 0x68),
    ("none", "nullref", 0x71),
    ("noextern", "nullexternref", 0x72),
    ("nofunc", "nullfuncref", 0x73),
    ("noexn", "nullexnref", 0x74),
    ("nocont", "nullcontref", 0x75),
];

/// The code of the type `funcref`.
pub(super) const FUNCREF: u8 = 0x70;

const NULLABLE: u8 = 0x63;
const NON_NULL: u8 = 0x64;

/// What is known of a defined type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    /// Where the bytes of the signature are, without the leading 0x60; empty for other types.
    pub start: u32,
    pub end: u32,
    pub params: u32,
    pub is_func: bool,
    /// It could not be read; nothing more is to be said about it.
    pub is_broken: bool,
}

/// The types of a module.
#[derive(Debug, Default)]
pub(super) struct Types {
    pub definitions: Vec<Definition>,
    /// Bytes of all signatures.
    pub bytes: Vec<u8>,
    /// The first function type with some bytes.
    pub by_bytes: HashMap<Box<[u8]>, u32>,
    pub signature: Signature,
}

/// A signature being read: the scratch space of [`Assembler::type_use`].
#[derive(Debug, Default)]
pub(super) struct Signature {
    param_types: Vec<u8>,
    result_types: Vec<u8>,
    pub params: u32,
    pub results: u32,
    /// The names of parameters that have one.
    pub headers: Vec<(u32, Header)>,
    /// Count and types of parameters, count and types of results.
    pub bytes: Vec<u8>,
}

/// `(type x)? (param ...)* (result ...)*`; the inline part is in `types.signature`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TypeUse {
    pub index: Option<(u32, Span)>,
    pub inline: bool,
}

impl Types {
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    pub fn signature_mut(&mut self) -> &mut Signature {
        &mut self.signature
    }

    /// The number of parameters of the function type with an index.
    pub fn param_count(&self, index: u32) -> Option<u32> {
        let definition = self.definitions.get(index as usize)?;
        definition.is_func.then_some(definition.params)
    }

    pub(super) fn signature_of(&self, index: u32) -> Option<&[u8]> {
        let definition = self.definitions.get(index as usize)?;
        definition.is_func.then(|| &self.bytes[definition.start as usize..definition.end as usize])
    }

    /// Adds the signature just read as the next type.
    pub(super) fn define_signature(&mut self, lookup: bool) -> u32 {
        let index = self.definitions.len() as u32;
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&self.signature.bytes);
        let end = self.bytes.len() as u32;
        self.definitions.push(Definition {
            start,
            end,
            params: self.signature.params,
            is_func: true,
            is_broken: false,
        });
        if lookup {
            let bytes = self.signature.bytes.as_slice();
            self.by_bytes.entry(bytes.into()).or_insert(index);
        }
        index
    }

    /// The type with the signature just read, if there is one already.
    pub fn find(&self) -> Option<u32> {
        self.by_bytes.get(self.signature.bytes.as_slice()).copied()
    }
}

impl Signature {
    fn clear(&mut self) {
        self.param_types.clear();
        self.result_types.clear();
        self.headers.clear();
        self.params = 0;
        self.results = 0;
    }

    fn finish(&mut self) {
        self.bytes.clear();
        leb::unsigned(&mut self.bytes, self.params);
        self.bytes.extend_from_slice(&self.param_types);
        leb::unsigned(&mut self.bytes, self.results);
        self.bytes.extend_from_slice(&self.result_types);
    }

    /// The bytes of the only result, where there are no parameters and one result.
    pub fn single_result(&self) -> Option<&[u8]> {
        (self.params == 0 && self.results == 1).then_some(&self.result_types)
    }

    /// Takes the bytes out, to be put back when the type is needed.
    pub fn save(&self) -> (Vec<u8>, u32) {
        (self.bytes.clone(), self.params)
    }

    /// Puts saved bytes back.
    pub fn restore(&mut self, (bytes, params): (Vec<u8>, u32)) {
        self.bytes = bytes;
        self.params = params;
    }
}

/// Types of values.
impl Assembler<'_> {
    /// A value type, appended to `out`.
    pub(super) fn value_type(&mut self, out: &mut Vec<u8>) -> Parse {
        let token = self.peek();
        if token.kind == Kind::Keyword {
            let word = token.span.of(self.text);
            if let Some((_, code)) = VALUE_TYPES.iter().find(|(name, _)| name.as_bytes() == word) {
                self.next();
                out.push(*code);
                return Ok(());
            }
        }
        self.reference_type_among(out, true)
    }

    /// A reference type, appended to `out`.
    pub(super) fn reference_type(&mut self, out: &mut Vec<u8>) -> Parse {
        self.reference_type_among(out, false)
    }

    fn reference_type_among(&mut self, out: &mut Vec<u8>, values_too: bool) -> Parse {
        let token = self.peek();
        if token.kind == Kind::Keyword {
            let word = token.span.of(self.text);
            if let Some((.., code)) = HEAP_TYPES.iter().find(|(_, name, _)| name.as_bytes() == word)
            {
                self.next();
                out.push(*code);
                return Ok(());
            }
        }
        if let Some(open) = self.take_form(b"ref") {
            let nullable = self.take_keyword(b"null");
            let mut heap = Vec::new();
            self.heap_type(&mut heap)?;
            let abbreviated = nullable && heap[0] & 0xc0 == 0x40;
            if !abbreviated {
                out.push(if nullable { NULLABLE } else { NON_NULL });
            }
            out.extend_from_slice(&heap);
            return self.close(open, &[]);
        }
        let mut known: Vec<&str> = Vec::new();
        if values_too {
            known.extend(VALUE_TYPES.iter().map(|(name, _)| *name));
        }
        known.extend(HEAP_TYPES.iter().map(|(_, name, _)| *name));
        let what = if values_too { "value type" } else { "reference type" };
        let mut error = self.unknown_keyword(token, what, &known);
        if token.kind != Kind::Keyword {
            error.expected = vec![format!("a {what}")];
        }
        Err(self.fail(error))
    }

    /// A heap type, appended to `out`.
    ///
    /// The codes of abstract ones are one byte with the bits `01` on top; an index is a signed
    /// number, which never is.
    pub(super) fn heap_type(&mut self, out: &mut Vec<u8>) -> Parse {
        let token = self.peek();
        match token.kind {
            Kind::Number | Kind::Id => {
                let index = self.index(Space::Type)?;
                leb::signed(out, i64::from(index));
                Ok(())
            }
            Kind::Keyword => {
                let word = token.span.of(self.text);
                if let Some((.., code)) =
                    HEAP_TYPES.iter().find(|(name, ..)| name.as_bytes() == word)
                {
                    self.next();
                    out.push(*code);
                    return Ok(());
                }
                let known: Vec<&str> = HEAP_TYPES.iter().map(|(name, ..)| *name).collect();
                let error = self.unknown_keyword(token, "heap type", &known);
                Err(self.fail(error))
            }
            _ => Err(self.unexpected(token, &["a heap type", "a type index"])),
        }
    }

    /// A reference type as nullability and heap type, for casts.
    pub(super) fn cast_type(&mut self, heap: &mut Vec<u8>) -> Parse<bool> {
        let start = heap.len();
        self.reference_type(heap)?;
        match heap[start] {
            lead @ (NULLABLE | NON_NULL) => {
                heap.remove(start);
                Ok(lead == NULLABLE)
            }
            _ => Ok(true),
        }
    }
}

/// Types of functions.
impl Assembler<'_> {
    /// `(param ...)* (result ...)*` into `types.signature`; whether there was any.
    pub(super) fn signature(&mut self, names_allowed: bool) -> Parse<bool> {
        let mut signature = std::mem::take(&mut self.types.signature);
        signature.clear();
        let result = self.signature_into(&mut signature, names_allowed);
        signature.finish();
        self.types.signature = signature;
        result
    }

    fn signature_into(&mut self, signature: &mut Signature, names_allowed: bool) -> Parse<bool> {
        let mut any = false;
        while let Some(open) = self.take_form(b"param") {
            any = true;
            let header = if names_allowed { self.header()? } else { Header::default() };
            if header.id.is_some() || header.name.is_some() {
                signature.headers.push((signature.params, header));
                self.value_type(&mut signature.param_types)?;
                signature.params += 1;
                self.close_single(open, "parameter")?;
                continue;
            }
            while self.take(Kind::Close).is_none() {
                self.value_type(&mut signature.param_types)?;
                signature.params += 1;
            }
        }
        while let Some(_open) = self.take_form(b"result") {
            any = true;
            while self.take(Kind::Close).is_none() {
                self.value_type(&mut signature.result_types)?;
                signature.results += 1;
            }
        }
        if any && self.peek_form() == Some(b"param") {
            let span = self.peek().span;
            let error = Diagnostic::error("misplaced-form", span, "parameters after results")
                .with_help("all `(param ...)` stand before the first `(result ...)`");
            return Err(self.fail(error));
        }
        Ok(any)
    }

    /// Closes a form that has an identifier and so must hold one type only.
    pub(super) fn close_single(&mut self, open: Span, what: &str) -> Parse {
        let token = self.peek();
        if matches!(token.kind, Kind::Close | Kind::Bad | Kind::End) {
            return self.close(open, &[]);
        }
        let error = self
            .unexpected_token(token, &["`)`"])
            .with_help(format!("a {what} with an identifier has exactly one type"));
        Err(self.fail(error))
    }

    /// `(type x)? (param ...)* (result ...)*`
    pub(super) fn type_use(&mut self, names_allowed: bool) -> Parse<TypeUse> {
        let mut index = None;
        if let Some(open) = self.take_form(b"type") {
            let span = self.peek().span;
            index = Some((self.index(Space::Type)?, span));
            self.close(open, &[])?;
        }
        let inline = self.signature(names_allowed)?;
        Ok(TypeUse { index, inline })
    }

    /// The index of the type that was used; a new type where there is none like it.
    pub(super) fn resolve_type_use(&mut self, used: TypeUse) -> Parse<u32> {
        let Some((index, span)) = used.index else { return Ok(self.inline_type()) };
        if used.inline {
            let same = self.types.signature_of(index) == Some(&self.types.signature.bytes);
            let definition = self.types.definitions.get(index as usize);
            let broken = definition.is_some_and(|definition| definition.is_broken);
            // Types that were lost shift the indices of those behind them.
            if !same && !broken && !self.careful {
                self.diagnostics.push(self.inline_mismatch(index, span));
            }
        }
        Ok(index)
    }

    #[cold]
    fn inline_mismatch(&self, index: u32, span: Span) -> Diagnostic {
        let written = String::from_utf8_lossy(span.of(self.text)).into_owned();
        let message = match self.types.definitions.get(index as usize) {
            None => format!("unknown type {written}"),
            Some(definition) if !definition.is_func => {
                format!("type {written} is not a function type")
            }
            Some(_) => format!("inline function type differs from type {written}"),
        };
        let mut error = Diagnostic::error("inline-type-mismatch", span, message);
        if let Some(bytes) = self.types.signature_of(index) {
            error =
                error.with_note(format!("type {written} is {}", show_signature(bytes))).with_note(
                    format!("written here: {}", show_signature(&self.types.signature.bytes)),
                );
        }
        error
    }

    /// The type with the signature in `types.signature`, made where there is none.
    pub(super) fn inline_type(&mut self) -> u32 {
        if let Some(index) = self.types.find() {
            return index;
        }
        let section = self.sections.of(SectionId::Type);
        section.count += 1;
        section.bytes.push(0x60);
        section.bytes.extend_from_slice(&self.types.signature.bytes);
        self.types.define_signature(true)
    }
}

/// The bytes of a signature as text.
fn show_signature(bytes: &[u8]) -> String {
    fn number(bytes: &mut &[u8]) -> u32 {
        let mut value = 0;
        let mut shift = 0;
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            value |= u32::from(byte & 0x7f) << shift;
            shift = (shift + 7).min(28);
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    fn list(bytes: &mut &[u8]) -> String {
        let count = number(bytes);
        let mut names = Vec::new();
        for _ in 0..count {
            let Some((&lead, rest)) = bytes.split_first() else { break };
            let heap = |code: u8| HEAP_TYPES.iter().find(|(.., known)| *known == code);
            if let Some((name, _)) = VALUE_TYPES.iter().find(|(_, code)| *code == lead) {
                *bytes = rest;
                names.push(name.to_string());
            } else if let Some((_, name, _)) = heap(lead) {
                *bytes = rest;
                names.push(name.to_string());
            } else {
                let null = if lead == NULLABLE { "null " } else { "" };
                *bytes = rest;
                let name = match rest.first().and_then(|&code| heap(code)) {
                    Some((name, ..)) => {
                        *bytes = &rest[1..];
                        name.to_string()
                    }
                    None => number(bytes).to_string(),
                };
                names.push(format!("(ref {null}{name})"));
            }
        }
        names.join(" ")
    }
    let mut rest = bytes;
    let params = list(&mut rest);
    let results = list(&mut rest);
    format!("[{params}] -> [{results}]")
}
