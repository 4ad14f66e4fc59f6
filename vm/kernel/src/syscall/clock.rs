//! Clocks and random numbers.

use brant_engine::GuestMemory;

use crate::errno::Errno;
use crate::host::Clock;
use crate::kernel::{CallResult, Kernel};

/// How much is asked of the host at a time.
const RANDOM_CHUNK_BYTES: u64 = 64 << 10;

/// The clock of this number. Spec: `clockid`.
pub(super) fn clock(id: u32) -> Result<Clock, Errno> {
    match id {
        0 => Ok(Clock::Realtime),
        1 => Ok(Clock::Monotonic),
        2 => Ok(Clock::ProcessCpu),
        3 => Ok(Clock::ThreadCpu),
        _ => Err(Errno::Invalid),
    }
}

impl Kernel {
    /// `clock_res_get(id, resolution)`: the smallest step, in nanoseconds.
    ///
    /// Errors: inval for an unknown clock, notsup, fault. Spec: `clock_res_get`.
    pub(crate) fn clock_res_get(
        &mut self, memory: &mut GuestMemory<'_>, id: u32, resolution: u32,
    ) -> CallResult {
        let step_ns = self.host.resolution_ns(clock(id)?)?;
        Ok(memory.write_u64(u64::from(resolution), step_ns)?)
    }

    /// `clock_time_get(id, precision, time)`: the time, in nanoseconds. The precision is a hint
    /// that needs no heed: reading a clock is cheap.
    ///
    /// Errors: inval for an unknown clock, notsup, fault. Spec: `clock_time_get`.
    pub(crate) fn clock_time_get(
        &mut self, memory: &mut GuestMemory<'_>, id: u32, _precision: u64, time: u32,
    ) -> CallResult {
        let now_ns = self.now_ns(clock(id)?)?;
        Ok(memory.write_u64(u64::from(time), now_ns)?)
    }

    /// `random_get(buf, buf_len)`: random bytes, in chunks, so that no buffer is as large as the
    /// guest says.
    ///
    /// Errors: fault, io. Spec: `random_get`.
    pub(crate) fn random_get(
        &mut self, memory: &mut GuestMemory<'_>, buf: u32, buf_len: u32,
    ) -> CallResult {
        let bytes = memory.slice_mut(u64::from(buf), u64::from(buf_len))?;
        for chunk in bytes.chunks_mut(RANDOM_CHUNK_BYTES as usize) {
            self.host.random(chunk)?;
        }
        Ok(())
    }
}
