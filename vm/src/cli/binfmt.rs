//! `brant binfmt`: what makes Linux run modules as if they were native programs.

use std::io::Write;

use super::exit::Failure;

/// Runs the verb.
pub fn binfmt() -> Result<u8, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::load(format!("the path of brant is not known: {error}")))?;
    // name : kind (M: by its first bytes) : offset : magic : mask : interpreter : flags
    // Without flags the kernel starts `brant FILE ARGS`, which is what a command line looks like.
    let line = format!(":brant:M::\\x00asm\\x01\\x00\\x00\\x00::{}:", program.display());
    writeln!(
        std::io::stdout(),
        "# Run as root to make the kernel start .wasm files with brant:\n\
         echo '{line}' > /proc/sys/fs/binfmt_misc/register"
    )?;
    Ok(0)
}
