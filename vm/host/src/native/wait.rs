//! Waiting for several objects at once, with `poll`, and being woken from another thread.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use brant_kernel::errno::Errno;
use brant_kernel::host::{Answer, Clock, Direction, Handle, Interest, Readiness, Waker, Woken};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno as System;

use super::clock;
use super::errno::errno;
use super::object::{Object, Objects};

/// Ends a wait. The descriptor behind it is made when a first waiter or waker needs it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    descriptor: OnceLock<Option<OwnedFd>>,
}

impl Bell {
    fn descriptor(&self) -> Option<&OwnedFd> {
        let make = || rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC);
        self.descriptor.get_or_init(|| make().ok()).as_ref()
    }

    /// Whether it rang; it is silent afterwards.
    fn silence(&self) -> bool {
        let mut count = [0; 8];
        let bell = self.descriptor();
        bell.is_some_and(|bell| rustix::io::read(bell, &mut count).is_ok())
    }
}

impl Waker for Bell {
    fn wake(&self) {
        if let Some(bell) = self.descriptor() {
            // It can fail only where it is ringing already.
            let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
    }
}

/// Waits as `Host::wait` says.
pub(super) fn wait(
    objects: &Objects, (bell, doorbell): (&Arc<Bell>, Option<&OwnedFd>),
    interests: &mut [Interest], deadline_ns: Option<u64>,
) -> Answer<Woken> {
    let mut asked = Vec::with_capacity(interests.len() + 1);
    let mut at_once = false;
    for interest in interests.iter_mut() {
        interest.ready = None;
        match objects.get(interest.object)? {
            // A file can always go on.
            Object::File { .. } | Object::Directory(_) => {
                interest.ready = Some(Readiness { bytes: 1, hung_up: false });
                at_once = true;
            }
            object => asked.push(PollFd::from_borrowed_fd(object.as_fd(), wanted(interest))),
        }
    }
    if let Some(bell) = bell.descriptor() {
        asked.push(PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN));
    }
    if let Some(doorbell) = doorbell {
        asked.push(PollFd::from_borrowed_fd(doorbell.as_fd(), PollFlags::IN));
    }
    let timeout = match (at_once, deadline_ns) {
        (true, _) => Some(Timespec { tv_sec: 0, tv_nsec: 0 }),
        (false, Some(deadline_ns)) => Some(until(deadline_ns)),
        (false, None) => None,
    };
    match rustix::event::poll(&mut asked, timeout.as_ref()) {
        Err(System::INTR) => return Ok(Woken::Interrupted),
        answer => answer.map_err(errno)?,
    };
    let found: Vec<PollFlags> = asked.iter().map(PollFd::revents).collect();
    let mut found = found.into_iter();
    for interest in interests.iter_mut().filter(|interest| interest.ready.is_none()) {
        let flags = found.next().unwrap_or(PollFlags::empty());
        if !flags.is_empty() {
            interest.ready = Some(readiness(objects, interest.object, flags)?);
        }
    }
    let bell_rang = bell.descriptor().is_some()
        && found.next().is_some_and(|flags| !flags.is_empty())
        && bell.silence();
    let rang = bell_rang || found.next().is_some_and(|flags| !flags.is_empty());
    Ok(if interests.iter().any(|interest| interest.ready.is_some()) {
        Woken::Ready
    } else if rang {
        Woken::Interrupted
    } else {
        Woken::Deadline
    })
}

fn wanted(interest: &Interest) -> PollFlags {
    match interest.direction {
        Direction::Read => PollFlags::IN | PollFlags::RDHUP,
        Direction::Write => PollFlags::OUT,
    }
}

fn until(deadline_ns: u64) -> Timespec {
    let ns = deadline_ns.saturating_sub(clock::now_ns(Clock::Monotonic));
    Timespec {
        tv_sec: (ns / 1_000_000_000).cast_signed(),
        tv_nsec: (ns % 1_000_000_000).cast_signed(),
    }
}

fn readiness(objects: &Objects, object: Handle, flags: PollFlags) -> Result<Readiness, Errno> {
    let gone = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR;
    let bytes = match flags.contains(PollFlags::IN) {
        true => rustix::io::ioctl_fionread(objects.get(object)?).unwrap_or(1),
        false => 0,
    };
    Ok(Readiness { bytes, hung_up: flags.intersects(gone) })
}
