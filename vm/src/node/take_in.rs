//! A program comes: the side of the node, from the offer to the record on the disk.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use brant_mobility::migration::{
    Destination, DestinationDoes, DestinationHears, Held, Message, Offer, ProcessId, Refusal,
};

use super::arrive::{Came, Coming};
use super::behind;
use super::daemon::{Entry, Role, Shared};
use super::hosted::{Arrived, Command, Hosted};
use super::keep::NodeKeeper;
use super::peer::{Incoming, NodeError, Peer, Sender, cannot_keep, unexpected};

/// The frames of a process that has come, in a file that is not on the disk yet.
pub(super) struct Kept {
    pub name: String,
    pub file: File,
}

/// A process is offered: takes it in up to where it is prepared.
pub(super) fn offered(
    shared: &Arc<Shared>, peer: &mut Peer, offer: Offer,
) -> Result<(), NodeError> {
    let (id, epoch) = (offer.id, offer.epoch);
    if matches!(shared.config.role, Role::Tenant(ours) if ours != id) {
        return Err(unexpected("an offer of another process"));
    }
    let attempt = {
        let mut table = shared.table();
        let entry = table.entry(id).or_default();
        match entry.ownership.hears(DestinationHears::Offer { epoch }) {
            DestinationDoes::Accept => {
                entry.attempt += 1;
                entry.prepared = None;
                entry.attempt
            }
            _ => {
                let why = "is here already, or has been since";
                return Ok(refuse(peer, why, "look for it: `brant ps NODE`")?);
            }
        }
    };
    let came = receive(shared, peer, offer, attempt);
    match came {
        Ok((came, kept)) => {
            let mut table = shared.table();
            let entry = table.entry(id).or_default();
            // Somebody else has begun to bring it meanwhile.
            let is_last = entry.attempt == attempt;
            if is_last
                && entry.ownership.hears(DestinationHears::Complete) == DestinationDoes::SayPrepared
            {
                entry.prepared = Some((came, kept));
                entry.prepared_at = Some(Instant::now());
                drop(table);
                return Ok(peer.send(&Message::Prepared {})?);
            }
            drop(table);
            let why = "came on another connection meanwhile";
            refuse(peer, why, "look for it: `brant ps NODE`")?;
            Err(NodeError::Peer(format!("the process {why}")))
        }
        Err(error) => {
            shared.folder.remove_frames(id, &file_name(epoch, attempt));
            forget(shared, id, attempt);
            if matches!(error, NodeError::Refused { .. }) {
                return Ok(());
            }
            // Where the connection has broken nobody hears it.
            let _ = refuse(peer, &format!("cannot go on here: {error}"), "");
            // What is left of it is still on its way: the connection is of no use any more.
            Err(error)
        }
    }
}

/// Says that the process cannot come.
fn refuse(peer: &mut Peer, why: &str, remedy: &str) -> std::io::Result<()> {
    let refusal = Refusal {
        what: "the process".to_owned(),
        why: why.to_owned(),
        remedy: remedy.to_owned(),
        ..Refusal::default()
    };
    peer.send(&Message::Refuse { refusal })
}

/// The file of frames of a process that comes.
fn file_name(epoch: u64, attempt: u64) -> String {
    format!("came-{epoch}-{attempt}")
}

/// Lets go of an attempt that came to nothing.
fn forget(shared: &Shared, id: ProcessId, attempt: u64) {
    let mut table = shared.table();
    let Some(entry) = table.get_mut(&id).filter(|entry| entry.attempt == attempt) else { return };
    entry.ownership.hears(DestinationHears::Cut);
    // Nobody shall fill the table with names.
    if entry.ownership == Destination::Nothing {
        table.remove(&id);
        drop(table);
        shared.folder.forget(id);
    }
}

fn receive(
    shared: &Shared, peer: &mut Peer, offer: Offer, attempt: u64,
) -> Result<(Came, Kept), NodeError> {
    let (id, epoch) = (offer.id, offer.epoch);
    let grant = shared.config.grants.of(&offer.name);
    let (mut coming, wanted) = match Coming::new(offer, grant, &shared.folder) {
        Ok(coming) => coming,
        Err(refusal) => {
            let error = NodeError::refused(refusal.why.clone(), refusal.remedy.clone());
            peer.send(&Message::Refuse { refusal })?;
            return Err(error);
        }
    };
    let name = file_name(epoch, attempt);
    let begin = || {
        shared.folder.prepare(id)?;
        let mut kept = Sender::to_file(shared.folder.new_frames(id, &name)?);
        kept.send(&Message::Offered { offer: Box::new(coming.offer.clone()) })?;
        Ok(kept)
    };
    let kept = begin().map_err(cannot_keep)?;
    peer.receiver.keep(kept);
    peer.send(&Message::Accept { wanted })?;
    loop {
        match peer.receiver.receive_frame()? {
            Incoming::Message(Message::Ping {}) => peer.sender.send(&Message::Pong {})?,
            incoming => {
                if coming.take(incoming, &shared.folder)? {
                    break;
                }
            }
        }
    }
    let kept = peer.receiver.take_kept().ok_or_else(|| unexpected("a state without frames"))?;
    let file = kept.into_file().map_err(cannot_keep)?;
    Ok((coming.finish()?, Kept { name, file }))
}

/// The source has given a process up, or asks what became of it.
pub(super) fn settled(
    shared: &Arc<Shared>, id: ProcessId, hears: DestinationHears,
) -> Result<Message, NodeError> {
    let mut table = shared.table();
    let Some(entry) = table.get_mut(&id) else { return Ok(Message::Lost {}) };
    let before = entry.ownership;
    match entry.ownership.hears(hears) {
        DestinationDoes::Own => {
            let owned = own(shared, id, entry);
            if owned.is_err() {
                // Nothing was promised: the source asks again.
                entry.ownership = before;
            }
            owned.map(|()| self::owned(entry, false))
        }
        DestinationDoes::SayOwned { is_durable } => Ok(owned(entry, is_durable)),
        DestinationDoes::SayWanted => Ok(Message::Wanted {}),
        _ => {
            entry.prepared = None;
            if entry.ownership == Destination::Nothing {
                table.remove(&id);
            }
            Ok(Message::Lost {})
        }
    }
}

/// What is said of a process that is owned here.
fn owned(entry: &Entry, is_durable: bool) -> Message {
    let missing =
        entry.missing.as_ref().filter(|missing| entry.ended.is_none() && missing.left() > 0);
    match missing {
        Some(missing) => Message::Missing { runs: behind::runs(missing) },
        None => Message::Owned { is_durable },
    }
}

/// The source has lost pages that are still to come: whatever the process has done since is lost too.
/// Gives what is to be said.
pub(super) fn bereft(shared: &Shared, id: ProcessId, epoch: u64) -> Message {
    let mut table = shared.table();
    let Some(entry) = table.get_mut(&id) else { return Message::Lost {} };
    let is_meant = entry.epoch() == epoch && entry.missing.is_some() && entry.ended.is_none();
    if !is_meant {
        return owned(entry, is_durable(entry));
    }
    if let Some(missing) = entry.missing.take() {
        missing.give_up();
    }
    // As if this host had died. A terminal finds the program again once it is back.
    entry.ownership = entry.ownership.restarted();
    entry.session += 1;
    let hosted = entry.hosted.take();
    drop(table);
    if let Some(hosted) = hosted {
        // Its thread finds out that it is lost.
        hosted.ask(Command::Report);
        hosted.remote.has_news();
    }
    Message::Wanted {}
}

/// All pages of a process have come.
pub(super) fn followed(shared: &Shared, id: ProcessId) {
    let mut table = shared.table();
    let Some(entry) = table.get_mut(&id) else { return };
    if entry.missing.as_ref().is_some_and(|missing| missing.left() == 0) {
        entry.missing.take().inspect(|missing| missing.finish());
        // From now on it can be brought to the disk.
        entry.hosted.clone().inspect(|hosted| hosted.ask(Command::Checkpoint));
    }
}

/// Brings to the disk that a process is owned here, and runs it.
fn own(shared: &Arc<Shared>, id: ProcessId, entry: &mut Entry) -> Result<(), NodeError> {
    let Some((came, kept)) = entry.prepared.take() else {
        return Err(NodeError::Peer("nothing was prepared".to_owned()));
    };
    let (left, ended) = (entry.left.take(), entry.ended.take());
    entry.name.clone_from(&came.offer.name);
    (entry.has_moved, entry.is_settled, entry.is_buried) = (false, false, false);
    (entry.checkpoint, entry.is_let_go) = (None, false);
    if let Err(error) = shared.folder.put(id, &entry.record()) {
        (entry.prepared, entry.left, entry.ended) = (Some((came, kept)), left, ended);
        return Err(error.into());
    }
    let Came { process, remote, offer, missing } = came;
    entry.missing.clone_from(&missing);
    entry.durable_input = offer.resources.stream_bytes[0];
    let epoch = entry.epoch();
    let keeper = NodeKeeper::new(shared.clone(), id, remote.clone());
    entry.hosted = Some(Hosted::start(id, Arrived { process, missing }, remote, keeper)?);
    if entry.missing.is_some() {
        // What is kept has not all of its pages: a checkpoint follows when they are there.
        shared.folder.remove_frames(id, &kept.name);
        return Ok(());
    }
    let shared = shared.clone();
    let sync = move || {
        let Kept { name, file } = kept;
        if let Err(error) = file.sync_data() {
            // The next checkpoint may fare better.
            return eprintln!("brant: process {id} is not on the disk: {error}");
        }
        made_durable(&shared, id, OnDisk { name, epoch, input: None });
    };
    std::thread::Builder::new().name("brant-sync".to_owned()).spawn(sync)?;
    Ok(())
}

/// Frames that are on the disk.
pub(super) struct OnDisk {
    /// The name of their file.
    pub name: String,
    /// The epoch of the process in them.
    pub epoch: u64,
    /// How much input it had read; none if that is what it came with.
    pub input: Option<u64>,
}

/// The frames in this file are on the disk: the process starts again from them.
pub(super) fn made_durable(shared: &Shared, id: ProcessId, frames: OnDisk) {
    let OnDisk { name, epoch, input } = frames;
    let mut table = shared.table();
    let entry = table.get_mut(&id).filter(|entry| {
        // Meanwhile it may have gone, or what it came with may be older than its checkpoint.
        let is_latest = input.is_some() || entry.checkpoint.is_none();
        entry.ownership.runs() && entry.epoch() == epoch && is_latest && !entry.is_buried
    });
    let Some(entry) = entry else { return shared.folder.remove_frames(id, &name) };
    let old = entry.checkpoint.replace(name);
    if let Err(error) = shared.folder.put(id, &entry.record()) {
        // Which of both the record names is not known: both stay.
        eprintln!("brant: process {id}: {error}");
        entry.checkpoint = old;
        return;
    }
    if let Some(input) = input {
        entry.durable_input = input;
    }
    entry.ownership.hears(DestinationHears::Durable);
    let hosted = entry.hosted.clone();
    if let Some(old) = old {
        shared.folder.remove_frames(id, &old);
    }
    drop(table);
    shared.changed.notify_all();
    hosted.inspect(|hosted| hosted.remote.has_news());
}

/// Whether a process of this node could be started again by itself.
pub(super) fn is_durable(entry: &Entry) -> bool {
    matches!(entry.ownership, Destination::Owns { held: Held::Durable, .. })
}

/// When a process came that does not run yet.
pub(super) type Prepared = (Came, Kept);

/// Prepared processes are let go of after a while: their sources ask before they give up.
pub(super) fn sweep(shared: &Shared, now: Instant) {
    let mut table = shared.table();
    table.retain(|_, entry| {
        let is_old = entry.prepared_at.is_some_and(|at| now.duration_since(at) > PREPARED_FOR);
        if is_old && matches!(entry.ownership, Destination::Prepared { .. }) {
            (entry.prepared, entry.prepared_at) = (None, None);
            entry.ownership = entry.ownership.restarted();
        }
        entry.ownership != Destination::Nothing
    });
}

const PREPARED_FOR: std::time::Duration = std::time::Duration::from_secs(60);
