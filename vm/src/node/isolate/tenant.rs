//! One program's host process and folder.
//!
//! ```text
//! STATE/tenants/ID/name       the program's name            written by the front
//! STATE/tenants/ID/routes     where it was told to go        "
//! STATE/tenants/ID/crashed    how its host process died      "
//! STATE/tenants/ID/state/     the state of a node            written behind the walls
//! ```
//!
//! A host process that has nothing left to do ends with exit code 0, and one is started again when
//! somebody asks. Any other end is a crash: the program has ended with it, and does not start again by
//! itself, because what has brought its host down once would do so again.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brant_host::native::handover::Handover;
use brant_mobility::migration::ProcessId;

use super::super::Address;
use super::super::peer::{NodeError, Peer};
use super::super::record;
use super::front::Front;
use super::{Tenancy, door};

/// Of the front's environment, a host process gets these.
const ENVIRONMENT: [&str; 3] =
    ["BRANT_WRITE_TRACKING", "BRANT_ISOLATE_SELF_TEST", "RUST_BACKTRACE"];

/// Whoever finds that a host process is just ending waits for that so long, and calls again.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// Calls to a host process before it counts as one that does not answer.
const CALLS: usize = 3;

/// A program and its host process.
pub(super) struct Tenant {
    pub id: ProcessId,
    pub name: String,
    folder: PathBuf,
    routes: Mutex<BTreeSet<String>>,
    standing: Mutex<Standing>,
    changed: Condvar,
}

/// How its host process is.
enum Standing {
    Asleep,
    Awake(Arc<Handover>),
    Crashed { why: String, is_buried: bool },
}

impl Tenant {
    /// A new one, with a folder.
    pub fn create(folder: &Path, id: ProcessId, name: &str) -> io::Result<Tenant> {
        let folder = folder.join(id.to_string());
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        fs::create_dir(folder.join("state"))?;
        fs::write(folder.join("name"), name)?;
        Ok(Tenant {
            id,
            name: name.to_owned(),
            folder,
            routes: Mutex::default(),
            standing: Mutex::new(Standing::Asleep),
            changed: Condvar::new(),
        })
    }

    /// One that was here before the front was started.
    pub fn open(folder: &Path, id: ProcessId) -> io::Result<Tenant> {
        let folder = folder.join(id.to_string());
        let name = fs::read_to_string(folder.join("name"))?;
        let routes = fs::read_to_string(folder.join("routes")).unwrap_or_default();
        let standing = match fs::read_to_string(folder.join("crashed")) {
            Ok(why) => Standing::Crashed { why, is_buried: folder.join("buried").exists() },
            Err(_) => Standing::Asleep,
        };
        Ok(Tenant {
            id,
            name,
            folder,
            routes: Mutex::new(routes.lines().map(str::to_owned).collect()),
            standing: Mutex::new(standing),
            changed: Condvar::new(),
        })
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Whether there is something to be done for the program: it runs, or waits for an answer.
    pub fn has_work(&self) -> bool {
        self.crashed().is_none()
            && record::look(&self.state(), self.id).is_some_and(|record| !record.is_over())
    }

    /// How its host process died, if it did.
    pub fn crashed(&self) -> Option<String> {
        match &*self.standing() {
            Standing::Crashed { why, .. } => Some(why.clone()),
            _ => None,
        }
    }

    /// The same, unless somebody has seen it and wants to hear of it no more.
    pub fn mourned(&self) -> Option<String> {
        match &*self.standing() {
            Standing::Crashed { why, is_buried: false } => Some(why.clone()),
            _ => None,
        }
    }

    /// Nobody wants to hear of its crash any more.
    pub fn bury(&self) -> io::Result<()> {
        if let Standing::Crashed { is_buried, .. } = &mut *self.standing() {
            *is_buried = true;
        }
        fs::write(self.folder.join("buried"), "")
    }

    pub fn is_awake(&self) -> bool {
        matches!(&*self.standing(), Standing::Awake(_))
    }

    /// Somebody has told the program to go there.
    pub fn allow_route(&self, address: &Address) -> io::Result<()> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if routes.insert(address.to_string()) {
            let lines: String = routes.iter().map(|route| format!("{route}\n")).collect();
            fs::write(self.folder.join("routes"), lines)?;
        }
        Ok(())
    }

    pub fn may_call(&self, address: &Address) -> bool {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.contains(&address.to_string())
    }

    /// A connection to its host process, which is started if there is none.
    ///
    /// # Errors
    /// It has crashed, or does not answer.
    pub fn call(self: &Arc<Tenant>, front: &Arc<Front>) -> Result<Peer, NodeError> {
        for _ in 0..CALLS {
            let handover = self.awake(front)?;
            let (ours, theirs) = UnixStream::pair()?;
            let sent = handover.send("call", &theirs);
            drop(theirs);
            if let Ok(peer) = sent.map_err(NodeError::from).and_then(|()| Peer::greet(ours)) {
                return Ok(peer);
            }
            let is_same = |standing: &mut Standing| matches!(standing, Standing::Awake(now) if Arc::ptr_eq(now, &handover));
            let waited = self.changed.wait_timeout_while(self.standing(), END_PATIENCE, is_same);
            drop(waited);
        }
        Err(NodeError::refused("the host process of the program does not answer", "try again"))
    }

    fn awake(self: &Arc<Tenant>, front: &Arc<Front>) -> Result<Arc<Handover>, NodeError> {
        let mut standing = self.standing();
        match &*standing {
            Standing::Awake(handover) => return Ok(handover.clone()),
            Standing::Crashed { why, .. } => return Err(NodeError::refused(why.clone(), "")),
            Standing::Asleep => {}
        }
        let handover = self.start(front)?;
        *standing = Standing::Awake(handover.clone());
        Ok(handover)
    }

    /// Starts its host process, and a thread that waits for the end of it.
    fn start(self: &Arc<Tenant>, front: &Arc<Front>) -> io::Result<Arc<Handover>> {
        let (ours, theirs) = Handover::pair()?;
        let ours = Arc::new(ours);
        let tenancy = Tenancy { id: self.id, name: self.name.clone(), state: self.state() };
        let mut command = (front.isolation.worker)(&tenancy);
        // A signal of the front's terminal is for the front, which ends its host processes in order.
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).process_group(0).env_clear();
        for name in ENVIRONMENT {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let mut child = command.spawn()?;
        // It has the other end of the channel: this one must not keep that open.
        drop(command);
        let (tenant, its_front) = (self.clone(), front.clone());
        let wait = move || {
            let ended = child.wait();
            tenant.has_ended(&its_front, ended);
        };
        std::thread::Builder::new().name("brant-watch".to_owned()).spawn(wait)?;
        let (tenant, its_front, handover) = (self.clone(), front.clone(), ours.clone());
        let keep = move || door::keep(&its_front, &tenant, &handover);
        std::thread::Builder::new().name("brant-door".to_owned()).spawn(keep)?;
        Ok(ours)
    }

    fn has_ended(self: &Arc<Tenant>, front: &Front, ended: io::Result<ExitStatus>) {
        let crash = match ended {
            Ok(status) if status.success() => None,
            Ok(status) => Some(how(status)),
            Err(error) => Some(error.to_string()),
        };
        let has_record = record::look(&self.state(), self.id).is_some();
        let mut standing = self.standing();
        if let Standing::Awake(handover) = &*standing {
            // Whoever waits at the door need not wait any more.
            handover.close();
        }
        *standing = match crash.filter(|_| !front.is_ending()) {
            None => Standing::Asleep,
            Some(how) => {
                let why = format!("the host process of the program was {how}");
                eprintln!("brant: process {} ({:?}): {why}", self.id, self.name);
                if let Err(error) = fs::write(self.folder.join("crashed"), &why) {
                    eprintln!("brant: process {}: {error}", self.id);
                }
                Standing::Crashed { why, is_buried: false }
            }
        };
        drop(standing);
        if !has_record {
            front.forget(self);
        }
        self.changed.notify_all();
    }

    /// Ends its host process in order; it brings the program to the disk first.
    pub fn end(&self) {
        if let Standing::Awake(handover) = &*self.standing() {
            handover.close();
        }
    }

    /// Waits until there is no host process.
    pub fn wait_until_ended(&self, patience: Duration) {
        let is_awake = |standing: &mut Standing| matches!(standing, Standing::Awake(_));
        let waited = self.changed.wait_timeout_while(self.standing(), patience, is_awake);
        drop(waited);
    }

    /// Nothing of it is left.
    pub fn remove(&self) {
        // What cannot be removed now is so at the next start.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// How a host process ended, as a person would say it.
fn how(status: ExitStatus) -> String {
    const SIGSYS: i32 = 31;
    match (status.signal(), status.code()) {
        (Some(SIGSYS), _) => "ended at a system call that it may not make (SIGSYS)".to_owned(),
        (Some(signal), _) => format!("ended by signal {signal}"),
        (None, code) => format!("ended with exit code {}", code.unwrap_or_default()),
    }
}
