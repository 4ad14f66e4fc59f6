//! What a host function sees of the program that calls it.

use std::any::Any;

use brant_engine::{GuestMemory, Val};

use crate::Error;
use crate::system::System;

/// What a host function sees of the program that calls it.
pub struct Caller<'a> {
    engine: &'a mut dyn EngineCaller,
}

/// The engine's caller without its lifetime: a host function has no use for it.
trait EngineCaller {
    fn memory(&mut self) -> Option<GuestMemory<'_>>;
    fn system(&mut self) -> &mut System;
    fn call(&mut self, name: &str, params: &[Val]) -> Result<Vec<Val>, Error>;
}

impl EngineCaller for brant_engine::Caller<'_> {
    fn memory(&mut self) -> Option<GuestMemory<'_>> {
        brant_engine::Caller::memory(self, 0)
    }

    fn system(&mut self) -> &mut System {
        self.data_mut()
    }

    fn call(&mut self, name: &str, params: &[Val]) -> Result<Vec<Val>, Error> {
        let instance = self.instance().ok_or_else(|| Error::no_export(name))?;
        let export = instance.export(self.store(), name);
        let func = export.and_then(|export| export.func()).ok_or_else(|| Error::no_export(name))?;
        let kind = func.ty(self.store());
        if !kind.params().iter().copied().eq(params.iter().map(|param| param.ty())) {
            return Err(Error::WrongType { name: name.to_owned(), found: kind.to_string() });
        }
        Ok(brant_engine::Caller::call(self, func, params)?)
    }
}

impl<'a> Caller<'a> {
    pub(crate) fn new(engine: &'a mut brant_engine::Caller<'_>) -> Caller<'a> {
        Caller { engine }
    }

    /// The memory of the instance that calls.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if it has none.
    pub fn memory(&mut self) -> Result<GuestMemory<'_>, Error> {
        self.engine.memory().ok_or(Error::NoMemory)
    }

    /// How large that memory is; 0 if there is none.
    pub fn memory_len_bytes(&mut self) -> u64 {
        self.engine.memory().map_or(0, |memory| memory.len_bytes())
    }

    /// Copies text out of the memory.
    ///
    /// # Errors
    /// A range that is not inside, or bytes that are not UTF-8.
    pub fn read_text(&mut self, address: u32, len_bytes: u32) -> Result<String, Error> {
        let memory = self.memory()?;
        // A copy first: other threads of the guest may write to it.
        let bytes = memory.slice(address.into(), len_bytes.into())?.to_vec();
        String::from_utf8(bytes).map_err(Error::host)
    }

    /// The data that [`crate::ProcessBuilder::data`] gave the process, if they are a `T`.
    pub fn data<T: Any>(&mut self) -> Option<&mut T> {
        self.engine.system().user_data.downcast_mut()
    }

    /// Calls an exported function of the instance that calls, while its call of the host waits.
    ///
    /// # Errors
    /// A trap, the end of the program, or a stop; with `?` it ends the waiting program likewise.
    pub fn call(&mut self, name: &str, params: &[Val]) -> Result<Vec<Val>, Error> {
        self.engine.call(name, params)
    }
}
