//! The system calls of WASI preview 1 and of WASIX, one file for each topic.
//!
//! Each call is a method of [`Kernel`](crate::Kernel) that takes the guest's own numbers, looks into
//! the tables, asks the host, and only then writes to guest memory. A call that is not complete says
//! so as data and is made again; see [`RunState`](crate::RunState).
//! Spec: WASI preview 1 (`wasi_snapshot_preview1`) and WASIX (`wasix_32v1`), one section for each call.

mod args_env;
mod clock;
mod descriptor;
mod directory;
mod file;
mod io;
mod net;
mod path;
mod poll;
mod process;
mod socket;
mod spawn;
mod table;

pub(crate) use descriptor::meaningful;
pub(crate) use net::read_address;
pub use process::answer;
pub use table::{CALLS, Call, Group, MOST_PARAMS, Module, Param, ParamKind, Syscall, page};
