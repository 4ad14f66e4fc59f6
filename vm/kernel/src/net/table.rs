//! The sockets of a process: how many there are, and what the kernel keeps of each.

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use super::{Carries, Family};
use crate::errno::Errno;
use crate::host::Handle;

/// So many answers of the name service are remembered.
const MOST_NAMES: usize = 1024;

/// How long calls on a socket may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    Receive,
    Send,
    Connect,
    Accept,
}

/// What the kernel keeps of a socket. All descriptors that lead to it have it in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    pub family: Family,
    pub carries: Carries,
    /// Whether it has an address that it was allowed to take.
    pub is_bound: bool,
    /// How many connections may wait to be taken, if it listens.
    pub backlog: Option<u32>,
    timeouts_ns: [Option<u64>; 4],
}

impl Socket {
    pub fn new(family: Family, carries: Carries) -> Socket {
        Socket { family, carries, is_bound: false, backlog: None, timeouts_ns: [None; 4] }
    }

    /// How long a call may wait, if not for ever.
    pub fn timeout_ns(&self, of: Timeout) -> Option<u64> {
        self.timeouts_ns[of as usize]
    }

    pub fn set_timeout_ns(&mut self, of: Timeout, ns: Option<u64>) {
        self.timeouts_ns[of as usize] = ns;
    }
}

/// The sockets that are open, by the host's names for them.
#[derive(Clone, Debug)]
pub(crate) struct Sockets {
    open: BTreeMap<Handle, Socket>,
    limit: u32,
}

impl Sockets {
    pub fn new(limit: u32) -> Sockets {
        Sockets { open: BTreeMap::new(), limit }
    }

    /// Whether so many more can be opened; asked before any is.
    ///
    /// # Errors
    /// [`Errno::TooManyDescriptors`].
    pub fn check_room(&self, count: u32) -> Result<(), Errno> {
        match self.open.len() as u64 + u64::from(count) <= u64::from(self.limit) {
            true => Ok(()),
            false => Err(Errno::TooManyDescriptors),
        }
    }

    pub fn insert(&mut self, handle: Handle, socket: Socket) {
        self.open.insert(handle, socket);
    }

    /// Forgets a socket, if it is one.
    pub fn remove(&mut self, handle: Handle) {
        self.open.remove(&handle);
    }

    pub fn get(&self, handle: Handle) -> Option<&Socket> {
        self.open.get(&handle)
    }

    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut Socket> {
        self.open.get_mut(&handle)
    }
}

/// What the name service has answered: a rule that allows a name allows its addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    known: VecDeque<(IpAddr, String)>,
}

impl Names {
    /// Remembers the addresses of a name; the oldest answers are forgotten first.
    pub fn learn(&mut self, name: &str, addresses: &[IpAddr]) {
        for address in addresses {
            let answer = (address.to_canonical(), name.to_ascii_lowercase());
            self.known.retain(|known| *known != answer);
            self.known.push_back(answer);
        }
        let old = self.known.len().saturating_sub(MOST_NAMES);
        self.known.drain(..old);
    }

    /// The names under which an address was found.
    pub fn of(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        let address = address.to_canonical();
        let found = self.known.iter().filter(move |(known, _)| *known == address);
        found.map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_answers_are_forgotten() {
        let address = |n: u32| IpAddr::V4(core::net::Ipv4Addr::from(n));
        let mut names = Names::default();
        for n in 0..=MOST_NAMES as u32 {
            names.learn("Example.ORG", &[address(n)]);
        }
        assert_eq!(names.of(address(0)).count(), 0);
        assert_eq!(names.of(address(1)).collect::<Vec<_>>(), ["example.org"]);
    }

    #[test]
    fn sockets_are_counted() {
        let mut sockets = Sockets::new(2);
        sockets.insert(Handle(1), Socket::new(Family::Inet4, Carries::Stream));
        assert_eq!(sockets.check_room(1), Ok(()));
        assert_eq!(sockets.check_room(2), Err(Errno::TooManyDescriptors));
        sockets.remove(Handle(1));
        assert_eq!(sockets.check_room(2), Ok(()));
    }
}
