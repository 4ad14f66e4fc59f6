//! Waiting for several things at once.
//!
//! ```text
//! subscription   0         8     16                                     event   0         8      10    16     24
//!                userdata  tag   clock: id, 24 timeout, 32 .., 40 flags         userdata  error  type  bytes  flags
//!                                fd: number
//! ```

use brant_engine::GuestMemory;

use crate::descriptor::{Descriptor, Object};
use crate::errno::Errno;
use crate::host::{Clock, Direction, Handle, Interest};
use crate::kernel::{CallResult, Kernel, Stopped, Wait};
use crate::rights::Rights;
use crate::syscall::Syscall;
use crate::syscall::clock::clock;

const SUBSCRIPTION_BYTES: u64 = 48;
const EVENT_BYTES: u64 = 32;
/// More at a time are an error: nobody has as many descriptors.
const MOST_SUBSCRIPTIONS: u32 = 4096;
/// Flag of an event: the other end is gone.
const HANG_UP: u16 = 1;

/// What a subscription asks for.
enum Wanted {
    /// The time has come, on the monotonic clock.
    Until(u64),
    /// An object can go on.
    Object(Handle, Direction),
    /// It can go on at once: bytes that can be read or written.
    Now(u64),
    /// It cannot be asked for.
    Wrong(Errno),
}

struct Subscription {
    userdata: u64,
    tag: u8,
    wanted: Wanted,
}

struct Event {
    error: Errno,
    bytes: u64,
    flags: u16,
}

impl Kernel {
    /// `poll_oneoff(in, out, nsubscriptions, nevents)`: waits until at least one subscription has
    /// something to say, and writes an event for each that has.
    ///
    /// Relative times count from the first try, however often the call is made again.
    ///
    /// Errors: inval for none or more than 4096 subscriptions, fault; errors of one subscription
    /// stand in its event. Spec: `poll_oneoff`.
    pub(crate) fn poll_oneoff(
        &mut self, memory: &mut GuestMemory<'_>, subscriptions: u32, events: u32, count: u32,
        nevents: u32,
    ) -> CallResult {
        if count == 0 || count > MOST_SUBSCRIPTIONS {
            return Err(Errno::Invalid.into());
        }
        memory.slice(u64::from(subscriptions), u64::from(count) * SUBSCRIPTION_BYTES)?;
        memory.slice(u64::from(events), u64::from(count) * EVENT_BYTES)?;
        memory.slice(u64::from(nevents), 4)?;
        let began_ns = match self.parked(Syscall::PollOneoff) {
            Some(parked) => parked.began_ns,
            None => self.now_ns(Clock::Monotonic)?,
        };
        let mut wanted = Vec::with_capacity(count as usize);
        for index in 0..u64::from(count) {
            let at = u64::from(subscriptions) + index * SUBSCRIPTION_BYTES;
            wanted.push(self.subscription(memory, at, began_ns)?);
        }
        let found = self.find_events(&wanted)?;
        let mut written = 0;
        for (subscription, event) in wanted.iter().zip(&found) {
            let Some(event) = event else { continue };
            let mut bytes = [0; EVENT_BYTES as usize];
            bytes[0..8].copy_from_slice(&subscription.userdata.to_le_bytes());
            bytes[8..10].copy_from_slice(&event.error.code().to_le_bytes());
            bytes[10] = subscription.tag;
            bytes[16..24].copy_from_slice(&event.bytes.to_le_bytes());
            bytes[24..26].copy_from_slice(&event.flags.to_le_bytes());
            memory.write(u64::from(events) + written * EVENT_BYTES, &bytes)?;
            written += 1;
        }
        Ok(memory.write_u32(u64::from(nevents), written as u32)?)
    }

    fn subscription(
        &mut self, memory: &GuestMemory<'_>, at: u64, began_ns: u64,
    ) -> Result<Subscription, Stopped> {
        let userdata = memory.read_u64(at)?;
        let tag = memory.read_u8(at + 8)?;
        let wanted = match tag {
            0 => {
                let (id, timeout_ns) = (memory.read_u32(at + 16)?, memory.read_u64(at + 24)?);
                self.clock_wanted(id, timeout_ns, memory.read_u16(at + 40)?, began_ns)
            }
            1 | 2 => self.object_wanted(memory.read_u32(at + 16)?, tag),
            _ => return Err(Errno::Invalid.into()),
        };
        Ok(Subscription { userdata, tag, wanted })
    }

    fn clock_wanted(&mut self, id: u32, timeout_ns: u64, flags: u16, began_ns: u64) -> Wanted {
        let id = match clock(id) {
            // CPU time does not pass while one waits.
            Ok(Clock::ProcessCpu | Clock::ThreadCpu) => return Wanted::Wrong(Errno::NotSupported),
            Ok(id) => id,
            Err(errno) => return Wanted::Wrong(errno),
        };
        match (flags, id) {
            (0, _) => Wanted::Until(began_ns.saturating_add(timeout_ns)),
            (1, Clock::Monotonic) => Wanted::Until(timeout_ns),
            // The wall clock may jump: how long it still is counts from now.
            (1, _) => match (self.now_ns(id), self.now_ns(Clock::Monotonic)) {
                (Ok(wall_ns), Ok(now_ns)) => {
                    Wanted::Until(now_ns.saturating_add(timeout_ns.saturating_sub(wall_ns)))
                }
                (Err(errno), _) | (_, Err(errno)) => Wanted::Wrong(errno),
            },
            _ => Wanted::Wrong(Errno::Invalid),
        }
    }

    fn object_wanted(&mut self, fd: u32, tag: u8) -> Wanted {
        let (needed, direction) = match tag {
            1 => (Rights::FD_READ, Direction::Read),
            _ => (Rights::FD_WRITE, Direction::Write),
        };
        let descriptor = match self.descriptors.with_rights(fd, Rights::POLL_FD_READWRITE) {
            Ok(descriptor) => descriptor,
            Err(errno) => return Wanted::Wrong(errno),
        };
        let Descriptor { handle, object, rights, .. } = *descriptor;
        let offset = descriptor.offset();
        if object != Object::Listener && !rights.contains(needed) {
            return Wanted::Wrong(Errno::NotCapable);
        }
        match (object, direction) {
            (Object::File, Direction::Read) => match self.host.stat(handle) {
                Ok(stat) => Wanted::Now(stat.size_bytes.saturating_sub(offset)),
                Err(errno) => Wanted::Wrong(errno),
            },
            (Object::File, Direction::Write) => Wanted::Now(1),
            (Object::Directory, _) => Wanted::Wrong(Errno::IsDirectory),
            _ => Wanted::Object(handle, direction),
        }
    }

    /// An event for each subscription that has one; a wait if none has.
    fn find_events(&mut self, wanted: &[Subscription]) -> Result<Vec<Option<Event>>, Stopped> {
        let plain = |bytes| Event { error: Errno::Success, bytes, flags: 0 };
        let now_ns = self.now_ns(Clock::Monotonic)?;
        let mut interests: Vec<Interest> = Vec::new();
        let mut earliest_ns = None;
        for subscription in wanted {
            match subscription.wanted {
                Wanted::Object(object, direction) => {
                    interests.push(Interest { object, direction, ready: None });
                }
                Wanted::Until(deadline_ns) => {
                    earliest_ns =
                        Some(earliest_ns.map_or(deadline_ns, |e: u64| e.min(deadline_ns)));
                }
                Wanted::Now(_) | Wanted::Wrong(_) => {}
            }
        }
        if !interests.is_empty() {
            // A deadline in the past makes this a question.
            self.host.wait(&mut interests, Some(0))?;
        }
        let mut ready = interests.iter().map(|interest| interest.ready);
        let events: Vec<_> = wanted
            .iter()
            .map(|subscription| match subscription.wanted {
                Wanted::Until(deadline_ns) => (deadline_ns <= now_ns).then(|| plain(0)),
                Wanted::Now(bytes) => Some(plain(bytes)),
                Wanted::Wrong(error) => Some(Event { error, bytes: 0, flags: 0 }),
                Wanted::Object(..) => ready.next().flatten().map(|readiness| Event {
                    error: Errno::Success,
                    bytes: readiness.bytes,
                    flags: if readiness.hung_up { HANG_UP } else { 0 },
                }),
            })
            .collect();
        if events.iter().any(Option::is_some) {
            return Ok(events);
        }
        Err(Stopped::Block(Wait {
            waits_for: interests.iter().map(|i| (i.object, i.direction)).collect(),
            deadline_ns: earliest_ns,
            progress_bytes: 0,
        }))
    }
}
