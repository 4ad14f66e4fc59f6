//! Words for what is invalid: a code, a sentence, one next step.

use brant_isa::Opcode;

use crate::dis::names::{Names, Space};
use crate::dis::outline::{Outline, Sections};
use crate::dis::table::Entry;
use crate::dis::{DisassembleError, strings};
use crate::render::types;
use crate::{Diagnostic, Span};

/// An instruction that does not fit where it stands, and what is known about it.
pub(super) struct Misfit<'a> {
    /// What wasmparser says.
    pub message: &'a str,
    /// The instruction.
    pub entry: Option<&'a Entry>,
    /// The index it names, where a message leaves it out.
    pub index: Option<u32>,
    /// The operands it takes, where that can be said.
    pub expected: Option<Vec<String>>,
    /// The operands of the innermost block, the topmost last.
    pub found: &'a [String],
    /// Whether the instruction is never reached, so that missing operands are no mistake.
    pub is_unreachable: bool,
    /// Whether it ends a block, which must leave exactly its results.
    pub is_end: bool,
    /// Whether it ends an `if` that has no `else`.
    pub is_if_without_else: bool,
    pub local_count: u32,
    /// Labels in scope, that of the function included.
    pub label_count: u32,
    /// The module.
    pub bytes: &'a [u8],
}

impl Misfit<'_> {
    pub fn explain(&self) -> Diagnostic {
        let mut diagnostic = message(self.message);
        let name = self.entry.map_or("this instruction", Entry::name);
        if let (Some(index), "unknown-label" | "unknown-global" | "unknown-type") =
            (self.index, diagnostic.code)
        {
            let what = diagnostic.code.trim_start_matches("unknown-");
            diagnostic.message = format!("unknown {what} {index}");
        }
        let range = |what: &str, count: u32| match count {
            0 => format!("there are no {what}s"),
            1 => format!("there is only {what} 0"),
            count => format!("there are {what}s 0 to {}", count - 1),
        };
        let outline = Outline::new(self.bytes).unwrap_or_default();
        diagnostic.help = match diagnostic.code {
            "type-mismatch" => {
                self.explain_types(&mut diagnostic);
                return diagnostic;
            }
            "unknown-local" => {
                Some(range("local", self.local_count) + " in this function, parameters included")
            }
            "unknown-label" => Some(match self.label_count {
                0 | 1 => "only label 0, that of the function, is in scope here".to_owned(),
                count => format!("labels 0 to {} are in scope here", count - 1),
            }),
            "unknown-function" => Some(range("function", outline.function_types.len() as u32)),
            "unknown-global" => Some(range("global", outline.global_count)),
            "unknown-type" => Some(range("type", outline.signatures.len() as u32)),
            "unknown-memory" if outline.memory_count > 0 => {
                Some(range("memory", outline.memory_count).replace("memorys", "memories"))
            }
            "unknown-table" if outline.table_count > 0 => Some(range("table", outline.table_count)),
            "alignment-too-large" => self.entry.and_then(Entry::natural_align_bytes).map(|bytes| {
                format!("the natural alignment of `{name}` is {bytes}; leave it away for that")
            }),
            "lane-out-of-range" => self
                .entry
                .and_then(Entry::lane_count)
                .map(|count| format!("`{name}` has lanes 0 to {}", count - 1)),
            _ => diagnostic.help,
        };
        if diagnostic.code == "malformed-bytecode" && self.entry.is_some_and(is_memory_access) {
            diagnostic = Diagnostic::error(
                "offset-out-of-range",
                Span::at(0),
                "the offset is too large for a memory with 32-bit addresses",
            )
            .with_help("add the offset to the address with `i32.add`");
        }
        diagnostic
    }

    fn explain_types(&self, diagnostic: &mut Diagnostic) {
        let opcode = self.entry.map(|entry| entry.opcode);
        let place = match opcode {
            Some(Opcode::End) if self.label_count <= 1 => "at the end of the function".to_owned(),
            Some(Opcode::Else) => "at the end of the first arm of `if`".to_owned(),
            Some(Opcode::End) | None => "at the end of the block".to_owned(),
            Some(opcode) => format!("in `{}`", opcode.name()),
        };
        diagnostic.message = format!("type mismatch {place}");
        let Some(expected) = &self.expected else {
            let reason = self.message.trim_start_matches("type mismatch").trim_start_matches(": ");
            diagnostic.label = reason.to_owned();
            if matches!(opcode, Some(Opcode::Select)) {
                diagnostic.label = "expected two operands of one type and i32".to_owned();
                diagnostic.expected = vec!["[t t i32]".to_owned()];
            }
            return;
        };
        if self.is_if_without_else && expected == self.found {
            *diagnostic = Diagnostic::error(
                "missing-else",
                Span::at(0),
                format!("an `if` that gives {} needs an `else`", types(expected)),
            )
            .with_help(format!("add `(else ...)` that gives {} too", types(expected)));
            return;
        }
        // An instruction looks at the topmost operands, the end of a block at all of them.
        let looked_at = if self.is_end { self.found.len() } else { expected.len() };
        let found = &self.found[self.found.len().saturating_sub(looked_at)..];
        diagnostic.expected = vec![types(expected)];
        diagnostic.label = format!("expected {}, found {}", types(expected), types(found));
        diagnostic.help = advice(expected, found, self.is_end);
        if self.is_unreachable {
            let note = "this is never reached, but operands that are there must fit all the same";
            diagnostic.notes.push(note.to_owned());
        }
    }
}

/// Whether an instruction reads or writes memory at an address.
fn is_memory_access(entry: &Entry) -> bool {
    entry.natural_align_bytes().is_some()
}

/// What to do about operands that do not fit.
fn advice(expected: &[String], found: &[String], is_end: bool) -> Option<String> {
    let missing = match expected.len().checked_sub(found.len()) {
        Some(0) => &[],
        Some(count) if expected.ends_with(found) => &expected[..count],
        Some(_) if expected.starts_with(found) => &expected[found.len()..],
        Some(_) => return None,
        None => {
            let more = match (found.len() - expected.len(), is_end) {
                (1, _) => "one value".to_owned(),
                (more, _) => format!("{more} values"),
            };
            return Some(format!("take {more} away with `drop`, or declare more results"));
        }
    };
    if !missing.is_empty() {
        let what = match missing {
            [one] if one == "any" => "a value".to_owned(),
            [one] => format!("one more {one}"),
            more => format!("{} more", types(more)),
        };
        return Some(match is_end {
            true => format!("leave {what}"),
            false => format!("push {what} before it"),
        });
    }
    let is_different = |(expected, found): &(&String, &String)| {
        expected != found && *expected != "any" && *found != "any"
    };
    let mut different = expected.iter().zip(found).filter(is_different);
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

/// What a message of wasmparser is about.
struct Meaning {
    /// What the message contains.
    hint: &'static str,
    code: &'static str,
    /// Better words; without them the message is kept up to its first colon.
    words: Option<&'static str>,
    help: Option<&'static str>,
}

const fn meaning(
    hint: &'static str, code: &'static str, words: Option<&'static str>, help: Option<&'static str>,
) -> Meaning {
    Meaning { hint, code, words, help }
}

/// The first that fits counts.
const MEANINGS: &[Meaning] = &[
    meaning("type mismatch", "type-mismatch", None, None),
    meaning("unknown local", "unknown-local", None, None),
    meaning("unknown label", "unknown-label", None, None),
    meaning("unknown function", "unknown-function", None, None),
    meaning("unknown global", "unknown-global", None, None),
    meaning("unknown table", "unknown-table", None, Some("declare one: `(table 1 funcref)`")),
    meaning("unknown memory", "unknown-memory", None, Some("declare one: `(memory 1)`")),
    meaning("unknown type", "unknown-type", None, None),
    meaning("unknown tag", "unknown-tag", None, None),
    meaning("unknown elem", "unknown-element-segment", None, None),
    meaning("unknown data", "unknown-data-segment", None, None),
    meaning(
        "global is immutable",
        "immutable-global",
        Some("this global cannot be changed"),
        Some("declare it as changeable: `(mut i32)` in place of `i32`"),
    ),
    meaning(
        "undeclared function reference",
        "undeclared-reference",
        Some("this function is not declared as one that is referred to"),
        Some("add `(elem declare func $f)`, or export the function"),
    ),
    meaning("duplicate export", "duplicate-export", None, Some("give one of the two another name")),
    meaning(
        "alignment must not be larger",
        "alignment-too-large",
        Some("the alignment is larger than the natural one"),
        None,
    ),
    meaning("SIMD index", "lane-out-of-range", Some("there is no such lane"), None),
    meaning(
        "constant expression required",
        "constant-expression-required",
        Some("this instruction is not allowed in a constant expression"),
        Some(
            "constant are `T.const`, `ref.null`, `ref.func`, `global.get` of what cannot change, \
             and `add`, `sub` and `mul` of integers",
        ),
    ),
    meaning(
        "invalid start function",
        "start-function-type",
        Some("the start function has parameters or results"),
        Some("call it from one that has none"),
    ),
    meaning(
        "minimum must not be greater",
        "malformed-limits",
        Some("the minimum exceeds the maximum"),
        None,
    ),
    meaning(
        "memory size must be at most",
        "malformed-limits",
        Some("a memory has at most 65536 pages of 64 KiB"),
        None,
    ),
    meaning("table size must be at most", "malformed-limits", None, None),
    meaning(
        "is not enabled",
        "feature-disabled",
        None,
        Some("turn it on with `--features` if the module is to run where it exists"),
    ),
    meaning(
        "must be enabled",
        "feature-disabled",
        None,
        Some("turn it on with `--features` if the module is to run where it exists"),
    ),
    meaning("data count", "data-count", None, None),
    meaning("section out of order", "section-order", None, None),
    meaning(
        "code section is absent",
        "malformed-bytecode",
        Some("functions are declared, but there is no section with their bodies"),
        None,
    ),
    meaning("illegal opcode", "unknown-instruction", None, None),
    meaning("subopcode", "unknown-instruction", None, None),
    meaning("unexpected end", "malformed-bytecode", Some("the bytes end too early"), None),
    meaning("invalid var_", "malformed-bytecode", Some("malformed number"), None),
    meaning("malformed", "malformed-bytecode", None, None),
    meaning("invalid leading byte", "malformed-bytecode", None, None),
    meaning("size is out of bounds", "malformed-bytecode", None, None),
    meaning("locals exceed maximum", "too-many-locals", None, None),
];

/// A diagnostic from wasmparser's words alone.
pub(super) fn message(message: &str) -> Diagnostic {
    let Some(meaning) = MEANINGS.iter().find(|meaning| message.contains(meaning.hint)) else {
        return Diagnostic::error("invalid-module", Span::at(0), message);
    };
    let words = match meaning.words {
        Some(words) => words,
        None if matches!(meaning.code, "type-mismatch" | "unknown-instruction") => message,
        None => message.split_once(": ").map_or(message, |(first, _)| first),
    };
    let mut diagnostic = Diagnostic::error(meaning.code, Span::at(0), words);
    diagnostic.help = meaning.help.map(str::to_owned);
    if meaning.code == "unknown-instruction" {
        let code = message.replace("illegal opcode: ", "");
        diagnostic.message = format!("unknown instruction {}", code.replace("unknown ", ""));
    }
    if meaning.code == "type-mismatch" {
        // Without an instruction it is a constant expression.
        diagnostic.label = message.trim_start_matches("type mismatch: ").to_owned();
        diagnostic.message = "type mismatch in a constant expression".to_owned();
        if diagnostic.label.contains("nothing on stack") {
            diagnostic.label = diagnostic.label.replace(" but nothing on stack", "");
            diagnostic.message = "the initial value is missing".to_owned();
            diagnostic.help = Some("add one, such as `(i32.const 0)`".to_owned());
        }
    }
    diagnostic
}

/// Whether a mistake may come from a broken section of exports or segments.
pub(super) fn is_about_segments(diagnostic: &Diagnostic) -> bool {
    let codes =
        ["undeclared-reference", "unknown-element-segment", "unknown-data-segment", "data-count"];
    codes.contains(&diagnostic.code)
}

/// What is wrong with the order and the lengths of sections, of which everything else that may be
/// found is only a consequence.
pub(super) fn framing(bytes: &[u8]) -> Option<Diagnostic> {
    let walk = || {
        let mut sections = Sections::new(bytes)?;
        while sections.next()?.is_some() {}
        Ok(())
    };
    let result: Result<(), Box<DisassembleError>> = walk();
    match *result.err()? {
        DisassembleError::Malformed { offset, message } => {
            let span = Span::new(offset, (offset + 1).min(bytes.len()).max(offset));
            let mut diagnostic = Diagnostic::error("malformed-bytecode", span, message);
            diagnostic.bytecode_offset = Some(offset as u64);
            Some(diagnostic)
        }
        DisassembleError::Write(_) => None,
    }
}

/// Says in which function of a module something is, by name if it has one.
pub(super) fn function_note(bytes: &[u8], function: u32) -> String {
    let Ok(outline) = Outline::new(bytes) else { return format!("in function {function}") };
    let names = Names::new(&outline, |_| None);
    match names.of(Space::Func).get(function) {
        Some(name) => {
            let name = String::from_utf8_lossy(name);
            format!("in function {function}, {}", strings::shorten(&name))
        }
        None => format!("in function {function}"),
    }
}
