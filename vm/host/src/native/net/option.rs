//! Options of sockets.

use std::os::fd::OwnedFd;
use std::time::Duration;

use brant_kernel::net::SocketOption;
use rustix::io::Errno;
use rustix::net::{AddressFamily, sockopt};

/// Whoever closes a socket never waits for longer: closing holds the kernel of its process.
const LONGEST_LINGER_NS: u64 = 100_000_000;

/// What an option is set to.
pub(super) fn get(socket: &OwnedFd, option: SocketOption) -> Result<u64, Errno> {
    let is_v6 = is_v6(socket)?;
    Ok(match option {
        SocketOption::ReusePort => sockopt::socket_reuseport(socket)?.into(),
        SocketOption::ReuseAddress => sockopt::socket_reuseaddr(socket)?.into(),
        SocketOption::NoDelay => sockopt::tcp_nodelay(socket)?.into(),
        SocketOption::OnlyV6 => sockopt::ipv6_v6only(socket)?.into(),
        SocketOption::Broadcast => sockopt::socket_broadcast(socket)?.into(),
        SocketOption::MulticastLoopV4 => sockopt::ip_multicast_loop(socket)?.into(),
        SocketOption::MulticastLoopV6 => sockopt::ipv6_multicast_loop(socket)?.into(),
        SocketOption::KeepAlive => sockopt::socket_keepalive(socket)?.into(),
        SocketOption::OutOfBandInline => sockopt::socket_oobinline(socket)?.into(),
        SocketOption::ReceiveBufferBytes => sockopt::socket_recv_buffer_size(socket)? as u64,
        SocketOption::SendBufferBytes => sockopt::socket_send_buffer_size(socket)? as u64,
        SocketOption::TimeToLive if is_v6 => sockopt::ipv6_unicast_hops(socket)?.into(),
        SocketOption::TimeToLive => sockopt::ip_ttl(socket)?.into(),
        SocketOption::MulticastTimeToLiveV4 => sockopt::ip_multicast_ttl(socket)?.into(),
        SocketOption::LingerNs => sockopt::socket_linger(socket)?
            .map_or(0, |linger| u64::try_from(linger.as_nanos()).unwrap_or(u64::MAX)),
    })
}

/// Sets an option.
pub(super) fn set(socket: &OwnedFd, option: SocketOption, value: u64) -> Result<(), Errno> {
    let is_set = value != 0;
    let size = usize::try_from(value).map_err(|_| Errno::INVAL)?;
    let small = u8::try_from(value).map_err(|_| Errno::INVAL);
    match option {
        SocketOption::ReusePort => sockopt::set_socket_reuseport(socket, is_set),
        SocketOption::ReuseAddress => sockopt::set_socket_reuseaddr(socket, is_set),
        SocketOption::NoDelay => sockopt::set_tcp_nodelay(socket, is_set),
        SocketOption::OnlyV6 => sockopt::set_ipv6_v6only(socket, is_set),
        SocketOption::Broadcast => sockopt::set_socket_broadcast(socket, is_set),
        SocketOption::MulticastLoopV4 => sockopt::set_ip_multicast_loop(socket, is_set),
        SocketOption::MulticastLoopV6 => sockopt::set_ipv6_multicast_loop(socket, is_set),
        SocketOption::KeepAlive => sockopt::set_socket_keepalive(socket, is_set),
        SocketOption::OutOfBandInline => sockopt::set_socket_oobinline(socket, is_set),
        SocketOption::ReceiveBufferBytes => sockopt::set_socket_recv_buffer_size(socket, size),
        SocketOption::SendBufferBytes => sockopt::set_socket_send_buffer_size(socket, size),
        SocketOption::TimeToLive if is_v6(socket)? => {
            sockopt::set_ipv6_unicast_hops(socket, Some(small?))
        }
        SocketOption::TimeToLive => sockopt::set_ip_ttl(socket, small?.into()),
        SocketOption::MulticastTimeToLiveV4 => sockopt::set_ip_multicast_ttl(socket, small?.into()),
        SocketOption::LingerNs => {
            let linger = Duration::from_nanos(value.min(LONGEST_LINGER_NS));
            sockopt::set_socket_linger(socket, is_set.then_some(linger))
        }
    }
}

fn is_v6(socket: &OwnedFd) -> Result<bool, Errno> {
    Ok(sockopt::socket_domain(socket)? == AddressFamily::INET6)
}
