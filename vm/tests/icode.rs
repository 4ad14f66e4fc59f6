//! What the interpreter makes of small functions: golden listings of `brant inspect --icode`.
//!
//! Each file of `vm/tests/icode` is a text module; its expected listing stands behind it, in lines
//! that begin with `;;! `. `BLESS=1` writes them again. A change of the translation shows here as a
//! difference that a person can read.
//! `by fields` in a listing says that a handler wants a name in the engine's
//! `icode/show/names.rs`.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::path::Path;
use std::process::Command;

const MARK: &str = ";;! ";

fn check(name: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/icode").join(name);
    let text = fs::read_to_string(&file).expect("the file can be read");
    let is_expected = |line: &&str| line.starts_with(MARK.trim_end());
    let source: String =
        text.lines().filter(|line| !is_expected(line)).map(|line| format!("{line}\n")).collect();
    let expected: String =
        text.lines().filter(is_expected).map(|line| format!("{line}\n")).collect();

    let output = Command::new(env!("CARGO_BIN_EXE_brant"))
        .args(["inspect", "--icode"])
        .arg(&file)
        .output()
        .expect("brant starts");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).expect("listings are UTF-8");
    let listing: String =
        listing.lines().map(|line| format!("{}\n", format!("{MARK}{line}").trim_end())).collect();
    if expected != listing {
        if std::env::var_os("BLESS").is_some() {
            let source = source.trim_end();
            fs::write(&file, format!("{source}\n\n{listing}")).expect("the file can be written");
        } else {
            panic!("{name}: expected\n{expected}\ngot\n{listing}\n(BLESS=1 accepts what came)");
        }
    }
}

macro_rules! listings {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(concat!(stringify!($name), ".wat"));
            }
        )*

        const LISTINGS: &[&str] = &[$(concat!(stringify!($name), ".wat")),*];
    };
}

listings! { branches calls fused memory places vectors }

#[test]
fn every_listing_is_checked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/icode");
    let mut files: Vec<String> = fs::read_dir(folder)
        .expect("the folder of listings")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    files.sort();
    assert_eq!(files, LISTINGS);
}

/// Programs have far more records than the files above.
#[test]
fn every_record_of_the_programs_has_a_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/bin");
    for entry in fs::read_dir(folder).expect("the programs") {
        let path = entry.expect("an entry").path();
        let command = Command::new(env!("CARGO_BIN_EXE_brant"))
            .args(["inspect", "--icode"])
            .arg(&path)
            .output()
            .expect("brant starts");
        let listing = String::from_utf8(command.stdout).expect("listings are UTF-8");
        assert!(listing.contains("function"), "{}", path.display());
        let nameless = listing.lines().find(|line| line.contains("by fields"));
        assert_eq!(nameless, None, "{}", path.display());
    }
}
