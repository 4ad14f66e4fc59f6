//! A file or standard input that a verb works on, and whether it is bytecode or text.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use super::exit::Failure;

/// What a verb was given.
pub struct Input {
    /// The name that messages show.
    pub name: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Input {
    /// Reads a file, or standard input for `-`.
    pub fn read(path: &Path) -> Result<Input, Failure> {
        let name = name(path).into_owned();
        let bytes = if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .read_to_end(&mut bytes)
                .map_err(|error| Failure::load(format!("cannot read standard input: {error}")))?;
            bytes
        } else {
            std::fs::read(path).map_err(|error| cannot_read(path, &error))?
        };
        Ok(Input { name, bytes })
    }

    /// Whether it is bytecode; else it is text.
    pub fn is_bytecode(&self) -> bool {
        brant::is_bytecode(&self.bytes)
    }
}

/// What messages call a file.
pub fn name(path: &Path) -> Cow<'_, str> {
    if path.as_os_str() == "-" { STDIN.into() } else { path.to_string_lossy() }
}

/// A file that could not be read, with the likely reason as the next step.
pub fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::load(format!("cannot read `{}`: {}", path.display(), cause(error)));
    match error.kind() {
        std::io::ErrorKind::IsADirectory => failure.with_help("give a file inside it"),
        _ => failure,
    }
}

/// What to give a verb in order to name the same input again.
pub fn argument(name: &str) -> &str {
    if name == STDIN { "-" } else { name }
}

/// What messages call standard input.
const STDIN: &str = "<stdin>";

/// The words of the operating system without the number that Rust adds.
pub fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
