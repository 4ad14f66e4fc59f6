//! How a step reaches linear memory: by the guard, or by a check.
//!
//! An access by the guard is one machine instruction at a marked address. If it faults, the signal
//! handler finds the mark, takes `ip`, `fp` and `vm` from the registers that the mark promises them
//! in, and leaves the dispatch. Nothing relies on what LLVM makes of a faulting dereference.
//! The instructions are in twins, one for each kind of processor.

use brant_isa::Trap;
use brant_isa::eval::Env;
use brant_isa::machine::MemArg;
use brant_isa::types::{Scalar, V128};

use crate::interp::regs::{RECORD_BYTES, Regs, at};
use crate::interp::step::operator::View;
use crate::vm::MemoryView;

#[cfg(guard_pages)]
#[cfg_attr(target_arch = "x86_64", path = "marked_x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "marked_aarch64.rs")]
mod marked;

/// Memory 0 behind its guard: no address needs a check.
#[cfg(guard_pages)]
#[derive(Clone, Copy)]
pub struct Guarded(Regs);

/// No memory has a guard on this host, and no code for such memories is chosen.
#[cfg(not(guard_pages))]
pub type Guarded = Checked;

#[cfg(guard_pages)]
impl View for Guarded {
    type Env = Self;
    const RECORD_BYTES: usize = RECORD_BYTES;
    #[inline(always)]
    unsafe fn of(regs: &Regs) -> Self {
        Self(*regs)
    }
}

/// Any memory, with a check for each access. The record names its view and a 64-bit offset.
#[derive(Clone, Copy)]
pub struct Checked {
    memory: *const MemoryView,
    offset: u64,
}

impl View for Checked {
    type Env = Self;
    const RECORD_BYTES: usize = RECORD_BYTES + 16;
    #[inline(always)]
    unsafe fn of(regs: &Regs) -> Self {
        // SAFETY: by the contract of `Regs`.
        unsafe { Self { offset: regs.operand(at::EXTRA), memory: regs.operand(at::EXTRA + 8) } }
    }
}

impl Checked {
    /// The address of `size` accessible bytes.
    #[inline(always)]
    fn reach(&self, address: i32, size: usize) -> Result<*mut u8, Trap> {
        // SAFETY: views of memories never move while their store lives.
        let memory = unsafe { &*self.memory };
        let first = u64::from(address as u32).checked_add(self.offset);
        let end = first.and_then(|first| first.checked_add(size as u64));
        match (first, end) {
            (Some(first), Some(end)) if end <= memory.len_bytes => {
                // SAFETY: the bytes lie in the memory.
                Ok(unsafe { memory.base.add(first as usize) })
            }
            _ => Err(Trap::OutOfBoundsMemoryAccess),
        }
    }
}

impl Env for Checked {
    #[inline(always)]
    fn load<T: Scalar>(&self, _: MemArg, address: i32) -> Result<T, Trap> {
        let bytes = self.reach(address, size_of::<T>())?;
        let mut bits = 0;
        // SAFETY: `reach` made sure of the bytes; a scalar has at most eight. Guest memory is plain
        // bytes, in little-endian order as the host's.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes, (&raw mut bits).cast::<u8>(), size_of::<T>());
        }
        Ok(T::from_bits(bits))
    }

    #[inline(always)]
    fn store<T: Scalar>(&self, _: MemArg, address: i32, x: T) -> Result<(), Trap> {
        let bytes = self.reach(address, size_of::<T>())?;
        let bits = x.to_bits();
        // SAFETY: as in `load`.
        unsafe {
            std::ptr::copy_nonoverlapping((&raw const bits).cast::<u8>(), bytes, size_of::<T>());
        }
        Ok(())
    }

    #[inline(always)]
    fn load_v128(&self, _: MemArg, address: i32) -> Result<V128, Trap> {
        let bytes = self.reach(address, 16)?;
        // SAFETY: `reach` made sure of the bytes.
        Ok(unsafe { bytes.cast::<V128>().read_unaligned() })
    }

    #[inline(always)]
    fn store_v128(&self, _: MemArg, address: i32, x: V128) -> Result<(), Trap> {
        let bytes = self.reach(address, 16)?;
        // SAFETY: `reach` made sure of the bytes.
        unsafe { bytes.cast::<V128>().write_unaligned(x) };
        Ok(())
    }
}
