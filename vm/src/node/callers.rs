//! Somebody keeps sockets of a program of this node, and speaks for them.
//!
//! Two threads, as for a terminal: this one takes what callers say, the other one brings them what the
//! program says, and tells the keeper when the program has ended or gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brant_mobility::migration::{Destination, Message, ProcessId};

use super::daemon::Shared;
use super::hosted::Hosted;
use super::peer::{NodeError, Peer, Sender, name, unexpected};
use crate::lanes::{News, Told};
use crate::remote::Remote;

/// A connection on which nothing happens is looked at after this time.
const IDLE: Duration = Duration::from_secs(5);

/// A keeper that says nothing for so long, though it is asked, is gone.
const SILENCE: Duration = Duration::from_secs(40);

/// Lets somebody keep sockets until it goes, or the program does.
pub(super) fn attach(
    shared: &Arc<Shared>, mut peer: Peer, id: ProcessId, keeper: [u8; 16],
) -> Result<Option<Peer>, NodeError> {
    let remote = match look(shared, id) {
        Ok(hosted) => hosted.remote.clone(),
        Err(answer) => {
            peer.send(&answer)?;
            return Ok(Some(peer));
        }
    };
    let (told, positions) = remote.lanes().attach(keeper);
    peer.send(&positions)?;
    let Peer { mut receiver, sender } = peer;
    receiver.set_patience(Some(SILENCE));
    let is_over = Arc::new(AtomicBool::new(false));
    let (ours, its_shared, its_remote) = (is_over.clone(), shared.clone(), remote.clone());
    let bring = move || bring(&its_shared, id, &its_remote, told, sender, &ours);
    std::thread::Builder::new().name("brant-lanes".to_owned()).spawn(bring)?;
    let heard = loop {
        match receiver.receive() {
            Ok(Message::Ping {} | Message::Pong {}) => {}
            Ok(Message::Done {}) => break Ok(()),
            // What makes no sense, or cannot be taken while the program leaves, ends the connection;
            // the keeper comes back.
            Ok(message) if !remote.lanes().hear(keeper, &message) => {
                break Err(unexpected(&name(&message)));
            }
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    is_over.store(true, Ordering::Release);
    remote.lanes().has_news();
    heard.map(|()| None)
}

/// The program, if callers can be answered; else what is said instead.
fn look(shared: &Shared, id: ProcessId) -> Result<Arc<Hosted>, Message> {
    if let Some(last) = last_word(shared, id) {
        return Err(last);
    }
    let table = shared.table();
    let Some(entry) = table.get(&id) else {
        let why = format!("no program of this node has the id {}", id.short());
        return Err(Message::Failed { why, remedy: String::new() });
    };
    match (&entry.left, entry.ownership, &entry.hosted) {
        // What it says might have to be taken back as long as its pages are not here.
        (None, Destination::Owns { .. }, Some(hosted)) if entry.missing.is_none() => {
            Ok(hosted.clone())
        }
        (None, Destination::Owns { .. }, None) => Err(Message::Wanted {}),
        _ => Err(Message::Failed {
            why: "it is not known yet whose the program is".to_owned(),
            remedy: "try again".to_owned(),
        }),
    }
}

/// Brings callers what the program says.
fn bring(
    shared: &Shared, id: ProcessId, remote: &Remote, mut told: Told, mut sender: Sender,
    is_over: &AtomicBool,
) {
    loop {
        // What it has said before its end is told before its end.
        let last = last_word(shared, id);
        let patience = if last.is_some() { Duration::ZERO } else { IDLE };
        let news = remote.lanes().next(&mut told, patience);
        if is_over.load(Ordering::Acquire) {
            break;
        }
        let News::Tell(mut messages) = news else { break };
        if messages.is_empty() && last.is_none() {
            messages.push(Message::Ping {});
        }
        if messages.iter().chain(&last).any(|message| sender.send(message).is_err()) {
            break;
        }
        if last.is_some() {
            break;
        }
    }
    remote.lanes().detach(&told);
    sender.close();
}

/// What is said of a program that has ended or gone for good; none of any other.
fn last_word(shared: &Shared, id: ProcessId) -> Option<Message> {
    let table = shared.table();
    let entry = table.get(&id)?;
    match (&entry.left, &entry.ended) {
        (Some(address), _) if entry.has_moved => Some(Message::Moved { address: address.clone() }),
        (None, Some((code, text))) => Some(Message::Exited { code: *code, text: text.clone() }),
        _ => None,
    }
}
