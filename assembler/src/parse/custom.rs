//! Annotations that make custom sections: `@custom`, `@producers` and `@dylink.0`.
//!
//! `(@data_count)`, which is ours, makes the section that says how many data segments there are
//! even where no instruction needs it: compilers write it, and their modules must come back.
//!
//! `(@data_count)`, which is ours, makes the section that says how many data segments there are
//! even where no instruction needs it: compilers write it, and their modules must come back.
//!
//! Spec: Appendix, Custom Sections; the annotations proposal.

use super::{Assembler, Parse};
use crate::encode::{Custom, Place, SectionId, leb};
use crate::lexer::{Kind, Token};
use crate::{Diagnostic, Span};

const ANCHORS: [(&str, SectionId); 12] = [
    ("type", SectionId::Type),
    ("import", SectionId::Import),
    ("func", SectionId::Func),
    ("table", SectionId::Table),
    ("memory", SectionId::Memory),
    ("global", SectionId::Global),
    ("export", SectionId::Export),
    ("start", SectionId::Start),
    ("elem", SectionId::Elem),
    ("code", SectionId::Code),
    ("data", SectionId::Data),
    ("tag", SectionId::Tag),
];

const PRODUCERS: [&str; 3] = ["language", "sdk", "processed-by"];

const SYMBOL_FLAGS: [(&str, u32); 9] = [
    ("binding-weak", 1 << 0),
    ("binding-local", 1 << 1),
    ("visibility-hidden", 1 << 2),
    ("undefined", 1 << 4),
    ("exported", 1 << 5),
    ("explicit-name", 1 << 6),
    ("no-strip", 1 << 7),
    ("tls", 1 << 8),
    ("absolute", 1 << 9),
];

impl Assembler<'_> {
    /// An annotation behind its name.
    pub(super) fn custom_field(&mut self, open: Span) -> Parse {
        let annotation = self.lex.annotation(Token { kind: Kind::Annotation, span: open });
        if annotation == b"data_count" {
            self.sections.needs_data_count = true;
            return self.close(open, &[]);
        }
        let custom = match annotation {
            b"producers" => self.producers()?,
            b"dylink.0" => self.dylink()?,
            _ => self.raw_custom()?,
        };
        self.sections.customs.push(custom);
        self.close(open, &["a string"])
    }

    /// `"name" (before|after section)? "contents"*`
    fn raw_custom(&mut self) -> Parse<Custom> {
        let name = self.name_string("the name of the section in quotes")?;
        let token = self.peek();
        let place = if token.kind == Kind::Open { self.place()? } else { Place::AfterLast };
        let mut contents = Vec::new();
        while let Some(string) = self.take(Kind::String) {
            contents.extend_from_slice(&self.string_bytes(string)?);
        }
        Ok(Custom { place, name, contents })
    }

    fn place(&mut self) -> Parse<Place> {
        let open = self.next().span;
        let relation = self.peek();
        let before = self.take_keyword(b"before");
        if !before && !self.take_keyword(b"after") {
            let error = self.unknown_keyword(relation, "place", &["before", "after"]);
            return Err(self.fail(error));
        }
        let anchor = self.peek();
        let border: &[u8] = if before { b"first" } else { b"last" };
        let place = if self.take_keyword(border) {
            if before { Place::BeforeFirst } else { Place::AfterLast }
        } else {
            let word = anchor.span.of(self.text);
            let found = ANCHORS.iter().find(|(name, _)| name.as_bytes() == word);
            let Some(&(_, section)) = found else {
                let error = self.unknown_keyword(anchor, "section", &ANCHORS.map(|(name, _)| name));
                return Err(self.fail(error));
            };
            self.next();
            if before { Place::Before(section) } else { Place::After(section) }
        };
        self.close(open, &[])?;
        Ok(place)
    }

    /// `(language|sdk|processed-by "name" "version")*`
    fn producers(&mut self) -> Parse<Custom> {
        let mut fields = [(0, Vec::new()), (0, Vec::new()), (0, Vec::new())];
        while let Some(open) = self.take(Kind::Open) {
            let keyword = self.next();
            let word = keyword.span.of(self.text);
            let found = PRODUCERS.iter().position(|name| name.as_bytes() == word);
            let Some(field) = found else {
                let error = self.unknown_keyword(keyword, "field", &PRODUCERS);
                return Err(self.fail(error));
            };
            fields[field].0 += 1;
            for what in ["the name of a tool in quotes", "its version in quotes"] {
                let text = self.name_string(what)?;
                bytes_with_len(&mut fields[field].1, &text);
            }
            self.close(open, &[])?;
        }
        let mut contents = Vec::new();
        let used = fields.iter().filter(|(count, _)| *count > 0).count();
        leb::unsigned(&mut contents, used as u32);
        for (name, (count, values)) in PRODUCERS.iter().zip(&fields).filter(|(_, (n, _))| *n > 0) {
            bytes_with_len(&mut contents, name.as_bytes());
            leb::unsigned(&mut contents, *count);
            contents.extend_from_slice(values);
        }
        Ok(Custom { place: Place::AfterLast, name: b"producers".to_vec(), contents })
    }

    /// The subsections of a dynamic library.
    fn dylink(&mut self) -> Parse<Custom> {
        let mut contents = Vec::new();
        // Entries of the kinds that are collected while they follow each other.
        let mut list: Option<(u8, u32, Vec<u8>)> = None;
        while let Some(open) = self.take(Kind::Open) {
            let keyword = self.next();
            let mut entry = Vec::new();
            let (number, repeated) = match keyword.span.of(self.text) {
                b"mem-info" => (1, self.mem_info(&mut entry).map(|()| false)?),
                b"needed" => (2, self.name_list(&mut entry).map(|()| false)?),
                b"export-info" => (3, self.symbol(&mut entry, 1).map(|()| true)?),
                b"import-info" => (4, self.symbol(&mut entry, 2).map(|()| true)?),
                b"runtime-path" => (5, self.name_list(&mut entry).map(|()| false)?),
                _ => {
                    const KNOWN: [&str; 5] =
                        ["mem-info", "needed", "export-info", "import-info", "runtime-path"];
                    let error = self.unknown_keyword(keyword, "subsection", &KNOWN);
                    return Err(self.fail(error));
                }
            };
            self.close(open, &[])?;
            match &mut list {
                Some((last, count, bytes)) if repeated && *last == number => {
                    *count += 1;
                    bytes.extend_from_slice(&entry);
                }
                _ => {
                    flush(&mut contents, list.take());
                    if repeated {
                        list = Some((number, 1, entry));
                    } else {
                        contents.push(number);
                        bytes_with_len(&mut contents, &entry);
                    }
                }
            }
        }
        flush(&mut contents, list);
        Ok(Custom { place: Place::BeforeFirst, name: b"dylink.0".to_vec(), contents })
    }

    fn mem_info(&mut self, out: &mut Vec<u8>) -> Parse {
        let max = u64::from(u32::MAX);
        for form in [&b"memory"[..], b"table"] {
            let mut pair = [0; 2];
            if let Some(open) = self.take_form(form) {
                for value in &mut pair {
                    *value = self.unsigned(max, "a size or an alignment")?;
                }
                self.close(open, &[])?;
            }
            pair.iter().for_each(|value| leb::unsigned_64(out, *value));
        }
        Ok(())
    }

    fn name_list(&mut self, out: &mut Vec<u8>) -> Parse {
        let mut names = Vec::new();
        let mut count = 0;
        while let Some(string) = self.take(Kind::String) {
            let name = self.name_bytes(string)?;
            bytes_with_len(&mut names, &name);
            count += 1;
        }
        leb::unsigned(out, count);
        out.extend_from_slice(&names);
        Ok(())
    }

    /// Names, then flags as words or numbers.
    fn symbol(&mut self, out: &mut Vec<u8>, names: usize) -> Parse {
        for _ in 0..names {
            let name = self.name_string("the name of a symbol in quotes")?;
            bytes_with_len(out, &name);
        }
        let mut flags = 0u64;
        loop {
            let token = self.peek();
            match token.kind {
                Kind::Number => flags |= self.unsigned(u64::from(u32::MAX), "flags")?,
                Kind::Keyword => {
                    let word = token.span.of(self.text);
                    let found = SYMBOL_FLAGS.iter().find(|(name, _)| name.as_bytes() == word);
                    let Some((_, flag)) = found else {
                        let names = SYMBOL_FLAGS.map(|(name, _)| name);
                        let error = self.unknown_keyword(token, "flag", &names);
                        return Err(self.fail(error));
                    };
                    flags |= u64::from(*flag);
                    self.next();
                }
                _ => break,
            }
        }
        leb::unsigned_64(out, flags);
        Ok(())
    }
}

/// The complaint about an annotation where it has no meaning.
pub(super) fn misplaced(span: Span, name: &[u8]) -> Diagnostic {
    let name = String::from_utf8_lossy(name);
    Diagnostic::error("misplaced-annotation", span, format!("misplaced annotation `@{name}`"))
}

fn flush(contents: &mut Vec<u8>, list: Option<(u8, u32, Vec<u8>)>) {
    if let Some((number, count, bytes)) = list {
        let mut entry = Vec::new();
        leb::unsigned(&mut entry, count);
        entry.extend_from_slice(&bytes);
        contents.push(number);
        bytes_with_len(contents, &entry);
    }
}

fn bytes_with_len(out: &mut Vec<u8>, bytes: &[u8]) {
    leb::unsigned(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}
