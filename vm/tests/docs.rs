//! The pages tell the truth: their commands run, their paths and links lead somewhere, and code
//! that they repeat is that of the tree.
//!
//! Blocks of `console` are run and compared (see `session`). Commands that build the whole tree
//! stand in blocks of `sh` or in the text: they are run by `.ci/run`, and here it is checked that
//! the packages, tests and examples that they name exist.

mod session;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use session::root;

macro_rules! pages {
    ($($name:ident $path:literal)*) => {
        $(
            #[test]
            fn $name() {
                session::check($path);
            }
        )*

        const SESSIONS: &[&str] = &[$($path),*];
    };
}

pages! {
    mobility "docs/MOBILITY.md"
    readme "README.md"
    tiers "docs/TIERS.md"
    snapshot "docs/SNAPSHOT.md"
    tour "docs/TOUR.md"
}

/// Every page for people, by its path from the root of the tree.
fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned()];
    for folder in ["docs", "programs", "benches"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder of the tree") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            if name.ends_with(".md") {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    pages.sort();
    pages
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

#[test]
fn every_session_of_a_page_is_run() {
    let with_sessions: BTreeSet<String> =
        pages().into_iter().filter(|page| read(page).contains("```console")).collect();
    let listed: BTreeSet<String> = SESSIONS.iter().map(ToString::to_string).collect();
    assert_eq!(with_sessions, listed);
}

/// The anchors of a page, as forges make them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = read(&page);
        let folder = Path::new(&page).parent().expect("a page stands in a folder").to_owned();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match path {
                "" => root().join(&page),
                path => root().join(&folder).join(path),
            };
            let known = match (file.exists(), anchor) {
                (exists, "") => exists,
                (true, anchor) => {
                    fs::read_to_string(&file).is_ok_and(|text| anchors(&text).contains(anchor))
                }
                (false, _) => false,
            };
            if !known {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere: {broken:#?}");
}

/// What stands between single backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("```")).flat_map(|line| {
        line.split('`').enumerate().filter(|(index, _)| index % 2 == 1).map(|(_, span)| span)
    })
}

#[test]
fn paths_that_pages_name_exist() {
    const FOLDERS: [&str; 6] = ["vm/", "assembler/", "programs/", "benches/", "docs/", ".ci/"];
    let mut missing = Vec::new();
    for page in pages() {
        // These two name tests that are on their way.
        if ["docs/TESTING.md", "programs/README.md"].contains(&page.as_str()) {
            continue;
        }
        for span in code_spans(&read(&page)) {
            let is_path = FOLDERS.iter().any(|folder| span.starts_with(folder))
                && !span.contains([' ', '*', '{', '<'])
                && span
                    .chars()
                    .all(|c| c.is_lowercase() || !c.is_alphabetic() || span.contains('.'))
                && !span.contains("NAME");
            // A test of a file: that it exists is another test's affair.
            let span = span.split("::").next().unwrap_or_default();
            if is_path && !root().join(span).exists() {
                missing.push(format!("{page}: {span}"));
            }
        }
    }
    assert!(missing.is_empty(), "paths that do not exist: {missing:#?}");
}

#[test]
fn cargo_commands_of_pages_name_what_exists() {
    let manifests = ["vm", "vm/isa", "vm/engine", "vm/kernel", "vm/host", "assembler", "programs"];
    let mut wrong = Vec::new();
    for page in pages() {
        for command in read(&page).split("cargo ").skip(1) {
            let command = command.split(['\n', '`', '&', '|', '"']).next().unwrap_or_default();
            let words: Vec<&str> = command.split_whitespace().collect();
            for pair in words.windows(2).filter(|_| !command.starts_with("run")) {
                let exists = match *pair {
                    ["-p", package] => {
                        let is_named = |folder: &&str| {
                            read(&format!("{folder}/Cargo.toml"))
                                .contains(&format!("name = \"{package}\""))
                        };
                        manifests.iter().chain(&["benches"]).any(is_named)
                    }
                    ["--test", test] => manifests.iter().any(|folder| {
                        let tests = root().join(folder).join("tests");
                        tests.join(format!("{test}.rs")).exists()
                            || tests.join(test).join("main.rs").exists()
                    }),
                    ["--example", "NAME"] => true,
                    ["--example", example] => manifests.iter().any(|folder| {
                        root().join(folder).join("examples").join(format!("{example}.rs")).exists()
                    }),
                    _ => true,
                };
                if !exists {
                    wrong.push(format!("{page}: cargo {command}: {pair:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "commands that cannot work: {wrong:#?}");
}

#[test]
fn commands_that_build_everything_are_those_of_the_gates() {
    let gates = read(".ci/run");
    for command in ["cargo test --workspace", "cargo run --release -q -- run programs/hello.wat"] {
        assert!(gates.contains(command), ".ci/run does not run `{command}`");
    }
    assert!(read("README.md").contains("cargo test --workspace"));
}

/// Code that a page repeats stands below a comment with its path.
#[test]
fn repeated_code_is_that_of_the_tree() {
    let mut stale = Vec::new();
    for page in pages() {
        let text = read(&page);
        let mut fresh = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("-->\n```rust\n") {
            let path = before.rsplit_once("<!-- ").map_or("", |(_, path)| path.trim());
            let (old, behind) = after.split_once("```\n").expect("the block ends");
            let new = read(path);
            if old != new {
                stale.push(page.clone());
            }
            fresh.push_str(before);
            fresh.push_str("-->\n```rust\n");
            fresh.push_str(&new);
            fresh.push_str("```\n");
            rest = behind;
        }
        fresh.push_str(rest);
        if fresh != text && std::env::var_os("BLESS").is_some() {
            fs::write(root().join(&page), fresh).expect("docs/ is writable");
            stale.clear();
        }
    }
    assert!(stale.is_empty(), "stale code in {stale:?}: BLESS=1 cargo test -p brant --test docs");
}

#[test]
fn the_readme_lists_the_exit_codes_that_the_help_lists() {
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = read("vm/src/cli/exit.rs");
    let table = help.split("Exit codes:\n").nth(1).expect("the table of the help");
    let table: BTreeSet<String> =
        table.split("\";").next().unwrap_or_default().lines().map(squeeze).collect();
    let page = read("README.md");
    let rows = page.split("| exit code | meaning |\n|---|---|\n").nth(1).expect("the table");
    let rows: BTreeSet<String> = rows
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| squeeze(&line.replace('|', " ")))
        .collect();
    assert_eq!(rows, table);
}

/// The rows of the catalogue of hostile cases.
const ROWS: std::ops::RangeInclusive<u32> = 1..=54;

/// Whether a source file has a test of this name: a function, or a name in a list of a macro.
fn has_test(file: &str, name: &str) -> bool {
    let text = fs::read_to_string(root().join(file)).unwrap_or_default();
    let function = format!("fn {name}()");
    text.contains(&function) || text.lines().any(|line| line.trim() == name)
}

#[test]
fn every_row_of_the_catalogue_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/SECURITY.md")).expect("the page on security");
    let (_, rest) = page.split_once("<!-- catalogue: begin -->").expect("a mark where it begins");
    let (table, _) = rest.split_once("<!-- catalogue: end -->").expect("a mark where it ends");
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
        let Some(row) = cells.next().and_then(|cell| cell.parse::<u32>().ok()) else { continue };
        let tests: Vec<&str> = line.split('`').filter(|word| word.contains(".rs::")).collect();
        assert!(!tests.is_empty(), "row {row} has no test");
        for test in tests {
            let (file, name) = test.split_once("::").expect("a file and a name");
            assert!(has_test(file, name), "row {row}: {file} has no test `{name}`");
        }
        rows.push(row);
    }
    assert_eq!(rows, ROWS.collect::<Vec<u32>>());
}
