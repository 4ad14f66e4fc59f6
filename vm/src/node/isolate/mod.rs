//! A node whose programs have a host process each, behind walls of its own.
//!
//! ```text
//!   caller ── TLS or socket ── front ── socket ── host process of program A   Landlock, seccomp
//!                                │ └─── socket ── host process of program B   Landlock, seccomp
//!   node elsewhere ── TLS ───────┘  (dialled for A, and only where A was told to go)
//! ```
//!
//! A host process is a node of one program: all that a node does, its checkpoints, its moves, its
//! terminals, is the same code behind the walls. The front has no guest. It knows which process is
//! where, passes frames on to it, and opens connections for it, so that keys and certificates are
//! nowhere behind the walls. The two are joined by a channel over which sockets are handed, and by
//! nothing else.
//!
//! ```text
//! front.rs     what is said to the node: whom it is about, and who answers
//! tenant.rs    one program's host process and folder: started, called, mourned
//! door.rs      connections that a host process asks for
//! ```

mod door;
mod front;
mod tenant;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brant_host::native::handover::{Handed, Handover};
use brant_mobility::migration::ProcessId;

use super::daemon::Node;
use super::peer::Socket;

pub(super) use door::dial;
pub(super) use front::{Front, converse};

/// How the host process of a program is started.
///
/// The command is given a channel as its standard input; what it starts must call [`work`].
#[derive(Clone)]
pub struct Isolation {
    /// Makes the command.
    pub worker: Arc<dyn Fn(&Tenancy) -> Command + Send + Sync>,
}

impl fmt::Debug for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Isolation")
    }
}

/// What a host process is for.
#[derive(Clone, Debug)]
pub struct Tenancy {
    /// The process that it hosts, and no other.
    pub id: ProcessId,
    /// The name of the program, by which it is granted what it may have.
    pub name: String,
    /// The folder of its state.
    pub state: PathBuf,
}

/// How often a host process looks whether it is still needed.
const LOOK: Duration = Duration::from_secs(1);

/// The front is gone: programs are brought to the disk in this time.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Takes the channel that this host process was started with.
///
/// # Errors
/// Standard input is no such channel, or it was taken already.
pub fn take_door() -> io::Result<()> {
    door::install(Handover::of_standard_input()?)
}

/// Serves whatever the front hands over, until the front is gone or nothing is left to be done here.
/// The process then ends; what it knows is on the disk.
///
/// # Errors
/// What the system says about the channel.
pub fn work(node: &Node) -> io::Result<()> {
    let handover = door::installed()?;
    let mut idle_since = Instant::now();
    loop {
        match handover.receive(Some(LOOK))? {
            Handed::Socket(_, socket) => node.take(Socket::Unix(socket)),
            Handed::Nothing if !node.is_idle() => {}
            // A call may be on its way: whoever has called in vain calls again.
            Handed::Nothing if idle_since.elapsed() > 2 * LOOK => return Ok(()),
            Handed::Nothing => continue,
            Handed::Ended => {
                node.checkpoint_all(END_PATIENCE);
                return Ok(());
            }
        }
        idle_since = Instant::now();
    }
}
