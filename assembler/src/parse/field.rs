//! The second pass: imports, exports, functions, globals, tags and the start function.
//!
//! Spec: Text Format, Modules.

use super::types::TypeUse;
use super::{Assembler, Parse};
use crate::encode::{SectionId, Subsection, leb};
use crate::lexer::Kind;
use crate::resolve::Space;
use crate::{Diagnostic, Span};

/// Kinds of imports and exports with their numbers.
const EXTERNAL: [(&str, Space, Subsection, u8); 5] = [
    ("func", Space::Func, Subsection::Func, 0),
    ("table", Space::Table, Subsection::Table, 1),
    ("memory", Space::Memory, Subsection::Memory, 2),
    ("global", Space::Global, Subsection::Global, 3),
    ("tag", Space::Tag, Subsection::Tag, 4),
];

/// An inline import: the names of module and field.
pub(super) type InlineImport = (Vec<u8>, Vec<u8>);

/// The head of a definition that may be exported or imported.
pub(super) struct Head {
    pub index: u32,
    pub import: Option<InlineImport>,
}

impl Assembler<'_> {
    /// `$id? (@name)? (export "...")* (import "..." "...")?`; names and exports are entered.
    pub(super) fn head(&mut self, space: Space) -> Parse<Head> {
        let index = self.spaces.pass(space);
        let found = EXTERNAL.iter().find(|(_, of, ..)| *of == space);
        let &(_, _, subsection, kind) = found.unwrap_or(&EXTERNAL[0]);
        let header = self.header()?;
        if let Some(name) = self.given_name(header) {
            self.names.add(subsection, index, &name);
        }
        while let Some(open) = self.take_form(b"export") {
            let name = self.name_string("the name of an export in quotes")?;
            self.close(open, &[])?;
            self.export(&name, kind, index, open);
        }
        let mut import = None;
        if let Some(open) = self.take_form(b"import") {
            let module = self.name_string("the name of a module in quotes")?;
            let field = self.name_string("the name of an import in quotes")?;
            self.close(open, &[])?;
            import = Some((module, field));
        }
        Ok(Head { index, import })
    }

    /// Notes where the next entry of a section came from.
    pub(super) fn note_origin(&mut self, section: SectionId, span: Span) {
        if self.mapped {
            let section = self.sections.of(section);
            section.origins.push((section.bytes.len() as u32, span));
        }
    }

    /// Adds an entry to a section.
    pub(super) fn entry(&mut self, section: SectionId, bytes: &[u8], span: Span) {
        self.note_origin(section, span);
        self.append(section, bytes);
    }

    /// Adds an entry whose origin was noted when it was begun.
    pub(super) fn append(&mut self, section: SectionId, bytes: &[u8]) {
        let section = self.sections.of(section);
        section.count += 1;
        section.bytes.extend_from_slice(bytes);
    }

    fn export(&mut self, name: &[u8], kind: u8, index: u32, span: Span) {
        let mut bytes = Vec::with_capacity(name.len() + 8);
        leb::unsigned(&mut bytes, name.len() as u32);
        bytes.extend_from_slice(name);
        bytes.push(kind);
        leb::unsigned(&mut bytes, index);
        self.entry(SectionId::Export, &bytes, span);
    }

    /// Adds an import whose kind and type are `description`.
    pub(super) fn import(
        &mut self, import: InlineImport, kind: u8, description: &[u8], span: Span,
    ) {
        let (module, field) = import;
        let mut bytes = Vec::with_capacity(module.len() + field.len() + description.len() + 8);
        for name in [&module, &field] {
            leb::unsigned(&mut bytes, name.len() as u32);
            bytes.extend_from_slice(name);
        }
        bytes.push(kind);
        bytes.extend_from_slice(description);
        self.entry(SectionId::Import, &bytes, span);
    }

    /// `(import "..." "..." (kind ...))`
    pub(super) fn import_field(&mut self, open: Span) -> Parse {
        let module = self.name_string("the name of a module in quotes")?;
        let field = self.name_string("the name of an import in quotes")?;
        let (kind, space, inner) = self.external_kind()?;
        let index = self.spaces.pass(space);
        let header = self.header()?;
        let subsection = EXTERNAL[kind as usize].2;
        if let Some(name) = self.given_name(header) {
            self.names.add(subsection, index, &name);
        }
        let mut description = Vec::new();
        match space {
            Space::Func => self.import_type_use(index, &mut description)?,
            Space::Tag => {
                description.push(0);
                self.tag_type_use(None, &mut description)?;
            }
            Space::Table => self.table_type(&mut description)?,
            Space::Memory => self.memory_type(&mut description)?,
            _ => self.global_type(&mut description)?,
        }
        self.close(inner, &[])?;
        self.import((module, field), kind, &description, open);
        self.close(open, &[])
    }

    /// `(func`, `(table` and so on: number, space, and the place of the parenthesis.
    fn external_kind(&mut self) -> Parse<(u8, Space, Span)> {
        let open = self.peek();
        if open.kind != Kind::Open {
            let expected = EXTERNAL.map(|(name, ..)| format!("`({name} ...)`"));
            let expected = expected.each_ref().map(String::as_str);
            return Err(self.unexpected(open, &expected));
        }
        self.next();
        let keyword = self.peek();
        let word = keyword.span.of(self.text);
        match EXTERNAL.iter().find(|(name, ..)| name.as_bytes() == word) {
            Some(&(_, space, _, kind)) => {
                self.next();
                Ok((kind, space, open.span))
            }
            None => {
                let error = self.unknown_keyword(keyword, "kind", &EXTERNAL.map(|(name, ..)| name));
                Err(self.fail(error))
            }
        }
    }

    /// `(export "..." (kind index))`
    pub(super) fn export_field(&mut self, open: Span) -> Parse {
        let name = self.name_string("the name of an export in quotes")?;
        let (kind, space, inner) = self.external_kind()?;
        let index = self.index(space)?;
        self.close(inner, &[])?;
        self.export(&name, kind, index, open);
        self.close(open, &[])
    }

    /// `(start index)`
    pub(super) fn start_field(&mut self, open: Span) -> Parse {
        let index = self.index(Space::Func)?;
        if self.sections.of(SectionId::Start).count > 0 {
            let error = Diagnostic::error("duplicate-start", open, "multiple start functions");
            return Err(self.fail(error.with_help("a module has at most one `(start ...)`")));
        }
        let mut bytes = Vec::new();
        leb::unsigned(&mut bytes, index);
        self.entry(SectionId::Start, &bytes, open);
        self.close(open, &[])
    }

    /// The type of an imported function; the names of its parameters are kept.
    fn import_type_use(&mut self, func: u32, description: &mut Vec<u8>) -> Parse {
        let used = self.type_use(true)?;
        let index = self.resolve_type_use(used)?;
        leb::unsigned(description, index);
        self.body.local_names.clear();
        for &(param, header) in &self.types.signature().headers {
            if let Some(name) = self.given_name(header) {
                self.body.local_names.add(param, &name);
            }
        }
        self.names.add_map(Subsection::Local, func, &self.body.local_names);
        Ok(())
    }

    /// The type of a tag; the names of its parameters are kept if it is not imported.
    fn tag_type_use(&mut self, tag: Option<u32>, out: &mut Vec<u8>) -> Parse {
        let used: TypeUse = self.type_use(true)?;
        let index = self.resolve_type_use(used)?;
        leb::unsigned(out, index);
        let Some(tag) = tag else { return Ok(()) };
        self.body.local_names.clear();
        for &(param, header) in &self.types.signature().headers {
            if let Some(name) = self.given_name(header) {
                self.body.local_names.add(param, &name);
            }
        }
        self.names.add_map(Subsection::TagParam, tag, &self.body.local_names);
        Ok(())
    }

    /// `(func ...)`
    pub(super) fn func_field(&mut self, open: Span) -> Parse {
        let head = self.head(Space::Func)?;
        if let Some(import) = head.import {
            let mut description = Vec::new();
            self.import_type_use(head.index, &mut description)?;
            self.import(import, 0, &description, open);
            return self.close(open, &["`(type ...)`", "`(param ...)`", "`(result ...)`"]);
        }
        let used = self.type_use(true)?;
        let index = self.resolve_type_use(used)?;
        let mut bytes = Vec::new();
        leb::unsigned(&mut bytes, index);
        self.entry(SectionId::Func, &bytes, open);
        self.func_body(head.index, index, used, open)
    }

    /// `(global ...)`
    pub(super) fn global_field(&mut self, open: Span) -> Parse {
        let head = self.head(Space::Global)?;
        let mut bytes = Vec::new();
        self.global_type(&mut bytes)?;
        if let Some(import) = head.import {
            self.import(import, 3, &bytes, open);
            return self.close(open, &[]);
        }
        self.note_origin(SectionId::Global, open);
        self.expression(&mut bytes)?;
        self.expression_origins(SectionId::Global);
        self.append(SectionId::Global, &bytes);
        self.close(open, &["an instruction"])
    }

    /// `(tag ...)`
    pub(super) fn tag_field(&mut self, open: Span) -> Parse {
        let head = self.head(Space::Tag)?;
        let mut bytes = vec![0];
        match head.import {
            Some(import) => {
                self.tag_type_use(None, &mut bytes)?;
                self.import(import, 4, &bytes, open);
            }
            None => {
                self.tag_type_use(Some(head.index), &mut bytes)?;
                self.entry(SectionId::Tag, &bytes, open);
            }
        }
        self.close(open, &["`(type ...)`", "`(param ...)`"])
    }
}
