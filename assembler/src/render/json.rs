//! Diagnostics as JSON. The shape is a promise; it is described in `docs/ASSEMBLER.md`.

use std::fmt::Write;

use crate::{Diagnostic, Diagnostics, Severity, Span};

/// All of them as one object on one line.
pub(super) fn of(diagnostics: &Diagnostics, file_name: &str, input: &[u8]) -> String {
    let mut json = Json { text: String::new() };
    json.open('{');
    json.key("file").string(file_name);
    json.key("diagnostics").open('[');
    for diagnostic in &diagnostics.list {
        json.comma();
        json.diagnostic(diagnostic, input);
    }
    json.close(']');
    json.key("omitted").number(diagnostics.omitted as u64);
    json.close('}');
    json.text
}

/// A text that grows; a comma stands wherever something follows something.
struct Json {
    text: String,
}

impl Json {
    fn diagnostic(&mut self, diagnostic: &Diagnostic, input: &[u8]) {
        self.open('{');
        self.key("severity").string(match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        });
        self.key("code").string(diagnostic.code);
        self.key("message").string(&diagnostic.message);
        self.span(diagnostic.span, input);
        self.key("bytecode_offset").maybe(diagnostic.bytecode_offset, |json, offset| {
            json.number(offset);
        });
        self.key("label").string(&diagnostic.label);
        self.key("labels").open('[');
        for label in &diagnostic.labels {
            self.comma();
            self.open('{');
            self.span(label.span, input);
            self.key("text").string(&label.text);
            self.close('}');
        }
        self.close(']');
        self.key("expected").strings(&diagnostic.expected);
        self.key("suggestion").maybe(diagnostic.suggestion.as_ref(), |json, suggestion| {
            json.open('{');
            json.span(suggestion.span, input);
            json.key("replacement").string(&suggestion.replacement);
            json.close('}');
        });
        self.key("help").maybe(diagnostic.help.as_ref(), |json, help| json.string(help));
        self.key("notes").strings(&diagnostic.notes);
        self.key("operand_stack").maybe(diagnostic.operand_stack.as_ref(), |json, stack| {
            json.strings(stack);
        });
        self.close('}');
    }

    /// A place: lines and columns for a text, offsets in any case.
    fn span(&mut self, span: Span, input: &[u8]) {
        if super::is_bytecode(input) {
            self.key("line").text.push_str("null");
            self.key("column").text.push_str("null");
        } else {
            let at = span.line_column(input);
            self.key("line").number(u64::from(at.line));
            self.key("column").number(u64::from(at.column));
        }
        self.key("start").number(u64::from(span.start));
        self.key("end").number(u64::from(span.end));
    }

    fn open(&mut self, bracket: char) {
        self.text.push(bracket);
    }

    fn close(&mut self, bracket: char) {
        self.text.push(bracket);
    }

    /// Separates an item from the one before it.
    fn comma(&mut self) {
        if !self.text.ends_with(['{', '[']) {
            self.text.push(',');
        }
    }

    fn key(&mut self, key: &str) -> &mut Self {
        self.comma();
        self.string(key);
        self.text.push(':');
        self
    }

    fn number(&mut self, number: u64) {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{number}");
    }

    fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => put(self, value),
            None => self.text.push_str("null"),
        }
    }

    fn strings(&mut self, strings: &[String]) {
        self.open('[');
        for string in strings {
            self.comma();
            self.string(string);
        }
        self.close(']');
    }

    fn string(&mut self, string: &str) {
        self.text.push('"');
        for char in string.chars() {
            match char {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\t' => self.text.push_str("\\t"),
                // Also what a terminal obeys, for those who look at the JSON in one.
                '\0'..='\u{1f}'
                | '\u{7f}'..='\u{9f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' => {
                    let _ = write!(self.text, "\\u{:04x}", char as u32);
                }
                char => self.text.push(char),
            }
        }
        self.text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_separators_are_valid_json() {
        let mut diagnostic = Diagnostic::error("a-code", Span::new(3, 4), "say \"\x1b\\\"")
            .expecting("`a`")
            .expecting("`b`")
            .and_label(Span::at(0), "here")
            .suggesting("x");
        diagnostic.operand_stack = Some(vec!["i32".into()]);
        let json = of(&diagnostic.into(), "f", b"ab\ncd");
        let expected = concat!(
            r#"{"file":"f","diagnostics":[{"severity":"error","code":"a-code","#,
            r#""message":"say \"\u001b\\\"","line":2,"column":1,"start":3,"end":4,"#,
            r#""bytecode_offset":null,"label":"","#,
            r#""labels":[{"line":1,"column":1,"start":0,"end":0,"text":"here"}],"#,
            r#""expected":["`a`","`b`"],"#,
            r#""suggestion":{"line":2,"column":1,"start":3,"end":4,"replacement":"x"},"#,
            r#""help":null,"notes":[],"operand_stack":["i32"]}],"omitted":0}"#,
        );
        assert_eq!(json, expected);
    }
}
