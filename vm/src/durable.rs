//! Files that are replaced as a whole: at any instant, and after any failure, there is the old one
//! or the new one.
//!
//! ```text
//! create FILE.PID.new -> write ... -> sync it -> rename it to FILE -> sync the folder
//! ```
//!
//! Each step is one call of a [`Disk`], so that tests can let every one of them fail, or be the last
//! one that the host process makes. Nothing here knows what is written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// How much is written at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// The system calls of a replacement.
pub(crate) trait Disk {
    /// Makes an empty file in place of one of the same name.
    fn create(&mut self, path: &Path) -> io::Result<File>;
    /// Writes a part of the bytes.
    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<usize>;
    /// Brings a file, or the names in a folder, to the disk.
    fn sync(&mut self, file: &File) -> io::Result<()>;
    /// Gives a file another name, which may be that of another file.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
}

/// The file system of the machine.
pub(crate) struct Machine;

impl Disk for Machine {
    fn create(&mut self, path: &Path) -> io::Result<File> {
        File::create(path)
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
}

/// A file of a disk, as what it is written through.
struct Written<'a, D: Disk> {
    disk: &'a mut D,
    file: File,
}

impl<D: Disk> Write for Written<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write(&mut self.file, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What fills a file.
type Fill<'a, T> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<T>;

/// Puts a new file in the place of `path`, when it is whole and on the disk: at any instant there is
/// the old one or the new one.
///
/// # Errors
/// What the system says, or `fill`; the old file is as it was, and nothing is left behind.
pub fn replace_file<T>(
    path: &Path, fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<T>,
) -> io::Result<T> {
    replace_on(&mut Machine, path, BUFFER_BYTES, fill)
}

fn replace_on<T>(
    disk: &mut impl Disk, path: &Path, buffer_bytes: usize, fill: Fill<'_, T>,
) -> io::Result<T> {
    let new = beside(path);
    let written = write_whole(disk, &new, buffer_bytes, fill).and_then(|value| {
        disk.rename(&new, path)?;
        Ok(value)
    });
    let value = written.inspect_err(|_| {
        // There is nothing better to be done about one that cannot be removed either.
        let _ = std::fs::remove_file(&new);
    })?;
    // The new name has to be on the disk too.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    disk.sync(&File::open(folder.unwrap_or(Path::new(".")))?)?;
    Ok(value)
}

fn write_whole<T>(
    disk: &mut impl Disk, new: &Path, buffer_bytes: usize, fill: Fill<'_, T>,
) -> io::Result<T> {
    let file = disk.create(new)?;
    let mut writer = BufWriter::with_capacity(buffer_bytes, Written { disk, file });
    let filled = fill(&mut writer).and_then(|value| {
        writer.flush()?;
        Ok(value)
    });
    // Taken apart, it does not try to write what a failure has left in the buffer.
    let (Written { disk, file }, _) = writer.into_parts();
    let value = filled?;
    disk.sync(&file)?;
    Ok(value)
}

/// The name of the new file until it is whole: in the same folder, because it is to be renamed.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
