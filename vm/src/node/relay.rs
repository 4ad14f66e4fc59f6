//! The terminal of a program that is elsewhere.
//!
//! Output comes with the number of its first byte and is shown once; input is kept until the program
//! cannot ask for it again. When the connection breaks another one is made, at the node that the
//! program has moved to if it has, and both sides go on from their numbers.

use std::io::{Read, Write};
use std::sync::mpsc::Receiver as Signals;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brant_mobility::migration::{Message, ProcessId};

use super::peer::{NodeError, Peer, Receiver, Sender, name, unexpected};
use super::{Address, Credentials};
use crate::remote::KEPT_BYTES;

/// So much input is read ahead of the program: what a node keeps, less two pieces, so that it never
/// has to turn one away.
const INPUT_LIMIT_BYTES: usize = KEPT_BYTES - 2 * PIECE_BYTES;

/// Input is sent in pieces of this size.
const PIECE_BYTES: usize = 32 << 10;

/// A node asks from time to time whether somebody is there; one that does not is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// Between two attempts to connect.
const RETRY: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
];

/// The two ends of a terminal, and the signals that come from it.
pub struct Terminal {
    /// Standard output and standard error.
    pub outputs: [Box<dyn Write + Send>; 2],
    /// Standard input, if the program gets any.
    pub input: Option<Box<dyn Read + Send>>,
    /// Numbers of signals that are for the program.
    pub signals: Option<Signals<u8>>,
}

/// How far the streams of a program have come where its terminal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes of standard input that the program has read.
    pub input: u64,
    /// Bytes of standard output and standard error that were shown.
    pub seen: [u64; 2],
}

/// How a program ended that was elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub code: u8,
    /// What there is to be said; empty if nothing is.
    pub text: String,
    /// How far its streams have come.
    pub position: Position,
}

/// What a node says about the copy of a process that its terminal has kept.
pub enum Copy<'a> {
    /// It wants the process once more: it had died before it had a checkpoint.
    Wanted(&'a mut Peer),
    /// It could start the process again by itself.
    Needless,
}

/// Does what is to be done with the copy.
pub type Keep<'a> = &'a mut dyn FnMut(Copy<'_>) -> Result<(), NodeError>;

/// What the threads of a terminal share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Input from this byte on.
    input_start: u64,
    input: Vec<u8>,
    input_ended: bool,
    /// Input up to here was sent on this connection.
    input_sent: u64,
    end_sent: bool,
    seen: [u64; 2],
    seen_said: [u64; 2],
    /// What else is to be said on this connection.
    words: Vec<Message>,
    /// Counts connections, so that the threads of old ones end.
    connection: u64,
}

impl State {
    /// A signal that could not be passed on.
    fn pending_signal(&self) -> Option<u8> {
        self.words.iter().find_map(|word| match word {
            Message::Signal { number } => Some(*number),
            _ => None,
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, message: Message) {
        self.lock().words.push(message);
        self.changed.notify_all();
    }
}

/// Whose terminal it is, and where the program is.
pub struct Whereabouts {
    /// The program.
    pub id: ProcessId,
    /// The node that has it.
    pub address: Address,
    /// Who we are.
    pub credentials: Option<Credentials>,
    /// Whether the terminal has been attached before, or was the program's own.
    pub goes_on: bool,
}

/// Is the terminal of a program until that ends. `copy` is told what becomes of the copy of the
/// process that is kept here, if one is.
///
/// # Errors
/// The node does not know the program, or somebody else has its terminal now.
pub fn relay(
    peer: Option<Peer>, mut at: Whereabouts, start: Position, terminal: Terminal, copy: Keep<'_>,
) -> Result<Ended, NodeError> {
    let Terminal { mut outputs, input, signals } = terminal;
    let shared = Arc::new(Shared::default());
    {
        let mut state = shared.lock();
        (state.input_start, state.seen) = (start.input, start.seen);
        state.input_ended = input.is_none();
    }
    if let Some(signals) = signals {
        let ours = shared.clone();
        let pass_on =
            move || signals.iter().for_each(|number| ours.say(Message::Signal { number }));
        std::thread::Builder::new().name("brant-signals".to_owned()).spawn(pass_on)?;
    }
    let mut input = input;
    let (mut peer, mut failures, mut lost_at) = (peer, 0usize, Instant::now());
    loop {
        let connected = match peer.take() {
            Some(peer) => Ok(peer),
            None => Peer::connect(&at.address, at.credentials.as_ref()),
        };
        let outcome = connected.and_then(|mut peer| match attach(&mut peer, &shared, &at, copy)? {
            Attached::Here => {
                if let Some(input) = input.take() {
                    read_input(&shared, input)?;
                }
                (at.goes_on, failures) = (true, 0);
                stay(peer, &shared, &mut outputs, copy)
            }
            Attached::Elsewhere(address) => Ok(Outcome::Moved(address)),
            Attached::Over(code, text) => Ok(Outcome::Exited(code, text)),
            Attached::Later => Ok(Outcome::Cut),
        });
        match outcome {
            Ok(Outcome::Exited(code, text)) => {
                let state = shared.lock();
                let position = Position { input: state.input_start, seen: state.seen };
                return Ok(Ended { code, text, position });
            }
            Ok(Outcome::Moved(address)) => {
                at.address = address.parse().map_err(NodeError::Peer)?;
                failures = 0;
            }
            Ok(Outcome::Cut) | Err(NodeError::Io(_)) => {
                if failures == 0 {
                    lost_at = Instant::now();
                }
                if let Some(number) = shared.lock().pending_signal() {
                    let text = format!("the node at {} is away", at.address);
                    let position = Position::default();
                    return Ok(Ended { code: number.saturating_add(128), text, position });
                }
                if failures == RETRY.len() && lost_at.elapsed() > RETRY[3] {
                    eprintln!("brant: the node at {} is away; waiting for it", at.address);
                }
                std::thread::sleep(RETRY[failures.min(RETRY.len() - 1)]);
                failures += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// How a connection ended.
enum Outcome {
    Exited(u8, String),
    Moved(String),
    Cut,
}

/// What a node says when a terminal wants to be attached.
enum Attached {
    Here,
    Elsewhere(String),
    Over(u8, String),
    Later,
}

fn attach(
    peer: &mut Peer, shared: &Shared, at: &Whereabouts, copy: Keep<'_>,
) -> Result<Attached, NodeError> {
    loop {
        let seen = shared.lock().seen;
        peer.send(&Message::Attach { id: at.id, seen, goes_on: at.goes_on })?;
        match peer.receive()? {
            Message::Attached { input, output, .. } => {
                let mut state = shared.lock();
                state.connection += 1;
                if !at.goes_on {
                    (state.input_start, state.seen) = (input, output);
                }
                state.input_sent = input.max(state.input_start);
                (state.end_sent, state.seen_said) = (false, output);
                state.words.retain(|word| matches!(word, Message::Signal { .. }));
                return Ok(Attached::Here);
            }
            Message::Moved { address } => return Ok(Attached::Elsewhere(address)),
            Message::Exited { code, text } => return Ok(Attached::Over(code, text)),
            Message::Wanted {} => copy(Copy::Wanted(peer))?,
            Message::Failed { remedy, .. } if !remedy.is_empty() => return Ok(Attached::Later),
            Message::Failed { why, remedy } => return Err(NodeError::Refused { why, remedy }),
            other => return Err(unexpected(&name(&other))),
        }
    }
}

/// Shows output until the connection ends.
fn stay(
    peer: Peer, shared: &Arc<Shared>, outputs: &mut [Box<dyn Write + Send>; 2], copy: Keep<'_>,
) -> Result<Outcome, NodeError> {
    let Peer { mut receiver, sender } = peer;
    receiver.set_patience(Some(SILENCE));
    let (ours, number) = (shared.clone(), shared.lock().connection);
    let talk = move || talk(&ours, sender, number);
    let talker = std::thread::Builder::new().name("brant-input".to_owned()).spawn(talk)?;
    let outcome = listen(&mut receiver, shared, outputs, copy);
    // The other thread has no connection any more.
    shared.lock().connection += 1;
    shared.changed.notify_all();
    // It sends what is left to be said, such as that the end is known.
    let _ = talker.join();
    outcome
}

fn listen(
    receiver: &mut Receiver, shared: &Shared, outputs: &mut [Box<dyn Write + Send>; 2],
    copy: Keep<'_>,
) -> Result<Outcome, NodeError> {
    loop {
        let message = match receiver.receive() {
            Ok(message) => message,
            Err(NodeError::Io(_)) => return Ok(Outcome::Cut),
            Err(error) => return Err(error),
        };
        match message {
            Message::Output { stream, position, bytes } => {
                let stream = usize::from(stream).wrapping_sub(1);
                let Some(output) = outputs.get_mut(stream) else {
                    return Err(unexpected("output of no stream"));
                };
                let seen = shared.lock().seen[stream];
                if position > seen {
                    return Err(unexpected("output with a gap before it"));
                }
                let known = usize::try_from(seen - position).unwrap_or(usize::MAX);
                if let Some(fresh) = bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
                    output.write_all(fresh)?;
                    output.flush()?;
                    shared.lock().seen[stream] += fresh.len() as u64;
                }
                shared.changed.notify_all();
            }
            Message::Taken { position, .. } => {
                let mut state = shared.lock();
                let gone = position.saturating_sub(state.input_start);
                let gone = gone.min(state.input.len() as u64);
                state.input.drain(..gone as usize);
                state.input_start += gone;
                drop(state);
                shared.changed.notify_all();
            }
            Message::Ping {} => shared.say(Message::Pong {}),
            Message::Owned { is_durable: true } => copy(Copy::Needless)?,
            Message::Pong {} | Message::Owned { .. } => {}
            Message::Moved { address } => return Ok(Outcome::Moved(address)),
            Message::Exited { code, text } => {
                shared.say(Message::Done {});
                return Ok(Outcome::Exited(code, text));
            }
            other => return Err(unexpected(&name(&other))),
        }
    }
}

/// Sends input and all else that is to be said, until the connection ends.
fn talk(shared: &Shared, mut sender: Sender, number: u64) {
    loop {
        let mut state = shared.lock();
        let words = std::mem::take(&mut state.words);
        let from = (state.input_sent - state.input_start) as usize;
        let input = state.input.get(from..).unwrap_or_default();
        let input = input[..input.len().min(PIECE_BYTES)].to_vec();
        let position = state.input_sent;
        let seen = (state.seen != state.seen_said).then_some(state.seen);
        let ends = state.input_ended && !state.end_sent && input.is_empty();
        if words.is_empty() && input.is_empty() && seen.is_none() && !ends {
            if state.connection != number {
                return sender.close();
            }
            drop(shared.changed.wait(state));
            continue;
        }
        state.input_sent += input.len() as u64;
        state.seen_said = state.seen;
        state.end_sent |= ends;
        drop(state);
        let mut messages = words;
        messages.extend(seen.map(|seen| Message::Seen { seen }));
        if !input.is_empty() {
            messages.push(Message::Input { position, bytes: input });
        }
        if ends {
            messages.push(Message::InputEnd { position });
        }
        for message in messages {
            if sender.send(&message).is_err() {
                // A signal must not get lost with the connection.
                if let Message::Signal { .. } = message {
                    shared.lock().words.push(message);
                }
                return sender.close();
            }
        }
    }
}

/// Reads input ahead of the program, on a thread that ends with the input or with the process.
fn read_input(shared: &Arc<Shared>, mut input: Box<dyn Read + Send>) -> std::io::Result<()> {
    let shared = shared.clone();
    let read = move || {
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = match input.read(&mut piece) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => 0,
                Ok(count) => count,
            };
            let mut state = shared.lock();
            while state.input.len() >= INPUT_LIMIT_BYTES {
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.input.extend_from_slice(&piece[..count]);
            state.input_ended |= count == 0;
            drop(state);
            shared.changed.notify_all();
            if count == 0 {
                return;
            }
        }
    };
    std::thread::Builder::new().name("brant-stdin".to_owned()).spawn(read).map(drop)
}
