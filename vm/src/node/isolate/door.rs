//! Connections that a host process asks for: it has none of its own.
//!
//! It makes a pair of sockets and hands one over, with the address where it should lead. The front
//! connects there if the program was told to go there, and passes frames on, as long as they are what
//! a node says of this one process. A host process that somebody has taken over cannot use the
//! certificates of its node for anything else.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use brant_host::native::handover::{Handed, Handover};
use brant_mobility::migration::{Message, PAGES, ProcessId};

use super::super::Address;
use super::super::peer::{NodeError, Peer, Receiver, Sender, Socket, unexpected};
use super::front::Front;
use super::tenant::Tenant;

/// Connections for one program at a time; a move has two.
const CONNECTIONS_LIMIT: usize = 8;

/// The channel of this process to its front. A property of the whole process, as its walls are.
static DOOR: OnceLock<Handover> = OnceLock::new();

/// From now on all connections go through this channel.
pub fn install(handover: Handover) -> io::Result<()> {
    DOOR.set(handover).map_err(|_| io::Error::other("the channel was taken already"))
}

pub fn installed() -> io::Result<&'static Handover> {
    DOOR.get().ok_or_else(|| io::Error::other("there is no channel to a node"))
}

/// A connection through the door; none if this process has no door and opens its own.
pub fn dial(address: &Address) -> Option<io::Result<UnixStream>> {
    let handover = DOOR.get()?;
    let asked = || {
        let (ours, theirs) = UnixStream::pair()?;
        handover.send(&address.to_string(), &theirs)?;
        Ok(ours)
    };
    Some(asked())
}

/// Opens connections for a host process until it ends.
pub(super) fn keep(front: &Arc<Front>, tenant: &Arc<Tenant>, handover: &Handover) {
    let open = Arc::new(AtomicUsize::new(0));
    while let Ok(Handed::Socket(address, socket)) = handover.receive(None) {
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_LIMIT {
            open.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (front, tenant, ours) = (front.clone(), tenant.clone(), open.clone());
        let lead = move || {
            // Whoever asked finds out by the end of the connection.
            let _ = lead(&front, &tenant, &address, socket);
            ours.fetch_sub(1, Ordering::AcqRel);
        };
        if std::thread::Builder::new().name("brant-door".to_owned()).spawn(lead).is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Leads a socket to the address that was asked for.
fn lead(
    front: &Front, tenant: &Arc<Tenant>, address: &str, socket: UnixStream,
) -> Result<(), NodeError> {
    let connected = match address.parse::<Address>() {
        Ok(address) if tenant.may_call(&address) => {
            Peer::connect(&address, front.config.credentials.as_ref())
        }
        _ => Err(NodeError::Peer("the program was not told to go there".to_owned())),
    };
    let outer = match connected {
        Ok(outer) => outer,
        Err(error) => return Ok(Peer::turn_away(Socket::Unix(socket), &error.to_string())?),
    };
    let Peer { receiver: mut from_inside, sender: inside } =
        Peer::called(Socket::Unix(socket), None)?;
    let Peer { receiver: from_outside, sender: mut outside } = outer;
    let ours = tenant.clone();
    std::thread::Builder::new()
        .name("brant-door".to_owned())
        .spawn(move || pass_inwards(from_outside, inside, &ours))?;
    let passed = pass_outwards(&mut from_inside, &mut outside, tenant.id);
    outside.close();
    if let Err(NodeError::Peer(what)) = &passed {
        eprintln!("brant: process {}: its host process was cut off: {what}", tenant.id);
    }
    passed
}

fn pass_inwards(mut receiver: Receiver, mut sender: Sender, tenant: &Tenant) {
    receiver.set_patience(None);
    while let Ok((kind, payload)) = receiver.receive_raw() {
        // The node to which the program was told to go knows where it has gone since; whoever keeps its
        // sockets follows.
        if let Ok(Message::Moved { address }) = Message::read(kind, payload)
            && let Ok(address) = address.parse()
            && let Err(error) = tenant.allow_route(&address)
        {
            eprintln!("brant: process {}: {error}", tenant.id);
        }
        if sender.pass_on(kind, payload).is_err() {
            break;
        }
    }
    sender.close();
}

fn pass_outwards(
    receiver: &mut Receiver, sender: &mut Sender, id: ProcessId,
) -> Result<(), NodeError> {
    receiver.set_patience(None);
    loop {
        let (kind, payload) = receiver.receive_raw()?;
        if kind != PAGES && !is_of(&Message::read(kind, payload)?, id) {
            return Err(unexpected("something that is not about its program"));
        }
        sender.pass_on(kind, payload)?;
    }
}

/// Whether the source of this process would say that to its destination.
fn is_of(message: &Message, id: ProcessId) -> bool {
    match message {
        Message::Offered { offer } => offer.id == id,
        Message::Commit { id: of, .. }
        | Message::Settle { id: of, .. }
        | Message::Bereft { id: of, .. }
        | Message::Keep { id: of, .. } => *of == id,
        Message::Code { .. }
        | Message::Sizes { .. }
        | Message::State { .. }
        | Message::Behind { .. }
        | Message::Output { .. }
        | Message::Lane { .. }
        | Message::Door { .. }
        | Message::Caller { .. }
        | Message::FromCaller { .. }
        | Message::CallerEnded { .. }
        | Message::Reached { .. }
        | Message::Gone { .. }
        | Message::Ping {}
        | Message::Pong {}
        | Message::Done {} => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_process_speaks_for_its_own_program_alone() {
        let (ours, other) = (ProcessId([1; 16]), ProcessId([2; 16]));
        let commit = |id| Message::Commit { id, epoch: 1 };
        assert!(is_of(&commit(ours), ours) && !is_of(&commit(other), ours));
        let steer = Message::Steer { id: ours.to_string(), verb: "kill".to_owned() };
        let attach = Message::Attach { id: ours, seen: [0; 2], goes_on: false };
        for message in [steer, attach, Message::List {}, Message::Find { id: String::new() }] {
            assert!(!is_of(&message, ours), "{message:?}");
        }
    }
}
