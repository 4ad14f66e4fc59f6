//! A program comes: what is offered is looked at, then pages, output and state come in frames.
//!
//! The frames come from a socket, or, when a node starts again, from the file that they were kept in.
//! Everything in them is an enemy's; the state is verified by the same code as any snapshot.

use std::sync::Arc;

use brant_engine::{MAX_MODULE_BYTES, MissingPages, ModuleBytes, WrittenPages};
use brant_host::native::NativeHost;
use brant_kernel::host::Kind;
use brant_kernel::persist::{KernelState, Obstacle};
use brant_kernel::{Binding, Kernel};
use brant_mobility::migration::{Message, Offer, PageRun, Refusal, read_pages};
use brant_mobility::{ReadLimits, Snapshot};

use super::daemon::Grant;
use super::peer::{Incoming, NodeError, cannot_keep, name, unexpected};
use super::record::StateFolder;
use crate::remote::{Piece, Remote};
use crate::streams::{Input, Output, Streams};
use crate::{Arrival, Config, Engine, Error, Linker, Module, Process, Validation, with_compiler};

/// Everything but pages: frames, tables, descriptors, files without a name.
const STATE_LIMIT_BYTES: usize = 144 << 20;

/// Pages that are to come later, in runs: half of a memory of 4 GiB, with a hole behind each page.
const RUNS_LIMIT: usize = 512 << 10;

/// 4 KiB pages in one of WebAssembly.
const PAGES_IN_A_WASM_PAGE: u64 = 16;

/// A process on its way here.
pub(super) struct Coming {
    pub offer: Offer,
    grant: Grant,
    engine: Engine,
    modules: Vec<Option<Module>>,
    code: Vec<Vec<u8>>,
    arrival: Option<Arrival>,
    sizes: Vec<u64>,
    state: Vec<u8>,
    behind: Vec<WrittenPages>,
    remote: Remote,
}

/// A process that has come, and does not run yet.
pub(super) struct Came {
    pub offer: Offer,
    pub process: Process,
    pub remote: Remote,
    /// Pages that are still to come, if there are some.
    pub missing: Option<Arc<MissingPages>>,
}

impl Coming {
    /// Looks at an offer, and says which modules' bytes are missing.
    ///
    /// # Errors
    /// What it asks for is not granted.
    pub fn new(
        offer: Offer, grant: Grant, folder: &StateFolder,
    ) -> Result<(Coming, Vec<bool>), Refusal> {
        let refuse = |what: &str, why: String, remedy: &str| Refusal {
            fd: None,
            what: what.to_owned(),
            why,
            remedy: remedy.to_owned(),
        };
        let config = Config {
            deterministic: offer.deterministic,
            fuel: offer.fuel,
            ..with_compiler(Config::default())
        };
        let engine = Engine::new(&config)
            .map_err(|error| refuse("the engine", error.to_string(), "use another node"))?;
        try_resources(&offer.resources, &grant)?;
        let bytes = offer.memories_wasm_pages.iter().try_fold(0u64, |sum, &pages| {
            sum.checked_add(pages.checked_mul(brant_engine::WASM_PAGE_BYTES)?)
        });
        let limit = grant.limits.memory_bytes;
        if bytes.is_none_or(|bytes| bytes > limit) {
            let why = format!("is larger than the {limit} bytes that are granted here");
            return Err(refuse("its memory", why, "grant more: `--allow NAME=max-memory=SIZE`"));
        }
        let mut modules = Vec::with_capacity(offer.modules.len().min(1024));
        for module in &offer.modules {
            if module.bytes > MAX_MODULE_BYTES as u64 {
                let why = format!("claims to have {} bytes", module.bytes);
                return Err(refuse("a module", why, "no module is that large"));
            }
            let known = folder.module(&module.hash);
            modules.push(known.and_then(|bytes| load(&engine, bytes).ok()));
        }
        if modules.is_empty() {
            return Err(refuse("its code", "is missing".to_owned(), "offer a module"));
        }
        let wanted: Vec<bool> = modules.iter().map(Option::is_none).collect();
        let remote = Remote::new(terminals(&offer.resources));
        let code = vec![Vec::new(); modules.len()];
        let sizes = offer.memories_wasm_pages.clone();
        let (arrival, state) = (None, Vec::new());
        let behind = Vec::new();
        let coming =
            Coming { offer, grant, engine, modules, code, arrival, sizes, state, behind, remote };
        Ok((coming, wanted))
    }

    /// Takes a frame; says whether it was the last one.
    ///
    /// # Errors
    /// It is not one that may come now.
    pub fn take(
        &mut self, incoming: Incoming<'_>, folder: &StateFolder,
    ) -> Result<bool, NodeError> {
        match incoming {
            Incoming::Pages(payload) => {
                self.build()?;
                let Some(arrival) = &mut self.arrival else { return Err(unexpected("pages")) };
                let sizes = &self.sizes;
                let pages = |memory: u32| {
                    sizes.get(memory as usize).map_or(0, |size| size * PAGES_IN_A_WASM_PAGE)
                };
                read_pages::<Error>(payload, pages, |memory, page, content| {
                    arrival.write_page(memory, page, content)
                })?;
            }
            Incoming::Message(Message::Code { module, bytes }) => {
                self.take_code(module as usize, &bytes, folder)?;
            }
            Incoming::Message(Message::Sizes { memories }) => {
                self.build()?;
                if let Some(arrival) = &mut self.arrival {
                    arrival.grow(&memories)?;
                }
                self.sizes = memories;
            }
            Incoming::Message(Message::Behind { runs }) => self.take_behind(&runs)?,
            Incoming::Message(Message::Output { stream, position, bytes }) => {
                let stream = usize::from(stream).checked_sub(1).filter(|&stream| stream < 2);
                let stream = stream.ok_or_else(|| unexpected("output of no stream"))?;
                self.remote.came_along(&Piece { stream, position, bytes });
            }
            Incoming::Message(message @ (Message::Lane { .. } | Message::Door { .. })) => {
                if !self.remote.lanes().came_along(message) {
                    return Err(NodeError::Peer("it has more connections than fit".to_owned()));
                }
            }
            Incoming::Message(Message::State { is_last, bytes }) => {
                if self.state.len() + bytes.len() > STATE_LIMIT_BYTES {
                    return Err(NodeError::Peer("the state is too large".to_owned()));
                }
                self.state.extend_from_slice(&bytes);
                return Ok(is_last);
            }
            Incoming::Message(other) => return Err(unexpected(&name(&other))),
        }
        Ok(false)
    }

    fn take_behind(&mut self, runs: &[PageRun]) -> Result<(), NodeError> {
        if self.behind.len() + runs.len() > RUNS_LIMIT {
            return Err(NodeError::Peer("too many pages are to come later".to_owned()));
        }
        let runs = runs.iter();
        self.behind.extend(runs.map(|&PageRun { memory, first, count }| WrittenPages {
            memory,
            first,
            count,
        }));
        Ok(())
    }

    fn take_code(
        &mut self, index: usize, bytes: &[u8], folder: &StateFolder,
    ) -> Result<(), NodeError> {
        let (Some(offered), Some(code)) = (self.offer.modules.get(index), self.code.get_mut(index))
        else {
            return Err(unexpected("code of no module"));
        };
        if self.modules[index].is_some() || code.len() + bytes.len() > offered.bytes as usize {
            return Err(unexpected("more code"));
        }
        code.extend_from_slice(bytes);
        if code.len() as u64 == offered.bytes {
            if *blake3::hash(code).as_bytes() != offered.hash {
                return Err(NodeError::Peer("a module is not the one that was offered".to_owned()));
            }
            folder.put_module(&offered.hash, code).map_err(cannot_keep)?;
            self.modules[index] = Some(load(&self.engine, std::mem::take(code).into())?);
        }
        Ok(())
    }

    /// Links the program once all of its code is here.
    fn build(&mut self) -> Result<(), NodeError> {
        if self.arrival.is_some() {
            return Ok(());
        }
        let modules: Option<Vec<Module>> = self.modules.iter().cloned().collect();
        let Some((program, preloads)) = modules.as_deref().and_then(<[Module]>::split_last) else {
            return Err(unexpected("pages before the code"));
        };
        let mut linker = Linker::new();
        for (offered, module) in self.offer.modules.iter().zip(preloads) {
            linker.module(&offered.name, module);
        }
        let builder = self.grant.apply(Process::builder(program).linker(&linker));
        let builder = builder
            .stdin(Input::Remote(self.remote.clone()))
            .stdout(Output::Remote(self.remote.clone()))
            .stderr(Output::Remote(self.remote.clone()));
        let mut arrival = builder.arrive()?;
        arrival.grow(&self.sizes)?;
        self.arrival = Some(arrival);
        Ok(())
    }

    /// Rebuilds the process and verifies all of it.
    ///
    /// # Errors
    /// It is not the process of the offer, or asks for what is not granted.
    pub fn finish(mut self) -> Result<Came, NodeError> {
        self.build()?;
        let Some(arrival) = self.arrival else { return Err(unexpected("a state")) };
        let state = ModuleBytes::from(self.state);
        let snapshot = Snapshot::from_bytes(state, &ReadLimits::default())?;
        let mut process = arrival.finish(&snapshot)?;
        let missing = match self.behind.is_empty() {
            true => None,
            false => Some(Arc::new(process.store.await_pages(&self.behind).map_err(|error| {
                NodeError::Peer(format!("its pages cannot come later: {error}"))
            })?)),
        };
        Ok(Came { offer: self.offer, process, remote: self.remote, missing })
    }
}

fn load(engine: &Engine, bytes: ModuleBytes) -> Result<Module, Error> {
    Module::with_validation(engine, bytes, Validation::Lazy)
}

/// Opens all that the process would have open, and lets go of it again.
fn try_resources(state: &KernelState, grant: &Grant) -> Result<(), Refusal> {
    let host = Streams::new(Box::new(NativeHost::new()), Input::Empty, Output::Null, Output::Null);
    let host = host.on_trial();
    let tried = Kernel::restore(grant.manifest(), Box::new(host), state);
    tried.map(drop).map_err(|Obstacle { fd, what, why, remedy }| Refusal { fd, what, why, remedy })
}

/// Which standard streams the guest takes for terminals.
fn terminals(state: &KernelState) -> [bool; 3] {
    let mut terminals = [false; 3];
    for descriptor in &state.descriptors {
        if let Binding::Stream(number) = descriptor.binding
            && let Some(place) = terminals.get_mut(number as usize)
        {
            *place |= descriptor.kind == Kind::CharacterDevice;
        }
    }
    terminals
}
