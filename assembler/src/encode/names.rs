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

    /// The contents of the custom section behind its name, if there is anything to say.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for (subsection, number) in ORDER {
            let map = std::mem::take(&mut self.maps[subsection as usize]);
            let mut count = Vec::new();
            let bytes = match (subsection, &mut self.module) {
                (Subsection::Module, Some(name)) => {
                    leb::unsigned(&mut count, name.len() as u32);
                    std::mem::take(name)
                }
                _ if map.count == 0 => continue,
                _ => {
                    leb::unsigned(&mut count, map.count);
                    map.bytes
                }
            };
            out.push(number);
            leb::unsigned(&mut out, (count.len() + bytes.len()) as u32);
            out.extend_from_slice(&count);
            out.extend_from_slice(&bytes);
        }
        if out.is_empty() { None } else { Some(out) }
    }
}
