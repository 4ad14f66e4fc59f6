//! What a frame waits for that stands at `memory.atomic.wait`, from its operands alone.
//!
//! A snapshot says that a thread waits, never where: its own bytecode and operands say that, so that
//! no enemy can have it wait elsewhere.

use std::sync::Arc;

use super::{FrameState, Slot};
use crate::icode::reader::Reader;
use crate::module::{Module, ModuleInner};
use crate::store::StoreInner;
use crate::store::bulk::check_aligned;

/// The first byte of atomic operators, and the numbers of those that wait.
const ATOMIC: u8 = 0xFE;
const WAIT32: u32 = 0x01;
const WAIT64: u32 = 0x02;

/// The bit of an alignment that says that the number of a memory follows.
const NAMES_MEMORY: u32 = 1 << 6;

/// A wait in front of which a frame stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WaitSite {
    /// The memory, by index of the store.
    pub memory: u32,
    /// The address of the cell, which lies in the memory.
    pub address: u64,
    /// How long it waits at most. None is for ever.
    pub timeout_ns: Option<u64>,
}

/// What the operands of a frame ask for, in its module's own numbers.
struct Asked {
    memory: u32,
    address: u64,
    cell_bytes: u64,
    timeout_ns: Option<u64>,
}

fn asked(module: &Arc<ModuleInner>, frame: &FrameState) -> Option<Asked> {
    let site = module.sites(frame.function)?.get(frame.site)?;
    let body = module.bytes.at(module.body_span(frame.function)?);
    let mut reader = Reader::new(body.get(site.offset as usize..)?);
    if reader.byte() != ATOMIC {
        return None;
    }
    let cell_bytes = match reader.index() {
        WAIT32 => 4,
        WAIT64 => 8,
        _ => return None,
    };
    let alignment = reader.index();
    let memory = if alignment & NAMES_MEMORY != 0 { reader.index() } else { 0 };
    let offset = reader.unsigned();
    let &[.., base, _, timeout] = &frame.operands[..] else { return None };
    let number = |slot: Slot| slot.bits as u64;
    let address = number(base).checked_add(offset)?;
    let timeout_ns = u64::try_from(number(timeout).cast_signed()).ok();
    Some(Asked { memory, address, cell_bytes, timeout_ns })
}

/// The wait in front of which a frame stands that `check` has accepted; none if it stands elsewhere,
/// or cannot wait there.
pub(crate) fn wait_site(store: &StoreInner, frame: &FrameState) -> Option<WaitSite> {
    let instance = store.instances.get(frame.instance as usize)?;
    let asked = asked(instance.module.inner(), frame)?;
    let memory = *instance.memories.get(asked.memory as usize)?;
    let len_bytes = store.memories[memory as usize].view.len_bytes;
    check_aligned(asked.address, asked.cell_bytes, len_bytes).ok()?;
    Some(WaitSite { memory, address: asked.address, timeout_ns: asked.timeout_ns })
}

impl Module {
    /// The memory of the module and the address at which a frame would wait; none if it does not
    /// stand in front of a wait. The frame may come from anywhere.
    pub fn wait_of(&self, frame: &FrameState) -> Option<(u32, u64)> {
        asked(self.inner(), frame).map(|asked| (asked.memory, asked.address))
    }
}
