//! From text to sections, in two passes.
//!
//! The first pass (`declare`) runs over the fields of the module, enters what they define, and
//! jumps over their contents by counting parentheses.
//! The second (`field`, `body`) reads the contents and writes bytes at once: there is no tree, and
//! nothing recurses on the nesting of the text.
//!
//! A mistake is noted in `diagnostics`, and the function that found it gives [`Failed`]; the
//! nearest caller that knows where the next form begins goes on from there.
//!
//! Spec: Text Format, Modules.

mod block;
mod body;
mod custom;
mod declare;
mod define;
mod field;
mod immediate;
mod instructions;
mod labels;
mod limits;
mod memory;
mod mistake;
mod segment;
mod types;

use std::borrow::Cow;

use crate::encode::{NameSection, Sections};
use crate::lexer::{Kind, Lexer, Token};
use crate::names::{Names, Seed, name_of};
use crate::number::{self, NumberError};
use crate::resolve::{self, Space, Spaces, shorten};
use crate::{AssembleOptions, Diagnostic, Diagnostics, SourceMap, SourceMapBuilder, Span, string};

use body::Body;
use declare::Field;
use segment::DataHeader;
use types::Types;

/// A mistake was noted; the form it is in cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// The result of reading something.
pub(crate) type Parse<T = ()> = Result<T, Failed>;

/// One module being assembled.
pub(crate) struct Assembler<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) lex: Lexer<'a>,
    options: &'a AssembleOptions,
    mapped: bool,
    pub(crate) diagnostics: Diagnostics,
    spaces: Spaces,
    /// Names of the fields of structure types, with the index of the type.
    struct_fields: Vec<(u32, Names)>,
    types: Types,
    fields: Vec<Field>,
    /// Whether a form without an end was met, so that forms are no longer trusted to have one.
    careful: bool,
    /// Whether a field was found inside another one.
    misgrouped: bool,
    /// Whether a comment or string without an end took the rest of the text.
    swallowed: bool,
    sections: Sections,
    names: NameSection,
    body: Body,
    data: Vec<DataHeader>,
    seed: Seed,
}

/// Identifier and `@name` annotation at the head of a definition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Header {
    pub id: Option<Span>,
    pub name: Option<Span>,
}

impl<'a> Assembler<'a> {
    /// Begins to read at `at`.
    pub fn new(text: &'a [u8], at: usize, options: &'a AssembleOptions, mapped: bool) -> Self {
        let seed = Seed::random();
        Assembler {
            text,
            lex: Lexer::new(text, at),
            options,
            mapped,
            diagnostics: Diagnostics::default(),
            spaces: Spaces::new(seed),
            struct_fields: Vec::new(),
            types: Types::default(),
            fields: Vec::new(),
            careful: false,
            misgrouped: false,
            swallowed: false,
            sections: Sections::default(),
            names: NameSection::default(),
            body: Body::new(seed),
            data: Vec::new(),
            seed,
        }
    }

    /// Assembles a file: `(module ...)`, or its fields alone.
    ///
    /// If a field turns up inside another one, some parenthesis is missing and another too many:
    /// the text is read again, and the borders of fields are sought by their place in lines.
    pub fn file(self) -> Result<(Vec<u8>, SourceMap), Diagnostics> {
        let mut again = Assembler::new(self.text, self.lex.at, self.options, self.mapped);
        let mut misgrouped = false;
        let outcome = self.file_once(&mut misgrouped);
        if misgrouped && outcome.is_err() {
            again.careful = true;
            let careful = again.file_once(&mut false);
            return if careful.is_err() { careful } else { outcome };
        }
        outcome
    }

    fn file_once(mut self, misgrouped: &mut bool) -> Result<(Vec<u8>, SourceMap), Diagnostics> {
        let first = self.lex.peek();
        if self.take_form(b"module").is_some() {
            let header = self.header();
            if let Ok(header) = header {
                self.module_name(header);
            }
            self.declare(Some(first.span));
            let after = self.lex.peek();
            if after.kind != Kind::End && self.diagnostics.is_empty() {
                let error = self.unexpected_token(after, &["the end of the file"]);
                self.diagnostics.push(error.with_note("the module is closed before this"));
            }
        } else {
            self.declare(None);
        }
        self.contents();
        *misgrouped = self.misgrouped;
        self.finish()
    }

    /// Assembles the fields of a module in a script, up to the parenthesis that closes it; gives the
    /// place behind that too.
    pub fn fields(mut self, open: Span, header: Header) -> (Result<Vec<u8>, Diagnostics>, usize) {
        self.module_name(header);
        self.declare(Some(open));
        let end = self.lex.at;
        self.contents();
        (self.finish().map(|(bytes, _)| bytes), end)
    }

    /// What follows the second pass.
    fn finish(mut self) -> Result<(Vec<u8>, SourceMap), Diagnostics> {
        if self.diagnostics.is_empty() {
            let sections = std::mem::take(&mut self.sections);
            let names = match self.options.strip_names {
                true => NameSection::default(),
                false => std::mem::take(&mut self.names),
            };
            let mapped = self.mapped;
            let module = sections.finish(names, mapped, |out, map| self.write_data(out, map));
            if let Ok(module) = module {
                return Ok(module);
            }
        } else {
            // For the mistakes in data.
            let _ = self.write_data(&mut Vec::new(), &mut SourceMapBuilder::default());
        }
        self.diagnostics.sort();
        self.diagnostics.list.dedup();
        self.drop_consequences();
        Err(self.diagnostics)
    }

    /// Leaves out what only follows from another mistake: behind a string without an end, strings
    /// begin where they should end, and a field inside a function is a parenthesis too few.
    fn drop_consequences(&mut self) {
        let is = |code: &'static str| move |error: &Diagnostic| error.code == code;
        let first_string = self.diagnostics.list.iter().position(is("unclosed-string"));
        let swallows =
            first_string.is_some() || self.diagnostics.list.iter().any(is("misplaced-field"));
        let mut at = 0;
        self.diagnostics.list.retain(|error| {
            at += 1;
            match error.code {
                "unclosed-parenthesis" => !swallows,
                "unclosed-string" => first_string == Some(at - 1),
                _ => true,
            }
        });
    }

    fn module_name(&mut self, header: Header) {
        if let Some(name) = self.given_name(header) {
            self.names.set_module(&name);
        }
    }
}

/// Tokens.
impl<'a> Assembler<'a> {
    pub(crate) fn peek(&self) -> Token {
        self.lex.peek()
    }

    pub(crate) fn next(&mut self) -> Token {
        self.lex.token()
    }

    /// The keyword of the form that begins here.
    pub(crate) fn peek_form(&self) -> Option<&'a [u8]> {
        let mut lex = self.lex.clone();
        if lex.token().kind != Kind::Open {
            return None;
        }
        let keyword = lex.token();
        (keyword.kind == Kind::Keyword).then(|| keyword.span.of(self.text))
    }

    /// Takes `(` and the keyword `name` where they stand here; gives the place of the parenthesis.
    pub(crate) fn take_form(&mut self, name: &[u8]) -> Option<Span> {
        if self.peek_form()? != name {
            return None;
        }
        let open = self.next().span;
        self.next();
        Some(open)
    }

    /// Takes the keyword `name` where it stands here.
    pub(crate) fn take_keyword(&mut self, name: &[u8]) -> bool {
        let token = self.peek();
        let found = token.kind == Kind::Keyword && token.span.of(self.text) == name;
        if found {
            self.next();
        }
        found
    }

    /// Takes a token of a kind where one stands here.
    pub(crate) fn take(&mut self, kind: Kind) -> Option<Span> {
        let token = self.peek();
        (token.kind == kind).then(|| self.next().span)
    }

    /// Takes the parenthesis that closes the form opened at `open`.
    pub(crate) fn close(&mut self, open: Span, expected: &[&str]) -> Parse {
        let token = self.peek();
        if token.kind == Kind::Close {
            self.next();
            return Ok(());
        }
        let mut all = vec!["`)`"];
        all.extend_from_slice(expected);
        let error = self.unexpected_token(token, &all);
        Err(self.fail(error.and_label(open, "to close this")))
    }

    /// A string, with its quotes.
    pub(crate) fn string_token(&mut self, what: &str) -> Parse<Span> {
        let token = self.peek();
        if token.kind == Kind::String {
            return Ok(self.next().span);
        }
        Err(self.unexpected(token, &[what]))
    }

    /// The bytes of a string token.
    pub(crate) fn string_bytes(&mut self, token: Span) -> Parse<Vec<u8>> {
        let mut bytes = Vec::new();
        match string::unescape(self.text, token, &mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(self.fail(*error)),
        }
    }

    /// A string that must be UTF-8: the name of an import, export, section.
    pub(crate) fn name_string(&mut self, what: &str) -> Parse<Vec<u8>> {
        let token = self.string_token(what)?;
        self.name_bytes(token)
    }

    pub(crate) fn name_bytes(&mut self, token: Span) -> Parse<Vec<u8>> {
        let bytes = self.string_bytes(token)?;
        if std::str::from_utf8(&bytes).is_err() {
            let error =
                Diagnostic::error("malformed-utf8", token, "malformed UTF-8 encoding in a name");
            return Err(
                self.fail(error.with_help("names are text; only data may hold other bytes"))
            );
        }
        Ok(bytes)
    }

    /// `$id? (@name "...")?`
    pub(crate) fn header(&mut self) -> Parse<Header> {
        let id = self.take_id()?;
        let mut name = None;
        let token = self.peek();
        if token.kind == Kind::Annotation && self.lex.annotation(token) == b"name" {
            self.next();
            let string = self.string_token("a name in quotes")?;
            self.name_bytes(string)?;
            name = Some(string);
            self.close(token.span, &[])?;
        }
        Ok(Header { id, name })
    }

    /// Takes an identifier where one stands here.
    pub(crate) fn take_id(&mut self) -> Parse<Option<Span>> {
        let Some(id) = self.take(Kind::Id) else { return Ok(None) };
        self.check_id(id)?;
        Ok(Some(id))
    }

    /// Checks a quoted identifier: its escapes, its encoding, and that it is not empty.
    fn check_id(&mut self, id: Span) -> Parse {
        if self.lex.byte_at(id.start as usize + 1) != b'"' {
            return Ok(());
        }
        let name = self.name_bytes(Span { start: id.start + 1, end: id.end })?;
        if name.is_empty() {
            return Err(self.fail(Diagnostic::error(
                "malformed-identifier",
                id,
                "empty identifier",
            )));
        }
        Ok(())
    }

    /// The name that the header of a definition gives to it.
    fn given_name(&self, header: Header) -> Option<Cow<'a, [u8]>> {
        match (header.name, header.id) {
            (Some(string), _) => {
                let mut name = Vec::new();
                string::unescape(self.text, string, &mut name).ok()?;
                Some(Cow::Owned(name))
            }
            (None, Some(id)) => Some(name_of(self.text, id)),
            (None, None) => None,
        }
    }
}

/// Numbers and indices.
impl Assembler<'_> {
    /// An unsigned number of at most `max`.
    pub(crate) fn unsigned(&mut self, max: u64, what: &str) -> Parse<u64> {
        let token = self.peek();
        if token.kind != Kind::Number {
            return Err(self.unexpected(token, &[what]));
        }
        self.next();
        let value = number::unsigned(token.span.of(self.text), max);
        value.map_err(|error| self.bad_number(token.span, error, what))
    }

    /// The complaint about a number.
    #[cold]
    pub(crate) fn bad_number(&mut self, span: Span, error: NumberError, what: &str) -> Failed {
        let shown = shorten(&String::from_utf8_lossy(span.of(self.text)));
        self.fail(match error {
            NumberError::Malformed => {
                let error = Diagnostic::error(
                    "malformed-number",
                    span,
                    format!("malformed number `{shown}`"),
                )
                .expecting(what);
                match shown {
                    _ if shown.contains("__") || shown.ends_with('_') => {
                        error.with_help("one `_` may stand between two digits")
                    }
                    _ if shown.contains('.') && what.contains("integer") => {
                        error.with_help("an integer has no fraction; `f32` and `f64` have one")
                    }
                    _ if shown.starts_with(['-', '+']) && what.contains("index") => {
                        error.with_help("an index has no sign")
                    }
                    _ => error,
                }
            }
            NumberError::OutOfRange => {
                let error = Diagnostic::error(
                    "number-out-of-range",
                    span,
                    format!("`{shown}` is out of range"),
                )
                .expecting(what);
                match what {
                    _ if shown.contains("nan:") => {
                        error.with_help("the payload of a `nan` fits its fraction and is not 0")
                    }
                    "a 32-bit integer" => error.with_help("32 bits hold -2147483648 to 4294967295"),
                    "a 64-bit integer" => {
                        error.with_help("64 bits hold -9223372036854775808 to 18446744073709551615")
                    }
                    "a 32-bit float" => error.with_help("`f64` has a wider range"),
                    _ => error,
                }
            }
        })
    }

    /// A number or an identifier in a space of the module.
    fn index(&mut self, space: Space) -> Parse<u32> {
        let token = self.peek();
        match token.kind {
            Kind::Number => {
                self.next();
                number::unsigned(token.span.of(self.text), u64::from(u32::MAX))
                    .map(|index| index as u32)
                    .map_err(|error| self.bad_number(token.span, error, "a 32-bit index"))
            }
            Kind::Id => {
                self.next();
                self.check_id(token.span)?;
                let name = name_of(self.text, token.span);
                match self.spaces.of(space).names.find(self.text, &name) {
                    Some(index) => Ok(index),
                    None => {
                        self.unknown_id(token.span, space);
                        Ok(0)
                    }
                }
            }
            _ => {
                let what = format!("a {} index or identifier", space.noun());
                let mut error = self.unexpected_token(token, &[&what]);
                let identifier = [b"$", token.span.of(self.text)].concat();
                if self.spaces.of(space).names.find(self.text, &identifier[1..]).is_some() {
                    error = error.suggesting(String::from_utf8_lossy(&identifier));
                }
                Err(self.fail(error))
            }
        }
    }

    /// An index where one stands here.
    fn take_index(&mut self, space: Space) -> Parse<Option<u32>> {
        match self.peek().kind {
            Kind::Number | Kind::Id => self.index(space).map(Some),
            _ => Ok(None),
        }
    }

    #[cold]
    fn unknown_id(&mut self, id: Span, space: Space) {
        if !self.diagnostics.is_full() {
            let (ids, earlier) = (self.spaces.of(space).names.ids(), self.diagnostics.list.len());
            let error = resolve::unknown(self.text, id, space, ids, earlier);
            self.diagnostics.push(error);
        }
    }
}

/// Complaints.
impl Assembler<'_> {
    #[cold]
    pub(crate) fn fail(&mut self, diagnostic: Diagnostic) -> Failed {
        self.diagnostics.push(diagnostic);
        Failed
    }

    /// Notes that `token` is not what should stand here.
    #[cold]
    pub(crate) fn unexpected(&mut self, token: Token, expected: &[&str]) -> Failed {
        let error = self.unexpected_token(token, expected);
        self.fail(error)
    }

    /// The complaint that `token` is not what should stand here.
    #[cold]
    pub(crate) fn unexpected_token(&self, token: Token, expected: &[&str]) -> Diagnostic {
        let mut diagnostic = match token.kind {
            Kind::Bad => return self.lex.explain(token),
            Kind::End => Diagnostic::error("unexpected-end", token.span, "the text ends too early"),
            _ if token.span.of(self.text) == b"$" => {
                Diagnostic::error("malformed-identifier", token.span, "empty identifier")
                    .with_help("a name must follow `$` directly")
            }
            _ => {
                let shown = shorten(&String::from_utf8_lossy(token.span.of(self.text)));
                Diagnostic::error("unexpected-token", token.span, format!("unexpected `{shown}`"))
            }
        };
        if token.kind == Kind::Reserved && token.span.of(self.text).contains(&b'"') {
            diagnostic.help = Some("a space is missing before or behind the string".to_owned());
        }
        diagnostic.expected = expected.iter().map(|what| what.to_string()).collect();
        diagnostic
    }

    /// The complaint about a keyword that is none of `known`, with the nearest of them.
    #[cold]
    pub(crate) fn unknown_keyword(&self, token: Token, what: &str, known: &[&str]) -> Diagnostic {
        if token.kind != Kind::Keyword {
            return self.unexpected_token(token, &[what]);
        }
        let written = String::from_utf8_lossy(token.span.of(self.text)).into_owned();
        let message = format!("unknown {what} `{}`", shorten(&written));
        let mut diagnostic = Diagnostic::error("unknown-keyword", token.span, message);
        diagnostic.expected = known.iter().map(|word| format!("`{word}`")).collect();
        match resolve::most_similar(&written, known.iter().copied()) {
            Some(similar) => diagnostic.suggesting(similar),
            None => diagnostic,
        }
    }
}
