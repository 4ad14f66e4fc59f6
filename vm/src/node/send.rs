//! A process as frames: what it offers of itself, its code, its pages, and the rest of it.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use brant_engine::persist::PAGE_BYTES;
use brant_engine::{ModuleBytes, WriteTracker, WrittenPages};
use brant_kernel::Binding;
use brant_kernel::net::{LaneKind, LaneName};
use brant_mobility::migration::{
    LaneState, Message, Next, Offer, OfferedModule, PAGES_IN_A_FRAME, PageRun, PagesFrame,
    Progress, Rounds, SourceHears, Stage,
};
use brant_mobility::{CaptureError, Contents, Purpose};

use super::depart::{Identity, Report};
use super::peer::{NodeError, Peer, Sender, name, unexpected};
use crate::Process;
use crate::remote::{Piece, Remote};

/// Rounds go on until the rest is sent in about this time.
const TARGET: Duration = Duration::from_millis(3);

/// So much of a module, or of a state, fits into a frame.
const CHUNK_BYTES: usize = 256 << 10;

/// What goes along with a process besides itself.
#[derive(Clone, Debug, Default)]
pub struct Along {
    /// Output that nobody has seen yet.
    pub output: Vec<Piece>,
    /// Connections and listeners whose sockets stay where they are.
    pub lanes: Vec<Message>,
}

impl Along {
    /// What goes along with a process that leaves; it stands, and none that calls is taken until
    /// [`Lanes::go_on`](crate::Lanes::go_on).
    pub(super) fn leaving(process: &mut Process, remote: &Remote) -> Along {
        let mut lanes = remote.lanes().leave();
        lanes.extend(handed_over(process));
        Along { output: remote.kept(), lanes }
    }

    /// What stays with a process that is brought to the disk. Sockets of this host do not outlive it.
    pub(super) fn staying(remote: &Remote) -> Along {
        Along { output: remote.kept(), lanes: remote.lanes().kept() }
    }
}

/// The sockets that a process leaves here, as those are when it leaves.
pub(crate) fn handed_over(process: &mut Process) -> Vec<Message> {
    let held = process.gate().map(|gate| gate.held()).unwrap_or_default();
    let message = |name: LaneName| match name.kind {
        LaneKind::Door => Message::Door { door: name.id },
        LaneKind::Lane => Message::Lane {
            state: LaneState {
                lane: name.id,
                waits_at: None,
                input: 0,
                output: 0,
                bytes: Vec::new(),
                output_ended: false,
                input_ended: false,
                is_closed: false,
                is_broken: false,
            },
        },
    };
    held.into_iter().map(message).collect()
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
    let mut resources = process.resources().map_err(crate::Error::from)?;
    // Pipes come with the tree of processes.
    resources.descriptors.retain(|descriptor| descriptor.binding != Binding::Pipe);
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

pub(super) fn propose(peer: &mut Peer, offer: &Offer) -> Result<Vec<bool>, NodeError> {
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

pub(super) fn send_code(
    peer: &mut Peer, code: &[ModuleBytes], wanted: &[bool],
) -> Result<(), NodeError> {
    for (module, (bytes, _)) in (0..).zip(code.iter().zip(wanted).filter(|(_, wanted)| **wanted)) {
        for chunk in bytes.as_slice().chunks(CHUNK_BYTES) {
            peer.send(&Message::Code { module, bytes: chunk.to_vec() })?;
        }
    }
    Ok(())
}

/// Sends rounds of pages while the guest runs, and says how many pages those were.
pub(super) fn send_rounds(
    tracker: &mut WriteTracker, peer: &mut Peer, report: &mut Report,
) -> Result<u64, NodeError> {
    let mut rounds = Rounds::new(TARGET.as_nanos() as u64);
    let mut sum = 0;
    loop {
        let (began, before) = (Instant::now(), peer.sender.bytes);
        let pages = send_written(tracker, &mut peer.sender)?;
        // What has been read at the other end cannot keep the guest waiting later.
        match peer.ask(&Message::Ping {})? {
            Message::Pong {} => {}
            other => return Err(unexpected(&name(&other))),
        }
        let (ns, bytes) = (began.elapsed().as_nanos() as u64, peer.sender.bytes - before);
        sum += pages;
        let left_bytes = tracker.written_count()? * PAGE_BYTES as u64;
        let next = rounds.after(bytes, ns, left_bytes);
        let (stage, round) = (Stage::Round, rounds.count());
        report(Ok(Progress { stage, round, pages, bytes, ns, downtime_ns: 0 }));
        if next == Next::Stop {
            return Ok(sum);
        }
    }
}

/// Sends what was written since the last time, and says how many pages those were.
pub(super) fn send_written(
    tracker: &mut WriteTracker, sender: &mut Sender<impl Write>,
) -> Result<u64, NodeError> {
    let mut written = Vec::new();
    tracker.take_written(|pages| written.push(pages))?;
    let (mut frame, mut count) = (PagesFrame::default(), 0);
    let mut contents = vec![0; PAGES_IN_A_FRAME * PAGE_BYTES];
    for region in written {
        count += region.count;
        let end = region.first + region.count;
        let mut first = region.first;
        while first < end {
            let part = WrittenPages {
                first,
                count: (end - first).min(PAGES_IN_A_FRAME as u64),
                memory: region.memory,
            };
            let contents = &mut contents[..part.count as usize * PAGE_BYTES];
            tracker.read(part, contents)?;
            let (pages, _) = contents.as_chunks::<PAGE_BYTES>();
            for (page, content) in (first..).zip(pages) {
                let is_zero = content.iter().all(|&byte| byte == 0);
                frame.add(part.memory, page, (!is_zero).then_some(content));
                if frame.is_full() {
                    sender.send_pages(&mut frame)?;
                }
            }
            first += part.count;
        }
    }
    if !frame.is_empty() {
        sender.send_pages(&mut frame)?;
    }
    Ok(count)
}

/// Sends a process that stands, once more and as a whole.
pub(super) fn send_again(
    process: &mut Process, offer: &Offer, along: &Along, peer: &mut Peer,
) -> Result<SourceHears, NodeError> {
    let wanted = propose(peer, offer)?;
    let code = process.modules.iter().map(|(_, module)| module.engine_module().shared_bytes());
    let code: Vec<ModuleBytes> = code.collect();
    send_code(peer, &code, &wanted)?;
    peer.send(&Message::Sizes { memories: process.store.memory_sizes_wasm_pages() })?;
    send_changed(process, |_| 0, &mut peer.sender)?;
    send_state(process, along, &mut peer.sender)?;
    hear(peer)
}

/// Writes all that makes a process to a file, as if it had come from there.
pub(super) fn write_frames(
    process: &mut Process, identity: &Identity, along: &Along, file: &mut Sender<File>,
) -> Result<(), NodeError> {
    let offer = offer(process, identity)?;
    file.send(&Message::Offered { offer: Box::new(offer) })?;
    file.send(&Message::Sizes { memories: process.store.memory_sizes_wasm_pages() })?;
    send_changed(process, |_| 0, file)?;
    send_state(process, along, file)
}

/// Sends all pages that the modules' data segments do not give, and says how many.
/// From a page of each memory on.
pub(super) fn send_changed(
    process: &mut Process, first: impl Fn(u32) -> u64, sender: &mut Sender<impl Write>,
) -> Result<u64, NodeError> {
    let mut frame = PagesFrame::default();
    let (mut count, mut outcome) = (0, Ok(()));
    for memory in 0..process.store.memory_count() {
        process.store.changed_pages_from(memory, first(memory), |page, content| {
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

pub(super) fn send_state(
    process: &mut Process, along: &Along, sender: &mut Sender<impl Write>,
) -> Result<(), NodeError> {
    for Piece { stream, position, bytes } in &along.output {
        let (stream, position) = (*stream as u8 + 1, *position);
        sender.send(&Message::Output { stream, position, bytes: bytes.clone() })?;
    }
    for lane in &along.lanes {
        sender.send(lane)?;
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
    let message = peer.receive()?;
    heard(message)
}

/// The same; and the pages that it waits for, if it runs there and some are still to come.
pub(super) fn hear_missing(peer: &mut Peer) -> Result<(SourceHears, Vec<PageRun>), NodeError> {
    match peer.receive()? {
        Message::Missing { runs } => Ok((SourceHears::Owned { is_durable: false }, runs)),
        other => Ok((heard(other)?, Vec::new())),
    }
}

pub(super) fn heard(message: Message) -> Result<SourceHears, NodeError> {
    match message {
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
