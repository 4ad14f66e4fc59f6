//! Bodies: what is around the instructions, and what is kept while they are read.
//!
//! What is open is kept on a stack of our own, so nesting costs memory in proportion to the text
//! and never native stack.
//!
//! Spec: Text Format, Modules, Functions.

use super::declare::duplicate;
use super::labels::Labels;
use super::types::TypeUse;
use super::{Assembler, Header, Parse};
use crate::Span;
use crate::encode::{NameMap, SectionId, Subsection, leb};
use crate::instruction::END;
use crate::lexer::Kind;
use crate::names::{Names, Seed};
use crate::resolve::Space;

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
    pub label_names: NameMap,
    pub label_count: u32,
    pub frames: Vec<Frame>,
    /// Heads of folded instructions whose operands are being read.
    pub aside: Vec<u8>,
    /// Signatures of heads aside whose types have no index yet, with the number of parameters.
    pub signatures: Vec<(Vec<u8>, u32)>,
    /// Offsets in `code` and values of branch hints.
    pub hints: Vec<(u32, u8)>,
    pub next_hint: Option<(u8, Span)>,
    /// The folded `if` that was complained of last.
    pub complained_of: Span,
}

/// Something that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub kind: FrameKind,
    /// The keyword, for messages and the map.
    pub open: Span,
    /// Where the head begins in `aside`.
    pub aside: u32,
    /// Whether the type of the head is the last of `signatures`.
    pub has_signature: bool,
    pub hint: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
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
    pub fn is_flat(self) -> bool {
        matches!(self, FrameKind::Block | FrameKind::If | FrameKind::Else)
    }

    /// Whether only forms in parentheses may stand directly in it.
    #[inline(always)]
    pub fn wants_parentheses(self) -> bool {
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
            complained_of: Span::default(),
        }
    }

    /// Forgets the last body, however it ended.
    pub fn begin(&mut self) {
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

impl Body {
    #[inline(always)]
    pub fn origins_push(&mut self, mapped: bool, span: Span) {
        if mapped {
            self.origins.push((self.code.len() as u32, span));
        }
    }
}

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
        let close = self.peek().span;
        self.close(open, &["an instruction"])?;
        self.body.origins_push(self.mapped, close);
        self.body.code.push(END);
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
        out.push(END);
        result
    }

    /// Notes where the instructions of the last expression came from, before its entry is added.
    pub(super) fn expression_origins(&mut self, section: SectionId) {
        let section = self.sections.of(section);
        let base = section.bytes.len() as u32;
        section.origins.extend(self.body.origins.iter().map(|&(at, span)| (base + at, span)));
    }
}
