//! The file: a header with checksums, and five sections behind each other; six where the program has
//! made processes.
//!
//! ```text
//! 0    magic, 8 bytes            36   for each section, 52 bytes:
//! 8    version of the format          its number, 4 bytes
//! 12   site scheme                    offset, length, 8 bytes each
//! 16   generation, 16 bytes           BLAKE3 of its bytes
//! 32   number of sections: 5     296  BLAKE3 of all before
//!                                328  the sections, without gaps, and nothing behind them
//! ```
//!
//! All numbers stand lowest byte first.

use std::io::{self, Read as _, Write};

use brant_engine::ModuleBytes;
use brant_engine::site::SITE_SCHEME;

use crate::error::{Section, SnapshotError};
use crate::execution::HasSpawned;
use crate::pages::{CHUNK_BYTES, Pages};
use crate::wire::{Reader, Writer};
use crate::{Snapshot, code, execution, resources, tree};

/// The first bytes of every snapshot. The first one is in no text, the last ones do not survive
/// whoever changes the ends of lines.
pub const MAGIC: &[u8; 8] = b"\xB7brant\r\n";

/// The latest version of the format. What it may hold is in `docs/SNAPSHOT.md`. A snapshot has the
/// oldest version that can say what it has to say: see [`Snapshot::version`].
pub const FORMAT_VERSION: u32 = 3;

/// The version of processes with one thread.
const ONE_THREAD_VERSION: u32 = 1;

/// The version of processes that have started threads, and no processes.
const THREADS_VERSION: u32 = 2;

/// The sections of all versions, in their order; that of the tree is in the last version alone.
const SECTIONS: [Section; 6] = [
    Section::Code,
    Section::Execution,
    Section::Resources,
    Section::Tree,
    Section::Pages,
    Section::Contents,
];

/// The sections that a version has.
fn sections_of(version: u32) -> impl Iterator<Item = Section> {
    let has_tree = version > THREADS_VERSION;
    SECTIONS.into_iter().filter(move |section| has_tree || *section != Section::Tree)
}

/// What the section of the execution says of threads.
fn spawned_of(version: u32) -> HasSpawned {
    match version {
        ONE_THREAD_VERSION => HasSpawned::No,
        THREADS_VERSION => HasSpawned::Yes,
        _ => HasSpawned::Maybe,
    }
}

/// Which checksums are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    All,
    AllButPlainContents,
}

/// Before the table of sections.
const FIXED_BYTES: usize = 36;
const ENTRY_BYTES: usize = 52;
const HASH_BYTES: usize = 32;

/// Where the first section of a version begins.
fn header_bytes(version: u32) -> usize {
    FIXED_BYTES + sections_of(version).count() * ENTRY_BYTES + HASH_BYTES
}

/// How large sections may be. A section is never held in more than a small multiple of its bytes,
/// but for contents, which are expanded into memories only, under the limits of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadLimits {
    /// Modules; each alone has at most 1 GiB.
    pub code_bytes: u64,
    /// A thread's stack has 1 MiB if nobody says otherwise, a table of 10 million functions 50 MB.
    pub execution_bytes: u64,
    /// Copied files have at most 64 MiB.
    pub resources_bytes: u64,
    /// The other processes of a tree, with their memories as far as these are written to.
    pub tree_bytes: u64,
    /// About a byte for each page, at most 20.
    pub pages_bytes: u64,
    /// Contents of pages.
    pub contents_bytes: u64,
}

impl Default for ReadLimits {
    fn default() -> ReadLimits {
        ReadLimits {
            code_bytes: 2 << 30,
            execution_bytes: 64 << 20,
            resources_bytes: 72 << 20,
            tree_bytes: 1 << 30,
            pages_bytes: 64 << 20,
            contents_bytes: 64 << 30,
        }
    }
}

impl ReadLimits {
    fn of(&self, section: Section) -> u64 {
        match section {
            Section::Header => header_bytes(FORMAT_VERSION) as u64,
            Section::Code => self.code_bytes,
            Section::Execution => self.execution_bytes,
            Section::Resources => self.resources_bytes,
            Section::Tree => self.tree_bytes,
            Section::Pages => self.pages_bytes,
            Section::Contents => self.contents_bytes,
            Section::Message => 0,
        }
    }
}

/// Where a section stands in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectionInfo {
    /// Which one.
    pub section: Section,
    /// The offset of its first byte.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes.
    pub hash: [u8; 32],
}

/// Whether bytes begin as snapshots do.
pub fn is_snapshot(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// A snapshot in its written form.
#[derive(Debug)]
pub struct Encoded<'a> {
    /// The header, and all sections but the last.
    parts: Vec<Vec<u8>>,
    contents: &'a [u8],
}

impl Encoded<'_> {
    /// How many bytes there are.
    pub fn len_bytes(&self) -> u64 {
        let parts: usize = self.parts.iter().map(Vec::len).sum();
        (parts + self.contents.len()) as u64
    }

    /// Writes them.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, writer: &mut (impl Write + ?Sized)) -> io::Result<()> {
        self.parts.iter().try_for_each(|part| writer.write_all(part))?;
        writer.write_all(self.contents)
    }
}

/// What a header says.
struct Header {
    version: u32,
    generation: [u8; 16],
    sections: Vec<SectionInfo>,
}

impl Snapshot {
    /// The version of the format in which it is written.
    pub fn version(&self) -> u32 {
        match (&self.tree, &self.execution.spawned) {
            (Some(_), _) => FORMAT_VERSION,
            (None, Some(_)) => THREADS_VERSION,
            (None, None) => ONE_THREAD_VERSION,
        }
    }

    /// Writes the snapshot and gives its size.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, writer: &mut (impl Write + ?Sized)) -> io::Result<u64> {
        let encoded = self.encode();
        encoded.write(writer)?;
        Ok(encoded.len_bytes())
    }

    /// The snapshot as it will be written, so that its size is known before.
    pub fn encode(&self) -> Encoded<'_> {
        let version = self.version();
        let mut parts = vec![
            code::write(&self.code),
            execution::write(&self.execution, spawned_of(version)),
            resources::write(&self.resources),
        ];
        parts.extend(self.tree.as_ref().map(|tree| tree::write(tree, &self.code)));
        let before: usize = parts.iter().map(Vec::len).sum();
        parts.push(self.pages.write((header_bytes(version) + before) as u64));
        let contents = self.pages.contents();
        parts.insert(0, self.header(parts.iter().map(Vec::as_slice).chain([contents])));
        Encoded { parts, contents }
    }

    /// The snapshot as bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.write(&mut bytes) {
            Ok(_) => bytes,
            Err(error) => unreachable!("a vector takes all that is written: {error}"),
        }
    }

    fn header<'a>(&self, sections: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let version = self.version();
        let mut header = Writer::default();
        header.raw(MAGIC);
        header.u32(version);
        header.u32(SITE_SCHEME);
        header.raw(&self.generation);
        header.u32(sections_of(version).count() as u32);
        let mut offset = header_bytes(version) as u64;
        for (number, section) in (1..).zip(sections) {
            header.u32(number);
            header.u64(offset);
            header.u64(section.len() as u64);
            header.raw(blake3::hash(section).as_bytes());
            offset += section.len() as u64;
        }
        let mut header = header.finish();
        let hash = blake3::hash(&header);
        header.extend_from_slice(hash.as_bytes());
        assert_eq!(header.len(), header_bytes(version), "the size that offsets are counted from");
        header
    }

    /// Reads a snapshot to its end, section by section, and takes nothing in it for granted.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(reader: &mut impl io::Read, limits: &ReadLimits) -> Result<Self, SnapshotError> {
        let mut bytes = Vec::with_capacity(header_bytes(FORMAT_VERSION));
        fill(reader, &mut bytes, FIXED_BYTES as u64, Section::Header)?;
        let left = header_bytes(version_of(&bytes)?) - FIXED_BYTES;
        fill(reader, &mut bytes, left as u64, Section::Header)?;
        let header = header(&bytes, limits)?;
        for info in &header.sections {
            fill(reader, &mut bytes, info.bytes, info.section)?;
        }
        if reader.read(&mut [0])? != 0 {
            let what = "something stands behind the last section";
            return Err(SnapshotError::Malformed { section: Section::Header, what });
        }
        Self::parse(&header, ModuleBytes::from(bytes), Check::All, limits)
    }

    /// The snapshot that these bytes are; contents of pages stay where they are.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn from_bytes(bytes: ModuleBytes, limits: &ReadLimits) -> Result<Self, SnapshotError> {
        let header = whole(bytes.as_slice(), limits)?;
        Self::parse(&header, bytes, Check::All, limits)
    }

    /// A snapshot that is a part of another one, and has no parts of its own.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn from_part(
        bytes: ModuleBytes, limits: &ReadLimits,
    ) -> Result<Self, SnapshotError> {
        let header = whole(bytes.as_slice(), limits)?;
        if header.version > THREADS_VERSION {
            let what = "a process of the tree has a tree of its own";
            return Err(SnapshotError::Malformed { section: Section::Tree, what });
        }
        Self::parse(&header, bytes, Check::All, limits)
    }

    /// As [`Self::from_bytes`], but the checksum of contents that can be mapped is not looked at, so
    /// that pages nobody asks for need not be read, and neither are those of large modules beside
    /// them. A page or a body that is not what it was harms its guest alone: bodies are validated.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn from_bytes_lazily(
        bytes: ModuleBytes, limits: &ReadLimits,
    ) -> Result<Self, SnapshotError> {
        let header = whole(bytes.as_slice(), limits)?;
        Self::parse(&header, bytes, Check::AllButPlainContents, limits)
    }

    fn parse(
        header: &Header, bytes: ModuleBytes, check: Check, limits: &ReadLimits,
    ) -> Result<Self, SnapshotError> {
        let all = bytes.as_slice();
        let find = |section: Section| {
            header.sections.iter().find(move |info| info.section == section).copied()
        };
        let info = |section: Section| find(section).ok_or(SnapshotError::Truncated(section));
        let part =
            |info: SectionInfo| &all[info.offset as usize..(info.offset + info.bytes) as usize];
        let is_right = |info: SectionInfo| match *blake3::hash(part(info)).as_bytes() == info.hash {
            true => Ok(()),
            false => Err(SnapshotError::Checksum(info.section)),
        };
        let reader = |section: Section| info(section).map(|info| Reader::new(section, part(info)));
        let others = header.sections.iter().copied();
        let is_late =
            |info: &SectionInfo| matches!(info.section, Section::Code | Section::Contents);
        others.filter(|info| !is_late(info)).try_for_each(is_right)?;
        let execution = execution::read(reader(Section::Execution)?, spawned_of(header.version))?;
        let resources = resources::read(reader(Section::Resources)?)?;
        let contents = info(Section::Contents)?;
        let pages =
            Pages::read(reader(Section::Pages)?, bytes.clone(), contents.offset, contents.bytes)?;
        let is_lazy = check == Check::AllButPlainContents && pages.can_be_mapped();
        if !is_lazy {
            is_right(contents)?;
        }
        // To hash a large module takes longer than to start it.
        let of_code = info(Section::Code)?;
        if !(is_lazy && of_code.bytes > code::LARGE_BYTES) {
            is_right(of_code)?;
        }
        let code = code::read(reader(Section::Code)?, &bytes, is_lazy)?;
        let tree = find(Section::Tree).map(|info| tree::read(part(info), limits, &code));
        let tree = tree.transpose()?.map(Box::new);
        Ok(Self { generation: header.generation, code, execution, resources, pages, tree })
    }

    /// Where the sections of a snapshot stand.
    ///
    /// # Errors
    /// The header is not one of a snapshot.
    pub fn sections(bytes: &[u8]) -> Result<Vec<SectionInfo>, SnapshotError> {
        Ok(whole(bytes, &ReadLimits::default())?.sections)
    }
}

/// The header of bytes that are a whole snapshot.
fn whole(bytes: &[u8], limits: &ReadLimits) -> Result<Header, SnapshotError> {
    let header = header(bytes, limits)?;
    for info in &header.sections {
        if info.offset + info.bytes > bytes.len() as u64 {
            return Err(SnapshotError::Truncated(info.section));
        }
    }
    let end = header.sections.last().map_or(0, |info| info.offset + info.bytes);
    if end != bytes.len() as u64 {
        let what = "something stands behind the last section";
        return Err(SnapshotError::Malformed { section: Section::Header, what });
    }
    Ok(header)
}

/// Appends so many bytes. The vector grows with what comes, not with what was promised.
fn fill(
    reader: &mut impl io::Read, bytes: &mut Vec<u8>, count: u64, section: Section,
) -> Result<(), SnapshotError> {
    match reader.take(count).read_to_end(bytes)? as u64 {
        read if read == count => Ok(()),
        // What is no snapshot may well be shorter than a header.
        _ if section == Section::Header && !bytes.starts_with(MAGIC) => {
            Err(SnapshotError::NoSnapshot)
        }
        _ => Err(SnapshotError::Truncated(section)),
    }
}

fn header(bytes: &[u8], limits: &ReadLimits) -> Result<Header, SnapshotError> {
    let malformed = |what| SnapshotError::Malformed { section: Section::Header, what };
    if !is_snapshot(bytes) {
        return Err(SnapshotError::NoSnapshot);
    }
    let version = version_of(bytes)?;
    let header_bytes = header_bytes(version);
    let bytes = bytes.get(..header_bytes).ok_or(SnapshotError::Truncated(Section::Header))?;
    let (table, hash) = bytes.split_at(header_bytes - HASH_BYTES);
    let mut reader = Reader::new(Section::Header, &table[MAGIC.len() + size_of_val(&version)..]);
    if blake3::hash(table).as_bytes() != hash {
        return Err(SnapshotError::Checksum(Section::Header));
    }
    let scheme = reader.u32()?;
    if scheme != SITE_SCHEME {
        return Err(SnapshotError::SiteScheme(scheme));
    }
    let generation = reader.array()?;
    if reader.u32()? as usize != sections_of(version).count() {
        return Err(malformed("it has another number of sections"));
    }
    let mut sections = Vec::with_capacity(SECTIONS.len());
    let mut next = header_bytes as u64;
    for (number, section) in (1..).zip(sections_of(version)) {
        let (is_next, offset, bytes) = (reader.u32()? == number, reader.u64()?, reader.u64()?);
        if !is_next || offset != next {
            return Err(malformed("the sections do not stand behind each other"));
        }
        let limit = limits.of(section);
        if bytes > limit {
            return Err(SnapshotError::TooLarge { section, bytes, limit });
        }
        next = offset.checked_add(bytes).ok_or(malformed("a section is too long"))?;
        sections.push(SectionInfo { section, offset, bytes, hash: reader.array()? });
    }
    reader.finish()?;
    Ok(Header { version, generation, sections })
}

/// The version that a header says, if it is one that is known.
fn version_of(bytes: &[u8]) -> Result<u32, SnapshotError> {
    if !is_snapshot(bytes) {
        return Err(SnapshotError::NoSnapshot);
    }
    let version = bytes.get(MAGIC.len()..).and_then(<[u8]>::first_chunk);
    let version = version.copied().map(u32::from_le_bytes);
    let version = version.ok_or(SnapshotError::Truncated(Section::Header))?;
    // Another version may have another header: its checksum is not looked for.
    match (ONE_THREAD_VERSION..=FORMAT_VERSION).contains(&version) {
        true => Ok(version),
        false => Err(SnapshotError::Version(version)),
    }
}

/// Where a section that is to be mapped begins.
pub(crate) fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(brant_engine::persist::PAGE_BYTES as u64)
}

const _: () = assert!(CHUNK_BYTES.is_multiple_of(brant_engine::persist::PAGE_BYTES));
