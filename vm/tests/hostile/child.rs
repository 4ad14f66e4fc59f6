//! Runs the binary under test in a process with little address space and little time.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Address space of a child. A guest's memory of 4 GiB is not reserved below this, so what is
/// measured is what brant needs itself.
const ADDRESS_SPACE_KIB: u64 = 1 << 20;
/// Far more than any case takes, on a busy machine and in a build without optimisation.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a child ended.
pub struct Ended {
    pub code: i32,
    pub output: String,
    pub errors: String,
}

/// Runs `brant` with these arguments on a file with these bytes, whose name comes last.
///
/// # Panics
/// It ends by a signal, panics, or does not end.
pub fn brant(args: &[&str], name: &str, bytes: &[u8]) -> Ended {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(name), bytes).expect("the file");
    let mut all = args.to_vec();
    all.push(name);
    brant_in(folder.path(), &all)
}

/// Runs `brant` in a folder.
pub fn brant_in(folder: &Path, args: &[&str]) -> Ended {
    brant_within(ADDRESS_SPACE_KIB, folder, args)
}

/// Runs `brant` in a folder with this much address space.
pub fn brant_within(address_space_kib: u64, folder: &Path, args: &[&str]) -> Ended {
    let outputs = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| File::create(outputs.path().join(name)).expect("a file");
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {address_space_kib}; exec \"$0\" \"$@\""))
        .arg(env!("CARGO_BIN_EXE_brant"))
        .args(args)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("BRANT_CACHE_DIR", outputs.path().join("cache"))
        .stdin(Stdio::null())
        .stdout(file("output"))
        .stderr(file("errors"))
        .spawn()
        .expect("sh starts");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            break status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("the child is ours");
            child.wait().expect("it was killed");
            panic!("{args:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = |name: &str| {
        let bytes = fs::read(outputs.path().join(name)).expect("the file is there");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (output, errors) = (text("output"), text("errors"));
    let code = status.code().unwrap_or_else(|| panic!("{args:?}: {status}\n{errors}"));
    assert!(!errors.contains("panicked"), "{args:?}:\n{errors}");
    assert_ne!(code, 70, "{args:?} is a fault of brant:\n{errors}");
    Ended { code, output, errors }
}
