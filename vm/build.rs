//! Finds the commit that `brant --version` prints, and the unwinder that the binary is linked with.
//!
//! It reads the files of the repository and runs no command, so that a tree without git, or a
//! source archive, builds all the same and says `unknown`.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let commit = commit(Path::new("../.git")).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=BRANT_COMMIT={commit}");
    if let Some(archive) = static_unwinder()
        && let Some(folder) = unwinder_folder(&archive)
    {
        println!("cargo:rustc-link-arg-bins=-L{}", folder.display());
    }
    if let Some(script) = start_order() {
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
        if knows_packed_relocations() {
            println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// The linker script that puts the functions of a start side by side, for optimised builds with the
/// linker that the compiler brings along. It saves a short run a quarter of its memory, and changes
/// nothing else; another linker may not know such scripts.
fn start_order() -> Option<PathBuf> {
    println!("cargo:rerun-if-changed=start.ld");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let ordered = variable("PROFILE") == "release"
        && variable("TARGET") == "x86_64-unknown-linux-gnu"
        && variable("RUSTC_LINKER").is_empty()
        && !variable("CARGO_ENCODED_RUSTFLAGS").contains("link");
    let script = std::env::current_dir().ok()?.join("start.ld");
    (ordered && script.is_file()).then_some(script)
}

/// Whether the C library of this machine reads relative relocations in a bit map (DT_RELR, from glibc
/// 2.36 on). They take 8 KiB so instead of 365, all of which is read at each start: three hundredths
/// of a short run. The binary then names this version of the library, and an older one refuses it.
fn knows_packed_relocations() -> bool {
    const VERSION: &[u8] = b"GLIBC_ABI_DT_RELR";
    ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"]
        .into_iter()
        .find_map(|path| fs::read(path).ok())
        .is_some_and(|library| library.windows(VERSION.len()).any(|bytes| bytes == VERSION))
}

/// The C compiler's static unwinder, in builds for the machine that builds. Where there is none, or it
/// is somewhere else, the shared one serves as well and costs a tenth of a short run: one library more
/// to find, map and relocate at each start.
fn static_unwinder() -> Option<PathBuf> {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let gnu = variable("CARGO_CFG_TARGET_OS") == "linux"
        && variable("CARGO_CFG_TARGET_ENV") == "gnu"
        && variable("HOST") == variable("TARGET");
    if !gnu {
        return None;
    }
    let arch = variable("CARGO_CFG_TARGET_ARCH");
    let entries = |folder: PathBuf| {
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
    };
    ["/usr/lib/gcc", "/usr/lib64/gcc"]
        .into_iter()
        .flat_map(|root| entries(PathBuf::from(root)))
        .filter(|path| path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(&arch)))
        .flat_map(entries)
        .map(|version| version.join("libgcc_eh.a"))
        .find(|archive| archive.is_file())
}

/// A folder in which the linker finds, by the name of the shared unwinder, a script that names the
/// archive. The compiler asks for the library by that name, before anything that a build script can
/// add, so the name must lead elsewhere; compilers install such scripts themselves.
fn unwinder_folder(archive: &Path) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR")?).join("unwinder");
    fs::create_dir_all(&folder).ok()?;
    let script = format!("GROUP ( {} )\n", archive.display());
    fs::write(folder.join("libgcc_s.so"), script).ok()?;
    Some(folder)
}

/// The first twelve digits of the commit that is checked out.
fn commit(git: &Path) -> Option<String> {
    let head = read(&git.join("HEAD"))?;
    let hash = match head.strip_prefix("ref: ") {
        None => head,
        Some(name) => read(&git.join(name)).or_else(|| packed(git, name))?,
    };
    let short = hash.get(..12)?;
    short.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| short.to_owned())
}

/// A branch that git has put into its one file of packed references.
fn packed(git: &Path, name: &str) -> Option<String> {
    let references = read(&git.join("packed-refs"))?;
    let line = references.lines().find(|line| line.ends_with(name))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// A file that decides what the answer is; naming a missing one would rebuild every time.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo:rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}
