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

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brant_engine::ModuleBytes;
use brant_mobility::migration::{
    Message, Mode, Offer, OfferedModule, PagesFrame, ProcessId, Progress, Source, SourceDoes,
    SourceHears, Stage,
};
use brant_mobility::{CaptureError, Contents, Purpose};

use super::peer::{NodeError, Peer, Sender, name, unexpected};
use super::{Address, Credentials};
use crate::remote::Piece;
use crate::{Interrupt, Process};

/// The guest is asked again after this time: a request that came while it was asked something else
/// may have been taken for that.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// So much of a module, or of a state, fits into a frame.
const CHUNK_BYTES: usize = 256 << 10;

/// Where a process goes, and how.
#[derive(Clone, Debug)]
pub struct Route {
    /// The node that takes it.
    pub address: Address,
    /// Who we are, for nodes that are called over the network.
    pub credentials: Option<Credentials>,
    /// How its memory moves.
    pub mode: Mode,
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
    peer: Peer,
    offer: Offer,
    source: Source,
    progress: Progress,
    began: Instant,
    report: Report,
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
    /// Output that nobody had seen.
    kept: Vec<Piece>,
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
        let offer = offer(process, &identity)?;
        let code: Vec<ModuleBytes> = process
            .modules
            .iter()
            .map(|(_, module)| module.engine_module().shared_bytes())
            .collect();
        let meeting = Arc::new(Meeting::default());
        let interrupt = process.interrupt_handle();
        let (ours, its_route) = (meeting.clone(), route.clone());
        let move_it = move || match go_ahead(offer, &code, &its_route, &mut report) {
            Ok((peer, offer, source, progress, began)) => {
                let sending = Sending { peer, offer, source, progress, began, report };
                ours.ask(sending, &interrupt);
            }
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
    /// that it was given up; `kept` is output that nobody has seen yet.
    pub fn stand(
        self, process: &mut Process, kept: &[Piece], mut fence: impl FnMut(u64) -> io::Result<()>,
    ) -> Stood {
        let place = std::mem::replace(&mut *self.meeting.lock(), Place::Over);
        self.meeting.changed.notify_all();
        let Place::Due(sending) = place else { return Stood::GoesOn };
        let Sending { mut peer, offer, mut source, progress, began, report } = *sending;
        let stood = Instant::now();
        let mut leaving = Leaving { process, kept, offer, progress, report };
        // From `Accept` on.
        let mut does = SourceDoes::Send;
        let mut is_durable = false;
        loop {
            let heard = match does {
                SourceDoes::Send if source == Source::Sends => leaving.send_rest(&mut peer),
                SourceDoes::Send => leaving.send_all(&mut peer),
                SourceDoes::Commit => leaving.commit(&mut peer),
                SourceDoes::Settle => {
                    std::thread::sleep(Duration::from_millis(100));
                    leaving.settle(&mut peer, &self.route)
                }
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
            let was_fenced = source == Source::Fenced;
            does = source.hears(hears);
            if was_fenced && does == SourceDoes::GoOn {
                let lost = NodeError::refused("the node has lost the program", "try again");
                (leaving.report)(Err(&lost));
            }
        }
        let Leaving { mut progress, mut report, offer, .. } = leaving;
        progress.stage = Stage::Moved;
        progress.downtime_ns = stood.elapsed().as_nanos() as u64;
        progress.ns = began.elapsed().as_nanos() as u64;
        progress.bytes = peer.sender.bytes;
        report(Ok(progress));
        let kept = kept.to_vec();
        let peer = Some(peer);
        let departed = Departed { peer, is_durable, offer, kept, progress, began, report };
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
        *self.meeting.lock() = Place::Over;
        self.meeting.changed.notify_all();
    }
}

impl Meeting {
    /// Asks the guest to stand until it does.
    fn ask(&self, sending: Sending, interrupt: &Interrupt) {
        let mut place = self.lock();
        *place = Place::Due(Box::new(sending));
        while matches!(*place, Place::Due(_)) {
            interrupt.interrupt();
            let waited = self.changed.wait_timeout(place, ASK_AGAIN);
            place = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a process offers of itself.
pub(super) fn offer(process: &mut Process, identity: &Identity) -> Result<Offer, NodeError> {
    if process.ended.is_some() {
        return Err(crate::Error::from(CaptureError::Ended).into());
    }
    if process.current.as_ref().is_some_and(|current| current.purpose == Purpose::Call) {
        return Err(NodeError::refused(
            "a function is called by whoever started the program, who waits for its results",
            "programs move that run by themselves, from `_start`",
        ));
    }
    let resources = process.system().kernel.save().map_err(CaptureError::Obstacles);
    let resources = resources.map_err(crate::Error::from)?;
    let modules = process.modules.iter().map(|(name, module)| OfferedModule {
        name: name.clone(),
        hash: module.hash(),
        bytes: module.bytes().len() as u64,
    });
    let config = process.store.engine().config();
    Ok(Offer {
        id: identity.id,
        epoch: identity.epoch + 1,
        name: identity.name.clone(),
        deterministic: config.deterministic,
        fuel: config.fuel,
        modules: modules.collect(),
        memories_wasm_pages: process.store.memory_sizes_wasm_pages(),
        resources,
    })
}

type Ahead = (Peer, Offer, Source, Progress, Instant);

/// What can be done while the guest runs.
fn go_ahead(
    offer: Offer, code: &[ModuleBytes], route: &Route, report: &mut Report,
) -> Result<Ahead, NodeError> {
    let began = Instant::now();
    let mut peer = Peer::connect(&route.address, route.credentials.as_ref())?;
    let mut source = Source::Owns;
    let does = source.hears(SourceHears::Move);
    debug_assert_eq!(does, SourceDoes::Offer);
    let wanted = propose(&mut peer, &offer)?;
    send_code(&mut peer, code, &wanted)?;
    source.hears(SourceHears::Accept);
    let progress = Progress {
        stage: Stage::Accepted,
        round: 0,
        pages: 0,
        bytes: peer.sender.bytes,
        ns: began.elapsed().as_nanos() as u64,
        downtime_ns: 0,
    };
    report(Ok(progress));
    Ok((peer, offer, source, progress, began))
}

fn propose(peer: &mut Peer, offer: &Offer) -> Result<Vec<bool>, NodeError> {
    match peer.ask(&Message::Offered { offer: Box::new(offer.clone()) })? {
        Message::Accept { wanted } if wanted.len() == offer.modules.len() => Ok(wanted),
        Message::Refuse { refusal } => {
            let about = refusal.fd.map_or(String::new(), |fd| format!("descriptor {fd} "));
            let why = format!("{about}({}) {}", refusal.what, refusal.why);
            Err(NodeError::Refused { why, remedy: refusal.remedy })
        }
        other => Err(unexpected(&name(&other))),
    }
}

fn send_code(peer: &mut Peer, code: &[ModuleBytes], wanted: &[bool]) -> Result<(), NodeError> {
    for (module, (bytes, _)) in (0..).zip(code.iter().zip(wanted).filter(|(_, wanted)| **wanted)) {
        for chunk in bytes.as_slice().chunks(CHUNK_BYTES) {
            peer.send(&Message::Code { module, bytes: chunk.to_vec() })?;
        }
    }
    Ok(())
}

/// A process that stands and is sent.
struct Leaving<'a> {
    process: &'a mut Process,
    kept: &'a [Piece],
    offer: Offer,
    progress: Progress,
    report: Report,
}

impl Leaving<'_> {
    /// What was not sent while the guest ran.
    fn send_rest(&mut self, peer: &mut Peer) -> Result<SourceHears, NodeError> {
        let memories = self.process.store.memory_sizes_wasm_pages();
        peer.send(&Message::Sizes { memories })?;
        self.progress.pages += send_changed(self.process, &mut peer.sender)?;
        send_state(self.process, self.kept, &mut peer.sender)?;
        hear(peer)
    }

    /// Everything once more, from the offer on.
    fn send_all(&mut self, peer: &mut Peer) -> Result<SourceHears, NodeError> {
        send_again(self.process, &self.offer, self.kept, peer)
    }

    fn commit(&mut self, peer: &mut Peer) -> Result<SourceHears, NodeError> {
        let Offer { id, epoch, .. } = self.offer;
        peer.send(&Message::Commit { id, epoch })?;
        hear(peer)
    }

    /// Asks what became of a process that was given up.
    fn settle(&mut self, peer: &mut Peer, route: &Route) -> Result<SourceHears, NodeError> {
        *peer = Peer::connect(&route.address, route.credentials.as_ref())?;
        let Offer { id, epoch, .. } = self.offer;
        peer.send(&Message::Settle { id, epoch })?;
        hear(peer)
    }
}

/// Sends a process that stands, once more and as a whole.
pub(super) fn send_again(
    process: &mut Process, offer: &Offer, kept: &[Piece], peer: &mut Peer,
) -> Result<SourceHears, NodeError> {
    let wanted = propose(peer, offer)?;
    let code = process.modules.iter().map(|(_, module)| module.engine_module().shared_bytes());
    let code: Vec<ModuleBytes> = code.collect();
    send_code(peer, &code, &wanted)?;
    peer.send(&Message::Sizes { memories: process.store.memory_sizes_wasm_pages() })?;
    send_changed(process, &mut peer.sender)?;
    send_state(process, kept, &mut peer.sender)?;
    hear(peer)
}

/// Writes all that makes a process to a file, as if it had come from there.
pub(super) fn write_frames(
    process: &mut Process, identity: &Identity, kept: &[Piece], file: &mut Sender<File>,
) -> Result<(), NodeError> {
    let offer = offer(process, identity)?;
    file.send(&Message::Offered { offer: Box::new(offer) })?;
    file.send(&Message::Sizes { memories: process.store.memory_sizes_wasm_pages() })?;
    send_changed(process, file)?;
    send_state(process, kept, file)
}

/// Sends all pages that the modules' data segments do not give, and says how many.
fn send_changed(process: &mut Process, sender: &mut Sender<impl Write>) -> Result<u64, NodeError> {
    let mut frame = PagesFrame::default();
    let (mut count, mut outcome) = (0, Ok(()));
    for memory in 0..process.store.memory_count() {
        process.store.changed_pages(memory, |page, content| {
            if outcome.is_err() {
                return;
            }
            frame.add(memory, page, content);
            count += 1;
            if frame.is_full() {
                outcome = sender.send_pages(&mut frame);
            }
        });
    }
    outcome?;
    if !frame.is_empty() {
        sender.send_pages(&mut frame)?;
    }
    Ok(count)
}

fn send_state(
    process: &mut Process, kept: &[Piece], sender: &mut Sender<impl Write>,
) -> Result<(), NodeError> {
    for Piece { stream, position, bytes } in kept {
        let (stream, position) = (*stream as u8 + 1, *position);
        sender.send(&Message::Output { stream, position, bytes: bytes.clone() })?;
    }
    let mut snapshot = process.checkpoint_as(Contents::Elsewhere)?;
    snapshot.code.leave_out_bytes();
    let bytes = snapshot.to_vec();
    let mut chunks = bytes.chunks(CHUNK_BYTES).peekable();
    while let Some(chunk) = chunks.next() {
        let is_last = chunks.peek().is_none();
        sender.send(&Message::State { is_last, bytes: chunk.to_vec() })?;
    }
    Ok(())
}

/// What the destination says about the process.
pub(super) fn hear(peer: &mut Peer) -> Result<SourceHears, NodeError> {
    match peer.receive()? {
        Message::Prepared {} => Ok(SourceHears::Prepared),
        Message::Owned { is_durable } => Ok(SourceHears::Owned { is_durable }),
        Message::Lost {} => Ok(SourceHears::Lost),
        Message::Wanted {} => Ok(SourceHears::Wanted),
        Message::Refuse { refusal } => {
            let why = format!("({}) {}", refusal.what, refusal.why);
            Err(NodeError::Refused { why, remedy: refusal.remedy })
        }
        Message::Failed { why, remedy } => Err(NodeError::Refused { why, remedy }),
        other => Err(unexpected(&name(&other))),
    }
}

impl Departed {
    /// Sends the process once more, to a destination that owns it and has lost its state.
    ///
    /// # Errors
    /// The connection breaks, or the destination cannot take it now.
    pub fn send_again(&self, process: &mut Process, peer: &mut Peer) -> Result<(), NodeError> {
        match send_again(process, &self.offer, &self.kept, peer)? {
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

    /// Waits until the destination could start the process again by itself.
    pub fn wait_until_durable(&mut self, process: &mut Process, route: &Route) {
        while !self.is_durable {
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
