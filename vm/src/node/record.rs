//! What a node knows after it was killed: a folder with a record for each process.
//!
//! ```text
//! STATE/lock                       held by the node that runs
//! STATE/modules/HASH               modules, by BLAKE3
//! STATE/processes/ID/record        who owns it
//! STATE/processes/ID/NAME          the frames that make it: as it came, or a later checkpoint
//! ```
//!
//! A record is a few lines of text in one of two places of its file, with a number and a checksum:
//! the place with the higher number holds. To change it is one write and one flush of a file that has
//! its size already, because a guest stands meanwhile. It names the file of frames from which the
//! process starts again; other files in its folder are left over and are removed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use brant_engine::{FileBytes, ModuleBytes};
use brant_mobility::migration::ProcessId;

/// The state of a node on the disk.
#[derive(Debug)]
pub(super) struct StateFolder {
    path: PathBuf,
    /// Locked while the node runs.
    _lock: File,
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The name of its program.
    pub name: String,
    /// How often it has moved.
    pub epoch: u64,
    /// Whose it is.
    pub whose: Whose,
    /// The file of frames from which it starts again.
    pub checkpoint: Option<String>,
    /// No terminal waits for its output.
    pub is_let_go: bool,
}

/// Whose a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This node's.
    Ours,
    /// Given up to a node at this address, which may not have answered yet.
    Left { address: String, is_settled: bool },
    /// Nobody's: it has ended.
    Ended { code: u8, text: String },
}

/// The folder of a node is waited for that long.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// The folder of a host process whose front was killed: it brings its program to the disk first.
pub(super) const TENANT_LOCK_PATIENCE: Duration = Duration::from_secs(15);

/// A place for a record: a block of any disk. Names are short, and texts are cut.
const PLACE_BYTES: usize = 4096;

/// Two of them.
const PLACES: u64 = 2;

impl Record {
    /// Whether nothing has to be done for the process any more.
    pub fn is_over(&self) -> bool {
        matches!(self.whose, Whose::Ended { .. } | Whose::Left { is_settled: true, .. })
    }

    fn write(&self) -> String {
        // A line is a word and a value; values have no line ends of their own.
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n");
        let mut text =
            format!("brant-process 1\nname {}\nepoch {}\n", quoted(&self.name), self.epoch);
        match &self.whose {
            Whose::Ours => text.push_str("ours\n"),
            Whose::Left { address, is_settled } => {
                text.push_str(&format!("left {}\nsettled {is_settled}\n", quoted(address)));
            }
            Whose::Ended { code, text: why } => {
                let why: String = why.chars().take(500).collect();
                text.push_str(&format!("ended {code}\ntext {}\n", quoted(&why)));
            }
        }
        if let Some(checkpoint) = &self.checkpoint {
            text.push_str(&format!("checkpoint {checkpoint}\n"));
        }
        text.push_str(&format!("let-go {}\nend\n", self.is_let_go));
        text
    }

    fn read(text: &str) -> Option<Record> {
        let plain = |text: &str| {
            let mut plain = String::new();
            let mut chars = text.chars();
            while let Some(char) = chars.next() {
                plain.push(match char {
                    '\\' => {
                        if chars.next() == Some('n') {
                            '\n'
                        } else {
                            '\\'
                        }
                    }
                    other => other,
                });
            }
            plain
        };
        let lines: BTreeMap<&str, &str> =
            text.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
        let get = |word| lines.get(word).copied();
        if get("brant-process") != Some("1") || get("end").is_none() {
            return None;
        }
        let whose = match (get("ours"), get("left"), get("ended")) {
            (Some(_), None, None) => Whose::Ours,
            (None, Some(address), None) => {
                Whose::Left { address: plain(address), is_settled: get("settled") == Some("true") }
            }
            (None, None, Some(code)) => {
                Whose::Ended { code: code.parse().ok()?, text: plain(get("text")?) }
            }
            _ => return None,
        };
        // A name that leads out of the folder is no name of ours.
        let checkpoint = get("checkpoint").map(str::to_owned);
        if checkpoint.as_ref().is_some_and(|name| name.contains('/') || name.starts_with('.')) {
            return None;
        }
        Some(Record {
            name: plain(get("name")?),
            epoch: get("epoch")?.parse().ok()?,
            whose,
            checkpoint,
            is_let_go: get("let-go") == Some("true"),
        })
    }
}

/// Locks the folder of a node for as long as the file is open.
///
/// # Errors
/// What the system says; another node uses it.
pub(super) fn lock(path: &Path, patience: Duration) -> io::Result<File> {
    let lock = File::create(path.join("lock"))?;
    // One that was killed a moment ago may still be on its way out.
    let until = Instant::now() + patience;
    while lock.try_lock().is_err() {
        if Instant::now() >= until {
            let text = "another node uses this folder";
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(lock)
}

/// What is known of a process in a folder that somebody else uses; nothing if that cannot be read.
pub(super) fn look(state: &Path, id: ProcessId) -> Option<Record> {
    let path = state.join("processes").join(id.to_string()).join("record");
    let newest = File::open(path).and_then(|file| newest(&file)).ok()??;
    Some(newest.1)
}

impl StateFolder {
    /// Opens the folder of a node, or makes it.
    ///
    /// # Errors
    /// What the system says; another node uses it.
    pub fn open(path: &Path, patience: Duration) -> io::Result<StateFolder> {
        fs::create_dir_all(path.join("modules"))?;
        fs::create_dir_all(path.join("processes"))?;
        let lock = lock(path, patience)?;
        Ok(StateFolder { path: path.to_owned(), _lock: lock })
    }

    /// The folder of a process.
    fn folder(&self, id: ProcessId) -> PathBuf {
        self.path.join("processes").join(id.to_string())
    }

    /// Makes a place for what will be known of a process.
    pub fn prepare(&self, id: ProcessId) -> io::Result<()> {
        let folder = self.folder(id);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let path = folder.join("record");
        if fs::metadata(&path).is_ok_and(|found| found.len() == PLACES * PLACE_BYTES as u64) {
            return Ok(());
        }
        let mut file = File::create(&path)?;
        file.write_all(&[0; PLACES as usize * PLACE_BYTES])?;
        file.sync_all()?;
        File::open(&folder)?.sync_all()?;
        File::open(self.path.join("processes"))?.sync_all()
    }

    /// Brings what is known of a process to the disk: after this returns it is there, whatever
    /// happens.
    pub fn put(&self, id: ProcessId, record: &Record) -> io::Result<()> {
        self.prepare(id)?;
        let file =
            OpenOptions::new().read(true).write(true).open(self.folder(id).join("record"))?;
        let number = newest(&file)?.map_or(1, |(number, _)| number + 1);
        let place = place(number, record);
        file.write_all_at(&place, number % PLACES * PLACE_BYTES as u64)?;
        file.sync_data()
    }

    /// Everything that is known. What cannot be read is left alone and reported.
    pub fn all(&self) -> io::Result<Vec<(ProcessId, io::Result<Record>)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.path.join("processes"))? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(ProcessId::from_hex) else {
                continue;
            };
            let record = File::open(entry.path().join("record")).and_then(|file| newest(&file));
            let record = match record {
                Ok(Some((_, record))) => Ok(record),
                // It was on its way here, and was never ours.
                Ok(None) => {
                    fs::remove_dir_all(entry.path())?;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::remove_dir_all(entry.path())?;
                    continue;
                }
                Err(error) => Err(error),
            };
            if let Ok(record) = &record {
                self.tidy(id, record.checkpoint.as_deref());
            }
            all.push((id, record));
        }
        Ok(all)
    }

    /// Removes a file of frames from which nothing starts any more.
    pub fn remove_frames(&self, id: ProcessId, name: &str) {
        // What cannot be removed now is so when the node starts again.
        let _ = fs::remove_file(self.folder(id).join(name));
    }

    /// Removes what is left over in the folder of a process; nobody writes there yet.
    fn tidy(&self, id: ProcessId, checkpoint: Option<&str>) {
        let Ok(entries) = fs::read_dir(self.folder(id)) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name != "record" && Some(name.as_os_str()) != checkpoint.map(std::ffi::OsStr::new) {
                // Whatever cannot be removed now is so next time.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Nothing of a process is left.
    pub fn forget(&self, id: ProcessId) {
        let record = File::open(self.folder(id).join("record")).and_then(|file| newest(&file));
        if matches!(record, Ok(None)) {
            // Whatever cannot be removed now is so at the next start.
            let _ = fs::remove_dir_all(self.folder(id));
        }
    }

    /// A new file of frames.
    pub fn new_frames(&self, id: ProcessId, name: &str) -> io::Result<File> {
        fs::create_dir_all(self.folder(id))?;
        File::create(self.folder(id).join(name))
    }

    /// The file of frames of a process.
    pub fn frames(&self, id: ProcessId, name: &str) -> io::Result<File> {
        File::open(self.folder(id).join(name))
    }

    /// The module with this hash, if it is known.
    pub fn module(&self, hash: &[u8; 32]) -> Option<ModuleBytes> {
        let bytes = FileBytes::open(&self.module_path(hash)).ok()?;
        let bytes = ModuleBytes::new(bytes);
        // A file that was damaged is as good as none.
        (blake3::hash(bytes.as_slice()).as_bytes() == hash).then_some(bytes)
    }

    /// Keeps a module; it is on the disk when this returns.
    pub fn put_module(&self, hash: &[u8; 32], bytes: &[u8]) -> io::Result<()> {
        let path = self.module_path(hash);
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        fs::rename(&new, &path)?;
        File::open(self.path.join("modules"))?.sync_all()
    }

    fn module_path(&self, hash: &[u8; 32]) -> PathBuf {
        let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.path.join("modules").join(name)
    }
}

/// A record as it stands in its place.
fn place(number: u64, record: &Record) -> Vec<u8> {
    let text = record.write();
    let hash = blake3::hash(text.as_bytes());
    let mut bytes = format!("{number} {} {hash}\n{text}", text.len()).into_bytes();
    assert!(bytes.len() <= PLACE_BYTES, "names and texts are cut");
    bytes.resize(PLACE_BYTES, 0);
    bytes
}

/// The record that holds, with its number; none if there is none.
fn newest(file: &File) -> io::Result<Option<(u64, Record)>> {
    let mut found = None;
    for at in 0..PLACES {
        let mut bytes = vec![0; PLACE_BYTES];
        match file.read_exact_at(&mut bytes, at * PLACE_BYTES as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            answer => answer?,
        }
        found = found.max_by_number(read_place(&bytes));
    }
    Ok(found)
}

/// A place whose text is not what its checksum says was being written when the host died.
fn read_place(bytes: &[u8]) -> Option<(u64, Record)> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let mut words = std::str::from_utf8(&bytes[..end]).ok()?.split(' ');
    let number = words.next()?.parse().ok()?;
    let len: usize = words.next()?.parse().ok()?;
    let text = bytes.get(end + 1..(end + 1).checked_add(len)?)?;
    if blake3::hash(text).to_string() != words.next()? {
        return None;
    }
    Some((number, Record::read(std::str::from_utf8(text).ok()?)?))
}

/// The one of two records that is newer.
trait Newer {
    fn max_by_number(self, other: Self) -> Self;
}

impl Newer for Option<(u64, Record)> {
    fn max_by_number(self, other: Self) -> Self {
        match (&self, &other) {
            (Some((ours, _)), Some((theirs, _))) if ours > theirs => self,
            (_, Some(_)) => other,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> [Record; 3] {
        let record = Record {
            name: "a\\b\nc".to_owned(),
            epoch: 7,
            whose: Whose::Ours,
            checkpoint: Some("came-7".to_owned()),
            is_let_go: true,
        };
        let left = Whose::Left { address: "unix:/x y".to_owned(), is_settled: false };
        let ended = Whose::Ended { code: 134, text: "trap\n  at 1".to_owned() };
        [
            record.clone(),
            Record { whose: left, ..record.clone() },
            Record { whose: ended, checkpoint: None, ..record },
        ]
    }

    #[test]
    fn records_come_back_and_half_a_record_is_none() {
        for record in records() {
            let text = record.write();
            assert_eq!(Record::read(&text).as_ref(), Some(&record));
            for cut in 0..text.len() - 1 {
                assert_eq!(Record::read(&text[..cut]), None, "{:?}", &text[..cut]);
            }
        }
    }

    #[test]
    fn a_record_that_was_being_written_leaves_the_one_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::open(folder.path(), LOCK_PATIENCE).expect("a new folder");
        let id = ProcessId([6; 16]);
        let [first, second, third] = records();
        for record in [&first, &second, &third] {
            state.put(id, record).expect("room");
        }
        let path = state.folder(id).join("record");
        let found = || newest(&File::open(&path).expect("it is there")).expect("readable");
        assert_eq!(found(), Some((3, third)));
        let mut bytes = fs::read(&path).expect("it is there");
        bytes[PLACE_BYTES + 100] ^= 1;
        fs::write(&path, &bytes).expect("room");
        assert_eq!(found(), Some((2, second)));
    }

    #[test]
    fn a_folder_belongs_to_one_node_and_keeps_what_was_put_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::open(folder.path(), LOCK_PATIENCE).expect("a new folder");
        assert!(StateFolder::open(folder.path(), LOCK_PATIENCE).is_err());
        let [record, ..] = records();
        let id = ProcessId([5; 16]);
        state.put(id, &record).expect("room");
        for name in ["came-7", "left-over"] {
            state.new_frames(id, name).expect("room");
        }
        drop(state);
        let state = StateFolder::open(folder.path(), LOCK_PATIENCE).expect("nobody else");
        let all = state.all().expect("readable");
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].1.as_ref().ok(), Some(&record));
        assert!(state.frames(id, "came-7").is_ok());
        assert!(state.frames(id, "left-over").is_err());
    }

    #[test]
    fn a_damaged_module_is_as_good_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::open(folder.path(), LOCK_PATIENCE).expect("a new folder");
        let hash = *blake3::hash(b"module").as_bytes();
        assert!(state.module(&hash).is_none());
        state.put_module(&hash, b"module").expect("room");
        assert!(state.module(&hash).is_some());
        fs::write(state.module_path(&hash), b"modulE").expect("room");
        assert!(state.module(&hash).is_none());
    }
}
