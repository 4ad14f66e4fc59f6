//! Where a verb writes its result, and whether messages may have colours.

use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use brant_asm::Color;

use super::exit::Failure;
use super::input::cause;

/// A file in the making, or standard output.
pub struct Output {
    writer: BufWriter<Box<dyn Write>>,
    file: Option<PathBuf>,
}

/// What is going to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes that would harm a terminal.
    Bytecode,
    /// Lines.
    Text,
}

impl Output {
    /// Opens `path`, or standard output where there is none or it is `-`.
    pub fn create(path: Option<&Path>, content: Content) -> Result<Output, Failure> {
        match path.filter(|path| path.as_os_str() != "-") {
            None if content == Content::Bytecode && io::stdout().is_terminal() => {
                Err(Failure::usage("bytecode is not written to a terminal")
                    .with_help("name a file with `-o FILE`"))
            }
            None => Ok(Output { writer: BufWriter::new(Box::new(io::stdout())), file: None }),
            Some(path) => {
                let file = fs::File::create(path).map_err(|error| {
                    Failure::load(format!("cannot write `{}`: {}", path.display(), cause(&error)))
                })?;
                let writer = BufWriter::new(Box::new(file) as Box<dyn Write>);
                Ok(Output { writer, file: Some(path.to_owned()) })
            }
        }
    }

    /// Sees that everything has arrived.
    pub fn finish(mut self) -> Result<(), Failure> {
        let file = self.file.take();
        self.writer.flush().map_err(|error| match file {
            Some(path) => {
                Failure::load(format!("cannot write `{}`: {}", path.display(), cause(&error)))
            }
            None => error.into(),
        })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Whether messages on standard error may have colours.
pub fn color_on_stderr() -> Color {
    let terminal = io::stderr().is_terminal();
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    match terminal && !set("NO_COLOR") && !dumb {
        true => Color::Always,
        false => Color::Never,
    }
}
