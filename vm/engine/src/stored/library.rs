//! The stored code of a module, mapped, and what is in it by function.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use super::format::{self, HEADER_BYTES, Row};
use super::{CodeStore, Key};
use crate::compile::{Entry, Options};
use crate::module::Module;
use crate::native::arena::CodeChunk;
use crate::native::code::NativeCode;
use crate::native::packed::Packed;

/// Several times the code of the largest modules; a file above it is as good as none.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// What is stored for a module and what its code may rely on.
#[derive(Debug)]
pub struct Library {
    pub key: Key,
    store: Arc<dyn CodeStore>,
    chunk: Option<Arc<CodeChunk>>,
    rows: Vec<Row>,
    /// For each function the number of its row, counted from 1; 0 where there is none.
    starts: Box<[u32]>,
    loops: HashMap<(u32, Entry), u32>,
}

/// What a library has of a function.
#[derive(Debug)]
pub enum Found {
    /// Its code, in the mapping of the file.
    Code(Arc<NativeCode>),
    /// The word of a compiler that there is none.
    Refused,
}

impl Library {
    /// Opens what is stored under a key for a module of so many functions.
    pub fn open(store: Arc<dyn CodeStore>, key: Key, function_count: usize, form: Form) -> Self {
        let chunk = store.get(&key).and_then(|file| map(&file, form));
        let bytes = chunk.as_ref().and_then(|(chunk, len_bytes)| chunk.bytes(0..*len_bytes));
        let rows = bytes.and_then(|bytes| format::rows(&key, bytes)).unwrap_or_default();
        let mut starts = Box::default();
        let mut loops = HashMap::new();
        if !rows.is_empty() {
            starts = vec![0; function_count].into_boxed_slice();
        }
        for (row, number) in rows.iter().zip(1..) {
            match row.entry {
                Entry::Start => {
                    // Of a module with more functions than this one.
                    let Some(start) = starts.get_mut(row.function as usize) else { continue };
                    *start = number;
                }
                Entry::Loop(_) => _ = loops.insert((row.function, row.entry), number),
            }
        }
        let chunk = chunk.map(|(chunk, _)| Arc::new(chunk));
        Self { key, store, chunk, rows, starts, loops }
    }

    fn row(&self, function: u32, entry: Entry) -> Option<&Row> {
        let number = match entry {
            Entry::Start => *self.starts.get(function as usize)?,
            Entry::Loop(_) => *self.loops.get(&(function, entry))?,
        };
        self.rows.get((number as usize).checked_sub(1)?)
    }

    /// Whether there seems to be something of a function. Its bytes are not looked at.
    pub fn lists(&self, function: u32, entry: Entry) -> bool {
        self.row(function, entry).is_some()
    }

    /// What there is of a function, if its bytes are what they were.
    pub fn find(&self, function: u32, entry: Entry) -> Option<Found> {
        let row = self.row(function, entry)?;
        if row.len_bytes == 0 {
            return row.fits(&self.key, &[]).then_some(Found::Refused);
        }
        let chunk = self.chunk.as_ref()?;
        let range = row.at..row.at + row.len_bytes;
        let bytes = chunk.bytes(range.clone())?;
        if !row.fits(&self.key, bytes) || !Packed::new(bytes)?.check() {
            return None;
        }
        NativeCode::at(function, entry, chunk.clone(), range).map(Arc::new).map(Found::Code)
    }

    /// Adds a function, or that there is no code of it, to the file; this library does not see it.
    pub fn add_one(&self, function: u32, entry: Entry, packed: Option<&[u8]>) {
        let mut batch = format::BatchWriter::new(self.key);
        batch.push(function, entry, packed.unwrap_or_default());
        self.add(batch);
    }

    /// Adds a batch to the file; this library does not see it.
    pub fn add(&self, batch: format::BatchWriter) {
        if let Some(bytes) = batch.finish() {
            self.store.add(&self.key, &bytes);
        }
    }
}

/// How code gets from a file into memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Mapped,
    Copied,
}

/// The content of a file, and how long it is.
fn map(file: &File, form: Form) -> Option<(CodeChunk, usize)> {
    let len_bytes = file.metadata().ok()?.len();
    if !(HEADER_BYTES as u64..=MAX_FILE_BYTES).contains(&len_bytes) {
        return None;
    }
    let len_bytes = usize::try_from(len_bytes).ok()?;
    let chunk = match form {
        Form::Mapped => CodeChunk::of_file(file, len_bytes)?,
        Form::Copied => CodeChunk::copy_of_file(file, len_bytes)?,
    };
    Some((chunk, len_bytes))
}

/// The libraries of a module that were opened so far: one for each set of options.
#[derive(Debug, Default)]
pub struct Libraries(Mutex<Vec<(Options, Arc<Library>)>>);

impl Libraries {
    /// The library for these options, opened now if it was not yet, which may mean that all bytes
    /// of the module are hashed. None without a store.
    pub fn open(&self, module: &Module, options: Options) -> Option<Arc<Library>> {
        let inner = module.inner();
        let config = inner.engine.config();
        let (store, compiler) = (config.code_store.clone()?, config.compiler.as_ref()?);
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, library)) = list.iter().find(|(of, _)| *of == options) {
            return Some(library.clone());
        }
        let key = Key::new(&module.code_hash(), &compiler.fingerprint(), options);
        let form = match config.perf_map {
            // What is mapped from a file is looked up in the file by its readers.
            Some(_) => Form::Copied,
            None => Form::Mapped,
        };
        let library = Arc::new(Library::open(store, key, inner.functions.len(), form));
        list.push((options, library.clone()));
        Some(library)
    }
}
