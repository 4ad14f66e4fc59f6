//! How a step reaches linear memory: by the guard, or by a check.
//!
//! An access by the guard is one machine instruction at a marked address. If it faults, the signal
//! handler finds the mark, takes `ip`, `fp` and `vm` from the registers that the mark promises them
//! in, and leaves the dispatch. Nothing relies on what LLVM makes of a faulting dereference.
//! The instructions are in twins, one for each kind of processor.

use brant_isa::Trap;
use brant_isa::eval::Env;
use brant_isa::machine::{MemArg, RmwOp};
use brant_isa::types::{Int, Scalar, V128};

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
    const OFFSET_AT: usize = at::WORD;
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
    const OFFSET_AT: usize = at::EXTRA;
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

    #[inline(always)]
    fn atomic_load<T: Int>(&self, _: MemArg, address: i32) -> Result<T, Trap> {
        // SAFETY: `reach` made sure of the bytes, and the body of the row of their alignment.
        Ok(T::from_bits(unsafe { atomic::load(self.reach(address, size_of::<T>())?, T::BITS) }))
    }

    #[inline(always)]
    fn atomic_store<T: Int>(&self, _: MemArg, address: i32, x: T) -> Result<(), Trap> {
        let place = self.reach(address, size_of::<T>())?;
        // SAFETY: as in `atomic_load`.
        unsafe { atomic::store(place, T::BITS, x.to_bits()) };
        Ok(())
    }

    #[inline(always)]
    fn atomic_rmw<T: Int>(&self, op: RmwOp, _: MemArg, address: i32, x: T) -> Result<T, Trap> {
        let place = self.reach(address, size_of::<T>())?;
        // SAFETY: as in `atomic_load`.
        Ok(T::from_bits(unsafe { atomic::rmw(op, place, T::BITS, x.to_bits()) }))
    }

    #[inline(always)]
    fn atomic_cas<T: Int>(&self, _: MemArg, address: i32, expected: T, x: T) -> Result<T, Trap> {
        let place = self.reach(address, size_of::<T>())?;
        // SAFETY: as in `atomic_load`.
        let old = unsafe { atomic::cas(place, T::BITS, expected.to_bits(), x.to_bits()) };
        Ok(T::from_bits(old))
    }
}

/// Accesses in one piece, of 8, 16, 32 or 64 bits, in the one order that all threads see.
pub(crate) mod atomic {
    use std::sync::atomic::Ordering::SeqCst;
    use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

    use brant_isa::machine::RmwOp;

    macro_rules! by_width {
        ($place:ident, $bits:ident, |$cell:ident, $int:ident| $do:expr) => {
            match $bits {
                8 => by_width!($place, AtomicU8, u8, |$cell, $int| $do),
                16 => by_width!($place, AtomicU16, u16, |$cell, $int| $do),
                32 => by_width!($place, AtomicU32, u32, |$cell, $int| $do),
                _ => by_width!($place, AtomicU64, u64, |$cell, $int| $do),
            }
        };
        ($place:ident, $atomic:ident, $ty:ident, |$cell:ident, $int:ident| $do:expr) => {{
            type $int = $ty;
            // SAFETY: by the contract of the function around.
            let $cell = unsafe { $atomic::from_ptr($place.cast()) };
            $do
        }};
    }

    /// # Safety
    /// `bits / 8` bytes at `place` are a guest's, and aligned; so in all of these.
    #[inline(always)]
    pub unsafe fn load(place: *mut u8, bits: u32) -> u64 {
        by_width!(place, bits, |cell, Int| Int::into(cell.load(SeqCst)))
    }

    #[inline(always)]
    pub unsafe fn store(place: *mut u8, bits: u32, x: u64) {
        by_width!(place, bits, |cell, Int| cell.store(x as Int, SeqCst));
    }

    #[inline(always)]
    pub unsafe fn rmw(op: RmwOp, place: *mut u8, bits: u32, x: u64) -> u64 {
        by_width!(place, bits, |cell, Int| {
            let x = x as Int;
            Int::into(match op {
                RmwOp::Add => cell.fetch_add(x, SeqCst),
                RmwOp::Sub => cell.fetch_sub(x, SeqCst),
                RmwOp::And => cell.fetch_and(x, SeqCst),
                RmwOp::Or => cell.fetch_or(x, SeqCst),
                RmwOp::Xor => cell.fetch_xor(x, SeqCst),
                RmwOp::Xchg => cell.swap(x, SeqCst),
            })
        })
    }

    #[inline(always)]
    pub unsafe fn cas(place: *mut u8, bits: u32, expected: u64, x: u64) -> u64 {
        by_width!(place, bits, |cell, Int| {
            let old = cell.compare_exchange(expected as Int, x as Int, SeqCst, SeqCst);
            Int::into(old.unwrap_or_else(|old| old))
        })
    }
}
