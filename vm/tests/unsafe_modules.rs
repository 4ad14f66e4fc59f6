//! The page on security names every module with unsafe code, and no other.

use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- unsafe modules: begin -->\n";
const END: &str = "<!-- unsafe modules: end -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// All Rust sources of the libraries and the program, tests left out.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a source directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "tests", "fuzz", "examples"].contains(&name.as_str()) {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Whether a line of code opens an unsafe block, function, trait or implementation.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let mut words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|word| word == "unsafe") && !code.contains("\"unsafe\"")
}

/// The table between the two marks: file, and what its head says it is.
fn table() -> String {
    let mut files = Vec::new();
    for directory in ["vm", "assembler", "programs", "benches"] {
        sources(&root().join(directory), &mut files);
    }
    files.sort();
    let mut table = String::from("| module | what it is |\n|---|---|\n");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        if !text.lines().any(is_unsafe) {
            continue;
        }
        let head = text.lines().next().and_then(|line| line.strip_prefix("//! ")).unwrap_or("?");
        let name = file.strip_prefix(root()).expect("inside the workspace").display();
        table += &format!("| `{name}` | {head} |\n");
    }
    table
}

#[test]
fn the_list_of_unsafe_modules_is_complete() {
    let path = root().join("docs/SECURITY.md");
    let page = fs::read_to_string(&path).expect("the page on security");
    let (before, rest) = page.split_once(BEGIN).expect("a mark where the list begins");
    let (list, after) = rest.split_once(END).expect("a mark where it ends");
    let table = table();
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).expect("a writable page");
    } else {
        assert_eq!(list, table, "run `BLESS=1 cargo test -p brant --test unsafe_modules`");
    }
}

#[test]
fn unsafe_is_recognised_as_code_and_not_as_a_word() {
    assert!(is_unsafe("    unsafe { read(pointer) }"));
    assert!(is_unsafe("unsafe impl Send for Slot {}"));
    assert!(is_unsafe("pub unsafe extern \"sysv64\" fn handler() {}"));
    assert!(!is_unsafe("#![forbid(unsafe_code)]"));
    assert!(!is_unsafe("// an unsafe thing"));
}
