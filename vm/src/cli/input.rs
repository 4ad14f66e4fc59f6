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

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A module in the binary format.
    Bytecode,
    /// A module in the text format, possibly behind a `#!` line.
    Text,
}

/// The first bytes of each module.
const MAGIC: &[u8] = b"\0asm";

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

    /// Bytecode or text.
    pub fn kind(&self) -> Kind {
        kind(&self.bytes)
    }
}

/// Bytecode begins with its magic number; everything else is taken for text.
pub fn kind(bytes: &[u8]) -> Kind {
    // An empty or cut file is more likely bytecode that never got written than a text.
    match bytes.starts_with(MAGIC) || (!bytes.is_empty() && MAGIC.starts_with(bytes)) {
        true => Kind::Bytecode,
        false => Kind::Text,
    }
}

/// What messages call a file.
pub fn name(path: &Path) -> Cow<'_, str> {
    if path.as_os_str() == "-" { "<stdin>".into() } else { path.to_string_lossy() }
}

/// A file that could not be read, with the likely reason as the next step.
pub fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let cause = cause(error);
    let failure = Failure::load(format!("cannot read `{}`: {cause}", path.display()));
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            let word = path.to_str().unwrap_or_default();
            match super::similar_verb(word) {
                Some(verb) => {
                    failure.with_help(format!("there is a verb `{verb}`: `brant {verb}`"))
                }
                None => failure.with_help("give the path of a .wasm or .wat file, or a verb"),
            }
        }
        std::io::ErrorKind::IsADirectory => failure.with_help("give a file inside it"),
        _ => failure,
    }
}

/// The words of the operating system without the number that Rust adds.
pub fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

/// The text with its first line blank where that names an interpreter, as scripts do (`#!`).
///
/// The places of all that follows stay as they are, so messages about them are right.
pub fn without_interpreter_line(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.starts_with(b"#!") {
        return Cow::Borrowed(bytes);
    }
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let mut text = bytes.to_vec();
    text[..end].fill(b' ');
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_content() {
        assert_eq!(kind(b"\0asm\x01\0\0\0"), Kind::Bytecode);
        assert_eq!(kind(b"\0a"), Kind::Bytecode);
        assert_eq!(kind(b"(module)"), Kind::Text);
        assert_eq!(kind(b""), Kind::Text);
        assert_eq!(kind(b"#!/usr/bin/env brant\n(module)"), Kind::Text);
    }

    #[test]
    fn an_interpreter_line_leaves_places_alone() {
        let text = without_interpreter_line(b"#!brant\n(module)");
        assert_eq!(&*text, b"       \n(module)");
        assert_eq!(&*without_interpreter_line(b"(module)"), b"(module)");
        assert_eq!(&*without_interpreter_line(b"#!"), b"  ");
    }
}
