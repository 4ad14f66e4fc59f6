//! Validation of a text or of bytecode, with all that is known about each mistake.
//!
//! The verdict is wasmparser's.
//! What is added here is everything around it: going on after an invalid function or section, the
//! place in the text, the operands that an instruction takes and those it found, and words that
//! say what to do next.
//! It must never decide by itself whether something is valid.

mod explain;
mod function;

use wasmparser::{BinaryReaderError, Parser, Payload, ValidPayload, Validator, WasmFeatures};

use crate::render::is_bytecode;
use crate::{AssembleOptions, Diagnostic, Diagnostics, SourceMap, Span, assemble_with_map};

/// Options of [`check`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Which proposals a module may use.
    pub features: WasmFeatures,
}

impl Default for CheckOptions {
    /// What the virtual machine runs.
    fn default() -> Self {
        use WasmFeatures as F;
        Self { features: F::WASM2 | F::TAIL_CALL | F::EXTENDED_CONST | F::MULTI_MEMORY }
    }
}

/// Checks a module, text or bytes, completely: every function is validated, whatever is wrong in
/// the ones before it.
///
/// # Errors
/// All that is wrong.
/// Spans are places in `input`, be it text or bytes.
pub fn check(input: &[u8], options: &CheckOptions) -> Result<(), Diagnostics> {
    let mut diagnostics = Diagnostics::default();
    if is_bytecode(input) {
        validate(input, options, &mut |mistake| {
            // A place in bytes is the first byte of what is wrong.
            let at = (mistake.offset as usize).min(input.len());
            let function = mistake.function;
            let mut diagnostic = mistake.into_diagnostic(Span::new(at, (at + 1).min(input.len())));
            diagnostic.notes.extend(function.map(|index| explain::function_note(input, index)));
            diagnostics.push(diagnostic);
        });
        if let Some(framing) = explain::framing(input)
            && !diagnostics.is_empty()
        {
            return Err(framing.into());
        }
    } else {
        let (bytes, map) = assemble_with_map(input, &AssembleOptions::default())?;
        validate(&bytes, options, &mut |mistake| {
            let span = place(&map, mistake.offset, input);
            diagnostics.push(mistake.into_diagnostic(span));
        });
        diagnostics.sort();
    }
    if diagnostics.is_empty() { Ok(()) } else { Err(diagnostics) }
}

/// The place in the text that a place in the bytecode came from.
fn place(map: &SourceMap, offset: u64, text: &[u8]) -> Span {
    map.lookup(offset).unwrap_or(Span::at(text.len()))
}

/// Something invalid.
struct Mistake {
    /// Where in the bytecode.
    offset: u64,
    /// The function it is in.
    function: Option<u32>,
    /// All but the place.
    diagnostic: Diagnostic,
}

impl Mistake {
    /// A mistake that only has wasmparser's words.
    fn new(error: &BinaryReaderError) -> Self {
        let diagnostic = explain::message(error.message());
        Self { offset: error.offset(), function: None, diagnostic }
    }

    fn into_diagnostic(self, span: Span) -> Diagnostic {
        let mut diagnostic = self.diagnostic;
        diagnostic.span = span;
        for label in &mut diagnostic.labels {
            label.span = span;
        }
        diagnostic.bytecode_offset = Some(self.offset);
        diagnostic
    }
}

/// Validates a module section by section and function by function.
fn validate(bytes: &[u8], options: &CheckOptions, report: &mut dyn FnMut(Mistake)) {
    let mut validator = Validator::new_with_features(options.features);
    let mut parser = Parser::new(0);
    parser.set_features(options.features);
    let mut functions = function::Functions::new(bytes);
    // What a broken section of segments should have declared is unknown to all that follows:
    // mistakes that may come from there are not reported.
    let mut segments_are_known = true;
    for payload in parser.parse_all(bytes) {
        let payload = match payload {
            Ok(payload) => payload,
            Err(error) => {
                report(Mistake::new(&error));
                return;
            }
        };
        match validator.payload(&payload) {
            Ok(ValidPayload::Func(function, body)) => {
                functions.validate(function, &body, &mut |mistake| {
                    if segments_are_known || !explain::is_about_segments(&mistake.diagnostic) {
                        report(mistake);
                    }
                });
            }
            Ok(ValidPayload::End(_)) => return,
            Ok(_) => {}
            Err(error) => {
                let mistake = Mistake::new(&error);
                if segments_are_known || !explain::is_about_segments(&mistake.diagnostic) {
                    report(mistake);
                }
                // Without types and index spaces nothing else can be judged, and the validator
                // is not made to go on.
                if !defines_no_indices(&payload) {
                    return;
                }
                segments_are_known = false;
            }
        }
    }
}

/// Whether a section can be broken and function bodies be judged all the same.
fn defines_no_indices(payload: &Payload<'_>) -> bool {
    matches!(
        payload,
        Payload::ExportSection(_) | Payload::StartSection { .. } | Payload::ElementSection(_)
    )
}
