//! Marked accesses of handlers, for aarch64: one instruction each.

use std::arch::asm;

use brant_isa::Trap;
use brant_isa::eval::Env;
use brant_isa::machine::MemArg;
use brant_isa::types::{Kind, Scalar, V128};

use super::Guarded;
use crate::interp::regs::Vector;

/// One marked access. In section `brant_faults` stands the distance from the entry to the
/// instruction; `ip`, `fp` and `vm` are in x0, x1 and x3.
macro_rules! access {
    ($regs:expr, $address:expr, $instruction:literal, $($operand:tt)*) => {
        asm!(
            concat!("2: ", $instruction),
            ".pushsection brant_faults, \"aR\"", ".long 2b - .", ".popsection",
            memory = in(reg) $regs.mem0,
            address = in(reg) $address,
            in("x0") $regs.ip, in("x1") $regs.fp, in("x3") $regs.vm,
            $($operand)*
        )
    };
}

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
                    access!(regs, address, "ldr {x:d}, [{memory}, {address}]",
                        x = lateout(vreg) x, options(nostack, readonly, preserves_flags));
                    bits = x.to_bits();
                }
                Kind::F32 => {
                    let x: f32;
                    access!(regs, address, "ldr {x:s}, [{memory}, {address}]",
                        x = lateout(vreg) x, options(nostack, readonly, preserves_flags));
                    bits = u64::from(x.to_bits());
                }
                Kind::I64 => access!(regs, address, "ldr {x}, [{memory}, {address}]",
                    x = lateout(reg) bits, options(nostack, readonly, preserves_flags)),
                Kind::I32 => access!(regs, address, "ldr {x:w}, [{memory}, {address}]",
                    x = lateout(reg) bits, options(nostack, readonly, preserves_flags)),
                Kind::I16 => access!(regs, address, "ldrh {x:w}, [{memory}, {address}]",
                    x = lateout(reg) bits, options(nostack, readonly, preserves_flags)),
                _ => access!(regs, address, "ldrb {x:w}, [{memory}, {address}]",
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
                Kind::F64 => access!(regs, address, "str {x:d}, [{memory}, {address}]",
                    x = in(vreg) f64::from_bits(bits), options(nostack, preserves_flags)),
                Kind::F32 => access!(regs, address, "str {x:s}, [{memory}, {address}]",
                    x = in(vreg) f32::from_bits(bits as u32), options(nostack, preserves_flags)),
                Kind::I64 => access!(regs, address, "str {x}, [{memory}, {address}]",
                    x = in(reg) bits, options(nostack, preserves_flags)),
                Kind::I32 => access!(regs, address, "str {x:w}, [{memory}, {address}]",
                    x = in(reg) bits, options(nostack, preserves_flags)),
                Kind::I16 => access!(regs, address, "strh {x:w}, [{memory}, {address}]",
                    x = in(reg) bits, options(nostack, preserves_flags)),
                _ => access!(regs, address, "strb {x:w}, [{memory}, {address}]",
                    x = in(reg) bits, options(nostack, preserves_flags)),
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn load_v128(&self, at: MemArg, address: i32) -> Result<V128, Trap> {
        let (regs, address) = (self.0, u64::from(address as u32) + u64::from(at.offset));
        let x: Vector;
        // SAFETY: as in `load`.
        unsafe {
            access!(regs, address, "ldr {x:q}, [{memory}, {address}]",
                x = lateout(vreg) x, options(nostack, readonly, preserves_flags));
        }
        Ok(V128(x))
    }

    #[inline(always)]
    fn store_v128(&self, at: MemArg, address: i32, x: V128) -> Result<(), Trap> {
        let (regs, address) = (self.0, u64::from(address as u32) + u64::from(at.offset));
        // SAFETY: as in `load`.
        unsafe {
            access!(regs, address, "str {x:q}, [{memory}, {address}]",
                x = in(vreg) x.0, options(nostack, preserves_flags));
        }
        Ok(())
    }
}
