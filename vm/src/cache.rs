//! The code cache: compiled code in files of a directory that belongs to the user alone.
//!
//! ```text
//! KEY.code    the code of one module for one set of options; grows at its end
//! ID.hash     the hash of a module file that was seen before, so that it need not be read
//! ```
//!
//! What is in a file is the engine's business, and so is whether it can be trusted. Here it is
//! found, added to, replaced when it is damaged, and removed when the cache is too large.
//! Several processes may do that at the same time: who adds holds a lock on the file, nothing is
//! written over, and a file that goes stays readable for whoever has it open.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use brant_engine::stored::{
    CodeStore, Identity, Key, Survey, header, header_key, survey, valid_bytes,
};
use brant_host::native::private::{PrivateDirectory, TEMPORARY};

/// How large all files together may be, unless something else is asked for.
const DEFAULT_LIMIT_BYTES: u64 = 2 << 30;

/// The share of the limit that is left when room has to be made.
const KEPT_PERCENT: u64 = 90;

/// After so many new bytes the size of all files is looked at again.
const BYTES_PER_LOOK: u64 = 32 << 20;

/// No file becomes larger: readers would not take it.
const FILE_LIMIT_BYTES: u64 = 1 << 30;

/// Another process holds a lock for as long as one write takes; after so many tries it is stuck.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// A file that somebody has not finished for so long will stay so.
const ABANDONED: Duration = Duration::from_secs(3600);

const CODE: &str = ".code";
const HASH: &str = ".hash";

/// Compiled code, kept on disk from one process to the next.
///
/// ```no_run
/// use std::sync::Arc;
/// let cache = brant::CodeCache::open(&brant::CodeCache::default_path().unwrap())?;
/// let mut config = brant::with_compiler(brant::Config::default());
/// config.code_store = Some(Arc::new(cache));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct CodeCache {
    directory: PrivateDirectory,
    limit_bytes: u64,
    /// For each file that was added to: its number, and how far it is known to be sound.
    ends: Mutex<HashMap<Key, (u64, u64)>>,
    /// Bytes that were added since the last look at the size of all.
    added_bytes: AtomicU64,
}

/// The stored code of one module for one set of options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CachedCode {
    /// The key, in hexadecimal digits.
    pub key: String,
    /// The hash of the module.
    pub module: [u8; 32],
    /// Where the module was seen last.
    pub path: Option<PathBuf>,
    /// How large the file is.
    pub len_bytes: u64,
    /// When it was used last.
    pub used: SystemTime,
    /// What is in it, after a look at all of it.
    pub survey: Survey,
}

impl CodeCache {
    /// Where the cache of this user is: `brant` below the directory that `XDG_CACHE_HOME` names, or
    /// below `.cache` of the home directory; `BRANT_CACHE_DIR` names another one.
    pub fn default_path() -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let absolute = |name| variable(name).filter(|path| path.is_absolute());
        if let Some(path) = variable("BRANT_CACHE_DIR").filter(|path| !path.as_os_str().is_empty())
        {
            return std::path::absolute(path).ok();
        }
        let home = || absolute("HOME").map(|home| home.join(".cache"));
        absolute("XDG_CACHE_HOME").or_else(home).map(|cache| cache.join("brant"))
    }

    /// Opens the cache in a directory, which is made if it is missing.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::PermissionDenied`] if others than the user of this
    /// process have access to the directory.
    pub fn open(path: &Path) -> io::Result<CodeCache> {
        Ok(CodeCache {
            directory: PrivateDirectory::open(path)?,
            limit_bytes: DEFAULT_LIMIT_BYTES,
            ends: Mutex::default(),
            added_bytes: AtomicU64::new(0),
        })
    }

    /// The same cache, which keeps to another size.
    #[must_use]
    pub fn with_limit(self, limit_bytes: u64) -> CodeCache {
        CodeCache { limit_bytes, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What is in it, in the order of use, latest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<CachedCode>> {
        let files = self.directory.files()?;
        let hashes = files.iter().filter(|file| file.name.ends_with(HASH));
        let seen: HashMap<[u8; 32], PathBuf> = hashes
            .filter_map(|file| self.read_hash(&file.name))
            .map(|it| (it.1, it.0.path))
            .collect();
        let mut list: Vec<CachedCode> = files
            .iter()
            .filter_map(|file| {
                let key = file.name.strip_suffix(CODE)?;
                let mut bytes = Vec::new();
                let whole = self.directory.open_file(&file.name).ok()?;
                whole.take(FILE_LIMIT_BYTES).read_to_end(&mut bytes).ok()?;
                let (survey, module) = (survey(&bytes)?, header_key(bytes.first_chunk()?)?.module);
                let path = seen.get(&module).cloned();
                let (key, len_bytes, used) = (key.to_owned(), file.len_bytes, file.used);
                Some(CachedCode { key, module, path, len_bytes, used, survey })
            })
            .collect();
        list.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.key.cmp(&b.key)));
        Ok(list)
    }

    /// Removes everything, and gives the number of files and bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn clear(&self) -> io::Result<(u64, u64)> {
        let files = self.directory.files()?.into_iter().filter(|file| is_ours(&file.name));
        let (mut count, mut len_bytes) = (0, 0);
        for file in files {
            self.directory.remove(&file.name)?;
            count += 1;
            len_bytes += file.len_bytes;
        }
        Ok((count, len_bytes))
    }

    /// Removes what was not used for the longest time, while all together is too large.
    fn make_room(&self) -> io::Result<()> {
        let mut files = self.directory.files()?;
        files.retain(|file| is_ours(&file.name));
        let is_abandoned = |used: SystemTime| used.elapsed().is_ok_and(|age| age > ABANDONED);
        let mut total: u64 = files.iter().map(|file| file.len_bytes).sum();
        let is_full = total > self.limit_bytes;
        files.sort_by_key(|file| file.used);
        for file in files {
            let is_left_over = file.name.contains(TEMPORARY) && is_abandoned(file.used);
            if is_left_over || (is_full && total > self.limit_bytes / 100 * KEPT_PERCENT) {
                self.directory.remove(&file.name)?;
                total -= file.len_bytes;
            }
        }
        Ok(())
    }

    /// Adds a batch; `ends` says how far files are known.
    fn try_add(
        &self, ends: &mut HashMap<Key, (u64, u64)>, key: &Key, batch: &[u8],
    ) -> io::Result<()> {
        let name = format!("{key}{CODE}");
        for _ in 0..3 {
            let file = match self.directory.open_to_append(&name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match self.directory.create(&name, &[&header(key), batch]) {
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                        other => return other,
                    }
                }
                other => other?,
            };
            lock(&file)?;
            let found = file.metadata()?;
            if found.nlink() == 0 {
                // Somebody has put another one in its place, or removed it.
                continue;
            }
            let known =
                ends.get(key).filter(|(number, end)| *number == found.ino() && *end <= found.len());
            let read = |at, buffer: &mut [u8]| file.read_exact_at(buffer, at).is_ok();
            let end = valid_bytes(key, known.map_or(0, |&(_, end)| end), read);
            if end + batch.len() as u64 > FILE_LIMIT_BYTES {
                return Ok(());
            }
            if end != found.len() || end == 0 {
                // Behind its end nobody would find anything.
                let mut sound = vec![0; end as usize];
                file.read_exact_at(&mut sound, 0)?;
                if sound.is_empty() {
                    sound.extend(header(key));
                }
                return self.directory.replace(&name, &[&sound, batch]);
            }
            (&file).write_all(batch)?;
            ends.insert(*key, (found.ino(), end + batch.len() as u64));
            return Ok(());
        }
        Ok(())
    }

    fn add_and_make_room(&self, key: &Key, batch: &[u8]) -> io::Result<()> {
        {
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            self.try_add(&mut ends, key, batch)?;
        }
        // Each process looks once, and then after so many bytes: many small ones fill a disk, too.
        let added = batch.len() as u64;
        let before = self.added_bytes.fetch_add(added, Ordering::Relaxed);
        if before == 0 || before / BYTES_PER_LOOK != (before + added) / BYTES_PER_LOOK {
            self.make_room()?;
        }
        Ok(())
    }

    fn read_hash(&self, name: &str) -> Option<(Identity, [u8; 32])> {
        let file = self.directory.open_file(name).ok()?;
        let mut bytes = vec![0; HASH_LIMIT_BYTES];
        let len = file.read_at(&mut bytes, 0).ok()?;
        let kept = read_kept_hash(&bytes[..len])?;
        self.directory.note_use(&file);
        Some(kept)
    }
}

impl CodeStore for CodeCache {
    fn get(&self, key: &Key) -> Option<File> {
        let file = self.directory.open_file(&format!("{key}{CODE}")).ok()?;
        self.directory.note_use(&file);
        Some(file)
    }

    fn add(&self, key: &Key, batch: &[u8]) {
        // A full disk is no reason to disturb a program: it is compiled again the next time.
        let _ = self.add_and_make_room(key, batch);
    }

    fn hash_of(&self, identity: &Identity) -> Option<[u8; 32]> {
        let (kept, hash) = self.read_hash(&hash_name(identity))?;
        (kept.numbers == identity.numbers).then_some(hash)
    }

    fn keep_hash(&self, identity: &Identity, hash: &[u8; 32]) {
        let content = kept_hash(identity, hash);
        if content.len() <= HASH_LIMIT_BYTES {
            // As above.
            let _ = self.directory.replace(&hash_name(identity), &[&content]);
        }
    }
}

/// Holds a file against other processes that add to it.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Whether a file is one that this module makes.
fn is_ours(name: &str) -> bool {
    name.ends_with(CODE) || name.ends_with(HASH) || name.contains(TEMPORARY)
}

/// A checksum of 16 bytes, the numbers, the hash, and a path that is not longer than paths are.
const HASH_LIMIT_BYTES: usize = 16 + 56 + 32 + 4096;

fn hash_name(identity: &Identity) -> String {
    let sum = blake3::hash(&numbers(identity)).to_hex();
    format!("{}{HASH}", &sum[..32])
}

fn numbers(identity: &Identity) -> [u8; 56] {
    let mut bytes = [0; 56];
    for (part, number) in bytes.chunks_exact_mut(8).zip(identity.numbers) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

fn kept_hash(identity: &Identity, hash: &[u8; 32]) -> Vec<u8> {
    let rest = [&numbers(identity), &hash[..], identity.path.as_os_str().as_bytes()].concat();
    [&blake3::hash(&rest).as_bytes()[..16], &rest].concat()
}

fn read_kept_hash(bytes: &[u8]) -> Option<(Identity, [u8; 32])> {
    let (sum, rest) = bytes.split_first_chunk::<16>()?;
    if blake3::hash(rest).as_bytes()[..16] != *sum {
        return None;
    }
    let (number_bytes, rest) = rest.split_first_chunk::<56>()?;
    let (hash, path) = rest.split_first_chunk::<32>()?;
    let mut numbers = [0; 7];
    for (number, part) in numbers.iter_mut().zip(number_bytes.chunks_exact(8)) {
        *number = u64::from_le_bytes(*part.first_chunk()?);
    }
    Some((Identity { numbers, path: PathBuf::from(OsStr::from_bytes(path)) }, *hash))
}
