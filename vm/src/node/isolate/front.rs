//! What is said to a node whose programs have host processes: whom it is about, and who answers.
//!
//! A message that names a process goes to the host process of that one, and so does all that follows
//! until another one is named. Questions about all programs are answered here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brant_host::native::NativeHost;
use brant_kernel::host::Host;
use brant_mobility::migration::{Listed, Message, Offer, PAGES, ProcessId, Refusal};

use super::super::daemon::{NodeConfig, one_of};
use super::super::peer::{NodeError, PATIENCE, Peer, Receiver, Sender, Socket, name, unexpected};
use super::super::record::{LOCK_PATIENCE, lock};
use super::super::serve::INTERNAL_CODE;
use super::Isolation;
use super::tenant::Tenant;

/// Host processes at a time: each is a process of the system with threads of its own.
const TENANTS_LIMIT: usize = 1024;

/// A host process that does not say how its program is in this time is left out of the list.
const LIST_PATIENCE: Duration = Duration::from_secs(2);

/// A node whose programs have host processes.
pub(crate) struct Front {
    pub(super) config: NodeConfig,
    pub(super) isolation: Isolation,
    folder: PathBuf,
    tenants: Mutex<BTreeMap<ProcessId, Arc<Tenant>>>,
    is_ending: AtomicBool,
    /// Locked while the node runs.
    _lock: File,
}

impl Front {
    /// Opens the state of a node, and starts the host processes of those programs that go on.
    ///
    /// # Errors
    /// What the system says; another node uses the folder.
    pub fn open(config: NodeConfig, isolation: Isolation) -> io::Result<Arc<Front>> {
        let folder = config.state.join("tenants");
        fs::create_dir_all(&folder)?;
        let lock = lock(&config.state, LOCK_PATIENCE)?;
        let mut tenants = BTreeMap::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(ProcessId::from_hex) else {
                continue;
            };
            match Tenant::open(&folder, id) {
                Ok(tenant) => drop(tenants.insert(id, Arc::new(tenant))),
                Err(error) => eprintln!("brant: process {id}: {error}"),
            }
        }
        let working: Vec<_> =
            tenants.values().filter(|tenant| tenant.has_work()).cloned().collect();
        let is_ending = AtomicBool::new(false);
        let tenants = Mutex::new(tenants);
        let front = Arc::new(Front { config, isolation, folder, tenants, is_ending, _lock: lock });
        for tenant in working {
            if let Err(error) = tenant.call(&front) {
                eprintln!("brant: process {}: {error}", tenant.id);
            }
        }
        Ok(front)
    }

    fn tenants(&self) -> MutexGuard<'_, BTreeMap<ProcessId, Arc<Tenant>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tenant(&self, id: ProcessId) -> Option<Arc<Tenant>> {
        self.tenants().get(&id).cloned()
    }

    /// The program whose id begins with these digits.
    fn find(&self, digits: &str) -> Result<Arc<Tenant>, NodeError> {
        let tenants = self.tenants();
        let id = one_of(tenants.keys(), digits)?;
        tenants.get(&id).cloned().ok_or_else(|| unexpected("a process"))
    }

    /// A place for a program that comes.
    fn settle_in(&self, id: ProcessId, program: &str) -> Result<Arc<Tenant>, NodeError> {
        let mut tenants = self.tenants();
        if let Some(known) = tenants.get(&id) {
            return Ok(known.clone());
        }
        if tenants.values().filter(|tenant| tenant.is_awake()).count() >= TENANTS_LIMIT {
            let why = format!("the node has {TENANTS_LIMIT} programs, and takes no more");
            return Err(NodeError::refused(why, "use another node"));
        }
        let tenant = Arc::new(Tenant::create(&self.folder, id, program)?);
        tenants.insert(id, tenant.clone());
        Ok(tenant)
    }

    /// A program of which nothing was ever owned here.
    pub(super) fn forget(&self, tenant: &Arc<Tenant>) {
        let mut tenants = self.tenants();
        if tenants.get(&tenant.id).is_some_and(|known| Arc::ptr_eq(known, tenant)) {
            tenants.remove(&tenant.id);
            tenant.remove();
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// Ends all host processes, which bring their programs to the disk.
    pub fn end(&self, patience: Duration) {
        self.is_ending.store(true, Ordering::Release);
        let all: Vec<_> = self.tenants().values().cloned().collect();
        all.iter().for_each(|tenant| tenant.end());
        all.iter().for_each(|tenant| tenant.wait_until_ended(patience));
    }

    fn list(self: &Arc<Front>) -> Message {
        let all: Vec<_> = self.tenants().values().cloned().collect();
        let mut processes = Vec::with_capacity(all.len());
        // All are asked before the first answer is waited for.
        let mut asked = Vec::with_capacity(all.len());
        for tenant in all {
            if tenant.mourned().is_some() {
                processes.push(Listed {
                    id: tenant.id,
                    name: tenant.name.clone(),
                    state: "crashed".to_owned(),
                    epoch: 0,
                    is_attached: false,
                    memory_bytes: 0,
                    cpu_ns: 0,
                    uptime_ns: 0,
                });
            } else if tenant.is_awake()
                && let Ok(mut peer) = tenant.call(self)
                && peer.send(&Message::List {}).is_ok()
            {
                asked.push(peer);
            }
        }
        for mut peer in asked {
            peer.receiver.set_patience(Some(LIST_PATIENCE));
            if let Ok(Message::Listing { processes: one }) = peer.receive() {
                processes.extend(one);
            }
        }
        processes.sort_by_key(|listed| listed.id);
        Message::Listing { processes }
    }
}

/// What is done with a message.
enum Step {
    /// It is answered here.
    Answer(Message),
    /// It is for the host process on the line.
    Pass,
    /// The caller has had enough.
    End,
}

/// A caller, and the host process that it talks to at the moment.
struct Conversation<'a> {
    front: &'a Arc<Front>,
    back: Arc<Mutex<Sender>>,
    line: Option<Line>,
}

/// A connection to a host process whose answers a thread passes on.
struct Line {
    id: ProcessId,
    sender: Sender,
    /// The caller talks to another one: the end of this line is not the end of the call.
    is_over: Arc<AtomicBool>,
}

/// Talks to whoever has called until one side has had enough.
pub(crate) fn converse(front: &Arc<Front>, socket: Socket) -> Result<(), NodeError> {
    let Peer { mut receiver, sender } = Peer::called(socket, front.config.credentials.as_ref())?;
    let back = Arc::new(Mutex::new(sender));
    let mut conversation = Conversation { front, back: back.clone(), line: None };
    let heard = conversation.hear(&mut receiver);
    conversation.hang_up();
    back.lock().unwrap_or_else(PoisonError::into_inner).close();
    heard
}

impl Conversation<'_> {
    fn hear(&mut self, receiver: &mut Receiver) -> Result<(), NodeError> {
        loop {
            // Behind the walls it is known how long to wait; here it is not.
            receiver.set_patience(self.line.is_none().then_some(PATIENCE));
            let (kind, payload) = receiver.receive_raw()?;
            if kind != PAGES {
                match self.route(&Message::read(kind, payload)?) {
                    Ok(Step::Pass) => {}
                    Ok(Step::Answer(answer)) => {
                        self.say(&answer)?;
                        continue;
                    }
                    Ok(Step::End) => return Ok(()),
                    Err(NodeError::Peer(why)) => return Err(NodeError::Peer(why)),
                    Err(error) => {
                        let remedy = error.remedy().unwrap_or_default().to_owned();
                        self.say(&Message::Failed { why: error.to_string(), remedy })?;
                        continue;
                    }
                }
            }
            let line = self.line.as_mut().ok_or_else(|| unexpected("pages"))?;
            line.sender.pass_on(kind, payload)?;
        }
    }

    fn say(&self, message: &Message) -> io::Result<()> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner).send(message)
    }

    /// Finds out whom a message is about, and opens a line to that one's host process.
    fn route(&mut self, message: &Message) -> Result<Step, NodeError> {
        match message {
            Message::Offered { offer } => Ok(self.offered(offer)),
            Message::Push { name, .. } => {
                let token = NativeHost::new().token();
                let id = ProcessId(token.map_err(|errno| io::Error::other(errno.name()))?);
                let tenant = self.front.settle_in(id, name)?;
                self.connect(&tenant)
            }
            Message::Commit { id, .. }
            | Message::Settle { id, .. }
            | Message::Bereft { id, .. } => {
                match self.front.tenant(*id) {
                    None => Ok(Step::Answer(Message::Lost {})),
                    // It has ended here, and shall not go on anywhere else.
                    Some(tenant) if tenant.crashed().is_some() => {
                        Ok(Step::Answer(Message::Owned { is_durable: true }))
                    }
                    Some(tenant) => self.connect(&tenant),
                }
            }
            Message::Attach { id, .. } | Message::Keep { id, .. } => match self.front.tenant(*id) {
                None => {
                    let why = format!("no program of this node has the id {}", id.short());
                    Err(NodeError::refused(why, ""))
                }
                Some(tenant) => match tenant.crashed() {
                    Some(text) => Ok(Step::Answer(Message::Exited { code: INTERNAL_CODE, text })),
                    None => self.connect(&tenant),
                },
            },
            Message::List {} => Ok(Step::Answer(self.front.list())),
            Message::Find { id } => {
                Ok(Step::Answer(Message::Started { id: self.front.find(id)?.id }))
            }
            Message::Steer { id, verb } => {
                let tenant = self.front.find(id)?;
                if verb == "kill" && tenant.crashed().is_some() {
                    tenant.bury()?;
                    return Ok(Step::Answer(Message::Done {}));
                }
                self.connect(&tenant)
            }
            Message::Resolve { id, .. } => {
                let tenant = self.front.find(id)?;
                self.connect(&tenant)
            }
            Message::Migrate { id, address, .. } => {
                let tenant = self.front.find(id)?;
                let address = address.parse().map_err(|why: String| NodeError::refused(why, ""))?;
                tenant.allow_route(&address)?;
                self.connect(&tenant)
            }
            Message::Ping {} if self.line.is_none() => Ok(Step::Answer(Message::Pong {})),
            Message::Done {} if self.line.is_none() => Ok(Step::End),
            other if self.line.is_none() => Err(unexpected(&name(other))),
            _ => Ok(Step::Pass),
        }
    }

    /// A process is offered. Whoever offers it waits for a refusal, and for no other word.
    fn offered(&mut self, offer: &Offer) -> Step {
        let tenant = self.front.settle_in(offer.id, &offer.name);
        match tenant.and_then(|tenant| self.connect(&tenant)) {
            Ok(step) => step,
            Err(error) => {
                let refusal = Refusal {
                    what: "the process".to_owned(),
                    why: format!("cannot go on here: {error}"),
                    remedy: error.remedy().unwrap_or_default().to_owned(),
                    ..Refusal::default()
                };
                Step::Answer(Message::Refuse { refusal })
            }
        }
    }

    fn connect(&mut self, tenant: &Arc<Tenant>) -> Result<Step, NodeError> {
        if self.line.as_ref().is_some_and(|line| line.id == tenant.id) {
            return Ok(Step::Pass);
        }
        self.hang_up();
        let Peer { receiver, sender } = tenant.call(self.front)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (back, over) = (self.back.clone(), is_over.clone());
        let bring = move || bring(receiver, &back, &over);
        std::thread::Builder::new().name("brant-line".to_owned()).spawn(bring)?;
        self.line = Some(Line { id: tenant.id, sender, is_over });
        Ok(Step::Pass)
    }

    fn hang_up(&mut self) {
        if let Some(line) = self.line.take() {
            line.is_over.store(true, Ordering::Release);
            line.sender.close();
        }
    }
}

/// Passes on what a host process answers.
fn bring(mut receiver: Receiver, back: &Mutex<Sender>, is_over: &AtomicBool) {
    receiver.set_patience(None);
    let back = || back.lock().unwrap_or_else(PoisonError::into_inner);
    while let Ok((kind, payload)) = receiver.receive_raw() {
        if back().pass_on(kind, payload).is_err() {
            break;
        }
    }
    if !is_over.load(Ordering::Acquire) {
        back().close();
    }
}
