//! Addresses in guest memory.
//!
//! ```text
//! addr_port (110 bytes)   0    2     4                       20           24
//!                         tag  port  4 bytes of an IPv4
//!                         tag  port  16 bytes of an IPv6     flow (2 x u16, high half first)  scope (likewise)
//! addr_ip   (18 bytes)    0    2
//!                         tag  4 or 16 bytes
//! ```
//!
//! Ports are little-endian both ways, as the WASIX C library expects after it has tried.
//! Spec: WASIX, `addr_port`, `addr_ip`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use brant_engine::GuestMemory;

use crate::errno::Errno;
use crate::kernel::{CallResult, Stopped};
use crate::net::Address;

/// Size of an `addr_port`.
pub(crate) const ADDRESS_BYTES: u64 = 110;
/// Size of an `addr_ip`.
pub(super) const IP_BYTES: u64 = 18;

const INET4: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;

/// Reads an `addr_port`.
///
/// # Errors
/// fault; afnosupport for a family that no socket can have.
pub(crate) fn read_address(memory: &GuestMemory<'_>, at: u32) -> Result<Address, Stopped> {
    let at = u64::from(at);
    let tag = memory.read_u8(at)?;
    Ok(Address::Ip(match tag {
        INET4 => {
            let port = memory.read_u16(at + 2)?;
            SocketAddrV4::new(Ipv4Addr::from(bytes::<4>(memory, at + 4)?), port).into()
        }
        INET6 => {
            let port = memory.read_u16(at + 2)?;
            let address = Ipv6Addr::from(bytes::<16>(memory, at + 4)?);
            let wide = |at| -> Result<u32, Stopped> {
                let (high, low) = (memory.read_u16(at)?, memory.read_u16(at + 2)?);
                Ok(u32::from(high) << 16 | u32::from(low))
            };
            SocketAddrV6::new(address, port, wide(at + 20)?, wide(at + 24)?).into()
        }
        _ => return Err(Errno::AddressFamilyNotSupported.into()),
    }))
}

fn bytes<const N: usize>(memory: &GuestMemory<'_>, at: u64) -> Result<[u8; N], Stopped> {
    let mut bytes = [0; N];
    bytes.copy_from_slice(memory.slice(at, N as u64)?);
    Ok(bytes)
}

/// Writes an `addr_port`.
///
/// # Errors
/// fault.
pub(super) fn write_address(
    memory: &mut GuestMemory<'_>, at: u32, address: &Address,
) -> CallResult {
    let mut bytes = [0; ADDRESS_BYTES as usize];
    match address {
        Address::Ip(SocketAddr::V4(address)) => {
            bytes[0] = INET4;
            bytes[2..4].copy_from_slice(&address.port().to_le_bytes());
            bytes[4..8].copy_from_slice(&address.ip().octets());
        }
        Address::Ip(SocketAddr::V6(address)) => {
            bytes[0] = INET6;
            bytes[2..4].copy_from_slice(&address.port().to_le_bytes());
            bytes[4..20].copy_from_slice(&address.ip().octets());
            for (at, wide) in [(20, address.flowinfo()), (24, address.scope_id())] {
                bytes[at..at + 2].copy_from_slice(&((wide >> 16) as u16).to_le_bytes());
                bytes[at + 2..at + 4].copy_from_slice(&(wide as u16).to_le_bytes());
            }
        }
        Address::Unnamed => bytes[0] = UNIX,
    }
    Ok(memory.write(u64::from(at), &bytes)?)
}

/// An `addr_ip`.
pub(super) fn ip_bytes(address: IpAddr) -> [u8; IP_BYTES as usize] {
    let mut bytes = [0; IP_BYTES as usize];
    match address {
        IpAddr::V4(address) => {
            bytes[0] = INET4;
            bytes[2..6].copy_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            bytes[0] = INET6;
            bytes[2..18].copy_from_slice(&address.octets());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_were_written() {
        let mut bytes = [0xff; 200];
        let mut memory = GuestMemory::new(&mut bytes);
        let v6 = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 0x1234, 0x10203, 0xa0b0c0d);
        for address in [SocketAddr::from(([1, 2, 3, 4], 80)), v6.into()] {
            let address = Address::Ip(address);
            assert!(write_address(&mut memory, 7, &address).is_ok());
            assert!(read_address(&memory, 7).is_ok_and(|read| read == address));
        }
        assert!(write_address(&mut memory, 91, &Address::Unnamed).is_err(), "outside");
        assert!(read_address(&memory, 120).is_err(), "no family");
    }
}
