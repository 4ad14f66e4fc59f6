//! Nodes: daemons that take programs in, run them, and pass them on; and the terminals that stay.
//!
//! ```text
//! address.rs   where a node listens
//! peer.rs      a connection that speaks in messages
//! tls.rs       what it goes through over the network
//! depart.rs    a program leaves: the side of its host
//! send.rs      a program as frames
//! behind.rs    pages that follow a program which runs at its destination
//! arrive.rs    a program comes: from a socket or from a file
//! hosted.rs    a program of a node, on its thread
//! daemon.rs    the node: its programs, and who owns them
//! serve.rs     what a node answers
//! take_in.rs   a program comes: the side of the node
//! keep.rs      what a node does for its programs: checkpoints, moves, ends
//! session.rs   a terminal is attached
//! callers.rs   so is somebody who keeps sockets
//! broker.rs    the sockets of a program that is elsewhere
//! isolate/     programs in host processes of their own, behind walls
//! record.rs    what a node knows after it was killed
//! relay.rs     the terminal of a program that is elsewhere
//! client.rs    what a command asks of a node
//! ```
//!
//! What is said, and who owns a program at which moment, is decided in `brant_mobility::migration`;
//! here are the threads, sockets and files. Nothing here knows the words of a command line.

mod address;
mod arrive;
mod behind;
mod broker;
mod callers;
mod client;
mod daemon;
mod depart;
mod hosted;
mod isolate;
mod keep;
mod peer;
mod record;
mod relay;
mod send;
mod serve;
mod session;
mod take_in;
mod tls;

pub use address::Address;
pub use brant_mobility::migration::{Listed, Mode, ProcessId, Progress, Stage};
pub use broker::{KeptSockets, keep};
pub use client::Client;
pub use daemon::{Grants, Node, NodeConfig, Role};
pub use depart::{Decision, Departed, Departing, Identity, Report, Route, Stood, write_tracking};
pub use isolate::{Isolation, Tenancy, take_door, work};
pub use peer::{Credentials, NodeError, Peer};
pub use relay::{Copy, Ended, Keep, Position, Terminal, Whereabouts, relay};
pub use send::Along;
pub(crate) use send::handed_over;
pub use tls::make_certificates;
