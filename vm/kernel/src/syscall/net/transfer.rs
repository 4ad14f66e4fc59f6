//! Messages that say who has sent them, or whom they are for.

use brant_engine::GuestMemory;

use super::address::{ADDRESS_BYTES, read_address, write_address};
use crate::errno::Errno;
use crate::host::{Direction, Receive, Truncated};
use crate::kernel::{CallResult, Kernel};
use crate::net::Address;
use crate::rights::Rights;
use crate::syscall::io::Buffers;
use crate::syscall::socket::{
    DONT_WAIT_RECEIVING, DONT_WAIT_SENDING, PEEK, RECEIVE_FLAGS, TRUNCATED, WAIT_ALL,
};

impl Kernel {
    /// `sock_recv_from(fd, ri_data, ri_data_len, ri_flags, ro_data_len, ro_flags, ro_addr)`:
    /// receives, and tells who has sent it.
    ///
    /// Errors: badf, notsock, notconn, notcapable, inval for unknown flags, again, fault, and the
    /// host's. Spec: WASIX, `sock_recv_from`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn sock_recv_from(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, ri_data: u32, ri_data_len: u32,
        ri_flags: u32, ro_data_len: u32, ro_flags: u32, ro_addr: u32,
    ) -> CallResult {
        if ri_flags & !RECEIVE_FLAGS != 0 {
            return Err(Errno::Invalid.into());
        }
        let (handle, nonblock) = self.socket(fd, Rights::FD_READ)?;
        let nonblock = nonblock || ri_flags & DONT_WAIT_RECEIVING != 0;
        let buffers = Buffers::check(memory, ri_data, ri_data_len)?;
        memory.slice(u64::from(ro_data_len), 4)?;
        memory.slice(u64::from(ro_flags), 2)?;
        memory.slice(u64::from(ro_addr), ADDRESS_BYTES)?;
        let how = Receive { peek: ri_flags & PEEK != 0, wait_all: ri_flags & WAIT_ALL != 0 };
        let net = self.host.net()?;
        let (mut flags, mut sender) = (0, None);
        let received = buffers.fill_at_once(memory, |slices| {
            let (count, truncated, from) = net.receive_from(handle, slices, how)?;
            if truncated == Truncated::Yes {
                flags = TRUNCATED;
            }
            sender = from;
            Ok(count)
        });
        let done = self.park_if_again(received, handle, Direction::Read, nonblock, 0)?;
        // Who sends on a connection is known by it.
        let sender = match sender {
            Some(sender) => sender,
            None => self.net()?.peer(handle).unwrap_or(Address::Unnamed),
        };
        memory.write_u32(u64::from(ro_data_len), done as u32)?;
        memory.write_u16(u64::from(ro_flags), flags)?;
        write_address(memory, ro_addr, &sender)
    }

    /// `sock_send_to(fd, si_data, si_data_len, si_flags, addr, so_data_len)`: sends a message.
    ///
    /// Errors: badf, notsock, notcapable, acces where no rule allows to connect there, msgsize for
    /// more than 64 KiB, inval for unknown flags, again, fault, and the host's.
    /// Spec: WASIX, `sock_send_to`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn sock_send_to(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, si_data: u32, si_data_len: u32,
        si_flags: u32, addr: u32, so_data_len: u32,
    ) -> CallResult {
        if si_flags & !DONT_WAIT_SENDING != 0 {
            return Err(Errno::Invalid.into());
        }
        let (handle, nonblock) = self.socket(fd, Rights::FD_WRITE)?;
        let nonblock = nonblock || si_flags & DONT_WAIT_SENDING != 0;
        let buffers = Buffers::check(memory, si_data, si_data_len)?;
        memory.slice(u64::from(so_data_len), 4)?;
        let address = read_address(memory, addr)?;
        self.may_connect(handle, &address)?;
        let net = self.host.net()?;
        let sent = buffers.gather(memory, |slices| net.send_to(handle, slices, &address));
        let done = self.park_if_again(sent, handle, Direction::Write, nonblock, 0)?;
        Ok(memory.write_u32(u64::from(so_data_len), done as u32)?)
    }
}
