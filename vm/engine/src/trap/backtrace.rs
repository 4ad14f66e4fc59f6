//! From the frames of a run to what a reader wants to know of them.

use super::dwarf::SourceMap;
use super::{FrameInfo, MAX_FRAMES};
use crate::module::{Module, ModuleInner};
use crate::site::{SiteId, SiteKind};
use crate::store::StoreInner;

/// Where a frame stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The index of its instance in the store.
    pub instance: u32,
    /// The index of the function in its module.
    pub function: u32,
    /// The offset of the instruction in the module's bytes.
    pub offset: Option<u64>,
}

/// How many of the outermost frames are kept where there are too many.
const OUTERMOST: usize = 8;

/// What a report says of these frames, innermost first.
pub(crate) fn frames_of(store: &StoreInner, places: &[Place]) -> Vec<FrameInfo> {
    let kept = |depth: usize| {
        places.len() <= MAX_FRAMES
            || depth < MAX_FRAMES - OUTERMOST
            || depth >= places.len() - OUTERMOST
    };
    // Frames of one module share its line tables, which take long to read.
    let mut maps: Vec<(u32, Option<SourceMap<'_>>)> = Vec::new();
    let mut frames = Vec::with_capacity(places.len().min(MAX_FRAMES));
    for (depth, place) in places.iter().enumerate().filter(|&(depth, _)| kept(depth)) {
        let module = store.instances[place.instance as usize].module.inner();
        let at = maps.iter().position(|&(instance, _)| instance == place.instance);
        let at = at.unwrap_or_else(|| {
            maps.push((place.instance, SourceMap::new(module)));
            maps.len() - 1
        });
        frames.push(frame(module, depth, place, maps[at].1.as_ref()));
    }
    frames
}

fn frame(
    module: &ModuleInner, depth: usize, place: &Place, map: Option<&SourceMap<'_>>,
) -> FrameInfo {
    let in_code = place.offset.and_then(|at| at.checked_sub(u64::from(module.code_start)));
    let source = map.zip(in_code).map(|(map, in_code)| map.find(in_code));
    FrameInfo {
        depth,
        function: place.function,
        module: module.names().module.map(|span| module.bytes.text(span).to_owned()),
        name: module.function_name(place.function).map(str::to_owned),
        offset: place.offset,
        source: source.unwrap_or_default(),
    }
}

impl Module {
    /// What there is to say about frames of this module's functions, given by depth, function and
    /// offset in the module's bytes.
    ///
    /// # Panics
    /// The module has no such function.
    pub fn describe_frames(&self, frames: &[(usize, u32, Option<u64>)]) -> Vec<FrameInfo> {
        let module = self.inner();
        let map = SourceMap::new(module);
        let describe = |&(depth, function, offset): &(usize, u32, Option<u64>)| {
            assert!((function as usize) < self.function_count(), "function {function}");
            frame(module, depth, &Place { instance: 0, function, offset }, map.as_ref())
        };
        frames.iter().map(describe).collect()
    }

    /// What a site is, and where it is in the module's bytes; none if there is no such site.
    pub fn site(&self, function: u32, site: SiteId) -> Option<(SiteKind, u64)> {
        let module = self.inner();
        let found = module.sites(function)?.get(site)?;
        let body = module.body_span(function)?;
        Some((found.kind, u64::from(body.start) + u64::from(found.offset)))
    }
}
