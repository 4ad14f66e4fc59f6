//! A `_start` with parameters made `Process::run` panic. Found by the fuzz target `module`.

use std::process::Command;

use brant::{Engine, Error, Module, Process};

const TEXT: &str = r#"(module (func (export "_start") (param i32 i64)))"#;

#[test]
fn a_start_with_parameters_is_an_error() {
    let module = Module::from_text(&Engine::default(), TEXT).expect("a module");
    let mut process = Process::builder(&module).build().expect("it is linked");
    match process.run() {
        Err(Error::WrongType { name, found }) => {
            assert_eq!((name.as_str(), found.as_str()), ("_start", "[i32 i64] -> []"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("start.wat");
    std::fs::write(&file, TEXT).expect("a file");
    let ended = Command::new(env!("CARGO_BIN_EXE_brant"))
        .arg(&file)
        .env("BRANT_CACHE_DIR", folder.path().join("cache"))
        .output()
        .expect("brant starts");
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{errors}");
    assert_eq!(errors, "error: `_start` has the type [i32 i64] -> []\n");
}
