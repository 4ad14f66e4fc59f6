//! Specification scripts (`.wast`): modules, actions, and what they should do.
//!
//! A script is data here: it names modules and values, and knows nothing of an engine that could
//! run it.
//! Modules are assembled when the script is parsed; one that cannot be is kept with its mistakes,
//! because a script may be about just that.
//!
//! The grammar is that of the reference interpreter, with the threads proposal's `thread` and
//! `wait`.

mod parse;
mod value;

use std::borrow::Cow;

use crate::{AssembleOptions, Diagnostics, LineColumn, Span};

pub use value::{Argument, Expected, FloatPattern, HeapType, VectorPattern};

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its directives in their order.
    pub directives: Vec<Directive>,
}

/// One form of a script.
#[derive(Clone, Debug)]
pub struct Directive {
    /// Where it is.
    pub span: Span,
    /// Where it begins, for people.
    pub place: LineColumn,
    /// What it says.
    pub kind: DirectiveKind,
}

/// What a directive says.
#[derive(Clone, Debug)]
pub enum DirectiveKind {
    /// Instantiate a module; it becomes the current one.
    Module(Module),
    /// Keep a module without instantiating it.
    ModuleDefinition(Module),
    /// Instantiate a module that was kept.
    ModuleInstance {
        /// The name of the new instance.
        instance: Option<String>,
        /// The name of the module; the last one kept if there is none.
        module: Option<String>,
    },
    /// Make the exports of an instance importable.
    Register {
        /// The name of the module in imports.
        name: String,
        /// The instance; the current one if there is none.
        module: Option<String>,
    },
    /// Do something and ignore its results.
    Invoke(Invoke),
    /// Do something that must give these results.
    AssertReturn {
        /// What to do.
        action: Action,
        /// The results.
        results: Vec<Expected>,
    },
    /// Do something that must trap.
    AssertTrap {
        /// What to do.
        action: Action,
        /// The beginning of the trap's message.
        message: String,
    },
    /// Do something that must exhaust the stack.
    AssertExhaustion {
        /// What to do.
        action: Action,
        /// The message.
        message: String,
    },
    /// Do something that must throw an exception that nobody catches.
    AssertException {
        /// What to do.
        action: Action,
    },
    /// A module that cannot be decoded or parsed.
    AssertMalformed {
        /// The module.
        module: Module,
        /// The message of the reference interpreter.
        message: String,
    },
    /// A module that is not valid.
    AssertInvalid {
        /// The module.
        module: Module,
        /// The message of the reference interpreter.
        message: String,
    },
    /// A module that cannot be linked.
    AssertUnlinkable {
        /// The module.
        module: Module,
        /// The message of the reference interpreter.
        message: String,
    },
    /// A module with a custom section or annotation that is malformed.
    AssertMalformedCustom {
        /// The module.
        module: Module,
        /// The message of the reference interpreter.
        message: String,
    },
    /// A module with a custom section or annotation that is not valid.
    AssertInvalidCustom {
        /// The module.
        module: Module,
        /// The message of the reference interpreter.
        message: String,
    },
    /// Run directives in a thread of their own.
    Thread {
        /// The name of the thread.
        name: String,
        /// The instance it shares with its creator.
        shared_module: Option<String>,
        /// What it does.
        directives: Vec<Directive>,
    },
    /// Wait for a thread.
    Wait {
        /// The name of the thread.
        thread: String,
    },
}

/// Something a script does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Call an exported function.
    Invoke(Invoke),
    /// Read an exported global.
    Get {
        /// The instance; the current one if there is none.
        module: Option<String>,
        /// The name of the export.
        global: String,
    },
    /// Instantiate a module, which must not succeed.
    Module(Module),
}

/// A call of an exported function.
#[derive(Clone, Debug)]
pub struct Invoke {
    /// The instance; the current one if there is none.
    pub module: Option<String>,
    /// The name of the export.
    pub function: String,
    /// The arguments.
    pub arguments: Vec<Argument>,
}

/// A module in a script.
#[derive(Clone, Debug)]
pub struct Module {
    /// Where it is.
    pub span: Span,
    /// Its identifier, without `$`.
    pub name: Option<String>,
    /// Its contents.
    pub source: ModuleSource,
}

/// The contents of a module.
#[derive(Clone, Debug)]
pub enum ModuleSource {
    /// It stands in the script as text: its bytecode, or what is wrong (in places of the script).
    Text(Result<Vec<u8>, Diagnostics>),
    /// `(module binary ...)`: these bytes.
    Binary(Vec<u8>),
    /// `(module quote ...)`: this text, to be assembled.
    Quote(Vec<u8>),
}

impl Module {
    /// The bytecode. It is not validated.
    ///
    /// # Errors
    /// What is wrong with the text; places are in the quoted text for a quoted one.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, Diagnostics> {
        match &self.source {
            ModuleSource::Text(Ok(bytes)) | ModuleSource::Binary(bytes) => Ok(Cow::Borrowed(bytes)),
            ModuleSource::Text(Err(diagnostics)) => Err(diagnostics.clone()),
            ModuleSource::Quote(text) => {
                crate::assemble(text, &AssembleOptions::default()).map(Cow::Owned)
            }
        }
    }
}

/// Parses a script, and assembles the modules in it.
///
/// A text that is only the fields of a module is a script of one module.
///
/// # Errors
/// Mistakes in the directives. Mistakes inside modules are kept with them.
pub fn parse(text: &[u8]) -> Result<Script, Diagnostics> {
    parse::script(text)
}
