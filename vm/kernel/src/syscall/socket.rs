//! Connections: taking them, sending, receiving, ending them; with what preview 1 has for that.

use brant_engine::GuestMemory;

use crate::descriptor::{Binding, Descriptor, FdFlags, Object, OpenFile};
use crate::errno::Errno;
use crate::host::{Direction, Handle, Receive, Shutdown, Truncated};
use crate::kernel::{CallResult, Kernel, Stopped};
use crate::net::{Carries, Family, Socket, Timeout};
use crate::rights::Rights;
use crate::syscall::Syscall;
use crate::syscall::descriptor::fd_flags;
use crate::syscall::io::Buffers;

/// The bits of `riflags`; the third and the fourth are WASIX's. That a message was cut off is told in
/// any case, which the third asks for.
pub(super) const PEEK: u32 = 1;
pub(super) const WAIT_ALL: u32 = 2;
const TELL_TRUNCATED: u32 = 4;
pub(super) const DONT_WAIT_RECEIVING: u32 = 8;
pub(super) const RECEIVE_FLAGS: u32 = PEEK | WAIT_ALL | TELL_TRUNCATED | DONT_WAIT_RECEIVING;
/// The bit of `siflags`, which is WASIX's.
pub(super) const DONT_WAIT_SENDING: u32 = 1;
/// The bit of `roflags`: the rest of a message was lost.
pub(super) const TRUNCATED: u16 = 1;

impl Kernel {
    /// The connection `fd`, if it has `rights`, and whether it shall not wait.
    fn connection(&self, fd: u32, rights: Rights) -> Result<(Handle, bool), Errno> {
        match self.descriptors.get(fd)?.object {
            Object::Listener => Err(Errno::NotConnected),
            _ => self.socket(fd, rights),
        }
    }

    /// `sock_accept(fd, flags, connection)`: takes the next connection; waits for it unless the
    /// listener is nonblocking.
    ///
    /// Errors: badf, notsock, notcapable, inval for flags but nonblock, mfile, again, fault.
    /// Spec: `sock_accept`.
    pub(crate) fn sock_accept(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, flags: u32, connection: u32,
    ) -> CallResult {
        let flags = fd_flags(flags)?;
        if flags.0 & !FdFlags::NONBLOCK.0 != 0 {
            return Err(Errno::Invalid.into());
        }
        let listener = self.descriptors.get(fd)?;
        if !matches!(listener.object, Object::Listener | Object::Socket) {
            return Err(Errno::NotSocket.into());
        }
        if !listener.rights.contains(Rights::SOCK_ACCEPT) {
            return Err(Errno::NotCapable.into());
        }
        let (handle, inheriting) = (listener.handle, listener.inheriting);
        let nonblock = listener.flags().contains(FdFlags::NONBLOCK);
        memory.slice(u64::from(connection), 4)?;
        self.descriptors.check_room()?;
        self.sockets.check_room(1)?;
        let accepted = match self.host.accept(handle) {
            Err(Errno::Again) if !nonblock => {
                return Err(self.wait_on_socket(handle, Direction::Read, Timeout::Accept));
            }
            accepted => accepted?,
        };
        let family = self.sockets.get(handle).map_or(Family::Inet4, |socket| socket.family);
        self.sockets.insert(accepted.handle, Socket::new(family, Carries::Stream));
        let number = self.descriptors.insert(Descriptor {
            handle: accepted.handle,
            object: Object::Connection,
            kind: accepted.kind,
            rights: inheriting,
            inheriting: Rights::NONE,
            open: OpenFile::new(flags, 0),
            closes_on_exec: false,
            preopen: None,
            binding: Binding::Connection,
        })?;
        Ok(memory.write_u32(u64::from(connection), number)?)
    }

    /// `sock_recv(fd, ri_data, ri_data_len, ri_flags, ro_data_len, ro_flags)`: receives.
    ///
    /// Errors: badf, notsock, notconn, notcapable, inval for unknown flags, again, fault, and the
    /// host's. Spec: `sock_recv`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn sock_recv(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, ri_data: u32, ri_data_len: u32,
        ri_flags: u32, ro_data_len: u32, ro_flags: u32,
    ) -> CallResult {
        if ri_flags & !RECEIVE_FLAGS != 0 {
            return Err(Errno::Invalid.into());
        }
        let (handle, nonblock) = self.connection(fd, Rights::FD_READ)?;
        let nonblock = nonblock || ri_flags & DONT_WAIT_RECEIVING != 0;
        let buffers = Buffers::check(memory, ri_data, ri_data_len)?;
        memory.slice(u64::from(ro_data_len), 4)?;
        memory.slice(u64::from(ro_flags), 2)?;
        let how = Receive { peek: ri_flags & PEEK != 0, wait_all: ri_flags & WAIT_ALL != 0 };
        let host = &mut self.host;
        let mut flags = 0;
        let received = buffers.fill(memory, |buffer, _| {
            let (count, truncated) = host.receive(handle, buffer, how)?;
            if truncated == Truncated::Yes {
                flags = TRUNCATED;
            }
            Ok(count)
        });
        let done = self.park_if_again(received, handle, Direction::Read, nonblock, 0)?;
        memory.write_u32(u64::from(ro_data_len), done as u32)?;
        Ok(memory.write_u16(u64::from(ro_flags), flags)?)
    }

    /// `sock_send(fd, si_data, si_data_len, si_flags, so_data_len)`: sends.
    ///
    /// Errors: badf, notsock, notconn, notcapable, inval for any flag, again, pipe, fault, and the
    /// host's. Spec: `sock_send`.
    pub(crate) fn sock_send(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, si_data: u32, si_data_len: u32,
        si_flags: u32, so_data_len: u32,
    ) -> CallResult {
        if si_flags & !DONT_WAIT_SENDING != 0 {
            return Err(Errno::Invalid.into());
        }
        let (handle, nonblock) = self.connection(fd, Rights::FD_WRITE)?;
        let nonblock = nonblock || si_flags & DONT_WAIT_SENDING != 0;
        let buffers = Buffers::check(memory, si_data, si_data_len)?;
        memory.slice(u64::from(so_data_len), 4)?;
        // A state that was restored may say more than there is.
        let before = self.parked(Syscall::SockSend).map_or(0, |parked| parked.progress_bytes);
        let before = before.min(buffers.bytes);
        let host = &mut self.host;
        let done = match buffers.drain(memory, before, |batch, _| host.send(handle, batch)) {
            Err((done, Stopped::Errno(errno)))
                if done > 0 && (errno != Errno::Again || nonblock) =>
            {
                done
            }
            Err((done, stopped)) => {
                self.park_if_again(Err(stopped), handle, Direction::Write, nonblock, done)?
            }
            Ok(done) if done < buffers.bytes && !nonblock => {
                let again = Err(Errno::Again.into());
                self.park_if_again(again, handle, Direction::Write, nonblock, done)?
            }
            Ok(done) => done,
        };
        Ok(memory.write_u32(u64::from(so_data_len), done as u32)?)
    }

    /// `sock_shutdown(fd, how)`: ends reading (1), writing (2) or both.
    ///
    /// Errors: badf, notsock, notconn, notcapable, inval. Spec: `sock_shutdown`.
    pub(crate) fn sock_shutdown(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, how: u32,
    ) -> CallResult {
        let (handle, _) = self.connection(fd, Rights::SOCK_SHUTDOWN)?;
        let what = match how {
            1 => Shutdown::Read,
            2 => Shutdown::Write,
            3 => Shutdown::Both,
            _ => return Err(Errno::Invalid.into()),
        };
        Ok(self.host.shut_down(handle, what)?)
    }
}
