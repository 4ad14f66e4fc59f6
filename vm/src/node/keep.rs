//! What a node does for its programs: checkpoints, moves, ends; and what it does for those that it
//! finds on its disk when it starts.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brant_mobility::migration::{
    Destination, DestinationHears, Held, Message, ProcessId, SourceHears, read_frame,
};

use super::arrive::Coming;
use super::broker::{self, KeptSockets};
use super::daemon::{Entry, Shared};
use super::depart::{Departing, Identity, Route, Stood, Verdict};
use super::hosted::{Command, End, Hosted, Keeper};
use super::peer::{Incoming, NodeError, Peer, Sender, incoming, unexpected};
use super::send::{Along, hear, hear_missing, write_frames};
use super::take_in::{OnDisk, made_durable, sweep};
use crate::Process;
use crate::remote::Remote;

/// A program stands for a checkpoint at most this part of its time.
const CHECKPOINT_SHARE: u32 = 20;

/// So much input is not read ahead of the last checkpoint by much: the terminal keeps it until then.
const INPUT_AHEAD_BYTES: u64 = 256 << 10;

/// What the node does for one program.
pub(super) struct NodeKeeper {
    shared: Arc<Shared>,
    id: ProcessId,
    remote: Remote,
    /// A checkpoint is on its way to the disk.
    is_syncing: Arc<AtomicBool>,
    count: u64,
    /// The epoch with which it left, once it has.
    left_with: Option<u64>,
}

impl NodeKeeper {
    pub fn new(shared: Arc<Shared>, id: ProcessId, remote: Remote) -> NodeKeeper {
        NodeKeeper { shared, id, remote, is_syncing: Arc::default(), count: 0, left_with: None }
    }

    fn with_entry<T>(&self, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.shared.table().get_mut(&self.id).map(change)
    }
}

impl Keeper for NodeKeeper {
    fn checkpoint(&mut self, process: &mut Process) -> Result<(), NodeError> {
        if self.is_syncing.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let began = Instant::now();
        let written = self.write(process);
        let pause = began.elapsed();
        self.with_entry(|entry| {
            let every = self.shared.config.checkpoint_every.max(pause * CHECKPOINT_SHARE);
            entry.next_checkpoint = Some(began + every);
        });
        let (name, epoch, file) =
            written.inspect_err(|_| self.is_syncing.store(false, Ordering::Release))?;
        let (input, _) = self.remote.input_position();
        let (shared, id, is_syncing) = (self.shared.clone(), self.id, self.is_syncing.clone());
        let sync = move || {
            match file.into_file().and_then(|file| file.sync_data()) {
                Ok(()) => made_durable(&shared, id, OnDisk { name, epoch, input: Some(input) }),
                Err(error) => eprintln!("brant: process {id} is not on the disk: {error}"),
            }
            is_syncing.store(false, Ordering::Release);
        };
        std::thread::Builder::new().name("brant-sync".to_owned()).spawn(sync)?;
        Ok(())
    }

    fn depart(&mut self, departing: Departing, process: &mut Process) -> Stood {
        let (identity, route) = departing.what();
        let (identity, route) = (identity.clone(), route.clone());
        let along = Along::leaving(process, &self.remote);
        let shared = self.shared.clone();
        let (id, address) = (self.id, route.address.to_string());
        let mut left_with = None;
        let fence = |epoch: u64| {
            left_with = Some(epoch);
            let mut table = shared.table();
            let Some(entry) = table.get_mut(&id) else { return Err(std::io::Error::other("gone")) };
            let before = entry.ownership;
            entry.left = Some(address.clone());
            entry.ownership.hears(DestinationHears::Ended { epoch });
            let put = shared.folder.put(id, &entry.record());
            if put.is_err() {
                (entry.left, entry.ownership) = (None, before);
                // It may be on the disk in part.
                let _ = shared.folder.put(id, &entry.record());
            }
            put
        };
        let stood = departing.stand(process, &along, fence);
        self.left_with = left_with;
        match stood {
            Stood::GoesOn => {
                self.come_back(identity.epoch);
                self.remote.lanes().go_on();
                self.shared.changed.notify_all();
                Stood::GoesOn
            }
            Stood::Departed(mut departed) => {
                self.keep_sockets(process, &route);
                self.with_entry(|entry| entry.has_moved = entry.left.is_some());
                self.shared.changed.notify_all();
                self.remote.has_news();
                departed.wait_until_durable(process, &route);
                if route.decision.verdict() == Some(Verdict::Here) {
                    self.with_entry(|entry| entry.has_moved = false);
                    self.come_back(identity.epoch);
                    self.remote.lanes().go_on();
                    self.shared.changed.notify_all();
                    return Stood::GoesOn;
                }
                self.with_entry(|entry| {
                    // It may have come back meanwhile.
                    if entry.left.is_none() {
                        return;
                    }
                    entry.is_settled = true;
                    let old = entry.checkpoint.take();
                    match (self.shared.folder.put(id, &entry.record()), old) {
                        (Ok(()), Some(old)) => self.shared.folder.remove_frames(id, &old),
                        (Ok(()), None) => {}
                        (Err(error), _) => eprintln!("brant: process {id}: {error}"),
                    }
                });
                self.shared.changed.notify_all();
                Stood::Departed(departed)
            }
        }
    }

    fn ended(&mut self, end: End) {
        let (id, left_with) = (self.id, self.left_with);
        self.with_entry(|entry| match end {
            // It may be back by now, and what runs then is another life of it.
            End::Moved if left_with == Some(entry.epoch()) => entry.hosted = None,
            End::Moved => {}
            // Another one may run by now.
            End::Lost => {}
            End::Exited(code, text) => {
                entry.ended = Some((code, text));
                if entry.is_let_go {
                    bury(&self.shared, id, entry);
                }
            }
        });
        self.remote.has_news();
        self.shared.changed.notify_all();
    }
}

impl NodeKeeper {
    /// Speaks for a process that has left, where it has left sockets here.
    fn keep_sockets(&self, process: &mut Process, route: &Route) {
        let sockets = process.gate().map(|gate| gate.take()).unwrap_or_default();
        if sockets.is_empty() {
            return;
        }
        let (address, credentials) = (route.address.clone(), route.credentials.clone());
        match broker::keep(KeptSockets { id: self.id, address, credentials, sockets }) {
            Ok(broker) => self.shared.brokers().push(broker),
            Err(error) => eprintln!("brant: process {}: its sockets are closed: {error}", self.id),
        }
    }

    fn write(&mut self, process: &mut Process) -> Result<(String, u64, Sender<File>), NodeError> {
        let asked = self.with_entry(|entry| {
            let epoch = entry.epoch();
            (
                Identity { id: self.id, epoch: epoch.wrapping_sub(1), name: entry.name.clone() },
                epoch,
            )
        });
        let (identity, epoch) = asked.ok_or_else(|| unexpected("a checkpoint"))?;
        self.count += 1;
        let time = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_micros());
        let name = format!("check-{epoch}-{}-{time}", self.count);
        let mut file = Sender::to_file(self.shared.folder.new_frames(self.id, &name)?);
        write_frames(process, &identity, &Along::staying(&self.remote), &mut file)?;
        Ok((name, epoch, file))
    }

    /// The process did not move after all.
    fn come_back(&self, epoch: u64) {
        self.with_entry(|entry| {
            if entry.left.take().is_none() {
                return;
            }
            // Whatever is left of the epoch that it had on its way is older than this.
            let held = if entry.checkpoint.is_some() { Held::Durable } else { Held::Running };
            entry.ownership = Destination::Owns { epoch: epoch + 2, held };
            if let Err(error) = self.shared.folder.put(self.id, &entry.record()) {
                eprintln!("brant: process {}: {error}", self.id);
            }
        });
    }
}

/// All that had to be known of an end is known: nothing starts again.
pub(super) fn bury(shared: &Shared, id: ProcessId, entry: &mut Entry) {
    if entry.is_buried || entry.ended.is_none() {
        return;
    }
    let epoch = entry.epoch();
    entry.ownership.hears(DestinationHears::Ended { epoch });
    entry.is_buried = true;
    let old = entry.checkpoint.take();
    match (shared.folder.put(id, &entry.record()), old) {
        (Ok(()), Some(old)) => shared.folder.remove_frames(id, &old),
        (Ok(()), None) => {}
        (Err(error), _) => eprintln!("brant: process {id}: {error}"),
    }
}

/// Asks for checkpoints that are due.
pub(super) fn tick(shared: &Arc<Shared>) {
    let now = Instant::now();
    sweep(shared, now);
    let mut table = shared.table();
    for entry in table.values_mut().filter(|entry| entry.ended.is_none()) {
        let hosted = entry.hosted.clone();
        let hosted = hosted.filter(|_| entry.left.is_none() && entry.missing.is_none());
        let Some(hosted) = hosted else { continue };
        hosted.remote.lanes().sweep(now);
        let every = shared.config.checkpoint_every;
        let due = *entry.next_checkpoint.get_or_insert(now + every);
        let (read, _) = hosted.remote.input_position();
        let is_ahead = read.saturating_sub(entry.durable_input) >= INPUT_AHEAD_BYTES;
        if now >= due || is_ahead {
            entry.next_checkpoint = Some(now + every);
            hosted.ask(Command::Checkpoint);
        }
    }
}

/// Starts a process again from its frames on the disk.
///
/// # Errors
/// What the system says; they are not those of a process that may run here.
pub(super) fn start_from_disk(shared: &Arc<Shared>, id: ProcessId) -> Result<(), NodeError> {
    let mut table = shared.table();
    let entry = table.get_mut(&id).ok_or_else(|| unexpected("a process"))?;
    let name = entry.checkpoint.clone().ok_or_else(|| unexpected("a checkpoint"))?;
    let mut reader = BufReader::with_capacity(64 << 10, shared.folder.frames(id, &name)?);
    let mut payload = Vec::new();
    let kind = read_frame(&mut reader, &mut payload)?;
    let Incoming::Message(Message::Offered { offer }) = incoming(kind, &payload)? else {
        return Err(unexpected("no offer"));
    };
    let grant = shared.config.grants.of(&offer.name);
    let coming = Coming::new(*offer, grant, &shared.folder);
    let (mut coming, _) =
        coming.map_err(|refusal| NodeError::refused(refusal.why, refusal.remedy))?;
    loop {
        let kind = read_frame(&mut reader, &mut payload)?;
        if coming.take(incoming(kind, &payload)?, &shared.folder)? {
            break;
        }
    }
    let came = coming.finish()?;
    let remote = came.remote;
    remote.let_go(entry.is_let_go);
    entry.durable_input = came.offer.resources.stream_bytes[0];
    let epoch = entry.epoch();
    entry.ownership = Destination::Owns { epoch, held: Held::Durable };
    let keeper = NodeKeeper::new(shared.clone(), id, remote.clone());
    entry.hosted = Some(Hosted::start(id, came.process, remote, keeper)?);
    Ok(())
}

/// Asks a destination what became of a process that was given up before this node died.
pub(super) fn settle_later(shared: Arc<Shared>, id: ProcessId) {
    let settle = move || {
        loop {
            if let Some(verdict) = decided(&shared, id) {
                if let Err(error) = settle_by(&shared, id, verdict) {
                    eprintln!("brant: process {id}: {error}");
                }
                return shared.changed.notify_all();
            }
            match settle_once(&shared, id) {
                Ok(true) => return,
                Ok(false) | Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("brant-settle".to_owned()).spawn(settle) {
        eprintln!("brant: process {id}: {error}");
    }
}

fn decided(shared: &Shared, id: ProcessId) -> Option<Verdict> {
    shared.table().get(&id)?.decision.verdict()
}

/// Settles what was decided: the destination cannot be asked.
fn settle_by(shared: &Arc<Shared>, id: ProcessId, verdict: Verdict) -> Result<(), NodeError> {
    match verdict {
        Verdict::Here => settle_here(shared, id),
        Verdict::There => settle_there(shared, id),
    }
}

/// The process is at its destination: nothing of it is needed here.
fn settle_there(shared: &Shared, id: ProcessId) -> Result<(), NodeError> {
    let mut table = shared.table();
    let Some(entry) = table.get_mut(&id) else { return Ok(()) };
    (entry.has_moved, entry.is_settled) = (true, true);
    let old = entry.checkpoint.take();
    shared.folder.put(id, &entry.record())?;
    if let Some(old) = old {
        shared.folder.remove_frames(id, &old);
    }
    Ok(())
}

/// The process never was at its destination: it goes on here, from what is on the disk.
fn settle_here(shared: &Arc<Shared>, id: ProcessId) -> Result<(), NodeError> {
    let mut table = shared.table();
    let Some(entry) = table.get_mut(&id) else { return Ok(()) };
    (entry.left, entry.has_moved) = (None, false);
    let held = if entry.checkpoint.is_some() { Held::Durable } else { Held::Nothing };
    entry.ownership = Destination::Owns { epoch: entry.epoch() + 1, held };
    shared.folder.put(id, &entry.record())?;
    drop(table);
    if held == Held::Durable {
        start_from_disk(shared, id)?;
    }
    Ok(())
}

/// Asks once; says whether nothing is open any more.
fn settle_once(shared: &Arc<Shared>, id: ProcessId) -> Result<bool, NodeError> {
    let (epoch, address) = {
        let table = shared.table();
        let Some(entry) = table.get(&id) else { return Ok(true) };
        let (Some(address), false) = (entry.left.clone(), entry.is_settled) else {
            return Ok(true);
        };
        (entry.epoch(), address)
    };
    let address = address.parse().map_err(NodeError::Peer)?;
    let mut peer = Peer::connect(&address, shared.config.credentials.as_ref())?;
    peer.send(&Message::Settle { id, epoch })?;
    let (mut heard, missing) = hear_missing(&mut peer)?;
    let has_older = shared.table().get(&id).is_some_and(|entry| entry.checkpoint.is_some());
    if !missing.is_empty() && has_older {
        // The pages were in the memory of this node before it died.
        peer.send(&Message::Bereft { id, epoch })?;
        heard = hear_missing(&mut peer)?.0;
    }
    if heard == SourceHears::Wanted {
        return send_from_disk(shared, id, &mut peer).map(|()| false);
    }
    let mut table = shared.table();
    let Some(entry) = table.get_mut(&id).filter(|entry| entry.epoch() == epoch) else {
        return Ok(true);
    };
    match heard {
        SourceHears::Owned { is_durable } => {
            entry.has_moved = true;
            drop(table);
            if is_durable {
                settle_there(shared, id)?;
            }
            Ok(is_durable)
        }
        SourceHears::Lost => {
            drop(table);
            settle_here(shared, id).map(|()| true)
        }
        _ => Ok(false),
    }
}

/// The destination owns a process and has lost its state, and this node has died since: it gets what
/// is on the disk here.
fn send_from_disk(shared: &Shared, id: ProcessId, peer: &mut Peer) -> Result<(), NodeError> {
    let (epoch, name) = {
        let table = shared.table();
        let entry = table.get(&id).ok_or_else(|| unexpected("a process"))?;
        (entry.epoch(), entry.checkpoint.clone().ok_or_else(|| unexpected("a checkpoint"))?)
    };
    let mut reader = BufReader::with_capacity(64 << 10, shared.folder.frames(id, &name)?);
    let mut payload = Vec::new();
    let kind = read_frame(&mut reader, &mut payload)?;
    let Incoming::Message(Message::Offered { mut offer }) = incoming(kind, &payload)? else {
        return Err(unexpected("no offer"));
    };
    offer.epoch = epoch;
    let modules = offer.modules.clone();
    let wanted = match peer.ask(&Message::Offered { offer })? {
        Message::Accept { wanted } => wanted,
        _ => return Err(unexpected("a refusal")),
    };
    for (module, (offered, _)) in
        (0..).zip(modules.iter().zip(&wanted).filter(|(_, wanted)| **wanted))
    {
        let bytes = shared.folder.module(&offered.hash);
        let bytes = bytes.ok_or_else(|| unexpected("a module"))?;
        for chunk in bytes.as_slice().chunks(256 << 10) {
            peer.send(&Message::Code { module, bytes: chunk.to_vec() })?;
        }
    }
    loop {
        let kind = read_frame(&mut reader, &mut payload)?;
        let is_last = matches!(
            incoming(kind, &payload)?,
            Incoming::Message(Message::State { is_last: true, .. })
        );
        peer.sender.pass_on(kind, &payload)?;
        if is_last {
            break;
        }
    }
    match hear(peer)? {
        SourceHears::Prepared => peer.send(&Message::Commit { id, epoch })?,
        _ => return Err(unexpected("no answer")),
    }
    hear(peer).map(|_| ())
}
