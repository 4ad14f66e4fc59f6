//! The bytes of a module: owned, shared, or mapped from a file.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::FileBytes;

/// The bytes of a module. A copy is the same bytes.
///
/// Whoever gives a mapping of a file answers for it that the file does not change meanwhile.
#[derive(Clone)]
pub struct ModuleBytes {
    holder: Arc<dyn AsRef<[u8]> + Send + Sync>,
    /// The file whose bytes these are, from its first one on.
    file: Option<Arc<File>>,
}

impl ModuleBytes {
    /// Takes whatever holds the bytes.
    pub fn new(holder: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self { holder: Arc::new(holder), file: None }
    }

    /// Takes the bytes of a file of at most `limit_bytes`, and keeps it open if it is mapped, so
    /// that parts of it can be mapped once more.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::FileTooLarge`].
    pub fn of_file(path: &Path, limit_bytes: usize) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = FileBytes::of(&file, limit_bytes)?;
        let file = bytes.is_mapped().then(|| Arc::new(file));
        Ok(Self { holder: Arc::new(bytes), file })
    }

    /// All bytes.
    pub fn as_slice(&self) -> &[u8] {
        (*self.holder).as_ref()
    }

    /// Whether these are the bytes of a file that can be mapped.
    pub fn can_be_mapped(&self) -> bool {
        self.file.is_some()
    }

    /// The file whose bytes these are, if it is mapped.
    pub(crate) fn file(&self) -> Option<&File> {
        self.file.as_deref()
    }

    /// A part of the bytes, none if it does not lie inside. Nothing is copied.
    pub fn part(&self, range: Range<usize>) -> Option<Self> {
        self.as_slice().get(range.clone())?;
        Some(Self::new(Part { whole: self.clone(), range }))
    }

    /// The bytes at `span`, none if it does not lie inside.
    pub(crate) fn at(&self, span: Span) -> &[u8] {
        self.as_slice().get(span.start as usize..span.end as usize).unwrap_or(&[])
    }

    /// The text at `span`, which the parser has found to be UTF-8.
    pub(crate) fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.at(span)).unwrap_or_default()
    }
}

/// A part of bytes that somebody else holds.
struct Part {
    whole: ModuleBytes,
    range: Range<usize>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.whole.as_slice()[self.range.clone()]
    }
}

impl From<Vec<u8>> for ModuleBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<Arc<[u8]>> for ModuleBytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for ModuleBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleBytes({} bytes)", self.as_slice().len())
    }
}

/// A part of a module's bytes. 32 bits, because modules have at most [`MAX_MODULE_BYTES`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Span {
    /// The offset of the first byte.
    pub start: u32,
    /// The offset behind the last byte.
    pub end: u32,
}

/// No module is larger. The specification's implementation limit; it also keeps offsets in 32 bits.
pub const MAX_MODULE_BYTES: usize = 1 << 30;

impl Span {
    /// The span of offsets as the parser gives them, for bytes that [`MAX_MODULE_BYTES`] bounds.
    pub(crate) fn new(range: Range<u64>) -> Self {
        Self { start: range.start as u32, end: range.end as u32 }
    }

    /// The span of `part`, which is a part of `whole`.
    pub(crate) fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len(), "a part of the whole");
        Self { start: start as u32, end: (start + part.len()) as u32 }
    }

    /// How many bytes there are.
    pub fn len_bytes(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}
