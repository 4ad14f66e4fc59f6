//! The interpreter's registers, and how a handler reaches its operands.

use crate::vm::Vm;

pub use brant_isa::types::Vector;

/// A step's operands and results: the state of a guest thread between two records.
///
/// In the `tail` dispatch all fields are in machine registers from one handler to the next.
/// The contract of everything that is called with `Regs`, "see `Regs`" below:
///
/// - `ip` points to a record that the translator wrote for the step that runs; the operands in it
///   have the form which that step reads.
/// - `fp` points to the frame of the function that the record belongs to. The driver has made sure
///   that the whole frame lies in the value stack; every slot index of the record lies in it.
/// - `vm` is the instance that the function belongs to, valid and used by nobody else meanwhile.
/// - `mem0` is the base of its memory 0, whose address never changes.
#[derive(Clone, Copy)]
pub struct Regs {
    /// The current record.
    pub ip: *const u8,
    /// The first parameter of the current frame.
    pub fp: *mut u64,
    /// Integers and references. An i32 is zero-extended.
    pub acc: u64,
    /// The instance.
    pub vm: *mut Vm,
    /// Memory 0.
    pub mem0: *mut u8,
    /// Calls and back edges until the driver wants control.
    pub budget: i64,
    /// Floats. An f32 is in the low half, the other half means nothing.
    pub facc: f64,
    /// Vectors.
    pub vacc: Vector,
}

/// Where operands lie in a record: byte offsets. The handler's address comes first.
pub mod at {
    /// First u16 field.
    pub const A: usize = 8;
    /// Second u16 field.
    pub const B: usize = 10;
    /// Third u16 field, also the low half of a 32-bit one.
    pub const C: usize = 12;
    /// Fourth u16 field.
    pub const D: usize = 14;
    /// A 32-bit immediate, memory offset or displacement.
    pub const WORD: usize = 12;
    /// What longer records carry behind the first 16 bytes.
    pub const EXTRA: usize = 16;
}

/// Size of most records.
pub const RECORD_BYTES: usize = 16;

impl Regs {
    /// The operand at byte `at` of the record.
    ///
    /// # Safety
    /// See `Regs`.
    #[inline(always)]
    pub unsafe fn operand<T: Copy>(&self, at: usize) -> T {
        // SAFETY: by the contract of `Regs`, the record has this operand. Records are aligned to 8
        // bytes and operands lie at multiples of their size.
        unsafe { self.ip.add(at).cast::<T>().read() }
    }

    /// The frame's slot whose index is the u16 at byte `at` of the record.
    ///
    /// # Safety
    /// See `Regs`.
    #[inline(always)]
    pub unsafe fn slot(&self, at: usize) -> *mut u64 {
        // SAFETY: by the contract of `Regs`, the slot lies in the frame.
        unsafe { self.fp.add(self.operand::<u16>(at) as usize) }
    }

    /// Goes past a record of `bytes` bytes.
    ///
    /// # Safety
    /// See `Regs`; the record has this size and does not end the function.
    #[inline(always)]
    pub unsafe fn advance(&mut self, bytes: usize) {
        // SAFETY: the translator ends each function with a record that does not go on behind itself.
        self.ip = unsafe { self.ip.add(bytes) };
    }

    /// Jumps by the displacement at `at::WORD`, counted from the start of the record.
    ///
    /// # Safety
    /// See `Regs`.
    #[inline(always)]
    pub unsafe fn jump(&mut self) {
        // SAFETY: displacements lead to records of the same function.
        self.ip = unsafe { self.ip.offset(self.operand::<i32>(at::WORD) as isize) };
    }

    /// Keeps everything in the `Vm`, so that a run can go on from there.
    ///
    /// # Safety
    /// See `Regs`.
    #[inline(always)]
    pub unsafe fn save(&self) {
        // SAFETY: by the contract of `Regs`, `vm` is ours.
        let vm = unsafe { &mut *self.vm };
        vm.ip = self.ip;
        vm.fp = self.fp;
        vm.acc = self.acc;
        vm.budget = self.budget;
        vm.facc = self.facc;
        // SAFETY: both types are 16 plain bytes.
        vm.vacc = unsafe { std::mem::transmute::<Vector, [u64; 2]>(self.vacc) };
    }

    /// What `save` kept.
    ///
    /// # Safety
    /// `vm` is valid, and its saved `ip` and `fp` satisfy the contract of `Regs`.
    #[inline(always)]
    pub unsafe fn restore(vm: *mut Vm) -> Self {
        // SAFETY: by the contract of this function.
        let state = unsafe { &*vm };
        Self {
            ip: state.ip,
            fp: state.fp,
            acc: state.acc,
            vm,
            mem0: state.mem0,
            budget: state.budget,
            facc: state.facc,
            // SAFETY: both types are 16 plain bytes.
            vacc: unsafe { std::mem::transmute::<[u64; 2], Vector>(state.vacc) },
        }
    }
}
