//! Makes a number of the sources that decide what compiled code looks like.
//!
//! Code that is kept on disk is only good for the translator that made it, for the layout of the
//! engine's blocks that it reads, and for the numbering of sites. Somebody would forget to change a
//! version by hand, and the code would run all the same.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// This crate, and those whose layouts and semantics it relies on. Outside of the repository the
/// others are found by their version.
const SOURCES: [&str; 3] = ["src", "../engine/src", "../isa/src"];

fn main() {
    let mut files = Vec::new();
    for folder in SOURCES {
        println!("cargo::rerun-if-changed={folder}");
        collect(Path::new(folder), &mut files);
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    std::env::var("CARGO_PKG_VERSION").unwrap_or_default().hash(&mut hasher);
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file).unwrap_or_default().hash(&mut hasher);
    }
    println!("cargo::rustc-env=BRANT_SOURCES={:016x}", hasher.finish());
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push(path),
        }
    }
}
