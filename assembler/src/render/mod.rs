//! Diagnostics as people and programs read them.
//!
//! People get the look of rustc: message, source line, caret, advice.
//! Programs get JSON, described in `docs/ASSEMBLER.md`.
//! Neither may be harmed by the input: lines of any length are clipped around the caret, and what
//! a terminal would obey is shown instead.
//! This file must never know what a mistake means; it only lays out what a diagnostic says.

mod excerpt;
mod json;

use std::fmt::Write;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};

use crate::{Diagnostic, Diagnostics, LineColumn, Severity, Span};
use excerpt::{Excerpt, visible};

/// Whether a rendering may use terminal colours. The caller knows the terminal and `NO_COLOR`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Plain text.
    #[default]
    Never,
    /// ANSI escapes.
    Always,
}

/// Lines between two places up to which they are shown in one piece.
const NEAR_LINES: u32 = 3;

impl Diagnostics {
    /// Text for people, in the look of rustc: message, source line and caret.
    ///
    /// `input` is what was checked or assembled, text or bytes.
    /// Each diagnostic is followed by an empty line, and the whole by a count.
    pub fn render(&self, file_name: &str, input: &[u8], color: Color) -> String {
        let renderer = match color {
            Color::Never => Renderer::plain(),
            Color::Always => Renderer::styled(),
        };
        let file_name = visible(file_name);
        let mut text = String::new();
        for diagnostic in &self.list {
            let rendered = renderer.render(&[group(diagnostic, &file_name, input)]);
            // The library would take the column from the excerpt, which may be clipped: the line
            // with the place is ours.
            let (title, rest) = rendered.split_once('\n').unwrap_or((&rendered, ""));
            let place = place(diagnostic, &file_name, input);
            let margin = rest.chars().take_while(|char| *char == ' ').count().saturating_sub(1);
            let margin = " ".repeat(margin);
            let (blue, reset) = match color {
                Color::Never => ("", ""),
                Color::Always => ("\u{1b}[1m\u{1b}[94m", "\u{1b}[0m"),
            };
            let _ = write!(text, "{title}\n{margin}{blue}-->{reset} {place}\n{rest}\n\n");
        }
        text.push_str(&self.summary(&file_name));
        text.push('\n');
        text
    }

    /// The same as JSON, one object on one line.
    pub fn to_json(&self, file_name: &str, input: &[u8]) -> String {
        json::of(self, file_name, input)
    }

    /// The last line: how many mistakes there are.
    fn summary(&self, file_name: &str) -> String {
        let total = self.list.len() + self.omitted;
        let plural = if total == 1 { "" } else { "s" };
        let omitted = match self.omitted {
            0 => String::new(),
            omitted => format!(", {omitted} of them not shown"),
        };
        format!("{file_name}: {total} error{plural}{omitted}")
    }
}

/// Whether an input is bytecode; everything else is text.
pub(crate) fn is_bytecode(input: &[u8]) -> bool {
    input.starts_with(b"\0asm")
}

/// One diagnostic, laid out.
fn group<'a>(diagnostic: &'a Diagnostic, file_name: &str, input: &[u8]) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .clone()
        .primary_title(visible(&diagnostic.message))
        .id(diagnostic.code)
        .elements(places(diagnostic, file_name, input));
    for text in details(diagnostic) {
        group = group.element(Level::NOTE.message(visible(&text)));
    }
    if let Some(text) = advice(diagnostic) {
        group = group.element(Level::HELP.message(visible(&text)));
    }
    group
}

/// The main place of a diagnostic: file, line and column, or file and offset.
fn place(diagnostic: &Diagnostic, file_name: &str, input: &[u8]) -> String {
    if is_bytecode(input) {
        format!("{file_name}:{:#x}", diagnostic.span.start)
    } else {
        format!("{file_name}:{}", diagnostic.span.line_column(input))
    }
}

/// The source lines of a diagnostic's places.
fn places(diagnostic: &Diagnostic, file_name: &str, input: &[u8]) -> Vec<Element<'static>> {
    if is_bytecode(input) {
        let excerpt = Excerpt::of_bytes(input, diagnostic.span);
        let marker = AnnotationKind::Primary.span(excerpt.map(diagnostic.span));
        let snippet = Snippet::source(excerpt.text)
            .line_numbering(false)
            .annotation(marker.label(visible(&diagnostic.label)));
        return vec![snippet.into()];
    }
    let mut marks: Vec<(LineColumn, Span, AnnotationKind, &str)> = Vec::new();
    let at = diagnostic.span.line_column(input);
    marks.push((at, diagnostic.span, AnnotationKind::Primary, &diagnostic.label));
    for label in &diagnostic.labels {
        let at = label.span.line_column(input);
        marks.push((at, label.span, AnnotationKind::Context, &label.text));
    }
    marks.sort_by_key(|(at, ..)| *at);

    let mut elements: Vec<Element<'static>> = Vec::new();
    for piece in marks.chunk_by(|a, b| b.0.line - a.0.line <= NEAR_LINES) {
        let spans: Vec<(Span, bool)> = piece
            .iter()
            .map(|(_, span, kind, _)| (*span, matches!(kind, AnnotationKind::Primary)))
            .collect();
        let excerpt = Excerpt::of_lines(input, &spans);
        let annotations: Vec<_> = piece
            .iter()
            .map(|(_, span, kind, label)| kind.span(excerpt.map(*span)).label(visible(label)))
            .collect();
        let snippet = Snippet::source(excerpt.text)
            .line_start(piece[0].0.line as usize)
            .annotations(annotations)
            .path((!elements.is_empty()).then(|| file_name.to_owned()));
        elements.push(snippet.into());
    }
    elements
}

/// Remarks below the source: what was expected, the operand stack, notes.
fn details(diagnostic: &Diagnostic) -> Vec<String> {
    let mut details = Vec::new();
    if !diagnostic.expected.is_empty()
        && diagnostic.label.is_empty()
        && diagnostic.suggestion.is_none()
    {
        details.push(format!("expected {}", list(&diagnostic.expected)));
    }
    if let Some(stack) = &diagnostic.operand_stack
        && (diagnostic.code == "type-mismatch" || !stack.is_empty())
    {
        details.push(format!("operand stack before it: {}", types(stack)));
    }
    details.extend(diagnostic.notes.iter().cloned());
    details
}

/// The one next step.
fn advice(diagnostic: &Diagnostic) -> Option<String> {
    match &diagnostic.suggestion {
        Some(suggestion) => Some(format!("did you mean `{}`?", suggestion.replacement)),
        None => diagnostic.help.clone(),
    }
}

/// Most types of an operand stack that are shown, those on top.
const STACK_MAX_COUNT: usize = 12;

/// Types as the specification writes them, the topmost last.
pub(crate) fn types(stack: &[String]) -> String {
    let hidden = stack.len().saturating_sub(STACK_MAX_COUNT);
    let shown = stack[hidden..].join(" ");
    match hidden {
        0 => format!("[{shown}]"),
        hidden => format!("[({hidden} more) {shown}]"),
    }
}

/// Most things that are listed as expected.
const LISTED_MAX_COUNT: usize = 10;

/// `a`, `a or b`, `a, b or c`.
fn list(items: &[String]) -> String {
    match items {
        _ if items.len() > LISTED_MAX_COUNT => {
            let shown = LISTED_MAX_COUNT - 2;
            format!("{} or one of {} more", items[..shown].join(", "), items.len() - shown)
        }
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendering_shows_all_that_a_diagnostic_says() {
        let input = b"(module\n\t(func\n    i32.ad 1 2\n\n\n\n\n\n)";
        let message = "unknown instruction `i32.ad`";
        let mut diagnostic = Diagnostic::error("unknown-instruction", Span::new(19, 25), message)
            .with_label("no instruction has this name")
            .and_label(Span::new(9, 10), "in this function")
            .and_label(Span::new(35, 36), "far away")
            .with_note("a note")
            .suggesting("i32.add");
        diagnostic.operand_stack = Some(vec!["i32".into(), "i64".into()]);
        let diagnostics = Diagnostics::from(diagnostic);
        let expected = "\
error[unknown-instruction]: unknown instruction `i32.ad`
 --> a.wat:3:5
  |
2 |     (func
  |     - in this function
3 |     i32.ad 1 2
  |     ^^^^^^ no instruction has this name
  |
 ::: a.wat:9:1
  |
9 | )
  | - far away
  |
  = note: operand stack before it: [i32 i64]
  = note: a note
  = help: did you mean `i32.add`?

a.wat: 1 error
";
        assert_eq!(diagnostics.render("a.wat", input, Color::Never), expected);
        let colored = diagnostics.render("a.wat", input, Color::Always);
        assert!(colored.contains("\n \u{1b}[1m\u{1b}[94m-->\u{1b}[0m a.wat:3:5\n"), "{colored}");
    }

    #[test]
    fn a_place_in_bytecode_is_shown_as_bytes() {
        let diagnostic = Diagnostic::error("malformed", Span::new(9, 10), "bad byte");
        let input = b"\0asm\x01\0\0\0\x01\x05\0\0\0\0\0\0";
        let rendered = Diagnostics::from(diagnostic.with_label("here")).render(
            "a\x1b.wasm",
            input,
            Color::Never,
        );
        let expected = "\
error[malformed]: bad byte
--> a\u{241b}.wasm:0x9
 |
 | 00000000  00 61 73 6d 01 00 00 00 01 05 00 00 00 00 00 00
 |                                      ^^ here

a\u{241b}.wasm: 1 error
";
        assert_eq!(rendered, expected);
    }
}
