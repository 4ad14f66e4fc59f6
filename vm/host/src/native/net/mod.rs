//! Sockets that a guest makes itself, on the real network.
//!
//! All of them are in non-blocking mode; nothing here waits or raises SIGPIPE.
//! Who may be reached is the kernel's to say: nothing here looks at a rule.

mod option;
mod resolve;

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use brant_kernel::errno::Errno;
use brant_kernel::host::{Answer, Handle, Receive, Truncated};
use brant_kernel::net::{Address, Carries, Family, Net, Resolution, SocketOption};
use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendFlags, SocketAddrAny,
    SocketFlags, SocketType,
};

pub(super) use resolve::Questions;

use super::errno::errno;
use super::object::{Object, Objects};
use super::{NativeHost, socket};

/// A socket of a guest never blocks this process, and no program that it starts gets it.
const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

impl Net for NativeHost {
    fn open(&mut self, family: Family, carries: Carries) -> Answer<Handle> {
        let family = match family {
            Family::Inet4 => AddressFamily::INET,
            Family::Inet6 => AddressFamily::INET6,
            Family::Unix => AddressFamily::UNIX,
        };
        let socket = rustix::net::socket_with(family, kind(carries), FLAGS, None);
        self.objects.insert(Object::Socket(socket.map_err(errno)?))
    }

    fn pair(&mut self, carries: Carries) -> Answer<(Handle, Handle)> {
        let pair = rustix::net::socketpair(AddressFamily::UNIX, kind(carries), FLAGS, None);
        let (one, other) = pair.map_err(errno)?;
        let one = self.objects.insert(Object::Socket(one))?;
        Ok((one, self.objects.insert(Object::Socket(other))?))
    }

    fn bind(&mut self, socket: Handle, address: &Address) -> Answer<()> {
        rustix::net::bind(self.objects.socket(socket)?, &ip(address)?).map_err(errno)
    }

    fn listen(&mut self, socket: Handle, backlog: u32) -> Answer<()> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        rustix::net::listen(self.objects.socket(socket)?, backlog).map_err(errno)
    }

    fn connect(&mut self, socket: Handle, address: &Address) -> Answer<()> {
        match rustix::net::connect(self.objects.socket(socket)?, &ip(address)?) {
            // It goes on nevertheless.
            Err(rustix::io::Errno::INTR) => Err(Errno::InProgress),
            connected => connected.map_err(errno),
        }
    }

    fn receive_from(
        &mut self, socket: Handle, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<(usize, Truncated, Option<Address>)> {
        let socket = self.objects.socket(socket)?;
        if how.wait_all && !socket::is_enough(socket, buffers).map_err(errno)? {
            return Err(Errno::Again);
        }
        let mut flags = RecvFlags::DONTWAIT;
        flags.set(RecvFlags::PEEK, how.peek);
        let mut nothing = RecvAncillaryBuffer::default();
        let message = retry_on_intr(|| rustix::net::recvmsg(socket, buffers, &mut nothing, flags));
        let message = message.map_err(errno)?;
        let is_cut = message.flags.contains(ReturnFlags::TRUNC);
        let truncated = if is_cut { Truncated::Yes } else { Truncated::No };
        Ok((message.bytes, truncated, message.address.map(address)))
    }

    fn send_to(
        &mut self, socket: Handle, buffers: &[IoSlice<'_>], address: &Address,
    ) -> Answer<usize> {
        let socket = self.objects.socket(socket)?;
        let (flags, to) = (SendFlags::DONTWAIT | SendFlags::NOSIGNAL, ip(address)?);
        let message: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.iter().copied()).collect();
        retry_on_intr(|| rustix::net::sendto(socket, &message, flags, &to)).map_err(errno)
    }

    fn local(&mut self, socket: Handle) -> Answer<Address> {
        let local = rustix::net::getsockname(any_socket(&self.objects, socket)?);
        local.map(address).map_err(errno)
    }

    fn peer(&mut self, socket: Handle) -> Answer<Address> {
        let peer = rustix::net::getpeername(any_socket(&self.objects, socket)?);
        Ok(peer.map_err(errno)?.map_or(Address::Unnamed, address))
    }

    fn option(&mut self, socket: Handle, option: SocketOption) -> Answer<u64> {
        option::get(any_socket(&self.objects, socket)?, option).map_err(errno)
    }

    fn set_option(&mut self, socket: Handle, option: SocketOption, value: u64) -> Answer<()> {
        option::set(any_socket(&self.objects, socket)?, option, value).map_err(errno)
    }

    fn take_error(&mut self, socket: Handle) -> Answer<Option<Errno>> {
        let error = rustix::net::sockopt::socket_error(any_socket(&self.objects, socket)?);
        Ok(error.map_err(errno)?.err().map(errno))
    }

    fn resolve(&mut self, name: &str) -> Answer<Resolution> {
        self.questions.ask(&mut self.objects, name)
    }
}

fn kind(carries: Carries) -> SocketType {
    match carries {
        Carries::Stream => SocketType::STREAM,
        Carries::Messages => SocketType::DGRAM,
    }
}

/// A socket, whether it listens or not.
fn any_socket(objects: &Objects, socket: Handle) -> Answer<&OwnedFd> {
    match objects.get(socket)? {
        Object::Socket(socket) | Object::Listener(socket) => Ok(socket),
        _ => Err(Errno::NotSocket),
    }
}

fn ip(address: &Address) -> Answer<SocketAddr> {
    match address {
        Address::Ip(address) => Ok(*address),
        Address::Unnamed => Err(Errno::AddressFamilyNotSupported),
    }
}

/// What is neither of IPv4 nor of IPv6 has no name that a guest could use.
fn address(address: SocketAddrAny) -> Address {
    SocketAddr::try_from(address).map_or(Address::Unnamed, Address::Ip)
}
