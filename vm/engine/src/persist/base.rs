//! The base image of a memory: what the active data segments alone make of it.
//!
//! It follows from the modules, so that whoever has them need not be told about it.

use crate::instance::Scope;
use crate::module::SegmentMode;
use crate::store::StoreInner;

use super::pages::PAGE_BYTES;

/// Bytes that a segment has written.
struct Write<'a> {
    start: u64,
    /// Later ones win.
    order: usize,
    bytes: &'a [u8],
}

impl Write<'_> {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// Gives the base image page by page, in ascending order.
pub(super) struct BaseImage<'a> {
    /// By ascending start.
    writes: Vec<Write<'a>>,
    /// So many were looked at.
    seen: usize,
    /// Those that may reach the next page, in their order.
    near: Vec<usize>,
    page: Box<[u8; PAGE_BYTES]>,
}

impl<'a> BaseImage<'a> {
    /// The base image of memory `index` of a store.
    pub fn of(store: &'a StoreInner, index: u32) -> Self {
        let mut writes = Vec::new();
        for instance in &store.instances {
            let module = instance.module.inner();
            let scope = Scope { cells: &instance.cells, functions: &instance.functions };
            for (segment, is_dropped) in module.data.iter().zip(&instance.data_dropped) {
                let SegmentMode::Active { index: memory, offset } = segment.mode else { continue };
                let bytes = module.bytes.at(segment.bytes);
                // A segment that did not fit was never written, and stopped those behind it.
                if instance.memories[memory as usize] != index || !is_dropped || bytes.is_empty() {
                    continue;
                }
                let start = offset.value(module, &scope) as u64;
                writes.push(Write { start, order: writes.len(), bytes });
            }
        }
        writes.sort_by_key(|write| (write.start, write.order));
        Self { writes, seen: 0, near: Vec::new(), page: Box::new([0; PAGE_BYTES]) }
    }

    /// The content of a page that lies behind all that were asked for before; none if it is zero
    /// because nothing was written there.
    pub fn page(&mut self, page: u64) -> Option<&[u8; PAGE_BYTES]> {
        let (start, end) = (page * PAGE_BYTES as u64, (page + 1) * PAGE_BYTES as u64);
        let Self { writes, seen, near, page, .. } = self;
        near.retain(|&at| writes[at].end() > start);
        while *seen < writes.len() && writes[*seen].start < end {
            if writes[*seen].end() > start {
                near.push(*seen);
            }
            *seen += 1;
        }
        if near.is_empty() {
            return None;
        }
        near.sort_by_key(|&at| writes[at].order);
        page.fill(0);
        for &at in near.iter() {
            let write = &writes[at];
            let (from, to) = (write.start.max(start), write.end().min(end));
            let bytes = &write.bytes[(from - write.start) as usize..(to - write.start) as usize];
            page[(from - start) as usize..(to - start) as usize].copy_from_slice(bytes);
        }
        Some(page)
    }
}
