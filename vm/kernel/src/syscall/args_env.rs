//! Arguments and environment.

use brant_engine::GuestMemory;

use crate::errno::Errno;
use crate::kernel::{CallResult, Kernel};

/// Writes pointers to `list_at` and the texts, each with a NUL behind it, to `texts_at`.
fn write_texts(
    memory: &mut GuestMemory<'_>, texts: &[Vec<u8>], list_at: u32, texts_at: u32,
) -> CallResult {
    let bytes: u64 = texts.iter().map(|text| text.len() as u64 + 1).sum();
    // Both ranges are checked before anything is written.
    memory.slice(u64::from(list_at), 4 * texts.len() as u64)?;
    memory.slice(u64::from(texts_at), bytes)?;
    let (mut pointer_at, mut text_at) = (u64::from(list_at), u64::from(texts_at));
    for text in texts {
        memory.write_u32(pointer_at, text_at as u32)?;
        memory.write(text_at, text)?;
        memory.write_u8(text_at + text.len() as u64, 0)?;
        pointer_at += 4;
        text_at += text.len() as u64 + 1;
    }
    Ok(())
}

fn write_sizes(
    memory: &mut GuestMemory<'_>, texts: &[Vec<u8>], count_at: u32, bytes_at: u32,
) -> CallResult {
    let count = u32::try_from(texts.len()).map_err(|_| Errno::Overflow)?;
    let bytes: u64 = texts.iter().map(|text| text.len() as u64 + 1).sum();
    let bytes = u32::try_from(bytes).map_err(|_| Errno::Overflow)?;
    memory.slice(u64::from(bytes_at), 4)?;
    memory.write_u32(u64::from(count_at), count)?;
    memory.write_u32(u64::from(bytes_at), bytes)?;
    Ok(())
}

impl Kernel {
    /// `args_get(argv, argv_buf)`: pointers to the arguments, and the arguments.
    ///
    /// Errors: fault. Spec: `args_get`.
    pub(crate) fn args_get(
        &mut self, memory: &mut GuestMemory<'_>, argv: u32, argv_buf: u32,
    ) -> CallResult {
        write_texts(memory, &self.manifest.args, argv, argv_buf)
    }

    /// `args_sizes_get(argc, argv_buf_size)`: how many arguments, and how many bytes with NULs.
    ///
    /// Errors: fault, overflow. Spec: `args_sizes_get`.
    pub(crate) fn args_sizes_get(
        &mut self, memory: &mut GuestMemory<'_>, argc: u32, argv_buf_size: u32,
    ) -> CallResult {
        write_sizes(memory, &self.manifest.args, argc, argv_buf_size)
    }

    /// `environ_get(environ, environ_buf)`: pointers to the variables, and the variables.
    ///
    /// Errors: fault. Spec: `environ_get`.
    pub(crate) fn environ_get(
        &mut self, memory: &mut GuestMemory<'_>, environ: u32, environ_buf: u32,
    ) -> CallResult {
        write_texts(memory, &self.manifest.env, environ, environ_buf)
    }

    /// `environ_sizes_get(count, size)`: how many variables, and how many bytes with NULs.
    ///
    /// Errors: fault, overflow. Spec: `environ_sizes_get`.
    pub(crate) fn environ_sizes_get(
        &mut self, memory: &mut GuestMemory<'_>, count: u32, size: u32,
    ) -> CallResult {
        write_sizes(memory, &self.manifest.env, count, size)
    }
}
