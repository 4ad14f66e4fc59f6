//! The node: its programs, and who owns them.
//!
//! One table holds all processes that the node has or had. Whoever changes an entry asks the entry's
//! [`Destination`] what may be done, under the lock of the table; what is promised to anybody is on
//! the disk before.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use brant_engine::MissingPages;
use brant_kernel::host::MountAccess;
use brant_kernel::{Manifest, Mount};
use brant_mobility::migration::{Destination, Held, ProcessId};

use super::depart::Decision;
use super::hosted::{Command, Hosted};
use super::isolate::{self, Front, Isolation};
use super::peer::{NodeError, Socket};
use super::record::{LOCK_PATIENCE, Record, StateFolder, TENANT_LOCK_PATIENCE, Whose};
use super::take_in::Prepared;
use super::{Address, Credentials, keep, serve};
use crate::{Limits, ProcessBuilder};

/// Connections at a time; who comes then is turned away.
const CONNECTIONS_LIMIT: usize = 256;

/// How often a node looks whether a checkpoint is due.
const TICK: Duration = Duration::from_millis(100);

/// What programs are granted, by name.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    by_name: Vec<(String, Grant)>,
}

/// What a program is granted besides its streams.
#[derive(Clone, Debug, Default)]
pub(super) struct Grant {
    pub mounts: Vec<(PathBuf, String, MountAccess)>,
    pub listeners: Vec<String>,
    /// Listeners whose sockets stay here when the program leaves.
    pub served: Vec<String>,
    pub limits: Limits,
}

impl Grants {
    /// Grants a program of this name a directory.
    pub fn mount(&mut self, name: &str, host: PathBuf, guest: String, access: MountAccess) {
        self.of_mut(name).mounts.push((host, guest, access));
    }

    /// Lets a program of this name listen.
    pub fn listen(&mut self, name: &str, address: String) {
        self.of_mut(name).listeners.push(address);
    }

    /// Lets a program of this name listen; the sockets stay here when it leaves, and are spoken for.
    pub fn serve(&mut self, name: &str, address: String) {
        self.of_mut(name).served.push(address);
    }

    /// The limits of a program of this name.
    pub fn limits_mut(&mut self, name: &str) -> &mut Limits {
        &mut self.of_mut(name).limits
    }

    fn of_mut(&mut self, name: &str) -> &mut Grant {
        if !self.by_name.iter().any(|(known, _)| known == name) {
            self.by_name.push((name.to_owned(), Grant::default()));
        }
        let found = self.by_name.iter_mut().find(|(known, _)| known == name);
        found.map(|(_, grant)| grant).unwrap_or_else(|| unreachable!("it was just put there"))
    }

    /// What a program of this name gets; one that nobody has named gets its streams alone.
    pub(super) fn of(&self, name: &str) -> Grant {
        let found = self.by_name.iter().find(|(known, _)| known == name);
        found.map(|(_, grant)| grant.clone()).unwrap_or_default()
    }
}

impl Grant {
    /// The grant as a kernel reads it.
    pub fn manifest(&self) -> Manifest {
        let mount = |(host, guest, access): &(PathBuf, String, MountAccess)| Mount {
            host: host.clone(),
            guest: guest.clone(),
            access: *access,
        };
        let mut manifest = Manifest {
            mounts: self.mounts.iter().map(mount).collect(),
            listeners: [&self.listeners[..], &self.served].concat(),
            ..Manifest::default()
        };
        manifest.limits.descriptors = self.limits.descriptors_count;
        manifest
    }

    /// A builder of a process that is granted this.
    pub fn apply(&self, mut builder: ProcessBuilder) -> ProcessBuilder {
        for (host, guest, access) in &self.mounts {
            builder = builder.mount(host, guest.as_str(), *access);
        }
        for address in &self.listeners {
            builder = builder.listen(address.as_str());
        }
        for address in &self.served {
            builder = builder.serve(address.as_str());
        }
        builder.limits(self.limits.clone())
    }
}

/// What a node is told when it starts.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Where its state is.
    pub state: PathBuf,
    /// What programs are granted.
    pub grants: Grants,
    /// Who it is, for callers from the network and for nodes that it calls.
    pub credentials: Option<Credentials>,
    /// How often programs are brought to the disk.
    pub checkpoint_every: Duration,
    /// Where its programs run.
    pub role: Role,
}

/// Where the programs of a node run.
#[derive(Clone, Debug, Default)]
pub enum Role {
    /// In the node's own host process, all of them.
    #[default]
    Shared,
    /// In a host process each, behind walls.
    Front(Isolation),
    /// This is such a host process: it takes this one process and no other.
    Tenant(ProcessId),
}

/// A node.
pub struct Node {
    place: Place,
    connections: Arc<AtomicUsize>,
}

/// What answers whoever calls.
#[derive(Clone)]
enum Place {
    Here(Arc<Shared>),
    Behind(Arc<Front>),
}

/// What all threads of a node share.
pub(super) struct Shared {
    pub config: NodeConfig,
    pub folder: StateFolder,
    table: Mutex<HashMap<ProcessId, Entry>>,
    /// Told whenever something of the table has changed.
    pub changed: Condvar,
    /// Those that speak for processes which are elsewhere.
    brokers: Mutex<Vec<JoinHandle<()>>>,
}

/// A process that the node has or had.
#[derive(Default)]
pub(super) struct Entry {
    pub name: String,
    pub ownership: Destination,
    /// Counts the attempts to bring it here, so that only the last one can go on.
    pub attempt: u64,
    /// It has come, and does not run yet.
    pub prepared: Option<Prepared>,
    pub prepared_at: Option<Instant>,
    pub hosted: Option<Arc<Hosted>>,
    /// Pages of it that are still to come.
    pub missing: Option<Arc<MissingPages>>,
    /// Where it has gone.
    pub left: Option<String>,
    /// What was decided about it meanwhile.
    pub decision: Decision,
    /// It is known to run there.
    pub has_moved: bool,
    /// Nobody will ask for it here any more.
    pub is_settled: bool,
    /// How it ended.
    pub ended: Option<(u8, String)>,
    /// Whoever had to know that has been told.
    pub is_buried: bool,
    /// Its file of frames.
    pub checkpoint: Option<String>,
    /// When the next one is due.
    pub next_checkpoint: Option<Instant>,
    /// How much input it had read at that checkpoint.
    pub durable_input: u64,
    /// No terminal waits for its output.
    pub is_let_go: bool,
    /// The terminal that came last.
    pub session: u64,
    pub is_attached: bool,
}

impl Entry {
    /// The epoch of what is known here.
    pub fn epoch(&self) -> u64 {
        match self.ownership {
            Destination::Nothing => 0,
            Destination::Receives { epoch, .. }
            | Destination::Prepared { epoch, .. }
            | Destination::Owns { epoch, .. }
            | Destination::Gone { epoch } => epoch,
        }
    }

    /// Whether there is output that no terminal has seen.
    pub fn has_unseen_output(&self) -> bool {
        self.hosted.as_ref().is_some_and(|hosted| !hosted.remote.is_all_seen())
    }

    /// What has to be on the disk.
    pub fn record(&self) -> Record {
        let ended = self.ended.as_ref().filter(|_| self.is_buried);
        let whose = match (&self.left, ended) {
            (Some(address), _) => {
                Whose::Left { address: address.clone(), is_settled: self.is_settled }
            }
            (None, Some((code, text))) => Whose::Ended { code: *code, text: text.clone() },
            (None, None) => Whose::Ours,
        };
        let checkpoint = self.checkpoint.clone();
        let (name, epoch) = (self.name.clone(), self.epoch());
        Record { name, epoch, whose, checkpoint, is_let_go: self.is_let_go }
    }
}

impl Shared {
    /// Those that still speak for processes which are elsewhere.
    pub fn brokers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        let mut brokers = self.brokers.lock().unwrap_or_else(PoisonError::into_inner);
        brokers.retain(|broker| !broker.is_finished());
        brokers
    }

    pub fn table(&self) -> MutexGuard<'_, HashMap<ProcessId, Entry>> {
        // An entry is whole whenever the lock is let go of.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process whose name begins with these digits.
    pub fn find(&self, digits: &str) -> Result<ProcessId, NodeError> {
        one_of(self.table().keys(), digits)
    }
}

/// The one process whose name begins with these digits.
pub(super) fn one_of<'a>(
    ids: impl Iterator<Item = &'a ProcessId>, digits: &str,
) -> Result<ProcessId, NodeError> {
    let mut found = ids.filter(|id| id.to_string().starts_with(digits));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(*id),
        (None, _) => Err(NodeError::refused(
            format!("no program of this node has the id {digits}"),
            "`brant ps NODE` lists them",
        )),
        (Some(_), Some(_)) => Err(NodeError::refused(
            format!("more than one program has an id that begins with {digits}"),
            "write more of its digits",
        )),
    }
}

impl Node {
    /// Opens the state of a node, and goes on with its programs.
    ///
    /// # Errors
    /// What the system says; another node uses the folder.
    pub fn open(config: NodeConfig) -> io::Result<Node> {
        let connections = Arc::default();
        let place = match config.role.clone() {
            Role::Front(isolation) => {
                refuse_other(&config.state, "processes", "was started without `--isolate`")?;
                Place::Behind(Front::open(config, isolation)?)
            }
            Role::Shared | Role::Tenant(_) => {
                refuse_other(&config.state, "tenants", "was started with `--isolate`")?;
                Place::Here(Node::open_here(config)?)
            }
        };
        Ok(Node { place, connections })
    }

    fn open_here(config: NodeConfig) -> io::Result<Arc<Shared>> {
        let patience = match config.role {
            Role::Tenant(_) => TENANT_LOCK_PATIENCE,
            _ => LOCK_PATIENCE,
        };
        let folder = StateFolder::open(&config.state, patience)?;
        let shared = Arc::new(Shared {
            config,
            folder,
            table: Mutex::default(),
            changed: Condvar::new(),
            brokers: Mutex::default(),
        });
        for (id, record) in shared.folder.all()? {
            match record {
                Ok(record) => go_on(&shared, id, record),
                Err(error) => eprintln!("brant: process {id}: {error}"),
            }
        }
        let ours = Arc::downgrade(&shared);
        let tick = move || {
            while let Some(shared) = ours.upgrade() {
                keep::tick(&shared);
                drop(shared);
                std::thread::sleep(TICK);
            }
        };
        std::thread::Builder::new().name("brant-tick".to_owned()).spawn(tick)?;
        Ok(shared)
    }

    /// Takes calls until the listener fails. `is_ready` is called once calls are taken.
    ///
    /// # Errors
    /// What the system says about the address.
    pub fn listen(&self, address: &Address, is_ready: impl FnOnce(&str)) -> io::Result<()> {
        match address {
            Address::Unix(path) => {
                let _ = std::fs::remove_file(path);
                let listener = UnixListener::bind(path)?;
                // Whoever can open the socket is trusted: nobody but this user can.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                is_ready(&address.to_string());
                for stream in listener.incoming() {
                    self.take(Socket::Unix(stream?));
                }
            }
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                is_ready(&listener.local_addr()?.to_string());
                for stream in listener.incoming() {
                    self.take(Socket::Tcp(stream?));
                }
            }
        }
        Ok(())
    }

    /// Brings all programs to the disk, as far as that is done in this time.
    pub fn checkpoint_all(&self, patience: Duration) {
        let shared = match &self.place {
            Place::Here(shared) => shared,
            Place::Behind(front) => return front.end(patience),
        };
        let table = shared.table();
        let running = table.iter().filter(|(_, entry)| entry.ended.is_none());
        let before: Vec<_> = running
            .filter(|(_, entry)| entry.missing.is_none())
            .filter_map(|(id, entry)| Some((*id, entry.hosted.clone()?, entry.checkpoint.clone())))
            .collect();
        drop(table);
        before.iter().for_each(|(_, hosted, _)| hosted.ask(Command::Checkpoint));
        let is_open = |table: &mut HashMap<ProcessId, Entry>| {
            before.iter().any(|(id, _, old)| {
                table.get(id).is_some_and(|entry| {
                    entry.ended.is_none() && entry.left.is_none() && entry.checkpoint == *old
                })
            })
        };
        // Whatever is not there in time goes on from the checkpoint before.
        let waited = shared.changed.wait_timeout_while(shared.table(), patience, is_open);
        drop(waited);
    }

    /// Whether nobody talks to it, and no program of it needs it any more.
    pub(super) fn is_idle(&self) -> bool {
        let Place::Here(shared) = &self.place else { return false };
        let is_over = |entry: &Entry| {
            entry.is_buried || (entry.left.is_some() && entry.is_settled && entry.hosted.is_none())
        };
        self.connections.load(Ordering::Acquire) == 0
            && shared.brokers().is_empty()
            && shared.table().values().all(is_over)
    }

    /// Somebody has called.
    pub(super) fn take(&self, socket: Socket) {
        let (place, connections) = (self.place.clone(), self.connections.clone());
        if connections.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_LIMIT {
            connections.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let serve = move || {
            // A caller that breaks off, or makes no sense, is no matter of anybody else's.
            let _ = match &place {
                Place::Here(shared) => serve::converse(shared, socket),
                Place::Behind(front) => isolate::converse(front, socket),
            };
            connections.fetch_sub(1, Ordering::AcqRel);
        };
        if std::thread::Builder::new().name("brant-peer".to_owned()).spawn(serve).is_err() {
            self.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Programs that a node had in the other role would not be found.
fn refuse_other(state: &Path, folder: &str, how: &str) -> io::Result<()> {
    let is_used = std::fs::read_dir(state.join(folder)).is_ok_and(|mut all| all.next().is_some());
    match is_used {
        false => Ok(()),
        true => Err(io::Error::other(format!("the node of this folder {how}: do so again"))),
    }
}

/// Goes on with what a node knows of a process.
fn go_on(shared: &Arc<Shared>, id: ProcessId, record: Record) {
    let Record { name, epoch, whose, checkpoint, is_let_go } = record;
    let mut entry = Entry { name, checkpoint, is_let_go, ..Entry::default() };
    match whose {
        Whose::Ours => {
            let held = if entry.checkpoint.is_some() { Held::Durable } else { Held::Nothing };
            entry.ownership = Destination::Owns { epoch, held };
            shared.table().insert(id, entry);
            if held == Held::Durable
                && let Err(error) = keep::start_from_disk(shared, id)
            {
                eprintln!("brant: process {id} cannot go on: {error}");
            }
        }
        Whose::Left { address, is_settled } => {
            entry.ownership = Destination::Gone { epoch };
            (entry.left, entry.is_settled) = (Some(address), is_settled);
            entry.has_moved = is_settled;
            shared.table().insert(id, entry);
            if !is_settled {
                keep::settle_later(shared.clone(), id);
            }
        }
        Whose::Ended { code, text } => {
            entry.ownership = Destination::Gone { epoch };
            (entry.ended, entry.is_buried) = (Some((code, text)), true);
            shared.table().insert(id, entry);
        }
    }
}
