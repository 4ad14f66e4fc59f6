//! The first pass: which fields a module has, and what they define.
//!
//! It reads the head of a field, as far as an identifier or an inline import can stand, and jumps
//! over the rest.
//! What is wrong inside a field is left to the second pass; here only identifiers defined twice,
//! unknown fields and parentheses that do not match are found.

use super::{Assembler, Parse};
use crate::lexer::{Kind, Lexer, Token};
use crate::resolve::Space;
use crate::{Diagnostic, Span};

/// The fields of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    Type,
    Rec,
    Import,
    Func,
    Table,
    Memory,
    Global,
    Export,
    Start,
    Elem,
    Data,
    Tag,
    /// An annotation that makes a custom section.
    Custom,
}

const KEYWORDS: [(&str, FieldKind); 12] = [
    ("func", FieldKind::Func),
    ("type", FieldKind::Type),
    ("import", FieldKind::Import),
    ("export", FieldKind::Export),
    ("global", FieldKind::Global),
    ("memory", FieldKind::Memory),
    ("table", FieldKind::Table),
    ("data", FieldKind::Data),
    ("elem", FieldKind::Elem),
    ("start", FieldKind::Start),
    ("tag", FieldKind::Tag),
    ("rec", FieldKind::Rec),
];

/// One field, to be read by the second pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub kind: FieldKind,
    /// `(` and the keyword.
    pub open: Span,
}

impl Assembler<'_> {
    /// Reads fields up to the end of the module, which is the parenthesis that closes `open`, or
    /// the end of the text.
    pub(super) fn declare(&mut self, open: Option<Span>) {
        let mut defined = None;
        loop {
            let token = self.next();
            match token.kind {
                Kind::Open => self.declare_form(token, &mut defined),
                Kind::Annotation => self.declare_annotation(token),
                Kind::Close if open.is_some() => {
                    if !self.is_field_form() {
                        return;
                    }
                    self.diagnostics.push(closed_too_early(token.span));
                }
                Kind::End => {
                    if let Some(open) = open
                        && !self.swallowed
                    {
                        self.diagnostics.push(unclosed(token.span, open));
                    }
                    return;
                }
                _ => self.stray(token),
            }
        }
    }

    /// A form behind its parenthesis.
    fn declare_form(&mut self, open: Token, defined: &mut Option<&'static str>) {
        let keyword = self.peek();
        let word = keyword.span.of(self.text);
        let known = KEYWORDS.iter().find(|(name, _)| name.as_bytes() == word);
        let Some((_, kind)) = known else {
            if !self.diagnostics.is_full() {
                let names = KEYWORDS.map(|(name, _)| name);
                let error = self.unknown_keyword(keyword, "module field", &names);
                self.diagnostics.push(error);
            }
            self.skip_field(open.span, open.span, 1);
            return;
        };
        self.next();
        let head = open.span.to(keyword.span);
        let field = Field { kind: *kind, open: head };
        // A head that cannot be read is read again, with complaints, by the second pass.
        let depth = self.declare_head(field, defined);
        if self.skip_field(open.span, head, depth) {
            self.fields.push(field);
        }
    }

    fn declare_annotation(&mut self, token: Token) {
        match self.lex.annotation(token) {
            b"custom" | b"producers" | b"dylink.0" | b"data_count" => {
                self.fields.push(Field { kind: FieldKind::Custom, open: token.span });
            }
            _ => {
                let error = self.unexpected_token(token, &["a module field"]);
                self.diagnostics.push(error);
            }
        }
        self.skip_field(token.span, token.span, 1);
    }

    /// Whether a field begins here.
    fn is_field_form(&self) -> bool {
        let word = self.peek_form().unwrap_or_default();
        KEYWORDS.iter().any(|(name, _)| name.as_bytes() == word)
    }

    /// Something that is no form: complains, and skips all of its kind.
    fn stray(&mut self, token: Token) {
        self.swallowed |= token.kind == Kind::Bad && token.span.end as usize == self.text.len();
        let mut error = self.unexpected_token(token, &["a module field, such as `(func ...)`"]);
        if token.kind == Kind::Close {
            error = error
                .with_help("this parenthesis closes nothing; perhaps one is missing before it");
        }
        self.diagnostics.push(error);
        while !matches!(self.peek().kind, Kind::Open | Kind::Annotation | Kind::Close | Kind::End) {
            self.next();
        }
    }

    /// Moves behind a field of which so many forms are open; whether it is whole.
    fn skip_field(&mut self, open: Span, head: Span, depth: u32) -> bool {
        let from = self.lex.at;
        if !self.careful && self.lex.skip_forms(depth).is_some() {
            return true;
        }
        // From here on every field is searched for its end, so that each is gone over once.
        self.careful = true;
        self.lex.at = from;
        self.find_field_end(open, head, depth)
    }

    /// Finds where a field ends, or should have ended; whether it is whole.
    ///
    /// A new field at the beginning of a line, not deeper than this one began, is taken for the
    /// next one.
    #[cold]
    fn find_field_end(&mut self, open: Span, head: Span, depth: u32) -> bool {
        let mut opens = vec![open; depth as usize];
        let limit = column(self.text, open.start as usize);
        let mut whole = true;
        while !opens.is_empty() {
            let at = self.lex.at;
            let token = self.next();
            match token.kind {
                Kind::Open | Kind::Annotation => {
                    let start = token.span.start as usize;
                    let indent = column(self.text, start);
                    if indent.is_some() && indent <= limit && is_field(&self.lex) {
                        self.lex.at = at;
                        break;
                    }
                    opens.push(token.span);
                    // The types of a group, which `declare_rec` leaves to this where it is careful.
                    let in_group = opens.len() == 2 && head.of(self.text).ends_with(b"rec");
                    if in_group && self.take_keyword(b"type") {
                        self.declare_one(Space::Type);
                    }
                }
                Kind::Close => {
                    opens.pop();
                }
                Kind::Bad => {
                    self.swallowed |= token.span.end as usize == self.text.len();
                    whole = false;
                    let error = self.lex.explain(token);
                    self.diagnostics.push(error);
                }
                Kind::End => break,
                _ => {}
            }
        }
        let Some(innermost) = opens.last() else { return whole };
        // What was swallowed by a string or comment without an end may have held parentheses.
        if whole {
            let error = unclosed(Span::at(self.lex.at), *innermost);
            let error =
                if *innermost == open { error } else { error.and_label(head, "in this field") };
            self.diagnostics.push(error);
        }
        false
    }

    /// Enters what a field defines; gives the number of forms that are open where it stops.
    fn declare_head(&mut self, field: Field, defined: &mut Option<&'static str>) -> u32 {
        let space = match field.kind {
            FieldKind::Type => Space::Type,
            FieldKind::Func => Space::Func,
            FieldKind::Table => Space::Table,
            FieldKind::Memory => Space::Memory,
            FieldKind::Global => Space::Global,
            FieldKind::Tag => Space::Tag,
            FieldKind::Elem => Space::Elem,
            FieldKind::Data => Space::Data,
            FieldKind::Rec => return self.declare_rec(),
            FieldKind::Import => return self.declare_import(field.open, *defined),
            FieldKind::Export | FieldKind::Start | FieldKind::Custom => return 1,
        };
        self.declare_one(space);
        if matches!(field.kind, FieldKind::Type | FieldKind::Elem | FieldKind::Data) {
            return 1;
        }
        self.skip_string_form(|this| this.take(Kind::Annotation).is_some());
        while self.skip_string_form(|this| this.take_form(b"export").is_some()) {}
        if self.peek_form() == Some(b"import") {
            self.check_import_order(field.open, *defined);
            return 1;
        }
        if field.kind != FieldKind::Tag {
            *defined = Some(space.noun());
        }
        // An inline segment is a segment without a name.
        let inline = match field.kind {
            FieldKind::Table => Space::Elem,
            FieldKind::Memory => Space::Data,
            _ => return 1,
        };
        self.take_keyword(b"shared");
        self.address_type();
        if self.peek().kind != Kind::Number {
            self.spaces.of_mut(inline).count += 1;
        }
        1
    }

    /// Enters the definition whose identifier may stand here.
    fn declare_one(&mut self, space: Space) {
        let definitions = self.spaces.of_mut(space);
        let index = definitions.count;
        definitions.count += 1;
        let token = self.lex.peek();
        if token.kind != Kind::Id {
            return;
        }
        self.lex.token();
        if let Err(earlier) = definitions.names.insert(self.text, token.span, index) {
            self.diagnostics.push(duplicate(self.text, token.span, earlier, space));
        }
    }

    /// Skips a form that holds one string, if it begins as `begin` wants; whether it does.
    fn skip_string_form(&mut self, begin: impl FnOnce(&mut Self) -> bool) -> bool {
        let from = self.lex.at;
        let whole =
            begin(self) && self.take(Kind::String).is_some() && self.take(Kind::Close).is_some();
        if !whole {
            self.lex.at = from;
        }
        whole
    }

    fn declare_rec(&mut self) -> u32 {
        while !self.careful && self.take_form(b"type").is_some() {
            self.declare_one(Space::Type);
            let from = self.lex.at;
            if self.lex.skip_form().is_none() {
                self.careful = true;
                self.lex.at = from;
                return 2;
            }
        }
        1
    }

    fn declare_import(&mut self, open: Span, defined: Option<&'static str>) -> u32 {
        self.check_import_order(open, defined);
        if self.take(Kind::String).is_none() || self.take(Kind::String).is_none() {
            return 1;
        }
        let space = match self.peek_form() {
            Some(b"func") => Space::Func,
            Some(b"table") => Space::Table,
            Some(b"memory") => Space::Memory,
            Some(b"global") => Space::Global,
            Some(b"tag") => Space::Tag,
            _ => return 1,
        };
        self.next();
        self.next();
        self.declare_one(space);
        2
    }

    fn check_import_order(&mut self, open: Span, defined: Option<&'static str>) {
        if let Some(noun) = defined {
            let message = format!("import after a {noun} definition");
            let error = Diagnostic::error("import-order", open, message)
                .with_help("imports come first, because they have the lowest indices");
            self.diagnostics.push(error);
        }
    }
}

/// The second pass over the fields.
impl Assembler<'_> {
    /// Reads the contents of all fields: types first, because everything else needs them.
    pub(super) fn contents(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        let is_type = |field: &&Field| matches!(field.kind, FieldKind::Type | FieldKind::Rec);
        for field in fields.iter().filter(is_type) {
            self.lex.at = field.open.end as usize;
            let _reported: Parse = match field.kind {
                FieldKind::Rec => self.rec_field(field.open),
                _ => self.type_field(field.open),
            };
        }
        for field in fields.iter().filter(|field| !is_type(field)) {
            self.lex.at = field.open.end as usize;
            let _reported: Parse = match field.kind {
                FieldKind::Import => self.import_field(field.open),
                FieldKind::Func => self.func_field(field.open),
                FieldKind::Table => self.table_field(field.open),
                FieldKind::Memory => self.memory_field(field.open),
                FieldKind::Global => self.global_field(field.open),
                FieldKind::Export => self.export_field(field.open),
                FieldKind::Start => self.start_field(field.open),
                FieldKind::Elem => self.elem_field(field.open),
                FieldKind::Data => self.data_field(field.open),
                FieldKind::Tag => self.tag_field(field.open),
                FieldKind::Custom => self.custom_field(field.open),
                FieldKind::Type | FieldKind::Rec => Ok(()),
            };
        }
    }
}

/// The complaint about an identifier that was defined before.
pub(super) fn duplicate(text: &[u8], id: Span, earlier: Span, space: Space) -> Diagnostic {
    let shown = crate::resolve::shorten(&String::from_utf8_lossy(id.of(text)));
    let noun = space.noun();
    Diagnostic::error("duplicate-identifier", id, format!("duplicate {noun} identifier `{shown}`"))
        .and_label(earlier, "first defined here")
}

/// The complaint about a parenthesis that closes a module before its last field.
fn closed_too_early(close: Span) -> Diagnostic {
    Diagnostic::error("unexpected-token", close, "unexpected `)`")
        .with_label("this closes the module, but more fields follow")
        .with_help("take it away, or look for one too many before it")
}

/// The complaint about a form without an end.
fn unclosed(at: Span, open: Span) -> Diagnostic {
    Diagnostic::error("unclosed-parenthesis", open, "this parenthesis is not closed")
        .with_label("opened here")
        .and_label(at, "`)` is missing before this")
        .expecting("`)`")
}

/// The column of a byte if only spaces stand before it on its line.
fn column(text: &[u8], at: usize) -> Option<usize> {
    let blanks =
        text[..at].iter().rev().take_while(|&&b| matches!(b, b' ' | b'\t' | b'\r')).count();
    let line_begins = at == blanks || text[at - blanks - 1] == b'\n';
    line_begins.then_some(blanks)
}

/// Whether the keyword of a field follows.
fn is_field(lex: &Lexer<'_>) -> bool {
    let keyword = lex.peek();
    let word = keyword.span.of(lex.text);
    KEYWORDS.iter().any(|(name, _)| name.as_bytes() == word)
}
