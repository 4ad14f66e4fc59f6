//! The section of names.
//!
//! Spec: Appendix, Custom Sections, Name Section; the subsections beyond it as tools agree on
//! them (extended names).

use super::leb;

/// The subsections in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subsection {
    Module,
    Func,
    Local,
    Label,
    Type,
    Table,
    Memory,
    Global,
    Elem,
    Data,
    Field,
    Tag,
    TypeParam,
    TagParam,
}

/// The subsections in their order, with the numbers they have in the file.
const ORDER: [(Subsection, u8); 14] = [
    (Subsection::Module, 0),
    (Subsection::Func, 1),
    (Subsection::Local, 2),
    (Subsection::Label, 3),
    (Subsection::Type, 4),
    (Subsection::Table, 5),
    (Subsection::Memory, 6),
    (Subsection::Global, 7),
    (Subsection::Elem, 8),
    (Subsection::Data, 9),
    (Subsection::Field, 10),
    (Subsection::Tag, 11),
    (Subsection::TypeParam, 12),
    (Subsection::TagParam, 13),
];

/// Names for indices, as they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameMap {
    count: u32,
    bytes: Vec<u8>,
}

impl NameMap {
    /// Adds a name; indices must go up.
    pub fn add(&mut self, index: u32, name: &[u8]) {
        self.count += 1;
        leb::unsigned(&mut self.bytes, index);
        leb::unsigned(&mut self.bytes, name.len() as u32);
        self.bytes.extend_from_slice(name);
    }

    /// Forgets all names.
    pub fn clear(&mut self) {
        self.count = 0;
        self.bytes.clear();
    }
}

/// All names of a module.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameSection {
    module: Option<Vec<u8>>,
    maps: [NameMap; ORDER.len()],
}

impl NameSection {
    /// Sets the module's own name.
    pub fn set_module(&mut self, name: &[u8]) {
        self.module = Some(name.to_vec());
    }

    /// Adds the name of something with an index.
    pub fn add(&mut self, subsection: Subsection, index: u32, name: &[u8]) {
        self.maps[subsection as usize].add(index, name);
    }

    /// Adds names that belong to the thing with an index, if there are any.
    pub fn add_map(&mut self, subsection: Subsection, index: u32, inner: &NameMap) {
        if inner.count > 0 {
            let map = &mut self.maps[subsection as usize];
            map.count += 1;
            leb::unsigned(&mut map.bytes, index);
            leb::unsigned(&mut map.bytes, inner.count);
            map.bytes.extend_from_slice(&inner.bytes);
        }
    }

    /// Appends the custom section, if there is anything to say.
    ///
    /// Subsections are given up as they are written: the names of a large module are large.
    pub fn write(mut self, out: &mut Vec<u8>) {
        const NAME: &[u8] = b"\x04name";
        let counts = ORDER.map(|(subsection, _)| self.count_bytes(subsection));
        let mut size = 0;
        for ((subsection, _), count) in ORDER.into_iter().zip(&counts) {
            if let Some(count) = count {
                let len = count.len() + self.bytes(subsection).len();
                size += 1 + leb::unsigned_len(len as u32) + len;
            }
        }
        if size == 0 {
            return;
        }
        out.push(0);
        leb::unsigned(out, (NAME.len() + size) as u32);
        out.extend_from_slice(NAME);
        for ((subsection, number), count) in ORDER.into_iter().zip(counts) {
            let Some(count) = count else { continue };
            let bytes = std::mem::take(self.bytes(subsection));
            out.push(number);
            leb::unsigned(out, (count.len() + bytes.len()) as u32);
            out.extend_from_slice(&count);
            out.extend_from_slice(&bytes);
        }
    }

    /// What a subsection holds behind its count.
    fn bytes(&mut self, subsection: Subsection) -> &mut Vec<u8> {
        match (subsection, &mut self.module) {
            (Subsection::Module, Some(name)) => name,
            _ => &mut self.maps[subsection as usize].bytes,
        }
    }

    /// The count of a subsection that is there; for the module's name its length.
    fn count_bytes(&self, subsection: Subsection) -> Option<Vec<u8>> {
        let count = match (subsection, &self.module) {
            (Subsection::Module, Some(name)) => name.len() as u32,
            _ => Some(self.maps[subsection as usize].count).filter(|&count| count > 0)?,
        };
        let mut bytes = Vec::new();
        leb::unsigned(&mut bytes, count);
        Some(bytes)
    }
}
