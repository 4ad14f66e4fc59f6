//! Finds the commit that `brant --version` prints.
//!
//! It reads the files of the repository and runs no command, so that a tree without git, or a
//! source archive, builds all the same and says `unknown`.

use std::fs;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let commit = commit(Path::new("../.git")).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=BRANT_COMMIT={commit}");
}

/// The first twelve digits of the commit that is checked out.
fn commit(git: &Path) -> Option<String> {
    let head = read(&git.join("HEAD"))?;
    let hash = match head.strip_prefix("ref: ") {
        None => head,
        Some(name) => read(&git.join(name)).or_else(|| packed(git, name))?,
    };
    let short = hash.get(..12)?;
    short.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| short.to_owned())
}

/// A branch that git has put into its one file of packed references.
fn packed(git: &Path, name: &str) -> Option<String> {
    let references = read(&git.join("packed-refs"))?;
    let line = references.lines().find(|line| line.ends_with(name))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// A file that decides what the answer is; naming a missing one would rebuild every time.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo:rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}
