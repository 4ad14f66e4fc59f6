//! The end of a process, signals to itself, giving way.

use brant_engine::GuestMemory;

use crate::errno::Errno;
use crate::kernel::{CallResult, Kernel, Stopped};

/// The process that was there first.
const FIRST_PID: u32 = 1;
/// No process has this number.
const NO_PID: u32 = 0;
/// Number of the last signal. Spec: `signal`.
const LAST_SIGNAL: u32 = 30;
/// Signals that do nothing where nobody handles them: none, chld, cont, urg, winch.
const IGNORED_SIGNALS: [u32; 5] = [0, 16, 17, 22, 27];

impl Kernel {
    /// `proc_exit(code)`: ends the process.
    ///
    /// Never returns. Spec: `proc_exit`.
    pub(crate) fn proc_exit(&mut self, _: &mut GuestMemory<'_>, code: u32) -> CallResult {
        Err(Stopped::Exit(code as i32))
    }

    /// `proc_raise(signal)`: does what the signal does by default: nothing, or the end with 128 and
    /// its number.
    ///
    /// Errors: inval for an unknown signal. Spec: `proc_raise`.
    pub(crate) fn proc_raise(&mut self, _: &mut GuestMemory<'_>, signal: u32) -> CallResult {
        match signal {
            signal if IGNORED_SIGNALS.contains(&signal) => Ok(()),
            signal if signal <= LAST_SIGNAL => Err(Stopped::Exit(128 + signal as i32)),
            _ => Err(Errno::Invalid.into()),
        }
    }

    /// `sched_yield()`: nobody else runs here, so there is nobody to give way to.
    ///
    /// Errors: none. Spec: `sched_yield`.
    pub(crate) fn sched_yield(&mut self, _: &mut GuestMemory<'_>) -> CallResult {
        Ok(())
    }

    /// `proc_id(pid)`: the number of the process.
    ///
    /// Errors: fault. Spec: WASIX, `proc_id`.
    pub(crate) fn proc_id(&mut self, memory: &mut GuestMemory<'_>, pid: u32) -> CallResult {
        Ok(memory.write_u32(pid.into(), FIRST_PID)?)
    }

    /// `proc_parent(pid, parent)`: the number of a process's parent.
    ///
    /// Errors: srch for a process that is not there, fault. Spec: WASIX, `proc_parent`.
    pub(crate) fn proc_parent(
        &mut self, memory: &mut GuestMemory<'_>, pid: u32, parent: u32,
    ) -> CallResult {
        if pid != FIRST_PID {
            return Err(Errno::NoProcess.into());
        }
        Ok(memory.write_u32(parent.into(), NO_PID)?)
    }
}
