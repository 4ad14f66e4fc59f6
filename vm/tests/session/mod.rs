//! Console sessions in Markdown files, run and compared.
//!
//! ````text
//! ```console
//! $ brant check broken.wat
//! ? 1
//! error: [..]
//! ...
//! ```
//! ````
//!
//! A line after `$ ` goes to `sh`, with `brant` being the binary under test.
//! `? CODE` is its exit code where that is not 0; the other lines are what it prints, standard
//! output and standard error in the order in which they came.
//! `[..]` stands for any part of a line, and `...` for any lines.
//! All commands of a file share one new folder, in which `programs` leads to the programs of the
//! tree and the files of `vm/tests/cli/files` lie.
//!
//! With `BLESS=1` the file is written anew with what came; lines that matched stay as they are.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// One command of a session.
struct Step<'a> {
    command: &'a str,
    code: i32,
    /// The lines that it prints.
    output: Vec<&'a str>,
}

/// Runs every console session of a file, given by its path from the root of the tree.
///
/// # Panics
/// If anything differs from what the file says.
pub fn check(path: &str) {
    let file = root().join(path);
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (folder, cache) = (stage(), tempfile::tempdir().expect("a temporary folder"));
    let mut result = String::new();
    let mut complaints = String::new();
    let mut commands_count = 0;
    let mut lines = text.lines().enumerate().peekable();
    while let Some((_, line)) = lines.next() {
        result.push_str(line);
        result.push('\n');
        if line.trim() != "```console" {
            continue;
        }
        let mut session = Vec::new();
        while let Some((number, line)) = lines.next_if(|(_, line)| line.trim() != "```") {
            session.push((number, line));
        }
        for (number, step) in steps(&session) {
            commands_count += 1;
            let (code, output) = run(step.command, folder.path(), &cache.path().join("brant"));
            if (code, true) != (step.code, matches(&step.output, &output)) {
                let _ = writeln!(
                    complaints,
                    "\n{path}:{}: $ {}\n--- expected exit code {} and\n{}\n--- got exit code {code} \
                     and\n{}",
                    number + 1,
                    step.command,
                    step.code,
                    step.output.join("\n"),
                    output.join("\n"),
                );
                write_step(&mut result, step.command, code, &output);
            } else {
                let same: Vec<String> = step.output.iter().map(ToString::to_string).collect();
                write_step(&mut result, step.command, code, &same);
            }
        }
    }
    assert!(commands_count > 0, "{path} has no console session");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, result).expect("the file can be written");
    } else {
        assert!(complaints.is_empty(), "{complaints}\n(BLESS=1 accepts what came)");
    }
}

fn write_step(result: &mut String, command: &str, code: i32, output: &[String]) {
    let _ = writeln!(result, "$ {command}");
    if code != 0 {
        let _ = writeln!(result, "? {code}");
    }
    for line in output {
        let _ = writeln!(result, "{line}");
    }
}

fn steps<'a>(session: &[(usize, &'a str)]) -> Vec<(usize, Step<'a>)> {
    let mut steps: Vec<(usize, Step<'a>)> = Vec::new();
    for &(number, line) in session {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push((number, Step { command, code: 0, output: Vec::new() }));
            continue;
        }
        let (_, step) = steps.last_mut().expect("a session begins with a command");
        match line.strip_prefix("? ") {
            Some(code) if step.output.is_empty() => step.code = code.parse().expect("a number"),
            _ => step.output.push(line),
        }
    }
    steps
}

/// A new folder for a session.
fn stage() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let link = |from: PathBuf, to: &str| {
        std::os::unix::fs::symlink(from, folder.path().join(to)).expect("a link");
    };
    link(root().join("programs"), "programs");
    let files = root().join("vm/tests/cli/files");
    for entry in fs::read_dir(files).expect("the files of the sessions") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a copy");
    }
    folder
}

fn run(command: &str, folder: &Path, cache: &Path) -> (i32, Vec<String>) {
    let binary = Path::new(env!("CARGO_BIN_EXE_brant"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", binary.parent().expect("a folder").display());
    // The sessions of the README are for somebody who has just cloned the tree.
    let command = command.replace("cargo run --release -q --", "brant");
    let command = command.replace("cargo run --release --", "brant");
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{{ {command}\n}} 2>&1"))
        .current_dir(folder)
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("BRANT_CACHE_DIR", cache)
        .stdin(Stdio::null())
        .output()
        .expect("sh starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Paths of this machine have no place in a file.
    let text = text.replace(&cache.display().to_string(), "CACHE");
    let text = text.replace(&folder.display().to_string(), "FOLDER");
    let text = text.replace(&binary.display().to_string(), "BRANT");
    (output.status.code().unwrap_or(-1), text.lines().map(str::to_owned).collect())
}

fn matches(expected: &[&str], actual: &[String]) -> bool {
    match expected {
        [] => actual.is_empty(),
        ["...", rest @ ..] => (0..=actual.len()).any(|start| matches(rest, &actual[start..])),
        [line, rest @ ..] => match actual {
            [first, others @ ..] => matches_line(line, first) && matches(rest, others),
            [] => false,
        },
    }
}

fn matches_line(expected: &str, actual: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected.trim_end() == actual.trim_end(),
        Some((start, rest)) => match actual.strip_prefix(start) {
            None => false,
            Some(actual) => {
                let ends = actual.char_indices().map(|(index, _)| index).chain([actual.len()]);
                ends.into_iter().any(|index| matches_line(rest, &actual[index..]))
            }
        },
    }
}
