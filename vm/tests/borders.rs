//! The borders between crates, read from the manifests, and the number of packages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which of our crates each of our crates may see.
const EDGES: [(&str, &str, &[&str]); 10] = [
    ("vm/isa", "brant-isa", &[]),
    ("assembler", "brant-asm", &["brant-isa"]),
    ("vm/engine", "brant-engine", &["brant-isa"]),
    ("vm/jit", "brant-jit", &["brant-engine", "brant-isa"]),
    ("vm/kernel", "brant-kernel", &["brant-engine"]),
    ("vm/host", "brant-host", &["brant-kernel"]),
    ("vm/mobility", "brant-mobility", &["brant-engine", "brant-kernel"]),
    (
        "vm",
        "brant",
        &[
            "brant-isa",
            "brant-asm",
            "brant-engine",
            "brant-jit",
            "brant-kernel",
            "brant-host",
            "brant-mobility",
        ],
    ),
    ("programs", "brant-programs", &["brant-asm"]),
    ("benches", "brant-benches", &["brant", "brant-programs"]),
];

/// Crates in which unsafe code is forbidden.
const SAFE: [&str; 8] = [
    "vm/jit/src/lib.rs",
    "vm/isa/src/lib.rs",
    "assembler/src/lib.rs",
    "vm/kernel/src/lib.rs",
    "vm/mobility/src/lib.rs",
    "vm/src/lib.rs",
    "vm/src/main.rs",
    "programs/src/lib.rs",
];

const LIBRARY_PACKAGES_LIMIT: usize = 60;
const ALL_PACKAGES_LIMIT: usize = 220;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names in the section `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
            // The long form: `[dependencies.name]`.
            if let Some(rest) = line.strip_prefix("[dependencies.") {
                names.insert(rest.trim_end_matches(']').to_owned());
            }
        } else if is_dependencies(section) && !line.starts_with('#') {
            let name: String =
                line.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect();
            names.insert(name);
        }
    }
    names.remove("");
    names
}

/// Dependencies of the crate itself, on any platform; those of its tests are free.
fn is_dependencies(section: &str) -> bool {
    section == "[dependencies]"
        || (section.starts_with("[target.") && section.ends_with(".dependencies]"))
}

#[test]
fn each_crate_sees_only_what_its_border_allows() {
    let ours: BTreeSet<&str> = EDGES.iter().map(|(_, name, _)| *name).collect();
    for (folder, name, allowed) in EDGES {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{folder} is not {name}");
        for seen in dependencies(&manifest).iter().filter(|seen| ours.contains(seen.as_str())) {
            assert!(allowed.contains(&seen.as_str()), "{name} must not depend on {seen}");
        }
    }
}

#[test]
fn every_member_of_the_workspace_has_a_border() {
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find(|line| line.starts_with("members")).expect("members");
    let listed: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    let known: BTreeSet<&str> = EDGES.iter().map(|(folder, ..)| *folder).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_instruction_table_depends_on_bytemuck_at_most() {
    let names = dependencies(&read("vm/isa/Cargo.toml"));
    assert!(names.iter().all(|name| name == "bytemuck"), "{names:?}");
}

#[test]
fn the_kernel_has_no_way_to_the_real_system() {
    let names = dependencies(&read("vm/kernel/Cargo.toml"));
    for forbidden in ["libc", "rustix", "cap-primitives", "cap-std", "landlock"] {
        assert!(!names.contains(forbidden), "the kernel must not depend on {forbidden}");
    }
    for file in sources("vm/kernel/src") {
        let text = fs::read_to_string(&file).expect("a source file");
        for module in ["std::fs", "std::net", "std::process", "std::time::Instant"] {
            let used = text.lines().any(|line| {
                let code = line.trim_start();
                code.contains(module) && !code.starts_with("//")
            });
            assert!(!used, "{} uses {module}", file.display());
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_where_it_is_not_needed() {
    for path in SAFE {
        assert!(read(path).contains("#![forbid(unsafe_code)]"), "{path}");
    }
}

/// All `.rs` files below a folder.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|ending| ending == "rs") => files.push(path),
                false => {}
            }
        }
    }
    assert!(!files.is_empty());
    files
}

/// The packages that are compiled for `brant` with the given options of `cargo tree`.
fn packages(options: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--offline", "--package", "brant", "--edges", "normal", "--prefix", "none"])
        .args(options)
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

#[test]
fn an_embedder_compiles_few_packages_and_no_command_line() {
    let library = packages(&["--no-default-features"]);
    assert!(library.len() > 5, "the list is too short to be true: {library:?}");
    assert!(library.len() <= LIBRARY_PACKAGES_LIMIT, "{} packages", library.len());
    assert!(!library.iter().any(|name| name.starts_with("clap")), "{library:?}");
}

#[test]
fn the_whole_tree_has_few_packages() {
    let count = read("Cargo.lock").lines().filter(|line| *line == "[[package]]").count();
    assert!(count > 10, "the list is too short to be true");
    assert!(count <= ALL_PACKAGES_LIMIT, "{count} packages");
}
