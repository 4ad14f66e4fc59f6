//! What a node knows after it was killed: a folder with a record for each process.
//!
//! ```text
//! STATE/lock                       held by the node that runs
//! STATE/modules/HASH               modules, by BLAKE3
//! STATE/processes/ID/record        who owns it, written beside and renamed
//! STATE/processes/ID/NAME          the frames that make it: as it came, or a later checkpoint
//! ```
//!
//! A record is a few lines of text. It names the file of frames from which the process starts again;
//! other files in its folder are left over and are removed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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

/// Records are a few lines: names are short, and texts are cut.
const RECORD_LIMIT_BYTES: usize = 64 << 10;

impl Record {
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
                let why: String = why.chars().take(4096).collect();
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

impl StateFolder {
    /// Opens the folder of a node, or makes it.
    ///
    /// # Errors
    /// What the system says; another node uses it.
    pub fn open(path: &Path) -> io::Result<StateFolder> {
        fs::create_dir_all(path.join("modules"))?;
        fs::create_dir_all(path.join("processes"))?;
        let lock = File::create(path.join("lock"))?;
        lock.try_lock().map_err(|_| {
            io::Error::new(io::ErrorKind::AddrInUse, "another node uses this folder")
        })?;
        Ok(StateFolder { path: path.to_owned(), _lock: lock })
    }

    /// The folder of a process.
    fn folder(&self, id: ProcessId) -> PathBuf {
        self.path.join("processes").join(id.to_string())
    }

    /// Brings what is known of a process to the disk: after this returns it is there, whatever
    /// happens.
    pub fn put(&self, id: ProcessId, record: &Record) -> io::Result<()> {
        let folder = self.folder(id);
        if let Err(error) = fs::create_dir(&folder) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
        } else {
            File::open(self.path.join("processes"))?.sync_all()?;
        }
        let new = folder.join("record.new");
        let mut file = File::create(&new)?;
        file.write_all(record.write().as_bytes())?;
        file.sync_data()?;
        fs::rename(&new, folder.join("record"))?;
        File::open(&folder)?.sync_all()
    }

    /// Everything that is known. What cannot be read is left alone and reported.
    pub fn all(&self) -> io::Result<Vec<(ProcessId, io::Result<Record>)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.path.join("processes"))? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(ProcessId::from_hex) else {
                continue;
            };
            let record = match fs::read(entry.path().join("record")) {
                // It was on its way here, and was never ours.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::remove_dir_all(entry.path())?;
                    continue;
                }
                Err(error) => Err(error),
                Ok(bytes) => std::str::from_utf8(&bytes)
                    .ok()
                    .filter(|text| text.len() <= RECORD_LIMIT_BYTES)
                    .and_then(Record::read)
                    .ok_or_else(|| io::Error::other("the record of a process cannot be read")),
            };
            if let Ok(record) = &record {
                self.tidy(id, record.checkpoint.as_deref());
            }
            all.push((id, record));
        }
        Ok(all)
    }

    /// Removes what is left over in the folder of a process.
    pub fn tidy(&self, id: ProcessId, checkpoint: Option<&str>) {
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
        if !self.folder(id).join("record").exists() {
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
    fn a_folder_belongs_to_one_node_and_keeps_what_was_put_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::open(folder.path()).expect("a new folder");
        assert!(StateFolder::open(folder.path()).is_err());
        let [record, ..] = records();
        let id = ProcessId([5; 16]);
        state.put(id, &record).expect("room");
        for name in ["came-7", "left-over"] {
            state.new_frames(id, name).expect("room");
        }
        drop(state);
        let state = StateFolder::open(folder.path()).expect("nobody else");
        let all = state.all().expect("readable");
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].1.as_ref().ok(), Some(&record));
        assert!(state.frames(id, "came-7").is_ok());
        assert!(state.frames(id, "left-over").is_err());
    }

    #[test]
    fn a_damaged_module_is_as_good_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::open(folder.path()).expect("a new folder");
        let hash = *blake3::hash(b"module").as_bytes();
        assert!(state.module(&hash).is_none());
        state.put_module(&hash, b"module").expect("room");
        assert!(state.module(&hash).is_some());
        fs::write(state.module_path(&hash), b"modulE").expect("room");
        assert!(state.module(&hash).is_none());
    }
}
