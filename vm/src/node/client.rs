//! What a command asks of a node.

use brant_mobility::migration::{Listed, Message, Mode, ProcessId, Progress};

use super::peer::{NodeError, Peer, name, unexpected};
use super::{Address, Credentials};

/// So much of a module fits into a frame.
const CHUNK_BYTES: usize = 256 << 10;

/// A command that talks to a node.
#[derive(Debug)]
pub struct Client {
    peer: Peer,
}

impl Client {
    /// Connects to a node.
    ///
    /// # Errors
    /// It cannot be reached, or does not know us.
    pub fn connect(
        address: &Address, credentials: Option<&Credentials>,
    ) -> Result<Client, NodeError> {
        Ok(Client { peer: Peer::connect(address, credentials)? })
    }

    /// The connection, for a terminal that is to be attached.
    pub fn into_peer(self) -> Peer {
        self.peer
    }

    /// The programs of the node.
    ///
    /// # Errors
    /// The node does not answer, or says no; so it is with the other calls too.
    pub fn list(&mut self) -> Result<Vec<Listed>, NodeError> {
        match self.peer.ask(&Message::List {})? {
            Message::Listing { processes } => Ok(processes),
            other => Err(unexpected(&name(&other))),
        }
    }

    /// The program whose id begins with these digits.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(&mut self, digits: &str) -> Result<ProcessId, NodeError> {
        match self.peer.ask(&Message::Find { id: digits.to_owned() })? {
            Message::Started { id } => Ok(id),
            other => Err(unexpected(&name(&other))),
        }
    }

    /// `pause`, `resume` or `kill`.
    ///
    /// # Errors
    /// There is no such program, or no such verb.
    pub fn steer(&mut self, digits: &str, verb: &str) -> Result<(), NodeError> {
        let (id, verb) = (digits.to_owned(), verb.to_owned());
        match self.peer.ask(&Message::Steer { id, verb })? {
            Message::Done {} => Ok(()),
            other => Err(unexpected(&name(&other))),
        }
    }

    /// Decides about a program that the node has given up and whose destination does not answer:
    /// that it goes on there, at the node, or that it is at its destination.
    ///
    /// # Errors
    /// Nothing is open about it, or its destination answers.
    pub fn resolve(&mut self, digits: &str, here: bool) -> Result<(), NodeError> {
        match self.peer.ask(&Message::Resolve { id: digits.to_owned(), here })? {
            Message::Done {} => Ok(()),
            other => Err(unexpected(&name(&other))),
        }
    }

    /// Starts a program; its bytes are sent if the node does not have them. Says whether they were.
    ///
    /// # Errors
    /// It is no module that the node runs.
    pub fn push(
        &mut self, program: &str, args: Vec<Vec<u8>>, module: &[u8],
    ) -> Result<(ProcessId, bool), NodeError> {
        let hash = *blake3::hash(module).as_bytes();
        let bytes = module.len() as u64;
        let asked = Message::Push { name: program.to_owned(), args, hash, bytes };
        let is_wanted = match self.peer.ask(&asked)? {
            Message::Accept { wanted } => wanted.contains(&true),
            other => return Err(unexpected(&name(&other))),
        };
        if is_wanted {
            for chunk in module.chunks(CHUNK_BYTES) {
                self.peer.send(&Message::Code { module: 0, bytes: chunk.to_vec() })?;
            }
        }
        match self.peer.receive()? {
            Message::Started { id } => Ok((id, is_wanted)),
            Message::Failed { why, remedy } => Err(NodeError::Refused { why, remedy }),
            other => Err(unexpected(&name(&other))),
        }
    }

    /// Moves a program of the node to another one.
    ///
    /// # Errors
    /// It cannot move; it goes on where it is.
    pub fn migrate(
        &mut self, digits: &str, to: &Address, mode: Mode, mut see: impl FnMut(&Progress),
    ) -> Result<(), NodeError> {
        let (id, address) = (digits.to_owned(), to.to_string());
        self.peer.send(&Message::Migrate { id, address, mode })?;
        // A move takes as long as it takes.
        self.peer.receiver.set_patience(None);
        loop {
            match self.peer.receive()? {
                Message::Progressed { progress } => see(&progress),
                Message::Done {} => return Ok(()),
                Message::Failed { why, remedy } => return Err(NodeError::Refused { why, remedy }),
                other => return Err(unexpected(&name(&other))),
            }
        }
    }
}
