//! Sockets that the guest makes itself. Spec: WASIX, `sock_*` and `resolve`.
//!
//! ```text
//! address.rs    addresses in guest memory
//! option.rs     options
//! transfer.rs   messages with an address
//! resolve.rs    names
//! ```
//!
//! What may be reached is decided here, before the host is asked: see
//! [`NetRules`](crate::net::NetRules).

mod address;
mod option;
mod resolve;
mod transfer;

use brant_engine::GuestMemory;

pub(crate) use address::{ADDRESS_BYTES, read_address};

use crate::descriptor::{Binding, Descriptor, FdFlags, Object, OpenFile};
use crate::errno::Errno;
use crate::host::{Direction, Handle, Kind};
use crate::kernel::{CallResult, Kernel, Stopped};
use crate::net::{
    Access, Address, Carries, Family, MOST_BACKLOG, Net, Socket, SocketOption, Timeout,
};
use crate::rights::Rights;

/// The numbers of `sock_status`.
const OPENING: u8 = 0;
const OPENED: u8 = 1;

impl Kernel {
    /// `sock_open(af, socktype, sock_proto, ro_sock)`: makes a socket.
    ///
    /// Errors: acces if no rule allows any, afnosupport, prototype for a protocol that the type does
    /// not have, protonosupport, mfile, fault. Spec: WASIX, `sock_open`.
    pub(crate) fn sock_open(
        &mut self, memory: &mut GuestMemory<'_>, af: u32, socktype: u32, sock_proto: u32,
        ro_sock: u32,
    ) -> CallResult {
        let family = family(af)?;
        let carries = carries(socktype, sock_proto)?;
        if family == Family::Unix {
            return Err(Errno::AddressFamilyNotSupported.into());
        }
        if self.manifest.net.is_empty() {
            return Err(Errno::Access.into());
        }
        memory.slice(u64::from(ro_sock), 4)?;
        self.descriptors.check_room()?;
        self.sockets.check_room(1)?;
        let handle = self.net()?.open(family, carries)?;
        let number =
            self.insert_socket(handle, Socket::new(family, carries), FdFlags::default())?;
        Ok(memory.write_u32(u64::from(ro_sock), number)?)
    }

    /// `sock_pair(af, socktype, sock_proto, ro_sock1, ro_sock2)`: makes two sockets that are
    /// connected to each other. Needs no rule: nobody else can be reached.
    ///
    /// Errors: afnosupport for any family but Unix, prototype, protonosupport, mfile, fault.
    /// Spec: WASIX, `sock_pair`.
    pub(crate) fn sock_pair(
        &mut self, memory: &mut GuestMemory<'_>, af: u32, socktype: u32, sock_proto: u32,
        ro_sock1: u32, ro_sock2: u32,
    ) -> CallResult {
        if family(af)? != Family::Unix {
            return Err(Errno::AddressFamilyNotSupported.into());
        }
        let carries = carries(socktype, sock_proto)?;
        memory.slice(u64::from(ro_sock1), 4)?;
        memory.slice(u64::from(ro_sock2), 4)?;
        self.sockets.check_room(2)?;
        let (one, other) = self.net()?.pair(carries)?;
        let socket = Socket::new(Family::Unix, carries);
        let first = match self.insert_socket(one, socket, FdFlags::default()) {
            Ok(first) => first,
            Err(errno) => {
                let _ = self.host.close(other);
                return Err(errno.into());
            }
        };
        let second = match self.insert_socket(other, socket, FdFlags::default()) {
            Ok(second) => second,
            Err(errno) => {
                let first = self.descriptors.remove(first)?;
                let _ = self.let_go(first);
                return Err(errno.into());
            }
        };
        memory.write_u32(u64::from(ro_sock1), first)?;
        Ok(memory.write_u32(u64::from(ro_sock2), second)?)
    }

    /// `sock_bind(fd, addr)`: gives a socket an address of its own.
    ///
    /// Errors: badf, notsock, notcapable, acces where no rule allows to listen there, afnosupport,
    /// inval, fault, and the host's. Spec: WASIX, `sock_bind`.
    pub(crate) fn sock_bind(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, addr: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::SOCK_SHUTDOWN)?.0;
        let address = read_address(memory, addr)?;
        self.may_listen(handle, &address)?;
        self.net()?.bind(handle, &address)?;
        if let Some(socket) = self.sockets.get_mut(handle) {
            socket.is_bound = true;
        }
        Ok(())
    }

    /// `sock_listen(fd, backlog)`: has a socket take connections; of those that wait to be taken
    /// there may be 4096.
    ///
    /// Errors: badf, notsock, notcapable, acces as for `sock_bind`, and the host's.
    /// Spec: WASIX, `sock_listen`.
    pub(crate) fn sock_listen(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, backlog: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::SOCK_ACCEPT)?.0;
        // The host gives an address to who has none: that has to be allowed too.
        if !self.sockets.get(handle).is_some_and(|socket| socket.is_bound) {
            let address = self.net()?.local(handle)?;
            self.may_listen(handle, &address)?;
        }
        let backlog = backlog.min(MOST_BACKLOG);
        self.net()?.listen(handle, backlog)?;
        if let Some(socket) = self.sockets.get_mut(handle) {
            socket.backlog = Some(backlog);
        }
        Ok(())
    }

    /// `sock_accept_v2(fd, fd_flags, ro_fd, ro_addr)`: takes the next connection, and tells who
    /// called; waits for it unless the listener is nonblocking.
    ///
    /// Errors: badf, notsock, notcapable, inval, mfile, again, timedout, fault.
    /// Spec: WASIX, `sock_accept_v2`.
    pub(crate) fn sock_accept_v2(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, fd_flags: u32, ro_fd: u32, ro_addr: u32,
    ) -> CallResult {
        memory.slice(u64::from(ro_addr), ADDRESS_BYTES)?;
        self.sock_accept(memory, fd, fd_flags, ro_fd)?;
        let connection = self.descriptors.get(memory.read_u32(u64::from(ro_fd))?)?.handle;
        // Who is gone already has no address any more.
        let peer = self.net().and_then(|net| net.peer(connection)).unwrap_or(Address::Unnamed);
        address::write_address(memory, ro_addr, &peer)
    }

    /// `sock_connect(fd, addr)`: connects a socket; waits until it is, unless it is nonblocking.
    ///
    /// A call that is gone on with on another host begins anew.
    ///
    /// Errors: badf, notsock, notcapable, acces where no rule allows to connect there, afnosupport,
    /// inprogress, already, isconn, timedout, fault, and the host's. Spec: WASIX, `sock_connect`.
    pub(crate) fn sock_connect(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, addr: u32,
    ) -> CallResult {
        let (handle, nonblock) = self.socket(fd, Rights::SOCK_SHUTDOWN)?;
        let address = read_address(memory, addr)?;
        self.may_connect(handle, &address)?;
        let goes_on = self.is_parked();
        match self.net()?.connect(handle, &address) {
            Err(Errno::IsConnected) if goes_on => Ok(()),
            Err(Errno::InProgress | Errno::Already) if !nonblock => {
                Err(self.wait_on_socket(handle, Direction::Write, Timeout::Connect))
            }
            connected => Ok(connected?),
        }
    }

    /// `sock_status(fd, ro_status)`: whether a socket is connected or listens (1), or not yet (0).
    ///
    /// Errors: badf, notsock, fault. Spec: WASIX, `sock_status`.
    pub(crate) fn sock_status(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, ro_status: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::NONE)?.0;
        let is_open = self.listens(fd)? || self.net()?.peer(handle).is_ok();
        let status = if is_open { OPENED } else { OPENING };
        Ok(memory.write(u64::from(ro_status), &[status])?)
    }

    /// `sock_addr_local(fd, ro_addr)`: the address of a socket.
    ///
    /// Errors: badf, notsock, fault, and the host's. Spec: WASIX, `sock_addr_local`.
    pub(crate) fn sock_addr_local(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, ro_addr: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::NONE)?.0;
        let address = self.net()?.local(handle)?;
        address::write_address(memory, ro_addr, &address)
    }

    /// `sock_addr_peer(fd, ro_addr)`: the address that a socket is connected to.
    ///
    /// Errors: badf, notsock, notconn, fault, and the host's. Spec: WASIX, `sock_addr_peer`.
    pub(crate) fn sock_addr_peer(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, ro_addr: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::NONE)?.0;
        let address = self.net()?.peer(handle)?;
        address::write_address(memory, ro_addr, &address)
    }

    /// What the host does for sockets.
    pub(crate) fn net(&mut self) -> Result<&mut dyn Net, Errno> {
        self.host.net()
    }

    /// The socket `fd`, if it has `rights`, and whether calls on it shall not wait.
    pub(crate) fn socket(&self, fd: u32, rights: Rights) -> Result<(Handle, bool), Errno> {
        let descriptor = self.descriptors.get(fd)?;
        match descriptor.object {
            Object::Connection | Object::Listener | Object::Socket => {}
            _ => return Err(Errno::NotSocket),
        }
        match descriptor.rights.contains(rights) {
            true => Ok((descriptor.handle, descriptor.flags().contains(FdFlags::NONBLOCK))),
            false => Err(Errno::NotCapable),
        }
    }

    /// Whether a socket takes connections.
    fn listens(&self, fd: u32) -> Result<bool, Errno> {
        let Descriptor { handle, object, .. } = self.descriptors.get(fd)?;
        let socket = self.sockets.get(*handle);
        Ok(*object == Object::Listener || socket.is_some_and(|socket| socket.backlog.is_some()))
    }

    /// Gives a socket that was just made a number; it is closed where there is none.
    fn insert_socket(
        &mut self, handle: Handle, socket: Socket, flags: FdFlags,
    ) -> Result<u32, Errno> {
        let inserted = self.descriptors.insert(Descriptor {
            handle,
            object: Object::Socket,
            kind: kind(socket.carries),
            rights: Rights::SOCKET,
            inheriting: Rights::CONNECTION,
            open: OpenFile::new(flags, 0),
            closes_on_exec: false,
            preopen: None,
            binding: Binding::Connection,
        });
        match inserted {
            Ok(_) => self.sockets.insert(handle, socket),
            Err(_) => drop(self.host.close(handle)),
        }
        inserted
    }

    /// Whether a rule lets a socket listen on an address.
    fn may_listen(&mut self, handle: Handle, address: &Address) -> Result<(), Errno> {
        let Address::Ip(ip) = address else { return Err(Errno::AddressFamilyNotSupported) };
        let mut all_of = vec![*ip];
        if ip.is_ipv6() && ip.ip().is_unspecified() {
            // Such a socket takes calls to addresses of IPv4 too, unless it is told not to.
            let only_v6 = self.net()?.option(handle, SocketOption::OnlyV6)? != 0;
            let of_v4 = core::net::Ipv4Addr::UNSPECIFIED.into();
            all_of.extend((!only_v6).then(|| core::net::SocketAddr::new(of_v4, ip.port())));
        }
        let rules = &self.manifest.net;
        match all_of.iter().all(|ip| rules.allow(Access::Listen, *ip, &self.names)) {
            true => Ok(()),
            false => Err(Errno::Access),
        }
    }

    /// Whether a rule lets a socket call an address, and it is of its family.
    fn may_connect(&self, handle: Handle, address: &Address) -> Result<(), Errno> {
        let family = self.sockets.get(handle).map(|socket| socket.family);
        if family.is_some_and(|family| family != address.family()) {
            return Err(Errno::AddressFamilyNotSupported);
        }
        let Address::Ip(ip) = address else { return Err(Errno::AddressFamilyNotSupported) };
        match self.manifest.net.allow(Access::Connect, *ip, &self.names) {
            true => Ok(()),
            false => Err(Errno::Access),
        }
    }

    /// Waits for a socket, as long as its options have it.
    pub(crate) fn wait_on_socket(
        &mut self, handle: Handle, direction: Direction, timeout: Timeout,
    ) -> Stopped {
        self.wait_on(handle, direction, timeout, 0)
    }
}

/// What a guest is told that a socket is.
pub(crate) fn kind(carries: Carries) -> Kind {
    match carries {
        Carries::Stream => Kind::StreamSocket,
        Carries::Messages => Kind::DatagramSocket,
    }
}

fn family(af: u32) -> Result<Family, Errno> {
    match af {
        1 => Ok(Family::Inet4),
        2 => Ok(Family::Inet6),
        3 => Ok(Family::Unix),
        _ => Err(Errno::AddressFamilyNotSupported),
    }
}

/// What a type and a protocol mean; the protocol 0 is whatever the type has.
fn carries(socktype: u32, sock_proto: u32) -> Result<Carries, Errno> {
    match (socktype, sock_proto) {
        (1, 0 | 6) => Ok(Carries::Stream),
        (2, 0 | 17) => Ok(Carries::Messages),
        (1 | 2, 6 | 17) => Err(Errno::WrongProtocol),
        _ => Err(Errno::ProtocolNotSupported),
    }
}
