//! Names.

use core::net::IpAddr;

use brant_engine::GuestMemory;

use super::address::{IP_BYTES, ip_bytes};
use crate::errno::Errno;
use crate::host::Direction;
use crate::kernel::{CallResult, Kernel, Stopped, Wait};
use crate::net::{LONGEST_NAME_BYTES, Resolution};

impl Kernel {
    /// `resolve(host, host_len, port, addrs, naddrs, ro_naddrs)`: finds the addresses of a name, as
    /// many as have room; waits for them. The port is a hint that nobody needs.
    ///
    /// Errors: acces where no rule allows to ask for the name, nametoolong, inval for what is no
    /// name, noent if nobody knows it, again if too much is asked at a time, fault.
    /// Spec: WASIX, `resolve`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn resolve(
        &mut self, memory: &mut GuestMemory<'_>, host: u32, host_len: u32, _port: u32, addrs: u32,
        naddrs: u32, ro_naddrs: u32,
    ) -> CallResult {
        if host_len as usize > LONGEST_NAME_BYTES {
            return Err(Errno::NameTooLong.into());
        }
        let name = memory.slice(u64::from(host), u64::from(host_len))?.to_vec();
        let name = String::from_utf8(name).map_err(|_| Errno::Invalid)?;
        memory.slice(u64::from(addrs), IP_BYTES * u64::from(naddrs))?;
        memory.slice(u64::from(ro_naddrs), 4)?;
        let addresses = self.addresses(&name)?;
        let written = addresses.len().min(naddrs as usize);
        for (index, address) in addresses.iter().take(written).enumerate() {
            memory.write(u64::from(addrs) + IP_BYTES * index as u64, &ip_bytes(*address))?;
        }
        Ok(memory.write_u32(u64::from(ro_naddrs), written as u32)?)
    }

    fn addresses(&mut self, name: &str) -> Result<Vec<IpAddr>, Stopped> {
        // An address is its own name.
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        if name.is_empty() || name.contains('\0') {
            return Err(Errno::Invalid.into());
        }
        if !self.manifest.net.allow_name(name) {
            return Err(Errno::Access.into());
        }
        match self.net()?.resolve(name)? {
            Resolution::Found(addresses) => {
                self.names.learn(name, &addresses);
                Ok(addresses)
            }
            Resolution::Waits(answer) => Err(Stopped::Block(Wait {
                waits_for: vec![(answer, Direction::Read)],
                deadline_ns: None,
                progress_bytes: 0,
            })),
        }
    }
}
