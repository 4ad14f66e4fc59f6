//! Sockets that go from one process to another: a channel whose packets each carry one.
//!
//! A host process behind a wall opens no connection itself. Whoever keeps the door gives it sockets,
//! and takes sockets from it together with the wish where they should lead.
//! This file must never know what is said over the sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
};

/// A label is at most this long; an address of a node has 500 bytes.
pub const LABEL_LIMIT_BYTES: usize = 512;

/// One end of the channel.
#[derive(Debug)]
pub struct Handover(OwnedFd);

/// What came, or that nothing did.
#[derive(Debug)]
pub enum Handed {
    /// A socket, and what was said about it.
    Socket(String, UnixStream),
    /// Nothing in the time that was given.
    Nothing,
    /// The other end is gone.
    Ended,
}

impl Handover {
    /// Makes a channel: our end, and the one that becomes the standard input of a child.
    ///
    /// # Errors
    /// What the system says.
    pub fn pair() -> io::Result<(Handover, OwnedFd)> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Handover(ours), theirs))
    }

    /// The end that this process was started with as its standard input.
    ///
    /// # Errors
    /// Standard input is no such channel.
    pub fn of_standard_input() -> io::Result<Handover> {
        let ours = Handover(rustix::stdio::stdin().try_clone_to_owned()?);
        match rustix::net::sockopt::socket_type(&ours.0) {
            Ok(SocketType::SEQPACKET) => Ok(ours),
            _ => Err(io::Error::other("standard input is no channel to a node")),
        }
    }

    /// Gives a socket away. A label that is too long is refused by whoever receives it.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn send(&self, label: &str, socket: &UnixStream) -> io::Result<()> {
        // A packet of nothing would look like the end.
        let bytes = [b"/", label.as_bytes()].concat();
        let sockets = [socket.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&sockets));
        let bytes = [IoSlice::new(&bytes)];
        let send =
            || rustix::net::sendmsg(&self.0, &bytes, &mut control, SendFlags::NOSIGNAL).map(drop);
        Ok(send_again(send)?)
    }

    /// Takes what comes, for ever or for some time. A packet without a socket, with more than one, or
    /// with a label that is no text counts as the end: nobody of ours sends one.
    ///
    /// # Errors
    /// What the system says.
    pub fn receive(&self, patience: Option<Duration>) -> io::Result<Handed> {
        if let Some(patience) = patience {
            let time = Timespec {
                tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: patience.subsec_nanos().into(),
            };
            let mut asked = [PollFd::new(&self.0, PollFlags::IN)];
            match rustix::event::poll(&mut asked, Some(&time)) {
                Ok(0) | Err(Errno::INTR) => return Ok(Handed::Nothing),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut bytes = [0; LABEL_LIMIT_BYTES + 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            let mut bytes = [IoSliceMut::new(&mut bytes)];
            rustix::net::recvmsg(&self.0, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC)
        })?;
        let mut sockets: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                sockets.extend(descriptors);
            }
        }
        let label = bytes.get(1..received.bytes).and_then(|bytes| std::str::from_utf8(bytes).ok());
        Ok(match (label, sockets.pop(), sockets.is_empty()) {
            (Some(label), Some(socket), true) => {
                Handed::Socket(label.to_owned(), UnixStream::from(socket))
            }
            _ => Handed::Ended,
        })
    }

    /// Ends the channel: the other side hears of it.
    pub fn close(&self) {
        // It may be gone already.
        let _ = rustix::net::shutdown(&self.0, Shutdown::Both);
    }
}

fn send_again(mut send: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match send() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_socket_arrives_with_its_label_and_works() {
        let (ours, theirs) = Handover::pair().expect("a pair");
        let theirs = Handover(theirs);
        let (mut one, other) = UnixStream::pair().expect("a pair");
        ours.send("unix:/there", &other).expect("room");
        let Ok(Handed::Socket(label, mut other)) = theirs.receive(None) else { panic!("nothing") };
        assert_eq!(label, "unix:/there");
        other.write_all(b"through").expect("room");
        let mut read = [0; 7];
        one.read_exact(&mut read).expect("bytes");
        assert_eq!(&read, b"through");
    }

    #[test]
    fn what_is_no_packet_of_ours_is_the_end() {
        let (ours, theirs) = Handover::pair().expect("a pair");
        let theirs = Handover(theirs);
        assert!(matches!(theirs.receive(Some(Duration::ZERO)), Ok(Handed::Nothing)));
        rustix::io::write(&ours.0, b"/no socket").expect("room");
        assert!(matches!(theirs.receive(None), Ok(Handed::Ended)));
        let (_, socket) = UnixStream::pair().expect("a pair");
        ours.send(&"x".repeat(2 * LABEL_LIMIT_BYTES), &socket).expect("room");
        // It is cut, which is no address of anything.
        let cut = theirs.receive(None);
        assert!(matches!(cut, Ok(Handed::Socket(label, _)) if label.len() == LABEL_LIMIT_BYTES));
        drop(ours);
        assert!(matches!(theirs.receive(None), Ok(Handed::Ended)));
    }
}
