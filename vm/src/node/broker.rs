//! Sockets of a process that is elsewhere: this host keeps them, and speaks for the process.
//!
//! The broker of a process finds out where it is as a terminal does, and connects there. What callers
//! say is kept until the process has read it; what they are told comes with the number of its first
//! byte, so that nothing is told twice. Whoever connects meanwhile, or while the process is on its way,
//! waits and sees neither an end nor a gap.
//!
//! ```text
//! callers ── sockets ── pump's thread ──── Caller, FromCaller, .. ───>  node that has the process
//!                       broker's thread <─ ToCaller, Read, Gone, ..
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use brant_host::native::watch::{Watched, take_caller, watch};
use brant_kernel::net::{LaneKind, LaneName};
use brant_mobility::migration::{LanePosition, Message, ProcessId};

use super::peer::{NodeError, Peer, Receiver, Sender, name, unexpected};
use super::{Address, Credentials};
use crate::lanes::LANE_BYTES;

/// So much is said in one message.
const PIECE_BYTES: usize = 64 << 10;

/// Callers at a time; who calls then waits in the listener.
const CALLERS_LIMIT: usize = 16 << 10;

/// A node asks from time to time whether somebody is there; one that does not is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// Between two attempts to connect.
const RETRY: [Duration; 4] = [
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(500),
];

/// A process that nobody has for so long is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// When the process has ended, callers have so long to hear the last of it.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// How long the pump sleeps at most.
const PUMP_PAUSE: Duration = Duration::from_secs(5);

/// Whose sockets they are, and where the process is.
#[derive(Debug)]
pub struct KeptSockets {
    /// The process.
    pub id: ProcessId,
    /// The node that has it.
    pub address: Address,
    /// Who we are, for nodes that are called over the network.
    pub credentials: Option<Credentials>,
    /// The sockets, by the names under which the process knows them. They do not wait.
    pub sockets: Vec<(LaneName, OwnedFd)>,
}

/// What both threads have in common.
struct Shared {
    keeper: [u8; 16],
    state: Mutex<State>,
    /// The way to the node that has the process, while there is one.
    sender: Mutex<Option<Sender>>,
    /// A byte here wakes the pump.
    bell: UnixStream,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<u64, Lane>,
    doors: BTreeMap<u64, Arc<TcpListener>>,
    /// The last number that was given.
    last: u64,
    /// What else is to be said on this connection.
    words: Vec<Message>,
    /// Since when there is no process any more.
    over_since: Option<Instant>,
}

/// A caller.
struct Lane {
    socket: Arc<TcpStream>,
    /// Where it has called; none if the process had taken it before it left.
    door: Option<u64>,
    /// The process knows of it.
    is_known: bool,
    /// The process was told of it on this connection.
    is_announced: bool,
    /// What it has said from this byte on.
    input_start: u64,
    input: VecDeque<u8>,
    input_ended: bool,
    /// How much of it was passed on, and whether its end was, on this connection.
    sent: u64,
    end_sent: bool,
    /// What it is still to be told.
    output: VecDeque<u8>,
    /// How much has come of what it is to be told.
    received: u64,
    /// Nothing follows.
    output_ended: bool,
    is_shut_down: bool,
    /// How much was said to have left.
    said: u64,
    /// The process has closed it, or the caller is gone.
    is_over: bool,
}

impl Lane {
    fn new(socket: TcpStream, door: Option<u64>) -> Lane {
        // What comes from elsewhere has waited for its program to write already. Not to be had from a
        // socket that is dead, as its next use says.
        let _ = socket.set_nodelay(true);
        Lane {
            socket: Arc::new(socket),
            door,
            is_known: door.is_none(),
            is_announced: false,
            input_start: 0,
            input: VecDeque::new(),
            input_ended: false,
            sent: 0,
            end_sent: false,
            output: VecDeque::new(),
            received: 0,
            output_ended: false,
            is_shut_down: false,
            said: 0,
            is_over: false,
        }
    }

    fn input_end(&self) -> u64 {
        self.input_start + self.input.len() as u64
    }

    /// How much has left for the caller.
    fn reached(&self) -> u64 {
        self.received - self.output.len() as u64
    }

    fn has_room(&self) -> bool {
        !self.input_ended && self.input.len() < LANE_BYTES
    }

    /// Reads and writes what is possible; the caller is gone if that fails.
    fn work(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        while self.has_room() {
            let room = buffer.len().min(LANE_BYTES - self.input.len());
            match again((&*self.socket).read(&mut buffer[..room]))? {
                None => break,
                Some(0) => self.input_ended = true,
                Some(count) => self.input.extend(&buffer[..count]),
            }
        }
        while !self.output.is_empty() {
            match again((&*self.socket).write(self.output.as_slices().0))? {
                None => break,
                Some(count) => drop(self.output.drain(..count)),
            }
        }
        if self.output_ended && self.output.is_empty() && !self.is_shut_down {
            self.is_shut_down = true;
            self.socket.shutdown(std::net::Shutdown::Write)?;
        }
        Ok(())
    }
}

/// What would wait is nothing.
fn again(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sender(&self) -> MutexGuard<'_, Option<Sender>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // One that rings already need not be rung.
        let _ = (&self.bell).write(&[1]);
    }
}

/// Keeps sockets for a process until none is left, or the process has ended.
///
/// # Errors
/// What the system says.
pub fn keep(kept: KeptSockets) -> io::Result<JoinHandle<()>> {
    let KeptSockets { id, mut address, credentials, sockets } = kept;
    let keeper = sockets.first().map(|(name, _)| name.id.keeper).unwrap_or_default();
    let (bell, rung) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    rung.set_nonblocking(true)?;
    let mut state = State::default();
    for (LaneName { kind, id }, socket) in sockets {
        state.last = state.last.max(id.number);
        match kind {
            LaneKind::Lane => {
                state.lanes.insert(id.number, Lane::new(TcpStream::from(socket), None));
            }
            LaneKind::Door => {
                state.doors.insert(id.number, Arc::new(TcpListener::from(socket)));
            }
        }
    }
    let (state, sender) = (Mutex::new(state), Mutex::default());
    let shared = Arc::new(Shared { keeper, state, sender, bell });
    let ours = shared.clone();
    std::thread::Builder::new().name("brant-pump".to_owned()).spawn(move || pump(&ours, &rung))?;
    let speak = move || {
        speak(&shared, id, &mut address, credentials.as_ref());
        shared.lock().over_since = Some(Instant::now());
        shared.ring();
    };
    std::thread::Builder::new().name("brant-broker".to_owned()).spawn(speak)
}

/// How a connection ended.
enum Outcome {
    /// The process has ended, or nothing is left to be kept.
    Over,
    /// The process is there.
    Moved(String),
    /// It cannot be said yet where the process is.
    Later,
}

/// Goes where the process is, until that has ended.
fn speak(
    shared: &Arc<Shared>, id: ProcessId, address: &mut Address, credentials: Option<&Credentials>,
) {
    let (mut failures, mut heard_at) = (0, Instant::now());
    loop {
        let connected = Peer::connect(address, credentials);
        let outcome = connected.and_then(|peer| stay(shared, id, peer, &mut heard_at));
        *shared.sender() = None;
        let is_quick = heard_at.elapsed() < Duration::from_secs(1);
        failures = if is_quick { 0 } else { failures + 1 };
        match outcome {
            Ok(Outcome::Over) => return,
            Ok(Outcome::Moved(to)) => match to.parse() {
                Ok(to) => {
                    *address = to;
                    continue;
                }
                Err(why) => return eprintln!("brant: process {id}: {why}"),
            },
            Ok(Outcome::Later) | Err(NodeError::Io(_)) => {}
            Err(error) => {
                return eprintln!("brant: the sockets of process {id} are closed: {error}");
            }
        }
        if heard_at.elapsed() > PATIENCE {
            let text = "the sockets of a process that nobody has are closed";
            return eprintln!("brant: process {id}: {text}");
        }
        let retry = if is_quick { RETRY[0] } else { RETRY[failures.min(RETRY.len() - 1)] };
        std::thread::sleep(retry);
    }
}

/// Speaks for the process where it is.
fn stay(
    shared: &Arc<Shared>, id: ProcessId, mut peer: Peer, heard_at: &mut Instant,
) -> Result<Outcome, NodeError> {
    peer.send(&Message::Keep { id, keeper: shared.keeper })?;
    match peer.receive()? {
        Message::Kept { lanes, doors } => begin(&mut shared.lock(), &lanes, &doors),
        Message::Moved { address } => {
            *heard_at = Instant::now();
            return Ok(Outcome::Moved(address));
        }
        Message::Exited { .. } => return Ok(Outcome::Over),
        Message::Wanted {} => return Ok(Outcome::Later),
        Message::Failed { remedy, .. } if !remedy.is_empty() => return Ok(Outcome::Later),
        Message::Failed { why, remedy } => return Err(NodeError::Refused { why, remedy }),
        other => return Err(unexpected(&name(&other))),
    }
    *heard_at = Instant::now();
    let Peer { mut receiver, sender } = peer;
    receiver.set_patience(Some(SILENCE));
    *shared.sender() = Some(sender);
    shared.ring();
    listen(shared, &mut receiver, heard_at)
}

/// Finds out what the process has, and goes on from there.
fn begin(state: &mut State, lanes: &[LanePosition], doors: &[u64]) {
    state.words.clear();
    state.doors.retain(|number, _| doors.contains(number));
    let State { lanes: all, doors, words, .. } = state;
    let listed: BTreeMap<u64, &LanePosition> = lanes.iter().map(|at| (at.lane, at)).collect();
    for (number, lane) in &mut *all {
        (lane.is_announced, lane.end_sent, lane.said) = (false, false, 0);
        match listed.get(number) {
            Some(at) => {
                // What is not here any more cannot be said again, and what never came is lost.
                let is_whole = (lane.input_start..=lane.input_end()).contains(&at.input)
                    && at.output <= lane.received;
                (lane.is_known, lane.sent) = (true, at.input);
                if !is_whole || lane.is_over {
                    lane.is_over = true;
                    words.push(Message::Gone { lane: *number });
                }
            }
            // The process has closed it.
            None if lane.is_known => lane.is_over = true,
            // It was told of it in vain; at a door that is closed nobody waits.
            None => {
                lane.sent = lane.input_start;
                lane.is_over |= lane.door.is_none_or(|door| !doors.contains_key(&door));
            }
        }
    }
    for number in listed.keys().filter(|number| !all.contains_key(number)) {
        words.push(Message::Gone { lane: *number });
    }
}

/// Takes what the process says until the connection ends.
fn listen(
    shared: &Shared, receiver: &mut Receiver, heard_at: &mut Instant,
) -> Result<Outcome, NodeError> {
    loop {
        let message = receiver.receive()?;
        *heard_at = Instant::now();
        let mut state = shared.lock();
        match message {
            Message::Called { lane } => {
                state.lanes.get_mut(&lane).into_iter().for_each(|lane| lane.is_known = true);
            }
            Message::ToCaller { lane, position, bytes } => {
                let Some(lane) = state.lanes.get_mut(&lane) else { continue };
                if position > lane.received {
                    return Err(unexpected("words with a gap before them"));
                }
                let known = usize::try_from(lane.received - position).unwrap_or(usize::MAX);
                let fresh = bytes.get(known..).unwrap_or_default();
                if lane.output.len() + fresh.len() > 2 * LANE_BYTES {
                    return Err(unexpected("more words than there is room for"));
                }
                lane.output.extend(fresh);
                lane.received += fresh.len() as u64;
            }
            Message::ToCallerEnded { lane, position } => {
                let Some(lane) = state.lanes.get_mut(&lane) else { continue };
                lane.output_ended |= lane.received == position;
            }
            Message::Read { lane, position } => {
                let Some(lane) = state.lanes.get_mut(&lane) else { continue };
                let gone = position.saturating_sub(lane.input_start);
                let gone = gone.min(lane.input.len() as u64);
                lane.input.drain(..gone as usize);
                lane.input_start += gone;
                lane.sent = lane.sent.max(lane.input_start);
            }
            Message::Gone { lane } => {
                state.doors.remove(&lane);
                if let Some(lane) = state.lanes.get_mut(&lane) {
                    lane.is_over = true;
                }
            }
            Message::Ping {} => state.words.push(Message::Pong {}),
            Message::Pong {} => {}
            Message::Moved { address } => return Ok(Outcome::Moved(address)),
            Message::Exited { .. } => return Ok(Outcome::Over),
            Message::Failed { .. } => return Ok(Outcome::Later),
            other => return Err(unexpected(&name(&other))),
        }
        let is_empty = state.lanes.is_empty() && state.doors.is_empty();
        drop(state);
        if is_empty {
            return Ok(Outcome::Over);
        }
        shared.ring();
    }
}

/// Brings bytes from the sockets to the process and back until all is over.
fn pump(shared: &Shared, rung: &UnixStream) {
    loop {
        let ready = match wait(shared, rung) {
            Ok(ready) => ready,
            Err(error) => return eprintln!("brant: sockets cannot be waited for: {error}"),
        };
        while matches!((&*rung).read(&mut [0; 64]), Ok(1..)) {}
        let mut state = shared.lock();
        work(&mut state, &ready);
        if let Some(since) = state.over_since {
            // Callers hear what they were still to be told, and see the end with their sockets.
            state.doors.clear();
            state.lanes.retain(|_, lane| !lane.output.is_empty());
            if state.lanes.is_empty() || since.elapsed() > LAST_WORDS {
                return state.lanes.clear();
            }
            continue;
        }
        drop(state);
        let mut sender = shared.sender();
        // Nothing counts as said as long as nobody hears it.
        let Some(sender) = &mut *sender else { continue };
        let words = words(&mut shared.lock());
        if words.iter().any(|word| sender.send(word).is_err()) {
            // Whoever listens finds out that the connection has broken.
            sender.close();
        }
    }
}

/// What can go on, by number.
#[derive(Default)]
struct Ready {
    lanes: Vec<u64>,
    doors: Vec<u64>,
}

/// Waits until something can be done.
fn wait(shared: &Shared, rung: &UnixStream) -> io::Result<Ready> {
    let (doors, lanes) = {
        let state = shared.lock();
        let has_room = state.lanes.len() < CALLERS_LIMIT;
        let doors = state.doors.iter().filter(|_| has_room);
        let doors: Vec<_> = doors.map(|(&number, door)| (number, door.clone())).collect();
        let lanes = state.lanes.iter().map(|(&number, lane)| {
            (number, lane.socket.clone(), lane.has_room(), !lane.output.is_empty())
        });
        (doors, lanes.collect::<Vec<_>>())
    };
    let bell = Watched { socket: rung.as_fd(), reads: true, writes: false };
    let mut watched = vec![bell];
    watched.extend(doors.iter().map(|(_, door)| Watched { socket: door.as_fd(), ..bell }));
    watched.extend(lanes.iter().map(|(_, socket, reads, writes)| Watched {
        socket: socket.as_fd(),
        reads: *reads,
        writes: *writes,
    }));
    let found = watch(&watched, PUMP_PAUSE)?;
    let (at_doors, on_lanes) = found[1..].split_at(doors.len());
    let doors = doors.iter().zip(at_doors).filter(|(_, is_ready)| **is_ready);
    let lanes = lanes.iter().zip(on_lanes).filter(|(_, is_ready)| **is_ready);
    Ok(Ready {
        doors: doors.map(|((number, _), _)| *number).collect(),
        lanes: lanes.map(|((number, ..), _)| *number).collect(),
    })
}

/// Takes new callers in, and reads and writes what is possible.
fn work(state: &mut State, ready: &Ready) {
    for number in &ready.doors {
        let Some(door) = state.doors.get(number).cloned() else { continue };
        while state.lanes.len() < CALLERS_LIMIT
            && let Ok(socket) = take_caller(&door)
        {
            state.last += 1;
            state.lanes.insert(state.last, Lane::new(socket, Some(*number)));
        }
    }
    let State { lanes, words, .. } = state;
    for number in &ready.lanes {
        let Some(lane) = lanes.get_mut(number).filter(|lane| !lane.is_over) else { continue };
        if lane.work().is_err() {
            lane.is_over = true;
            words.push(Message::Gone { lane: *number });
        }
    }
    for (number, lane) in lanes.iter_mut() {
        let has_to_tell = !lane.output.is_empty() || (lane.output_ended && !lane.is_shut_down);
        if has_to_tell && !lane.is_over && lane.work().is_err() {
            lane.is_over = true;
            words.push(Message::Gone { lane: *number });
        }
    }
    lanes.retain(|_, lane| !lane.is_over);
}

/// What is to be said on this connection.
fn words(state: &mut State) -> Vec<Message> {
    let mut all = std::mem::take(&mut state.words);
    for (&number, lane) in &mut state.lanes {
        if let Some(door) = lane.door.filter(|_| !lane.is_known && !lane.is_announced) {
            lane.is_announced = true;
            all.push(Message::Caller { door, lane: number });
        }
        while lane.sent < lane.input_end() {
            let skip = (lane.sent - lane.input_start) as usize;
            let bytes: Vec<u8> = lane.input.range(skip..).take(PIECE_BYTES).copied().collect();
            let position = lane.sent;
            lane.sent += bytes.len() as u64;
            all.push(Message::FromCaller { lane: number, position, bytes });
        }
        if lane.input_ended && !lane.end_sent {
            lane.end_sent = true;
            all.push(Message::CallerEnded { lane: number, position: lane.sent });
        }
        if lane.reached() != lane.said {
            lane.said = lane.reached();
            all.push(Message::Reached { lane: number, position: lane.said });
        }
    }
    all
}
