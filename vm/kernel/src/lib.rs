//! The virtual system: descriptors, system calls, run states.
//!
//! A [`Kernel`] belongs to one process. It answers system calls from its own tables and, where the
//! world is asked, through [`host::Host`]. It has no clock, file or random number of its own, and it
//! never waits inside a call: what would block is parked as data ([`RunState`]).
#![forbid(unsafe_code)]

mod descriptor;
pub mod errno;
pub mod host;
mod kernel;
mod manifest;
pub mod net;
pub mod persist;
pub mod processes;
mod rights;
mod run_state;
pub mod syscall;
pub mod trace;

pub use descriptor::{Binding, Descriptor, DescriptorTable, FdFlags, Object, OpenFile};
pub use errno::Errno;
pub use kernel::{Kernel, Outcome, StartError};
pub use manifest::{Limits, Manifest, Mount};
pub use rights::Rights;
pub use run_state::{Parked, RunState};
pub use syscall::{CALLS, Call, Syscall};
