//! The code segment: which modules a process is made of, and their bytes unless left out.

use brant_engine::ModuleBytes;

use crate::wire::{Read, Reader, Writer};

/// The modules of a process, in the order in which they are instantiated.
#[derive(Clone, Debug)]
pub struct Code {
    /// Those that are linked first, and the program last.
    pub modules: Vec<ModuleImage>,
    /// Whether all that the guest sees is fixed.
    pub deterministic: bool,
    /// Whether operators take fuel.
    pub fuel: bool,
}

/// A module of a process.
#[derive(Clone, Debug)]
pub struct ModuleImage {
    /// The name under which others import it; empty for the program.
    pub name: String,
    /// BLAKE3 of its bytes.
    pub hash: [u8; 32],
    /// Its bytes, unless the destination has them.
    pub bytes: Option<ModuleBytes>,
}

/// Modules above this size are not compressed: checkpoints would take longer for it.
const COMPRESSED_BYTES_LIMIT: usize = 4 << 20;

/// Whoever reads lazily does not hash a section above this size.
pub const LARGE_BYTES: u64 = COMPRESSED_BYTES_LIMIT as u64;

/// LZ4 cannot expand by more.
const MOST_EXPANSION: u64 = 255;

/// How bytes stand there.
const ABSENT: u8 = 0;
const PLAIN: u8 = 1;
const COMPRESSED: u8 = 2;

impl Code {
    /// Leaves the bytes of all modules out: the destination has them.
    pub fn leave_out_bytes(&mut self) {
        self.modules.iter_mut().for_each(|module| module.bytes = None);
    }
}

pub fn write(code: &Code) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.flags(&[code.deterministic, code.fuel]);
    writer.list(&code.modules, |writer, module| {
        writer.bytes(module.name.as_bytes());
        writer.raw(&module.hash);
        let Some(bytes) = &module.bytes else { return writer.u8(ABSENT) };
        let bytes = bytes.as_slice();
        let is_small = bytes.len() <= COMPRESSED_BYTES_LIMIT;
        let compressed = is_small.then(|| lz4_flex::block::compress(bytes));
        match compressed.filter(|compressed| compressed.len() < bytes.len()) {
            Some(compressed) => {
                writer.u8(COMPRESSED);
                writer.var(bytes.len() as u64);
                writer.bytes(&compressed);
            }
            None => {
                writer.u8(PLAIN);
                writer.bytes(bytes);
            }
        }
    });
    writer.finish()
}

/// Reads the section; `whole` is what it is a part of, so that modules need not be copied.
///
/// Large modules that stand there as they are need not be hashed: their hash is a claim then. What they are is known by what they are, not
/// by it, and whoever takes another module by such a hash checks the state against that one.
pub fn read(mut reader: Reader<'_>, whole: &ModuleBytes, is_lazy: bool) -> Read<Code> {
    let [deterministic, fuel] = reader.flags()?[..] else {
        return reader.malformed("it has another number of flags");
    };
    let modules = reader.list(|reader| {
        let (name, hash) = (reader.text()?, reader.array()?);
        let bytes = match reader.u8()? {
            ABSENT => None,
            PLAIN => Some(part(reader.bytes()?, whole)),
            COMPRESSED => Some(expand(reader)?.into()),
            _ => return reader.malformed("bytes of a module stand there in an unknown way"),
        };
        let to_check = bytes
            .as_ref()
            .filter(|bytes| !is_lazy || bytes.as_slice().len() <= COMPRESSED_BYTES_LIMIT);
        if to_check.is_some_and(|bytes| *blake3::hash(bytes.as_slice()).as_bytes() != hash) {
            return reader.malformed("a module is not the one whose hash it has");
        }
        Ok(ModuleImage { name, hash, bytes })
    })?;
    if modules.is_empty() {
        return reader.malformed("there is no module");
    }
    reader.finish()?;
    Ok(Code { modules, deterministic, fuel })
}

/// The same bytes, which lie in `whole`.
fn part(bytes: &[u8], whole: &ModuleBytes) -> ModuleBytes {
    let start = bytes.as_ptr().addr().wrapping_sub(whole.as_slice().as_ptr().addr());
    whole.part(start..start + bytes.len()).unwrap_or_else(|| bytes.to_vec().into())
}

fn expand(reader: &mut Reader<'_>) -> Read<Vec<u8>> {
    let count = reader.var()?;
    let compressed = reader.bytes()?;
    if count > COMPRESSED_BYTES_LIMIT as u64 || count / MOST_EXPANSION > compressed.len() as u64 {
        return reader.malformed("a module is too large");
    }
    let mut bytes = vec![0; count as usize];
    match lz4_flex::block::decompress_into(compressed, &mut bytes) {
        Ok(written) if written == bytes.len() => Ok(bytes),
        _ => reader.malformed("a module cannot be expanded"),
    }
}
