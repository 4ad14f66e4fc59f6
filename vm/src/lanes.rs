//! Connections and listeners whose sockets are elsewhere: they stayed where the process was started.
//!
//! Whoever keeps the sockets, the *keeper*, passes on what callers say, and tells them what the process
//! says. A connection is a *lane*, two streams whose bytes are numbered, so that both sides go on from
//! their numbers when a connection between hosts breaks or the process is elsewhere; a listener is a
//! *door*, at which lanes wait until the process takes them.
//!
//! ```text
//! from the caller   0 .. input |=== here ===| received        the keeper has all that is not read
//! to the caller     0 .. output |=== kept ===| written        at most 256 KiB: then the guest waits
//! ```
//!
//! Guest and node meet here, as they do in `remote`: the guest's side never waits, the node's side
//! waits for what is new.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brant_kernel::errno::Errno;
use brant_kernel::host::{Answer, Direction, Kind, Opened, Readiness, Receive, Shutdown, Waker};
use brant_kernel::net::{LaneId, LaneKind, LaneName};
use brant_mobility::migration::{LanePosition, LaneState, Message};

/// So much of a direction of a lane is here at most.
pub const LANE_BYTES: usize = 256 << 10;

/// So much is said in one message.
const PIECE_BYTES: usize = 64 << 10;

/// Lanes and doors of a process, at most.
const MOST_LANES: usize = 64 << 10;

/// A keeper that does not come for so long is gone, and so are its callers.
const KEEPER_PATIENCE: Duration = Duration::from_secs(120);

/// What all lanes of a process that comes may have kept together.
const MOST_KEPT_BYTES: usize = 64 << 20;

/// The lanes and doors of a process. A copy is the same ones.
#[derive(Clone, Default)]
pub struct Lanes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lanes: BTreeMap<LaneId, Lane>,
    doors: BTreeMap<LaneId, Door>,
    /// What the guest's handles lead to.
    slots: Vec<Option<LaneName>>,
    kept_bytes: usize,
    /// The process is leaving: whoever calls now is told so elsewhere.
    is_frozen: bool,
    /// Whether everything can be had: it is only asked whether it could be.
    is_trial: bool,
    waker: Option<Arc<dyn Waker>>,
    /// Counts what the node has to be told about.
    news: u64,
    /// The session of each keeper that is there.
    sessions: BTreeMap<[u8; 16], u64>,
    session_count: u64,
    /// Since when keepers are not there.
    lonely: BTreeMap<[u8; 16], Instant>,
    /// Callers of whom the keeper does not know yet that they are known here.
    unsaid: BTreeSet<LaneId>,
}

#[derive(Default)]
struct Door {
    /// Lanes that the process has not taken yet.
    waiting: VecDeque<LaneId>,
    /// Whether the process has it open.
    is_open: bool,
}

#[derive(Default)]
struct Lane {
    /// How many bytes the guest has read.
    consumed: u64,
    input: VecDeque<u8>,
    /// Nothing more will come, or the guest does not want it.
    input_ended: bool,
    /// The number of the first byte that is kept.
    output_start: u64,
    output: VecDeque<u8>,
    output_ended: bool,
    /// The guest has closed it: what is left of the output is still to be told.
    is_closed: bool,
    /// The caller is gone.
    is_broken: bool,
    /// The guest has a handle for it.
    is_open: bool,
}

impl Lane {
    fn received(&self) -> u64 {
        self.consumed + self.input.len() as u64
    }

    fn output_end(&self) -> u64 {
        self.output_start + self.output.len() as u64
    }

    /// Whether nothing is left to be told.
    fn is_over(&self) -> bool {
        self.is_closed && (self.is_broken || self.output.is_empty())
    }
}

impl State {
    fn name(&self, slot: usize) -> Answer<LaneName> {
        self.slots.get(slot).copied().flatten().ok_or(Errno::BadDescriptor)
    }

    fn lane(&mut self, slot: usize) -> Answer<&mut Lane> {
        let LaneName { kind, id } = self.name(slot)?;
        match (kind, self.lanes.get_mut(&id)) {
            (LaneKind::Lane, Some(lane)) => Ok(lane),
            (LaneKind::Lane, None) => Err(Errno::BadDescriptor),
            (LaneKind::Door, _) => Err(Errno::NotConnected),
        }
    }

    fn open(&mut self, name: LaneName) -> Opened {
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.slots.len());
        match free {
            Some(slot) => self.slots[slot] = Some(name),
            None => self.slots.push(Some(name)),
        }
        Opened {
            handle: super::streams::lane_handle(slot),
            kind: Kind::StreamSocket,
            terminal: false,
        }
    }

    fn count(&self) -> usize {
        self.lanes.len() + self.doors.len()
    }
}

// ---- The guest's side ----

impl Lanes {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole after every call, so a panic elsewhere does not spoil it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the node's side that there is something new.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        state.news += 1;
        drop(state);
        self.0.changed.notify_all();
    }

    /// Wakes the guest, if it waits.
    fn wake(state: MutexGuard<'_, State>) {
        let waker = state.waker.clone();
        drop(state);
        waker.inspect(|waker| waker.wake());
    }

    /// Lanes for a question: whatever is asked for could be had.
    #[cfg(feature = "node")]
    pub(crate) fn trial() -> Lanes {
        let lanes = Lanes::default();
        lanes.lock().is_trial = true;
        lanes
    }

    pub(crate) fn set_waker(&self, waker: Arc<dyn Waker>) {
        self.lock().waker = Some(waker);
    }

    /// Takes over what was named; the name may be an enemy's.
    ///
    /// # Errors
    /// It is no name of a lane or door; the door did not come along, so that nobody keeps it any more.
    pub(crate) fn take_over(&self, name: &[u8]) -> Answer<Opened> {
        let name = LaneName::from_bytes(name).ok_or(Errno::NotCapable)?;
        let mut state = self.lock();
        if state.slots.contains(&Some(name)) {
            return Err(Errno::NotCapable);
        }
        let is_trial = state.is_trial;
        match (name.kind, is_trial) {
            (LaneKind::Lane, _) => {
                let lane = state.lanes.entry(name.id).or_insert_with(|| Lane {
                    // Its keeper is gone, as its caller has noticed.
                    is_broken: !is_trial,
                    ..Lane::default()
                });
                (lane.is_open, lane.is_closed) = (true, false);
            }
            (LaneKind::Door, true) => state.doors.entry(name.id).or_default().is_open = true,
            (LaneKind::Door, false) => {
                state.doors.get_mut(&name.id).ok_or(Errno::NoEntry)?.is_open = true;
            }
        }
        Ok(state.open(name))
    }

    pub(crate) fn hand_over(&self, slot: usize) -> Answer<Vec<u8>> {
        self.lock().name(slot).map(LaneName::to_bytes)
    }

    pub(crate) fn accept(&self, slot: usize) -> Answer<Opened> {
        let mut state = self.lock();
        let LaneName { kind, id } = state.name(slot)?;
        if kind != LaneKind::Door {
            return Err(Errno::Invalid);
        }
        let waiting = state.doors.get_mut(&id).and_then(|door| door.waiting.pop_front());
        let id = waiting.ok_or(Errno::Again)?;
        if let Some(lane) = state.lanes.get_mut(&id) {
            lane.is_open = true;
        }
        Ok(state.open(LaneName { kind: LaneKind::Lane, id }))
    }

    pub(crate) fn receive(
        &self, slot: usize, buffers: &mut [IoSliceMut<'_>], how: Receive,
    ) -> Answer<usize> {
        let mut state = self.lock();
        let lane = state.lane(slot)?;
        let wanted: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        if lane.input.is_empty() && wanted > 0 {
            return match (lane.input_ended, lane.is_broken) {
                (true, _) => Ok(0),
                (_, true) => Err(Errno::ConnectionReset),
                _ => Err(Errno::Again),
            };
        }
        let is_all = lane.input_ended || lane.is_broken;
        if how.wait_all && !is_all && lane.input.len() < wanted.min(LANE_BYTES / 2) {
            return Err(Errno::Again);
        }
        let mut count = 0;
        for buffer in buffers {
            let part = buffer.len().min(lane.input.len() - count);
            for (place, byte) in buffer.iter_mut().zip(lane.input.range(count..count + part)) {
                *place = *byte;
            }
            count += part;
        }
        if !how.peek {
            lane.input.drain(..count);
            lane.consumed += count as u64;
            self.tell(state);
        }
        Ok(count)
    }

    pub(crate) fn send(&self, slot: usize, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        let mut state = self.lock();
        let lane = state.lane(slot)?;
        if lane.output_ended || lane.is_broken {
            return Err(Errno::BrokenPipe);
        }
        let (mut room, mut count) = (LANE_BYTES - lane.output.len(), 0);
        for buffer in buffers {
            let part = buffer.len().min(room);
            lane.output.extend(&buffer[..part]);
            (room, count) = (room - part, count + part);
        }
        if count == 0 && buffers.iter().any(|buffer| !buffer.is_empty()) {
            return Err(Errno::Again);
        }
        self.tell(state);
        Ok(count)
    }

    pub(crate) fn shut_down(&self, slot: usize, what: Shutdown) -> Answer<()> {
        let mut state = self.lock();
        let lane = state.lane(slot)?;
        if matches!(what, Shutdown::Read | Shutdown::Both) {
            lane.input_ended = true;
            lane.consumed += lane.input.len() as u64;
            lane.input.clear();
        }
        lane.output_ended |= matches!(what, Shutdown::Write | Shutdown::Both);
        self.tell(state);
        Ok(())
    }

    pub(crate) fn close(&self, slot: usize) -> Answer<()> {
        let mut state = self.lock();
        let LaneName { kind, id } = state.name(slot)?;
        state.slots[slot] = None;
        match kind {
            LaneKind::Lane => {
                if let Some(lane) = state.lanes.get_mut(&id) {
                    (lane.is_closed, lane.is_open, lane.output_ended) = (true, false, true);
                    lane.input.clear();
                    if lane.is_over() {
                        state.lanes.remove(&id);
                    }
                }
            }
            LaneKind::Door => {
                let waiting = state.doors.remove(&id).map(|door| door.waiting);
                for lane in waiting.into_iter().flatten() {
                    state.lanes.remove(&lane);
                }
            }
        }
        self.tell(state);
        Ok(())
    }

    pub(crate) fn is_door(&self, slot: usize) -> bool {
        self.lock().name(slot).is_ok_and(|name| name.kind == LaneKind::Door)
    }

    /// What has happened to a lane that should not have.
    pub(crate) fn error(&self, slot: usize) -> Option<Errno> {
        let is_broken = self.lock().lane(slot).is_ok_and(|lane| lane.is_broken);
        is_broken.then_some(Errno::ConnectionReset)
    }

    /// Whether a handle can go on in a direction.
    pub(crate) fn readiness(&self, slot: usize, direction: Direction) -> Option<Readiness> {
        let state = self.lock();
        // Whoever waits for what is not there is told so by the call that follows.
        let gone = Some(Readiness { bytes: 0, hung_up: true });
        let Ok(LaneName { kind, id }) = state.name(slot) else { return gone };
        if kind == LaneKind::Door {
            let door = state.doors.get(&id)?;
            return (!door.waiting.is_empty()).then_some(Readiness { bytes: 1, hung_up: false });
        }
        let Some(lane) = state.lanes.get(&id) else { return gone };
        let bytes = lane.input.len() as u64;
        match direction {
            Direction::Read if bytes > 0 => {
                Some(Readiness { bytes, hung_up: lane.input_ended || lane.is_broken })
            }
            Direction::Read if lane.input_ended || lane.is_broken => gone,
            Direction::Write if lane.is_broken => gone,
            Direction::Write if lane.output.len() < LANE_BYTES => {
                Some(Readiness { bytes: 1, hung_up: false })
            }
            _ => None,
        }
    }
}

// ---- The node's side: a process that leaves, and one that comes ----

impl Lanes {
    /// All that has to go along with the process, which stands. Whoever calls from here on is told
    /// where it is when it is there; [`Lanes::go_on`] if it does not leave after all.
    pub fn leave(&self) -> Vec<Message> {
        let mut state = self.lock();
        state.is_frozen = true;
        kept(&state)
    }

    /// The same for a process that stays.
    pub fn kept(&self) -> Vec<Message> {
        kept(&self.lock())
    }

    /// The process goes on here.
    pub fn go_on(&self) {
        self.lock().is_frozen = false;
    }

    /// A lane or a door comes along with the process, before the guest goes on. Says whether it may.
    #[must_use]
    pub fn came_along(&self, message: Message) -> bool {
        let mut state = self.lock();
        if state.count() >= MOST_LANES {
            return false;
        }
        match message {
            Message::Door { door } => drop(state.doors.insert(door, Door::default())),
            Message::Lane { state: came } => {
                state.kept_bytes += came.bytes.len();
                let is_small =
                    came.bytes.len() <= LANE_BYTES && state.kept_bytes <= MOST_KEPT_BYTES;
                let has_end = came.input.checked_add(1 << 40).is_some();
                let has_room = came.output.checked_add(1 << 40).is_some();
                if !is_small || !has_end || !has_room {
                    return false;
                }
                if let Some(door) = came.waits_at {
                    let Some(door) = state.doors.get_mut(&door) else { return false };
                    door.waiting.push_back(came.lane);
                }
                let lane = Lane {
                    consumed: came.input,
                    input_ended: came.input_ended,
                    output_start: came.output,
                    output: came.bytes.into(),
                    output_ended: came.output_ended,
                    is_closed: came.is_closed,
                    is_broken: came.is_broken,
                    ..Lane::default()
                };
                state.lanes.insert(came.lane, lane);
            }
            _ => return false,
        }
        true
    }
}

fn kept(state: &State) -> Vec<Message> {
    let mut all: Vec<Message> = state.doors.keys().map(|&door| Message::Door { door }).collect();
    let waits_at: BTreeMap<LaneId, LaneId> = state
        .doors
        .iter()
        .flat_map(|(door, Door { waiting, .. })| waiting.iter().map(|lane| (*lane, *door)))
        .collect();
    // Those that wait stay in order.
    let mut order: Vec<LaneId> =
        state.doors.values().flat_map(|door| door.waiting.iter().copied()).collect();
    order.extend(state.lanes.keys().filter(|lane| !waits_at.contains_key(lane)));
    for id in order {
        let Some(lane) = state.lanes.get(&id) else { continue };
        all.push(Message::Lane {
            state: LaneState {
                lane: id,
                waits_at: waits_at.get(&id).copied(),
                input: lane.consumed,
                output: lane.output_start,
                bytes: lane.output.iter().copied().collect(),
                output_ended: lane.output_ended,
                // What has not been read is said once more, and so is its end.
                input_ended: lane.input_ended && lane.input.is_empty(),
                is_closed: lane.is_closed,
                is_broken: lane.is_broken,
            },
        });
    }
    all
}

// ---- The node's side: a keeper ----

/// How far a session has told its keeper.
#[derive(Debug, Default)]
pub struct Told {
    keeper: [u8; 16],
    session: u64,
    news: u64,
    lanes: BTreeMap<u64, ToldLane>,
    doors: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct ToldLane {
    output: u64,
    output_ended: bool,
    read: u64,
}

/// What there is to be told.
#[derive(Debug)]
pub enum News {
    /// These, in this order; nothing if nothing has happened for a while.
    Tell(Vec<Message>),
    /// Another session of the keeper has taken over.
    Superseded,
}

impl Lanes {
    /// A keeper is there: where its lanes go on, and its doors.
    pub fn attach(&self, keeper: [u8; 16]) -> (Told, Message) {
        let mut state = self.lock();
        state.session_count += 1;
        let session = state.session_count;
        state.sessions.insert(keeper, session);
        state.lonely.remove(&keeper);
        let mut told = Told { keeper, session, ..Told::default() };
        let mut lanes = Vec::new();
        for (id, lane) in state.lanes.iter().filter(|(id, _)| id.keeper == keeper) {
            let (input, output) = (lane.received(), lane.output_start);
            lanes.push(LanePosition { lane: id.number, input, output });
            // What was read is said in any case.
            told.lanes.insert(id.number, ToldLane { output, output_ended: false, read: 0 });
        }
        let doors = state.doors.keys().filter(|id| id.keeper == keeper).map(|id| id.number);
        told.doors = doors.collect();
        let doors = told.doors.iter().copied().collect();
        self.tell(state);
        (told, Message::Kept { lanes, doors })
    }

    /// What there is to be told since the last time; waits for it for at most `time`.
    pub fn next(&self, told: &mut Told, time: Duration) -> News {
        let state = self.lock();
        let is_idle = |state: &mut State| state.news == told.news;
        let waited = self.0.changed.wait_timeout_while(state, time, is_idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.sessions.get(&told.keeper) != Some(&told.session) {
            return News::Superseded;
        }
        told.news = state.news;
        let (keeper, mut messages) = (told.keeper, Vec::new());
        told.doors.retain(|&door| {
            let is_there = state.doors.contains_key(&LaneId { keeper, number: door });
            if !is_there {
                messages.push(Message::Gone { lane: door });
            }
            is_there
        });
        told.lanes.retain(|&number, told| match state.lanes.get(&LaneId { keeper, number }) {
            Some(lane) => {
                tell(number, lane, told, &mut messages);
                true
            }
            None => {
                messages.push(Message::Gone { lane: number });
                false
            }
        });
        let unsaid: Vec<LaneId> =
            state.unsaid.iter().copied().filter(|id| id.keeper == keeper).collect();
        for id in unsaid {
            state.unsaid.remove(&id);
            messages.push(Message::Called { lane: id.number });
            match state.lanes.get(&id) {
                Some(lane) => {
                    let told = told.lanes.entry(id.number).or_default();
                    tell(id.number, lane, told, &mut messages);
                }
                // The process has closed it already.
                None => messages.push(Message::Gone { lane: id.number }),
            }
        }
        News::Tell(messages)
    }

    /// A keeper is not there any more.
    pub fn detach(&self, told: &Told) {
        let mut state = self.lock();
        if state.sessions.get(&told.keeper) == Some(&told.session) {
            state.sessions.remove(&told.keeper);
        }
    }

    /// Lets go of callers whose keeper has not been there for long.
    pub fn sweep(&self, now: Instant) {
        let mut state = self.lock();
        let State { lanes, sessions, lonely, .. } = &mut *state;
        let mut is_changed = false;
        for (id, lane) in lanes.iter_mut().filter(|(_, lane)| !lane.is_broken) {
            if sessions.contains_key(&id.keeper) {
                continue;
            }
            let since = *lonely.entry(id.keeper).or_insert(now);
            if now.duration_since(since) > KEEPER_PATIENCE {
                (lane.is_broken, is_changed) = (true, true);
            }
        }
        if is_changed {
            lanes.retain(|_, lane| !lane.is_over());
            Lanes::wake(state);
        }
    }

    /// Something has happened that whoever waits in [`Lanes::next`] has to look at.
    pub fn has_news(&self) {
        self.tell(self.lock());
    }

    /// Takes what a keeper says. Says whether it makes sense, and can be taken now.
    #[must_use]
    pub fn hear(&self, keeper: [u8; 16], message: &Message) -> bool {
        let mut state = self.lock();
        let id = |number| LaneId { keeper, number };
        let is_heard = match message {
            Message::Caller { door, lane } => {
                if state.is_frozen || state.count() >= MOST_LANES {
                    return false;
                }
                let (door, lane) = (id(*door), id(*lane));
                // A door that is closed says so by itself; and who is known is not new.
                let is_new = !state.lanes.contains_key(&lane) && !state.unsaid.contains(&lane);
                if let Some(door) = state.doors.get_mut(&door).filter(|_| is_new) {
                    door.waiting.push_back(lane);
                    state.lanes.insert(lane, Lane::default());
                    state.unsaid.insert(lane);
                }
                true
            }
            Message::FromCaller { lane, position, bytes } => {
                // One that is closed says so by itself.
                let Some(lane) = state.lanes.get_mut(&id(*lane)) else { return true };
                let received = lane.received();
                let known = received.saturating_sub(*position);
                let fresh = usize::try_from(known).ok().and_then(|known| bytes.get(known..));
                let fresh = fresh.unwrap_or_default();
                let has_room = lane.input.len() + fresh.len() <= LANE_BYTES;
                if *position > received || !has_room {
                    return false;
                }
                match lane.is_closed || lane.input_ended {
                    // Nobody will read it.
                    true => lane.consumed += fresh.len() as u64,
                    false => lane.input.extend(fresh),
                }
                true
            }
            Message::CallerEnded { lane, position } => {
                let Some(lane) = state.lanes.get_mut(&id(*lane)) else { return true };
                lane.input_ended |= lane.received() == *position;
                true
            }
            Message::Reached { lane: number, position } => {
                let Some(lane) = state.lanes.get_mut(&id(*number)) else { return true };
                let gone = position.saturating_sub(lane.output_start);
                let gone = gone.min(lane.output.len() as u64);
                lane.output.drain(..gone as usize);
                lane.output_start += gone;
                if lane.is_over() {
                    state.lanes.remove(&id(*number));
                }
                true
            }
            Message::Gone { lane: number } => {
                let Some(lane) = state.lanes.get_mut(&id(*number)) else { return true };
                lane.is_broken = true;
                if lane.is_over() {
                    state.lanes.remove(&id(*number));
                }
                true
            }
            _ => false,
        };
        state.news += 1;
        self.0.changed.notify_all();
        Lanes::wake(state);
        is_heard
    }
}

/// What is new of a lane.
fn tell(number: u64, lane: &Lane, told: &mut ToldLane, messages: &mut Vec<Message>) {
    if lane.consumed != told.read {
        told.read = lane.consumed;
        messages.push(Message::Read { lane: number, position: lane.consumed });
    }
    // It may have been told already by another session.
    told.output = told.output.max(lane.output_start);
    while told.output < lane.output_end() {
        let skip = (told.output - lane.output_start) as usize;
        let bytes: Vec<u8> = lane.output.range(skip..).take(PIECE_BYTES).copied().collect();
        let position = told.output;
        told.output += bytes.len() as u64;
        messages.push(Message::ToCaller { lane: number, position, bytes });
    }
    if lane.output_ended && !told.output_ended {
        told.output_ended = true;
        messages.push(Message::ToCallerEnded { lane: number, position: lane.output_end() });
    }
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEPER: [u8; 16] = [7; 16];

    fn id(number: u64) -> LaneId {
        LaneId { keeper: KEEPER, number }
    }

    /// Lanes with an open door of number 1; and its slot.
    fn with_door() -> (Lanes, usize) {
        let lanes = Lanes::default();
        assert!(lanes.came_along(Message::Door { door: id(1) }));
        let opened = lanes.take_over(&LaneName { kind: LaneKind::Door, id: id(1) }.to_bytes());
        (lanes, slot(opened.expect("it came along")))
    }

    fn slot(opened: Opened) -> usize {
        (opened.handle.0 - super::super::streams::lane_handle(0).0) as usize
    }

    fn says(lanes: &Lanes, lane: u64, position: u64, text: &str) -> bool {
        let bytes = text.as_bytes().to_vec();
        lanes.hear(KEEPER, &Message::FromCaller { lane, position, bytes })
    }

    fn read(lanes: &Lanes, slot: usize, most: usize) -> Answer<String> {
        let mut buffer = vec![0; most];
        let buffers = &mut [IoSliceMut::new(&mut buffer)];
        let count = lanes.receive(slot, buffers, Receive::default())?;
        Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
    }

    fn write(lanes: &Lanes, slot: usize, text: &str) -> Answer<usize> {
        lanes.send(slot, &[IoSlice::new(text.as_bytes())])
    }

    fn news(lanes: &Lanes, told: &mut Told) -> Vec<Message> {
        match lanes.next(told, Duration::ZERO) {
            News::Tell(messages) => messages,
            News::Superseded => panic!("nobody else is there"),
        }
    }

    #[test]
    fn both_directions_go_on_from_their_numbers_on_another_host() {
        let (lanes, door) = with_door();
        let (mut told, _) = lanes.attach(KEEPER);
        assert!(lanes.hear(KEEPER, &Message::Caller { door: 1, lane: 5 }));
        assert!(says(&lanes, 5, 0, "abcdef"));
        let taken = slot(lanes.accept(door).expect("a caller"));
        assert_eq!(lanes.accept(door), Err(Errno::Again));
        assert_eq!(read(&lanes, taken, 4), Ok("abcd".to_owned()));
        write(&lanes, taken, "12345").expect("room");
        let said = news(&lanes, &mut told);
        let bytes = b"12345".to_vec();
        assert_eq!(
            said,
            [
                Message::Called { lane: 5 },
                Message::Read { lane: 5, position: 4 },
                Message::ToCaller { lane: 5, position: 0, bytes }
            ]
        );
        assert!(lanes.hear(KEEPER, &Message::Reached { lane: 5, position: 2 }));
        // Elsewhere, what was not read is asked for again, and what has not left is said again.
        let there = Lanes::default();
        assert!(lanes.leave().into_iter().all(|message| there.came_along(message)));
        assert!(!lanes.hear(KEEPER, &Message::Caller { door: 1, lane: 6 }), "it leaves");
        let lane = LaneName { kind: LaneKind::Lane, id: id(5) };
        let taken = slot(there.take_over(&lane.to_bytes()).expect("it came along"));
        let (mut told, kept) = there.attach(KEEPER);
        let position = LanePosition { lane: 5, input: 4, output: 2 };
        assert_eq!(kept, Message::Kept { lanes: vec![position], doors: vec![1] });
        assert!(says(&there, 5, 2, "cdefgh"));
        assert_eq!(read(&there, taken, 9), Ok("efgh".to_owned()));
        write(&there, taken, "6").expect("room");
        let bytes = b"3456".to_vec();
        assert_eq!(
            news(&there, &mut told),
            [
                Message::Read { lane: 5, position: 8 },
                Message::ToCaller { lane: 5, position: 2, bytes }
            ]
        );
    }

    #[test]
    fn what_a_closed_lane_was_to_say_is_said_on_another_host() {
        let (lanes, door) = with_door();
        let _ = lanes.attach(KEEPER);
        assert!(lanes.hear(KEEPER, &Message::Caller { door: 1, lane: 2 }));
        let taken = slot(lanes.accept(door).expect("a caller"));
        write(&lanes, taken, "bye").expect("room");
        lanes.close(taken).expect("it is open");
        assert_eq!(write(&lanes, taken, "more"), Err(Errno::BadDescriptor));
        let there = Lanes::default();
        assert!(lanes.leave().into_iter().all(|message| there.came_along(message)));
        let (mut told, _) = there.attach(KEEPER);
        let bytes = b"bye".to_vec();
        assert_eq!(
            news(&there, &mut told),
            [
                Message::ToCaller { lane: 2, position: 0, bytes },
                Message::ToCallerEnded { lane: 2, position: 3 }
            ]
        );
        assert!(there.hear(KEEPER, &Message::Reached { lane: 2, position: 3 }));
        assert_eq!(news(&there, &mut told), [Message::Gone { lane: 2 }]);
    }

    #[test]
    fn who_waits_at_the_door_still_does_so_on_another_host_and_in_order() {
        let (lanes, _) = with_door();
        for lane in [9, 3, 6] {
            assert!(lanes.hear(KEEPER, &Message::Caller { door: 1, lane }));
        }
        let there = Lanes::default();
        assert!(lanes.leave().into_iter().all(|message| there.came_along(message)));
        let name = LaneName { kind: LaneKind::Door, id: id(1) }.to_bytes();
        let door = slot(there.take_over(&name).expect("it came along"));
        let order: Vec<u64> = (0..3)
            .map(|_| {
                let taken = slot(there.accept(door).expect("a caller"));
                there.lock().name(taken).expect("a lane").id.number
            })
            .collect();
        assert_eq!(order, [9, 3, 6]);
        assert_eq!(there.take_over(&name), Err(Errno::NotCapable), "it is open already");
    }

    #[test]
    fn one_that_is_closed_before_its_keeper_knows_is_told_once() {
        let (lanes, door) = with_door();
        let (mut told, _) = lanes.attach(KEEPER);
        assert!(lanes.hear(KEEPER, &Message::Caller { door: 1, lane: 2 }));
        lanes.close(slot(lanes.accept(door).expect("a caller"))).expect("it is open");
        // The connection broke before that was said, and the keeper begins once more.
        assert!(lanes.hear(KEEPER, &Message::Caller { door: 1, lane: 2 }));
        assert_eq!(lanes.accept(door), Err(Errno::Again));
        assert_eq!(
            news(&lanes, &mut told),
            [Message::Called { lane: 2 }, Message::Gone { lane: 2 }]
        );
        lanes.close(door).expect("it is open");
        assert_eq!(news(&lanes, &mut told), [Message::Gone { lane: 1 }]);
    }

    #[test]
    fn nonsense_of_a_keeper_is_turned_away() {
        let (lanes, door) = with_door();
        assert!(lanes.hear(KEEPER, &Message::Caller { door: 1, lane: 2 }));
        let taken = slot(lanes.accept(door).expect("a caller"));
        assert!(!says(&lanes, 2, 1, "a gap"));
        assert!(!says(&lanes, 2, u64::MAX, "a gap"));
        assert!(!says(&lanes, 2, 0, &"x".repeat(LANE_BYTES + 1)), "more than there is room for");
        assert!(!lanes.hear(KEEPER, &Message::Done {}));
        // Of what is not there nothing is taken, and nothing is lost.
        assert!(says(&lanes, 77, 0, "nobody"));
        assert!(lanes.hear(KEEPER, &Message::Reached { lane: 2, position: u64::MAX }));
        assert!(lanes.hear([8; 16], &Message::Gone { lane: 2 }), "another keeper's");
        assert_eq!(read(&lanes, taken, 9), Err(Errno::Again));
        assert!(lanes.hear(KEEPER, &Message::CallerEnded { lane: 2, position: 5 }));
        assert_eq!(read(&lanes, taken, 9), Err(Errno::Again), "the end does not come before it");
        assert!(says(&lanes, 2, 0, "ab"));
        assert!(lanes.hear(KEEPER, &Message::Gone { lane: 2 }));
        assert_eq!(read(&lanes, taken, 9), Ok("ab".to_owned()));
        assert_eq!(read(&lanes, taken, 9), Err(Errno::ConnectionReset));
        assert_eq!(write(&lanes, taken, "x"), Err(Errno::BrokenPipe));
    }

    #[test]
    fn nonsense_that_comes_along_is_turned_away() {
        let lanes = Lanes::default();
        let state = |bytes: usize, input, waits_at| LaneState {
            lane: id(3),
            waits_at,
            input,
            output: 0,
            bytes: vec![0; bytes],
            output_ended: false,
            input_ended: false,
            is_closed: false,
            is_broken: false,
        };
        let comes = |state| lanes.came_along(Message::Lane { state });
        assert!(!comes(state(LANE_BYTES + 1, 0, None)));
        assert!(!comes(state(0, u64::MAX, None)), "no number may come to its end");
        assert!(!comes(state(0, 0, Some(id(1)))), "there is no such door");
        assert!(!lanes.came_along(Message::Done {}));
        for name in [&b""[..], b"a name", &[0; 25]] {
            assert_eq!(lanes.take_over(name), Err(Errno::NotCapable));
        }
        // A door that did not come along has nobody who keeps it; a caller is gone.
        let name = |kind| LaneName { kind, id: id(4) }.to_bytes();
        assert_eq!(lanes.take_over(&name(LaneKind::Door)), Err(Errno::NoEntry));
        let gone = slot(lanes.take_over(&name(LaneKind::Lane)).expect("a broken one"));
        assert_eq!(read(&lanes, gone, 1), Err(Errno::ConnectionReset));
        assert_eq!(lanes.take_over(&name(LaneKind::Lane)), Err(Errno::NotCapable), "it has one");
    }

    #[test]
    fn callers_whose_keeper_never_comes_are_gone() {
        let (lanes, door) = with_door();
        assert!(lanes.hear(KEEPER, &Message::Caller { door: 1, lane: 2 }));
        let taken = slot(lanes.accept(door).expect("a caller"));
        let now = Instant::now();
        lanes.sweep(now);
        let (told, _) = lanes.attach(KEEPER);
        lanes.sweep(now + 2 * KEEPER_PATIENCE);
        assert_eq!(read(&lanes, taken, 1), Err(Errno::Again), "it is there");
        lanes.detach(&told);
        lanes.sweep(now + 2 * KEEPER_PATIENCE);
        lanes.sweep(now + 4 * KEEPER_PATIENCE);
        assert_eq!(read(&lanes, taken, 1), Err(Errno::ConnectionReset));
    }
}
