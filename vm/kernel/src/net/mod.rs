//! Sockets that a guest makes itself: what a host is asked for, what a process may do, what the
//! kernel keeps of each.
//!
//! ```text
//! lane.rs      names of sockets that stay on their host when the process leaves
//! rule.rs      who may be called, what may be listened on, which names may be asked for
//! table.rs     the sockets of a process: how many, how long a call on each may wait
//! ```
//!
//! The addresses here are values; nothing of a network is touched. Nothing here knows how a guest
//! writes an address into its memory.

mod lane;
mod rule;
mod table;

use core::net::{IpAddr, SocketAddr};
use std::fmt;
use std::io::{IoSlice, IoSliceMut};

pub use lane::{LaneId, LaneKind, LaneName};
pub use rule::{Access, NetRule, NetRuleError, NetRules};
pub(crate) use table::{Names, Socket, Sockets, Timeout};

use crate::host::{Answer, Handle, Receive, Truncated};

/// Connections that may wait to be taken, at most.
pub const MOST_BACKLOG: u32 = 4096;

/// The longest name that can be asked for, as DNS has it.
pub const LONGEST_NAME_BYTES: usize = 253;

/// The family of a socket's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Inet4,
    /// IPv6.
    Inet6,
    /// Sockets of one host, named by paths.
    Unix,
}

/// How a socket carries bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carries {
    /// A stream of bytes, in order: TCP.
    Stream,
    /// Messages, each by itself: UDP.
    Messages,
}

/// Where a socket is, or another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An address and a port.
    Ip(SocketAddr),
    /// A socket of this host that has no name.
    Unnamed,
}

impl Address {
    /// Its family.
    pub fn family(&self) -> Family {
        match self {
            Address::Ip(address) if address.is_ipv4() => Family::Inet4,
            Address::Ip(_) => Family::Inet6,
            Address::Unnamed => Family::Unix,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unnamed => f.write_str("unnamed"),
        }
    }
}

/// An option of a socket that is a number or a truth. Times that a call may wait are the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the options of POSIX")]
pub enum SocketOption {
    ReusePort,
    ReuseAddress,
    NoDelay,
    OnlyV6,
    Broadcast,
    MulticastLoopV4,
    MulticastLoopV6,
    KeepAlive,
    OutOfBandInline,
    ReceiveBufferBytes,
    SendBufferBytes,
    TimeToLive,
    MulticastTimeToLiveV4,
    /// Nanoseconds that closing may take, 0 for none.
    LingerNs,
}

/// What is known of a name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Its addresses.
    Found(Vec<IpAddr>),
    /// Nothing yet: there will be more to know when this object can be read.
    Waits(Handle),
}

/// What a host does for sockets that a guest makes. Nothing here waits: what would says
/// [`Errno::Again`](crate::Errno::Again), or
/// [`Errno::InProgress`](crate::Errno::InProgress) where it has begun.
///
/// The host asks nobody whether a guest may: the kernel has looked at the rules.
pub trait Net {
    /// Makes a socket.
    ///
    /// # Errors
    /// What the system says, like every call below.
    fn open(&mut self, family: Family, carries: Carries) -> Answer<Handle>;

    /// Makes two sockets that are connected to each other.
    ///
    /// # Errors
    /// What the system says.
    fn pair(&mut self, carries: Carries) -> Answer<(Handle, Handle)>;

    /// Gives a socket an address of its own.
    ///
    /// # Errors
    /// What the system says.
    fn bind(&mut self, socket: Handle, address: &Address) -> Answer<()>;

    /// Has a socket take connections; at most `backlog` wait to be taken.
    ///
    /// # Errors
    /// What the system says.
    fn listen(&mut self, socket: Handle, backlog: u32) -> Answer<()>;

    /// Connects a socket, or goes on with that.
    ///
    /// # Errors
    /// [`Errno::InProgress`](crate::Errno::InProgress) when it has begun,
    /// [`Errno::Already`](crate::Errno::Already) as long as it goes on,
    /// [`Errno::IsConnected`](crate::Errno::IsConnected) when it is done.
    fn connect(&mut self, socket: Handle, address: &Address) -> Answer<()>;

    /// As [`Host::receive`](crate::host::Host::receive); says too who has sent it, if that is known.
    ///
    /// # Errors
    /// [`Errno::Again`](crate::Errno::Again) if nothing is there yet.
    fn receive_from(
        &mut self, socket: Handle, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<(usize, Truncated, Option<Address>)>;

    /// Sends one message to `address`.
    ///
    /// # Errors
    /// [`Errno::Again`](crate::Errno::Again) if nothing has room.
    fn send_to(
        &mut self, socket: Handle, buffers: &[IoSlice<'_>], address: &Address,
    ) -> Answer<usize>;

    /// The address of a socket.
    ///
    /// # Errors
    /// What the system says.
    fn local(&mut self, socket: Handle) -> Answer<Address>;

    /// The address that a socket is connected to.
    ///
    /// # Errors
    /// [`Errno::NotConnected`](crate::Errno::NotConnected).
    fn peer(&mut self, socket: Handle) -> Answer<Address>;

    /// What an option is set to; a truth is 0 or 1.
    ///
    /// # Errors
    /// [`Errno::NotSupported`](crate::Errno::NotSupported) where the system has none.
    fn option(&mut self, socket: Handle, option: SocketOption) -> Answer<u64>;

    /// Sets an option.
    ///
    /// # Errors
    /// As [`Net::option`].
    fn set_option(&mut self, socket: Handle, option: SocketOption, value: u64) -> Answer<()>;

    /// The error that a socket has met since it was last asked, and forgets it.
    ///
    /// # Errors
    /// What the system says.
    fn take_error(&mut self, socket: Handle) -> Answer<Option<crate::Errno>>;

    /// Asks for the addresses of a name. Who asks again for the same name gets the answer of the
    /// question that is under way.
    ///
    /// # Errors
    /// [`Errno::NoEntry`](crate::Errno::NoEntry) if nobody knows the name,
    /// [`Errno::Again`](crate::Errno::Again) if too much is being asked at a time.
    fn resolve(&mut self, name: &str) -> Answer<Resolution>;
}
