//! Names of WebAssembly features, and lists of them as people write them.

use std::fmt;

use wasmparser::WasmFeatures;

/// One feature with the name its proposal has.
const NAMES: [(&str, WasmFeatures); 18] = [
    ("mutable-globals", WasmFeatures::MUTABLE_GLOBAL),
    ("saturating-float-to-int", WasmFeatures::SATURATING_FLOAT_TO_INT),
    ("sign-extension", WasmFeatures::SIGN_EXTENSION),
    ("reference-types", WasmFeatures::REFERENCE_TYPES),
    ("multi-value", WasmFeatures::MULTI_VALUE),
    ("bulk-memory", WasmFeatures::BULK_MEMORY),
    ("simd", WasmFeatures::SIMD),
    ("relaxed-simd", WasmFeatures::RELAXED_SIMD),
    ("threads", WasmFeatures::THREADS),
    ("tail-call", WasmFeatures::TAIL_CALL),
    ("multi-memory", WasmFeatures::MULTI_MEMORY),
    ("extended-const", WasmFeatures::EXTENDED_CONST),
    ("memory64", WasmFeatures::MEMORY64),
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("function-references", WasmFeatures::FUNCTION_REFERENCES),
    ("gc", WasmFeatures::GC),
    ("custom-page-sizes", WasmFeatures::CUSTOM_PAGE_SIZES),
    ("wide-arithmetic", WasmFeatures::WIDE_ARITHMETIC),
];

/// A set of WebAssembly features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(WasmFeatures);

/// A list of features that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFeature {
    name: String,
}

impl Features {
    /// The first version of the specification.
    pub const WASM1: Features = Features(WasmFeatures::WASM1);
    /// The second version: SIMD, references, bulk memory, multiple values.
    pub const WASM2: Features = Features(WasmFeatures::WASM2);
    /// Everything that the engine executes.
    pub const ALL: Features = Features(
        WasmFeatures::WASM2
            .union(WasmFeatures::TAIL_CALL)
            .union(WasmFeatures::EXTENDED_CONST)
            .union(WasmFeatures::MULTI_MEMORY)
            .union(WasmFeatures::THREADS),
    );

    /// Reads `wasm1`, `wasm2` or `all`, then `+name` and `-name`, separated by commas.
    ///
    /// A list that names no version starts from [`Features::ALL`].
    ///
    /// # Errors
    /// A word that is neither.
    pub fn parse(list: &str) -> Result<Features, UnknownFeature> {
        let mut features = Features::ALL.0;
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "wasm1" => features = Features::WASM1.0,
                "wasm2" => features = Features::WASM2.0,
                "all" => features = Features::ALL.0,
                _ => {
                    let (on, name) = match word.strip_prefix('-') {
                        Some(name) => (false, name),
                        None => (true, word.strip_prefix('+').unwrap_or(word)),
                    };
                    features.set(named(name)?, on);
                }
            }
        }
        Ok(Features(features))
    }

    /// Names of all features in this set, in the order of their age.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(_, feature)| self.0.contains(*feature)).map(|(name, _)| *name)
    }

    /// The names that lists may use.
    pub fn known() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

impl From<Features> for WasmFeatures {
    fn from(features: Features) -> WasmFeatures {
        features.0
    }
}

impl Default for Features {
    fn default() -> Features {
        Features::ALL
    }
}

fn named(name: &str) -> Result<WasmFeatures, UnknownFeature> {
    // The folders of the official suite give some features other names.
    let name = match name {
        "nontrapping-float-to-int-conversions" | "saturating" => "saturating-float-to-int",
        "sign-extension-ops" => "sign-extension",
        "mutable-global" => "mutable-globals",
        "bulk" => "bulk-memory",
        "exception-handling" => "exceptions",
        other => other,
    };
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, feature)| *feature).ok_or_else(|| UnknownFeature { name: name.to_owned() })
}

impl fmt::Display for UnknownFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = Features::known().collect();
        write!(
            f,
            "no feature is called `{}`; there are wasm1, wasm2, all, {}",
            self.name,
            known.join(", ")
        )
    }
}

impl std::error::Error for UnknownFeature {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_starts_from_a_version_and_adds_and_removes() {
        let features = Features::parse("wasm1,+simd,-mutable-globals").expect("a list");
        assert_eq!(features.names().collect::<Vec<_>>(), ["simd"]);
        assert_eq!(Features::parse(""), Ok(Features::ALL));
        assert_eq!(Features::parse("wasm2"), Ok(Features::WASM2));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let error = Features::parse("+teleport").expect_err("no such feature");
        assert!(error.to_string().starts_with("no feature is called `teleport`"));
    }
}
