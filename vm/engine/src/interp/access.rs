//! How a step reaches linear memory: by the guard, or by a check.
//!
//! An access by the guard is one machine instruction at a marked address. If it faults, the signal
//! handler finds the mark, takes `ip`, `fp` and `vm` from the registers that the mark promises them
//! in, and leaves the dispatch. Nothing relies on what LLVM makes of a faulting dereference.

use brant_isa::Trap;
use brant_isa::eval::Env;
use brant_isa::machine::{MemArg, RmwOp};
use brant_isa::types::{Int, Kind, Scalar, V128};

use crate::interp::regs::{RECORD_BYTES, Regs, at};
use crate::interp::step::operator::View;
use crate::vm::MemoryView;

/// Memory 0 behind its guard: no address needs a check.
#[derive(Clone, Copy)]
pub struct Guarded(Regs);

impl View for Guarded {
    type Env = Self;
    const RECORD_BYTES: usize = RECORD_BYTES;
    const OFFSET_AT: usize = at::WORD;
    #[inline(always)]
    unsafe fn of(regs: &Regs) -> Self {
        Self(*regs)
    }
}

/// One marked access. In section `brant_faults` stands the distance from the entry to the
/// instruction; `ip`, `fp` and `vm` are in rdi, rsi and rcx.
#[cfg(guard_pages)]
macro_rules! access {
    ($regs:expr, $address:expr, $instruction:literal, $($operand:tt)*) => {
        std::arch::asm!(
            concat!("2: ", $instruction),
            ".pushsection brant_faults, \"aR\"", ".long 2b - .", ".popsection",
            memory = in(reg) $regs.mem0,
            address = in(reg) $address,
            in("rdi") $regs.ip, in("rsi") $regs.fp, in("rcx") $regs.vm,
            $($operand)*
        )
    };
}

#[cfg(guard_pages)]
impl Env for Guarded {
    #[inline(always)]
    fn load<T: Scalar>(&self, at: MemArg, address: i32) -> Result<T, Trap> {
        let (regs, address) = (self.0, u64::from(address as u32) + u64::from(at.offset));
        let bits: u64;
        // SAFETY: `mem0` is reserved for 4 GiB and the guard, and the translator lets no larger
        // offset through; what is not accessible faults, and never comes back here.
        unsafe {
            match T::KIND {
                Kind::F64 => {
                    let x: f64;
                    access!(regs, address, "movsd {x}, qword ptr [{memory} + {address}]",
                        x = lateout(xmm_reg) x, options(nostack, readonly, preserves_flags));
                    bits = x.to_bits();
                }
                Kind::F32 => {
                    let x: f32;
                    access!(regs, address, "movss {x}, dword ptr [{memory} + {address}]",
                        x = lateout(xmm_reg) x, options(nostack, readonly, preserves_flags));
                    bits = u64::from(x.to_bits());
                }
                Kind::I64 => access!(regs, address, "mov {x}, qword ptr [{memory} + {address}]",
                    x = lateout(reg) bits, options(nostack, readonly, preserves_flags)),
                Kind::I32 => access!(regs, address, "mov {x:e}, dword ptr [{memory} + {address}]",
                    x = lateout(reg) bits, options(nostack, readonly, preserves_flags)),
                Kind::I16 => access!(regs, address, "movzx {x:e}, word ptr [{memory} + {address}]",
                    x = lateout(reg) bits, options(nostack, readonly, preserves_flags)),
                _ => access!(regs, address, "movzx {x:e}, byte ptr [{memory} + {address}]",
                    x = lateout(reg) bits, options(nostack, readonly, preserves_flags)),
            }
        }
        // SAFETY: narrow loads clear the rest of the register, which LLVM cannot know of `asm!`.
        unsafe { std::hint::assert_unchecked(bits <= T::from_bits(u64::MAX).to_bits()) };
        Ok(T::from_bits(bits))
    }

    #[inline(always)]
    fn store<T: Scalar>(&self, at: MemArg, address: i32, x: T) -> Result<(), Trap> {
        let (regs, address) = (self.0, u64::from(address as u32) + u64::from(at.offset));
        let bits = x.to_bits();
        // SAFETY: as in `load`.
        unsafe {
            match T::KIND {
                Kind::F64 => access!(regs, address, "movsd qword ptr [{memory} + {address}], {x}",
                    x = in(xmm_reg) f64::from_bits(bits), options(nostack, preserves_flags)),
                Kind::F32 => access!(regs, address, "movss dword ptr [{memory} + {address}], {x}",
                    x = in(xmm_reg) f32::from_bits(bits as u32), options(nostack, preserves_flags)),
                Kind::I64 => access!(regs, address, "mov qword ptr [{memory} + {address}], {x}",
                    x = in(reg) bits, options(nostack, preserves_flags)),
                Kind::I32 => access!(regs, address, "mov dword ptr [{memory} + {address}], {x:e}",
                    x = in(reg) bits, options(nostack, preserves_flags)),
                Kind::I16 => access!(regs, address, "mov word ptr [{memory} + {address}], {x:x}",
                    x = in(reg) bits, options(nostack, preserves_flags)),
                _ => access!(regs, address, "mov byte ptr [{memory} + {address}], {x}",
                    x = in(reg_byte) bits as u8, options(nostack, preserves_flags)),
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn load_v128(&self, at: MemArg, address: i32) -> Result<V128, Trap> {
        let (regs, address) = (self.0, u64::from(address as u32) + u64::from(at.offset));
        let x: crate::interp::regs::Vector;
        // SAFETY: as in `load`.
        unsafe {
            access!(regs, address, "movups {x}, xmmword ptr [{memory} + {address}]",
                x = lateout(xmm_reg) x, options(nostack, readonly, preserves_flags));
        }
        Ok(V128(x))
    }

    #[inline(always)]
    fn store_v128(&self, at: MemArg, address: i32, x: V128) -> Result<(), Trap> {
        let (regs, address) = (self.0, u64::from(address as u32) + u64::from(at.offset));
        // SAFETY: as in `load`.
        unsafe {
            access!(regs, address, "movups xmmword ptr [{memory} + {address}], {x}",
                x = in(xmm_reg) x.0, options(nostack, preserves_flags));
        }
        Ok(())
    }

    // Atomic accesses have the checked form alone: beside a locked instruction a check is nothing.

    fn atomic_load<T: Int>(&self, _: MemArg, _: i32) -> Result<T, Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }

    fn atomic_store<T: Int>(&self, _: MemArg, _: i32, _: T) -> Result<(), Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }

    fn atomic_rmw<T: Int>(&self, _: RmwOp, _: MemArg, _: i32, _: T) -> Result<T, Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
    }

    fn atomic_cas<T: Int>(&self, _: MemArg, _: i32, _: T, _: T) -> Result<T, Trap> {
        Err(Trap::OutOfBoundsMemoryAccess)
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
