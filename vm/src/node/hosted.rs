//! A program of a node, on a thread of its own.
//!
//! Whoever wants something of it sends a command and interrupts it; its thread does what is asked
//! while the guest stands. A panic on this thread ends this program, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use brant_engine::MissingPages;
use brant_host::native::NativeHost;
use brant_kernel::host::{Clock, Host};
use brant_mobility::migration::ProcessId;

use super::depart::{Departing, Identity, Report, Route, Stood};
use super::peer::NodeError;
use super::serve::INTERNAL_CODE;
use crate::remote::Remote;
use crate::{Error, ExitStatus, Interrupt, Process, Terminal};

/// Ctrl-C: the same number for the host and for guests.
const SIGINT: u8 = 2;

/// What a program is asked.
pub(super) enum Command {
    /// Stand still until it shall go on.
    Pause,
    /// Go on.
    Resume,
    /// End with this code.
    Kill(u8),
    /// Say how you are.
    Report,
    /// Bring a checkpoint to the disk.
    Checkpoint,
    /// Move.
    Depart { identity: Identity, route: Route, report: Report },
}

/// A program of a node, as other threads see it.
pub(super) struct Hosted {
    pub remote: Remote,
    interrupt: Interrupt,
    /// The way of signals of its terminal, if it can handle any.
    terminal: Option<Terminal>,
    commands: Mutex<Sender<Command>>,
    health: Mutex<Health>,
    began: Instant,
    /// Pages of it that were still to come when it began here.
    missing: Option<Arc<MissingPages>>,
}

/// A program that begins here.
pub(super) struct Arrived {
    pub process: Process,
    /// Pages of it that are still to come.
    pub missing: Option<Arc<MissingPages>>,
}

impl From<Process> for Arrived {
    fn from(process: Process) -> Arrived {
        Arrived { process, missing: None }
    }
}

/// How a program was when it last stood.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    pub is_paused: bool,
    pub is_moving: bool,
    pub memory_bytes: u64,
    pub cpu_ns: u64,
    /// Counts the times that it was looked at.
    looks: u64,
}

/// How a program ended here.
pub(super) enum End {
    /// For good, with a code and what there is to be said.
    Exited(u8, String),
    /// It is elsewhere.
    Moved,
    /// Its pages never came: what ran here does not count.
    Lost,
}

/// What the node does for a program, on the program's thread.
pub(super) trait Keeper: Send + 'static {
    /// Brings a checkpoint of it to the disk.
    fn checkpoint(&mut self, process: &mut Process) -> Result<(), NodeError>;
    /// It is asked to stand so that it can leave; leaves with it where that works out.
    fn depart(&mut self, departing: Departing, process: &mut Process) -> Stood;
    /// It has ended here.
    fn ended(&mut self, end: End);
}

impl Hosted {
    /// Starts a thread on which the program goes on.
    pub fn start(
        id: ProcessId, arrived: impl Into<Arrived>, remote: Remote, mut keeper: impl Keeper,
    ) -> std::io::Result<Arc<Hosted>> {
        let Arrived { process, missing } = arrived.into();
        let (sender, receiver) = channel();
        let hosted = Arc::new(Hosted {
            remote,
            interrupt: process.interrupt_handle(),
            terminal: process.terminal(),
            commands: Mutex::new(sender),
            health: Mutex::new(Health::default()),
            began: Instant::now(),
            missing,
        });
        let ours = hosted.clone();
        let live = move || {
            let mut life = Life { process, commands: receiver, hosted: ours, departing: None };
            let end = catch_unwind(AssertUnwindSafe(|| life.live(&mut keeper)));
            let end = end.unwrap_or_else(|_| {
                End::Exited(
                    INTERNAL_CODE,
                    "brant has failed, which is a fault of its own".to_owned(),
                )
            });
            keeper.ended(end);
        };
        std::thread::Builder::new().name(format!("guest-{}", id.short())).spawn(live)?;
        Ok(hosted)
    }

    /// Asks it something.
    pub fn ask(&self, command: Command) {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let is_end = matches!(command, Command::Kill(_));
        // One that has just ended does not answer.
        if commands.send(command).is_ok() {
            self.interrupt.interrupt();
        }
        // It may wait for pages.
        if let Some(missing) = self.missing.as_ref().filter(|missing| is_end && missing.left() > 0)
        {
            missing.give_up();
        }
    }

    /// A signal has come to its terminal: the program gets it, if it handles signals; otherwise it
    /// ends with this code.
    pub fn signal(&self, number: u8, code: u8) {
        match self.terminal.as_ref().filter(|terminal| number == SIGINT && terminal.is_wanted()) {
            Some(terminal) => terminal.send(number),
            None => self.ask(Command::Kill(code)),
        }
    }

    /// Whether pages that it needs will never come.
    fn is_lost(&self) -> bool {
        self.missing.as_ref().is_some_and(|missing| missing.is_lost())
    }

    /// How it is; one that does not stand in time is as it was when it last stood.
    pub fn health(&self, patience: Duration) -> Health {
        let seen = self.last_health();
        self.ask(Command::Report);
        let until = Instant::now() + patience;
        loop {
            let now = self.last_health();
            if now.looks != seen.looks || Instant::now() >= until {
                return now;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn last_health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it has been here.
    pub fn uptime(&self) -> Duration {
        self.began.elapsed()
    }
}

/// A program on its thread.
struct Life {
    process: Process,
    commands: Receiver<Command>,
    hosted: Arc<Hosted>,
    departing: Option<Departing>,
}

impl Life {
    fn live(&mut self, keeper: &mut impl Keeper) -> End {
        let mut is_paused = false;
        loop {
            if let Some(end) = self.serve(&mut is_paused, keeper) {
                return end;
            }
            let stopped = self.process.run();
            if self.hosted.is_lost() {
                return self.killed().unwrap_or(End::Lost);
            }
            if let Some(departing) = self.departing.take_if(|departing| departing.is_due()) {
                match keeper.depart(departing, &mut self.process) {
                    Stood::GoesOn => {}
                    Stood::Departed(_) => return End::Moved,
                }
                // What it was asked meanwhile is next.
                if matches!(stopped, Ok(ExitStatus::Stopped(_))) {
                    continue;
                }
            }
            match stopped {
                Ok(ExitStatus::Exited(code)) => return End::Exited(code as u8, String::new()),
                Ok(ExitStatus::Trapped(report)) => {
                    return End::Exited(ExitStatus::TRAP_CODE as u8, report.to_string());
                }
                Ok(ExitStatus::Stopped(crate::Stopped::OutOfFuel | crate::Stopped::OutOfTime)) => {
                    let text = "the program was stopped: a limit is reached".to_owned();
                    return End::Exited(ExitStatus::LIMIT_CODE as u8, text);
                }
                Ok(ExitStatus::Stopped(_)) => {}
                Err(error) => return End::Exited(code_of(&error), error.to_string()),
            }
        }
    }

    /// Does what it was asked, and all that is due.
    fn serve(&mut self, is_paused: &mut bool, keeper: &mut impl Keeper) -> Option<End> {
        loop {
            if self.hosted.is_lost() {
                return Some(self.killed().unwrap_or(End::Lost));
            }
            self.look(*is_paused);
            let command = match *is_paused && !self.departing.as_ref().is_some_and(|d| d.is_due()) {
                // A move asks again and again, and is looked for.
                true => self.commands.recv_timeout(Duration::from_millis(20)).ok(),
                false => self.commands.try_recv().ok(),
            };
            match command {
                Some(Command::Pause) => *is_paused = true,
                Some(Command::Resume) => *is_paused = false,
                Some(Command::Kill(code)) => return Some(End::Exited(code, String::new())),
                Some(Command::Report) => {}
                Some(Command::Checkpoint) => self.checkpoint(keeper),
                Some(Command::Depart { identity, route, report }) => {
                    self.begin_to_leave(identity, route, report);
                }
                None if self.departing.as_ref().is_some_and(Departing::is_due) => return None,
                None if *is_paused => {}
                None => return None,
            }
        }
    }

    /// How it was told to end, if it was.
    fn killed(&self) -> Option<End> {
        self.commands.try_iter().find_map(|command| match command {
            Command::Kill(code) => Some(End::Exited(code, String::new())),
            _ => None,
        })
    }

    fn checkpoint(&mut self, keeper: &mut impl Keeper) {
        if let Err(error) = keeper.checkpoint(&mut self.process) {
            eprintln!("brant: no checkpoint was written: {error}");
        }
    }

    fn begin_to_leave(&mut self, identity: Identity, route: Route, mut report: Report) {
        if self.departing.as_ref().is_some_and(|departing| !departing.is_over()) {
            let error = NodeError::refused("the program is on its way already", "wait for it");
            return report(Err(&error));
        }
        // The report is handed on only if the process can be moved at all.
        let shared = Arc::new(Mutex::new(report));
        let theirs = shared.clone();
        let report: Report = Box::new(move |progress| {
            (theirs.lock().unwrap_or_else(PoisonError::into_inner))(progress);
        });
        match Departing::begin(&mut self.process, identity, route, report) {
            Ok(departing) => self.departing = Some(departing),
            Err(error) => (shared.lock().unwrap_or_else(PoisonError::into_inner))(Err(&error)),
        }
    }

    fn look(&self, is_paused: bool) {
        let mut health = self.hosted.health.lock().unwrap_or_else(PoisonError::into_inner);
        *health = Health {
            is_paused,
            is_moving: self.departing.as_ref().is_some_and(|departing| !departing.is_over()),
            memory_bytes: self.process.memory_bytes(),
            cpu_ns: NativeHost::new().now_ns(Clock::ThreadCpu).unwrap_or(0),
            looks: health.looks + 1,
        };
    }
}

fn code_of(error: &Error) -> u8 {
    match error {
        Error::Exit(code) => *code as u8,
        _ => 1,
    }
}
