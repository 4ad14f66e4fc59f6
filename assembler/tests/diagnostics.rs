//! What users see: every broken file in `diagnostics/` with its rendering beside it.
//!
//! `NAME.wat` is a text and `NAME.hex` bytecode in hexadecimal; `NAME.txt` is the rendering, and
//! `NAME.json`, where it exists, the same as data.
//! `BLESS=1 cargo test -p brant-asm --test diagnostics` writes them anew; read what changed.

use std::fs;
use std::path::{Path, PathBuf};

use brant_asm::{CheckOptions, Color, check as check_module};

/// Compares a file, what is expected of it as it stands there, with what came out.
fn check(expected: &Path, found: &str, mistakes: &mut Vec<String>) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(expected, found).expect("the expectation can be written");
        return;
    }
    let wanted = fs::read_to_string(expected).unwrap_or_default();
    if wanted != found {
        let name = expected.display();
        mistakes.push(format!("--- {name} ---\n{wanted}--- found ---\n{found}"));
    }
}

/// The broken files in order.
fn inputs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut inputs: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "wat" || kind == "hex"))
        .collect();
    inputs.sort();
    inputs
}

/// The bytes of a file in hexadecimal; `;` begins a comment.
fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: String = hex
        .lines()
        .flat_map(|line| line.split(';').next())
        .flat_map(|line| line.chars().filter(|char| !char.is_whitespace()))
        .collect();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("a byte has two digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

#[test]
fn broken_files_are_explained() {
    let inputs = inputs();
    assert!(inputs.len() >= 80, "only {} broken files", inputs.len());
    let mut mistakes = Vec::new();
    for path in inputs {
        let is_hex = path.extension().is_some_and(|kind| kind == "hex");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.replace(".hex", ".wasm");
        let content = fs::read(&path).expect("the file can be read");
        let input = match is_hex {
            true => bytes_of(&String::from_utf8_lossy(&content)),
            false => content,
        };
        let Err(diagnostics) = check_module(&input, &CheckOptions::default()) else {
            mistakes.push(format!("{name} is valid"));
            continue;
        };
        let rendered = diagnostics.render(&name, &input, Color::Never);
        check(&path.with_extension("txt"), &rendered, &mut mistakes);
        let json = path.with_extension("json");
        if json.exists() {
            let found = diagnostics.to_json(&name, &input) + "\n";
            check(&json, &found, &mut mistakes);
        }
        // Whatever is wrong, nothing in a rendering may act on a terminal.
        let is_control = |char: char| char.is_control() && char != '\n';
        assert!(!rendered.contains(is_control), "{name}: a control character in\n{rendered}");
    }
    assert!(mistakes.is_empty(), "{} files differ:\n{}", mistakes.len(), mistakes.join("\n"));
}

#[test]
fn the_examples_of_the_documentation_are_real() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = folder.join("../docs/ASSEMBLER.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let mut count = 0;
    for part in page.split("<!-- golden: ").skip(1) {
        let (name, rest) = part.split_once(" -->").expect("a mark ends");
        let block = rest.trim_start().strip_prefix("```text\n").expect("a block follows a mark");
        let (shown, _) = block.split_once("\n```").expect("a block ends");
        let golden = fs::read_to_string(folder.join("tests/diagnostics").join(name));
        assert_eq!(shown, golden.expect("the golden file is there").trim_end(), "{name}");
        count += 1;
    }
    assert_eq!(count, 4);
}
