//! Words for what is invalid: a code, a sentence, one next step.

use crate::render::types;
use crate::{Diagnostic, Span};

/// An instruction that does not fit where it stands, and what is known about it.
pub(super) struct Misfit<'a> {
    /// What wasmparser says.
    pub message: &'a str,
    /// The name of the instruction.
    pub name: Option<&'a str>,
    /// The operands it takes, where that can be said.
    pub expected: Option<Vec<String>>,
    /// The operands of the innermost block, the topmost last.
    pub found: &'a [String],
    /// Whether the instruction is never reached, so that missing operands are no mistake.
    pub is_unreachable: bool,
    /// Whether it ends a block, which must leave exactly its results.
    pub is_end: bool,
    pub local_count: u32,
    /// Labels in scope, that of the function included.
    pub label_count: u32,
}

impl Misfit<'_> {
    pub fn explain(&self) -> Diagnostic {
        let mut diagnostic = message(self.message);
        match diagnostic.code {
            "type-mismatch" => self.explain_types(&mut diagnostic),
            "unknown-local" => {
                let parameters = "parameters count as locals";
                diagnostic.help = Some(match self.local_count {
                    0 => "the function has no parameters and no locals".to_owned(),
                    1 => format!("the function has one local, 0; {parameters}"),
                    count => format!("the function has locals 0 to {}; {parameters}", count - 1),
                });
            }
            "unknown-label" => {
                diagnostic.help = Some(match self.label_count {
                    0 | 1 => "only label 0, that of the function, is in scope here".to_owned(),
                    count => format!("labels 0 to {} are in scope here", count - 1),
                });
            }
            _ => {}
        }
        diagnostic
    }

    fn explain_types(&self, diagnostic: &mut Diagnostic) {
        let what = match (self.name, self.is_end) {
            (Some("end"), _) if self.label_count <= 1 => "at the end of the function".to_owned(),
            (Some("end") | None, true) => "at the end of the block".to_owned(),
            (Some("else"), _) => "at the end of the first arm of `if`".to_owned(),
            (Some(name), _) => format!("in `{name}`"),
            (None, false) => return,
        };
        let Some(expected) = &self.expected else {
            diagnostic.message = format!("type mismatch {what}");
            let reason = self.message.trim_start_matches("type mismatch").trim_start_matches(": ");
            diagnostic.label = reason.to_owned();
            return;
        };
        // An instruction looks at the topmost operands, the end of a block at all of them.
        let looked_at = if self.is_end { self.found.len() } else { expected.len() };
        let found = &self.found[self.found.len().saturating_sub(looked_at)..];
        diagnostic.message = format!("type mismatch {what}");
        diagnostic.expected = vec![types(expected)];
        diagnostic.label = format!("expected {}, found {}", types(expected), types(found));
        diagnostic.help = advice(expected, found);
        if self.is_unreachable {
            let note = "this is never reached, but operands that are there must fit all the same";
            diagnostic.notes.push(note.to_owned());
        }
    }
}

/// What to do about operands that do not fit.
fn advice(expected: &[String], found: &[String]) -> Option<String> {
    if found.len() < expected.len() && expected.ends_with(found) {
        let missing = &expected[..expected.len() - found.len()];
        return Some(format!("push {} before it", types(missing)));
    }
    if found.len() < expected.len() && expected.starts_with(found) {
        return Some(format!("push {} before it", types(&expected[found.len()..])));
    }
    if found.len() > expected.len() {
        let more = found.len() - expected.len();
        let what = if more == 1 { "it".to_owned() } else { format!("the {more} of them") };
        return Some(match expected.len() {
            0 => format!("take what is left away with `drop`, or declare a result for {what}"),
            _ => "take what is left away with `drop`, or declare it as a result".to_owned(),
        });
    }
    let mut different = expected.iter().zip(found).filter(|(expected, found)| expected != found);
    let (expected, found) = different.next()?;
    if different.next().is_some() {
        return None;
    }
    let conversion = conversion(expected, found)?;
    Some(format!("{found} becomes {expected} with `{conversion}`"))
}

/// The usual instruction from one type of number to another.
fn conversion(to: &str, from: &str) -> Option<&'static str> {
    Some(match (from, to) {
        ("i64", "i32") => "i32.wrap_i64",
        ("i32", "i64") => "i64.extend_i32_s` or `i64.extend_i32_u",
        ("f32", "f64") => "f64.promote_f32",
        ("f64", "f32") => "f32.demote_f64",
        ("i32", "f32") => "f32.convert_i32_s` or `f32.convert_i32_u",
        ("i32", "f64") => "f64.convert_i32_s` or `f64.convert_i32_u",
        ("i64", "f32") => "f32.convert_i64_s` or `f32.convert_i64_u",
        ("i64", "f64") => "f64.convert_i64_s` or `f64.convert_i64_u",
        ("f32", "i32") => "i32.trunc_sat_f32_s` or `i32.trunc_sat_f32_u",
        ("f64", "i32") => "i32.trunc_sat_f64_s` or `i32.trunc_sat_f64_u",
        ("f32", "i64") => "i64.trunc_sat_f32_s` or `i64.trunc_sat_f32_u",
        ("f64", "i64") => "i64.trunc_sat_f64_s` or `i64.trunc_sat_f64_u",
        _ => return None,
    })
}

/// What a message of wasmparser begins with, the code it gets, and the next step.
const MEANINGS: &[(&str, &str, Option<&str>)] = &[
    ("type mismatch", "type-mismatch", None),
    ("unknown local", "unknown-local", None),
    ("unknown label", "unknown-label", None),
    ("unknown function", "unknown-function", None),
    ("unknown global", "unknown-global", None),
    ("unknown table", "unknown-table", None),
    ("unknown memory 0", "unknown-memory", Some("give the module a memory: `(memory 1)`")),
    ("unknown memory", "unknown-memory", None),
    ("unknown type", "unknown-type", None),
    ("unknown tag", "unknown-tag", None),
    ("unknown elem", "unknown-element-segment", None),
    ("unknown data", "unknown-data-segment", None),
    ("global is immutable", "immutable-global", Some("declare the global with `(mut ...)`")),
    (
        "undeclared function reference",
        "undeclared-reference",
        Some("declare it: `(elem declare func $f)`, or export the function"),
    ),
    ("duplicate export name", "duplicate-export", Some("give one of the two another name")),
    ("data count", "data-count", None),
    ("section out of order", "section-order", None),
    ("unexpected end", "unexpected-end", Some("the module is cut off, or a length is too large")),
];

/// A diagnostic from wasmparser's words alone.
pub(super) fn message(message: &str) -> Diagnostic {
    let meaning = MEANINGS.iter().find(|(start, ..)| message.starts_with(start));
    let (code, help) = match meaning {
        Some((_, code, help)) => (*code, *help),
        None => ("invalid-module", None),
    };
    let mut diagnostic = Diagnostic::error(code, Span::at(0), message);
    diagnostic.help = help.map(str::to_owned);
    diagnostic
}

/// Whether a mistake may come from a broken section of exports or segments.
pub(super) fn is_about_segments(diagnostic: &Diagnostic) -> bool {
    let codes = ["undeclared-reference", "unknown-element-segment", "unknown-data-segment"];
    codes.contains(&diagnostic.code) || diagnostic.code == "data-count"
}

/// The name of the instruction at an offset of the bytecode.
pub(super) fn instruction(bytes: &[u8], offset: usize) -> Option<String> {
    let _ = (bytes, offset);
    None
}

/// The name that the name section gives a function.
pub(super) fn function_name(bytes: &[u8], function: u32) -> Option<String> {
    let _ = (bytes, function);
    None
}
