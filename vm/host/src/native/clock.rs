//! Clocks and random numbers of the system.

use brant_kernel::host::Clock;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, Timespec};

/// The time of `clock`, in nanoseconds.
pub(super) fn now_ns(clock: Clock) -> u64 {
    nanoseconds(rustix::time::clock_gettime(id(clock)))
}

/// The smallest step of `clock`, in nanoseconds.
pub(super) fn resolution_ns(clock: Clock) -> u64 {
    nanoseconds(rustix::time::clock_getres(id(clock))).max(1)
}

/// Fills `buffer` with random bytes.
pub(super) fn random(mut buffer: &mut [u8]) -> Result<(), Errno> {
    while !buffer.is_empty() {
        match getrandom(&mut *buffer, GetRandomFlags::empty()) {
            Ok(count) => buffer = &mut buffer[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A time of the system in nanoseconds; what lies before the start of the clock is its start.
pub(super) fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn id(clock: Clock) -> ClockId {
    match clock {
        Clock::Realtime => ClockId::Realtime,
        Clock::Monotonic => ClockId::Monotonic,
        Clock::ProcessCpu => ClockId::ProcessCPUTime,
        Clock::ThreadCpu => ClockId::ThreadCPUTime,
    }
}
