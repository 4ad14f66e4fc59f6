//! What holds of the crate as a whole: its page is fresh, and it cannot reach the real system.

use std::path::{Path, PathBuf};

#[test]
fn the_page_of_system_calls_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/SYSCALLS.md");
    let page = brant_kernel::syscall::page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).expect("docs/ is writable");
    }
    let written = std::fs::read_to_string(&path).expect("docs/SYSCALLS.md is there");
    assert!(written == page, "docs/SYSCALLS.md is stale: BLESS=1 cargo test -p brant-kernel");
}

#[test]
fn the_kernel_has_no_file_socket_clock_or_process_of_its_own() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a source folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 10);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source file");
        for module in ["fs", "net", "time", "process", "env", "thread", "os"] {
            let forbidden = format!("std::{module}");
            assert!(!text.contains(&forbidden), "{} uses {forbidden}", file.display());
        }
        assert!(!text.contains("extern crate") && !text.contains("libc::"), "{}", file.display());
    }
}
