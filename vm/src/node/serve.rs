//! What a node answers whoever calls.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use brant_engine::ModuleBytes;
use brant_host::native::NativeHost;
use brant_kernel::host::Host;
use brant_mobility::migration::{
    Destination, DestinationHears, Held, Listed, Message, Mode, ProcessId, Progress, Stage,
};

use super::behind;
use super::callers;
use super::daemon::{Entry, Role, Shared};
use super::depart::{Decision, Identity, Report, Route, Verdict};
use super::hosted::{Command, Hosted};
use super::keep::NodeKeeper;
use super::peer::{NodeError, Peer, Sender, Socket, name, unexpected};
use super::send::{Along, write_frames};
use super::session::{self, Attach};
use super::take_in;
use crate::remote::Remote;
use crate::streams::{Input, Output};
use crate::{Config, Engine, Module, Process, Validation, with_compiler};

/// A program that does not stand in this time is listed as it last was.
const LOOK: Duration = Duration::from_millis(50);

/// A process moves on once it is on the disk here; it is waited for that long.
const DURABLE_PATIENCE: Duration = Duration::from_secs(10);

/// A move that says nothing for so long is not waited for.
const MOVE_PATIENCE: Duration = Duration::from_secs(600);

/// The code of a program that was killed from outside.
const KILLED_CODE: u8 = 137;

/// The code of a program that ended because brant has failed.
pub(super) const INTERNAL_CODE: u8 = 70;

/// Talks to whoever has called until one side has had enough.
pub(super) fn converse(shared: &Arc<Shared>, socket: Socket) -> Result<(), NodeError> {
    let mut peer = Peer::called(socket, shared.config.credentials.as_ref())?;
    let mut next = None;
    loop {
        let message = match next.take() {
            Some(message) => message,
            None => peer.receive()?,
        };
        let about = match &message {
            Message::Commit { id, .. } | Message::Settle { id, .. } => Some(*id),
            _ => None,
        };
        let answer = match message {
            Message::Attach { id, seen, goes_on } => {
                let asked = Attach { id, seen, goes_on };
                match session::attach(shared, peer, asked)? {
                    Some(again) => peer = again,
                    None => return Ok(()),
                }
                continue;
            }
            Message::Keep { id, keeper } => {
                match callers::attach(shared, peer, id, keeper)? {
                    Some(again) => peer = again,
                    None => return Ok(()),
                }
                continue;
            }
            Message::Offered { offer } => {
                take_in::offered(shared, &mut peer, *offer)?;
                continue;
            }
            Message::Commit { id, epoch } => {
                take_in::settled(shared, id, DestinationHears::Commit { epoch })
            }
            Message::Settle { id, epoch } => {
                take_in::settled(shared, id, DestinationHears::Settle { epoch })
            }
            Message::Bereft { id, epoch } => Ok(take_in::bereft(shared, id, epoch)),
            Message::Ping {} => Ok(Message::Pong {}),
            Message::Done {} => return Ok(()),
            Message::List {} => Ok(list(shared)),
            Message::Find { id } => shared.find(&id).map(|id| Message::Started { id }),
            Message::Steer { id, verb } => steer(shared, &id, &verb),
            Message::Resolve { id, here } => resolve(shared, &id, here),
            Message::Push { name, args, hash, bytes } => {
                push(shared, &mut peer, Pushed { name, args, hash, bytes })
            }
            Message::Migrate { id, address, mode } => {
                migrate(shared, &mut peer, &id, &address, mode)
            }
            other => Err(unexpected(&name(&other))),
        };
        match answer {
            Ok(answer) => {
                peer.send(&answer)?;
                if let (Message::Missing { .. }, Some(id)) = (&answer, about) {
                    let (again, message) = behind::receive(shared, peer, id)?;
                    (peer, next) = (again, Some(message));
                }
            }
            Err(error) => {
                let remedy = error.remedy().unwrap_or_default().to_owned();
                peer.send(&Message::Failed { why: error.to_string(), remedy })?;
                if !matches!(error, NodeError::Refused { .. } | NodeError::Process(_)) {
                    return Err(error);
                }
            }
        }
    }
}

fn list(shared: &Shared) -> Message {
    let known: Vec<(ProcessId, Option<Arc<Hosted>>)> =
        shared.table().iter().map(|(id, entry)| (*id, entry.hosted.clone())).collect();
    let mut processes = Vec::with_capacity(known.len());
    for (id, hosted) in known {
        let health = hosted.as_ref().map(|hosted| hosted.health(LOOK)).unwrap_or_default();
        let table = shared.table();
        let Some(entry) = table.get(&id) else { continue };
        let state = match (&entry.left, &entry.ended) {
            // Its destination has it: what is still here is a copy, until that has one of its own.
            (Some(_), _) if entry.has_moved || entry.is_settled => continue,
            (Some(_), _) => "fenced",
            _ if entry.is_buried => continue,
            (None, Some(_)) => "ended",
            (None, None) if hosted.is_none() => "waiting",
            _ if entry.missing.is_some() => "arriving",
            _ if health.is_paused => "paused",
            _ if health.is_moving => "moving",
            _ => "running",
        };
        processes.push(Listed {
            id,
            name: entry.name.clone(),
            state: state.to_owned(),
            epoch: entry.epoch(),
            is_attached: entry.is_attached,
            memory_bytes: health.memory_bytes,
            cpu_ns: health.cpu_ns,
            uptime_ns: hosted.map_or(0, |hosted| hosted.uptime().as_nanos() as u64),
        });
    }
    processes.sort_by_key(|listed| listed.id);
    Message::Listing { processes }
}

/// The program with these first digits, if it runs here.
fn running(shared: &Shared, digits: &str) -> Result<(ProcessId, Arc<Hosted>), NodeError> {
    let id = shared.find(digits)?;
    let table = shared.table();
    let entry = table.get(&id).filter(|entry| entry.ownership.runs() && entry.ended.is_none());
    match entry.and_then(|entry| entry.hosted.clone()) {
        Some(hosted) => Ok((id, hosted)),
        None => Err(NodeError::refused(
            format!("the program {digits} does not run here"),
            "`brant ps NODE` lists those that do; `brant settle` decides about one that is `fenced`",
        )),
    }
}

fn steer(shared: &Shared, digits: &str, verb: &str) -> Result<Message, NodeError> {
    let (id, hosted) = running(shared, digits)?;
    if verb == "kill"
        && let Some(entry) = shared.table().get_mut(&id).filter(|entry| entry.missing.is_some())
    {
        // Its terminal is where its pages are: nobody may be left who waits to hear of its end.
        entry.is_let_go = true;
    }
    hosted.ask(match verb {
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "kill" => Command::Kill(KILLED_CODE),
        other => return Err(NodeError::refused(format!("no verb is called `{other}`"), "")),
    });
    Ok(Message::Done {})
}

/// Somebody decides about a program that was given up: its destination is asked first, and decides if
/// it answers.
fn resolve(shared: &Arc<Shared>, digits: &str, here: bool) -> Result<Message, NodeError> {
    let id = shared.find(digits)?;
    let is_fenced = |table: &mut std::collections::HashMap<ProcessId, Entry>| {
        table.get(&id).is_some_and(|entry| entry.left.is_some() && !entry.is_settled)
    };
    let (address, epoch, decision) = {
        let mut table = shared.table();
        let is_open = is_fenced(&mut table);
        let entry = table.get(&id).filter(|_| is_open).ok_or_else(|| {
            NodeError::refused(
                format!("nothing is open about the program {digits}"),
                "`brant ps NODE` shows those that are `fenced`",
            )
        })?;
        let address = entry.left.clone().unwrap_or_default();
        (address, entry.epoch(), entry.decision.clone())
    };
    let destination = address.parse().map_err(NodeError::Peer)?;
    let asked = Peer::connect(&destination, shared.config.credentials.as_ref())
        .and_then(|mut peer| peer.ask(&Message::Settle { id, epoch }));
    if asked.is_ok() {
        return Err(NodeError::refused(
            format!("its destination at {address} answers, and knows whose the program is"),
            "wait a moment: nothing has to be decided",
        ));
    }
    decision.decide(if here { Verdict::Here } else { Verdict::There });
    let waited = shared
        .changed
        .wait_timeout_while(shared.table(), DURABLE_PATIENCE, |table| is_fenced(table));
    let (mut table, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
    match is_fenced(&mut table) {
        false => Ok(Message::Done {}),
        true => Err(NodeError::refused("it is not settled yet", "look again: `brant ps NODE`")),
    }
}

/// A program that is to start.
struct Pushed {
    name: String,
    args: Vec<Vec<u8>>,
    hash: [u8; 32],
    bytes: u64,
}

fn push(shared: &Arc<Shared>, peer: &mut Peer, pushed: Pushed) -> Result<Message, NodeError> {
    let Pushed { name, args, hash, bytes } = pushed;
    let known = shared.folder.module(&hash);
    peer.send(&Message::Accept { wanted: vec![known.is_none()] })?;
    let code = match known {
        Some(code) => code,
        None => take_code(shared, peer, hash, bytes)?,
    };
    let engine = Engine::new(&with_compiler(Config::default())).map_err(crate::Error::from)?;
    let module = Module::with_validation(&engine, code, Validation::Lazy)?;
    let remote = Remote::new([false; 3]);
    remote.let_go(true);
    let grant = shared.config.grants.of(&name);
    let builder = grant.apply(Process::builder(&module).args(args));
    let builder = builder
        .stdin(Input::Remote(remote.clone()))
        .stdout(Output::Remote(remote.clone()))
        .stderr(Output::Remote(remote.clone()));
    let mut process = builder.build()?;
    let id = match shared.config.role {
        Role::Tenant(id) if shared.table().is_empty() => id,
        Role::Tenant(_) => {
            return Err(NodeError::refused("this host process has its program already", ""));
        }
        _ => {
            let token = NativeHost::new().token();
            ProcessId(token.map_err(|errno| std::io::Error::other(errno.name()))?)
        }
    };
    // From here on it starts again by itself, whatever happens: nobody else has it.
    shared.folder.prepare(id)?;
    let frames = "pushed".to_owned();
    let mut file = Sender::to_file(shared.folder.new_frames(id, &frames)?);
    let identity = Identity { id, epoch: 0, name: name.clone() };
    write_frames(&mut process, &identity, &Along::default(), &mut file)?;
    file.into_file()?.sync_all()?;
    let mut entry = Entry { name, is_let_go: true, ..Entry::default() };
    entry.ownership = Destination::Owns { epoch: 1, held: Held::Durable };
    entry.checkpoint = Some(frames);
    shared.folder.put(id, &entry.record())?;
    let mut table = shared.table();
    let keeper = NodeKeeper::new(shared.clone(), id, remote.clone());
    entry.hosted = Some(Hosted::start(id, process, remote, keeper)?);
    table.insert(id, entry);
    Ok(Message::Started { id })
}

fn take_code(
    shared: &Shared, peer: &mut Peer, hash: [u8; 32], bytes: u64,
) -> Result<ModuleBytes, NodeError> {
    let mut code: Vec<u8> = Vec::new();
    while (code.len() as u64) < bytes {
        match peer.receive()? {
            Message::Code { module: 0, bytes: more } => code.extend_from_slice(&more),
            other => return Err(unexpected(&super::peer::name(&other))),
        }
        if code.len() as u64 > bytes || code.len() > brant_engine::MAX_MODULE_BYTES {
            return Err(unexpected("more code"));
        }
    }
    if *blake3::hash(&code).as_bytes() != hash {
        return Err(NodeError::refused("the module is not the one that was announced", ""));
    }
    shared.folder.put_module(&hash, &code)?;
    Ok(code.into())
}

/// Whoever asks for the programs of this node does not find one that has left.
fn wait_until_gone(shared: &Shared, id: ProcessId) {
    let is_here = |table: &mut std::collections::HashMap<ProcessId, Entry>| {
        table.get(&id).is_some_and(|entry| entry.left.is_some() && !entry.has_moved)
    };
    drop(shared.changed.wait_timeout_while(shared.table(), DURABLE_PATIENCE, is_here));
}

fn migrate(
    shared: &Arc<Shared>, peer: &mut Peer, digits: &str, address: &str, mode: Mode,
) -> Result<Message, NodeError> {
    let (id, hosted) = running(shared, digits)?;
    let address = address.parse().map_err(|why: String| NodeError::refused(why, ""))?;
    let identity = {
        let table = shared.table();
        let is_waited_for = |table: &mut std::collections::HashMap<ProcessId, Entry>| {
            table.get(&id).is_some_and(|entry| {
                entry.ownership.runs() && entry.ended.is_none() && !take_in::is_durable(entry)
            })
        };
        let waited = shared.changed.wait_timeout_while(table, DURABLE_PATIENCE, is_waited_for);
        let (table, _) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        let entry = table.get(&id).filter(|entry| take_in::is_durable(entry));
        let entry = entry.ok_or_else(|| {
            NodeError::refused("the program is not on the disk here yet", "try again")
        })?;
        Identity { id, epoch: entry.epoch(), name: entry.name.clone() }
    };
    let (told, tells) = channel::<Result<Progress, (String, String)>>();
    let report: Report = Box::new(move |heard| {
        let heard = heard
            .map_err(|error| (error.to_string(), error.remedy().unwrap_or_default().to_owned()));
        // Whoever asked may have gone away.
        let _ = told.send(heard);
    });
    let decision = Decision::default();
    if let Some(entry) = shared.table().get_mut(&id) {
        entry.decision = decision.clone();
    }
    let route = Route { address, credentials: shared.config.credentials.clone(), mode, decision };
    hosted.ask(Command::Depart { identity, route, report });
    loop {
        match tells.recv_timeout(MOVE_PATIENCE) {
            Ok(Ok(progress)) => {
                peer.send(&Message::Progressed { progress })?;
                let last = if mode == Mode::Postcopy { Stage::Followed } else { Stage::Moved };
                if progress.stage == last {
                    wait_until_gone(shared, id);
                    return Ok(Message::Done {});
                }
            }
            Ok(Err((why, remedy))) => return Err(NodeError::Refused { why, remedy }),
            Err(_) => {
                return Err(NodeError::refused("the program has ended before it could move", ""));
            }
        }
    }
}
