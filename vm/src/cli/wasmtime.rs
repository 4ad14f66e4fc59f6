//! wasmtime's commonest `-W`, `-S`, `-C`, `-O` and `-D` keys, as far as they mean something here.
//!
//! A key sets one of our own options, or has nothing to set (a compiler's switches, say), or is
//! refused by name: a command that asks for a protection must not run without it.

use super::options::RunOptions;
use super::units;

/// Applies all keys that were given to the options they stand for.
pub fn apply(options: &mut RunOptions) -> Result<(), String> {
    for (letter, lists) in [
        ('W', options.wasm.clone()),
        ('S', options.wasi.clone()),
        ('C', options.codegen.clone()),
        ('O', options.optimize.clone()),
        ('D', options.debug.clone()),
    ] {
        for pair in lists.iter().flat_map(|list| list.split(',')) {
            let (key, value) = match pair.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (pair, None),
            };
            let cause = |text| format!("`-{letter} {pair}`: {text}");
            set(options, letter, key, value).map_err(cause)?;
        }
    }
    Ok(())
}

/// Keys of `-W` that name a feature of the language.
const FEATURES: [&str; 17] = [
    "bulk-memory",
    "custom-page-sizes",
    "exceptions",
    "extended-const",
    "function-references",
    "gc",
    "memory64",
    "multi-memory",
    "multi-value",
    "mutable-globals",
    "reference-types",
    "relaxed-simd",
    "simd",
    "tail-call",
    "threads",
    "wide-arithmetic",
    "stack-switching",
];

/// Keys without anything to set here, with the value that any of them may have.
const WITHOUT_EFFECT: [(char, &str); 21] = [
    ('C', "cache-config"),
    ('C', "compiler"),
    ('C', "collector"),
    ('C', "cranelift-debug-verifier"),
    ('C', "mpk"),
    ('C', "parallel-compilation"),
    ('C', "pcc"),
    ('D', "address-map"),
    ('D', "debug-info"),
    ('D', "logging"),
    ('O', "dynamic-memory-guard-size"),
    ('O', "memory-guard-size"),
    ('O', "memory-init-cow"),
    ('O', "memory-may-move"),
    ('O', "memory-reservation"),
    ('O', "memory-reservation-for-growth"),
    ('O', "opt-level"),
    ('O', "pooling-allocator"),
    ('O', "signals-based-traps"),
    ('O', "static-memory-guard-size"),
    ('W', "async-stack-size"),
];

fn set(
    options: &mut RunOptions, letter: char, key: &str, value: Option<&str>,
) -> Result<(), String> {
    let needed = || value.ok_or_else(|| "the key needs a value".to_owned());
    match (letter, key) {
        ('C', "cache") => options.no_cache |= !flag(value)?,
        ('W', "max-memory-size") => options.max_memory = Some(units::bytes(needed()?)?),
        ('W', "max-wasm-stack") => options.max_stack = Some(units::bytes(needed()?)?),
        ('W', "max-table-elements") => {
            options.max_table_elements = Some(units::count(needed()?)?);
        }
        ('W', "max-instances") => options.max_instances = Some(units::count(needed()?)?),
        ('W', "fuel") => options.fuel = Some(units::count(needed()?)?),
        ('W', "timeout") => options.timeout = Some(units::duration(needed()?)?),
        ('W', "all-proposals") if flag(value)? => options.features = Some("all".to_owned()),
        ('W', "all-proposals") => options.features = Some("wasm1".to_owned()),
        ('W', "nan-canonicalization") => options.deterministic |= flag(value)?,
        ('W', "relaxed-simd-deterministic") => options.deterministic |= flag(value)?,
        ('W', _) if FEATURES.contains(&key) => {
            let sign = if flag(value)? { '+' } else { '-' };
            let list = options.features.get_or_insert_default();
            let comma = if list.is_empty() { "" } else { "," };
            list.push_str(&format!("{comma}{sign}{key}"));
        }
        ('S', "inherit-env") => options.env_inherit |= flag(value)?,
        ('S', "tcplisten") => options.listen.push(needed()?.to_owned()),
        ('S', "cli" | "common") if flag(value)? => {}
        ('S', "preview2" | "http" | "nn" | "config" | "keyvalue" | "tls" | "p3")
        | ('S', "inherit-network" | "tcp" | "udp" | "allow-ip-name-lookup" | "listenfd")
        | ('S', "threads")
            if !flag(value)? => {}
        ('S', "inherit-network" | "tcp" | "udp" | "allow-ip-name-lookup") => {
            return Err("a guest gets sockets from `--listen ADDR:PORT` only".to_owned());
        }
        _ if WITHOUT_EFFECT.contains(&(letter, key)) => {}
        _ => return Err(unknown(letter, key)),
    }
    Ok(())
}

/// wasmtime's switches: `key`, `key=y`, `key=true`, and their opposites.
fn flag(value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("y" | "yes" | "true" | "1") => Ok(true),
        Some("n" | "no" | "false" | "0") => Ok(false),
        Some(other) => Err(format!("`{other}` is neither `y` nor `n`")),
    }
}

fn unknown(letter: char, key: &str) -> String {
    const MEANT: [(char, &str); 12] = [
        ('C', "cache"),
        ('W', "max-memory-size"),
        ('W', "max-wasm-stack"),
        ('W', "max-table-elements"),
        ('W', "max-instances"),
        ('W', "fuel"),
        ('W', "timeout"),
        ('W', "all-proposals"),
        ('W', "nan-canonicalization"),
        ('S', "inherit-env"),
        ('S', "tcplisten"),
        ('S', "common"),
    ];
    let keys: Vec<&str> = MEANT
        .iter()
        .chain(&WITHOUT_EFFECT)
        .filter(|(group, _)| *group == letter)
        .map(|(_, name)| *name)
        .chain(FEATURES.into_iter().filter(|_| letter == 'W'))
        .collect();
    let distance = |name: &&str| strsim::damerau_levenshtein(key, name);
    match keys.iter().copied().filter(|name| distance(name) <= 3).min_by_key(distance) {
        Some(near) => format!("brant does not know this key; did you mean `{near}`?"),
        None => format!("brant does not know this key; it knows {}", keys.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn check(list: &[(char, &str)]) -> Result<RunOptions, String> {
        let mut options = RunOptions::default();
        for (letter, text) in list {
            let group = match letter {
                'W' => &mut options.wasm,
                'S' => &mut options.wasi,
                'C' => &mut options.codegen,
                _ => &mut options.optimize,
            };
            group.push((*text).to_owned());
        }
        apply(&mut options)?;
        Ok(options)
    }

    #[test]
    fn limits_set_our_own_options() {
        let options = check(&[('W', "max-memory-size=1048576,fuel=1000"), ('W', "timeout=2s")])
            .expect("keys of wasmtime's book");
        assert_eq!(options.max_memory, Some(1 << 20));
        assert_eq!(options.fuel, Some(1000));
        assert_eq!(options.timeout, Some(Duration::from_secs(2)));
    }

    #[test]
    fn features_become_one_list() {
        let options = check(&[('W', "simd=n,tail-call")]).expect("features");
        assert_eq!(options.features.as_deref(), Some("-simd,+tail-call"));
    }

    #[test]
    fn switches_of_the_system_and_of_a_compiler_are_taken() {
        let options =
            check(&[('S', "inherit-env=y,common"), ('O', "opt-level=2"), ('C', "cache=n")])
                .expect("switches");
        assert!(options.env_inherit);
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_likely_one() {
        let error = check(&[('W', "max-memory=5")]).expect_err("no such key");
        assert!(error.starts_with("`-W max-memory=5`: brant does not know this key"), "{error}");
        let error = check(&[('W', "feul=5")]).expect_err("misspelt");
        assert!(error.contains("did you mean `fuel`"), "{error}");
        let error = check(&[('S', "inherit-network")]).expect_err("not granted");
        assert!(error.contains("--listen"), "{error}");
    }

    #[test]
    fn a_switch_is_on_or_off() {
        assert!(check(&[('W', "simd=maybe")]).is_err());
        assert!(check(&[('W', "fuel")]).is_err());
    }
}
