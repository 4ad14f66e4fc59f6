//! `brant man`: manual pages, made from the definition of the command line.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use super::CommandLine;
use super::exit::Failure;
use super::input::cause;

/// Writes the manual pages.
#[derive(clap::Args)]
pub struct ManOptions {
    /// The folder they go to; it is made where it is missing.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs the verb.
pub fn man(options: &ManOptions) -> Result<u8, Failure> {
    let folder = &options.folder;
    fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    let command = CommandLine::command();
    page(folder, "brant.1", command.clone())?;
    for verb in command.get_subcommands() {
        let name = format!("brant-{}", verb.get_name());
        // clap wants names for ever; there are as many as there are verbs.
        let title: &'static str = name.clone().leak();
        page(folder, &format!("{name}.1"), verb.clone().name(title))?;
    }
    Ok(0)
}

fn page(folder: &Path, file: &str, command: clap::Command) -> Result<(), Failure> {
    let path = folder.join(file);
    let mut text = Vec::new();
    clap_mangen::Man::new(command.version(env!("CARGO_PKG_VERSION")))
        .render(&mut text)
        .and_then(|()| fs::write(&path, &text))
        .map_err(|error| cannot_write(&path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::load(format!("cannot write `{}`: {}", path.display(), cause(error)))
}
