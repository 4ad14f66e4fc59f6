//! A program leaves: the side of the host that it leaves, be that a `brant run` or a node.
//!
//! A thread of its own connects, offers, and sends rounds of pages while the guest runs. Then it asks
//! the guest's thread to stand, which sends the rest and settles who owns the process:
//!
//! ```text
//! mover's thread   connect, Offer, Accept, code, rounds .... asks ..
//! guest's thread   runs .........................................  stands: rest, Commit, Owned
//! ```
//!
//! Until the guest stands nothing has happened to it, whatever goes wrong on the way.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use brant_engine::{ModuleBytes, WriteTracker, WriteTracking};
use brant_mobility::migration::{
    Message, Mode, Offer, PageRun, ProcessId, Progress, Source, SourceDoes, SourceHears, Stage,
};

use super::behind;
use super::peer::{NodeError, Peer, unexpected};
use super::send::{
    self, Along, hear, hear_missing, heard, propose, send_again, send_changed, send_code,
    send_rounds, send_state, send_written,
};
use super::{Address, Credentials};
use crate::{Interrupt, Process};

/// The guest is asked again after this time: a request that came while it was asked something else
/// may have been taken for that.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Where a process goes, and how.
#[derive(Clone, Debug)]
pub struct Route {
    /// The node that takes it.
    pub address: Address,
    /// Who we are, for nodes that are called over the network.
    pub credentials: Option<Credentials>,
    /// How its memory moves.
    pub mode: Mode,
    /// What was decided while the destination cannot be reached.
    pub decision: Decision,
}

/// What somebody decides about a process that was given up and whose destination does not answer.
#[derive(Clone, Debug, Default)]
pub struct Decision(Arc<AtomicU8>);

/// Where a process is said to be whose destination does not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on here: its destination will never run it.
    Here = 1,
    /// It is at its destination: the copy here is not needed any more.
    There = 2,
}

impl Decision {
    /// Decides.
    pub fn decide(&self, verdict: Verdict) {
        self.0.store(verdict as u8, Ordering::Release);
    }

    /// What was decided, if anything was.
    pub fn verdict(&self) -> Option<Verdict> {
        match self.0.load(Ordering::Acquire) {
            1 => Some(Verdict::Here),
            2 => Some(Verdict::There),
            _ => None,
        }
    }
}

/// How writes of guests that move are noticed: the best way that is to be had, or the one that the
/// environment variable `BRANT_WRITE_TRACKING` names; `none` lets them stand while they are copied.
pub fn write_tracking() -> Option<WriteTracking> {
    static CHOSEN: OnceLock<Option<WriteTracking>> = OnceLock::new();
    *CHOSEN.get_or_init(|| match std::env::var("BRANT_WRITE_TRACKING") {
        Ok(name) => WriteTracking::ALL.into_iter().find(|way| way.name() == name),
        Err(_) => WriteTracking::best(),
    })
}

/// Begins to notice writes of a guest that stands. A way that does not work out with its memories
/// gives its place to the next one, unless one was named.
fn track(process: &Process) -> Option<WriteTracker> {
    let chosen = write_tracking()?;
    let ways = WriteTracking::ALL.into_iter().skip_while(|way| *way != chosen);
    let count = if std::env::var_os("BRANT_WRITE_TRACKING").is_some() { 1 } else { usize::MAX };
    ways.take(count).find_map(|way| process.store.track_writes(way).ok())
}

/// Which process moves.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub id: ProcessId,
    /// The epoch that it has here.
    pub epoch: u64,
    /// The name of its program.
    pub name: String,
}

/// Hears how far a move has come, and in the end why it failed or that it is done.
pub type Report = Box<dyn FnMut(Result<Progress, &NodeError>) + Send>;

/// A process that is about to leave.
pub struct Departing {
    meeting: Arc<Meeting>,
    identity: Identity,
    route: Route,
}

/// Where the mover's thread and the guest's meet.
#[derive(Default)]
struct Meeting {
    place: Mutex<Place>,
    changed: Condvar,
}

#[derive(Default)]
enum Place {
    /// The mover is still busy.
    #[default]
    Empty,
    /// The guest shall stand.
    Due(Box<Sending>),
    /// The guest has taken over, or it came to nothing.
    Over,
}

/// A move that is under way.
struct Sending {
    ahead: Ahead,
    report: Report,
}

/// What could be done while the guest ran.
struct Ahead {
    peer: Peer,
    offer: Offer,
    source: Source,
    progress: Progress,
    began: Instant,
    tracker: Option<WriteTracker>,
}

/// What came of a guest that stood.
pub enum Stood {
    /// It goes on here.
    GoesOn,
    /// It is elsewhere.
    Departed(Box<Departed>),
}

/// A process that is elsewhere now.
pub struct Departed {
    /// The connection on which it went, until its terminal takes it.
    peer: Option<Peer>,
    /// Whether the destination could start it again by itself.
    pub is_durable: bool,
    /// What it was offered as, to be offered once more.
    offer: Offer,
    /// What went along with it.
    along: Along,
    progress: Progress,
    began: Instant,
    report: Report,
}

impl Meeting {
    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Departing {
    /// Begins to move a process that stands; it can go on at once.
    ///
    /// # Errors
    /// It holds what cannot be moved.
    pub fn begin(
        process: &mut Process, identity: Identity, route: Route, mut report: Report,
    ) -> Result<Departing, NodeError> {
        let offer = send::offer(process, &identity)?;
        let code: Vec<ModuleBytes> = process
            .modules
            .iter()
            .map(|(_, module)| module.engine_module().shared_bytes())
            .collect();
        let meeting = Arc::new(Meeting::default());
        let interrupt = process.interrupt_handle();
        let (ours, its_route) = (meeting.clone(), route.clone());
        // Whatever is written from here on is noticed. Where that cannot be had the guest stands
        // while everything is sent.
        let tracker = match route.mode {
            Mode::Live => track(process),
            Mode::Cold | Mode::Postcopy => None,
        };
        let move_it = move || match Ahead::go(offer, &code, tracker, &its_route, &mut report) {
            Ok(ahead) => ours.ask(Sending { ahead, report }, &interrupt),
            Err(error) => {
                report(Err(&error));
                *ours.lock() = Place::Over;
            }
        };
        std::thread::Builder::new().name("brant-move".to_owned()).spawn(move_it)?;
        Ok(Departing { meeting, identity, route })
    }

    /// Whether the guest is asked to stand.
    pub fn is_due(&self) -> bool {
        matches!(*self.meeting.lock(), Place::Due(_))
    }

    /// Whether the move came to nothing before the guest had to stand.
    pub fn is_over(&self) -> bool {
        matches!(*self.meeting.lock(), Place::Over)
    }

    /// Sends the rest of a process that stands, and settles whose it is. `fence` brings to the disk
    /// that it was given up; `along` goes with it.
    pub fn stand(
        self, process: &mut Process, along: &Along, mut fence: impl FnMut(u64) -> io::Result<()>,
    ) -> Stood {
        let place = std::mem::replace(&mut *self.meeting.lock(), Place::Over);
        self.meeting.changed.notify_all();
        let Place::Due(sending) = place else { return Stood::GoesOn };
        let Sending { ahead, report } = *sending;
        let Ahead { mut peer, offer, mut source, progress, began, tracker } = ahead;
        let stood = Instant::now();
        let follow = self.route.mode == Mode::Postcopy;
        let behind = Vec::new();
        let mut leaving =
            Leaving { process, along, offer, progress, report, tracker, follow, behind };
        // From `Accept` on.
        let mut does = SourceDoes::Send;
        let mut is_durable = false;
        loop {
            let heard = match does {
                SourceDoes::Send if source == Source::Sends => leaving.send_rest(&mut peer),
                SourceDoes::Send => leaving.send_all(&mut peer),
                SourceDoes::Commit => leaving.commit(&mut peer),
                SourceDoes::Settle => match self.route.decision.verdict() {
                    Some(Verdict::Here) => return Stood::GoesOn,
                    Some(Verdict::There) => {
                        is_durable = true;
                        break;
                    }
                    None => {
                        std::thread::sleep(Duration::from_millis(100));
                        leaving.settle(&mut peer, &self.route)
                    }
                },
                SourceDoes::Keep | SourceDoes::Release => break,
                SourceDoes::GoOn => return Stood::GoesOn,
                SourceDoes::Offer => Err(unexpected("an offer")),
            };
            // It is given up on the disk before anybody hears of it.
            let heard = match heard {
                Ok(SourceHears::Prepared) if source.may_run() => {
                    let fenced = fence(leaving.offer.epoch);
                    fenced.map(|()| SourceHears::Prepared).map_err(NodeError::from)
                }
                Err(error) if source.may_run() => Err(why(error, &mut peer)),
                other => other,
            };
            let hears = match &heard {
                Ok(hears) => *hears,
                // Whatever went wrong before the process was given up, it goes on.
                Err(error) if source.may_run() => {
                    (leaving.report)(Err(error));
                    SourceHears::Refuse
                }
                Err(_) => SourceHears::Cut,
            };
            if let SourceHears::Owned { is_durable: durable } = hears {
                is_durable = durable;
            }
            does = source.hears(hears);
            if does == SourceDoes::GoOn && heard.is_ok() {
                let lost = NodeError::refused("the node has not kept the program", "try again");
                (leaving.report)(Err(&lost));
            }
        }
        let Leaving { mut progress, mut report, offer, behind, .. } = leaving;
        progress.stage = Stage::Moved;
        progress.downtime_ns = stood.elapsed().as_nanos() as u64;
        progress.ns = began.elapsed().as_nanos() as u64;
        progress.bytes = peer.sender.bytes;
        report(Ok(progress));
        let along = along.clone();
        let peer = Some(peer);
        let mut departed = Departed { peer, is_durable, offer, along, progress, began, report };
        if !behind.is_empty() {
            departed.follow(process, &self.route, behind);
        } else if follow {
            departed.say_followed(began, 0, 0);
        }
        if self.route.decision.verdict() == Some(Verdict::Here) {
            return Stood::GoesOn;
        }
        Stood::Departed(Box::new(departed))
    }

    /// Which process it is, and where it goes.
    pub fn what(&self) -> (&Identity, &Route) {
        (&self.identity, &self.route)
    }
}

impl Drop for Departing {
    fn drop(&mut self) {
        // The mover need not ask for ever.
        let place = std::mem::replace(&mut *self.meeting.lock(), Place::Over);
        self.meeting.changed.notify_all();
        if let Place::Due(sending) = place {
            sending.came_to_nothing();
        }
    }
}

impl Sending {
    /// The guest will not stand any more.
    fn came_to_nothing(mut self) {
        let ended = NodeError::refused("the program has ended before it could move", "");
        (self.report)(Err(&ended));
    }
}

impl Meeting {
    /// Asks the guest to stand until it does.
    fn ask(&self, sending: Sending, interrupt: &Interrupt) {
        let mut place = self.lock();
        if matches!(*place, Place::Over) {
            drop(place);
            return sending.came_to_nothing();
        }
        *place = Place::Due(Box::new(sending));
        while matches!(*place, Place::Due(_)) {
            interrupt.interrupt();
            let waited = self.changed.wait_timeout(place, ASK_AGAIN);
            place = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Ahead {
    /// Does what can be done while the guest runs.
    fn go(
        offer: Offer, code: &[ModuleBytes], mut tracker: Option<WriteTracker>, route: &Route,
        report: &mut Report,
    ) -> Result<Ahead, NodeError> {
        let began = Instant::now();
        let mut peer = Peer::connect(&route.address, route.credentials.as_ref())?;
        let mut source = Source::Owns;
        source.hears(SourceHears::Move);
        let wanted = propose(&mut peer, &offer)?;
        source.hears(SourceHears::Accept);
        send_code(&mut peer, code, &wanted)?;
        let mut progress = Progress {
            stage: Stage::Accepted,
            round: 0,
            pages: 0,
            bytes: peer.sender.bytes,
            ns: began.elapsed().as_nanos() as u64,
            downtime_ns: 0,
        };
        report(Ok(progress));
        if let Some(tracker) = &mut tracker {
            let sent = send_rounds(tracker, &mut peer, report);
            progress.pages = sent.map_err(|error| why(error, &mut peer))?;
        }
        Ok(Ahead { peer, offer, source, progress, began, tracker })
    }
}

/// A process that stands and is sent.
struct Leaving<'a> {
    process: &'a mut Process,
    along: &'a Along,
    offer: Offer,
    progress: Progress,
    report: Report,
    tracker: Option<WriteTracker>,
    /// Whether pages come when it runs at its destination.
    follow: bool,
    /// Pages that the destination waits for.
    behind: Vec<PageRun>,
}

/// Why a destination does not take any more: it may have said so before it closed the connection.
fn why(error: NodeError, peer: &mut Peer) -> NodeError {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    let is_closed =
        matches!(&error, NodeError::Io(io) if matches!(io.kind(), BrokenPipe | ConnectionReset));
    match is_closed.then(|| hear(peer)) {
        Some(Err(refused @ NodeError::Refused { .. })) => refused,
        _ => error,
    }
}

impl Leaving<'_> {
    /// What was not sent while the guest ran.
    fn send_rest(&mut self, peer: &mut Peer) -> Result<SourceHears, NodeError> {
        let memories = self.process.store.memory_sizes_wasm_pages();
        peer.send(&Message::Sizes { memories })?;
        if self.follow {
            self.progress.pages = behind::announce(self.process, peer)?;
            send_state(self.process, self.along, &mut peer.sender)?;
            return hear(peer);
        }
        self.progress.pages += match &mut self.tracker {
            Some(tracker) => {
                let written = send_written(tracker, &mut peer.sender)?;
                let tracked = |memory| tracker.tracked_pages(memory);
                written + send_changed(self.process, tracked, &mut peer.sender)?
            }
            None => send_changed(self.process, |_| 0, &mut peer.sender)?,
        };
        send_state(self.process, self.along, &mut peer.sender)?;
        hear(peer)
    }

    /// Everything once more, from the offer on.
    fn send_all(&mut self, peer: &mut Peer) -> Result<SourceHears, NodeError> {
        send_again(self.process, &self.offer, self.along, peer)
    }

    fn commit(&mut self, peer: &mut Peer) -> Result<SourceHears, NodeError> {
        let Offer { id, epoch, .. } = self.offer;
        peer.send(&Message::Commit { id, epoch })?;
        self.hear_missing(peer)
    }

    fn hear_missing(&mut self, peer: &mut Peer) -> Result<SourceHears, NodeError> {
        let (hears, behind) = hear_missing(peer)?;
        self.behind = behind;
        Ok(hears)
    }

    /// Asks what became of a process that was given up.
    fn settle(&mut self, peer: &mut Peer, route: &Route) -> Result<SourceHears, NodeError> {
        *peer = Peer::connect(&route.address, route.credentials.as_ref())?;
        let Offer { id, epoch, .. } = self.offer;
        peer.send(&Message::Settle { id, epoch })?;
        self.hear_missing(peer)
    }
}

impl Departed {
    /// Sends the process once more, to a destination that owns it and has lost its state.
    ///
    /// # Errors
    /// The connection breaks, or the destination cannot take it now.
    pub fn send_again(&self, process: &mut Process, peer: &mut Peer) -> Result<(), NodeError> {
        match send_again(process, &self.offer, &self.along, peer)? {
            SourceHears::Prepared => {}
            _ => return Err(unexpected("no answer")),
        }
        let Offer { id, epoch, .. } = self.offer;
        peer.send(&Message::Commit { id, epoch })?;
        match hear(peer)? {
            SourceHears::Owned { .. } => Ok(()),
            _ => Err(unexpected("no answer")),
        }
    }

    /// Sends pages to a process that runs at its destination, until it has all of them. Whenever the
    /// connection breaks another one is made; what has come by then is not sent again.
    fn follow(&mut self, process: &mut Process, route: &Route, behind: Vec<PageRun>) {
        let (began, mut missing) = (Instant::now(), behind);
        let (mut pages, mut bytes) = (0, 0);
        loop {
            match self.follow_once(process, route, &missing, (&mut pages, &mut bytes)) {
                Ok(more) if more.is_empty() => break,
                Ok(more) => missing = more,
                Err(_) => {
                    self.peer = None;
                    missing.clear();
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            if route.decision.verdict().is_some() {
                self.is_durable = true;
                return;
            }
        }
        self.say_followed(began, pages, bytes);
    }

    fn say_followed(&mut self, began: Instant, pages: u64, bytes: u64) {
        let ns = began.elapsed().as_nanos() as u64;
        let progress = Progress { stage: Stage::Followed, pages, bytes, ns, ..self.progress };
        (self.report)(Ok(progress));
    }

    /// Sends these pages, and asks which ones are still missing.
    fn follow_once(
        &mut self, process: &mut Process, route: &Route, missing: &[PageRun],
        (pages, bytes): (&mut u64, &mut u64),
    ) -> Result<Vec<PageRun>, NodeError> {
        let Offer { id, epoch, .. } = self.offer;
        let peer = match self.peer.take() {
            Some(peer) => peer,
            None => Peer::connect(&route.address, route.credentials.as_ref())?,
        };
        let before = peer.sender.bytes;
        let asked = Message::Settle { id, epoch };
        let (mut peer, sent, answer) = behind::send(process, peer, missing, &asked)?;
        (*pages, *bytes) = (*pages + sent, *bytes + peer.sender.bytes - before);
        let more = match answer {
            Message::Missing { runs } => runs,
            other => {
                match heard(other)? {
                    SourceHears::Owned { is_durable } => self.is_durable = is_durable,
                    SourceHears::Wanted => self.send_again(process, &mut peer)?,
                    _ => return Err(unexpected("no answer")),
                }
                Vec::new()
            }
        };
        self.peer = Some(peer);
        Ok(more)
    }

    /// Waits until the destination could start the process again by itself. Whoever decides that the
    /// process goes on here is told so by the answer: that it does not stay away.
    pub fn wait_until_durable(&mut self, process: &mut Process, route: &Route) {
        while !self.is_durable && route.decision.verdict().is_none() {
            std::thread::sleep(Duration::from_millis(10));
            if self.ask_whether_durable(process, route).is_err() {
                self.peer = None;
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        self.say_durable();
    }

    fn ask_whether_durable(
        &mut self, process: &mut Process, route: &Route,
    ) -> Result<(), NodeError> {
        let mut peer = match self.peer.take() {
            Some(peer) => peer,
            None => Peer::connect(&route.address, route.credentials.as_ref())?,
        };
        let Offer { id, epoch, .. } = self.offer;
        peer.send(&Message::Settle { id, epoch })?;
        match hear(&mut peer)? {
            SourceHears::Owned { is_durable } => self.is_durable = is_durable,
            SourceHears::Wanted => self.send_again(process, &mut peer)?,
            _ => return Err(unexpected("no answer")),
        }
        self.peer = Some(peer);
        Ok(())
    }

    /// The connection on which it went, for its terminal.
    pub fn take_peer(&mut self) -> Option<Peer> {
        self.peer.take()
    }

    /// Tells whoever asked for the move that the destination could start the process again.
    pub fn say_durable(&mut self) {
        self.progress.stage = Stage::Durable;
        self.progress.ns = self.began.elapsed().as_nanos() as u64;
        let progress = self.progress;
        (self.report)(Ok(progress));
    }

    /// The name of the process.
    pub fn id(&self) -> ProcessId {
        self.offer.id
    }
}
