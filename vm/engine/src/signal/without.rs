//! No accesses are marked on this host: nothing of a guest faults.

use crate::vm::Vm;

/// Makes this host thread ready to run guests.
pub fn prepare_thread() {}

/// Runs the dispatch and gives the code of its exit.
///
/// # Safety
/// That of `dispatch`.
pub unsafe fn call(dispatch: unsafe extern "C" fn(*mut Vm) -> u64, vm: *mut Vm) -> u64 {
    // SAFETY: by the contract of this function.
    unsafe { dispatch(vm) }
}
