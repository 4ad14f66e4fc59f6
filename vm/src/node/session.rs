//! A terminal is attached to a program of this node.
//!
//! Two threads: this one takes what the terminal says, the other one brings output to it, and says
//! when the program has ended or gone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brant_mobility::migration::{Destination, DestinationHears, Message, ProcessId};

use super::daemon::Shared;
use super::keep::bury;
use super::peer::{NodeError, Peer, Receiver, Sender, name, unexpected};
use super::take_in::{is_durable, settled};
use crate::remote::{Piece, Remote};

/// A connection on which nothing happens is looked at after this time.
const IDLE: Duration = Duration::from_secs(5);

/// A terminal that says nothing for so long, though it is asked, is gone.
const SILENCE: Duration = Duration::from_secs(40);

/// What the shell adds to the number of a signal.
const SIGNAL_CODE_BASE: u8 = 128;

/// A terminal and its program.
struct Session {
    shared: Arc<Shared>,
    id: ProcessId,
    number: u64,
    remote: Remote,
    /// What is said besides output.
    answers: Mutex<VecDeque<Message>>,
    is_over: AtomicBool,
}

/// What an attached terminal asks for.
pub(super) struct Attach {
    pub id: ProcessId,
    pub seen: [u64; 2],
    pub goes_on: bool,
}

/// Attaches a terminal until it goes, or the program does.
pub(super) fn attach(
    shared: &Arc<Shared>, mut peer: Peer, asked: Attach,
) -> Result<Option<Peer>, NodeError> {
    let id = asked.id;
    let mut table = shared.table();
    let Some(entry) = table.get_mut(&id) else {
        drop(table);
        let why = format!("no program of this node has the id {}", id.short());
        peer.send(&Message::Failed { why, remedy: String::new() })?;
        return Ok(Some(peer));
    };
    let answer = match (&entry.left, &entry.ended, entry.ownership) {
        (Some(address), ..) if entry.has_moved => Some(Message::Moved { address: address.clone() }),
        // Nobody was told, as nobody waited; who asks now gets what is left of its output.
        (None, Some(_), _) if entry.has_unseen_output() => None,
        (None, Some((code, text)), _) if entry.is_buried => {
            Some(Message::Exited { code: *code, text: text.clone() })
        }
        (None, _, Destination::Owns { .. }) if entry.hosted.is_none() => Some(Message::Wanted {}),
        (None, _, Destination::Owns { .. }) => None,
        _ => Some(Message::Failed {
            why: "it is not known yet whose the program is".to_owned(),
            remedy: "try again".to_owned(),
        }),
    };
    if let Some(answer) = answer {
        drop(table);
        peer.send(&answer)?;
        return Ok(Some(peer));
    }
    let Some(hosted) = entry.hosted.clone() else { return Ok(Some(peer)) };
    entry.session += 1;
    let number = entry.session;
    (entry.is_attached, entry.is_let_go) = (true, false);
    let program = entry.name.clone();
    // Whoever had it before hears that somebody else has it now.
    drop(table);
    let remote = hosted.remote.clone();
    remote.let_go(false);
    if asked.goes_on {
        remote.seen(asked.seen);
    }
    remote.has_news();
    let output = remote.output_start();
    let (_, input) = remote.input_position();
    peer.send(&Message::Attached { name: program, input, output })?;
    let Peer { mut receiver, sender } = peer;
    receiver.set_patience(Some(SILENCE));
    let session = Arc::new(Session {
        shared: shared.clone(),
        id,
        number,
        remote,
        answers: Mutex::default(),
        is_over: AtomicBool::new(false),
    });
    let ours = session.clone();
    let bring = move || ours.bring(sender, output);
    std::thread::Builder::new().name("brant-output".to_owned()).spawn(bring)?;
    let heard = session.hear(&mut receiver);
    session.close();
    heard.map(|()| None)
}

impl Session {
    fn answer(&self, message: Message) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push_back(message);
        self.remote.has_news();
    }

    fn close(&self) {
        self.is_over.store(true, Ordering::Release);
        self.remote.has_news();
        if let Some(entry) = self.shared.table().get_mut(&self.id)
            && entry.session == self.number
        {
            entry.is_attached = false;
        }
    }

    /// Takes what the terminal says.
    fn hear(&self, receiver: &mut Receiver) -> Result<(), NodeError> {
        loop {
            match receiver.receive()? {
                Message::Seen { seen } => self.remote.seen(seen),
                Message::Input { position, bytes } => {
                    self.remote.input(position, &bytes);
                    self.say_taken();
                }
                Message::InputEnd { position } => self.remote.end_input(position),
                Message::Signal { number } => {
                    let hosted = self.shared.table().get(&self.id).and_then(|e| e.hosted.clone());
                    let code = number.saturating_add(SIGNAL_CODE_BASE);
                    hosted.inspect(|hosted| hosted.signal(number, code));
                }
                Message::Settle { id, epoch } => {
                    let answer = settled(&self.shared, id, DestinationHears::Settle { epoch })?;
                    self.answer(answer);
                }
                Message::Ping {} => self.answer(Message::Pong {}),
                Message::Pong {} => {}
                // The terminal knows how the program ended.
                Message::Done {} => {
                    if let Some(entry) = self.shared.table().get_mut(&self.id) {
                        bury(&self.shared, self.id, entry);
                    }
                    return Ok(());
                }
                other => return Err(unexpected(&name(&other))),
            }
        }
    }

    fn say_taken(&self) {
        let position = self.shared.table().get(&self.id).map_or(0, |entry| entry.durable_input);
        let (_, received) = self.remote.input_position();
        self.answer(Message::Taken { position, received });
    }

    /// Brings output to the terminal.
    fn bring(&self, mut sender: Sender, start: [u64; 2]) {
        // A terminal that is gone is found out by the other thread too.
        let _ = self.bring_all(&mut sender, start);
        self.is_over.store(true, Ordering::Release);
        sender.close();
    }

    fn bring_all(&self, sender: &mut Sender, mut sent: [u64; 2]) -> std::io::Result<()> {
        let (mut news, mut taken, mut said_durable) = (0, 0, false);
        loop {
            let known = news;
            let piece = self.remote.next(&mut sent, &mut news, IDLE);
            if self.is_over.load(Ordering::Acquire) {
                return Ok(());
            }
            if let Some(Piece { stream, position, bytes }) = piece {
                let stream = stream as u8 + 1;
                sender.send(&Message::Output { stream, position, bytes })?;
                continue;
            }
            let answers: Vec<Message> = {
                let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.drain(..).collect()
            };
            for answer in &answers {
                sender.send(answer)?;
            }
            let (last, durable_input) = self.last_words();
            if durable_input.is_some() && !said_durable {
                said_durable = true;
                sender.send(&Message::Owned { is_durable: true })?;
            }
            let durable_input = durable_input.unwrap_or(0);
            if durable_input != taken {
                taken = durable_input;
                let (_, received) = self.remote.input_position();
                sender.send(&Message::Taken { position: taken, received })?;
            }
            match last {
                Some(Last::Superseded) => return Ok(()),
                Some(Last::Moved(address)) => return sender.send(&Message::Moved { address }),
                // Said once all output has been seen; the terminal says `Done`.
                Some(Last::Exited(code, text)) if self.remote.is_all_seen() => {
                    sender.send(&Message::Exited { code, text })?;
                    self.wait_until_over();
                    return Ok(());
                }
                _ if answers.is_empty() && news == known => sender.send(&Message::Ping {})?,
                _ => {}
            }
        }
    }

    /// What of the program's is the terminal's business now; and how much input will not be asked
    /// for again, if there is a checkpoint.
    fn last_words(&self) -> (Option<Last>, Option<u64>) {
        let table = self.shared.table();
        let Some(entry) = table.get(&self.id) else { return (Some(Last::Superseded), None) };
        let last = match (&entry.left, &entry.ended) {
            _ if entry.session != self.number => Some(Last::Superseded),
            (Some(address), _) if entry.has_moved => Some(Last::Moved(address.clone())),
            (None, Some((code, text))) => Some(Last::Exited(*code, text.clone())),
            _ => None,
        };
        (last, is_durable(entry).then_some(entry.durable_input))
    }

    fn wait_until_over(&self) {
        let mut news = 0;
        let (mut sent, mut waited) = ([u64::MAX; 2], 0);
        while !self.is_over.load(Ordering::Acquire) && waited < 40 {
            self.remote.next(&mut sent, &mut news, Duration::from_millis(500));
            waited += 1;
        }
    }
}

/// What a terminal hears last.
enum Last {
    /// Another terminal has the program now.
    Superseded,
    Moved(String),
    Exited(u8, String),
}
