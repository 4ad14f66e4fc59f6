//! Which access it was that trapped.
//!
//! Cranelift lets a load melt into the instruction that uses what it loads, and then the location
//! of the code is the user's: of `i32.load i32.add`, one instruction with the place of the addition.
//! What the optimiser makes of a user has no location at all.
//! So an access tells by its trap code who it is, as far as the codes go round: a load melts only
//! into a user with no other access between them, so that it is the last one before the location
//! with this code. The optimiser sees bodies that are too small for codes to come twice, but for
//! loops that are unrolled: there the last one of all is taken.

use brant_isa::Trap;
use cranelift_codegen::ir::TrapCode;

/// The codes of accesses to memories, which go round; all plain traps are below them.
const MEMORY: std::ops::Range<u8> = 32..224;

/// The codes of accesses to tables by the guest; of what Cranelift keeps, the first is above them.
const TABLE: std::ops::Range<u8> = MEMORY.end..250;

/// The accesses of a function, in the order in which they were translated.
#[derive(Debug, Default)]
pub struct Accesses {
    memory: Vec<Access>,
    table: Vec<Access>,
}

/// The code of an access, and the offset of its operator.
type Access = (u8, u32);

impl Accesses {
    /// The trap code of an access to a memory by the operator at `offset`.
    pub fn memory(&mut self, offset: u32) -> TrapCode {
        note(&mut self.memory, MEMORY, offset)
    }

    /// The trap code of an access to a table by the operator at `offset`.
    pub fn table(&mut self, offset: u32) -> TrapCode {
        note(&mut self.table, TABLE, offset)
    }

    /// All of them, to be asked.
    pub fn sorted(self) -> Sorted {
        let mut accesses = self.memory;
        accesses.extend(self.table);
        accesses.sort_unstable();
        Sorted { accesses }
    }
}

fn note(accesses: &mut Vec<Access>, codes: std::ops::Range<u8>, offset: u32) -> TrapCode {
    let code = codes.start + (accesses.len() % codes.len()) as u8;
    accesses.push((code, offset));
    TrapCode::unwrap_user(code)
}

/// The accesses of a function that is translated.
#[derive(Debug)]
pub struct Sorted {
    accesses: Vec<Access>,
}

impl Sorted {
    /// What an access with this code traps with, and where its operator is, if the code is of one.
    /// `location` is that of its code, where it has one.
    pub fn trap(&self, code: TrapCode, location: Option<u32>) -> Option<(Trap, u32)> {
        let code = code.as_raw().get();
        let trap = match code {
            _ if MEMORY.contains(&code) => Trap::OutOfBoundsMemoryAccess,
            _ if TABLE.contains(&code) => Trap::OutOfBoundsTableAccess,
            _ => return None,
        };
        let last = (code, location.unwrap_or(u32::MAX));
        let behind = self.accesses.partition_point(|&access| access <= last);
        let found = behind.checked_sub(1).and_then(|at| self.accesses.get(at));
        let found = found.filter(|access| access.0 == code);
        debug_assert!(found.is_some(), "every access was noted");
        Some((trap, found.map_or(0, |access| access.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::trap_code;

    #[test]
    fn an_access_is_the_last_one_of_its_code_before_the_location() {
        let mut accesses = Accesses::default();
        let codes: Vec<TrapCode> = (0..400).map(|i| accesses.memory(i * 3)).collect();
        let element = accesses.table(7);
        assert_eq!(codes[0], codes[MEMORY.len()]);
        let sorted = accesses.sorted();
        let memory = |offset| Some((Trap::OutOfBoundsMemoryAccess, offset));
        assert_eq!(sorted.trap(codes[5], Some(15)), memory(15));
        assert_eq!(sorted.trap(codes[5], Some(500)), memory(15));
        assert_eq!(sorted.trap(codes[197], Some(591)), memory(591));
        assert_eq!(sorted.trap(codes[100], None), memory(876));
        assert_eq!(sorted.trap(element, Some(9)), Some((Trap::OutOfBoundsTableAccess, 7)));
    }

    #[test]
    fn no_other_trap_looks_like_an_access() {
        let sorted = Accesses::default().sorted();
        for &trap in Trap::ALL {
            assert_eq!(sorted.trap(trap_code(trap), Some(0)), None, "{trap:?}");
        }
        assert_eq!(sorted.trap(TrapCode::STACK_OVERFLOW, Some(0)), None);
        assert_eq!(sorted.trap(TrapCode::HEAP_OUT_OF_BOUNDS, Some(0)), None);
    }
}
