//! What brant makes of small functions: golden listings of `brant inspect`.
//!
//! `vm/tests/inspect` has a folder for each view: `sites`, `icode`, `clif`, `native`. Each file is a
//! text module; its expected listing stands behind it, in lines that begin with `;;! `. `BLESS=1`
//! writes them again. A change of the translation shows here as a difference that a person can read.
//!
//! `by fields` in a listing of icode says that a handler wants a name in the engine's
//! `icode/show/`. Files in `native` use integers only, for which every x86-64 has the same code.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const MARK: &str = ";;! ";

fn folder(view: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inspect").join(view)
}

fn inspect(view: &str, file: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_brant"))
        .args(["inspect", &format!("--{view}")])
        .arg(file)
        .output()
        .expect("brant starts");
    let file = file.display();
    assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("listings are UTF-8")
}

fn check(view: &str, name: &str) {
    let file = folder(view).join(name);
    let text = fs::read_to_string(&file).expect("the file can be read");
    let is_expected = |line: &&str| line.starts_with(MARK.trim_end());
    let source: String =
        text.lines().filter(|line| !is_expected(line)).map(|line| format!("{line}\n")).collect();
    let expected: String =
        text.lines().filter(is_expected).map(|line| format!("{line}\n")).collect();
    let listing = inspect(view, &file);
    let listing: String = listing
        .trim_end()
        .lines()
        .map(|line| format!("{}\n", format!("{MARK}{line}").trim_end()))
        .collect();
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
    ($($view:ident: $($name:ident)*;)*) => {
        $(
            mod $view {
                $(
                    #[test]
                    fn $name() {
                        crate::check(stringify!($view), concat!(stringify!($name), ".wat"));
                    }
                )*
            }
        )*

        const LISTINGS: &[(&str, &[&str])] =
            &[$((stringify!($view), &[$(concat!(stringify!($name), ".wat")),*])),*];
    };
}

listings! {
    sites: calls locals loops;
    icode: branches calls fused loops memory places vectors;
}

#[cfg(feature = "jit")]
mod with_compiler {
    use super::{folder, inspect};

    listings! {
        clif: calls loops memory;
        native: calls loops;
    }

    #[test]
    fn every_listing_is_checked() {
        super::assert_complete(LISTINGS);
    }

    /// What is live at a stop, compiled code gives up: the walk over the sites and the side tables
    /// come from the same module.
    #[test]
    fn compiled_code_gives_up_what_is_live() {
        let file = folder("sites").join("loops.wat");
        let sites = inspect("sites", &file);
        let native = inspect("native", &file);
        for line in sites.lines().filter(|line| line.contains(" loop ")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (site, live) = (words[0], &words[4..]);
            let held = native.lines().any(|row| {
                row.contains("stop at the loop")
                    && row.split_whitespace().any(|word| word == site)
                    && live.iter().all(|local| {
                        let local = local.split(':').next().unwrap_or_default();
                        row.contains(&format!("local {local} "))
                    })
            });
            assert!(held, "{line}\n{native}");
        }
    }
}

fn assert_complete(listings: &[(&str, &[&str])]) {
    for (view, listed) in listings {
        let mut files: Vec<String> = fs::read_dir(folder(view))
            .expect("the folder of listings")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        files.sort();
        assert_eq!(files, *listed, "{view}");
    }
}

#[test]
fn every_listing_is_checked() {
    assert_complete(LISTINGS);
}

/// Programs have far more records than the files above.
#[test]
fn every_record_of_the_programs_has_a_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/bin");
    for entry in fs::read_dir(folder).expect("the programs") {
        let path = entry.expect("an entry").path();
        let listing = inspect("icode", &path);
        assert!(listing.contains("function"), "{}", path.display());
        let nameless = listing.lines().find(|line| line.contains("by fields"));
        assert_eq!(nameless, None, "{}", path.display());
    }
}
