//! Definitions of types: functions, structures, arrays, and groups of them.
//!
//! Spec: Text Format, Types, Recursive Types.

use super::declare::duplicate;
use super::types::Definition;
use super::{Assembler, Parse};
use crate::Span;
use crate::encode::{NameMap, SectionId, Subsection, leb};
use crate::lexer::Kind;
use crate::names::Names;
use crate::resolve::Space;

impl Assembler<'_> {
    /// `(type $id? ...)`, behind the keyword.
    pub(super) fn type_field(&mut self, open: Span) -> Parse {
        let mut bytes = Vec::new();
        self.note_origin(SectionId::Type, open);
        self.type_definition(&mut bytes, true)?;
        let section = self.sections.of(SectionId::Type);
        section.count += 1;
        section.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    /// `(rec (type ...)*)`, behind the keyword.
    pub(super) fn rec_field(&mut self, open: Span) -> Parse {
        let mut bytes = Vec::new();
        let mut count = 0;
        self.note_origin(SectionId::Type, open);
        while self.take_form(b"type").is_some() {
            self.type_definition(&mut bytes, false)?;
            count += 1;
        }
        self.close(open, &["`(type ...)`"])?;
        let section = self.sections.of(SectionId::Type);
        section.count += 1;
        section.bytes.push(0x4e);
        leb::unsigned(&mut section.bytes, count);
        section.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    /// A type behind its keyword, with the closing parenthesis.
    fn type_definition(&mut self, out: &mut Vec<u8>, lookup: bool) -> Parse {
        let open = self.peek().span;
        let header = self.header()?;
        let index = self.types.definitions.len() as u32;
        if let Some(name) = self.given_name(header) {
            self.names.add(Subsection::Type, index, &name);
        }
        let outcome = self.sub_type(out, index, lookup);
        if self.types.definitions.len() as u32 == index {
            // So that the types behind a broken one keep their indices.
            let is_broken = outcome.is_err();
            let other = Definition { start: 0, end: 0, params: 0, is_func: false, is_broken };
            self.types.definitions.push(other);
        }
        outcome?;
        self.close(open, &[])
    }

    fn sub_type(&mut self, out: &mut Vec<u8>, index: u32, lookup: bool) -> Parse {
        let Some(open) = self.take_form(b"sub") else {
            return self.composite_type(out, index, lookup);
        };
        let is_final = self.take_keyword(b"final");
        let mut supers = Vec::new();
        let mut count = 0;
        while let Some(index) = self.take_index(Space::Type)? {
            leb::unsigned(&mut supers, index);
            count += 1;
        }
        if !is_final || count > 0 {
            out.push(if is_final { 0x4f } else { 0x50 });
            leb::unsigned(out, count);
            out.extend_from_slice(&supers);
        }
        self.composite_type(out, index, lookup)?;
        self.close(open, &[])
    }

    fn composite_type(&mut self, out: &mut Vec<u8>, index: u32, lookup: bool) -> Parse {
        if let Some(open) = self.take_form(b"func") {
            self.signature(true)?;
            self.types.define_signature(lookup);
            out.push(0x60);
            out.extend_from_slice(&self.types.signature.bytes);
            let mut names = NameMap::default();
            for &(param, header) in &self.types.signature.headers {
                if let Some(name) = self.given_name(header) {
                    names.add(param, &name);
                }
            }
            self.names.add_map(Subsection::TypeParam, index, &names);
            return self.close(open, &["`(param ...)`", "`(result ...)`"]);
        }
        if let Some(open) = self.take_form(b"array") {
            out.push(0x5e);
            self.field_type(out)?;
            return self.close(open, &[]);
        }
        if let Some(open) = self.take_form(b"cont") {
            out.push(0x5d);
            let index = self.index(Space::Type)?;
            leb::signed(out, i64::from(index));
            return self.close(open, &[]);
        }
        let Some(open) = self.take_form(b"struct") else {
            let token = self.peek();
            return Err(
                self.unexpected(token, &["`(func ...)`", "`(struct ...)`", "`(array ...)`"])
            );
        };
        out.push(0x5f);
        let mut fields = Vec::new();
        let mut names = NameMap::default();
        let mut ids = Names::new(self.seed);
        let mut count = 0;
        while let Some(open) = self.take_form(b"field") {
            let header = self.header()?;
            if header.id.is_some() || header.name.is_some() {
                if let Some(id) = header.id
                    && let Err(earlier) = ids.insert(self.text, id, count)
                {
                    self.diagnostics.push(duplicate(self.text, id, earlier, Space::Field));
                }
                if let Some(name) = self.given_name(header) {
                    names.add(count, &name);
                }
                self.field_type(&mut fields)?;
                count += 1;
                self.close_single(open, "field")?;
                continue;
            }
            while self.take(Kind::Close).is_none() {
                self.field_type(&mut fields)?;
                count += 1;
            }
        }
        self.struct_fields.push((index, ids));
        leb::unsigned(out, count);
        out.extend_from_slice(&fields);
        self.names.add_map(Subsection::Field, index, &names);
        self.close(open, &["`(field ...)`"])
    }

    fn field_type(&mut self, out: &mut Vec<u8>) -> Parse {
        let mutable = self.take_form(b"mut");
        match () {
            () if self.take_keyword(b"i8") => out.push(0x78),
            () if self.take_keyword(b"i16") => out.push(0x77),
            () => self.value_type(out)?,
        }
        out.push(u8::from(mutable.is_some()));
        mutable.map_or(Ok(()), |open| self.close(open, &[]))
    }
}
