//! The loop over instructions, flat and folded, straight into bytes.
//!
//! A folded instruction is encoded when its head is read, and put aside until its operands are
//! written:
//!
//! ```text
//! (i32.add (local.get 0) (i32.const 1))
//! ^ 6a aside  ^ 20 00       ^ 41 01     ^ 6a
//! ```
//!
//! Spec: Text Format, Instructions, Folded Instructions.

use super::body::{Frame, FrameKind};
use super::custom::misplaced;
use super::{Assembler, Header, Parse};
use crate::encode::leb;
use crate::instruction::{ELSE, END, Form, IF, INSTRUCTIONS, Instruction};
use crate::lexer::{Kind, is_id};
use crate::{Diagnostic, Span};

/// The loop over instructions.
impl Assembler<'_> {
    /// Reads up to the parenthesis that closes what is around; or one folded instruction.
    pub(super) fn instructions(&mut self, single: bool) -> Parse {
        loop {
            self.lex.skip_space();
            match self.lex.byte() {
                b'a'..=b'z' => self.flat(),
                b'(' => self.open()?,
                b')' => {
                    if self.body.frames.is_empty() || !self.close_frame() {
                        break;
                    }
                    if single && self.body.frames.is_empty() {
                        break;
                    }
                }
                _ => self.stray_token()?,
            }
        }
        if let Some((_, span)) = self.body.next_hint {
            self.diagnostics.push(misplaced(span, b"metadata.code.branch_hint"));
        }
        Ok(())
    }

    /// The instruction whose name begins here.
    #[inline(always)]
    fn name_here(&mut self) -> Option<&'static Instruction> {
        // The name ends before the first byte below `*`: a space or a parenthesis, if all is well.
        // That the table knows it proves that all is.
        const BELOW: u64 = u64::from_le_bytes([b'*'; 8]);
        const TOP: u64 = u64::from_le_bytes([0x80; 8]);
        let at = self.lex.at;
        let below = |word: u64| word.wrapping_sub(BELOW) & !word & TOP;
        let mask = |word: u64, found: u64| word & (((found & found.wrapping_neg()) >> 7) - 1);
        let (first, second) = (self.lex.word_at(at), self.lex.word_at(at + 8));
        let found = below(first);
        let (len, first, second) = if found != 0 {
            ((found.trailing_zeros() / 8) as usize, mask(first, found), 0)
        } else {
            let found = below(second);
            if found != 0 {
                (8 + (found.trailing_zeros() / 8) as usize, first, mask(second, found))
            } else {
                let mut end = at + 16;
                while self.lex.byte_at(end) >= b'*' {
                    end += 1;
                }
                (end - at, first, second)
            }
        };
        let name = self.text.get(at..at + len)?;
        let next = self.lex.byte_at(at + len);
        match INSTRUCTIONS.find(name, first, second) {
            Some(instruction) if !is_id(next) && next != b'"' => {
                self.lex.at = at + len;
                Some(instruction)
            }
            _ => self.rare_name_here(),
        }
    }

    /// The same for a name with something unusual behind it, such as a comment.
    #[cold]
    fn rare_name_here(&mut self) -> Option<&'static Instruction> {
        let token = self.peek();
        if token.kind != Kind::Keyword {
            return None;
        }
        let instruction = INSTRUCTIONS.by_name(token.span.of(self.text))?;
        self.lex.at = token.span.end as usize;
        Some(instruction)
    }

    /// An instruction that is not folded.
    #[inline(always)]
    fn flat(&mut self) {
        let start = self.lex.at;
        if let Some(frame) = self.body.frames.last()
            && frame.kind.wants_parentheses()
        {
            self.flat_in_folded_if(*frame);
        }
        let Some(instruction) = self.name_here() else {
            return self.unknown_instruction(None);
        };
        if self.mapped {
            let span = Span::new(start, self.lex.at);
            self.body.origins.push((self.body.code.len() as u32, span));
        }
        if let Some((value, _)) = self.body.next_hint.take() {
            self.body.hints.push((self.body.code.len() as u32, value));
        }
        match instruction.form {
            Form::Block | Form::If | Form::TryTable => {
                self.block_start(instruction, start, FrameKind::Block)
            }
            Form::End => self.end(start),
            Form::Else => self.else_here(start),
            Form::CallIndirect => {
                let after = self.lex.at;
                if self.call_indirect(instruction, false).is_err() {
                    self.skip_immediates(after);
                }
            }
            _ => {
                let after = self.lex.at;
                if self.immediates(instruction).is_err() {
                    self.skip_immediates(after);
                }
            }
        }
    }

    /// A parenthesis in a body: a folded instruction, an arm of an `if`, or an annotation.
    fn open(&mut self) -> Parse {
        let open = self.peek();
        match open.kind {
            Kind::Open => {}
            Kind::Annotation => {
                self.next();
                return self.branch_hint(open);
            }
            _ => {
                // A comment or annotation that is not closed: nothing behind it can be trusted.
                return Err(self.unexpected(open, &["an instruction"]));
            }
        }
        self.next();
        self.lex.skip_space();
        let start = self.lex.at;
        if self.arm(open.span) {
            return Ok(());
        }
        let Some(instruction) = self.name_here() else {
            self.unknown_instruction(Some(open.span));
            return Ok(());
        };
        let span = open.span.to(Span::new(start, self.lex.at));
        let hint = self.body.next_hint.take().map(|(value, _)| value);
        match instruction.form {
            Form::Block | Form::TryTable => {
                let offset = self.body.code.len() as u32;
                self.body.origins_push(self.mapped, span);
                if let Some(value) = hint {
                    self.body.hints.push((offset, value));
                }
                self.block_start(instruction, start, FrameKind::FoldedBlock);
                if let Some(frame) = self.body.frames.last_mut() {
                    frame.open = span;
                }
                return Ok(());
            }
            Form::End | Form::Else => {
                let error = Diagnostic::error(
                    "unexpected-token",
                    span,
                    format!("`{}` cannot be folded", instruction.name),
                );
                self.diagnostics.push(error.with_help("a folded block ends with its parenthesis"));
                let aside = self.body.aside.len() as u32;
                let has_signature = false;
                let kind = FrameKind::Folded;
                self.body.frames.push(Frame { kind, open: span, aside, has_signature, hint });
                return Ok(());
            }
            _ => {}
        }
        // Encoded where the code ends, then moved aside.
        let code_end = self.body.code.len();
        let aside = self.body.aside.len() as u32;
        let signatures = self.body.signatures.len();
        let after = self.lex.at;
        let mut kind = FrameKind::Folded;
        let outcome = match instruction.form {
            Form::If => self.block_head(instruction, true).map(|header| {
                kind = FrameKind::FoldedIf(header.id, header.name);
            }),
            Form::CallIndirect => self.call_indirect(instruction, true),
            _ => self.immediates(instruction),
        };
        if outcome.is_err() {
            self.skip_immediates(after);
            if instruction.form == Form::If {
                kind = FrameKind::FoldedIf(None, None);
            }
        }
        let body = &mut self.body;
        body.aside.extend_from_slice(&body.code[code_end..]);
        body.code.truncate(code_end);
        let has_signature = body.signatures.len() > signatures;
        body.frames.push(Frame { kind, open: span, aside, has_signature, hint });
        Ok(())
    }

    /// `then` or `else` behind a parenthesis in a folded `if`; whether that is what stands here.
    fn arm(&mut self, open: Span) -> bool {
        let Some(frame) = self.body.frames.last().copied() else { return false };
        let (FrameKind::FoldedIf(..) | FrameKind::FoldedThen | FrameKind::FoldedElse) = frame.kind
        else {
            return false;
        };
        let keyword = self.peek();
        let word = keyword.span.of(self.text);
        let next = match (frame.kind, word) {
            (FrameKind::FoldedIf(id, name), b"then") => {
                self.write_aside(frame);
                self.push_label(Header { id, name });
                FrameKind::FoldedThen
            }
            (FrameKind::FoldedIf(..), _) => return false,
            (FrameKind::FoldedThen, b"else") => {
                self.body.origins_push(self.mapped, keyword.span);
                self.body.code.push(ELSE);
                FrameKind::FoldedElse
            }
            _ => {
                let expected: &[&str] = if frame.kind == FrameKind::FoldedThen {
                    &["`)`", "`(else ...)`"]
                } else {
                    &["`)`"]
                };
                let error = self.unexpected_token(keyword, expected);
                let error = error.and_label(frame.open, "in this folded `if`");
                self.diagnostics.push(error);
                self.lex.at = open.end as usize;
                self.lex.skip_form();
                return true;
            }
        };
        self.next();
        if let Some(top) = self.body.frames.last_mut() {
            top.kind = next;
        }
        let aside = self.body.aside.len() as u32;
        let open = open.to(keyword.span);
        let kind = FrameKind::Arm;
        self.body.frames.push(Frame { kind, open, aside, has_signature: false, hint: None });
        true
    }

    /// Takes the parenthesis that closes the innermost folded form; false if it closes what is
    /// around the instructions instead.
    fn close_frame(&mut self) -> bool {
        let close = self.peek().span;
        while let Some(frame) = self.body.frames.pop() {
            if frame.kind.is_flat() {
                self.unclosed_block(frame, close);
                self.body.labels.pop();
                continue;
            }
            match frame.kind {
                FrameKind::Folded => self.write_aside(frame),
                FrameKind::Arm => {}
                FrameKind::FoldedIf(..) => {
                    self.missing_then(frame);
                    self.body.aside.truncate(frame.aside as usize);
                }
                _ => {
                    self.body.origins_push(self.mapped, close);
                    self.body.code.push(END);
                    self.body.labels.pop();
                }
            }
            self.next();
            return true;
        }
        false
    }

    /// Writes the head of a folded instruction that was put aside.
    fn write_aside(&mut self, frame: Frame) {
        self.body.origins_push(self.mapped, frame.open);
        if let Some(value) = frame.hint {
            self.body.hints.push((self.body.code.len() as u32, value));
        }
        let from = frame.aside as usize;
        let mut rest = from;
        if frame.has_signature
            && let Some(signature) = self.body.signatures.pop()
        {
            self.types.signature_mut().restore(signature);
            let index = self.inline_type();
            self.body.code.push(self.body.aside[from]);
            leb::type_index(&mut self.body.code, index, self.body.aside[from] == IF);
            rest += 1;
        }
        let body = &mut self.body;
        body.code.extend_from_slice(&body.aside[rest..]);
        body.aside.truncate(from);
    }
}
