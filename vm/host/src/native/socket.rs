//! Sockets: TCP listeners that the manifest grants, and the connections that they take.
//!
//! All of them are in non-blocking mode; nothing here waits or raises SIGPIPE.
//! Sockets that a guest makes itself are in `net`.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use brant_kernel::host::{Receive, Shutdown, Truncated};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags,
    SocketFlags, SocketType,
};

/// Connections that wait to be taken.
const BACKLOG: i32 = 128;

/// More than this is never waited for: a socket may not hold more.
const MOST_WAITED_FOR_BYTES: usize = 64 << 10;

/// Listens on `address`.
pub(super) fn listen(address: &str) -> Result<OwnedFd, Errno> {
    let address: SocketAddr = address.parse().map_err(|_| Errno::INVAL)?;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Takes the next connection.
pub(super) fn accept(listener: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    loop {
        match rustix::net::accept_with(listener, flags) {
            // The caller is gone already, or a signal came: ask for the next one.
            Err(Errno::CONNABORTED | Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// Reads what is there.
pub(super) fn receive(
    socket: &OwnedFd, buffers: &mut [IoSliceMut<'_>], how: Receive,
) -> Result<(usize, Truncated), Errno> {
    if how.wait_all && !is_enough(socket, buffers)? {
        return Err(Errno::AGAIN);
    }
    let mut flags = RecvFlags::DONTWAIT;
    flags.set(RecvFlags::PEEK, how.peek);
    let mut nothing = RecvAncillaryBuffer::default();
    let message = retry_on_intr(|| rustix::net::recvmsg(socket, buffers, &mut nothing, flags))?;
    let truncated = message.flags.contains(ReturnFlags::TRUNC);
    Ok((message.bytes, if truncated { Truncated::Yes } else { Truncated::No }))
}

/// Writes what has room.
pub(super) fn send(socket: &OwnedFd, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let mut nothing = SendAncillaryBuffer::default();
    retry_on_intr(|| rustix::net::sendmsg(socket, buffers, &mut nothing, flags))
}

/// Ends directions of a connection.
pub(super) fn shut_down(socket: &OwnedFd, what: Shutdown) -> Result<(), Errno> {
    let how = match what {
        Shutdown::Read => rustix::net::Shutdown::Read,
        Shutdown::Write => rustix::net::Shutdown::Write,
        Shutdown::Both => rustix::net::Shutdown::Both,
    };
    rustix::net::shutdown(socket, how)
}

/// Whether all that was asked for is there, or nothing more will come.
pub(super) fn is_enough(socket: &OwnedFd, buffers: &[IoSliceMut<'_>]) -> Result<bool, Errno> {
    let wanted: usize = buffers.iter().map(|buffer| buffer.len()).sum();
    let there = rustix::io::ioctl_fionread(socket)? as usize;
    if there >= wanted.min(MOST_WAITED_FOR_BYTES) {
        return Ok(true);
    }
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut asked = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP)];
    Ok(rustix::event::poll(&mut asked, Some(&at_once))? > 0)
}
