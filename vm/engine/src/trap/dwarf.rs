//! Source lines from a module's `.debug_*` sections.
//!
//! They are a guest's: whatever they say is at worst a wrong line. What they cost is bounded by
//! [`MAX_DEBUG_BYTES`] and [`MAX_INLINED`].

use addr2line::Context;
use addr2line::gimli::{self, EndianSlice, LittleEndian};

use super::SourceFrame;
use crate::module::ModuleInner;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Larger debug sections are not read: a report must not take seconds.
const MAX_DEBUG_BYTES: usize = 256 << 20;

/// No instruction stands in more inlined functions than a report shows.
const MAX_INLINED: usize = 16;

/// From code offsets to source lines.
pub struct SourceMap<'a>(Context<Slice<'a>>);

impl<'a> SourceMap<'a> {
    /// The map of a module; none if it has no debug sections, or damaged ones.
    pub fn new(module: &'a ModuleInner) -> Option<Self> {
        let section = |name: &str| {
            let found = module.custom.iter().find(|s| module.bytes.text(s.name) == name);
            found.map_or(&[][..], |section| module.bytes.at(section.data))
        };
        let debug =
            module.custom.iter().filter(|s| module.bytes.at(s.name).starts_with(b".debug_"));
        let debug_bytes: usize = debug.map(|section| section.data.len_bytes()).sum();
        if section(".debug_info").is_empty() || debug_bytes > MAX_DEBUG_BYTES {
            return None;
        }
        let load = |id: gimli::SectionId| {
            Ok::<_, gimli::Error>(EndianSlice::new(section(id.name()), LittleEndian))
        };
        let dwarf = gimli::Dwarf::load(load).ok()?;
        Context::from_dwarf(dwarf).ok().map(Self)
    }

    /// What stands at `offset` of the code section: inlined functions first, innermost first.
    pub fn find(&self, offset: u64) -> Vec<SourceFrame> {
        let mut found: Vec<SourceFrame> = Vec::new();
        let Ok(mut frames) = self.0.find_frames(offset).skip_all_loads() else { return found };
        while let Ok(Some(frame)) = frames.next() {
            if found.len() == MAX_INLINED {
                break;
            }
            let name = frame.function.as_ref().and_then(|f| Some(f.demangle().ok()?.into_owned()));
            let place = frame.location;
            found.push(SourceFrame {
                function: name,
                file: place.as_ref().and_then(|place| place.file).map(str::to_owned),
                line: place.as_ref().and_then(|place| place.line),
                column: place.as_ref().and_then(|place| place.column),
            });
        }
        // The last one is the function itself, whose name the frame has.
        if let Some(last) = found.last_mut() {
            last.function = None;
        }
        found
    }
}
