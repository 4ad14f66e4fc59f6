//! Options of sockets: truths, sizes, times. Spec: WASIX, `sock_option`.
//!
//! How long calls may wait is the kernel's own: no call of the host ever waits.

use brant_engine::GuestMemory;

use crate::errno::Errno;
use crate::host::Kind;
use crate::kernel::{CallResult, Kernel};
use crate::net::{SocketOption, Timeout};
use crate::rights::Rights;

/// The error that a socket has met.
const LAST_ERROR: u32 = 11;
/// Whether it listens.
const LISTENING: u32 = 10;
/// Its type, its protocol.
const TYPE: u32 = 25;
const PROTOCOL: u32 = 26;
/// How long closing may take.
const LINGER: u32 = 13;

/// Tag of an `option_timestamp` that has a time.
const SOME: u8 = 1;
const OPTION_TIMESTAMP_BYTES: u64 = 16;

impl Kernel {
    /// `sock_set_opt_flag(fd, sockopt, flag)`: sets an option that is a truth.
    ///
    /// Errors: badf, notsock, notcapable, inval for an option of another kind, notsup, and the
    /// host's. Spec: WASIX, `sock_set_opt_flag`.
    pub(crate) fn sock_set_opt_flag(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, sockopt: u32, flag: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::FD_FDSTAT_SET_FLAGS)?.0;
        if flag > 1 {
            return Err(Errno::Invalid.into());
        }
        Ok(self.net()?.set_option(handle, truth(sockopt)?, flag.into())?)
    }

    /// `sock_get_opt_flag(fd, sockopt, ro_flag)`: tells what an option that is a truth is set to.
    ///
    /// Errors: as `sock_set_opt_flag`; fault. Spec: WASIX, `sock_get_opt_flag`.
    pub(crate) fn sock_get_opt_flag(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, sockopt: u32, ro_flag: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::NONE)?.0;
        let is_set = match sockopt {
            LISTENING => self.listens(fd)?,
            _ => self.net()?.option(handle, truth(sockopt)?)? != 0,
        };
        Ok(memory.write(u64::from(ro_flag), &[u8::from(is_set)])?)
    }

    /// `sock_set_opt_size(fd, sockopt, size)`: sets an option that is a number.
    ///
    /// Errors: as `sock_set_opt_flag`. Spec: WASIX, `sock_set_opt_size`.
    pub(crate) fn sock_set_opt_size(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, sockopt: u32, size: u64,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::FD_FDSTAT_SET_FLAGS)?.0;
        Ok(self.net()?.set_option(handle, number(sockopt)?, size)?)
    }

    /// `sock_get_opt_size(fd, sockopt, ro_size)`: tells what an option that is a number is set to;
    /// the error that a socket has met is told once, and is one of this system.
    ///
    /// Errors: as `sock_set_opt_flag`; fault. Spec: WASIX, `sock_get_opt_size`.
    pub(crate) fn sock_get_opt_size(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, sockopt: u32, ro_size: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::NONE)?.0;
        memory.slice(u64::from(ro_size), 8)?;
        let is_stream = self.descriptors.get(fd)?.kind == Kind::StreamSocket;
        let size = match sockopt {
            LAST_ERROR => self.net()?.take_error(handle)?.map_or(0, |errno| errno.code().into()),
            TYPE => {
                if is_stream {
                    1
                } else {
                    2
                }
            }
            PROTOCOL => {
                if is_stream {
                    6
                } else {
                    17
                }
            }
            _ => self.net()?.option(handle, number(sockopt)?)?,
        };
        Ok(memory.write_u64(u64::from(ro_size), size)?)
    }

    /// `sock_set_opt_time(fd, sockopt, time)`: sets how long calls on a socket may wait.
    ///
    /// Errors: as `sock_set_opt_flag`; fault. Spec: WASIX, `sock_set_opt_time`.
    pub(crate) fn sock_set_opt_time(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, sockopt: u32, time: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::FD_FDSTAT_SET_FLAGS)?.0;
        let at = u64::from(time);
        let ns = match memory.read_u8(at)? {
            SOME => Some(memory.read_u64(at + 8)?),
            _ => None,
        };
        if sockopt == LINGER {
            // Who lingers for no time at all resets the connection, which is not the same as not
            // to linger; the host is told 0 for that.
            return Ok(self.net()?.set_option(handle, SocketOption::LingerNs, ns.unwrap_or(0))?);
        }
        let timeout = timeout(sockopt)?;
        let socket = self.sockets.get_mut(handle).ok_or(Errno::NotSupported)?;
        socket.set_timeout_ns(timeout, ns.filter(|ns| *ns > 0));
        Ok(())
    }

    /// `sock_get_opt_time(fd, sockopt, ro_time)`: tells how long calls on a socket may wait.
    ///
    /// Errors: as `sock_set_opt_flag`; fault. Spec: WASIX, `sock_get_opt_time`.
    pub(crate) fn sock_get_opt_time(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, sockopt: u32, ro_time: u32,
    ) -> CallResult {
        let handle = self.socket(fd, Rights::NONE)?.0;
        let ns = match sockopt {
            LINGER => {
                let ns = self.net()?.option(handle, SocketOption::LingerNs)?;
                Some(ns).filter(|ns| *ns > 0)
            }
            _ => {
                let timeout = timeout(sockopt)?;
                self.sockets.get(handle).and_then(|socket| socket.timeout_ns(timeout))
            }
        };
        let mut bytes = [0; OPTION_TIMESTAMP_BYTES as usize];
        bytes[0] = u8::from(ns.is_some());
        bytes[8..].copy_from_slice(&ns.unwrap_or(0).to_le_bytes());
        Ok(memory.write(u64::from(ro_time), &bytes)?)
    }

    /// `sock_join_multicast_v4(fd, multiaddr, iface)`: not supported.
    pub(crate) fn sock_join_multicast_v4(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, _multiaddr: u32, _iface: u32,
    ) -> CallResult {
        self.unsupported(fd)
    }

    /// `sock_leave_multicast_v4(fd, multiaddr, iface)`: not supported.
    pub(crate) fn sock_leave_multicast_v4(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, _multiaddr: u32, _iface: u32,
    ) -> CallResult {
        self.unsupported(fd)
    }

    /// `sock_join_multicast_v6(fd, multiaddr, iface)`: not supported.
    pub(crate) fn sock_join_multicast_v6(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, _multiaddr: u32, _iface: u32,
    ) -> CallResult {
        self.unsupported(fd)
    }

    /// `sock_leave_multicast_v6(fd, multiaddr, iface)`: not supported.
    pub(crate) fn sock_leave_multicast_v6(
        &mut self, _: &mut GuestMemory<'_>, fd: u32, _multiaddr: u32, _iface: u32,
    ) -> CallResult {
        self.unsupported(fd)
    }

    /// `sock_send_file(out_fd, in_fd, offset, count, ro_sent)`: not supported.
    pub(crate) fn sock_send_file(
        &mut self, _: &mut GuestMemory<'_>, out_fd: u32, _in_fd: u32, _offset: u64, _count: u64,
        _ro_sent: u32,
    ) -> CallResult {
        self.unsupported(out_fd)
    }

    /// What no socket does.
    fn unsupported(&self, fd: u32) -> CallResult {
        self.socket(fd, Rights::NONE)?;
        Err(Errno::NotSupported.into())
    }
}

/// The option of this number, if it is a truth.
fn truth(sockopt: u32) -> Result<SocketOption, Errno> {
    Ok(match sockopt {
        1 => SocketOption::ReusePort,
        2 => SocketOption::ReuseAddress,
        3 => SocketOption::NoDelay,
        5 => SocketOption::OnlyV6,
        6 => SocketOption::Broadcast,
        7 => SocketOption::MulticastLoopV4,
        8 => SocketOption::MulticastLoopV6,
        12 => SocketOption::KeepAlive,
        14 => SocketOption::OutOfBandInline,
        4 | 9 => return Err(Errno::NotSupported),
        _ => return Err(Errno::Invalid),
    })
}

/// The option of this number, if it is one.
fn number(sockopt: u32) -> Result<SocketOption, Errno> {
    Ok(match sockopt {
        15 => SocketOption::ReceiveBufferBytes,
        16 => SocketOption::SendBufferBytes,
        23 => SocketOption::TimeToLive,
        24 => SocketOption::MulticastTimeToLiveV4,
        17 | 18 => return Err(Errno::NotSupported),
        _ => return Err(Errno::Invalid),
    })
}

/// The calls that an option of this number is about, if it is a time.
fn timeout(sockopt: u32) -> Result<Timeout, Errno> {
    Ok(match sockopt {
        19 => Timeout::Receive,
        20 => Timeout::Send,
        21 => Timeout::Connect,
        22 => Timeout::Accept,
        _ => return Err(Errno::Invalid),
    })
}
