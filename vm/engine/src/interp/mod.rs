//! The interpreter: records of icode, and handlers of which each calls the next one.
//!
//! What it asks of the rest of the engine (`vm.rs` and around it):
//!
//! ```text
//! #[repr(C)] struct Vm {                    one for each instance, never moves
//!     ip: *const u8, fp: *mut u64,          saved registers, complete at every exit
//!     acc: u64, budget: i64, facc: f64, vacc: [u64; 2],
//!     mem0: *mut u8, mem0_bytes: u64,       mirror of memory 0; mem0 dangling, 0 bytes if none
//!     stack_limit: *mut u64,                fp + frame of a callee must not lie above it
//!     functions: *const *mut FuncSlot,      by reference value; entry 0 is a slot whose `ty` is u32::MAX
//!     local_functions: *const *mut FuncSlot by function index of the module (imports first)
//!     tables: *const *mut TableView,        by table index of the module
//!     memories: *const *mut MemoryView,     by memory index of the module
//!     types: *const u32,                    canonical type id by type index of the module
//!     imported_globals: *const *mut u64,    cell of an imported global, by global index
//!     stop_word: *const AtomicU32, fuel: u64, payload: u64,
//!     .. own globals inline: 16-byte cells, `Vm::global_offset(index) -> u32` ..
//! }
//! #[repr(C)] struct FuncSlot {              one for each function of the store, never moves
//!     code: *const u8,                      icode entry; at first `interp::untranslated()`,
//!     vm: *mut Vm,                          for host functions `interp::host_stub()`, vm null
//!     ty: u32, index: u32,                  canonical type id; function index in its module
//!     reference: u32, ..                    its own reference value; kind, host function index
//! }
//! #[repr(C)] struct TableView { elements: *mut u32, len: u32 }
//! #[repr(C)] struct MemoryView { base: *mut u8, len_bytes: u64 }
//! ```
//!
//! - The value stack is 8-byte slots, 8-byte aligned, with 64 KiB of slack behind the limit.
//! - `signal::call(f: unsafe extern "sysv64" fn(*mut Vm) -> u64, vm) -> u64` runs the dispatch with
//!   a way out for faults: at a fault whose address is in section `brant_faults` (entries: i32
//!   distance) it stores rdi, rsi to the `ip`, `fp` of the `Vm` in rcx, and returns the exit code
//!   of an out-of-bounds trap. Exit codes below 256 are `Trap as u64`.
//! - Icode belongs to an instance (an arena in it), so records hold addresses of the store.
//!
//! What the driver (`interp/driver.rs`, coming) offers, and what it asks of the store:
//!
//! ```text
//! pub(crate) struct Icode;                    field of an instance: arena, map from addresses to
//!                                             functions; `Icode::default()`
//! pub(crate) fn untranslated() -> *const u8   for `FuncSlot::code` of guest functions; also for the
//!                                             host's, where it is never run
//! Vm needs one more field: call_bytes: u64    (size of the record of a call that left the instance)
//!
//! pub(crate) trait Services {                 implemented by the store
//!     fn instance(&mut self, vm: *mut Vm) -> (&Arc<ModuleInner>, &mut Icode);
//!     fn call_host(&mut self, slot: *mut FuncSlot, caller: *mut Vm, window: *mut u64)
//!         -> Result<Flow, HostError>;         arguments in the slots at `window` (v128: two),
//!                                             results go to the same slots; may call `driver::call`
//!                                             with a base above `window + max(params, results) + 2`
//!     fn operate(&mut self, vm: *mut Vm, operation: Operation, immediates: [u32; 2],
//!         operands: &mut [u64; 3]) -> Result<Done, Trap>;
//!                                             one chunk; operands in stack order, rewritten to the
//!                                             rest; a result in operands[0]; Done::{Yes, More}
//! }
//! pub(crate) enum End { Done, Trap(Trap), Host(HostError), Interrupted, OutOfFuel, Blocked,
//!                       Invalid(ModuleError) }
//! pub(crate) fn start(services, slot, base: *mut u64) -> *mut Vm    frame on `base`, where the
//!                                             arguments stand already; what to give to `run`
//! pub(crate) fn run(services: &mut dyn Services, vm: &mut *mut Vm) -> End
//!                                             from the state saved in `*vm` to the end; Interrupted,
//!                                             OutOfFuel, Blocked: run again with the same `vm`. After
//!                                             Done the results stand at `base`.
//! pub(crate) fn frames(vm) -> iterator of (*mut Vm, function index, bytecode offset in its body)
//! ```

#![allow(dead_code, reason = "some of it is for tools that are not there yet")]

pub mod access;
#[cfg(all(test, target_arch = "x86_64", dispatch = "tail", not(debug_assertions)))]
mod disassembly;
pub mod dispatch;
pub(crate) mod driver;
pub mod exit;
pub(crate) mod frames;
pub(crate) mod icode_map;
pub mod place;
pub mod regs;
pub mod step;
pub(crate) mod stubs;
