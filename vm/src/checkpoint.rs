//! Processes as snapshots, and processes that go on from them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use brant_engine::{Engine, MemoryImage, ModuleBytes};
use brant_kernel::persist::KernelState;
use brant_kernel::processes::{Pid, ROOT};
use brant_kernel::{Errno, Kernel, RunState};
use brant_mobility::{
    CaptureError, Contents, ModuleImage, ReadLimits, RestoreError, Snapshot, Standing,
};

use crate::builder::Origin;
use crate::durable::replace_file;
use crate::processes::standing;
use crate::system::System;
use crate::{Error, Linker, Module, Process, ProcessBuilder, Validation};

impl Process {
    /// The process as data, wherever it stands: stopped, waiting in a system call, between two
    /// calls, or not begun. It can go on as if nothing had happened.
    ///
    /// A process that runs on another thread is stopped first, by its
    /// [interrupt handle](Process::interrupt_handle); whoever runs it takes the snapshot and runs it
    /// again.
    ///
    /// # Errors
    /// [`Error::Capture`]: the process has ended, or holds what cannot be moved; each such
    /// descriptor is named.
    pub fn checkpoint(&mut self) -> Result<Snapshot, Error> {
        self.checkpoint_as(Contents::Compressed)
    }

    /// As [`Process::checkpoint`]; [`Contents::Plain`] makes a snapshot whose file can be mapped, so
    /// that a restore costs what the program touches.
    ///
    /// # Errors
    /// As [`Process::checkpoint`].
    pub fn checkpoint_as(&mut self, contents: Contents) -> Result<Snapshot, Error> {
        if self.ended.is_some() {
            return Err(CaptureError::Ended.into());
        }
        let resources = self.resources()?;
        let mut snapshot = self.capture(contents, resources)?;
        snapshot.tree = self.tree()?;
        Ok(snapshot)
    }

    /// The process as data, with what is said to be its resources.
    pub(crate) fn capture(
        &mut self, contents: Contents, resources: KernelState,
    ) -> Result<Snapshot, Error> {
        let (modules, generation) = (self.module_images(), self.new_generation()?);
        let spawned = self.threads.standing(self.current.as_ref());
        // A function that was told of a signal comes before what it has interrupted.
        let interrupted = self.handler.as_mut().map(|handler| &mut handler.current);
        let threads = self.current.iter_mut().chain(interrupted);
        let threads = threads.map(|current| (current.purpose, &mut current.thread));
        let standing = Standing {
            modules,
            threads: threads.collect(),
            preparation: self.preparation.iter().copied().collect(),
            resources,
            generation,
            contents,
            spawned,
        };
        Ok(Snapshot::capture(&mut self.store, standing)?)
    }

    /// Whether a snapshot can be had of a process that traps; without this nothing is kept of it.
    pub fn keep_post_mortem(&mut self, keep: bool) {
        self.store.keep_trapped(keep);
        for (_, store) in self.threads.each() {
            store.keep_trapped(keep);
        }
    }

    /// What is left of a process that has trapped: memories, globals, the frames that waited and, of
    /// the innermost one, its place and locals. Nothing goes on from such a snapshot. None if it has
    /// not trapped since the last one, or [nothing was kept](Process::keep_post_mortem).
    ///
    /// Descriptors that could not be moved are left out.
    ///
    /// # Errors
    /// As [`Process::checkpoint`].
    pub fn post_mortem(&mut self) -> Result<Option<Snapshot>, Error> {
        let mut trapped = self.store.take_trapped().map_err(CaptureError::from)?;
        for (_, store) in self.threads.each() {
            if trapped.is_none() {
                trapped = store.take_trapped().map_err(CaptureError::from)?;
            }
        }
        let Some(trapped) = trapped else { return Ok(None) };
        let (modules, generation) = (self.module_images(), self.new_generation()?);
        let resources = self.system().with_kernel(Kernel::save).unwrap_or_default();
        let standing = Standing {
            modules,
            threads: Vec::new(),
            preparation: self.preparation.iter().copied().collect(),
            resources,
            generation,
            contents: Contents::Compressed,
            spawned: self.threads.standing(None),
        };
        let purpose = self.last_purpose;
        Ok(Some(Snapshot::post_mortem(&mut self.store, standing, purpose, trapped)?))
    }

    fn module_images(&self) -> Vec<ModuleImage> {
        let images = self.modules.iter().map(|(name, module)| ModuleImage {
            name: name.clone(),
            hash: module.hash(),
            bytes: Some(module.engine_module().shared_bytes()),
        });
        images.collect()
    }

    fn new_generation(&mut self) -> Result<[u8; 16], Error> {
        let token = self.system().with_kernel(|kernel| kernel.host().token());
        token.map_err(Error::host)
    }

    /// What the process holds of its system, and what of it would become of it elsewhere.
    pub(crate) fn resources(&mut self) -> Result<KernelState, CaptureError> {
        self.system().with_kernel(Kernel::save).map_err(CaptureError::Obstacles)
    }

    /// What a process needs to go on from a snapshot: grants, as if it began. Nothing is granted by
    /// the snapshot itself.
    ///
    /// # Errors
    /// The snapshot has no modules that can run here.
    pub fn restore(engine: &Engine, snapshot: &Snapshot) -> Result<ProcessBuilder, Error> {
        Process::restore_with(engine, snapshot, &[])
    }

    /// As [`Process::restore`], where some modules are known already: they are taken by their hash,
    /// and need not be in the snapshot.
    ///
    /// # Errors
    /// As [`Process::restore`].
    pub fn restore_with(
        engine: &Engine, snapshot: &Snapshot, known: &[Module],
    ) -> Result<ProcessBuilder, Error> {
        if let Some(trap) = &snapshot.execution.trap {
            return Err(RestoreError::Trapped(trap.code).into());
        }
        let mut modules = Vec::with_capacity(snapshot.code.modules.len());
        for image in &snapshot.code.modules {
            let module = match known.iter().find(|module| module.hash() == image.hash) {
                Some(module) => module.clone(),
                None => {
                    let missing = RestoreError::MissingModule { hash: image.hash };
                    let bytes = image.bytes.clone().ok_or(missing)?;
                    Module::with_validation(engine, bytes, Validation::Lazy)?
                }
            };
            modules.push((image.name.clone(), module));
        }
        let (_, program) = modules.pop().ok_or(RestoreError::Modules)?;
        let interrupted =
            snapshot.tree.as_ref().and_then(|tree| tree.state.member(ROOT)?.interrupted);
        let origin = Origin {
            snapshot: snapshot.clone(),
            preloads: modules,
            memories: Vec::new(),
            interrupted: interrupted.map(RunState::restore),
        };
        Ok(ProcessBuilder::going_on(&program, origin))
    }

    /// What a copy of the process needs to go on: grants, as if it began, and host functions if it
    /// has some. The process stands only until this returns.
    ///
    /// With an engine that has [`copy_on_write`](brant_engine::Config) no page is copied until one
    /// of both writes to it, and how long this takes does not depend on the size of the memory;
    /// otherwise all pages are copied. The copy's random numbers are others.
    ///
    /// # Errors
    /// As [`Process::checkpoint`].
    pub fn fork(&mut self) -> Result<ProcessBuilder, Error> {
        let mut snapshot = self.checkpoint_as(Contents::Elsewhere)?;
        snapshot.resources.chance = None;
        let memories = (0..self.store.memory_count()).map(|index| self.store.memory_image(index));
        let memories = memories.collect::<Result<_, _>>().map_err(Error::host)?;
        let mut modules = self.modules.clone();
        let (_, program) = modules.pop().ok_or(RestoreError::Modules)?;
        let interrupted = self.told_in();
        let origin = Origin { snapshot, preloads: modules, memories, interrupted };
        Ok(ProcessBuilder::going_on(&program, origin))
    }

    /// A copy of a process of a tree, without its threads but the first: it has this system, and an
    /// answer for the call that it stands in.
    pub(crate) fn fork_beside(
        &mut self, kernel: Kernel, answer: Result<Pid, Errno>,
    ) -> Result<Process, Error> {
        let mut snapshot = self.capture(Contents::Elsewhere, KernelState::default())?;
        snapshot.execution.spawned = None;
        let memories = (0..self.store.memory_count()).map(|index| self.store.memory_image(index));
        let memories = memories.collect::<Result<_, _>>().map_err(Error::host)?;
        let mut modules = self.modules.clone();
        let (_, program) = modules.pop().ok_or(RestoreError::Modules)?;
        let interrupted = self.told_in();
        let origin = Origin { snapshot, preloads: modules, memories, interrupted };
        let limits = self.limits().clone();
        let mut system = System::of_kernel(kernel, self.system().traces(), &limits);
        system.set_run_state(self.system().run_state().clone());
        system.answer(answer);
        let linker = self.linker();
        let builder = ProcessBuilder::going_on(&program, origin).limits(limits).linker(&linker);
        builder.build_beside(&self.store, system)
    }

    /// What programs of this tree may import besides system calls.
    pub(crate) fn linker(&mut self) -> Linker {
        let births = self.system().births.clone();
        births.recipe().map(|recipe| recipe.linker.clone()).unwrap_or_default()
    }

    /// Makes a process that has just been linked go on from a snapshot.
    pub(crate) fn go_on_from(
        &mut self, snapshot: &Snapshot, memories: &[MemoryImage], interrupted: Option<RunState>,
    ) -> Result<(), Error> {
        let restored = snapshot.restore(&mut self.store)?;
        for (index, image) in (0..).zip(memories) {
            self.store.adopt_memory(index, image).map_err(RestoreError::from)?;
        }
        let mut threads = restored.threads.into_iter().map(standing);
        self.current = threads.next();
        match (threads.next(), interrupted) {
            (Some(current), Some(run_state)) => self.is_handling(current, run_state),
            (None, None) => {}
            _ => return Err(RestoreError::Configuration("with more than one thread").into()),
        }
        if threads.next().is_some() {
            return Err(RestoreError::Configuration("with more than one thread").into());
        }
        self.preparation = VecDeque::from(restored.preparation);
        self.threads.go_on_from(snapshot, &mut self.store, self.current.as_mut())?;
        match &snapshot.tree {
            Some(tree) => self.restore_tree(tree),
            None => Ok(()),
        }
    }
}

/// Writes a snapshot to a file: the file that is there, if any, stays until the new one is whole
/// and on the disk, so that there is one of both at any instant.
///
/// # Errors
/// What the system says; the old file is untouched, and nothing is left behind.
pub fn write_snapshot(snapshot: &Snapshot, path: &Path) -> Result<u64, Error> {
    let written = replace_file(path, &mut |writer| snapshot.write(writer));
    written.map_err(|cause| Error::Write { path: path.to_owned(), cause })
}

/// Reads a snapshot from a file.
///
/// # Errors
/// What the system says, or what is wrong with the bytes.
pub fn read_snapshot(path: &Path) -> Result<Snapshot, Error> {
    let cannot = |cause| Error::Read { path: path.to_owned(), cause };
    let mut reader = BufReader::with_capacity(64 << 10, File::open(path).map_err(cannot)?);
    Ok(Snapshot::read(&mut reader, &ReadLimits::default())?)
}

/// The snapshot in a file, of which only what is asked for is read. The file must stay as it is
/// while the snapshot is used; the checksum of contents that can be mapped is not looked at.
///
/// # Errors
/// What the system says, or what is wrong with the bytes.
pub fn map_snapshot(path: &Path) -> Result<Snapshot, Error> {
    let limits = ReadLimits::default();
    let limit_bytes = usize::try_from(limits.contents_bytes).unwrap_or(usize::MAX);
    let bytes = ModuleBytes::of_file(path, limit_bytes);
    let bytes = bytes.map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
    Ok(Snapshot::from_bytes_lazily(bytes, &limits)?)
}
