//! Mistakes in bodies: what to say, and where to go on.
//!
//! After a mistake in an instruction, reading goes on with the next one; what can be no
//! instruction is skipped as part of the broken one, so that one mistake is one complaint.

use super::body::{Frame, FrameKind};
use super::{Assembler, Failed, Parse};
use crate::instruction::INSTRUCTIONS;
use crate::lexer::{Kind, Token};
use crate::resolve::{most_similar, shorten};
use crate::{Diagnostic, Span};

impl Assembler<'_> {
    #[cold]
    pub(super) fn missing_then(&mut self, frame: Frame) {
        // It may be what another complaint is about.
        if self.diagnostics.list.iter().any(|earlier| earlier.span.start >= frame.open.start) {
            return;
        }
        let error = Diagnostic::error("missing-then", frame.open, "this `if` has no `(then ...)`");
        self.diagnostics.push(error.expecting("`(then ...)`"));
    }

    #[cold]
    pub(super) fn unclosed_block(&mut self, frame: Frame, close: Span) {
        let word = String::from_utf8_lossy(frame.open.of(self.text)).into_owned();
        let error =
            Diagnostic::error("unclosed-block", frame.open, format!("this `{word}` has no `end`"))
                .with_label("opened here")
                .and_label(close, "`end` is missing before this")
                .expecting("`end`");
        self.diagnostics.push(error);
    }

    #[cold]
    pub(super) fn unexpected_border(&mut self, keyword: Span, word: &str, of: &str) {
        let error = Diagnostic::error("unexpected-token", keyword, format!("unexpected `{word}`"))
            .with_label(format!("no `{of}` is open here"));
        let error = match self.body.frames.last() {
            Some(frame) if !frame.kind.is_flat() => {
                error.and_label(frame.open, "this form is closed by `)`")
            }
            _ => error,
        };
        self.diagnostics.push(error);
        let after = self.lex.at;
        self.skip_immediates(after);
    }

    /// Complains about a name that no instruction has; a folded one is entered all the same.
    #[cold]
    pub(super) fn unknown_instruction(&mut self, folded: Option<Span>) {
        let token = self.next();
        let word = token.span.of(self.text);
        if let Some(open) = folded
            && FIELDS.contains(&word)
        {
            let word = String::from_utf8_lossy(word);
            let message = format!("`({word} ...)` inside a function");
            let error = Diagnostic::error("misplaced-field", open.to(token.span), message)
                .with_label("a field of the module cannot begin here")
                .with_help("close the function before it: a `)` is missing above");
            self.diagnostics.push(error);
            self.misgrouped |= is_line_start(self.text, open);
            self.lex.at = open.end as usize;
            self.lex.skip_form();
            return;
        }
        if token.kind == Kind::Keyword {
            if !self.diagnostics.is_full() {
                let error = self.unknown_instruction_error(token);
                self.diagnostics.push(error);
            }
        } else {
            let error = self.unexpected_token(token, &["an instruction"]);
            self.diagnostics.push(error);
            if matches!(token.kind, Kind::Close | Kind::Open | Kind::End | Kind::Annotation) {
                self.lex.at = token.span.start as usize;
            }
        }
        if let Some(open) = folded {
            let word = token.span.of(self.text);
            if matches!(
                word,
                b"local"
                    | b"param"
                    | b"result"
                    | b"type"
                    | b"export"
                    | b"import"
                    | b"then"
                    | b"else"
            ) {
                // A form that is no instruction: nothing in it is one either.
                self.lex.at = open.end as usize;
                self.lex.skip_form();
                return;
            }
        }
        let after = self.lex.at;
        self.skip_immediates(after);
        if let Some(open) = folded {
            let aside = self.body.aside.len() as u32;
            let open = open.to(token.span);
            let kind = FrameKind::Folded;
            self.body.frames.push(Frame { kind, open, aside, has_signature: false, hint: None });
        }
    }

    fn unknown_instruction_error(&self, token: Token) -> Diagnostic {
        let written = String::from_utf8_lossy(token.span.of(self.text)).into_owned();
        let message = format!("unknown instruction `{}`", shorten(&written));
        let error = Diagnostic::error("unknown-instruction", token.span, message);
        match written.as_str() {
            "local" | "param" | "result" | "type" | "import" | "export" => {
                return error.with_help(
                    "a function has, in this order: `(export)`, `(import)`, `(type)`, `(param)`, \
                     `(result)`, `(local)`, instructions",
                );
            }
            "offset" | "align" => {
                return error
                    .with_help(format!("write `{written}=` and the number without spaces"));
            }
            "then" => return error.with_help("`(then ...)` stands only in a folded `(if ...)`"),
            _ => {}
        }
        if let Some((_, new)) = OLD_NAMES.iter().find(|(old, _)| *old == written) {
            return error
                .suggesting(*new)
                .with_note("this is the name it had before the first version of the standard");
        }
        match most_similar(&written, INSTRUCTIONS.names()) {
            Some(similar) => error.suggesting(similar),
            None => error,
        }
    }

    /// Complains about an instruction without parentheses directly in a folded `if`.
    #[cold]
    pub(super) fn flat_in_folded_if(&mut self, frame: Frame) {
        // One complaint is enough for all of them.
        if std::mem::replace(&mut self.body.complained_of, frame.open) == frame.open {
            return;
        }
        let token = self.peek();
        let expected: &[&str] = match frame.kind {
            FrameKind::FoldedIf(..) => &["a folded condition", "`(then ...)`"],
            FrameKind::FoldedThen => &["`)`", "`(else ...)`"],
            _ => &["`)`"],
        };
        let error = self.unexpected_token(token, expected);
        self.diagnostics.push(error.and_label(frame.open, "in this folded `if`"));
    }

    /// Something that can begin no instruction.
    #[cold]
    pub(super) fn stray_token(&mut self) -> Parse {
        let token = self.peek();
        let error = self.unexpected_token(token, &["an instruction", "`)`"]);
        self.diagnostics.push(error);
        if matches!(token.kind, Kind::End) {
            return Err(Failed);
        }
        let after = token.span.end as usize;
        self.skip_immediates(after.max(self.lex.at + 1));
        Ok(())
    }

    /// From behind an instruction's name at `after`, skips what cannot be another instruction.
    #[cold]
    pub(super) fn skip_immediates(&mut self, after: usize) {
        self.lex.at = after;
        loop {
            let at = self.lex.at;
            let token = self.next();
            let word = token.span.of(self.text);
            match token.kind {
                Kind::Number | Kind::Id | Kind::String | Kind::Reserved => continue,
                Kind::Bad => {
                    let error = self.lex.explain(token);
                    self.diagnostics.push(error);
                    continue;
                }
                Kind::Keyword
                    if word.starts_with(b"offset=")
                        || word.starts_with(b"align=")
                        || word.starts_with(b"nan")
                        || word == b"inf"
                        // A word that no instruction has is taken for a broken immediate, but
                        // only on the line of the instruction.
                        || INSTRUCTIONS.by_name(word).is_none()
                            && !is_line_start(self.text, token.span) =>
                {
                    continue;
                }
                Kind::Open => {
                    const IMMEDIATE: [&[u8]; 9] = [
                        b"type",
                        b"param",
                        b"result",
                        b"ref",
                        b"catch",
                        b"catch_ref",
                        b"catch_all",
                        b"catch_all_ref",
                        b"shared",
                    ];
                    let inner = self.lex.peek().span.of(self.text);
                    if IMMEDIATE.contains(&inner) && self.lex.skip_form().is_some() {
                        continue;
                    }
                }
                _ => {}
            }
            self.lex.at = at;
            return;
        }
    }
}

/// Fields of a module that have no meaning inside a function.
const FIELDS: [&[u8]; 9] =
    [b"func", b"global", b"memory", b"table", b"data", b"elem", b"start", b"tag", b"rec"];

/// Whether only spaces stand before a token on its line.
fn is_line_start(text: &[u8], span: Span) -> bool {
    let before = &text[..span.start as usize];
    let blanks =
        before.iter().rev().take_while(|&&byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    before.len() == blanks || before[before.len() - blanks - 1] == b'\n'
}

/// Names that instructions had before version 1, which old texts still use.
const OLD_NAMES: [(&str, &str); 16] = [
    ("get_local", "local.get"),
    ("set_local", "local.set"),
    ("tee_local", "local.tee"),
    ("get_global", "global.get"),
    ("set_global", "global.set"),
    ("current_memory", "memory.size"),
    ("grow_memory", "memory.grow"),
    ("i32.wrap/i64", "i32.wrap_i64"),
    ("i64.extend_s/i32", "i64.extend_i32_s"),
    ("i64.extend_u/i32", "i64.extend_i32_u"),
    ("f32.demote/f64", "f32.demote_f64"),
    ("f64.promote/f32", "f64.promote_f32"),
    ("i32.reinterpret/f32", "i32.reinterpret_f32"),
    ("i64.reinterpret/f64", "i64.reinterpret_f64"),
    ("f32.reinterpret/i32", "f32.reinterpret_i32"),
    ("f64.reinterpret/i64", "f64.reinterpret_i64"),
];
