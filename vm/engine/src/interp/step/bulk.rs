//! Short copies and fills inside memory 0, which need no driver.
//!
//! A copy of a few bytes is what compilers make of an assignment of a struct. Leaving the dispatch
//! for it costs more than ten times the copy. Whatever is long, out of bounds or about another memory
//! goes to the driver as before: the record is that of `Runtime`, and nothing was done yet.

use crate::interp::dispatch::{Flow, Step};
use crate::interp::exit::Exit;
use crate::interp::regs::{RECORD_BYTES, Regs, at};

/// Longer operations are the driver's, which looks at the stop word between chunks. With this bound
/// a budget of 1024 turns moves 4 MiB at most.
const SHORT_BYTES: u64 = 4 << 10;

/// The operands in slots from `at::B` on, if the operation is short and `places` of them, the first
/// ones, lie in memory 0 with all their bytes.
///
/// # Safety
/// See [`Regs`]; three slots from `at::B` on lie in the frame.
#[inline(always)]
unsafe fn operands<const PLACES: usize>(regs: &Regs) -> Option<[u64; 3]> {
    // SAFETY: by the contract of this function.
    unsafe {
        let operands = *regs.slot(at::B).cast::<[u64; 3]>();
        let count = operands[2];
        let inside = |place: &u64| place.saturating_add(count) <= (*regs.vm).mem0_bytes;
        (count <= SHORT_BYTES && operands[..PLACES].iter().all(inside)).then_some(operands)
    }
}

/// `memory.copy`.
pub struct ShortCopy;
impl Step for ShortCopy {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`; both ranges lie in memory 0, which is plain bytes.
        unsafe {
            let Some([to, from, count]) = operands::<2>(regs) else {
                return Flow::Stop(Exit::Runtime);
            };
            let (to, from) = (regs.mem0.add(to as usize), regs.mem0.add(from as usize));
            std::ptr::copy(from, to, count as usize);
            regs.advance(RECORD_BYTES + 8);
        }
        Flow::Go
    }
}

/// `memory.fill`.
pub struct ShortFill;
impl Step for ShortFill {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: as in `ShortCopy`.
        unsafe {
            let Some([to, value, count]) = operands::<1>(regs) else {
                return Flow::Stop(Exit::Runtime);
            };
            std::ptr::write_bytes(regs.mem0.add(to as usize), value as u8, count as usize);
            regs.advance(RECORD_BYTES + 8);
        }
        Flow::Go
    }
}
