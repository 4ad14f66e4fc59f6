//! Entries, ends, stubs, fuel, and the door to the driver.

use std::marker::PhantomData;

use brant_isa::Trap;

use crate::interp::dispatch::{Flow, Handler, Step, handler};
use crate::interp::exit::Exit;
use crate::interp::place::Dest;
use crate::interp::regs::{RECORD_BYTES, Regs, at};
use crate::vm::{MemoryView, TableView};

/// Sets `at::C` pairs of slots from slot `at::A` on to zero: a function's own locals.
///
/// Pairs, because 16 bytes take one store; an odd last slot is an operand's, unused as yet, and
/// frames have a slot to spare.
pub struct ZeroLocals;
impl Step for ZeroLocals {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let mut pair = regs.slot(at::A).cast::<[u64; 2]>();
            let end = pair.add(regs.operand::<u32>(at::WORD) as usize);
            // Volatile: a loop of two instructions, not a call of `memset`.
            while pair < end {
                pair.cast::<u64>().write_volatile(0);
                pair.cast::<u64>().add(1).write_volatile(0);
                pair = pair.add(1);
            }
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}

/// `atomic.fence`.
pub struct Fence;
impl Step for Fence {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        // SAFETY: by the contract of `Regs`.
        unsafe { regs.advance(RECORD_BYTES) };
        Flow::Go
    }
}

/// The same for exactly `PAIRS` pairs: so many stores and nothing else.
pub struct ZeroPairs<const PAIRS: usize>;
impl<const PAIRS: usize> Step for ZeroPairs<PAIRS> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: as in `ZeroLocals`.
        unsafe {
            *regs.slot(at::A).cast::<[[u64; 2]; PAIRS]>() = [[0; 2]; PAIRS];
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}

/// What zeroes so many pairs of locals.
pub fn zero_locals(pairs: u32) -> Handler {
    const FEW: [Handler; 16] = [
        handler::<ZeroPairs<1>>(),
        handler::<ZeroPairs<2>>(),
        handler::<ZeroPairs<3>>(),
        handler::<ZeroPairs<4>>(),
        handler::<ZeroPairs<5>>(),
        handler::<ZeroPairs<6>>(),
        handler::<ZeroPairs<7>>(),
        handler::<ZeroPairs<8>>(),
        handler::<ZeroPairs<9>>(),
        handler::<ZeroPairs<10>>(),
        handler::<ZeroPairs<11>>(),
        handler::<ZeroPairs<12>>(),
        handler::<ZeroPairs<13>>(),
        handler::<ZeroPairs<14>>(),
        handler::<ZeroPairs<15>>(),
        handler::<ZeroPairs<16>>(),
    ];
    match FEW.get((pairs as usize).wrapping_sub(1)) {
        Some(&few) => few,
        None => handler::<ZeroLocals>(),
    }
}

/// `unreachable`, and the end of paths that validation excludes.
pub struct Unreachable;
impl Step for Unreachable {
    #[inline(always)]
    unsafe fn step(_: &mut Regs) -> Flow {
        Flow::Stop(Exit::Trap(Trap::Unreachable))
    }
}

/// The body of a function whose frame is larger than records can name.
pub struct FrameTooLarge;
impl Step for FrameTooLarge {
    #[inline(always)]
    unsafe fn step(_: &mut Regs) -> Flow {
        Flow::Stop(Exit::Trap(Trap::CallStackExhausted))
    }
}

/// `table.get`: the index from slot `at::A`.
pub struct TableGet<D>(PhantomData<D>);
impl<D: Dest> Step for TableGet<D> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`; views of tables never move.
        unsafe {
            let table: *const TableView = regs.operand(at::EXTRA);
            let index = *regs.slot(at::A) as u32;
            if index >= (*table).len {
                return Flow::Stop(Exit::Trap(Trap::OutOfBoundsTableAccess));
            }
            D::write(regs, (*table).elements.add(index as usize).read() as i32);
            regs.advance(RECORD_BYTES + 8);
        }
        Flow::Go
    }
}

/// `table.set`: the index from slot `at::A`, the reference from slot `at::B`.
pub struct TableSet;
impl Step for TableSet {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`; views of tables never move.
        unsafe {
            let table: *const TableView = regs.operand(at::EXTRA);
            let index = *regs.slot(at::A) as u32;
            if index >= (*table).len {
                return Flow::Stop(Exit::Trap(Trap::OutOfBoundsTableAccess));
            }
            (*table).elements.add(index as usize).write(*regs.slot(at::B) as u32);
            regs.advance(RECORD_BYTES + 8);
        }
        Flow::Go
    }
}

/// `table.size`.
pub struct TableSize<D>(PhantomData<D>);
impl<D: Dest> Step for TableSize<D> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`; views of tables never move.
        unsafe {
            let table: *const TableView = regs.operand(at::EXTRA);
            D::write(regs, (*table).len as i32);
            regs.advance(RECORD_BYTES + 8);
        }
        Flow::Go
    }
}

/// `memory.size`, in pages of 64 KiB.
pub struct MemorySize<D>(PhantomData<D>);
impl<D: Dest> Step for MemorySize<D> {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`; views of memories never move.
        unsafe {
            let memory: *const MemoryView = regs.operand(at::EXTRA);
            D::write(regs, ((*memory).len_bytes >> 16) as i32);
            regs.advance(RECORD_BYTES + 8);
        }
        Flow::Go
    }
}

macro_rules! stops {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name;
        impl Step for $name {
            #[inline(always)]
            unsafe fn step(_: &mut Regs) -> Flow {
                Flow::Stop(Exit::$name)
            }
        }
    )*};
}
stops! {
    /// An operation that the driver does: memory.grow, bulk memory and tables.
    Runtime;
    /// The return address of the outermost frame.
    Done;
    /// The return address of a call that came from another instance.
    SwitchBack;
    /// The code of a function that has none yet.
    Translate;
    /// The code of a function that is compiled.
    Native;
}

/// Takes `at::WORD` units of fuel, or stops before the block that they are for.
pub struct Fuel;
impl Step for Fuel {
    #[inline(always)]
    unsafe fn step(regs: &mut Regs) -> Flow {
        // SAFETY: by the contract of `Regs`.
        unsafe {
            let price = u64::from(regs.operand::<u32>(at::WORD));
            let Some(rest) = (*regs.vm).fuel.checked_sub(price) else {
                return Flow::Stop(Exit::OutOfFuel);
            };
            (*regs.vm).fuel = rest;
            regs.advance(RECORD_BYTES);
        }
        Flow::Go
    }
}
