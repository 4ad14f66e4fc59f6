//! Custom sections, and the name section among them.

use wasmparser::{BinaryReader, Name, NameSectionReader};

use super::{ModuleInner, Span};

/// A custom section.
#[derive(Clone, Copy, Debug)]
pub struct CustomSection<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it holds.
    pub data: &'a [u8],
}

/// What the name section says. A damaged one says what stands before the damage.
#[derive(Default, Debug)]
pub(crate) struct Names {
    pub module: Option<Span>,
    /// By ascending index.
    functions: Vec<(u32, Span)>,
}

impl Names {
    /// Reads the name sections of `module`.
    pub fn read(module: &ModuleInner) -> Self {
        let mut names = Self::default();
        let all = module.bytes.as_slice();
        for item in &module.custom {
            if module.bytes.at(item.name) == b"name" {
                let data = module.bytes.at(item.data);
                names.take(all, NameSectionReader::new(BinaryReader::new(data, 0)));
            }
        }
        names.functions.sort_by_key(|&(index, _)| index);
        names
    }

    fn take(&mut self, all: &[u8], sections: NameSectionReader<'_>) {
        for section in sections {
            match section {
                Ok(Name::Module { name, .. }) => self.module = Some(Span::of(name.as_bytes(), all)),
                Ok(Name::Function(map)) => {
                    let functions = map.into_iter().map_while(Result::ok);
                    let spans = functions.map(|n| (n.index, Span::of(n.name.as_bytes(), all)));
                    self.functions.extend(spans);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// The name of function `index`.
    pub fn function(&self, index: u32) -> Option<Span> {
        let at = self.functions.binary_search_by_key(&index, |&(index, _)| index).ok()?;
        Some(self.functions[at].1)
    }
}
