//! Pages that follow a program which runs at its destination already (postcopy).
//!
//! ```text
//! source                                       destination
//! Commit               ------------------->    the guest runs; a page that is not there stops it
//!                      <-------------------    Missing: what is still to come
//! pages, in order      ------------------->    are filled as they come
//!                      <-------------------    Need: the guest waits for this one
//! that page, at once   ------------------->
//! Settle               ------------------->    Missing again, or Owned
//! ```
//!
//! The source's copy stands and does not change, so that every page is the one that the guest would
//! have had. When the connection breaks the guest waits at the page that it needs; the source connects
//! again and is told what is still missing.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Asked, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brant_engine::{MissingPages, WrittenPages};
use brant_mobility::migration::{Message, PageRun, PagesFrame, ProcessId, read_pages};

use super::daemon::Shared;
use super::peer::{Incoming, NodeError, PATIENCE, Peer, Receiver, Sender, name, unexpected};
use super::take_in::followed;
use crate::Process;

/// Runs that a message names; the others are named when these pages have come.
const RUNS_IN_A_MESSAGE: usize = 16 << 10;

/// Between two looks at what is asked for, so many pages are sent: the guest waits as long.
const PAGES_AT_ONCE: u64 = 32;

/// The other side may have nothing to say for so long, while pages are on their way.
const SILENCE: Duration = Duration::from_secs(600);

/// Whoever listens for what the guest needs looks whether it is over after this time.
const LOOK: Duration = Duration::from_millis(100);

/// Says which pages come later, and how many those are.
pub(super) fn announce(process: &Process, peer: &mut Peer) -> Result<u64, NodeError> {
    let memories = 0..process.store.memory_count();
    let runs: Vec<PageRun> = memories
        .flat_map(|memory| process.store.touched_runs(memory))
        .map(|WrittenPages { memory, first, count }| PageRun { memory, first, count })
        .collect();
    for runs in runs.chunks(RUNS_IN_A_MESSAGE) {
        peer.send(&Message::Behind { runs: runs.to_vec() })?;
    }
    Ok(runs.iter().map(|run| run.count).sum())
}

/// The pages that are still to come, as a message names them.
pub(super) fn runs(missing: &MissingPages) -> Vec<PageRun> {
    let runs = missing.runs(RUNS_IN_A_MESSAGE).into_iter();
    runs.map(|WrittenPages { memory, first, count }| PageRun { memory, first, count }).collect()
}

/// Sends pages of a process that stands, those first that the other side asks for, and then a
/// question. Gives how many there were, and the answer.
pub(super) fn send(
    process: &Process, peer: Peer, runs: &[PageRun], question: &Message,
) -> Result<(Peer, u64, Message), NodeError> {
    let Peer { mut receiver, mut sender } = peer;
    receiver.set_patience(Some(SILENCE));
    let (asks, asked) = channel();
    std::thread::scope(|scope| {
        let listener = scope.spawn(move || {
            loop {
                match receiver.receive()? {
                    // Whoever sends may have failed.
                    Message::Need { memory, page } => drop(asks.send((memory, page))),
                    other => return Ok::<(Receiver, Message), NodeError>((receiver, other)),
                }
            }
        });
        let mut sending = Sending { process, sender: &mut sender, sent: HashSet::new() };
        let sent = sending.all(runs, &asked);
        let count = sending.sent.len() as u64;
        if sent.and_then(|()| Ok(sender.send(question)?)).is_err() {
            sender.close();
        }
        let heard = listener.join().map_err(|_| unexpected("nothing any more"))?;
        let (mut receiver, answer) = heard?;
        receiver.set_patience(Some(PATIENCE));
        Ok((Peer { receiver, sender }, count, answer))
    })
}

/// Pages on their way to a process that waits for them.
struct Sending<'a> {
    process: &'a Process,
    sender: &'a mut Sender,
    sent: HashSet<(u32, u64)>,
}

impl Sending<'_> {
    fn all(&mut self, runs: &[PageRun], asked: &Asked<(u32, u64)>) -> Result<(), NodeError> {
        let mut frame = PagesFrame::default();
        for run in runs {
            let end = run.first.saturating_add(run.count);
            let mut at = run.first;
            while at < end {
                let stop = (at + PAGES_AT_ONCE).min(end);
                for page in at..stop {
                    self.add(&mut frame, run.memory, page)?;
                }
                self.flush(&mut frame)?;
                at = stop;
                let mut is_urgent = false;
                while let Ok((memory, page)) = asked.try_recv() {
                    self.add(&mut frame, memory, page)?;
                    is_urgent = true;
                    if frame.is_full() {
                        self.flush(&mut frame)?;
                    }
                }
                if is_urgent {
                    self.flush(&mut frame)?;
                    self.sender.flush()?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, frame: &mut PagesFrame, memory: u32, page: u64) -> Result<(), NodeError> {
        let content = self.process.store.page(memory, page);
        let content = content.ok_or_else(|| unexpected("a page that there is not"))?;
        if self.sent.insert((memory, page)) {
            let is_zero = content.iter().all(|&byte| byte == 0);
            frame.add(memory, page, (!is_zero).then_some(content));
        }
        Ok(())
    }

    fn flush(&mut self, frame: &mut PagesFrame) -> Result<(), NodeError> {
        match frame.is_empty() {
            true => Ok(()),
            false => Ok(self.sender.send_pages(frame)?),
        }
    }
}

/// Fills pages of a process that runs here as they come, and asks for those that it waits for. Gives
/// what the source says next.
pub(super) fn receive(
    shared: &Arc<Shared>, peer: Peer, id: ProcessId,
) -> Result<(Peer, Message), NodeError> {
    let missing = shared.table().get(&id).and_then(|entry| entry.missing.clone());
    let Some(missing) = missing else {
        let mut peer = peer;
        let message = peer.receive()?;
        return Ok((peer, message));
    };
    let Peer { mut receiver, sender } = peer;
    let (sender, is_over) = (Mutex::new(sender), AtomicBool::new(false));
    let heard = std::thread::scope(|scope| {
        scope.spawn(|| ask(&missing, &sender, &is_over));
        let heard = fill(&missing, &mut receiver);
        is_over.store(true, Ordering::Release);
        missing.rouse();
        heard
    });
    let is_whole = missing.left() == 0;
    drop(missing);
    if is_whole {
        followed(shared, id);
    }
    let sender = sender.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((Peer { receiver, sender }, heard?))
}

/// Fills what comes, up to the first thing that is no page.
fn fill(missing: &MissingPages, receiver: &mut Receiver) -> Result<Message, NodeError> {
    loop {
        match receiver.receive_frame()? {
            // One that nobody awaits changes nothing: it may have come on another connection.
            Incoming::Pages(payload) => read_pages::<NodeError>(
                payload,
                |memory| missing.memory_pages(memory),
                |memory, page, content| Ok(missing.fill(memory, page, content).map(drop)?),
            )?,
            Incoming::Message(message @ (Message::Settle { .. } | Message::Bereft { .. })) => {
                return Ok(message);
            }
            Incoming::Message(other) => return Err(unexpected(&name(&other))),
        }
    }
}

/// Asks for the pages that the guest waits for.
fn ask(missing: &MissingPages, sender: &Mutex<Sender>, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) && missing.left() > 0 && !missing.is_lost() {
        let mut asked = Vec::new();
        missing.wait_for_asks(LOOK, |memory, page| asked.push(Message::Need { memory, page }));
        let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.iter().try_for_each(|message| sender.send(message)).is_err() {
            return sender.close();
        }
    }
}
