//! How a run of the command line ends.
//!
//! One table of codes, which `brant help` and the documentation repeat:
//!
//! | code | meaning |
//! |---|---|
//! | the guest's | the guest ended by itself |
//! | 1 | a file cannot be read, or its module cannot be parsed, validated or linked |
//! | 2 | the command line is wrong |
//! | 70 | a fault of brant itself |
//! | 75 | the process was stopped to go on elsewhere |
//! | 124 | a limit of time or fuel ended the guest |
//! | 130, 143 | SIGINT or SIGTERM |
//! | 134 | the guest trapped |
//! | 137 | killed from outside |
//! | 141 | the reader of a pipe went away |

use std::fmt;

/// A file, module or import is not as it must be.
pub const LOAD: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// A fault of brant itself.
pub const INTERNAL: u8 = 70;
/// The process was stopped to go on elsewhere.
pub const MOVED: u8 = 75;
/// Time or fuel ran out.
pub const LIMIT: u8 = 124;
/// The guest trapped.
pub const TRAP: u8 = 134;
/// Somebody has killed the program from outside.
pub const KILLED: u8 = 137;
/// Standard output is a pipe whose reader went away: what a shell shows for SIGPIPE.
pub const CLOSED_PIPE: u8 = 141;

/// The table of codes as `--help` shows it.
pub const TABLE: &str = "\
Exit codes:
  the guest's own   it ended by itself
  1                 a file cannot be read, or its module cannot be parsed, validated or linked
  2                 the command line is wrong
  70                a fault of brant itself
  75                it was stopped to go on elsewhere
  124               a limit of time or fuel ended the guest
  130, 143          SIGINT or SIGTERM
  134               the guest trapped
  137               killed from outside
  141               the reader of a pipe went away";

/// Why a verb could not do what was asked: a code, the cause, and one next step.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What went wrong and why; rendered diagnostics stand as they are.
    pub message: Message,
    /// One thing to do about it.
    pub help: Option<String>,
}

/// The text of a failure.
#[derive(Debug)]
pub enum Message {
    /// A sentence without `error:` in front of it.
    Line(String),
    /// Several lines that look right already, as the assembler renders its diagnostics.
    Rendered(String),
    /// Nothing is left to be said.
    Quiet,
}

impl Failure {
    /// A file, module or import is not as it must be.
    pub fn load(message: impl Into<String>) -> Failure {
        Failure { code: LOAD, message: Message::Line(message.into()), help: None }
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure { code: USAGE, message: Message::Line(message.into()), help: None }
    }

    /// Lines that are already rendered.
    pub fn rendered(code: u8, text: impl Into<String>) -> Failure {
        Failure { code, message: Message::Rendered(text.into()), help: None }
    }

    /// An end without a word.
    pub fn quiet(code: u8) -> Failure {
        Failure { code, message: Message::Quiet, help: None }
    }

    /// Adds the next step.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Failure {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Message::Line(text) => writeln!(f, "error: {text}")?,
            Message::Rendered(text) => writeln!(f, "{}", text.trim_end())?,
            Message::Quiet => {}
        }
        match &self.help {
            Some(help) => writeln!(f, " help: {help}"),
            None => Ok(()),
        }
    }
}

/// Output of a verb that could not be written.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::quiet(CLOSED_PIPE),
            _ => Failure::load(format!("cannot write the output: {error}")),
        }
    }
}
