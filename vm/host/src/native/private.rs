//! A directory of this user alone, and files in it: for what nobody else may change.
//!
//! Files are found by name below an open directory, so that a directory which is exchanged meanwhile
//! is none of ours. Nothing that was written is written again: a file grows at its end, or another
//! one takes its place.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timestamps};

/// A directory that belongs to the user of this process, with access for nobody else.
#[derive(Debug)]
pub struct PrivateDirectory {
    fd: OwnedFd,
    path: PathBuf,
    user: u32,
}

/// A file of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptFile {
    /// Its name.
    pub name: String,
    /// How large it is.
    pub len_bytes: u64,
    /// When it was used last.
    pub used: SystemTime,
}

/// Whoever looks at a file notes that only this often.
const NOTED_USE: Duration = Duration::from_secs(60);

impl PrivateDirectory {
    /// Opens a directory, which is made if it is missing, with all above it.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::PermissionDenied`] if the directory is not private.
    pub fn open(path: &Path) -> io::Result<PrivateDirectory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::open(path, flags, Mode::empty());
        let fd = match open() {
            Err(rustix::io::Errno::NOENT) => {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
                open()
            }
            other => other,
        }?;
        let user = super::user_id();
        let found = rustix::fs::fstat(&fd)?;
        if found.st_uid != user || found.st_mode & 0o077 != 0 {
            let text = format!("`{}` is not a directory of this user alone", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(PrivateDirectory { fd, path: path.to_owned(), user })
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// What the system says, and [`io::ErrorKind::PermissionDenied`] for what is no regular file of
    /// this user alone.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDONLY)
    }

    /// Opens a file to read it and to write at its end.
    ///
    /// # Errors
    /// As [`Self::open_file`].
    pub fn open_to_append(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR | OFlags::APPEND)
    }

    fn open_with(&self, name: &str, access: OFlags) -> io::Result<File> {
        // A pipe in its place would wait for somebody to write.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?);
        let found = file.metadata()?;
        if !found.is_file() || found.uid() != self.user || found.mode() & 0o077 != 0 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(file)
    }

    /// Notes that a file was used.
    pub fn note_use(&self, file: &File) {
        let is_old = |at: SystemTime| at.elapsed().is_ok_and(|age| age > NOTED_USE);
        if file.metadata().and_then(|found| found.modified()).is_ok_and(is_old) {
            let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
            let times = Timestamps { last_access: now, last_modification: now };
            // It only orders files by use.
            let _ = rustix::fs::futimens(file, &times);
        }
    }

    /// Makes a file with these parts as its content, or leaves the one that has its name.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::AlreadyExists`] where there is one.
    pub fn create(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let temporary = self.write_temporary(name, parts)?;
        let linked = rustix::fs::linkat(&self.fd, &temporary, &self.fd, name, AtFlags::empty());
        self.remove(&temporary)?;
        Ok(linked?)
    }

    /// Puts a file with these parts as its content in the place of the one that has its name.
    ///
    /// # Errors
    /// What the system says.
    pub fn replace(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let temporary = self.write_temporary(name, parts)?;
        let renamed = rustix::fs::renameat(&self.fd, &temporary, &self.fd, name);
        if renamed.is_err() {
            self.remove(&temporary)?;
        }
        Ok(renamed?)
    }

    /// Writes a file under a name of its own.
    fn write_temporary(&self, name: &str, parts: &[&[u8]]) -> io::Result<String> {
        let mut random = [0; 8];
        super::clock::random(&mut random)?;
        let temporary = format!("{name}{TEMPORARY}{:016x}", u64::from_le_bytes(random));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut file = File::from(rustix::fs::openat(&self.fd, &temporary, flags, mode)?);
        if let Err(error) = parts.iter().try_for_each(|part| file.write_all(part)) {
            self.remove(&temporary)?;
            return Err(error);
        }
        Ok(temporary)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says; that it is not there is none.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Err(rustix::io::Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Its regular files.
    ///
    /// # Errors
    /// What the system says.
    pub fn files(&self) -> io::Result<Vec<KeptFile>> {
        let mut files = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let found = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
            // One that somebody has removed meanwhile is as good as one that never was.
            let Ok(found) = found else { continue };
            if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile {
                let seconds = u64::try_from(found.st_mtime).unwrap_or(0);
                let age = Duration::new(seconds, u32::try_from(found.st_mtime_nsec).unwrap_or(0));
                let used = SystemTime::UNIX_EPOCH + age;
                let len_bytes = u64::try_from(found.st_size).unwrap_or(0);
                files.push(KeptFile { name: name.to_owned(), len_bytes, used });
            }
        }
        Ok(files)
    }
}

/// Stands in the names of files that nobody has finished yet.
pub const TEMPORARY: &str = ".new-";
