//! Cuts a text into tokens.
//!
//! A token is a kind and a range; what a number or a string means is read later, by `number` and
//! `string`, and only where somebody wants to know.
//! A mistake is a token too ([`Kind::Bad`]): the lexer says what is wrong only when it is asked
//! ([`Lexer::explain`]), so that looking ahead costs nothing and reports nothing.
//!
//! Comments may be nested to any depth; a counter follows them, not the stack.
//! Annotations (`(@name ...)`) that nobody here knows are white space, as the specification wants.
//!
//! Spec: Text Format, Lexical Format.

use memchr::{memchr, memchr2};

use crate::{Diagnostic, Span};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `(`
    Open,
    /// `(@name`, where the name is one of [`ANNOTATIONS`].
    Annotation,
    /// `)`
    Close,
    /// Begins with a lower-case letter; `nan` and `inf` are keywords to the lexer.
    Keyword,
    /// Begins with a digit or a sign.
    Number,
    /// `$name` or `$"name"`.
    Id,
    /// `"..."`
    String,
    /// Printable characters that are none of these.
    Reserved,
    /// The text is over.
    End,
    /// Not a token at all; [`Lexer::explain`] says why.
    Bad,
}

/// A kind and a range of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub span: Span,
}

/// The annotations that have a meaning here.
pub(crate) const ANNOTATIONS: [&[u8]; 6] =
    [b"custom", b"name", b"producers", b"dylink.0", b"data_count", b"metadata.code.branch_hint"];

/// One bit for each class a byte can be in.
mod class {
    pub const SPACE: u8 = 1;
    pub const ID: u8 = 2;
}

static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' => class::SPACE,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => class::ID,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'/' | b':'
            | b'<' | b'=' | b'>' | b'?' | b'@' | b'\\' | b'^' | b'_' | b'`' | b'|' | b'~' => {
                class::ID
            }
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// Whether a byte may stand in an identifier, keyword or number.
#[inline(always)]
pub(crate) fn is_id(byte: u8) -> bool {
    CLASS[byte as usize] & class::ID != 0
}

/// A position in a text.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    pub text: &'a [u8],
    pub at: usize,
}

impl<'a> Lexer<'a> {
    /// Begins at the byte `at` of `text`.
    pub fn new(text: &'a [u8], at: usize) -> Lexer<'a> {
        Lexer { text, at }
    }

    /// The byte here, 0 behind the end. (A NUL in the text is no token either.)
    #[inline(always)]
    pub fn byte(&self) -> u8 {
        self.byte_at(self.at)
    }

    /// The byte at an offset, 0 behind the end.
    #[inline(always)]
    pub fn byte_at(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// Eight bytes from `at`, little endian, zeros behind the end.
    #[inline(always)]
    pub fn word_at(&self, at: usize) -> u64 {
        match self.text.get(at..at + 8) {
            Some(bytes) => u64::from_le_bytes(bytes.try_into().unwrap_or_default()),
            None => self.last_word(at),
        }
    }

    #[cold]
    fn last_word(&self, at: usize) -> u64 {
        let rest = self.text.get(at..).unwrap_or_default();
        let mut bytes = [0; 8];
        bytes[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(bytes)
    }

    /// Skips spaces, comments and annotations without a meaning.
    ///
    /// Stops before anything that is wrong.
    #[inline(always)]
    pub fn skip_space(&mut self) {
        const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
        loop {
            let differing = self.word_at(self.at) ^ SPACES;
            if differing == 0 {
                self.at += 8;
                continue;
            }
            self.at += (differing.trailing_zeros() / 8) as usize;
            match self.byte() {
                b'\n' | b'\r' | b'\t' => self.at += 1,
                b' ' => {}
                b';' | b'(' => {
                    if !self.skip_comment() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// Skips one comment or meaningless annotation that begins here.
    fn skip_comment(&mut self) -> bool {
        let end = match (self.byte(), self.byte_at(self.at + 1)) {
            (b';', b';') => {
                let rest = &self.text[self.at..];
                Some(self.at + memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()))
            }
            (b'(', b';') => comment_end(self.text, self.at),
            (b'(', b'@') => self.annotation_end(),
            _ => None,
        };
        if let Some(end) = end {
            self.at = end;
        }
        end.is_some()
    }

    /// The end of an annotation that has no meaning here; `None` if it has one, or is not whole.
    #[cold]
    fn annotation_end(&self) -> Option<usize> {
        let name = self.reserved(self.at + 1);
        if !self.is_annotation_name(name) || self.annotation_name(name.span).is_some() {
            return None;
        }
        self.annotation_contents(name).ok()
    }

    /// The end of the annotation with this name, whose contents may be any tokens.
    ///
    /// # Errors
    /// What is no token in there, or the end of the text.
    fn annotation_contents(&self, name: Token) -> Result<usize, Box<Diagnostic>> {
        let mut inner = Lexer::new(self.text, name.span.end as usize);
        let mut depth = 1;
        while depth > 0 {
            // Comments count here, annotations with a meaning do not.
            let token = inner.raw_token();
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth -= 1,
                Kind::End => {
                    let span = Span::new(name.span.start as usize - 1, name.span.end as usize);
                    let message = "this annotation is not closed";
                    let error = Diagnostic::error("malformed-annotation", span, message);
                    let error = error.with_label("opened here");
                    return Err(Box::new(error.expecting("`(@name ...)`")));
                }
                Kind::Bad => return Err(Box::new(self.explain(token))),
                _ => self.check_strings(token.span)?,
            }
        }
        Ok(inner.at)
    }

    /// Looks at the characters and escapes of all strings in a token.
    fn check_strings(&self, token: Span) -> Result<(), Box<Diagnostic>> {
        let (mut at, end) = (token.start as usize, token.end as usize);
        while let Some(offset) = memchr(b'"', &self.text[at..end]) {
            let start = at + offset;
            at = string_end(self.text, start).unwrap_or(end);
            let span = Span::new(start, at);
            crate::string::unescape(self.text, span, &mut Vec::new())?;
        }
        Ok(())
    }

    /// Whether a token that begins with `@` is the name of an annotation: not empty, and UTF-8.
    fn is_annotation_name(&self, token: Token) -> bool {
        let Span { start, end } = token.span;
        if token.kind != Kind::Reserved || end - start < 2 {
            return false;
        }
        if self.byte_at(start as usize + 1) != b'"' {
            return true;
        }
        let mut name = Vec::new();
        crate::string::unescape(self.text, Span { start: start + 1, end }, &mut name).is_ok()
            && !name.is_empty()
            && std::str::from_utf8(&name).is_ok()
    }

    /// The known annotation that a range from its `@` names.
    fn annotation_name(&self, span: Span) -> Option<&'static [u8]> {
        let name = &span.of(self.text)[1..];
        ANNOTATIONS.into_iter().find(|known| {
            name == *known
                || name.strip_prefix(b"\"").and_then(|n| n.strip_suffix(b"\"")) == Some(known)
        })
    }

    /// The name of an annotation token, without `(@`.
    pub fn annotation(&self, token: Token) -> &'static [u8] {
        let at = Span { start: token.span.start + 1, end: token.span.end };
        self.annotation_name(at).unwrap_or_default()
    }

    /// The next token; the position moves behind it.
    #[inline]
    pub fn token(&mut self) -> Token {
        self.skip_space();
        let token = self.token_here();
        self.at = token.span.end as usize;
        token
    }

    /// The next token; the position stays.
    #[inline]
    pub fn peek(&self) -> Token {
        let mut copy = self.clone();
        copy.token()
    }

    /// A token in which every annotation is an opening parenthesis and a reserved word.
    fn raw_token(&mut self) -> Token {
        loop {
            while CLASS[self.byte() as usize] & class::SPACE != 0 {
                self.at += 1;
            }
            let annotation = self.byte() == b'(' && self.byte_at(self.at + 1) == b'@';
            if annotation || !self.skip_comment() {
                break;
            }
        }
        let token = if self.byte() == b'(' && self.byte_at(self.at + 1) != b';' {
            Token { kind: Kind::Open, span: Span::new(self.at, self.at + 1) }
        } else {
            self.token_here()
        };
        self.at = token.span.end as usize;
        token
    }

    /// The token that begins exactly here.
    fn token_here(&self) -> Token {
        let at = self.at;
        let one = |kind| Token { kind, span: Span::new(at, at + 1) };
        match self.byte() {
            b'(' => match self.byte_at(at + 1) {
                // A comment or an annotation that was not skipped is not closed, or has a meaning.
                // Behind one that is not closed there is nothing but what it swallows.
                b';' => Token { kind: Kind::Bad, span: Span::new(at, self.text.len()) },
                b'@' => {
                    let name = self.reserved(at + 1);
                    let (kind, end) = match self.is_annotation_name(name) {
                        true if self.annotation_name(name.span).is_some() => {
                            (Kind::Annotation, name.span.end as usize)
                        }
                        true => (Kind::Bad, self.text.len()),
                        false => (Kind::Bad, at + 2),
                    };
                    Token { kind, span: Span::new(at, end) }
                }
                _ => one(Kind::Open),
            },
            b')' => one(Kind::Close),
            b',' | b';' | b'[' | b']' | b'{' | b'}' => one(Kind::Reserved),
            byte if is_id(byte) || byte == b'"' => self.reserved(at),
            0 if at >= self.text.len() => Token { kind: Kind::End, span: Span::at(at) },
            _ => Token { kind: Kind::Bad, span: Span::new(at, at + character_len(self.text, at)) },
        }
    }

    /// The longest run of identifier characters and strings, and what it is.
    fn reserved(&self, start: usize) -> Token {
        let mut at = start;
        let mut strings = 0;
        let mut characters = 0;
        loop {
            let byte = self.byte_at(at);
            if is_id(byte) {
                at += 1;
                characters += 1;
            } else if byte == b'"' {
                let Some(end) = string_end(self.text, at) else {
                    let line = memchr(b'\n', &self.text[at..]).map_or(self.text.len(), |n| at + n);
                    return Token { kind: Kind::Bad, span: Span::new(at, line) };
                };
                at = end;
                strings += 1;
            } else {
                break;
            }
        }
        let kind = match (self.byte_at(start), characters, strings) {
            (b'"', 0, 1) => Kind::String,
            (b'$', 1, 1) => Kind::Id,
            (b'$', 2.., 0) => Kind::Id,
            (b'a'..=b'z', _, 0) => Kind::Keyword,
            (b'0'..=b'9' | b'+' | b'-', _, 0) => Kind::Number,
            _ => Kind::Reserved,
        };
        Token { kind, span: Span::new(start, at) }
    }

    /// Moves behind the parenthesis that closes the form which is open here, and gives the place
    /// behind it; `None` where the text ends first.
    ///
    /// The contents are not looked at, but for comments, strings and parentheses.
    pub fn skip_form(&mut self) -> Option<usize> {
        self.skip_forms(1)
    }

    /// The same for a number of forms that are open here.
    pub fn skip_forms(&mut self, mut depth: u32) -> Option<usize> {
        loop {
            self.at = next_structural(self.text, self.at)?;
            match self.byte() {
                b'(' => match self.byte_at(self.at + 1) {
                    b';' => self.at = comment_end(self.text, self.at)?,
                    _ => {
                        depth += 1;
                        self.at += 1;
                    }
                },
                b')' => {
                    depth -= 1;
                    self.at += 1;
                    if depth == 0 {
                        return Some(self.at);
                    }
                }
                b'"' => self.at = string_end(self.text, self.at)?,
                _ if self.byte_at(self.at + 1) == b';' => {
                    let rest = &self.text[self.at..];
                    self.at += memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                }
                _ => self.at += 1,
            }
        }
    }

    /// Says what is wrong with a [`Kind::Bad`] token.
    #[cold]
    pub fn explain(&self, token: Token) -> Diagnostic {
        let start = token.span.start as usize;
        match self.byte_at(start) {
            b'(' if self.byte_at(start + 1) == b';' => {
                let span = Span::new(start, start + 2);
                Diagnostic::error("unclosed-comment", span, "this comment is not closed")
                    .with_label("opened here")
                    .with_help("block comments nest: each `(;` needs its own `;)`")
            }
            b'(' => {
                let name = self.reserved(start + 1);
                let span = Span::new(start, (name.span.end as usize).max(start + 2));
                if self.is_annotation_name(name)
                    && let Err(error) = self.annotation_contents(name)
                {
                    return *error;
                }
                Diagnostic::error("malformed-annotation", span, "malformed annotation")
                    .with_label("a name must follow `(@` at once")
                    .expecting("`(@name ...)`")
            }
            b'"' => crate::string::explain(self.text, start),
            byte => {
                let end = start + character_len(self.text, start);
                let shown =
                    String::from_utf8_lossy(&self.text[start..end]).escape_debug().to_string();
                let span = Span::new(start, end);
                let (what, allowed) = match byte {
                    ..0x20 | 0x7f => ("control character", "only allowed in comments"),
                    _ => ("character", "only allowed in strings and comments"),
                };
                Diagnostic::error(
                    "unexpected-character",
                    span,
                    format!("unexpected {what} `{shown}`"),
                )
                .with_label(allowed)
            }
        }
    }
}

/// The number of bytes of the character at `at`.
fn character_len(text: &[u8], at: usize) -> usize {
    let rest = &text[at..text.len().min(at + 4)];
    rest.utf8_chunks()
        .next()
        .and_then(|chunk| chunk.valid().chars().next())
        .map_or(1, char::len_utf8)
}

/// Marks the bytes of a word that are equal to `byte`; exact up to the first of them.
#[inline(always)]
fn equal_bytes(word: u64, byte: u8) -> u64 {
    let differing = word ^ u64::from_le_bytes([byte; 8]);
    differing.wrapping_sub(u64::from_le_bytes([1; 8])) & !differing & u64::from_le_bytes([0x80; 8])
}

/// The first of `(`, `)`, `"` and `;` at or behind `at`.
#[inline(always)]
fn next_structural(text: &[u8], mut at: usize) -> Option<usize> {
    while let Some(chunk) = text.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        // The parentheses differ in the lowest bit only.
        let parentheses = equal_bytes(word | u64::from_le_bytes([1; 8]), b')');
        let found = parentheses | equal_bytes(word, b'"') | equal_bytes(word, b';');
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = text.get(at..)?;
    let found = rest.iter().position(|byte| matches!(byte, b'(' | b')' | b'"' | b';'))?;
    Some(at + found)
}

/// The end of the block comment that begins at `start`.
fn comment_end(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 1usize;
    let mut at = start + 2;
    loop {
        // Every border of a comment has a semicolon.
        let found = at + memchr(b';', text.get(at..)?)?;
        if found > at && text[found - 1] == b'(' {
            depth += 1;
            at = found + 1;
        } else if text.get(found + 1) == Some(&b')') {
            depth -= 1;
            at = found + 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at = found + 1;
        }
    }
}

/// The end of the string that begins with the quote at `start`.
///
/// Says nothing about escapes; `None` where the line or the text ends first.
#[inline]
pub(crate) fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut from = start + 1;
    loop {
        let at = from + memchr2(b'"', b'\n', text.get(from..)?)?;
        if text[at] == b'\n' {
            return None;
        }
        // A quote is escaped if the number of backslashes before it is odd.
        let slashes = text[from..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if slashes.is_multiple_of(2) {
            return Some(at + 1);
        }
        from = at + 1;
    }
}
