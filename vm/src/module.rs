//! Programs as the embedder has them: bytes, a file, or text.

use std::borrow::Cow;
use std::path::Path;

use brant_asm::{AssembleOptions, assemble};
use brant_engine::{Ahead, Engine, ExportType, FileBytes, ImportType, ModuleBytes};

use crate::Error;

/// The first bytes of bytecode.
const MAGIC: &[u8] = b"\0asm";

/// A validated program or library. A copy is the same module.
#[derive(Clone, Debug)]
pub struct Module(brant_engine::Module);

/// When function bodies are validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// All of them before there is a module.
    #[default]
    Eager,
    /// Each one before it runs for the first time; an invalid one ends the run with an error.
    Lazy,
}

impl Module {
    /// Validates bytecode.
    ///
    /// # Errors
    /// Bytes that are not a valid module.
    pub fn new(engine: &Engine, bytes: impl Into<ModuleBytes>) -> Result<Module, Error> {
        Module::with_validation(engine, bytes, Validation::Eager)
    }

    /// Validates bytecode, its function bodies perhaps later.
    ///
    /// # Errors
    /// Bytes that are not a valid module, as far as that is looked at now.
    pub fn with_validation(
        engine: &Engine, bytes: impl Into<ModuleBytes>, validation: Validation,
    ) -> Result<Module, Error> {
        let module = match validation {
            Validation::Eager => brant_engine::Module::new(engine, bytes)?,
            Validation::Lazy => brant_engine::Module::lazy(engine, bytes)?,
        };
        Ok(Module(module))
    }

    /// Assembles and validates text. A first line that begins with `#!` is skipped.
    ///
    /// # Errors
    /// All mistakes of the text, or what makes the module invalid.
    pub fn from_text(engine: &Engine, text: impl AsRef<[u8]>) -> Result<Module, Error> {
        let text = skip_interpreter_line(text.as_ref());
        let bytes = assemble(&text, &AssembleOptions::default()).map_err(Error::Text)?;
        Module::new(engine, bytes)
    }

    /// Reads a file, which may be bytecode or text, and validates all of it.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no valid module.
    pub fn from_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module, Error> {
        Module::from_file_with_validation(engine, path, Validation::Eager)
    }

    /// Reads a file, which may be bytecode or text; its function bodies are perhaps validated later.
    ///
    /// With [`Validation::Lazy`] a large file of bytecode is mapped, not read, and must stay as it
    /// is while the module lives.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no valid module, as far as that is looked at now.
    pub fn from_file_with_validation(
        engine: &Engine, path: impl AsRef<Path>, validation: Validation,
    ) -> Result<Module, Error> {
        let path = path.as_ref();
        let bytes = match validation {
            Validation::Eager => FileBytes::read(path),
            Validation::Lazy => FileBytes::open(path),
        };
        let bytes = bytes.map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
        if !is_bytecode(bytes.as_ref()) {
            return Module::from_text(engine, bytes);
        }
        let identity = bytes.identity();
        let module = Module::with_validation(engine, ModuleBytes::new(bytes), validation)?;
        if let Some(identity) = identity {
            module.0.set_identity(identity);
        }
        Ok(module)
    }

    /// The bytecode.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The BLAKE3 hash of the bytecode: what identifies a module.
    pub fn hash(&self) -> [u8; 32] {
        self.0.hash()
    }

    /// Compiles all functions of the module that are not in the engine's code store yet, on all cores,
    /// for the usual memory; they are kept there. `progress` is told by several threads how many bytes
    /// of how many are done. None without a compiler or a store.
    pub fn compile_ahead(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Option<Ahead> {
        self.0.compile_ahead(progress)
    }

    /// The name that the module gives itself.
    pub fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// What the module needs from outside.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = ImportType<'_>> {
        self.0.imports()
    }

    /// What the module offers.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> {
        self.0.exports()
    }

    /// The same module as the engine sees it.
    pub(crate) fn engine_module(&self) -> &brant_engine::Module {
        &self.0
    }
}

/// Whether bytes are bytecode; everything else is taken for text.
///
/// Bytes that end within the magic number are more likely a file that was cut than a text.
pub fn is_bytecode(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) || (!bytes.is_empty() && MAGIC.starts_with(bytes))
}

/// The text with its first line blank where that names an interpreter, as scripts do (`#!`).
///
/// The places of all that follows stay as they are, so messages about them are right.
pub fn skip_interpreter_line(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.starts_with(b"#!") {
        return Cow::Borrowed(text);
    }
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let mut blank = text.to_vec();
    blank[..end].fill(b' ');
    Cow::Owned(blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_and_text_are_told_by_content() {
        assert!(is_bytecode(b"\0asm\x01\0\0\0"));
        assert!(is_bytecode(b"\0a"));
        assert!(!is_bytecode(b"(module)"));
        assert!(!is_bytecode(b""));
        assert!(!is_bytecode(b"#!/usr/bin/env brant\n(module)"));
    }

    #[test]
    fn an_interpreter_line_leaves_places_alone() {
        assert_eq!(&*skip_interpreter_line(b"#!brant\n(module)"), b"       \n(module)");
        assert_eq!(&*skip_interpreter_line(b"(module)"), b"(module)");
        assert_eq!(&*skip_interpreter_line(b"#!"), b"  ");
    }
}
