//! Functions of the embedder, and what they may do while a guest waits for them.

use std::any::Any;
use std::fmt;

use brant_isa::Trap;

use crate::error::RunError;
use crate::func::Func;
use crate::instance::Instance;
use crate::memory::{GuestMemory, Memory};
use crate::stop::Stop;
use crate::store::Store;
use crate::thread::Activation;
use crate::types::FuncType;
use crate::val::Val;

/// How a host function ends well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The results are written.
    Return,
    /// The call would block. The thread stops *at* the call with [`Stop::Blocked`]; to run it again
    /// calls the function again with the same arguments.
    Block,
}

/// How a host function ends the run.
#[derive(Debug)]
pub enum HostError {
    /// As an instruction of the guest would.
    Trap(Trap),
    /// The guest has asked to end, with this code.
    Exit(i32),
    /// For a reason of the embedder.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl From<Trap> for HostError {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap(trap) => trap.fmt(f),
            Self::Exit(code) => write!(f, "exit with code {code}"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HostError {}

type Call = dyn Fn(&mut Caller<'_>, &[Val], &mut [Val]) -> Result<Flow, HostError> + Send;

/// A function of the embedder. Never freed before its store.
pub(crate) struct HostFunc {
    pub ty: FuncType,
    pub call: Box<Call>,
}

impl HostFunc {
    pub fn new(
        ty: FuncType,
        call: impl Fn(&mut Caller<'_>, &[Val], &mut [Val]) -> Result<Flow, HostError> + Send + 'static,
    ) -> Self {
        Self { ty, call: Box::new(call) }
    }
}

/// What a host function sees of the guest that calls it.
pub struct Caller<'a> {
    pub(crate) store: &'a mut Store,
    /// The instance that the call stands in; none if the host called the host.
    pub(crate) instance: Option<Instance>,
    /// The run that waits, on whose stack nested calls go.
    pub(crate) activation: &'a mut Activation,
}

impl Caller<'_> {
    /// The store.
    pub fn store(&mut self) -> &mut Store {
        self.store
    }

    /// The embedder's data.
    ///
    /// # Panics
    /// They are not a `T`.
    pub fn data<T: 'static>(&self) -> &T {
        self.store.data()
    }

    /// The embedder's data.
    ///
    /// # Panics
    /// They are not a `T`.
    pub fn data_mut<T: 'static>(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// The instance that calls; none if the host called the host.
    pub fn instance(&self) -> Option<Instance> {
        self.instance
    }

    /// Memory `index` of the instance that calls.
    pub fn memory(&mut self, index: u32) -> Option<GuestMemory<'_>> {
        Some(self.memory_handle(index)?.guest(self.store))
    }

    /// The embedder's data and memory `index` of the instance that calls, both to be changed.
    ///
    /// # Panics
    /// The data are not a `T`.
    pub fn data_and_memory<T: Any>(&mut self, index: u32) -> Option<(&mut T, GuestMemory<'_>)> {
        let memory = self.memory_handle(index)?;
        let inner = self.store.inner_mut();
        let data = inner.data.downcast_mut().expect("the type of the store's data");
        let bytes = inner.memories[memory.index as usize].bytes_mut();
        Some((data, GuestMemory::new(bytes)))
    }

    fn memory_handle(&self, index: u32) -> Option<Memory> {
        self.instance?.memory(self.store, index)
    }

    /// Calls `func` and gives its results, while the guest below waits.
    ///
    /// The call counts against the stack limit of the thread, and something more for the host's own
    /// stack. It cannot be parked: an interrupt, the end of the fuel or a call that would block end
    /// it with an error.
    ///
    /// # Errors
    /// Whatever stopped the call but its end. Passed on with `?`, it ends the waiting guest likewise.
    ///
    /// # Panics
    /// Arguments do not have the types of the parameters.
    pub fn call(&mut self, func: Func, arguments: &[Val]) -> Result<Vec<Val>, HostError> {
        match self.activation.nested(self.store, func, arguments) {
            Stop::Done(results) => Ok(results),
            Stop::Exit(code) => Err(HostError::Exit(code)),
            Stop::Trap(report) if report.code == Trap::CallStackExhausted => {
                Err(HostError::Trap(report.code))
            }
            stop => Err(HostError::Other(Box::new(RunError(stop)))),
        }
    }
}
