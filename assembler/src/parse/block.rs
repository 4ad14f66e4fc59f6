//! Blocks and what names a type: heads, labels, clauses, ends, and branch hints.
//!
//! Spec: Text Format, Instructions, Control Instructions.

use super::body::{Frame, FrameKind};
use super::custom::misplaced;
use super::{Assembler, Header, Parse};
use crate::encode::leb;
use crate::instruction::{ELSE, END, Form, Instruction};
use crate::lexer::Token;
use crate::names::name_of;
use crate::resolve::Space;
use crate::{Diagnostic, Span};

/// The type of a block without parameters and results.
const EMPTY_BLOCK: u8 = 0x40;

impl Assembler<'_> {
    /// A block whose name was read: writes its head and enters it.
    pub(super) fn block_start(&mut self, instruction: &Instruction, start: usize, kind: FrameKind) {
        let open = Span::new(start, self.lex.at);
        let after = self.lex.at;
        let mut header = Header::default();
        let outcome = self.block_head(instruction, false).and_then(|read| {
            header = read;
            if instruction.form == Form::TryTable { self.catches() } else { Ok(()) }
        });
        if outcome.is_err() {
            self.skip_immediates(after);
        }
        self.push_label(header);
        let kind = match kind {
            FrameKind::Block if instruction.form == Form::If => FrameKind::If,
            kind => kind,
        };
        let aside = self.body.aside.len() as u32;
        self.body.frames.push(Frame { kind, open, aside, has_signature: false, hint: None });
    }

    pub(super) fn push_label(&mut self, header: Header) {
        if let Some(name) = self.given_name(header) {
            self.body.label_names.add(self.body.label_count, &name);
        }
        self.body.label_count += 1;
        self.body.labels.push(self.text, header.id);
    }

    /// Opcode, label and type of a block.
    ///
    /// A folded head whose type has no index yet puts the signature by, because operands may make
    /// types first.
    pub(super) fn block_head(&mut self, instruction: &Instruction, folded: bool) -> Parse<Header> {
        instruction.write(&mut self.body.code);
        self.lex.skip_space();
        // Most blocks have nothing of this.
        if !matches!(self.lex.byte(), b'$' | b'(') {
            self.body.code.push(EMPTY_BLOCK);
            return Ok(Header::default());
        }
        let header = self.header()?;
        let used = self.type_use(false)?;
        let signature = self.types.signature();
        if used.index.is_none() && signature.params == 0 && signature.results <= 1 {
            match signature.single_result() {
                Some(of) => self.body.code.extend_from_slice(of),
                None => self.body.code.push(EMPTY_BLOCK),
            }
        } else if folded && used.index.is_none() && self.types.find().is_none() {
            self.body.signatures.push(signature.save());
        } else {
            let index = self.resolve_type_use(used)?;
            leb::signed(&mut self.body.code, i64::from(index));
        }
        Ok(header)
    }

    /// `(catch tag label)` and its kin.
    fn catches(&mut self) -> Parse {
        const KINDS: [(&[u8], u8, bool); 4] = [
            (b"catch", 0, true),
            (b"catch_ref", 1, true),
            (b"catch_all", 2, false),
            (b"catch_all_ref", 3, false),
        ];
        let mut clauses = Vec::new();
        let mut count = 0;
        while let Some(word) = self.peek_form() {
            let Some(&(_, code, tagged)) = KINDS.iter().find(|(name, ..)| *name == word) else {
                break;
            };
            let open = self.next().span;
            self.next();
            clauses.push(code);
            if tagged {
                let tag = self.index(Space::Tag)?;
                leb::unsigned(&mut clauses, tag);
            }
            let label = self.named_label()?;
            leb::unsigned(&mut clauses, label);
            self.close(open, &[])?;
            count += 1;
        }
        leb::unsigned(&mut self.body.code, count);
        self.body.code.extend_from_slice(&clauses);
        Ok(())
    }

    /// `table? typeuse`, written the other way round.
    pub(super) fn call_indirect(&mut self, instruction: &Instruction, folded: bool) -> Parse {
        let table = self.take_index(Space::Table)?.unwrap_or(0);
        let used = self.type_use(false)?;
        instruction.write(&mut self.body.code);
        if folded && used.index.is_none() && self.types.find().is_none() {
            let signature = self.types.signature().save();
            self.body.signatures.push(signature);
        } else {
            let index = self.resolve_type_use(used)?;
            leb::unsigned(&mut self.body.code, index);
        }
        leb::unsigned(&mut self.body.code, table);
        Ok(())
    }

    /// `end label?`
    pub(super) fn end(&mut self, start: usize) {
        let keyword = Span::new(start, self.lex.at);
        match self.body.frames.last() {
            Some(frame) if frame.kind.is_flat() => {
                self.repeated_label();
                self.body.frames.pop();
                self.body.labels.pop();
                self.body.code.push(END);
            }
            _ => self.unexpected_border(keyword, "end", "block"),
        }
    }

    /// `else label?`
    pub(super) fn else_here(&mut self, start: usize) {
        let keyword = Span::new(start, self.lex.at);
        match self.body.frames.last_mut() {
            Some(frame) if frame.kind == FrameKind::If => {
                frame.kind = FrameKind::Else;
                self.repeated_label();
                self.body.code.push(ELSE);
            }
            _ => self.unexpected_border(keyword, "else", "if"),
        }
    }

    /// The label behind `end` or `else`, which must be that of the block.
    #[inline]
    fn repeated_label(&mut self) {
        self.lex.skip_space();
        if self.lex.byte() != b'$' {
            return;
        }
        let Ok(Some(id)) = self.take_id() else { return };
        let label = self.body.labels.innermost();
        let name = |span| name_of(self.text, span);
        if label.is_some_and(|label| name(label) == name(id)) {
            return;
        }
        let mut error = Diagnostic::error("label-mismatch", id, "this label is not the block's");
        if let Some(frame) = self.body.frames.last() {
            error = error.and_label(frame.open, "the block begins here");
        }
        if let Some(label) = label.filter(|label| label.len_bytes() <= 64) {
            error = error.suggesting(String::from_utf8_lossy(label.of(self.text)));
        }
        self.diagnostics.push(error);
    }

    /// `(@metadata.code.branch_hint "\00")` behind its name.
    pub(super) fn branch_hint(&mut self, token: Token) -> Parse {
        let name = self.lex.annotation(token);
        if name != b"metadata.code.branch_hint" {
            self.diagnostics.push(misplaced(token.span, name));
            self.lex.skip_form();
            return Ok(());
        }
        let string = self.string_token("a hint in quotes")?;
        let value = match self.string_bytes(string)?[..] {
            [value @ (0 | 1)] => value,
            _ => {
                let error =
                    Diagnostic::error("invalid-hint", string, "invalid value for a branch hint")
                        .expecting("`\"\\00\"`")
                        .expecting("`\"\\01\"`");
                return Err(self.fail(error));
            }
        };
        self.close(token.span, &[])?;
        if self.body.next_hint.replace((value, token.span)).is_some() {
            self.diagnostics.push(misplaced(token.span, name));
        }
        Ok(())
    }
}
