//! Tables and memories, with the segments that may be written inside them.
//!
//! Spec: Text Format, Modules, Tables and Memories (and their abbreviations).

use super::limits::Limits;
use super::{Assembler, Parse};
use crate::Span;
use crate::encode::SectionId;
use crate::lexer::Kind;
use crate::resolve::Space;

const WASM_PAGE_LOG2: u32 = 16;

impl Assembler<'_> {
    /// `(table ...)`
    pub(super) fn table_field(&mut self, open: Span) -> Parse {
        let head = self.head(Space::Table)?;
        let mut bytes = Vec::new();
        if let Some(import) = head.import {
            self.table_type(&mut bytes)?;
            self.import(import, 1, &bytes, open);
            return self.close(open, &[]);
        }
        let shared = self.take_keyword(b"shared");
        let is_64 = self.address_type();
        if self.peek().kind != Kind::Number {
            return self.table_with_elements(open, head.index, shared, is_64);
        }
        let limits = Limits { shared, ..self.limits(is_64)? };
        self.reference_type(&mut bytes)?;
        limits.write(&mut bytes);
        self.note_origin(SectionId::Table, open);
        if self.peek().kind == Kind::Close {
            self.append(SectionId::Table, &bytes);
            return self.close(open, &[]);
        }
        bytes.splice(0..0, [0x40, 0x00]);
        self.expression(&mut bytes)?;
        self.expression_origins(SectionId::Table);
        self.append(SectionId::Table, &bytes);
        self.close(open, &[])
    }

    /// `reftype (elem ...)`
    fn table_with_elements(&mut self, open: Span, table: u32, shared: bool, is_64: bool) -> Parse {
        let mut bytes = Vec::new();
        self.reference_type(&mut bytes)?;
        let count = self.inline_elements(table, is_64, &bytes)?;
        let count = u64::from(count);
        Limits { is_64, min: count, max: Some(count), shared, page_size_log2: None }
            .write(&mut bytes);
        self.entry(SectionId::Table, &bytes, open);
        self.close(open, &[])
    }

    /// `(memory ...)`
    pub(super) fn memory_field(&mut self, open: Span) -> Parse {
        let head = self.head(Space::Memory)?;
        let mut bytes = Vec::new();
        if let Some(import) = head.import {
            self.memory_type(&mut bytes)?;
            self.import(import, 2, &bytes, open);
            return self.close(open, &[]);
        }
        let start = self.lex.at;
        let is_64 = self.address_type();
        if self.peek().kind == Kind::Open {
            return self.memory_with_data(open, head.index, is_64);
        }
        self.lex.at = start;
        self.memory_type(&mut bytes)?;
        self.entry(SectionId::Memory, &bytes, open);
        self.close(open, &["`shared`", "`(pagesize ...)`"])
    }

    /// `(data ...)`
    fn memory_with_data(&mut self, open: Span, memory: u32, is_64: bool) -> Parse {
        let page_size_log2 = self.page_size()?;
        let len_bytes = self.inline_data(memory, is_64)? as u64;
        let pages = len_bytes.div_ceil(1 << page_size_log2.unwrap_or(WASM_PAGE_LOG2));
        let mut bytes = Vec::new();
        Limits { is_64, min: pages, max: Some(pages), shared: false, page_size_log2 }
            .write(&mut bytes);
        self.entry(SectionId::Memory, &bytes, open);
        self.close(open, &[])
    }
}
