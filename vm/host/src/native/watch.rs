//! Waiting for many sockets at a time, for whoever keeps those of a process that has left.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::SocketFlags;

/// A socket, and what is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    /// The socket.
    pub socket: BorrowedFd<'a>,
    /// Whether it shall have something to read, or a caller.
    pub reads: bool,
    /// Whether it shall have room.
    pub writes: bool,
}

/// Waits until something can be done, or for so long, and says for each socket whether something can:
/// one that is broken can be read, which tells that it is.
///
/// # Errors
/// What the system says.
pub fn watch(all: &[Watched<'_>], patience: Duration) -> io::Result<Vec<bool>> {
    let mut asked: Vec<PollFd<'_>> = all
        .iter()
        .map(|watched| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, watched.reads);
            flags.set(PollFlags::OUT, watched.writes);
            PollFd::from_borrowed_fd(watched.socket, flags)
        })
        .collect();
    let time = Timespec {
        tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    match rustix::event::poll(&mut asked, Some(&time)) {
        Ok(_) => Ok(asked.iter().map(|asked| !asked.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; all.len()]),
        Err(error) => Err(error.into()),
    }
}

/// Takes the next caller of a listener that does not wait; its socket does not wait either.
///
/// # Errors
/// What the system says; that it would wait if nobody has called.
pub fn take_caller(listener: &TcpListener) -> io::Result<TcpStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::accept_with(listener, flags)?.into())
}
