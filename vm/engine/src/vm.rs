//! What handlers see of an instance: one block of memory with a fixed layout.
//!
//! ```text
//! Vm          | saved registers | memory 0 | limits | arrays by index | counters |
//! own globals | 16-byte cells, from `Vm::GLOBALS_OFFSET` on                      |
//! entries     | what compiled code calls, by function index, see `native_offset` |
//! own types   | what an indirect call looks for, by type index, see `own_type_offset` |
//! elements    | where tables of fixed size have theirs, see `elements_offset`  |
//! ```
//!
//! Everything here stays where it is for as long as its store lives: icode holds addresses of it.
//! This file knows no store: it is the picture that `store/` keeps up to date.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::native::abi::{FLOAT_REGISTERS, INT_REGISTERS};

/// The block of an instance. Its own globals follow it.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Vm {
    /// Where the run goes on: complete at every exit, like the five registers behind it.
    pub ip: *const u8,
    /// The first parameter of the running frame.
    pub fp: *mut u64,
    /// The accumulator of integers and references.
    pub acc: u64,
    /// Calls and back edges until the driver wants control.
    pub budget: i64,
    /// The accumulator of floats.
    pub facc: f64,
    /// Why the dispatch returned, as a number.
    pub exit: u64,
    /// The accumulator of vectors.
    pub vacc: [u64; 2],
    /// What an exit tells the driver.
    pub payload: u64,
    /// The size of the record of a call that left the instance.
    pub call_bytes: u64,
    /// The address of the last fault, as the kernel gave it.
    pub fault_address: u64,
    /// The base of memory 0, dangling where there is none.
    pub mem0: *mut u8,
    /// The size of memory 0, 0 where there is none.
    pub mem0_bytes: u64,
    /// No frame may reach above this.
    pub stack_limit: *mut u64,
    /// Functions of the store by reference value. Entry 0 is a slot whose type no call has.
    pub functions: *const *mut FuncSlot,
    /// Functions by index of the module, imported ones first.
    pub local_functions: *const *mut FuncSlot,
    /// Tables by index of the module.
    pub tables: *const *mut TableView,
    /// Memories by index of the module.
    pub memories: *const *mut MemoryView,
    /// Canonical type ids by type index of the module.
    pub types: *const u32,
    /// Cells of all globals by index of the module, imported ones first.
    pub globals: *const *mut u64,
    /// [`STOP`] when the run shall stop, [`COUNT`] when it counts sites.
    pub stop_word: *const AtomicU32,
    /// Units of fuel that are left.
    pub fuel: u64,
    /// The index of the instance in its store.
    pub instance: u32,
    /// Compiled code compares its own block's address with this at loop headers: [`WAKE`] when it
    /// shall call `poll`, else 0.
    pub wake: AtomicU64,
    /// Compiled code compares its stack pointer with this at entries. [`STOP_LIMIT`] lets every
    /// entry trap.
    pub native_limit: AtomicU64,
    /// Where compiled functions have the results that do not fit in registers, 16 bytes for each
    /// result of the function, by its index.
    pub results: *mut u64,
    /// `fn()`, preserves every register: what a compiled loop calls when `wake` is set, and a block
    /// that costs more than `fuel`.
    pub poll: *const u8,
    /// `fn(&Vm, operation: i32, immediates: i32, i32, operands: i64, i64, i64) -> i64`: does what
    /// [`Operation`](crate::compile::Operation) says.
    pub operate: *const u8,
    /// What compiled code calls for functions of other instances and of the host: it finds the
    /// callee by the bytecode of the call.
    pub call_out: *const u8,
    /// What compiled code calls in place of the callee of a tail call, with its arguments; it then
    /// returns. Before, what it would call goes to `tail.code`, and the number of words on the stack to
    /// `tail.word_count`.
    pub tail_call: *const u8,
    /// The tail call that is on its way.
    pub tail: TailCall,
    /// The operand of the last indirect call.
    pub indirect_index: u32,
    /// `fn(to, from, count)`: moves bytes, which may overlap.
    pub copy: *const u8,
    /// `fn(to, byte: i32, count)`: fills bytes.
    pub fill: *const u8,
    /// After `poll`: where the state of the frame is to be stored before it returns; null to go on.
    pub record: *mut u64,
}

/// A call that begins when the frame in its place has returned.
#[derive(Debug)]
#[repr(C)]
pub struct TailCall {
    /// What is called: compiled code, or `Vm::call_out`.
    pub code: *const u8,
    /// Where it returns to.
    pub back: usize,
    /// Words that go on the stack.
    pub words: *const u64,
    /// How many of them: an even number.
    pub word_count: usize,
    /// Integer registers.
    pub ints: [u64; INT_REGISTERS],
    /// Float registers.
    pub floats: [[u64; 2]; FLOAT_REGISTERS],
}

/// Bit of the stop word: the run shall stop at its next site.
pub const STOP: u32 = 1;
/// Bit of the stop word: the run counts its sites.
pub const COUNT: u32 = 2;

/// Bit of the stop word: the run says where it is at its next site, and goes on.
pub const SAMPLE: u32 = 4;

/// More than any address.
pub const WAKE: u64 = u64::MAX;

/// A stack limit that no stack pointer is above, with room for the size of a frame to be added.
pub const STOP_LIMIT: u64 = 1 << 63;

impl Vm {
    /// Where the own globals begin.
    pub const GLOBALS_OFFSET: usize = size_of::<Self>();

    /// Whether the run shall stop.
    ///
    /// # Safety
    /// The block is that of an instance, whose store lives.
    pub unsafe fn is_stopped(&self) -> bool {
        // SAFETY: by the contract of this function.
        unsafe { (*self.stop_word).load(Ordering::Relaxed) & STOP != 0 }
    }

    /// Lets compiled code run down to `limit` on its stack; a stop that is asked for is seen at the
    /// next site all the same.
    ///
    /// # Safety
    /// As for `is_stopped`.
    pub unsafe fn arm(&self, limit: u64) {
        self.native_limit.store(limit, Ordering::SeqCst);
        self.wake.store(0, Ordering::SeqCst);
        // Who asks sets the word first and these two afterwards, so that no request is lost.
        // SAFETY: by the contract of this function.
        let word = unsafe { (*self.stop_word).load(Ordering::SeqCst) };
        if word != 0 {
            self.wake.store(WAKE, Ordering::SeqCst);
        }
        if word & STOP != 0 {
            self.native_limit.store(STOP_LIMIT, Ordering::SeqCst);
        }
    }

    /// Size of the cell of a global: a vector fits.
    pub const GLOBAL_BYTES: usize = 16;

    /// The offset of the native entry of function `index`, imported ones first, behind the cells of so
    /// many own globals: compiled code, or what leads to the interpreter, to another instance or to
    /// the host.
    pub const fn native_offset(globals_count: usize, index: usize) -> usize {
        Self::GLOBALS_OFFSET + globals_count * Self::GLOBAL_BYTES + 8 * index
    }

    /// The offset of type `index` of the module, behind the entries of so many functions, as functions
    /// of this very instance have it in their slots: [`FuncSlot::ty`] and [`FuncSlot::instance`] in
    /// one number.
    pub const fn own_type_offset(
        globals_count: usize, functions_count: usize, index: usize,
    ) -> usize {
        Self::native_offset(globals_count, functions_count + index)
    }

    /// The offset of the address of the elements of table `index`, imported ones first, behind so many
    /// types. Where a table can grow it is not kept.
    pub const fn elements_offset(
        globals_count: usize, functions_count: usize, types_count: usize, index: usize,
    ) -> usize {
        Self::own_type_offset(globals_count, functions_count, types_count + index)
    }

    /// The offset of the cell of own global `index`, imported ones not counted.
    pub const fn global_offset(index: u32) -> u32 {
        (Self::GLOBALS_OFFSET + index as usize * Self::GLOBAL_BYTES) as u32
    }
}

/// The type id that no function type has.
pub const NO_TYPE: u32 = u32::MAX;

/// What functions of the host have in place of an instance.
pub const NO_INSTANCE: u32 = u32::MAX;

/// What [`FuncSlot::ty`] and [`FuncSlot::instance`] are as one number.
pub const fn own_type(ty: u32, instance: u32) -> u64 {
    if cfg!(target_endian = "little") {
        (instance as u64) << 32 | ty as u64
    } else {
        (ty as u64) << 32 | instance as u64
    }
}

/// What a function's slot stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum FuncKind {
    /// A function of an instance.
    Guest,
    /// A function of the embedder.
    Host,
}

/// A function of the store.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct FuncSlot {
    /// The first record of its icode; a stub until it is translated, another stub for the host's.
    pub code: *const u8,
    /// The instance that it belongs to, null for the host's.
    pub vm: *mut Vm,
    /// Its canonical type id.
    pub ty: u32,
    /// The instance that it belongs to, by number, [`NO_INSTANCE`] for the host's. Read together with
    /// the type.
    pub instance: u32,
    /// Its index in its module; for the host's the index of the host function.
    pub index: u32,
    /// The value of references to it: its index among the functions of the store, never 0.
    pub reference: u32,
    /// The size of its frames, 0 until it is translated.
    pub frame_bytes: u32,
    /// Whose it is.
    pub kind: FuncKind,
    /// The first record of its icode; null until it is translated.
    pub icode: *const u8,
    /// What compiled code calls: compiled code, or what leads to the interpreter or to the host.
    pub native: *const u8,
}

/// What handlers see of a table.
#[derive(Debug)]
#[repr(C)]
pub struct TableView {
    /// References. Moves when the table grows.
    pub elements: *mut u32,
    /// How many there are.
    pub len: u32,
}

/// What handlers see of a memory.
#[derive(Debug)]
#[repr(C)]
pub struct MemoryView {
    /// The first byte. Never moves.
    pub base: *mut u8,
    /// How many bytes are accessible.
    pub len_bytes: u64,
    /// 1 if every access at a 32-bit address plus an offset below [`GUARD_BYTES`] either lies in
    /// the memory or faults, so that no check is needed; else 0.
    pub guarded: u32,
}

/// Reserved behind the 4 GiB that a 32-bit address reaches: accesses whose static offset is at
/// most this, less the access itself, need no check in a guarded memory.
pub const GUARD_BYTES: u64 = 32 << 20;
