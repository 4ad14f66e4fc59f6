//! A running program is asked to leave for a node: `{"verb":"migrate","node":"ADDRESS",...}`.
//!
//! The caller's connection stays open: each line tells how far the move has come, and the last one
//! why it failed or that it is done. What the caller knows and this process could not find out behind
//! its wall, such as certificates, stands in the request.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use brant_host::native::NativeHost;
use brant_kernel::host::Host;
use serde_json::{Value, json};

use crate::Process;
use crate::node::{
    self, Along, Credentials, Decision, Departed, Departing, Identity, KeptSockets, Mode,
    NodeError, Position, ProcessId, Report, Route, Stage, Stood, handed_over,
};

/// A caller that does not read is not waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// The moves of a program.
#[derive(Default)]
pub(super) struct Leave {
    departing: Option<(Departing, Route, bool)>,
    /// Made when the program first moves.
    identity: Option<Identity>,
    left: Option<Left>,
}

/// A program that has left; its terminal stays.
pub struct Left {
    /// How and to where.
    pub departed: Box<Departed>,
    /// The way it took.
    pub route: Route,
    /// How far its streams have come.
    pub position: Position,
    /// Whether the terminal is not wanted any more.
    pub lets_go: bool,
    /// Speaks for it to those who have called it here, if anybody could.
    pub broker: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Leave {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leave").finish_non_exhaustive()
    }
}

impl Leave {
    /// Begins a move, and says on `stream` what becomes of it.
    pub fn begin(
        &mut self, stream: UnixStream, request: &Value, program: &str, process: &mut Process,
    ) {
        // Its times stay as they are: a caller that hangs does not hold the program.
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let stream = Arc::new(Mutex::new(stream));
        if let Err(error) = self.try_begin(&stream, request, program, process) {
            say_error(&stream, &error);
        }
    }

    /// A program that stands by somebody's wish does not leave behind his back.
    pub fn refuse_paused(&self, stream: UnixStream) {
        let error = NodeError::refused("the program is paused", "`brant resume ID` first");
        say_error(&Mutex::new(stream), &error);
    }

    fn try_begin(
        &mut self, stream: &Arc<Mutex<UnixStream>>, request: &Value, program: &str,
        process: &mut Process,
    ) -> Result<(), NodeError> {
        if self.is_under_way() {
            return Err(NodeError::refused("the program is on its way already", "wait for it"));
        }
        let route = route(request)?;
        let identity = match &self.identity {
            Some(identity) => identity.clone(),
            None => {
                let token = NativeHost::new().token();
                let id = token.map_err(|errno| std::io::Error::other(errno.name()))?;
                let name = program.rsplit('/').next().unwrap_or(program).to_owned();
                self.identity.insert(Identity { id: ProcessId(id), epoch: 0, name }).clone()
            }
        };
        let ours = stream.clone();
        let report: Report = Box::new(move |heard| match heard {
            Ok(progress) => {
                let stage = match progress.stage {
                    Stage::Accepted => "accepted",
                    Stage::Round => "round",
                    Stage::Moved => "moved",
                    Stage::Durable => "durable",
                    Stage::Followed => "followed",
                };
                say(
                    &ours,
                    &json!({
                        "stage": stage, "round": progress.round, "pages": progress.pages,
                        "bytes": progress.bytes, "ns": progress.ns,
                        "downtime_ns": progress.downtime_ns,
                    }),
                );
            }
            Err(error) => say_error(&ours, error),
        });
        say(stream, &json!({ "stage": "began", "id": identity.id.to_string() }));
        let departing = Departing::begin(process, identity, route.clone(), report)?;
        self.departing = Some((departing, route, request["detach"] == true));
        Ok(())
    }

    /// Whether the program is on its way.
    pub fn is_under_way(&self) -> bool {
        self.departing.as_ref().is_some_and(|(departing, ..)| !departing.is_over())
    }
}

impl super::Control {
    /// Whether the program is asked to stand, so that it can leave.
    pub fn has_to_leave(&self) -> bool {
        self.leave.departing.as_ref().is_some_and(|(departing, ..)| departing.is_due())
    }

    /// Where a program goes that is asked to stand, if its pages follow it: whoever ends this process
    /// meanwhile has ended the program too, and has to tell its destination.
    pub fn leaves_pages_behind(&self) -> Option<(ProcessId, Route)> {
        let (departing, route, _) = self.leave.departing.as_ref()?;
        let (identity, _) = departing.what();
        (route.mode == Mode::Postcopy).then(|| (identity.id, route.clone()))
    }

    /// Lets a program leave that stands; says whether it did, or stays after all.
    pub fn let_leave(&mut self, process: &mut Process) -> bool {
        let Some((departing, route, lets_go)) = self.leave.departing.take() else { return false };
        // Nothing of this program is on any disk: who dies here has given nothing up.
        let along = Along { output: Vec::new(), lanes: handed_over(process) };
        match departing.stand(process, &along, |_| Ok(())) {
            Stood::GoesOn => {
                if let Some(identity) = &mut self.leave.identity {
                    // An epoch that was given up and came back is not used again.
                    identity.epoch += 2;
                }
                false
            }
            Stood::Departed(departed) => {
                let [input, output, error] = process.stream_bytes();
                let position = Position { input, seen: [output, error] };
                let broker = keep_sockets(departed.id(), process, &route);
                self.leave.left = Some(Left { departed, route, position, lets_go, broker });
                true
            }
        }
    }

    /// The program that has left, if it has.
    pub fn take_left(&mut self) -> Option<Left> {
        self.leave.left.take()
    }
}

/// Speaks for a program that has left, where it has left sockets here.
fn keep_sockets(id: ProcessId, process: &mut Process, route: &Route) -> Option<JoinHandle<()>> {
    let sockets = process.gate().map(|gate| gate.take()).filter(|sockets| !sockets.is_empty())?;
    let (address, credentials) = (route.address.clone(), route.credentials.clone());
    let broker = node::keep(KeptSockets { id, address, credentials, sockets });
    broker.inspect_err(|error| eprintln!("brant: its sockets are closed: {error}")).ok()
}

/// The way that a request names.
fn route(request: &Value) -> Result<Route, NodeError> {
    let text = |name: &str| request[name].as_str().map(str::to_owned);
    let address = text("node").unwrap_or_default();
    let address = address.parse().map_err(|why: String| NodeError::refused(why, ""))?;
    let credentials = match (text("authority"), text("certificate"), text("key")) {
        (Some(authority), Some(certificate), Some(key)) => {
            Some(Credentials { authority, certificate, key })
        }
        _ => None,
    };
    let mode = match request["mode"].as_str() {
        Some("cold") => Mode::Cold,
        Some("postcopy") => Mode::Postcopy,
        _ => Mode::Live,
    };
    Ok(Route { address, credentials, mode, decision: Decision::default() })
}

fn say(stream: &Mutex<UnixStream>, line: &Value) {
    let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
    // A caller that went away is no matter of the program's.
    let _ = stream.write_all(format!("{line}\n").as_bytes());
}

fn say_error(stream: &Mutex<UnixStream>, error: &NodeError) {
    let help = error.remedy().unwrap_or_default();
    say(stream, &json!({ "error": error.to_string(), "help": help }));
}
