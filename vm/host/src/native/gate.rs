//! Sockets that stay on this host when their process leaves.
//!
//! As long as the process is here, it uses its sockets as any other one does: nothing stands in
//! between. A gate only knows which of them belong to an address that it keeps; when the process is
//! saved it holds a second descriptor of each, and whoever sees the process leave takes these.
//! This file must never know what becomes of them then.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brant_kernel::errno::Errno;
use brant_kernel::host::{Answer, Handle, Host};
use brant_kernel::net::{LaneId, LaneKind, LaneName};

use super::NativeHost;
use super::errno::errno;

/// What a process has behind a gate. A copy is the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    keeper: [u8; 16],
    /// Listeners at these addresses are kept, and the connections that they take.
    addresses: Vec<String>,
    sockets: BTreeMap<Handle, Socket>,
    /// How many sockets have been named.
    count: u64,
}

#[derive(Debug)]
struct Socket {
    name: LaneName,
    /// Our own descriptor of it, once the process was saved.
    descriptor: Option<OwnedFd>,
}

impl Gate {
    /// A gate that keeps what listens at these addresses.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub fn new(addresses: Vec<String>) -> io::Result<Gate> {
        let token = NativeHost::new().token();
        let keeper = token.map_err(|errno| io::Error::other(errno.name()))?;
        let sockets = BTreeMap::new();
        Ok(Gate(Arc::new(Mutex::new(State { keeper, addresses, sockets, count: 0 }))))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole after every call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sockets that are open behind it.
    pub fn held(&self) -> Vec<LaneName> {
        self.lock().sockets.values().map(|socket| socket.name).collect()
    }

    /// Takes the descriptors of all sockets that the process had when it was saved.
    pub fn take(&self) -> Vec<(LaneName, OwnedFd)> {
        let sockets = std::mem::take(&mut self.lock().sockets).into_values();
        sockets.filter_map(|Socket { name, descriptor }| Some((name, descriptor?))).collect()
    }

    /// The process listens at an address.
    pub(super) fn listens(&self, address: &str, listener: Handle) {
        let mut state = self.lock();
        if state.addresses.iter().any(|kept| kept == address) {
            state.insert(listener, LaneKind::Door);
        }
    }

    /// The process has taken a connection.
    pub(super) fn accepted(&self, listener: Handle, connection: Handle) {
        let mut state = self.lock();
        if state.sockets.contains_key(&listener) {
            state.insert(connection, LaneKind::Lane);
        }
    }

    /// The process is about to be saved with this socket.
    pub(super) fn hand_over(&self, socket: Handle, descriptor: BorrowedFd<'_>) -> Answer<Vec<u8>> {
        let mut state = self.lock();
        let socket = state.sockets.get_mut(&socket).ok_or(Errno::NotSupported)?;
        if socket.descriptor.is_none() {
            socket.descriptor = Some(descriptor.try_clone_to_owned().map_err(|error| {
                errno(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
            })?);
        }
        Ok(socket.name.to_bytes())
    }

    /// The process has closed an object.
    pub(super) fn closed(&self, object: Handle) {
        self.lock().sockets.remove(&object);
    }
}

impl State {
    fn insert(&mut self, handle: Handle, kind: LaneKind) {
        self.count += 1;
        let id = LaneId { keeper: self.keeper, number: self.count };
        self.sockets.insert(handle, Socket { name: LaneName { kind, id }, descriptor: None });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn call(port: u16) -> TcpStream {
        TcpStream::connect(("127.0.0.1", port)).expect("somebody listens")
    }

    fn port_of(descriptor: &OwnedFd) -> u16 {
        let address = rustix::net::getsockname(descriptor).expect("an address");
        std::net::SocketAddr::try_from(address).expect("of a network").port()
    }

    #[test]
    fn sockets_of_a_kept_address_outlive_the_process_that_has_left() {
        let gate = Gate::new(vec!["127.0.0.1:0".to_owned()]).expect("a gate");
        let mut host = NativeHost::new().with_gate(gate.clone());
        let listener = host.listen("127.0.0.1:0").expect("a port");
        host.hand_over(listener).expect("a name");
        let taken = gate.take();
        let port = port_of(&taken[0].1);
        // It was only asked for: the process goes on here.
        assert_eq!(taken[0].0.kind, LaneKind::Door);
        let mut caller = call(port);
        let connection = loop {
            match host.accept(listener) {
                Ok(opened) => break opened.handle,
                Err(error) => assert_eq!(error, Errno::Again),
            }
        };
        host.send(connection, &[IoSlice::new(b"one ")]).expect("room");
        assert_eq!(host.hand_over(connection), Err(Errno::NotSupported), "the gate was emptied");
        drop(host);
        let mut all = String::new();
        caller.read_to_string(&mut all).expect("the end");
        assert_eq!(all, "one ");
        // The listener is still there.
        call(port);
    }

    #[test]
    fn what_the_process_closes_is_not_kept() {
        let gate = Gate::new(vec!["127.0.0.1:0".to_owned()]).expect("a gate");
        let mut host = NativeHost::new().with_gate(gate.clone());
        let kept = host.listen("127.0.0.1:0").expect("a port");
        let other = host.listen("127.0.0.2:0").expect("a port");
        assert_eq!(host.hand_over(other), Err(Errno::NotSupported));
        let name = LaneName::from_bytes(&host.hand_over(kept).expect("a name"));
        assert_eq!(name.map(|name| name.kind), Some(LaneKind::Door));
        assert_eq!(host.hand_over(kept).ok().map(|name| name.len()), Some(25));
        assert_eq!(gate.held(), [name.expect("a name")]);
        host.close(kept).expect("it was open");
        assert!(gate.take().is_empty());
    }

    #[test]
    fn a_connection_that_was_taken_by_another_goes_on() {
        let gate = Gate::new(vec!["127.0.0.1:0".to_owned()]).expect("a gate");
        let mut host = NativeHost::new().with_gate(gate.clone());
        let listener = host.listen("127.0.0.1:0").expect("a port");
        let port = {
            host.hand_over(listener).expect("a name");
            let state = gate.lock();
            port_of(state.sockets[&listener].descriptor.as_ref().expect("ours"))
        };
        let mut caller = call(port);
        let connection = loop {
            if let Ok(opened) = host.accept(listener) {
                break opened.handle;
            }
        };
        host.hand_over(connection).expect("a name");
        let taken = gate.take();
        drop(host);
        let (_, socket) =
            taken.into_iter().find(|(name, _)| name.kind == LaneKind::Lane).expect("it");
        TcpStream::from(socket).write_all(b"two").expect("room");
        let mut all = String::new();
        caller.read_to_string(&mut all).expect("the end");
        assert_eq!(all, "two");
    }
}
