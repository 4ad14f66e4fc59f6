//! Bodies: instructions, flat and folded, straight into bytes.
//!
//! What is open is kept on a stack of our own, so nesting costs memory in proportion to the text
//! and never native stack.
//! A folded instruction is encoded when its head is read, and put aside until its operands are
//! written:
//!
//! ```text
//! (i32.add (local.get 0) (i32.const 1))
//! ^ 6a aside  ^ 20 00       ^ 41 01     ^ 6a
//! ```
//!
//! Spec: Text Format, Instructions.

use super::custom::misplaced;
use super::declare::duplicate;
use super::labels::Labels;
use super::types::TypeUse;
use super::{Assembler, Header, Parse};
use crate::encode::{NameMap, SectionId, Subsection, leb};
use crate::instruction::{Form, INSTRUCTIONS, Instruction};
use crate::lexer::{Kind, Token, is_id};
use crate::names::{Names, Seed};
use crate::resolve::{Space, most_similar, shorten};
use crate::{Diagnostic, Span};

/// The scratch space of the body being read.
#[derive(Debug)]
pub(super) struct Body {
    /// Declarations of locals, then instructions.
    pub code: Vec<u8>,
    pub locals: Names,
    pub local_names: NameMap,
    pub labels: Labels,
    pub needs_data_count: bool,
    /// Where instructions begin in `code`, and where they came from.
    pub origins: Vec<(u32, Span)>,
    label_names: NameMap,
    label_count: u32,
    frames: Vec<Frame>,
    /// Heads of folded instructions whose operands are being read.
    aside: Vec<u8>,
    /// Signatures of heads aside whose types have no index yet, with the number of parameters.
    signatures: Vec<(Vec<u8>, u32)>,
    /// Offsets in `code` and values of branch hints.
    hints: Vec<(u32, u8)>,
    next_hint: Option<(u8, Span)>,
}

/// Something that is open.
#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: FrameKind,
    /// The keyword, for messages and the map.
    open: Span,
    /// Where the head begins in `aside`.
    aside: u32,
    /// Whether the type of the head is the last of `signatures`.
    has_signature: bool,
    hint: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    /// A block that `end` closes.
    Block,
    /// An `if` that `end` closes, before `else`.
    If,
    /// An `if` that `end` closes, behind `else`.
    Else,
    /// A folded instruction, written behind its operands.
    Folded,
    /// A folded block, closed by a parenthesis.
    FoldedBlock,
    /// A folded `if` before `(then`.
    FoldedIf(Option<Span>, Option<Span>),
    /// A folded `if` behind `(then ...)`.
    FoldedThen,
    /// A folded `if` behind `(else ...)`.
    FoldedElse,
    /// Inside `(then ...)` or `(else ...)`.
    Arm,
}

impl FrameKind {
    /// Whether `end` closes it.
    fn is_flat(self) -> bool {
        matches!(self, FrameKind::Block | FrameKind::If | FrameKind::Else)
    }

    /// Whether only forms in parentheses may stand directly in it.
    #[inline(always)]
    fn wants_parentheses(self) -> bool {
        matches!(self, FrameKind::FoldedIf(..) | FrameKind::FoldedThen | FrameKind::FoldedElse)
    }
}

impl Body {
    pub fn new(seed: Seed) -> Body {
        Body {
            code: Vec::new(),
            locals: Names::new(seed),
            local_names: NameMap::default(),
            labels: Labels::new(seed),
            needs_data_count: false,
            origins: Vec::new(),
            label_names: NameMap::default(),
            label_count: 0,
            frames: Vec::new(),
            aside: Vec::new(),
            signatures: Vec::new(),
            hints: Vec::new(),
            next_hint: None,
        }
    }

    /// Forgets the last body, however it ended.
    fn begin(&mut self) {
        self.code.clear();
        self.labels.clear();
        self.origins.clear();
        self.label_names.clear();
        self.label_count = 0;
        self.frames.clear();
        self.aside.clear();
        self.signatures.clear();
        self.hints.clear();
        self.next_hint = None;
    }
}

const OP_ELSE: u8 = 0x05;
const OP_END: u8 = 0x0b;

/// Whole bodies.
impl Assembler<'_> {
    /// Locals and instructions of a function, up to the parenthesis that closes it.
    pub(super) fn func_body(
        &mut self, func: u32, type_index: u32, used: TypeUse, open: Span,
    ) -> Parse {
        self.body.begin();
        self.body.locals.clear();
        self.body.local_names.clear();
        let params = match used.inline {
            true => self.types.signature().params,
            false => self.types.param_count(type_index).unwrap_or(0),
        };
        if used.inline {
            let headers = std::mem::take(&mut self.types.signature_mut().headers);
            for &(param, header) in &headers {
                self.declare_local(param, header);
            }
            self.types.signature_mut().headers = headers;
        }
        self.locals(params)?;
        self.body.needs_data_count = false;
        self.instructions(false)?;
        self.close(open, &["an instruction"])?;
        self.body.code.push(OP_END);
        self.names.add_map(Subsection::Local, func, &self.body.local_names);
        self.names.add_map(Subsection::Label, func, &self.body.label_names);
        self.append_code(func, open);
        Ok(())
    }

    /// Appends the finished body to the code.
    fn append_code(&mut self, func: u32, open: Span) {
        self.sections.needs_data_count |= self.body.needs_data_count;
        let section = &mut self.sections.code;
        section.count += 1;
        leb::unsigned(&mut section.bytes, self.body.code.len() as u32);
        let base = section.bytes.len() as u64;
        section.bytes.extend_from_slice(&self.body.code);
        if self.mapped {
            let map = &mut self.sections.code_map;
            map.add(base, open);
            for &(offset, span) in &self.body.origins {
                map.add(base + u64::from(offset), span);
            }
        }
        if !self.body.hints.is_empty() {
            let hints = &mut self.sections.hints;
            hints.functions += 1;
            leb::unsigned(&mut hints.bytes, func);
            leb::unsigned(&mut hints.bytes, self.body.hints.len() as u32);
            for &(offset, value) in &self.body.hints {
                leb::unsigned(&mut hints.bytes, offset);
                hints.bytes.extend_from_slice(&[1, value]);
            }
        }
    }

    /// `(local ...)*`, written as runs of one type.
    fn locals(&mut self, params: u32) -> Parse {
        let mut runs: Vec<u8> = Vec::new();
        let mut run_count = 0;
        let mut last: Vec<u8> = Vec::new();
        let mut last_count = 0u32;
        let mut index = params;
        let mut one = Vec::new();
        while let Some(open) = self.take_form(b"local") {
            let header = self.header()?;
            let named = header.id.is_some() || header.name.is_some();
            if named {
                self.declare_local(index, header);
            }
            while named || self.take(Kind::Close).is_none() {
                one.clear();
                self.value_type(&mut one)?;
                if one != last {
                    if last_count > 0 {
                        leb::unsigned(&mut runs, last_count);
                        runs.extend_from_slice(&last);
                        run_count += 1;
                    }
                    last.clone_from(&one);
                    last_count = 0;
                }
                last_count += 1;
                index = index.saturating_add(1);
                if named {
                    self.close_single(open, "local")?;
                    break;
                }
            }
        }
        if last_count > 0 {
            leb::unsigned(&mut runs, last_count);
            runs.extend_from_slice(&last);
            run_count += 1;
        }
        leb::unsigned(&mut self.body.code, run_count);
        self.body.code.extend_from_slice(&runs);
        Ok(())
    }

    fn declare_local(&mut self, index: u32, header: Header) {
        if let Some(id) = header.id
            && let Err(earlier) = self.body.locals.insert(self.text, id, index)
        {
            self.diagnostics.push(duplicate(self.text, id, earlier, Space::Local));
        }
        if let Some(name) = self.given_name(header) {
            self.body.local_names.add(index, &name);
        }
    }

    /// A constant expression up to a parenthesis, appended to `out` with its end.
    pub(super) fn expression(&mut self, out: &mut Vec<u8>) -> Parse {
        self.expression_as(out, false)
    }

    /// One folded instruction, appended to `out` as an expression with its end.
    pub(super) fn folded_expression(&mut self, out: &mut Vec<u8>) -> Parse {
        let token = self.peek();
        if token.kind != Kind::Open {
            return Err(self.unexpected(token, &["an instruction in parentheses"]));
        }
        self.expression_as(out, true)
    }

    fn expression_as(&mut self, out: &mut Vec<u8>, single: bool) -> Parse {
        self.body.begin();
        self.body.locals.clear();
        let result = self.instructions(single);
        for (offset, _) in &mut self.body.origins {
            *offset += out.len() as u32;
        }
        out.extend_from_slice(&self.body.code);
        out.push(OP_END);
        result
    }

    /// Notes where the instructions of the last expression came from, before its entry is added.
    pub(super) fn expression_origins(&mut self, section: SectionId) {
        let section = self.sections.of(section);
        let base = section.bytes.len() as u32;
        section.origins.extend(self.body.origins.iter().map(|&(at, span)| (base + at, span)));
    }
}

/// The loop over instructions.
impl Assembler<'_> {
    /// Reads up to the parenthesis that closes what is around; or one folded instruction.
    fn instructions(&mut self, single: bool) -> Parse {
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
                self.body.code.push(OP_ELSE);
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
                    let error = Diagnostic::error(
                        "missing-then",
                        frame.open,
                        "this `if` has no `(then ...)`",
                    )
                    .expecting("`(then ...)`");
                    self.diagnostics.push(error);
                    self.body.aside.truncate(frame.aside as usize);
                }
                _ => {
                    self.body.origins_push(self.mapped, close);
                    self.body.code.push(OP_END);
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
            leb::type_index(&mut self.body.code, index, self.body.aside[from] == OP_IF);
            rest += 1;
        }
        let body = &mut self.body;
        body.code.extend_from_slice(&body.aside[rest..]);
        body.aside.truncate(from);
    }
}

const OP_IF: u8 = 0x04;
const EMPTY_BLOCK: u8 = 0x40;

impl Body {
    #[inline(always)]
    fn origins_push(&mut self, mapped: bool, span: Span) {
        if mapped {
            self.origins.push((self.code.len() as u32, span));
        }
    }
}

/// Blocks.
impl Assembler<'_> {
    /// A block whose name was read: writes its head and enters it.
    fn block_start(&mut self, instruction: &Instruction, start: usize, kind: FrameKind) {
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

    fn push_label(&mut self, header: Header) {
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
    fn block_head(&mut self, instruction: &Instruction, folded: bool) -> Parse<Header> {
        self.body.code.extend_from_slice(instruction.opcode());
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
    fn call_indirect(&mut self, instruction: &Instruction, folded: bool) -> Parse {
        let table = self.take_index(Space::Table)?.unwrap_or(0);
        let used = self.type_use(false)?;
        self.body.code.extend_from_slice(instruction.opcode());
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
    fn end(&mut self, start: usize) {
        let keyword = Span::new(start, self.lex.at);
        match self.body.frames.last() {
            Some(frame) if frame.kind.is_flat() => {
                self.repeated_label();
                self.body.frames.pop();
                self.body.labels.pop();
                self.body.code.push(OP_END);
            }
            _ => self.unexpected_border(keyword, "end", "block"),
        }
    }

    /// `else label?`
    fn else_here(&mut self, start: usize) {
        let keyword = Span::new(start, self.lex.at);
        match self.body.frames.last_mut() {
            Some(frame) if frame.kind == FrameKind::If => {
                frame.kind = FrameKind::Else;
                self.repeated_label();
                self.body.code.push(OP_ELSE);
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
        let name = |span| crate::names::name_of(self.text, span);
        if label.is_some_and(|label| name(label) == name(id)) {
            return;
        }
        let mut error = Diagnostic::error("label-mismatch", id, "this label is not the block's");
        if let Some(frame) = self.body.frames.last() {
            error = error.and_label(frame.open, "the block begins here");
        }
        if let Some(label) = label {
            error = error.suggesting(String::from_utf8_lossy(label.of(self.text)));
        }
        self.diagnostics.push(error);
    }

    /// `(@metadata.code.branch_hint "\00")` behind its name.
    fn branch_hint(&mut self, token: Token) -> Parse {
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

/// Mistakes in bodies, and where to go on.
impl Assembler<'_> {
    #[cold]
    fn unclosed_block(&mut self, frame: Frame, close: Span) {
        let word = String::from_utf8_lossy(frame.open.of(self.text)).into_owned();
        let error =
            Diagnostic::error("unclosed-block", frame.open, format!("this `{word}` has no `end`"))
                .with_label("opened here")
                .and_label(close, "`end` is missing before this")
                .expecting("`end`");
        self.diagnostics.push(error);
    }

    #[cold]
    fn unexpected_border(&mut self, keyword: Span, word: &str, of: &str) {
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
    fn unknown_instruction(&mut self, folded: Option<Span>) {
        let token = self.next();
        if token.kind == Kind::Keyword {
            let error = self.unknown_instruction_error(token);
            self.diagnostics.push(error);
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
    fn flat_in_folded_if(&mut self, frame: Frame) {
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
    fn stray_token(&mut self) -> Parse {
        let token = self.peek();
        let error = self.unexpected_token(token, &["an instruction", "`)`"]);
        self.diagnostics.push(error);
        if matches!(token.kind, Kind::End) {
            return Err(super::Failed);
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
